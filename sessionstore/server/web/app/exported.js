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

/** A figure of the file, of a stretch of it when one is asked for. */
const cut = (figure, { start, end } = {}) => (start === undefined ? figure : { ...figure, layout: { ...figure.layout, xaxis: { ...figure.layout.xaxis, range: [start, end] } } });

/** The same methods as ApiSource, answered from the file. */
const source = {
  id: data.record.session_id,
  scene: async () => data.scene,
  facades: async () => data.facades,
  track: async () => data.track,
  all: async (name, most, take = () => {}) => { const records = data.streams[name] || []; take(records); return { records, damaged: [], whole: true }; },
  figures: async (range) => Object.fromEntries(Object.entries(data.figures).map(([name, figure]) => [name, cut(figure, range)])),
  fields: async () => Object.fromEntries(Object.entries(data.series).map(([name, fields]) => [name, Object.keys(fields)])),
  series: async ({ stream, field, ...range }) => cut(data.series[stream][field], range),
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
/** The speed that was recorded last at or before a moment: of a long flight the chart of it is thinned. */
const speedOf = (id, t) => {
  const { data: traces, layout } = data.figures.speed;
  const trace = traces.find((each) => each.name === id);
  const at = trace ? trace.x.findLastIndex((each) => each <= t + 5e-4) : -1;
  return at < 0 || typeof trace.y[at] !== 'number' ? null : { speed: trace.y[at], about: layout.meta.thinned !== 'no' };
};
const drones = new DroneTable(player, null, speedOf);
drones.setRecord(record);
charts = new Charts(source, { drones: record.drones, onSeek: (t) => player.seek(t), cursor: () => player.t, onHover: (t) => player.hover(t) });

const marks = new Marks({ alerts: data.alerts && (async () => data.alerts) }, { record, timeline: player.timeline, now: () => player.t, stretch: () => null, onSeek: (t) => player.seek(t), onStretch: (range) => charts.zoom(range), onMarks: () => { player.stale = true; }, editable: false });
const STREAM_TITLE = TABS.find(({ streams }) => streams.includes(STREAM.EVENTS)).title;
const own = Object.keys(data.streams).filter((name) => !TABS.some(({ streams }) => streams.includes(name)));
const seek = (t) => player.seek(t);
const known = streamTables(source, seek);
const places = Boolean(player.drones.length || Object.keys(data.track.drones).length || record.num_buildings || record.duration_planned_s);
const tables = { ...(places ? { Drones: drones } : {}), Marks: { node: marks.view() }, ...Object.fromEntries(TABS.filter(({ streams }) => !streams.includes(STREAM.COMMANDS) || data.streams[STREAM.COMMANDS].length).map(({ name, title }) => [title, known[name]])), ...Object.fromEntries(own.map((name) => [name, new RecordTable(name, source, seek)])) };
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
  el('header.session-head', {}, el('div.row.title', {}, el('h1', { dir: 'auto' }, record.session_name ? [record.session_name, el('span.quiet.id', {}, ` ${record.session_id}`)] : record.session_id), status(record), el('span.quiet', {}, record.problem || (record.end_reason !== 'completed' && record.end_reason) || ''), (record.tags || []).map((tag) => el('span.tag', { dir: 'auto' }, tag)), el('span.grow'), el('span.quiet.small', {}, `exported ${instant(data.exported_at, true)}`)),
    el('div.facts', {}, fact('simulated', record.duration_planned_s ? `${seconds(record.duration_sim_s)} of ${seconds(record.duration_planned_s)}` : seconds(record.duration_sim_s ?? data.scene.end_time)), fact('started', instant(record.started_at, true)), fact('drones', player.drones.length || null), fact('buildings', record.num_buildings || null), fact('windows cleaned', record.num_buildings ? plain(totals.windows_cleaned) : null), fact('distance', totals.distance_m === undefined ? null : metres(totals.distance_m)), fact('points', totals.points?.toLocaleString('en')), fact('notes', record.notes && el('bdi', {}, record.notes)))),
  el('div.upper', {}, player.node, el('section.tabs', {}, el('div.tab-strip', { role: 'tablist', 'aria-label': 'About this session' }, buttons), body)), charts.node);
fill(document.getElementById('place'), view);
player.node.classList.toggle('only-time', !places);
view.classList.toggle('without-places', !places);
open(places ? 'Drones' : own[0] || STREAM_TITLE);
keys(player.keys());
player.timeline.setPhases(data.transitions, data.scene.max_time);
player.addEvents(data.streams[STREAM.EVENTS]);
known[STREAM.EVENTS].take(data.streams[STREAM.EVENTS]);
player.open().then(() => charts.open(player.tape.end)).then(() => { view.dataset.ready = 'true'; });
