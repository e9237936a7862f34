// What every page does, whichever SDK its bundle holds. browser.mjs calls what
// this offers by name and reads what it returns; nothing runs by itself.

const FLUSH_MS = 20_000;

/**
 * Puts an SDK where browser.mjs finds it. `options` are what the page's SDK
 * needs beside the common ones; `kinds` take the place of those here or join
 * them, each a function that returns the id of what it sent.
 */
export function offer(Sentry, { options = {}, kinds = {} } = {}) {
  const answers = [];
  const transactions = [];

  // The SDK's own fetch transport, with its answers noted.
  function noting(given) {
    const own = Sentry.makeFetchTransport(given);
    return {
      ...own,
      send: async (envelope) => {
        const answer = await own.send(envelope);
        answers.push(answer.statusCode ?? 0);
        return answer;
      },
    };
  }

  function start(given) {
    Sentry.init({
      ...given,
      release: "vidette-tests@1.0.0",
      environment: "tests",
      tracesSampleRate: 1,
      traceLifecycle: "static",
      // None of the default ones: they would start sessions and page loads of their own. This
      // one tells where the page is.
      defaultIntegrations: false,
      integrations: [Sentry.httpContextIntegration()],
      sendClientReports: false,
      transport: noting,
      beforeSendTransaction: (event) => {
        transactions.push(event.event_id);
        return event;
      },
      ...options,
    });
  }

  function oneError() {
    return Sentry.captureException(new Error("an ordinary error"));
  }

  async function oneTransaction() {
    Sentry.startSpan({ op: "task", name: "one transaction" }, () => {
      Sentry.startInactiveSpan({ op: "http", name: "one span" }).end();
    });
    // The transaction gets its id when it is sent.
    await Sentry.flush(FLUSH_MS);
    return transactions.pop();
  }

  function oneSession() {
    const { sid } = Sentry.startSession();
    Sentry.captureSession(true);
    return sid;
  }

  function oneAttachment() {
    return Sentry.withScope((scope) => {
      const data = new Uint8Array(1024).map((_, at) => at);
      scope.addAttachment({ filename: "notes.bin", data });
      return Sentry.captureException(new Error("an error with an attachment"));
    });
  }

  const offered = {
    error: oneError,
    transaction: oneTransaction,
    session: oneSession,
    attachment: oneAttachment,
    ...kinds,
  };

  async function oneOfEach(skip) {
    const sent = [];
    for (const [kind, send] of Object.entries(offered)) {
      if (skip.includes(kind)) continue;
      sent.push({ kind, event_id: await send() });
    }
    const flushed = await Sentry.flush(FLUSH_MS);
    return { sent, flushed, answers };
  }

  // One of a kind, sent or held back by the SDK when this is over.
  async function one(kind) {
    await offered[kind]();
    return Sentry.flush(FLUSH_MS);
  }

  // An error that the SDK sends while its page goes away; the answer is nobody's.
  function errorAtTheEnd() {
    return Sentry.captureException(new Error("an error at the page's end"));
  }

  window.vidette = { start, oneOfEach, one, errorAtTheEnd };
}
