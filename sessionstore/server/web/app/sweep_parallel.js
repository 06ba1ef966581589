/* Parallel coordinates: an axis a column, a line a point; dragging along an axis keeps what goes through the stretch. */
import { css, el } from './dom.js';
import { numberOf, scaleOf, sized, tint } from './sweep_scale.js';

const HEIGHT = 240;
const [TOP, BOTTOM, SIDE] = [34, 22, 60];

export class Parallel {
  constructor({ onBrush }) {
    this.onBrush = onBrush;
    this.brushes = new Map();
    this.canvas = el('canvas.sweep-canvas', { role: 'img', 'aria-label': 'Parallel coordinates: drag along an axis to filter' });
    this.node = el('div.sweep-parallel', {}, this.canvas);
    this.canvas.addEventListener('pointerdown', (event) => this.begin(event));
    this.canvas.addEventListener('pointermove', (event) => this.move(event));
    this.canvas.addEventListener('pointerup', () => this.end());
  }

  show(rows, names, metric) {
    Object.assign(this, { rows, metric, scales: names.map((name) => scaleOf(rows, name)) });
    for (const name of this.brushes.keys()) if (!names.includes(name)) this.brushes.delete(name);
    this.draw();
  }

  /** Whether a row goes through every brushed stretch. */
  keeps(row) {
    for (const scale of this.scales || []) {
      const brush = this.brushes.get(scale.name);
      const place = brush && scale.place(row[scale.name]);
      if (brush && (place === null || place < brush[0] || place > brush[1])) return false;
    }
    return true;
  }

  clear() { this.brushes.clear(); this.draw(); this.onBrush(); }
  x(i) { return SIDE + (i * (this.width - 2 * SIDE)) / Math.max(1, this.scales.length - 1); }
  y(unit) { return TOP + (1 - unit) * (HEIGHT - TOP - BOTTOM); }

  draw() {
    this.width = this.node.clientWidth || 800;
    const context = sized(this.canvas, this.width, HEIGHT);
    const colours = scaleOf(this.rows, this.metric);
    const [kept, rest] = [[], []];
    for (const row of this.rows) (this.keeps(row) ? kept : rest).push(row);
    const alpha = Math.max(0.08, Math.min(0.8, 60 / Math.max(1, kept.length)));
    context.lineWidth = 1;
    for (const row of rest) this.line(context, row, css('line', 0.4));
    for (const row of kept) this.line(context, row, tint(colours.place(row[this.metric]), alpha));
    this.scales.forEach((scale, i) => this.axis(context, scale, this.x(i)));
  }

  line(context, row, colour) {
    context.strokeStyle = colour;
    context.beginPath();
    let pen = false;
    this.scales.forEach((scale, i) => {
      const place = scale.place(row[scale.name]);
      if (place === null) { pen = false; return; }
      if (pen) context.lineTo(this.x(i), this.y(place)); else context.moveTo(this.x(i), this.y(place));
      pen = true;
    });
    context.stroke();
  }

  axis(context, scale, x) {
    context.strokeStyle = css('line-strong');
    context.beginPath(); context.moveTo(x, this.y(1)); context.lineTo(x, this.y(0)); context.stroke();
    context.textAlign = 'center';
    context.fillStyle = css('ink');
    context.fillText(short(scale.name), x, 12);
    context.fillStyle = css('ink-2');
    if (scale.steps) scale.steps.slice(0, 12).forEach((step) => context.fillText(short(step, 12), x, this.y(scale.place(step)) - 3));
    else { context.fillText(numberOf(scale.high), x, TOP - 6); context.fillText(numberOf(scale.low), x, HEIGHT - 6); }
    const brush = this.brushes.get(scale.name);
    if (!brush) return;
    context.fillStyle = css('accent', 0.25);
    context.fillRect(x - 7, this.y(brush[1]), 14, this.y(brush[0]) - this.y(brush[1]));
    context.strokeStyle = css('accent');
    context.strokeRect(x - 7, this.y(brush[1]), 14, this.y(brush[0]) - this.y(brush[1]));
  }

  unit(event) {
    const box = this.canvas.getBoundingClientRect();
    return Math.max(0, Math.min(1, 1 - (event.clientY - box.top - TOP) / (HEIGHT - TOP - BOTTOM)));
  }

  begin(event) {
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    const near = this.scales.map((scale, i) => [Math.abs(this.x(i) - x), scale]).sort((a, b) => a[0] - b[0])[0];
    if (!near || near[0] > 24) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = { name: near[1].name, from: this.unit(event) };
    this.brushes.delete(near[1].name);
  }

  move(event) {
    if (!this.drag) return;
    const to = this.unit(event);
    this.brushes.set(this.drag.name, [Math.min(to, this.drag.from), Math.max(to, this.drag.from)]);
    this.draw();
  }

  end() {
    if (!this.drag) return;
    const brush = this.brushes.get(this.drag.name);
    if (brush && brush[1] - brush[0] < 0.01) this.brushes.delete(this.drag.name);
    this.drag = null;
    this.draw();
    this.onBrush();
  }
}

const short = (text, most = 20) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
