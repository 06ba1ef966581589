/* The place Compare: what differs on top, metrics with deltas, players in step with one timeline, charts over one
   another, and the first moment where each flight differs from the first one. Two to six sessions. */
import { Player } from '../player/player.js';
import { json } from './api.js';
import { Charts } from './charts.js';
import { STREAM } from './constants.js';
import { css, el, fill } from './dom.js';
import { keys } from './keys.js';
import { differences, letter, tables } from './differences.js';
import { address, go, keep, query } from './router.js';
import { sessionPicker } from './session_picker.js';
import { ApiSource } from './source.js';

const MOST = 6;
const TINTS = ['accent', 'warn', 'good', 'rest', 'bad', 'ink-2'];
const DASHES = ['solid', 'dot', 'dash', 'dashdot', 'longdash', 'longdashdot'];

class SessionCompare extends HTMLElement {
  async connectedCallback() {
    this.ids = (query().ids || '').split(',').filter(Boolean).slice(0, MOST);
    if (this.ids.length < 2) { this.choose(); return; }
    fill(this, el('div.message.quiet', {}, 'Comparing …'));
    const compared = json('/api/compare', { query: { ids: this.ids.join(','), align: query().align } });
    compared.catch(() => {}); // told where it is waited for
    try {
      await this.early();
      const found = await compared;
      if (this.gone) return;
      if (this.players && !found.unreadable?.length && found.sessions.every((each, i) => each.session_id === this.ids[i])) { this.tell(found); return; }
      this.drop();
      this.show(found);
    } catch (error) {
      if (this.gone) return;
      this.drop();
      fill(this, el('div.message.error', { role: 'alert' }, el('h2', {}, 'These cannot be compared'), el('p', {}, error.message), el('button.main', { type: 'button', on: { click: () => this.connectedCallback() } }, 'Retry')));
    }
  }

  disconnectedCallback() {
    this.gone = true;
    this.drop();
  }

  drop() {
    for (const each of this.players || []) each.close();
    this.charts?.close();
    this.players = null;
  }

  /** The pictures of many stand on top: they are there before all their records have been read and compared. */
  async early() {
    if (this.ids.length < 3 || query().align) return;
    const records = await Promise.all(this.ids.map((id) => new ApiSource(id).record())).catch(() => null); // an unreadable one: /api/compare says which
    if (!records || this.gone) return;
    const sessions = records.map((each) => each.record);
    this.show({ sessions, alignment: { by: 'start', moments_s: sessions.map(() => 0), apart: [] } }, false);
  }

  tell(found) {
    const seek = (t) => this.players[0].seek(t);
    fill(this.words, differences(found, seek), this.apart(found.alignment), tables(found, seek));
    this.told = true;
    if (this.loaded) this.dataset.ready = 'true';
  }

  async choose() {
    const newest = await json('/api/sessions', { query: { limit: 2, fields: 'session_id' } }).then((found) => found.sessions, () => []);
    const chosen = [0, 1].map((at) => sessionPicker(at ? 'Second session' : 'First session', this.ids[at] || newest[at]?.session_id || ''));
    const start = el('button.main', { type: 'button', on: { click: () => this.with(chosen.map((each) => each.input.value.trim())) } }, 'Compare');
    fill(this, el('div.message', {}, el('h2', {}, 'Compare sessions'), el('p', {}, 'Select two to six in the list (x), then press Compare (c); or choose here (type to search all sessions):'), el('p.row.wrap', {}, chosen.map((each) => each.node), start)));
  }

  with(ids) { go(address(['compare'], { ...query(), ids: ids.join(',') })); }

