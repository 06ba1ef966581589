/* What a panel can be, each made of what the page has already: { node, moment(t), shown(), record(r), take(name, records), close(), argument() }. */
import { fill, el } from '../app/dom.js';
import { FieldPicker } from '../app/field_picker.js';
import { label, parseChart, writeChart } from '../app/field_spec.js';
import { one } from '../app/api.js';
import { IMAGES, Tabs, VIDEOS } from '../app/tabs.js';
import { STREAM, TABS } from '../app/constants.js';
import { MapPanel } from './map.js';
import { markdown } from './markdown.js';
import { StripPanel } from './strip.js';
import { XyPanel } from './xy.js';

const LOG = TABS.find(({ title: text }) => text === 'Log')?.name; // messages and log lines share a table
const kindOf = (name) => (name === LOG ? STREAM.LOG : name);
const TITLES = { scene: '3D', time: 'Timeline', tabs: 'Tables', charts: 'Charts', map: 'Map', strip: 'States', drones: 'Drones', marks: 'Marks', json: 'JSON', provenance: 'Provenance', artifacts: 'Artifacts', notes: 'Notes', values: 'Values', xy: 'x-y plot', ...Object.fromEntries(TABS.map(({ name, title: text }) => [kindOf(name), text])) };
const TABLES = ['drones', ...TABS.map(({ name }) => kindOf(name)), 'marks', 'json', 'provenance', 'artifacts'];

export function title({ kind, argument }) {
  if (kind === 'chart') return parseChart(argument).map(label).join(', ') || 'Chart';
  if (kind === 'xy' && parseChart(argument).length === 2) { const [x, y] = parseChart(argument); return `${label(y)} against ${label(x)}`; }
  return argument ? `${{ stream: '', media: '', strip: 'States: ' }[kind] ?? `${TITLES[kind]}: `}${argument}` : TITLES[kind] || kind;
}

/** All panels that this session can have: [[kind, argument, title], ...]. */
export async function kinds(view) {
  const [streams, files] = await Promise.all([view.source.streams().catch(() => []), view.source.artifacts().catch(() => ({ artifacts: [] }))]);
  const media = files.artifacts.filter(({ name }) => IMAGES.test(name) || VIDEOS.test(name));
  const plain = ['scene', 'map', 'chart', 'charts', 'xy', 'strip', 'values', 'notes', 'tabs', ...TABLES].map((kind) => [kind, '', kind === 'chart' ? 'Chart of any field' : kind === 'charts' ? 'Charts of the flight' : TITLES[kind]]);
  return [...plain, ...view.tabs.ownStreams(streams).map(({ stream }) => ['stream', stream, `Stream ${stream}`]), ...media.map(({ name }) => ['media', name, name])];
}

export function make(view, panel) {
  const { kind, argument } = panel;
  if (kind === 'scene' || kind === 'time') return scene(view, kind);
  if (kind === 'tabs') return { node: view.tabs.node, grow: () => view.tabs.grow() };
  if (kind === 'charts') return { node: view.charts.node, shown: () => view.charts.redraw() };
  if (kind === 'chart') return chart(view, argument);
  if (kind === 'map') return new MapPanel(view);
  if (kind === 'strip') return new StripPanel(view, argument);
  if (kind === 'xy') return new XyPanel(view, argument);
  if (kind === 'values') return values(view);
  if (kind === 'notes') return notes(view);
  if (kind === 'media') return media(view, argument);
  const name = kind === 'stream' ? `stream-${argument}` : kind;
  return TABLES.includes(name) || kind === 'stream' ? table(view, name === STREAM.LOG ? LOG : name) : { node: el('p.quiet.pad', {}, `There is no panel “${kind}”.`) };
}

function scene(view, kind) {
  return { node: view.player.node, shown: () => { view.player.node.classList.toggle('only-time', kind === 'time'); view.player.stale = true; } };
}

function table(view, name) {
  const tabs = new Tabs(view.source, view.record, { start: name, only: true, player: view.player, values: view.values, marks: view.marks, onSeek: (t) => view.player.seek(t), onChange: () => {} });
  if (name.startsWith('stream-')) tabs.findStreams();
  tabs.setRecord(view.record);
  return { node: tabs.node, moment: (t, at_once) => tabs.moment(t, at_once), record: (record) => tabs.setRecord(record), take: (stream, records) => tabs.take(stream, records), choose: (id) => tabs.choose(id), grow: () => tabs.grow() };
}

function chart(view, argument) {
  const node = el('div.chart-panel');
  let made = null;
  const begin = (lines) => {
    made = view.charts.add(lines, true, node, () => { made = null; choose(); });
    made.inPanel = true;
    made.heading.setAttribute('role', 'presentation'); // the panel's head names it
    view.layout?.onChange();
  };
  const choose = () => {
    const picker = new FieldPicker(view.source, (line) => { fill(node); begin([line]); });
    fill(node, el('p.quiet', {}, 'Type the name of a recorded number, or drag one here.'), picker.node);
  };
  const lines = parseChart(argument);
  if (lines.length) begin(lines);
  else choose();
  return { node, argument: () => made?.spec ?? '', close: () => made && view.charts.remove(made, false), shown: () => view.charts.redraw(), spec: () => writeChart(lines) };
}

function values(view) {
  const text = el('pre.json', { tabindex: 0, 'aria-label': 'Recorded values at the moment' });
  const show = () => { const found = view.values.at(view.player.seen, view.player.playing) || view.values.near(view.player.seen, 0.5 * Math.max(1, view.player.rate)); if (found) text.textContent = written(found); };
  view.values.streams = true; // those of the program's own are read for this panel only
  view.values.forget();
  return { node: el('div.panel', {}, text), moment: show, shown: show, close: () => { view.values.streams = false; } };
}

/** JSON with its lists of numbers in one line each. */
const written = (value) => JSON.stringify(value, null, 2).replace(/\[\s+([^[\]{}"]*?)\s+\]/g, (_, inner) => `[${inner.replace(/\s+/g, ' ')}]`);

function notes(view) {
  const node = el('div.panel');
  const show = (record) => fill(node, record.notes ? markdown(record.notes) : el('p.quiet', {}, 'No notes yet; Markdown is understood.'), el('p', {}, el('button', { type: 'button', on: { click: () => view.editor.open() } }, 'Edit the notes')));
  show(view.record);
  return { node, record: show };
}

/** A picture, or a video that follows the moment. */
function media(view, name) {
  const source = `${one(view.source.id)}/artifacts/${encodeURIComponent(name)}?inline=true`;
  if (IMAGES.test(name)) { const node = el('div.media', {}, el('img', { src: source, alt: name, on: { error: () => fill(node, el('p.quiet.pad', {}, `${name} holds no picture that this browser can show.`)) } })); return { node }; }
  if (!VIDEOS.test(name)) return { node: el('p.quiet.pad', {}, `${name} is neither a picture nor a video that can be shown in place.`) };
  const video = el('video', { src: source, controls: true, muted: true, preload: 'auto', 'aria-label': name });
  const follow = (t) => { if (Number.isFinite(video.duration) && Math.abs(video.currentTime - t) > (view.player.playing ? 0.4 : 0.04)) video.currentTime = Math.min(t, video.duration); };
  return { node: el('div.media', {}, video), moment: follow };
}
