/* The stage: canvases, cameras and the mouse. Drag turns, Shift or the right button moves, the wheel zooms. */
import { el } from '../app/dom.js';
import { Camera } from './camera.js';
import { FlatScene } from './flat.js';
import { Ground } from './ground.js';
import { Labels } from './labels.js';
import { Scene } from './scene.js';

const MOST_HEIGHTS = 24; // drones: more lines than these hide what they should show
const FOUR = ['3d', 'top', 'front', 'side'];

export class Stage {
  constructor({ onPick = () => {}, onGround = null, onChange = () => {}, plain = false }) {
    this.act = { onPick, onGround, onChange };
    this.canvas = el('canvas', { role: 'img', 'aria-label': 'The flight, drawn' });
    this.labels = new Labels();
    this.node = el('div.stage.empty', {}, this.canvas, this.labels.canvas);
    try {
      this.scene = plain ? new FlatScene(this.canvas) : new Scene(this.canvas);
    } catch {
      const fresh = el('canvas', { role: 'img', 'aria-label': 'The flight, drawn' });
      this.canvas.replaceWith(fresh);
      this.canvas = fresh;
      this.scene = new FlatScene(this.canvas);
      this.flat = true;
    }
    this.cameras = Object.fromEntries(FOUR.map((kind) => [kind, new Camera(kind)]));
    this.share = 1;
    this.setView('3d');
    this.node.addEventListener('pointerdown', (event) => this.grab(event));
    this.node.addEventListener('contextmenu', (event) => event.preventDefault());
    this.node.addEventListener('wheel', (event) => { event.preventDefault(); this.touched = true; this.under(event).camera.zoom(Math.exp(event.deltaY * 0.0012)); this.act.onChange(); }, { passive: false });
    this.watch = new ResizeObserver(() => { this.resize(); this.act.onChange(); });
    this.watch.observe(this.node);
    this.drawn = [];
    this.fingers = new Map();
  }

  /** Take in a world, and frame what is worth seeing of it unless somebody has chosen another view meanwhile. */
  build(world, seen) {
    this.ground = new Ground(world);
    this.scene.build(world, seen);
    this.frame(seen);
  }

  frame(seen) {
    if (this.touched) return;
    for (const camera of Object.values(this.cameras)) camera.frame(seen, this.node.clientWidth || 16, this.node.clientHeight || 9);
    this.act.onChange();
  }

  setView(view) { this.view = view; this.kinds = view === 'all' ? FOUR : [view]; this.act.onChange(); }
  reset() { for (const camera of Object.values(this.cameras)) camera.reset(); this.act.onChange(); }
  lookAt(place, first = null) { this.cameras['3d'].first = first; for (const camera of Object.values(this.cameras)) camera.target = [...place]; }

  resize() {
    this.ratio = Math.min(2, devicePixelRatio || 1);
    this.labels.ratio = this.ratio;
    size(this.labels.canvas, this.node, this.ratio);
    size(this.canvas, this.node, this.ratio * this.share);
  }

  /** Draw the picture with this share of the pixels (of a side); names stay sharp. */
  sharpen(share) {
    if (share === this.share) return;
    this.share = share;
    this.resize();
    this.act.onChange();
  }

  /** The parts of the stage: [camera, x, y, width, height] in device pixels, from the lower left. */
  parts() {
    const { width, height } = this.labels.canvas;
    if (this.kinds.length === 1) return [[this.cameras[this.kinds[0]], 0, 0, width, height]];
    const w = width >> 1;
    const h = height >> 1;
    return FOUR.map((kind, i) => [this.cameras[kind], (i % 2) * w, (i < 2 ? 1 : 0) * h, w - 1, h - 1]);
  }

  draw(drones, options) {
    this.node.classList.remove('empty');
    const fine = this.canvas.width / this.labels.canvas.width;
    const dot = this.ratio * this.share;
    const seen = [...drones.filter((each) => each.id !== options.hidden), ...(options.ghosts || [])];
    const below = seen.length > MOST_HEIGHTS || this.cameras['3d'].first || !this.kinds.some((kind) => kind === '3d' || kind === 'all') ? [] : this.ground?.below(seen) || [];
    if (this.kinds.length > 1) this.scene.wipe?.();
    this.drawn = this.parts().map(([camera, ...part]) => ({ camera, part, view: this.scene.draw(camera, part.map((each) => Math.round(each * fine)), seen, { ...options, dot, below: camera.kind === '3d' ? below : [] }) }));
    this.labels.write(this.drawn, drones.filter((each) => each.id !== options.hidden), options);
  }

