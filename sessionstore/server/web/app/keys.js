/* Keys of the page: each place says which it knows, and ? shows them. */
import { el } from './dom.js';

let known = [];

/** Set the keys of the present place: [keys, what it does, action]; keys as event.key, several apart by a blank. */
export function keys(list) {
  known = [...list, ['?', 'show the keys', help]];
}

export function help() {
  document.querySelector('dialog.help')?.remove();
  const rows = known.map(([names, about]) => el('tr', {}, el('td', {}, names.split(' ').map((each) => [el('kbd', {}, label(each)), ' '])), el('td', {}, about)));
  const close = el('button', { type: 'button', on: { click: () => dialog.close() } }, 'Close');
  const dialog = el('dialog.help', { 'aria-label': 'Keys' }, el('h2', {}, 'Keys'), el('table.keys', {}, el('tbody', {}, rows)), close);
  document.body.append(dialog);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.showModal();
}

const label = (key) => ({ Space: 'space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓' })[key] || key;

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const typing = event.target.closest?.('input:not([type=checkbox]), textarea, select, [contenteditable]');
  if (typing) return;
  const pressed = event.key === ' ' ? 'Space' : event.key;
  if ((pressed === 'Space' || pressed === 'Enter') && event.target.closest?.('button, a, summary')) return;
  const found = known.find(([names, , action]) => action && names.split(' ').includes(pressed));
  if (!found) return;
  event.preventDefault();
  found[2](event);
});
