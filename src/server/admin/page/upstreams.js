// The upstreams: whether they take what comes, where they are, how quick they are.
import { cells, keyed, make, panel, table } from "./elements.js";
import { percent, rate, took, whole } from "./units.js";

const WORDS = { up: "up", degraded: "unsure", down: "down" };
// As the metrics have it, with what it means.
const BREAKER = { closed: "closed", half_open: "half open: asked a little", open: "open: probed only" };

export function create() {
  const { node, body } = table("Upstreams", ["Upstream", "state", "breaker", "#a second", "#failing", "#p50", "#p95", "#p99", "addresses"]);
  const box = panel("upstreams", "Upstreams", make("div", { class: "scroll" }, node));
  box.classList.add("wide");
  const update = ({ frames, now }) => {
    keyed(
      body,
      now.status.upstreams,
      (upstream) => upstream.name,
      () => make("tr"),
      (row, { name, state, breaker, addresses }) => {
        const family = `attempts_${name}`;
        const all = frames.lately(family, undefined, 30);
        const failing = frames.lately(family, ["error", "timeout"], 30);
        const quantile = (label) => `#${took(frames.last("upstream_us", `${name}.${label}`))}`;
        const shown = addresses.slice(0, 3).join(", ");
        const more = addresses.length > 3 ? ` and ${whole(addresses.length - 3)} more` : "";
        cells(row, [
          name,
          WORDS[state] ?? state,
          BREAKER[breaker] ?? breaker,
          `#${rate(all)}`,
          `#${all > 0 ? percent(failing / all) : "–"}`,
          quantile("p50"),
          quantile("p95"),
          quantile("p99"),
          addresses.length > 0 ? shown + more : "none: its name does not resolve",
        ]);
        row.dataset.state = state;
      },
    );
  };
  return { node: box, update };
}
