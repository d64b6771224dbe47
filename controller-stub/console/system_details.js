// The forms of what is known of a connected system.

import { all, get, make, post } from "./api.js";
import { confirm } from "./dialog.js";
import { button, el, say, sayOnceShown, table } from "./dom.js";
import { Mistake, choice, form } from "./form.js";
import { whyNot } from "./role.js";

const RESET_BY = [
  ["obo_user_only", "OBO user only"],
  ["users_and_obo_user", "users and OBO user"],
  ["external", "external"],
];
const PROVISIONING = [
  ["automated", "automated"],
  ["administrative", "administrative"],
];

/** Whom a system can be associated with: the server, or a cluster with a member that is registered and enabled. */
async function eligible() {
  return associationsOf(...(await Promise.all([all("/v1/clusters"), all("/v1/members")])));
}

function associationsOf(clusters, members) {
  const works = new Set(members.filter((it) => it.state === "enabled").map((it) => it.cluster));
  const named = clusters.map(({ name }) => ({ value: name, label: name, why: works.has(name) ? undefined : "no registered and enabled member" }));
  return [{ value: "server", label: "server" }, ...named];
}

const details = (associations) => [
  { name: "display_name", label: "Display name", hint: "Empty: the name." },
  { name: "description", label: "Description" },
  { name: "locale", label: "Locale", hint: "The language of display name and description, such as en or fr-CA.", usual: "en" },
  { name: "association", label: "Associated with", type: "select", options: associations, hint: "Who works on it: a cluster with a registered and enabled member. This controller runs no connectors itself, so a system of “server” takes no tasks." },
  choice("password_reset_by", "Password reset by", RESET_BY, { hint: "Who may have passwords reset, besides administrators. OBO: somebody who acts on behalf of users." }),
  choice("provisioning_option", "Provisioning option", PROVISIONING, { hint: "Administrative: workflows cannot use it." }),
  { name: "hpam", label: "HPAM", type: "check", hint: "Its accounts are managed as privileged ones." },
  { name: "transfer_of_accounts", label: "Transfer of accounts", type: "check", hint: "Its accounts can be transferred." },
  { name: "owners", label: "Owners", type: "lines", hint: "One a line.", of: ["add_owners", "remove_owners"] },
  { name: "categories", label: "Categories", type: "lines", hint: "One a line.", of: ["add_categories", "remove_categories"] },
];

/** The form of a system to come. */
export async function newSystem() {
  const [clusters, members, systems] = await Promise.all([all("/v1/clusters"), all("/v1/members"), all("/v1/systems")]);
  const associations = associationsOf(clusters, members);
  const taken = new Set(systems.map((it) => it.name));
  const known = [...new Set(members.flatMap((it) => it.systems))].filter((it) => !taken.has(it)).sort();
  const fields = [
    { name: "name", label: "Name", required: true, known, hint: "The one of the agents' configuration, where its address and credentials are, too, and nowhere else. It never changes." },
    choice("type", "Type", [["salesforce", "Salesforce"]]),
    ...details(associations),
  ];
  const send = async ({ owners, categories, ...others }) => {
    await make("/v1/systems", { ...others, add_owners: owners, add_categories: categories });
    location.hash = `#/systems/${others.name}`;
  };
  const usual = { association: associations.find((it) => it.value !== "server" && !it.why)?.value };
  return form({ id: "system", fields, values: usual, action: "Add", why: whyNot("administrator"), send });
}

/** The form of one that is there. What is sent is what was changed in it, of the revision that it was made of. */
export async function detailsForm(system, after) {
  const associations = await eligible();
  // What was changed is seen from what the form was made of, whatever others have done since.
  let latest = system;
  const fields = [{ name: "name", label: "Name", fixed: true, hint: "Names never change." }, { name: "type", label: "Type", fixed: true }, ...details(keeping(associations, system.association))];
  const send = async (values) => {
    const mine = changed(system, values);
    if (mine.length === 0) {
      say("Nothing was changed.");
      return;
    }
    try {
      await save({ ...system, revision: latest.revision }, values, mine);
    } catch (problem) {
      if (problem.field !== "revision") throw problem;
      const before = latest;
      latest = await get(`/v1/systems/${system.name}`);
      // What was sent before, and its answer lost, was done by nobody else.
      const left = mine.filter((field) => !same(sorted(values[field]), sorted(latest[field])));
      const mistake = meanwhile(before, latest, mine, left);
      if (mistake) throw mistake;
      await save({ ...system, revision: latest.revision }, values, left);
    }
    await sayOnceShown(after(), `${system.name} was saved.`);
  };
  return form({ id: "system", fields, values: system, action: "Save", why: whyNot("administrator"), send });
}

