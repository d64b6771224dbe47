// The keys of this page: what comes of a task under one can be opened here by whoever submitted it, and a dataset sealed again,
// until that person signs out, or the page is left or loaded anew.

import { whoIsHere } from "./role.js";

/** More tasks than anybody submits with keys before fetching what came of them. */
const MAX = 100;

const kept = new Map();

/** Keeps what a task was sealed with, and what that is bound to: a pair of keys, the key of a dataset. */
export function keep(task, { pair = undefined, dataset = undefined }) {
  kept.set(task.id, { task, pair, dataset, owner: whoIsHere()?.name });
}

/** Lets go of the oldest that are too many. Not before a task is taken in: one that is refused takes nobody's place. */
export function makeRoom() {
  while (kept.size > MAX) kept.delete(kept.keys().next().value);
}

/** Lets go of what a task was sealed with that was not taken in. */
export const drop = (id) => kept.delete(id);

/** The pair of keys of a task, with what it is bound to. */
export function ownKey(id) {
  const own = ownOf(id);
  return own?.pair ? own : undefined;
}

/** The key of the dataset of a task. */
export const datasetKey = (id) => ownOf(id)?.dataset;

/** What is kept of a task, if it is of whoever is signed in: after a session has ended, that may be somebody else. */
function ownOf(id) {
  const own = kept.get(id);
  return own?.owner === whoIsHere().name ? own : undefined;
}

export const forget = () => kept.clear();
