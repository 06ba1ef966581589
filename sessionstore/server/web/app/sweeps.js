/* The places Sweeps and one sweep: all sweeps of the store, each with a page of its own. */
import { json } from './api.js';
import { el, fill } from './dom.js';
import { path } from './router.js';
import { SweepPage } from './sweep_page.js';

class SweepPlace extends HTMLElement {
  connectedCallback() {
    const [, id] = path();
    if (id) {
      this.page = new SweepPage(this, id);
      this.page.open();
    } else this.list();
  }

  disconnectedCallback() { this.page?.close(); }

  async list() {
    try {
      const { sweeps } = await json('/api/sweeps');
      const none = el('div.message', {}, el('h1', {}, 'No sweeps yet'), el('p', {}, 'A sweep runs one program with many sets of parameters, each a session:'), el('pre', { tabindex: 0 }, 'sessionstore sweep FILE.toml'));
      const row = (each) => el('tr', {},
        el('td', {}, el('a', { href: `/sweeps/${encodeURIComponent(each.sweep_id)}` }, each.name)),
        el('td', {}, each.running ? el('span.status.running', {}, 'running') : ''),
        el('td.number', {}, `${each.done} of ${each.total}`),
        el('td', {}, Object.entries(each.counts).map(([state, count]) => `${count} ${state}`).join(', ')));
      const table = el('table.plain', {}, el('thead', {}, el('tr', {}, ['Sweep', 'State', 'Ended', 'Points'].map((name) => el('th', { scope: 'col' }, name)))), el('tbody', {}, sweeps.map(row)));
      fill(this, sweeps.length ? el('div.pad', {}, el('h1', {}, 'Sweeps'), table) : none);
    } catch (error) {
      fill(this, el('div.message.error', { role: 'alert' }, el('h2', {}, 'The sweeps could not be read'), el('p', {}, error.message), el('button.main', { type: 'button', on: { click: () => this.list() } }, 'Retry')));
    }
  }
}

customElements.define('sweep-place', SweepPlace);
