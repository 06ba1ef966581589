/* Pictures as an animated GIF (89a), loaded when one is asked for: colours of the film itself, at most 255, and of each
   picture only what changed. Codes of variable length as in the specification, appendix F. */

const MOST_COLOURS = 255;
const CLEAR_AT = 4096;

export class Gif {
  constructor(width, height) {
    Object.assign(this, { width, height, frames: [], counts: new Uint32Array(32768) });
  }

  /** Keep a picture (RGBA of a canvas) that is shown for so long, in hundredths of a second. */
  add({ data }, delay) {
    const kept = new Uint16Array(this.width * this.height);
    for (let i = 0; i < kept.length; i += 1) {
      kept[i] = ((data[i * 4] >> 3) << 10) | ((data[i * 4 + 1] >> 3) << 5) | (data[i * 4 + 2] >> 3);
      this.counts[kept[i]] += 1;
    }
    this.frames.push({ kept, delay });
  }

  /** The file as bytes: Uint8Array. */
  bytes() {
    const { colours, index } = this.palette();
    const word = (value) => [value & 255, value >> 8];
    const out = [[...[...'GIF89a'].map((each) => each.charCodeAt(0)), ...word(this.width), ...word(this.height), 0xf7, 0, 0], colours];
    out.push([0x21, 0xff, 11, ...[...'NETSCAPE2.0'].map((each) => each.charCodeAt(0)), 3, 1, 0, 0, 0]); // again and again
    let before = null;
    for (const { kept, delay } of this.frames) {
      const shown = Uint8Array.from(kept, (each, i) => (before && before[i] === each ? MOST_COLOURS : index[each]));
      out.push([0x21, 0xf9, 4, 0x05, ...word(delay), MOST_COLOURS, 0, 0x2c, 0, 0, 0, 0, ...word(this.width), ...word(this.height), 0, 8]);
      out.push(blocks(packed(shown)));
      before = kept;
    }
    out.push([0x3b]);
    const all = new Uint8Array(out.reduce((sum, each) => sum + each.length, 0));
    let at = 0;
    for (const each of out) { all.set(each, at); at += each.length; }
    return all;
  }

  /** The most frequent colours, and for each colour of the film the nearest of them. */
  palette() {
    const used = [...this.counts.keys()].filter((each) => this.counts[each]).sort((a, b) => this.counts[b] - this.counts[a]);
    const chosen = used.slice(0, MOST_COLOURS);
    const parts = (each) => [each >> 10, (each >> 5) & 31, each & 31];
    const index = new Uint8Array(32768);
    const places = chosen.map(parts);
    for (const each of used) {
      const [r, g, b] = parts(each);
      let best = Infinity;
      places.forEach(([x, y, z], i) => { const far = (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2; if (far < best) { best = far; index[each] = i; } });
    }
    const colours = new Uint8Array(256 * 3);
    places.flat().forEach((each, i) => { colours[i] = (each << 3) | (each >> 2); });
    return { colours, index };
  }
}

/** The codes of a picture of bytes, packed from the lowest bit. */
function packed(values) {
  const out = [];
  let [bits, held, width, next] = [0, 0, 9, 258];
  let known = new Map();
  const write = (code) => { held |= code << bits; bits += width; while (bits >= 8) { out.push(held & 255); held >>>= 8; bits -= 8; } };
  write(256);
  let now = values[0];
  for (let i = 1; i < values.length; i += 1) {
    const key = now * 256 + values[i];
    const found = known.get(key);
    if (found !== undefined) { now = found; continue; }
    write(now);
    if (next < CLEAR_AT) {
      if (next === 1 << width) width += 1;
      known.set(key, next);
      next += 1;
    } else { write(256); known = new Map(); width = 9; next = 258; }
    now = values[i];
  }
  write(now);
  if (next === 1 << width && width < 12) width += 1;
  write(257);
  if (bits) out.push(held & 255);
  return out;
}

/** Bytes in blocks of at most 255, each after its length. */
function blocks(bytes) {
  const out = new Uint8Array(bytes.length + Math.ceil(bytes.length / 255) + 1);
  let at = 0;
  for (let i = 0; i < bytes.length; i += 255) {
    const part = bytes.slice(i, i + 255);
    out[at] = part.length;
    out.set(part, at + 1);
    at += part.length + 1;
  }
  return out;
}
