// One connected system: what is known of it, who works on it, and whether it can be reached.

import { all, get, post, remove } from "./api.js";
import { confirm } from "./dialog.js";
import { button, el, facts, fill, heading, link, notice, say } from "./dom.js";
import { choice, form } from "./form.js";
import { whyNot } from "./role.js";
import { newTaskId } from "./seal.js";

const RESET_BY = [
  ["obo_user_only", "OBO user only"],
  ["users_and_obo_user", "users and OBO user"],
  ["external", "external"],
];
const PROVISIONING = [
  ["automated", "automated"],
  ["administrative", "administrative"],
];

export async function showNew(place) {
  const associations = await eligible();
  const fields = [
    { name: "name", label: "Name", required: true, hint: "The one of the agents' configuration. It never changes." },
    choice("type", "Type", [["salesforce", "Salesforce"]]),
    ...details(associations),
  ];
  const send = async (values) => {
    const { owners, categories, ...others } = values;
    await post("/v1/systems", { ...others, add_owners: owners, add_categories: categories });
    location.hash = `#/systems/${values.name}`;
  };
  const usual = { association: associations.find((it) => it.value !== "server" && !it.why)?.value };
  const why = whyNot("administrator");
  fill(place, back(), el("section", { class: "narrow" }, heading("Add a connected system"), form({ id: "system", fields, values: usual, action: "Add", why, send })));
}

export async function show(place, name) {
  const [system, associations] = await Promise.all([get(`/v1/systems/${encodeURIComponent(name)}`), eligible()]);
  fill(
    place,
    back(),
    heading(system.display_name, el("a", { class: "button", href: `#/submit/validate_user/${system.name}` }, "Submit a task")),
    el("p", { class: "lead" }, system.description),
    connection(system),
    el("section", { class: "narrow" }, el("h2", {}, "Details"), detailsForm(place, system, associations)),
    el("section", {}, el("h2", {}, "Remove"), el("p", { class: "hint" }, "Its tasks stay. It cannot be removed while one of them is not finished."), button("Remove this system", () => drop(system), { kind: "danger", why: whyNot("administrator") })),
  );
}

const back = () => el("p", { class: "back" }, link("#/systems", "Connected systems"));

/** Whom a system can be associated with: the server, or a cluster with a member that is registered and enabled. */
async function eligible() {
  const [clusters, members] = await Promise.all([all("/v1/clusters"), all("/v1/members")]);
  const works = new Set(members.filter((it) => it.state === "enabled").map((it) => it.cluster));
  const named = clusters.map(({ name }) => ({ value: name, label: name, why: works.has(name) ? undefined : "no registered and enabled member" }));
  return [{ value: "server", label: "server" }, ...named];
}

const details = (associations) => [
  { name: "display_name", label: "Display name", hint: "Empty: the name." },
  { name: "description", label: "Description" },
  { name: "locale", label: "Locale", hint: "The language of the two, such as en or fr-CA.", usual: "en" },
  { name: "association", label: "Associated with", type: "select", options: associations, hint: "Who works on it: a cluster with a registered and enabled member. This controller runs no connectors itself, so a system of “server” takes no tasks." },
  choice("password_reset_by", "Password reset by", RESET_BY, { hint: "Who may have passwords reset, besides administrators." }),
  choice("provisioning_option", "Provisioning option", PROVISIONING, { hint: "Administrative: workflows cannot use it." }),
  { name: "hpam", label: "HPAM", type: "check", hint: "Its accounts are managed as privileged ones." },
  { name: "transfer_of_accounts", label: "Transfer of accounts", type: "check", hint: "Its accounts can be transferred." },
  { name: "owners", label: "Owners", type: "lines", hint: "One a line.", of: ["add_owners", "remove_owners"] },
  { name: "categories", label: "Categories", type: "lines", hint: "One a line.", of: ["add_categories", "remove_categories"] },
];

function detailsForm(place, system, associations) {
  const fields = [{ name: "name", label: "Name", fixed: true, hint: "Names never change." }, { name: "type", label: "Type", fixed: true }, ...details(keeping(associations, system.association))];
  const send = async (values) => {
    const { revision } = await post(`/v1/systems/${system.name}`, { ...changes(system, values), revision: system.revision });
    if (values.association !== system.association) await post(`/v1/systems/${system.name}/associate`, { association: values.association, revision });
    say(`${system.name} was saved.`);
    await show(place, system.name);
  };
  return form({ id: "system", fields, values: system, action: "Save", why: whyNot("administrator"), send });
}

/** What a system is associated with can stay, whatever became of it. */
const keeping = (associations, present) => associations.map((it) => (it.value === present ? { ...it, why: undefined } : it));

function changes(system, { name, type, association, owners, categories, ...others }) {
  return {
    ...others,
    add_owners: owners.filter((it) => !system.owners.includes(it)),
    remove_owners: system.owners.filter((it) => !owners.includes(it)),
    add_categories: categories.filter((it) => !system.categories.includes(it)),
    remove_categories: system.categories.filter((it) => !categories.includes(it)),
  };
}

async function drop(system) {
  if (!(await confirm({ title: `Remove ${system.name}?`, body: el("p", {}, "What is known of it here is forgotten. The org itself and the agents' configuration stay as they are."), action: "Remove", danger: true }))) return;
  try {
    await remove(`/v1/systems/${system.name}`);
    location.hash = "#/systems";
  } catch (problem) {
    say(problem.message);
  }
}

function connection(system) {
  const result = el("div", { id: "connection", role: "status" });
  const test = async () => {
    fill(result, notice("busy", "A member of the cluster signs in to Salesforce…"));
    try {
      fill(result, told(await tested(system)));
    } catch (problem) {
      fill(result, notice("bad", problem.message));
    }
  };
  return el("section", {}, el("h2", {}, "Connection"), button("Test Connection", test, { kind: "main", id: "test-connection", why: whyNot("operator") }), result);
}

async function tested(system) {
  const id = newTaskId();
  let task = await post("/v1/tasks", { id, system: system.name, kind: "test_connection", deadline_secs: 120 });
  while (!task.outcome && task.state !== "needs_reseal") task = await get(`/v1/tasks/${id}/wait?secs=30`);
  return task;
}

function told(task) {
  const more = el("p", {}, link(`#/tasks/${task.id}`, "The task"));
  if (task.outcome !== "succeeded") return failed(task, more);
  const it = task.output;
  const used = it.api_calls_used !== null && it.api_calls_limit !== null ? `${it.api_calls_used} of ${it.api_calls_limit} in 24 hours` : undefined;
  return notice(
    "good",
    el("p", {}, el("strong", {}, it.message)),
    facts([["Instance", it.instance], ["Organization", it.organization], ["Service account", it.account], ["Sign-in", it.method], ["Network", it.network], ["Seen from", it.source_address], ["API calls", used]]),
    it.warnings.map((words) => el("p", { class: "warn-text" }, words)),
    more,
  );
}

/** The agent's words tell the hop that failed, and why; the next step is the procedure. */
function failed({ failure, note, outcome }, more) {
  const summary = failure?.summary ?? (note || (outcome === "expired" ? "Connection from the agent to the connected system failed: no member took the test within two minutes." : `The test ended as ${outcome}.`));
  const next = failure?.next_step || (outcome === "expired" && "See whether a member of the cluster is enabled, connected and serves this system.");
  return notice("bad", el("p", {}, el("strong", {}, summary)), failure && el("p", { class: "small" }, "Reason: ", el("code", {}, failure.code)), next && el("p", {}, "What to do: ", next), more);
}
