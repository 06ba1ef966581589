/* A chart of any fields: lines are added by name or by dragging, each with what is derived of it and its axis. */
import { tint } from '../player/tints.js';
import { Chart, after } from './chart.js';
import { el, fill } from './dom.js';
import { label, parse, query, write, writeChart } from './field_spec.js';
import { failed } from './notices.js';

export const FIELD_TYPE = 'application/x-field';
const DERIVED = [['', 'as recorded'], ['rate', 'rate (a second)'], ['mean1', 'mean of 1 s'], ['mean5', 'mean of 5 s'], ['mean30', 'mean of 30 s'], ['norm', 'length of the list']];
const DASHES = ['solid', 'dash', 'dot', 'dashdot'];
const POINTS = 800;
const KEPT_OF_A_SLICE = 4; // first, last, least and greatest
const MOST_AXES = 3;
const REST_MS = 70;
const KEPT = 60;
let colours = 0;

export class FieldChart extends Chart {
  constructor(source, lines, hooks) {
    super(lines.map(label).join(', '), { ...hooks, exact: (t, name, trace) => this.recorded(t, trace) });
    Object.assign(this, { source, lines, hooks, values: new Map(), turn: 0, parts: [] });
    this.node.classList.add('own');
    this.heading = this.node.firstChild;
    this.chips = el('div.chips');
    this.node.insertBefore(this.chips, this.canvas);
    this.menu = this.makeMenu();
    fill(this.heading, this.name = el('span.name', {}), this.value, this.menu, el('button.plain.small', { type: 'button', 'aria-label': `Remove the chart of ${writeChart(lines)}`, title: 'Remove this chart', on: { click: () => hooks.onRemove(this) } }, '✕'));
    this.node.addEventListener('dragover', (event) => { if (event.dataTransfer.types.includes(FIELD_TYPE)) { event.preventDefault(); this.node.dataset.drop = ''; } });
    this.node.addEventListener('dragleave', (event) => { if (!this.node.contains(event.relatedTarget)) delete this.node.dataset.drop; });
    this.node.addEventListener('drop', (event) => {
      delete this.node.dataset.drop;
      const line = parse(event.dataTransfer.getData(FIELD_TYPE));
      if (line) { event.preventDefault(); event.stopPropagation(); this.add(line); }
    });
    this.writeChips();
  }

  get spec() { return writeChart(this.lines); }

  /** Add a line; one whose values are of another size gets an axis of its own. */
  add(line) {
    if (this.lines.some((each) => write({ ...each, axis: 0 }) === write({ ...line, axis: 0 }))) return;
    this.lines.push({ ...line, fresh: true });
    this.changed();
  }

  changed() {
    if (!this.lines.length) { this.hooks.onRemove(this); return; }
    this.values.clear();
    this.writeChips();
    this.hooks.onLines();
    this.load(this.asked);
  }

  writeChips() {
    this.title = this.lines.map(label).join(', ');
    fill(this.name, this.title);
    this.canvas.setAttribute('aria-label', `${this.title} over time`);
    fill(this.chips, this.lines.map((line, i) => {
      const what = label(line);
      const derive = el('select', { 'aria-label': `What is shown of ${what}`, on: { change: (event) => this.derive(line, event.target.value) } }, DERIVED.map(([value, text]) => el('option', { value }, text)));
      derive.hidden = !this.source.seriesText; // an exported file holds what was recorded
      derive.value = line.derive === 'mean' ? `mean${line.window}` : line.derive || '';
      const axis = el('button.plain.small', { type: 'button', title: 'The axis of this line', 'aria-label': `Axis ${(line.axis || 0) + 1} of ${what}`, on: { click: () => { line.axis = ((line.axis || 0) + 1) % Math.min(MOST_AXES, this.lines.length); this.changed(); } } }, `axis ${(line.axis || 0) + 1}`);
      const away = el('button.plain.small', { type: 'button', 'aria-label': `Without ${what}`, title: 'Without this line', on: { click: () => { this.lines.splice(i, 1); this.changed(); } } }, '−');
      return el('span.chip', { title: what }, this.lines.length > 1 ? el('i.dash', { class: DASHES[i % 4] }) : null, this.lines.length > 1 ? el('span.chip-name', {}, `${line.stream}.${line.field}`) : null, derive, this.lines.length > 1 ? [axis, away] : null);
    }));
  }

