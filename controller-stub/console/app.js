// The frame: who is signed in, where one can go, and which page is shown.

import { get, remove } from "./api.js";
import * as audit from "./audit.js";
import { button, el, empty, fill, heading, link, notice, prose, release, say } from "./dom.js";
import { close, hears, hold, listenFor } from "./live.js";
import * as member from "./member.js";
import * as members from "./members.js";
import * as overview from "./overview.js";
import { forget } from "./own_keys.js";
import { askWhoIsHere, isHere, whoIsHere } from "./role.js";
import * as roots from "./roots.js";
import * as signIn from "./sign_in.js";
import * as submit from "./submit.js";
import * as system from "./system.js";
import * as systems from "./systems.js";
import * as task from "./task.js";
import * as tasks from "./tasks.js";
import * as tokens from "./tokens.js";

const PLACES = [
  ["#/", "Overview"],
  ["#/members", "Members"],
  ["#/systems", "Systems"],
  ["#/tasks", "Tasks"],
  ["#/audit", "Audit"],
  ["#/tokens", "Tokens"],
  ["#/roots", "Roots"],
];

/** Which page is at which place; what stands in brackets is told to it. The first that fits counts. */
const PAGES = [
  [/^#?\/?$/, overview.show],
  [/^#\/members(?:\/in\/([^/]*))?$/, members.show],
  [/^#\/members\/([^/]+)$/, member.show],
  [/^#\/systems$/, systems.show],
  [/^#\/systems\/new$/, system.showNew],
  [/^#\/systems\/([^/]+)$/, system.show],
  [/^#\/tasks$/, tasks.show],
  [/^#\/tasks\/in\/([^/]*)(?:\/([^/]*))?$/, tasks.show],
  [/^#\/tasks\/([^/]+)$/, task.show],
  [/^#\/submit(?:\/([^/]+)(?:\/([^/]+))?)?$/, submit.show],
  [/^#\/audit$/, audit.show],
  [/^#\/tokens$/, tokens.show],
  [/^#\/roots$/, roots.show],
];

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const account = document.getElementById("account");

/** The windows of this browser that show the console. */
const windows = new BroadcastChannel("console");

let newest = 0;
/** The page that is shown, its address, and what it wants to hear. */
let shown = undefined;
/** A page whose session ended, whose it was, and where the focus stood. */
let interrupted = undefined;

/** Shows the page of the present place, unless somebody went on to another before it was there. */
async function go() {
  if (!whoIsHere()) return;
  const asked = (newest += 1);
  const place = el("div", { class: "page" });
  closeDialogs();
  drawNav();
  hold();
  main.setAttribute("aria-busy", "true");
  const found = PAGES.map(([pattern, show]) => [pattern.exec(location.hash), show]).find(([match]) => match);
  let wanted = undefined;
  try {
    if (found) wanted = await found[1](place, ...found[0].slice(1).map((it) => (it === undefined ? undefined : decodeURIComponent(it))));
    else fill(place, heading("Not found"), empty("There is no such page.", [link("#/", "Go to the overview"), "."]));
  } catch (problem) {
    fill(place, heading("This page cannot be shown"), notice("bad", prose(problem.message)), button("Try again", go, { id: "again" }));
    wanted = hears([], go);
  }
  if (!whoIsHere() || asked !== newest) return;
  put({ place, address: location.hash, wanted });
  main.removeAttribute("aria-busy");
  scrollTo(0, 0);
  place.querySelector("h1")?.focus({ preventScroll: true });
}

function put(page) {
  shown = page;
  fill(main, page.place);
  listenFor(page.wanted);
}

/** Goes on with the page whose session ended, as it stood, with whatever was being written. */
function resume({ page, focused }) {
  newest += 1;
  drawNav();
  hold();
  put(page);
  focused.focus();
}

/** Whoever else signs in, or goes elsewhere, sees nothing of it. */
function isOfWhoIsHere({ page, owner }) {
  const { name, role } = whoIsHere();
  return page.address === location.hash && owner.name === name && owner.role === role;
}

function drawNav() {
  const { name, role } = whoIsHere();
  const place = location.hash || "#/";
  const isAt = (to) => (to === "#/" ? place === to : place.startsWith(to) || (to === "#/tasks" && place.startsWith("#/submit")));
  fill(nav, PLACES.map(([to, label]) => el("a", { href: to, "aria-current": isAt(to) ? "page" : undefined }, label)));
  fill(account, el("span", { title: `The token ${name} has the role ${role}` }, name, " ", el("span", { class: "small" }, role)), button("Sign out", signOut, { id: "sign-out" }));
  nav.hidden = false;
  account.hidden = false;
}

async function signOut() {
  try {
    await remove("/console/session");
  } catch (problem) {
    // The cookie goes with the answer alone: without it, whoever opens the console next may be signed in.
    throw new Error(`You may still be signed in: sign out again once the controller answers. ${problem.message}`);
  }
  forget();
  interrupted = undefined;
  askToSignIn();
}

function askToSignIn(why = undefined) {
  close();
  release();
  isHere(undefined);
  shown = undefined;
  nav.hidden = true;
  account.hidden = true;
  main.removeAttribute("aria-busy");
  closeDialogs();
  signIn.show(main, { why, signedIn });
}

/** What a page asks is not asked on another. */
function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close("");
}

async function signedIn() {
  windows.postMessage("signed in");
  await enter();
}

/** Goes on for whoever has signed in in another window: the cookie is the browser's, and what is pressed here is done in that name. */
async function seeWhoIsHere() {
  const before = whoIsHere();
  if (!before) return;
  const now = await get("/v1/whoami");
  if (whoIsHere() !== before || (now.name === before.name && now.role === before.role)) return;
  close();
  release();
  isHere(now);
  await go();
  say(`${now.name} has signed in in another window of this browser, and is signed in here, too.`);
}

// Whoever cannot be asked now is asked when the events come again.
const see = () => seeWhoIsHere().catch(() => {});

async function enter() {
  await askWhoIsHere();
  const before = interrupted;
  interrupted = undefined;
  if (before && isOfWhoIsHere(before)) resume(before);
  else await go();
}

addEventListener("hashchange", go);
addEventListener("opened", see);
windows.addEventListener("message", see);
// The address says which page is shown: the content of it has none of its own.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("signedout", () => {
  if (!whoIsHere()) return;
  if (shown) interrupted = { page: shown, owner: whoIsHere(), focused: document.activeElement };
  askToSignIn("The session has ended: its time was over, the token was revoked, or the controller started again. Sign in again to go on where you were.");
});

try {
  await enter();
} catch (problem) {
  askToSignIn(problem.status === 401 ? undefined : problem.message);
}
