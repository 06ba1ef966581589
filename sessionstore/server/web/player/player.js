/* The player: one for live and replay, since live is replay at the end of the tape.

   It owns the moment. Others (charts, tables) are told by onTime, and move it by seek(). */
import { colour, el, fill, svg } from '../app/dom.js';
import { moment } from '../app/format.js';
import { VIEWS } from './camera.js';
import { extent } from './extent.js';
import { Pace } from './pace.js';
import { Stage } from './stage.js';
import { Tape } from './tape.js';
import { Timeline } from './timeline.js';
import { rgb, tint } from './tints.js';
import { paints, speedAt } from './trail_paint.js';
import { Dirt, world } from './world.js';

export const RATES = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100];
const TRAIL_S = 60;
const TRAIL_POINTS = 3000; // of all drones together: lines are what a software renderer is slowest at
const LIVE_LAG_S = 0.25;
const PATIENCE_MS = 400; // for where the drones fly, before the first picture is drawn without it
const CALM = matchMedia('(prefers-reduced-motion: reduce)');
const STILL_MS = 1000; // who wants no motion sees one picture after the other
const ICONS = { play: 'M4 2l9 6-9 6z', pause: 'M3 2h4v12H3zM9 2h4v12H9z', stop: 'M3 3h10v10H3z', start: 'M3 2h2v12H3zM13 2v12L5 8z', end: 'M11 2h2v12h-2zM3 2v12l8-6z' };
const icon = (name) => svg('svg', { viewBox: '0 0 16 16', width: 14, height: 14, class: 'sign', 'aria-hidden': 'true' }, svg('path', { d: ICONS[name] }));

export class Player {
  constructor(source, { drones = [], t = 0, rate = 1, view = '3d', follow = null, live = false, planned = 0, onTime = () => {}, onPick = () => {}, onGround = null, compact = false, name = 'Player' }) {
    Object.assign(this, { source, t, rate, live, planned, onTime, onPick, playing: false, hovered: null, loop: false, follow: null, chosen: null, drones: [] });
    this.stage = new Stage({ onPick: (id) => this.pick(id), onGround, onChange: () => { this.stale = true; } });
    this.timeline = new Timeline((at) => this.seek(at));
    this.tape = new Tape(source, { onData: () => { this.stale = true; this.scale(); this.status(); }, onError: (error) => this.status(error) });
    this.early = [];
    this.frames = new Pace();
    this.setDrones(drones);
    this.controls(compact, name);
    this.setView(view);
    if (follow) this.pick(follow, true);
    this.recolour = () => { this.stage.scene.recolour(); this.paint(); this.timeline.dirty = true; this.stale = true; };
    addEventListener('themechange', this.recolour);
    this.tick = this.tick.bind(this);
    this.frame = requestAnimationFrame(this.tick);
  }

  async open() {
    const overview = this.tape.open();
    overview.catch(() => {}); // told below, where it is waited for
    const [scene, facades] = await Promise.all([this.source.scene(), this.source.facades()]);
    this.world = world(scene, facades);
    this.dirt = new Dirt(this.world.windows);
    this.dirt.add(this.early);
    this.legend.hidden = !this.world.windows.dirt.length;
    const inTime = await Promise.race([overview.then(() => true, () => true), new Promise((done) => { setTimeout(done, PATIENCE_MS, false); })]);
    this.stage.level = this.world.base[2];
    this.stage.build(this.world, extent(this.world, this.tape.places()));
    this.tape.end = Math.max(this.tape.end, scene.max_time || 0, this.source.earlier ? 0 : scene.end_time || 0); // other streams may go on after the last position, or have none beside them
    if (this.atEdge) this.t = this.tape.end; // a link to a moment of a flight that goes on leads to that moment
    this.t = Math.min(this.t, this.tape.end);
    this.scale();
    this.stale = true;
    this.ready = true;
    this.tape.need(this.t, this.rate);
    await overview;
    if (!inTime) this.stage.frame(extent(this.world, this.tape.places()));
    for (const name of this.tape.names()) if (!this.drones.some((each) => each.id === name)) this.setDrones([...this.drones, { id: name, kind: 'drone' }]);
    this.stale = true;
  }

  setDrones(list) {
    this.drones = list.map(({ id, kind }) => ({ id, kind }));
    this.paint();
  }

  paint() {
    this.tints = new Map(this.drones.map((each, index) => [each.id, { css: tint(index), rgb: rgb(tint(index)) }]));
    this.stale = true;
  }

