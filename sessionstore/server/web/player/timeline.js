/* The tape as a bar: phases as colours with names, events as ticks below, the head where the player is.

   A slider for keyboards and screen readers; a click goes to the moment, hovering tells it and what happened there. */
import { css, el } from '../app/dom.js';
import { moment } from '../app/format.js';

const PHASES = { SCAN: 'phase-scan', PLAN: 'phase-plan', EXECUTE: 'phase-execute', VERIFY: 'phase-verify' };
const QUIET = new Set(['spawn', 'phase', 'plan', 'scan', 'docked', 'inspection', 'return']);

export class Timeline {
  constructor(onSeek) {
    this.onSeek = onSeek;
    this.canvas = el('canvas', { 'aria-hidden': 'true' });
    this.tip = el('div.tip', { hidden: true });
    this.node = el('div.timeline', { role: 'slider', tabindex: 0, 'aria-label': 'Moment', 'aria-valuemin': 0 }, this.canvas, this.tip);
    this.spans = [];
    this.events = [];
    this.bookmarks = [];
    this.alerts = [];
    this.end = 1;
    this.t = 0;
    this.dirty = true;
    this.node.addEventListener('pointerdown', (event) => this.grab(event));
    this.node.addEventListener('pointermove', (event) => this.hover(event));
    this.node.addEventListener('pointerleave', () => { this.tip.hidden = true; });
    this.watch = new ResizeObserver(() => { this.dirty = true; });
    this.watch.observe(this.node);
  }

  setPhases(transitions, end) {
    const moves = transitions.filter((each) => each.field === 'workflow_state' && typeof each.sim_time === 'number');
    this.spans = moves.map((each, i) => ({ from: each.sim_time, to: moves[i + 1]?.sim_time ?? Infinity, name: each.new, reason: each.reason }));
    this.setEnd(end, this.planned > end ? this.planned : 0);
  }

  setEnd(end, planned = 0) {
    this.end = Math.max(end, 0.1);
    this.planned = Math.max(planned, this.end);
    this.dirty = true;
  }

  addEvents(events) {
    this.events.push(...events.filter((each) => !QUIET.has(each.kind) || each.level !== 'info'));
    this.dirty = true;
  }

  /** Bookmarks as flags on top, alerts as bars at the foot. */
  setMarks(bookmarks, alerts) { Object.assign(this, { bookmarks, alerts, dirty: true }); }

  phaseAt(t) { return this.spans.findLast((each) => each.from <= t)?.name || ''; }

  x(t) { return (t / this.planned) * this.node.clientWidth; }
  time(event) {
    const box = this.node.getBoundingClientRect();
    return Math.max(0, Math.min(this.end, ((event.clientX - box.left) / box.width) * this.planned));
  }

  grab(event) {
    if (event.button !== 0) return;
    this.node.setPointerCapture(event.pointerId);
    this.onSeek(this.snap(event));
    const move = (each) => this.onSeek(this.time(each));
    this.node.addEventListener('pointermove', move);
    this.node.addEventListener('pointerup', () => this.node.removeEventListener('pointermove', move), { once: true });
  }

  /** A click on a tick goes to its event exactly. */
  snap(event) {
    const t = this.time(event);
    const low = event.clientY - this.node.getBoundingClientRect().top > 18;
    const near = low || this.bookmarks.some((each) => Math.abs(this.x(each.t) - this.x(t)) < 5) ? this.near(t) : null;
    return near ? near.t : t;
  }

  near(t) {
    const within = (5 / this.node.clientWidth) * this.planned;
    let found = null;
    for (const each of [...this.events, ...this.bookmarks]) if (Math.abs(each.t - t) < within && (!found || Math.abs(each.t - t) < Math.abs(found.t - t))) found = each;
    return found;
  }

  hover(event) {
    const t = this.time(event);
    const span = this.spans.findLast((each) => each.from <= t);
    const near = this.near(t);
    const alert = this.alerts.find((each) => t >= each.t - this.planned * 0.003 && t <= each.end + this.planned * 0.003);
    this.tip.textContent = [moment(near ? near.t : t), span?.name, near && (near.kind ? `${near.kind}: ${near.message || ''}` : `bookmark: ${near.text || 'no note'}`), alert?.text].filter(Boolean).join(' · ');
    this.tip.hidden = false;
    const x = event.clientX - this.node.getBoundingClientRect().left;
    this.tip.style.left = `${Math.max(0, Math.min(this.node.clientWidth - this.tip.offsetWidth, x - this.tip.offsetWidth / 2))}px`;
  }

