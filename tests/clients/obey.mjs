// Sends with @sentry/node what it is told to, a line at a time, and says so.
//
//   VIDETTE_PARTS_DIR=... node obey.mjs DSN
//
// Reads `error`, `transaction` or `session` from its standard input, hands one of
// that kind to the SDK, waits until the SDK has nothing left to send, and prints
// `done`. Whether anything left is for whoever watches the wire.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const parts = process.env.VIDETTE_PARTS_DIR;
if (!parts) {
  console.error("obey.mjs: VIDETTE_PARTS_DIR is not set; tests/parts/install prints it");
  process.exit(2);
}
const Sentry = createRequire(`${parts}/package.json`)("@sentry/node");

const FLUSH_MS = 20_000;

Sentry.init({
  dsn: process.argv[2],
  release: "vidette-tests@1.0.0",
  environment: "tests",
  tracesSampleRate: 1,
  traceLifecycle: "static",
  defaultIntegrations: false,
  sendClientReports: false,
});

const kinds = {
  error: () => Sentry.captureMessage("an error", "error"),
  transaction: () => Sentry.startSpan({ op: "task", name: "one transaction" }, () => {}),
  session: () => {
    Sentry.startSession();
    Sentry.endSession();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  kinds[line.trim()]();
  await Sentry.flush(FLUSH_MS);
  console.log("done");
}
