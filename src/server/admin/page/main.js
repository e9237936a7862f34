// Ties the page together: what is heard is kept, and drawn once for each thing heard.
import { admitted } from "./admission.js";
import { build } from "./board.js";
import { openEnd, openMaintenance, openReload, openSwitch } from "./dialogs.js";
import { at, say, show } from "./elements.js";
import { Frames } from "./frames.js";
import * as incidents from "./incidents.js";
import { light } from "./light.js";
import { follows } from "./project.js";
import { listen } from "./stream.js";
import * as switches from "./switches.js";
import { tiles } from "./traffic.js";

const frames = new Frames();
let now = null;
let shown = "10m";

const redraw = build(at("plots"), () => draw());
const drawIncidents = incidents.create(at("incidents"), at("incidents-list"));
const drawSwitches = switches.create(at("switches"), at("switches-list"), openEnd);

function draw() {
  if (now === null) return;
  light(now);
  tiles({ frames, now });
  drawIncidents(now);
  drawSwitches(now);
  redraw(frames, now, shown);
}

for (const button of document.querySelectorAll("[data-window]")) {
  button.addEventListener("click", () => {
    shown = button.dataset.window;
    for (const other of document.querySelectorAll("[data-window]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    draw();
  });
}

const opens = { mute: () => openSwitch(), maintenance: () => now && openMaintenance(now), reload: () => openReload() };
for (const button of document.querySelectorAll("[data-opens]")) {
  button.addEventListener("click", () => opens[button.dataset.opens]());
}

let followed = false;
listen(
  (name, told) => {
    if (name === "snapshot") frames.replace(told);
    else frames.append(told);
    now = told.now;
    const asked = admitted();
    // Only once there is something to show, so that nothing moves when it comes.
    show(at("board"), true);
    draw();
    if (asked) at("board").focus();
    document.body.dataset.heard = String(frames.fine.at(-1)?.[0] ?? 0);
    if (!followed) follows();
    followed = true;
  },
  (kind, words) => {
    at("connection").dataset.state = kind;
    say(at("connection"), words);
  },
);
