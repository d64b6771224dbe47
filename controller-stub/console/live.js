// What happens at the controller, as it happens.

import { say } from "./dom.js";

const EVENTS = ["task", "progress", "member", "cluster", "system", "reset"];
/** How long to wait before asking again where the browser has given up: each time twice as long, up to half a minute. */
const AGAIN = 5_000;
const AGAIN_AT_MOST = 30_000;
/** How long a burst of events may last. */
const BURST = 250;
/** The most events that are kept for a page: beyond, it looks at everything anew. */
const MAX_MISSED = 100;

let source = undefined;
let wait = AGAIN;
let listener = undefined;
/** What happened since somebody left a page and before the next listens. */
let missed = [];

/** What a page wants to hear: it is told the kind of an event and its data. */
export const hears = (kinds, listen) => ({ kinds: new Set([...kinds, "reset"]), listen });

/** The page before hears nothing more; what happens from now on is kept for the next. */
export function hold() {
  listener = undefined;
  missed = [];
  if (!source) open();
}

/** Listens for a page, if it wants to hear anything: at first to what happened while it was made. */
export function listenFor(wanted) {
  listener = wanted;
  for (const [kind, data] of missed) tell(kind, data);
  missed = [];
}

export function close() {
  source?.close();
  source = undefined;
  listener = undefined;
}

function open() {
  source = new EventSource("/v1/events");
  // Whatever happened before is told to nobody.
  source.addEventListener("open", () => {
    wait = AGAIN;
    hear("reset");
  });
  for (const kind of EVENTS) source.addEventListener(kind, (event) => hear(kind, JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return;
    source = undefined;
    setTimeout(again, wait);
    wait = Math.min(2 * wait, AGAIN_AT_MOST);
  });
}

/** The browser has given up: a page that looks anew finds out on the way whether the session has ended. */
function again() {
  if (source || !listener) return;
  tell("reset");
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

/** Does something soon after it was asked to, once for a whole burst, unless nobody listens any more. */
export function soon(act) {
  let timer = undefined;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      if (!listener) return;
      // That a session has ended is told elsewhere, by the page that asks to sign in.
      act().catch((problem) => problem.status !== 401 && say(problem.message));
    }, BURST);
  };
}
