/* Elements made of data: text goes in as text, never as markup, so that no name can become code. */

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]/g;

/** Return text with invisible and direction-changing characters shown as their code points. */
export function shown(text) {
  return String(text).replace(HIDDEN, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`).toWellFormed();
}

/** Make an element: el('a.button', {href, on: {click}}, child, 'text', ...). */
export function el(kind, props = {}, ...children) {
  const [tag, ...classes] = kind.split('.');
  const node = document.createElement(tag || 'div');
  if (classes.length) node.className = classes.join(' ');
  for (const [name, value] of Object.entries(props)) set(node, name, value);
  add(node, children);
  return node;
}

function set(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === 'on') for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
  else if (name === 'class') node.classList.add(...value.split(' ').filter(Boolean));
  else if (name === 'text') node.textContent = shown(value);
  else if (name === 'style') for (const [key, each] of Object.entries(value)) node.style.setProperty(key, each);
  else if (name === 'value' || name === 'checked' || name === 'indeterminate') node[name] = value;
  else node.setAttribute(name, value === true ? '' : String(value));
}

export function add(node, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(shown(child)));
  }
  return node;
}

export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Call at most once in so many milliseconds, the last call always. */
export function calm(wait, action) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(action, wait, ...values);
  };
}

const probes = new Map();

/** Return a token of tokens.css as [r, g, b] from 0 to 1, in the present theme. */
export function colour(token) {
  if (!probes.has(token)) probes.set(token, resolve(token));
  return probes.get(token);
}

function resolve(token) {
  const probe = document.createElement('span');
  probe.style.color = `var(--${token})`;
  document.body.append(probe);
  const numbers = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return numbers.slice(0, 3).map((each) => each / 255);
}

export function css(token, alpha = 1) {
  const [r, g, b] = colour(token).map((each) => Math.round(each * 255));
  return `rgb(${r} ${g} ${b} / ${alpha})`;
}

export function forgetColours() {
  probes.clear();
}
