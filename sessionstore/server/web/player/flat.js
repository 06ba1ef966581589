/* The picture without WebGL: faces from far to near on a plain canvas, so that a flight can be watched on any machine.

   Sorting faces is not as right as a depth buffer where buildings stand close; drones and trails lie over all. */
import { colour, css } from '../app/dom.js';
import { USES } from './ground.js';
import { project } from './math.js';
import { outline, radius } from './shapes.js';
import { LIGHT as LIGHT_3, newell, SHADOW, townLines } from './town.js';

const LIGHT = [0.4, -0.57];
const NEAR = 0.2; // metres before the eye
const FEWEST = 2; // pixels: a window smaller than this is not drawn
const LEAST = 5; // pixels of a drone's radius

export class FlatScene {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext('2d');
    this.trails = new Map();
    this.faces = [];
    this.lines = [];
    this.ground = [];
    this.shades = [];
    this.shadows = true;
  }

  recolour() {}

  build(world, extent) {
    const { windows } = world;
    this.faces = world.buildings.flatMap((each) => (each.faces?.length ? surfaces(each) : faces(each)));
    this.lines = townLines(world, extent).filter(([name]) => name !== 'edge');
    this.dirt = windows.dirt;
    this.ground = world.ground || [];
    this.shades = world.buildings.flatMap(cast);
    for (let i = 0; i < windows.dirt.length; i += 1) hang(pane(windows, i), this.faces);
  }

  setShadows(on) { this.shadows = on; }
  setDirt(dirt) { this.dirt = dirt; }
  setTrail(name, places, tint, paints = null) { this.trails.set(name, { places, tint, paints }); }
  keepTrails(names) { for (const name of this.trails.keys()) if (!names.has(name)) this.trails.delete(name); }

  draw(camera, [x, y, width, height], drones, { trails = true, dot = 1, below = [] } = {}) {
    const view = camera.matrix(width, height);
    const { pen } = this;
    const top = this.canvas.height - y - height;
    const spot = (place) => { const p = project(view, place); return p && [x + ((p[0] + 1) / 2) * width, top + ((1 - p[1]) / 2) * height, p[2]]; };
    pen.save();
    pen.beginPath();
    pen.rect(x, top, width, height);
    pen.clip();
    pen.fillStyle = css(camera.kind === 'top' ? 'land' : 'sky');
    pen.fillRect(x, top, width, height);
    const level = (corners) => clipped(view, corners).map(([u, v]) => [x + ((u + 1) / 2) * width, top + ((1 - v) / 2) * height]);
    const draw = (grid) => { for (const [name, places] of this.lines) if (grid === (name === 'grid')) this.strokes(spot, places, css(name)); };
    draw(true);
    this.floor(level, camera);
    draw(false);
    this.solids(spot, camera);
    if (trails) for (const { places, tint, paints } of this.trails.values()) { if (paints) this.painted(spot, places, paints); else this.trail(spot, places, paint(tint)); }
    this.strokes(spot, below.flatMap(({ x, y, z, ground }) => [x, y, z, x, y, ground, x - 0.6, y, ground, x + 0.6, y, ground]), css('edge'));
    const size = (each) => Math.max(LEAST * dot, radius(each.kind) / camera.scale(height));
    for (const each of drones) this.drone(spot, each, size(each));
    pen.restore();
    return view;
  }

  /** The ground, each use over those below it, and the shadows on it as one shape. */
  floor(level, camera) {
    const { pen } = this;
    const path = (corners) => { level(corners).forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y))); pen.closePath(); };
    for (const use of USES) {
      const found = this.ground.filter((each) => each.use === use);
      if (!found.length) continue;
      pen.fillStyle = css(`use-${use}`);
      for (const { corners } of found) { pen.beginPath(); path(corners); pen.fill(); }
    }
    if (!this.shadows || !['3d', 'top'].includes(camera.kind)) return;
    pen.fillStyle = css('shadow', SHADOW);
    pen.beginPath();
    for (const each of this.shades) path(each);
    pen.fill();
  }

  /** Walls with their windows and roofs that are turned to the viewer, the far ones first. */
  solids(spot, camera) {
    const eye = camera.eye();
    const towards = (each) => each.normal.reduce((sum, value, axis) => sum + value * (eye[axis] - each.middle[axis]), 0) > 0;
    const far = (each) => Math.hypot(...each.middle.map((value, axis) => value - eye[axis]));
    const seen = this.faces.filter(towards).map((each) => [far(each), each]);
    for (const [, face] of seen.sort((a, b) => b[0] - a[0])) {
      for (const each of [face, ...face.panes]) {
        const corners = each.corners.map(spot);
        const small = each !== face && Math.abs(corners[2]?.[1] - corners[0]?.[1]) < FEWEST;
        if (!corners.includes(null) && !small) this.fill(corners, each);
      }
    }
  }

  fill(corners, { index, normal, visible }) {
    const { pen } = this;
    pen.beginPath();
    corners.forEach((each, i) => (i ? pen.lineTo(each[0], each[1]) : pen.moveTo(each[0], each[1])));
    pen.closePath();
    const light = normal[2] > 0 ? 1 : 0.8 + 0.2 * Math.max(0, normal[0] * LIGHT[0] + normal[1] * LIGHT[1]);
    pen.fillStyle = index === undefined ? paint(colour(visible ? 'wall' : 'wall-hidden').map((each) => each * light)) : paint(mixed(this.dirt[index]));
    pen.fill();
    if (index !== undefined) return;
    pen.strokeStyle = css('edge');
    pen.stroke();
  }

  strokes(spot, places, style) {
    const { pen } = this;
    pen.strokeStyle = style;
    pen.beginPath();
    for (let i = 0; i < places.length; i += 6) {
      const [a, b] = [spot(places.slice(i, i + 3)), spot(places.slice(i + 3, i + 6))];
      if (a && b) { pen.moveTo(a[0], a[1]); pen.lineTo(b[0], b[1]); }
    }
    pen.stroke();
  }

  /** A trail of many colours: one stroke for each run of a colour. */
  painted(spot, places, paints) {
    let from = 0;
    for (let i = 1; i * 3 <= places.length; i += 1) {
      const same = i * 3 < places.length && [0, 1, 2].every((each) => paints[i * 3 + each] === paints[from * 3 + each]);
      if (same) continue;
      this.trail(spot, places.slice(from * 3, Math.min(places.length, i * 3 + 3)), paint([...paints.slice(from * 3, from * 3 + 3)]));
      from = i;
    }
  }

  trail(spot, places, style) {
    const { pen } = this;
    pen.strokeStyle = style;
    pen.beginPath();
    for (let i = 0; i < places.length; i += 3) {
      const p = spot(places.slice(i, i + 3));
      if (p) pen.lineTo(p[0], p[1]);
    }
    pen.stroke();
  }

  /** The sign of a drone, its nose where it flies to as the picture shows it. */
  drone(spot, { kind, tint, x, y, z, yaw }, size) {
    const at = spot([x, y, z]);
    const ahead = spot([x + Math.cos(yaw), y + Math.sin(yaw), z]);
    if (!at || !ahead) return;
    const turn = Math.hypot(ahead[0] - at[0], ahead[1] - at[1]) > 0.1 ? Math.atan2(ahead[1] - at[1], ahead[0] - at[0]) : 0;
    const { pen } = this;
    pen.save();
    pen.translate(at[0], at[1]);
    pen.rotate(turn);
    pen.fillStyle = paint(tint);
    pen.beginPath();
    for (const [u, v] of outline(kind)) pen.lineTo(u * size, -v * size);
    pen.fill();
    pen.restore();
  }
}

