// What happens at the controller, as it happens.

import { get } from "./api.js";
import { say } from "./dom.js";
import { when } from "./words.js";

const EVENTS = ["task", "progress", "member", "cluster", "system", "reset"];
/** How long to wait before asking again where the browser has given up: each time twice as long, up to half a minute. */
const AGAIN = 1_000;
const AGAIN_AT_MOST = 30_000;
/** How long a burst of events may last. */
const BURST = 250;
/** The most events that are kept for a page: beyond, it looks at everything anew. */
const MAX_MISSED = 100;

/** Whether somebody is here to be told anything. */
let isOn = false;
let source = undefined;
let next = undefined;
let wait = AGAIN;
let listener = undefined;
let clock = undefined;
let silence = undefined;
/** What happened since somebody left a page and before the next listens. */
let missed = [];

/** How long nothing may be heard before it is said. */
const QUIET = 2_000;

/** How often a page looks anew that shows what no event tells, such as what members say of themselves. */
export const NOW_AND_THEN = 10_000;

/** What a page wants to hear: it is told the kind of an event and its data. With `every`, it looks anew so often, too. */
export const hears = (kinds, listen, every = undefined) => ({ kinds: new Set([...kinds, "reset"]), listen, every });

/** The page before hears nothing more; what happens from now on is kept for the next. */
export function hold() {
  listener = undefined;
  missed = [];
  clearInterval(clock);
  isOn = true;
  open();
}

/** Listens for a page, if it wants to hear anything: at first to what happened while it was made. */
export function listenFor(wanted) {
  listener = wanted;
  // Whoever is marking something to copy it is not disturbed.
  if (wanted?.every) clock = setInterval(() => !document.hidden && getSelection().isCollapsed && tell("reset"), wanted.every);
  for (const [kind, data] of missed) tell(kind, data);
  missed = [];
}

export function close() {
  isOn = false;
  leave();
  listener = undefined;
  clearInterval(clock);
  isHeard();
}

function leave() {
  clearTimeout(next);
  source?.close();
  source = undefined;
}

// Browsers hold six connections to one host for all their windows together: with six that listen, nothing is answered any more.
document.addEventListener("visibilitychange", () => (document.hidden ? leave() : open()));

/** Listens, if somebody is here and sees the page. */
function open() {
  if (source || !isOn || document.hidden) return;
  source = new EventSource("/v1/events");
  // Whatever happened before is told to nobody.
  source.addEventListener("open", () => {
    wait = AGAIN;
    isHeard();
    dispatchEvent(new CustomEvent("opened"));
    hear("reset");
  });
  for (const kind of EVENTS) source.addEventListener(kind, (event) => hear(kind, JSON.parse(event.data)));
  source.addEventListener("error", () => {
    isNotHeard();
    if (source?.readyState !== EventSource.CLOSED) return;
    source = undefined;
    next = setTimeout(again, wait);
    wait = Math.min(2 * wait, AGAIN_AT_MOST);
  });
}

/** Nothing is heard: what is shown is of now at the latest. */
function isNotHeard() {
  const since = Date.now();
  silence ??= setTimeout(() => {
    const away = document.getElementById("away");
    away.replaceChildren("Nothing is heard from the controller since ", when(since), ". What is shown is of then; it goes on by itself as soon as the controller answers.");
    away.hidden = false;
  }, QUIET);
}

// A connection that nobody ended tells nothing: what is asked beside it does.
addEventListener("unheard", isNotHeard);
addEventListener("heard", isHeard);

function isHeard() {
  clearTimeout(silence);
  silence = undefined;
  document.getElementById("away").hidden = true;
}

/** The browser has given up: whoever asks for anything finds out on the way whether the session has ended. */
function again() {
  if (source) return;
  if (listener) tell("reset");
  else get("/v1/whoami").catch(() => {});
  open();
}

function hear(kind, data = undefined) {
  if (listener) tell(kind, data);
  else if (missed.length < MAX_MISSED) missed.push([kind, data]);
  else missed = [["reset", undefined]];
}

function tell(kind, data) {
  if (listener?.kinds.has(kind)) listener.listen(kind, data);
}

/** Does something soon after it was asked to, once for a whole burst and never twice at a time, unless nobody listens any more. */
export function soon(act) {
  let [isComing, isWanted] = [false, false];
  const come = async () => {
    isWanted = false;
    // That a session has ended is told elsewhere, by the page that asks to sign in; that nobody answers, above.
    if (listener) await act().catch((problem) => problem.status !== 401 && problem.status !== 0 && say(problem.message));
    isComing = false;
    if (isWanted) ask();
  };
  const ask = () => {
    isWanted = true;
    if (isComing) return;
    isComing = true;
    setTimeout(come, BURST);
  };
  return ask;
}
