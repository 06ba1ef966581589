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

  /** Open the form with what is stored now: the file may have been edited by hand since the page was shown. */
  async open() {
    let fresh;
    try { fresh = await this.source.record(); } catch (error) { failed('The record could not be read', error); return; }
    this.base = fresh.record;
    this.etag = fresh.etag;
    this.inputs = {
      session_name: el('input', { type: 'text', value: this.base.session_name ?? '', id: 'edit-name' }),
      tags: el('input', { type: 'text', value: (this.base.tags || []).join(', '), id: 'edit-tags' }),
      notes: el('textarea', { rows: 4, value: this.base.notes ?? '', id: 'edit-notes' }),
      metadata: el('textarea.mono', { rows: 9, value: JSON.stringify(this.base.metadata, null, 2), id: 'edit-metadata', spellcheck: 'false' }),
    };
    const labels = { session_name: 'Name', tags: 'Tags, apart by commas', notes: 'Notes', metadata: 'Metadata (JSON)' };
    this.told = el('div.told', { role: 'alert' });
    const rows = FIELDS.map((name) => el('p', {}, el('label', { for: this.inputs[name].id }, labels[name]), this.inputs[name]));
    const save = el('button.main', { type: 'submit' }, 'Save');
    const form = el('form', { method: 'dialog' }, el('h2', {}, `Edit ${this.base.session_id}`), rows, this.told, el('div.row', {}, save, el('button', { type: 'button', on: { click: () => this.dialog.close() } }, 'Cancel')));
    form.addEventListener('submit', (event) => { event.preventDefault(); this.save(); });
    this.dialog = el('dialog.edit', { 'aria-label': 'Edit' }, form);
    this.dialog.addEventListener('close', () => this.dialog.remove());
    document.body.append(this.dialog);
    this.dialog.showModal();
  }

  values() {
    const metadata = JSON.parse(this.inputs.metadata.value || '{}');
    return { session_name: this.inputs.session_name.value.trim() || null, tags: this.inputs.tags.value.split(',').map((each) => each.trim()).filter(Boolean), notes: this.inputs.notes.value, metadata };
  }

  async save() {
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