/** What a system is associated with can stay, whatever became of it. */
const keeping = (associations, present) => associations.map((it) => (it.value === present ? { ...it, why: undefined } : it));

/** Whether two values are the same as JSON has them. */
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Of lists the order is of no account. */
const sorted = (value) => (Array.isArray(value) ? value.toSorted() : value);

/** The fields that have another value now. */
const changed = (system, values) => Object.keys(values).filter((field) => field !== "name" && field !== "type" && !same(values[field], system[field]));

async function save(system, values, fields) {
  const path = `/v1/systems/${system.name}`;
  let { revision } = system;
  const edits = fields.filter((it) => it !== "association").map((field) => changeOf(field, system, values));
  if (edits.length > 0) ({ revision } = await post(path, Object.assign({ revision }, ...edits)));
  if (fields.includes("association")) await post(`${path}/associate`, { revision, association: values.association });
}

function changeOf(field, system, values) {
  if (field !== "owners" && field !== "categories") return { [field]: values[field] };
  const [before, now] = [system[field], values[field]];
  return { [`add_${field}`]: now.filter((it) => !before.includes(it)), [`remove_${field}`]: before.filter((it) => !now.includes(it)) };
}

/** Somebody else saved first: what is now there is said at the first field that both changed, unless both to the same. Nothing if
 * it is not in the form. */
function meanwhile(before, now, mine, left) {
  const isTheirs = (field) => details([]).some((it) => it.name === field) && (left.includes(field) || !mine.includes(field));
  const theirs = changed(before, now).filter(isTheirs);
  const again = "What you typed is still here: save again to put it in place of that, or load the page anew.";
  const both = theirs.find((it) => left.includes(it));
  if (both) return new Mistake(both, `Somebody else changed it meanwhile to “${[now[both]].flat().join(", ")}”. ${again}`);
  if (theirs.length === 0) return undefined;
  const names = details([]).filter((it) => theirs.includes(it.name)).map((it) => it.label);
  return new Mistake(undefined, `Somebody else changed this system meanwhile (${names.join(", ")}), but nothing that you changed. Save again to add yours to it.`);
}

/** What the system is called in other languages. */
export function texts(system, after) {
  const why = whyNot("administrator");
  const path = `/v1/systems/${system.name}`;
  const write = async (locale, display, description) => {
    await post(path, { in: locale, display_name: display, description });
    await after();
  };
  const known = Object.entries(system.texts ?? {}).map(([locale, said]) => ({ locale, ...said }));
  const drop = ({ locale, display_name: display, description }) => async () => {
    const body = el("p", {}, "Nothing keeps them: ", [display, description].filter((it) => it).join(" – "));
    if (!(await confirm({ title: `Remove the texts in ${locale}?`, body, action: "Remove" }))) return;
    await write(locale, "", "");
    say(`The texts in ${locale} were removed.`);
  };
  const columns = [
    { name: "Language", of: (it) => it.locale },
    { name: "Display name", of: (it) => it.display_name || "–" },
    { name: "Description", of: (it) => it.description || "–" },
    { name: "Do", of: (it) => button("Remove", drop(it), { why, id: `text-remove-${it.locale}`, "aria-label": `Remove the texts in ${it.locale}` }) },
  ];
  const fields = [
    { name: "in", label: "Language", required: true, hint: "Such as fr or fr-CA. One that is there already is written anew." },
    { name: "display_name", label: "Display name", required: true },
    { name: "description", label: "Description" },
  ];
  const send = async (values) => {
    if (values.in === system.locale) throw new Mistake("in", `${system.locale} is the system's own language: its texts are above.`);
    await write(values.in, values.display_name, values.description);
    say(`The texts in ${values.in} were saved.`);
  };
  return [
    known.length > 0 ? table("Texts in other languages", columns, known) : el("p", { class: "hint" }, `There are none: everybody sees those in ${system.locale}.`),
    !why && el("details", { id: "texts-more" }, el("summary", {}, "Write them in a language"), form({ id: "texts", fields, action: "Save the texts", send })),
  ];
}
