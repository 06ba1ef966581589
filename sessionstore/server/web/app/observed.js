/* How far a session is whose program only appends: its record says it at the end, the streams say it now and after a kill.

   Asked for the rows on the screen only; again every two seconds while they run. */
import { json } from './api.js';
import { live } from './format.js';

const AGAIN_MS = 2000;
const MOST = 20; // of one request: the server reads the ends of their streams
const known = new Map(); // id -> { rev, at, found }

const silent = (row) => (live(row.status) || row.status === 'interrupted') && (row.duration_sim_s === null || !row.num_drones || row.points === null);

/** A row with what its streams say in place of what its record does not. */
export function whole(row) {
  const found = silent(row) && known.get(row.session_id)?.found;
  if (!found) return row;
  return { ...row, duration_sim_s: row.duration_sim_s ?? found.duration_sim_s ?? null, points: row.points ?? found.points ?? null, num_drones: row.num_drones || found.num_drones || 0 };
}

/** What a drawn row depends on. */
export function observedKey(row) {
  const { duration_sim_s: done, points, num_drones: drones } = whole(row);
  return `${done}:${points}:${drones}`;
}

/** Fetch what the rows on the screen lack; returns whether something new is here, and when to ask again (0: never). */
export async function fetchObserved(rows) {
  const quiet = rows.filter(silent);
  const now = performance.now();
  const due = (row) => { const had = known.get(row.session_id); return !had || had.rev !== row.rev || (live(row.status) && now - had.at >= AGAIN_MS); };
  const lacking = quiet.filter(due).slice(0, MOST);
  if (lacking.length) {
    const { values } = await json('/api/sessions/values', { method: 'POST', body: { ids: lacking.map((row) => row.session_id), observed: true } });
    if (known.size > 5000) known.clear();
    for (const row of lacking) known.set(row.session_id, { rev: row.rev, at: now, found: values[row.session_id]?.observed });
  }
  return { news: lacking.length > 0, again: quiet.some((row) => live(row.status)) ? AGAIN_MS : 0 };
}
