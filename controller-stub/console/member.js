// One member: what it may do, how it is, and how it reaches each connected system.

import { get } from "./api.js";
import { badge, code, el, facts, fill, heading, link, notice, prose, table } from "./dom.js";
import { NOW_AND_THEN, hears, soon } from "./live.js";
import { acts } from "./member_acts.js";
import { newer } from "./newer.js";
import { connectionColumns } from "./connection.js";
import { count, size, state, when } from "./words.js";

export async function show(place, id) {
  const path = `/v1/members/${encodeURIComponent(id)}`;
  const load = async () => draw(place, await get(path), after);
  const after = async (what) => {
    if (what !== "remove") return load();
    location.hash = "#/members";
    return undefined;
  };
  await load();
  return hears(["member"], soon(load), NOW_AND_THEN);
}

function draw(place, member, after) {
  fill(
    place,
    el("p", { class: "back" }, link("#/members", "Clusters and members")),
    heading(member.host, badge(state(member.state)), presence(member), acts(member, after)),
    member.alarm && notice("bad", prose(member.alarm)),
    newer(member, after),
    member.state === "pending" && notice("warn", "It waits for approval. Compare the fingerprint with the one that ", code("postern enroll"), " printed on its host."),
    facts([
      ["Fingerprint", el("code", { id: "fingerprint" }, member.fingerprint)],
      ["Member", code(member.id)],
      ["Cluster", member.cluster],
      [member.connected ? "Connected from" : "Last connected from", member.address],
      ["Connected since", when(member.connected_since)],
      ["Last seen", member.connected ? undefined : (when(member.last_seen) ?? "never")],
      ["Agent", member.agent_version],
      ["Holds", count(member.holds, "task")],
      ["Takes more", member.connected ? count(member.room, "task") : undefined],
      ["Owes", owes(member.outbox)],
      ["Sealing keys", member.sealing_keys.map((it) => code(`${it} `))],
      ["Certificate until", when(member.certificate_expires)],
      ["Its serial number", code(member.certificate_serial)],
      ["Session", member.session > 0 ? `number ${member.session}` : "none yet"],
      ["Enrolled", when(member.enrolled)],
    ]),
    member.last_trouble && el("section", {}, el("h2", {}, "Last trouble"), notice("warn", el("p", {}, prose(member.last_trouble.what)), el("p", { class: "small" }, when(member.last_trouble.at)))),
    serves(member),
  );
}

export const presence = ({ connected }) => badge(connected ? { tone: "good", word: "connected" } : { tone: "quiet", word: "not connected" });

/** Reports that the controller does not have yet. */
function owes(outbox) {
  if (!outbox) return undefined;
  if (outbox.reports === 0) return "no reports";
  return `${count(outbox.reports, "report")}, ${size(outbox.bytes)}, the oldest for ${Math.round(outbox.oldest_ms / 1_000)} s`;
}

function serves(member) {
  const title = el("h2", {}, "Connected systems");
  if (member.served.length === 0) {
    const why = member.connected ? "Its configuration names no connected system." : "What it serves is known while it is connected.";
    return el("section", {}, title, el("p", { class: "hint" }, why));
  }
  const system = { name: "System", of: (it) => link(`#/systems/${it.name}`, it.name) };
  return el("section", {}, title, table(`Connected systems of ${member.host}`, [system, ...connectionColumns([])], member.served));
}
