/* The picture: ground, buildings, their windows from dirty to clean, drones and trails, with a depth buffer (WebGL 2).

   Static things go to the graphics card once; for each frame only the places of drones and the newest pieces of trails
   do, and the dirt of windows when one was cleaned. */
import { colour } from '../app/dom.js';
import { arrays, program, refill } from './gl.js';
import { outline, radius, raise } from './shapes.js';

const SOLID = [
  `in vec3 place; in vec3 normal; in vec4 spot; in vec4 look; uniform mat4 view; uniform float fixedSize; uniform float metresPerPixel; uniform vec3 eye; out vec3 shade;
   void main() {
     float far = fixedSize > 0.0 ? distance(eye, spot.xyz) * fixedSize : metresPerPixel;
     float size = max(look.w, 7.0 * far);
     float c = cos(spot.w), s = sin(spot.w);
     vec3 p = place * size; vec3 q = vec3(c * p.x - s * p.y, s * p.x + c * p.y, p.z);
     vec3 n = vec3(c * normal.x - s * normal.y, s * normal.x + c * normal.y, normal.z);
     float light = 0.62 + 0.38 * max(0.0, dot(n, normalize(vec3(0.35, -0.5, 0.8))));
     shade = look.rgb * light; gl_Position = view * vec4(spot.xyz + q, 1.0);
   }`,
  'in vec3 shade; out vec4 colour; void main() { colour = vec4(shade, 1.0); }',
];
const WALL = [
  `in vec3 place; in vec3 normal; in float kind; uniform mat4 view; uniform vec3 wall; uniform vec3 unseen; out vec3 shade;
   void main() { float light = 0.66 + 0.34 * max(0.0, dot(normal, normalize(vec3(0.35, -0.5, 0.8)))); shade = (kind > 0.5 ? unseen : wall) * light; gl_Position = view * vec4(place, 1.0); }`,
  'in vec3 shade; out vec4 colour; void main() { colour = vec4(shade, 1.0); }',
];
const PANE = [
  `in vec2 corner; in vec3 place; in vec2 normal; in vec2 size; in float dirt; uniform mat4 view; uniform vec3 clean; uniform vec3 dirty; out vec3 shade;
   void main() {
     vec3 side = vec3(-normal.y, normal.x, 0.0);
     vec3 p = place + side * corner.x * size.x * 0.5 + vec3(0.0, 0.0, corner.y * size.y * 0.5) + vec3(normal, 0.0) * 0.12;
     shade = mix(clean, dirty, clamp(dirt, 0.0, 1.0)); gl_Position = view * vec4(p, 1.0);
   }`,
  'in vec3 shade; out vec4 colour; void main() { colour = vec4(shade, 1.0); }',
];
const LINE = [
  'in vec3 place; in float alpha; uniform mat4 view; out float strength; void main() { strength = alpha; gl_Position = view * vec4(place, 1.0); }',
  'in float strength; uniform vec3 tint; out vec4 colour; void main() { colour = vec4(tint, strength); }',
];
const CORNERS = [-1, -1, 1, -1, 1, 1, -1, -1, 1, 1, -1, 1];

export class Scene {
  /** Raises: when the browser gives no WebGL 2; the player then draws flat. */
  constructor(canvas) {
    const gl = canvas.getContext('webgl2', { antialias: true, alpha: false, preserveDrawingBuffer: false });
    if (!gl) throw new Error('no WebGL 2');
    this.gl = gl;
    this.canvas = canvas;
    this.solid = program(gl, ...SOLID);
    this.wall = program(gl, ...WALL);
    this.pane = program(gl, ...PANE);
    this.line = program(gl, ...LINE);
    this.bodies = new Map();
    this.trails = new Map();
    this.recolour();
  }

  recolour() {
    this.tints = Object.fromEntries(['sky', 'land', 'grid', 'wall', 'wall-hidden', 'edge', 'clean', 'dirty', 'accent'].map((name) => [name, colour(name)]));
  }

  build({ buildings, windows, base, low, high }) {
    const { gl } = this;
    const solid = { positions: [], normals: [], kinds: [] };
    const edges = [];
    for (const each of buildings) {
      const body = raise(each.outline, each.ground, each.roof);
      solid.positions.push(...body.positions);
      solid.normals.push(...body.normals);
      for (let i = 0; i < body.positions.length / 3; i += 1) solid.kinds.push(each.visible ? 0 : 1);
      each.outline.forEach(([x, y], i) => {
        const [u, v] = each.outline[(i + 1) % each.outline.length];
        edges.push(x, y, each.roof, u, v, each.roof, x, y, each.ground, x, y, each.roof);
      });
    }
    this.walls = { ...arrays(gl, this.wall, [['place', 3, solid.positions], ['normal', 3, solid.normals], ['kind', 1, solid.kinds]]), count: solid.kinds.length };
    this.edges = this.lines(edges);
    this.ground(low, high, base);
    this.panes = { ...arrays(gl, this.pane, [['corner', 2, CORNERS], ['place', 3, windows.places, 1], ['normal', 2, windows.normals, 1], ['size', 2, windows.sizes, 1], ['dirt', 1, windows.dirt, 1]]), count: windows.dirt.length };
  }

