/* The place Session: the record on top, the player, the tabs beside it, the charts below, one moment for all. */
import { Player } from '../player/player.js';
import { SceneTools } from '../player/scene_tools.js';
import { follow, json, one } from './api.js';
import { Charts } from './charts.js';
import { status } from './columns.js';
import { STREAM, TABS } from './constants.js';
import { calm, el, fill } from './dom.js';
import { download } from './download.js';
import { Editor } from './edit.js';
import { instant, live, metres, moment, seconds } from './format.js';
import { keys } from './keys.js';
import { Marks } from './marks.js';
import { failed, notice } from './notices.js';
import { origin, rerunsOf } from './origin.js';
import { RecordTable } from './records.js';
import { address, go, keep, path, query } from './router.js';
import { sessionPicker } from './session_picker.js';
import { ApiSource } from './source.js';
import { Tabs } from './tabs.js';
import { kinds, make, title } from '../panels/kinds.js';
import { DEFAULT, Layout, WITHOUT_POSITIONS } from '../panels/layout.js';
import { panelMenu } from '../panels/menu.js';
import { Values } from './values.js';

const FEW_POINTS = 50000;
const GROWN_MS = 2000;

class SessionView extends HTMLElement {
  async connectedCallback() {
    this.source = new ApiSource(path()[1] || 'latest');
    fill(this, el('div.message.quiet', {}, 'Loading …'));
    try {
      const { record, etag } = await this.source.record();
      this.source = new ApiSource(record.session_id);
      if (!live(record.status)) await this.chooseAttempt();
      this.build(record, etag);
    } catch (error) { this.trouble(error); }
  }

  /** A run that was resumed from a checkpoint has several attempts: the latest is shown, or the one that the address names. */
  async chooseAttempt() {
    this.attempts = await this.source.attempts();
    if (this.attempts.length < 2) return;
    const last = this.attempts.length - 1;
    this.source.attempt = Math.min(last, Math.max(0, Number(query().attempt ?? last)));
    this.source.earlier = this.source.attempt < last;
  }

  attemptChoice() {
    if ((this.attempts?.length || 0) < 2) return null;
    const choice = el('select', { 'aria-label': 'Attempt', on: { change: () => { keep({ attempt: choice.value === String(this.attempts.length - 1) ? null : choice.value, t: this.player.t.toFixed(2) }); go(location.pathname + location.search); } } }, this.attempts.map(({ number, resumed_at: at }) => el('option', { value: number }, `Attempt ${number + 1} of ${this.attempts.length}${at === null ? '' : `, resumed at ${moment(at)}`}`)));
    choice.value = String(this.source.attempt);
    return choice;
  }

  disconnectedCallback() {
    this.gone = true;
    removeEventListener('beforeprint', this.printing);
    removeEventListener('afterprint', this.printed);
    this.stop?.();
    this.layout?.all('close');
    this.player?.close();
    this.charts?.close();
    this.values?.close();
    clearInterval(this.growing);
    clearInterval(this.observing);
  }

  trouble(error) {
    const json_link = error.status === 409 ? el('p', {}, 'The file as it is on disk: ', el('a', { href: `${one(path()[1])}/document` }, 'session.json')) : null;
    fill(this, el('div.message.error', { role: 'alert' }, el('h2', {}, 'The session could not be opened'), el('p', {}, error.message), json_link,
      el('p', {}, el('button.main', { type: 'button', on: { click: () => this.connectedCallback() } }, 'Retry'), ' ', el('a', { href: '/sessions' }, 'All sessions')), el('div.rescued')));
    if (error.status === 409) this.rescue();
  }

  /** The record cannot be read, the streams can: show what each holds. */
  async rescue() {
    const source = new ApiSource(path()[1]);
    const streams = await source.streams().catch(() => []);
    const place = this.querySelector('.rescued');
    if (!place || !streams.length) return;
    const table = el('div.rescued-table');
    const show = (name) => { const records = new RecordTable(name, source, () => {}); records.follow = false; fill(table, records.node); records.open(0); };
    fill(place, el('h3', {}, 'The streams can still be read'), el('p.row.wrap', {}, streams.map((each) => el('button', { type: 'button', on: { click: () => show(each.stream) } }, `${each.stream} (${each.records.toLocaleString('en')})`))), table);
  }

