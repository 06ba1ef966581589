/* Editing name, tags, notes and metadata: a change is stored only if session.json is still the file that the form shows
   (If-Match, so that edits by hand count too); otherwise both versions are shown. */
import { ask } from './api.js';
import { el, fill } from './dom.js';
import { failed, notice } from './notices.js';

const FIELDS = ['session_name', 'tags', 'notes', 'metadata'];

export class Editor {
  constructor(source, changed) {
    this.source = source;
    this.changed = changed;
  }

  /** Open the form, and fill it with what is stored now: the file may have been edited by hand since the page was shown.

      It opens at once, empty and closed to keys until the record is there: what is typed meanwhile does nothing. */
  async open() {
    this.base = null;
    this.inputs = {
      session_name: el('input', { type: 'text', id: 'edit-name' }),
      tags: el('input', { type: 'text', id: 'edit-tags' }),
      notes: el('textarea', { rows: 4, id: 'edit-notes' }),
      metadata: el('textarea.mono', { rows: 9, id: 'edit-metadata', spellcheck: 'false' }),
    };
    const labels = { session_name: 'Name', tags: 'Tags, apart by commas', notes: 'Notes', metadata: 'Metadata (JSON)' };
    this.told = el('div.told', { role: 'alert' });
    const rows = FIELDS.map((name) => el('p', {}, el('label', { for: this.inputs[name].id }, labels[name]), this.inputs[name]));
    const save = el('button.main', { type: 'submit', disabled: true }, 'Save');
    const form = el('form', { method: 'dialog' }, el('h2', {}, `Edit ${this.source.id}`), rows, this.told, el('div.row', {}, save, el('button', { type: 'button', on: { click: () => this.dialog.close() } }, 'Cancel')));
    form.addEventListener('submit', (event) => { event.preventDefault(); this.save(); });
    const dialog = el('dialog.edit', { 'aria-label': 'Edit' }, form);
    dialog.addEventListener('close', () => dialog.remove());
    this.dialog = dialog;
    document.body.append(dialog);
    for (const input of Object.values(this.inputs)) Object.assign(input, { readOnly: true, placeholder: 'Loading …' });
    dialog.showModal();
    try {
      const { record, etag } = await this.source.record();
      if (!dialog.open) return;
      Object.assign(this, { base: record, etag });
    } catch (error) { dialog.close(); failed('The record could not be read', error); return; }
    for (const input of Object.values(this.inputs)) Object.assign(input, { readOnly: false, placeholder: '' });
    this.adopt(this.base, {});
    save.disabled = false;
    this.inputs.session_name.select();
  }

  values() {
    const metadata = JSON.parse(this.inputs.metadata.value || '{}');
    return { session_name: this.inputs.session_name.value.trim() || null, tags: this.inputs.tags.value.split(',').map((each) => each.trim()).filter(Boolean), notes: this.inputs.notes.value, metadata };
  }

  async save() {
    if (!this.base || this.saving) return; // not read yet, or Enter twice
    this.saving = true;
    await this.store().finally(() => { this.saving = false; });
  }

  async store() {
    let values;
    try { values = this.values(); } catch (error) { this.tell(`The metadata are not JSON: ${error.message}`); return; }
    const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
    const changes = Object.fromEntries(Object.entries(values).filter(([name, value]) => !same(value, this.base[name])));
    if (!Object.keys(changes).length) { this.dialog.close(); return; }
    try {
      const reply = await ask(this.source.base, { method: 'PATCH', body: changes, headers: { 'if-match': this.etag } });
      this.changed(await reply.json(), reply.headers.get('etag'));
      this.dialog.close();
      notice('Saved');
    } catch (error) {
      if (error.status === 409 || error.status === 412) await this.overtaken(changes);
      else this.tell(error.message);
    }
  }

  /** Somebody was faster: say what is there now, and let the user decide. */
  async overtaken(mine) {
    const { record: now, etag } = await this.source.record();
    this.etag = etag;
    const theirs = FIELDS.filter((name) => JSON.stringify(now[name]) !== JSON.stringify(this.base[name]));
    const clash = theirs.filter((name) => name in mine);
    const lines = clash.map((name) => el('li', {}, el('strong', {}, name), ': now ', el('code', {}, JSON.stringify(now[name])), ', yours ', el('code', {}, JSON.stringify(mine[name]))));
    this.tell(el('strong', {}, 'Changed by somebody else in the meantime. '), clash.length ? 'Nothing was stored; these fields clash:' : 'Nothing was stored, but your fields do not clash with theirs.', el('ul', {}, lines),
      el('button', { type: 'button', on: { click: () => { this.base = { ...now, ...Object.fromEntries(FIELDS.filter((name) => !(name in mine)).map((name) => [name, now[name]])) }; this.adopt(now, mine); this.save(); } } }, 'Store mine over it'), ' ',
      el('button', { type: 'button', on: { click: () => { this.base = now; this.adopt(now, {}); fill(this.told); } } }, 'Take theirs'));
  }

  /** Show what is stored now in every field that the user has not changed. */
  adopt(now, mine) {
    if (!('session_name' in mine)) this.inputs.session_name.value = now.session_name ?? '';
    if (!('tags' in mine)) this.inputs.tags.value = (now.tags || []).join(', ');
    if (!('notes' in mine)) this.inputs.notes.value = now.notes ?? '';
    if (!('metadata' in mine)) this.inputs.metadata.value = JSON.stringify(now.metadata, null, 2);
  }

  tell(...parts) { fill(this.told, parts); }
}
