/* What stands still: ground, walls and windows in one buffer, lines in another; four draws for a whole city: the ground,
   the shadows that walls and roofs cast on it, themselves, and the lines.

   A shadow is what it is drawn of, laid down along the light on the level where its building stands; where shadows meet
   they count once (stencil). Ground and shadows are drawn before all else and a little farther from the eye than they
   are (PUSH_M), so that faces that touch do not flicker, and a trail on the ground is seen.

   Every window has its own corners instead of being an instance of one: a software renderer draws instances one by one,
   which cost ten of its twenty milliseconds. Faces turned away from the viewer are culled. */
import { arrays, program, refill } from './gl.js';
import { USES } from './ground.js';
import { raise, triangles } from './shapes.js';

const FACE = [
  `in vec3 place; in float tone; in float kind; in float level; uniform mat4 view; uniform vec3 wall; uniform vec3 unseen; uniform vec3 clean; uniform vec3 dirty; uniform vec3 uses[6]; uniform vec3 shadow; uniform vec3 ray; uniform float laid; uniform vec3 eye; out vec3 shade;
   void main() {
     vec3 plain = kind > 1.5 ? mix(clean, dirty, kind - 2.0) : kind > 0.5 ? unseen : kind > -0.5 ? wall : uses[int(-kind - 0.5)];
     vec3 at = laid > 0.5 ? vec3(place.xy - ray.xy / ray.z * max(0.0, place.z - level), level) : place;
     shade = laid > 0.5 ? shadow : plain * tone; gl_Position = view * vec4(at, 1.0);
     if (kind < -0.5) {
       vec4 behind = view * vec4(at + normalize(at - eye) * level, 1.0);
       if (gl_Position.w > 0.05) gl_Position.z = behind.z / behind.w * gl_Position.w;
     }
   }`,
  'in vec3 shade; uniform float opacity; out vec4 colour; void main() { colour = vec4(shade, opacity); }',
];
export const LIGHT = [0.35, -0.5, 0.8].map((each) => each / Math.hypot(0.35, 0.5, 0.8));
const OUT_M = 0.12; // a pane lies before its wall, or both would flicker
const PANE = 2;
const GRID_LINES = 60;
const PUSH_M = 1.6; // more than a shadow lies below the ground around it
const PUSH_STEP_M = 0.15;
const UNDER_M = 3; // so far below the ground the grid does not show through it
export const SHADOW = 0.5; // how much of the light it takes
const FLAT = 0.995; // of the normals of two faces that look like one

export class Town {
  constructor(gl) {
    this.gl = gl;
    this.face = program(gl, ...FACE);
    this.count = 0;
    this.shadows = true;
  }

  build({ buildings, windows, ground = [] }) {
    const data = { places: [], tones: [], kinds: [], levels: [], order: [] };
    for (const each of ground) patch(data, each);
    this.begin = data.order.length;
    for (const each of buildings) { if (each.faces?.length) surfaces(data, each); else walls(data, each); }
    this.solid = data.order.length - this.begin;
    this.firstPane = data.kinds.length;
    panes(data, windows);
    this.kinds = new Float32Array(data.kinds);
    this.made = arrays(this.gl, this.face, [['place', 3, data.places], ['tone', 1, data.tones], ['kind', 1, data.kinds], ['level', 1, data.levels]], { order: data.order });
    this.count = data.order.length;
  }

  setDirt(dirt) {
    if (!this.made) return;
    dirt.forEach((each, index) => this.kinds.fill(PANE + Math.min(1, Math.max(0, each)), this.firstPane + index * 4, this.firstPane + index * 4 + 4));
    refill(this.gl, this.made.buffers.kind, this.kinds);
  }

