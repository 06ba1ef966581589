/* What is written over the picture: the names of drones, what is wrong with them, and the captions of four views. */
import { css, el } from '../app/dom.js';
import { project } from './math.js';

const CAPTIONS = ['', 'Top', 'Front (from the south)', 'Side (from the east)'];
const LOW = 0.25;
const LONGEST = 26; // characters of a name over the picture
const QUIET_S = 15; // a lost message says something about the link for so long

export class Labels {
  constructor() {
    this.canvas = el('canvas.labels', { 'aria-hidden': 'true' });
    this.ratio = 1;
  }

  /** Write over the drawn parts: [{ view, part }]. */
  write(drawn, drones, { chosen, names = true, t = 0 } = {}) {
    const pen = this.canvas.getContext('2d');
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.font = `${12 * this.ratio}px system-ui, sans-serif`;
    pen.lineWidth = 3 * this.ratio;
    pen.strokeStyle = css('sky');
    const wanted = drones.map((each) => ({ each, ...said(each, each.id === chosen, t) })).filter(({ each, wrong }) => names || wrong || each.id === chosen);
    wanted.sort((a, b) => (b.each.id === chosen) - (a.each.id === chosen) || b.wrong - a.wrong);
    for (const { view, part } of drawn) this.part(pen, view, part, wanted, chosen);
    if (drawn.length > 1) this.captions(pen);
  }

  part(pen, view, part, wanted, chosen) {
    const taken = (this.boxes = []);
    for (const { each, text, wrong } of wanted) {
      const spot = this.spot(view, part, each);
      if (!spot) continue;
      const width = pen.measureText(text).width;
      const places = [[9, -8], [9, 6], [9, -22], [-9 - width / this.ratio, -8]].map(([dx, dy]) => [spot[0] + dx * this.ratio, spot[1] + dy * this.ratio, width, 14 * this.ratio]);
      const box = places.find((each) => !taken.some((other) => overlap(each, other))) || (each.id === chosen ? places[0] : null);
      if (!box) continue; // no room: better no name than two over one another
      taken.push(box);
      pen.strokeText(text, box[0], box[1] + 10 * this.ratio);
      pen.fillStyle = css(wrong ? 'warn' : each.id === chosen ? 'ink' : 'ink-2');
      pen.fillText(text, box[0], box[1] + 10 * this.ratio);
      if (each.id === chosen) this.ring(pen, spot);
    }
  }

  /** A line between measured places. */
  rule(drawn, places) {
    const pen = this.canvas.getContext('2d');
    for (const { view, part } of drawn) {
      const spots = places.map(([x, y, z]) => this.spot(view, part, { x, y, z })).filter(Boolean);
      pen.save();
      pen.strokeStyle = pen.fillStyle = css('bad');
      pen.lineWidth = 2 * this.ratio;
      pen.setLineDash([6 * this.ratio, 3 * this.ratio]);
      pen.beginPath();
      spots.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.stroke();
      for (const [x, y] of spots) { pen.beginPath(); pen.arc(x, y, 4 * this.ratio, 0, 7); pen.fill(); }
      pen.restore();
    }
  }

  ring(pen, [x, y]) {
    pen.save();
    pen.strokeStyle = css('accent');
    pen.lineWidth = 1.5 * this.ratio;
    pen.beginPath();
    pen.arc(x, y, 11 * this.ratio, 0, 7);
    pen.stroke();
    pen.restore();
  }

  captions(pen) {
    pen.fillStyle = css('ink-2');
    const { width, height } = this.canvas;
    CAPTIONS.forEach((name, i) => pen.fillText(name, (i % 2) * (width / 2) + 8 * this.ratio, (i < 2 ? 0 : height / 2) + 16 * this.ratio));
  }

  /** Where a drone is on the labels, in device pixels from the upper left; null outside of the part. */
  spot(view, [x, y, width, height], { x: east, y: north, z: up }) {
    const p = project(view, [east, north, up]);
    if (!p || Math.abs(p[0]) > 1 || Math.abs(p[1]) > 1) return null;
    return [x + ((p[0] + 1) / 2) * width, this.canvas.height - y - height + ((1 - p[1]) / 2) * height];
  }
}

/** The name of a drone; of the chosen one with battery and link, of any other with what is wrong. */
function said({ id, battery, rssi }, chosen, t) {
  const low = typeof battery === 'number' && battery < LOW;
  const lost = Boolean(rssi && !rssi[2] && t - rssi[0] < QUIET_S);
  const more = [];
  if (typeof battery === 'number' && (chosen || low)) more.push(`${low ? 'battery ' : ''}${Math.round(battery * 100)} %`);
  if (lost) more.push('no link');
  else if (chosen && rssi) more.push(`${Math.round(rssi[1])} dBm`);
  const name = id.length > LONGEST ? `${id.slice(0, LONGEST - 1)}…` : id;
  return { text: [name, ...more].join('  '), wrong: low || lost };
}

const overlap = (a, b) => a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
