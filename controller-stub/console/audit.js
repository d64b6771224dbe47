// Who did what, the newest first.

import { page } from "./api.js";
import { badge, button, code, el, empty, fill, heading, notice, table } from "./dom.js";
import { whyNot } from "./role.js";
import { when } from "./words.js";

const AT_ONCE = 50;

export async function show(place) {
  const why = whyNot("administrator");
  if (why) {
    fill(place, heading("Audit log"), notice("warn", why));
    return;
  }
  const list = el("div", {});
  const load = async (before = [], cursor = undefined) => {
    const { items, next } = await page("/v1/audit", { limit: AT_ONCE, cursor });
    const lines = [...before, ...items];
    fill(list, lines.length > 0 ? lineTable(lines) : empty("Nothing was done yet."), next && button("Show more", () => load(lines, next), { id: "more" }));
  };
  await load();
  fill(place, heading("Audit log"), el("p", { class: "hint" }, "Whether anybody altered it says ", code("postern-controller audit verify"), " on the controller's host."), list);
}

function lineTable(lines) {
  return table("Audit log", [
    { name: "Line", of: (it) => String(it.number) },
    { name: "When", of: (it) => when(Date.parse(it.time)) },
    { name: "Who", of: ({ event: { by } }) => (by.name ? [by.name, el("div", { class: "small" }, `${by.role} from ${by.from}`)] : String(by)) },
    { name: "What", of: ({ event }) => [code(event.act), el("div", {}, event.on)] },
    { name: "Result", of: ({ event }) => [badge({ tone: event.result === "done" ? "good" : "bad", word: event.result }), event.why && el("div", { class: "small" }, event.why)] },
  ], lines);
}
