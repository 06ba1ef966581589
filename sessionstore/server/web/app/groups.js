/* The list in groups: one line for each value of a field, with how the sessions ended and their figures. */
import { json } from './api.js';
import { el, fill } from './dom.js';
import { count, instant, metres, number, seconds } from './format.js';
import { address, go, query } from './router.js';

/* What can be grouped by, offered first; any other field or key of metadata is typed. */
export const BY = [['status', 'how it ended'], ['day', 'the day it was made (UTC)'], ['tags', 'each tag'], ['seed', 'the seed it was run with'], ['workflow_state', 'the phase'], ['num_drones', 'how many drones']];
const FIGURES = [['duration_sim_s', 'Simulated', seconds], ['distance_m', 'Distance', metres], ['windows_cleaned', 'Windows', count], ['points', 'Points', count]];

export class Groups {
  constructor(node) {
    this.node = node;
    this.turn = 0;
  }

  /** Ask for the groups and show them; `columns` of metadata become figures too. Raises what the server answers. */
  async ask(by, where, columns) {
    const turn = ++this.turn;
    const own = columns.filter((each) => each.name.startsWith('metadata.') && each.name !== by).map((each) => [each.name, each.label, (value) => number(value, 3)]);
    const figures = [...FIGURES, ...own];
    const found = await json('/api/sessions/groups', { query: { by, where, of: figures.map(([name]) => name).join(',') } });
    if (turn !== this.turn) return null;
    this.revision = found.revision;
    this.draw(found, figures);
    return found;
  }

  draw({ by, groups }, figures) {
    const used = figures.filter(([name]) => groups.some((each) => each.figures[name]));
    const most = Math.max(1, ...groups.map((each) => each.count));
    const heads = [by, 'Sessions', 'How they ended', 'Newest', ...used.map(([, label]) => [label, el('br'), el('span.small', {}, 'mean (least – most)')]), ['Windows', el('br'), el('span.small', {}, 'sum')]].slice(0, used.some(([name]) => name === 'windows_cleaned') ? undefined : -1);
    const line = (group) => el('tr', {}, el('th', { scope: 'row' }, value(group)), el('td.count', {}, el('span.bar', { 'aria-hidden': 'true' }, el('span', { style: { width: `${(group.count / most) * 100}%` } })), count(group.count)),
      el('td', {}, Object.entries(group.statuses).map(([status, number_]) => el('span.ended', {}, el(`span.status.${status}`, {}, status), ` ${count(number_)} `))), el('td.quiet.newest', {}, instant(group.newest)),
      used.map(([name, , show]) => el('td.number', {}, spread(group.figures[name], show))), used.some(([name]) => name === 'windows_cleaned') ? el('td.number', {}, group.figures.windows_cleaned ? count(group.figures.windows_cleaned.sum) : '–') : null);
    fill(this.node, el('table.plain.groups', {}, el('thead', {}, el('tr', {}, heads.map((each) => el(Array.isArray(each) ? 'th.number' : 'th', { scope: 'col' }, each)))), el('tbody', {}, groups.map(line))));
  }

  /** Move the focus from group to group. */
  move(steps) {
    const all = [...this.node.querySelectorAll('th a')];
    const at = all.indexOf(document.activeElement);
    all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + steps))]?.focus();
  }
}

/** The value of a group, as the way to its sessions. */
function value(group) {
  const text = group.value === null ? 'none' : typeof group.value === 'object' ? JSON.stringify(group.value) : String(group.value);
  if (group.where === null) return text;
  const { q = '', group: _, view: __, ...kept } = query();
  const both = q ? `(${q}) and ${group.where}` : group.where;
  const target = address(['sessions'], { ...kept, q: both });
  return el('a', { href: target, class: group.value === null ? 'quiet' : '', on: { click: (event) => { event.preventDefault(); event.stopPropagation(); go(target); } } }, text);
}

function spread(figure, show) {
  if (!figure) return '–';
  const one = figure.min === figure.max;
  return [show(figure.mean), one ? null : el('span.quiet', {}, ` (${show(figure.min)} – ${show(figure.max)})`)];
}
