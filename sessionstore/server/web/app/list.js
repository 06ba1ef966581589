/* The place Sessions: search in the filter language, filters, the rows, and what can be done with the chosen ones. */
import { follow, json, one } from './api.js';
import { takesFiles } from './bundle.js';
import { calm, el, fill } from './dom.js';
import { count, instant } from './format.js';
import { keys } from './keys.js';
import { failed, notice } from './notices.js';
import { address, go, keep, query } from './router.js';
import { chosen, columnsOf, DEFAULT, NAMES, namesOf, remember } from './columns.js';
import { BY, Groups } from './groups.js';
import { exportMany, noteMany, tagMany } from './many.js';
import { editInline } from './inline.js';
import { movable } from './column_order.js';
import { fetchMetrics, pathsOf } from './metrics.js';
import { fetchObserved } from './observed.js';
import { Rows } from './rows.js';
import { Search } from './search.js';
import { fetchSparks, SPARK } from './sparks.js';
import { chooseView } from './views.js';

/** Of a large store: when the files that no row shows were last compared with the list. */
function compared(at) {
  if (at === undefined) return null;
  return at ? ` · files compared ${instant(at)}` : ' · files not compared yet';
}

class SessionList extends HTMLElement {
  connectedCallback() {
    this.sort = query().sort || '-created_at';
    this.search = new Search(query(), () => this.changed());
    this.counts = el('div.counts.quiet', { 'aria-live': 'off' });
    this.actions = el('div.actions.row');
    this.matching = el('span.quiet', { role: 'status' });
    this.columns = columnsOf(chosen(query().columns));
    this.choose = el('button.columns', { type: 'button', title: 'Choose the columns', on: { click: () => this.chooseColumns() } }, 'Columns');
    this.grid = el('div.grid', { role: 'grid', tabindex: 0, 'aria-label': 'Sessions', 'aria-multiselectable': 'true' });
    this.note = el('div.note', { hidden: true });
    this.by = query().group || '';
    this.group = el('input.group', { type: 'search', list: 'group-fields', 'aria-label': 'Group by', placeholder: 'Group by …', value: this.by, autocomplete: 'off', spellcheck: 'false', title: 'Group by a field: status, day, tags, metadata.KEY (g)' });
    this.fields = el('datalist', { id: 'group-fields' }, BY.map(([name, about]) => el('option', { value: name }, about)));
    this.group.addEventListener('change', () => this.groupBy(this.group.value.trim()));
    this.views = el('button', { type: 'button', title: 'Saved views (v)', on: { click: chooseView } }, query().view ? `View: ${query().view}` : 'Views');
    this.table = el('div.grid-groups', { tabindex: 0, role: 'region', 'aria-label': 'Groups', hidden: true });
    this.groups = new Groups(this.table);
    fill(this, el('h1.away', {}, 'Sessions'), el('div.bar-top', {}, this.search.node, this.counts), el('div.bar-second', {}, this.actions, el('div.row.tools', {}, this.group, this.fields, this.views, this.choose)), this.note, this.table, this.grid);
    this.rows = new Rows(this.grid, this.columns, { onOpen: (row) => go(address(['session', row.session_id])), onSelect: () => this.select(), onState: (error) => this.state(error), onShown: calm(80, (rows) => this.measure(rows)), onEdit: (row, what) => this.edit(row, what) });
    this.head();
    this.keys();
    takesFiles(this, () => { this.read(true); this.count(); });
    this.again = calm(700, () => this.read(true));
    this.recount = calm(900, () => this.count());
    this.count();
    this.read().finally(() => this.follow());
  }

  /** Follow the list from the state in which it was read: what changed while the page opened is read again. */
  follow() {
    if (!this.isConnected) return;
    const since = this.by ? this.groups.revision : this.rows.revision;
    this.stop = follow(`/api/sessions/events${since ? `?since=${since}` : ''}`, { hello: (news) => { if (news.reset) { this.again(); this.recount(); } }, sessions: (news) => this.news(news) }, (state) => this.link(state));
  }

  disconnectedCallback() {
    this.stop?.();
    clearTimeout(this.observing);
    this.rows.close();
  }

