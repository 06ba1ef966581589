/* What stands still: walls and windows in one buffer, edges, ground and base in another; two draws for a whole city.

   Every window has its own corners instead of being an instance of one: a software renderer draws instances one by one,
   which cost ten of its twenty milliseconds. Faces turned away from the viewer are culled. */
import { arrays, program, refill } from './gl.js';
import { raise, triangles } from './shapes.js';

const FACE = [
  `in vec3 place; in float tone; in float kind; uniform mat4 view; uniform vec3 wall; uniform vec3 unseen; uniform vec3 clean; uniform vec3 dirty; out vec3 shade;
   void main() {
     vec3 plain = kind > 1.5 ? mix(clean, dirty, kind - 2.0) : kind > 0.5 ? unseen : wall;
     shade = plain * tone; gl_Position = view * vec4(place, 1.0);
   }`,
  'in vec3 shade; out vec4 colour; void main() { colour = vec4(shade, 1.0); }',
];
const LIGHT = [0.35, -0.5, 0.8].map((each) => each / Math.hypot(0.35, 0.5, 0.8));
const OUT_M = 0.12; // a pane lies before its wall, or both would flicker
const PANE = 2;
const GRID_LINES = 60;
const FLAT = 0.995; // of the normals of two faces that look like one

export class Town {
  constructor(gl) {
    this.gl = gl;
    this.face = program(gl, ...FACE);
    this.count = 0;
  }

  build({ buildings, windows }) {
    const data = { places: [], tones: [], kinds: [], order: [] };
    for (const each of buildings) { if (each.faces?.length) surfaces(data, each); else walls(data, each); }
    this.firstPane = data.kinds.length;
    panes(data, windows);
    this.kinds = new Float32Array(data.kinds);
    this.made = arrays(this.gl, this.face, [['place', 3, data.places], ['tone', 1, data.tones], ['kind', 1, data.kinds]], { order: data.order });
    this.count = data.order.length;
  }

  setDirt(dirt) {
    if (!this.made) return;
    dirt.forEach((each, index) => this.kinds.fill(PANE + Math.min(1, Math.max(0, each)), this.firstPane + index * 4, this.firstPane + index * 4 + 4));
    refill(this.gl, this.made.buffers.kind, this.kinds);
  }

  draw(view, tints) {
    if (!this.count) return;
    const { gl } = this;
    const { uniforms } = this.face;
    gl.useProgram(this.face.made);
    gl.uniformMatrix4fv(uniforms.view, false, view);
    gl.uniform3fv(uniforms.wall, tints.wall);
    gl.uniform3fv(uniforms.unseen, tints['wall-hidden']);
    gl.uniform3fv(uniforms.clean, tints.clean);
    gl.uniform3fv(uniforms.dirty, tints.dirty);
    gl.enable(gl.CULL_FACE);
    gl.enable(gl.POLYGON_OFFSET_FILL); // so that the edges lie before the walls
    gl.polygonOffset(1, 1);
    gl.bindVertexArray(this.made.vao);
    gl.drawElements(gl.TRIANGLES, this.count, gl.UNSIGNED_INT, 0);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    gl.disable(gl.CULL_FACE);
  }
}

const tone = (normal) => 0.66 + 0.34 * Math.max(0, normal[0] * LIGHT[0] + normal[1] * LIGHT[1] + normal[2] * LIGHT[2]);

/** Faces in space, cut into triangles in their own plane; both sides are drawn, since files turn them either way. */
function surfaces(data, { faces, visible }) {
  for (const face of faces) {
    const normal = newell(face);
    if (!normal) continue;
    const east = Math.abs(normal[2]) > 0.9 ? cross([0, 1, 0], normal) : cross([0, 0, 1], normal);
    const length = Math.hypot(...east);
    const u = east.map((each) => each / length);
    const v = cross(normal, u);
    const flat = triangles(face.map((corner) => [u, v].map((axis) => corner[0] * axis[0] + corner[1] * axis[1] + corner[2] * axis[2])));
    for (const side of [1, -1]) {
      const first = data.kinds.length;
      for (const corner of face) { data.places.push(...corner); data.tones.push(tone(normal.map((each) => each * side))); data.kinds.push(visible ? 0 : 1); }
      for (let i = 0; i < flat.length; i += 3) data.order.push(first + flat[i], first + flat[i + (side > 0 ? 1 : 2)], first + flat[i + (side > 0 ? 2 : 1)]);
    }
  }
}

