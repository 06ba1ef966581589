/* Streams as a table: search, level, follow. Thousands of lines in a window of some thirty elements.

   A record of any shape is shown: what the known columns do not say is written as key and value, so that the events of
   anybody's program are never empty rows. */
import { STREAM, TABS } from './constants.js';
import { el, fill } from './dom.js';
import { moment } from './format.js';

const ROW = 24;
const MOST = 50000;
const MOST_CHOICES = 200;
const LEVELS = ['debug', 'info', 'warning', 'error', 'critical'];
const place = (value) => value.map((each) => Number(each).toFixed(1)).join(', ');
const TEXTS = {
  [STREAM.EVENTS]: (r) => [r.kind, r.message, r.drone],
  [STREAM.COMMANDS]: (r) => [`${r.command || r.kind || ''} ${r.status || ''}`.trim(), [Array.isArray(r.target) && `to ${place(r.target)}`, r.reason].filter(Boolean).join(' · '), r.drone],
  [STREAM.COMMUNICATION]: (r) => [r.type, r.from || r.to ? `${r.from || ''} → ${r.to || ''}: ${r.message || ''}${r.delivered === false ? ` (dropped: ${r.dropped_because || 'lost'})` : ''}` : r.message, typeof r.rssi_dbm === 'number' ? `${r.rssi_dbm} dBm` : ''],
  [STREAM.LOG]: (r) => [r.level, r.message, r.drone],
};
const USED = {
  [STREAM.EVENTS]: ['kind', 'message', 'drone'], [STREAM.COMMANDS]: ['command', 'kind', 'status', 'target', 'reason', 'drone', 'id'],
  [STREAM.COMMUNICATION]: ['type', 'from', 'to', 'message', 'delivered', 'dropped_because', 'rssi_dbm', 'id'], [STREAM.LOG]: ['level', 'message', 'drone'],
};

/* What a line of a table of ours leaves to its tooltip: where in a program it was written, in which thread. */
const SELDOM_TOLD = ['stream', 'logger', 'file', 'line', 'function', 'module', 'process', 'thread', 'thread_name', 'traceback', 'data', 'utc'];

/** Return kind, text and who of a record of any stream. */
export function textsOf(stream, line) {
  const record = line['='] || line; // a record with keys of the line itself (n, t, c) is nested
  const [kind, text, who] = TEXTS[stream] ? TEXTS[stream](record) : ['', '', record.drone];
  const said = TEXTS[stream] ? ['level', ...USED[stream], ...SELDOM_TOLD] : ['drone'];
  const shown = [text, rest(record, said)].filter(Boolean).join(' · ');
  return [plainText(kind), shown, plainText(who)];
}

const plainText = (value) => (value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));
const rest = (record, used) => Object.entries(record).filter(([name]) => !['n', 't', ...used].includes(name)).map(([name, value]) => `${name} ${plainText(value)}`).join(' · ');

/** The drones that a record is about, or that speak in it. */
function dronesOf(line) {
  const { drone, from, to } = line['='] || line;
  return [drone, from, to].filter((each) => typeof each === 'string');
}

export class RecordTable {
  constructor(streams, source, onSeek, label = streams) {
    Object.assign(this, { streams: [streams].flat(), source, onSeek, records: [], found: [], seen: new Set(), kinds: new Set(), levels: new Set(), drones: new Set(), follow: true, t: 0 });
    this.search = el('input', { type: 'search', placeholder: 'Search, or /expression/', 'aria-label': `Search ${label}`, on: { input: () => this.filter() } });
    this.level = el('select', { 'aria-label': 'Level', on: { change: () => this.filter() } }, [['', 'All levels'], ['info', 'Without debug'], ['warning', 'Warnings and errors'], ['error', 'Errors']].map(([value, text]) => el('option', { value }, text)));
    this.kind = this.choice('Kind', 'All kinds');
    this.drone = this.choice('Drone', 'All drones');
    this.search.addEventListener('keydown', (event) => { if (event.key === 'Enter') { event.preventDefault(); this.jump(event.shiftKey ? -1 : 1); } });
    this.search.title = 'Enter: the next match after the moment (Shift: the one before)';
    this.following = el('button', { type: 'button', 'aria-pressed': 'true', title: 'Keep the present moment in view', on: { click: () => { this.follow = !this.follow; this.following.setAttribute('aria-pressed', this.follow); this.moment(this.t, true); } } }, 'Follow');
    this.told = el('span.quiet.small', { role: 'status' });
    this.list = el('div.lines', { tabindex: 0, role: 'log', 'aria-label': label, 'aria-live': 'off' });
    this.spacer = el('div.spacer');
    this.list.append(this.spacer);
    this.list.addEventListener('scroll', () => this.draw(), { passive: true });
    this.list.addEventListener('wheel', () => { if (this.follow) { this.follow = false; this.following.setAttribute('aria-pressed', 'false'); } }, { passive: true });
    this.node = el('div.records', {}, el('div.row.tools.wrap', {}, this.search, this.level, this.kind, this.drone, this.following, this.told), this.list);
    new ResizeObserver(() => this.draw()).observe(this.list);
  }

