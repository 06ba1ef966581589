/* Saved views of the list: search, filters, order, columns and groups under a name. The browser keeps them; the address
   of the page holds all of a view, so that it can be sent to others, who may keep it too. */
import { el, fill } from './dom.js';
import { notice } from './notices.js';
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
  const draw = () => {
    const views = Object.entries(saved()).sort(([a], [b]) => a.localeCompare(b));
    fill(list, views.map(([name, state]) => el('li.view', {}, el('a', { href: address(['sessions'], { ...state, view: name }), on: { click: () => dialog.close() } }, name), el('span.quiet.small.grow', {}, told(state)), el('button.plain.small', { type: 'button', 'aria-label': `Forget ${name}`, title: 'Forget', on: { click: () => { const left = saved(); delete left[name]; store(left); draw(); } } }, '✕'))), views.length ? null : el('li.quiet', {}, 'None yet.'));
  };
  const input = el('input', { type: 'text', id: 'view-name', required: true, maxlength: 80, value: query().view || '' });
  const form = el('form', { method: 'dialog' }, el('h2', {}, 'Views'), list, el('p', {}, el('label', { for: 'view-name' }, 'Save what is shown now as'), input), el('p.quiet.small', {}, 'Search, filters, order, columns and groups are kept in this browser. The address of the page holds all of them, for others.'),
    el('div.row', {}, el('button.main', { type: 'submit' }, 'Save'), el('button', { type: 'button', on: { click: () => dialog.close() } }, 'Close')));
  const dialog = el('dialog.edit', { 'aria-label': 'Views' }, form);
  form.addEventListener('submit', (event) => { event.preventDefault(); if (input.value.trim() && save(input.value.trim())) dialog.close(); });
  dialog.addEventListener('close', () => dialog.remove());
  draw();
  document.body.append(dialog);
  dialog.showModal();
}

function told(state) {
  const parts = [state.q, state.status && `status=${state.status}`, state.group && `by ${state.group}`, state.sort && `sorted by ${state.sort.replace('-', '')}`, state.columns && 'own columns'];
  return parts.filter(Boolean).join(' · ') || 'all sessions';
}
