/* Bookmarks at a moment or a stretch, kept in the session (metadata.bookmarks, an edit of the record), and the alerts
   that are found in the recorded data; both are listed here and marked on the timeline. */
import { ask } from './api.js';
import { el, fill } from './dom.js';
import { moment, number } from './format.js';
import { failed, notice } from './notices.js';
import { address, query } from './router.js';

const KINDS = { battery: 'battery low', link: 'link lost', separation: 'too near' };
const MERGE_PATCH = 'application/merge-patch+json';
const MOST_ROWS = 400;
const THRESHOLDS = { battery: 0.25, separation: 1 };

/** The bookmarks of a record that are well formed: [{ id, t, end, text }], in the order of time. */
export function bookmarksOf(record) {
  const all = record.metadata?.bookmarks;
  return (Array.isArray(all) ? all : []).filter((each) => each && Number.isFinite(each.t)).map((each) => ({ ...each, id: String(each.id ?? each.t), text: String(each.text ?? ''), end: Number.isFinite(each.end) && each.end > each.t ? each.end : null })).sort((a, b) => a.t - b.t);
}

/** What an alert says: the drones, and the worst value with its unit. */
export function told({ kind, drones, value, t, end }) {
  const worst = { battery: () => `down to ${number(value * 100, 0)} %`, link: () => `${number(value, 0)} messages lost`, separation: () => `${number(value, 2)} m apart` }[kind]?.() ?? '';
  return `${drones.join(' and ')}: ${worst}${end - t >= 0.1 ? `, for ${number(end - t, 1)} s` : ''}`;
}

export class Marks {
  constructor(source, { record, timeline, now, stretch, onSeek, onStretch, onMarks = () => {}, editable = true }) {
    Object.assign(this, { onMarks, source, record, timeline, now, stretch, onSeek, onStretch, editable, alerts: [], nodes: new Set(), wanted: query().mark });
    this.limits = { ...THRESHOLDS };
    this.read(record);
  }

  /** A list to put into a tab or a panel. */
  view() {
    const node = el('div.marks');
    this.nodes.add(node);
    this.show(node);
    this.load();
    return node;
  }

  read(record) {
    this.record = record;
    const now = bookmarksOf(record);
    if (this.bookmarks && JSON.stringify(now) === JSON.stringify(this.bookmarks)) return;
    this.bookmarks = now;
    this.changed();
  }

  /** Go to the bookmark that the address names. */
  goWanted() {
    const found = this.bookmarks.find((each) => each.id === this.wanted);
    this.wanted = null;
    if (found) this.go(found);
  }

  async load(again = false) {
    if ((this.loaded && !again) || !this.source.alerts) return;
    this.loaded = true;
    try {
      const { alerts, searched_until: until } = await this.source.alerts(this.limits);
      if (this.alerts.length && JSON.stringify(alerts) === JSON.stringify(this.alerts)) return;
      this.alerts = alerts;
      this.note = until === null ? '' : `searched to ${moment(until)}: the flight is very long`;
      this.problem = '';
    } catch (error) { this.problem = error.message; this.loaded = false; }
    this.changed();
  }

  changed() {
    this.timeline.setMarks(this.bookmarks, this.alerts.map((each) => ({ ...each, text: `${KINDS[each.kind]}: ${told(each)}` })));
    this.onMarks();
    for (const node of this.nodes) this.show(node);
  }

  go(each) {
    this.onSeek(each.t);
    if (each.end && each.end > each.t + 0.5) this.onStretch([each.t, each.end]);
  }

  show(node) {
    const limit = (name, label, scale, step) => el('label', {}, label, el('input', { type: 'number', min: 0, step, value: this.limits[name] * scale, size: 5, on: { change: (event) => { this.limits[name] = Number(event.target.value) / scale || THRESHOLDS[name]; this.load(true); } } }));
    const rows = this.bookmarks.map((each) => this.bookmark(each));
    const some = this.alerts.slice(0, MOST_ROWS);
    fill(node,
      el('div.row.wrap', {}, el('h2', {}, 'Bookmarks'), el('span.grow'), this.editable ? el('button', { type: 'button', title: 'Bookmark this moment (b); while the charts are zoomed, the stretch', on: { click: () => this.form(null) } }, '+ Bookmark') : null),
      rows.length ? el('ul.mark-list', {}, rows) : el('p.quiet', {}, this.editable ? 'None yet: b makes one at the moment.' : 'None.'),
      el('div.row.wrap', {}, el('h2', {}, `Alerts (${this.alerts.length})`), el('span.grow'), this.source.alerts ? [limit('battery', 'battery below %', 100, 1), limit('separation', 'separation below m', 1, 0.1)] : null),
      this.problem ? el('p.problem', { role: 'alert' }, this.problem) : null, this.note ? el('p.quiet.small', {}, this.note) : null,
      this.alerts.length ? el('ul.mark-list', {}, some.map((each) => el('li', {}, this.moment(each), el('strong.warn-text', {}, KINDS[each.kind] || each.kind), ' ', told(each)))) : el('p.quiet', {}, this.loaded ? 'Nothing was found.' : 'Loading …'),
      this.alerts.length > some.length ? el('p.quiet', {}, `and ${this.alerts.length - some.length} more`) : null);
  }