  draw(view, tints, camera) {
    if (!this.count) return;
    const { gl } = this;
    const { uniforms } = this.face;
    gl.useProgram(this.face.made);
    gl.uniformMatrix4fv(uniforms.view, false, view);
    gl.uniform3fv(uniforms.eye, camera.eye());
    gl.uniform3fv(uniforms.ray, LIGHT);
    gl.uniform3fv(uniforms.wall, tints.wall);
    gl.uniform3fv(uniforms.unseen, tints['wall-hidden']);
    gl.uniform3fv(uniforms.clean, tints.clean);
    gl.uniform3fv(uniforms.dirty, tints.dirty);
    gl.uniform3fv(uniforms.shadow, tints.shadow);
    gl.uniform3fv(uniforms['uses[0]'], USES.flatMap((use) => tints[`use-${use}`]));
    gl.bindVertexArray(this.made.vao);
    gl.enable(gl.CULL_FACE);
    this.part(0, this.begin);
    if (this.shadows && ['3d', 'top'].includes(camera.kind)) this.cast();
    gl.enable(gl.POLYGON_OFFSET_FILL); // so that the edges lie before the walls
    gl.polygonOffset(1, 1);
    this.part(this.begin, this.count - this.begin);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    gl.disable(gl.CULL_FACE);
  }

  part(from, count, laid = 0) {
    if (!count) return;
    this.gl.uniform1f(this.face.uniforms.laid, laid);
    this.gl.uniform1f(this.face.uniforms.opacity, laid ? SHADOW : 1);
    this.gl.drawElements(this.gl.TRIANGLES, count, this.gl.UNSIGNED_INT, from * 4);
  }

  /** The shadows of walls and roofs; only what faces the light casts one, the rest lies within it. */
  cast() {
    const { gl } = this;
    gl.enable(gl.STENCIL_TEST);
    gl.stencilFunc(gl.EQUAL, 0, 255);
    gl.stencilOp(gl.KEEP, gl.KEEP, gl.INCR);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.depthMask(false);
    this.part(this.begin, this.solid, 1);
    gl.depthMask(true);
    gl.disable(gl.BLEND);
    gl.disable(gl.STENCIL_TEST);
  }
}

/** A face of the ground, seen from above. */
function patch(data, { use, corners }) {
  const normal = newell(corners);
  if (!normal) return;
  const first = data.kinds.length;
  const rank = USES.indexOf(use);
  for (const corner of corners) { data.places.push(...corner); data.tones.push(tone(normal[2] < 0 ? normal.map((each) => -each) : normal)); data.kinds.push(-1 - rank); data.levels.push(PUSH_M + (USES.length - rank) * PUSH_STEP_M); }
  for (const at of triangles(corners)) data.order.push(first + at);
}

const tone = (normal) => 0.66 + 0.34 * Math.max(0, normal[0] * LIGHT[0] + normal[1] * LIGHT[1] + normal[2] * LIGHT[2]);

/** Faces in space, cut into triangles in their own plane; both sides are drawn, since files turn them either way. */
function surfaces(data, { faces, visible, ground }) {
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
      for (const corner of face) { data.places.push(...corner); data.tones.push(tone(normal.map((each) => each * side))); data.kinds.push(visible ? 0 : 1); data.levels.push(ground); }
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
    data.levels.push(ground);
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
      data.levels.push(0);
    }
    data.order.push(first, first + 1, first + 2, first, first + 2, first + 3);
  });
}

/** The lines of a scene: [[x, y, z, u, v, w ...] and the name of their colour]. */
export function townLines({ buildings, base, ground = [] }, { size, reach }) {
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
  const level = ground.reduce((low, { corners }) => corners.reduce((least, corner) => Math.min(least, corner[2]), low), UNDER_M) - UNDER_M;
  return [['grid', grid(size, reach, base, level)], ['edge', edges], ['accent', pad(base)]];
}

/** A grid that can be read at the size that is framed: some lines across it, and not many beyond. */
function grid(size, reach, [x, y], level) {
  const step = [5, 10, 20, 50, 100, 200, 500, 1000].find((each) => size / each < 14) || 1000;
  const far = Math.min(Math.ceil(reach / step), GRID_LINES / 2) * step;
  const [east, north] = [Math.round(x / step) * step, Math.round(y / step) * step];
  const lines = [];
  for (let at = -far; at <= far; at += step) lines.push(east + at, north - far, level, east + at, north + far, level, east - far, north + at, level, east + far, north + at, level);
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
