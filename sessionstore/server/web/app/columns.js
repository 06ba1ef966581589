/* What a row of the list shows: status in word, shape and colour; how far; why it ended early. */
import { el } from './dom.js';
import { count, instant, live, metres, seconds } from './format.js';
import { METRIC, metricCell, metricKey, NOTES } from './metrics.js';
import { observedKey, whole } from './observed.js';
import { address } from './router.js';
import { SPARK, sparkCell, sparkKey } from './sparks.js';

/* The names are those of `sessionstore list --columns`: [label, the field that sorts, width, how a row shows it, class]. */
const KNOWN = {
  status: ['Status', 'status', '104px', status, 'state'],
  session: ['Session', 'session_id', 'minmax(200px, 2fr)', named, 'name'],
  created: ['Created', 'created_at', '118px', (row) => when(row.created_at), 'when'],
  started: ['Started', 'started_at', '118px', (row) => when(row.started_at), 'when'],
  ended: ['Ended', 'ended_at', '118px', (row) => when(row.ended_at), 'when'],
  run: ['Simulated of planned', 'duration_sim_s', 'minmax(212px, 1.2fr)', progress, 'run'],
  simulated: ['Simulated', 'duration_sim_s', '84px', (row) => seconds(whole(row).duration_sim_s), 'number'],
  planned: ['Planned', 'duration_planned_s', '84px', (row) => seconds(row.duration_planned_s), 'number'],
  phase: ['Phase', 'workflow_state', 'minmax(110px, 1.3fr)', (row) => reason(row) || row.workflow_state, 'phase'],
  drones: ['Drones', 'num_drones', '56px', (row) => el('span', { title: fleet(row) }, count(whole(row).num_drones)), 'drones'],
  windows: ['Windows', 'windows_cleaned', '72px', (row) => count(row.windows_cleaned), 'windows'],
  distance: ['Distance', 'distance_m', '76px', (row) => (row.distance_m === null ? '–' : metres(row.distance_m)), 'distance'],
  points: ['Points', 'points', '84px', (row) => count(whole(row).points), 'points'],
  buildings: ['Buildings', 'num_buildings', '84px', (row) => count(row.num_buildings), 'number'],
  tags: ['Tags', 'tags', 'minmax(110px, 1fr)', (row) => (row.tags || []).map((tag) => el('span.tag', {}, tag)), 'tags'],
  notes: ['Notes', null, 'minmax(140px, 1.5fr)', (row) => metricCell(row, NOTES), 'notes'],
  note: ['End reason', 'end_reason', 'minmax(110px, 1fr)', (row) => reason(row) || '', 'phase'],
  rev: ['Revision', 'rev', '76px', (row) => count(row.rev), 'number'],
  uuid: ['UUID', 'uuid', '290px', (row) => row.uuid, 'text'],
};
export const NAMES = Object.keys(KNOWN).map((name) => [name, KNOWN[name][0]]);
export const DEFAULT = ['status', 'session', 'created', 'run', 'phase', 'drones', 'windows', 'distance', 'points'];
const PLACE = 'columns';

/** Return the columns of a list of names; a name that is not known is `metadata.KEY`, `metrics.PATH`, or left out. */
export function columnsOf(names) {
  return [...new Set(names)].map(column).filter(Boolean);
}

function column(name) {
  if (KNOWN[name]) {
    const [label, field, width, show, kind] = KNOWN[name];
    return { name, label, field, width, show, kind, metric: name === NOTES ? NOTES : undefined };
  }
  const metric = name.match(METRIC)?.[1];
  if (metric) return { name, metric, label: metric, field: name, width: 'minmax(96px, 1fr)', kind: 'number', show: (row) => metricCell(row, metric) };
  if (SPARK.test(name)) return { name, spark: true, label: name.slice(6), field: null, width: '112px', kind: 'spark-cell', show: (row) => sparkCell(row, name) };
  if (!/^metadata\../.test(name)) return null;
  const path = steps(name.slice(9));
  return { name, label: path.join('.'), field: name, width: 'minmax(110px, 1fr)', kind: 'text', show: (row) => value(under(row.metadata, path)) };
}

/** Return the keys of a path: a key with a dot stands in quotes, as in a filter. */
function steps(path) {
  return [...path.matchAll(/"((?:[^"\\]|\\.)*)"|([^.]+)/g)].map(([, quoted, bare]) => (quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1')));
}

