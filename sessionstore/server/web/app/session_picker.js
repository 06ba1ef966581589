/* A field that searches all sessions by name and id: suggestions come from the server as one types. */
import { json } from './api.js';
import { calm, el, fill } from './dom.js';

let lists = 0;

export function sessionPicker(label, value, picked, placeholder = label) {
  const list = el('datalist', { id: `found-${(lists += 1)}` });
  const input = el('input', { type: 'search', 'aria-label': label, placeholder, list: list.id, value, autocomplete: 'off', size: 34 });
  const look = calm(150, async () => {
    const typed = JSON.stringify(input.value.trim());
    const found = await json('/api/sessions', { query: { where: input.value.trim() ? `session_id~${typed} or session_name~${typed}` : '', limit: 50, fields: 'session_id,session_name,status' } }).catch(() => ({ sessions: [] }));
    fill(list, found.sessions.map((each) => el('option', { value: each.session_id }, `${each.session_name || ''} ${each.status}`)));
  });
  input.addEventListener('input', look);
  input.addEventListener('focus', look);
  input.addEventListener('change', () => picked?.(input.value.trim()));
  return { input, node: el('span', {}, input, list) };
}
