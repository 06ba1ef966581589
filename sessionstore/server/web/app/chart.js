/* One chart of a plotly figure of lines: the cursor, the values under it, dragging to zoom, and pictures to take away.

   The page draws the figures itself: plotly.js would need inline styles and, for some traces, eval, which the page's
   policy forbids, and weighs more than all the rest together. Not here: what is drawn (chart_paint). */
import { Frame, LEFT, TOP, axesOf, paint } from './chart_paint.js';
import { css, el, fill } from './dom.js';
import { moment } from './format.js';
import { SvgPen } from './svg_pen.js';

const MOST_TOLD = 14;

export class Chart {
  constructor(title, { tintOf, same, onSeek, onZoom, onHover = () => {}, exact = () => undefined }) {
    Object.assign(this, { title, tintOf, same, onSeek, onZoom, onHover, exact, thinned: false, hovered: null });
    this.value = el('span.value');
    this.canvas = el('canvas', { role: 'img', 'aria-label': `${title} over time` });
    this.tip = el('div.chart-tip', { hidden: true, 'aria-hidden': 'true' });
    this.node = el('div.chart', {}, el('h3', {}, el('span', {}, title), this.value), this.canvas, this.tip);
    this.canvas.addEventListener('pointerdown', (event) => this.grab(event));
    this.canvas.addEventListener('dblclick', () => onZoom(null));
    this.canvas.addEventListener('pointermove', (event) => { if (!event.buttons && this.figure) { this.under = event.offsetX; this.onHover(this.time(event)); } });
    this.canvas.addEventListener('pointerleave', () => { this.under = null; this.tip.hidden = true; this.onHover(null); });
  }

  set(figure) {
    this.figure = figure;
    this.unit = figure.layout.yaxis.title.text;
    this.range = figure.layout.xaxis.range;
    this.axes = axesOf(figure.data, figure.layout.yaxis.rangemode === 'tozero');
    this.picture = null;
  }

  frame(width = this.canvas.clientWidth, height = this.canvas.clientHeight, top = TOP) { return new Frame(this.range, this.axes, width, height, top); }

  time(event) { return this.frame().time(event.clientX - this.canvas.getBoundingClientRect().left); }

  grab(event) {
    if (!this.figure || event.button !== 0) return;
    const from = this.time(event);
    this.canvas.setPointerCapture(event.pointerId);
    const move = (each) => { this.mark = [from, this.time(each)]; this.show(this.t, this.chosen, null); };
    this.canvas.addEventListener('pointermove', move);
    const done = (each) => {
      this.canvas.removeEventListener('pointermove', move);
      this.canvas.removeEventListener('pointerup', done);
      this.canvas.removeEventListener('pointercancel', done);
      this.mark = null;
      if (each.type === 'pointercancel') { this.show(this.t, this.chosen, null); return; } // a finger that scrolls the page
      const to = this.time(each);
      const frame = this.frame();
      if (Math.abs(frame.x(to) - frame.x(from)) > 6) this.onZoom([Math.min(from, to), Math.max(from, to)]);
      else this.onSeek(to);
    };
    this.canvas.addEventListener('pointerup', done);
    this.canvas.addEventListener('pointercancel', done);
  }