  build(record, etag) {
    this.record = record;
    document.title = `${record.session_id} · sessionstore`;
    const asked = query();
    const runs = live(record.status);
    this.put = calm(250, () => keep(this.address()));
    this.player = new Player(this.source, {
      drones: record.drones, t: Number(asked.t) || 0, rate: Number(asked.rate) || 1, view: asked.view, follow: asked.follow, live: runs, planned: record.duration_planned_s || 0,
      onTime: (t, why) => this.moved(t, why), onPick: (id) => this.picked(id),
    });
    if (runs && !asked.t) this.player.goLive();
    this.tools = new SceneTools(this.player, { asked, picker: sessionPicker, stretch: () => this.charts?.range, sourceOf: async (id) => new ApiSource((await new ApiSource(id).record()).record.session_id), events: async () => (await Promise.all([STREAM.COMMANDS, STREAM.EVENTS].map((name) => this.source.all(name, 20000)))).flatMap(({ records }) => records).sort((a, b) => a.t - b.t) });
    this.values = new Values(this.source, (values) => this.valued(values));
    this.marks = new Marks(this.source, { record, timeline: this.player.timeline, now: () => this.player.t, stretch: () => this.charts.range, onSeek: (t) => this.player.seek(t), onStretch: (range) => this.charts.zoom(range), onMarks: () => { this.player.stale = true; } });
    this.tabs = new Tabs(this.source, record, { marks: this.marks, start: asked.tab, player: this.player, values: this.values, onSeek: (t) => this.player.seek(t), onChange: () => this.put() });
    this.charts = new Charts(this.source, { drones: record.drones, onSeek: (t) => this.player.seek(t), cursor: () => this.player.t, values: this.values, playing: () => this.player.playing, onHover: (t) => this.player.hover(t), onPick: (id) => this.player.pick(id), own: (asked.charts || '').split(',').filter(Boolean), onOwn: () => this.put() });
    this.editor = new Editor(this.source, (changed, tag) => this.show(changed, tag));
    this.layout = new Layout(asked.layout, { make: (panel) => make(this, panel), title, onChange: () => this.put(), first: this.hasPlaces() ? DEFAULT : WITHOUT_POSITIONS });
    this.tabs.places(this.hasPlaces());
    this.heading();
    fill(this, this.head, this.layout.node);
    this.show(record, etag);
    if (this.player.chosen) this.picked(this.player.chosen);
    this.printing = () => { this.tools.printed(true); this.charts.redraw(true); };
    this.printed = () => this.tools.printed(false);
    addEventListener('beforeprint', this.printing);
    addEventListener('afterprint', this.printed);
    keys([...this.player.keys(), ['b', 'bookmark the moment, or the stretch that the charts show', () => this.marks.form(null)]]);
    this.load(runs);
  }

  async load(runs) {
    try {
      await Promise.all([this.player.open(), this.source.transitions().then((moves) => this.player.timeline.setPhases(moves, this.player.tape.end))]);
      if (this.gone) return;
      this.charts.open(this.player.tape.end);
      const events = await this.source.all(STREAM.EVENTS, 20000, (records) => this.player.addEvents(records));
      this.take(STREAM.EVENTS, events.records);
      this.read_to = [this.player.tape.overview?.cursor, events.whole && `${STREAM.EVENTS}:${events.offset}`].filter(Boolean).join(',');
      this.tabs.findStreams();
      if (this.points() <= FEW_POINTS) this.marks.load(); // of a large flight when Marks is opened: a search costs the server seconds
      this.marks.goWanted();
    } catch (error) { failed('The flight could not be loaded', error); }
    if (this.gone) return;
    if (runs) this.listen();
    else this.watch();
    this.dataset.ready = 'true';
    this.findReruns();
  }

  async findReruns() {
    this.reruns = await rerunsOf(this.source.id).catch(() => this.reruns); // the head is whole without them
    if (this.reruns?.total && !this.gone) this.show(this.record);
  }

