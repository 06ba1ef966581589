/* Scales of a sweep's columns: numbers along a line, other values in even steps; colours from bad to good are one hue. */
import { css } from './dom.js';

/** Return how a column is placed between 0 and 1, and what its ends and steps are called. */
export function scaleOf(rows, name) {
  const values = rows.map((row) => row[name]).filter((value) => value !== undefined && value !== null);
  const numbers = values.filter((value) => typeof value === 'number');
  if (numbers.length === values.length && values.length) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of numbers) { low = Math.min(low, value); high = Math.max(high, value); }
    const span = high - low || 1;
    return { name, low, high, steps: null, place: (value) => (typeof value === 'number' ? (value - low) / span : null), at: (unit) => low + unit * span };
  }
  const steps = [...new Set(values.map(textOf))].sort();
  const place = (value) => (value === undefined || value === null ? null : steps.length < 2 ? 0.5 : steps.indexOf(textOf(value)) / (steps.length - 1));
  return { name, steps, place };
}

export const textOf = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/** Return a number as people read it. */
export function numberOf(value) {
  if (typeof value !== 'number') return value === undefined || value === null ? '–' : textOf(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  return Number(value.toPrecision(5)).toString();
}

/** Return the colour of a place between 0 and 1; rows without a value are grey. */
export function tint(unit, alpha = 1) {
  if (unit === null) return css('line-strong', alpha * 0.5);
  const hue = 250 - 210 * unit; // blue to orange: also told apart by lightness
  return `oklch(${0.5 + 0.22 * unit} 0.14 ${hue} / ${alpha})`;
}

/** Return ground and ink of a cell: text on it is legible everywhere (WCAG AA). */
export function cellTint(unit) {
  const light = unit < 0.5 ? 0.38 + 0.24 * unit : 0.6 + 0.22 * unit;
  return { background: `oklch(${light} 0.13 ${250 - 210 * unit})`, color: unit < 0.5 ? '#fff' : '#111' };
}

/** Return a canvas that is as sharp as the screen, its context scaled to CSS pixels. */
export function sized(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return context;
}
