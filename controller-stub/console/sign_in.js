// The page that asks for a token.

import { post } from "./api.js";
import { code, el, fill, heading, notice } from "./dom.js";
import { form } from "./form.js";

export function show(place, { why = undefined, signedIn }) {
  const fields = [{ name: "token", label: "API token", type: "secret", required: true, autocomplete: "current-password", hint: "It is sent to this controller once, and kept nowhere in the browser." }];
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
