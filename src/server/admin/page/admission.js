// Who asks: the token, kept in this tab alone, and every question to the edge. Nothing else asks.
import { at, say, show } from "./elements.js";

const KEY = "vidette.token";

// What the edge answers to a question when it will not.
export class Refused extends Error {
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

let token = null;
try {
  token = sessionStorage.getItem(KEY);
} catch {
  // Without a store it lasts as long as the page.
}

function keep(given) {
  token = given;
  try {
    if (given === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, given);
  } catch {
    // As above.
  }
}

export function headers(more = {}) {
  return token === null ? more : { ...more, authorization: `Bearer ${token}` };
}

export async function refusal(answer) {
  const told = await answer.json().catch(() => ({}));
  const detail = told.error ?? told.errors?.join("\n") ?? `status ${answer.status}`;
  return new Refused(answer.status, detail, told.errors ?? []);
}

// A question, or an order where there is a body.
export async function ask(path, method = "GET", body = undefined) {
  const answer = await fetch(path, {
    method,
    cache: "no-store",
    headers: headers(method === "GET" ? {} : { "content-type": "application/json" }),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

// Asks for a token until one is given. Where none would help it says what would.
export function admit(refused) {
  const form = at("admission-form");
  const missing = refused.status === 401;
  const wrong = missing && token !== null;
  if (wrong) keep(null);
  say(
    at("admission-why"),
    wrong
      ? "That token is not the edge's. Write the one of admin.token_file."
      : missing
        ? "This edge is looked at from another machine: it shows itself to whoever has its token."
        : `The edge does not answer this page: ${refused.message}.`,
  );
  show(form, missing);
  show(at("admission"), true);
  show(at("board"), false);
  if (!missing) return Promise.resolve(false);
  at("token").focus();
  return new Promise((done) => {
    const given = (event) => {
      event.preventDefault();
      form.removeEventListener("submit", given);
      keep(at("token").value.trim());
      at("token").value = "";
      done(true);
    };
    form.addEventListener("submit", given);
  });
}

// Whether somebody was asked for a token, and may come in now.
export function admitted() {
  const asked = !at("admission").hidden;
  show(at("admission"), false);
  return asked;
}
