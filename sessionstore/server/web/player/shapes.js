/* The kinds of drones are told apart by shape: one outline for each, drawn flat as a sign and raised as a body. */
import { SHAPES } from '../app/constants.js';
import { svg } from '../app/dom.js';

function ring(count, radius, turn = 0, other = null) {
  const points = [];
  const steps = other === null ? count : count * 2;
  for (let index = 0; index < steps; index += 1) {
    const r = other !== null && index % 2 ? other : radius;
    const angle = turn + (index * 2 * Math.PI) / steps;
    points.push([r * Math.cos(angle), r * Math.sin(angle)]);
  }
  return points;
}

/** Four arms with a rotor each, in an X, and a nose. */
function multirotor() {
  const points = [];
  for (let arm = 0; arm < 4; arm += 1) {
    const angle = (0.25 + arm / 2) * Math.PI;
    for (let step = -4; step <= 4; step += 1) {
      const turn = angle + (step / 4) * 0.8 * Math.PI;
      points.push([0.7 * Math.cos(angle) + 0.3 * Math.cos(turn), 0.7 * Math.sin(angle) + 0.3 * Math.sin(turn)]);
    }
    const between = angle + Math.PI / 4;
    points.push([(arm === 3 ? 0.55 : 0.16) * Math.cos(between), (arm === 3 ? 0.55 : 0.16) * Math.sin(between)]);
  }
  return points;
}

/** The mark on the ground below a drone. */
export const DISC = ring(16, 1);

/* Seen from above, nose towards +x, within a circle of radius 1. */
const OUTLINES = {
  arrow: [[1, 0], [-0.8, 0.75], [-0.35, 0], [-0.8, -0.75]],
  clamp: [[0.8, 0.35], [0.8, 0.8], [-0.8, 0.8], [-0.8, -0.8], [0.8, -0.8], [0.8, -0.35], [0.35, -0.35], [0.35, 0.35]],
  diamond: [[1, 0], [0, 0.65], [-1, 0], [0, -0.65]],
  octagon: ring(8, 1, Math.PI / 8),
  hexagon: ring(6, 1, 0),
  'star-of-four': ring(4, 1, Math.PI / 4, 0.35),
  'star-of-six': ring(6, 1, 0, 0.5),
  wings: [[0.7, 0], [0.15, 0.25], [-0.1, 1], [-0.5, 0.9], [-0.25, 0.15], [-0.9, 0], [-0.25, -0.15], [-0.5, -0.9], [-0.1, -1], [0.15, -0.25]],
  round: ring(12, 0.8),
  multirotor: multirotor(),
};
const AUTOPILOTS = ['px4', 'ardupilot', 'mav'];  // the kinds of imported flights
const FLOWN = { shape: 'multirotor', radius: 0.5 };
const OTHER = { shape: 'round', radius: 0.6 }; // a kind of a program that this one does not know

const look = (kind) => SHAPES[kind] || (AUTOPILOTS.includes(kind) ? FLOWN : OTHER);

export const outline = (kind) => OUTLINES[look(kind).shape];
export const radius = (kind) => look(kind).radius;

/** The sign of a kind, for tables and legends. */
export function sign(kind, fill = 'currentColor', size = 14) {
  const points = outline(kind).map(([x, y]) => `${(-y).toFixed(2)},${(-x).toFixed(2)}`).join(' ');
  const node = svg('svg', { viewBox: '-1.1 -1.1 2.2 2.2', width: size, height: size, class: 'sign', 'aria-hidden': 'true' }, svg('polygon', { points }));
  node.style.color = fill;
  return node;
}

/** Cut a polygon into triangles by its ears; returns indices. Where a ring that touches itself has none left, any corner that bends outwards is cut off. */
export function triangles(points) {
  const left = points.map((_, index) => index);
  const area = points.reduce((sum, [x, y], i) => { const [u, v] = points[(i + 1) % points.length]; return sum + x * v - u * y; }, 0);
  if (area < 0) left.reverse();
  const found = [];
  const side = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
  let misses = 0;
  while (left.length > 2 && misses <= 2 * left.length) {
    const [a, b, c] = left.slice(0, 3).map((index) => points[index]);
    const ear = side(a, b, c) > 1e-9 && (misses > left.length || !left.slice(3).some((index) => { const p = points[index]; return side(a, b, p) > 0 && side(b, c, p) > 0 && side(c, a, p) > 0; }));
    if (ear || Math.abs(side(a, b, c)) <= 1e-9) {
      if (ear) found.push(left[0], left[1], left[2]);
      left.splice(1, 1);
      misses = 0;
    } else {
      left.push(left.shift());
      misses += 1;
    }
  }
  return found;
}

/** Raise an outline into a body: positions and normals, three by three. */
export function raise(points, low, high) {
  const positions = [];
  const normals = [];
  const face = (corners, normal) => { for (const corner of corners) { positions.push(...corner); normals.push(...normal); } };
  const area = points.reduce((sum, [x, y], i) => { const [u, v] = points[(i + 1) % points.length]; return sum + x * v - u * y; }, 0);
  const way = area < 0 ? [...points].reverse() : points;
  way.forEach(([x, y], index) => {
    const [u, v] = way[(index + 1) % way.length];
    const length = Math.hypot(u - x, v - y) || 1;
    const normal = [(v - y) / length, -(u - x) / length, 0];
    face([[x, y, low], [u, v, low], [u, v, high], [x, y, low], [u, v, high], [x, y, high]], normal);
  });
  const flat = triangles(way);
  face(flat.map((index) => [...way[index], high]), [0, 0, 1]);
  return { positions, normals };
}
