// A page made with Vue: its one component throws, and @sentry/vue hears of it
// from the app's error handler.

import * as Sentry from "@sentry/vue";
import { createApp } from "vue";

import { offer } from "./page.js";

const app = createApp({
  name: "Broken",
  render() {
    throw new Error("an error in a Vue component");
  },
});
// The SDK calls an app's own handler after itself; where there is none it
// throws on, and the page's console would show the error.
app.config.errorHandler = () => {};

async function oneError() {
  const before = Sentry.lastEventId();
  app.mount("#app");
  // The SDK captures a moment after the handler returns.
  await new Promise((done) => setTimeout(done));
  const event_id = Sentry.lastEventId();
  if (!event_id || event_id === before) throw new Error("the SDK did not hear of the component's error");
  return event_id;
}

offer(Sentry, {
  options: { app, defaultIntegrations: [Sentry.vueIntegration()] },
  kinds: { error: oneError },
});
