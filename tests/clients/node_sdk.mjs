// Sends one error, one transaction, one session and one error with an
// attachment with @sentry/node, flushes, and prints a JSON line for each.
//
//   VIDETTE_PARTS_DIR=... node node_sdk.mjs DSN [--rounds N] [--large] [--stream] [--skip KIND]...
//
// What arrived is the server's to say; exit 1 says that the SDK did not get an
// answer of 200 to everything. --large makes the attachment big enough for the
// SDK to send that envelope as chunked gzip. --stream leaves the SDK's default,
// which sends spans as items of their own in place of the transaction: that
// line is then {"kind": "span"} with the trace's id. --skip transaction: for
// Bugsink, whose first answer makes every SDK hold its transactions back.

import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const parts = process.env.VIDETTE_PARTS_DIR;
if (!parts) {
  console.error("node_sdk.mjs: VIDETTE_PARTS_DIR is not set; tests/parts/install prints it");
  process.exit(2);
}
const Sentry = createRequire(`${parts}/package.json`)("@sentry/node");

const FLUSH_MS = 20_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "1" },
    large: { type: "boolean", default: false },
    stream: { type: "boolean", default: false },
    skip: { type: "string", multiple: true, default: [] },
  },
});
const [dsn] = positionals;
if (!dsn) {
  console.error("usage: node node_sdk.mjs DSN [--rounds N] [--large] [--stream] [--skip KIND]...");
  process.exit(2);
}
const rounds = Number(values.rounds);

const statuses = [];
const transactions = [];

// The SDK's own transport, with its answers noted.
function noting(options) {
  const own = Sentry.makeNodeTransport({ ...options, keepAlive: true });
  return {
    ...own,
    send: async (envelope) => {
      const answer = await own.send(envelope);
      statuses.push(answer.statusCode);
      return answer;
    },
  };
}

function remember(event) {
  transactions.push(event.event_id);
  return event;
}

Sentry.init({
  dsn,
  release: "vidette-tests@1.0.0",
  environment: "tests",
  tracesSampleRate: 1,
  // None of the default ones: they start timers, workers and sessions of their own.
  defaultIntegrations: false,
  sendClientReports: false,
  transport: noting,
  ...(values.stream ? {} : { traceLifecycle: "static", beforeSendTransaction: remember }),
});

function tell(kind, event_id) {
  if (!event_id) throw new Error(`no id for the ${kind}`);
  console.log(JSON.stringify({ kind, event_id }));
}

function oneError() {
  return Sentry.captureException(new Error("an ordinary error"));
}

async function oneTransaction() {
  const trace = Sentry.startSpan({ op: "task", name: "one transaction" }, (span) => {
    Sentry.startSpan({ op: "db", name: "one span" }, () => {});
    return span.spanContext().traceId;
  });
  // The transaction gets its id when it is sent.
  await Sentry.flush(FLUSH_MS);
  return values.stream ? trace : transactions.pop();
}

function oneSession() {
  const { sid } = Sentry.startSession();
  Sentry.endSession();
  return sid;
}

function oneAttachment() {
  return Sentry.withScope((scope) => {
    const line = "attached bytes\n\u0000\u00ff\r\n";
    const data = Buffer.from(line.repeat(values.large ? 10_000 : 100), "latin1");
    scope.addAttachment({ filename: "notes.bin", data });
    return Sentry.captureException(new Error("an error with an attachment"));
  });
}

const kinds = {
  error: oneError,
  [values.stream ? "span" : "transaction"]: oneTransaction,
  session: oneSession,
  attachment: oneAttachment,
};
let wanted = 0;
for (let round = 0; round < rounds; round += 1) {
  for (const [kind, send] of Object.entries(kinds)) {
    if (values.skip.includes(kind)) continue;
    wanted += 1;
    tell(kind, await send());
  }
}
const flushed = await Sentry.close(FLUSH_MS);

const refused = statuses.filter((status) => status !== 200);
if (!flushed || statuses.length < wanted || refused.length > 0) {
  console.error(
    `node_sdk.mjs: ${statuses.length} answers for at least ${wanted} envelopes, not 200: ${JSON.stringify(refused)}`,
  );
  process.exitCode = 1;
}