  keys() {
    keys([
      ['j ArrowDown', 'next session', () => this.moveBy(1)],
      ['k ArrowUp', 'session before', () => this.moveBy(-1)],
      ['PageDown', 'a page on', () => this.rows.move(20)],
      ['PageUp', 'a page back', () => this.rows.move(-20)],
      ['Home', 'first', () => this.rows.move(-1e9)],
      ['End', 'last', () => this.rows.move(1e9)],
      ['Enter', 'open', () => this.rows.current && go(address(['session', this.rows.current.session_id]))],
      ['x', 'select', () => this.rows.toggle()],
      ['X', 'select from the last selected to here', () => this.rows.range(this.rows.at)],
      ['a', 'select all that match', () => this.all()],
      ['c', 'compare the selected', () => this.compare()],
      ['#', 'delete the selected', () => this.remove()],
      ['t', 'tags of the selected, or in the row', () => this.tag()],
      ['n', 'notes of the selected, or in the row', () => this.notes()],
      ['e', 'export the selected', () => this.export()],
      ['g', 'group by a field', () => { this.group.focus(); this.group.select(); }],
      ['v', 'saved views', chooseView],
      ['Shift+← Shift+→', 'move the column whose head has the focus (or drag it)'],
      ['Escape', 'clear the selection', () => this.rows.clear()],
      ['/', 'search', () => this.search.focus()],
    ]);
  }

  changed() {
    keep(this.search.values());
    this.read();
  }

  moveBy(steps) {
    if (this.by) this.groups.move(steps);
    else this.rows.move(steps);
  }

  /** Show the list in groups; without a field, the sessions. */
  groupBy(field) {
    this.by = field;
    keep({ group: field || null });
    this.read();
  }

  /** Fetch the metrics that the columns show, for the rows on the screen. */
  async measure(rows) {
    this.observe(rows);
    const paths = this.columns.map((each) => each.metric).filter(Boolean);
    try { if (await fetchMetrics(rows, paths)) this.rows.draw(); } catch (error) { failed('Metrics not read', error); }
    const sparks = this.columns.filter((each) => each.spark).map((each) => each.name);
    try { if (sparks.length && await fetchSparks(rows, sparks)) this.rows.draw(); } catch (error) { failed('Sparklines not read', error); }
  }

  /** How far sessions are whose records do not say it yet: from their streams, again while they run. */
  async observe(rows) {
    clearTimeout(this.observing);
    let found = { again: 4000 };
    if (!document.hidden) try { found = await fetchObserved(rows); } catch { /* the row stays as it is; asked again */ }
    if (!this.isConnected) return;
    if (found.news) this.rows.draw();
    else if (found.again) { clearTimeout(this.observing); this.observing = setTimeout(() => this.observe(rows), found.again); }
  }

  async read(keepPlace = false) {
    this.table.hidden = !this.by;
    try {
      if (this.by) {
        const found = await this.groups.ask(this.by, this.search.where(), this.columns);
        if (found) this.grouped(found);
        this.search.fine();
        return;
      }
      await this.rows.ask({ where: this.search.where(), sort: this.sort }, keepPlace);
      this.search.fine();
    } catch (error) {
      if (error.name !== 'AbortError') this.state(error);
    }
  }

  state(error) {
    if (error && this.by) {
      this.grid.hidden = true;
      this.note.hidden = false;
      fill(this.note, trouble(error, () => this.read()));
      return;
    }
    if (error?.kind?.includes('query') && this.search.where()) {
      this.search.mistake(error.message);
      return;
    }
    this.grid.hidden = Boolean(error) || this.rows.total === 0;
    this.note.hidden = !this.grid.hidden;
    if (error) fill(this.note, trouble(error, () => this.read()));
    else if (!this.rows.total) fill(this.note, this.search.where() ? nothingFits(() => this.search.clear()) : empty());
    const { total } = this.rows;
    fill(this.matching, this.search.where() ? `${count(total)} ${total === 1 ? 'session matches' : 'sessions match'}` : `${count(total)} ${total === 1 ? 'session' : 'sessions'}`, compared(this.rows.compared));
    this.select();
    this.dataset.ready = 'true';
  }

  grouped({ total, groups }) {
    this.grid.hidden = true;
    this.note.hidden = groups.length > 0;
    this.table.hidden = !groups.length;
    if (!groups.length) fill(this.note, this.search.where() ? nothingFits(() => this.search.clear()) : empty());
    fill(this.matching, `${count(groups.length)} ${groups.length === 1 ? 'group' : 'groups'} of ${count(total)} ${total === 1 ? 'session' : 'sessions'} by ${this.by} `, el('button.plain.small', { type: 'button', on: { click: () => { this.group.value = ''; this.groupBy(''); } } }, 'Show the sessions'));
    this.select();
    this.dataset.ready = 'true';
  }

  async all() {
    try { await this.rows.all(); } catch (error) { failed('Not all could be selected', error); }
  }

  async count() {
    try {
      const ask = async (where) => (await json('/api/sessions', { query: { where, limit: 1, fields: 'session_id' } })).total;
      const [running, interrupted, all] = await Promise.all([ask('status=running or status=paused'), ask('status=interrupted'), ask('')]);
      const part = (number, word, filter) => (number ? [el('a', { href: address(['sessions'], { status: filter }) }, `${count(number)} ${word}`), ' · '] : null);
      fill(this.counts, part(running, 'running', 'running'), part(interrupted, 'interrupted', 'interrupted'), `${count(all)} in all`);
    } catch { fill(this.counts, el('span.problem', {}, 'counts unknown')); }
  }