  /** Whether there is something to draw in space; many a program records none. */
  hasPlaces() {
    const { record } = this;
    return Boolean(record.drones.length || record.observed?.drones?.length || this.points() || record.num_buildings || record.duration_planned_s);
  }

  /** A program that only appends changes no record: what its streams say is asked for. */
  async observe() {
    if (!live(this.record.status) || document.hidden || this.busy) return;
    this.busy = true;
    try {
      const { record, etag } = await this.source.record(true);
      if (this.gone || !live(record.status)) return;
      this.show(record, etag);
      this.layout.all('grow');
      if ((this.observed = (this.observed || 0) + 1) % 3 === 1) this.tabs.findStreams();
    } catch { /* what follows the session tells of its end, and of a lost connection */ } finally { this.busy = false; }
  }

  points() { return this.record.performance_metrics?.totals?.points ?? this.record.progress?.points ?? this.record.observed?.points ?? 0; }
  take(name, records) { this.tabs.take(name, records); this.layout.all('take', name, records); }

  /** Follow the session: each stream from where it was read to. */
  listen() {
    const { player } = this;
    const tabled = TABS.flatMap(({ streams }) => streams);
    this.stop = follow(`${this.source.base}/live?streams=${[STREAM.MOTION_HISTORY, ...tabled]}&offset=end${this.read_to ? `&cursor=${this.read_to}` : ''}`, {
      ...Object.fromEntries(tabled.map((name) => [name, (records) => this.take(name, records)])),
      [STREAM.MOTION_HISTORY]: (records) => player.push(records),
      [STREAM.EVENTS]: (records) => { player.addEvents(records); this.take(STREAM.EVENTS, records); if (records.some((each) => each.kind === 'phase')) this.phases(); },
      session: (record) => this.show(record),
      end: (record) => { this.stop(); clearInterval(this.observing); if (record.status === 'gone') { this.deleted(); return; } this.show(record); player.ended(); this.layout.all('grow'); this.tabs.findStreams(); this.phases(); this.charts.open(player.tape.end); if (this.points() <= FEW_POINTS) this.marks.load(true); this.watch(); },
    }, (state) => { player.connection = state === 'lost' ? 'connection lost – resuming where it was' : ''; player.status(); });
    if (!this.record.duration_planned_s) this.observing = setInterval(() => this.observe(), GROWN_MS); // a flight of ours says itself how far it is
    let turn = 0;
    this.growing = setInterval(() => {
      if (!live(this.record.status) || this.gone) { clearInterval(this.growing); return; }
      this.charts.grow(player.tape.end);
      if ((turn += 1) % 3 === 0 && this.points() <= FEW_POINTS && !document.hidden) this.marks.load(true);
    }, 4000);
  }

  /** A session that has ended can still be edited by hand, resumed or deleted: follow its row in the list. */
  watch() {
    const id = this.source.id;
    this.stop = follow('/api/sessions/events', {
      hello: (news) => this.reread(!news.reset), // it may have changed since it was read
      sessions: (news) => {
        if (news.removed?.includes(id)) this.deleted();
        else if (news.reset || news.changed?.some((each) => each.session_id === id)) this.reread();
        if (news.changed?.some((each) => each.metadata?.rerun_of === id)) this.findReruns();
      },
    });
  }

  async reread(opening = false) {
    try {
      const { record, etag } = await this.source.record();
      if (this.gone || (opening && etag === this.etag)) return;
      const runs = live(record.status) && !live(this.record.status);
      this.show(record, etag);
      if (runs) { this.stop?.(); this.player.live = true; this.player.showLive(); this.listen(); }
    } catch (error) {
      if (error.status === 404 || error.status === 410) this.deleted();
      else if (error.status === 409) this.warn(`session.json cannot be read: ${error.message}`);
    }
  }

  warn(text) {
    this.querySelector('.banner')?.remove();
    this.head.after(el('div.banner', { role: 'alert' }, text));
  }

