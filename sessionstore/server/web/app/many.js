/* Tags, notes and an export of many chosen sessions, each in one request; what failed is said. */
import { json } from './api.js';
import { download } from './download.js';
import { el } from './dom.js';
import { count } from './format.js';
import { failed, notice } from './notices.js';

function ask(title, fields, act, word = 'Change') {
  const form = el('form', { method: 'dialog' }, el('h2', {}, title), fields, el('div.row', {}, el('button.main', { type: 'submit' }, word), el('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel')));
  const dialog = el('dialog.edit', { 'aria-label': title.split(' ')[0] }, form);
  form.addEventListener('submit', (event) => { event.preventDefault(); dialog.close(); act(); });
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

async function change(path, body, what, done) {
  try {
    const { done: changed, failed: not } = await json(path, { method: 'POST', body });
    notice(not.length ? `${count(changed.length)} changed, ${count(not.length)} not: ${not[0].problem.detail}` : `${count(changed.length)} changed`, { error: not.length > 0 });
  } catch (error) { failed(`${what} not changed`, error); }
  done();
}

const of = (ids) => `of ${count(ids.length)} ${ids.length === 1 ? 'session' : 'sessions'}`;

/** Add and remove tags: `new one, -old`. */
export function tagMany(ids, done) {
  const input = el('input', { type: 'text', id: 'tags-change', placeholder: 'good, -draft', required: true });
  ask(`Tags ${of(ids)}`, el('p', {}, el('label', { for: 'tags-change' }, 'Tags to add, and with a minus to remove, apart by commas'), input), () => {
    const words = input.value.split(/,|\s+(?=[+-])/).map((each) => each.trim()).filter(Boolean); // a tag may hold blanks
    const add = words.filter((each) => !each.startsWith('-')).map((each) => each.replace(/^\+/, ''));
    change('/api/sessions/tags', { ids, add, remove: words.filter((each) => each.startsWith('-')).map((each) => each.slice(1)) }, 'Tags', done);
  });
}

/** Put a text behind the notes of each, or in their place. */
export function noteMany(ids, done) {
  const text = el('textarea', { id: 'notes-change', rows: 5, required: true });
  const replace = el('input', { type: 'checkbox' });
  const fields = [el('p', {}, el('label', { for: 'notes-change' }, 'Text, put behind the notes that are there'), text), el('p', {}, el('label.row', {}, replace, 'Replace the notes that are there'))];
  ask(`Notes ${of(ids)}`, fields, () => change('/api/sessions/notes', { ids, notes: text.value, how: replace.checked ? 'replace' : 'append' }, 'Notes', done));
}

/** One file of all: a bundle that another store can merge, or a ZIP with a file of another program's format for each. */
export function exportMany(ids) {
  const format = el('select', { id: 'export-format' }, el('option', { value: 'bundle' }, 'Bundle: whole folders, can be merged into another store'));
  json('/api/formats').then(({ formats }) => {
    for (const { name, about } of formats.filter((each) => each.writes && !each.install && each.extensions.length)) format.append(el('option', { value: name }, `A file each, ${about}`));
  }, (error) => format.after(el('span.error', {}, error.message)));
  const act = () => download('/api/sessions/export', `${ids.length}-sessions${format.value === 'bundle' ? '' : `-${format.value}`}.zip`, { type: 'application/zip', body: { ids, format: format.value } });
  ask(`Export ${of(ids)}`, el('p', {}, el('label', { for: 'export-format' }, 'As one ZIP of'), format), act, 'Export');
}