  show(t, seen = t) {
    if (!this.dirty && (seen === t) === (this.seen === this.t) && Math.abs(seen - this.seen) * this.node.clientWidth < this.planned * 0.4 && Math.abs(t - this.t) * this.node.clientWidth < this.planned * 0.4) return;
    this.t = t;
    this.seen = seen;
    this.dirty = false;
    this.node.setAttribute('aria-valuemax', this.end.toFixed(1));
    this.node.setAttribute('aria-valuenow', t.toFixed(1));
    this.node.setAttribute('aria-valuetext', `${moment(t)} of ${moment(this.end)}, ${this.phaseAt(t)}`);
    this.draw();
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const width = this.node.clientWidth;
    const height = this.node.clientHeight;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.bar = height < 20 ? height - 2 : 16; // a thin line of one session among many: ticks and head stand on the bar
    const thin = this.bar < 16;
    for (const [colour, to] of [['hover', width], ['line', this.x(this.end)]]) { // what is not recorded is fainter
      pen.fillStyle = css(colour);
      pen.fillRect(0, thin ? 1 : 2, to, this.bar);
    }
    pen.font = '10px system-ui, sans-serif';
    for (const span of this.spans) this.drawSpan(pen, span);
    this.drawTicks(pen, thin);
    this.drawMarks(pen, height);
    const x = Math.round(this.x(this.t));
    pen.fillStyle = css('ink');
    pen.fillRect(x - 1, 0, 1.5, height);
    if (this.seen !== this.t) {
      pen.fillStyle = css('accent');
      for (let y = 0; y < height; y += 4) pen.fillRect(Math.round(this.x(this.seen)), y, 1.5, 2);
      pen.fillStyle = css('ink');
    }
    if (thin) return;
    pen.beginPath();
    pen.arc(Math.max(5, Math.min(width - 5, x)), 23, 4, 0, 7); // below the bar: the names of the phases stay readable
    pen.fill();
  }

  drawSpan(pen, span) {
    const from = Math.max(0, this.x(span.from)); // a mode may be older than the flight
    const to = this.x(Math.min(span.to, this.end));
    pen.fillStyle = css(PHASES[span.name] || 'phase-other');
    pen.fillRect(from, this.bar < 16 ? 1 : 2, Math.max(0.5, to - from - 0.5), this.bar);
    const room = to - from - 8;
    if (room > pen.measureText(span.name).width) {
      pen.fillStyle = css('surface');
      pen.fillText(span.name, from + 4, this.bar < 16 ? this.bar - 2.5 : 13.5);
    }
  }

  drawMarks(pen, height) {
    pen.fillStyle = css('bad');
    for (const { t, end } of this.alerts) pen.fillRect(this.x(t), height - 3, Math.max(2, this.x(end) - this.x(t)), 3);
    for (const { t, end } of this.bookmarks) {
      const x = this.x(t);
      pen.fillStyle = css('accent', 0.3);
      if (end) pen.fillRect(x, 0, this.x(end) - x, 18);
      pen.fillStyle = css('accent');
      pen.fillRect(x - 0.75, 0, 1.5, 18);
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x + 8, 3.5);
      pen.lineTo(x, 7);
      pen.fill();
    }
  }

  drawTicks(pen, thin) {
    const taken = new Map();
    for (const each of this.events) {
      const x = Math.round(this.x(each.t));
      const weight = { error: 3, critical: 3, warning: 2 }[each.level] || 1;
      if ((taken.get(x) || 0) < weight) taken.set(x, weight);
    }
    for (const [x, weight] of taken) {
      pen.fillStyle = css(['', 'ink-2', 'warn', 'bad'][weight]);
      if (thin) pen.fillRect(x, this.bar - (weight === 1 ? 3 : 7), 1.5, weight === 1 ? 4 : 8);
      else pen.fillRect(x, 20, 1.5, weight === 1 ? 5 : 8);
    }
  }
}
