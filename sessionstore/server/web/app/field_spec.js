/* How a line of a chart is written in an address:

     stream.field            motion_history.position.2
     function(stream.field)  norm(...), rate(...), mean5(...): length of a list, change a second, mean of 5 s
     ...@drone               one drone only
     ...~other               minus the same field of another session, by its id
     ...:2                   on the second axis

   Lines of one chart are joined by +, charts by commas; those characters within a name are percent-encoded. */

const FORM = /^(?:(norm|rate|mean)([\d.]*)\()?([^()@:~]+?)\)?(?:@([^:~]+))?(?:~([^:]+))?(?::(\d))?$/;
const name = (text) => encodeURIComponent(text).replace(/[()'!*~]/g, (c) => `%${c.charCodeAt(0).toString(16)}`).replace(/%2F/gi, '/');

/** Return { stream, field, derive, window, drone, minus, axis } of a text; null when it is none. */
export function parse(text) {
  const found = FORM.exec(text.trim());
  if (!found) return null;
  const [, derive, window, path, drone, minus, axis] = found;
  const [stream, ...field] = path.split('.');
  if (!stream || !field.length) return null;
  try {
    return { stream: decodeURIComponent(stream), field: decodeURIComponent(field.join('.')), derive: derive || null, window: derive === 'mean' ? Number(window) || 5 : null, drone: drone ? decodeURIComponent(drone) : null, minus: minus ? decodeURIComponent(minus) : null, axis: Math.max(0, Number(axis || 1) - 1) };
  } catch { return null; }
}

export function write({ stream, field, derive, window, drone, minus, axis }) {
  const path = `${name(stream)}.${name(field)}`;
  return `${derive ? `${derive}${derive === 'mean' ? window : ''}(${path})` : path}${drone ? `@${name(drone)}` : ''}${minus ? `~${name(minus)}` : ''}${axis ? `:${axis + 1}` : ''}`;
}

export const parseChart = (text) => text.split('+').map(parse).filter(Boolean);
export const writeChart = (lines) => lines.map(write).join('+');

/** What a line is called: the field, what is derived of it, and where the rest is not plain. */
export function label({ stream, field, derive, window, drone, minus }) {
  const path = `${stream}.${field}`;
  return [derive === 'mean' ? `mean of ${window} s (${path})` : derive ? `${derive}(${path})` : path, drone && `of ${drone}`, minus && `minus ${minus}`].filter(Boolean).join(' ');
}

/** What a series route is asked for a line. */
export function query({ stream, field, derive, window, drone, minus }) {
  return { stream, field, derive, window, drone, minus };
}
