/* Heat map of two parameters against a figure, and scatter of any two columns, where each dot is a session. */
import { css, el, fill } from './dom.js';
import { cellTint, numberOf, scaleOf, sized, textOf, tint } from './sweep_scale.js';

const HEIGHT = 280;
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 12, 12, 34];
const MOST_CELLS = 40;

/** A table of the means: a cell for each pair of values, coloured and written. */
export function heatMap(rows, xName, yName, metric) {
  const along = (name) => [...new Map(rows.map((row) => [textOf(row[name] ?? null), row[name]])).values()].sort(inOrder).slice(0, MOST_CELLS);
  const [xs, ys] = [along(xName), along(yName)];
  const sums = new Map();
  for (const row of rows) {
    if (typeof row[metric] !== 'number') continue;
    const key = JSON.stringify([row[xName] ?? null, row[yName] ?? null]);
    const sum = sums.get(key) || [0, 0];
    sums.set(key, [sum[0] + row[metric], sum[1] + 1]);
  }
  const mean = (x, y) => { const sum = sums.get(JSON.stringify([x ?? null, y ?? null])); return sum ? sum[0] / sum[1] : null; };
  const scale = scaleOf([...sums.values()].map(([sum, n]) => ({ mean: sum / n })), 'mean');
  const cell = (x, y) => {
    const value = mean(x, y);
    const unit = value === null ? null : scale.place(value);
    return el('td', { title: value === null ? 'no session' : `${xName} ${textOf(x)}, ${yName} ${textOf(y)}: ${numberOf(value)}`, style: unit === null ? {} : cellTint(unit) }, value === null ? '–' : numberOf(value));
  };
  return el('table.sweep-heat', {},
    el('caption', {}, `Mean ${metric}: ${yName} down, ${xName} across`),
    el('thead', {}, el('tr', {}, el('td', {}), xs.map((x) => el('th', { scope: 'col' }, numberOf(x))))),
    el('tbody', {}, ys.map((y) => el('tr', {}, el('th', { scope: 'row' }, numberOf(y)), xs.map((x) => cell(x, y))))));
}

const inOrder = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b)));

export class Scatter {
  constructor({ onOpen }) {
    this.canvas = el('canvas.sweep-canvas', { role: 'img', 'aria-label': 'Scatter: a dot a session; a click opens it' });
    this.hint = el('div.small.quiet', { 'aria-live': 'polite' }, ' ');
    this.node = el('div.sweep-scatter', {}, this.canvas, this.hint);
    this.canvas.addEventListener('pointermove', (event) => this.look(event));
    this.canvas.addEventListener('click', (event) => { const dot = this.near(event); if (dot?.row.session_id) onOpen(dot.row); });
  }

  show(rows, xName, yName, metric) {
    const width = this.node.clientWidth || 400;
    const context = sized(this.canvas, width, HEIGHT);
    const [x, y, colours] = [scaleOf(rows, xName), scaleOf(rows, yName), scaleOf(rows, metric)];
    this.axes(context, width, x, y);
    this.names = [xName, yName];
    this.dots = [];
    for (const row of rows) {
      const [u, v] = [x.place(row[xName]), y.place(row[yName])];
      if (u === null || v === null) continue;
      const dot = { row, x: LEFT + u * (width - LEFT - RIGHT), y: HEIGHT - BOTTOM - v * (HEIGHT - TOP - BOTTOM) };
      this.dots.push(dot);
      context.fillStyle = tint(colours.place(row[metric]), 0.75);
      context.beginPath(); context.arc(dot.x, dot.y, 3.5, 0, 7); context.fill();
    }
  }

  axes(context, width, x, y) {
    context.strokeStyle = css('line-strong');
    context.beginPath(); context.moveTo(LEFT, TOP); context.lineTo(LEFT, HEIGHT - BOTTOM); context.lineTo(width - RIGHT, HEIGHT - BOTTOM); context.stroke();
    context.fillStyle = css('ink-2');
    const ends = (scale) => (scale.steps ? scale.steps.slice(0, 8).map((step) => [scale.place(step), step]) : [[0, numberOf(scale.low)], [1, numberOf(scale.high)]]);
    context.textAlign = 'right';
    for (const [unit, text] of ends(y)) context.fillText(text, LEFT - 6, HEIGHT - BOTTOM - unit * (HEIGHT - TOP - BOTTOM) + 4);
    for (const [unit, text] of ends(x)) {
      context.textAlign = unit < 0.2 ? 'left' : unit > 0.8 ? 'right' : 'center';
      context.fillText(text, LEFT + unit * (width - LEFT - RIGHT), HEIGHT - BOTTOM + 14);
    }
    context.textAlign = 'center';
    context.fillStyle = css('ink');
    context.fillText(x.name, (LEFT + width) / 2, HEIGHT - 4);
    context.textAlign = 'left';
    context.fillText(y.name, LEFT + 8, TOP + 4);
  }

  near(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    for (const dot of this.dots || []) {
      const far = Math.hypot(dot.x - x, dot.y - y);
      if (far < 9 && (!best || far < best.far)) best = { far, ...dot };
    }
    return best;
  }

  look(event) {
    const dot = this.near(event);
    this.canvas.style.setProperty('cursor', dot ? 'pointer' : 'default');
    const about = dot ? [`point ${dot.row.number}`, ...this.names.map((name) => `${name} ${numberOf(dot.row[name])}`)].join(', ') : ' ';
    fill(this.hint, about);
  }
}
