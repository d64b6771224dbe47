// How members reach a connected system, as they say: whether it works is tested here too.

import { get, post } from "./api.js";
import { badge, button, code, el, facts, fill, link, notice, prose, sayOnceShown, table } from "./dom.js";
import { choice, form } from "./form.js";
import { whyNot } from "./role.js";
import { newTaskId } from "./seal.js";
import { among, shortId, toned, when } from "./words.js";

/** As many members as somebody compares; in what any of them differ is told above them. */
const SHOWN = 20;

/** The facts of a connection, by their names in the API. */
const FACTS = [
  ["domain", "Domain", (it) => it],
  ["login_method", "Sign-in", (it) => it],
  ["secure_connection", "Secure connection", yesOrNo],
  ["http_compression", "HTTP compression", yesOrNo],
  ["connection_timeout_secs", "Connection timeout", (it) => (it === 0 ? "none" : `${it} s`)],
  ["log_level", "Log level", (it) => it],
];

const SIGN_INS = {
  untried: ["quiet", "not tried yet"],
  signed_in: ["good", "signed in"],
  failing: ["warn", "failing, tries again"],
  blocked: ["bad", "does not try any more"],
};

const VERDICTS = {
  done: "holds here",
  not_allowed: "its policy does not let a controller have so much logged",
  unknown: "does not know the system or the level",
};

function yesOrNo(it) {
  return it ? "yes" : "no";
}

/** The columns of a table of connections; those in which members differ stand out. */
export const connectionColumns = (differing) => [
  {
    name: "Connection",
    of: (it) => el("ul", { class: "plain" }, FACTS.map(([field, name, said]) => el("li", { class: differing.includes(field) ? "differs" : undefined }, el("span", { class: "small" }, name), el("span", {}, said(it[field]))))),
  },
  { name: "Now", of: ({ now, log_level_verdict: verdict }) => (now ? condition(now, verdict) : "not said yet") },
];

function condition(now, verdict) {
  const waiting = Object.entries(now.waiting).filter(([, tasks]) => tasks > 0);
  return [
    badge(toned(SIGN_INS, now.sign_in)),
    el("ul", { class: "plain" }, [
      el("li", {}, el("span", { class: "small" }, "Running"), el("span", {}, String(now.running))),
      el("li", {}, el("span", { class: "small" }, "Waiting"), el("span", {}, waiting.length > 0 ? waiting.map(([lane, tasks]) => `${tasks} ${lane}`).join(", ") : "none")),
      el("li", {}, el("span", { class: "small" }, "Logs"), el("span", {}, now.log_level, now.log_level_until && [" until ", when(now.log_level_until)])),
      verdict && (now.log_level_until || verdict !== "done") && el("li", {}, el("span", { class: "small" }, "The wanted level"), el("span", {}, among(VERDICTS, verdict) ?? verdict)),
    ]),
  ];
}

/** Whom the system is reached by, and where they differ. */
export function connections(system) {
  if (system.association === "server") return el("p", { class: "hint" }, "It is associated with the server, and this controller runs no connectors itself: associate it with a cluster below.");
  if ((system.members ?? []).length === 0) {
    return el("p", { class: "hint" }, "How it is reached is in the agents' configuration. No member that serves it is connected: see ", link("#/members", "the members"), ".");
  }
  const member = { name: "Member", of: (it) => [link(`#/members/${it.member}`, it.host), el("div", { class: "small", title: it.member }, shortId(it.member))] };
  const differing = system.differing ?? [];
  return [
    el("p", { class: "hint" }, "What is configured on the agents' hosts, and how it is there now."),
    differing.length > 0 && notice("warn", el("strong", {}, "Members differ in: "), FACTS.filter(([field]) => differing.includes(field)).map(([, name]) => name).join(", "), ". A task may go to any of them: have their configurations say the same."),
    table(`Members that serve ${system.name}`, [member, ...connectionColumns(differing)], system.members.slice(0, SHOWN)),
    system.members.length > SHOWN && el("p", { class: "hint" }, `And ${(system.members.length - SHOWN).toLocaleString()} more: `, link("#/members", "all members"), "."),
  ];
}

