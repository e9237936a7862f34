// Who sends most in the window, by bytes or by items: projects as the live feed has them, keys,
// releases, SDKs and clients as they are asked for, which is only while somebody looks at them.
import { ask } from "./admission.js";
import { bar, keyed, make, panel, say, show, table } from "./elements.js";
import { bytes, lasting, whole } from "./units.js";

const KINDS = [
  ["project", "Projects", "Project"],
  ["key", "Keys", "Key"],
  ["release", "Releases", "Release"],
  ["sdk", "SDKs", "SDK"],
  ["ip", "Clients", "Client"],
];
const ORDERS = [["bytes", "by bytes"], ["items", "by items"]];
const MINUTES = { "10m": 10, "1h": 60 };

// The edge's own numbers move no faster.
const EVERY_MS = 4_000;
const NAMED = 10;

export function create() {
  const { node, body } = table("Who sends most", ["Project", "#items", "#bytes", "#dropped", "share"]);
  const head = node.querySelector("th");
  const note = make("p", { class: "quiet under" });
  const pane = make("div", { id: "leaders-pane", class: "scroll", role: "tabpanel", "aria-labelledby": "leaders-project" }, node);
  let kind = "project";
  let order = "bytes";
  // What was heard last, and what was answered last and to what.
  let told = null;
  let answered = { question: null, top: null };
  let asks = null;

  const tabs = KINDS.map(([name, words]) =>
    make("button", { type: "button", role: "tab", id: `leaders-${name}`, "aria-controls": "leaders-pane", on: { click: () => turn(name) } }, words),
  );
  const strip = make("div", { class: "choice", role: "tablist", "aria-label": "Who sends most: of what" }, ...tabs);
  strip.addEventListener("keydown", (event) => {
    const place = KINDS.findIndex(([name]) => name === kind);
    const steps = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: KINDS.length - 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = (steps[event.key] + KINDS.length) % KINDS.length;
    turn(KINDS[next][0]);
    tabs[next].focus();
  });
  const buttons = ORDERS.map(([name, words]) =>
    make("button", { type: "button", "aria-pressed": String(name === order), on: { click: () => choose(name) } }, words),
  );
  const find = make("input", { type: "number", min: 1, placeholder: "project", "aria-label": "Number of a project to show", required: true });
  const form = make("form", { class: "find" }, find, make("button", { type: "submit" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = `project=${find.value}`;
  });
  const tools = make("div", { class: "inside" }, strip, make("div", { class: "choice", role: "group", "aria-label": "Order" }, ...buttons), form);
  const box = panel("leaders", "Who sends most", tools, pane, note);
  mark();

  // Whether somebody can see it.
  let seen = false;
  new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    again();
  }).observe(box);
  document.addEventListener("visibilitychange", () => again());

  function mark() {
    tabs.forEach((tab, place) => {
      const own = KINDS[place][0] === kind;
      tab.setAttribute("aria-selected", String(own));
      tab.tabIndex = own ? 0 : -1;
    });
    pane.setAttribute("aria-labelledby", `leaders-${kind}`);
    say(head, KINDS.find(([name]) => name === kind)[2]);
  }

  function turn(name) {
    kind = name;
    mark();
    draw();
    again();
  }

  function choose(name) {
    order = name;
    ORDERS.forEach(([own], place) => buttons[place].setAttribute("aria-pressed", String(own === order)));
    draw();
    again();
  }

  const question = () => `api/v1/top?by=${kind}&order=${order}&minutes=${MINUTES[told.window]}&n=${NAMED}`;

  // Asks now, and from then on each few seconds, as long as it is looked at.
  async function again() {
    clearTimeout(asks);
    if (told === null || kind === "project" || !seen || document.hidden) return;
    const own = question();
    try {
      const top = await ask(own);
      answered = { question: own, top };
    } catch (error) {
      answered = { question: own, refused: error.message };
    }
    // Whoever has turned to another tab meanwhile has asked for that.
    if (own !== question()) return;
    draw();
    clearTimeout(asks);
    asks = setTimeout(again, EVERY_MS);
  }

  function draw() {
    if (told === null) return;
    const shown = kind === "project" ? projects() : others();
    const rows = shown.rows.length > 0 ? shown.rows : [{ key: "nobody", name: shown.empty, quiet: true, items: 0, bytes: 0, dropped: 0, share: 0 }];
    keyed(body, rows, (row) => row.key, build, fill);
    say(note, shown.note);
  }

  function projects() {
    const { span_s: spanS, first, others: rest } = told.now.leaders[told.window][order];
    const all = first.reduce((sum, row) => sum + row[order], rest[order]);
    const rows = first.map((row) => ({ ...row, ...named(row), share: row[order] / all }));
    // The rest keeps its row, however many they are.
    if (rest.count > 0) rows.push({ ...rest, key: "others", name: `${whole(rest.count)} more`, quiet: true, share: rest[order] / all });
    return { rows, empty: "nobody yet", note: `In the last ${lasting(spanS)}.` };
  }

  function others() {
    const { top, refused, question: own } = answered;
    if (own !== question()) return { rows: [], empty: "asking", note: "" };
    if (refused !== undefined) return { rows: [], empty: "not told", note: refused };
    const rows = top.rows.map((row) => ({
      ...row,
      key: `${row.project ?? ""} ${row.name}`,
      name: row.label ? `${row.label} (${row.name})` : row.name || "none",
    }));
    const rest = top.others;
    const all = rows.reduce((sum, row) => sum + row[order], rest[order]);
    if (rest.items > 0) rows.push({ ...rest, key: "others", name: "all others", quiet: true, share: all > 0 ? rest[order] / all : 0 });
    const from = top.one_in > 1 ? `, estimated from one request in ${whole(Math.ceil(top.one_in))}` : "";
    return { rows, empty: "nobody yet", note: `In the last ${lasting(top.span_s)}${from}.` };
  }

  function update(given) {
    const other = told === null || told.window !== given.window;
    told = given;
    if (kind === "project" || other) draw();
    if (other) again();
  }

  return { node: box, update };
}

// A project's number leads to its own page.
function named({ project, name }) {
  if (typeof project !== "number") return { key: project, name: project === "unproven" ? "unproven keys" : String(project), project: null, quiet: true };
  return { key: project, name: name ? `${name} (${project})` : `project ${project}`, project, is: true };
}

function build() {
  const row = make("tr", {}, make("td", { class: "name" }, make("span"), make("a")));
  for (let cell = 0; cell < 3; cell += 1) row.append(make("td", { class: "number" }));
  row.append(make("td", { class: "bars" }, make("div")));
  return row;
}

function fill(row, entry) {
  const [name, link] = row.firstElementChild.children;
  const isLinked = entry.project !== null && entry.project !== undefined;
  say(name, isLinked ? (entry.is ? "" : `${entry.name} `) : entry.name);
  name.classList.toggle("quiet", entry.quiet === true);
  say(link, isLinked ? (entry.is ? entry.name : `project ${entry.project}`) : "");
  show(link, isLinked);
  if (isLinked) link.setAttribute("href", `#project=${entry.project}`);
  [whole(entry.items), bytes(entry.bytes), whole(entry.dropped)].forEach((text, place) => say(row.children[place + 1], text));
  bar(row.children[4].firstElementChild, entry.share || 0, "c-delivered");
}