  moment(each) { return el('button.plain.small.t', { type: 'button', on: { click: () => this.go(each) } }, each.end && each.end - each.t >= 0.1 ? `${moment(each.t)} – ${moment(each.end)}` : moment(each.t)); }

  bookmark(each) {
    const link = address(['session', this.record.session_id], { t: each.t.toFixed(2), mark: each.id });
    const copy = el('button.plain.small', { type: 'button', 'aria-label': `Copy the link to ${each.text || moment(each.t)}`, title: 'Copy the link', on: { click: () => navigator.clipboard?.writeText(location.origin + link).then(() => notice('Link copied'), (error) => failed('Not copied', error)) } }, 'Link');
    const tools = this.editable ? [copy, el('button.plain.small', { type: 'button', 'aria-label': `Edit the bookmark ${each.text || moment(each.t)}`, on: { click: () => this.form(each) } }, 'Edit'), el('button.plain.small', { type: 'button', 'aria-label': `Remove the bookmark ${each.text || moment(each.t)}`, on: { click: () => this.remove(each) } }, '✕')] : null;
    return el('li', { 'data-id': each.id }, this.moment(each), el('span.mark-text', { dir: 'auto' }, each.text || el('span.quiet', {}, 'no note')), tools);
  }

  form(each) {
    const zoomed = each ? null : this.stretch();
    const field = (value, label) => { const input = el('input', { type: 'number', step: 'any', min: 0, value: value ?? '' }); return [input, el('p', {}, el('label', {}, label, input))]; };
    const [from, fromRow] = field(each ? each.t : (zoomed?.[0] ?? this.now()).toFixed(2), 'From (s)');
    const [to, toRow] = field(each ? each.end ?? '' : zoomed ? zoomed[1].toFixed(2) : '', 'To (s; empty: a moment)');
    const text = el('textarea', { rows: 3, id: 'mark-text' });
    text.value = each?.text ?? '';
    const problem = el('div.told', { role: 'alert' });
    const form = el('form', { method: 'dialog' }, el('h2', {}, each ? 'Edit the bookmark' : 'New bookmark'), el('div.two', {}, fromRow, toRow), el('p', {}, el('label', { for: 'mark-text' }, 'Note'), text), problem, el('div.row', {}, el('button.main', { type: 'submit' }, 'Save'), el('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel')));
    const dialog = el('dialog.edit', { 'aria-label': 'Bookmark' }, form);
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const t = Number(from.value);
      const end = to.value === '' ? null : Number(to.value);
      if (from.value === '' || !(t >= 0) || (end !== null && !(end > t))) { fill(problem, 'The end lies after the begin, and both are seconds of the flight.'); return; }
      const made = { ...each, id: each?.id ?? crypto.getRandomValues(new Uint32Array(1))[0].toString(36), t, end, text: text.value.trim(), edited_at: new Date().toISOString() };
      if (form.inert) return;
      form.inert = true; // Enter twice
      try { await this.store((all) => [...all.filter((other) => String(other.id ?? other.t) !== made.id), made]); dialog.close(); } catch (error) { form.inert = false; fill(problem, error.message); }
    });
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    text.focus();
  }

  async remove(each) {
    const before = this.bookmarks.find((other) => other.id === each.id);
    try {
      await this.store((all) => all.filter((other) => String(other.id ?? other.t) !== each.id));
      notice('Bookmark removed', { action: 'Undo', act: () => this.store((all) => [...all, before]).catch((error) => failed('Not brought back', error)), seconds: 10 });
    } catch (error) { failed('Not removed', error); }
  }

  /** Change the bookmarks as they are in the file now: two windows do not take each other's away. */
  async store(change) {
    for (let attempt = 0; ; attempt += 1) {
      const { record, etag } = await this.source.record();
      const all = Array.isArray(record.metadata?.bookmarks) ? record.metadata.bookmarks : [];
      const bookmarks = change(all).sort((a, b) => a.t - b.t);
      try {
        const reply = await ask(this.source.base, { method: 'PATCH', body: { metadata: { bookmarks: bookmarks.length ? bookmarks : null }, reason: 'bookmarks' }, headers: { 'if-match': etag, 'content-type': MERGE_PATCH } });
        this.read(await reply.json());
        return;
      } catch (error) { if (error.status !== 412 || attempt > 4) throw error; }
    }
  }
}
