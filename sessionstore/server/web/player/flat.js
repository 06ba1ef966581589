/* The picture without WebGL: outlines and dots on a plain canvas, so that a flight can be watched on any machine. */
import { css } from '../app/dom.js';
import { project } from './math.js';

export class FlatScene {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext('2d');
    this.trails = new Map();
    this.lines = [];
  }

  recolour() {}

  build({ buildings }) {
    this.lines = buildings.flatMap((each) => [each.outline.map(([x, y]) => [x, y, each.ground]), each.outline.map(([x, y]) => [x, y, each.roof])]);
  }

  setDirt() {}
  setTrail(name, places, tint) { this.trails.set(name, { places, tint }); }
  keepTrails(names) { for (const name of this.trails.keys()) if (!names.has(name)) this.trails.delete(name); }

  draw(camera, [x, y, width, height], drones, { trails = true } = {}) {
    const view = camera.matrix(width, height);
    const { pen } = this;
    const top = this.canvas.height - y - height;
    const spot = (place) => { const p = project(view, place); return p && [x + ((p[0] + 1) / 2) * width, top + ((1 - p[1]) / 2) * height]; };
    const path = (places) => { pen.beginPath(); places.map(spot).forEach((p, i) => p && (i ? pen.lineTo(...p) : pen.moveTo(...p))); };
    pen.save();
    pen.beginPath();
    pen.rect(x, top, width, height);
    pen.clip();
    pen.fillStyle = css('sky');
    pen.fillRect(x, top, width, height);
    pen.strokeStyle = css('edge');
    for (const line of this.lines) { path([...line, line[0]]); pen.stroke(); }
    if (trails) for (const { places, tint } of this.trails.values()) { pen.strokeStyle = paint(tint); path(triples(places)); pen.stroke(); }
    for (const each of drones) {
      const p = spot([each.x, each.y, each.z]);
      if (!p) continue;
      pen.fillStyle = paint(each.tint);
      pen.beginPath();
      pen.arc(p[0], p[1], 5, 0, 7);
      pen.fill();
    }
    pen.restore();
    return view;
  }
}

const paint = (tint) => `rgb(${tint.map((each) => Math.round(each * 255)).join(' ')})`;

function triples(places) {
  const found = [];
  for (let i = 0; i < places.length; i += 3) found.push([places[i], places[i + 1], places[i + 2]]);
  return found;
}