const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

/** The edges of a body without those between faces of one plane, as files that are cut into triangles have. */
function creases(faces) {
  const found = new Map();
  for (const face of faces) {
    const normal = newell(face);
    face.forEach((corner, i) => {
      const next = face[(i + 1) % face.length];
      const [a, b] = [corner, next].map((place) => place.map((each) => each.toFixed(2)).join());
      const key = a < b ? `${a} ${b}` : `${b} ${a}`;
      const held = found.get(key);
      if (!held) found.set(key, { line: [...corner, ...next], normal });
      else if (held.normal && normal && Math.abs(held.normal[0] * normal[0] + held.normal[1] * normal[1] + held.normal[2] * normal[2]) > FLAT) held.line = [];
    });
  }
  return [...found.values()].flatMap(({ line }) => line);
}

/** The unit normal of a polygon in space (Newell's method); null for one without area. */
export function newell(face) {
  const sum = [0, 0, 0];
  face.forEach(([x, y, z], i) => {
    const [u, v, w] = face[(i + 1) % face.length];
    sum[0] += (y - v) * (z + w);
    sum[1] += (z - w) * (x + u);
    sum[2] += (x - u) * (y + v);
  });
  const length = Math.hypot(...sum);
  return length > 1e-9 ? sum.map((each) => each / length) : null;
}

function walls(data, { outline, ground, roof, visible }) {
  const body = raise(outline, ground, roof);
  const first = data.kinds.length;
  for (let i = 0; i < body.positions.length; i += 3) {
    data.places.push(body.positions[i], body.positions[i + 1], body.positions[i + 2]);
    data.tones.push(tone(body.normals.slice(i, i + 3)));
    data.kinds.push(visible ? 0 : 1);
    data.order.push(first + i / 3);
  }
}

function panes(data, { places, normals, sizes, dirt }) {
  dirt.forEach((each, index) => {
    const [x, y, z] = places.slice(index * 3, index * 3 + 3);
    const [nx, ny] = normals.slice(index * 2, index * 2 + 2);
    const [width, height] = sizes.slice(index * 2, index * 2 + 2).map((size) => size / 2);
    const first = data.kinds.length;
    for (const [side, up] of [[-1, -1], [1, -1], [1, 1], [-1, 1]]) {
      data.places.push(x - ny * side * width + nx * OUT_M, y + nx * side * width + ny * OUT_M, z + up * height);
      data.tones.push(1);
      data.kinds.push(PANE + each);
    }
    data.order.push(first, first + 1, first + 2, first, first + 2, first + 3);
  });
}

/** The lines of a scene: [[x, y, z, u, v, w ...] and the name of their colour]. */
export function townLines({ buildings, base }, { size, reach }) {
  const edges = [];
  for (const { outline, ground, roof, faces } of buildings) {
    if (faces?.length) {
      edges.push(...creases(faces));
      continue;
    }
    outline.forEach(([x, y], i) => {
      const [u, v] = outline[(i + 1) % outline.length];
      edges.push(x, y, roof, u, v, roof, x, y, ground, x, y, roof);
    });
  }
  return [['grid', grid(size, reach, base)], ['edge', edges], ['accent', pad(base)]];
}

/** A grid that can be read at the size that is framed: some lines across it, and not many beyond. */
function grid(size, reach, [x, y]) {
  const step = [5, 10, 20, 50, 100, 200, 500, 1000].find((each) => size / each < 14) || 1000;
  const far = Math.min(Math.ceil(reach / step), GRID_LINES / 2) * step;
  const [east, north] = [Math.round(x / step) * step, Math.round(y / step) * step];
  const lines = [];
  for (let at = -far; at <= far; at += step) lines.push(east + at, north - far, 0, east + at, north + far, 0, east - far, north + at, 0, east + far, north + at, 0);
  return lines;
}

function pad([x, y, z]) {
  const lines = [x, y, z, x, y, z + 5];
  for (const r of [6, 3]) {
    for (let i = 0; i < 24; i += 1) {
      const [a, b] = [(i * Math.PI) / 12, ((i + 1) * Math.PI) / 12];
      lines.push(x + r * Math.cos(a), y + r * Math.sin(a), z + 0.05, x + r * Math.cos(b), y + r * Math.sin(b), z + 0.05);
    }
  }
  return lines;
}
