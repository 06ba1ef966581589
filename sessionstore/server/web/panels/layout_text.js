/* A layout as a text, as the address and saved layouts keep it: cells with their panels and size, in reading order.

     scene~7x12;drones|log~5x12;chart(motor.rpm)~6x5

   `|` stacks panels in one cell; the size is columns of twelve and rows. */

export const COLUMNS = 12;
const SAFE = /[()~;|!'*]/g;
const packed = (text) => encodeURIComponent(text).replace(SAFE, (c) => `%${c.charCodeAt(0).toString(16)}`);
const between = (value, low, high) => Math.max(low, Math.min(high, value));

export function parse(text) {
  return text.split(';').map(cell).filter((each) => each && each.panels.length);
}

function cell(text) {
  const found = /^(.*?)~(\d+)x(\d+)$/.exec(text);
  if (!found) return null;
  const panels = found[1].split('|').map((each) => /^([a-z]+)(?:\((.*)\))?$/.exec(each)).filter(Boolean);
  try {
    return { panels: panels.map(([, kind, argument]) => ({ kind, argument: argument === undefined ? '' : decodeURIComponent(argument) })), w: between(Number(found[2]), 2, COLUMNS), h: between(Number(found[3]), 1, 40), open: 0 };
  } catch { return null; }
}

export function write(cells) {
  return cells.map(({ panels, w, h }) => `${panels.map(({ kind, argument }) => (argument ? `${kind}(${packed(argument)})` : kind)).join('|')}~${w}x${h}`).join(';');
}
