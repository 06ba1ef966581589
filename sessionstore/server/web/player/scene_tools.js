/* What can be done in the scene beyond looking: the camera, colours of trails, measuring, a ghost of another session,
   planned ways, a picture (PNG) and a film (WebM or GIF) of it. */
import { el, fill } from '../app/dom.js';
import { moment } from '../app/format.js';
import { failed, notice } from '../app/notices.js';
import { Tape } from './tape.js';
import { BY, gradient, grey, legend } from './trail_paint.js';

const CAMERAS = { free: 'Free', follow: 'Follow the drone', first: 'First person' };
const LENGTHS = { 60: 'last minute', all: 'whole flight', 0: 'none' };
const FILM = ['video/webm;codecs=vp9', 'video/webm;codecs=vp8', 'video/webm'];
const FRAMES = 30;
const GIF_WIDTH = 640;
const GIF_GAP_S = 0.1;
const GIF_PICTURES = 300; // half a minute: they are kept until the end

export class SceneTools {
  constructor(player, { sourceOf = null, picker = null, stretch = () => null, events = null, asked = {} } = {}) {
    Object.assign(this, { player, sourceOf, stretch, points: [], ghost: null });
    const choice = (label, values, value, act) => { const select = el('select', { on: { change: () => act(select.value) } }, Object.entries(values).map(([key, text]) => el('option', { value: key }, text))); select.value = value; return [select, el('label', {}, label, select)]; };
    const [camera, cameraRow] = choice('Camera', CAMERAS, 'free', (mode) => this.setCamera(mode));
    const [by, byRow] = choice('Colour of trails', BY, BY[asked.trail] ? asked.trail : 'drone', (value) => this.setBy(value));
    const [, lengthRow] = choice('Trails', LENGTHS, '60', (value) => { player.trailLength = value; player.trailAt = 0; player.stale = true; });
    Object.assign(this, { camera, by });
    const toggle = (text, act) => { const button = el('button', { type: 'button', 'aria-pressed': 'false', on: { click: () => { const on = button.getAttribute('aria-pressed') !== 'true'; button.setAttribute('aria-pressed', String(on)); act(on, button); } } }, text); return button; };
    this.rule = toggle('Measure: click two places', (on) => this.measure(on));
    this.planned = events && toggle('Planned ways', (on) => this.setPlanned(on, events));
    this.shadows = toggle('Shadows', (on) => { player.stage.scene.setShadows(on); player.stale = true; });
    this.shadows.setAttribute('aria-pressed', 'true');
    this.film = toggle('Record a film (WebM)', (on) => (on ? this.startFilm() : this.stopFilm()));
    this.gifButton = toggle('Record a GIF', (on) => (on ? this.startGif() : this.stopFilm()));
    const ghost = picker?.('Ghost of the session', asked.ghost || '', (id) => this.setGhost(id), 'name or id');
    this.items = el('div.items.scene-menu', { hidden: true }, cameraRow, byRow, lengthRow, this.rule, this.planned, this.shadows, ghost ? el('label', {}, 'Ghost of', ghost.node) : null, el('button', { type: 'button', on: { click: () => this.picture() } }, 'Save a picture (PNG)'), this.film, this.gifButton);
    const button = el('button', { type: 'button', 'aria-haspopup': 'true', 'aria-expanded': 'false', on: { click: () => { this.items.hidden = !this.items.hidden; button.setAttribute('aria-expanded', String(!this.items.hidden)); } } }, 'Scene ▾');
    this.menu = el('div.menu', {}, button, this.items);
    this.menu.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !this.items.hidden) { event.stopPropagation(); this.items.hidden = true; button.focus(); } });
    this.menu.addEventListener('pointerdown', (event) => event.stopPropagation()); // the stage would turn
    this.menu.addEventListener('wheel', (event) => event.stopPropagation());
    this.close_ = (event) => { if (!this.menu.contains(event.target)) this.items.hidden = true; };
    document.addEventListener('pointerdown', this.close_);
    this.ramp = el('div.trail-legend', { hidden: true });
    this.told = el('div.measured', { hidden: true, role: 'status' });
    this.compass = el('div.compass', { 'aria-hidden': 'true' }, el('span', {}, '↑'), 'N');
    player.views.append(this.menu);
    player.stage.node.append(this.ramp, this.told, this.compass);
    player.tools = this;
    this.setBy(by.value);
    if (asked.ghost && sourceOf) this.setGhost(asked.ghost);
    if (asked.cam === 'first') this.setCamera('first');
  }

  /** What the address keeps. */
  address() { return { trail: this.by.value === 'drone' ? null : this.by.value, ghost: this.ghost?.id || null, cam: this.player.firstPerson ? 'first' : null }; }
  changed() { this.player.stale = true; this.player.onTime(this.player.t, 'view'); }

  setCamera(mode) {
    const { player } = this;
    player.firstPerson = mode === 'first';
    if (mode === 'free') player.follow = null;
    else player.pick(player.chosen || player.drones[0]?.id || null, true);
    if (mode === 'first' && player.stage.view !== '3d') player.setView('3d');
    this.camera.value = mode;
    this.changed();
  }

  setBy(value) { this.by.value = value; this.player.trailBy = value; this.player.trailAt = 0; this.changed(); }

  /** Take in what the trails of a frame were painted by. */
  tellTrails(spread) {
    const by = this.by.value;
    this.ramp.hidden = by === 'drone';
    const key = by === 'drone' ? '' : JSON.stringify(legend(by, { ...spread, moment }));
    if (by === 'drone' || key === this.rampKey) return;
    this.rampKey = key;
    const found = legend(by, { ...spread, moment });
    if (by === 'mode') fill(this.ramp, found.map(([mode, colour]) => { const swatch = el('i', {}); swatch.style.background = colour; return el('span', {}, swatch, mode); }));
    else { const bar = el('i.ramp', {}); bar.style.background = gradient(); fill(this.ramp, `${BY[by]} ${found[0]}`, bar, found[1]); }
  }

  // ------------------------------------------------------------ measuring

  measure(on) {
    this.points = [];
    this.player.stage.onMeasure = on ? (point) => { this.points = this.points.length === 2 ? [point] : [...this.points, point]; this.player.stale = true; } : null;
    this.player.stage.node.classList.toggle('measuring', on);
    this.told.hidden = true;
    this.player.stale = true;
  }

  /** The measured places now: a drone that was clicked is followed. */
  places() { return this.points.map(({ id, place }) => { const drone = id && this.player.state?.find((each) => each.id === id); return drone ? [drone.x, drone.y, drone.z] : place; }); }

  /** Write over the picture, after it was drawn. */
  drawn() {
    const { player } = this;
    const { stage } = player;
    if (!player.follow) player.firstPerson = false;
    this.camera.value = !player.follow ? 'free' : player.firstPerson ? 'first' : 'follow';
    const camera = stage.cameras[stage.view === 'top' ? 'top' : '3d'];
    this.compass.hidden = !['3d', 'top'].includes(stage.view) || Boolean(camera.first);
    this.compass.firstChild.style.transform = `rotate(${stage.view === 'top' ? 0 : Math.atan2(Math.cos(camera.yaw), -Math.sin(camera.yaw) * Math.sin(camera.pitch))}rad)`;
    const places = this.places();
    this.told.hidden = !places.length;
    if (places.length) stage.labels.rule(stage.drawn, places);
    if (places.length === 2) {
      const [a, b] = places;
      const d = b.map((each, axis) => each - a[axis]);
      this.distance = Math.hypot(...d);
      const name = ({ id }, place) => id || `(${place.map((each) => each.toFixed(1)).join(', ')})`;
      this.told.textContent = `${name(this.points[0], a)} – ${name(this.points[1], b)}: ${this.distance.toFixed(2)} m (east ${d[0].toFixed(2)}, north ${d[1].toFixed(2)}, up ${d[2].toFixed(2)})`;
    } else if (places.length) this.told.textContent = 'Click the second place';
    if (this.gif) this.addPicture();
    else if (this.canvas) this.compose();
  }

  // ------------------------------------------------------------ ghost and planned ways

  async setGhost(id) {
    this.ghost?.tape.close();
    this.ghost = null;
    this.player.stage.scene.keepTrails(new Set());
    if (id) {
      try {
        const source = await this.sourceOf(id);
        const tape = new Tape(source, { onData: () => { this.player.stale = true; } });
        await tape.open();
        this.ghost = { id: source.id, tape };
        tape.need(this.player.t, this.player.rate);
      } catch (error) { failed('No ghost', error); }
    }
    this.changed();
  }

  /** The drones of the other session at the moment, in grey. */
  ghosts(t) {
    if (!this.ghost) return [];
    const kinds = new Map(this.player.drones.map(({ id, kind }) => [id, kind]));
    return [...this.ghost.tape.names()].map((id) => ({ id: `ghost ${id}`, name: id, kind: kinds.get(id) || 'drone', tint: grey(), at: this.ghost.tape.at(id, t) })).filter((each) => each.at).map(({ at, ...each }) => ({ ...each, ...at, battery: null, rssi: null }));
  }

  /** Ways that commands and plans name: from where a drone was told to each target. */
  async setPlanned(on, events) {
    if (on && !this.ways) {
      const told = await events().catch((error) => { failed('No planned ways', error); return []; });
      this.ways = told.map((each) => each['='] || each).map((each) => ({ t: each.t, drone: each.drone, path: pathOf(each) })).filter((each) => each.drone && each.path);
      if (!this.ways.length) notice('No planned ways were recorded: commands and events with a target, waypoints or a path have one');
    }
    this.showPlanned = on;
    this.player.stale = true;
  }

  plannedWays(t) {
    if (!this.showPlanned) return [];
    const last = new Map();
    for (const each of this.ways || []) if (each.t <= t) last.set(each.drone, each);
    return [...last.values()].map(({ drone, t: from, path }) => { const at = this.player.tape.at(drone, from); return { drone, places: (at ? [[at.x, at.y, at.z], ...path] : path).flat() }; });
  }

  // ------------------------------------------------------------ picture and film

  compose(canvas = this.canvas) {
    const { stage } = this.player;
    const pen = canvas.getContext('2d');
    pen.drawImage(stage.canvas, 0, 0, canvas.width, canvas.height);
    pen.drawImage(stage.labels.canvas, 0, 0, canvas.width, canvas.height);
    pen.font = `${12 * stage.ratio}px system-ui, sans-serif`;
    pen.fillStyle = getComputedStyle(stage.node).color;
    pen.fillText(moment(this.player.t), 8 * stage.ratio, canvas.height - 8 * stage.ratio);
  }

  sized() {
    const { width, height } = this.player.stage.labels.canvas;
    return el('canvas', { width: width & ~1, height: height & ~1 });
  }

  async picture() {
    this.items.hidden = true;
    const canvas = this.sized();
    this.player.draw(); // what was drawn is only there until the browser shows it
    this.compose(canvas);
    const blob = await new Promise((done) => { canvas.toBlob(done, 'image/png'); });
    save(blob, `${this.name()}.png`);
  }

  /** A picture of WebGL is empty on paper: print what was drawn as an image. */
  printed(on) {
    this.paper?.remove();
    this.paper = null;
    const { stage } = this.player;
    if (!on || !stage.node.clientWidth) return;
    const canvas = this.sized();
    this.player.draw();
    this.compose(canvas);
    this.paper = el('img.paper', { src: canvas.toDataURL('image/png'), alt: 'The flight at the moment' });
    stage.node.append(this.paper);
  }

  name() { return `${this.player.source.id || 'session'}-${this.player.t.toFixed(1)}s`; }

  startFilm() {
    const kind = globalThis.MediaRecorder && FILM.find((each) => MediaRecorder.isTypeSupported(each));
    if (!kind) { failed('No film', new Error('this browser records no WebM')); this.film.setAttribute('aria-pressed', 'false'); return; }
    this.canvas = this.sized();
    const range = this.toStretch();
    const parts = [];
    this.recorder = new MediaRecorder(this.canvas.captureStream(FRAMES), { mimeType: kind, videoBitsPerSecond: 6e6 });
    this.recorder.ondataavailable = ({ data }) => { if (data.size) parts.push(data); };
    const name = this.name();
    this.recorder.onstop = () => { this.canvas = null; save(new Blob(parts, { type: 'video/webm' }), `${name}.webm`); };
    this.recorder.start(500);
    this.roll(range);
  }

  /** Go to where a film begins; it ends with the stretch, or when the player is paused. */
  toStretch() {
    this.items.hidden = true;
    const range = this.stretch();
    if (range) this.player.seek(range[0]);
    this.filmEnd = range ? range[1] : Infinity;
    return range;
  }

  roll(range) {
    this.endNotice = notice(range ? `Recording ${moment(range[0])} to ${moment(range[1])} …` : 'Recording until the player is paused …', { action: 'Stop', act: () => this.stopFilm(), seconds: 3600 });
    if (!this.player.playing) this.player.play();
  }

  /** At most 640 pixels wide, ten pictures a second; its code is loaded now. */
  async startGif() {
    const { Gif } = await import('./gif.js');
    const { width, height } = this.sized();
    const share = Math.min(1, GIF_WIDTH / width);
    this.canvas = el('canvas', { width: Math.round(width * share), height: Math.round(height * share) });
    const range = this.toStretch();
    this.gifName = this.name();
    this.gif = new Gif(this.canvas.width, this.canvas.height);
    this.gifT = -Infinity;
    this.roll(range);
  }

  addPicture() {
    const { player, canvas, gif } = this;
    const gap = (player.t - this.gifT) / player.rate;
    if (Math.abs(gap) < GIF_GAP_S) return;
    if (gif.frames.length) gif.frames.at(-1).delay = Math.round(Math.min(2, Math.abs(gap)) * 100);
    this.compose();
    gif.add(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height), GIF_GAP_S * 100);
    this.gifT = player.t;
    if (gif.frames.length < GIF_PICTURES) return;
    player.pause();
    this.stopFilm();
    notice(`The GIF ends at ${moment(player.t)}: it holds ${GIF_PICTURES} pictures at most`);
  }

  saveGif() {
    const { gif } = this;
    this.gif = null;
    this.canvas = null;
    if (gif?.frames.length) save(new Blob([gif.bytes()], { type: 'image/gif' }), `${this.gifName}.gif`);
  }

  stopFilm() {
    for (const each of [this.film, this.gifButton]) each.setAttribute('aria-pressed', 'false');
    this.endNotice?.();
    if (this.gif) this.saveGif();
    if (this.recorder?.state === 'recording') this.recorder.stop();
    this.recorder = null;
  }

  /** The moment has moved: fetch what the ghost needs, end a film at the end of its stretch. */
  moved(t) {
    this.ghost?.tape.need(t, this.player.rate);
    if ((this.recorder || this.gif) && (t >= this.filmEnd || !this.player.playing)) { this.player.pause(); this.stopFilm(); }
  }

  close() { this.stopFilm(); this.ghost?.tape.close(); document.removeEventListener('pointerdown', this.close_); }
}

const isPlace = (each) => Array.isArray(each) && each.length === 3 && each.every(Number.isFinite);

/** The places that a record says a drone is to fly to. */
function pathOf(record) {
  for (const key of ['path', 'waypoints', 'route', 'plan']) if (Array.isArray(record[key]) && record[key].length && record[key].every(isPlace)) return record[key];
  for (const key of ['target', 'goal', 'goal_m', 'target_m']) if (isPlace(record[key])) return [record[key]];
  return null;
}

function save(blob, name) {
  const link = el('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
