/* Where a session came from, and its reruns: the session that it runs again, whether both agreed, its sweep, the store it was merged from. */
import { json } from './api.js';
import { el } from './dom.js';
import { address } from './router.js';

const MOST = 3;
const link = (id) => el('a', { href: address(['session', id]) }, el('bdi', {}, id));

/** How a comparison ended, as `rerun --check` noted it. */
function agreement(said) {
  if (!said) return el('span.quiet', {}, ' not compared');
  const same = said.startsWith('identical');
  return el(same ? 'span.good-text' : 'span.warn-text', { title: said }, ` ${said}`);
}

/** Return the newest sessions that ran a session again, and how many there are. */
export async function rerunsOf(id) {
  const where = `metadata.rerun_of=${JSON.stringify(id)}`;
  const { sessions, total } = await json('/api/sessions', { query: { where, fields: 'session_id,metadata', limit: MOST } });
  return { sessions, total, where };
}

/** Return pairs of label and content for the head of a session; `reruns` as rerunsOf gave them. */
export function origin(record, reruns = { sessions: [], total: 0 }) {
  const { sessions, total, where } = reruns;
  const found = [];
  const { rerun_of: first, rerun_agrees: said, sweep } = record.metadata || {};
  if (typeof first === 'string') found.push(['rerun of', [link(first), agreement(said)]]);
  const more = total > sessions.length ? [', ', el('a', { href: address(['sessions'], { q: where }) }, `all ${total}`)] : '';
  const each = sessions.map((row, number) => [number ? ', ' : '', link(row.session_id), agreement(row.metadata?.rerun_agrees)]);
  if (total) found.push([total === 1 ? 'rerun' : 'reruns', [each, more]]);
  if (sweep && typeof sweep.id === 'string') found.push(['point', [`${sweep.number ?? ''} of the sweep `, el('a', { href: address(['sweeps', sweep.id]) }, sweep.id)]]);
  if (record.merged_from?.session_id) found.push(['merged from', el('bdi', {}, record.merged_from.session_id)]);
  return found;
}
