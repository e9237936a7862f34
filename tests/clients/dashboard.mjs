// Looks at the dashboard of a running edge with headless Chromium, as an operator would, and
// prints one JSON line. Never sends an event.
//
//   VIDETTE_PARTS_DIR=... node dashboard.mjs ADMIN-URL look
//   ... mute PROJECT            by keyboard alone
//   ... token WRONG RIGHT
//   ... project PROJECT
//   ... senders               the tabs of who sends most, by keyboard, and uploads
//   ... card CARD               the table of mirrors or incidents, if there is anything in it
//   ... reasons               what the light says while switches are on, and once they are ended
//   ... steer                   maintenance on and off, then a reload
//   ... shots FOLDER            dashboard-light.png, -dark.png, -narrow.png
//
// Every scene tells what the console complained of, which requests failed, and which went to
// another server than the edge. CHROMIUM names another browser than /usr/bin/chromium.

import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { repacked } from "./picture.mjs";

const parts = process.env.VIDETTE_PARTS_DIR;
if (!parts) {
  console.error("dashboard.mjs: VIDETTE_PARTS_DIR is not set; tests/parts/install prints it");
  process.exit(2);
}
const { chromium } = createRequire(`${parts}/package.json`)("playwright-core");

// A hang guard for each wait on the page.
const WAIT_MS = 60_000;
const SHOT_BYTES_MAX = 150_000;

const [url, scene, ...given] = process.argv.slice(2);
const origin = new URL(url).origin;

/** A page that writes down all it may be blamed for. */
async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const told = { complaints: [], failed: [], foreign: [] };
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && told.complaints.push(message.text()));
  page.on("pageerror", (error) => told.complaints.push(String(error)));
  page.on("request", (request) => request.url().startsWith(origin) || told.foreign.push(request.url()));
  page.on("response", (answer) => answer.status() >= 400 && told.failed.push(`${answer.status()} ${answer.url()}`));
  await page.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  return { page, told };
}

const heard = (page, least) =>
  page.waitForFunction((frame) => Number(document.body.dataset.heard ?? 0) >= frame, least);

const frame = (page) => page.evaluate(() => Number(document.body.dataset.heard));

/** How many colours each canvas shows beside its most common: one is blank. */
const painted = (page) =>
  page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll(".canvas canvas")].map((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const seen = new Set(new Uint32Array(data.buffer));
        return [canvas.closest("section").id, seen.size];
      }),
    ),
  );

const tiles = (page) =>
  page.$$eval("#tiles > div", (all) =>
    Object.fromEntries(all.map((tile) => [tile.querySelector("dt").textContent, tile.querySelector("b").textContent])),
  );

/** Every text on the page whose contrast is below what WCAG calls AA. */
const pale = (page) =>
  page.evaluate(() => {
    const channels = (text) => text.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => {
      const linear = [r, g, b].map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const ground = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const found = channels(getComputedStyle(at).backgroundColor);
        if (found.length < 4 || found[3] === 1) return found;
      }
      return [255, 255, 255];
    };
    const wrong = [];
    let looked = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode.parentElement;
      const box = node.getBoundingClientRect();
      if (!walker.currentNode.data.trim() || box.width < 2 || node.closest(".unseen, script, noscript")) continue;
      const style = getComputedStyle(node);
      const [a, b] = [luminance(channels(style.color)), luminance(ground(node))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      looked += 1;
      const size = parseFloat(style.fontSize);
      const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
      if (contrast < least) wrong.push(`${contrast.toFixed(2)} ${walker.currentNode.data.trim().slice(0, 40)}`);
    }
    return { looked, wrong };
  });

const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

