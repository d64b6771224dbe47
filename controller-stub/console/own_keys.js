// The keys of this page: what comes of a task under one can be opened here by whoever submitted it, until that person signs
// out, or the page is left or loaded anew.

import { whoIsHere } from "./role.js";

/** More tasks than anybody submits with keys before fetching what came of them. */
const MAX = 100;

const kept = new Map();

/** Keeps a pair of keys with what a task is bound to. The oldest makes room. */
export function keep(task, pair) {
  if (kept.size >= MAX) kept.delete(kept.keys().next().value);
  kept.set(task.id, { task, pair, owner: whoIsHere().name });
}

/** The keys of a task, if they are of whoever is signed in: after a session has ended, that may be somebody else. */
export function ownKey(id) {
  const own = kept.get(id);
  return own?.owner === whoIsHere().name ? own : undefined;
}

export const forget = () => kept.clear();
