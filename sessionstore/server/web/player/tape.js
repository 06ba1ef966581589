/* The data under the cursor: windows of tracks, fetched before they are needed and forgotten when they are far away.

   An overview of the whole flight comes first (a few hundred points for each drone); around the cursor finer windows
   are kept, at most a dozen, so that memory stays flat however long the flight is. What arrives live goes into a tail of
   a minute. Between two points a place is linear in sim_time, a heading turns the short way. */
import { mix, mixAngle } from './math.js';

const FINE_S = 20;
const POINTS = 240;
const OVERVIEW = 400;
const KEPT = 12;
const TAIL_S = 60;
export const AGAIN_MS = 5000; // until a very long flight has been summed up, it is sampled

export class Tape {
  constructor(source, { onData = () => {}, onError = () => {} } = {}) {
    this.source = source;
    this.onData = onData;
    this.onError = onError;
    this.windows = new Map();
    this.waiting = new Set();
    this.tail = new Map();
    this.end = 0;
    this.overview = null;
  }

  async open(known = 0) {
    this.end = Math.max(this.end, known);
    this.overview = await this.source.track({ points: OVERVIEW });
    this.end = Math.max(this.end, this.overview.max_time);
    this.onData();
    if (this.overview.thinned === 'sampled') this.later = setTimeout(() => this.open().catch((error) => this.onError(error)), AGAIN_MS);
  }

  close() { clearTimeout(this.later); this.closed = true; }

