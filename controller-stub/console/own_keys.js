// The keys of this page: what comes of a task under one can be opened here, until the page is left or loaded anew.

/** More tasks than anybody submits with keys before fetching what came of them. */
const MAX = 100;

const kept = new Map();

/** Keeps a pair of keys with what a task is bound to. The oldest makes room. */
export function keep(task, pair) {
  if (kept.size >= MAX) kept.delete(kept.keys().next().value);
  kept.set(task.id, { task, pair });
}

export const ownKey = (id) => kept.get(id);
