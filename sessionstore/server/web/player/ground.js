/* The ground as faces of a use; and what lies below a drone: the highest roof under it, else the ground, for the line and
   the mark that show its height. */

/** From below to above where they overlap. */
export const USES = ['terrain', 'land', 'plants', 'water', 'rail', 'road'];
const LEAST_M = 0.4; // lower than this a drone stands
const WIDER_M = 0.3; // outlines are simplified by a quarter of a metre (simulation/world/ground.py)

export class Ground {
  constructor({ base, buildings, ground = [] }) {
    this.level = base[2] || 0;
    this.patches = ground.map(({ corners }) => ({ corners, ...boxOf(corners) }));
    this.buildings = buildings.map(({ outline, roof }) => ({ outline, roof, ...boxOf(outline) }));
  }

  /** The height of the ground at a place: the level of the base where nothing is known. */
  level_at(x, y) {
    const found = this.patches.findLast((each) => holds(each, x, y) && inside(each.corners, x, y));
    if (!found) return this.level;
    let [sum, all] = [0, 0];
    for (const [u, v, w] of found.corners) { const near = 1 / (0.01 + (x - u) ** 2 + (y - v) ** 2); sum += near * w; all += near; }
    return sum / all;
  }

  /** The height of what is below a place, in metres. */
  under(x, y, z) {
    let found = Math.min(this.level_at(x, y), z);
    for (const each of this.buildings) {
      if (!holds(each, x, y) || each.roof > z + LEAST_M || each.roof <= found) continue;
      if (inside(each.outline, x, y)) found = each.roof;
    }
    return found;
  }

  /** Drones in the air with the height below them. */
  below(drones) {
    return drones.map((each) => ({ ...each, ground: this.under(each.x, each.y, each.z) })).filter(({ z, ground }) => z - ground > LEAST_M);
  }
}

const holds = ({ west, east, south, north }, x, y) => x >= west && x <= east && y >= south && y <= north;

function boxOf(corners) {
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  return { west: Math.min(...xs), east: Math.max(...xs), south: Math.min(...ys), north: Math.max(...ys) };
}

/** Rings of corners, [[[x, y, z], ...], ...]; what is damaged is left out. */
export function faces(rows) {
  const whole = (row) => Array.isArray(row) && row.length >= 9 && row.length % 3 === 0 && row.every(Number.isFinite);
  return (Array.isArray(rows) ? rows : []).filter(whole).map((row) => Array.from({ length: row.length / 3 }, (_, i) => row.slice(i * 3, i * 3 + 3)));
}

/** The faces of rows of a scene, those above last: [{ use, corners }]. */
export function grounds(rows) {
  const made = (Array.isArray(rows) ? rows : []).flatMap((row) => {
    const use = USES.includes(row?.use) ? row.use : 'land';
    return [...faces(row?.faces).map(wider), ...terrain(row)].map((corners) => ({ use, corners }));
  });
  return made.sort((a, b) => USES.indexOf(a.use) - USES.indexOf(b.use));
}

/** A ring moved outwards by WIDER_M: neighbours that were simplified apart overlap, and no background shows between them. */
function wider(corners) {
  const count = corners.length;
  const area = corners.reduce((sum, [x, y], i) => { const [u, v] = corners[(i + 1) % count]; return sum + x * v - u * y; }, 0);
  const way = area < 0 ? -1 : 1;
  const out = corners.map(([x, y], i) => { const [u, v] = corners[(i + 1) % count]; const length = Math.hypot(u - x, v - y); return length ? [way * (v - y) / length, way * (x - u) / length] : [0, 0]; });
  return corners.map(([x, y, z], i) => {
    const [a, b] = [out[(i + count - 1) % count], out[i]];
    const along = 1 + a[0] * b[0] + a[1] * b[1]; // 0 where the ring turns back
    const by = WIDER_M / Math.max(along, 0.5);
    return [x + (a[0] + b[0]) * by, y + (a[1] + b[1]) * by, z];
  });
}

/** Squares between heights on a grid. */
function terrain({ origin, step_m: step, heights }) {
  if (!Array.isArray(heights) || !Array.isArray(origin) || !(step > 0)) return [];
  const place = (column, row) => { const z = heights[row]?.[column]; return Number.isFinite(z) ? [origin[0] + column * step, origin[1] + row * step, z] : null; };
  return heights.flatMap((line, row) => line.map((_, column) => [[0, 0], [1, 0], [1, 1], [0, 1]].map(([u, v]) => place(column + u, row + v)))).filter((face) => !face.includes(null));
}

function inside(outline, x, y) {
  let odd = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i, i += 1) {
    const [[ax, ay], [bx, by]] = [outline[i], outline[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}
