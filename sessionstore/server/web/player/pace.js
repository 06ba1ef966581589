/* How fast frames come while it plays, and the resolution that a slow machine can keep up with.

   A still picture is always drawn sharp; one that moves and comes late is drawn with fewer pixels, step by step, and
   again with more once there has been time to spare for long. */

const LATE_MS = 19; // 60 a second are 16.7 ms
const EARLY_MS = 17.5;
const TRIAL = 40;
const PATIENCE = 400;
const LEAST = 0.8; // below, lines and names of drones look coarse beside a still picture
const STEP = 0.8;

export class Pace {
  constructor() {
    this.share = 1;
    this.times = [];
    this.gaps = [];
    this.drawn = 0;
    this.late = 0;
    this.count = 0;
    this.sum = 0;
  }

  /** Take in the cost of one frame and its distance from the one before (ms); true when the resolution is to change. */
  add(cost, gap, playing) {
    this.drawn += 1;
    this.times.push(cost);
    this.gaps.push(gap);
    if (this.times.length > 240) { this.times.shift(); this.gaps.shift(); }
    if (!playing || gap >= 250) return false; // hidden, or waking up
    this.count += 1;
    this.sum += gap;
    const mean = this.sum / this.count;
    if (this.count >= TRIAL && mean > LATE_MS && this.share > LEAST) return this.go(Math.max(LEAST, this.share * STEP));
    if (this.count >= PATIENCE) {
      if (mean < EARLY_MS && this.share < 1) return this.go(Math.min(1, this.share / STEP));
      this.count = this.sum = 0;
    }
    return false;
  }

  go(share) {
    this.share = share;
    this.count = this.sum = 0;
    return true;
  }

  /** Told in a line: what the debug overlay shows. */
  told() {
    const sorted = [...this.times].sort((a, b) => a - b);
    const mean = this.gaps.reduce((sum, each) => sum + each, 0) / this.gaps.length;
    return `${(1000 / mean).toFixed(0)} frames/s · draw p50 ${sorted[sorted.length >> 1].toFixed(1)} ms, p95 ${sorted[Math.floor(sorted.length * 0.95)].toFixed(1)} ms · ${Math.round(this.share * 100)} % of the pixels' width`;
  }
}
