/* The picture with a depth buffer (WebGL 2): a town that stands still, lines, and the drones.

   Static things go to the graphics card once; for each frame only the places of the drones do, five times a second the
   trails, and the dirt of windows when one was cleaned. A frame is six draws at most and one for each kind of drone. */
import { colour } from '../app/dom.js';
import { arrays, context, program, refill } from './gl.js';
import { USES } from './ground.js';
import { Lines } from './lines.js';
import { DISC, outline, radius, raise } from './shapes.js';
import { Town, townLines } from './town.js';

const SOLID = [
  `in vec3 place; in vec3 normal; in vec4 spot; in vec2 tilt; in vec4 look; uniform mat4 view; uniform float fixedSize; uniform float metresPerPixel; uniform float least; uniform vec3 eye; out vec3 shade;
   vec3 turned(vec3 p) { /* roll about x, pitch about y, yaw about z: nose towards +x, left +y, up +z */
     float a = cos(tilt.x), b = sin(tilt.x), c = cos(tilt.y), d = sin(tilt.y), e = cos(spot.w), f = sin(spot.w);
     p = vec3(p.x, a * p.y - b * p.z, b * p.y + a * p.z);
     p = vec3(c * p.x + d * p.z, p.y, c * p.z - d * p.x);
     return vec3(e * p.x - f * p.y, f * p.x + e * p.y, p.z);
   }
   void main() {
     float far = fixedSize > 0.0 ? distance(eye, spot.xyz) * fixedSize : metresPerPixel;
     float size = max(look.w, least * far);
     vec3 q = turned(place * size); vec3 n = turned(normal);
     float light = 0.62 + 0.38 * max(0.0, dot(n, normalize(vec3(0.35, -0.5, 0.8))));
     shade = look.rgb * light; gl_Position = view * vec4(spot.xyz + q, 1.0);
   }`,
  'in vec3 shade; out vec4 colour; void main() { colour = vec4(shade, 1.0); }',
];
const MARK = 'mark below a drone';
const MARK_M = 0.08; // above the ground, or both would flicker
const LEAST_PIXELS = 7; // of a drone's radius: one far away is still seen

export class Scene {
  /** Raises: when the browser gives no WebGL 2; the player then draws flat. */
  constructor(canvas) {
    this.gl = context(canvas);
    this.canvas = canvas;
    this.solid = program(this.gl, ...SOLID);
    this.town = new Town(this.gl);
    this.lines = new Lines(this.gl);
    this.bodies = new Map();
    this.recolour();
  }

  recolour() {
    this.tints = Object.fromEntries(['sky', 'land', 'grid', 'wall', 'wall-hidden', 'edge', 'clean', 'dirty', 'accent', 'shadow', ...USES.map((use) => `use-${use}`)].map((name) => [name, colour(name)]));
    this.lines.recolour(this.tints);
  }

  build(world, extent) {
    this.town.build(world);
    this.lines.set(townLines(world, extent), this.tints);
  }

  setShadows(on) { this.town.shadows = on; }
  setDirt(dirt) { this.town.setDirt(dirt); }
  setTrail(name, places, tint, paints) { this.lines.setTrail(name, places, tint, paints); }
  keepTrails(names) { this.lines.keepTrails(names); }

  /** What shows between several views. */
  wipe() {
    this.gl.disable(this.gl.SCISSOR_TEST);
    this.gl.clearColor(...this.tints.edge, 1);
    this.gl.clear(this.gl.COLOR_BUFFER_BIT);
  }

  /** Draw one view into a part of the canvas: [x, y, width, height] in device pixels from the lower left. */
  draw(camera, [x, y, width, height], drones, { trails = true, dot = 1, below = [] } = {}) {
    const { gl } = this;
    const view = camera.matrix(width, height);
    gl.enable(gl.SCISSOR_TEST);
    gl.viewport(x, y, width, height);
    gl.scissor(x, y, width, height);
    gl.clearColor(...(camera.kind === 'top' ? this.tints.land : this.tints.sky), 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    this.town.draw(view, this.tints, camera);
    if (below.length) this.drawDrones(view, camera, height, below.map((each) => ({ kind: MARK, x: each.x, y: each.y, z: each.ground + MARK_M, yaw: 0, tint: this.tints.edge })), dot * 0.6);
    this.drawDrones(view, camera, height, drones, dot);
    this.lines.stems(below, this.tints.edge);
    this.lines.draw(view, trails);
    return view;
  }

  drawDrones(view, camera, height, drones, dot) {
    const { gl } = this;
    gl.useProgram(this.solid.made);
    gl.uniformMatrix4fv(this.solid.uniforms.view, false, view);
    const perspective = camera.kind === '3d';
    gl.uniform1f(this.solid.uniforms.fixedSize, perspective ? camera.scale(height) / camera.distance : 0);
    gl.uniform1f(this.solid.uniforms.metresPerPixel, camera.scale(height));
    gl.uniform1f(this.solid.uniforms.least, LEAST_PIXELS * dot);
    gl.uniform3fv(this.solid.uniforms.eye, camera.eye());
    const kinds = new Map();
    for (const each of drones) kinds.set(each.kind, [...(kinds.get(each.kind) || []), each]);
    for (const [kind, members] of kinds) {
      const body = this.body(kind);
      const spots = new Float32Array(members.flatMap((each) => [each.x, each.y, each.z, each.yaw]));
      refill(gl, body.buffers.tilt, new Float32Array(members.flatMap((each) => [each.roll || 0, each.pitch || 0])));
      const looks = new Float32Array(members.flatMap((each) => [...each.tint, radius(kind)]));
      refill(gl, body.buffers.spot, spots);
      refill(gl, body.buffers.look, looks);
      gl.bindVertexArray(body.vao);
      gl.drawArraysInstanced(gl.TRIANGLES, 0, body.count, members.length);
    }
  }

  body(kind) {
    if (!this.bodies.has(kind)) {
      const mesh = kind === MARK ? raise(DISC, 0, 0.01) : raise(outline(kind), -0.14, 0.22);
      const made = arrays(this.gl, this.solid, [['place', 3, mesh.positions], ['normal', 3, mesh.normals], ['spot', 4, [], 1], ['tilt', 2, [], 1], ['look', 4, [], 1]]);
      this.bodies.set(kind, { ...made, count: mesh.positions.length / 3 });
    }
    return this.bodies.get(kind);
  }
}
