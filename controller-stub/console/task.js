// One task: how far it is, what came of it, and what earlier holders said.

import { download, get, post } from "./api.js";
import { text } from "./bytes.js";
import { confirm } from "./dialog.js";
import { badge, button, code, copyable, el, facts, fill, heading, link, notice, prose, save, say, table } from "./dom.js";
import { kindOf, labelOf } from "./kinds.js";
import { hears, soon } from "./live.js";
import { ownKey } from "./own_keys.js";
import { drawRecords } from "./records.js";
import { resealing } from "./reseal.js";
import { whyNot } from "./role.js";
import { openOutput, openPayload } from "./seal.js";
import { progress } from "./tasks.js";
import { certainty, changed, outcome, outcomeSentence, size, taskState, when } from "./words.js";

export async function show(place, id) {
  const parts = { top: el("div", {}), results: el("div", {}), more: el("div", {}) };
  const isStuck = (it) => it.state === "needs_reseal" && !it.outcome;
  const isNews = (before, it) => isStuck(before) !== isStuck(it) || before.outcome !== it.outcome || String(before.reseal_to) !== String(it.reseal_to);
  let task = await get(`/v1/tasks/${encodeURIComponent(id)}`);
  const load = async () => {
    const before = task;
    task = await get(`/v1/tasks/${task.id}`);
    draw(parts, task);
    if (isNews(before, task)) await conclude();
  };
  const conclude = async () => {
    fill(parts.results);
    if (task.outcome) await drawResults(parts.results, task);
    else if (isStuck(task)) fill(parts.results, await resealing(task));
  };
  fill(place, el("p", { class: "back" }, link("#/tasks", "Tasks")), parts.top, parts.results, parts.more);
  draw(parts, task);
  await conclude();
  const again = soon(load);
  // To whom it can be sealed again changes with the members.
  return hears(["task", "progress", "member"], (kind, data) => {
    const isOurs = kind === "member" ? isStuck(task) : (data?.task ?? data?.id) === id;
    if (kind === "reset" || isOurs) again();
  });
}

function draw({ top, more }, task) {
  fill(
    top,
    heading(labelOf(task.kind), badge(taskState(task)), cancelButton(task)),
    ended(task),
    progress(task),
    waits(task),
    output(task),
  );
  fill(
    more,
    el("section", {}, el("h2", {}, "The task"), facts([
      ["Task", code(task.id)],
      ["Connected system", link(`#/systems/${task.system}`, task.system)],
      ["Cluster", task.cluster],
      ["Member", task.member && link(`#/members/${task.member}`, code(task.member))],
      ["Submitted", when(task.submitted)],
      ["To be begun by", when(task.deadline)],
      ["Finished", when(task.finished)],
      ["On behalf of", task.origin?.replace("_", " ")],
      ["Priority", String(task.priority)],
      ["Certainty", task.certainty && certainty(task.certainty)],
      ["Changed", task.changed && changed(task.changed)],
      ...parameters(task),
    ])),
    attempts(task),
    observations(task),
  );
}

/** The parameters of a task, as its form calls them. */
function parameters({ kind, params }) {
  const fields = kindOf(kind)?.fields ?? [];
  return Object.entries(params ?? {}).map(([name, value]) => {
    const field = fields.find((it) => it.name === name);
    const option = field?.options?.find((it) => it.value === value);
    return [field?.label ?? name.replaceAll("_", " "), option?.told ?? option?.label ?? written(value)];
  });
}

/** A value as JSON has it, in words; nothing for what is empty. */
function written(value) {
  if (value === null || value === "" || value === false || (Array.isArray(value) && value.length === 0)) return undefined;
  if (value === true) return "yes";
  return typeof value === "object" ? code(JSON.stringify(value)) : String(value);
}

function cancelButton(task) {
  if (task.outcome) return undefined;
  if (task.cancel_requested) return el("span", { class: "hint" }, "Cancelling was asked for.");
  const act = async () => {
    const body = el("p", {}, "What has not begun is not begun any more. A change that has begun is finished, and its outcome told.");
    if (!(await confirm({ title: "Cancel this task?", body, action: "Cancel the task", danger: true, keep: "Let it go on" }))) return;
    await post(`/v1/tasks/${task.id}/cancel`).then(() => say("Cancelling was asked for."), (problem) => say(problem.message));
  };
  return button("Cancel", act, { why: whyNot("operator"), id: "cancel" });
}

function ended(task) {
  if (!task.outcome) return undefined;
  const { tone } = outcome(task.outcome);
  const { failure, note } = task;
  return notice(
    tone,
    el("p", {}, el("strong", {}, prose(failure?.summary ?? outcomeSentence(task.outcome)))),
    failure && el("p", { class: "small" }, outcomeSentence(task.outcome), " Reason: ", code(failure.code), ` (${failure.class.replace("_", " ")})`),
    failure?.next_step && el("p", {}, "What to do: ", nextStep(task)),
    note && el("p", {}, prose(note)),
  );
}

