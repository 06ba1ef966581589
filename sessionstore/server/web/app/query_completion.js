/* Completion of tables, columns and words of SQL while a statement is typed: arrows choose, Tab or Enter takes. */
import { el, fill } from './dom.js';

const WORDS = ['select', 'from', 'where', 'group by', 'order by', 'limit', 'join', 'using (session_id)', 'count(*)', 'avg(', 'max(', 'min(', 'sum(', 'distinct', 'having', 'desc', 'between', 'is not null'];
const MOST = 8;

export class Completion {
  constructor(field) {
    Object.assign(this, { field, tables: [], found: [], at: -1 });
    this.list = el('ul.completion', { id: 'completion', role: 'listbox', 'aria-label': 'Suggestions', hidden: true });
    field.setAttribute('aria-autocomplete', 'list');
    field.setAttribute('aria-controls', 'completion');
    field.addEventListener('input', () => this.suggest());
    field.addEventListener('blur', () => setTimeout(() => this.close(), 150));
    field.addEventListener('keydown', (event) => this.key(event));
  }

  learn(tables) { this.tables = tables; }

  word() { return /[\w]*$/.exec(this.field.value.slice(0, this.field.selectionStart))[0]; }

  /** Columns of the tables that the statement names come first. */
  candidates() {
    const text = this.field.value.toLowerCase();
    const named = this.tables.filter(({ name }) => new RegExp(`\\b${name.toLowerCase()}\\b`).test(text));
    const columns = (named.length ? named : this.tables).flatMap((each) => each.columns);
    const afterFrom = /\b(from|join)\s+\w*$/i.test(this.field.value.slice(0, this.field.selectionStart));
    const names = this.tables.map(({ name }) => name);
    return [...new Set(afterFrom ? names : [...columns, ...names, ...WORDS])];
  }

  suggest() {
    const word = this.word().toLowerCase();
    const all = word ? this.candidates() : [];
    this.found = all.filter((each) => each.toLowerCase().startsWith(word) && each.toLowerCase() !== word).slice(0, MOST);
    this.at = this.found.length ? 0 : -1;
    this.show();
  }

  show() {
    this.list.hidden = !this.found.length;
    fill(this.list, this.found.map((each, i) => el('li', { id: `completion-${i}`, role: 'option', 'aria-selected': String(i === this.at), on: { mousedown: (event) => { event.preventDefault(); this.take(i); } } }, each)));
    if (this.at >= 0) this.field.setAttribute('aria-activedescendant', `completion-${this.at}`);
    else this.field.removeAttribute('aria-activedescendant');
  }

  key(event) {
    if (!this.found.length || event.ctrlKey || event.metaKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { this.at = (this.at + step + this.found.length) % this.found.length; this.show(); } else if (event.key === 'Tab' || event.key === 'Enter') this.take(this.at);
    else if (event.key === 'Escape') this.close();
    else return;
    event.preventDefault();
  }

  take(number) {
    this.insert(this.found[number]);
    this.close();
  }

  insert(text) {
    const { field } = this;
    field.focus();
    const end = field.selectionStart;
    const begin = text.toLowerCase().startsWith(this.word().toLowerCase()) ? end - this.word().length : end;
    field.setRangeText(text, begin, field.selectionEnd, 'end');
  }

  close() {
    this.found = [];
    this.at = -1;
    this.show();
  }
}