const paint = (tint) => `rgb(${tint.map((each) => Math.round(each * 255)).join(' ')})`;

function mixed(dirt) {
  const share = Math.min(1, Math.max(0, dirt));
  const [clean, dirty] = [colour('clean'), colour('dirty')];
  return clean.map((each, i) => each + (dirty[i] - each) * share);
}

/** Walls and roofs as the city file has them; files turn them either way, so each is turned away from the middle. */
function surfaces({ faces: rows, visible }) {
  const mean = (points) => [0, 1, 2].map((axis) => points.reduce((sum, each) => sum + each[axis], 0) / points.length);
  const centre = mean(rows.flat());
  return rows.flatMap((corners) => {
    const normal = newell(corners);
    const middle = mean(corners);
    if (!normal) return [];
    const out = normal.reduce((sum, each, axis) => sum + each * (middle[axis] - centre[axis]), 0) >= 0;
    return [{ corners, normal: out ? normal : normal.map((each) => -each), middle, visible, panes: [] }];
  });
}

function faces({ outline: points, ground, roof, visible }) {
  const area = points.reduce((sum, [x, y], i) => { const [u, v] = points[(i + 1) % points.length]; return sum + x * v - u * y; }, 0);
  const way = area < 0 ? [...points].reverse() : points;
  const walls = way.map(([x, y], i) => {
    const [u, v] = way[(i + 1) % way.length];
    const length = Math.hypot(u - x, v - y) || 1;
    return { corners: [[x, y, ground], [u, v, ground], [u, v, roof], [x, y, roof]], normal: [(v - y) / length, (x - u) / length, 0], middle: [(x + u) / 2, (y + v) / 2, (ground + roof) / 2], visible, panes: [] };
  });
  const middle = [0, 1].map((axis) => way.reduce((sum, each) => sum + each[axis], 0) / way.length);
  return [...walls, { corners: way.map(([x, y]) => [x, y, roof]), normal: [0, 0, 1], middle: [...middle, roof], visible, panes: [] }];
}

