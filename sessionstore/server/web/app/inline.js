/* Tags and notes of one session edited in its row: Enter keeps, Escape does not. Only what session.json still is, is changed.

   The field opens before the record is read: letters that are typed meanwhile go into it, and are no commands of the list. */
import { json, one } from './api.js';
import { el } from './dom.js';
import { failed, notice } from './notices.js';
import { ApiSource } from './source.js';

const LABEL = { tags: 'Tags, apart by commas', notes: 'Notes (Shift+Enter: a new line)' };
const written = { tags: (record) => (record.tags || []).join(', '), notes: (record) => record.notes || '' };
const read = { tags: (text) => text.split(',').map((each) => each.trim()).filter(Boolean), notes: (text) => text };
/* Keys that move the cursor before the stored text is there: what is typed then stands behind or before it, not in its place. */
const BEHIND = ['End', 'ArrowRight'];
const BEFORE = ['Home', 'ArrowLeft'];

class RowField {
  constructor(row, what, done) {
    Object.assign(this, { row, what, done, open: true, keeping: false, side: null });
    this.input = el(what === 'notes' ? 'textarea' : 'input', { 'aria-label': `${LABEL[what]}, of ${row.session_id}`, placeholder: 'Loading …', ...(what === 'notes' ? { rows: 3 } : {}) });
    this.node = el('div.inline', { on: { click: (event) => event.stopPropagation(), dblclick: (event) => event.stopPropagation() } }, this.input);
    this.input.addEventListener('keydown', (event) => this.key(event));
    this.input.addEventListener('blur', () => this.keep());
  }

  key(event) {
    event.stopPropagation();
    if (event.key === 'Escape') this.close();
    else if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); this.keep(); }
    else if (!this.found && !this.input.value && BEHIND.includes(event.key)) this.side = 'behind';
    else if (!this.found && !this.input.value && BEFORE.includes(event.key)) this.side = 'before';
  }

  /** Read the record, and put its text to what was typed meanwhile. A record that cannot be read leaves a field that takes no keys. */
  async load() {
    try {
      const found = await new ApiSource(this.row.session_id).record();
      this.before = written[this.what](found.record);
      const typed = this.input.value;
      if (!typed || this.side) this.input.value = this.side === 'before' ? typed + this.before : this.before + typed;
      if (!typed && !this.side) this.input.select();
      else if (this.side === 'before') this.input.setSelectionRange(typed.length, typed.length);
      this.input.placeholder = LABEL[this.what];
      this.found = found;
    } catch (error) {
      this.broken = true;
      this.input.value = '';
      this.input.readOnly = true;
      this.input.placeholder = `Not editable: ${error.message}`;
      failed('Not editable', error);
    }
  }

  close() {
    if (!this.open) return;
    this.open = false;
    this.node.remove();
    this.done();
  }

  /** Store what stands in the field, once: Enter, a second Enter, and the focus that leaves the field ask for it. */
  async keep() {
    if (!this.open || this.keeping) return;
    this.keeping = true;
    this.input.readOnly = true;
    await this.loading;
    if (!this.open) return; // Escape while it was read
    const text = this.input.value;
    const changed = !this.broken && JSON.stringify(read[this.what](text)) !== JSON.stringify(read[this.what](this.before));
    if (changed && await this.change(text, this.found.etag)) notice(`${this.what === 'tags' ? 'Tags' : 'Notes'} of ${this.row.session_name || this.row.session_id} changed`, { action: 'Undo', act: async () => { await this.change(this.before); this.done(); }, seconds: 10 });
    this.close();
  }

  async change(text, etag) {
    try {
      return await json(one(this.row.session_id), { method: 'PATCH', body: { [this.what]: read[this.what](text) }, headers: etag ? { 'if-match': etag } : {} });
    } catch (error) { failed(error.status === 412 ? 'Not changed: the session was changed meanwhile' : 'Not changed', error); return null; }
  }
}

/** Open the field in a row; `line` is the element of the row; `done` is called when it closes. */
export function editInline(line, row, what, done) {
  if (!line || line.querySelector('.inline')) return;
  const field = new RowField(row, what, done);
  line.append(field.node);
  place(field.node, line, what);
  field.input.focus();
  field.loading = field.load();
}

/** Over the cell that is edited, or beside the name: which session it is stays in sight. */
function place(field, line, what) {
  const cell = line.querySelector(`[role=gridcell].${what}`);
  const name = line.querySelector('.name');
  const wanted = cell ? cell.offsetLeft : name.offsetLeft + name.offsetWidth;
  field.style.left = `${Math.max(0, Math.min(wanted, line.clientWidth - field.offsetWidth - 8))}px`;
}
