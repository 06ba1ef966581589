/* States over time, a row each: the mode of every drone, or any text or truth value of any stream (strip(stream.field)). */
import { css, el, fill } from '../app/dom.js';
import { moment } from '../app/format.js';
import { tint } from '../player/tints.js';

const ROW = 22;
const NAME = 96;
const MOST = 50000;
const POINTS = 400;
const GROWN_S = 4;

export class StripPanel {
  constructor(view, argument = '') {
    Object.assign(this, { view, argument_: argument, rows: [], colours: new Map() });
    this.canvas = el('canvas', { role: 'img', 'aria-label': argument ? `${argument} over time` : 'Modes of the drones over time' });
    this.told = el('p.quiet.small', {}, 'Loading …');
    this.tip = el('div.chart-tip', { hidden: true });
    this.node = el('div.strip', {}, this.canvas, this.told, this.tip);
    this.canvas.addEventListener('click', (event) => view.player.seek(this.time(event)));
    this.canvas.addEventListener('pointermove', (event) => this.hover(event));
    this.canvas.addEventListener('pointerleave', () => { this.tip.hidden = true; view.charts?.hover(null); });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.node);
    this.recolour = () => this.draw();
    addEventListener('themechange', this.recolour);
    this.load();
  }

  async load() {
    const { player, source } = this.view;
    this.loading = true;
    try {
      if (this.argument_) {
        const [stream, ...field] = this.argument_.split('.');
        const until = player.tape.end;
        const { records } = await source.all(stream, MOST);
        this.loadedTo = Math.max(until, records.at(-1)?.t ?? 0);
        const rows = new Map();
        for (const each of records) {
          const record = each['='] || each;
          const value = field.reduce((found, key) => found?.[key], record);
          if (value === undefined || value === null || typeof value === 'object') continue;
          const name = String(record.drone ?? field.join('.'));
          const row = rows.get(name) || rows.set(name, []).get(name);
          if (row.at(-1)?.value !== String(value)) row.push({ t: each.t, value: String(value) });
        }
        this.rows = [...rows].map(([name, spans]) => ({ name, spans }));
      } else {
        while (!player.tape.overview && !this.closed) await new Promise((done) => { setTimeout(done, 50); });
        const { drones, max_time: until } = this.loadedTo === undefined && !player.live ? player.tape.overview : await source.track({ points: POINTS });
        this.loadedTo = until;
        this.rows = Object.entries(drones).map(([name, track]) => ({ name, spans: track.mode.filter(([, mode]) => mode).map(([index, mode]) => ({ t: track.t[index], value: mode })) })).filter(({ spans }) => spans.length);
      }
      fill(this.told, this.rows.length ? null : this.argument_ ? 'This field holds no states.' : 'No modes were recorded. States of another field: strip(stream.field) in the address.');
    } catch (error) { fill(this.told, el('span.problem', {}, error.message)); }
    this.loading = false;
    this.draw();
  }

  get end() { return Math.max(0.1, this.view.player.tape.end); }
  time(event) { return Math.max(0, Math.min(this.end, ((event.offsetX - NAME) / Math.max(1, this.canvas.clientWidth - NAME - 8)) * this.end)); }
  colour(value) { return this.colours.get(value) ?? this.colours.set(value, this.colours.size).get(value); }
  /** A flight that grows is read again every few seconds. */
  moment() {
    const { player } = this.view;
    if (!this.loading && this.loadedTo !== undefined && player.tape.end > this.loadedTo + (player.live ? GROWN_S : 0.3)) this.load();
    this.draw();
  }
  shown() { this.draw(); }

  hover(event) {
    const row = this.rows[Math.floor(event.offsetY / ROW)];
    const t = this.time(event);
    const span = row?.spans.findLast((each) => each.t <= t);
    this.tip.hidden = !span;
    if (!event.buttons) this.view.charts?.hover(t);
    if (!span) return;
    fill(this.tip, el('div', {}, `${moment(t)} · ${row.name}: ${span.value} (since ${moment(span.t)})`));
    this.tip.style.left = `${Math.max(0, Math.min(this.canvas.clientWidth - this.tip.offsetWidth, event.offsetX + 12))}px`;
    this.tip.style.top = `${Math.floor(event.offsetY / ROW) * ROW + ROW - this.node.scrollTop}px`;
  }

  draw() {
    const width = this.node.clientWidth;
    if (!width || !this.node.isConnected) return;
    const ratio = devicePixelRatio || 1;
    const height = Math.max(1, this.rows.length) * ROW;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = '11px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    const x = (t) => NAME + (t / this.end) * (width - NAME - 8);
    this.rows.forEach(({ name, spans }, i) => this.row(pen, name, spans, i * ROW, x));
    if (!this.rows.length) return;
    pen.fillStyle = css('ink');
    const { t, seen } = this.view.player;
    pen.fillRect(Math.round(x(t)), 0, 1.5, height);
    if (seen === t) return;
    pen.fillStyle = css('accent');
    for (let y = 0; y < height; y += 4) pen.fillRect(Math.round(x(seen)), y, 1, 2);
    pen.textAlign = 'left';
    this.rows.forEach(({ spans }, i) => this.told_at(pen, spans.findLast((each) => each.t <= seen)?.value, x(seen), i * ROW, width));
  }

  /** The state of a row under the pointer's moment, beside the dashed line. */
  told_at(pen, value, x, top, width) {
    if (!value) return;
    const room = pen.measureText(value).width + 8;
    const left = x + 4 + room < width ? x + 4 : x - 4 - room;
    pen.fillStyle = css('raised');
    pen.fillRect(left, top + 3, room, ROW - 6);
    pen.strokeStyle = css('accent');
    pen.strokeRect(left + 0.5, top + 3.5, room - 1, ROW - 7);
    pen.fillStyle = css('ink');
    pen.fillText(value, left + 4, top + ROW / 2);
  }

  row(pen, name, spans, top, x) {
    pen.fillStyle = css('ink-2');
    pen.save();
    pen.beginPath();
    pen.rect(0, top, NAME - 6, ROW);
    pen.clip();
    pen.fillText(name, 6, top + ROW / 2);
    pen.restore();
    spans.forEach(({ t, value }, i) => {
      const [from, to] = [x(t), x(spans[i + 1]?.t ?? Math.min(this.end, this.loadedTo ?? this.end))];
      pen.globalAlpha = 0.28;
      pen.fillStyle = tint(this.colour(value));
      pen.fillRect(from, top + 2, Math.max(0.5, to - from - 0.5), ROW - 4);
      pen.globalAlpha = 1;
      pen.fillRect(from, top + 2, 1.5, ROW - 4);
      if (to - from > pen.measureText(value).width + 8) { pen.fillStyle = css('ink'); pen.fillText(value, from + 5, top + ROW / 2); }
    });
  }

  close() { this.closed = true; this.watch.disconnect(); removeEventListener('themechange', this.recolour); }
}
