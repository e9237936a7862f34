// The last hour as the edge told it: two lists of frames, and what their numbers are about.

const HEAD = 3;

export class Frames {
  constructor() {
    this.columns = new Map();
    this.families = new Map();
    this.fine = [];
    this.coarse = [];
    this.most = { fine: 300, coarse: 120 };
  }

  // Everything anew.
  replace(snapshot) {
    this.columns.clear();
    this.families.clear();
    snapshot.columns.forEach(([family, label], place) => {
      this.columns.set(`${family} ${label}`, place + HEAD);
      if (!this.families.has(family)) this.families.set(family, []);
      this.families.get(family).push(label);
    });
    this.fine = snapshot.fine;
    this.coarse = snapshot.coarse;
  }

  // What came behind. What is there already is passed over.
  append(delta) {
    for (const ring of ["fine", "coarse"]) {
      const last = this[ring].at(-1)?.[0] ?? 0;
      this[ring].push(...delta[ring].filter((frame) => frame[0] > last));
      this[ring].splice(0, Math.max(0, this[ring].length - this.most[ring]));
    }
  }

  labels(family) {
    return this.families.get(family) ?? [];
  }

  // The frames of a window. Of an hour, those of the last half minute are fine still.
  of(window) {
    if (window !== "1h") return this.fine;
    const last = this.coarse.at(-1)?.[0] ?? 0;
    return [...this.coarse, ...this.fine.filter((frame) => frame[0] > last)];
  }

  places(family, labels) {
    return labels.map((label) => this.columns.get(`${family} ${label}`)).filter((place) => place !== undefined);
  }

  // The sum of some columns a second, for each frame.
  rates(frames, family, labels = this.labels(family)) {
    const places = this.places(family, labels);
    return frames.map((frame) => {
      let sum = 0;
      for (const place of places) sum += frame[place];
      return frame[2] > 0 ? (sum * 1000) / frame[2] : 0;
    });
  }

  // A column as it is: a level or a quantile.
  levels(frames, family, label) {
    const [place] = this.places(family, [label]);
    return frames.map((frame) => (place === undefined ? null : frame[place]));
  }

  // The mean of a rate over the last frames.
  lately(family, labels = this.labels(family), count = 5) {
    const frames = this.fine.slice(-count);
    const places = this.places(family, labels);
    let sum = 0;
    let span = 0;
    for (const frame of frames) {
      span += frame[2];
      for (const place of places) sum += frame[place];
    }
    return span > 0 ? (sum * 1000) / span : 0;
  }

  // All of some columns in a window.
  total(window, family, labels = this.labels(family)) {
    const places = this.places(family, labels);
    let sum = 0;
    for (const frame of this.of(window)) for (const place of places) sum += frame[place];
    return sum;
  }

  // The last that was known of a column.
  last(family, label, back = 30) {
    const known = this.levels(this.fine.slice(-back), family, label).filter((value) => value !== null);
    return known.at(-1) ?? null;
  }
}
