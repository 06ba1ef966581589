/* The tabs beside the player: drones, events, commands, log, JSON, provenance. Each is loaded when it is first shown. */
import { DRAWN, STREAM, TABS } from './constants.js';
import { DroneTable } from './drones.js';
import { el, fill } from './dom.js';
import { bytes, instant, plain } from './format.js';
import { RecordTable, streamTables } from './records.js';
import { one } from './api.js';

const NAMES = { drones: 'Drones', ...Object.fromEntries(TABS.map(({ name, title }) => [name, title])), marks: 'Marks', json: 'JSON', provenance: 'Provenance' };
const ARTIFACTS = 'artifacts';
/* Streams that the page shows elsewhere: in the player, in the charts, or in one of these tabs. */
const SHOWN = [...DRAWN, ...TABS.flatMap(({ streams }) => streams)];
const SELDOM = STREAM.COMMANDS; // its tab is shown once there is one
const MOST_OWN = 4; // with more, one tab holds them all
const OWN = 'streams';
const isOwn = (name) => name.startsWith('stream-');

export class Tabs {
  constructor(source, record, { start, only = false, player, values, marks, onSeek, onChange }) {
    Object.assign(this, { marks, source, record, player, onSeek, onChange });
    this.buttons = Object.entries(NAMES).map(([name, label]) => el('button.tab', { type: 'button', role: 'tab', id: `tab-${name}`, 'data-tab': name, 'aria-controls': 'tab-panel', on: { click: () => this.chooseTab(name) } }, label));
    this.panel = el('div.panel', { role: 'tabpanel', id: 'tab-panel', tabindex: 0 });
    this.names = { ...NAMES };
    this.strip = el('div.tab-strip', { role: 'tablist', 'aria-label': 'About this session' }, this.buttons);
    this.strip.addEventListener('keydown', (event) => this.arrow(event));
    this.strip.hidden = only; // a panel of one table
    if (only) { this.panel.removeAttribute('id'); this.panel.setAttribute('role', 'region'); this.panel.setAttribute('aria-label', NAMES[start] || start.replace('stream-', '')); for (const button of this.buttons) button.removeAttribute('id'); }
    this.only = only;
    this.node = el('section.tabs', {}, this.strip, this.panel);
    this.wanted = start;
    this.untouched = !start; // nobody chose a tab
    this.drones = new DroneTable(player, values);
    this.tables = streamTables(source, onSeek);
    if (only && !NAMES[start]) this.name = start; // a stream or the artifacts: opened when they are found
    else this.open(NAMES[start] ? start : 'drones');
    if (only && start === ARTIFACTS) this.open(ARTIFACTS);
    this.wanted = NAMES[start] ? null : start; // a tab that is yet to be found: the address keeps it
  }

  /** Without a position in the recording there is nothing to say of drones: another tab is the first. */
  places(some) {
    if (this.only) return;
    this.without = !some;
    this.buttons[0].hidden = !some;
    const { wanted } = this;
    if (!some && this.name === 'drones') this.open(STREAM.EVENTS);
    else if (some && this.untouched) this.open('drones');
    this.wanted = wanted; // it is yet to be found
  }

  /** Give each stream that the program made itself a tab, and the artifacts one, before JSON and provenance. */
  async findStreams() {
    const [known, files] = await Promise.all([this.source.streams().catch(() => []), this.source.artifacts().catch(() => ({ artifacts: [] }))]);
    const own = this.ownStreams(known);
    this.seldom(known.some((each) => each.records && TABS.find(({ name }) => name === SELDOM)?.streams.includes(each.stream)));
    for (const { stream } of own) this.tables[`stream-${stream}`] ??= new RecordTable(stream, this.source, this.onSeek);
    if (own.length > MOST_OWN && !this.only) this.offer(own);
    else if (!this.chooser) for (const { stream, title } of own) this.addTab(`stream-${stream}`, title);
    if (files.artifacts.length || files.recorded?.length) this.addTab(ARTIFACTS, 'Artifacts');
    const [first] = own;
    if (first && this.without && this.untouched && !this.name.startsWith('stream-')) this.open(`stream-${first.stream}`);
  }

