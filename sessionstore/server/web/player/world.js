/* The scene of a session made ready for drawing: outlines of buildings, windows as columns, and how dirty they are when. */
import { faces, grounds } from './ground.js';
import { upper } from './tape.js';

export function world(scene, facades) {
  const base = scene.base_position || [0, 0, 0];
  const buildings = (scene.buildings || []).map(building).filter(Boolean);
  return { base, buildings, ground: grounds(scene.ground), windows: columns(facades.windows) };
}

function building(data) {
  const ground = data.ground_m ?? data.position?.[2] ?? 0;
  const size = data.size || data.dimensions;
  const roof = data.roof_m ?? ground + (size?.[2] ?? 10);
  let outline = data.footprint?.[0];
  if (!outline && data.position && size) {
    const [x, y] = data.position;
    outline = [[x - size[0] / 2, y - size[1] / 2], [x + size[0] / 2, y - size[1] / 2], [x + size[0] / 2, y + size[1] / 2], [x - size[0] / 2, y + size[1] / 2]];
  }
  if (!Array.isArray(outline) || outline.length < 3) return null;
  return { name: data.name, outline, ground, roof, visible: data.visible !== false, faces: faces(data.faces) };
}

function columns(rows) {
  const found = { names: new Map(), places: [], normals: [], sizes: [], dirt: new Float32Array(rows.length) };
  rows.forEach(([name, x, y, z, nx, ny, width, height, dirt], index) => {
    found.names.set(name, index);
    found.places.push(x, y, z);
    found.normals.push(nx, ny);
    found.sizes.push(width, height);
    found.dirt[index] = dirt;
  });
  return found;
}

/** The dirt of all windows at any moment, from the events that changed it. */
export class Dirt {
  constructor(windows) {
    this.windows = windows;
    this.first = windows.dirt.slice();
    this.now = windows.dirt.slice();
    this.moments = [];
    this.changes = [];
    this.done = 0;
  }

  add(events) {
    for (const each of events) {
      const index = each.kind === 'window_cleaned' ? this.windows.names.get(each.message) : undefined;
      if (index === undefined || typeof each.dirt_after !== 'number') continue;
      this.moments.push(each.t);
      this.changes.push([index, each.dirt_after]);
    }
  }

  /** Go to a moment; true when anything looks different than before. */
  go(t) {
    const wanted = upper(this.moments, t);
    if (wanted === this.done) return false;
    if (wanted < this.done) { this.now.set(this.first); this.done = 0; }
    for (; this.done < wanted; this.done += 1) this.now[this.changes[this.done][0]] = this.changes[this.done][1];
    return true;
  }
}
