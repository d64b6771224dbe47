// The roots of the certificates, and how far the rotation from one to another is.

import { get, post } from "./api.js";
import { confirm } from "./dialog.js";
import { badge, button, el, fill, heading, link, notice, say, table } from "./dom.js";
import { NOW_AND_THEN, hears, soon } from "./live.js";
import { whyNot } from "./role.js";
import { among, count, state, toned, when } from "./words.js";

/** How many members a sentence names. */
const NAMED = 5;

const PHASES = {
  single: "One root signs, and nothing else is trusted. No rotation is under way.",
  begun: "Both roots are trusted; the old one signs. Members are told, and say when they have both.",
  switched: "Both roots are trusted; the new one signs. Members get certificates of it as they renew theirs.",
};

const ROLES = { signs: ["good", "signs"], trusted: ["busy", "trusted"], kept: ["quiet", "kept, not trusted"] };

const STEPS = {
  begin: { label: "Begin a rotation", what: "A new root is made and every member told to trust it, beside the present one. Nothing else changes, and it can be taken back.", done: "The rotation has begun." },
  switch: { label: "Let the new root sign", what: "From now on certificates are of the new root. The old one is still trusted, and this can be taken back.", ready: "Every member trusts it.", done: "The new root signs." },
  finish: { label: "Trust the new root alone", what: "The old root is trusted no longer. A member that has a certificate of it is shut out.", ready: "No member has one any more.", danger: true, done: "The rotation is over." },
  back: { label: "Take the last step back", done: "The last step was taken back." },
};

/** What taking back does depends on what was done last. */
const BACK = { begun: "The new root is trusted no longer, as if nothing had been begun.", switched: "The old root signs again. Certificates of the new one stay good." };

export async function show(place) {
  const load = async () => draw(place, await get("/v1/ca"), load);
  await load();
  return hears(["member"], soon(load), NOW_AND_THEN);
}

function draw(place, ca, load) {
  fill(
    place,
    heading("Roots", badge({ tone: ca.phase === "single" ? "quiet" : "busy", word: ca.phase === "single" ? "no rotation" : `rotation ${ca.phase}` })),
    el("p", { class: "lead" }, among(PHASES, ca.phase) ?? ca.phase),
    el("section", {}, el("h2", {}, "Next steps"), ca.steps.map((it) => step(it, ca, load))),
    el("section", {}, el("h2", {}, "The controller's roots"), rootTable(ca.roots)),
    el("section", {}, el("h2", {}, "What members have of them"), members(ca)),
  );
}

function step({ step: name, waits_for: waiting }, ca, load) {
  const { label, what = among(BACK, ca.phase) ?? "", ready = "", danger = false, done } = among(STEPS, name) ?? { label: name, done: name };
  const isForced = waiting.length > 0;
  const act = async () => {
    const body = [el("p", {}, what), isForced && el("p", { class: "bad-text" }, `Members that are left behind ${behind(name, ca)}: `, named(waiting, ca))];
    const check = isForced ? `Leave ${count(waiting.length, "member")} behind` : undefined;
    if (!(await confirm({ title: `${label}?`, body, action: label, danger: danger || isForced, check }))) return;
    // What was asked about is done or nothing is: asked for again after a lost answer, it might be the step before.
    await post(`/v1/ca/rotation/${name}`, { force: isForced, from: name === "begin" ? undefined : ca.phase });
    say(done);
    await load();
  };
  return el(
    "div",
    { class: "step" },
    el("p", {}, isForced ? what : `${what} ${ready}`),
    isForced && notice("warn", `It waits for ${count(waiting.length, "member")}: `, named(waiting, ca), ". See whether they are connected; each does its part by itself."),
    button(isForced ? `${label} all the same` : label, act, { kind: danger || isForced ? "danger" : "", why: whyNot("administrator"), id: `step-${name}` }),
  );
}

/** Whoever has a certificate of a root that is dropped can prove its key; whoever does not trust the one that signs hears nobody. */
function behind(name, { phase }) {
  const isDropped = name === "finish" || (name === "back" && phase === "begun");
  return isDropped ? "have to prove their keys to come back, or be enrolled again" : "cannot connect until the rotation goes back, or they are enrolled again";
}

function named(ids, ca) {
  const hosts = new Map(ca.members.map((it) => [it.id, it.host]));
  const some = ids.slice(0, NAMED).flatMap((id, at) => [at > 0 && ", ", link(`#/members/${id}`, el("bdi", {}, hosts.get(id) ?? id))]);
  return [...some, ids.length > NAMED && ` and ${count(ids.length - NAMED, "other")}`];
}

function rootTable(roots) {
  return table("Roots", [
    { name: "Root", of: (it) => [el("strong", {}, String(it.number)), " ", badge(toned(ROLES, it.role))] },
    { name: "Fingerprint", of: (it) => el("code", {}, it.fingerprint) },
    { name: "Valid", of: (it) => el("div", {}, "from ", when(it.valid_from), el("br"), "until ", when(it.valid_until)) },
    { name: "Certificates", of: (it) => count(it.certificates, "member") },
  ], roots);
}

function members({ members: trusting, phase }) {
  if (trusting.length === 0) return el("p", { class: "hint" }, "There is no member.");
  const behind = trusting.filter((it) => !it.acknowledged);
  const columns = [
    { name: "Member", of: (it) => link(`#/members/${it.id}`, it.host) },
    { name: "State", of: (it) => [badge(state(it.state)), !it.connected && el("div", { class: "small" }, "not connected")] },
    { name: "Certificate of root", of: (it) => String(it.certificate_root) },
    { name: "Trusts roots", of: (it) => it.trusts.join(", ") || "–" },
  ];
  const all = trusting.length === 1 ? "The one member has" : `All ${trusting.length.toLocaleString()} members have`;
  const summary = behind.length === 0 ? `${all} the roots as they are now.` : `${count(behind.length, "member")} of ${trusting.length.toLocaleString()} did not say yet to have the roots as they are now.`;
  return [el("p", { class: "hint" }, summary), (behind.length > 0 || phase !== "single") && table("What members have of the roots", columns, (behind.length > 0 ? behind : trusting).slice(0, 50))];
}
