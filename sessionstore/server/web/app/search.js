/* The search field: the filter language, as typed, as understood, and what is wrong with it; filters beside it. */
import { json } from './api.js';
import { KINDS } from './constants.js';
import { calm, el, fill } from './dom.js';
import { STATUSES } from './format.js';

const SINCE = [['', 'Any date'], ['1', 'Last 24 hours'], ['7', 'Last 7 days'], ['30', 'Last 30 days']];
const OUTCOMES = [['', 'Any outcome', ''], ['lost', 'Drone lost', 'end_reason~"drone lost"'], ['user', 'Stopped by user', 'end_reason~"stopped by"'], ['clean', 'Windows cleaned', 'windows_cleaned>0'], ['none', 'Nothing cleaned', 'windows_cleaned=0'], ['still', 'Recorded nothing', 'not points>0']];

export class Search {
  constructor(given, changed) {
    this.changed = changed;
    this.field = el('input', { type: 'search', placeholder: 'Search: butterfly, status=failed, metadata.num_drones>5 …', value: given.q || '', 'aria-label': 'Search sessions', 'aria-describedby': 'understood', spellcheck: 'false', autocomplete: 'off' });
    this.told = el('div.understood', { id: 'understood', 'aria-live': 'polite' });
    this.status = choice('Status', [['', 'Any status'], ...STATUSES.map((each) => [each, each])], given.status);
    this.kind = choice('Drone kind', [['', 'Any drones'], ...KINDS.map((each) => [each, `with ${each}`])], given.kind);
    this.since = choice('Date', SINCE, given.since);
    this.outcome = choice('Outcome', OUTCOMES, given.outcome);
    const selects = [this.status, this.outcome, this.kind, this.since];
    const soon = calm(120, () => { this.explain(); this.changed(); });
    this.field.addEventListener('input', soon);
    for (const select of selects) select.addEventListener('change', () => { this.explain(); this.changed(); });
    this.node = el('div.search', { role: 'search' }, el('div.fields', {}, this.field, selects), this.told);
    this.explain();
  }

  focus() { this.field.focus(); this.field.select(); }

  values() {
    return { q: this.field.value.trim(), status: this.status.value, kind: this.kind.value, since: this.since.value, outcome: this.outcome.value };
  }

  clear() {
    this.field.value = '';
    for (const select of [this.status, this.kind, this.since, this.outcome]) select.value = '';
    this.explain();
    this.changed();
  }

  where() {
    const { q, status, kind, since, outcome } = this.values();
    const parts = [];
    if (status) parts.push(`status=${status}`);
    if (kind) parts.push(`has drones.${kind}`);
    if (since) parts.push(`created_at>="${new Date(Date.now() - since * 86400e3).toISOString().slice(0, 14)}00:00.000000Z"`);
    if (outcome) parts.push(OUTCOMES.find(([name]) => name === outcome)[2]);
    if (q) parts.push(parts.length ? `(${q})` : q);
    return parts.join(' and ');
  }

  async explain() {
    const text = this.where();
    if (!text) { fill(this.told); return; }
    try {
      const { understood } = await json('/api/filter', { query: { where: text } });
      if (text === this.where()) { fill(this.told, el('span.quiet', {}, 'understood as '), understood); this.told.classList.remove('problem'); }
    } catch (error) {
      if (text === this.where()) this.mistake(error.message);
    }
  }

  mistake(text) {
    fill(this.told, text);
    this.told.classList.add('problem');
    this.field.setAttribute('aria-invalid', 'true');
  }

  fine() {
    this.field.removeAttribute('aria-invalid');
  }
}

function choice(label, options, value) {
  const known = options.some(([name]) => name === value);
  const node = el('select', { 'aria-label': label }, options.map(([name, text]) => el('option', { value: name }, text)));
  node.value = known ? value : '';
  return node;
}
