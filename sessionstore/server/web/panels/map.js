/* The scene from above, north up, on a canvas of its own: beside the 3D view, or instead of it. */
import { el } from '../app/dom.js';
import { extent } from '../player/extent.js';
import { Stage } from '../player/stage.js';
import { scaleOf } from '../player/rule.js';

const TRAIL_S = 60;
const TRAIL_POINTS = 300;

export class MapPanel {
  constructor(view) {
    this.view = view;
    this.stage = new Stage({ plain: true, onPick: (id) => view.player.pick(id), onChange: () => this.soon() });
    this.stage.setView('top');
    this.scale = el('div.scale-bar', { 'aria-hidden': 'true' });
    this.stage.node.append(this.scale, el('div.north', { 'aria-label': 'North is up' }, 'N ↑'));
    this.node = this.stage.node;
    this.recolour = () => this.soon();
    addEventListener('themechange', this.recolour);
    this.wait();
  }

  /** The world is known once the player has read it. */
  wait() {
    const { player } = this.view;
    if (this.closed) return;
    if (!player.ready) { setTimeout(() => this.wait(), 50); return; }
    this.stage.build(player.world, extent(player.world, player.tape.places()));
    this.built = true;
    this.soon();
  }

  soon() { if (!this.due) this.due = requestAnimationFrame(() => { this.due = 0; this.draw(); }); }
  moment() { this.soon(); }
  shown() { this.stage.resize(); this.soon(); }

  draw() {
    const { player } = this.view;
    if (!this.built || !this.node.isConnected || this.closed) return;
    const shown = player.state || [];
    for (const each of shown) {
      const places = player.tape.trail(each.id, player.seen - TRAIL_S, player.seen, TRAIL_POINTS);
      this.stage.scene.setTrail(each.id, [...places, each.x, each.y, each.z], each.tint);
    }
    this.stage.scene.keepTrails(new Set(shown.map((each) => each.id)));
    this.stage.shown = shown;
    this.stage.draw(shown, { chosen: player.chosen, names: shown.length <= 24, t: player.seen });
    const { metres, pixels } = scaleOf(this.stage.cameras.top.scale(this.stage.node.clientHeight || 1), this.stage.node.clientWidth);
    this.scale.textContent = `${metres} m`;
    this.scale.style.width = `${pixels}px`;
  }

  close() { this.closed = true; cancelAnimationFrame(this.due); removeEventListener('themechange', this.recolour); this.stage.close(); }
}
