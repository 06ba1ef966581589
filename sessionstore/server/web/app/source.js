/* Where the data of one session come from: the API. An exported file has a source of its own with the same methods. */
import { ask, json, one } from './api.js';

export class ApiSource {
  /** attempt: of a resumed run; without one readers get the latest. */
  constructor(id, attempt = null) {
    this.id = id;
    this.attempt = attempt;
    this.base = one(id);
  }

  /** fresh: what streams say of a record that stays the same has no entity tag of its own. */
  async record(fresh = false) {
    const reply = await ask(this.base, fresh ? { cache: 'reload' } : {});
    return { record: await reply.json(), etag: reply.headers.get('etag') };
  }

  scene() { return json(`${this.base}/replay`, { query: { start: 0, end: 0 } }); }
  facades() { return json(`${this.base}/facades`); }
  of(query) { return this.attempt === null ? query : { ...query, attempt: this.attempt }; }
  attempts() { return json(`${this.base}/attempts`).then((found) => found.attempts); }
  track(query) { return json(`${this.base}/track`, { query: this.of(query) }); }
  transitions() { return json(`${this.base}/transitions`).then((found) => found.transitions); }
  streams() { return json(`${this.base}/streams`).then((found) => found.streams); }
  stream(name, query) { return json(`${this.base}/streams/${encodeURIComponent(name)}`, { query: this.of(query) }); }
  figures(query) { return json(`${this.base}/figures`, { query: this.of(query) }); }
  fields() { return json(`${this.base}/fields`).then((found) => found.streams); }
  xy(query) { return json(`${this.base}/xy`, { query: this.of(query) }); }
  series(query) { return json(`${this.base}/series`, { query: this.of(query) }); }
  async seriesText(query) { return (await ask(`${this.base}/series`, { query: this.of(query) })).text(); }
  moment(t, streams = null) { return json(`${this.base}/moment`, { query: this.of({ t, streams }) }); }
  alerts(limits) { return json(`${this.base}/alerts`, { query: limits }); }
  artifacts() { return json(`${this.base}/artifacts`); }

  async document() {
    const reply = await ask(`${this.base}/document`);
    return { text: await reply.text(), modified: Number(reply.headers.get('x-modified-ns')) / 1e6 };
  }

  /** Return the records of a stream from an offset on, piece by piece, at most so many. */
  async all(name, most = 20000, take = () => {}, from = 0) {
    const found = [];
    let offset = from;
    for (;;) {
      const piece = await this.stream(name, { offset, limit: 5000 });
      found.push(...piece.records);
      take(piece.records);
      offset = piece.next_offset;
      if (piece.at_end || found.length >= most || !piece.records.length) return { records: found, offset, damaged: piece.damaged, whole: piece.at_end };
    }
  }
}
