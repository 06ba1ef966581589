/* One chart: draws a plotly figure of lines on a canvas, with axes, the cursor, and the values under it.

   The page draws the figures itself: plotly.js would need inline styles and, for some traces, eval, which the page's
   policy forbids, and weighs more than all the rest together. */
import { css, el } from './dom.js';
import { moment } from './format.js';

const LEFT = 40;
const RIGHT = 6;
const TOP = 4;
const BOTTOM = 18;
const DASHES = { dot: [2, 3], dash: [7, 3], dashdot: [7, 3, 2, 3], longdash: [12, 4], longdashdot: [12, 4, 2, 4] };

export class Chart {
  constructor(title, { tintOf, same, onSeek, onZoom, onHover = () => {}, exact = () => undefined }) {
    Object.assign(this, { title, tintOf, same, onSeek, onZoom, onHover, exact, thinned: false, hovered: null });
    this.value = el('span.value');
    this.canvas = el('canvas', { role: 'img', 'aria-label': `${title} over time` });
    this.node = el('div.chart', {}, el('h3', {}, el('span', {}, title), this.value), this.canvas);
    this.canvas.addEventListener('pointerdown', (event) => this.grab(event));
    this.canvas.addEventListener('dblclick', () => onZoom(null));
    this.canvas.addEventListener('pointermove', (event) => { if (!event.buttons && this.figure) this.onHover(this.time(event)); });
    this.canvas.addEventListener('pointerleave', () => this.onHover(null));
  }

  set(figure) {
    this.figure = figure;
    const ys = figure.data.flatMap((trace) => trace.y);
    let low = ys.length ? ys.reduce((a, b) => Math.min(a, b)) : 0;
    let high = ys.length ? ys.reduce((a, b) => Math.max(a, b)) : 1;
    if (figure.layout.yaxis.rangemode === 'tozero') low = Math.min(0, low);
    if (high - low < 1e-9) high = low + 1;
    this.unit = figure.layout.yaxis.title.text;
    this.range = figure.layout.xaxis.range;
    this.y = [low, high + (high - low) * 0.06];
    this.picture = null;
  }

  x(t, width) { return LEFT + ((t - this.range[0]) / (this.range[1] - this.range[0] || 1)) * (width - LEFT - RIGHT); }

  time(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    return Math.max(this.range[0], Math.min(this.range[1], this.range[0] + share * (this.range[1] - this.range[0])));
  }

  grab(event) {
    if (!this.figure || event.button !== 0) return;
    const from = this.time(event);
    this.canvas.setPointerCapture(event.pointerId);
    const move = (each) => { this.mark = [from, this.time(each)]; this.show(this.t, this.chosen, null); };
    this.canvas.addEventListener('pointermove', move);
    this.canvas.addEventListener('pointerup', (each) => {
      this.canvas.removeEventListener('pointermove', move);
      const to = this.time(each);
      this.mark = null;
      const wide = Math.abs(this.x(to, this.canvas.clientWidth) - this.x(from, this.canvas.clientWidth)) > 6;
      if (wide) this.onZoom([Math.min(from, to), Math.max(from, to)]);
      else this.onSeek(to);
    }, { once: true });
  }

  /** Draw the cursor; the lines are drawn once and kept as a picture. */
  show(t, chosen, hovered = null) {
    if (!this.figure) return;
    const ratio = devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (!width) return;
    const key = `${width}:${height}:${ratio}:${chosen}`;
    const place = `${Math.round(this.x(t, width) * ratio)}:${this.mark}:${hovered}`;
    Object.assign(this, { t, hovered });
    this.tell(chosen);
    if (this.picture && this.key === key && this.place === place) return; // the cursor has not moved by a pixel
    if (!this.picture || this.key !== key) this.paint(width, height, ratio, chosen);
    Object.assign(this, { key, place, chosen });
    const pen = this.canvas.getContext('2d');
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.drawImage(this.picture, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.mark) {
      pen.fillStyle = css('accent', 0.18);
      pen.fillRect(this.x(this.mark[0], width), TOP, this.x(this.mark[1], width) - this.x(this.mark[0], width), height - TOP - BOTTOM);
    }
    if (t >= this.range[0] && t <= this.range[1]) {
      pen.fillStyle = css('ink');
      pen.fillRect(Math.round(this.x(t, width)), TOP, 1, height - TOP - BOTTOM);
    }
    if (hovered !== null && hovered >= this.range[0] && hovered <= this.range[1]) {
      pen.fillStyle = css('accent');
      for (let y = TOP; y < height - BOTTOM; y += 4) pen.fillRect(Math.round(this.x(hovered, width)), y, 1, 2);
    }
  }

