// Submits tasks. What is secret is sealed here before it leaves the page.

import { all, get, mayBeDone, post, upload } from "./api.js";
import { fromHex, hex, sha256, utf8 } from "./bytes.js";
import { el, empty, fill, heading, link } from "./dom.js";
import { Mistake, form } from "./form.js";
import { keyPair } from "./hpke.js";
import { COMMON, KINDS, kindOf, seals } from "./kinds.js";
import { drop, keep, makeRoom } from "./own_keys.js";
import { first, whyNot } from "./role.js";
import { whyNot as whyNotSeal, newTaskId, sealDataset, sealField } from "./seal.js";
import { among, shortId } from "./words.js";

/** The largest dataset that is sealed in a browser: it is in memory twice, and takes some seconds for each 10 MiB. */
const MAX_DATASET = 64 * 1024 * 1024;
const FORMATS = { xml: "xml", csv: "csv", tsv: "csv", jsonl: "jsonl", ndjson: "jsonl" };

export async function show(place, kindName = "validate_user", systemName = undefined) {
  const [systems, cannotSeal] = await Promise.all([all("/v1/systems"), whyNotSeal()]);
  const kind = kindOf(kindName) ?? kindOf("validate_user");
  if (systems.length === 0) {
    fill(place, heading("Submit a task"), empty("There is no connected system to do it on.", ["First ", link("#/systems/new", "add one"), "."]));
    return;
  }
  const why = first(whyNot("operator"), seals(kind) ? cannotSeal : undefined);
  const fields = [systemField(systems), ...kind.fields, ...COMMON];
  fill(
    place,
    el("p", { class: "back" }, link("#/tasks", "Tasks")),
    el(
      "section",
      { class: "narrow" },
      heading("Submit a task"),
      chooser(kind),
      el("p", { class: "lead" }, kind.what),
      form({ id: "task", fields, values: { system: systemName }, action: kind.label, why, send: (values, tell) => submit(kind, values, tell) }),
    ),
  );
}

function chooser(kind) {
  const chosen = (event) => {
    location.hash = `#/submit/${event.target.value}/${document.getElementById("task-system").value}`;
  };
  const options = KINDS.map((it) => el("option", { value: it.kind, selected: it === kind }, it.label));
  return el("div", { class: "field" }, el("label", { for: "kind" }, "What to do"), el("select", { id: "kind", onchange: chosen }, options));
}

const systemField = (systems) => ({
  name: "system",
  label: "Connected system",
  type: "select",
  options: systems.map((it) => ({ value: it.name, label: it.display_name === it.name ? it.name : `${it.display_name} (${it.name})` })),
});

async function submit(kind, values, tell) {
  const task = { id: newTaskId(), number: kind.number, system: values.system, target: target(kind, values) };
  const { sealed, streams, key } = await secret(kind, task, values, tell);
  const pair = kind.isSealedFile || kind.wantsKey?.(values) ? await keyPair() : undefined;
  // Before anybody hears of it: whoever loses the answer can open what comes of it all the same.
  if (pair || key) keep(task, { pair, dataset: key });
  tell("The controller takes it in…");
  const submitted = post("/v1/tasks", {
    id: task.id,
    system: values.system,
    kind: kind.kind,
    params: parameters(kind, values),
    sealed,
    streams,
    requester: pair && hex(pair.publicKey),
    origin: values.origin,
    deadline_secs: values.deadline_secs,
    priority: values.priority,
  });
  await submitted.catch((problem) => {
    if (mayBeDone(problem)) problem.message += ` It may have taken the task in: look for ${shortId(task.id)} among the tasks before you submit it again.`;
    else drop(task.id);
    throw problem;
  }).finally(makeRoom);
  location.hash = `#/tasks/${task.id}`;
}

/** What a task is about, as members write it. What is sealed is bound to it. */
export function target(kind, values) {
  if (kind.kind === "collect") return values.name.toLowerCase();
  if (kind.kind === "export") return values.delta?.cursor ? `${values.object} ${values.delta.cursor}`.toLowerCase() : "";
  return (values.account ?? "").toLowerCase();
}

function parameters(kind, values) {
  const own = kind.fields.filter((field) => !field.sealed).map((field) => [field.name, values[field.name]]);
  const parameters = Object.fromEntries(own.filter(([, value]) => value !== undefined && value !== ""));
  return kind.kind === "import_batch" ? { ...parameters, format: formatOf(values) } : parameters;
}

function formatOf({ format, dataset }) {
  const found = format || among(FORMATS, dataset.name.split(".").pop().toLowerCase());
  if (!found) throw new Mistake("format", "The name of the file does not tell how it is written: choose it here.");
  return found;
}

/** What is sealed in a form, if anything is: no kind has more than one secret. */
async function secret(kind, task, values, tell) {
  const field = kind.fields.find((it) => it.sealed && (it.when?.(values) ?? true));
  if (!field) return { sealed: [], streams: [] };
  const keys = await keysOf(values.system);
  if (field.type !== "file") return { sealed: [await sealField(task, field.sealed, password(field, values), keys)], streams: [] };
  const { key, stream } = await dataset(field, values, tell);
  return { sealed: [await sealField(task, field.sealed, key, keys)], streams: [stream], key };
}

function password(field, values) {
  if (values[field.name] === "") throw new Mistake(field.name, `${field.label} is missing.`);
  return utf8(values[field.name]);
}

/** Uploads a dataset under a fresh key. */
async function dataset(field, values, tell) {
  const file = values[field.name];
  formatOf(values);
  if (file.size > MAX_DATASET) throw new Mistake(field.name, `The file is larger than 64 MiB: submit it with \`postern-controller task submit import_batch --system ${values.system} --dataset FILE\`.`);
  const { key, sealed } = await sealDataset(new Uint8Array(await file.arrayBuffer()), (part) => tell(`Sealed: ${Math.round(part * 100)} %`));
  tell("The sealed dataset is uploaded…");
  const { id } = await upload(sealed, hex(await sha256(sealed)));
  return { key, stream: id };
}

/** The newest sealing keys of the members that work on a system. */
async function keysOf(name) {
  const system = await get(`/v1/systems/${name}`);
  if (system.association === "server") {
    throw new Mistake("system", `${name} is associated with the server, and this controller runs no connectors itself: associate it with a cluster.`);
  }
  const { keys } = await get(`/v1/clusters/${system.association}/keys`);
  if (keys.length === 0) throw new Mistake("system", `Cluster ${system.association} has no enabled member to seal to: approve or enable one.`);
  return keys.map((key) => fromHex(key.public));
}
