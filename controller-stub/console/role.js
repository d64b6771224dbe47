// Who is signed in, and what that lets be done.

import { get } from "./api.js";

const ROLES = ["viewer", "operator", "administrator"];

let me = undefined;

export const whoIsHere = () => me;

export async function askWhoIsHere() {
  me = await get("/v1/whoami");
  return me;
}

/** Somebody is known to be here, or nobody. */
export function isHere(who) {
  me = who;
}

/** Why whoever is signed in may not do what needs this role, in a sentence; nothing if it may. */
export function whyNot(least) {
  if (ROLES.indexOf(me.role) >= ROLES.indexOf(least)) return undefined;
  return `This needs the role ${least}, and the token “${me.name}” has the role ${me.role}. Sign in with another, or have an administrator make one on the page Tokens.`;
}

/** The first reason not to, of several. */
export const first = (...reasons) => reasons.find((it) => it !== undefined);
