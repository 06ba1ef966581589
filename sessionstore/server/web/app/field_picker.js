/* The list of every recorded number: search by name, Enter or a click charts one, dragging puts it onto a chart. */
import { el, fill } from './dom.js';
import { FIELD_TYPE } from './field_chart.js';
import { parse, write } from './field_spec.js';

const MOST = 200;

export class FieldPicker {
  constructor(source, onChoose, words = '+ chart any field') {
    Object.assign(this, { source, onChoose, found: [], at: -1 });
    this.input = el('input', { type: 'search', placeholder: words, 'aria-label': words === '+ chart any field' ? 'Chart any field' : words.slice(2), size: 28, autocomplete: 'off', role: 'combobox', 'aria-expanded': 'false', 'aria-controls': 'chart-fields', 'aria-autocomplete': 'list' });
    this.list = el('div.field-list', { id: 'chart-fields', role: 'listbox', 'aria-label': 'Recorded numbers', hidden: true });
    this.node = el('div.field-picker', {}, this.input, this.list);
    this.input.addEventListener('focus', () => this.open());
    this.input.addEventListener('input', () => this.open());
    this.input.addEventListener('keydown', (event) => this.key(event));
    this.node.addEventListener('focusout', (event) => { if (!this.held && !this.node.contains(event.relatedTarget)) this.close(); });
    this.list.addEventListener('pointerdown', () => { this.held = true; }); // a press on the list takes the focus, and a drag needs it open
    this.node.addEventListener('pointerup', () => { if (this.held) setTimeout(() => { this.held = false; }); });
  }

  /** All fields as `stream.field`; a list of numbers is offered with its length too. */
  async names() {
    this.known ??= this.source.fields().then((streams) => Object.entries(streams).flatMap(([stream, fields]) => {
      const lists = [...new Set(fields.filter((each) => /\.1$/.test(each)).map((each) => each.slice(0, -2)))];
      const one = (field, derive) => ({ stream, field, derive: derive || null, window: null, drone: null, minus: null, axis: 0 });
      return [...fields.map((each) => one(each)), ...(this.source.seriesText ? lists : []).map((each) => one(each, 'norm'))].map((line) => ({ line, text: `${line.derive ? `${line.derive}(` : ''}${stream}.${line.field}${line.derive ? ')' : ''}` }));
    }));
    return this.known.catch(() => { this.known = null; return []; });
  }

  async open() {
    const all = await this.names();
    if (document.activeElement !== this.input) return;
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.found = all.filter(({ text }) => words.every((each) => text.toLowerCase().includes(each))).slice(0, MOST);
    this.at = words.length && this.found.length ? 0 : -1;
    fill(this.list, this.found.map(({ line, text }, i) => {
      const item = el('div.field', { role: 'option', id: `field-${i}`, draggable: 'true', 'aria-selected': String(i === this.at), title: `${text}: click to chart it, or drag it onto a chart` }, text);
      item.addEventListener('click', () => this.choose(line));
      item.addEventListener('dragstart', (event) => { event.dataTransfer.setData(FIELD_TYPE, write(line)); event.dataTransfer.setData('text/plain', text); event.dataTransfer.effectAllowed = 'copy'; });
      item.addEventListener('dragend', () => { this.held = false; this.close(); });
      return item;
    }), this.found.length ? null : el('div.quiet', {}, all.length ? 'No field has this name.' : 'No numbers are recorded.'));
    this.list.hidden = false;
    this.input.setAttribute('aria-expanded', 'true');
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.found.length) {
      event.preventDefault();
      this.at = (this.at + step + this.found.length) % this.found.length;
      [...this.list.children].forEach((each, i) => each.setAttribute('aria-selected', String(i === this.at)));
      this.list.children[this.at].scrollIntoView({ block: 'nearest' });
      this.input.setAttribute('aria-activedescendant', `field-${this.at}`);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      const typed = parse(this.input.value);
      const exact = this.found.find(({ text }) => text === this.input.value.trim());
      const line = exact?.line || this.found[this.at]?.line || typed;
      if (line) this.choose(line);
    } else if (event.key === 'Escape' && !this.list.hidden) { event.stopPropagation(); this.close(); }
  }

  choose(line) { this.input.value = ''; this.close(); this.onChoose({ ...line }); }
  close() { this.list.hidden = true; this.input.setAttribute('aria-expanded', 'false'); }
}