  news(news) {
    if (news.problem) { this.state(new Error(news.problem.detail)); return; }
    if (this.by || (this.rows.question && this.rows.take(news))) this.again();
    this.recount();
  }

  link(state) {
    this.classList.toggle('lost', state !== 'open');
    if (state === 'open' && this.wasLost) this.again();
    this.wasLost = state !== 'open';
  }

  head() {
    const label = ({ kind, field, label: text }) => {
      const down = this.sort === `-${field}`;
      const sorted = down || this.sort === field;
      if (!field) return el(`div.${kind}`, { role: 'columnheader', title: text }, text.split('.').at(-1));
      const button = el('button.plain', { type: 'button', title: text, on: { click: () => this.order(field) } }, field.startsWith('metrics.') ? text.split('.').at(-1) : text, sorted ? (down ? ' ↓' : ' ↑') : '');
      return el(`div.${kind}`, { role: 'columnheader', 'aria-sort': sorted ? (down ? 'descending' : 'ascending') : 'none' }, button);
    };
    this.every = el('input', { type: 'checkbox', 'aria-label': 'Select all that match', on: { click: () => (this.every.checked ? this.all() : this.rows.clear()) } });
    const names = this.columns.map((each) => each.name);
    const heads = this.columns.map((each) => { const head = label(each); movable(head, each.name, names, (order) => this.show(order)); return head; });
    fill(this.rows.header, el('div.pick', { role: 'columnheader' }, this.every), heads);
    if (this.dataset.ready) this.select();
  }

  order(field) {
    const starts_down = !['session_id', 'status', 'workflow_state', 'tags', 'uuid', 'end_reason'].includes(field);
    const flipped = this.sort.startsWith('-') ? field : `-${field}`;
    this.sort = this.sort.replace('-', '') === field ? flipped : `${starts_down ? '-' : ''}${field}`;
    keep({ sort: this.sort === '-created_at' ? null : this.sort });
    this.head();
    this.read();
  }

