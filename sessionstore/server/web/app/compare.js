/* The place Compare: what differs on top, metrics with deltas, two players in step, charts over one another, and the
   first moment where the flights part. */
import { Player } from '../player/player.js';
import { json } from './api.js';
import { Charts } from './charts.js';
import { status } from './columns.js';
import { css, el, fill } from './dom.js';
import { moment, number, plain } from './format.js';
import { keys } from './keys.js';
import { address, go, keep, query } from './router.js';
import { ApiSource } from './source.js';

const MOST = 6;

class SessionCompare extends HTMLElement {
  async connectedCallback() {
    this.ids = (query().ids || '').split(',').filter(Boolean).slice(0, MOST);
    if (this.ids.length < 2) { this.choose(); return; }
    fill(this, el('div.message.quiet', {}, 'Comparing …'));
    try {
      const found = await json('/api/compare', { query: { ids: this.ids.join(',') } });
      if (!this.gone) this.show(found);
    } catch (error) {
      fill(this, el('div.message.error', { role: 'alert' }, el('h2', {}, 'These cannot be compared'), el('p', {}, error.message), el('button.main', { type: 'button', on: { click: () => this.connectedCallback() } }, 'Retry')));
    }
  }

  disconnectedCallback() {
    this.gone = true;
    for (const each of this.players || []) each.close();
    this.charts?.close();
  }

  async choose() {
    const { sessions } = await json('/api/sessions', { query: { limit: 200, fields: 'session_id,status' } }).catch(() => ({ sessions: [] }));
    const chosen = [0, 1].map((at) => {
      const node = el('select', { 'aria-label': at ? 'Second session' : 'First session' }, sessions.map((each) => el('option', { value: each.session_id }, each.session_id)));
      node.value = this.ids[at] || sessions[at]?.session_id || '';
      return node;
    });
    const start = el('button.main', { type: 'button', on: { click: () => go(address(['compare'], { ids: chosen.map((each) => each.value).join(',') })) } }, 'Compare');
    fill(this, el('div.message', {}, el('h2', {}, 'Compare sessions'), el('p', {}, 'Select two or more in the list (x), then press Compare (c); or choose here:'), el('p.row.wrap', {}, chosen, start)));
  }

  show(found) {
    const { sessions } = found;
    const pair = sessions.slice(0, 2);
    const sources = pair.map((each) => new ApiSource(each.session_id));
    const asked = query();
    this.players = pair.map((each, i) => new Player(sources[i], {
      name: `Player ${'AB'[i]}`, drones: each.drones, t: Number(asked.t) || 0, view: asked.view || '3d', onTime: (t, why) => this.together(i, t, why), onPick: (id) => this.picked(i, id),
    }));
    fill(this, el('div.pad.compare', {}, el('h1', {}, 'Compare'), this.difference(found.first_difference), this.tables(found),
      el('div.pair', {}, this.players.map((player, i) => el('div', {}, el('h2', {}, el('a', { href: address(['session', pair[i].session_id]) }, `${'AB'[i]} · ${pair[i].session_id}`)), player.node)))));
    this.charts = new Charts({ figures: (range) => this.figures(sources, range) }, { drones: [], cursor: () => this.players[0].t, onSeek: (t) => this.players[0].seek(t), tintOf: (name) => css(name.startsWith('A') ? 'accent' : 'warn') });
    this.firstChild.append(this.charts.node);
    keys(this.players[0].keys());
    Promise.all(this.players.map((each) => each.open())).then(() => this.charts.open(Math.max(...this.players.map((each) => each.tape.end)))).catch((error) => this.firstChild.prepend(el('p.problem', { role: 'alert' }, error.message)));
    sources.forEach(async (source, i) => {
      this.players[i].timeline.setPhases(await source.transitions(), this.players[i].tape.end);
      await source.all('events', 20000, (records) => this.players[i].addEvents(records));
    });
  }

