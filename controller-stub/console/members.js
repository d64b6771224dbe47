// Clusters, and the agents that are their members.

import { all, get, make, post } from "./api.js";
import { badge, button, code, copyable, el, empty, fill, heading, notice, prose, sayOnceShown, table } from "./dom.js";
import { form } from "./form.js";
import { hears, soon } from "./live.js";
import { presence } from "./member.js";
import { acts } from "./member_acts.js";
import { allNewer } from "./newer.js";
import { whyNot } from "./role.js";
import { count, shortId, state, when } from "./words.js";

/** So many members of a cluster are shown before somebody asks for more. */
const AT_ONCE = 25;
const STATES = ["pending", "enabled", "draining", "disabled", "revoked"];

export async function show(place, wanted = "") {
  const made = el("div", {});
  const list = el("div", {});
  const waiting = el("div", {});
  const seen = { clusters: [], members: [], only: wanted, words: "", shown: new Map() };
  const redraw = () => fill(list, seen.clusters.length > 0 ? seen.clusters.map((it) => section(it.name, seen, { made, load, redraw })) : noClusters());
  const load = async () => {
    [seen.clusters, seen.members] = await Promise.all([all("/v1/clusters"), all("/v1/members")]);
    fill(waiting, allNewer(seen.members, load));
    redraw();
  };
  await load();
  fill(place, heading("Clusters and members"), made, waiting, filters(seen, redraw), list, newCluster(load));
  return hears(["member", "cluster"], soon(load));
}

const noClusters = () => empty("No clusters yet.", "A cluster is the agents that share the work of a connected system. Make one below, then a token for its first agent.");

/** Of few members nobody needs to look for one. */
function filters(seen, redraw) {
  const states = el("select", { id: "member-state" }, el("option", { value: "" }, "all"), STATES.map((it) => el("option", { value: it, selected: it === seen.only }, state(it).word)));
  states.addEventListener("change", () => {
    seen.only = states.value;
    redraw();
  });
  const words = el("input", { type: "search", id: "member-words", autocomplete: "off", spellcheck: "false" });
  words.addEventListener("input", () => {
    seen.words = words.value.trim().toLowerCase();
    redraw();
  });
  return el("div", { class: "filters" }, el("label", { for: "member-state" }, "State"), states, el("label", { for: "member-words" }, "Host, id or address"), words);
}

const isWanted = (member, { only, words }) =>
  (only === "" || member.state === only) && [member.host, member.id, member.address ?? ""].some((it) => it.toLowerCase().includes(words));

function section(name, seen, { made, load, redraw }) {
  const own = seen.members.filter((it) => it.cluster === name);
  const found = own.filter((it) => isWanted(it, seen));
  const shown = seen.shown.get(name) ?? AT_ONCE;
  const more = async () => {
    seen.shown.set(name, shown + AT_ONCE);
    redraw();
  };
  return el(
    "section",
    { "aria-labelledby": `cluster-${name}` },
    el(
      "div",
      { class: "heading" },
      el("h2", { id: `cluster-${name}` }, name),
      el("span", { class: "hint" }, summary(own)),
      button("Make an enrollment token", () => makeToken(name, made), { why: whyNot("administrator"), id: `token-${name}` }),
    ),
    found.length > 0 && memberTable(name, found.slice(0, shown), load),
    found.length > shown && button(`Show more of ${found.length.toLocaleString()}`, more, { id: `more-${name}` }),
    found.length === 0 && (own.length > 0 ? empty("No such members.", "Choose another state, or look for other words.") : empty("No members yet.", ["Make an enrollment token, then run ", code("postern enroll"), " on the agent's host."])),
  );
}

function summary(members) {
  if (members.length === 0) return undefined;
  const connected = members.filter((it) => it.connected).length;
  return `${count(members.length, "member")}, ${connected.toLocaleString()} connected`;
}

function memberTable(cluster, members, load) {
  return table(`Members of ${cluster}`, [
    { name: "Host", of: (it) => [el("strong", {}, el("a", { href: `#/members/${it.id}`, id: `open-${it.id}` }, it.host)), el("div", { class: "small" }, el("span", { title: it.id }, shortId(it.id)))] },
    { name: "State", of: (it) => [badge(state(it.state)), it.alarm && el("p", { class: "small bad-text" }, prose(it.alarm))] },
    { name: "Session", of: (it) => [presence(it), it.connected && el("div", { class: "small" }, it.address)] },
    { name: "Serves", of: (it) => it.systems.join(", ") || "–" },
    { name: "Tasks", of: (it) => String(it.holds) },
    { name: "Do", of: (it) => acts(it, load) },
  ], members);
}

async function makeToken(cluster, made) {
  try {
    const { controller_urls: urls } = await get("/v1/status");
    const { token, expires } = await make("/v1/tokens", { cluster });
    const url = urlForAgents(urls, location.hostname);
    fill(
      made,
      notice(
        "good",
        el("p", {}, "A token for one agent of ", el("strong", {}, cluster), ", good until ", when(expires), ". It is shown this once:"),
        copyable("enrollment-token", token),
        el("p", {}, "Write it to a file on the agent's host, then run this there, and compare the fingerprint that it prints:"),
        copyable("enroll", `postern enroll --controller ${url} < FILE`),
        el("p", { class: "hint" }, whereItLeads(url, urls)),
      ),
    );
    made.scrollIntoView({ block: "center" });
  } catch (problem) {
    fill(made, notice("bad", prose(problem.message)));
  }
}

const isOfThisHost = (url) => /^(localhost|127\..*|\[::1\])$/.test(new URL(url).hostname);

/** Where an agent finds the controller: by the name that somebody has found it by, if agents may use that, too. */
export function urlForAgents(urls, hostname) {
  const others = urls.filter((it) => !isOfThisHost(it));
  return others.find((it) => new URL(it).hostname === hostname) ?? others[0] ?? urls[0];
}

function whereItLeads(url, urls) {
  if (isOfThisHost(url)) return ["That leads to the controller from its own host alone. For agents on others, start the controller with ", code("--public-name"), " and the name or address by which they find it."];
  const others = urls.filter((it) => it !== url && !isOfThisHost(it));
  return [others.length > 0 && `It is found at ${others.join(" and ")}, too. `, "If another port leads to it from there, put that in place of this one."];
}

function newCluster(load) {
  const fields = [{ name: "name", label: "Name", required: true, hint: "Lower-case letters, digits, hyphens, underscores and dots. It never changes." }];
  const send = async ({ name }) => {
    await post("/v1/clusters", { name });
    await sayOnceShown(load(), `Cluster ${name} was made.`);
  };
  return el("section", { class: "narrow" }, el("h2", {}, "New cluster"), form({ id: "cluster", fields, action: "Make cluster", why: whyNot("administrator"), again: true, send }));
}
