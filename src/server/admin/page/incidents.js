// What is the matter, what to do about it, and what was: the gravest and the latest first.
import { keyed, make, say, show, table } from "./elements.js";
import { bytes, clock, lasting, whole } from "./units.js";

const HEADS = ["", "What", "since", "lasts", "#lost"];

const spoken = (kind) => kind.replaceAll("_", " ");

function lost({ items, bytes: size }) {
  if (items === 0 && size === 0) return "nothing";
  return items > 0 ? `${whole(items)} items, ${bytes(size)}` : bytes(size);
}

function build() {
  const says = make("td", { class: "name" }, make("span"), make("small"));
  return make("tr", {}, make("td"), says, make("td"), make("td"), make("td", { class: "number" }));
}

function write(row, one, now) {
  const [state, says, since, lasts, gone] = row.children;
  const over = one.ended_at !== undefined;
  row.dataset.incident = over ? "over" : one.severity;
  say(state, over ? "over" : one.severity);
  say(says.firstChild, `${spoken(one.kind)} ${one.subject}: ${one.says}`);
  // What is over asks for nothing.
  say(says.lastChild, over ? "" : one.advice);
  say(since, clock(one.started_at));
  const seconds = (Date.parse(over ? one.ended_at : now.at) - Date.parse(one.started_at)) / 1000;
  say(lasts, lasting(Math.max(0, seconds)));
  say(gone, lost(one.loss));
}

export function create(box, into) {
  const { node, body } = table("Incidents, those that go on first", HEADS);
  const more = make("p", { class: "quiet under" });
  into.append(make("div", { class: "scroll" }, node), more);
  return (now) => {
    const { active, ended, more: others } = now.incidents;
    show(box, active.length + ended.length > 0);
    keyed(body, [...active, ...ended], (one) => one.id, build, (row, one) => write(row, one, now));
    show(more, others > 0);
    say(more, `${whole(others)} more go on: vidette status.`);
  };
}
