/* The place Query: one SELECT over all sessions, its rows, a quick chart and files; the address holds the statement. */
import { ask, json } from './api.js';
import { calm, el, fill } from './dom.js';
import { failed, notice } from './notices.js';
import { QueryChart } from './query_chart.js';
import { Completion } from './query_completion.js';
import { keep, query } from './router.js';

const EXAMPLES = [
  ['Sessions by status', 'select status, count(*) as sessions\nfrom sessions group by 1 order by 2 desc'],
  ['Highest point of each drone', 'select session_id, drone, max(z) as top_m\nfrom motion_history group by 1, 2 order by 3 desc'],
  ['Battery over time', "select sim_time, drone, battery\nfrom motion_history\nwhere session_id = (select max(session_id) from sessions)\norder by sim_time"],
  ['Events by kind', 'select kind, level, count(*) as events\nfrom events group by 1, 2 order by 3 desc'],
];
const SHOWN_ROWS = 1000;

class SqlQuery extends HTMLElement {
  connectedCallback() {
    this.field = el('textarea', { id: 'sql', rows: 5, spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', 'aria-describedby': 'sql-hint', value: query().sql || EXAMPLES[0][1] });
    this.completion = new Completion(this.field);
    this.run = el('button.main', { type: 'button', title: 'Ctrl+Enter', on: { click: () => this.answer() } }, 'Run');
    this.status = el('p.quiet', { role: 'status', 'aria-live': 'polite' });
    this.result = el('div.query-result', { tabindex: 0, role: 'region', 'aria-label': 'Rows' });
    this.chart = new QueryChart();
    this.tables = el('div.query-tables', {}, el('p.quiet', {}, 'Loading …'));
    const download = (form) => el('button', { type: 'button', on: { click: () => this.download(form) } }, form.toUpperCase());
    const link = el('button', { type: 'button', on: { click: () => this.copyLink() } }, 'Copy link');
    const examples = el('select', { 'aria-label': 'Examples' }, el('option', { value: '' }, 'Examples …'), EXAMPLES.map(([name], i) => el('option', { value: i }, name)));
    examples.addEventListener('change', () => {
      if (examples.value === '') return;
      this.field.value = EXAMPLES[examples.value][1];
      examples.value = '';
      this.answer();
    });
    this.field.addEventListener('keydown', (event) => {
      event.stopPropagation(); // the keys of the page are letters here
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); this.completion.close(); this.answer(); }
    });
    fill(this,
      el('div.query', {},
        el('aside', { 'aria-label': 'Tables' }, el('h2', {}, 'Tables'), this.tables),
        el('section', {},
          el('h1', {}, 'Query'),
          el('label.small', { for: 'sql' }, 'One SELECT over all sessions'),
          el('div.query-editor', {}, this.field, this.completion.list),
          el('p.quiet.small', { id: 'sql-hint' }, 'Ctrl+Enter runs it; names are completed while you type (arrows and Tab). Nothing can be changed from here.'),
          el('div.row', {}, this.run, examples, el('span.grow'), el('span.quiet.small', {}, 'Download'), download('csv'), download('parquet'), link),
          this.status, this.result, this.chart.node)));
    this.readTables();
    if (query().sql) this.answer();
  }

  disconnectedCallback() { this.chart.stop(); }

  async readTables() {
    try {
      const { tables } = await json('/api/sql/tables');
      this.completion.learn(tables);
      const table = ({ name, columns }) => el('details', {}, el('summary', { title: name }, name), el('ul', {}, columns.map((each) => el('li', {}, el('button.plain', { type: 'button', title: `Insert ${each}`, on: { click: () => this.completion.insert(each) } }, each)))));
      fill(this.tables, tables.map(table));
    } catch (error) {
      fill(this.tables, el('p.problem', {}, error.message));
    }
  }

  body(format, limit) { return { query: this.field.value, format, limit, timeout: 30 }; }

  async answer() {
    keep({ sql: this.field.value });
    this.run.disabled = true;
    fill(this.status, 'Running …');
    this.status.classList.remove('problem');
    try {
      const found = await json('/api/sql', { method: 'POST', body: this.body('json', SHOWN_ROWS) });
      this.show(found);
    } catch (error) {
      fill(this.result);
      this.chart.set([], []);
      fill(this.status, error.message);
      this.status.classList.add('problem');
    }
    this.run.disabled = false;
  }

  show({ columns, rows, more, left_out: leftOut, seconds }) {
    const numeric = columns.map(({ type }) => /int|float|double|decimal/.test(type) && !/list|struct/.test(type));
    const cell = (value, i) => el(numeric[i] ? 'td.number' : 'td', {}, value === null ? el('span.quiet', {}, 'null') : typeof value === 'object' ? JSON.stringify(value) : String(value));
    const head = el('thead', {}, el('tr', {}, columns.map(({ name, type }, i) => el(numeric[i] ? 'th.number' : 'th', { scope: 'col', title: type }, name))));
    fill(this.result, el('table.plain', {}, head, el('tbody', {}, rows.map((row) => el('tr', {}, row.map(cell))))));
    const count = `${rows.length.toLocaleString('en')} ${rows.length === 1 ? 'row' : 'rows'}`;
    fill(this.status, more ? `the first ${count}` : count, ` in ${seconds.toFixed(2)} s`, leftOut.map((each) => el('span.warn-text', {}, ` · ${each}`)));
    this.chart.set(columns.map(({ name }, i) => ({ name, numeric: numeric[i] })), rows);
    this.dataset.ready = 'true';
  }

  async download(form) {
    try {
      const reply = await ask('/api/sql', { method: 'POST', body: this.body(form, 1000000) });
      if (reply.headers.get('x-more-rows') === 'true') notice('only the first 1,000,000 rows are in the file');
      const url = URL.createObjectURL(await reply.blob());
      const link = el('a', { href: url, download: `query.${form}` });
      document.body.append(link);
      link.click();
      link.remove();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    } catch (error) { failed('Not downloaded', error); }
  }

  async copyLink() {
    keep({ sql: this.field.value });
    try {
      await navigator.clipboard.writeText(location.href);
      notice('the address of this query was copied');
    } catch { notice('the address bar has the address of this query'); }
  }
}

customElements.define('sql-query', SqlQuery);
