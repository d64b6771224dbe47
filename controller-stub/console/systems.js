// The connected systems.

import { all } from "./api.js";
import { el, empty, fill, heading, link, table } from "./dom.js";
import { hears, soon } from "./live.js";
import { whyNot } from "./role.js";
import { list } from "./words.js";

export async function show(place) {
  const shown = el("div", {});
  const load = async () => {
    const systems = await all("/v1/systems");
    fill(shown, systems.length > 0 ? systemTable(systems) : none());
  };
  await load();
  const why = whyNot("administrator");
  const add = el("a", { class: "button main", href: why ? undefined : "#/systems/new", role: why && "link", "aria-disabled": why && "true", title: why, tabindex: "0" }, "Add a connected system");
  fill(place, heading("Connected systems", add), why && el("p", { class: "hint" }, why), shown);
  return hears(["system"], soon(load));
}

const none = () => empty("No connected systems yet.", "A connected system is one Salesforce org, under the name that it has in the agents' configuration. Approve a member first, then add the system and test its connection.");

function systemTable(systems) {
  return table("Connected systems", [
    { name: "Name", of: (it) => link(`#/systems/${it.name}`, it.name) },
    { name: "Display name", of: (it) => it.display_name },
    { name: "Type", of: (it) => it.type },
    { name: "Associated with", of: (it) => it.association },
    { name: "Categories", of: (it) => (it.categories.length > 0 ? list(it.categories) : "–") },
  ], systems);
}
