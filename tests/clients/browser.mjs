// Sends one error, one transaction, one session and one error with an
// attachment with one of Sentry's browser SDKs from a page in headless Chromium,
// and prints a JSON line for each. The page has another origin than the DSN's
// host, so that every envelope crosses CORS.
//
//   VIDETTE_PARTS_DIR=... node browser.mjs DSN [--sdk browser|vue|react] [--tunnel URL]
//       [--preflight] [--close-at-end] [--skip KIND]... | --obey
//
// --sdk: @sentry/browser, or the SDK of a framework, whose error is then one that
// a component threw; React's page sends a second one, of kind "uncaught".
// Exit 1: an envelope was not answered with 200, or the page's console shows an
// error (a CORS refusal is one). The SDK's requests need no preflight;
// --preflight adds an own header that asks for one. --close-at-end sends one
// more error and closes the page at once, as a visitor leaving does; its line
// comes with kind "parting". CHROMIUM names another browser than /usr/bin/chromium.
// --skip transaction: for Bugsink, whose first answer makes every SDK hold its
// transactions back. --obey: sends nothing by itself but what its standard input
// names, a kind a line, and prints `done` behind each, as obey.mjs does.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

const parts = process.env.VIDETTE_PARTS_DIR;
if (!parts) {
  console.error("browser.mjs: VIDETTE_PARTS_DIR is not set; tests/parts/install prints it");
  process.exit(2);
}
const from = createRequire(`${parts}/package.json`);
const esbuild = from("esbuild");
const { chromium } = from("playwright-core");

const SDKS = ["browser", "vue", "react"];

// A hang guard for each wait on the page.
const WAIT_MS = 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sdk: { type: "string", default: "browser" },
    tunnel: { type: "string" },
    preflight: { type: "boolean", default: false },
    "close-at-end": { type: "boolean", default: false },
    skip: { type: "string", multiple: true, default: [] },
    obey: { type: "boolean", default: false },
  },
});
const [dsn] = positionals;
if (!dsn || !SDKS.includes(values.sdk)) {
  console.error(
    "usage: node browser.mjs DSN [--sdk browser|vue|react] [--tunnel URL] [--preflight] [--close-at-end] [--skip KIND]...",
  );
  process.exit(2);
}

/** The page and its bundle, built in memory as a user's bundler would. */
async function pageFiles() {
  const page = new URL("./browser/", import.meta.url);
  const built = await esbuild.build({
    entryPoints: [new URL(`${values.sdk}.js`, page).pathname],
    nodePaths: [`${parts}/node_modules`],
    bundle: true,
    format: "iife",
    // What a released app is built with. In development the frameworks write on the console.
    define: {
      "process.env.NODE_ENV": '"production"',
      __VUE_OPTIONS_API__: "true",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
    write: false,
    logLevel: "warning",
  });
  return new Map([
    ["/", ["text/html; charset=utf-8", await readFile(new URL("index.html", page))]],
    ["/bundle.js", ["text/javascript", built.outputFiles[0].contents]],
    // Asked for by the browser itself; absent it would be an error on the console.
    ["/favicon.ico", ["image/x-icon", Buffer.alloc(0)]],
  ]);
}

function serve(files) {
  const server = createServer((request, response) => {
    const [type, bytes] = files.get(request.url) ?? ["text/plain", null];
    response.writeHead(bytes ? 200 : 404, { "content-type": type });
    response.end(bytes ?? "no such file\n");
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

/** Runs the page; returns what it sent and everything its console complained of. */
async function visit(browser, address) {
  const page = await browser.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));

  await page.goto(address);
  const headers = values.preflight ? { "x-requested-with": "vidette-tests" } : {};
  const options = { dsn, tunnel: values.tunnel, transportOptions: { headers } };
  await page.evaluate((given) => window.vidette.start(given), options);
  const result = await page.evaluate((skip) => window.vidette.oneOfEach(skip), values.skip);
  const heard = [...complaints];
  if (values["close-at-end"]) {
    const event_id = await page.evaluate(() => window.vidette.errorAtTheEnd());
    result.sent.push({ kind: "parting", event_id });
  }
  await page.close();
  if (values["close-at-end"]) {
    // The visitor's browser goes on: to end it at once would end what the page left to it.
    const next = await browser.newPage();
    await next.goto(address);
    await next.close();
  }
  return { ...result, complaints: heard };
}

/** Has the page send what it is told to, until nobody tells it more. */
async function obey(browser, address) {
  const page = await browser.newPage();
  await page.goto(address);
  await page.evaluate((given) => window.vidette.start(given), { dsn });
  for await (const line of createInterface({ input: process.stdin })) {
    await page.evaluate((kind) => window.vidette.one(kind), line.trim());
    console.log("done");
  }
}

const server = await serve(await pageFiles());
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // Root in a container has no user namespace to make a sandbox of.
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
try {
  const { port } = server.address();
  // The DSN's host is an address; the page's is a name: two origins by more than the port.
  const address = `http://localhost:${port}/`;
  if (values.obey) {
    await obey(browser, address);
    process.exit(0);
  }
  const { sent, flushed, answers, complaints } = await visit(browser, address);
  for (const line of sent) console.log(JSON.stringify(line));

  const refused = answers.filter((status) => status !== 200);
  const wanted = sent.filter(({ kind }) => kind !== "parting").length;
  if (!flushed || answers.length < wanted || refused.length > 0) {
    console.error(
      `browser.mjs: ${answers.length} answers for ${wanted} envelopes, not 200: ${JSON.stringify(refused)}`,
    );
    process.exitCode = 1;
  }
  for (const complaint of complaints) {
    console.error(`browser.mjs: the page's console: ${complaint}`);
    process.exitCode = 1;
  }
} finally {
  await browser.close();
  server.close();
}
