// What is being uploaded now, and how requests ended, by what they are: a 413 or a 5xx of uploads
// is a release without its source maps.
import { cells, keyed, make, panel, say, table } from "./elements.js";
import { bytes, whole } from "./units.js";

const KINDS = [["uploads", "uploads"], ["answers", "events"], ["pages", "pages and API"]];
const ENDS = [["ok"], ["413"], ["4xx", "429"], ["5xx"], ["gone"]];

export function create() {
  const now = make("p");
  const { node, body } = table("How requests ended in the window", ["Requests", "#ok", "#413", "#other 4xx", "#5xx", "#gone"]);
  const note = make("p", { class: "quiet under" }, "413: too large for limits.bodies, or for Sentry. Gone: the client left before its answer.");
  const box = panel("endings", "Uploads, and how requests ended", now, make("div", { class: "scroll" }, node), note);
  const update = ({ frames, window }) => {
    const open = frames.last("uploads_under_way", "open") ?? 0;
    const came = bytes(frames.last("uploads_under_way", "bytes") ?? 0);
    say(now, open > 0 ? `${whole(open)} under way, of which ${came} have come` : "No upload is under way.");
    keyed(
      body,
      KINDS,
      ([family]) => family,
      () => make("tr"),
      (row, [family, words]) => {
        const counts = ENDS.map((labels) => frames.total(window, family, labels));
        cells(row, [words, ...counts.map((count) => `#${whole(count)}`)]);
        row.classList.toggle("troubled", counts[1] + counts[3] > 0);
      },
    );
  };
  return { node: box, update };
}