  choice(label, all) {
    return el('select', { 'aria-label': label, hidden: true, on: { change: () => this.filter() } }, el('option', { value: '' }, all));
  }

  /** Offer the kinds and drones that the records have. */
  offer() {
    this.list.classList.toggle('no-kind', !this.kinds.size);
    this.level.hidden = this.levels.size < 2; // all records would answer the same
    for (const [select, values] of [[this.kind, this.kinds], [this.drone, this.drones]]) {
      if (select.options.length === values.size + 1) continue;
      const chosen = select.value;
      fill(select, select.options[0], [...values].sort().map((value) => el('option', { value }, value)));
      select.value = values.has(chosen) ? chosen : '';
      select.hidden = values.size < 2;
    }
  }

  /** Go to the next record that is shown, after or before the moment. */
  jump(way) {
    const next = way > 0 ? this.found.find((each) => each.t > this.t + 1e-6) : this.found.findLast((each) => each.t < this.t - 1e-6);
    if (next) this.onSeek(next.t);
  }

  async open(t) {
    if (t !== undefined) this.t = t;
    if (this.opened || (this.streams[0] === STREAM.EVENTS && this.records.length)) { this.filter(); return; } // what came while it was hidden
    this.opened = true;
    this.told.textContent = 'loading …';
    try {
      const found = await Promise.all(this.streams.map((name) => this.source.all(name, MOST, (records) => this.take(records, name))));
      this.read_to = found.map((each) => each.whole && each.offset);
      const damaged = found.reduce((sum, each) => sum + each.damaged.length, 0);
      this.note = [found.every((each) => each.whole) ? '' : `first ${MOST.toLocaleString('en')}`, damaged ? `${damaged} damaged lines skipped` : ''].filter(Boolean).join(', ');
      this.filter();
    } catch (error) {
      this.opened = false;
      fill(this.told, el('span.problem', {}, error.message));
    }
  }

  /** Read what was appended since, of a stream that nothing follows. */
  async grow() {
    if (!this.read_to || this.growing || this.records.length >= MOST) return;
    this.growing = true;
    try {
      await Promise.all(this.streams.map(async (name, i) => { if (this.read_to[i] !== false) this.read_to[i] = (await this.source.all(name, MOST, (records) => { if (records.length) this.take(records, name); }, this.read_to[i])).offset; }));
    } catch { /* asked again in two seconds */ } finally { this.growing = false; }
  }

  take(records, stream = this.streams[0]) {
    for (const each of records) {
      const key = `${stream}:${each.n}`;
      if (this.seen.has(key)) continue;
      this.seen.add(key);
      const record = this.streams.length > 1 ? { ...each, stream } : each;
      this.records.push(record);
      if (record.level) this.levels.add(record.level);
      const [kind] = textsOf(stream, record);
      if (kind && this.kinds.size < MOST_CHOICES) this.kinds.add(kind);
      for (const name of dronesOf(record)) if (this.drones.size < MOST_CHOICES) this.drones.add(name);
    }
    this.records.sort((a, b) => a.t - b.t || a.n - b.n);
    if (this.node.isConnected || !this.found.length) this.filter();
  }

