/* What is dropped on the list: a file of another program (foreign.js), or a bundle. A bundle is sent and verified, a dialog shows what it holds and what would happen, a button merges it. */
import { ask, json } from './api.js';
import { el, fill } from './dom.js';
import { importFiles } from './foreign.js';
import { bytes, count } from './format.js';
import { failed, notice } from './notices.js';

const WORDS = {
  copied: ['new', 'copied'], updated: ['newer than here', 'updated'], same: ['the same as here', 'the same'], ahead: ['older than here', 'older than here'],
  diverged: ['changed on both sides: both are kept', 'kept beside ours'], superseded: ['moved to the trash: another one holds all of it', 'moved to the trash'], skipped: ['left out', 'left out'],
};
const one = (id) => `/api/bundles/${encodeURIComponent(id)}`;

const isBundle = (name) => /\.(zip|tar\.zst)$/i.test(name);

/** Take files that are dropped on an element; `changed` is called after each merge, import and undo. */
export function takesFiles(node, changed) {
  const holds = (event) => [...(event.dataTransfer?.types || [])].includes('Files');
  const over = (on) => node.toggleAttribute('data-drop', on);
  node.addEventListener('dragover', (event) => { if (holds(event)) { event.preventDefault(); over(true); } });
  node.addEventListener('dragleave', (event) => { if (!node.contains(event.relatedTarget)) over(false); });
  node.addEventListener('drop', (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    over(false);
    const folders = [...event.dataTransfer.items].filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
    if (folders) { failed('Not taken', new Error('a folder is imported with: sessionstore import FOLDER')); return; }
    const dropped = [...event.dataTransfer.files];
    const bundle = dropped.find((file) => isBundle(file.name));
    if (bundle) new Bundle(bundle, changed).send();
    else if (dropped.length) importFiles(dropped, changed);
  });
}

class Bundle {
  constructor(file, merged) {
    this.file = file;
    this.merged = merged;
    this.body = el('div', { 'aria-live': 'polite' });
    this.buttons = el('div.row');
    this.dialog = el('dialog.bundle', { 'aria-label': `Bundle ${file.name}` }, el('h2', {}, file.name), this.body, this.buttons);
    this.dialog.addEventListener('close', () => this.closed());
  }

  async send() {
    this.stop = new AbortController();
    fill(this.body, el('p', {}, `Sending and verifying ${bytes(this.file.size)} …`), el('progress'));
    fill(this.buttons, this.cancel());
    document.body.append(this.dialog);
    this.dialog.showModal();
    try {
      const reply = await this.sent();
      this.found = reply;
      this.show(reply);
    } catch (error) {
      if (error.name === 'AbortError') return;
      fill(this.body, el('p.error', { role: 'alert' }, `Nothing was taken: ${error.message}`));
      fill(this.buttons, this.cancel('Close'));
    }
  }

  async sent() {
    const reply = await ask('/api/bundles', { query: { name: this.file.name }, method: 'POST', file: this.file, signal: this.stop.signal });
    return reply.json();
  }

  cancel(text = 'Cancel') { return el('button', { type: 'button', on: { click: () => this.dialog.close() } }, text); }

  show({ counts, sessions }) {
    const changes = (counts.copied || 0) + (counts.updated || 0) + (counts.diverged || 0) + (counts.superseded || 0);
    const total = Object.entries(counts).reduce((sum, [action, number]) => sum + (action === 'superseded' ? 0 : number), 0);
    const line = (each) => el('tr', {}, el('td', {}, each.session_id), el('td', {}, WORDS[each.action][0]), el('td.quiet', {}, each.reason || ''));
    const table = el('table.plain', {}, el('thead', {}, el('tr', {}, el('th', {}, 'Session'), el('th', {}, 'What would happen'), el('th', {}, 'Why'))), el('tbody', {}, sessions.map(line)));
    const holds = `It holds ${count(total)} ${total === 1 ? 'session' : 'sessions'}; every checksum is right.`;
    fill(this.body, el('p', {}, holds), el('div.scroll', {}, table));
    const go = el('button.main', { type: 'button', on: { click: () => this.merge(go) } }, `Merge ${count(changes)} ${changes === 1 ? 'session' : 'sessions'}`);
    fill(this.buttons, changes ? go : el('span', {}, 'There is nothing to merge.'), this.cancel(changes ? 'Cancel' : 'Close'));
    (changes ? go : this.buttons.querySelector('button')).focus();
  }

  async merge(button) {
    button.disabled = true;
    try {
      const done = await json(`${one(this.found.bundle_id)}/merge`, { method: 'POST' });
      this.found = null;
      this.dialog.close();
      const words = Object.entries(done.counts).map(([action, number]) => `${count(number)} ${WORDS[action][1]}`);
      const undo = async () => {
        await json(`/api/merges/${encodeURIComponent(done.change_id)}/undo`, { method: 'POST' }).catch((error) => failed('Not taken back', error));
        this.merged();
      };
      notice(`${this.file.name}: ${words.join(', ')}`, done.change_id ? { action: 'Undo', act: undo, seconds: 15 } : {});
      this.merged();
    } catch (error) {
      button.disabled = false;
      failed('Not merged', error);
    }
  }

  closed() {
    this.stop.abort();
    this.dialog.remove();
    if (this.found) json(one(this.found.bundle_id), { method: 'DELETE' }).catch(() => {});  // it is removed after ten minutes anyway
  }
}