  controls(compact, name) {
    const button = (sign, label, act) => el('button.plain', { type: 'button', 'aria-label': label, title: label, on: { click: act } }, ICONS[sign] ? icon(sign) : sign);
    this.playButton = button('play', 'Play (space)', () => this.toggle());
    this.rateChoice = el('select', { 'aria-label': 'Rate', on: { change: (event) => this.setRate(Number(event.target.value)) } }, RATES.map((each) => el('option', { value: each }, `${each}×`)));
    this.rateChoice.value = RATES.includes(this.rate) ? this.rate : 1;
    this.liveButton = el('button', { type: 'button', 'aria-pressed': 'false', hidden: !this.live, title: 'Follow the end of the tape (l)', on: { click: () => this.goLive() } }, '◉ live');
    this.loopButton = el('button.plain', { type: 'button', 'aria-pressed': 'false', title: 'Begin again at the end', on: { click: () => { this.loop = !this.loop; this.loopButton.setAttribute('aria-pressed', this.loop); } } }, 'loop');
    this.clock = el('span.clock', {}, '00:00.0');
    this.told = el('span.told.quiet', { role: 'status' });
    this.views = el('div.views', { role: 'group', 'aria-label': 'View' }, Object.entries(VIEWS).map(([view, label]) => el('button', { type: 'button', 'data-view': view, 'aria-pressed': 'false', on: { click: () => this.setView(view) } }, label)));
    this.debug = el('div.debug', { hidden: true });
    this.legend = el('div.legend', { 'aria-hidden': 'true' }, 'windows ', el('i.clean'), ' clean ', el('i.dirty'), ' dirty');
    const stop = button('stop', 'Stop: back to the start', () => { this.pause(); this.seek(0); });
    this.bar = el('div.transport', {}, button('start', 'To the start (Home)', () => this.seek(0)), button('−', 'A tenth of a second back (←: 1 s)', () => this.step(-0.1)), this.playButton, button('+', 'A tenth of a second on (→: 1 s)', () => this.step(0.1)), stop, button('end', 'To the end (End)', () => this.seek(this.tape.end)), this.rateChoice, this.loopButton, this.liveButton, this.told, el('span.grow'), this.clock);
    fill(this.stage.node, this.stage.canvas, this.stage.labels.canvas, compact ? [] : [this.views, this.legend], this.debug);
    this.node = el('section.player', { 'aria-label': name }, this.stage.node, this.timeline.node, this.bar);
  }

  keys() {
    const by = (step) => (event) => this.step(event.shiftKey ? step * 10 : step);
    return [
      ['Space', 'play or pause', () => this.toggle()],
      ['ArrowLeft', '1 s back (Shift: 10 s)', by(-1)],
      ['ArrowRight', '1 s on (Shift: 10 s)', by(1)],
      ['0 1 2 3 4 5 6 7 8 9', 'jump to tenths of the flight', (event) => this.seek((Number(event.key) / 10) * this.tape.end)],
      ['Home', 'to the start', () => this.seek(0)],
      ['End', 'to the end', () => this.seek(this.tape.end)],
      ['+ =', 'faster', () => this.faster(1)],
      ['-', 'slower', () => this.faster(-1)],
      ['f', 'follow the chosen drone, or the next', () => this.followNext()],
      ['l', 'go live', () => this.goLive()],
      ['v', 'next view', () => this.nextView()],
      ['r', 'the first view angle again', () => this.stage.reset()],
      ['d', 'show frame times', () => { this.debug.hidden = !this.debug.hidden; this.stale = true; }],
    ];
  }

  // ------------------------------------------------------------ moving

  seek(t, told = true) {
    this.t = Math.max(0, Math.min(this.tape.end, t));
    if (this.atEdge && this.t < this.tape.end - 1) { this.atEdge = false; this.showLive(); }
    this.stale = true;
    this.sought = true;
    if (this.ready) this.tape.need(this.t, this.rate);
    this.tools?.moved(this.t);
    if (told) this.onTime(this.t, 'seek');
  }

  /** The pointer rests on a moment in a chart: show it everywhere, and stay where the player is. */
  hover(t) {
    if (this.hovered === t) return;
    this.hovered = t;
    this.stale = true;
    if (t !== null && this.ready && !this.playing) this.tape.need(t, this.rate);
  }

  /** The moment that is shown: under the pointer while the player rests, else where the player is. */
  get seen() { return this.hovered === null || this.playing ? this.t : Math.max(0, Math.min(this.tape.end, this.hovered)); }

