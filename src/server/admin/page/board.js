// The board: which plots and tables there are, in their order, and what each is given.
import { make } from "./elements.js";
import { Plot } from "./plots.js";
import { byteRate, bytes, number, percent, rate, took } from "./units.js";
import * as clients from "./clients.js";
import * as endings from "./endings.js";
import * as leaders from "./leaders.js";
import * as machine from "./machine.js";
import * as mirrors from "./mirrors.js";
import * as quotas from "./quotas.js";
import * as spool from "./spool.js";
import * as traffic from "./traffic.js";
import * as upstreams from "./upstreams.js";

const ENDED = [
  ["delivered", "c-delivered", ["items_out"]],
  ["limits", "c-limit", ["dropped", ["limit"]]],
  ["filters", "c-filter", ["dropped", ["filter"]]],
  ["sampling", "c-sample", ["dropped", ["sample"]]],
  ["keys", "c-key", ["dropped", ["key"]]],
  ["bad requests", "c-request", ["dropped", ["request"]]],
  ["clients that left", "c-client", ["dropped", ["client"]]],
  ["refused upstream", "c-refused", ["dropped", ["upstream_refused"]]],
  ["undelivered", "c-lost", ["dropped", ["undelivered", "edge"]]],
];

const ANSWERED = [
  ["2xx, 3xx", "c-delivered", ["ok"]],
  ["429", "c-limit", ["429"]],
  ["4xx", "c-request", ["4xx", "413"]],
  ["5xx", "c-lost", ["5xx"]],
  ["none: gone", "c-client", ["gone"]],
];

const named = (list) => list.map(([label, colour]) => ({ label, colour }));

// What of a category a plot shows; null: all of it.
let kin = null;

function chooser(changed) {
  const select = make("select", { id: "kin", "aria-label": "Category of the two plots of items and bytes" });
  select.addEventListener("change", () => {
    kin = select.value === "" ? null : select.value;
    changed();
  });
  return select;
}

function fill(select, kins) {
  if (select.options.length === kins.length + 1) return;
  select.replaceChildren(make("option", { value: "" }, "all categories"));
  for (const name of kins) select.append(make("option", { value: name }, name));
}

const only = () => (kin === null ? undefined : [kin]);

// The most that came: what is usual for whatever goes out.
const most = (family, labels = () => undefined) => (frames, of) => Math.max(0, ...frames.rates(of, family, labels()));

