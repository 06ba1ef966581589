/* The panels of a session's page in a grid of twelve columns: added, dragged, resized, stacked; a keyboard does all of it.

   Not here: what is in a panel (kinds), how a layout is written (layout_text), the menu that adds and saves (menu). */
import { el, fill } from '../app/dom.js';
import { notice } from '../app/notices.js';
import { COLUMNS, parse, write } from './layout_text.js';

export const DEFAULT = 'scene~7x12;tabs~5x12;charts~12x1';
export const WITHOUT_POSITIONS = 'time~12x2;tabs~12x9;charts~12x1';
const PLAIN = new Set(['scene', 'time', 'tabs', 'charts']); // panels with a head of their own: theirs shows while panels are arranged
const FAR = 6; // pixels of a drag

export class Layout {
  constructor(text, { make, title, onChange, first = DEFAULT }) {
    Object.assign(this, { make, title, onChange, first, panels: new Map(), arranging: false });
    this.node = el('div.panels');
    this.set(text || first, false);
  }

  get text() { return write(this.cells.map((each) => ({ ...each, panels: each.panels.map((panel) => ({ ...panel, argument: this.panels.get(panel)?.argument?.() ?? panel.argument })) }))); }
  get isDefault() { return this.text === this.first; }

  /** Another first layout; it is shown if the one of before is. */
  begin(first) {
    const untouched = this.isDefault;
    this.first = first;
    if (untouched) this.set(first);
  }

  /** Show a layout; panels that both have are kept as they are. */
  set(text, told = true) {
    const cells = parse(text);
    if (!cells.length) { if (text !== this.first) this.set(this.first, told); return; }
    const old = new Map((this.cells || []).flatMap((each) => each.panels).map((panel) => [`${panel.kind}(${panel.argument})`, panel]));
    const single = new Set();
    for (const cell of cells) {
      cell.panels = cell.panels.filter(({ kind }) => !PLAIN.has(kind) || (!single.has(kind) && single.add(kind)));
      cell.panels = cell.panels.map((panel) => { const key = `${panel.kind}(${panel.argument})`; const held = old.get(key); old.delete(key); return held || panel; });
    }
    this.cells = cells.filter((each) => each.panels.length);
    // What moves the moment is always there.
    if (!single.has('scene') && !single.has('time')) this.cells.push({ panels: [old.get('time()') || { kind: 'time', argument: '' }], w: COLUMNS, h: 2, open: 0 });
    this.draw();
    if (told) this.onChange();
  }

  add(kind, argument = '', { w = 4, h = 7 } = {}) {
    if (kind === 'scene' || PLAIN.has(kind)) {
      const there = this.cells.find((each) => each.panels.some((panel) => panel.kind === kind));
      if (there) { there.open = there.panels.findIndex((panel) => panel.kind === kind); this.changed(); this.focus(kind); return; }
    }
    if (kind === 'scene') for (const cell of this.cells) cell.panels = cell.panels.filter((panel) => panel.kind !== 'time');
    this.cells = this.cells.filter((each) => each.panels.length);
    this.cells.push({ panels: [{ kind, argument }], w, h, open: 0 });
    this.changed();
    this.focus(kind, argument);
  }

  focus(kind, argument) {
    const cell = this.cells.findLast((each) => each.panels.some((panel) => panel.kind === kind && (argument === undefined || panel.argument === argument)));
    cell?.node.scrollIntoView({ block: 'nearest' });
    cell?.node.querySelector('.panel-head')?.focus({ preventScroll: true });
  }

  remove(panel) {
    const before = this.text;
    for (const cell of this.cells) { cell.panels = cell.panels.filter((each) => each !== panel); cell.open = Math.min(cell.open, cell.panels.length - 1); }
    const text = write(this.cells.filter((each) => each.panels.length));
    this.set(text || 'time~12x2');
    notice(`${this.title(panel)} removed`, { action: 'Undo', act: () => this.set(before) });
  }

  changed() { this.draw(); this.onChange(); }

  arrange(on) {
    this.arranging = on;
    this.node.classList.toggle('arranging', on);
  }

  // ------------------------------------------------------------ drawing

  draw() {
    const used = new Set(this.cells.flatMap((each) => each.panels));
    for (const [panel, made] of this.panels) if (!used.has(panel)) { made.close?.(); made.node.remove(); this.panels.delete(panel); }
    const nodes = this.cells.map((cell) => this.drawCell(cell));
    nodes.forEach((node, i) => { if (this.node.children[i] !== node) this.node.insertBefore(node, this.node.children[i] || null); });
    while (this.node.children.length > nodes.length) this.node.lastChild.remove();
    for (const cell of this.cells) this.show(cell);
  }

  drawCell(cell) {
    if (!cell.node) {
      cell.head = el('div.panel-head', { tabindex: 0, role: 'group' });
      cell.body = el('div.panel-body');
      const corner = el('div.panel-corner', { title: 'Drag to resize (Shift and arrows)', 'aria-hidden': 'true' });
      cell.node = el('section.cell', {}, cell.head, cell.body, corner);
      cell.head.addEventListener('pointerdown', (event) => this.drag(event, cell));
      cell.head.addEventListener('keydown', (event) => this.key(event, cell));
      corner.addEventListener('pointerdown', (event) => this.resize(event, cell));
    }
    const [{ kind }] = cell.panels;
    cell.node.className = `cell ${kind === 'charts' && cell.panels.length === 1 ? 'tall' : ''} ${cell.panels.length === 1 && PLAIN.has(kind) ? 'plain' : ''} of-${kind}`;
    cell.node.style.setProperty('--w', cell.w);
    cell.node.style.setProperty('--h', cell.h);
    cell.head.setAttribute('aria-label', `${cell.panels.map((each) => this.title(each)).join(', ')}: arrows move it, Shift and arrows resize it, S stacks it on the one before, Delete removes it`);
    return cell.node;
  }