  /** The session was moved to the trash or its folder removed: say so, keep what is loaded, ask for nothing more. */
  deleted() {
    this.stop?.();
    clearInterval(this.growing);
    clearInterval(this.observing);
    this.player.deleted();
    this.values.close();
    this.record = { ...this.record, status: 'deleted', problem: 'moved to the trash, or its folder was removed' };
    this.show(this.record);
    this.warn(el('span', {}, 'This session was deleted; the page shows what was loaded before. ', el('a', { href: '/trash' }, 'Open the trash'), ' · ', el('a', { href: '/sessions' }, 'All sessions')));
  }

  async phases() {
    this.player.timeline.setPhases(await this.source.transitions(), this.player.tape.end);
  }

  moved(t, why) {
    if (!this.charts) return; // the player is still being built
    if (why === 'draw') { this.tabs.moment(t); this.layout?.each('moment', t); }
    else this.charts.cursor(t);
    if (why !== 'play' && why !== 'draw') this.put();
  }

  /** The stream has answered: write its values where the moment is shown. */
  valued() {
    if (this.gone || !this.charts) return;
    this.tabs.moment(this.player.seen, true);
    this.layout.each('moment', this.player.seen, true);
    this.charts.told_values();
  }

  address() {
    const { player, tabs } = this;
    if (this.gone) return {};
    return { t: player.atEdge || !player.t ? null : player.t.toFixed(2), rate: player.rate === 1 ? null : player.rate, view: player.stage.view === '3d' ? null : player.stage.view, follow: player.follow, tab: tabs.wanted || (tabs.untouched || tabs.name === 'drones' ? null : tabs.name), charts: this.charts?.own.join(',') || null, layout: this.layout && !this.layout.isDefault ? this.layout.text : null, ...this.tools?.address() };
  }

  picked(id) {
    this.tabs?.choose(id);
    this.layout?.all('choose', id);
    this.charts?.choose(id);
    this.put?.();
  }

  show(record, etag) {
    if (!record.session_id) return;
    this.record = record;
    if (record.status !== 'deleted') this.querySelector('.banner')?.remove();
    if (etag !== undefined) this.etag = etag;
    const known_record = record.drones.length || !record.observed?.drones ? record : { ...record, drones: record.observed.drones };
    this.tabs.setRecord(known_record);
    this.layout.all('record', known_record);
    this.marks.read(record);
    const totals = { ...record.progress, ...(record.performance_metrics?.totals || {}) };
    const fact = (label, value) => (value === undefined || value === null || value === '' ? null : el('span.fact', {}, el('span.quiet', {}, label, ' '), value));
    const planned = record.duration_planned_s;
    // A program that only appends writes its record at the end: until then the streams say how far it is.
    const seen = record.observed || {};
    const simulated = Math.max(record.duration_sim_s ?? 0, seen.duration_sim_s ?? 0);
    if (!this.source.earlier) this.player.grow(simulated);
    if (this.hasPlaces() && this.layout.first !== DEFAULT) { this.layout.begin(DEFAULT); this.tabs.places(true); }
    const known = record.duration_sim_s !== null || seen.duration_sim_s !== undefined;
    const drones = record.drones.length ? record.drones : seen.drones || [];
    for (const button of this.actions.querySelectorAll(':scope > button, :scope > .menu > button')) button.disabled = record.status === 'deleted';
    fill(this.about, el('h1', { dir: 'auto' }, this.titleOf(record)), status(record), live(record.status) ? el('strong', {}, record.workflow_state) : null,
        record.problem ? el('span.warn-text', {}, record.problem) : record.end_reason && record.end_reason !== 'completed' ? el('span.quiet', {}, record.end_reason) : null,
        (record.tags || []).map((tag) => el('span.tag', { dir: 'auto' }, tag)));
    fill(this.facts, fact('simulated', planned ? `${seconds(simulated)} of ${seconds(planned)}` : seconds(known ? simulated : null)), fact('started', el('time', { title: `${record.started_at || record.created_at} (UTC)` }, instant(record.started_at || record.created_at))),
        fact('drones', drones.length || null), fact('buildings', record.num_buildings || null), fact('windows cleaned', record.num_buildings ? totals.windows_cleaned : null), fact('distance', totals.distance_m === undefined ? null : metres(totals.distance_m)), fact('points', (totals.points || seen.points || null)?.toLocaleString('en')), origin(record, this.reruns).map(([label, content]) => fact(label, content)),
        record.notes ? fact('notes', el('bdi', {}, record.notes.length > 160 ? `${record.notes.slice(0, 160)} …` : record.notes)) : null);
  }

