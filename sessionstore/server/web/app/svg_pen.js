/* A pen that writes SVG: the part of the canvas interface that charts draw with, so that one drawing serves both. */

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const short = (value) => Number(value.toFixed(2));

export class SvgPen {
  constructor(width, height, ground) {
    Object.assign(this, { width, height, parts: [], path: [], dashes: [], lineWidth: 1, globalAlpha: 1, strokeStyle: '#000', fillStyle: '#000', textAlign: 'left', textBaseline: 'alphabetic', font: '', clips: 0, clipped: false });
    this.fillStyle = ground;
    this.fillRect(0, 0, width, height);
  }

  fillRect(x, y, width, height) { this.parts.push(`<rect x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}" fill="${this.fillStyle}"${this.alpha()}/>`); }
  alpha() { return this.globalAlpha < 1 ? ` opacity="${short(this.globalAlpha)}"` : ''; }

  fillText(text, x, y) {
    const size = parseFloat(/([\d.]+)px/.exec(this.font)?.[1] || 10);
    const anchor = { center: 'middle', right: 'end' }[this.textAlign] || 'start';
    const down = this.textBaseline === 'middle' ? size * 0.35 : 0;
    this.parts.push(`<text x="${short(x)}" y="${short(y + down)}" font-size="${size}" text-anchor="${anchor}" fill="${this.fillStyle}">${escaped(text)}</text>`);
  }

  measureText(text) { return { width: String(text).length * 5.6 }; }
  beginPath() { this.path = []; }
  moveTo(x, y) { this.path.push(`M${short(x)} ${short(y)}`); }
  lineTo(x, y) { this.path.push(`L${short(x)} ${short(y)}`); }
  closePath() { this.path.push('Z'); }
  rect(x, y, width, height) { this.box = [x, y, width, height].map(short); }
  setLineDash(dashes) { this.dashes = dashes; }
  stroke() { this.parts.push(`<path d="${this.path.join('')}" fill="none" stroke="${this.strokeStyle}" stroke-width="${this.lineWidth}" stroke-linejoin="round"${this.dashes.length ? ` stroke-dasharray="${this.dashes.join(' ')}"` : ''}${this.alpha()}/>`); }
  fill() { this.parts.push(`<path d="${this.path.join('')}" fill="${this.fillStyle}"${this.alpha()}/>`); }

  save() { this.clipped = false; }
  clip() {
    this.clips += 1;
    const [x, y, width, height] = this.box;
    this.parts.push(`<clipPath id="c${this.clips}"><rect x="${x}" y="${y}" width="${width}" height="${height}"/></clipPath><g clip-path="url(#c${this.clips})">`);
    this.clipped = true;
  }

  restore() { if (this.clipped) this.parts.push('</g>'); this.clipped = false; }

  text() { return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}" font-family="system-ui, sans-serif">${this.parts.join('')}</svg>\n`; }
}