  /** Be at a moment that another player leads to. */
  show(t, rate) {
    if (this.playing) this.pause();
    this.t = Math.min(t, this.tape.end);
    this.stale = true;
    if (this.ready) this.tape.need(this.t, rate);
  }

  /** Something was recorded up to a moment, perhaps no position: the tape is at least so long. */
  grow(end) {
    if (!(end > this.tape.end)) return;
    this.tape.end = end;
    this.stale = true;
    this.scale();
  }

  /** Draw the timeline as long as that of others beside it. */
  setSpan(seconds) { this.span = seconds; this.scale(); }
  scale() { this.timeline.setEnd(this.tape.end, this.live ? this.planned : this.span || 0); }

  step(seconds) { this.pause(); this.seek(this.t + seconds); }
  toggle() { if (this.playing) this.pause(); else this.play(); }

  play() {
    this.stage.sharpen(this.frames.share);
    if (this.t >= this.tape.end - 0.05 && !this.live) this.seek(0);
    this.playing = true;
    this.showPlay();
  }

  pause() {
    this.playing = false;
    this.stage.sharpen(1);
    if (this.atEdge) { this.atEdge = false; this.showLive(); }
    this.showPlay();
    this.onTime(this.t, 'pause');
  }

  showPlay() {
    fill(this.playButton, icon(this.playing ? 'pause' : 'play'));
    this.playButton.setAttribute('aria-label', this.playing ? 'Pause (space)' : 'Play (space)');
  }

  goLive() {
    if (!this.live) return;
    this.atEdge = true;
    this.playing = true;
    this.stage.sharpen(this.frames.share);
    this.t = this.tape.end;
    this.showPlay();
    this.showLive();
    this.stale = true;
  }

  showLive() {
    this.liveButton.hidden = !this.live;
    this.liveButton.setAttribute('aria-pressed', Boolean(this.atEdge));
    this.liveButton.textContent = this.atEdge ? '◉ live' : '○ go live';
  }

  setRate(rate) { this.rate = rate; this.rateChoice.value = rate; this.onTime(this.t, 'rate'); }
  faster(way) { const at = RATES.indexOf(this.rate); this.setRate(RATES[Math.max(0, Math.min(RATES.length - 1, at + way))]); }

  setView(view) {
    const name = VIEWS[view] ? view : '3d';
    this.stage.setView(name);
    for (const each of this.views.children) each.setAttribute('aria-pressed', each.dataset.view === name);
    this.stale = true;
    this.onTime(this.t, 'view');
  }

  nextView() { const names = Object.keys(VIEWS); this.setView(names[(names.indexOf(this.stage.view) + 1) % names.length]); }

  pick(id, follow = false) {
    this.chosen = id;
    this.follow = follow ? id : this.follow && id ? id : null;
    this.stale = true;
    this.onPick(id);
  }

  followNext() {
    if (this.chosen && !this.follow) { this.pick(this.chosen, true); return; }
    const at = this.drones.findIndex((each) => each.id === this.follow);
    const next = this.drones[at + 1];
    if (next) this.pick(next.id, true);
    else { this.follow = null; this.pick(null); }
  }

  // ------------------------------------------------------------ live

  push(records) { this.tape.push(records); this.scale(); this.stale = true; }

  addEvents(events) {
    this.timeline.addEvents(events);
    if (this.dirt) this.dirt.add(events);
    else this.early.push(...events);
    this.stale = true;
  }

  /** The session was deleted: what is loaded can still be watched, nothing more is asked for. */
  deleted() { this.live = false; this.atEdge = false; this.tape.close(); this.showLive(); this.scale(); }

  ended() { this.live = false; this.atEdge = false; this.showLive(); this.scale(); this.tape.open().catch((error) => this.status(error)); }

  status(error) {
    const far = this.tape.waiting.size && !this.tape.windows.size;
    const final = error && (error.status === 404 || error.status === 410);
    this.told.textContent = final ? error.message : error ? `${error.message} – trying again` : far ? 'loading …' : this.connection || '';
  }

  // ------------------------------------------------------------ drawing

  tick(now) {
    this.frame = requestAnimationFrame(this.tick);
    const gap = Math.min(250, now - (this.before ?? now));
    this.before = now;
    if (this.playing && this.ready) this.advance(gap / 1000);
    if (!this.ready || !this.stale || !this.node.isConnected) return;
    if (CALM.matches && this.playing && !this.sought && now - (this.still || 0) < STILL_MS) return;
    const began = performance.now();
    this.still = now;
    this.sought = false;
    this.stale = false;
    this.draw();
    this.onTime(this.seen, 'draw');
    this.measure(performance.now() - began, gap);
  }

