// A plot: a canvas, what its colours mean with the numbers under the cursor, and the same as a
// table for whoever cannot see it. Never asks for anything; draws what it is given.
import { cells, keyed, make, panel, say, table } from "./elements.js";
import { byteRate, bytes } from "./units.js";

const HEIGHT = 168;
// How far above what is usual a plot reaches.
const ROOM = 1.6;
// Where numbers are told in KiB, lines are at round KiB.
const BINARY = new Set([bytes, byteRate]);
const POWERS = Array.from({ length: 50 }, (_, power) => 2 ** power);
const WINDOWS_S = { "10m": 600, "1h": 3600 };

// A colour of the style sheet, as a canvas takes it.
const probe = make("span", { class: "probe", "aria-hidden": "true" });
export function colour(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

function faded(rgb, share) {
  return rgb.replace(/^rgb\(/, "rgba(").replace(/\)$/, `, ${share})`);
}

// Each line lies on those before it.
function stacked(lines) {
  const sums = [];
  lines.forEach((line, place) => {
    sums.push(place === 0 ? line : line.map((value, i) => value + sums[place - 1][i]));
  });
  return sums;
}

export class Plot {
  // `series`: [{ label, colour, fill }]; `kind`: "stack" or "lines"; `gap`: what lies between the
  // first and the second line is filled.
  constructor({ id, title, note, series, kind = "lines", gap = false, format, tools = [] }) {
    Object.assign(this, { id, title, series, kind, gap, format });
    this.lines = [];
    this.times = [];
    this.box = make("div", { class: "canvas", role: "img", "aria-label": title });
    this.legend = make("ul", { class: "legend" });
    const numbers = table(`${title}: numbers`, ["", "#now", "#mean", "#most"]);
    this.numbers = numbers.body;
    this.details = make("details", { class: "numbers" }, make("summary", {}, "Numbers"), numbers.node);
    this.details.addEventListener("toggle", () => this.tabulate());
    this.words = note ?? "";
    this.note = make("span", { class: "note quiet" }, this.words);
    this.node = panel(id, title, this.box, this.legend, this.details);
    this.node.querySelector("h2").append(" ", this.note);
    if (tools.length > 0) this.node.querySelector("h2").after(make("div", { class: "inside" }, ...tools));
    document.addEventListener("theme", () => this.rebuild());
    new ResizeObserver(() => this.resize()).observe(this.box);
  }

  resize() {
    const width = Math.floor(this.box.clientWidth);
    if (!this.drawn || width === 0 || width === this.drawn.width) return;
    this.drawn.setSize({ width, height: HEIGHT });
  }

  rebuild() {
    this.drawn?.destroy();
    this.drawn = null;
    if (this.times.length > 0) this.draw();
  }

  // The lines of a window, in the order of the series. What goes far beyond `usual`, as a drain
  // does, is cut: it would press all else flat.
  show(window, times, lines, usual = null) {
    const other = this.window !== window;
    const top = usual !== null && usual > 0 ? usual * ROOM : Infinity;
    Object.assign(this, { window, times, lines, top });
    const cut = lines.some((line) => line.some((value) => value > top));
    say(this.note, cut ? "a drain goes beyond the top" : this.words);
    if (other) this.rebuild();
    this.draw();
    this.explain(null);
    this.tabulate();
  }

  data() {
    const shown = this.kind === "stack" ? stacked(this.lines).reverse() : this.lines;
    return [this.times, ...shown];
  }

  draw() {
    if (this.drawn) return this.drawn.setData(this.data());
    const width = Math.floor(this.box.clientWidth);
    if (width === 0 || !window.uPlot) return undefined;
    this.drawn = new window.uPlot(this.options(width), this.data(), this.box);
    return undefined;
  }

  options(width) {
    const quiet = colour("muted");
    const grid = { stroke: colour("line"), width: 1 };
    const axis = { stroke: quiet, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const drawn = this.kind === "stack" ? [...this.series].reverse() : this.series;
    return {
      width,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "vidette" } },
      scales: {
        x: { range: (_, __, most) => [most - WINDOWS_S[this.window], most] },
        y: { range: (_, __, most) => [0, most > 0 ? Math.min(most * 1.08, this.top) : 1] },
      },
      axes: [
        { ...axis, size: 24, space: 70, values: (_, moments) => moments.map(clockOf) },
        { ...axis, size: 58, space: 34, ...(BINARY.has(this.format) ? { incrs: POWERS } : {}), values: (_, numbers) => this.marks(numbers) },
      ],
      series: [
        {},
        ...drawn.map(({ colour: name, fill }) => {
          const stroke = colour(name);
          const filled = this.kind === "stack" ? stroke : fill ? faded(stroke, fill) : undefined;
          return { stroke, fill: filled, width: this.kind === "stack" ? 0 : 1.5, points: { show: false }, spanGaps: this.kind !== "stack" };
        }),
      ],
      bands: this.gap ? [{ series: [1, 2], fill: faded(colour(this.series[0].colour), 0.4) }] : [],
      hooks: { setCursor: [(drawing) => this.explain(drawing.cursor.idx)] },
    };
  }

  // What stands at an axis: a number that would read as the one below is left out.
  marks(numbers) {
    const words = numbers.map((n) => this.format(n));
    return words.map((word, place) => (word === words[place - 1] ? "" : word));
  }

  // The numbers under the cursor, else the latest.
  explain(place) {
    const values = this.lines.map((line) => (place === null || place === undefined ? line.at(-1) : line[place]));
    keyed(
      this.legend,
      this.series.map((series, i) => ({ ...series, value: values[i] })),
      (series) => series.label,
      (series) =>
        make("li", {}, make("i", { class: "swatch", "data-colour": series.colour }), make("span", {}, series.label), make("b")),
      (row, series) => say(row.lastElementChild, this.format(series.value ?? null)),
    );
    if (place !== null && place !== undefined) return;
    const words = this.series.map((series, i) => `${series.label} ${this.format(values[i] ?? null)}`);
    this.box.setAttribute("aria-label", `${this.title}, now: ${words.join(", ")}`);
  }

  tabulate() {
    if (!this.details.open) return;
    keyed(
      this.numbers,
      this.series.map((series, i) => [series.label, this.lines[i] ?? []]),
      ([label]) => label,
      () => make("tr"),
      (row, [label, line]) => {
        const known = line.filter((value) => value !== null);
        const mean = known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
        const most = known.length > 0 ? Math.max(...known) : null;
        const told = [line.at(-1) ?? null, mean, most].map((value) => `#${this.format(value)}`);
        cells(row, [label, ...told]);
      },
    );
  }
}

function clockOf(s) {
  return new Date(s * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
