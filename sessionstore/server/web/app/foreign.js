/* Files of other programs dropped on the list: sent one after the other, imported, and a report for each with a link and an Undo. */
import { json, send } from './api.js';
import { el, fill } from './dom.js';
import { bytes, count, seconds } from './format.js';
import { failed } from './notices.js';
import { address } from './router.js';

/** Import files; `changed` is called after each import and each undo. */
export function importFiles(dropped, changed) { new Import(dropped, changed).run(); }

class Import {
  constructor(dropped, changed) {
    this.dropped = dropped;
    this.changed = changed;
    this.stop = new AbortController();
    this.body = el('div.scroll', { 'aria-live': 'polite' });
    this.close = el('button', { type: 'button', on: { click: () => this.dialog.close() } }, 'Cancel');
    const title = dropped.length === 1 ? dropped[0].name : `${count(dropped.length)} files`;
    this.dialog = el('dialog.bundle', { 'aria-label': `Import ${title}` }, el('h2', {}, `Import ${title}`), this.body, el('div.row', {}, this.close));
    this.dialog.addEventListener('close', () => { this.stop.abort(); this.dialog.remove(); });
  }

  async run() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    for (const file of this.dropped) {
      const place = this.body.appendChild(el('section', {}));
      try {
        this.report(place, file, await this.sent(place, file));
      } catch (error) {
        if (error.name === 'AbortError') return;
        fill(place, this.title(file), el('p.error', { role: 'alert' }, `Nothing was imported: ${error.message}`));
      }
    }
    this.close.textContent = 'Close';
    this.close.focus();
  }

  title(file) { return this.dropped.length > 1 ? el('h3', {}, file.name) : null; }

  /** Send a file: how much of it is there, then for how long the server has been reading it. */
  async sent(place, file) {
    const began = performance.now();
    const words = el('p', {}, `Sending ${bytes(file.size)} …`);
    const bar = el('progress', { max: file.size || 1, value: 0 });
    fill(place, this.title(file), words, bar);
    let sent = 0;
    const progress = (loaded) => { sent = loaded; bar.value = loaded; };
    const timer = setInterval(() => {
      const passed = (performance.now() - began) / 1000;
      const rate = `${bytes(sent / passed)}/s`;
      if (sent < file.size) { fill(words, `Sending ${bytes(sent)} of ${bytes(file.size)}, ${rate} …`); return; }
      bar.removeAttribute('value');
      fill(words, `Reading ${bytes(file.size)} … ${seconds(passed)}`);
    }, 500);
    try {
      return await send('/api/imports', { query: { name: file.name }, file, progress, signal: this.stop.signal });
    } finally { clearInterval(timer); }
  }

  report(place, file, found) {
    const link = (id) => el('a', { href: address(['session', id]), on: { click: () => this.dialog.close() } }, id);
    const many = found.sessions || [];
    const before = many.length ? [`${found.format}, ${count(many.length)} sessions`] : found.state === 'already there' ? ['It was imported before: ', link(found.session_id)] : [`${found.format}, imported as `, link(found.session_id)];
    const words = [...before, many.length ? el('ul', {}, many.map((each) => el('li', {}, each.session_id ? link(each.session_id) : each.source, ` ${each.state}`, each.reason ? `: ${each.reason}` : ''))) : null];
    const undo = found.change_id ? el('button', { type: 'button', on: { click: () => this.undo(found, place, file) } }, 'Undo') : null;
    fill(place, this.title(file), el('p.row', {}, el('span', {}, words), el('span.grow'), undo), problems([...found.problems, ...many.flatMap((each) => each.problems)]), topics(found.topics));
    this.changed();
  }

  async undo(found, place, file) {
    try {
      await json(`/api/merges/${encodeURIComponent(found.change_id)}/undo`, { method: 'POST' });
      fill(place, this.title(file), el('p', {}, 'The import was taken back; the session is in the trash.'));
      this.changed();
    } catch (error) { failed('Not taken back', error); }
  }
}

function problems(found) {
  return found.length ? el('ul.warn-text', {}, found.map((each) => el('li', {}, each))) : null;
}

/** Topics with messages in and records out; what is derived has no messages, what was left out has no records. */
function topics(found) {
  const rows = Object.entries(found).sort(([a], [b]) => a.localeCompare(b));
  const line = ([topic, { messages_in: incoming, records_out: stored, stream }]) => el('tr', {}, el('td', {}, topic), el('td.number', {}, count(incoming)), el('td.number', {}, count(stored)), el('td.quiet', {}, stream || 'left out'));
  const head = ['Topic', 'Messages in', 'Records out', 'Stream'].map((each) => el('th', {}, each));
  return rows.length ? el('table.plain', {}, el('thead', {}, el('tr', {}, head)), el('tbody', {}, rows.map(line))) : null;
}
