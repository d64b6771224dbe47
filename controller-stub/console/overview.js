// How the controller is, and what there is to do.

import { all, get, page } from "./api.js";
import { code, el, empty, fill, heading, link, table } from "./dom.js";
import { hears, soon } from "./live.js";
import { taskTable } from "./tasks.js";
import { count, when } from "./words.js";

const NEWEST = 8;
/** Beyond, systems are "more than", and it is not looked for clusters that nobody works for. */
const MANY = 200;

export async function show(place) {
  const load = async () => draw(place, await look());
  await load();
  return hears(["task", "member", "cluster", "system"], soon(load));
}

async function look() {
  const [status, clusters, systems, tasks] = await Promise.all([get("/v1/status"), all("/v1/clusters"), page("/v1/systems", { limit: MANY }), page("/v1/tasks", { limit: NEWEST })]);
  const members = await page("/v1/members", { limit: MANY });
  return { status, clusters, systems, tasks: tasks.items, idle: members.next ? [] : idle(clusters, members.items) };
}

/** Clusters that have members, and none that works. */
function idle(clusters, members) {
  const of = (name) => members.filter((it) => it.cluster === name && it.state !== "pending" && it.state !== "revoked");
  return clusters.map(({ name }) => name).filter((name) => of(name).length > 0 && !of(name).some((it) => it.state === "enabled" && it.connected));
}

const sum = (counts) => Object.values(counts).reduce((before, it) => before + it, 0);

function draw(place, seen) {
  const { status, systems, tasks } = seen;
  const [members, unfinished, known] = [sum(status.members), sum(status.unfinished), systems.items.length];
  const todo = whatToDo(seen, members);
  fill(
    place,
    heading("Overview"),
    el(
      "ul",
      { class: "tiles" },
      tile("#/members", `${status.connected.toLocaleString()} of ${members.toLocaleString()}`, "members connected"),
      tile("#/systems", systems.next ? `${known}+` : known, known === 1 ? "connected system" : "connected systems"),
      tile("#/tasks", unfinished.toLocaleString(), unfinished === 1 ? "task under way" : "tasks under way"),
      tile("#/tasks/in/finished", status.finished.toLocaleString(), status.finished === 1 ? "task finished" : "tasks finished"),
    ),
    todo.length > 0 && el("section", {}, el("h2", {}, "To do"), el("ul", { class: "todo" }, todo.map((it) => el("li", {}, it)))),
    attention(status),
    waiting(status),
    el("section", {}, el("h2", {}, "Newest tasks"), tasks.length > 0 ? taskTable(tasks) : empty("No tasks yet.", known > 0 && ["Choose ", link("#/systems", "a connected system"), " and test its connection."])),
    el("p", { class: "hint" }, `Controller ${status.version}`),
  );
}

const tile = (to, number, what) => el("li", {}, link(to, [el("strong", {}, String(number)), " ", what]));

function whatToDo({ status, clusters, systems, idle: resting }, members) {
  const todo = [];
  const pending = status.members.pending ?? 0;
  const reseal = status.unfinished.needs_reseal ?? 0;
  const { trouble, fault } = status.audit;
  if (clusters.length === 0) todo.push(["There is no cluster yet: ", link("#/members", "make one"), "."]);
  else if (members === 0) todo.push(["No agent has enrolled yet: ", link("#/members", "make an enrollment token"), "."]);
  else if (systems.items.length === 0) todo.push(["No connected system yet: ", link("#/systems/new", "add one"), "."]);
  if (pending > 0) todo.push([link("#/members/in/pending", `${count(pending, "member")} to approve`), ": compare the fingerprint with what ", code("postern enroll"), " printed."]);
  const waiting = status.newer_certificates;
  if (waiting > 0) todo.push([link("#/members", `${count(waiting, "certificate")} to accept`), " that are newer than what is on record, as after a restore of the controller from a backup."]);
  for (const name of resting) todo.push(["Nobody works for cluster ", link("#/members", name), ": none of its members is enabled and connected."]);
  if (reseal > 0) todo.push([link("#/tasks/in/needs_reseal", count(reseal, "task")), " that no member can open: seal the secret again."]);
  if (trouble) todo.push(["The audit log cannot be written: ", trouble]);
  if (fault) todo.push(["The audit log was found altered: ", fault, " See ", code("postern-controller audit verify"), "."]);
  return todo;
}

/** Members that somebody should look at; those to approve are told above. */
function attention(status) {
  const others = status.attention.filter((it) => it.why !== "waits for approval");
  if (others.length === 0) return undefined;
  return el("section", {}, el("h2", {}, "Members to look at"), table("Members to look at", [
    { name: "Host", of: (it) => link(`#/members/${it.member}`, it.host) },
    { name: "Cluster", of: (it) => it.cluster },
    { name: "Why", of: (it) => it.why },
  ], others));
}

/** Work that nobody is there for. */
function waiting(status) {
  const stuck = status.queues.filter((it) => it.members === 0);
  if (stuck.length === 0) return undefined;
  return el("section", {}, el("h2", {}, "Work that nobody is there for"), table("Work that nobody is there for", [
    { name: "System", of: (it) => link(`#/systems/${it.system}`, it.system) },
    { name: "Cluster", of: (it) => it.cluster },
    { name: "Tasks", of: (it) => link(`#/tasks/in//${it.system}`, sum(it.tasks).toLocaleString()) },
    { name: "The oldest since", of: (it) => when(it.oldest) },
  ], stuck));
}
