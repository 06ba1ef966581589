/* The place Trash: what was deleted, when, and bringing it back. */
import { json, one } from './api.js';
import { el, fill } from './dom.js';
import { instant } from './format.js';
import { failed, notice } from './notices.js';

class TrashList extends HTMLElement {
  connectedCallback() { this.read(); }

  async read() {
    try {
      const { entries } = await json('/api/trash');
      const row = (entry) => el('tr', {}, el('td', {}, entry.session_id), el('td', {}, el('time', { title: `${entry.deleted_at} (UTC)` }, instant(entry.deleted_at))),
        el('td', {}, el('button', { type: 'button', on: { click: () => this.restore(entry) } }, 'Restore')));
      const table = el('table.plain', {}, el('thead', {}, el('tr', {}, el('th', {}, 'Session'), el('th', {}, 'Deleted'), el('th', {}, el('span.away', {}, 'Action')))), el('tbody', {}, entries.map(row)));
      const none = el('div.message', {}, el('h2', {}, 'The trash is empty'), el('p.quiet', {}, 'Deleted sessions stay here until the trash is emptied: ', el('code', {}, 'sessionstore trash --empty')));
      fill(this, el('div.pad', {}, el('h1', {}, 'Trash'), entries.length ? table : none));
    } catch (error) {
      fill(this, el('div.message.error', { role: 'alert' }, el('h2', {}, 'The trash could not be read'), el('p', {}, error.message), el('button.main', { type: 'button', on: { click: () => this.read() } }, 'Retry')));
    }
  }

  async restore(entry) {
    try {
      await json(`${one(entry.entry_id)}/restore`, { method: 'POST' });
      notice(`${entry.session_id} was restored`);
    } catch (error) { failed('Not restored', error); }
    this.read();
  }
}

customElements.define('trash-list', TrashList);
