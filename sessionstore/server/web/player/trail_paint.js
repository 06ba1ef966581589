/* The colours of trails: by drone, or by what was recorded on the way: time, battery, speed, mode, link.

   The ramp goes from blue over grey to orange, which people who do not tell red from green see too. */
import { css } from '../app/dom.js';
import { upper } from './tape.js';
import { rgb, tint } from './tints.js';

export const BY = { drone: 'Drone', time: 'Time', battery: 'Battery', speed: 'Speed', mode: 'Mode', link: 'Link' };
const STOPS = [[0.1, 0.42, 0.82], [0.58, 0.6, 0.62], [0.88, 0.42, 0.06]];
const NONE = [0.5, 0.5, 0.5];

export function ramp(share) {
  const at = Math.min(1, Math.max(0, share)) * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(at));
  return STOPS[low].map((each, i) => each + (STOPS[low + 1][i] - each) * (at - low));
}

const modes = new Map();
const modeTint = (mode) => { if (!modes.has(mode)) modes.set(mode, modes.size); return rgb(tint(modes.get(mode))); };

/** Return the colours of a way ({ places, t, battery, mode }) as numbers, three a point; null: that of the drone. */
export function paints(by, way, { from, to, fastest, levels }) {
  if (by === 'drone') return null;
  const value = {
    time: (i) => (way.t[i] - from) / (to - from || 1),
    battery: (i) => (typeof way.battery[i] === 'number' ? 1 - way.battery[i] : null),
    speed: (i) => speedAt(way, i) / (fastest || 1),
    link: (i) => { const at = upper(levels.map((each) => each[0]), way.t[i]) - 1; return at < 0 ? null : levels[at][2] === false ? 1 : (-40 - levels[at][1]) / 50; },
  }[by];
  return way.t.flatMap((_, i) => { if (by === 'mode') return modeTint(way.mode[i] || ''); const share = value(i); return share === null ? NONE : ramp(share); });
}

export function speedAt({ places, t }, i) {
  const [a, b] = i ? [i - 1, i] : [0, 1];
  if (b >= t.length || t[b] <= t[a]) return 0;
  return Math.hypot(...[0, 1, 2].map((axis) => places[b * 3 + axis] - places[a * 3 + axis])) / (t[b] - t[a]);
}

/** What the legend says: [low, high] of the ramp, or the modes with their colours. */
export function legend(by, { from, to, fastest, moment }) {
  if (by === 'mode') return [...modes.keys()].filter(Boolean).map((mode) => [mode, tint(modes.get(mode))]);
  return { time: [moment(from), moment(to)], battery: ['100 %', '0 %'], speed: ['0', `${(fastest || 0).toFixed(1)} m/s`], link: ['-40 dBm', '-90, lost'] }[by];
}

export const gradient = () => `linear-gradient(90deg, ${STOPS.map((each) => `rgb(${each.map((part) => Math.round(part * 255)).join(' ')})`).join(', ')})`;
export const grey = () => css('ink-2').match(/\d+/g).slice(0, 3).map((each) => Number(each) / 255);
