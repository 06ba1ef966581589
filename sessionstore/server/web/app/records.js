/* A stream as a table: search, level, follow. Thousands of lines in a window of some thirty elements. */
import { el, fill } from './dom.js';
import { moment } from './format.js';

const ROW = 24;
const MOST = 50000;
const TEXTS = {
  events: (r) => [r.kind, r.message || '', r.drone || ''],
  commands: (r) => [`${r.command || r.kind || ''} ${r.status || ''}`, [r.target && `to ${r.target.map((each) => Number(each).toFixed(1)).join(', ')}`, r.reason].filter(Boolean).join(' · '), r.drone || ''],
  communication: (r) => [r.type || '', `${r.from || ''} → ${r.to || ''}: ${r.message || ''}${r.delivered === false ? ` (dropped: ${r.dropped_because || 'lost'})` : ''}`, typeof r.rssi_dbm === 'number' ? `${r.rssi_dbm} dBm` : ''],
};

export class RecordTable {
  constructor(stream, source, onSeek) {
    Object.assign(this, { stream, source, onSeek, records: [], found: [], seen: new Set(), follow: true, t: 0 });
    this.search = el('input', { type: 'search', placeholder: 'Search', 'aria-label': `Search ${stream}`, on: { input: () => this.filter() } });
    this.level = el('select', { 'aria-label': 'Level', on: { change: () => this.filter() } }, [['', 'All levels'], ['warning', 'Warnings and errors'], ['error', 'Errors']].map(([value, text]) => el('option', { value }, text)));
    this.following = el('button', { type: 'button', 'aria-pressed': 'true', title: 'Keep the present moment in view', on: { click: () => { this.follow = !this.follow; this.following.setAttribute('aria-pressed', this.follow); this.moment(this.t, true); } } }, 'Follow');
    this.told = el('span.quiet.small', { role: 'status' });
    this.list = el('div.lines', { tabindex: 0, role: 'log', 'aria-label': stream, 'aria-live': 'off' });
    this.spacer = el('div.spacer');
    this.list.append(this.spacer);
    this.list.addEventListener('scroll', () => this.draw(), { passive: true });
    this.list.addEventListener('wheel', () => { if (this.follow) { this.follow = false; this.following.setAttribute('aria-pressed', 'false'); } }, { passive: true });
    this.node = el('div.records', {}, el('div.row.tools', {}, this.search, this.level, this.following, this.told), this.list);
    new ResizeObserver(() => this.draw()).observe(this.list);
  }

  async open() {
    if (this.opened || (this.stream === 'events' && this.records.length)) { this.filter(); return; } // what came while it was hidden
    this.opened = true;
    this.told.textContent = 'loading …';
    try {
      const { whole, damaged } = await this.source.all(this.stream, MOST, (records) => this.take(records));
      this.note = [whole ? '' : `first ${MOST.toLocaleString('en')}`, damaged.length ? `${damaged.length} damaged lines skipped` : ''].filter(Boolean).join(', ');
      this.filter();
    } catch (error) {
      this.opened = false;
      fill(this.told, el('span.problem', {}, error.message));
    }
  }

  take(records) {
    for (const each of records) {
      if (this.seen.has(each.n)) continue;
      this.seen.add(each.n);
      this.records.push(each);
    }
    this.records.sort((a, b) => a.n - b.n);
    if (this.node.isConnected || !this.found.length) this.filter();
  }

  filter() {
    const text = this.search.value.trim().toLowerCase();
    const levels = { warning: ['warning', 'error', 'critical'], error: ['error', 'critical'] }[this.level.value];
    this.found = this.records.filter((each) => (!levels || levels.includes(each.level)) && (!text || JSON.stringify(each).toLowerCase().includes(text)));
    const some = this.found.length === this.records.length ? '' : `${this.found.length.toLocaleString('en')} of `;
    this.told.textContent = `${some}${this.records.length.toLocaleString('en')}${this.note ? `, ${this.note}` : ''}`;
    this.drawn = null;
    this.draw();
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
    while (low < high) { const middle = (low + high) >> 1; if (this.found[middle].t <= t) low = middle + 1; else high = middle; }
    this.at = low - 1;
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
    const [kind, text, drone] = TEXTS[this.stream](record);
    const node = el('div.record', { class: `${record.level || ''}${record.delivered === false ? ' warning' : ''}${index === this.at ? ' now' : ''}`, title: JSON.stringify(record) },
      el('button.plain.t', { type: 'button', tabindex: -1, on: { click: () => this.onSeek(record.t) } }, moment(record.t)), el('span.kind', {}, kind), el('span.text', {}, text), el('span.who.quiet', {}, drone));
    node.style.transform = `translateY(${index * ROW}px)`;
    return node;
  }
}