  /** Return whether a record matches the search field: a text, or a regular expression between slashes. */
  matcher() {
    const text = this.search.value.trim();
    const expression = /^\/(.+)\/(i?)$/.exec(text);
    this.search.removeAttribute('aria-invalid');
    if (!expression) { const wanted = text.toLowerCase(); return (each) => !wanted || JSON.stringify(each).toLowerCase().includes(wanted); }
    try { const pattern = new RegExp(expression[1], expression[2]); return (each) => pattern.test(JSON.stringify(each)); } catch { this.search.setAttribute('aria-invalid', 'true'); return () => false; }
  }

  /** A text with what was searched for marked in it. */
  marked(text) {
    const wanted = this.search.value.trim();
    const expression = /^\/(.+)\/(i?)$/.exec(wanted);
    if (!wanted || (expression && this.search.hasAttribute('aria-invalid'))) return text;
    const found = expression ? new RegExp(expression[1], expression[2]).exec(text) : null;
    const at = expression ? found?.index ?? -1 : text.toLowerCase().indexOf(wanted.toLowerCase());
    const length = expression ? found?.[0].length : wanted.length;
    return at < 0 || !length ? text : [text.slice(0, at), el('mark', {}, text.slice(at, at + length)), text.slice(at + length)];
  }

  filter() {
    const fits = this.matcher();
    this.offer();
    const least = LEVELS.indexOf(this.level.value);
    const levelled = (each) => least < 0 || (this.level.value === 'info' ? each.level !== 'debug' : LEVELS.indexOf(String(each.level).toLowerCase()) >= least);
    const kind = this.kind.value;
    const drone = this.drone.value;
    this.found = this.records.filter((each) => levelled(each) && (!kind || textsOf(each.stream || this.streams[0], each)[0] === kind) && (!drone || dronesOf(each).includes(drone)) && fits(each));
    const some = this.found.length === this.records.length ? '' : `${this.found.length.toLocaleString('en')} of `;
    this.told.textContent = `${some}${this.records.length.toLocaleString('en')}${this.note ? `, ${this.note}` : ''}`;
    this.drawn = null;
    this.moment(this.t, true);
  }

  /** Follow the player: the last record before the moment is marked and kept in view. */
  moment(t, force = false) {
    const now = performance.now();
    this.t = t;
    clearTimeout(this.later);
    if (!force && now - (this.last || 0) < 120) { this.later = setTimeout(() => this.moment(this.t, true), 130); return; }
    this.last = now;
    let low = 0;
    let high = this.found.length;
    while (low < high) { const middle = (low + high) >> 1; if (this.found[middle].t <= t + 1e-9) low = middle + 1; else high = middle; }
    this.at = low - 1;
    this.spacer.style.height = `${this.found.length * ROW}px`;
    if (this.follow) this.list.scrollTop = Math.max(0, this.at * ROW - this.list.clientHeight * 0.6);
    this.drawn = null;
    this.draw();
  }

  draw() {
    if (!this.node.isConnected) return;
    this.spacer.style.height = `${this.found.length * ROW}px`;
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW) - 5);
    const last = Math.min(this.found.length, Math.ceil((this.list.scrollTop + this.list.clientHeight) / ROW) + 5);
    const key = `${first}:${last}:${this.found.length}:${this.at}`;
    if (key === this.drawn) return;
    this.drawn = key;
    this.list.replaceChildren(this.spacer, ...this.found.slice(first, last).map((each, i) => this.line(each, first + i)));
    if (!this.found.length) this.list.append(el('p.quiet.none', {}, this.records.length ? 'No record matches.' : 'None were recorded.'));
  }

  line(record, index) {
    const [kind, text, who] = textsOf(record.stream || this.streams[0], record);
    const node = el('div.record', { class: `${record.level || ''}${record.delivered === false ? ' warning' : ''}${index === this.at ? ' now' : ''}`, title: JSON.stringify(record) },
      el('button.plain.t', { type: 'button', tabindex: -1, on: { click: () => this.onSeek(record.t) } }, moment(record.t)), el('span.kind', {}, kind), el('span.text', { dir: 'auto' }, this.marked(text)), el('span.who.quiet', {}, who));
    node.style.transform = `translateY(${index * ROW}px)`;
    return node;
  }
}

/** A table for each tab of streams, by the name of the tab. */
export function streamTables(source, onSeek) {
  return Object.fromEntries(TABS.map(({ name, title, streams }) => [name, new RecordTable(streams, source, onSeek, title.toLowerCase())]));
}
