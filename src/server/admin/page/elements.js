// Elements of the page, made and changed without touching what is as it should be: focus,
// selection and readers stay where they are while numbers move.

export const at = (id) => document.getElementById(id);

// `make("td", { class: "number" }, "12")`
export function make(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

// A row for each entry, in their order. A row that stays keeps its elements. Entries that share a
// key have a row each.
export function keyed(parent, entries, keyOf, build, update) {
  const known = new Map();
  for (const child of parent.children) {
    const { key } = child.dataset;
    if (known.has(key)) known.get(key).push(child);
    else known.set(key, [child]);
  }
  let before = null;
  for (const entry of entries) {
    const key = String(keyOf(entry));
    const row = known.get(key)?.shift() ?? build(entry);
    row.dataset.key = key;
    const place = before ? before.nextElementSibling : parent.firstElementChild;
    if (place !== row) parent.insertBefore(row, place);
    update(row, entry);
    before = row;
  }
  for (const row of [...known.values()].flat()) row.remove();
}

// A table with these heads; numbers are named by a leading "#".
export function table(caption, heads) {
  const row = make("tr");
  for (const head of heads) {
    const isNumber = head.startsWith("#");
    row.append(make("th", { scope: "col", class: isNumber ? "number" : null }, head.replace("#", "")));
  }
  const body = make("tbody");
  return { body, node: make("table", {}, make("caption", { class: "unseen" }, caption), make("thead", {}, row), body) };
}

// The cells of a row, made once and then only written.
export function cells(row, texts) {
  texts.forEach((text, place) => {
    const cell = row.children[place] ?? row.appendChild(make("td"));
    say(cell, text.replace(/^#/, ""));
    cell.classList.toggle("number", text.startsWith("#"));
  });
}

// A share as a bar. How wide it is is no inline style of a document: a script sets it.
export function bar(node, share, kind) {
  const full = node.firstElementChild ?? node.appendChild(make("i"));
  node.classList.add("bar");
  full.dataset.kind = kind;
  full.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
}

export function panel(id, title, ...children) {
  const head = make("h2", { id: `${id}-title` }, title);
  return make("section", { class: "panel", id, "aria-labelledby": `${id}-title` }, head, ...children);
}
