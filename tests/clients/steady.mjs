// Sends errors with @sentry/node at a steady rate, and says which were answered 200.
//
//   VIDETTE_PARTS_DIR=... node steady.mjs DSN PER_SECOND SECONDS
//
// Prints the id of each event whose request was answered 200, one a line, once all
// is sent. What arrived in the end is the server's to say.

import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const parts = process.env.VIDETTE_PARTS_DIR;
if (!parts) {
  console.error("steady.mjs: VIDETTE_PARTS_DIR is not set; tests/parts/install prints it");
  process.exit(2);
}
const Sentry = createRequire(`${parts}/package.json`)("@sentry/node");

const FLUSH_MS = 20_000;

const [dsn, rate, lasts] = process.argv.slice(2);
const taken = [];

// The SDK's own transport; notes which events were answered 200.
function noting(options) {
  const own = Sentry.makeNodeTransport({ ...options, keepAlive: true });
  return {
    ...own,
    send: async (envelope) => {
      const answer = await own.send(envelope);
      const id = envelope[0].event_id;
      if (answer.statusCode === 200 && id) taken.push(id);
      return answer;
    },
  };
}

Sentry.init({ dsn, defaultIntegrations: false, sendClientReports: false, transport: noting });

const until = performance.now() + Number(lasts) * 1000;
while (performance.now() < until) {
  Sentry.captureMessage("steady", "error");
  await sleep(1000 / Number(rate));
}
await Sentry.close(FLUSH_MS);
console.log(taken.join("\n"));
