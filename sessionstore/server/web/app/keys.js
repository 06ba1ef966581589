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

let tabbed = false; // whether the focus was moved by the Tab key
document.addEventListener('pointerdown', () => { tabbed = false; }, true);
document.addEventListener('keydown', (event) => { if (event.key === 'Tab') tabbed = true; }, true);
// A button acts on the release of Space: what the key has done already must not press the last clicked button too.
document.addEventListener('keyup', (event) => { if (event.key === ' ' && !tabbed && event.target.closest?.('button, summary')) event.preventDefault(); });

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const typing = event.target.closest?.('input:not([type=checkbox]), textarea, select, [contenteditable]');
  if (typing) return;
  const pressed = event.key === ' ' ? 'Space' : event.key;
  const control = event.target.closest?.('button, a, summary, input');
  const found = known.find(([names, , action]) => action && names.split(' ').includes(pressed));
  if (!found) return;
  // Enter presses the control that has the focus; Space plays where a player is, unless the focus came by Tab.
  if (control && (pressed === 'Enter' || (pressed === 'Space' && control.matches(':focus-visible') && tabbed))) return;
  event.preventDefault();
  found[2](event);
});