// Plots, each with its lines from the frames, and what is usual for them.
function plots(select) {
  const gap = [
    { label: "in", colour: "c-gap" },
    { label: "delivered", colour: "c-delivered", fill: 0.45 },
  ];
  const latency = [
    { label: "p50", colour: "c-delivered" },
    { label: "p95", colour: "c-limit" },
    { label: "p99", colour: "c-lost" },
  ];
  const quantiles = (family, label) => (frames, of) =>
    latency.map((one) => frames.levels(of, family, `${label}.${one.label}`));
  return [
    [new Plot({ id: "items", title: "Items a second", series: gap, gap: true, format: rate, tools: [select] }),
      (frames, of) => [frames.rates(of, "items_in", only()), frames.rates(of, "items_out", only())], most("items_in", only)],
    [new Plot({ id: "bytes", title: "Bytes a second", note: "in, and taken by Sentry", series: gap, gap: true, format: byteRate }),
      (frames, of) => [frames.rates(of, "bytes_in", only()), frames.rates(of, "bytes_out", only())], most("bytes_in", only)],
    [new Plot({ id: "outcomes", title: "What became of items", note: "a second, by why", kind: "stack", series: named(ENDED).concat({ label: "kept on disk", colour: "c-kept" }), format: rate }),
      (frames, of) => [
        ...ENDED.map(([, , [family, labels]]) => frames.rates(of, family, labels)),
        kept(frames.levels(of, "spool", "items"), of),
      ], most("items_in")],
    [new Plot({ id: "answers", title: "Answers to clients", note: "requests with events, a second", kind: "stack", series: named(ANSWERED), format: rate }),
      (frames, of) => ANSWERED.map(([, , labels]) => frames.rates(of, "answers", labels))],
    [new Plot({ id: "latency", title: "Latency of ingest", note: "Relay's answer, from the last byte sent", series: latency, format: took }),
      quantiles("upstream_us", "ingest")],
    [new Plot({ id: "web-latency", title: "Latency of web", note: "Sentry's pages and API", series: latency, format: took }),
      quantiles("upstream_us", "web")],
    [new Plot({ id: "attempts", title: "Attempts at the upstreams", note: "a second", kind: "stack", series: [
      { label: "ok", colour: "c-delivered" }, { label: "refused", colour: "c-request" }, { label: "error", colour: "c-lost" },
      { label: "timeout", colour: "c-limit" }, { label: "tried again", colour: "c-client" }], format: rate }),
      (frames, of) => [["ok"], ["refused"], ["error"], ["timeout"], ["reused_closed", "unsent"]].map((labels) => {
        const ingest = frames.rates(of, "attempts_ingest", labels);
        const web = frames.rates(of, "attempts_web", labels);
        return ingest.map((value, place) => value + web[place]);
      }), most("answers")],
    [new Plot({ id: "spool-plot", title: "Kept on disk", note: "bytes until Sentry takes them", series: [{ label: "bytes", colour: "c-kept", fill: 0.35 }], format: bytes }),
      (frames, of) => [frames.levels(of, "spool", "bytes")]],
    [new Plot({ id: "ack", title: "How long clients wait", note: "events, from head to answer", series: latency, format: took }),
      quantiles("took_us", "event")],
    [new Plot({ id: "open", title: "Connections", note: "open now", series: [{ label: "clients", colour: "c-delivered", fill: 0.2 }, { label: "ingest", colour: "c-kept" }, { label: "web", colour: "c-key" }], format: number }),
      (frames, of) => [frames.levels(of, "connections", "open"), frames.levels(of, "upstream_open", "ingest"), frames.levels(of, "upstream_open", "web")]],
    [new Plot({ id: "uploads", title: "Uploads and pages", note: "bytes received a second", series: [{ label: "uploads", colour: "c-key", fill: 0.25 }, { label: "pages", colour: "c-filter" }], format: byteRate }),
      (frames, of) => [frames.rates(of, "bytes", ["upload"]), frames.rates(of, "bytes", ["page"])]],
    [new Plot({ id: "cpu", title: "Processor", note: "of one core", series: [{ label: "used", colour: "c-delivered", fill: 0.25 }], format: percent }),
      (frames, of) => [frames.rates(of, "process", ["cpu_us"]).map((us) => us / 1e6)]],
    [new Plot({ id: "memory", title: "Memory", note: "resident", series: [{ label: "resident", colour: "c-kept", fill: 0.25 }], format: bytes }),
      (frames, of) => [frames.levels(of, "process", "resident_bytes")]],
  ];
}

// What was added to the disk, a second: how the level rose.
function kept(levels, of) {
  return levels.map((level, place) => {
    const before = place === 0 ? level : levels[place - 1];
    return of[place][2] > 0 ? (Math.max(0, level - before) * 1000) / of[place][2] : 0;
  });
}

const ORDER = [
  "items", "bytes", "outcomes", "answers", "categories", "leaders", "upstreams", "mirrors", "latency", "web-latency", "attempts",
  "ack", "quotas", "clients", "spool-plot", "spool", "open", "uploads", "endings", "machine", "cpu", "memory",
];

// Builds everything into the grid; yields what redraws it.
export function build(grid, changed) {
  const select = chooser(changed);
  const drawn = plots(select);
  const tables = [traffic, leaders, quotas, upstreams, mirrors, spool, clients, endings, machine].map((view) => view.create());
  const all = [...drawn.map(([plot]) => plot.node), ...tables.map((view) => view.node)];
  all.sort((a, b) => ORDER.indexOf(a.id) - ORDER.indexOf(b.id));
  grid.append(...all);
  return (frames, now, window) => {
    fill(select, frames.labels("items_in"));
    const of = frames.of(window);
    const times = of.map((frame) => frame[1] / 1000);
    for (const [plot, lines, usual] of drawn) plot.show(window, times, lines(frames, of), usual?.(frames, of));
    for (const view of tables) view.update({ frames, now, window });
  };
}
