// The side of the clients: who they are as far as the edge may say, and how they fail.
import { make, panel } from "./elements.js";
import { facts } from "./machine.js";
import { percent, rate, whole } from "./units.js";

export function create() {
  const list = make("dl", { class: "facts" });
  const box = panel("clients", "Clients", list);
  const update = ({ frames, now, window }) => {
    const { requests, most_common: common } = now.clients;
    const all = Object.values(requests).reduce((sum, count) => sum + count, 0);
    const share = (count) => (all > 0 ? percent(count / all) : "–");
    const ended = (labels) => whole(frames.total(window, "connections", labels));
    const faults = Object.entries(now.tls_faults).sort((a, b) => b[1] - a[1]).slice(0, 3);
    facts(list, [
      ["Connections", `${whole(frames.last("connections", "open"))} open, ${rate(frames.lately("connections", ["ok"]))} new`],
      ["Private address", `${share(requests.private ?? 0)} of requests`],
      ["Named by a proxy", `${share(requests.header ?? 0)} of requests`],
      ["Most common", common ? `${common.address ?? "hidden"}: at least ${percent(common.share_at_least)}` : "–"],
      ["TLS failures", `${ended(["tls_failed", "timeout"])} in the window${faults.map(([cause, count]) => `; ${cause} ${whole(count)}`).join("")}`],
      ["Turned away", `${ended(["capped", "client_capped", "blocked", "bad_head", "proxy_failed", "abused"])} connections, ${whole(now.status.clients_blocked)} clients blocked`],
    ]);
  };
  return { node: box, update };
}
