/* The page: the bar on top, the theme, and which place the address names. */
import { el, fill, forgetColours } from './dom.js';
import { help, keys } from './keys.js';
import { onMove, path, start } from './router.js';

/** By the first part of the path: title, module, element. */
const PLACES = {
  sessions: ['Sessions', () => import('./list.js'), 'session-list'],
  session: ['Session', () => import('./session.js'), 'session-view'],
  compare: ['Compare', () => import('./compare.js'), 'session-compare'],
  sweeps: ['Sweeps', () => import('./sweeps.js'), 'sweep-place'],
  control: ['Control', () => import('./control.js'), 'simulation-control'],
  query: ['Query', () => import('./query.js'), 'sql-query'],
  trash: ['Trash', () => import('./trash.js'), 'trash-list'],
};
/** Places with a second part: /session/ID, /sweeps/ID. */
const DEEP = ['session', 'sweeps'];
const NAVIGATION = [['sessions', 'Sessions'], ['compare', 'Compare'], ['sweeps', 'Sweeps'], ['control', 'Control'], ['query', 'Query'], ['trash', 'Trash']];
const THEMES = ['auto', 'light', 'dark'];

function stored(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

function theme(value) {
  if (value === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  try { localStorage.setItem('theme', value); } catch { /* a private window: kept for this page only */ }
  forgetColours();
  dispatchEvent(new Event('themechange'));
}

function bar() {
  let now = THEMES.includes(stored('theme')) ? stored('theme') : 'auto';
  const button = el('button.plain', { type: 'button', title: 'Light, dark, or as the system' });
  const show = () => { fill(button, el('span.wide', {}, 'Theme: '), now); button.setAttribute('aria-label', `Theme: ${now}`); };
  button.addEventListener('click', () => { now = THEMES[(THEMES.indexOf(now) + 1) % 3]; theme(now); show(); });
  show();
  theme(now);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => theme(now));
  const links = NAVIGATION.map(([place, label]) => el('a', { href: `/${place}`, 'data-place': place }, label));
  fill(
    document.getElementById('top'),
    el('a.brand', { href: '/sessions' }, el('img', { src: '/icon.svg', alt: '' }), el('span.wide', {}, 'sessionstore')),
    el('nav', { 'aria-label': 'Places' }, links),
    el('span.grow'),
    el('a.quiet.wide', { href: '/docs' }, 'API'),
    button,
    el('button.plain.wide', { type: 'button', title: 'Keys (?)', on: { click: help } }, 'Keys'),
  );
}

function missing() {
  return el('div.message', { role: 'alert' }, el('h2', {}, 'There is no page at this address'), el('p.quiet', {}, location.pathname), el('p', {}, el('a', { href: '/sessions' }, 'All sessions'), ' · ', el('a', { href: '/docs' }, 'The API')));
}

let turn = 0;

function known(parts) {
  return parts.length <= (DEEP.includes(parts[0]) ? 2 : 1) ? PLACES[parts[0] || 'sessions'] : null;
}

async function show() {
  const mine = ++turn;
  // The API names a session /api/sessions/ID: the same address without /api is taken for it.
  if (path()[0] === 'sessions' && path().length === 2) history.replaceState(null, '', `/session/${encodeURIComponent(path()[1])}${location.search}`);
  const name = path()[0] || 'sessions';
  const [title, load, tag] = known(path()) || ['Not found', async () => {}, null];
  for (const link of document.querySelectorAll('nav a')) {
    if (link.dataset.place === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${title} · sessionstore`;
  keys([]);
  try {
    await load();
  } catch (error) {
    const retry = el('button.main', { type: 'button', on: { click: () => location.reload() } }, 'Retry');
    fill(document.getElementById('place'), el('div.message.error', { role: 'alert' }, el('h2', {}, 'The page could not be loaded'), el('p', {}, error.message), retry));
    return;
  }
  if (mine === turn) document.getElementById('place').replaceChildren(tag ? document.createElement(tag) : missing());
}

bar();
onMove(show);
start();
