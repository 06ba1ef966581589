/* The page of an exported file: record, player, charts and tables out of the data that the file holds. */
import { Player } from '../player/player.js';
import { Charts } from './charts.js';
import { status } from './columns.js';
import { STREAM, TABS } from './constants.js';
import { el, fill } from './dom.js';
import { DroneTable } from './drones.js';
import { instant, metres, plain, seconds } from './format.js';
import { keys } from './keys.js';
import { Marks } from './marks.js';
import { RecordTable, streamTables } from './records.js';

const data = JSON.parse(document.getElementById('data').textContent);

/** The same methods as ApiSource, answered from the file. */
const source = {
  scene: async () => data.scene,
  facades: async () => data.facades,
  track: async () => data.track,
  all: async (name, most, take = () => {}) => { const records = data.streams[name] || []; take(records); return { records, damaged: [], whole: true }; },
  figures: async ({ start, end } = {}) => (start === undefined ? data.figures : Object.fromEntries(Object.entries(data.figures).map(([name, figure]) => [name, { ...figure, layout: { ...figure.layout, xaxis: { ...figure.layout.xaxis, range: [start, end] } } }]))),
};

const { record } = data;
const totals = { ...record.progress, ...(record.performance_metrics?.totals || {}) };
let charts = null;
let panel = null;
const player = new Player(source, {
  drones: record.drones,
  onTime: (t, why) => { if (why === 'draw') panel?.moment?.(t); else charts?.cursor(t); },
  onPick: (id) => { drones?.choose(id); charts?.choose(id); },
});
const drones = new DroneTable(player);
drones.setRecord(record);
charts = new Charts(source, { drones: record.drones, onSeek: (t) => player.seek(t), cursor: () => player.t, onHover: (t) => player.hover(t) });

const marks = new Marks({ alerts: data.alerts && (async () => data.alerts) }, { record, timeline: player.timeline, now: () => player.t, stretch: () => null, onSeek: (t) => player.seek(t), onStretch: (range) => charts.zoom(range), onMarks: () => { player.stale = true; }, editable: false });
const own = Object.keys(data.streams).filter((name) => !TABS.some(({ streams }) => streams.includes(name)));
const seek = (t) => player.seek(t);
const known = streamTables(source, seek);
const tables = { Drones: drones, Marks: { node: marks.view() }, ...Object.fromEntries(TABS.map(({ name, title }) => [title, known[name]])), ...Object.fromEntries(own.map((name) => [name, new RecordTable(name, source, seek)])) };
const body = el('div.panel', { role: 'tabpanel', tabindex: 0 });
const buttons = [...Object.keys(tables), 'Record'].map((name) => el('button.tab', { type: 'button', role: 'tab', on: { click: () => open(name) } }, name));

function open(name) {
  for (const each of buttons) each.setAttribute('aria-selected', each.textContent === name);
  panel = tables[name];
  fill(body, panel ? panel.node : el('pre.json', {}, JSON.stringify(record, null, 2)));
  panel?.open?.();
}

const fact = (label, value) => (value === undefined || value === null || value === '' ? null : el('span.fact', {}, el('span.quiet', {}, label, ' '), value));
const view = el('session-view', {},
  el('header.session-head', {}, el('div.row.title', {}, el('h1', {}, record.session_id), status(record), el('span.quiet', {}, record.problem || record.end_reason || ''), el('span.grow'), el('span.quiet.small', {}, `exported ${instant(data.exported_at, true)}`)),
    el('div.facts', {}, fact('simulated', `${seconds(record.duration_sim_s)} of ${seconds(record.duration_planned_s)}`), fact('started', instant(record.started_at, true)), fact('drones', record.drones.length), fact('windows cleaned', plain(totals.windows_cleaned)), fact('distance', metres(totals.distance_m)), fact('notes', record.notes))),
  el('div.upper', {}, player.node, el('section.tabs', {}, el('div.tab-strip', { role: 'tablist', 'aria-label': 'About this session' }, buttons), body)), charts.node);
fill(document.getElementById('place'), view);
open('Drones');
keys(player.keys());
player.timeline.setPhases(data.transitions, data.scene.max_time);
player.addEvents(data.streams[STREAM.EVENTS]);
known[STREAM.EVENTS].take(data.streams[STREAM.EVENTS]);
Promise.all([player.open(), charts.open(data.scene.max_time)]).then(() => { view.dataset.ready = 'true'; });
