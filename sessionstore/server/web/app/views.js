/* Saved views of the list: search, filters, order, columns and groups under a name. The browser keeps them, or the store
   for all; the address of the page holds all of a view, so that it can be sent to others, who may keep it too. */
import { el, fill } from './dom.js';
import { notice } from './notices.js';
import { share, sharedOf } from './page_views.js';
import { address, go, query } from './router.js';

const PLACE = 'views';
const MOST = 100;

export function saved() {
  try { return JSON.parse(localStorage.getItem(PLACE)) || {}; } catch { return {}; }
}

function store(views) {
  try { localStorage.setItem(PLACE, JSON.stringify(views)); return true; } catch { return false; }
}

/** Keep the present view under a name. */
function save(name) {
  const { view: _, ...state } = query();
  const views = { ...saved(), [name]: state };
  if (Object.keys(views).length > MOST || !store(views)) { notice('This browser keeps no more views; bookmark the address instead', { error: true }); return false; }
  go(address(['sessions'], { ...state, view: name }));
  notice(`View ${name} saved; its address can be shared`);
  return true;
}

/** The dialog: go to a view, save the present one, forget one. */
export function chooseView() {
  const list = el('ul.saved-views', {});
  let common = {};
  const link = (name, state) => el('a', { href: address(['sessions'], { ...state, view: name }), on: { click: () => dialog.close() } }, name);
  const draw = () => {
    const ours = Object.entries(common).map(([name, text]) => [name, Object.fromEntries(new URLSearchParams(text))]);
    const views = Object.entries(saved()).sort(([a], [b]) => a.localeCompare(b));
    fill(list, views.map(([name, state]) => el('li.view', {}, link(name, state), el('span.quiet.small.grow', {}, told(state)), el('button.plain.small', { type: 'button', 'aria-label': `Forget ${name}`, title: 'Forget', on: { click: () => { const left = saved(); delete left[name]; store(left); draw(); } } }, '✕'))), ours.map(([name, state]) => el('li.view', {}, link(name, state), el('span.badge.quiet', {}, 'for all'), el('span.quiet.small.grow', {}, told(state)), el('button.plain.small', { type: 'button', 'aria-label': `Take ${name} out of the store`, title: 'Take out of the store', on: { click: async () => { if (await share('views', name, null)) { common = await sharedOf('views'); draw(); } } } }, '✕'))), views.length || ours.length ? null : el('li.quiet', {}, 'None yet.'));
  };
  const input = el('input', { type: 'text', id: 'view-name', required: true, maxlength: 80, value: query().view || '' });
  const form = el('form', { method: 'dialog' }, el('h2', {}, 'Views'), list, el('p', {}, el('label', { for: 'view-name' }, 'Save what is shown now as'), input), el('p.quiet.small', {}, 'Search, filters, order, columns and groups are kept in this browser, or in the store for everybody who opens it. The address of the page holds all of them too.'),
    el('div.row', {}, el('button.main', { type: 'submit' }, 'Save'), el('button', { type: 'button', on: { click: () => forAll() } }, 'For all'), el('button', { type: 'button', on: { click: () => dialog.close() } }, 'Close')));
  const dialog = el('dialog.edit', { 'aria-label': 'Views' }, form);
  form.addEventListener('submit', (event) => { event.preventDefault(); if (input.value.trim() && save(input.value.trim())) dialog.close(); });
  dialog.addEventListener('close', () => dialog.remove());
  const forAll = async () => {
    const name = input.value.trim();
    const { view: _, ...state } = query();
    if (!name || !await share('views', name, new URLSearchParams(state).toString())) return;
    dialog.close();
    go(address(['sessions'], { ...state, view: name }));
    notice(`View ${name} kept in the store: everybody who opens it has it`);
  };
  draw();
  sharedOf('views').then((found) => { common = found; draw(); });
  document.body.append(dialog);
  dialog.showModal();
}

function told(state) {
  const parts = [state.q, state.status && `status=${state.status}`, state.group && `by ${state.group}`, state.sort && `sorted by ${state.sort.replace('-', '')}`, state.columns && 'own columns'];
  return parts.filter(Boolean).join(' · ') || 'all sessions';
}
