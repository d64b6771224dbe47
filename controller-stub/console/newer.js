// Certificates of members that are newer than those on record: the controller was put back from a copy.

import { all, post } from "./api.js";
import { confirm } from "./dialog.js";
import { button, code, el, notice, say, table } from "./dom.js";
import { whyNot } from "./role.js";
import { count, when } from "./words.js";

const accept = (member, { fingerprint }) => post(`/v1/members/${member.id}/accept`, { fingerprint });

/** The only one that waits, of a member that has no session under another. */
const undisputed = (member) => (member.newer_certificates.length === 1 && !member.connected ? member.newer_certificates[0] : undefined);

/** What waits of one member, each with its button; `after` is told what was done. */
export function newer(member, after) {
  return member.newer_certificates.map((it) =>
    notice(
      "warn",
      el("p", {}, "It shows a certificate that is newer than the one on record, as after a restore of the controller from a backup. It has no session under it before it is accepted."),
      !undisputed(member) && el("p", {}, "More than one certificate of it is in use: somebody may have a copy of the agent."),
      el("p", { class: "fingerprint" }, it.fingerprint),
      el("p", { class: "small" }, "Valid from ", when(it.valid_from), ", shown from ", it.address, " since ", when(it.shown)),
      button("Accept", () => ask(member, it, after), { kind: "main", why: whyNot("administrator"), id: `accept-${it.serial}`, "aria-label": `Accept the certificate of ${member.host}` }),
    ),
  );
}

async function ask(member, certificate, after) {
  const question = {
    title: `Accept this certificate of ${member.host}?`,
    body: [
      el("p", {}, "Whoever has it is the member from then on, and the one on record is worth nothing any more. If the member was revoked after the copy was made, revoke it again instead; if it was disabled, disable it again first. Its fingerprint:"),
      el("p", { class: "fingerprint" }, certificate.fingerprint),
    ],
    check: "It is the one that postern status shows on its host",
    action: "Accept",
  };
  if (!(await confirm(question))) return;
  try {
    await accept(member, certificate);
    say(`The certificate of ${member.host} was accepted: it comes back within a minute.`);
  } catch (problem) {
    say(problem.message);
  }
  await after("accept");
}

/** What waits of all members. */
export function allNewer(members, after) {
  const waiting = members.filter((it) => it.newer_certificates.length > 0);
  if (waiting.length === 0) return undefined;
  const clear = waiting.filter(undisputed);
  return notice(
    "warn",
    el("p", {}, `Certificates of ${count(waiting.length, "member")} wait to be accepted: they are newer than those on record, as after a restore of the controller from a backup.`),
    waiting.length > clear.length && el("p", {}, `Of ${count(waiting.length - clear.length, "member")} more than one is in use: look at each by itself.`),
    clear.length > 0 && button(`Accept ${count(clear.length, "certificate")}`, () => askAll(after), { why: whyNot("administrator"), id: "accept-all" }),
  );
}

async function askAll(after) {
  const waiting = (await all("/v1/members")).filter(undisputed);
  const question = {
    title: `Accept ${count(waiting.length, "certificate")}?`,
    body: [
      el("p", {}, "Revoke or disable again first who was revoked or disabled after the copy was made: see ", code("postern-controller audit show"), " of the data directory from before, if there is one."),
      table("Certificates that wait", [
        { name: "Host", of: ({ host }) => host },
        { name: "Cluster", of: ({ cluster }) => cluster },
        { name: "Shown from", of: (it) => undisputed(it).address },
        { name: "Fingerprint", of: (it) => code(undisputed(it).fingerprint) },
      ], waiting),
    ],
    check: "Nobody of them was revoked or disabled after the copy was made",
    action: "Accept all",
  };
  if (waiting.length === 0 || !(await confirm(question))) return after("accept");
  let refused = 0;
  for (const member of waiting) {
    await accept(member, undisputed(member)).catch(() => refused++);
  }
  say(`Accepted ${count(waiting.length - refused, "certificate")}${refused > 0 ? `, and ${refused} not: look again` : ""}.`);
  return after("accept");
}