async function look(browser) {
  const { page, told } = await open(browser, { colorScheme: "light" });
  await page.goto(url);
  await heard(page, 1);
  const first = await frame(page);
  await heard(page, first + 2);
  const result = { ...told, title: await page.title(), tiles: await tiles(page), painted: await painted(page) };
  result.light = await pale(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const grounds = [await ground()];
  await page.emulateMedia({ colorScheme: "dark" });
  grounds.push(await ground());
  result.dark = await pale(page);
  // The button goes before the system: light, although that is dark.
  await page.click("#theme");
  grounds.push(await ground());
  result.grounds = grounds;
  result.shifted = await page.evaluate(() => window.shifted);
  result.overflow = {};
  for (const width of [1440, 768, 360]) {
    await page.setViewportSize({ width, height: 800 });
    await page.waitForTimeout(200);
    result.overflow[width] = await overflow(page);
  }
  await page.click("[data-window='1h']");
  await page.click("#leaders [aria-label='Order'] button:nth-child(2)");
  await page.click("#items summary");
  await page.waitForSelector("#items tbody tr");
  result.numbers = await page.$$eval("#items tbody tr", (rows) => rows.map((row) => row.textContent));
  result.projects = await page.$$eval("#leaders tbody tr", (rows) => rows.map((row) => row.firstElementChild.textContent));
  return result;
}

/** Presses Tab until the focus is there. */
async function tabTo(page, selector) {
  for (let step = 0; step < 80; step += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the keyboard does not reach ${selector}`);
}

async function mute(browser, project) {
  const { page, told } = await open(browser);
  await page.goto(url);
  await heard(page, 1);
  await tabTo(page, "[data-opens='mute']");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  await page.keyboard.press("Enter");
  await page.keyboard.type(project);
  await tabTo(page, "#switch-why");
  await page.keyboard.type("a trial");
  const effect = await page.textContent("#switch-effect");
  await tabTo(page, "#switch-go");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#said:not([hidden])");
  const said = await page.textContent("#said");
  await page.waitForSelector("#switches:not([hidden]) tbody tr");
  const on = await page.$$eval("#switches tbody tr", (rows) => rows.map((row) => row.textContent));
  return { ...told, outline, effect, said, on };
}

async function token(browser, wrong, right) {
  const { page, told } = await open(browser);
  await page.goto(url);
  const enter = async (text) => {
    await page.waitForSelector("#admission-form:not([hidden])");
    await page.fill("#token", text);
    await page.click("#admission-form button");
  };
  await page.waitForSelector("#admission:not([hidden])");
  const asked = await page.textContent("#admission-why");
  const boardBefore = await page.isVisible("#board");
  await enter(wrong);
  await page.waitForFunction((before) => document.getElementById("admission-why").textContent !== before, asked);
  const again = await page.textContent("#admission-why");
  await enter(right);
  await heard(page, 1);
  await page.reload();
  await heard(page, 1);
  const visible = await page.isVisible("#admission");
  const stores = await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]);
  return { ...told, asked, again, boardBefore, visible, stores };
}

async function project(browser, number) {
  const { page, told } = await open(browser);
  await page.goto(url);
  await heard(page, 1);
  await page.waitForSelector(`#leaders a[href='#project=${number}']`);
  await page.click(`#leaders a[href='#project=${number}']`);
  await page.waitForSelector("#project-body section");
  const text = await page.textContent("#project-dialog");
  const contrast = await pale(page);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#project-dialog", { state: "hidden" });
  return { ...told, text, contrast, hash: new URL(page.url()).hash };
}

/** Who sends most by each of its tabs, and what is asked meanwhile. */
async function senders(browser) {
  const { page, told } = await open(browser, { colorScheme: "light" });
  let asked = 0;
  page.on("request", (request) => request.url().includes("/api/v1/top") && (asked += 1));
  await page.goto(url);
  await heard(page, 1);
  await heard(page, (await frame(page)) + 1);
  const result = { ...told, unasked: asked, tabs: {} };
  await tabTo(page, "#leaders-project");
  for (const kind of ["key", "release", "sdk", "ip"]) {
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(
      (wanted) =>
        document.activeElement.id === `leaders-${wanted}` && document.querySelector("#leaders .under").textContent !== "",
      kind,
    );
    result.tabs[kind] = await page.$$eval("#leaders tbody tr", (rows) => rows.map((row) => row.firstElementChild.textContent));
    result.head = await page.textContent("#leaders th");
  }
  result.outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  result.light = await pale(page);
  await page.emulateMedia({ colorScheme: "dark" });
  result.dark = await pale(page);
  // Whoever looks is told anew.
  const before = asked;
  await page.waitForRequest((request) => request.url().includes("/api/v1/top"));
  result.again = asked - before;
  // A page that nobody sees asks for nothing, nor does one that shows projects.
  await page.setViewportSize({ width: 360, height: 800 });
  result.overflow = await overflow(page);
  await page.evaluate(() => scrollTo(0, 0));
  await heard(page, (await frame(page)) + 1);
  const unseen = asked;
  await heard(page, (await frame(page)) + 4);
  result.unseen = asked - unseen;
  await page.evaluate(() => document.getElementById("endings").scrollIntoView());
  await page.waitForFunction(() => document.querySelector("#endings p").textContent.includes("under way, of which"));
  result.underWay = await page.textContent("#endings p");
  result.endings = await page.$$eval("#endings tbody tr", (rows) =>
    rows.map((row) => [...row.children].map((cell) => cell.textContent)),
  );
  await page.evaluate(() => document.getElementById("leaders").scrollIntoView());
  await page.click("#leaders-key");
  await page.click("#leaders a[href='#project=42']");
  await page.waitForSelector("#project-body section");
  result.opened = await page.textContent("#project-title");
  return result;
}

/** What a card says that is not always there, in both lights and on a phone. */
async function card(browser, id) {
  const { page, told } = await open(browser, { colorScheme: "light" });
  await page.goto(url);
  await heard(page, 1);
  const shown = await page.isVisible(`#${id}`);
  if (!shown) return { ...told, shown };
  const rows = await page.$$eval(`#${id} tbody tr`, (rows) =>
    rows.map((row) => [...row.children].map((cell) => cell.textContent)),
  );
  const light = await pale(page);
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await pale(page);
  await page.setViewportSize({ width: 360, height: 800 });
  return { ...told, shown, rows, light, dark, overflow: await overflow(page) };
}

/** The reasons of the light over some redraws, with those of the status; then all switches end. */
async function reasons(browser) {
  const { page, told } = await open(browser);
  await page.goto(url);
  await heard(page, 1);
  const shown = () => page.$$eval("#reasons li", (rows) => rows.map((row) => row.textContent));
  const own = (method, path) =>
    page.evaluate(
      async ([method, path]) => {
        const headers = method === "GET" ? {} : { "content-type": "application/json" };
        return (await fetch(path, { method, headers })).json();
      },
      [method, path],
    );
  await heard(page, (await frame(page)) + 4);
  const result = { ...told, on: await shown(), status: (await own("GET", "api/v1/status")).reasons };
  for (const { id } of (await own("GET", "api/v1/mutes")).switches) await own("DELETE", `api/v1/mutes/${id}`);
  await heard(page, (await frame(page)) + 3);
  return { ...result, over: await shown() };
}

async function steer(browser) {
  const { page, told } = await open(browser);
  await page.goto(url);
  await heard(page, 1);
  const said = [];
  const effects = [];
  const press = async (which) => {
    await page.click(`[data-opens='${which}']`);
    effects.push(await page.textContent("#sure-effect"));
    await page.click("#sure-go");
    await page.waitForSelector("#sure-dialog", { state: "hidden" });
    said.push(await page.textContent("#said"));
  };
  await press("maintenance");
  await page.waitForSelector("#maintenance:not([hidden])");
  const banner = await page.textContent("#maintenance");
  await press("maintenance");
  await page.waitForSelector("#maintenance", { state: "hidden" });
  await press("reload");
  return { ...told, said, effects, banner };
}

async function shots(browser, folder) {
  const sizes = {};
  for (const [name, colorScheme, viewport] of [
    ["light", "light", { width: 1280, height: 960 }],
    ["dark", "dark", { width: 1280, height: 960 }],
    ["narrow", "light", { width: 360, height: 1400 }],
  ]) {
    const { page } = await open(browser, { colorScheme, viewport });
    await page.goto(url);
    await heard(page, 1);
    await page.waitForTimeout(1000);
    const bytes = repacked(await page.screenshot());
    await writeFile(`${folder}/dashboard-${name}.png`, bytes);
    sizes[name] = bytes.length;
    if (bytes.length > SHOT_BYTES_MAX) throw new Error(`${name}: ${bytes.length} bytes`);
    await page.close();
  }
  return { sizes };
}

const scenes = { look, mute, token, project, senders, card, reasons, steer, shots };
if (!url || !(scene in scenes)) {
  console.error(`usage: node dashboard.mjs ADMIN-URL ${Object.keys(scenes).join("|")} [...]`);
  process.exit(2);
}
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // Root in a container has no user namespace to make a sandbox of.
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
try {
  console.log(JSON.stringify(await scenes[scene](browser, ...given)));
} finally {
  await browser.close();
}
