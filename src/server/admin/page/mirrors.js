// Other Sentrys that get copies: what each has and lacks, and how it answers beside the first.
import { cells, keyed, make, panel, show, table } from "./elements.js";
import { took, whole } from "./units.js";

const HEADS = ["Mirror", "#taken", "#has", "#waiting", "#lost", "answered", "#its p50", "#p95", "#the first's p50", "#p95"];

// `{"200": 12, "none": 1}` as "12 × 200, 1 × none", the most first.
function listed(counts, most = 4) {
  const all = Object.entries(counts).sort(([, a], [, b]) => b - a);
  const words = all.slice(0, most).map(([what, count]) => `${whole(count)} × ${what.replaceAll("_", " ")}`);
  return words.join(", ") + (all.length > most ? ", ..." : "");
}

const time = (of, name) => `#${of ? took(of[name] * 1000) : "–"}`;

export function create() {
  const { node, body } = table("Mirrors beside the first Sentry, since the start", HEADS);
  const note = make("p", { class: "quiet under" }, "In requests. Times are of the same events at both; no client waits for a mirror.");
  const box = panel("mirrors", "Mirrors", make("div", { class: "scroll" }, node), note);
  box.classList.add("wide");
  const update = ({ now }) => {
    const mirrors = now.status.mirrors ?? [];
    show(box, mirrors.length > 0);
    keyed(
      body,
      mirrors,
      (mirror) => mirror.name,
      () => make("tr"),
      (row, { name, taken, carried, sent, held, lost, compared }) => {
        const gone = Object.values(lost).reduce((sum, count) => sum + count, 0);
        cells(row, [
          name,
          `#${whole(taken + carried)}`,
          `#${whole(sent)}`,
          `#${whole(held)}`,
          `#${whole(gone)}${gone > 0 ? `: ${listed(lost)}` : ""}`,
          listed(compared.answers) || "nothing yet",
          time(compared.mirror, "p50_ms"),
          time(compared.mirror, "p95_ms"),
          time(compared.first, "p50_ms"),
          time(compared.first, "p95_ms"),
        ]);
        row.classList.toggle("troubled", gone > 0);
      },
    );
  };
  return { node: box, update };
}
