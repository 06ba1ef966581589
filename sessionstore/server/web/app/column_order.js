/* The order of the columns: a head is dragged before or behind another, or moved by Shift and an arrow key. */

const KIND = 'application/x-column';

/** Make the head of a column movable; `names` are all columns in order, `show` takes their new order. */
export function movable(head, name, names, show) {
  const put = (target, behind) => {
    if (target === name) return;
    const others = names.filter((each) => each !== name);
    others.splice(others.indexOf(target) + (behind ? 1 : 0), 0, name);
    show(others);
  };
  head.draggable = true;
  head.dataset.column = name;
  if (!head.querySelector('button')) head.tabIndex = 0;
  head.addEventListener('dragstart', (event) => { event.dataTransfer.setData(KIND, name); event.dataTransfer.effectAllowed = 'move'; });
  const side = (event) => { const { left, width } = head.getBoundingClientRect(); return event.clientX > left + width / 2; };
  const mark = (before, after) => { head.classList.toggle('before', before); head.classList.toggle('after', after); };
  head.addEventListener('dragover', (event) => {
    if (!event.dataTransfer.types.includes(KIND)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'move';
    mark(!side(event), side(event));
  });
  head.addEventListener('dragleave', () => mark(false, false));
  head.addEventListener('drop', (event) => {
    const moved = event.dataTransfer.getData(KIND);
    if (!moved) return;
    event.preventDefault();
    event.stopPropagation();
    mark(false, false);
    if (moved === name) return;
    const others = names.filter((each) => each !== moved);
    others.splice(others.indexOf(name) + (side(event) ? 1 : 0), 0, moved);
    show(others);
  });
  head.addEventListener('keydown', (event) => {
    const step = event.shiftKey && { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const other = step && names[names.indexOf(name) + step];
    if (!other) return;
    event.preventDefault();
    event.stopPropagation();
    const { parentNode: bar } = head;
    put(other, step > 0);
    const again = [...bar.children].find((each) => each.dataset.column === name);
    (again?.querySelector('button') || again)?.focus();
  });
}
