// Forms from a list of fields. What the API refuses is shown at the field that it names.

import { el, hush, notice, prose } from "./dom.js";

/**
 * A form. A field has a `name`, a `label`, perhaps a `hint` and a `type`: text (as it is if there is none), lines, select,
 * check, number, secret, file or json; text may have a `usual` value, and `known` ones to choose of. What is `rare` is
 * folded away. `send` is given the values by name; with `again`, the form is empty afterwards, for the next.
 */
export function form({ id, fields, values = {}, action, why = undefined, again = false, send }) {
  const inputs = fields.map((field) => ({ field, input: input(id, field, values[field.name], why) }));
  const summary = el("div", {});
  const submit = el("button", { type: "submit", class: "main", "aria-disabled": why ? "true" : undefined, title: why }, action);
  const element = el(
    "form",
    { id, novalidate: true, onsubmit: (event) => sent(event, { inputs, summary, submit, why, again, send }) },
    why && notice("warn", why),
    summary,
    rows(id, inputs.filter(({ field }) => !field.rare)),
    inputs.some(({ field }) => field.rare) && el("details", { id: `${id}-rare` }, el("summary", {}, "More that can be said"), rows(id, inputs.filter(({ field }) => field.rare))),
    el("div", { class: "actions" }, submit),
  );
  return element;
}

async function sent(event, { inputs, summary, submit, why, again, send }) {
  event.preventDefault();
  if (why || submit.getAttribute("aria-busy")) return;
  clear(inputs, summary);
  hush();
  submit.setAttribute("aria-busy", "true");
  try {
    const values = {};
    for (const { field, input: shown } of inputs) values[field.name] = value(field, shown);
    await send(values, (words) => summary.replaceChildren(notice("busy", words)));
    summary.replaceChildren();
    if (again) event.target.reset();
  } catch (problem) {
    show(problem, inputs, summary);
  } finally {
    submit.removeAttribute("aria-busy");
  }
}

/** A field to choose of pairs: a value, what it is called, and what is told of it afterwards if that is something else. */
export const choice = (name, label, pairs, more = {}) => ({ name, label, type: "select", options: pairs.map(([value, said, told]) => ({ value, label: said, told })), ...more });

/** A value that is not what its field takes. */
export class Mistake extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

function value(field, shown) {
  const written = shown.value;
  if (field.required && field.type !== "file" && written.trim() === "") throw new Mistake(field.name, `${field.label} is missing.`);
  switch (field.type) {
    case "check":
      return shown.checked;
    case "lines":
      return written.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    case "number":
      if (written === "") return undefined;
      if (!/^[0-9]+$/.test(written)) throw new Mistake(field.name, `${field.label} has to be a whole number.`);
      return Number(written);
    case "file":
      if (field.required && !shown.files[0]) throw new Mistake(field.name, `${field.label} is missing: choose a file.`);
      return shown.files[0];
    case "json":
      return json(field, written);
    case "secret":
    case "select":
      return written;
    default:
      return written.trim();
  }
}

function json(field, written) {
  if (written.trim() === "") return undefined;
  try {
    return JSON.parse(written);
  } catch (error) {
    throw new Mistake(field.name, `${field.label} is not JSON: ${error.message}`);
  }
}

function input(id, field, given, why) {
  const { name, type } = field;
  const hints = [field.hint && `${id}-${name}-hint`, `${id}-${name}-error`].filter(Boolean).join(" ");
  const attributes = { id: `${id}-${name}`, name, "aria-describedby": hints, disabled: Boolean(why) || field.fixed, "aria-required": field.required ? "true" : undefined };
  switch (type) {
    case "select":
      return select(field, given, attributes);
    case "check":
      return el("input", { type: "checkbox", checked: given === true, ...attributes });
    case "lines":
      return el("textarea", { rows: "3", spellcheck: "false", ...attributes }, (given ?? []).join("\n"));
    case "json":
      return el("textarea", { rows: "4", spellcheck: "false", class: "code", ...attributes }, given === undefined ? "" : JSON.stringify(given, null, 2));
    case "file":
      return el("input", { type: "file", accept: field.accept, ...attributes });
    case "secret":
      return el("input", { type: "password", autocomplete: field.autocomplete ?? "off", ...attributes });
    default:
      return el("input", { type: "text", inputmode: type === "number" ? "numeric" : undefined, autocomplete: "off", spellcheck: "false", value: given ?? field.usual ?? "", list: field.known && `${id}-${name}-known`, ...attributes });
  }
}

function select(field, given, attributes) {
  const options = field.options.map(({ value: name, label, why }) =>
    el("option", { value: name, selected: name === given, disabled: Boolean(why) }, why ? `${label} (${why})` : label),
  );
  return el("select", attributes, options);
}

const rows = (id, inputs) => inputs.map(({ field, input: shown }) => row(id, field, shown));

function row(id, field, shown) {
  const label = el("label", { for: shown.id }, field.label, field.required && el("span", { class: "required" }, " (required)"));
  const hint = field.hint && el("p", { class: "hint", id: `${id}-${field.name}-hint` }, field.hint);
  const error = el("p", { class: "error", id: `${id}-${field.name}-error` });
  const known = field.known && el("datalist", { id: `${id}-${field.name}-known` }, field.known.map((value) => el("option", { value })));
  const inside = field.type === "check" ? [el("div", { class: "check" }, shown, label), hint, error] : [label, hint, shown, known, error];
  return el("div", { class: "field", "data-field": field.name }, inside);
}

/** Takes back what was said of the last attempt. */
function clear(inputs, summary) {
  summary.replaceChildren();
  for (const { input: shown } of inputs) {
    shown.removeAttribute("aria-invalid");
    errorOf(shown).replaceChildren();
  }
}

function show(problem, inputs, summary) {
  const wrong = inputs.find(({ field }) => isAbout(problem, field));
  if (!wrong) {
    summary.replaceChildren(notice("bad", prose(problem.message)));
    return;
  }
  wrong.input.setAttribute("aria-invalid", "true");
  wrong.input.closest("details")?.setAttribute("open", "");
  errorOf(wrong.input).replaceChildren(...prose(problem.message));
  wrong.input.focus();
}

/** The API calls a parameter `params.name`, or tells of it in the words about `params`. */
function isAbout(problem, { name, of = [] }) {
  const names = [name, ...of];
  if (problem.field === "params") return names.some((it) => problem.message.includes(`${it}:`) || problem.message.includes(`\`${it}\``));
  return names.some((it) => problem.field === it || problem.field === `params.${it}`);
}

const errorOf = (shown) => shown.closest(".field").querySelector(".error");
