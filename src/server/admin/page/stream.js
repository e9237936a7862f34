// What the edge tells, as it tells it: server-sent events, read by fetch since they need the
// token. Comes back by itself, with the number of what it heard last.
import { Refused, admit, headers, refusal } from "./admission.js";

const PATH = "api/v1/live";

// The edge tells something each two seconds; after so many it is taken to be gone.
const SILENCE_MS = 15_000;
const WAITS_MS = [500, 1000, 2000, 4000, 8000];

function* events(text) {
  for (const block of text) {
    const event = { id: null, name: "message", data: "" };
    for (const line of block.split("\n")) {
      const [field, ...rest] = line.split(":");
      const value = rest.join(":").replace(/^ /, "");
      if (field === "id") event.id = value;
      if (field === "event") event.name = value;
      if (field === "data") event.data += value;
    }
    if (event.data) yield event;
  }
}

// One connection, to its end.
async function hear(last, heard) {
  const stop = new AbortController();
  let silence = setTimeout(() => stop.abort(), SILENCE_MS);
  try {
    const resumed = last.id === null ? {} : { "last-event-id": last.id };
    const answer = await fetch(PATH, { cache: "no-store", headers: headers(resumed), signal: stop.signal });
    if (!answer.ok) throw await refusal(answer);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENCE_MS);
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const event of events(blocks)) {
        last.id = event.id;
        last.tries = 0;
        heard(event.name, JSON.parse(event.data));
      }
    }
  } finally {
    clearTimeout(silence);
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Listens for ever. `state` hears "live" or why not.
export async function listen(heard, state) {
  const last = { id: null, tries: 0 };
  for (;;) {
    let why = "the connection ended";
    try {
      await hear(last, (name, told) => {
        state("live", "live");
        heard(name, told);
      });
    } catch (error) {
      why = error instanceof Refused ? error.message : "the edge does not answer";
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        state("away", "not admitted");
        if (await admit(error)) continue;
      }
    }
    state("away", `${why}; trying again`);
    await pause(WAITS_MS[Math.min(last.tries, WAITS_MS.length - 1)]);
    last.tries += 1;
  }
}