  /** Fill the head with the names of the panels, and the body with the open one. */
  show(cell) {
    const tabs = cell.panels.map((panel, i) => {
      const close = el('button.plain.small', { type: 'button', title: 'Remove this panel', 'aria-label': `Remove the panel ${this.title(panel)}`, on: { click: (event) => { event.stopPropagation(); this.remove(panel); } } }, '✕');
      const name = el('button.plain.small.panel-name', { type: 'button', 'aria-pressed': cell.panels.length > 1 ? String(i === cell.open) : null, on: { click: () => { if (cell.open !== i) { cell.open = i; this.changed(); } } } }, this.title(panel));
      return el('span.panel-tab', { class: i === cell.open ? 'open' : '' }, name, panel.kind === 'time' ? null : close);
    });
    fill(cell.head, el('span.grip', { 'aria-hidden': 'true' }, '⠿'), tabs);
    const panel = cell.panels[cell.open] || cell.panels[0];
    let made = this.panels.get(panel);
    if (!made) { made = this.make(panel); this.panels.set(panel, made); }
    if (cell.body.firstChild !== made.node || cell.body.children.length > 1) cell.body.replaceChildren(made.node);
    made.shown?.();
  }

  /** Call an action of every panel that is to be seen. */
  each(action, ...values) {
    for (const { panels, open } of this.cells) this.panels.get(panels[open])?.[action]?.(...values);
  }

  /** Call an action of every panel, also of those below others. */
  all(action, ...values) { for (const made of this.panels.values()) made[action]?.(...values); }

  // ------------------------------------------------------------ moving

  key(event, cell) {
    if (event.target !== cell.head) return;
    const at = this.cells.indexOf(cell);
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (step && event.shiftKey) {
      if (/Left|Right/.test(event.key)) cell.w = Math.max(2, Math.min(COLUMNS, cell.w + step));
      else cell.h = Math.max(1, Math.min(40, cell.h + step));
    } else if (step) {
      const to = at + step;
      if (to < 0 || to >= this.cells.length) return;
      this.cells.splice(to, 0, ...this.cells.splice(at, 1));
    } else if (event.key === 'Delete' || event.key === 'Backspace') { event.preventDefault(); event.stopPropagation(); this.remove(cell.panels[cell.open]); return; } else if (event.key === 's' || event.key === 'S') {
      if (!at) return;
      this.stack(cell, this.cells[at - 1]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    this.changed();
    (this.cells.includes(cell) ? cell : this.cells[at - 1]).head.focus();
  }

  stack(cell, onto) {
    onto.open = onto.panels.length;
    onto.panels.push(...cell.panels);
    this.cells = this.cells.filter((each) => each !== cell);
  }

  drag(event, cell) {
    if (event.button !== 0) return;
    const [x, y] = [event.clientX, event.clientY];
    let going = false;
    let aim = null;
    const move = (each) => {
      if (!going && Math.hypot(each.clientX - x, each.clientY - y) < FAR) return;
      if (!going) { going = true; cell.head.setPointerCapture(event.pointerId); cell.node.classList.add('moving'); }
      this.mark(aim = this.aimed(each, cell));
    };
    const end = (each) => {
      for (const name of ['pointermove', 'pointerup', 'pointercancel']) removeEventListener(name, name === 'pointermove' ? move : end);
      cell.node.classList.remove('moving');
      this.mark(null);
      if (going && aim && each.type === 'pointerup') this.drop(cell, aim);
    };
    for (const name of ['pointermove', 'pointerup', 'pointercancel']) addEventListener(name, name === 'pointermove' ? move : end);
  }

  /** The cell under the pointer, and whether before it, behind it or onto it. */
  aimed(event, cell) {
    const found = this.cells.find((each) => { const box = each.node.getBoundingClientRect(); return event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom; });
    if (!found || found === cell) return null;
    const box = found.node.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return { cell: found, zone: share < 0.3 ? 'before' : share > 0.7 ? 'behind' : 'onto' };
  }

  mark(aim) { for (const each of this.cells) { if (aim?.cell === each) each.node.dataset.zone = aim.zone; else delete each.node.dataset.zone; } }

  drop(cell, { cell: onto, zone }) {
    if (zone === 'onto') this.stack(cell, onto);
    else {
      this.cells = this.cells.filter((each) => each !== cell);
      this.cells.splice(this.cells.indexOf(onto) + (zone === 'behind' ? 1 : 0), 0, cell);
    }
    this.changed();
  }

  resize(event, cell) {
    if (event.button !== 0) return;
    event.preventDefault();
    const { currentTarget: corner } = event;
    const box = cell.node.getBoundingClientRect();
    const column = this.node.clientWidth / COLUMNS;
    const row = box.height / cell.h;
    corner.setPointerCapture(event.pointerId);
    const move = (each) => {
      cell.w = Math.max(2, Math.min(COLUMNS, Math.round((each.clientX - box.left) / column)));
      cell.h = Math.max(1, Math.min(40, Math.round((each.clientY - box.top) / row)));
      this.drawCell(cell);
    };
    corner.addEventListener('pointermove', move);
    corner.addEventListener('lostpointercapture', () => { corner.removeEventListener('pointermove', move); this.changed(); }, { once: true });
  }
}
