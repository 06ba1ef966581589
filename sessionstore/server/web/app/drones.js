/* The drones at the moment of the player, and what each did in the whole flight. */
import { sign } from '../player/shapes.js';
import { el, fill } from './dom.js';
import { metres, number, percent } from './format.js';

export class DroneTable {
  constructor(player) {
    this.player = player;
    this.body = el('tbody');
    const heads = ['Drone', 'Mode', 'Battery', 'Height', 'Speed', 'Link', 'Flown', 'Cleaned'];
    this.node = el('table.plain.drone-table', {}, el('thead', {}, el('tr', {}, heads.map((each, i) => el(i > 1 ? 'th.number' : 'th', { scope: 'col' }, each)))), this.body);
    this.rows = new Map();
  }

  setRecord(record) {
    this.metrics = record.performance_metrics?.drones || {};
    const known = this.player.drones.map((each) => each.id).join();
    const told = record.drones.map((each) => each.id).join();
    if (told && told !== known) this.player.setDrones(record.drones);
    this.build();
  }

  build() {
    this.rows.clear();
    fill(this.body, this.player.drones.map(({ id, kind }) => this.make(id, kind)));
    this.moment(true);
  }

  make(id, kind) {
    const cells = Object.fromEntries(['mode', 'battery', 'height', 'speed', 'link'].map((name) => [name, el(name === 'mode' ? 'td' : 'td.number')]));
    const done = this.metrics[id] || {};
    const name = el('button.plain.drone-name', { type: 'button', title: `${kind}; click: choose, double click: follow`, on: { click: () => this.player.pick(id), dblclick: () => this.player.pick(id, true) } }, sign(kind, this.player.tints.get(id)?.css), el('span', {}, id));
    const row = el('tr', {}, el('td', {}, name), Object.values(cells), el('td.number', {}, metres(done.distance_m)), el('td.number', {}, done.windows_cleaned || '–'));
    if (done.moved === false) row.append(el('td.warn-text', {}, 'never moved'));
    this.rows.set(id, { row, cells });
    return row;
  }

  choose(id) {
    for (const [name, { row }] of this.rows) row.classList.toggle('chosen', name === id);
  }

  /** Show the present state, at most ten times a second. */
  moment(at_once = false) {
    const now = performance.now();
    clearTimeout(this.later);
    if (!at_once && now - (this.told || 0) < 100) { this.later = setTimeout(() => this.moment(true), 110); return; }
    this.told = now;
    const states = new Map((this.player.state || []).map((each) => [each.id, each]));
    for (const [id, { cells, row }] of this.rows) {
      const state = states.get(id);
      row.classList.toggle('absent', !state);
      set(cells.mode, state ? state.mode || 'flying' : 'not there');
      set(cells.battery, state && state.battery !== null && state.battery !== undefined ? percent(state.battery) : '–');
      cells.battery.classList.toggle('warn-text', Boolean(state && state.battery !== null && state.battery < 0.25));
      set(cells.height, state ? `${state.z.toFixed(1)} m` : '–');
      set(cells.speed, state ? this.speed(id) : '–');
      set(cells.link, state?.rssi ? `${state.rssi[2] ? '' : 'lost '}${number(state.rssi[1], 0)} dBm` : '–');
      cells.link.classList.toggle('warn-text', Boolean(state?.rssi && (!state.rssi[2] || state.rssi[1] < -85)));
    }
  }

  speed(id) {
    const { tape, t } = this.player;
    const a = tape.at(id, t - 0.25);
    const b = tape.at(id, t + 0.25);
    if (!a || !b) return '–';
    const span = Math.min(t + 0.25, tape.end) - Math.max(0, t - 0.25);
    return `${(Math.hypot(b.x - a.x, b.y - a.y, b.z - a.z) / Math.max(0.1, span)).toFixed(1)} m/s`;
  }
}

function set(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}
