// What can be done with a member, and what is asked before.

import { get, post, remove } from "./api.js";
import { confirm } from "./dialog.js";
import { button, el, prose, say } from "./dom.js";
import { whyNot } from "./role.js";
import { among, count, shortId } from "./words.js";

const ACTIONS = {
  pending: ["approve", "revoke", "remove"],
  enabled: ["drain", "disable", "revoke"],
  draining: ["enable", "disable", "revoke"],
  disabled: ["enable", "revoke"],
  revoked: ["remove"],
};

const DO = {
  approve: { label: "Approve", least: "administrator", kind: "main", ask: approval, tell: compared, done: "approved: it gets work now" },
  enable: { label: "Enable", least: "operator", ask: enabling, done: "enabled: it gets work again" },
  drain: { label: "Drain", least: "operator", done: "draining: it finishes what it has begun and gets nothing new" },
  disable: { label: "Disable", least: "operator", ask: disabling, done: "disabled, or will be as soon as it holds nothing" },
  revoke: { label: "Revoke", least: "administrator", kind: "danger", ask: revocation, done: "revoked: no certificate of it is of use any more" },
  remove: { label: "Remove", least: "administrator", ask: removal, done: "removed" },
};

/** The buttons of what a member's state lets be done; `after` is told what was. */
export function acts(member, after) {
  const buttons = (among(ACTIONS, member.state) ?? []).map((name) => {
    const { label, least, kind = "", ask, tell, done } = among(DO, name);
    const act = async () => {
      try {
        const fresh = await get(`/v1/members/${member.id}`);
        const question = ask?.(fresh);
        if (question && !(await confirm(question))) return;
        await (name === "remove" ? remove(`/v1/members/${member.id}`) : post(`/v1/members/${member.id}/${name}`, tell?.(fresh)));
        say(`${member.host} is ${done}.`);
      } catch (problem) {
        say(problem.message);
      }
      await after(name);
    };
    return button(label, act, { kind, why: whyNot(least), id: `${name}-${member.id}`, "aria-label": `${label} ${member.host}` });
  });
  return el("div", { class: "row-actions" }, buttons);
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

/** What was compared, so that nobody else is let in. */
function compared({ fingerprint }) {
  return { fingerprint };
}

/** Only where the controller disabled it by itself: to enable it is to say that it is the one. */
function enabling({ host, alarm }) {
  if (!alarm) return undefined;
  return { title: `Enable ${host} in spite of its alarm?`, body: [el("p", { class: "bad-text" }, prose(alarm)), el("p", {}, "The alarm is over then, and whoever has its identity now gets work.")], action: "Enable", danger: true };
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
  return { title: `Remove ${member.host}?`, body: el("p", {}, "It is shown here no longer, its agent cannot connect, and what that still owes can be handed in no more."), action: "Remove" };
}