  show(found, compared = true) {
    const { sessions } = found;
    this.ids = sessions.map((each) => each.session_id);
    const asked = query();
    this.sources = sessions.map((each) => new ApiSource(each.session_id));
    this.lead = 0;
    const { moments_s: moments, by } = found.alignment;
    this.shifts = moments.map((each) => each - moments[0]);
    this.players = sessions.map((each, i) => new Player(this.sources[i], {
      name: `Player ${letter(i)}`, drones: each.drones, t: Math.max(0, (Number(asked.t) || 0) + this.shifts[i]), rate: Number(asked.rate) || 1, view: asked.view || '3d', compact: i > 0, onTime: (t, why) => this.together(i, t, why), onPick: (id) => this.picked(i, id),
    }));
    const [first] = this.players;
    const seek = (t) => first.seek(t);
    const rows = this.players.map((player, i) => el('div.scale', {}, el('span.letter', {}, letter(i)), player.timeline.node));
    // Of more than two, the pictures come first: words and tables about six would push them out of sight.
    this.words = el('div.words', { role: 'status' }, el('p.quiet', {}, 'Reading all records, to say what differs …'));
    const { words } = this;
    const pictures = [el('div.grid-of', { 'data-count': sessions.length }, this.players.map((player, i) => el('div', {}, this.heading(sessions[i], i), player.node))), el('div.together', { class: sessions.length > 2 ? 'thin' : '' }, rows, first.bar)];
    fill(this, el('div.pad.compare', {}, el('div.row.wrap', {}, el('h1', {}, 'Compare'), this.aligning(by), el('span.grow'), this.adding()), (found.unreadable || []).map((each) => el('p.problem', { role: 'alert' }, `${each.session_id} is left out: ${each.problem}`)),
      sessions.length > 2 ? [pictures, words] : [words, pictures]));
    for (const each of this.players.slice(1)) each.bar.remove();
    this.charts = new Charts(this.chartSource(), { own: (asked.charts || '').split(',').filter(Boolean), onOwn: () => keep({ charts: this.charts?.own.join(',') || null }), drones: [], cursor: () => first.t, onSeek: seek, onHover: (t) => this.players.forEach((each, i) => each.hover(t === null ? null : t + this.shifts[i])), tintOf: (name) => css(TINTS[name.charCodeAt(0) - 65]), same: (name, chosen) => name.slice(2) === chosen });
    this.firstChild.append(this.charts.node);
    keys(first.keys());
    if (compared) this.tell(found);
    this.load();
  }

  /** What charts are drawn of: each number of all sessions, told apart by letter, colour and dashes. */
  chartSource() {
    return { id: 'compare', figures: (range) => this.figures(range), fields: () => this.fields(), series: (wanted) => this.series(wanted), seriesText: (wanted) => this.seriesText(wanted) };
  }

  /** The recorded numbers that any of the sessions has. */
  async fields() {
    const found = {};
    for (const streams of await Promise.all(this.sources.map((each) => each.fields()))) for (const [name, fields] of Object.entries(streams)) found[name] = [...new Set([...(found[name] || []), ...fields])];
    return found;
  }

  /** Ask each session; one without the stream is left out, unless none has it. */
  async each(ask) {
    const found = await Promise.allSettled(this.sources.map(ask));
    const had = found.flatMap((each, i) => (each.status === 'fulfilled' ? [[each.value, i]] : []));
    if (!had.length) throw found[0].reason;
    return had;
  }

  async series(wanted) {
    const all = await this.each((source, i) => source.series(this.ownRange(wanted, this.shifts[i])));
    const moved = (values, i) => Array.from(values, (each) => each - this.shifts[i]);
    const ends = all.map(([figure, i]) => moved(figure.layout.xaxis.range, i));
    const meta = all.map(([figure]) => figure.layout.meta).find((each) => each.thinned !== 'no') || all[0][0].layout.meta;
    const data = all.flatMap(([figure, i]) => figure.data.map((trace) => ({ ...trace, x: moved(trace.x, i), line: { ...trace.line, dash: DASHES[i] }, name: trace.name === wanted.field ? letter(i) : `${letter(i)} ${trace.name}` })));
    return { data, layout: { ...all[0][0].layout, meta, xaxis: { range: [Math.min(...ends.map((each) => each[0])), Math.max(...ends.map((each) => each[1]))] } } };
  }