  ground(low, high, base) {
    const reach = Math.ceil((Math.max(...high.slice(0, 2).map(Math.abs), ...low.slice(0, 2).map(Math.abs)) + 30) / 20) * 20;
    const step = reach > 400 ? 100 : 20;
    const lines = [];
    for (let at = -reach; at <= reach; at += step) lines.push(at, -reach, 0, at, reach, 0, -reach, at, 0, reach, at, 0);
    this.gridLines = this.lines(lines);
    const [x, y, z] = base;
    const pad = [];
    for (const r of [6, 3]) {
      for (let i = 0; i < 24; i += 1) {
        const a = (i * Math.PI) / 12;
        const b = ((i + 1) * Math.PI) / 12;
        pad.push(x + r * Math.cos(a), y + r * Math.sin(a), z + 0.05, x + r * Math.cos(b), y + r * Math.sin(b), z + 0.05);
      }
    }
    pad.push(x, y, z, x, y, z + 5);
    this.pad = this.lines(pad);
  }

  lines(places) {
    return { ...arrays(this.gl, this.line, [['place', 3, places], ['alpha', 1, new Array(places.length / 3).fill(1)]]), count: places.length / 3 };
  }

  setDirt(dirt) {
    if (this.panes) refill(this.gl, this.panes.buffers.dirt, dirt);
  }

  /** Set the trail of one drone: places one behind the other, faded towards its begin. */
  setTrail(name, places, tint) {
    const { gl } = this;
    let trail = this.trails.get(name);
    if (!trail) { trail = arrays(gl, this.line, [['place', 3, []], ['alpha', 1, []]], gl.DYNAMIC_DRAW); this.trails.set(name, trail); }
    const count = places.length / 3;
    const alpha = new Float32Array(count);
    for (let i = 0; i < count; i += 1) alpha[i] = 0.12 + 0.88 * (i / count);
    refill(gl, trail.buffers.place, places);
    refill(gl, trail.buffers.alpha, alpha);
    Object.assign(trail, { count, tint });
  }

  keepTrails(names) {
    for (const name of this.trails.keys()) if (!names.has(name)) this.trails.delete(name);
  }

  /** Draw one view into a part of the canvas: [x, y, width, height] in device pixels from the lower left. */
  draw(camera, [x, y, width, height], drones, { trails = true } = {}) {
    const { gl } = this;
    const view = camera.matrix(width, height);
    gl.enable(gl.SCISSOR_TEST);
    gl.viewport(x, y, width, height);
    gl.scissor(x, y, width, height);
    gl.clearColor(...(camera.kind === 'top' ? this.tints.land : this.tints.sky), 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.enable(gl.POLYGON_OFFSET_FILL);
    gl.polygonOffset(1, 1);
    this.drawWalls(view);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    this.drawLines(view, [[this.gridLines, this.tints.grid], [this.edges, this.tints.edge], [this.pad, this.tints.accent]]);
    if (trails) this.drawLines(view, [...this.trails.values()].map((trail) => [trail, trail.tint, gl.LINE_STRIP]));
    this.drawDrones(view, camera, height, drones);
    return view;
  }

  drawWalls(view) {
    const { gl, tints } = this;
    gl.useProgram(this.wall.made);
    gl.uniformMatrix4fv(this.wall.uniforms.view, false, view);
    gl.uniform3fv(this.wall.uniforms.wall, tints.wall);
    gl.uniform3fv(this.wall.uniforms.unseen, tints['wall-hidden']);
    gl.bindVertexArray(this.walls.vao);
    gl.drawArrays(gl.TRIANGLES, 0, this.walls.count);
    if (!this.panes.count) return;
    gl.useProgram(this.pane.made);
    gl.uniformMatrix4fv(this.pane.uniforms.view, false, view);
    gl.uniform3fv(this.pane.uniforms.clean, tints.clean);
    gl.uniform3fv(this.pane.uniforms.dirty, tints.dirty);
    gl.bindVertexArray(this.panes.vao);
    gl.drawArraysInstanced(gl.TRIANGLES, 0, 6, this.panes.count);
  }

  drawLines(view, list) {
    const { gl } = this;
    gl.useProgram(this.line.made);
    gl.uniformMatrix4fv(this.line.uniforms.view, false, view);
    for (const [lines, tint, mode = gl.LINES] of list) {
      if (!lines.count) continue;
      gl.uniform3fv(this.line.uniforms.tint, tint);
      gl.bindVertexArray(lines.vao);
      gl.drawArrays(mode, 0, lines.count);
    }
  }

  drawDrones(view, camera, height, drones) {
    const { gl } = this;
    gl.useProgram(this.solid.made);
    gl.uniformMatrix4fv(this.solid.uniforms.view, false, view);
    const perspective = camera.kind === '3d';
    gl.uniform1f(this.solid.uniforms.fixedSize, perspective ? camera.scale(height) / camera.distance : 0);
    gl.uniform1f(this.solid.uniforms.metresPerPixel, camera.scale(height));
    gl.uniform3fv(this.solid.uniforms.eye, camera.eye());
    const kinds = new Map();
    for (const each of drones) kinds.set(each.kind, [...(kinds.get(each.kind) || []), each]);
    for (const [kind, members] of kinds) {
      const body = this.body(kind);
      const spots = new Float32Array(members.flatMap((each) => [each.x, each.y, each.z, each.yaw]));
      const looks = new Float32Array(members.flatMap((each) => [...each.tint, radius(kind)]));
      refill(gl, body.buffers.spot, spots);
      refill(gl, body.buffers.look, looks);
      gl.bindVertexArray(body.vao);
      gl.drawArraysInstanced(gl.TRIANGLES, 0, body.count, members.length);
    }
  }

  body(kind) {
    if (!this.bodies.has(kind)) {
      const mesh = raise(outline(kind), -0.14, 0.22);
      const made = arrays(this.gl, this.solid, [['place', 3, mesh.positions], ['normal', 3, mesh.normals], ['spot', 4, [], 1], ['look', 4, [], 1]]);
      this.bodies.set(kind, { ...made, count: mesh.positions.length / 3 });
    }
    return this.bodies.get(kind);
  }
}