const LEVELS = ["error", "warn", "info", "debug", "trace"];
const LENGTHS = [
  [300, "5 minutes"],
  [1800, "30 minutes"],
  [7200, "2 hours"],
  [86400, "a day"],
];

/** Has members log another level for a while. */
export function logLevel(system, after) {
  const path = `/v1/systems/${encodeURIComponent(system.name)}/log-level`;
  const order = system.log_level_order;
  const why = whyNot("operator");
  const send = async ({ level, for_secs: length }) => {
    await post(path, { level, for_secs: Number(length) });
    await sayOnceShown(after(), `${system.name} is logged with ${level} for a while.`);
  };
  const back = async () => {
    await post(path, { level: "configured" });
    await sayOnceShown(after(), `${system.name} is logged as it is configured.`);
  };
  const fields = [
    choice("level", "Level", LEVELS.map((it) => [it, it]), { hint: "debug names accounts and single calls. A member's policy may forbid so much." }),
    choice("for_secs", "For", LENGTHS.map(([seconds, words]) => [String(seconds), words])),
  ];
  return [
    order && notice("busy", el("p", {}, "Wanted now: ", el("strong", {}, order.level), " until ", when(order.until), ", by ", order.by, "."), button("As configured", back, { why, id: "log-level-back" })),
    form({ id: "log-level", fields, values: { level: "debug", for_secs: "1800" }, action: "Log so", why, send }),
  ];
}

/** The button that has a member sign in, and what came of it. */
export function testing(system) {
  const result = el("div", { id: "connection", role: "status" });
  const test = async () => {
    fill(result, notice("busy", "A member of the cluster signs in to Salesforce…"));
    try {
      fill(result, told(await tested(system, (why) => fill(result, notice("busy", "It waits: ", prose(why))))));
    } catch (problem) {
      fill(result, notice("bad", prose(problem.message)));
    }
  };
  return [button("Test Connection", test, { kind: "main", id: "test-connection", why: whyNot("operator") }), result];
}

/** The first look is a short one: what a test waits for is told at once. */
async function tested(system, waits) {
  const id = newTaskId();
  let task = await post("/v1/tasks", { id, system: system.name, kind: "test_connection", deadline_secs: 120 });
  for (let secs = 1; !task.outcome; secs = 10) {
    task = await get(`/v1/tasks/${id}/wait?secs=${secs}`);
    if (!task.outcome && task.waits_for) waits(task.waits_for);
  }
  return task;
}

function told(task) {
  const more = el("p", {}, link(`#/tasks/${task.id}`, "The task"));
  if (task.outcome !== "succeeded") return failed(task, more);
  const it = task.output;
  const used = it.api_calls_used !== null && it.api_calls_limit !== null ? `${it.api_calls_used.toLocaleString()} of ${it.api_calls_limit.toLocaleString()} in 24 hours` : undefined;
  return notice(
    "good",
    el("p", {}, el("strong", {}, it.message)),
    facts([["Instance", it.instance], ["Organization", it.organization], ["Service account", it.account], ["Sign-in", it.method], ["Network", it.network], ["Seen from", it.source_address], ["API calls", used]]),
    it.warnings.map((words) => el("p", { class: "warn-text" }, prose(words))),
    more,
  );
}

/** The agent's words tell the hop that failed, and why; the next step is the procedure. */
function failed({ failure, note, outcome }, more) {
  const summary = failure?.summary ?? (note || (outcome === "expired" ? "Failed to establish connection from the agent to the connected system: no member took the test within two minutes." : `The test ended as ${outcome}.`));
  const next = failure?.next_step || (outcome === "expired" && "See whether a member of the cluster is enabled, connected and serves this system.");
  return notice("bad", el("p", {}, el("strong", {}, prose(summary))), failure && el("p", { class: "small" }, "Reason: ", code(failure.code)), next && el("p", {}, "What to do: ", prose(next)), more);
}
