/* The recorded values at a moment, asked from the stream itself: what the page writes beside a thinned picture. */

const REST_MS = 60;
const PLAYING_MS = 250;
const KEPT = 40;

export class Values {
  constructor(source, onValues) {
    Object.assign(this, { source, onValues, found: new Map(), asked: 0 });
  }

  /** Return the values at a moment when they are known, else ask for them. */
  at(t, playing = false) {
    const key = t.toFixed(3);
    const known = this.found.get(key);
    if (known) return known;
    this.want(t, playing);
    return null;
  }

  /** The latest values, when they are no older than so many seconds of sim time. */
  near(t, within) {
    return this.last && Math.abs(this.last.sim_time - t) <= within ? this.last : null;
  }

  want(t, playing) {
    if (!this.source.moment || this.closed) return;
    this.next = t;
    if (this.timer || this.busy) return;
    const wait = playing ? Math.max(0, PLAYING_MS - (performance.now() - this.asked)) : REST_MS;
    this.timer = setTimeout(() => { this.timer = 0; this.ask(); }, wait);
  }

  async ask() {
    const t = this.next;
    this.busy = true;
    this.asked = performance.now();
    try {
      const values = await this.source.moment(t, this.streams || null);
      this.found.set(t.toFixed(3), values);
      this.last = values;
      for (const key of [...this.found.keys()].slice(0, -KEPT)) this.found.delete(key);
      this.onValues(values);
    } catch (error) { if (error.status === 404 || error.status === 410) this.closed = true; } finally { this.busy = false; }
    if (this.next !== t) this.want(this.next, true);
  }

  /** A flight that grows has new values at its end. */
  forget() { this.found.clear(); }
  close() { this.closed = true; clearTimeout(this.timer); }
}
