/* The charts under one cursor: the player's. Dragging zooms all of them and fetches the stretch in detail. */
import { AGAIN_MS } from '../player/tape.js';
import { tint } from '../player/tints.js';
import { Chart } from './chart.js';
import { DRAWN, STREAM, TABS } from './constants.js';
import { css, el, fill } from './dom.js';
import { FieldChart } from './field_chart.js';
import { FieldPicker } from './field_picker.js';
import { parseChart, writeChart } from './field_spec.js';
import { moment } from './format.js';

const TITLES = { altitude: 'Altitude (m)', speed: 'Speed (m/s)', battery: 'Battery (%)', distance: 'Distance to base (m)', windows: 'Windows found and cleaned', link: 'Signal strength (dBm)' };

const MOST_NAMES = 30;
const MOST_SUGGESTED = 6;

export class Charts {
  constructor(source, { drones, onSeek, cursor, tintOf, same = (name, chosen) => name === chosen, values = null, playing = () => false, onPick = () => {}, onHover = () => {}, own = [], onOwn = () => {} }) {
    Object.assign(this, { source, values, playing, onPick, onHover, onOwn, hovered: null, same });
    this.onSeek = onSeek;
    this.cursorNow = cursor;
    this.range = null;
    const order = new Map(drones.map((each, index) => [each.id, index]));
    this.tintOf = tintOf || ((name) => (name === 'cleaned' ? css('good') : name === 'found' ? css('ink-2') : tint(order.get(name) ?? order.set(name, order.size).size - 1)));
    this.charts = new Map();
    for (const [name, title] of Object.entries(TITLES)) this.charts.set(name, new Chart(title, { tintOf: (trace) => this.tintOf(trace), same, onSeek, onZoom: (range) => this.zoom(range), onHover: (t) => this.hover(t), exact: (t, trace) => this.exact(name, t, trace) }));
    this.told = el('span.quiet.small', { role: 'status' });
    this.whole = el('button.plain.small', { type: 'button', hidden: true, on: { click: () => this.zoom(null) } }, 'Show the whole flight');
    this.legend = el('div.chart-legend', { role: 'group', 'aria-label': 'Lines' });
    this.node = el('section.charts', { 'aria-label': 'Charts' }, el('div.row', {}, el('h2', {}, 'Charts'), el('span.quiet.small', {}, 'drag to zoom, double click for all, click to go there'), this.whole, el('span.grow'), this.told), this.legend,
      (this.grid = el('div.chart-grid', {}, [...this.charts.values()].map((each) => each.node))));
    this.watch = new ResizeObserver(() => this.redraw());
    this.watch.observe(this.node);
    this.sight = new IntersectionObserver(() => this.redraw());
    this.sight.observe(this.node);
    this.recolour = () => { for (const each of this.charts.values()) each.picture = null; this.redraw(); };
    addEventListener('themechange', this.recolour);
    this.onPaper = () => this.redraw(true);
    addEventListener('beforeprint', this.onPaper);
    if (source.fields) this.picker(own);
  }

  /** The list of every recorded number; what is chosen becomes a chart, kept in the address. */
  picker(own) {
    this.fields = new FieldPicker(this.source, (line) => this.add([line]));
    this.node.firstChild.append(this.fields.node);
    for (const text of own) { const lines = parseChart(text); if (lines.length) this.add(lines, false); }
  }

  /** The texts of the own charts, as the address keeps them. */
  get own() { return [...this.charts].filter(([key, chart]) => key.startsWith('own:') && !chart.inPanel).map(([, chart]) => chart.spec); }

  /** Add a chart of some lines, here or (place) in a panel of its own. */
  add(lines, load = true, place = this.grid, onRemove = () => {}) {
    const key = `${place === this.grid ? 'own' : `own:${(this.numbered = (this.numbered || 0) + 1)}`}:${writeChart(lines)}`;
    if (this.charts.has(key)) return this.charts.get(key);
    const chart = new FieldChart(this.source, lines, { tintOf: (name) => this.tintOf(name), same: this.same, onSeek: this.onSeek, onZoom: (range) => this.zoom(range), onHover: (t) => this.hover(t), onRemove: (each) => { this.remove(each); onRemove(); }, onLines: () => this.onOwn(), onDrawn: (each) => each.show(this.t ?? this.cursorNow(), this.chosen, this.hovered) });
    this.charts.set(key, chart);
    place.append(chart.node);
    chart.inPanel = place !== this.grid;
    this.watch.observe(chart.node);
    this.sight.observe(chart.node);
    this.onOwn();
    if (load) chart.load(this.range, this.end);
    return chart;
  }

  remove(chart, told = true) {
    for (const [key, each] of this.charts) if (each === chart) this.charts.delete(key);
    chart.node.remove();
    if (told) this.onOwn();
  }

  async open(end) {
    this.end = end;
    await this.load();
  }

