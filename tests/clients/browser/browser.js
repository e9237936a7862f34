// A page without a framework: @sentry/browser as a user's bundle has it.

import * as Sentry from "@sentry/browser";

import { offer } from "./page.js";

offer(Sentry);
