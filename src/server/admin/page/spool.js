// What is kept on disk: how much, for how long, and what becomes of it.
import { make, panel } from "./elements.js";
import { facts } from "./machine.js";
import { bytes, lasting, percent, rate, whole } from "./units.js";

export function create() {
  const list = make("dl", { class: "facts" });
  const box = panel("spool", "The spool", list);
  const update = ({ frames, now }) => {
    const { spool } = now.status;
    const most = now.spool_max_bytes;
    facts(list, [
      ["Items", whole(spool.items)],
      ["Bytes", most === null ? "no spool: what Sentry does not take is lost" : `${bytes(spool.bytes)} of ${bytes(most)} (${percent(spool.bytes / most)})`],
      ["Oldest", spool.items > 0 ? lasting(spool.oldest_s) : "–"],
      ["Goes out", rate(frames.lately("spool", ["replayed"]))],
      ["Comes in", rate(frames.lately("spool", ["appended"]))],
      ["Outlook", outlook(spool)],
      ["State", spool.paused ? "paused by an operator" : spool.aside > 0 ? `${whole(spool.aside)} set aside` : "runs"],
    ]);
  };
  return { node: box, update };
}

function outlook({ items, forecast }) {
  if (items === 0) return "empty";
  const { course, in_s: inS } = forecast;
  if (course === "empties") return `all sent in about ${lasting(inS)}`;
  if (course === "fills") return `full in about ${lasting(inS)}`;
  return course === "steady" ? "neither fills nor empties" : "not known yet";
}