  under(event) {
    const box = this.node.getBoundingClientRect();
    const px = (event.clientX - box.left) * this.ratio;
    const py = (event.clientY - box.top) * this.ratio;
    const up = this.labels.canvas.height - py;
    const found = this.parts().find(([, x, y, w, h]) => px >= x && px <= x + w && up >= y && up <= y + h) || this.parts()[0];
    const [camera, x, y, w, h] = found;
    return { camera, px, py, width: w, height: h, inX: px - x, inY: py - (this.labels.canvas.height - y - h) };
  }

  grab(event) {
    if (event.target.closest('button, .menu')) return; // a captured pointer would take the click away from it
    const start = this.under(event);
    this.fingers.set(event.pointerId, event);
    if (this.fingers.size === 2) { this.pinch(start); return; }
    let moved = 0;
    const turn = start.camera.kind === '3d' && event.button === 0 && !event.shiftKey;
    this.node.setPointerCapture(event.pointerId);
    const move = (each) => {
      if (this.fingers.size > 1 || each.pointerId !== event.pointerId) return;
      moved += Math.abs(each.movementX) + Math.abs(each.movementY);
      if (turn) start.camera.turn(each.movementX, each.movementY);
      else start.camera.pan(each.movementX * this.ratio, each.movementY * this.ratio, start.height);
      this.touched = true;
      this.act.onChange();
    };
    this.node.addEventListener('pointermove', move);
    const end = (each) => {
      if (each.pointerId !== event.pointerId) return;
      for (const name of ['pointerup', 'pointercancel']) this.node.removeEventListener(name, end);
      this.node.removeEventListener('pointermove', move);
      this.fingers.delete(event.pointerId);
      if (moved < 4 && each.type === 'pointerup' && !this.pinched) this.click(start);
      if (!this.fingers.size) this.pinched = false;
    };
    for (const name of ['pointerup', 'pointercancel']) this.node.addEventListener(name, end);
  }

  /** Two fingers zoom and move the picture. */
  pinch({ camera, height }) {
    this.pinched = true;
    const state = () => { const [a, b] = [...this.fingers.values()]; return { x: (a.clientX + b.clientX) / 2, y: (a.clientY + b.clientY) / 2, far: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1 }; };
    let before = state();
    const move = (event) => {
      if (!this.fingers.has(event.pointerId) || this.fingers.size !== 2) return;
      this.fingers.set(event.pointerId, event);
      const now = state();
      camera.zoom(before.far / now.far);
      camera.pan((now.x - before.x) * this.ratio, (now.y - before.y) * this.ratio, height);
      before = now;
      this.touched = true;
      this.act.onChange();
    };
    const end = (event) => {
      if (!this.fingers.delete(event.pointerId)) return;
      this.node.removeEventListener('pointermove', move);
      for (const name of ['pointerup', 'pointercancel']) this.node.removeEventListener(name, end);
      if (!this.fingers.size) this.pinched = false;
    };
    this.node.addEventListener('pointermove', move);
    for (const name of ['pointerup', 'pointercancel']) this.node.addEventListener(name, end);
  }

  click({ camera, px, py, inX, inY, width, height }) {
    if (this.act.onGround && camera.kind === 'top' && this.act.onGround(camera.ground(inX, inY, width, height))) return;
    const best = this.near(px, py);
    if (this.onMeasure) {
      const drone = best && this.shown.find((each) => each.id === best.id);
      const place = drone ? [drone.x, drone.y, drone.z] : camera.place(inX, inY, width, height, this.level || 0);
      if (place) this.onMeasure({ id: drone?.id || null, place });
      return;
    }
    this.act.onPick(best?.id || null);
  }

  /** The drone under a pixel. */
  near(px, py) {
    let best = null;
    for (const { view, part } of this.drawn) {
      for (const each of this.shown || []) {
        const spot = this.labels.spot(view, part, each);
        const far = spot ? Math.hypot(spot[0] - px, spot[1] - py) : Infinity;
        if (far < 18 * this.ratio && (!best || far < best.far)) best = { far, id: each.id };
      }
    }
    return best;
  }

  close() {
    this.watch.disconnect();
    this.scene.gl?.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

function size(canvas, { clientWidth, clientHeight }, ratio) {
  const [width, height] = [clientWidth, clientHeight].map((each) => Math.max(1, Math.round(each * ratio)));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
