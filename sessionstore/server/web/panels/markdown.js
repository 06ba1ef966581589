/* A small part of Markdown as elements: headings, lists, paragraphs, code, emphasis, links to the web and in the page.

   Text goes in as text: HTML within notes is shown, not run. */
import { el } from '../app/dom.js';

const INLINE = /(`[^`]+`)|(\*\*[^*]+\*\*)|(\*[^*\s][^*]*\*|_[^_\s][^_]*_)|\[([^\]]+)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>"]+)/g;

export function markdown(text) {
  const node = el('div.markdown', { dir: 'auto' });
  let list = null;
  let lines = [];
  const flush = () => { if (lines.length) node.append(el('p', {}, inline(lines.join('\n')))); lines = []; };
  const blocks = String(text || '').split('\n');
  for (let i = 0; i < blocks.length; i += 1) {
    const raw = blocks[i];
    const head = /^(#{1,4})\s+(.*)/.exec(raw);
    const item = /^\s*(?:([-*+])|(\d+)[.)])\s+(.*)/.exec(raw);
    if (!item) list = null;
    if (/^```/.test(raw)) {
      flush();
      const end = blocks.findIndex((each, at) => at > i && /^```/.test(each));
      node.append(el('pre', { tabindex: 0 }, blocks.slice(i + 1, end < 0 ? undefined : end).join('\n')));
      i = end < 0 ? blocks.length : end;
    } else if (head) { flush(); node.append(el(`h${Math.min(6, head[1].length + 2)}`, {}, inline(head[2]))); } else if (item) {
      flush();
      if (!list || list.localName !== (item[2] ? 'ol' : 'ul')) node.append(list = el(item[2] ? 'ol' : 'ul'));
      list.append(el('li', {}, inline(item[3])));
    } else if (!raw.trim()) flush();
    else lines.push(raw);
  }
  flush();
  return node;
}

function inline(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    parts.push(text.slice(from, found.index));
    from = found.index + found[0].length;
    const [whole, code, strong, emphasis, name, target, bare] = found;
    if (code) parts.push(el('code', {}, code.slice(1, -1)));
    else if (strong) parts.push(el('strong', {}, strong.slice(2, -2)));
    else if (emphasis) parts.push(el('em', {}, emphasis.slice(1, -1)));
    else if (bare) parts.push(link(bare, bare));
    else parts.push(/^(https?:\/\/|[/?])/.test(target) && !target.startsWith('//') ? link(target, name) : whole);
  }
  return [...parts, text.slice(from)];
}

const link = (target, name) => el('a', { href: target, rel: 'noreferrer noopener', target: target.startsWith('http') ? '_blank' : null }, name);
