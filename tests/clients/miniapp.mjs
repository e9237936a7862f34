// Sends one error and one message with sentry-miniapp, the SDK of WeChat's mini
// programs, and prints a JSON line for each. It posts to the store endpoint, one
// event a request, through the platform's own `wx.request`; here that is Node.
//
//   VIDETTE_PARTS_DIR=... node miniapp.mjs DSN
//
// Exit 1: an event was not answered with 200, or an answer was not JSON, which
// `wx.request` expects unless it is told otherwise. The SDK knows no tunnel:
// what it posts carries no DSN.

import { request as send } from "node:http";
import { createRequire } from "node:module";

const parts = process.env.VIDETTE_PARTS_DIR;
if (!parts) {
  console.error("miniapp.mjs: VIDETTE_PARTS_DIR is not set; tests/parts/install prints it");
  process.exit(2);
}
const [dsn] = process.argv.slice(2);
if (!dsn) {
  console.error("usage: node miniapp.mjs DSN");
  process.exit(2);
}

const FLUSH_MS = 20_000;

const statuses = [];
const complaints = [];
const listeners = [];

/** `wx.request` as far as the SDK uses it, with its answers noted. */
function request({ url, method, data, header, success, fail }) {
  // The platform adds these, whatever the app says.
  const headers = {
    ...header,
    "content-length": Buffer.byteLength(data),
    "accept-encoding": "identity",
    "user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) MicroMessenger/8.0.50 NetType/WIFI Language/zh_CN",
    referer: "https://servicewechat.com/wx0123456789abcdef/1/page-frame.html",
  };
  const posted = send(url, { method, headers }, async (answer) => {
    const text = Buffer.concat(await answer.toArray()).toString();
    statuses.push(answer.statusCode);
    try {
      JSON.parse(text);
    } catch {
      complaints.push(`an answer of ${answer.statusCode} is not JSON: ${JSON.stringify(text)}`);
    }
    success({ statusCode: answer.statusCode, header: answer.headers, data: text });
  });
  posted.on("error", (error) => {
    complaints.push(String(error));
    fail({ errMsg: `request:fail ${error.message}` });
  });
  posted.end(data);
}

// All that the SDK asks of the platform. It looks for them when it is loaded.
globalThis.wx = {
  request,
  getSystemInfoSync: () => ({
    SDKVersion: "3.6.0",
    batteryLevel: 80,
    brand: "iPhone",
    fontSizeSetting: 16,
    language: "zh_CN",
    model: "iPhone 15",
    pixelRatio: 3,
    platform: "ios",
    screenHeight: 852,
    screenWidth: 393,
    statusBarHeight: 47,
    system: "iOS 17.0",
    version: "8.0.50",
    windowHeight: 759,
    windowWidth: 393,
  }),
  getLaunchOptionsSync: () => ({ scene: 1001 }),
  onError: (listener) => listeners.push(listener),
  onUnhandledRejection: () => {},
  onPageNotFound: () => {},
  onMemoryWarning: () => {},
};
globalThis.getCurrentPages = () => [{ route: "pages/index/index", options: {} }];

const Sentry = createRequire(`${parts}/package.json`)("sentry-miniapp");
Sentry.init({ dsn, release: "vidette-tests@1.0.0", environment: "tests" });

let wanted = 0;
function tell(kind, event_id) {
  if (!event_id) throw new Error(`no id for the ${kind}`);
  wanted += 1;
  console.log(JSON.stringify({ kind, event_id }));
}

// The platform tells of an app's error by its text alone, not ASCII in its home.
for (const listener of listeners) listener("MiniProgramError\n一个普通的错误");
tell("error", Sentry.lastEventId());
tell("message", Sentry.captureMessage("one message, 一条消息"));
const flushed = await Sentry.flush(FLUSH_MS);

const refused = statuses.filter((status) => status !== 200);
if (!flushed || statuses.length !== wanted || refused.length > 0) {
  console.error(
    `miniapp.mjs: ${statuses.length} answers for ${wanted} events, not 200: ${JSON.stringify(refused)}`,
  );
  process.exitCode = 1;
}
for (const complaint of complaints) {
  console.error(`miniapp.mjs: ${complaint}`);
  process.exitCode = 1;
}
