// What came of each entry of a batch.

import { download, page } from "./api.js";
import { badge, button, code, el, empty, fill, notice, prose, save, table } from "./dom.js";
import { whyNot } from "./role.js";
import { outcome } from "./words.js";

/** How many records are asked for at once. */
const RECORDS = 50;

/** What came of each entry of a batch; at first those that did not succeed. */
export async function drawRecords(place, task) {
  const why = whyNot("operator");
  if (why) {
    fill(place, el("h2", {}, "Records"), notice("warn", why));
    return;
  }
  const list = el("div", { id: "records" });
  const only = el("select", { id: "only", onchange: () => load() }, el("option", { value: "failed" }, "that failed"), el("option", { value: "" }, "all"));
  const here = location.hash;
  let newest = 0;
  const load = async (before = [], cursor = undefined) => {
    const asked = (newest += 1);
    const isWanted = () => asked === newest && location.hash === here;
    try {
      const { items, next } = await someRecords(task, only.value, cursor, isWanted);
      if (!isWanted()) return;
      const shown = [...before, ...items];
      fill(list, shown.length > 0 ? recordTable(shown) : noRecords(task, only.value), next && button("Show more", () => load(shown, next), { id: "more-records" }));
    } catch (problem) {
      if (isWanted()) fill(list, notice("bad", prose(problem.message)));
    }
  };
  fill(place, el("section", {}, el("h2", {}, "Records"), el("div", { class: "filters" }, el("label", { for: "only" }, "Entries"), only, saveButton(task)), !isWhole(task) && notice("warn", UNTOLD), list));
  await load();
}

/** All results as a file, a line of JSON for each entry: what `task results` prints. */
function saveButton(task) {
  const act = async () => save(await download(`/v1/tasks/${task.id}/results`), `${task.system}-results.jsonl`);
  return button("Save all results", act, { id: "save-results" });
}

/** The next records. Of a large batch a page may be empty although there are more: those are looked for as long as somebody wants them. */
async function someRecords(task, only, cursor, isWanted) {
  const answer = await page(`/v1/tasks/${task.id}/records`, { only, limit: RECORDS, cursor });
  return answer.items.length > 0 || !answer.next || !isWanted() ? answer : someRecords(task, only, answer.next, isWanted);
}

/** Whether every entry has its record: a batch that was given up in the middle has no output. */
const isWhole = (task) => task.output && task.failure?.code !== "results_incomplete";

const UNTOLD = "Not every entry has its record: one that is not among all of these was not done, or it is not known.";

function noRecords(task, only) {
  if (!isWhole(task)) return empty(only ? "No entry that was told of failed." : "No entry was told of.");
  return empty(only ? "No entry failed." : "The dataset has no entries.");
}

function recordTable(records) {
  return table("Records", [
    { name: "Entry", of: (it) => String(it.entry) },
    { name: "Account", of: (it) => it.account || "–" },
    { name: "Outcome", of: (it) => badge(outcome(it.outcome)) },
    { name: "Message", of: (it) => [it.message ? el("span", {}, prose(it.message)) : "–", it.code && el("div", { class: "small" }, code(it.code))] },
  ], records);
}

