/* The place Control: start, pause, stop and watch the live simulation, spawn and command drones, with outcomes. */
import { Player } from '../player/player.js';
import { follow, json, one } from './api.js';
import { COMMANDS, KINDS, STREAM, USUAL, USUAL_WEATHER, WEATHERS } from './constants.js';
import { el, fill } from './dom.js';
import { count, live, moment } from './format.js';
import { keys } from './keys.js';
import { failed, notice } from './notices.js';
import { address } from './router.js';
import { ApiSource } from './source.js';

const FINAL = ['done', 'failed'];

class SimulationControl extends HTMLElement {
  async connectedCallback() {
    this.stage = el('div.control-stage', {}, el('div.message.quiet', {}, 'No flight is running. Start one, and it is shown here.'));
    this.state = el('div.row.control-state', { role: 'status' });
    this.outcomes = el('tbody');
    fill(this, el('h1.away', {}, 'Control'), el('div.control', {}, el('div.control-side', {}, this.startForm(), this.runForm()), el('div.control-main', {}, this.state, this.stage)));
    this.commands = new Map();
    await this.look();
    this.poll = setInterval(() => this.look(), 1000);
  }

  disconnectedCallback() {
    clearInterval(this.poll);
    this.leave();
    this.away = true;
  }

  startForm() {
    const numberField = (label, name, value, most) => el('label', {}, label, el('input', { type: 'number', name, value, min: 0, max: most, step: 'any' }));
    this.form = el('form', {}, el('h2', {}, 'New flight'),
      el('label', {}, 'Name', el('input', { type: 'text', name: 'session_name', maxlength: 100 })),
      el('div.two', {}, numberField('Duration (s)', 'duration', 300, 86400), numberField('Rate (0 = fastest)', 'realtime_factor', 1, 1000)),
      el('div.two', {}, numberField('Buildings', 'num_buildings', 4, 500), el('label', {}, 'Weather', el('select', { name: 'weather' }, WEATHERS.map((each) => el('option', { value: each }, each))))),
      el('fieldset', {}, el('legend', {}, 'Drones'), el('div.fleet', {}, KINDS.map((kind) => numberField(kind, `drone-${kind}`, USUAL[kind], 200)))),
      el('button.main', { type: 'submit' }, 'Start'));
    this.form.elements.weather.value = USUAL_WEATHER;
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.start(); });
    return this.form;
  }

  runForm() {
    const button = (label, act, more = {}) => el('button', { type: 'button', ...more, on: { click: act } }, label);
    this.buttons = { pause: button('Pause', () => this.order('pause')), resume: button('Resume', () => this.order('resume')), stop: button('Stop and store', () => this.order('stop'), { class: 'danger' }), restart: button('Restart', () => this.order('restart')) };
    this.drone = el('select', { 'aria-label': 'Drone' });
    this.kind = el('select', { 'aria-label': 'Command' }, COMMANDS.map((each) => el('option', { value: each }, each)));
    this.target = ['x', 'y', 'z'].map((axis, i) => el('input', { type: 'number', 'aria-label': `${axis} in metres`, value: [0, 0, 15][i], step: 'any' }));
    this.leader = el('select', { 'aria-label': 'Whom to follow' });
    this.spawnKind = el('select', { 'aria-label': 'Kind to spawn' }, KINDS.map((each) => el('option', { value: each }, each)));
    this.running = el('div', { hidden: true }, el('h2', {}, 'This flight'), el('div.row.wrap', {}, Object.values(this.buttons)),
      el('h2', {}, 'Command'), el('div.row.wrap', {}, this.drone, this.kind), el('div.row.target', {}, this.target.map((input, i) => el('label', {}, `${'xyz'[i]} (m)`, input))), el('label', {}, 'Whom to follow', this.leader),
      el('p.small.quiet', {}, 'Or choose a drone and click in the top view: it moves there, at the height above.'),
      el('div.row', {}, button('Send', () => this.command(), { class: 'main' }), el('span.grow'), this.spawnKind, button('Spawn', () => this.spawn())),
      el('h2', {}, 'Outcomes'), el('table.plain.outcomes', {}, el('thead', {}, el('tr', {}, ['No', 'Order', 'Outcome'].map((each) => el('th', { scope: 'col' }, each)))), this.outcomes));
    return this.running;
  }

  async start() {
    const data = new FormData(this.form);
    const drones = Object.fromEntries(KINDS.map((kind) => [kind, Number(data.get(`drone-${kind}`))]).filter(([, number]) => number > 0));
    const body = { duration: Number(data.get('duration')), realtime_factor: Number(data.get('realtime_factor')), num_buildings: Number(data.get('num_buildings')), weather: data.get('weather'), drones };
    if (data.get('session_name').trim()) body.session_name = data.get('session_name').trim();
    try {
      const made = await json('/api/start', { method: 'POST', body });
      notice(`${made.session_id} flies`);
      await this.look();
    } catch (error) { failed('Not started', error); }
  }

  async order(what) {
    try {
      const done = await json(`/api/${what}`, { method: 'POST', body: {} });
      if (what === 'stop') notice(`${done.session_id || this.id_} is stored`);
    } catch (error) { failed(`Not done: ${what}`, error); }
    this.look();
  }

  async look() {
    let now;
    try { now = await json('/api/status'); } catch (error) { fill(this.state, el('span.problem', {}, error.message)); return; }
    if (this.away) return;
    const flies = live(now.status) && now.session_id;
    this.running.hidden = !flies;
    this.form.hidden = Boolean(flies);
    this.buttons.pause.hidden = now.status === 'paused';
    this.buttons.resume.hidden = now.status !== 'paused';
    fill(this.state, el(`span.status.${now.status}`, {}, now.status), now.session_id ? [el('a', { href: address(['session', now.session_id]) }, now.session_id), el('span', {}, now.workflow_state || ''), el('span', {}, `${moment(now.sim_time)} of ${moment(now.duration_planned_s)}`), el('span.quiet', {}, `${count(now.num_drones)} drones · ${count(now.points)} points`)] : null, now.problem ? el('span.problem', { role: 'alert' }, now.problem) : now.end_reason ? el('span.quiet', {}, now.end_reason) : null);
    if (flies && this.id_ !== now.session_id) await this.watch(now.session_id);
    this.follow_up();
  }

  async watch(id) {
    this.leave();
    this.id_ = id;
    const source = new ApiSource(id);
    const { record } = await source.record();
    this.player = new Player(source, { drones: record.drones, live: true, view: 'all', planned: record.duration_planned_s || 0, onGround: (place) => this.clicked(place), onPick: (drone) => { if (drone) this.drone.value = drone; } });
    fill(this.stage, this.player.node);
    keys(this.player.keys());
    this.list(record.drones);
    this.player.goLive();
    await this.player.open().catch((error) => failed('The picture could not be loaded', error));
    this.stop = follow(`${one(id)}/live?streams=${[STREAM.MOTION_HISTORY, STREAM.EVENTS, STREAM.COMMANDS]}&offset=end`, {
      [STREAM.MOTION_HISTORY]: (records) => this.player.push(records),
      [STREAM.EVENTS]: (records) => { this.player.addEvents(records); if (records.some((each) => ['spawn', 'phase'].includes(each.kind))) this.news(source); },
      [STREAM.COMMANDS]: (records) => records.forEach((each) => this.outcome(each)),
      session: (now) => this.list(now.drones),
      end: () => { this.stop(); this.player.ended(); this.look(); },
    });
    this.news(source);
  }

  async news(source) {
    const [moves, events] = await Promise.all([source.transitions(), source.stream(STREAM.EVENTS, { tail: 200 })]);
    this.player.timeline.setPhases(moves, this.player.tape.end);
    const spawned = events.records.filter((each) => each.kind === 'spawn').map((each) => ({ id: each.drone, kind: each.drone_kind }));
    this.list([...this.player.drones, ...spawned.filter((each) => !this.player.drones.some((known) => known.id === each.id))]);
  }

  list(drones) {
    const known = [...this.drone.options].map((each) => each.value).join();
    if (!drones.length || known === drones.map((each) => each.id).join() || drones.length < this.drone.options.length) return;
    const now = this.drone.value;
    fill(this.drone, drones.map(({ id }) => el('option', { value: id }, id)));
    fill(this.leader, drones.map(({ id }) => el('option', { value: id }, id)));
    if (now) this.drone.value = now;
    this.player.setDrones(drones);
  }

  leave() {
    this.stop?.();
    this.player?.close();
    this.player = null;
  }

  /** A click on the ground of the top view sends the chosen drone there. */
  clicked([x, y]) {
    if (!this.player.chosen || this.player.chosen !== this.drone.value) return false;
    this.target[0].value = x.toFixed(1);
    this.target[1].value = y.toFixed(1);
    this.kind.value = 'move_to';
    this.command();
    return true;
  }

  async command() {
    const kind = this.kind.value;
    const body = { drone_name: this.drone.value, command_type: kind };
    if (kind === 'move_to') body.target = this.target.map((each) => Number(each.value));
    if (kind === 'follow') body.leader = this.leader.value;
    await this.send('/api/command', body, `${kind} ${this.drone.value}${body.target ? ` to ${body.target.join(', ')}` : ''}`);
  }

  spawn() { return this.send('/api/spawn', { type: this.spawnKind.value }, `spawn ${this.spawnKind.value}`); }

  async send(path, body, label) {
    try {
      const { command_id } = await json(path, { method: 'POST', body });
      if (command_id === undefined) return;
      this.row(command_id, label, 'queued');
      this.commands.get(command_id).cells[1].textContent = label; // the stream may have told of it first, and knows less
    } catch (error) { failed('Refused', error); }
  }

  row(id, label, status, reason = '') {
    let found = this.commands.get(id);
    if (!found) {
      found = { cells: [el('td', {}, id), el('td', {}, label), el('td')] };
      this.commands.set(id, found);
      this.outcomes.prepend(el('tr', {}, found.cells));
    }
    if (!FINAL.includes(found.status)) { found.status = status; fill(found.cells[2], el('span', { class: status === 'failed' ? 'problem' : '' }, status), reason ? el('span.quiet', {}, ` ${reason}`) : null); }
  }

  outcome(record) {
    const label = `${record.command} ${record.drone}${record.target ? ` to ${record.target.map((each) => Number(each).toFixed(1)).join(', ')}` : ''}`;
    this.row(record.id, label, record.status, record.reason);
  }

  /** What the stream has not told is asked for. */
  async follow_up() {
    for (const [id, found] of this.commands) {
      if (FINAL.includes(found.status) || !this.id_) continue;
      const told = await json(`/api/commands/${id}`, { query: { session_id: this.id_ } }).catch(() => null);
      if (told) this.row(id, '', told.status, told.reason);
    }
  }
}

customElements.define('simulation-control', SimulationControl);