  /** Fetch what is missing around a moment; the longer the windows, the faster it plays. */
  need(t, rate = 1) {
    const length = FINE_S * 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, Math.abs(rate) / 2))));
    const index = Math.floor(t / length);
    this.fetch(index, length);
    if (t - index * length < 1 && index > 0) this.fetch(index - 1, length); // speeds look back over the edge
    if (t - index * length > length * 0.4 && (index + 1) * length < this.end) this.fetch(index + 1, length);
  }

  async fetch(index, length) {
    if (index < 0 || this.closed) return;
    const key = `${length}:${index}`;
    const held = this.windows.get(key);
    const grown = held && ((held.whole === false && this.end > held.until + 5) || (held.thinned === 'sampled' && performance.now() - held.fetched > AGAIN_MS));
    if ((held && !grown) || this.waiting.has(key)) return;
    this.waiting.add(key);
    try {
      const until = this.end;
      const end = (index + 1) * length;
      const found = await this.source.track({ start: index * length, end, points: POINTS });
      this.end = Math.max(this.end, found.max_time);
      this.windows.set(key, { ...found, start: index * length, end, until, whole: until >= end, used: performance.now(), fetched: performance.now() });
      this.forget();
      this.onData();
    } catch (error) {
      this.onError(error);
      if (error.status === 404 || error.status === 410) this.closed = true; // deleted: asking again cannot help
      await new Promise((done) => { setTimeout(done, 1500); });
    } finally {
      this.waiting.delete(key);
    }
  }

  forget() {
    const old = [...this.windows].sort((a, b) => a[1].used - b[1].used);
    for (const [key] of old.slice(0, Math.max(0, old.length - KEPT))) this.windows.delete(key);
  }

  /** Take in live records of motion. */
  push(records) {
    for (const record of records) {
      let track = this.tail.get(record.drone);
      if (!track) { track = { t: [], p: [], yaw: [], tilt: [], battery: [], mode: [] }; this.tail.set(record.drone, track); }
      if (track.t.length && record.t <= track.t.at(-1)) continue;
      if (track.mode.at(-1)?.[1] !== (record.mode || '')) track.mode.push([track.t.length, record.mode || '']);
      track.t.push(record.t);
      track.p.push(...record.position);
      track.yaw.push(record.orientation?.at(-1) ?? 0);
      track.tilt.push(record.orientation?.[0] ?? 0, record.orientation?.[1] ?? 0);
      track.battery.push(record.battery ?? null);
      this.end = Math.max(this.end, record.t);
    }
    for (const track of this.tail.values()) trim(track, this.end - TAIL_S);
  }

  /** Return the track of a drone that tells most about a moment. */
  best(name, t) {
    const live = this.tail.get(name);
    if (live && live.t.length && t >= live.t[0]) return live;
    let found = null;
    for (const window of this.windows.values()) {
      if (t >= window.start && t <= Math.min(window.end, window.whole ? window.end : window.until) && (!found || window.end - window.start < found.end - found.start)) {
        const track = window.drones[name];
        if (track && track.t.length && t >= track.t[0] - 1.1) { found = window; window.used = performance.now(); }
      }
    }
    return found?.drones[name] || this.overview?.drones[name] || live || null;
  }

  /** All places of the overview. */
  places() {
    return Object.values(this.overview?.drones || {}).flatMap(({ p }) => Array.from({ length: p.length / 3 }, (_, i) => p.slice(i * 3, i * 3 + 3)));
  }

  names() {
    return new Set([...Object.keys(this.overview?.drones || {}), ...this.tail.keys(), ...[...this.windows.values()].flatMap((each) => Object.keys(each.drones))]);
  }

  /** Return where a drone is at a moment: x, y, z, roll, pitch, yaw, battery, mode, rssi; null before its first point. */
  at(name, t) {
    const track = this.best(name, t);
    if (!track || !track.t.length || t < track.t[0] - 1.1) return null;
    const right = upper(track.t, t);
    const a = Math.max(0, right - 1);
    const b = Math.min(track.t.length - 1, right);
    const span = track.t[b] - track.t[a];
    const share = span > 0 ? Math.min(1, Math.max(0, (t - track.t[a]) / span)) : 0;
    const place = (axis) => mix(track.p[a * 3 + axis], track.p[b * 3 + axis], share);
    const tilt = (axis) => (track.tilt?.length ? mixAngle(track.tilt[a * 2 + axis] || 0, track.tilt[b * 2 + axis] || 0, share) : 0);
    return { x: place(0), y: place(1), z: place(2), roll: tilt(0), pitch: tilt(1), yaw: mixAngle(track.yaw[a] || 0, track.yaw[b] || 0, share), battery: track.battery[a], mode: modeAt(track.mode, a), rssi: this.signal(name, t) };
  }

  /** All levels of a drone's link that are loaded: [moment, dBm, arrived]. */
  levels_of(name) {
    const all = [this.overview, ...this.windows.values()].flatMap((each) => each?.drones[name]?.rssi || []);
    return all.sort((a, b) => a[0] - b[0]);
  }

  signal(name, t) {
    for (const window of this.windows.values()) {
      if (t < window.start || t > window.end) continue;
      const levels = window.drones[name]?.rssi;
      if (levels) { const last = levels.findLast((each) => each[0] <= t); if (last) return last; }
    }
    return this.levels?.get(name) || null;
  }

  /** Places on the way to a moment, from so many seconds before it; coarse where only the overview is known. */
  trail(name, from, t, most = 600) { return this.way(name, from, t, most).places; }

  /** The same with the time, battery and mode of each place: { places, t, battery, mode }. */
  way(name, from, t, most = 600) {
    const found = { places: [], t: [], battery: [], mode: [] };
    const { places } = found;
    const coarse = this.overview?.drones[name];
    const fine = this.best(name, t);
    const fineFrom = fine && fine.t.length ? fine.t[0] : t;
    const take = (track, low, high) => {
      const first = upper(track.t, low);
      const last = upper(track.t, high);
      const step = Math.max(1, Math.ceil((last - first) / most));
      for (let i = first; i < last; i += step) {
        places.push(track.p[i * 3], track.p[i * 3 + 1], track.p[i * 3 + 2]);
        found.t.push(track.t[i]);
        found.battery.push(track.battery[i]);
        found.mode.push(modeAt(track.mode, i));
      }
    };
    if (coarse && coarse !== fine && fineFrom > from) take(coarse, from, Math.min(t, fineFrom));
    if (fine) take(fine, Math.max(from, fineFrom - 1e-6), t);
    return found;
  }
}

function trim(track, before) {
  if (!track.t.length || track.t[0] >= before - 10) return;
  const cut = upper(track.t, before);
  track.t.splice(0, cut);
  track.p.splice(0, cut * 3);
  track.yaw.splice(0, cut);
  track.tilt.splice(0, cut * 2);
  track.battery.splice(0, cut);
  track.mode = track.mode.map(([index, mode], i) => [index - cut, mode, i]).filter((each, i, all) => each[0] >= 0 || (all[i + 1]?.[0] ?? 1) > 0).map(([index, mode]) => [Math.max(0, index), mode]);
}

function modeAt(modes, index) {
  return modes.findLast(([from]) => from <= index)?.[1] || '';
}

/** Return the first index whose moment lies behind t. */
export function upper(list, t) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= t) low = middle + 1;
    else high = middle;
  }
  return low;
}