function value(found) {
  if (found === undefined || found === null) return '–';
  const text = typeof found === 'object' ? JSON.stringify(found) : String(found);
  return el('span', { title: text }, text);
}

/** Return the names of a text such as `status, session, metadata.site`; commas within quotes do not divide. */
export function namesOf(text) {
  return [...(text || '').matchAll(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g)].map(([each]) => each.trim()).filter(Boolean);
}

/** Return the names that the address or an earlier visit chose; the default otherwise. */
export function chosen(address) {
  let kept = null;
  try { kept = localStorage.getItem(PLACE); } catch { /* a private window */ }
  const names = columnsOf(namesOf(address || kept)).map((each) => each.name);
  return names.length ? names : DEFAULT;
}

export function remember(names) {
  try {
    if (names.join() === DEFAULT.join()) localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, names.join(','));
  } catch { /* a private window: kept in the address only */ }
}

/** Set the widths: they depend on the columns only, so that no row and no change moves them. */
export function layOut(grid, columns) {
  const own = columns.map((each) => each.name).join() !== DEFAULT.join();
  grid.classList.toggle('own', own);
  const least = columns.reduce((sum, each) => sum + Number(each.width.match(/\d+/)[0]) + 12, 18 + 32);
  grid.style.setProperty('--columns', own ? ['18px', ...columns.map((each) => each.width)].join(' ') : '');
  grid.style.setProperty('--least', own ? `${least}px` : '');
}

export function status(row) {
  return el(`span.status.${row.status}`, { title: row.problem || row.end_reason || undefined }, row.status);
}

/** Everything that a drawn row depends on. */
export function rowKey(row, columns) {
  return `${row.session_id}:${row.rev}:${row.status}:${row.duration_sim_s}:${row.points}:${row.problem || ''}:${metricKey(row)}:${observedKey(row)}:${sparkKey(row, columns)}`;
}

/** The value under a path; a key may hold dots itself. */
function under(found, path) {
  if (!path.length || found === null || found === undefined) return found;
  for (let n = 1; n <= path.length; n += 1) { const inner = under(found[path.slice(0, n).join('.')], path.slice(n)); if (inner !== undefined) return inner; }
  return undefined;
}

export function cells(row, columns) {
  return columns.map(({ kind, show }) => el(`div.${kind}`, { role: 'gridcell' }, show(row)));
}

function named(row) {
  return [
    el('a', { href: address(['session', row.session_id]), title: row.session_id, tabindex: -1 }, row.session_name || row.session_id),
    row.session_name && row.session_name !== row.session_id ? cut(row.session_id) : null,
    (row.tags || []).slice(0, 3).map((tag) => el('span.tag', {}, tag)),
  ];
}

/** An id that is cut in the middle where it does not fit: copies differ at their ends. */
function cut(id) {
  return el('span.quiet.small.id', { title: id }, el('span.cut', {}, id.slice(0, -6)), el('span', {}, id.slice(-6)));
}

const when = (at) => (at ? el('time', { datetime: at, title: `${at} (UTC)` }, instant(at)) : '–');

function fleet(row) {
  return Object.entries(row.drones || {}).map(([kind, number]) => `${number} ${kind}`).join(', ') || 'no drones';
}

function progress(row) {
  const planned = row.duration_planned_s;
  const done = whole(row).duration_sim_s;
  const share = planned ? Math.min(1, (done || 0) / planned) : 0;
  const bar = el('span.bar', { class: short(row) ? 'short' : '', 'aria-hidden': 'true' }, el('span', { style: { width: `${share * 100}%` } }));
  return [planned ? bar : null, el('span', {}, planned ? pair(done || 0, planned) : seconds(done))];
}

const pair = (done, planned) => (planned < 3600 ? `${Math.round(done)} of ${Math.round(planned)} s` : `${seconds(done)} of ${seconds(planned)}`);
const short = (row) => !live(row.status) && row.status !== 'created' && row.duration_planned_s && (row.duration_sim_s || 0) < 0.99 * row.duration_planned_s;

function reason(row) {
  if (row.problem) return el('span.warn', { title: row.problem }, row.problem.replace(`${row.session_id}/`, '')); // the row says which session it is
  const ordinary = !row.end_reason || row.end_reason === 'completed' || live(row.status);
  return ordinary ? null : el('span', { class: row.status === 'failed' ? 'problem' : '', title: row.end_reason }, row.end_reason);
}