/** What it waits for; what can be done about a secret that nobody can open is right below. */
function waits(task) {
  if (task.outcome || !task.waits_for) return undefined;
  if (task.state === "needs_reseal") return notice("warn", `No member of cluster ${task.cluster} has a key to open what is sealed in it. It waits, under its id, until it is sealed again.`);
  return notice("busy", prose(task.waits_for));
}

/** What can be done here comes first: the agent's words are for whoever has a terminal, too. */
function nextStep({ kind, failure }) {
  if (kind === "import_batch" && failure.code === "entries_failed") {
    return ["The entries that failed are below, each with what happened and what to do. Make a dataset of those entries alone, mend them there, and ", link("#/submit/import_batch", "import that"), ": the rest would be done once more. In a terminal, ", code("postern-controller task results --failed FILE --dataset FILE"), " writes such a dataset."];
  }
  return prose(failure.next_step);
}

function output({ output: came }) {
  if (!came) return undefined;
  const { warnings = [], user, ...others } = came;
  const told = "user" in came ? user : others;
  if (!told) return notice("quiet", "There is no such account.");
  const lines = Object.entries(told).map(([name, value]) => [name.replaceAll("_", " "), value === false ? "no" : written(value)]);
  return el("section", {}, el("h2", {}, "What came of it"), facts(lines), warnings.map((words) => notice("warn", prose(words))));
}

function attempts({ attempts: had = [] }) {
  if (had.length === 0) return undefined;
  const rows = [
    { name: "Lease", of: (it) => String(it.epoch) },
    { name: "Member", of: (it) => link(`#/members/${it.member}`, code(it.member)) },
    { name: "When", of: (it) => when(it.at) },
  ];
  return el("section", {}, el("h2", {}, "Attempts"), table("Attempts", rows, had));
}

function observations({ observations: had = [] }) {
  if (had.length === 0) return undefined;
  const rows = [
    { name: "Lease", of: (it) => String(it.epoch) },
    { name: "Member", of: (it) => code(it.member) },
    { name: "Said", of: (it) => badge(outcome(it.outcome)) },
    { name: "Changed", of: (it) => changed(it.changed) },
  ];
  return el("section", {}, el("h2", {}, "Observations"), el("p", { class: "hint" }, "What earlier holders reported after the task had gone to another. It does not count as the outcome."), table("Observations", rows, had));
}

async function drawResults(place, task) {
  // One that was cancelled before it began, or refused as a whole, has no records.
  if (task.kind === "import_batch") return task.streams && drawRecords(place, task);
  const own = ownKey(task.id);
  const kind = kindOf(task.kind);
  if (kind?.isSealedFile && task.streams?.length > 0) fill(place, sealedFile(task, own));
  else if (sealedOf(task).length > 0) fill(place, sealedPassword(sealedOf(task)[0], own));
  return undefined;
}

// The outcome may lack a password that an earlier holder set and reported too late.
const sealedOf = ({ sealed = [], outcome, observations: had = [] }) => (sealed.length > 0 || outcome === "succeeded" ? sealed : had.flatMap((it) => it.sealed ?? []).slice(-1));

const cannotOpen = () => notice("warn", "What came of it is sealed to whoever submitted it, and the key is not on this page: it was submitted elsewhere or by somebody else, or whoever submitted it signed out or loaded this page anew since.");

function sealedPassword(sealed, own) {
  if (!own) return cannotOpen();
  const shown = el("div", {});
  const reveal = async () => {
    try {
      const password = text(await openOutput(own.task, sealed, own.pair));
      fill(shown, el("p", {}, "The new password:"), copyable("password", password));
    } catch (problem) {
      fill(shown, notice("bad", prose(problem.message)));
    }
  };
  return el("section", {}, el("h2", {}, "Password"), el("p", {}, "It was sealed to this page, and can be opened here until you sign out, or the page is left or loaded anew."), button("Show the password", reveal, { id: "reveal" }), shown);
}

function sealedFile(task, own) {
  if (!own) return cannotOpen();
  const said = el("div", {});
  const fetchIt = async () => {
    try {
      fill(said, notice("busy", "The file is downloaded and opened…"));
      const key = await openOutput(own.task, task.sealed.find((it) => it.name === "result_key"), own.pair);
      save(await openPayload(key, await download(`/v1/tasks/${task.id}/results`)), fileName(task));
      fill(said, notice("good", "The file was opened and handed to the browser."));
    } catch (problem) {
      fill(said, notice("bad", prose(problem.message)));
    }
  };
  return el("section", {}, el("h2", {}, "File"), el("p", {}, `${size(task.streams[0].length)}, sealed to this page: it can be opened here until you sign out, or the page is left or loaded anew.`), button("Open and save", fetchIt, { kind: "main", id: "open-file", why: whyNot("operator") }), said);
}

function fileName({ kind, system, params }) {
  const ends = { export: params.format, collect: "jsonl", describe_schema: "xml" };
  return `${system}-${kind}.${ends[kind]}`;
}

