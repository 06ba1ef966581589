/* Where the viewer is: an orbit in perspective, or straight from above, the front (south) and the side (east). */
import { lookAt, multiply, orthographic, perspective } from './math.js';

export const VIEWS = { '3d': '3D', top: 'Top', front: 'Front', side: 'Side', all: 'All four' };
const FOV = 0.8;
const FIRST_FOV = 1.15;
const EYE_M = 0.25; // above the drone's middle
const DOWN = 0.12; // a little downwards, as cameras of drones look
const ROOM = 1.1; // what is framed does not touch the edge
const BAR_PX = 40; // the buttons over the picture cover that much of its top
const MOST_ROOM = 1.25;

export class Camera {
  constructor(kind) {
    this.kind = kind;
    this.target = [0, 0, 10];
    this.yaw = -2.2;
    this.pitch = 0.5;
    this.distance = 150;
  }

  /** Show all corners of an extent, as large as they fit into a picture of so many pixels. */
  frame({ corners, low, high }, width, height) {
    this.target = low.map((each, axis) => (each + high[axis]) / 2);
    if (this.kind === '3d') for (let round = 0; round < 6; round += 1) this.fit(corners, width / height, Math.min(MOST_ROOM, ROOM * (height / Math.max(1, height - 2 * BAR_PX))));
    else {
      const [right, up] = this.axes().map((axis) => axis.findIndex((each) => each > 0));
      this.distance = Math.max(5, Math.max(high[up] - low[up], ((high[right] - low[right]) * height) / width) * ROOM);
    }
    this.home = { target: [...this.target], distance: this.distance, yaw: this.yaw, pitch: this.pitch };
  }

  /** Go as near as shows all corners with room above and below, and to the middle of what is then seen. */
  fit(corners, aspect, room) {
    const [right, up] = this.axes();
    const back = [Math.cos(this.pitch) * Math.cos(this.yaw), Math.cos(this.pitch) * Math.sin(this.yaw), Math.sin(this.pitch)];
    const seen = corners.map((each) => { const v = each.map((value, axis) => value - this.target[axis]); return [right, up, back].map((axis) => v[0] * axis[0] + v[1] * axis[1] + v[2] * axis[2]); });
    const tan = Math.tan(FOV / 2) / ROOM;
    const up_tan = Math.tan(FOV / 2) / room;
    this.distance = Math.max(5, ...seen.map(([x, y, z]) => z + Math.max(Math.abs(x) / (tan * aspect), Math.abs(y) / up_tan)));
    for (const [axis, direction] of [[0, right], [1, up]]) {
      const shares = seen.map((each) => each[axis] / (this.distance - each[2]));
      const shift = ((Math.min(...shares) + Math.max(...shares)) / 2) * this.distance;
      direction.forEach((each, at) => { this.target[at] += each * shift; });
    }
  }

  reset() { if (this.home) Object.assign(this, { ...this.home, target: [...this.home.target] }); }

  turn(dx, dy) {
    this.yaw -= dx * 0.008;
    this.pitch = Math.min(1.55, Math.max(-0.1, this.pitch + dy * 0.008));
  }

  zoom(factor) { this.distance = Math.min(5000, Math.max(4, this.distance * factor)); }

  /** Move by pixels of the picture. */
  pan(dx, dy, height) {
    const step = this.scale(height);
    const [right, up] = this.axes();
    for (let axis = 0; axis < 3; axis += 1) this.target[axis] -= (right[axis] * dx - up[axis] * dy) * step;
  }

  /** Metres for each pixel at the target. */
  scale(height) {
    return this.kind === '3d' ? (2 * Math.tan(FOV / 2) * this.distance) / height : this.distance / height;
  }

  axes() {
    if (this.kind === 'top') return [[1, 0, 0], [0, 1, 0]];
    if (this.kind === 'front') return [[1, 0, 0], [0, 0, 1]];
    if (this.kind === 'side') return [[0, 1, 0], [0, 0, 1]];
    const s = Math.sin(this.yaw);
    const c = Math.cos(this.yaw);
    return [[-s, c, 0], [-c * Math.sin(this.pitch), -s * Math.sin(this.pitch), Math.cos(this.pitch)]];
  }

  eye() {
    if (this.first && this.kind === '3d') return [this.first.x, this.first.y, this.first.z + EYE_M];
    const [x, y, z] = this.target;
    if (this.kind === 'top') return [x, y, z + 2000];
    if (this.kind === 'front') return [x, y - 2000, z];
    if (this.kind === 'side') return [x + 2000, y, z];
    const flat = Math.cos(this.pitch) * this.distance;
    return [x + flat * Math.cos(this.yaw), y + flat * Math.sin(this.yaw), z + Math.sin(this.pitch) * this.distance];
  }

  matrix(width, height) {
    if (this.first && this.kind === '3d') {
      const [x, y, z] = this.eye();
      const { yaw } = this.first;
      return multiply(perspective(FIRST_FOV, width / height, 0.2, 4000), lookAt([x, y, z], [x + Math.cos(yaw), y + Math.sin(yaw), z - DOWN], [0, 0, 1]));
    }
    const up = this.kind === 'top' ? [0, 1, 0] : [0, 0, 1];
    const view = lookAt(this.eye(), this.target, up);
    if (this.kind === '3d') return multiply(perspective(FOV, width / height, Math.max(0.5, this.distance / 100), this.distance * 6 + 800), view);
    const half = this.distance / 2;
    return multiply(orthographic((half * width) / height, half, 100, 4000), view);
  }

  /** The place that a pixel shows: on a level in 3D and from above, in the plane of the target from the front and side. */
  place(px, py, width, height, level) {
    const step = this.scale(height);
    const [dx, dy] = [(px - width / 2) * step, (height / 2 - py) * step];
    const [right, up] = this.axes();
    const across = this.target.map((each, axis) => each + right[axis] * dx + up[axis] * dy);
    if (this.kind === 'top') return [across[0], across[1], level];
    if (this.kind !== '3d') return across;
    const eye = this.eye();
    const share = (eye[2] - level) / (eye[2] - across[2]);
    return share > 0 && Number.isFinite(share) ? eye.map((each, axis) => each + (across[axis] - each) * share) : null;
  }

  /** The place on a level that a pixel of the top view shows. */
  ground(px, py, width, height) {
    const step = this.scale(height);
    return [this.target[0] + (px - width / 2) * step, this.target[1] - (py - height / 2) * step];
  }
}
