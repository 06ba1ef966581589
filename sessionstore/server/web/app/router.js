/* What the page shows stands in its address: places by path, everything else by query. */

const listeners = new Set();

export const path = () => location.pathname.split('/').filter(Boolean).map(decodeURIComponent);
export const query = () => Object.fromEntries(new URLSearchParams(location.search));

export function address(parts, values = {}) {
  const search = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== '' && value !== null && value !== undefined));
  const text = search.toString();
  return `/${parts.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

export function go(target) {
  history.pushState(null, '', target);
  tell();
}

/** Change parts of the query in place; null removes one. Nothing is rebuilt. */
export function keep(values) {
  const search = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === '') search.delete(name);
    else search.set(name, value);
  }
  const text = search.toString();
  const target = location.pathname + (text ? `?${text}` : '');
  if (target !== location.pathname + location.search) history.replaceState(null, '', target);
}

export function onMove(action) {
  listeners.add(action);
}

function tell() {
  for (const action of listeners) action();
}

export function start() {
  addEventListener('popstate', tell);
  document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href]');
    const plain = !event.defaultPrevented && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
    if (!link || !plain || link.target || link.hasAttribute('download')) return;
    const target = new URL(link.href);
    if (target.origin !== location.origin || /^\/(api|docs|openapi)/.test(target.pathname) || target.hash) return;
    event.preventDefault();
    go(target.pathname + target.search);
  });
  tell();
}
