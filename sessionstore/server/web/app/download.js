/* A file that the server takes a while to make: how far it is is said, then it is saved. */
import { ask } from './api.js';
import { el, fill } from './dom.js';
import { bytes, seconds } from './format.js';
import { failed, notice } from './notices.js';

/** Fetch a file (with `body`: by POST) and save it under a name. */
export async function download(address, name, { type = 'application/octet-stream', what = name, body } = {}) {
  const began = performance.now();
  const text = el('span', {}, `Making ${what} …`);
  const close = notice(text, { seconds: 3600 });
  const timer = setInterval(() => fill(text, `Making ${what} … ${seconds((performance.now() - began) / 1000)}`), 1000);
  try {
    const reply = await ask(address, body ? { method: 'POST', body } : {});
    const parts = [];
    let size = 0;
    for (const reader = reply.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      size += value.length;
      fill(text, `Loading ${what} … ${bytes(size)}`);
    }
    const link = el('a', { href: URL.createObjectURL(new Blob(parts, { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    notice(`${name}: ${bytes(size)}`);
  } catch (error) { failed('Not exported', error); } finally { clearInterval(timer); close(); }
}
