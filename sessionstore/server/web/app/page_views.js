/* Layouts and views by name: those of this browser, and those that the store keeps for all who open it. */
import { json } from './api.js';
import { failed } from './notices.js';

let shared = { layouts: {}, views: {} };

/** What the store keeps of a kind; empty where it keeps none, or (the page of a file) there is no server. */
export async function sharedOf(kind) {
  try { shared = await json('/api/page-views'); } catch (error) { if (error.status !== 404) failed('What the store keeps could not be read', error); }
  return shared[kind] || {};
}

/** Keep a text for all, or (null) take it out; true when it is done. */
export async function share(kind, name, text) {
  try { shared = await json('/api/page-views', { method: 'POST', body: { kind, name, text } }); return true; } catch (error) { failed(text === null ? 'Not taken out' : 'Not kept', error); return false; }
}
