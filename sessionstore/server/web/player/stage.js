/* The stage: canvases, cameras and the mouse. Drag turns, Shift or the right button moves, the wheel zooms. */
import { css, el } from '../app/dom.js';
import { Camera } from './camera.js';
import { FlatScene } from './flat.js';
import { project } from './math.js';
import { Scene } from './scene.js';

const FOUR = ['3d', 'top', 'front', 'side'];

export class Stage {
  constructor({ onPick = () => {}, onGround = null, onChange = () => {} }) {
    this.act = { onPick, onGround, onChange };
    this.canvas = el('canvas', { role: 'img', 'aria-label': 'The flight, drawn' });
    this.labels = el('canvas.labels', { 'aria-hidden': 'true' });
    this.node = el('div.stage', {}, this.canvas, this.labels);
    try {
      this.scene = new Scene(this.canvas);
    } catch {
      const fresh = el('canvas', { role: 'img', 'aria-label': 'The flight, drawn' });
      this.canvas.replaceWith(fresh);
      this.canvas = fresh;
      this.scene = new FlatScene(this.canvas);
      this.flat = true;
    }
    this.cameras = Object.fromEntries(FOUR.map((kind) => [kind, new Camera(kind)]));
    this.setView('3d');
    this.node.addEventListener('pointerdown', (event) => this.grab(event));
    this.node.addEventListener('contextmenu', (event) => event.preventDefault());
    this.node.addEventListener('wheel', (event) => { event.preventDefault(); this.under(event).camera.zoom(Math.exp(event.deltaY * 0.0012)); this.act.onChange(); }, { passive: false });
    this.watch = new ResizeObserver(() => { this.resize(); this.act.onChange(); });
    this.watch.observe(this.node);
    this.drawn = [];
  }

  build(world) {
    this.scene.build(world);
    for (const camera of Object.values(this.cameras)) camera.frame(world.low, world.high);
  }

  setView(view) { this.view = view; this.kinds = view === 'all' ? FOUR : [view]; this.act.onChange(); }
  reset() { for (const camera of Object.values(this.cameras)) camera.reset(); this.act.onChange(); }
  lookAt(place) { for (const camera of Object.values(this.cameras)) camera.target = [...place]; }

  resize() {
    this.ratio = Math.min(2, devicePixelRatio || 1);
    for (const canvas of [this.canvas, this.labels]) {
      canvas.width = Math.max(1, Math.round(this.node.clientWidth * this.ratio));
      canvas.height = Math.max(1, Math.round(this.node.clientHeight * this.ratio));
    }
  }

  /** The parts of the canvas: [camera, x, y, width, height] in device pixels, from the lower left. */
  parts() {
    const { width, height } = this.canvas;
    if (this.kinds.length === 1) return [[this.cameras[this.kinds[0]], 0, 0, width, height]];
    const w = width >> 1;
    const h = height >> 1;
    return FOUR.map((kind, i) => [this.cameras[kind], (i % 2) * w, (i < 2 ? 1 : 0) * h, w - 1, h - 1]);
  }

  draw(drones, options) {
    this.drawn = this.parts().map(([camera, ...part]) => ({ camera, part, view: this.scene.draw(camera, part, drones, options) }));
    this.write(drones, options);
  }

  write(drones, { chosen, names = true } = {}) {
    const pen = this.labels.getContext('2d');
    pen.clearRect(0, 0, this.labels.width, this.labels.height);
    pen.font = `${12 * this.ratio}px system-ui, sans-serif`;
    pen.lineWidth = 3 * this.ratio;
    pen.strokeStyle = css('sky');
    for (const { view, part } of this.drawn) {
      const taken = [];
      for (const each of [...drones].sort((a, b) => (b.id === chosen) - (a.id === chosen))) {
        if (!names && each.id !== chosen) continue;
        const spot = this.spot(view, part, each);
        if (!spot) continue;
        const text = each.id === chosen && each.battery !== null ? `${each.id}  ${Math.round(each.battery * 100)} %` : each.id;
        const box = [spot[0] + 9 * this.ratio, spot[1] - 8 * this.ratio, pen.measureText(text).width, 14 * this.ratio];
        if (each.id !== chosen && taken.some((other) => overlap(box, other))) continue;
        taken.push(box);
        pen.strokeText(text, box[0], box[1] + 10 * this.ratio);
        pen.fillStyle = each.id === chosen ? css('ink') : css('ink-2');
        pen.fillText(text, box[0], box[1] + 10 * this.ratio);
        if (each.id === chosen) this.ring(pen, spot);
      }
    }
    if (this.kinds.length > 1) this.captions(pen);
  }

  ring(pen, [x, y]) {
    pen.save();
    pen.strokeStyle = css('accent');
    pen.lineWidth = 1.5 * this.ratio;
    pen.beginPath();
    pen.arc(x, y, 11 * this.ratio, 0, 7);
    pen.stroke();
    pen.restore();
  }

  captions(pen) {
    pen.fillStyle = css('ink-2');
    const { width, height } = this.labels;
    const names = ['', 'Top', 'Front (from the south)', 'Side (from the east)'];
    names.forEach((name, i) => pen.fillText(name, (i % 2) * (width / 2) + 8 * this.ratio, (i < 2 ? 0 : height / 2) + 16 * this.ratio));
  }

  /** Where a drone is on the labels, in device pixels from the upper left. */
  spot(view, [x, y, width, height], { x: east, y: north, z: up }) {
    const p = project(view, [east, north, up]);
    if (!p || Math.abs(p[0]) > 1 || Math.abs(p[1]) > 1) return null;
    return [x + ((p[0] + 1) / 2) * width, this.labels.height - y - height + ((1 - p[1]) / 2) * height];
  }

  under(event) {
    const box = this.node.getBoundingClientRect();
    const px = (event.clientX - box.left) * this.ratio;
    const py = (event.clientY - box.top) * this.ratio;
    const up = this.canvas.height - py;
    const found = this.parts().find(([, x, y, w, h]) => px >= x && px <= x + w && up >= y && up <= y + h) || this.parts()[0];
    const [camera, x, y, w, h] = found;
    return { camera, px, py, width: w, height: h, inX: px - x, inY: py - (this.canvas.height - y - h) };
  }

  grab(event) {
    const start = this.under(event);
    let moved = 0;
    const turn = start.camera.kind === '3d' && event.button === 0 && !event.shiftKey;
    this.node.setPointerCapture(event.pointerId);
    const move = (each) => {
      moved += Math.abs(each.movementX) + Math.abs(each.movementY);
      if (turn) start.camera.turn(each.movementX, each.movementY);
      else start.camera.pan(each.movementX * this.ratio, each.movementY * this.ratio, start.height);
      this.act.onChange(true);
    };
    this.node.addEventListener('pointermove', move);
    this.node.addEventListener('pointerup', () => {
      this.node.removeEventListener('pointermove', move);
      if (moved < 4) this.click(start);
    }, { once: true });
  }

  click({ camera, px, py, inX, inY, width, height }) {
    if (this.act.onGround && camera.kind === 'top' && this.act.onGround(camera.ground(inX, inY, width, height))) return;
    let best = null;
    for (const { view, part } of this.drawn) {
      for (const each of this.shown || []) {
        const spot = this.spot(view, part, each);
        const far = spot ? Math.hypot(spot[0] - px, spot[1] - py) : Infinity;
        if (far < 18 * this.ratio && (!best || far < best.far)) best = { far, id: each.id };
      }
    }
    this.act.onPick(best?.id || null);
  }

  close() {
    this.watch.disconnect();
    this.scene.gl?.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

const overlap = (a, b) => a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