  advance(dt) {
    const end = this.tape.end;
    if (this.atEdge) {
      const aim = Math.max(0, end - LIVE_LAG_S);
      this.t += Math.abs(aim - this.t) > 3 ? aim - this.t : (aim - this.t) * Math.min(1, dt * 5);
    } else {
      this.t += dt * this.rate;
      if (this.t >= end) {
        if (this.live) { this.goLive(); } else if (this.loop) this.t = 0;
        else { this.t = end; this.pause(); }
      }
      this.tape.need(this.t, this.rate);
    }
    this.stale = true;
    this.tools?.moved(this.t);
    this.onTime(this.t, 'play');
  }

  draw() {
    const t = this.seen;
    const shown = [];
    for (const { id, kind } of this.drones) {
      const at = this.tape.at(id, t);
      if (at) shown.push({ id, kind, tint: this.tints.get(id).rgb, ...at });
    }
    this.stage.shown = shown;
    this.state = shown;
    const followed = shown.find((each) => each.id === this.follow);
    const inside = Boolean(followed && this.firstPerson);
    if (followed) this.stage.lookAt([followed.x, followed.y, followed.z], inside ? followed : null);
    else this.stage.cameras['3d'].first = null;
    const ghosts = this.tools?.ghosts(t) || [];
    this.trails(shown, ghosts);
    if (this.dirt.go(t)) this.stage.scene.setDirt(this.dirt.now);
    this.stage.draw(shown, { chosen: this.chosen, names: shown.length <= 24, t, ghosts, hidden: inside ? followed.id : null, trails: this.trailLength !== '0' });
    this.tools?.drawn();
    this.timeline.show(this.t, t);
    const clock = `${moment(this.t)} / ${moment(this.tape.end)}`;
    if (this.clock.textContent !== clock) this.clock.textContent = clock;
  }

  /** Trails are long for few drones, shorter for many; renewed five times a second, which the eye takes for always. */
  trails(shown, ghosts = []) {
    const now = performance.now();
    const end = this.seen;
    if (now - (this.trailAt || 0) < 200 && Math.abs(end - (this.trailT || 0)) < this.rate) return;
    this.trailAt = now;
    this.trailT = end;
    const { scene } = this.stage;
    const most = Math.max(40, Math.floor(TRAIL_POINTS / Math.max(1, shown.length + ghosts.length)));
    const from = this.trailLength === 'all' ? 0 : end - TRAIL_S * Math.max(1, this.rate / 4);
    const by = this.trailBy || 'drone';
    const ways = shown.map((each) => [each, this.tape.way(each.id, from, end, most)]);
    const fastest = by === 'speed' ? Math.max(0, ...ways.flatMap(([, way]) => way.t.map((_, i) => speedAt(way, i)))) : 0;
    const spread = { from: Math.max(0, from), to: end, fastest };
    for (const [each, way] of ways) {
      way.places.push(each.x, each.y, each.z);
      way.t.push(end);
      way.battery.push(each.battery);
      way.mode.push(each.mode);
      scene.setTrail(each.id, new Float32Array(way.places), each.tint, paints(by, way, { ...spread, levels: by === 'link' ? this.tape.levels_of(each.id) : null }));
    }
    for (const each of ghosts) scene.setTrail(each.id, new Float32Array([...this.tools.ghost.tape.trail(each.name, from, end, most), each.x, each.y, each.z]), each.tint);
    const planned = this.tools?.plannedWays(end) || [];
    for (const { drone, places } of planned) scene.setTrail(`planned ${drone}`, new Float32Array(places), colour('accent'), places.flatMap((_, i) => (i % 3 ? [] : colour('accent'))));
    scene.keepTrails(new Set([...shown, ...ghosts].map((each) => each.id).concat(planned.map(({ drone }) => `planned ${drone}`))));
    this.tools?.tellTrails(spread);
  }

  measure(cost, gap) {
    if (this.frames.add(cost, gap, this.playing)) this.stage.sharpen(this.frames.share);
    if (this.debug.hidden || this.frames.drawn % 10) return;
    this.debug.textContent = `${this.frames.told()} · ${this.tape.windows.size} windows · ${this.drones.length} drones`;
  }

  close() {
    cancelAnimationFrame(this.frame);
    removeEventListener('themechange', this.recolour);
    this.tools?.close();
    this.tape.close();
    this.timeline.watch.disconnect();
    this.stage.close();
  }
}
