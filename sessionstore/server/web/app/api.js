/* Requests to the API: a reply, or a Problem that says what went wrong. Never an empty value for an error. */

export class Problem extends Error {
  constructor(status, kind, detail, more = {}) {
    super(detail || `the server answered ${status}`);
    Object.assign(this, { status, kind, more });
  }
}

export const one = (id) => `/api/sessions/${encodeURIComponent(id)}`;

export async function ask(path, { query, method = 'GET', body, file, headers = {}, signal, cache } = {}) {
  const address = query ? `${path}?${new URLSearchParams(clean(query))}` : path;
  const options = { method, headers: { ...headers }, signal, cache };
  if (method !== 'GET') {
    options.headers['content-type'] ??= file ? 'application/octet-stream' : 'application/json';
    if (file) options.body = file;
    if (body !== undefined) options.body = JSON.stringify(body);
  }
  let reply;
  try {
    reply = await fetch(address, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, 'unreachable', 'the server cannot be reached; it may have been stopped');
  }
  if (reply.status === 401) throw new Problem(401, 'token-needed', 'this server needs a token: open the page once as /?token=TOKEN');
  if (!reply.ok) throw await problemOf(reply);
  return reply;
}

export const json = async (path, options) => (await ask(path, options)).json();

/** Send a file and return the answer; `progress` is called with the bytes sent so far (fetch cannot tell them). */
export function send(path, { query, file, progress, signal }) {
  return new Promise((done, refused) => {
    const request = new XMLHttpRequest();
    request.open('POST', `${path}?${new URLSearchParams(clean(query))}`);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => refused(new Problem(0, 'unreachable', 'the server cannot be reached; it may have been stopped'));
    request.onabort = () => refused(new DOMException('aborted', 'AbortError'));
    request.onload = () => {
      let told = {};
      try { told = JSON.parse(request.responseText); } catch { /* the status says it */ }
      if (request.status < 300) done(told);
      else refused(new Problem(request.status, String(told.type || ''), told.detail || told.title, told));
    };
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

async function problemOf(reply) {
  try {
    const told = await reply.json();
    return new Problem(reply.status, String(told.type || ''), told.detail || told.title, told);
  } catch {
    return new Problem(reply.status, 'unknown', `the server answered ${reply.status} ${reply.statusText}`);
  }
}

function clean(query) {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== ''));
}

/** Follow server-sent events; `state` is told 'open' or 'lost', the browser reconnects with the last id by itself. */
export function follow(path, events, state = () => {}) {
  const source = new EventSource(path);
  source.onopen = () => state('open');
  source.onerror = () => state(source.readyState === EventSource.CLOSED ? 'closed' : 'lost');
  for (const [name, action] of Object.entries(events)) {
    source.addEventListener(name, (event) => { if (event.data) action(JSON.parse(event.data), event.lastEventId); });
  }
  return () => source.close();
}
