// The process itself, and its configuration.
import { keyed, make, panel, say } from "./elements.js";
import { bytes, clock, percent, whole } from "./units.js";

// Names and values, in two columns.
export function facts(list, entries) {
  keyed(
    list,
    entries,
    ([name]) => name,
    ([name]) => make("div", {}, make("dt", {}, name), make("dd")),
    (row, [, value]) => say(row.lastElementChild, value),
  );
}

export function create() {
  const list = make("dl", { class: "facts" });
  const box = panel("machine", "Process", list);
  const update = ({ frames, now }) => {
    const { threads, open_files: open, open_files_max: most } = now.process;
    const days = now.certificate_days;
    const { keys } = now.status;
    facts(list, [
      ["Memory", bytes(frames.last("process", "resident_bytes"))],
      ["Processor", `${percent(frames.lately("process", ["cpu_us"]) / 1e6)} of one core`],
      ["Threads", `${whole(threads)}, ${whole(now.workers)} of them workers`],
      ["Open files", most === null ? whole(open) : `${whole(open)} of ${whole(most)}`],
      ["Last reload", `${clock(now.reloads.last_success)}; ${whole(now.reloads.applied)} applied, ${whole(now.reloads.refused)} refused`],
      ["Certificate", days === null ? "none" : `${whole(days)} days left`],
      ["Keys", `${keys.mode}, ${whole(keys.named)} named`],
      ["Listens on", now.status.public.join(", ")],
    ]);
  };
  return { node: box, update };
}
