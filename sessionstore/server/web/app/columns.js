/* What a row of the list shows: status in word, shape and colour; how far; why it ended early. */
import { el } from './dom.js';
import { count, instant, live, metres, seconds } from './format.js';
import { address } from './router.js';

export const COLUMNS = [
  ['state', 'status', 'Status'],
  ['name', 'session_id', 'Session'],
  ['when', 'created_at', 'Created'],
  ['run', 'duration_sim_s', 'Simulated of planned'],
  ['phase', 'workflow_state', 'Phase'],
  ['drones', 'num_drones', 'Drones'],
  ['windows', 'windows_cleaned', 'Windows'],
  ['distance', 'distance_m', 'Distance'],
  ['points', 'points', 'Points'],
];

export function status(row) {
  return el(`span.status.${row.status}`, { title: row.problem || row.end_reason || undefined }, row.status);
}

/** Everything that a drawn row depends on. */
export function rowKey(row) {
  return `${row.session_id}:${row.rev}:${row.status}:${row.duration_sim_s}:${row.points}:${row.problem || ''}`;
}

export function cells(row) {
  return COLUMNS.map(([kind]) => el(`div.${kind}`, { role: 'gridcell' }, CELLS[kind](row)));
}

const CELLS = {
  state: status,
  name: (row) => [
    el('a', { href: address(['session', row.session_id]), title: row.session_id, tabindex: -1 }, row.session_name || row.session_id),
    row.session_name && row.session_name !== row.session_id ? el('span.quiet.small.id', {}, row.session_id) : null,
    (row.tags || []).slice(0, 3).map((tag) => el('span.tag', {}, tag)),
  ],
  when: (row) => el('time', { datetime: row.created_at, title: `${row.created_at} (UTC)` }, instant(row.created_at)),
  run: progress,
  phase: (row) => reason(row) || row.workflow_state,
  drones: (row) => el('span', { title: fleet(row) }, count(row.num_drones)),
  windows: (row) => count(row.windows_cleaned),
  distance: (row) => (row.distance_m === null ? '–' : metres(row.distance_m)),
  points: (row) => count(row.points),
};

function fleet(row) {
  return Object.entries(row.drones || {}).map(([kind, number]) => `${number} ${kind}`).join(', ') || 'no drones';
}

function progress(row) {
  const planned = row.duration_planned_s;
  const done = row.duration_sim_s;
  const share = planned ? Math.min(1, (done || 0) / planned) : 0;
  const bar = el('span.bar', { class: short(row) ? 'short' : '', 'aria-hidden': 'true' }, el('span', { style: { width: `${share * 100}%` } }));
  return [planned ? bar : null, el('span', {}, planned ? pair(done || 0, planned) : seconds(done))];
}

const pair = (done, planned) => (planned < 3600 ? `${Math.round(done)} of ${Math.round(planned)} s` : `${seconds(done)} of ${seconds(planned)}`);
const short = (row) => !live(row.status) && row.status !== 'created' && row.duration_planned_s && (row.duration_sim_s || 0) < 0.99 * row.duration_planned_s;

function reason(row) {
  if (row.problem) return el('span.warn', { title: row.problem }, row.problem);
  const ordinary = !row.end_reason || row.end_reason === 'completed' || live(row.status);
  return ordinary ? null : el('span', { class: row.status === 'failed' ? 'problem' : '', title: row.end_reason }, row.end_reason);
}
