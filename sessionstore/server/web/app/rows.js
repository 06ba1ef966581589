/* The rows of the list: hundreds of thousands of sessions in a window of some thirty elements, fetched page by page.

   A page is fetched by its place, so that any place of a long list is one request away; what one scrolls past quickly is
   not asked for. What changes meanwhile is told by events: known rows change in place, new ones make the list read the
   pages on the screen again without moving the view. */
import { json } from './api.js';
import { el, fill } from './dom.js';
import { cells, layOut, rowKey } from './columns.js';

const ROW = 32;
const FIRST = 60;
const PAGE = 200; // rows of a page
const SETTLED_MS = 60; // how long the view rests before a page is asked for
const SPARE = 8;
const kept = { chosen: [] }; // the selection survives a visit to another place of the page

export class Rows {
  constructor(grid, columns, { onOpen, onSelect, onState, onShown, onEdit }) {
    this.grid = grid;
    this.columns = columns;
    layOut(grid, columns);
    this.act = { onOpen, onSelect, onState, onShown, onEdit };
    this.spacer = el('div.spacer', { role: 'presentation' });
    this.header = el('div.head', { role: 'row', 'aria-rowindex': 1 });
    this.holder = el('div.holder', { role: 'rowgroup' }, this.spacer);
    fill(grid, el('div', { role: 'rowgroup' }, this.header), this.holder);
    this.rows = []; // by place; a place that was not fetched yet is empty
    this.pages = new Set(); // those that were fetched, or are on their way
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
    const first = keepPlace ? Math.floor(this.grid.scrollTop / ROW / PAGE) : 0;
    const begin = first * PAGE;
    const page = await json('/api/sessions', { query: { ...question, limit: keepPlace ? 2 * PAGE : FIRST, offset: begin || '' } });
    if (turn !== this.turn) return;
    this.rows = [];
    page.sessions.forEach((row, at) => { this.rows[begin + at] = row; });
    this.total = page.total;
    this.compared = page.compared_at;
    this.revision = page.revision;
    this.pages = new Set(keepPlace ? [first, first + 1] : []);
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
    const edited = this.edited();
    for (const [key, node] of this.shown) if (node !== edited) { node.remove(); this.shown.delete(key); }
  }

  /** The element of the row whose tags or notes are being edited: it stays, and stays the only one of its session. */
  edited() { return this.holder.querySelector('.inline')?.closest('.line') ?? null; }

  /** Fetch the pages on the screen that are not here yet, once the view rests. */
  more() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const [first, last] = this.span();
      for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) if (!this.pages.has(page)) this.fetch(page);
    }, SETTLED_MS);
  }

  async fetch(page) {
    const { turn } = this;
    this.pages.add(page);
    try {
      const found = await json('/api/sessions', { query: { ...this.question, limit: PAGE, offset: page * PAGE || '' } });
      if (turn !== this.turn) return;
      found.sessions.forEach((row, at) => { this.rows[page * PAGE + at] = row; });
      this.total = found.total;
      this.draw();
    } catch (error) {
      this.pages.delete(page);
      if (turn === this.turn) this.act.onState(error);
    }
  }

  /** The places on the screen, with some to spare. */
  span() {
    const top = this.grid.scrollTop;
    return [Math.max(0, Math.floor(top / ROW) - SPARE), Math.min(this.total, Math.ceil((top + this.grid.clientHeight) / ROW) + SPARE)];
  }

  draw() {
    const [first, last] = this.span();
    this.spacer.style.height = `${this.total * ROW}px`;
    this.grid.setAttribute('aria-rowcount', this.total + 1);
    const used = new Set();
    const edited = this.edited();
    let missing = false;
    for (let index = first; index < last; index += 1) {
      const row = this.rows[index];
      missing ||= !row;
      if (row && edited?.dataset.session === row.session_id) {
        edited.style.transform = `translateY(${index * ROW}px)`;
        continue;
      }
      const key = row ? `${index}:${rowKey(row, this.columns)}:${this.chosen.has(row.session_id)}` : `${index}:wait`;
      used.add(key);
      if (!this.shown.has(key)) this.shown.set(key, this.holder.appendChild(this.make(row, index)));
    }
    for (const [key, node] of this.shown) if (!used.has(key) && node !== edited) { node.remove(); this.shown.delete(key); }
    this.mark();
    if (missing) this.more();
    this.act.onShown?.(this.rows.slice(first, last).filter(Boolean));
  }

  make(row, index) {
    const node = el('div.line', { role: 'row', 'aria-rowindex': index + 2, id: `row-${index}` });
    node.style.transform = `translateY(${index * ROW}px)`;
    if (!row) {
      node.classList.add('wait');
      node.append(el('div', { role: 'gridcell', 'aria-colspan': this.columns.length + 1 }, '…'));
      return node;
    }
    node.dataset.session = row.session_id;
    const chosen = this.chosen.has(row.session_id);
    const box = el('input', { type: 'checkbox', checked: chosen, tabindex: -1, 'aria-label': `Select ${row.session_id}`,
      on: { click: (event) => { event.stopPropagation(); if (event.shiftKey) this.range(index); else this.toggle(index); } } });
    node.append(el('div.pick', { role: 'gridcell', on: { click: (event) => event.stopPropagation() } }, box), ...cells(row, this.columns));
    node.setAttribute('aria-selected', chosen);
    node.addEventListener('click', (event) => {
      if (event.target.closest('a, .inline, .tag, .tags, .notes')) { if (!event.target.closest('a, .inline')) this.move(index - this.at); return; } // a double click edits these
      this.move(index - this.at);
      this.act.onOpen(row);
    });
    node.addEventListener('dblclick', (event) => {
      const on = event.target.closest('.tag, .tags, .notes');
      if (on) this.act.onEdit(row, on.classList.contains('notes') ? 'notes' : 'tags');
    });
    return node;
  }

  /** The element of a row that is drawn. */
  lineOf(id) { return document.getElementById(`row-${this.rows.findIndex((row) => row?.session_id === id)}`); }

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

  /** Select all rows from the last one that was ticked to this one, those that were not fetched too. */
  async range(index) {
    const from = Math.min(this.anchor ?? index, index);
    const to = Math.max(this.anchor ?? index, index);
    for (let at = from; at <= to; at += 1000) {
      const rows = Array.from({ length: Math.min(1000, to + 1 - at) }, (_, i) => this.rows[at + i]);
      const found = rows.every(Boolean) ? rows : (await json('/api/sessions', { query: { ...this.question, fields: 'session_id', limit: rows.length, offset: at || '' } })).sessions;
      for (const row of found) this.chosen.add(row.session_id);
    }
    this.draw();
    this.act.onSelect();
  }

  /** Select every session that the filter matches, those that are not loaded yet too. */
  async all() {
    let cursor;
    do {
      const page = await json('/api/sessions', { query: { where: this.question.where, fields: 'session_id', limit: 1000, cursor } }); // in any order
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
    const known = new Map();
    this.rows.forEach((row, index) => known.set(row.session_id, index)); // empty places are passed over
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
