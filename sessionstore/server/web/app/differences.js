/* What differs between sessions, in words and tables. */
import { status } from './columns.js';
import { el } from './dom.js';
import { moment, number, plain } from './format.js';

export const letter = (index) => String.fromCharCode(65 + index);

/** The first moment where each session differs from the first one, with a way to go there. */
export function differences({ sessions, first_differences: found }, seek) {
  const told = found.map((each, i) => {
    const other = letter(i + 1);
    if (!each) return el('li', {}, `${other} is the same as A: every recorded position, and every number of its own streams, is the same.`);
    const names = sessions.length > 2 ? `${other} differs from A: ` : '';
    if (each.noise) return el('li', {}, names, `only noise of sensors differs (${each.field} of ${each.drone}).`);
    return el('li', {}, names, el('strong', {}, `First difference at ${number(each.sim_time, 2)} s`), `: ${each.drone || (each.field.includes('.') ? 'both programs' : 'all drones')}, ${each.field}`, el('span.quiet', {}, ` (${both(each, other)})`), ' ', jump(each, seek));
  });
  return el('ul.first', {}, told);
}

const jump = ({ sim_time: t }, seek) => el('button', { type: 'button', on: { click: () => seek(t) } }, `Go to ${moment(t)}`);

/** What both have, in words. */
function both({ field, a, b, apart_m: apart_, noise_m: noise }, other) {
  if (field === 'fault') return `${a || b} struck ${a ? 'A' : other} only`;
  if (apart_ !== undefined) return `${number(apart_, 2)} m apart, up to ${number(noise, 2)} m is noise`;
  return `A ${apart(a, b)}, ${other} ${apart(b, a)}`;
}

/** Faults, paths beyond noise, modes, batteries and fleets that differ: by role of the drones, earliest first. */
function byRole(found, seek) {
  const rows = found.flatMap((each, i) => each.map((row) => ({ ...row, other: letter(i + 1) }))).sort((one, two) => (one.sim_time ?? 1e12) - (two.sim_time ?? 1e12));
  if (!rows.length) return null;
  const several = found.length > 1;
  const who = ({ field, role, drone }) => (field === 'drones' ? `number of ${role}` : drone ? drone : 'all drones');
  const line = (row) => el('tr', {}, el('td', {}, row.sim_time === null ? 'always' : el('button', { type: 'button', 'aria-label': `Go to ${moment(row.sim_time)}`, on: { click: () => seek(row.sim_time) } }, moment(row.sim_time))), several ? el('td', {}, row.other) : null, el('td', {}, who(row)), el('td', {}, row.field === 'drones' ? '' : el('strong', {}, `${row.field} `), both(row, row.other)));
  const heads = ['from', several ? 'session' : null, 'who', 'what'].filter(Boolean);
  return el('section.by-role', { tabindex: 0, 'aria-label': 'Differences by role' }, el('h2', {}, `By role, beyond noise: ${rows.length}`),
    el('table.plain', {}, el('thead', {}, el('tr', {}, heads.map((name) => el('th', { scope: 'col' }, name)))), el('tbody', {}, rows.map(line))));
}

/** Differences by role, parameters that differ, and all metrics: what differs most on top, with deltas to A. */
export function tables({ sessions, parameters, metrics, by_role: roles = [] }, seek) {
  const heads = () => el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'value'), sessions.map((each, i) => el('th', { scope: 'col' }, el('span.whose', { title: `${each.session_name || ''} ${each.session_id}`, dir: 'auto' }, `${letter(i)} · ${each.session_name || each.session_id} `), status(each)))));
  const kinds = (each) => new Set(each.values.map((value) => JSON.stringify(value))).size;
  const hash = (each) => Number(/(_hash|sha256)$/.test(each.name)); // says that something differs, not what: last
  const differ = [...parameters].sort((a, b) => hash(a) - hash(b) || kinds(b) - kinds(a)).map((each) => el('tr', {}, el('th', { scope: 'row' }, each.name), each.values.map((value) => el('td', {}, each.values.reduce((text, other) => (text === null ? apart(value, other) : longer(text, apart(value, other))), null)))));
  const figures = [...metrics].sort((a, b) => spread(b.values) - spread(a.values)).map((each) => el('tr', {}, el('th', { scope: 'row' }, each.name), each.values.map((value, i) => el('td', {}, apart(value, i ? each.values[0] : each.values.find((other) => other !== value)), i ? delta(value, each.values[0]) : null))));
  const acting = byRole(roles, seek);
  return el('div', { class: `two-tables ${sessions.length > 2 ? 'wide' : acting ? 'three' : ''}` }, acting, el('section', { tabindex: 0, 'aria-label': 'What differs' }, el('h2', {}, 'What differs'), differ.length ? el('table.plain', {}, heads(), el('tbody', {}, differ)) : el('p.quiet', {}, 'Parameters and metadata are the same.')),
    el('section', { tabindex: 0, 'aria-label': 'Metrics' }, el('h2', {}, 'Metrics'), el('table.plain', {}, heads(), el('tbody', {}, figures))));
}

/** How much values differ: numbers by their range as a share of the largest, others 1; 0 when they are all the same. */
function spread(values) {
  if (values.every((value) => JSON.stringify(value) === JSON.stringify(values[0]))) return 0;
  if (!values.every((value) => typeof value === 'number')) return 1;
  return (Math.max(...values) - Math.min(...values)) / Math.max(...values.map(Math.abs));
}

const longer = (a, b) => (b.length > a.length ? b : a);
const delta_text = (value) => (value >= 0.005 || !value ? number(value, 2) : value.toPrecision(2));

/** Write a value with as many digits as it takes to tell it from another one. */
export function apart(value, other) {
  if (Array.isArray(value) && Array.isArray(other)) return `[${value.map((each, i) => apart(each, other[i])).join(', ')}]`;
  if (typeof value !== 'number' || typeof other !== 'number' || value === other) return plain(value);
  for (let digits = 3; digits < 17; digits += 1) {
    const [a, b] = [value, other].map((each) => each.toFixed(digits));
    if (a !== b) return number(value, digits);
  }
  return String(value);
}

function delta(value, first) {
  if (typeof value !== 'number' || typeof first !== 'number' || value === first) return null;
  return el('span.delta', {}, ` ${value > first ? '+' : '−'}${delta_text(Math.abs(value - first))}`);
}
