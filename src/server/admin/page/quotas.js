// How full quotas are, the fullest first, and when they are full should it go on like this.
import { bar, keyed, make, panel, say, table } from "./elements.js";
import { lasting, percent, whole } from "./units.js";

export function create() {
  const { node, body } = table("Quotas, the fullest first", ["Quota", "#used", "", "#full in"]);
  const note = make("p", { class: "quiet under" });
  const box = panel("quotas", "Quotas", make("div", { class: "scroll" }, node), note);
  const update = ({ now }) => {
    const { count, fullest } = now.quotas;
    keyed(
      body,
      fullest.slice(0, 10),
      (quota) => `${quota.project} ${quota.name}`,
      () => make("tr", {}, make("td", { class: "name" }), make("td", { class: "number" }), make("td", { class: "bars" }, make("div")), make("td", { class: "number" })),
      (row, quota) => {
        const [name, used, bars, full] = row.children;
        say(name, `${whose(quota.project)}: ${quota.name}`);
        say(used, percent(quota.ratio));
        bar(bars.firstElementChild, quota.ratio, quota.ratio >= 1 ? "c-lost" : quota.ratio >= 0.8 ? "c-limit" : "c-delivered");
        say(full, foretold(quota));
      },
    );
    say(
      note,
      count === 0
        ? "No quota is configured."
        : count > 10
          ? `${whole(count)} quotas; the ten fullest are shown, and foretold from the last five minutes.`
          : "Foretold from the last five minutes, should it go on like this.",
    );
  };
  return { node: box, update };
}

// A window that ends before has room again.
function foretold({ ratio, full_in_s: fullIn, resets_in_s: resetsIn }) {
  if (ratio >= 1) return "full";
  return fullIn !== null && resetsIn !== null && fullIn > resetsIn ? "not in this window" : lasting(fullIn);
}

const whose = (project) => (/^\d+$/.test(project) ? `project ${project}` : project === "global" ? "everybody" : project);