  async load() {
    const turn = (this.turn = (this.turn || 0) + 1);
    this.told.textContent = 'loading …';
    try {
      const query = this.range ? { start: this.range[0], end: this.range[1] } : {};
      const figures = await this.source.figures({ ...query, points: 500 });
      if (turn !== this.turn) return;
      for (const [name, figure] of Object.entries(figures)) { const chart = this.charts.get(name); if (chart) { chart.set(figure); chart.node.hidden = !figure.data.length; } } // nobody's simulation has all six
      this.writeLegend(figures);
      const { thinned } = figures.altitude.layout.meta;
      for (const each of this.charts.values()) each.thinned = thinned !== 'no';
      this.told.textContent = { extremes: 'thinned, minima and maxima kept', sampled: 'sampled; every extreme as soon as the flight has been read' }[thinned] || '';
      clearTimeout(this.later);
      if (thinned === 'sampled') this.later = setTimeout(() => this.load(), AGAIN_MS);
      this.redraw();
      if (!this.own.length && Object.values(figures).every((each) => !each.data.length)) this.suggest();
      this.loadOwn();
    } catch (error) {
      fill(this.told, el('span.problem', { role: 'alert' }, `The charts could not be loaded: ${error.message} `), el('button.plain', { type: 'button', on: { click: () => this.load() } }, 'Retry'));
    }
  }

  /** A session without a flight shows its metrics, else the first numbers of each stream that its program made. */
  async suggest() {
    if (this.suggested || !this.source.fields) return;
    const streams = await this.source.fields().catch(() => ({}));
    if (this.suggested || this.own.length) return;
    const metrics = (streams[STREAM.METRICS] || []).filter((each) => each !== 'step').map((each) => [lineOf(STREAM.METRICS, each)]);
    const suggested = (metrics.length ? metrics : firstNumbers(streams)).slice(0, MOST_SUGGESTED);
    this.suggested = suggested.length > 0;
    for (const lines of suggested) this.add(lines);
  }

  loadOwn() { for (const [key, each] of this.charts) if (key.startsWith('own:')) each.load(this.range, this.end); }

  /** The flight has grown: read again unless somebody looks at a stretch. */
  grow(end) {
    if (this.range || end <= this.end + 1 || document.hidden) return;
    this.open(end);
  }

  zoom(range) {
    this.range = range && range[1] - range[0] > 0.2 ? range : null;
    this.whole.hidden = !this.range;
    this.whole.textContent = this.range ? `${moment(this.range[0])} – ${moment(this.range[1])}: show the whole flight` : '';
    this.load();
  }

  cursor(t) {
    this.t = t;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.redraw(); });
  }

  choose(id) {
    this.chosen = id;
    for (const each of this.legend.children) each.setAttribute('aria-pressed', each.dataset.name === id);
    this.redraw();
  }

  /** One legend for all charts: the lines by name and colour; a click chooses the drone. */
  writeLegend(figures) {
    const names = [...new Set(['altitude', 'speed', 'battery', 'distance', 'link'].flatMap((each) => (figures[each]?.data || []).map((trace) => trace.name)))];
    const shown = names.slice(0, MOST_NAMES);
    fill(this.legend, shown.map((name) => {
      const swatch = el('i', { 'aria-hidden': 'true' });
      swatch.style.background = this.tintOf(name);
      return el('button.plain.small', { type: 'button', 'data-name': name, 'aria-pressed': String(name === this.chosen), on: { click: () => this.onPick(name === this.chosen ? null : name) } }, swatch, name);
    }), names.length > shown.length ? el('span.quiet.small', {}, `and ${names.length - shown.length} more`) : null);
  }

  /** The pointer rests on a moment in one chart: all charts, and by onHover all else, show their values there. */
  hover(t) {
    this.hovered = t;
    this.onHover(t);
    this.redraw();
  }

  /** Return the recorded value of a line at a moment, null where none was recorded, undefined while it is not known. */
  exact(name, t, trace) {
    const found = this.values?.at(t, this.playing() && this.hovered === null);
    if (!found) return undefined;
    if (name === 'windows') return found.windows[trace] ?? null;
    const drone = found.drones[trace];
    if (!drone) return null;
    const value = name === 'link' ? drone.link?.rssi_dbm : name === 'battery' ? drone.battery : drone[name];
    return typeof value !== 'number' ? null : name === 'battery' ? value * 100 : value;
  }

  told_values() { for (const each of this.charts.values()) each.write(); }

  /** Draw the charts that are in sight, or (for paper) all of them. */
  redraw(all = false) {
    for (const each of this.charts.values()) {
      const box = each.node.getBoundingClientRect();
      if ((!all && (box.top > innerHeight || box.bottom < 0)) || !box.width) continue; // out of sight: drawn when it is scrolled to
      each.show(this.t ?? this.cursorNow(), this.chosen, this.hovered);
    }
  }

  close() {
    this.turn += 1;
    clearTimeout(this.later);
    this.watch.disconnect();
    this.sight.disconnect();
    removeEventListener('themechange', this.recolour);
    removeEventListener('beforeprint', this.onPaper);
  }
}

const lineOf = (stream, field) => ({ stream, field, derive: null, window: null, drone: null, minus: null, axis: 0 });

/** The numbers of the streams in turn, the first of each stream first; those of one list or place share a chart. */
function firstNumbers(streams) {
  const others = [...DRAWN, ...TABS.flatMap(({ streams: names }) => names)];
  const own = Object.entries(streams).filter(([name]) => !others.includes(name)).map(([stream, fields]) => {
    const groups = new Map();
    for (const field of fields) {
      const key = field.replace(/(^|\.)(\d+|[xyzw])$/, '$1*');
      groups.set(key, [...(groups.get(key) || []), lineOf(stream, field)].slice(0, MOST_SUGGESTED));
    }
    return [...groups.values()];
  });
  const longest = Math.max(0, ...own.map((each) => each.length));
  return Array.from({ length: longest }, (_, i) => own.map((each) => each[i]).filter(Boolean)).flat();
}
