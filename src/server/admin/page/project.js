// One project's page, at `#project=42`: its rows in the books, quotas, keys, and what is on.
import { ask } from "./admission.js";
import { openEnd, openSwitch } from "./dialogs.js";
import { at, cells, make, say, table } from "./elements.js";
import { list } from "./switches.js";
import { bytes, percent, whole } from "./units.js";

function filled(caption, heads, rows) {
  const { node, body } = table(caption, heads);
  for (const texts of rows) {
    const row = make("tr");
    cells(row, texts);
    body.append(row);
  }
  return make("div", { class: "scroll" }, node);
}

const section = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);
const quiet = (text) => make("p", { class: "quiet" }, text);

function books(rows) {
  if (rows.length === 0) return quiet("Nothing of it was heard since the start.");
  const sum = (dropped) => Object.values(dropped).reduce((all, count) => all + count, 0);
  return filled(
    "The books, in items",
    ["Category", "#in", "#delivered", "#kept", "#dropped", "#bytes in", "why dropped"],
    rows.map(({ category, items, bytes: size }) => [
      category,
      `#${whole(items.received)}`,
      `#${whole(items.forwarded)}`,
      `#${whole(items.spooled)}`,
      `#${whole(sum(items.dropped))}`,
      `#${bytes(size.received)}`,
      Object.entries(items.dropped).map(([reason, count]) => `${reason} ${whole(count)}`).join(", ") || "–",
    ]),
  );
}

function draw(told) {
  say(at("project-title"), told.name ? `${told.name} (project ${told.project})` : `Project ${told.project}`);
  const quotas = told.quotas.map(({ name, ratio }) => [name, `#${percent(ratio)}`]);
  const keys = told.keys.map(({ key, name, enabled, source }) => [key, name ?? "", enabled ? "may send" : "disabled", source === "sentry" ? "Sentry" : "the configuration"]);
  const on = list((one) => {
    at("project-dialog").close();
    openEnd(one);
  });
  on.update(told.switches);
  at("project-body").replaceChildren(
    section("Since the start", books(told.rows)),
    section("Quotas", quotas.length > 0 ? filled("Quotas", ["Quota", "#used"], quotas) : quiet("None of its own.")),
    section("Keys", keys.length > 0 ? filled("Keys, masked", ["Key", "name", "state", "vouched for by"], keys) : quiet("Nobody vouches for a key of it.")),
    section("Switched on", told.switches.length > 0 ? make("div", { class: "scroll" }, on.node) : quiet("Nothing.")),
  );
}

const wanted = () => /^#project=(\d+)$/.exec(location.hash)?.[1] ?? null;

async function follow() {
  const project = wanted();
  const dialog = at("project-dialog");
  if (project === null) return dialog.close();
  say(at("project-title"), `Project ${project}`);
  at("project-body").replaceChildren(quiet("asking"));
  if (!dialog.open) dialog.showModal();
  try {
    draw(await ask(`api/v1/projects/${project}`));
  } catch (error) {
    at("project-body").replaceChildren(quiet(error.message));
  }
  return undefined;
}

export function follows() {
  addEventListener("hashchange", follow);
  at("project-dialog").addEventListener("close", () => {
    if (wanted() !== null) history.replaceState(null, "", location.pathname);
  });
  at("project-mute").addEventListener("click", () => {
    const project = wanted();
    at("project-dialog").close();
    openSwitch(Number(project));
  });
  if (wanted() !== null) follow();
}
