/* What a chart looks like, drawn with any pen (a canvas or SVG): axes with ticks at round values, lines, and the band
   between the least and the greatest value where a line is thinned. */
import { css } from './dom.js';
import { moment } from './format.js';

export const LEFT = 40;
const RIGHT = 6;
const AXIS = 40; // pixels of each further axis
export const TOP = 4;
export const BOTTOM = 18;
const DIGIT = 5.6; // pixels of a digit, in the font of the labels
const BAND = 3; // pixels of a piece of the band
const DASHES = { dot: [2, 3], dash: [7, 3], dashdot: [7, 3, 2, 3], longdash: [12, 4], longdashdot: [12, 4, 2, 4] };

/** The places of a figure in a picture of so many pixels; axes: [[low, high], ...], the first on the left. */
export class Frame {
  constructor(range, axes, width, height, top = TOP) {
    Object.assign(this, { range, axes, width, height, top });
    this.bottom = height - BOTTOM;
    this.marks = axes.map(([low, high]) => labelled(ticks(low, high, Math.max(2, Math.round((this.bottom - top) / 34)))));
    const wide = this.marks.map((marks) => Math.max(AXIS, ...marks.map(([, text]) => Math.ceil(text.length * DIGIT) + 10)));
    this.left = Math.max(LEFT, wide[0]);
    this.rights = []; // where the labels of each further axis begin
    let right = width - RIGHT;
    for (let axis = axes.length - 1; axis > 0; axis -= 1) { right -= wide[axis]; this.rights[axis] = right + 5; }
    this.right = Math.max(this.left + 20, right);
  }

  x(t) { return this.left + ((t - this.range[0]) / (this.range[1] - this.range[0] || 1)) * (this.right - this.left); }
  time(x) { return Math.max(this.range[0], Math.min(this.range[1], this.range[0] + ((x - this.left) / (this.right - this.left)) * (this.range[1] - this.range[0]))); }
  y(value, axis = 0) { const [low, high] = this.axes[axis] || this.axes[0]; return this.top + (1 - (value - low) / (high - low)) * (this.bottom - this.top); }
}

/** Return the ranges of the axes of some traces. */
export function axesOf(traces, zero) {
  const count = Math.max(1, ...traces.map((each) => (each.axis || 0) + 1));
  return Array.from({ length: count }, (_, axis) => {
    let low = Infinity;
    let high = -Infinity;
    for (const { y } of traces.filter((each) => (each.axis || 0) === axis)) for (const each of y) { if (each < low) low = each; if (each > high) high = each; }
    if (low > high) [low, high] = [0, 1];
    if (zero) low = Math.min(0, low);
    if (high - low <= 1e-9 * Math.max(1e-3, Math.abs(low), Math.abs(high))) { const half = low ? Math.abs(low) / 2 : 1; [low, high] = zero || !low ? [low, low + 1] : [low - half, high + half]; } // one value only
    return [low, high + (high - low) * 0.06];
  });
}

/** Draw axes and lines; paints: [{ trace, tint, alpha, weight, band }]. */
export function paint(pen, frame, paints) {
  axes(pen, frame);
  pen.save();
  pen.beginPath();
  pen.rect(frame.left, 0, frame.right - frame.left, frame.bottom + 1);
  pen.clip();
  for (const each of paints) { if (each.band) band(pen, frame, each); line(pen, frame, each); }
  pen.restore();
}

function axes(pen, frame) {
  pen.font = '10px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  frame.marks.forEach((marks, axis) => {
    const x = axis ? frame.rights[axis] : frame.left - 5;
    pen.textAlign = axis ? 'left' : 'right';
    for (const [value, text] of marks) {
      const y = Math.round(frame.y(value, axis)) + 0.5;
      if (!axis) { pen.fillStyle = css('line'); pen.fillRect(frame.left, y, frame.right - frame.left, 1); } else { pen.fillStyle = css('line-strong'); pen.fillRect(x - 5, y, 3, 1); }
      pen.fillStyle = css('ink-2');
      pen.fillText(text, x, y);
    }
  });
  pen.textAlign = 'center';
  const most = Math.max(2, Math.floor(frame.width / 90));
  for (const value of frame.labels || (frame.plain ? ticks : timeTicks)(...frame.range, most)) {
    const x = frame.x(value);
    if (x > frame.right - 14) continue;
    pen.fillStyle = css('line-strong');
    pen.fillRect(Math.round(x), frame.bottom, 1, 3);
    pen.fillStyle = css('ink-2');
    pen.fillText(frame.plain ? short(value) : moment(value).replace(/\.0$/, ''), x, frame.height - 7);
  }
  pen.fillStyle = css('line-strong');
  pen.fillRect(frame.left, frame.bottom, frame.right - frame.left, 1);
}

/** Ticks with their labels: as short as they can be while no two are the same. */
function labelled(values) {
  const distinct = (write) => { const texts = values.map(write); return new Set(texts).size === texts.length ? values.map((value, i) => [value, texts[i]]) : null; };
  return distinct(short) || distinct((value) => `${Number(value.toPrecision(9))}`) || values.map((value) => [value, `${Number(value.toPrecision(15))}`]);
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return value.toExponential(1).replace('e+', 'e');
  if (size >= 1e4) return `${Number((value / 1000).toFixed(1))}k`;
  return `${Number(value.toPrecision(6))}`;
}

function line(pen, frame, { trace, tint, alpha = 0.75, weight = 1.1 }) {
  pen.globalAlpha = alpha;
  pen.strokeStyle = tint;
  pen.lineWidth = weight;
  pen.setLineDash(DASHES[trace.line?.dash] || []);
  pen.lineJoin = 'round';
  pen.beginPath();
  const steps = trace.line?.shape === 'hv';
  let before = null;
  trace.x.forEach((t, i) => {
    const x = frame.x(t);
    const y = frame.y(trace.y[i], trace.axis);
    if (before === null) pen.moveTo(x, y);
    else { if (steps) pen.lineTo(x, before); pen.lineTo(x, y); }
    before = y;
  });
  if (trace.x.length === 1) pen.lineTo(frame.x(trace.x[0]) + 2, before);
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

/** Fill between the least and the greatest value of every few pixels: a thinned line holds both. */
function band(pen, frame, { trace, tint }) {
  const pieces = new Map();
  const width = Math.max(BAND, (frame.right - frame.left) / trace.band);
  trace.x.forEach((t, i) => {
    const key = Math.floor(frame.x(t) / width);
    const value = trace.y[i];
    const held = pieces.get(key);
    if (!held) pieces.set(key, [value, value]);
    else { held[0] = Math.min(held[0], value); held[1] = Math.max(held[1], value); }
  });
  const keys = [...pieces.keys()].sort((a, b) => a - b);
  if (!keys.length) return;
  pen.globalAlpha = 0.16;
  pen.fillStyle = tint;
  pen.beginPath();
  keys.forEach((key, i) => {
    const y = frame.y(pieces.get(key)[1], trace.axis);
    if (i) pen.lineTo(key * width, y);
    else pen.moveTo(key * width, y);
    pen.lineTo((key + 1) * width, y);
  });
  for (const key of keys.reverse()) { const y = frame.y(pieces.get(key)[0], trace.axis); pen.lineTo((key + 1) * width, y); pen.lineTo(key * width, y); }
  pen.closePath();
  pen.fill();
  pen.globalAlpha = 1;
}

const TIME_STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200];

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
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high; index += 1) found.push(index * step);
  return found;
}