  /** Draw the cursor; the lines are drawn once and kept as a picture. */
  show(t, chosen, hovered = null) {
    if (!this.figure) return;
    const ratio = devicePixelRatio || 1;
    const frame = this.frame();
    const { width, height } = frame;
    if (!width || !height) return;
    const key = `${width}:${height}:${ratio}:${chosen}`;
    const place = `${Math.round(frame.x(t) * ratio)}:${this.mark}:${hovered}`;
    Object.assign(this, { t, hovered });
    this.tell(chosen);
    if (this.picture && this.key === key && this.place === place) return; // the cursor has not moved by a pixel
    if (!this.picture || this.key !== key) this.paint(frame, ratio, chosen);
    Object.assign(this, { key, place, chosen });
    const pen = this.canvas.getContext('2d');
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.picture, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.mark) {
      pen.fillStyle = css('accent', 0.18);
      pen.fillRect(frame.x(this.mark[0]), TOP, frame.x(this.mark[1]) - frame.x(this.mark[0]), frame.bottom - TOP);
    }
    if (t >= this.range[0] && t <= this.range[1]) {
      pen.fillStyle = css('ink');
      pen.fillRect(Math.round(frame.x(t)), TOP, 1, frame.bottom - TOP);
    }
    if (hovered !== null && hovered >= this.range[0] && hovered <= this.range[1]) {
      pen.fillStyle = css('accent');
      for (let y = TOP; y < frame.bottom; y += 4) pen.fillRect(Math.round(frame.x(hovered)), y, 1, 2);
    }
  }

  paint(frame, ratio, chosen) {
    this.canvas.width = Math.round(frame.width * ratio);
    this.canvas.height = Math.round(frame.height * ratio);
    this.picture = document.createElement('canvas');
    this.picture.width = this.canvas.width;
    this.picture.height = this.canvas.height;
    const pen = this.picture.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint(pen, frame, this.paints(chosen));
  }

  tint(trace) { return trace.tint?.() || this.tintOf(trace.name); }

  /** The lines in the order of drawing: the chosen drone's last and strongest. */
  paints(chosen) {
    const mine = (trace) => this.same(trace.drone ?? trace.name, chosen);
    const dim = chosen && this.figure.data.some(mine) ? 0.25 : 0.75;
    const style = (trace) => ({ trace, tint: this.tint(trace), band: this.thinned && trace.band, ...(mine(trace) ? { alpha: 1, weight: 2 } : { alpha: dim }) });
    return [...this.figure.data.filter((each) => !mine(each)), ...this.figure.data.filter(mine)].map(style);
  }

  /** Draw the chart with its title and legend into a picture of its own. */
  draw(pen, width, height) {
    const top = 34;
    pen.font = '12px system-ui, sans-serif';
    pen.textAlign = 'left';
    pen.textBaseline = 'middle';
    pen.fillStyle = css('ink');
    pen.fillText(this.title, LEFT, 10);
    pen.font = '10px system-ui, sans-serif';
    let x = LEFT;
    for (const trace of this.figure.data.slice(0, MOST_TOLD)) {
      pen.fillStyle = this.tint(trace);
      pen.fillRect(x, 24, 12, 3);
      pen.fillStyle = css('ink-2');
      pen.fillText(trace.name, x + 16, 26);
      x += 28 + pen.measureText(trace.name).width;
    }
    paint(pen, this.frame(width, height, top), this.paints(null));
  }

  svg(width = 900, height = 320) {
    const pen = new SvgPen(width, height, css('surface'));
    this.draw(pen, width, height);
    return new Blob([pen.text()], { type: 'image/svg+xml' });
  }

  png(width = 900, height = 320, ratio = 2) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const pen = canvas.getContext('2d');
    pen.scale(ratio, ratio);
    pen.fillStyle = css('surface');
    pen.fillRect(0, 0, width, height);
    this.draw(pen, width, height);
    return new Promise((done) => { canvas.toBlob(done, 'image/png'); });
  }

  /** Write the values under the cursor (or under the pointer), ten times a second at most while it runs. */
  tell(chosen) {
    const now = performance.now();
    this.chosen = chosen;
    clearTimeout(this.later);
    if (now - (this.toldAt || 0) < 100) { this.later = setTimeout(() => this.write(), 110); return; }
    this.toldAt = now;
    this.write();
  }

  /** The value of a line at a moment, and whether it is only read off the thinned line. */
  valueAt(trace, t) {
    const exact = this.exact(t, trace.name, trace);
    return exact === undefined ? [at(trace, t), this.thinned] : [exact, false];
  }

  /** Values are those of the stream; one that is read off the thinned line instead is marked with ≈. */
  write() {
    if (!this.figure) return;
    const { chosen } = this;
    const t = this.hovered ?? this.t;
    const whole = this.unit === 'number';
    const values = this.figure.data.map((trace) => [trace, ...this.valueAt(trace, t)]).filter(([, each]) => each !== null);
    const about = values.some(([, , each]) => each) ? '≈ ' : '';
    const mine = values.filter(([trace]) => this.same(trace.drone ?? trace.name, chosen)).reverse();
    let text = '';
    if (mine.length) text = `${mine.map(([trace, each]) => `${trace.name} ${this.written(each, trace, whole)}`).join(' · ')} ${this.unit}`;
    else if (values.length && values.length <= 2) text = values.map(([trace, each]) => `${trace.name} ${this.written(each, trace, whole)}`).join(' · ');
    else if (values.length) text = [Math.min, Math.max].map((end) => this.written(end(...values.map((each) => each[1])), values[0][0])).join(' – ') + ` ${this.unit}`;
    const when = this.hovered === null ? '' : `${moment(this.hovered)}: `;
    if (text) text = `${when}${about}${text}`;
    if (this.value.textContent !== text) this.value.textContent = text;
    this.writeTip(t, values);
  }

  /** A value with digits enough to tell apart what the axis of its line shows apart. */
  written(value, trace, whole = false, fine = false) {
    const [low, high] = this.axes[trace.axis || 0] || this.axes[0];
    return round(value, whole, fine, high - low);
  }

  /** The values of all lines beside the pointer. */
  writeTip(t, values) {
    const on = this.under !== null && this.under !== undefined && this.hovered !== null && values.length > 0;
    this.tip.hidden = !on;
    if (!on) return;
    const rows = values.slice(0, MOST_TOLD).map(([trace, each, about]) => {
      const swatch = el('i', { 'aria-hidden': 'true' });
      swatch.style.background = this.tint(trace);
      return el('div', {}, swatch, el('span', {}, trace.name), el('b', {}, `${about ? '≈ ' : ''}${this.written(each, trace, this.unit === 'number', true)} ${this.unit || ''}`));
    });
    fill(this.tip, el('div.quiet', {}, moment(t)), rows, values.length > MOST_TOLD ? el('div.quiet', {}, `and ${values.length - MOST_TOLD} more`) : null);
    const room = this.canvas.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${this.under + 14 < room ? this.under + 14 : Math.max(0, this.under - this.tip.offsetWidth - 14)}px`;
  }
}

/** A value with the digits that its size, and the span of values around it, deserve; fine: all that a reader may want to compare. */
export function round(value, whole, fine = false, span = 0) {
  if (whole || (fine && Number.isInteger(value))) return value.toFixed(0);
  const size = Math.abs(value);
  const apart = span > 0 && size > span ? Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(span)))) : 0; // a latitude moves in its sixth digit
  if (fine) return size !== 0 && (size < 0.001 || size >= 1e7) && !apart ? value.toPrecision(5) : `${Number(value.toFixed(Math.max(4, apart)))}`;
  if (size !== 0 && size < 0.01) return value.toPrecision(2);
  return value.toFixed(Math.max(apart, size < 10 ? 2 : size < 100 ? 1 : 0));
}

function at(trace, t) {
  const { x, y } = trace;
  if (!x.length || t < x[0] - 1) return null;
  const b = Math.min(x.length - 1, after(x, t));
  const a = Math.max(0, after(x, t) - 1);
  if (trace.line?.shape === 'hv' || x[b] === x[a]) return y[a];
  return y[a] + (y[b] - y[a]) * Math.min(1, Math.max(0, (t - x[a]) / (x[b] - x[a])));
}

/** Return the first index whose moment lies behind t. */
export function after(x, t) {
  let low = 0;
  let high = x.length;
  while (low < high) { const middle = (low + high) >> 1; if (x[middle] <= t) low = middle + 1; else high = middle; }
  return low;
}
