// The tasks, the newest first.

import { all, page } from "./api.js";
import { badge, button, el, empty, fill, heading, table } from "./dom.js";
import { labelOf } from "./kinds.js";
import { hears, soon } from "./live.js";
import { whyNot } from "./role.js";
import { count, shortId, taskState, when } from "./words.js";

const AT_ONCE = 50;
const STATES = ["queued", "needs_reseal", "leased", "accepted", "started", "in_doubt", "finished"];

export async function show(place, state = "", system = "") {
  const list = el("div", {});
  const systems = await all("/v1/systems");
  let shown = AT_ONCE;
  const more = async () => {
    shown += AT_ONCE;
    await load();
  };
  const load = async () => {
    const { items, isMore } = await upTo(shown, { state, system });
    fill(list, items.length > 0 ? taskTable(items) : none(state || system), isMore && button("Show more", more, { id: "more" }));
  };
  await load();
  const why = whyNot("operator");
  const submit = why ? el("span", { class: "hint" }, "Tasks are submitted with the role operator.") : el("a", { class: "button main", href: "#/submit" }, "Submit a task");
  fill(place, heading("Tasks", submit), filters(systems, state, system), list);
  return hears(["task", "progress"], soon(load));
}

/** As many as are shown, page by page. */
async function upTo(wanted, query) {
  const items = [];
  let cursor = undefined;
  do {
    const answer = await page("/v1/tasks", { ...query, limit: AT_ONCE, cursor });
    items.push(...answer.items);
    cursor = answer.next;
  } while (cursor && items.length < wanted);
  return { items, isMore: Boolean(cursor) };
}

const none = (isFiltered) =>
  isFiltered ? empty("No such tasks.", "Choose another state or system.") : empty("No tasks yet.", "Tasks are submitted here, with postern-controller task submit, or by your identity suite through the API.");

function filters(systems, state, system) {
  const chosen = () => {
    const [of, about] = ["state", "about"].map((id) => document.getElementById(id).value);
    location.hash = `#/tasks/in/${of}/${about}`;
  };
  const option = (value, label, present) => el("option", { value, selected: value === present }, label);
  return el(
    "div",
    { class: "filters" },
    el("label", { for: "state" }, "State"),
    el("select", { id: "state", onchange: chosen }, option("", "all", state), STATES.map((it) => option(it, taskState({ state: it }).word, state))),
    el("label", { for: "about" }, "System"),
    el("select", { id: "about", onchange: chosen }, option("", "all", system), systems.map((it) => option(it.name, it.name, system))),
  );
}

export function taskTable(tasks) {
  return table("Tasks", [
    { name: "Task", of: (it) => [el("a", { href: `#/tasks/${it.id}`, id: `open-${it.id}` }, labelOf(it.kind)), el("div", { class: "small", title: it.id }, shortId(it.id))] },
    { name: "About", of: (it) => [it.params?.account ?? "–", el("div", { class: "small" }, it.system)] },
    { name: "State", of: (it) => [badge(taskState(it)), progress(it)] },
    { name: "Submitted", of: (it) => when(it.submitted) },
  ], tasks);
}

/** How far a task is that tells it. */
export function progress(task) {
  if (task.outcome || !task.progress) return undefined;
  const { done, total, phase } = task.progress;
  const far = total > 0 ? `${done.toLocaleString()} of ${total.toLocaleString()}` : count(done, "record");
  const bar = total > 0 ? el("progress", { max: total, value: done, "aria-label": "Progress" }) : el("progress", { "aria-label": "Progress" });
  return el("div", { class: "progress" }, bar, el("span", { class: "small" }, phase ? `${far}, ${phase}` : far));
}