  /** Let the user choose: known columns by a tick, keys of metadata by name; the address and this browser remember it. */
  chooseColumns() {
    const now = this.columns.map((each) => each.name);
    const boxes = NAMES.map(([name, label]) => el('label.row', {}, el('input', { type: 'checkbox', value: name, checked: now.includes(name) }), label));
    const more = el('input', { type: 'text', id: 'more-columns', placeholder: 'site, weather.wind, "a.b"', value: now.filter((each) => each.startsWith('metadata.')).map((each) => each.slice(9)).join(', '), spellcheck: 'false' });
    const metrics = el('input', { type: 'text', id: 'metric-columns', placeholder: 'totals.distance_m', list: 'metric-paths', value: now.filter((each) => each.startsWith('metrics.')).map((each) => each.slice(8)).join(', '), spellcheck: 'false', autocomplete: 'off' });
    const sparks = el('input', { type: 'text', id: 'spark-columns', placeholder: 'metrics.distance_m, motion_history.battery', list: 'spark-paths', value: now.filter((each) => SPARK.test(each)).map((each) => each.slice(6)).join(', '), spellcheck: 'false', autocomplete: 'off' });
    const paths = el('datalist', { id: 'metric-paths' });
    const fields = el('datalist', { id: 'spark-paths' });
    const [row] = [...this.rows.chosen, this.rows.current?.session_id].filter(Boolean);
    if (row) json(`${one(row)}/fields`).then(({ streams }) => fill(fields, Object.entries(streams).flatMap(([stream, names]) => names.map((each) => el('option', { value: `${stream}.${each}` }))).slice(0, 300)), () => {});
    if (row) json(one(row)).then((found) => fill(paths, pathsOf(found.performance_metrics).slice(0, 200).map((each) => el('option', { value: each }))), () => {});
    const form = el('form', { method: 'dialog' }, el('h2', {}, 'Columns'), el('div.choices', {}, boxes), el('p', {}, el('label', { for: 'more-columns' }, 'Keys of metadata, apart by commas'), more), el('p', {}, el('label', { for: 'metric-columns' }, 'Metrics, apart by commas'), metrics, paths), el('p', {}, el('label', { for: 'spark-columns' }, 'Sparklines (stream.field), apart by commas'), sparks, fields),
      el('div.row', {}, el('button.main', { type: 'submit' }, 'Show'), el('button', { type: 'button', on: { click: () => done(DEFAULT) } }, 'Default'), el('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel')));
    const dialog = el('dialog.edit', { 'aria-label': 'Columns' }, form);
    const done = (names) => { this.show(names); dialog.close(); };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const ticked = boxes.map((each) => each.firstChild).filter((each) => each.checked).map((each) => each.value);
      const wanted = [...ticked, ...namesOf(more.value).map((key) => `metadata.${key}`), ...namesOf(metrics.value).map((key) => `metrics.${key}`), ...namesOf(sparks.value).map((key) => `spark.${key}`)];
      done([...now.filter((each) => wanted.includes(each)), ...wanted.filter((each) => !now.includes(each))]);
    });
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  show(names) {
    this.columns = columnsOf(names.length ? names : DEFAULT);
    const kept = this.columns.map((each) => each.name);
    remember(kept);
    keep({ columns: kept.join() === DEFAULT.join() ? null : kept.join(',') });
    this.rows.show(this.columns);
    this.head();
    if (this.by) this.read();
  }

  select() {
    const chosen = [...this.rows.chosen];
    if (this.every) Object.assign(this.every, { checked: chosen.length > 0 && chosen.length >= this.rows.total, indeterminate: chosen.length > 0 && chosen.length < this.rows.total });
    this.actions.classList.toggle('some', chosen.length > 0);
    if (!chosen.length) { fill(this.actions, this.matching); return; }
    const button = (label, act, more = {}) => el('button', { type: 'button', ...more, on: { click: act } }, label);
    fill(
      this.actions,
      el('strong', {}, `${count(chosen.length)} selected`), el('span.quiet', {}, `of ${count(this.rows.total)}`),
      button('Compare', () => this.compare(), { disabled: chosen.length < 2 || chosen.length > 6, title: 'Two to six (c)' }),
      button('Export', () => this.export()),
      button('Tag', () => this.tag(), { title: 'Add or remove tags (t)' }),
      button('Note', () => this.notes(), { title: 'Add to the notes (n)' }),
      button('Delete', () => this.remove(), { class: 'danger', title: 'Into the trash (#)' }),
      button('Clear', () => this.rows.clear(), { class: 'plain' }),
    );
  }

  compare() {
    if (this.rows.chosen.size > 1 && this.rows.chosen.size < 7) go(address(['compare'], { ids: [...this.rows.chosen].join(',') }));
  }

  export() {
    const ids = this.rows.chosen.size ? [...this.rows.chosen] : [this.rows.current?.session_id].filter(Boolean);
    if (ids.length) exportMany(ids);
  }

  /** Change tags or notes in the row itself. */
  edit(row, what) { if (row) editInline(this.rows.lineOf(row.session_id), row, what, () => { this.grid.focus(); this.read(true); }); }

  tag() { if (!this.rows.chosen.size) this.edit(this.rows.current, 'tags'); else tagMany([...this.rows.chosen], () => this.read(true)); }

  notes() { if (!this.rows.chosen.size) this.edit(this.rows.current, 'notes'); else noteMany([...this.rows.chosen], () => this.read(true)); }

  async remove() {
    const ids = [...this.rows.chosen];
    if (!ids.length || this.removing) return;
    let done;
    this.removing = true; // the key twice: one request
    try {
      const found = await json('/api/sessions/delete', { method: 'POST', body: { ids } });
      done = found.done;
      for (const each of found.failed.slice(0, 3)) failed(`${each.session_id} was not deleted`, new Error(each.problem.detail));
    } catch (error) { failed('Nothing was deleted', error); return; } finally { this.removing = false; }
    this.rows.clear();
    await this.read(true);
    this.count();
    const undo = async () => {
      await json('/api/sessions/restore', { method: 'POST', body: { ids: done.map((each) => each.entry_id) } }).catch((error) => failed('Not restored', error));
      await this.read(true);
      this.count();
    };
    if (done.length) notice(`${count(done.length)} moved to the trash`, { action: 'Undo', act: undo, seconds: 10 });
  }
}

function trouble(error, retry) {
  const works = error.status === 0 ? 'The sessions in their folders are not affected.' : 'Other places of this page may still work.';
  return el('div.message.error', { role: 'alert' }, el('h2', {}, 'The list could not be read'), el('p', {}, error.message), el('p.quiet', {}, works), el('button.main', { type: 'button', on: { click: retry } }, 'Retry'));
}

function nothingFits(clear) {
  return el('div.message', {}, el('h2', {}, 'No session matches'), el('p.quiet', {}, 'The filter is valid, but no session matches it.'), el('button', { type: 'button', on: { click: clear } }, 'Show all'));
}

function empty() {
  return el('div.message', {}, el('h2', {}, 'No sessions yet'), el('p', {}, 'Record a first one; it shows up here while it flies:'), el('pre', {}, 'sessionstore run --scenario first-flight'), el('p.quiet', {}, 'or start one under ', el('a', { href: '/control' }, 'Control'), '; or drop a flight log (ULog, .bin, .tlog, MCAP, CSV …) or a bundle (', el('code', {}, 'sessionstore pack'), ') here.'));
}

customElements.define('session-list', SessionList);