  paint(width, height, ratio, chosen) {
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.picture = document.createElement('canvas');
    this.picture.width = this.canvas.width;
    this.picture.height = this.canvas.height;
    const pen = this.picture.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.axes(pen, width, height);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, 0, width - LEFT - RIGHT, height - BOTTOM + 1);
    pen.clip();
    const plain = this.figure.data.filter((trace) => !this.same(trace.name, chosen));
    for (const trace of plain) this.line(pen, trace, width, height, chosen && this.figure.data.some((each) => this.same(each.name, chosen)) ? 0.25 : 0.75);
    for (const trace of this.figure.data) if (this.same(trace.name, chosen)) this.line(pen, trace, width, height, 1, 2);
    pen.restore();
  }

  axes(pen, width, height) {
    const [low, high] = this.y;
    pen.font = '10px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    for (const value of ticks(low, high, 4)) {
      const y = Math.round(this.py(value, height)) + 0.5;
      pen.fillStyle = css('line');
      pen.fillRect(LEFT, y, width - LEFT - RIGHT, 1);
      pen.fillStyle = css('ink-2');
      pen.textAlign = 'right';
      pen.fillText(`${Number(value.toFixed(6))}`, LEFT - 5, y);
    }
    pen.textAlign = 'center';
    for (const value of timeTicks(...this.range, Math.max(2, Math.floor(width / 90)))) {
      const x = this.x(value, width);
      if (x > width - 20) continue;
      pen.fillStyle = css('line-strong');
      pen.fillRect(Math.round(x), height - BOTTOM, 1, 3);
      pen.fillStyle = css('ink-2');
      pen.fillText(moment(value).replace(/\.0$/, ''), x, height - 7);
    }
    pen.fillStyle = css('line-strong');
    pen.fillRect(LEFT, height - BOTTOM, width - LEFT - RIGHT, 1);
  }

  py(value, height) {
    const [low, high] = this.y;
    return TOP + (1 - (value - low) / (high - low)) * (height - TOP - BOTTOM);
  }

  line(pen, trace, width, height, alpha, weight = 1.1) {
    pen.globalAlpha = alpha;
    pen.strokeStyle = this.tintOf(trace.name);
    pen.lineWidth = weight;
    pen.setLineDash(DASHES[trace.line?.dash] || []);
    pen.lineJoin = 'round';
    pen.beginPath();
    const steps = trace.line?.shape === 'hv';
    let before = null;
    trace.x.forEach((t, i) => {
      const x = this.x(t, width);
      const y = this.py(trace.y[i], height);
      if (before === null) pen.moveTo(x, y);
      else { if (steps) pen.lineTo(x, before); pen.lineTo(x, y); }
      before = y;
    });
    pen.stroke();
    pen.globalAlpha = 1;
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

  /** Values are those of the stream; one that is read off the thinned line instead is marked with ≈. */
  write() {
    if (!this.figure) return;
    const { chosen } = this;
    const t = this.hovered ?? this.t;
    let about = '';
    const whole = this.unit === 'number';
    const value = (trace) => {
      const exact = this.exact(t, trace.name);
      if (exact !== undefined) return exact;
      if (this.thinned) about = '≈ ';
      return at(trace, t);
    };
    const values = this.figure.data.map((trace) => [trace.name, value(trace)]).filter(([, each]) => each !== null);
    const mine = values.filter(([name]) => this.same(name, chosen)).reverse();
    let text = '';
    if (mine.length) text = `${mine.map(([name, each]) => `${name} ${round(each, whole)}`).join(' · ')} ${this.unit}`;
    else if (values.length && values.length <= 2) text = values.map(([name, each]) => `${name} ${round(each, whole)}`).join(' · ');
    else if (values.length) text = `${round(Math.min(...values.map((each) => each[1])))} – ${round(Math.max(...values.map((each) => each[1])))} ${this.unit}`;
    const when = this.hovered === null ? '' : `${moment(this.hovered)}: `;
    if (text) text = `${when}${about}${text}`;
    if (this.value.textContent !== text) this.value.textContent = text;
  }
}

const round = (value, whole) => whole ? value.toFixed(0) : value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);

function at(trace, t) {
  const { x, y } = trace;
  if (!x.length || t < x[0] - 1) return null;
  let low = 0;
  let high = x.length;
  while (low < high) { const middle = (low + high) >> 1; if (x[middle] <= t) low = middle + 1; else high = middle; }
  const a = Math.max(0, low - 1);
  const b = Math.min(x.length - 1, low);
  if (trace.line?.shape === 'hv' || x[b] === x[a]) return y[a];
  return y[a] + (y[b] - y[a]) * Math.min(1, Math.max(0, (t - x[a]) / (x[b] - x[a])));
}

const TIME_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200];

/** Ticks of a time axis: at whole seconds, quarters of a minute, minutes, not at 03:20. */
export function timeTicks(low, high, most) {
  const step = TIME_STEPS.find((each) => (high - low) / each <= most) || 86400;
  const found = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + 1e-9; index += 1) found.push(index * step);
  return found;
}

export function ticks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(value);
  return found;
}
