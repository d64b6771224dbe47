// How the controller is, and what there is to do.

import { all, get, page } from "./api.js";
import { el, empty, fill, heading, link } from "./dom.js";
import { hears, soon } from "./live.js";
import { taskTable } from "./tasks.js";
import { count } from "./words.js";

const NEWEST = 8;

export async function show(place) {
  const load = async () => draw(place, await look());
  await load();
  return hears(["task", "member", "cluster", "system"], soon(load));
}

async function look() {
  const [status, clusters, members, systems, tasks] = await Promise.all([
    get("/v1/status"),
    all("/v1/clusters"),
    all("/v1/members"),
    all("/v1/systems"),
    page("/v1/tasks", { limit: NEWEST }),
  ]);
  return { status, clusters, members, systems, tasks: tasks.items };
}

function draw(place, seen) {
  const { status, members, systems, tasks } = seen;
  const unfinished = Object.values(status.unfinished).reduce((sum, it) => sum + it, 0);
  const todo = whatToDo(seen);
  fill(
    place,
    heading("Overview"),
    el(
      "ul",
      { class: "tiles" },
      tile("#/members", `${status.connected} of ${members.length}`, "members connected"),
      tile("#/systems", systems.length, systems.length === 1 ? "connected system" : "connected systems"),
      tile("#/tasks", unfinished, unfinished === 1 ? "task under way" : "tasks under way"),
      tile("#/tasks", status.finished.toLocaleString(), status.finished === 1 ? "task finished" : "tasks finished"),
    ),
    todo.length > 0 && el("section", {}, el("h2", {}, "To do"), el("ul", { class: "todo" }, todo.map((it) => el("li", {}, it)))),
    el("section", {}, el("h2", {}, "Newest tasks"), tasks.length > 0 ? taskTable(tasks) : empty("No tasks yet.", "Choose a connected system and test its connection.")),
    el("p", { class: "hint" }, `Controller ${status.version}`),
  );
}

const tile = (to, number, what) => el("li", {}, el("a", { href: to }, el("strong", {}, String(number)), " ", what));

function whatToDo({ status, clusters, members, systems }) {
  const todo = [];
  const pending = members.filter((it) => it.state === "pending").length;
  const alarmed = members.filter((it) => it.alarm).length;
  const away = members.filter((it) => it.state === "enabled" && !it.connected).length;
  const reseal = status.unfinished.needs_reseal ?? 0;
  if (clusters.length === 0) todo.push(["There is no cluster yet: ", link("#/members", "make one"), "."]);
  else if (members.length === 0) todo.push(["No agent has enrolled yet: ", link("#/members", "make an enrollment token"), "."]);
  else if (systems.length === 0) todo.push(["No connected system yet: ", link("#/systems/new", "add one"), "."]);
  if (pending > 0) todo.push([link("#/members", `${count(pending, "member")} to approve`), ": compare the fingerprint with what ", el("code", {}, "postern enroll"), " printed."]);
  if (alarmed > 0) todo.push([link("#/members", count(alarmed, "member")), " disabled by the controller itself: read why."]);
  if (away > 0) todo.push([link("#/members", count(away, "enabled member")), " not connected: is the agent running, and is the network there?"]);
  if (reseal > 0) todo.push([link("#/tasks/in/needs_reseal", count(reseal, "task")), " that no member can open: seal the secret again."]);
  return todo;
}
