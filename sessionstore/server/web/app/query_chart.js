/* A quick chart of the rows of a query: one column over another, a line for each value of a third, bars over names. */
import { Frame, axesOf, paint } from './chart_paint.js';
import { css, el, fill } from './dom.js';

const TINTS = ['accent', 'warn', 'good', 'rest', 'bad', 'ink-2'];
const MOST_LINES = 24;
const MOST_BARS = 60;

export class QueryChart {
  constructor() {
    const choice = (label) => { const node = el('select', { 'aria-label': label }); node.addEventListener('change', () => this.draw()); return node; };
    [this.x, this.y, this.by] = [choice('Across'), choice('Up'), choice('A line for each')];
    this.canvas = el('canvas', { role: 'img', 'aria-label': 'Chart of the rows' });
    this.legend = el('p.small.query-legend');
    this.node = el('div.query-chart', { hidden: true }, el('h2', {}, 'Chart'), el('div.row', {}, el('span.quiet.small', {}, 'Across'), this.x, el('span.quiet.small', {}, 'Up'), this.y, el('span.quiet.small', {}, 'A line for each'), this.by), this.canvas, this.legend);
    this.again = () => this.draw();
    addEventListener('themechange', this.again);
    addEventListener('resize', this.again);
  }

  stop() {
    removeEventListener('themechange', this.again);
    removeEventListener('resize', this.again);
  }

  set(columns, rows) {
    Object.assign(this, { columns, rows });
    const numbers = columns.map((each, i) => (each.numeric ? i : -1)).filter((i) => i >= 0);
    this.node.hidden = !numbers.length || rows.length < 2;
    if (this.node.hidden) return;
    const option = (i) => el('option', { value: i }, columns[i].name);
    fill(this.x, columns.map((_, i) => option(i)));
    fill(this.y, numbers.map(option));
    fill(this.by, el('option', { value: '' }, 'nothing'), columns.map((_, i) => option(i)));
    const time = columns.findIndex((each) => each.name === 'sim_time');
    this.x.value = time >= 0 ? time : numbers.length > 1 ? numbers[0] : columns.findIndex((_, i) => i !== numbers[0]) >= 0 ? columns.findIndex((_, i) => i !== numbers[0]) : 0;
    this.y.value = numbers.findLast((i) => i !== Number(this.x.value)) ?? numbers[0];
    this.by.value = columns.findIndex((each, i) => !each.numeric && i !== Number(this.x.value));
    if (Number(this.by.value) < 0) this.by.value = '';
    if (!columns[this.x.value].numeric) this.by.value = '';
    this.draw();
  }

  draw() {
    if (this.node.hidden) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width) return;
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const pen = this.canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const [x, y] = [Number(this.x.value), Number(this.y.value)];
    this.canvas.setAttribute('aria-label', `${this.columns[y].name} over ${this.columns[x].name}, ${this.rows.length} rows`);
    if (this.columns[x].numeric) this.lines(pen, width, height, x, y);
    else this.bars(pen, width, height, x, y);
  }

  lines(pen, width, height, x, y) {
    const groups = new Map();
    for (const row of this.rows) {
      if (typeof row[x] !== 'number' || typeof row[y] !== 'number') continue;
      const key = this.by.value === '' ? this.columns[y].name : String(row[this.by.value]);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push([row[x], row[y]]);
    }
    const traces = [...groups].slice(0, MOST_LINES).map(([name, pairs]) => {
      pairs.sort((a, b) => a[0] - b[0]);
      return { name, x: pairs.map(([at]) => at), y: pairs.map(([, value]) => value) };
    });
    const all = traces.flatMap((each) => each.x);
    if (!all.length) { fill(this.legend, 'no row has both numbers'); return; }
    const frame = new Frame([all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))], axesOf(traces, false), width, height);
    frame.plain = this.columns[x].name !== 'sim_time';
    const tint = (i) => css(TINTS[i % TINTS.length]);
    paint(pen, frame, traces.map((trace, i) => ({ trace, tint: tint(i), alpha: 0.9, weight: 1.5 })));
    const names = traces.map(({ name }, i) => el('span.query-line', {}, el('span.query-tint', { style: { background: tint(i) } }), name));
    fill(this.legend, names, groups.size > MOST_LINES ? ` and ${groups.size - MOST_LINES} more` : null);
  }

  bars(pen, width, height, x, y) {
    const rows = this.rows.filter((row) => typeof row[y] === 'number').slice(0, MOST_BARS);
    const frame = new Frame([0, rows.length], axesOf([{ x: [], y: rows.map((row) => row[y]) }], true), width, height);
    frame.plain = true;
    frame.labels = [];
    paint(pen, frame, []);
    pen.textAlign = 'center';
    rows.forEach((row, i) => {
      const [left, right] = [frame.x(i + 0.15), frame.x(i + 0.85)];
      pen.fillStyle = css('accent', 0.8);
      pen.fillRect(left, frame.y(row[y]), right - left, frame.y(0) - frame.y(row[y]));
      pen.fillStyle = css('ink-2');
      const name = String(row[x] ?? 'null');
      const fits = Math.floor((frame.x(i + 1) - frame.x(i)) / 6);
      pen.fillText(name.length > fits ? `${name.slice(0, Math.max(1, fits - 1))}…` : name, (left + right) / 2, height - 7);
    });
    fill(this.legend, this.rows.length > MOST_BARS ? `the first ${MOST_BARS} rows` : null);
  }
}
