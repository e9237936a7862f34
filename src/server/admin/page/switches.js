// What operators have switched on for a while, and the end of it.
import { cells, keyed, make, show, table } from "./elements.js";
import { clock, lasting } from "./units.js";

export function effect({ action, value, category }) {
  const what = category ?? "everything";
  if (action === "mute") return value === null || value === undefined ? `${what} muted` : `${what} muted but for ${value}`;
  return action === "limit" ? `${what} limited to ${value}` : `${what} sampled to ${value}`;
}

// A table of switches, with a button each that ends it by `ends`.
export function list(ends) {
  const { node, body } = table("What is switched on", ["Project", "what", "until", "by", "why", ""]);
  const update = (switches) => {
    keyed(
      body,
      switches,
      (one) => one.id,
      (one) => {
        const row = make("tr");
        cells(row, ["", "", "", "", ""]);
        const words = `End: project ${one.project}, ${effect(one)}`;
        row.append(make("td", { class: "number" }, make("button", { type: "button", "aria-label": words, on: { click: () => ends(one) } }, "End…")));
        return row;
      },
      (row, one) => {
        const until = `${clock(one.expires_at)} (${lasting(one.left_s)})`;
        cells(row, [`project ${one.project}`, effect(one), until, one.by, one.why ?? ""]);
      },
    );
  };
  return { node, update };
}

export function create(box, into, ends) {
  const all = list(ends);
  into.append(make("div", { class: "scroll" }, all.node));
  return (now) => {
    show(box, now.status.switches.count > 0);
    all.update(now.status.switches.list);
  };
}
