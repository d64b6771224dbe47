// Questions that have to be answered before anything goes on.

import { button, el } from "./dom.js";

/** Asks whether to do something. With `check`, it has to be ticked first; `keep` is what the other button says. */
export function confirm({ title, body, action, danger = false, check = undefined, keep = "Cancel" }) {
  return new Promise((answer) => {
    const box = check && el("input", { type: "checkbox", id: "confirm-check", required: true });
    const dialog = el(
      "dialog",
      { "aria-labelledby": "confirm-title", onclose: () => done(dialog, answer) },
      el(
        "form",
        { method: "dialog" },
        el("h2", { id: "confirm-title" }, title),
        body,
        box && el("p", { class: "check" }, box, el("label", { for: "confirm-check" }, check)),
        el(
          "div",
          { class: "actions" },
          button(keep, async () => dialog.close(""), { autofocus: true }),
          el("button", { type: "submit", value: "yes", class: danger ? "danger" : "main" }, action),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

function done(dialog, answer) {
  dialog.remove();
  answer(dialog.returnValue === "yes");
}
