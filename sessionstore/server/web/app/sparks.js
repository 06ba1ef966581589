/* Sparklines in the list: a field of a stream as a small line, asked for the rows on the screen only, kept by revision. */
import { json } from './api.js';
import { svg } from './dom.js';
import { number } from './format.js';
import { tint } from '../player/tints.js';

export const SPARK = /^spark\.([^.]+)\.(.+)/;
const WIDTH = 96;
const HEIGHT = 24;
const MOST = 60;
const LIMIT = 5000;
const known = new Map(); // "name id rev" -> lines

const key = (name, row) => `${name} ${row.session_id} ${row.rev} ${row.points}`;

/** A cell: the line with its last value, '…' while it is on its way, '–' where nothing was recorded. */
export function sparkCell(row, name) {
  const lines = known.get(key(name, row));
  if (!lines) return '…';
  const all = lines.flat();
  if (!all.length) return '–';
  const [from, to] = [Math.min(...all.map(([t]) => t)), Math.max(...all.map(([t]) => t))];
  const [low, high] = [Math.min(...all.map(([, value]) => value)), Math.max(...all.map(([, value]) => value))];
  const x = (t) => (to > from ? ((t - from) / (to - from)) * (WIDTH - 4) + 2 : WIDTH / 2);
  const y = (value) => (high > low ? HEIGHT - 3 - ((value - low) / (high - low)) * (HEIGHT - 6) : HEIGHT / 2);
  const words = `${name.match(SPARK).slice(1).join('.')}: ${number(low, 3)} to ${number(high, 3)}, last ${lines.map((line) => number(line.at(-1)[1], 3)).join(', ')}`;
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: 'spark', role: 'img', 'aria-label': words }, svg('title', {}, words), ...lines.map((line, i) => svg('polyline', { points: line.map(([t, value]) => `${x(t).toFixed(1)},${y(value).toFixed(1)}`).join(' '), stroke: tint(i), fill: 'none', 'stroke-width': 1.25 })));
}

/** What a drawn row depends on. */
export const sparkKey = (row, columns) => columns.filter((each) => each.spark && known.has(key(each.name, row))).length;

/** Fetch what the rows on the screen lack; true when something new is here. */
export async function fetchSparks(rows, names) {
  let news = false;
  for (const name of names) {
    const [, stream, field] = name.match(SPARK);
    const lacking = rows.filter((row) => !known.has(key(name, row))).slice(0, MOST);
    if (!lacking.length) continue;
    const { lines } = await json('/api/sessions/sparklines', { method: 'POST', body: { ids: lacking.map((row) => row.session_id), stream, field } });
    if (known.size > LIMIT) known.clear();
    for (const row of lacking) known.set(key(name, row), lines[row.session_id] || []);
    news = true;
  }
  return news;
}
