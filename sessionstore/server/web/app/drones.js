/* The drones at the moment of the player, and what each did in the whole flight.

   Values come from the stream itself (`values`) while the player rests; between two answers while it plays, places,
   battery and mode come from the track that is drawn. */
import { sign } from '../player/shapes.js';
import { el, fill } from './dom.js';
import { metres, moment, number, percent } from './format.js';

const NOW = ['Mode', 'Battery', 'Height', 'Speed', 'Link'];
const WHOLE = ['Flown', 'Cleaned'];
/* Columns that a recording may not have: each is shown once a value of it was seen. */
const OPTIONAL = ['Mode', 'Battery', 'Link', 'Flown', 'Cleaned'];
/* While it plays: an answer of so many seconds ago is that of the moment; an older one, while the next is on its way, is marked ≈. */
const FRESH_S = 0.4;
const STALE_S = 3;

export class DroneTable {
  /** speedOf: of an exported file, which has no stream to ask. */
  constructor(player, values = null, speedOf = null) {
    Object.assign(this, { player, values, speedOf });
    this.body = el('tbody');
    this.when = el('th.group', { scope: 'colgroup', colspan: NOW.length }, 'at the moment');
    this.whole = el('th.group', { scope: 'colgroup', colspan: WHOLE.length }, 'whole flight');
    const heads = ['Drone', ...NOW, ...WHOLE];
    this.seen = new Set();
    this.node = el('table.plain.drone-table', {}, el('thead', {},
      el('tr', {}, el('td'), this.when, this.whole),
      el('tr', {}, heads.map((each, i) => el(i > 1 ? 'th.number' : 'th', { scope: 'col', class: `of-${each.toLowerCase()}` }, each)))), this.body);
    this.rows = new Map();
  }

  setRecord(record) {
    this.metrics = record.performance_metrics?.drones || {};
    if (record.num_buildings && Object.values(this.metrics).some((each) => each.windows_cleaned !== undefined)) this.saw('Cleaned');
    if (Object.values(this.metrics).some((each) => typeof each.distance_m === 'number')) this.saw('Flown');
    const known = this.player.drones.map((each) => each.id).join();
    const told = record.drones.map((each) => each.id).join();
    if (told && told !== known) this.player.setDrones(record.drones);
    this.build();
  }

  build() {
    this.rows.clear();
    this.columns();
    fill(this.body, this.player.drones.map(({ id, kind }) => this.make(id, kind)));
    this.built = this.player.drones.length;
    this.moment(true);
  }

  make(id, kind) {
    const cells = Object.fromEntries(NOW.map((name) => [name.toLowerCase(), el(name === 'Mode' ? 'td.mode' : 'td.number', { class: `of-${name.toLowerCase()}` })]));
    const done = this.metrics[id] || {};
    const name = el('button.plain.drone-name', { type: 'button', title: `${id}: ${kind}; click: choose, double click: follow`, on: { click: () => this.player.pick(id), dblclick: () => this.player.pick(id, true) } }, sign(kind, this.player.tints.get(id)?.css), el('span', {}, id));
    const still = done.moved === false && !done.idle ? el('span.badge.warn-text', { title: 'This drone never moved by more than a centimetre' }, 'never moved') : null;
    const row = el('tr', {}, el('td', {}, name, still), Object.values(cells), el('td.number.of-flown', {}, metres(done.distance_m)), el('td.number.of-cleaned', {}, done.windows_cleaned ?? '–'));
    this.rows.set(id, { row, cells });
    return row;
  }

  /** A value of a column was seen: show it from now on. */
  saw(name) {
    if (this.seen.has(name)) return;
    this.seen.add(name);
    this.columns();
  }

  columns() {
    for (const name of OPTIONAL) this.node.classList.toggle(`no-${name.toLowerCase()}`, !this.seen.has(name));
    this.when.colSpan = NOW.filter((name) => !OPTIONAL.includes(name) || this.seen.has(name)).length;
    const whole = WHOLE.filter((name) => this.seen.has(name)).length;
    this.whole.hidden = !whole;
    if (whole) this.whole.colSpan = whole;
  }

  choose(id) {
    for (const [name, { row }] of this.rows) row.classList.toggle('chosen', name === id);
  }

  /** Show the present state, at most ten times a second. */
  moment(at_once = false) {
    const now = performance.now();
    clearTimeout(this.later);
    if (at_once !== true && now - (this.told || 0) < 100) { this.later = setTimeout(() => this.moment(true), 110); return; }
    this.told = now;
    if (this.built !== this.player.drones.length) { this.build(); return; }
    const { seen: t, hovered, playing, rate } = this.player;
    const old = STALE_S * Math.max(1, rate);
    const exact = playing ? this.values?.at(t, true) || this.values?.near(t, old) : this.values?.at(t);
    const about = Boolean(exact && playing && Math.abs(exact.sim_time - t) > FRESH_S * Math.max(1, rate));
    set(this.when, `at ${moment(t)}${hovered === null || playing ? '' : ', pointed at'}`);
    const states = new Map((this.player.state || []).map((each) => [each.id, each]));
    for (const [id, { cells, row }] of this.rows) this.write(cells, row, states.get(id), exact?.drones[id], playing, about);
  }

  write(cells, row, drawn, exact, playing, about) {
    const state = playing || !exact ? drawn : { ...drawn, ...exact, z: exact.position[2], mode: exact.mode ?? drawn?.mode, battery: exact.battery ?? drawn?.battery };
    row.classList.toggle('absent', !state);
    set(cells.mode, state ? state.mode || '–' : 'not there');
    cells.mode.title = cells.mode.textContent;
    const charge = typeof state?.battery === 'number' ? state.battery : null;
    if (state?.mode) this.saw('Mode');
    if (charge !== null) this.saw('Battery');
    set(cells.battery, charge === null ? '–' : percent(charge));
    cells.battery.classList.toggle('warn-text', charge !== null && charge < 0.25);
    set(cells.height, state ? `${state.z.toFixed(1)} m` : '–');
    const moving = this.speedOf ? state && this.speedOf(state.id, this.player.seen) : { speed: exact?.speed, about };
    set(cells.speed, typeof moving?.speed === 'number' ? `${moving.about ? '≈ ' : ''}${moving.speed.toFixed(2)} m/s` : '–');
    const link = exact?.link ? [0, exact.link.rssi_dbm, exact.link.delivered] : this.values?.source.moment ? null : drawn?.rssi;
    if (link) this.saw('Link');
    set(cells.link, link ? `${link[2] ? '' : 'lost '}${number(link[1], 0)} dBm` : '–');
    cells.link.classList.toggle('warn-text', Boolean(link && (!link[2] || link[1] < -85)));
  }
}

function set(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}
