// What an operator can do here, each with a sentence that says what will happen before it does.
import { ask } from "./admission.js";
import { at, make, say, show } from "./elements.js";
import { effect } from "./switches.js";
import { bytes, clock, lasting } from "./units.js";

const CATEGORIES = [
  "error", "transaction", "session", "replay", "profile", "profile_chunk", "attachment", "span", "log_item",
  "monitor", "feedback", "security", "default", "metric_bucket", "trace_metric",
];
// Never sampled: their numbers would be wrong, or an alarm would ring.
const UNSAMPLED = ["session", "monitor"];

const TIMES_S = [600, 1800, 3600, 14_400, 86_400];
const VALUES = { limit: ["At most", "100/s"], sample: ["At most this share", "10%"] };

function times(select, chosen) {
  select.replaceChildren(...TIMES_S.map((s) => make("option", { value: s, selected: s === chosen }, lasting(s))));
}

// Says what was done, and forgets it after a while.
let forgets = 0;
export function tell(text) {
  say(at("said"), text);
  show(at("said"), true);
  clearTimeout(forgets);
  forgets = setTimeout(() => show(at("said"), false), 8000);
}

for (const button of document.querySelectorAll("dialog [data-closes]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

// Does it; what the edge answers when it will not stays in the dialog.
async function carry(dialog, refused, go, act) {
  go.disabled = true;
  show(refused, false);
  try {
    tell(await act());
    dialog.close();
  } catch (error) {
    say(refused, error.message);
    show(refused, true);
  } finally {
    go.disabled = false;
  }
}

const asked = () => {
  const action = at("switch-action").value;
  return {
    project: Number(at("switch-project").value),
    category: at("switch-category").value || null,
    action,
    value: action === "mute" ? null : at("switch-value").value.trim(),
    for_s: Number(at("switch-for").value),
    why: at("switch-why").value.trim() || null,
  };
};

const VERBS = { mute: "Mute", limit: "Limit", sample: "Sample" };

function foresee() {
  const { project, category, action, value, for_s: forS } = asked();
  const of = category === null ? "Everything" : `Of ${category}, everything`;
  const [fate, told] = {
    mute: ["is answered 429 and lost", "Its senders hear to hold back."],
    limit: [`beyond ${value || "…"} is answered 429 and lost`, "Its senders hear to hold back."],
    sample: [`beyond ${value || "…"} is dropped in silence`, "Its senders hear nothing."],
  }[action];
  const named = project > 0 ? `project ${project}` : "the project";
  const until = clock(Date.now() + forS * 1000);
  say(at("switch-effect"), `${of} of ${named} ${fate}, on all workers, for ${lasting(forS)}: until ${until}. ${told}`);
  say(at("switch-go"), project > 0 ? `${VERBS[action]} project ${project}` : VERBS[action]);
}

function adapt() {
  const action = at("switch-action").value;
  const [label, example] = VALUES[action] ?? ["", ""];
  for (const id of ["switch-value", "switch-value-label"]) show(at(id), action in VALUES);
  at("switch-value").required = action in VALUES;
  at("switch-value").placeholder = example;
  say(at("switch-value-label"), label);
  for (const option of at("switch-category").options) {
    option.disabled = action === "sample" && UNSAMPLED.includes(option.value);
  }
  foresee();
}

export function openSwitch(project = null) {
  const category = at("switch-category");
  category.replaceChildren(make("option", { value: "" }, "everything"));
  for (const name of CATEGORIES) category.append(make("option", { value: name }, name));
  times(at("switch-for"), 1800);
  at("switch-project").value = project ?? "";
  at("switch-action").value = "mute";
  at("switch-value").value = "";
  at("switch-why").value = "";
  show(at("switch-refused"), false);
  adapt();
  at("switch-dialog").showModal();
  (project === null ? at("switch-project") : at("switch-action")).focus();
}

at("switch-form").addEventListener("input", foresee);
at("switch-action").addEventListener("change", adapt);
at("switch-form").addEventListener("submit", (event) => {
  event.preventDefault();
  carry(at("switch-dialog"), at("switch-refused"), at("switch-go"), async () => {
    const { on, replaced, kept, seen } = await ask("api/v1/mutes", "POST", asked());
    const words = [`Project ${on.project}: ${effect(on)} until ${clock(on.expires_at)}.`];
    if (replaced) words.push("It takes the place of what was on.");
    if (!seen) words.push("Nothing tells of such a project: is the number right?");
    if (!kept) words.push("A restart will not know of it.");
    return words.join(" ");
  });
});

// A question with one answer. `lasts`: it asks for how long, too.
let sure = null;
function askSure({ title, effect: words, go, lasts = null, act }) {
  sure = { words, act };
  say(at("sure-title"), title);
  say(at("sure-go"), go);
  show(at("sure-fields"), lasts !== null);
  if (lasts !== null) times(at("sure-for"), lasts);
  show(at("sure-refused"), false);
  foretell();
  at("sure-dialog").showModal();
  at("sure-go").focus();
}

const forS = () => Number(at("sure-for").value);
function foretell() {
  say(at("sure-effect"), sure.words(forS()));
}
at("sure-for").addEventListener("change", foretell);
at("sure-form").addEventListener("submit", (event) => {
  event.preventDefault();
  carry(at("sure-dialog"), at("sure-refused"), at("sure-go"), () => sure.act(forS()));
});

export function openEnd(one) {
  askSure({
    title: "End a switch",
    go: "End it",
    effect: () => `Project ${one.project}: ${effect(one)}. Ended, all of it passes again at once, as far as quotas let it.`,
    act: async () => {
      await ask(`api/v1/mutes/${one.id}`, "DELETE");
      return `Project ${one.project}: ended.`;
    },
  });
}

export function openMaintenance(now) {
  if (now.status.maintenance) {
    askSure({
      title: "End maintenance",
      go: "Maintenance off",
      effect: () => `What was kept (${bytes(now.status.spool.bytes)}) is sent from now on, paced below what comes in, and new events go to Sentry again.`,
      act: async () => {
        await ask("api/v1/maintenance", "POST", { on: false });
        return "Maintenance is off.";
      },
    });
    return;
  }
  const room = now.spool_max_bytes === null ? "There is no spool, so the edge will refuse this." : `There is room for ${bytes(now.spool_max_bytes - now.status.spool.bytes)}.`;
  askSure({
    title: "Maintenance",
    go: "Maintenance on",
    lasts: 3600,
    effect: (s) => `Every event is kept on disk and none is sent to Sentry, for ${lasting(s)}: until ${clock(Date.now() + s * 1000)}. Clients hear 200. Then all of it is sent. ${room}`,
    act: async (s) => {
      await ask("api/v1/maintenance", "POST", { on: true, for_s: s });
      return `Maintenance is on for ${lasting(s)}.`;
    },
  });
}

export function openReload() {
  askSure({
    title: "Reload the configuration",
    go: "Reload",
    effect: () => "The file and the environment are read again, and hold for all requests from then on; none is lost. With an error in the file nothing changes. What quotas have counted goes on.",
    act: async () => {
      const { needs_restart: pending } = await ask("api/v1/reload", "POST", {});
      return pending.length > 0 ? `Reloaded. Waiting for a restart: ${pending.join(", ")}.` : "Reloaded.";
    },
  });
}
