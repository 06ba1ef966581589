/* Tags and notes of one session edited in its row: Enter keeps, Escape does not. Only what session.json still is, is changed. */
import { json, one } from './api.js';
import { el } from './dom.js';
import { failed, notice } from './notices.js';
import { ApiSource } from './source.js';

const LABEL = { tags: 'Tags, apart by commas', notes: 'Notes (Shift+Enter: a new line)' };
const written = { tags: (record) => (record.tags || []).join(', '), notes: (record) => record.notes || '' };
const read = { tags: (text) => text.split(',').map((each) => each.trim()).filter(Boolean), notes: (text) => text };

/** Open the field in a row; `lineOf` gives the element of the row, which may be drawn anew; `done` is called when it closes. */
export async function editInline(lineOf, row, what, done) {
  const source = new ApiSource(row.session_id);
  const found = await source.record().catch((error) => { failed('Not editable', error); return null; });
  const line = lineOf();
  if (!found || !line || line.querySelector('.inline')) return;
  const before = written[what](found.record);
  const input = el(what === 'notes' ? 'textarea' : 'input', { 'aria-label': `${LABEL[what]}, of ${row.session_id}`, value: before, placeholder: LABEL[what], ...(what === 'notes' ? { rows: 3 } : {}) });
  const field = el('div.inline', { on: { click: (event) => event.stopPropagation(), dblclick: (event) => event.stopPropagation() } }, input);
  let open = true;
  let keeping = false;
  const close = () => { if (!open) return; open = false; field.remove(); done(); };
  const change = async (text, etag) => {
    try {
      const to = await json(one(row.session_id), { method: 'PATCH', body: { [what]: read[what](text) }, headers: etag ? { 'if-match': etag } : {} });
      return to;
    } catch (error) { failed(error.status === 412 ? 'Not changed: the session was changed meanwhile' : 'Not changed', error); return null; }
  };
  const keep = async () => {
    const text = input.value;
    const changed = JSON.stringify(read[what](text)) !== JSON.stringify(read[what](before));
    if (!open || keeping) return; // Enter, and then the focus that leaves the field
    keeping = true;
    if (changed && await change(text, found.etag)) notice(`${what === 'tags' ? 'Tags' : 'Notes'} of ${row.session_name || row.session_id} changed`, { action: 'Undo', act: async () => { await change(before); done(); }, seconds: 10 });
    close();
  };
  input.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'Escape') close();
    else if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); keep(); }
  });
  input.addEventListener('blur', keep);
  line.append(field);
  place(field, line, what);
  input.focus();
  input.select();
}

/** Over the cell that is edited, or beside the name: which session it is stays in sight. */
function place(field, line, what) {
  const cell = line.querySelector(`[role=gridcell].${what}`);
  const name = line.querySelector('.name');
  const wanted = cell ? cell.offsetLeft : name.offsetLeft + name.offsetWidth;
  field.style.left = `${Math.max(0, Math.min(wanted, line.clientWidth - field.offsetWidth - 8))}px`;
}