  /** Both players show the same moment; the first one leads while they play. */
  together(from, t, why) {
    if (this.busy || !this.charts || why === 'draw') return;
    this.busy = true;
    const other = this.players[1 - from];
    if (why === 'play' && from === 0) { other.t = Math.min(t, other.tape.end); other.stale = true; if (other.ready) other.tape.need(other.t, this.players[0].rate); }
    if (why === 'play' && from === 1) this.players[1].pause();
    if (why === 'seek') other.seek(t);
    if (why === 'pause' && from === 0) other.seek(t);
    if (why === 'view') other.setView(this.players[from].stage.view);
    if (why !== 'play') keep({ t: t ? t.toFixed(2) : null, view: this.players[0].stage.view === '3d' ? null : this.players[0].stage.view });
    this.charts.cursor(t);
    this.busy = false;
  }

  picked(from, id) {
    if (this.busy || !this.charts) return;
    this.busy = true;
    if (this.players[1 - from].drones.some((each) => each.id === id) || !id) this.players[1 - from].pick(id);
    this.busy = false;
  }

  /** The figures of both, laid over one another: A and B by colour, dotted for B. */
  async figures(sources, range) {
    const [a, b] = await Promise.all(sources.map((source) => source.figures(range)));
    const mark = (figure, letter) => figure.data.map((trace) => ({ ...trace, name: `${letter} ${trace.name}`, line: { ...trace.line, dash: letter === 'B' ? 'dot' : 'solid' } }));
    const both = {};
    for (const name of Object.keys(a)) {
      const ranges = [a[name].layout.xaxis.range, b[name].layout.xaxis.range];
      const span = [Math.min(...ranges.map((each) => each[0])), Math.max(...ranges.map((each) => each[1]))];
      both[name] = { data: [...mark(b[name], 'B'), ...mark(a[name], 'A')], layout: { ...a[name].layout, xaxis: { ...a[name].layout.xaxis, range: span } } };
    }
    return both;
  }

  difference(found) {
    if (!found) return el('p.first', {}, 'The flights of A and B do not differ: every recorded point is the same.');
    const jump = el('button', { type: 'button', on: { click: () => this.players[0].seek(found.sim_time) } }, `Go to ${moment(found.sim_time)}`);
    return el('p.first', {}, el('strong', {}, `First difference at ${number(found.sim_time, 2)} s`), `: ${found.drone}, ${found.field}`, el('span.quiet', {}, ` (A ${plain(found.a)}, B ${plain(found.b)})`), ' ', jump);
  }

  tables({ sessions, parameters, metrics }) {
    const heads = el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'value'), sessions.map((each, i) => el('th', { scope: 'col' }, el('span', {}, `${String.fromCharCode(65 + i)} · ${each.session_id} `), status(each)))));
    const differ = parameters.map((each) => el('tr', {}, el('th', { scope: 'row' }, each.name), each.values.map((value) => el('td', {}, plain(value)))));
    const delta = (value, first) => (typeof value === 'number' && typeof first === 'number' && value !== first ? el('span.delta', {}, ` ${value > first ? '+' : '−'}${number(Math.abs(value - first), 2)}`) : null);
    const differs = (each) => each.values.some((value) => JSON.stringify(value) !== JSON.stringify(each.values[0]));
    const figures = [...metrics.filter(differs), ...metrics.filter((each) => !differs(each))].map((each) => el('tr', {}, el('th', { scope: 'row' }, each.name), each.values.map((value, i) => el('td', {}, plain(value), i ? delta(value, each.values[0]) : null))));
    return el('div.two-tables', {}, el('section', { tabindex: 0, 'aria-label': 'What differs' }, el('h2', {}, 'What differs'), differ.length ? el('table.plain', {}, heads.cloneNode(true), el('tbody', {}, differ)) : el('p.quiet', {}, 'Parameters and metadata are the same.')),
      el('section', { tabindex: 0, 'aria-label': 'Metrics' }, el('h2', {}, 'Metrics'), el('table.plain', {}, heads, el('tbody', {}, figures))));
  }
}

customElements.define('session-compare', SessionCompare);
