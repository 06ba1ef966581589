/* What lies below a drone: the highest roof under it, else the ground; for the line and the mark that show its height. */

const LEAST_M = 0.4; // lower than this a drone stands

export class Ground {
  constructor({ base, buildings }) {
    this.level = base[2] || 0;
    this.buildings = buildings.map(({ outline, roof }) => {
      const [xs, ys] = [0, 1].map((axis) => outline.map((corner) => corner[axis]));
      return { outline, roof, west: Math.min(...xs), east: Math.max(...xs), south: Math.min(...ys), north: Math.max(...ys) };
    });
  }

  /** The height of what is below a place, in metres. */
  under(x, y, z) {
    let found = Math.min(this.level, z);
    for (const each of this.buildings) {
      if (x < each.west || x > each.east || y < each.south || y > each.north || each.roof > z + LEAST_M || each.roof <= found) continue;
      if (inside(each.outline, x, y)) found = each.roof;
    }
    return found;
  }

  /** Drones in the air with the height below them. */
  below(drones) {
    return drones.map((each) => ({ ...each, ground: this.under(each.x, each.y, each.z) })).filter(({ z, ground }) => z - ground > LEAST_M);
  }
}

function inside(outline, x, y) {
  let odd = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i, i += 1) {
    const [[ax, ay], [bx, by]] = [outline[i], outline[j]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}
