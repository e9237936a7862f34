// The traffic light with its reasons, and what is always said of this edge.
import { at, keyed, make, say, show } from "./elements.js";
import { clock, lasting } from "./units.js";

const WORDS = {
  green: ["Green", "events are taken and delivered"],
  amber: ["Amber", "events are taken; something wants a look"],
  red: ["Red", "events are not safe"],
};

export function light(now) {
  const { status } = now;
  const [word, means] = WORDS[status.light] ?? ["Not known", ""];
  at("light").dataset.light = status.light;
  say(at("light-word"), word);
  say(at("light-means"), means);
  const title = `${word} · vidette`;
  if (document.title !== title) document.title = title;
  const reasons = status.reasons.length > 0 ? status.reasons : ["nothing is amiss"];
  keyed(
    at("reasons"),
    reasons,
    // A number that moves is no other reason.
    (reason) => reason.replace(/\d+/g, "0"),
    () => make("li"),
    (row, reason) => say(row, reason),
  );
  const { maintenance } = status;
  show(at("maintenance"), maintenance !== null);
  if (maintenance) {
    say(at("maintenance"), `Maintenance until ${clock(maintenance.until)} (${lasting(maintenance.left_s)} left): every event for upstream.ingest is kept on disk, none is sent there.`);
  }
  say(at("version"), `${now.version}, since ${clock(now.since)}`);
  keyed(
    at("pages"),
    now.pages,
    (page) => page.path,
    (page) => make("a", { href: `.${page.path}` }, page.title),
    () => {},
  );
}
