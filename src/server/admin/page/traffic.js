// How much comes and goes: the tiles on top, and the same by category.
import { at, cells, keyed, make, panel, say, table } from "./elements.js";
import { byteRate, bytes, number, percent, rate, took, whole } from "./units.js";

const TILES = [
  ["Requests", ({ frames }) => [rate(frames.lately("answers")), "with events"]],
  ["Items in", ({ frames }) => [rate(frames.lately("items_in")), byteRate(frames.lately("bytes_in"))]],
  ["Delivered", ({ frames }) => [rate(frames.lately("items_out")), byteRate(frames.lately("bytes_out"))]],
  ["Dropped", ({ frames }) => [rate(frames.lately("dropped")), "all reasons"]],
  ["Kept on disk", ({ now }) => [number(now.status.spool.items), bytes(now.status.spool.bytes)]],
  ["Ingest p95", ({ frames }) => [took(frames.last("upstream_us", "ingest.p95")), "Relay's answer"]],
  ["Answers 5xx", ({ frames }) => [share(frames, ["5xx"]), "of requests"]],
  ["Answers 429", ({ frames }) => [share(frames, ["429"]), "of requests"]],
];

function share(frames, labels) {
  const all = frames.lately("answers", undefined, 30);
  return all > 0 ? percent(frames.lately("answers", labels, 30) / all) : "–";
}

export function tiles(told) {
  keyed(
    at("tiles"),
    TILES.map(([name, read]) => [name, ...read(told)]),
    ([name]) => name,
    ([name]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("b"), make("span", { class: "quiet" }))),
    (tile, [, value, beside]) => {
      const [big, small] = tile.lastElementChild.children;
      say(big, value);
      say(small, beside);
    },
  );
}

// The categories that came in the window, with what did not arrive.
export function create() {
  const { node, body } = table("Items by category in the window", ["Category", "#in", "#delivered", "#dropped, or kept", "#bytes in", "#bytes out"]);
  const box = panel("categories", "By category", make("div", { class: "scroll" }, node));
  const update = ({ frames, window }) => {
    const rows = frames.labels("items_in").map((kin) => {
      const sum = (family) => frames.total(window, family, [kin]);
      return { kin, came: sum("items_in"), left: sum("items_out"), bytes: sum("bytes_in"), out: sum("bytes_out") };
    });
    const seen = rows.filter((row) => row.came > 0 || row.left > 0);
    keyed(
      body,
      seen.length > 0 ? seen : [{ kin: "nothing yet", came: 0, left: 0, bytes: 0, out: 0 }],
      (row) => row.kin,
      () => make("tr"),
      (row, { kin, came, left, bytes: size, out }) => {
        const not = Math.max(0, came - left);
        cells(row, [kin, `#${whole(came)}`, `#${whole(left)}`, `#${whole(not)}`, `#${bytes(size)}`, `#${bytes(out)}`]);
        row.classList.toggle("gap", not > 0);
      },
    );
  };
  return { node: box, update };
}
