// Clusters, and the agents that are their members.

import { all, get, post, remove } from "./api.js";
import { confirm } from "./dialog.js";
import { badge, button, code, el, empty, facts, fill, heading, notice, say, table } from "./dom.js";
import { form } from "./form.js";
import { hears, soon } from "./live.js";
import { whyNot } from "./role.js";
import { count, shortId, state, when } from "./words.js";

export async function show(place) {
  const made = el("div", {});
  const list = el("div", {});
  const load = async () => {
    const [clusters, members] = await Promise.all([all("/v1/clusters"), all("/v1/members")]);
    fill(list, clusters.length > 0 ? clusters.map((it) => section(it, members, made, load)) : noClusters());
  };
  await load();
  fill(place, heading("Clusters and members"), made, list, newCluster(load));
  return hears(["member", "cluster"], soon(load));
}

const noClusters = () => empty("No clusters yet.", "A cluster is the agents that share the work of a connected system. Make one below, then a token for its first agent.");

function section({ name }, members, made, load) {
  const own = members.filter((it) => it.cluster === name);
  return el(
    "section",
    { "aria-labelledby": `cluster-${name}` },
    el(
      "div",
      { class: "heading" },
      el("h2", { id: `cluster-${name}` }, name),
      button("Make an enrollment token", () => makeToken(name, made), { why: whyNot("administrator"), id: `token-${name}` }),
    ),
    own.length > 0 ? memberTable(name, own, load) : empty("No members yet.", ["Make an enrollment token, then run ", code("postern enroll"), " on the agent's host."]),
  );
}

function memberTable(cluster, members, load) {
  return table(`Members of ${cluster}`, [
    { name: "Host", of: (it) => [el("strong", {}, it.host), el("div", { class: "small" }, el("span", { title: it.id }, shortId(it.id)))] },
    { name: "State", of: (it) => [badge(state(it.state)), it.alarm && el("p", { class: "small bad-text" }, it.alarm)] },
    { name: "Session", of: (it) => (it.connected ? [badge({ tone: "good", word: "connected" }), el("div", { class: "small" }, it.address)] : badge({ tone: "quiet", word: "not connected" })) },
    { name: "Tasks", of: (it) => String(it.holds) },
    { name: "Fingerprint and more", of: details },
    { name: "Do", of: (it) => el("div", { class: "row-actions" }, actions(it, load)) },
  ], members);
}

function details(member) {
  return el(
    "details",
    {},
    el("summary", { id: `more-${member.id}` }, shortId(member.fingerprint)),
    facts([
      ["Fingerprint", code(member.fingerprint)],
      ["Id", code(member.id)],
      ["Version", member.agent_version],
      ["Serves", member.systems.join(", ")],
      ["Takes more", count(member.room, "task")],
      ["Sealing keys", member.sealing_keys.join(", ")],
      ["Certificate until", when(member.certificate_expires)],
      ["Enrolled", when(member.enrolled)],
      ["Connected since", when(member.connected_since)],
      ["Last seen", when(member.last_seen)],
    ]),
  );
}

const ACTIONS = {
  pending: ["approve", "revoke", "remove"],
  enabled: ["drain", "disable", "revoke"],
  draining: ["enable", "disable", "revoke"],
  disabled: ["enable", "revoke"],
  revoked: ["remove"],
};

const DO = {
  approve: { label: "Approve", least: "administrator", kind: "main", ask: approval, done: "approved: it gets work now" },
  enable: { label: "Enable", least: "operator", done: "enabled: it gets work again" },
  drain: { label: "Drain", least: "operator", done: "draining: it finishes what it has begun and gets nothing new" },
  disable: { label: "Disable", least: "operator", ask: disabling, done: "disabled, or will be as soon as it holds nothing" },
  revoke: { label: "Revoke", least: "administrator", kind: "danger", ask: revocation, done: "revoked: no certificate of it is of use any more" },
  remove: { label: "Remove", least: "administrator", ask: removal, done: "removed" },
};

function actions(member, load) {
  return (ACTIONS[member.state] ?? []).map((name) => {
    const { label, least, kind = "", ask, done } = DO[name];
    const act = async () => {
      try {
        const fresh = await get(`/v1/members/${member.id}`);
        if (ask && !(await confirm(ask(fresh)))) return;
        await (name === "remove" ? remove(`/v1/members/${member.id}`) : post(`/v1/members/${member.id}/${name}`));
        say(`${member.host} is ${done}.`);
      } catch (problem) {
        say(problem.message);
      }
      await load();
    };
    return button(label, act, { kind, why: whyNot(least), id: `${name}-${member.id}`, "aria-label": `${label} ${member.host}` });
  });
}

function approval(member) {
  return {
    title: `Approve ${member.host}?`,
    body: [
      el("p", {}, "Once approved, it is given the tasks of cluster ", el("strong", {}, member.cluster), " and can open the secrets that are sealed to it. Its fingerprint:"),
      el("p", { class: "fingerprint" }, member.fingerprint),
    ],
    check: "It is the one that postern enroll printed on its host",
    action: "Approve",
  };
}

function disabling(member) {
  const body = el("p", {}, `It gets nothing new, finishes what it has begun (it holds ${count(member.holds, "task")}), and is disabled then. Nothing is lost: what was not begun goes to another member, or waits.`);
  return { title: `Disable ${member.host}?`, body, action: "Disable" };
}

function revocation(member) {
  const body = el("p", {}, "Its session is closed and no certificate of it is of use any more, for good. To come back, its agent has to be enrolled again as another member.");
  return { title: `Revoke ${member.host} for good?`, body, check: `Throw ${shortId(member.id)} out for good`, action: "Revoke", danger: true };
}

function removal(member) {
  return { title: `Remove ${member.host}?`, body: el("p", {}, "It is shown here no longer, and its agent cannot connect."), action: "Remove" };
}

async function makeToken(cluster, made) {
  try {
    const { token, expires } = await post("/v1/tokens", { cluster });
    fill(
      made,
      notice(
        "good",
        el("p", {}, "A token for one agent of ", el("strong", {}, cluster), ", good until ", when(expires), ". It is shown this once:"),
        el("p", { class: "fingerprint", id: "enrollment-token" }, token),
        el("p", {}, "Write it to a file on the agent's host, then run ", code("postern enroll --controller wss://CONTROLLER:7443 --token-file FILE"), " there, and compare the fingerprint that it prints."),
      ),
    );
    made.scrollIntoView({ block: "center" });
  } catch (problem) {
    fill(made, notice("bad", problem.message));
  }
}

function newCluster(load) {
  const fields = [{ name: "name", label: "Name", required: true, hint: "Lower-case letters, digits, - _ and . It never changes." }];
  const send = async ({ name }) => {
    await post("/v1/clusters", { name });
    say(`Cluster ${name} was made.`);
    document.getElementById("cluster").reset();
    await load();
  };
  return el("section", { class: "narrow" }, el("h2", {}, "New cluster"), form({ id: "cluster", fields, action: "Make cluster", why: whyNot("administrator"), send }));
}
