/* Short notices at the foot of the page, read out by screen readers; one may carry an action such as Undo. */
import { el } from './dom.js';

let place = null;

export function notice(text, { action, act, error = false, seconds = 6 } = {}) {
  place ??= document.body.appendChild(el('div.toasts', { role: 'status', 'aria-live': 'polite' }));
  const item = el('div.toast', { class: error ? 'error' : '' }, el('span', {}, text));
  const close = () => item.remove();
  if (action) item.append(el('button', { type: 'button', on: { click: () => { close(); act(); } } }, action));
  place.append(item);
  setTimeout(close, seconds * 1000);
  return close;
}

export const failed = (what, error) => notice(`${what}: ${error.message}`, { error: true, seconds: 10 });
