/* What is worth seeing of a world: where drones flew, the base, and the buildings near them, whatever else lies far away. */

const NEAR_M = 40;
const UNKNOWN_M = 120; // before anything has flown far
const FEW = 100;
const MOST = 2000;
const ROUND_BASE_M = 15;
const LEAST_ROUND_M = 4;

/** Return the corners to frame, their box, its size and how far everything reaches (metres). */
export function extent({ base, buildings }, places = []) {
  const [low, high] = middle(places);
  const flown = places.filter((each) => each.every((value, axis) => value >= low[axis] && value <= high[axis]));
  const corners = thinned(flown);
  // A small flight without buildings fills the picture; the base is a mark in it, not its measure.
  const round = buildings.length || !flown.length ? ROUND_BASE_M : Math.min(ROUND_BASE_M, Math.max(LEAST_ROUND_M, 0.25 * span(boxOf([...flown, base]))));
  for (const x of [-round, round]) for (const y of [-round, round]) corners.push([base[0] + x, base[1] + y, base[2]]);
  const box = boxOf(corners);
  const margin = Math.max(places.length < FEW ? UNKNOWN_M : NEAR_M, 0.3 * span(box));
  for (const { outline, ground, roof } of buildings.filter((each) => far(box, each) < margin)) for (const [x, y] of outline) corners.push([x, y, ground], [x, y, roof]);
  const whole = boxOf(corners);
  const all = boxOf([whole.low, whole.high, ...buildings.flatMap(({ outline }) => outline.map(([x, y]) => [x, y, 0]))]);
  return { ...whole, corners, size: span(whole), reach: span(all) };
}

/** Without the far hundredth of the places on every side: one drone that flew away does not make all others tiny. */
function middle(places) {
  if (places.length < FEW) return [[-Infinity, -Infinity, -Infinity], [Infinity, Infinity, Infinity]];
  const sorted = [0, 1, 2].map((axis) => Float64Array.from(places, (each) => each[axis]).sort());
  const cut = Math.floor(places.length / 100);
  return [cut, places.length - 1 - cut].map((at) => sorted.map((each) => each[at]));
}

const thinned = (places) => { const step = Math.ceil(places.length / MOST); return places.filter((_, i) => i % step === 0); };

function boxOf(places) {
  const box = { low: [Infinity, Infinity, Infinity], high: [-Infinity, -Infinity, -Infinity] };
  for (const place of places) {
    place.forEach((each, axis) => {
      box.low[axis] = Math.min(box.low[axis], each);
      box.high[axis] = Math.max(box.high[axis], each);
    });
  }
  return box;
}

/** How far the nearest corner of a building lies from a box, seen from above. */
function far({ low, high }, { outline }) {
  return Math.min(...outline.map(([x, y]) => Math.hypot(Math.max(low[0] - x, 0, x - high[0]), Math.max(low[1] - y, 0, y - high[1]))));
}

const span = ({ low, high }) => Math.max(high[0] - low[0], high[1] - low[1]);
