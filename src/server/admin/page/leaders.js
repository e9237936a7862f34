// Who sends most in the window, by bytes or by items. A project's number leads to its own page.
import { cells, keyed, make, panel, say, table, bar } from "./elements.js";
import { bytes, lasting, whole } from "./units.js";

const ORDERS = [["bytes", "by bytes"], ["items", "by items"]];

let order = "bytes";

export function create() {
  const { node, body } = table("Projects that send most", ["Project", "#items", "#bytes", "#dropped", "share"]);
  let told = null;
  const note = make("p", { class: "quiet under" });
  const buttons = ORDERS.map(([name, words]) =>
    make("button", { type: "button", "aria-pressed": String(name === order), on: { click: () => choose(name) } }, words),
  );
  const find = make("input", { type: "number", min: 1, placeholder: "project", "aria-label": "Number of a project to show", required: true });
  const form = make("form", { class: "find" }, find, make("button", { type: "submit" }, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = `project=${find.value}`;
  });
  const tools = make("div", { class: "inside" }, make("div", { class: "choice", role: "group", "aria-label": "Order" }, ...buttons), form);
  const box = panel("leaders", "Projects", tools, make("div", { class: "scroll" }, node), note);

  function choose(name) {
    order = name;
    ORDERS.forEach(([own], place) => buttons[place].setAttribute("aria-pressed", String(own === order)));
    update(told);
  }

  function update(given) {
    if (given === null) return;
    told = given;
    const { span_s: spanS, first, others } = told.now.leaders[told.window][order];
    const all = first.reduce((sum, row) => sum + row[order], others[order]);
    const rows = [...first];
    if (others.count > 0) rows.push({ ...others, project: `${whole(others.count)} more` });
    if (rows.length === 0) rows.push({ project: "nobody yet", items: 0, bytes: 0, dropped: 0 });
    keyed(
      body,
      rows,
      // The rest keeps its row, however many they are.
      (row) => (row.count === undefined ? row.project : "others"),
      build,
      (row, entry) => {
        const [name] = row.children;
        say(name.firstElementChild, words(entry));
        cells(row, [name.textContent, `#${whole(entry.items)}`, `#${bytes(entry.bytes)}`, `#${whole(entry.dropped)}`].map((text, place) => (place === 0 ? name.textContent : text)));
        bar(row.children[4].firstElementChild, all > 0 ? entry[order] / all : 0, "c-delivered");
      },
    );
    say(note, `In the last ${lasting(spanS)}. Keys, releases and SDKs are not counted by the edge.`);
  }

  return { node: box, update };
}

function words(entry) {
  if (typeof entry.project !== "number") return entry.project === "unproven" ? "unproven keys" : String(entry.project);
  return entry.name ? `${entry.name} (${entry.project})` : `project ${entry.project}`;
}

function build(entry) {
  const link =
    typeof entry.project === "number"
      ? make("a", { href: `#project=${entry.project}` })
      : make("span", { class: "quiet" });
  const row = make("tr", {}, make("td", { class: "name" }, link));
  for (let cell = 0; cell < 3; cell += 1) row.append(make("td"));
  row.append(make("td", { class: "bars" }, make("div")));
  return row;
}
