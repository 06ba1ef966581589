/* Lines in two draws: those that stand still (edges, ground, base), and the trails of all drones in one strip. */
import { arrays, program, refill } from './gl.js';

const LINE = [
  'in vec3 place; in vec4 paint; uniform mat4 view; out vec4 look; void main() { look = paint; gl_Position = view * vec4(place, 1.0); }',
  'in vec4 look; out vec4 colour; void main() { colour = look; }',
];
const AGAIN = 0xffffffff; // the next strip begins (WebGL 2 knows this index without being told)

export class Lines {
  constructor(gl) {
    this.gl = gl;
    this.line = program(gl, ...LINE);
    this.trails = new Map();
    this.upright = { ...arrays(gl, this.line, [['place', 3, []], ['paint', 4, []]], { usage: gl.DYNAMIC_DRAW }), count: 0 };
    this.strip = { ...arrays(gl, this.line, [['place', 3, []], ['paint', 4, []]], { order: [], usage: gl.DYNAMIC_DRAW }), count: 0 };
  }

  /** Set the lines that stand still: [[colour name, places]]. */
  set(groups, tints) {
    this.groups = groups;
    this.still = { ...arrays(this.gl, this.line, [['place', 3, groups.flatMap((each) => each[1])], ['paint', 4, this.paints(tints)]]), count: groups.reduce((sum, each) => sum + each[1].length / 3, 0) };
  }

  recolour(tints) {
    if (this.still) refill(this.gl, this.still.buffers.paint, new Float32Array(this.paints(tints)));
  }

  paints(tints) {
    return this.groups.flatMap(([name, places]) => Array.from({ length: places.length / 3 }, () => [...tints[name], 1]).flat());
  }

  /** Lines from drones down to what is below them; renewed with every picture. */
  stems(below, tint) {
    this.upright.count = below.length * 2;
    if (!below.length) return;
    refill(this.gl, this.upright.buffers.place, new Float32Array(below.flatMap(({ x, y, z, ground }) => [x, y, z, x, y, ground])));
    refill(this.gl, this.upright.buffers.paint, new Float32Array(below.flatMap(() => [...tint, 0.9, ...tint, 0.9])));
  }

  setTrail(name, places, tint, paints = null) {
    this.trails.set(name, { places, tint, paints });
    this.stale = true;
  }

  keepTrails(names) {
    for (const name of this.trails.keys()) if (!names.has(name)) { this.trails.delete(name); this.stale = true; }
  }

  /** Join the trails into one strip, each faded towards its begin. */
  join() {
    this.stale = false;
    const total = [...this.trails.values()].reduce((sum, each) => sum + each.places.length / 3, 0);
    const places = new Float32Array(total * 3);
    const paints = new Float32Array(total * 4);
    const order = new Uint32Array(total + this.trails.size);
    let at = 0;
    let next = 0;
    for (const trail of this.trails.values()) {
      places.set(trail.places, at * 3);
      const count = trail.places.length / 3;
      for (let i = 0; i < count; i += 1, at += 1) {
        paints.set(trail.paints ? trail.paints.slice(i * 3, i * 3 + 3) : trail.tint, at * 4);
        paints[at * 4 + 3] = trail.paints ? 0.95 : 0.12 + 0.88 * (i / count);
        order[next] = at;
        next += 1;
      }
      order[next] = AGAIN;
      next += 1;
    }
    refill(this.gl, this.strip.buffers.place, places);
    refill(this.gl, this.strip.buffers.paint, paints);
    this.gl.bindVertexArray(this.strip.vao);
    this.gl.bufferData(this.gl.ELEMENT_ARRAY_BUFFER, order, this.gl.DYNAMIC_DRAW);
    this.strip.count = next;
  }

  draw(view, trails) {
    const { gl } = this;
    gl.useProgram(this.line.made);
    gl.uniformMatrix4fv(this.line.uniforms.view, false, view);
    if (this.still) {
      gl.bindVertexArray(this.still.vao);
      gl.drawArrays(gl.LINES, 0, this.still.count);
    }
    if (this.upright.count) {
      gl.bindVertexArray(this.upright.vao);
      gl.drawArrays(gl.LINES, 0, this.upright.count);
    }
    if (!trails) return;
    if (this.stale) this.join();
    if (!this.strip.count) return;
    gl.bindVertexArray(this.strip.vao);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawElements(gl.LINE_STRIP, this.strip.count, gl.UNSIGNED_INT, 0);
    gl.disable(gl.BLEND);
  }
}
