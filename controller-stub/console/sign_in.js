// The page that asks for a token.

import { post } from "./api.js";
import { code, el, fill, heading, notice } from "./dom.js";
import { form } from "./form.js";

/** Good for months, and still called that: a browser offers to keep what it takes for a password, and to fill it in for whoever comes next. */
const NOT_TO_BE_KEPT = "one-time-code";

export function show(place, { why = undefined, signedIn }) {
  const fields = [{ name: "token", label: "API token", type: "secret", required: true, autocomplete: NOT_TO_BE_KEPT, hint: "It is sent to this controller once, and this page keeps it nowhere. Should the browser offer to, decline." }];
  const send = async ({ token }) => {
    try {
      await post("/console/session", { token: token.trim() });
    } catch (problem) {
      if (problem.status === 401) problem.message = "This token is not known here, was revoked, or has run out.";
      throw problem;
    }
    await signedIn();
  };
  fill(
    place,
    el(
      "section",
      { class: "narrow" },
      heading("Sign in"),
      why && notice("warn", why),
      form({ id: "sign-in", fields, action: "Sign in", send }),
      el("p", { class: "hint" }, "The first administrator's token is in ", code("api.token"), " in the controller's data directory; with the package, that is ", code("/var/lib/postern-controller/api.token"), ". Others are made with ", code("postern-controller api-token create --name NAME --role ROLE"), "."),
    ),
  );
  document.getElementById("sign-in-token").focus();
}
