// Builds pages of elements. Text becomes text, never markup.

/** Whether something is to be shown at all. */
const isThere = (it) => it !== undefined && it !== null && it !== false && it !== "";

/** An element. Attributes that begin with `on` are listeners; those that are nothing, or false, are left out. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (!isThere(value) && value !== "") continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter(isThere));
  return element;
}

/** A button that does something. With a reason why not, it can be reached, and says the reason instead. */
export function button(label, act, { kind = "", why = undefined, ...attributes } = {}) {
  const press = async (event) => {
    const pressed = event.currentTarget;
    // The second click of a double click is meant for what was there at the first.
    if (event.detail > 1) return;
    if (why) say(why);
    if (why || pressed.getAttribute("aria-busy")) return;
    pressed.setAttribute("aria-busy", "true");
    await act().catch((problem) => say(problem.message));
    pressed.removeAttribute("aria-busy");
  };
  const off = why ? { "aria-disabled": "true", title: why } : {};
  return el("button", { type: "button", class: kind, onclick: press, ...off, ...attributes }, label);
}

export const link = (to, label) => el("a", { href: to }, label);

/** What a page is called, in the window and at its top; `beside` stands at its right. */
export function heading(title, ...beside) {
  document.title = `${title} · Postern`;
  return el("div", { class: "heading" }, el("h1", { tabindex: "-1" }, title), beside);
}

/** What to do next where there is nothing. */
export const empty = (what, ...next) => el("div", { class: "empty" }, el("p", { class: "lead" }, what), next.filter(isThere).map((it) => el("p", {}, it)));

export const notice = (tone, ...content) => el("div", { class: `notice ${tone}`, role: tone === "bad" ? "alert" : undefined }, content);

export const badge = ({ tone, word }) => el("span", { class: `badge ${tone}` }, word);

export const code = (words) => el("code", {}, words);

/** A table that becomes cards where it is narrow: each cell knows what its column is called. */
export function table(caption, columns, rows) {
  const cells = (row) => columns.map(({ name, of }) => el("td", { "data-name": name }, of(row)));
  return el(
    "table",
    {},
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, columns.map(({ name }) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, cells(row)))),
  );
}

/** Names with what is said of them; what nothing is said of is left out. */
export function facts(pairs) {
  const said = pairs.filter(([, value]) => isThere(value));
  return el("dl", { class: "facts" }, said.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** Words that name commands and fields between grave accents, as they are written in a terminal. */
export const prose = (words) => words.split("`").map((part, at) => (at % 2 === 1 ? code(part) : part));

/** How long a press may put off what is shown: where a menu opens, say, its end is never told. */
const LONGEST_PRESS = 5_000;
/** What is being pressed, by a pointer or the space bar: replaced before its end, it would not be clicked. */
let pressed = undefined;
let limit = undefined;
/** Elements, with the content that waits for the end of a press. */
const putOff = new Map();

function press({ target }) {
  pressed = target;
  clearTimeout(limit);
  limit = setTimeout(release, LONGEST_PRESS);
}

/** Lets go of what is being pressed: what was put off is shown. */
export function release() {
  clearTimeout(limit);
  pressed = undefined;
  for (const [element, content] of putOff) fill(element, ...content);
}

addEventListener("pointerdown", press, true);
addEventListener("keydown", (event) => event.key === " " && !event.repeat && press(event), true);
// The click comes right after it.
for (const end of ["pointerup", "pointercancel", "keyup"]) addEventListener(end, () => setTimeout(release), true);

/** Puts other content in place of an element's, once nothing in it is being pressed, and leaves the focus, and what is
 * unfolded, as they were. */
export function fill(element, ...content) {
  putOff.delete(element);
  if (element.contains(pressed)) {
    putOff.set(element, content);
    return;
  }
  const focused = document.activeElement;
  const place = element.contains(focused) ? reachable(element).indexOf(focused) : -1;
  const unfolded = [...element.querySelectorAll("details[open]")].map((it) => it.id);
  element.replaceChildren(...content.flat(3).filter(isThere));
  for (const details of element.querySelectorAll("details")) details.open ||= unfolded.includes(details.id);
  if (focused === document.activeElement) return;
  const there = place >= 0 ? reachable(element)[place] : undefined;
  const again = (focused?.id && document.getElementById(focused.id)) || (there && named(there) === named(focused) && there);
  if (again) again.focus({ preventScroll: true });
  else if (place >= 0) rest(element);
}

/** What was to be pressed is gone: the next press is not for what has come to its place. */
function rest(element) {
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
}

/** What somebody takes an element for. */
const named = (it) => `${it.localName} ${it.getAttribute("aria-label") ?? it.textContent}`;

const reachable = (element) => [...element.querySelectorAll("a, button, input, select, textarea, summary")];

/** A text to take along, with a button that copies it where the browser lets a page do so. */
export function copyable(id, text) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    say("It was copied.");
  };
  return el("p", { class: "copyable" }, el("span", { class: "fingerprint", id }, text), navigator.clipboard && button("Copy", copy, { id: `${id}-copy` }));
}

/** Hands bytes to the browser as a file. */
export function save(bytes, name) {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Says something to whoever looks, and to whoever listens. */
export function say(words) {
  const said = el("p", {}, prose(words));
  document.getElementById("said").replaceChildren(said);
  setTimeout(() => said.remove(), 8_000);
}

/** Says what was done once it is shown, or cannot be: whoever is told writes on, in a form that is not replaced any more. */
export const sayOnceShown = (shown, words) => shown.finally(() => say(words));

/** What was said before is no answer to what is done now. */
export const hush = () => document.getElementById("said").replaceChildren();
