// What happens at the controller, as it happens.

const EVENTS = ["task", "progress", "member", "cluster", "system", "reset"];
/** How long to wait before asking again where the browser has given up, and how long a burst of events may last. */
const AGAIN = 5_000;
const BURST = 250;

let source = undefined;
let listener = undefined;

/** What a page wants to hear: it is told the kind of an event and its data. */
export const hears = (kinds, listen) => ({ kinds: new Set([...kinds, "reset"]), listen });

/** Listens for a page from now on, if it wants to hear anything; the page before hears nothing more. */
export function listenFor(wanted) {
  listener = wanted;
  if (wanted && !source) open();
}

export function close() {
  listener = undefined;
  source?.close();
  source = undefined;
}

function open() {
  source = new EventSource("/v1/events");
  for (const kind of EVENTS) source.addEventListener(kind, (event) => tell(kind, event.data));
  source.addEventListener("error", () => {
    if (source?.readyState !== EventSource.CLOSED) return;
    source = undefined;
    setTimeout(again, AGAIN);
  });
}

/** The page may have missed something, so it loads anew; that it may is found out on the way. */
function again() {
  if (source || !listener) return;
  tell("reset");
  open();
}

function tell(kind, data = undefined) {
  if (listener?.kinds.has(kind)) listener.listen(kind, data ? JSON.parse(data) : undefined);
}

/** Does something soon after it was asked to, once for a whole burst. */
export function soon(act) {
  let timer = undefined;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      act();
    }, BURST);
  };
}
