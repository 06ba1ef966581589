/* One sweep: counts, parallel coordinates, heat map, scatter, and the table with mean and interval over seeds.
   What is chosen stands in the address; while the sweep runs, the page follows it. */
import { follow, json } from './api.js';
import { calm, el, fill } from './dom.js';
import { go, keep, query } from './router.js';
import { Parallel } from './sweep_parallel.js';
import { heatMap, Scatter } from './sweep_plots.js';
import { numberOf } from './sweep_scale.js';

const MOST_AXES = 8;
const MOST_COMPARED = 6;
const PAGE = 200;
const OBJECTIVE = 'objective';

export class SweepPage {
  constructor(place, id) {
    Object.assign(this, { place, id, chosen: new Set(), shown: PAGE });
    this.parallel = new Parallel({ onBrush: () => this.filtered() });
    this.scatter = new Scatter({ onOpen: (row) => go(`/session/${encodeURIComponent(row.session_id)}`) });
    this.head = el('div');
    this.heat = el('div.sweep-scroll', { tabindex: 0, role: 'region', 'aria-label': 'Heat map' });
    this.table = el('div.sweep-scroll', { tabindex: 0, role: 'region', 'aria-label': 'Results' });
    this.picks = el('div.row.wrap');
    this.note = el('p.small.quiet', { 'aria-live': 'polite' });
    this.later = calm(700, () => this.read());
    this.resized = calm(150, () => this.found && this.draw());
  }

  async open() {
    fill(this.place, el('div.message.quiet', {}, 'Reading …'));
    if (!(await this.read()) || this.closed) return;
    this.unfollow = follow('/api/sessions/events', { sessions: () => this.later(), hello: () => this.later() }); // it may have changed since it was read
    addEventListener('resize', this.resized);
    addEventListener('themechange', this.resized);
  }

  close() {
    this.closed = true;
    this.unfollow?.();
    removeEventListener('resize', this.resized);
    removeEventListener('themechange', this.resized);
  }

  async read() {
    if (this.reading || this.closed) return false;
    this.reading = true;
    try {
      const found = await json(`/api/sweeps/${encodeURIComponent(this.id)}`);
      if (this.closed) return false;
      const first = !this.found;
      this.found = found;
      if (first) this.build();
      this.draw();
      return true;
    } catch (error) {
      fill(this.place, el('div.message.error', { role: 'alert' }, el('h2', {}, 'This sweep could not be read'), el('p', {}, error.message), el('button.main', { type: 'button', on: { click: () => { this.found = null; this.open(); } } }, 'Retry')));
      return false;
    } finally { this.reading = false; }
  }

  build() {
    document.title = `${this.found.name} · sessionstore`;
    fill(this.place, el('div.pad.sweep', {},
      this.head, this.picks, this.parallel.node, this.note,
      el('div.sweep-pair', {}, this.heat, this.scatter.node), this.table));
  }

  /** A choice that stands in the address. */
  choice(name, label, options, usual) {
    const asked = query()[name];
    const value = options.includes(asked) ? asked : usual;
    const select = el('select', { on: { change: () => { keep({ [name]: select.value }); this.draw(); } } }, options.map((each) => el('option', { value: each, selected: each === value }, each)));
    select.value = value;
    return [value, el('label.row', {}, label, select)];
  }

  draw() {
    const { parameters, metrics } = this.found;
    const told = metrics.filter((name) => this.varies(name));
    const columns = [...parameters, ...(told.length ? told : metrics)];
    const usual = told.includes(OBJECTIVE) ? OBJECTIVE : told[0] || metrics[0] || parameters[0];
    const several = parameters.filter((name) => name !== 'seed');
    const [metric, metricNode] = this.choice('metric', 'Figure', columns, usual);
    const [x, xNode] = this.choice('x', 'x', columns, several[0] || columns[0]);
    const [y, yNode] = this.choice('y', 'y', columns, metric);
    const [across, acrossNode] = this.choice('across', 'Heat map across', parameters, several[0] || parameters[0]);
    const [down, downNode] = this.choice('down', 'down', parameters, several[1] || parameters[1] || parameters[0]);
    Object.assign(this, { metric, x, y, across, down });
    const clear = el('button', { type: 'button', on: { click: () => this.parallel.clear() } }, 'Clear filter');
    fill(this.picks, metricNode, xNode, yNode, acrossNode, downNode, clear);
    const axes = [...parameters, metric, ...told.filter((name) => name !== metric)].slice(0, Math.max(MOST_AXES, parameters.length + 1));
    this.top();
    this.parallel.show(this.found.rows, [...new Set(axes)], metric);
    this.filtered();
  }

  varies(name) {
    let first;
    for (const row of this.found.rows) {
      if (row[name] === undefined) continue;
      if (first === undefined) first = row[name];
      else if (row[name] !== first) return true;
    }
    return false;
  }