  /** Every value of all as CSV; the line is named by the letter of its session first. */
  async seriesText(wanted) {
    const all = await this.each((source, i) => source.seriesText(this.ownRange(wanted, this.shifts[i])));
    const rows = all.flatMap(([text, i]) => text.trimEnd().split('\r\n').slice(1).map((row) => row.replace(/^([^,]*),("?)/, `$1,$2${letter(i)} `)));
    return ['sim_time,line,value', ...rows, ''].join('\r\n');
  }

  async load() {
    const { players } = this;
    try {
      await Promise.all(players.map((each) => each.open()));
      if (this.gone || players !== this.players) return;
      const end = Math.max(...this.players.map((each) => each.tape.end));
      for (const each of this.players) each.setSpan(end);
      this.firstChild.classList.toggle('without-positions', !players.some((each) => each.tape.names().size || each.world?.buildings?.length));
      this.charts.open(end);
      await Promise.all(this.players.map(async (player, i) => {
        player.timeline.setPhases(await this.sources[i].transitions(), player.tape.end);
        player.setSpan(end);
        await this.sources[i].all(STREAM.EVENTS, 20000, (records) => player.addEvents(records));
      }));
      this.loaded = true;
      if (this.told) this.dataset.ready = 'true';
    } catch (error) { this.firstChild.prepend(el('p.problem', { role: 'alert' }, error.message)); }
  }

  heading(session, i) {
    const { session_id: id } = session; // the name as typed first, the id second
    const swatch = el('i.swatch', { class: `swatch ${DASHES[i]}`, 'aria-hidden': 'true' });
    swatch.style.color = `var(--${TINTS[i]})`;
    const away = this.ids.length > 2 ? el('button.plain.small', { type: 'button', title: `Without ${id}`, 'aria-label': `Without ${id}`, on: { click: () => this.with(this.ids.filter((_, at) => at !== i)) } }, '✕') : null;
    return el('div.row', {}, swatch, el('h2', {}, el('a', { href: address(['session', id]) }, `${letter(i)} · ${session.session_name || id}`)), session.session_name && session.session_name !== id ? el('span.quiet.small.id', { dir: 'auto' }, id) : null, el('span.grow'), away);
  }

  /** What is set side by side: the starts, the take-offs, or moments that were given in the address. */
  aligning(by) {
    const ways = [['start', 'by their starts'], ['takeoff', 'by take-off'], ...(['start', 'takeoff'].includes(by) ? [] : [[by, `by ${by} s`]])];
    const change = () => go(address(['compare'], { ids: this.ids.join(','), ...(choice.value === 'start' ? {} : { align: choice.value }) }));
    const choice = el('select', { 'aria-label': 'Aligned', on: { change } }, ways.map(([value, words]) => el('option', { value, selected: value === by }, words)));
    return choice;
  }

  /** How far the paths are apart, each from its own take-off. */
  apart({ by, moments_s: moments, apart }) {
    if (by === 'start') return null;
    const line = (each, i) => el('li', {}, `${letter(i + 1)} at ${moments[i + 1].toFixed(2)} s is ${letter(0)} at ${moments[0].toFixed(2)} s`, each?.mean_m == null ? ': the paths have no moment in common' : `: ${each.drones.join(' and ')} are ${each.mean_m} m apart on average, ${each.max_m} m at most, over ${each.overlap_s} s`);
    return el('ul.apart', {}, apart.map(line));
  }

  /** The choice of one more session. */
  adding() {
    if (this.ids.length >= MOST) return el('span.quiet.small', {}, `${MOST} is the most`);
    return sessionPicker('Add a session', '', (id) => id && this.with([...this.ids, id])).node;
  }

  /** All players show the same moment, view, rate and drone; whichever plays leads. */
  together(from, t, why) {
    if (this.busy || !this.charts || why === 'draw') return;
    this.busy = true;
    const now = this.players[from];
    const shared = t - this.shifts[from];
    for (const [i, other] of this.players.entries()) {
      if (other === now) continue;
      const own = Math.max(0, shared + this.shifts[i]);
      if (why === 'play') other.show(own, now.rate);
      else if (why === 'rate') other.setRate(now.rate);
      else if (why === 'view') other.setView(now.stage.view);
      else other.seek(own);
    }
    if (why !== 'play') keep({ t: shared ? shared.toFixed(2) : null, view: now.stage.view === '3d' ? null : now.stage.view, rate: now.rate === 1 ? null : now.rate });
    this.charts.cursor(shared);
    this.busy = false;
  }

  picked(from, id) {
    if (this.busy || !this.charts) return;
    this.busy = true;
    for (const other of this.players) if (other !== this.players[from] && (!id || other.drones.some((each) => each.id === id))) other.pick(id);
    this.charts.choose(id);
    this.busy = false;
  }

  ownRange({ start, end, ...more }, by) { return start === undefined ? more : { ...more, start: Math.max(0, start + by), end: Math.max(0, end + by) }; }

  /** Figures with their times as those of the first session. */
  shifted(figures, by) {
    if (!by) return figures;
    const moved = (values) => Array.from(values, (each) => each - by);
    return Object.fromEntries(Object.entries(figures).map(([name, { data, layout }]) => [name, { data: data.map((trace) => ({ ...trace, x: moved(trace.x) })), layout: { ...layout, xaxis: { ...layout.xaxis, range: moved(layout.xaxis.range) } } }]));
  }

  /** The figures of all, laid over one another: told apart by colour and by dashes. */
  async figures(range) {
    const all = await Promise.all(this.sources.map(async (source, i) => this.shifted(await source.figures(this.ownRange(range, this.shifts[i])), this.shifts[i])));
    const mark = (figure, i) => figure.data.map((trace) => ({ ...trace, name: `${letter(i)} ${trace.name}`, line: { ...trace.line, dash: DASHES[i] } }));
    return Object.fromEntries(Object.keys(all[0]).map((name) => {
      const figures = all.map((each) => each[name]);
      const ranges = figures.map((each) => each.layout.xaxis.range);
      const range_ = [Math.min(...ranges.map((each) => each[0])), Math.max(...ranges.map((each) => each[1]))];
      const { layout } = figures.find((each) => each.layout.meta.thinned === 'sampled') || figures[0];
      return [name, { data: figures.flatMap(mark).reverse(), layout: { ...layout, xaxis: { ...layout.xaxis, range: range_ } } }];
    }));
  }
}

customElements.define('session-compare', SessionCompare);
