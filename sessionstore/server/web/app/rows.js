/* The rows of the list: thousands of sessions in a window of some thirty elements, fetched page by page.

   Pages come by cursor, one behind the other, so that nothing is skipped or shown twice. What changes meanwhile is told
   by events: known rows change in place, new ones make the list read its first pages again without moving the view. */
import { json } from './api.js';
import { el, fill } from './dom.js';
import { cells, layOut, rowKey } from './columns.js';

const ROW = 32;
const FIRST = 60;
const MORE = 500;
const SPARE = 8;
const kept = { chosen: [] }; // the selection survives a visit to another place of the page

export class Rows {
  constructor(grid, columns, { onOpen, onSelect, onState }) {
    this.grid = grid;
    this.columns = columns;
    layOut(grid, columns);
    this.act = { onOpen, onSelect, onState };
    this.spacer = el('div.spacer', { role: 'presentation' });
    this.header = el('div.head', { role: 'row', 'aria-rowindex': 1 });
    this.holder = el('div.holder', { role: 'rowgroup' }, this.spacer);
    fill(grid, el('div', { role: 'rowgroup' }, this.header), this.holder);
    this.rows = [];
    this.total = 0;
    this.at = 0;
    this.chosen = new Set(kept.chosen);
    this.shown = new Map();
    this.turn = 0;
    grid.addEventListener('scroll', () => this.draw(), { passive: true });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(grid);
  }

  /** Ask anew; the rows on the screen stay until the answer is there. */
  async ask(question, keepPlace = false) {
    const turn = ++this.turn;
    this.question = question;
    const wanted = keepPlace ? Math.min(1000, Math.max(FIRST, this.rows.length)) : FIRST;
    const page = await json('/api/sessions', { query: { ...question, limit: wanted } });
    if (turn !== this.turn) return;
    this.rows = page.sessions;
    this.total = page.total;
    this.compared = page.compared_at;
    this.cursor = page.next_cursor;
    this.loading = null;
    if (!keepPlace) { this.at = 0; this.grid.scrollTop = 0; }
    this.at = Math.min(this.at, Math.max(0, this.total - 1));
    this.forget();
    this.draw();
    this.act.onState();
  }

  /** Show other columns of the same rows. */
  show(columns) {
    this.columns = columns;
    layOut(this.grid, columns);
    this.forget();
    this.draw();
  }

  forget() {
    for (const node of this.shown.values()) node.remove();
    this.shown.clear();
  }

  async more() {
    if (this.loading || !this.cursor) return;
    const turn = this.turn;
    this.loading = json('/api/sessions', { query: { ...this.question, limit: MORE, cursor: this.cursor } });
    try {
      const page = await this.loading;
      if (turn !== this.turn) return;
      this.rows.push(...page.sessions);
      this.cursor = page.next_cursor;
      this.total = page.total;
      this.loading = null;
      this.draw();
    } catch (error) {
      this.loading = null;
      if (turn === this.turn) this.act.onState(error);
    }
  }

  draw() {
    const top = this.grid.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW) - SPARE);
    const last = Math.min(this.total, Math.ceil((top + this.grid.clientHeight) / ROW) + SPARE);
    this.spacer.style.height = `${this.total * ROW}px`;
    this.grid.setAttribute('aria-rowcount', this.total + 1);
    const used = new Set();
    for (let index = first; index < last; index += 1) {
      const row = this.rows[index];
      const key = row ? `${index}:${rowKey(row)}:${this.chosen.has(row.session_id)}` : `${index}:wait`;
      used.add(key);
      if (!this.shown.has(key)) this.shown.set(key, this.holder.appendChild(this.make(row, index)));
    }
    for (const [key, node] of this.shown) if (!used.has(key)) { node.remove(); this.shown.delete(key); }
    this.mark();
    if (last > this.rows.length) this.more();
  }

  make(row, index) {
    const node = el('div.line', { role: 'row', 'aria-rowindex': index + 2, id: `row-${index}` });
    node.style.transform = `translateY(${index * ROW}px)`;
    if (!row) {
      node.classList.add('wait');
      node.append(el('div', { role: 'gridcell', 'aria-colspan': this.columns.length + 1 }, '…'));
      return node;
    }
    const chosen = this.chosen.has(row.session_id);
    const box = el('input', { type: 'checkbox', checked: chosen, tabindex: -1, 'aria-label': `Select ${row.session_id}`,
      on: { click: (event) => { event.stopPropagation(); if (event.shiftKey) this.range(index); else this.toggle(index); } } });
    node.append(el('div.pick', { role: 'gridcell', on: { click: (event) => event.stopPropagation() } }, box), ...cells(row, this.columns));
    node.setAttribute('aria-selected', chosen);
    node.addEventListener('click', (event) => {
      if (event.target.closest('a')) return;
      this.move(index - this.at);
      this.act.onOpen(row);
    });
    return node;
  }

  mark() {
    for (const node of this.holder.querySelectorAll('.line.at')) node.classList.remove('at');
    const node = document.getElementById(`row-${this.at}`);
    node?.classList.add('at');
    if (node) this.grid.setAttribute('aria-activedescendant', node.id);
    else this.grid.removeAttribute('aria-activedescendant');
  }

  move(steps) {
    this.at = Math.max(0, Math.min(this.total - 1, this.at + steps));
    const top = this.at * ROW;
    const seen = this.grid.clientHeight - this.header.offsetHeight;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + ROW > this.grid.scrollTop + seen) this.grid.scrollTop = top + ROW - seen;
    this.draw();
  }

  get current() { return this.rows[this.at]; }

  toggle(index = this.at) {
    const row = this.rows[index];
    if (!row) return;
    if (!this.chosen.delete(row.session_id)) this.chosen.add(row.session_id);
    this.anchor = index;
    this.draw();
    this.act.onSelect();
  }

  /** Select all rows from the last one that was ticked to this one. */
  range(index) {
    const from = Math.min(this.anchor ?? index, index);
    const to = Math.max(this.anchor ?? index, index);
    for (const row of this.rows.slice(from, to + 1)) this.chosen.add(row.session_id);
    this.draw();
    this.act.onSelect();
  }

  /** Select every session that the filter matches, those that are not loaded yet too. */
  async all() {
    let cursor;
    do {
      const page = await json('/api/sessions', { query: { ...this.question, fields: 'session_id', limit: 1000, cursor } });
      for (const row of page.sessions) this.chosen.add(row.session_id);
      cursor = page.next_cursor;
    } while (cursor);
    this.draw();
    this.act.onSelect();
  }

  clear() {
    this.chosen.clear();
    this.draw();
    this.act.onSelect();
  }

  /** Take in what the server says has changed; true when the list must be read again. */
  take(news) {
    if (news.reset) return true;
    const known = new Map(this.rows.map((row, index) => [row.session_id, index]));
    let again = news.removed.some((id) => known.has(id)) || (news.total !== undefined && this.question.where && news.changed.length > 0);
    for (const row of news.changed) {
      const index = known.get(row.session_id);
      if (index === undefined) again = true;
      else this.rows[index] = row;
    }
    for (const id of news.removed) this.chosen.delete(id);
    this.draw();
    return again || news.removed.length > 0;
  }

  close() { kept.chosen = [...this.chosen]; this.watch.disconnect(); this.turn += 1; }
}
