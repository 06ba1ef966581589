/* A number against another: any field of any stream on either axis, a line for each drone, with the point of the moment.

   `xy(stream.field+stream.field)`: the first is x. The charts' stretch is its stretch too. */
import { Frame, LEFT, axesOf, paint } from '../app/chart_paint.js';
import { round } from '../app/chart.js';
import { css, el, fill } from '../app/dom.js';
import { FieldPicker } from '../app/field_picker.js';
import { label, parseChart, writeChart } from '../app/field_spec.js';
import { moment } from '../app/format.js';

const NEAR = 24; // pixels between the pointer and a point that it is on
const GROWN_S = 4;

export class XyPanel {
  constructor(view, text) {
    Object.assign(this, { view, lines: [], axes: parseChart(text).slice(0, 2) });
    this.canvas = el('canvas', { role: 'img' });
    this.told = el('div.row.small.quiet');
    this.tip = el('div.chart-tip', { hidden: true, 'aria-hidden': 'true' });
    this.node = el('div.xy', {}, this.told, this.canvas, this.tip);
    this.canvas.addEventListener('pointermove', (event) => { if (!event.buttons) this.hover(event); });
    this.canvas.addEventListener('pointerleave', () => { this.tip.hidden = true; view.charts.hover(null); });
    this.canvas.addEventListener('click', (event) => { const near = this.near(event); if (near) view.player.seek(near.t); });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.node);
    this.recolour = () => this.draw();
    addEventListener('themechange', this.recolour);
    this.begin();
  }

  begin() {
    if (this.axes.length === 2) { this.load(); return; }
    const pick = (which) => new FieldPicker(this.view.source, (line) => { this.axes.push(line); this.begin(); this.view.layout?.onChange(); }, which).node;
    fill(this.told, this.axes.length ? [`x: ${label(this.axes[0])}, `, pick('+ field on the y axis')] : pick('+ field on the x axis'));
  }

  get charts() { return this.view.charts; }
  argument() { return writeChart(this.axes); }

  async load() {
    const [x, y] = this.axes;
    const { player, source } = this.view;
    const turn = (this.turn = (this.turn || 0) + 1);
    this.range = this.charts?.range || null;
    this.loadedTo = player.tape.end;
    const of = ({ stream, field, derive, window }, axis) => ({ [axis]: `${stream}.${field}`, [`${axis}_derive`]: derive, [`${axis}_window`]: derive === 'mean' ? window : null });
    try {
      const found = await source.xy({ ...of(x, 'x'), ...of(y, 'y'), ...(this.range ? { start: this.range[0], end: this.range[1] } : {}) });
      if (turn !== this.turn || this.closed) return;
      this.lines = found.lines;
      const words = { grid: 'thinned to what shows', sampled: 'sampled' }[found.thinned];
      fill(this.told, el('span.grow', {}, `${label(y)} against ${label(x)}`), this.range ? el('span', {}, `${moment(this.range[0])} – ${moment(this.range[1])}`) : null, words || null, this.lines.length ? null : 'nothing was recorded at the same moments');
      this.canvas.setAttribute('aria-label', `${label(y)} against ${label(x)}`);
      this.loaded = true;
    } catch (error) { fill(this.told, el('span.problem', {}, error.message)); }
    this.draw();
  }

  moment() {
    const { player } = this.view;
    if (this.axes.length === 2 && this.loaded && (this.range !== (this.charts?.range || null) || (!this.range && player.tape.end > this.loadedTo + GROWN_S))) { this.loaded = false; this.load(); return; }
    this.draw();
  }
  shown() { this.draw(); }

  tint(name) { return this.charts ? this.charts.tintOf(name) : css('accent'); }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height || !this.lines.length || !this.node.isConnected) return;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [across] = axesOf(this.lines.map(({ x }) => ({ y: x })), false);
    this.frame = new Frame(across, axesOf(this.lines, false), width, height);
    this.frame.plain = true;
    const { chosen, seen } = this.view.player;
    paint(pen, this.frame, this.lines.map((trace) => ({ trace, tint: this.tint(trace.name), alpha: chosen && chosen !== trace.name ? 0.3 : 0.8 })));
    for (const { name, t, x, y } of this.lines) {
      let at = 0;
      while (at + 1 < t.length && t[at + 1] <= seen) at += 1;
      if (t[at] > seen) continue;
      pen.fillStyle = this.tint(name);
      pen.strokeStyle = css('surface');
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.arc(this.frame.x(x[at]), this.frame.y(y[at]), 4.5, 0, 7);
      pen.fill();
      pen.stroke();
    }
  }

  /** The recorded point next to the pointer. */
  near(event) {
    if (!this.frame) return null;
    let found = null;
    for (const line of this.lines) {
      line.t.forEach((t, i) => {
        const far = Math.hypot(this.frame.x(line.x[i]) - event.offsetX, this.frame.y(line.y[i]) - event.offsetY);
        if (far < NEAR && (!found || far < found.far)) found = { far, t, x: line.x[i], y: line.y[i], name: line.name };
      });
    }
    return found;
  }

  /** Show the moment of the point under the pointer in every panel. */
  hover(event) {
    const near = this.near(event);
    this.charts.hover(near ? near.t : null);
    this.tip.hidden = !near;
    if (!near) return;
    const own = this.lines.length > 1 || near.name !== this.axes[1].field ? [el('b', {}, near.name), ' '] : null;
    fill(this.tip, el('div', {}, own, moment(near.t)), el('div', {}, `x ${round(near.x, false, true)}, y ${round(near.y, false, true)}`));
    this.tip.style.left = `${Math.max(LEFT, Math.min(this.canvas.clientWidth - this.tip.offsetWidth, event.offsetX + 12))}px`;
    this.tip.style.top = `${this.canvas.offsetTop + Math.max(0, event.offsetY - 44)}px`;
  }

  close() { this.closed = true; this.watch.disconnect(); removeEventListener('themechange', this.recolour); }
}