  derive(line, value) {
    const [, derive, window] = /^(norm|rate|mean)?([\d.]*)$/.exec(value);
    // The length is that of the list; the other forms are of one of its numbers.
    const list = line.field.replace(/\.\d+$/, '');
    if (derive === 'norm') { line.element = line.field; line.field = list; } else if (line.derive === 'norm') line.field = line.element || `${line.field}.0`;
    Object.assign(line, { derive: derive || null, window: derive === 'mean' ? Number(window) : null });
    this.changed();
  }

  makeMenu() {
    const items = el('div.items', { hidden: true });
    const act = (text, action) => el('button', { type: 'button', on: { click: () => { items.hidden = true; Promise.resolve(action()).catch((error) => failed('Not done', error)); } } }, text);
    const button = el('button.plain.small', { type: 'button', 'aria-label': 'More of this chart', 'aria-haspopup': 'true', 'aria-expanded': 'false', on: { click: () => { items.hidden = !items.hidden; button.setAttribute('aria-expanded', !items.hidden); } } }, '⋯');
    const other = el('input', { type: 'search', placeholder: 'id of another session', 'aria-label': 'Minus the session', size: 24 });
    other.addEventListener('change', () => { items.hidden = true; for (const line of this.lines) line.minus = other.value.trim() || null; this.changed(); });
    fill(items, act('Picture (PNG)', async () => save(await this.png(), `${this.file()}.png`)), act('Picture (SVG)', () => save(this.svg(), `${this.file()}.svg`)), this.source.seriesText ? [act('Every value (CSV)', () => this.csv()), el('label.in-menu', {}, 'Minus the same of', other)] : null);
    const menu = el('div.menu', {}, button, items);
    menu.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !items.hidden) { event.stopPropagation(); items.hidden = true; button.focus(); } });
    menu.addEventListener('focusout', (event) => { if (!menu.contains(event.relatedTarget)) items.hidden = true; });
    return menu;
  }

  file() { return `${this.source.id}-${this.lines.map((each) => `${each.stream}-${each.field}`).join('-')}`.replace(/[^\w.-]+/g, '_').slice(0, 120); }

  async csv() {
    const range = this.asked ? { start: this.asked[0], end: this.asked[1] } : {};
    const texts = await Promise.all(this.lines.map((line) => this.source.seriesText({ ...query(line), ...range, format: 'csv' })));
    const rows = texts.map((text, i) => (this.lines.length > 1 ? text.trimEnd().split('\r\n').slice(1).map((row) => `"${label(this.lines[i]).replace(/"/g, '""')}",${row}\r\n`).join('') : text));
    save(new Blob(this.lines.length > 1 ? ['field,sim_time,line,value\r\n', ...rows] : rows, { type: 'text/csv' }), `${this.file()}.csv`);
  }

  async load(range = null, end = this.end) {
    const turn = (this.turn += 1);
    Object.assign(this, { asked: range, end });
    const around = range ? { start: range[0], end: range[1] } : {};
    try {
      const figures = await Promise.all(this.lines.map((line) => this.source.series({ ...query(line), ...around, points: POINTS })));
      if (turn !== this.turn) return;
      this.take(figures, range);
    } catch (error) { fill(this.value, el('span.problem', {}, error.message)); }
  }

  take(figures, range) {
    this.values.clear();
    this.parts = figures;
    this.thinned = figures.some((each) => each.layout.meta.thinned !== 'no');
    const many = this.lines.length > 1;
    const data = figures.flatMap(({ data: traces }, i) => traces.map((trace) => {
      const own = trace.name === this.lines[i].field; // of no drone
      const at = own ? (this.lines[i].colour ??= colours++) : 0;
      return { ...trace, part: i, band: POINTS / KEPT_OF_A_SLICE, axis: this.lines[i].axis || 0, drone: own ? null : trace.name, name: many ? `${label(this.lines[i])}${own ? '' : ` ${trace.name}`}` : own ? label(this.lines[i]) : trace.name, tint: () => (own ? tint(at) : this.tintOf(trace.name)), line: { ...trace.line, dash: many ? DASHES[i % 4] : trace.line?.dash || DASHES[0] } };
    }));
    this.spread(data);
    const whole = [0, Math.max(this.end || 0, ...figures.map((each) => each.layout.xaxis.range[1]))];
    this.set({ data, layout: { xaxis: { range: range || whole }, yaxis: { title: { text: '' } } } });
    this.hooks.onDrawn(this);
  }

  /** A line that was just added goes to an axis of its own when it would be flat on the first one, or make that flat. */
  spread(data) {
    const span = (traces) => { const [low, high] = traces.flatMap((each) => each.y).reduce(([a, b], y) => [Math.min(a, y), Math.max(b, y)], [Infinity, -Infinity]); return { low, high, size: high - low }; };
    this.lines.forEach((line, i) => {
      if (!line.fresh) return;
      delete line.fresh;
      const mine = span(data.filter((each) => each.part === i));
      const first = span(data.filter((each) => each.part !== i && !each.axis));
      const both = Math.max(mine.high, first.high) - Math.min(mine.low, first.low);
      if (both > 4 * Math.min(mine.size || both, first.size || both)) {
        line.axis = Math.min(MOST_AXES - 1, 1);
        for (const each of data) if (each.part === i) each.axis = line.axis;
        this.writeChips();
        this.hooks.onLines();
      }
    });
  }

  /** The recorded value at or before a moment: of a thinned line it is asked from the stream, undefined until then. */
  recorded(t, trace) {
    const at = after(trace.x, t + 1e-6) - 1;
    if (at < 0) return null;
    if (this.parts[trace.part].layout.meta.thinned === 'no') return trace.y[at];
    const known = this.values.get(`${trace.part}:${t.toFixed(3)}`);
    if (known) return known.get(trace.drone) ?? null;
    if (Math.abs(trace.x[at] - t) < 1e-4) return trace.y[at];
    if (this.source.seriesText) this.want(t); // an exported file has the line only
    return undefined;
  }

  want(t) {
    this.wanted = t;
    if (this.asking) return;
    this.asking = setTimeout(async () => {
      const moment = this.wanted;
      try { await this.askValues(moment); } catch (error) { fill(this.value, el('span.problem', {}, error.message)); return; } finally { this.asking = 0; }
      this.write();
      if (this.wanted !== moment) this.want(this.wanted);
    }, REST_MS);
  }

  async askValues(t) {
    await Promise.all(this.parts.map(async ({ data, layout }, i) => {
      if (layout.meta.thinned === 'no' || !this.lines[i]) return;
      const starts = data.map(({ x }) => x[Math.max(0, after(x, t) - 1)]).filter((each) => each <= t);
      const found = starts.length ? await this.source.series({ ...query(this.lines[i]), start: Math.max(0, Math.min(...starts) - 0.002), end: t, points: 8 }) : { data: [] };
      const own = this.lines[i].field;
      this.values.set(`${i}:${t.toFixed(3)}`, new Map(found.data.map(({ name, y }) => [name === own ? null : name, y.at(-1)])));
    }));
    for (const key of [...this.values.keys()].slice(0, -KEPT)) this.values.delete(key);
  }
}

function save(blob, name) {
  const link = el('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