  /** The name as it was typed first, the id second. */
  titleOf({ session_name: name, session_id: id }) {
    return name ? [name, el('span.quiet.id', {}, ` ${id}`)] : id;
  }

  /** Make the heading; what it says is written anew with each record, its buttons stay: a menu of theirs may be open. */
  heading() {
    this.about = el('div.about');
    this.facts = el('div.facts');
    this.actions = el('div.row.actions', {}, this.attemptChoice(), el('button', { type: 'button', on: { click: () => this.editor.open() } }, 'Edit'), panelMenu(this.layout, () => kinds(this)), this.exports(), el('button.danger', { type: 'button', on: { click: () => this.remove() } }, 'Delete'));
    this.head = el('header.session-head', {}, el('div.row.title', {}, this.about, this.actions), this.facts);
  }

  exports() {
    const { base, id } = this.source;
    const others = el('div.others', {}, el('span.quiet.small', {}, 'For other programs …'));
    const items = el('div.items', { hidden: true }, el('a', { href: `${base}/export`, download: `${id}.zip` }, 'Whole folder (zip)'), el('button', { type: 'button', on: { click: () => { items.hidden = true; this.exportPage(`${base}/export.html`, `${id}.html`); } } }, 'One page that works offline (HTML)'), el('a', { href: `${base}/document`, download: `${id}.json` }, 'The record (JSON)'), others, el('a', { href: address(['compare'], { ids: id }) }, 'Compare with …'));
    const button = el('button', { type: 'button', 'aria-expanded': 'false', 'aria-haspopup': 'true', on: { click: () => { items.hidden = !items.hidden; button.setAttribute('aria-expanded', !items.hidden); if (!items.hidden) this.exportFormats(others, items); } } }, 'Export ▾');
    const menu = el('div.menu', {}, button, items);
    menu.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !items.hidden) { event.stopPropagation(); items.hidden = true; button.setAttribute('aria-expanded', 'false'); button.focus(); } });
    menu.addEventListener('focusout', (event) => { if (!menu.contains(event.relatedTarget)) items.hidden = true; });
    return menu;
  }

  /** The formats of other programs that are installed; the others with the command that installs them. */
  async exportFormats(place, items) {
    if (place.querySelector('button')) return;
    try {
      const { formats } = await json('/api/formats');
      const { base, id } = this.source;
      const entry = ({ name, about, extensions: [extension], install }) => {
        const words = about[0].toUpperCase() + about.slice(1);
        if (install) return el('span.missing', { title: `It is not installed: ${install}` }, words, el('code.small', {}, install));
        const make = () => { items.hidden = true; download(`${base}/export/${name}`, `${id}${extension}`); };
        return el('button', { type: 'button', on: { click: make } }, words);
      };
      const able = formats.filter((each) => each.writes && each.extensions.length);
      fill(place, [...able.filter((each) => !each.install), ...able.filter((each) => each.install)].map(entry));
    } catch (error) { fill(place, el('span.error', {}, error.message)); }
  }

  exportPage(address, name) { return download(address, name, { type: 'text/html', what: 'the page' }); }

  async remove() {
    try {
      const { entry_id } = await json(this.source.base, { method: 'DELETE' });
      go('/sessions');
      const undo = () => json(`${one(entry_id)}/restore`, { method: 'POST' }).then(() => notice('Restored'), (error) => failed('Not restored', error));
      notice(`${this.source.id} moved to the trash`, { action: 'Undo', act: undo, seconds: 10 });
    } catch (error) { failed('Not deleted', error); }
  }
}

customElements.define('session-view', SessionView);
