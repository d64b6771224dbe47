// The tokens of the API: who may use it, and the console with it.

import { all, make, remove } from "./api.js";
import { confirm } from "./dialog.js";
import { badge, button, code, copyable, el, fill, heading, notice, say, table } from "./dom.js";
import { choice, form } from "./form.js";
import { whoIsHere, whyNot } from "./role.js";
import { shortId, when } from "./words.js";

const DAY = 86_400;
const ROLES = [
  ["viewer", "viewer: may look"],
  ["operator", "operator: submits tasks, too, and has members rest"],
  ["administrator", "administrator: everything"],
];
const LIVES = [
  ["", "until it is revoked"],
  [String(30 * DAY), "for 30 days"],
  [String(90 * DAY), "for 90 days"],
  [String(365 * DAY), "for a year"],
];

export async function show(place) {
  const why = whyNot("administrator");
  if (why) {
    fill(place, heading("API tokens"), notice("warn", why));
    return;
  }
  const [made, list] = [el("div", {}), el("div", {})];
  const load = async () => fill(list, tokenTable(await all("/v1/api-tokens"), load));
  await load();
  fill(place, heading("API tokens"), el("p", { class: "lead" }, "Whoever calls the API, or signs in here, shows one. Give each person and each program its own: the audit log names it."), made, list, newToken(made, load));
}

function tokenTable(tokens, load) {
  return table("API tokens", [
    { name: "Name", of: (it) => [el("strong", {}, it.name), el("div", { class: "small", title: it.id }, shortId(it.id))] },
    { name: "Role", of: (it) => it.role },
    { name: "Good until", of: (it) => [it.expires ? when(it.expires) : "it is revoked", it.expired && badge({ tone: "bad", word: "run out" })] },
    { name: "Last used", of: (it) => when(it.last_used) ?? "not since the controller started" },
    { name: "Made", of: (it) => when(it.created) },
    { name: "Do", of: (it) => button("Revoke", () => revoke(it, load), { kind: "danger", id: `revoke-${it.id}`, "aria-label": `Revoke ${it.name}` }) },
  ], tokens);
}

async function revoke(token, load) {
  const isOwn = token.name === whoIsHere().name;
  const body = el("p", {}, "Nobody can call the API with it any more, and whoever signed in with it is signed out.", isOwn && el("strong", {}, " It is the one that you are signed in with."));
  if (!(await confirm({ title: `Revoke ${token.name}?`, body, action: "Revoke", danger: true, check: isOwn ? "Sign me out, too" : undefined }))) return;
  await remove(`/v1/api-tokens/${token.id}`);
  say(`${token.name} was revoked.`);
  await load();
}

function newToken(made, load) {
  const fields = [
    { name: "name", label: "Name", required: true, hint: "Who or what uses it. Lower-case letters, digits, hyphens, underscores and dots." },
    choice("role", "Role", ROLES),
    choice("expires_secs", "Good", LIVES),
  ];
  const send = async ({ name, role, expires_secs: life }) => {
    const { token } = await make("/v1/api-tokens", { name, role, expires_secs: life === "" ? undefined : Number(life) });
    fill(made, notice("good", el("p", {}, "The token ", el("strong", {}, name), ". It is shown this once:"), copyable("api-token", token), el("p", {}, "Programs send it as ", code("Authorization: Bearer …"), "; people sign in with it here.")));
    await load();
    made.scrollIntoView({ block: "center" });
  };
  return el("section", { class: "narrow" }, el("h2", {}, "New token"), form({ id: "token", fields, action: "Make token", again: true, send }));
}