  /** A tab that most recordings have nothing for stays away until they do, unless it was opened. */
  seldom(some) {
    const tab = this.buttons.find((each) => each.dataset.tab === SELDOM);
    tab.hidden = !some && this.name !== SELDOM && !this.tables[SELDOM].records.length;
  }

  ownStreams(known) { return known.filter((each) => !SHOWN.includes(each.stream)); }

  /** One tab with a choice, for a session of many streams. */
  offer(own) {
    const chosen = this.chooser?.value || own[0].stream;
    this.chooser ??= el('select.own-streams', { 'aria-label': 'Stream', on: { change: () => this.open(`stream-${this.chooser.value}`) } });
    fill(this.chooser, own.map(({ stream, title, records }) => el('option', { value: stream }, `${title} · ${records.toLocaleString('en')}`)));
    this.chooser.value = chosen;
    this.addTab(OWN, `Streams (${own.length})`);
    if (this.wanted && this.tables[this.wanted]) this.open(this.wanted);
  }

  /** Read what a stream of the program's own got since, where it is looked at. */
  grow() { if (isOwn(this.name)) this.tables[this.name]?.grow(); }

  tabOf(name) { return this.chooser && isOwn(name) ? OWN : name; }

  addTab(name, label) {
    if (this.names[name]) return;
    this.names = Object.fromEntries(Object.entries(this.names).flatMap(([key, each]) => (key === 'marks' ? [[name, label], [key, each]] : [[key, each]])));
    const button = el('button.tab', { type: 'button', role: 'tab', id: this.only ? null : `tab-${name}`, 'data-tab': name, 'aria-controls': 'tab-panel', 'aria-selected': 'false', tabindex: -1, on: { click: () => this.chooseTab(name) } }, label);
    const before = this.buttons.findIndex((each) => each.dataset.tab === 'marks');
    this.buttons[before].before(button);
    this.buttons.splice(before, 0, button);
    if (this.wanted === name) this.open(name);
  }

  arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.stopPropagation();
    const shown = this.buttons.filter((each) => !each.hidden);
    const at = shown.findIndex((each) => each.dataset.tab === this.tabOf(this.name));
    const next = shown[(at + step + shown.length) % shown.length];
    this.chooseTab(next.dataset.tab);
    next.focus();
  }

  chooseTab(name) {
    this.untouched = false;
    this.open(name);
  }

  open(asked) {
    const name = asked === OWN ? `stream-${this.chooser.value}` : asked;
    const tab = this.tabOf(name);
    this.name = name;
    this.wanted = null;
    for (const button of this.buttons) {
      const on = button.dataset.tab === tab;
      button.setAttribute('aria-selected', on);
      button.tabIndex = on ? 0 : -1;
    }
    if (!this.only) this.panel.setAttribute('aria-labelledby', `tab-${tab}`);
    if (name === 'drones') fill(this.panel, this.drones.node);
    else if (name === 'marks') fill(this.panel, this.marked ??= this.marks.view());
    else if (name === ARTIFACTS) this.artifacts();
    else if (this.tables[name]) this.records(name); else if (name === 'json') this.json();
    else this.provenance();
    this.onChange();
  }

  records(name) {
    const choice = this.tabOf(name) === OWN;
    if (choice) this.chooser.value = name.slice('stream-'.length);
    fill(this.panel, choice ? el('div.row.own', {}, this.chooser) : null, this.tables[name].node);
    this.tables[name].open(this.player.t);
  }

  take(name, records) {
    const tab = TABS.find(({ streams }) => streams.includes(name)).name;
    this.tables[tab].take(records, name);
    if (tab === SELDOM && records.length) this.seldom(true);
  }

  choose(id) { this.drones.choose(id); }

  setRecord(record) {
    const other = JSON.stringify(record.artifacts) !== JSON.stringify(this.record.artifacts);
    this.record = record;
    if (other && this.name === ARTIFACTS) this.artifacts();
    else if (other) this.findStreams();
    this.drones.setRecord(record);
  }

  moment(t, at_once = false) {
    if (this.name === 'drones') this.drones.moment(at_once);
    else this.tables[this.name]?.moment(t);
  }

  async artifacts() {
    const { artifacts, recorded } = await this.source.artifacts().catch(() => ({ artifacts: [], recorded: [] }));
    if (this.name !== ARTIFACTS) return;
    const noted = new Map((recorded || []).map((each) => [each.name, each]));
    const missing = [...noted.keys()].filter((name) => !artifacts.some((each) => each.name === name));
    const address = (name) => `${one(this.source.id)}/artifacts/${encodeURIComponent(name)}`;
    fill(this.panel, el('ul.artifacts', {}, artifacts.map((each) => artifact(address(each.name), each, noted.get(each.name))), missing.map((name) => el('li', {}, name, el('span.warn-text', {}, ' is in the record, and its file is gone')))));
  }

  async json() {
    fill(this.panel, el('p.quiet', {}, 'Loading …'));
    try {
      const { text, modified } = await this.source.document();
      let wrong = null;
      try { JSON.parse(text); } catch (error) { wrong = el('p.problem', { role: 'alert' }, `session.json does not parse: ${error.message}`); }
      const again = el('button', { type: 'button', on: { click: () => this.json() } }, 'Read again');
      fill(this.panel, el('div.row.small.quiet', {}, `session.json as it is on disk, ${bytes(new Blob([text]).size)}, last written ${instant(new Date(modified).toISOString(), true)}`, el('span.grow'), again), wrong, el('pre.json', { tabindex: 0, 'aria-label': 'session.json' }, text));
    } catch (error) { fill(this.panel, el('p.problem', { role: 'alert' }, error.message)); }
  }

  async provenance() {
    const { record } = this;
    const from = record.provenance || {};
    const rows = [['uuid', record.uuid], ['revision', record.rev], ['written by', record.created_by], ['created', record.created_at], ['started', record.started_at], ['ended', record.ended_at], ['end reason', record.end_reason], ['folder', record.session_dir_path], ['base', record.base_position?.join(', ')], ...Object.entries(from).filter(([name]) => name !== 'packages').map(([name, value]) => [name, Array.isArray(value) ? value.join(' ') : value])];
    const pair = ([name, value]) => el('tr', {}, el('th', { scope: 'row' }, name), el('td', {}, plain(value)));
    fill(this.panel, el('table.plain', {}, el('tbody', {}, rows.filter(([, value]) => value !== null && value !== undefined).map(pair))), el('h2', {}, 'Metadata'), el('pre.json', {}, JSON.stringify(record.metadata, null, 2)));
    const streams = await this.source.streams().catch(() => []);
    if (this.name !== 'provenance') return;
    const cell = (text) => el('td.number', {}, text);
    this.panel.append(
      el('h2', {}, 'Streams'),
      el('table.plain', {}, el('thead', {}, el('tr', {}, ['stream', 'records', 'size'].map((each, i) => el(i ? 'th.number' : 'th', {}, each)))), el('tbody', {}, streams.map((each) => el('tr', {}, el('td', {}, each.stream), cell(each.records.toLocaleString('en')), cell(bytes(each.bytes)))))),
      el('h2', {}, 'Packages'),
      el('p.small.quiet', {}, Object.entries(from.packages || {}).map(([name, version]) => `${name} ${version}`).join(', ') || 'not recorded'),
    );
  }
}

export const IMAGES = /\.(png|jpe?g|gif|webp|avif)$/i;
export const VIDEOS = /\.(webm|mp4|ogv)$/i;

/** An artifact with its size and checksum; pictures and videos are shown in place. */
function artifact(address, { name, bytes: size }, noted) {
  const inline = `${address}?inline=true`;
  const shown = IMAGES.test(name) ? el('img', { src: inline, alt: name, loading: 'lazy', on: { error: (event) => event.target.replaceWith(el('p.quiet.small', {}, 'It holds no picture that this browser can show.')) } }) : VIDEOS.test(name) ? el('video', { src: inline, controls: true, preload: 'metadata', 'aria-label': name }) : null;
  const sum = noted?.sha256 ? el('span.quiet.small', { title: `SHA-256 ${noted.sha256}` }, ` SHA-256 ${noted.sha256.slice(0, 12)}…`) : null;
  const other = noted && noted.bytes !== undefined && noted.bytes !== size ? el('span.warn-text', {}, ` changed: it had ${bytes(noted.bytes)}`) : null;
  return el('li', {}, el('a', { href: address, download: name }, name), ` ${bytes(size)}`, sum, other, shown);
}
