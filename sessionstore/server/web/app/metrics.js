/* Metrics in the list: a row does not hold them, so they are asked for the rows on the screen only, and kept by revision. */
import { json } from './api.js';
import { el } from './dom.js';
import { number } from './format.js';

export const METRIC = /^metrics\.(.+)/;
export const NOTES = 'notes';
const MOST = 200;
const known = new Map(); // "id:rev" -> {path: value}
const limit = 20000;

const key = (row) => `${row.session_id}:${row.rev}`;
const has = (row, paths) => { const found = known.get(key(row)); return found && paths.every((path) => path in found); };

/** A cell: the value, '…' while it is on its way, '–' where the session has none. */
export function metricCell(row, path) {
  const found = known.get(key(row));
  if (!found || !(path in found)) return '…';
  const value = found[path];
  if (value === null) return '–';
  return el('span', { title: String(value) }, typeof value === 'number' ? number(value, 3) : typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** What a drawn row depends on. */
export const metricKey = (row) => Object.keys(known.get(key(row)) || {}).length;

/** Fetch what the rows on the screen lack; true when something new is here. */
export async function fetchMetrics(rows, wanted) {
  const paths = wanted.filter((each) => each !== NOTES);
  const lacking = rows.filter((row) => !has(row, wanted)).slice(0, MOST);
  if (!wanted.length || !lacking.length) return false;
  const { values } = await json('/api/sessions/values', { method: 'POST', body: { ids: lacking.map((row) => row.session_id), metrics: paths, notes: paths.length < wanted.length } });
  if (known.size > limit) known.clear();
  for (const row of lacking) {
    const found = values[row.session_id] || {};
    known.set(key(row), { ...known.get(key(row)), ...Object.fromEntries(wanted.map((path) => [path, found[path] ?? null])) });
  }
  return true;
}

/** The paths of all numbers in the metrics of a session, for choosing. */
export function pathsOf(metrics, before = '', depth = 0) {
  if (typeof metrics !== 'object' || metrics === null || Array.isArray(metrics) || depth > 3) return [];
  return Object.entries(metrics).flatMap(([name, value]) => (typeof value === 'number' ? [before + name] : pathsOf(value, `${before}${name}.`, depth + 1)));
}