/** The shadows of what faces the light, laid on the level where the building stands; all turned one way. */
function cast(building) {
  const rows = building.faces?.length ? surfaces(building) : faces(building);
  return rows.filter(({ normal }) => normal[0] * LIGHT_3[0] + normal[1] * LIGHT_3[1] + normal[2] * LIGHT_3[2] > 0).map(({ corners }) => {
    const laid = corners.map(([x, y, z]) => { const high = Math.max(0, z - building.ground) / LIGHT_3[2]; return [x - LIGHT_3[0] * high, y - LIGHT_3[1] * high, building.ground]; });
    return newell(laid)?.[2] < 0 ? laid.reverse() : laid;
  });
}

/** A polygon in the picture, from -1 to 1, without what lies behind the eye. */
function clipped(m, corners) {
  const seen = corners.map(([x, y, z]) => [m[0] * x + m[4] * y + m[8] * z + m[12], m[1] * x + m[5] * y + m[9] * z + m[13], m[3] * x + m[7] * y + m[11] * z + m[15]]);
  const found = [];
  seen.forEach((a, i) => {
    const b = seen[(i + 1) % seen.length];
    if (a[2] > NEAR) found.push(a);
    if (a[2] > NEAR !== b[2] > NEAR) { const share = (NEAR - a[2]) / (b[2] - a[2]); found.push(a.map((each, axis) => each + (b[axis] - each) * share)); }
  });
  return found.map(([x, y, w]) => [x / w, y / w]);
}

/** Hang a window on the wall that it is in. */
function hang(window, walls) {
  const gap = (wall, axis) => window.middle[axis] - wall.middle[axis];
  const fits = (wall) => wall.normal[0] * window.normal[0] + wall.normal[1] * window.normal[1] > 0.99 && Math.abs(gap(wall, 0) * wall.normal[0] + gap(wall, 1) * wall.normal[1]) < 0.5;
  const away = (wall) => Math.hypot(gap(wall, 0), gap(wall, 1));
  const found = walls.filter(fits).sort((a, b) => away(a) - away(b))[0];
  found?.panes.push(window);
}

function pane({ places, normals, sizes }, index) {
  const [x, y, z] = places.slice(index * 3, index * 3 + 3);
  const [nx, ny] = normals.slice(index * 2, index * 2 + 2);
  const [width, height] = sizes.slice(index * 2, index * 2 + 2).map((each) => each / 2);
  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([side, up]) => [x - ny * side * width, y + nx * side * width, z + up * height]);
  return { corners, normal: [nx, ny, 0], middle: [x + nx * 0.1, y + ny * 0.1, z], index };
}
