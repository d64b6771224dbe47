// Seals the secret of a task again that no member can open, to the keys that its members have now.

import { post } from "./api.js";
import { fromHex, utf8 } from "./bytes.js";
import { el, link, notice, say } from "./dom.js";
import { form } from "./form.js";
import { kindOf } from "./kinds.js";
import { datasetKey } from "./own_keys.js";
import { first, whyNot } from "./role.js";
import { whyNot as whyNotSeal, sealField } from "./seal.js";
import { target } from "./submit.js";

/** What helps a task that waits for being sealed again. */
export async function resealing(task) {
  const kind = kindOf(task.kind);
  const field = kind?.fields.find((it) => it.sealed);
  if (!field) return notice("warn", "This page does not know what was sealed in it.");
  const to = (task.reseal_to ?? []).map(fromHex);
  const why = first(whyNot("operator"), await whyNotSeal(), to.length === 0 ? `Cluster ${task.cluster} has no enabled member to seal to: approve or enable one first.` : undefined);
  const sealed = { id: task.id, number: kind.number, system: task.system, target: target(kind, task.params) };
  const send = async (secret) => {
    await post(`/v1/tasks/${task.id}/reseal`, { sealed: [await sealField(sealed, field.sealed, secret, to)] });
    say("It was sealed again, and goes to a member that can open it.");
  };
  return el("section", { class: "narrow" }, el("h2", {}, "Seal it again"), field.type === "file" ? dataset(task, why, send) : password(field, why, send));
}

function password(field, why, send) {
  const fields = [{ ...field, required: true, hint: "The one of this task, or another: it takes its place. It is sealed in this browser, and the task keeps its id." }];
  return form({ id: "reseal", fields, action: "Seal again", why, send: (values) => send(utf8(values[field.name])) });
}

/** The dataset itself stays where it is: what was sealed is the key to it. */
function dataset(task, why, send) {
  const key = datasetKey(task.id);
  if (!key) return notice("warn", "The key of its dataset is not on this page, so it cannot be sealed again here: cancel the task, and ", link(`#/submit/${task.kind}/${task.system}`, "import the file again"), ".");
  return [
    el("p", {}, "The dataset stays as it was uploaded. Its key is still on this page, and is sealed in this browser to the members that there are now; the task keeps its id."),
    form({ id: "reseal", fields: [], action: "Seal the key of the dataset again", why, send: () => send(key) }),
  ];
}
