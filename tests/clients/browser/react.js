// A page made with React: its component throws, once inside the boundary of
// @sentry/react and once where only the root's own hook of the SDK hears of it.

import * as Sentry from "@sentry/react";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

import { offer } from "./page.js";

function Broken() {
  throw new Error("an error in a React component");
}

function render(element, hooks) {
  const place = document.getElementById("app").appendChild(document.createElement("div"));
  createRoot(place, hooks).render(element);
}

function oneCaught() {
  return new Promise((done) => {
    const fallback = createElement("p", null, "broken");
    const onError = (_error, _stack, event_id) => done(event_id);
    const boundary = createElement(Sentry.ErrorBoundary, { fallback, onError }, createElement(Broken));
    // Left to itself, React writes caught errors on the console.
    render(boundary, { onCaughtError: () => {} });
  });
}

function oneUncaught() {
  return new Promise((done) => {
    const onUncaughtError = Sentry.reactErrorHandler((_error, _stack, event_id) => done(event_id));
    render(createElement(Broken), { onUncaughtError });
  });
}

offer(Sentry, { kinds: { error: oneCaught, uncaught: oneUncaught } });
