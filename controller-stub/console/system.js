// One connected system: what is known of it, who works on it, and whether it can be reached.

import { get, remove } from "./api.js";
import { confirm } from "./dialog.js";
import { connections, logLevel, testing } from "./connection.js";
import { button, el, fill, heading, link } from "./dom.js";
import { NOW_AND_THEN, hears, soon } from "./live.js";
import { whyNot } from "./role.js";
import { detailsForm, newSystem, same, texts } from "./system_details.js";

export async function showNew(place) {
  fill(place, back(), el("section", { class: "narrow" }, heading("Add a connected system"), await newSystem()));
}

export async function show(place, name) {
  const path = `/v1/systems/${encodeURIComponent(name)}`;
  const parts = Object.fromEntries(["top", "members", "levels", "details", "texts"].map((it) => [it, el("div", {})]));
  let system = undefined;
  const ask = async () => {
    system = await get(path);
  };
  await ask();
  const drawLevels = () => fill(parts.levels, logLevel(system, ordered));
  const ordered = async () => {
    await ask();
    drawLevels();
  };
  // A form that somebody may be writing in stays as it is.
  const look = async () => {
    const { log_level_order: before } = system;
    await ask();
    fill(parts.members, connections(system));
    if (!same(before, system.log_level_order)) drawLevels();
  };
  const saved = async () => {
    const { locale: before } = system;
    await ask();
    fill(parts.details, await detailsForm(system, saved));
    drawTop();
    fill(parts.members, connections(system));
    if (before !== system.locale) drawTexts();
  };
  const drawTop = () => fill(parts.top, heading(system.display_name, el("a", { class: "button", href: `#/submit/validate_user/${system.name}` }, "Submit a task")), el("p", { class: "lead" }, system.description));
  const drawTexts = () => fill(parts.texts, texts(system, written));
  const written = async () => {
    await ask();
    drawTexts();
  };
  drawTop();
  fill(parts.members, connections(system));
  fill(parts.details, await detailsForm(system, saved));
  drawTexts();
  drawLevels();
  fill(
    place,
    back(),
    parts.top,
    el("section", {}, el("h2", {}, "Connection"), testing(system), parts.members),
    el("section", { class: "narrow" }, el("h2", {}, "Details"), parts.details),
    el("section", {}, el("h2", {}, "Texts in other languages"), parts.texts),
    el("section", { class: "narrow" }, el("h2", {}, "Log level for a while"), parts.levels),
    el("section", {}, el("h2", {}, "Remove"), el("p", { class: "hint" }, "Its tasks stay. It cannot be removed while one of them is not finished."), button("Remove this system", () => drop(system), { kind: "danger", why: whyNot("administrator") })),
  );
  return hears(["member", "system"], soon(look), NOW_AND_THEN);
}

const back = () => el("p", { class: "back" }, link("#/systems", "Connected systems"));

async function drop(system) {
  const body = el("p", {}, "What is known of it here is forgotten. The org itself and the agents' configuration stay as they are.");
  if (!(await confirm({ title: `Remove ${system.name}?`, body, action: "Remove", danger: true }))) return;
  await remove(`/v1/systems/${system.name}`);
  location.hash = "#/systems";
}