  top() {
    const { name, total, done, running, counts, objective } = this.found;
    const parts = Object.entries(counts).map(([state, count]) => el(`span.status.${state}`, {}, `${count} ${state}`));
    fill(this.head, el('div.row.wrap', {}, el('h1', {}, name), running ? el('span.status.running', {}, 'running') : null, el('progress', { max: total, value: done, 'aria-label': 'points that have ended' }), el('span', {}, `${done} of ${total}`), parts, el('span.grow'), el('a', { href: '/sweeps' }, 'All sweeps')),
      el('p.quiet.small', {}, this.found.program, objective ? ` · ${objective}` : ''));
  }

  filtered() {
    const rows = this.found.rows.filter((row) => this.parallel.keeps(row));
    const cut = this.found.total > this.found.rows.length ? `; ${this.found.rows.length} of ${this.found.total} points are drawn` : '';
    fill(this.note, `${rows.length} of ${this.found.rows.length} points are kept by the filter${cut}`);
    fill(this.heat, heatMap(rows, this.across, this.down, this.metric));
    this.scatter.show(rows, this.x, this.y, this.metric);
    this.rows = rows;
    this.results();
  }

  results() {
    const points = query().view === 'points';
    const tab = (name, label) => el('button', { type: 'button', 'aria-pressed': String((name === 'points') === points), on: { click: () => { keep({ view: name === 'points' ? name : null }); this.results(); } } }, label);
    const compare = el('button.main', { type: 'button', on: { click: () => go(`/compare?ids=${[...this.chosen].map(encodeURIComponent).join(',')}`) } }, 'Compare');
    compare.disabled = this.chosen.size < 2;
    const head = el('div.row.wrap', {}, tab('groups', 'Mean over seeds'), tab('points', 'Points'), el('span.grow'), points ? el('span.quiet', {}, `${this.chosen.size} selected (2 to ${MOST_COMPARED})`) : null, points ? compare : null);
    fill(this.table, head, points ? this.pointTable(compare, head) : this.groupTable());
  }

  /** The groups of the rows that the filter keeps. */
  groupTable() {
    const kept = new Set(this.rows.map((row) => row.group));
    const groups = this.found.groups.filter((group) => kept.has(group.number));
    const parameters = this.found.parameters.filter((name) => name !== 'seed');
    const figures = [...new Set([this.metric, this.x, this.y, ...this.found.metrics.filter((name) => this.varies(name))])].filter((name) => this.found.metrics.includes(name)).slice(0, 6);
    const cell = (summary) => el('td.number', { title: summary ? `${summary.n} sessions, ${numberOf(summary.minimum)} to ${numberOf(summary.maximum)}` : '' }, summary ? [numberOf(summary.mean), summary.half_width === null ? '' : el('span.quiet', {}, ` ± ${Number(summary.half_width.toPrecision(3))}`)] : '–');
    const row = (group) => el('tr', {}, parameters.map((name) => el('td', {}, numberOf(group.parameters[name]))), el('td.number', {}, group.completed), el('td.number', {}, group.failed || ''), figures.map((name) => cell(group.figures[name])));
    return el('table.plain', {}, el('caption.away', {}, 'Mean and 95 % interval over seeds'), el('thead', {}, el('tr', {}, parameters.map((name) => el('th', { scope: 'col' }, name)), el('th.number', { scope: 'col' }, 'n'), el('th.number', { scope: 'col' }, 'failed'), figures.map((name) => el('th.number', { scope: 'col' }, name)))), el('tbody', {}, groups.slice(0, 500).map(row)));
  }

  pointTable(compare, head) {
    const names = [...this.found.parameters, this.metric].filter((name, i, all) => all.indexOf(name) === i);
    const pick = (row, box) => {
      if (box.checked && this.chosen.size >= MOST_COMPARED) box.checked = false;
      else if (box.checked) this.chosen.add(row.session_id); else this.chosen.delete(row.session_id);
      compare.disabled = this.chosen.size < 2;
      fill(head.querySelector('span.quiet'), `${this.chosen.size} selected (2 to ${MOST_COMPARED})`);
    };
    const box = (row) => {
      const input = el('input', { type: 'checkbox', 'aria-label': `Select point ${row.number}`, checked: this.chosen.has(row.session_id) });
      input.addEventListener('change', () => pick(row, input));
      return input;
    };
    const line = (row) => el('tr', {}, el('td', {}, row.session_id ? box(row) : ''), el('td', {}, row.session_id ? el('a', { href: `/session/${encodeURIComponent(row.session_id)}` }, `point ${row.number}`) : `point ${row.number}`), el('td', {}, el(`span.status.${row.status}`, { title: row.reason || '' }, row.status)), names.map((name) => el('td.number', {}, numberOf(row[name]))));
    const more = this.rows.length > this.shown ? el('button', { type: 'button', on: { click: () => { this.shown += PAGE; this.results(); } } }, `Show ${Math.min(PAGE, this.rows.length - this.shown)} more`) : null;
    return [el('table.plain', {}, el('caption.away', {}, 'Points'), el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, el('span.away', {}, 'Select')), el('th', { scope: 'col' }, 'Session'), el('th', { scope: 'col' }, 'Status'), names.map((name) => el('th.number', { scope: 'col' }, name)))), el('tbody', {}, this.rows.slice(0, this.shown).map(line))), more];
  }
}
