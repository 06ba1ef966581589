/* The menu of panels: add one, arrange them, save the layout by a name (in this browser, or in the store for all), take a saved one. */
import { el, fill } from '../app/dom.js';
import { notice } from '../app/notices.js';
import { share, sharedOf } from '../app/page_views.js';

const PLACE = 'layouts';

export function saved() {
  try { return JSON.parse(localStorage.getItem(PLACE)) || {}; } catch { return {}; }
}

function store(layouts) {
  try { localStorage.setItem(PLACE, JSON.stringify(layouts)); return true; } catch { notice('This browser keeps nothing: the layout stays in the address', { error: true }); return false; }
}

/** Return the button with its menu; `kinds()` gives [[kind, argument, title], ...]. */
export function panelMenu(layout, kinds) {
  const items = el('div.items.panel-menu', { hidden: true });
  const button = el('button', { type: 'button', 'aria-expanded': 'false', 'aria-haspopup': 'true', on: { click: () => { if (items.hidden) open(); else close(); } } }, 'Panels ▾');
  const menu = el('div.menu', {}, button, items);
  const close = () => { items.hidden = true; button.setAttribute('aria-expanded', 'false'); };
  const act = (text, action, more = {}) => el('button', { type: 'button', ...more, on: { click: () => { close(); action(); } } }, text);

  async function open() {
    fill(items, el('div.quiet.small.in-menu', {}, 'Loading …'));
    items.hidden = false;
    button.setAttribute('aria-expanded', 'true');
    const [offered, common] = await Promise.all([kinds(), sharedOf('layouts')]);
    const name = el('input', { type: 'text', placeholder: 'Save as …', 'aria-label': 'Save this layout as', size: 16, maxlength: 60 });
    const keep = () => { const text = name.value.trim(); if (text && store({ ...saved(), [text]: layout.text })) { close(); notice(`Layout “${text}” saved in this browser; its address can be shared`); } };
    const forAll = async () => { const text = name.value.trim(); if (text && await share('layouts', text, layout.text)) { close(); notice(`Layout “${text}” kept in the store: everybody who opens it has it`); } };
    name.addEventListener('keydown', (event) => { if (event.key === 'Enter') { event.preventDefault(); keep(); } });
    const kept = Object.entries(saved()).map(([title, text]) => el('div.row', {}, act(title, () => layout.set(text)), el('span.grow'), el('button.plain.small', { type: 'button', 'aria-label': `Forget the layout ${title}`, on: { click: () => { const rest = saved(); delete rest[title]; store(rest); open(); } } }, '✕')));
    const ours = Object.entries(common).map(([title, text]) => el('div.row', {}, act(title, () => layout.set(text)), el('span.badge.quiet', {}, 'for all'), el('span.grow'), el('button.plain.small', { type: 'button', 'aria-label': `Take the layout ${title} out of the store`, on: { click: async () => { if (await share('layouts', title, null)) open(); } } }, '✕')));
    fill(items,
      act(layout.arranging ? 'Arranging: done' : 'Arrange: drag and resize', () => layout.arrange(!layout.arranging), { 'aria-pressed': String(layout.arranging) }),
      layout.isDefault ? null : act('The first layout again', () => layout.set(layout.first)),
      el('div.row.in-menu', {}, name, el('button', { type: 'button', title: 'In this browser', on: { click: keep } }, 'Save'), el('button', { type: 'button', title: 'In the store, for everybody who opens it', on: { click: forAll } }, 'For all')), kept, ours,
      el('div.quiet.small.in-menu', {}, 'Add a panel'),
      el('div.add-panels', {}, offered.map(([kind, argument, title]) => act(title, () => layout.add(kind, argument, kind === 'charts' ? { w: 12, h: 1 } : kind === 'strip' ? { w: 12, h: 4 } : {})))));
    items.querySelector('button').focus({ preventScroll: true });
  }

  menu.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !items.hidden) { event.stopPropagation(); close(); button.focus(); } });
  menu.addEventListener('focusout', (event) => { if (event.relatedTarget && !menu.contains(event.relatedTarget)) close(); });
  document.addEventListener('pointerdown', (event) => { if (!menu.contains(event.target)) close(); });
  return menu;
}
