// What the API says, in words for people.

import { el } from "./dom.js";

const STATES = {
  pending: ["warn", "pending"],
  enabled: ["good", "enabled"],
  draining: ["warn", "draining"],
  disabled: ["quiet", "disabled"],
  revoked: ["bad", "revoked"],
  queued: ["quiet", "queued"],
  needs_reseal: ["bad", "needs to be sealed again"],
  leased: ["busy", "offered"],
  accepted: ["busy", "accepted"],
  started: ["busy", "running"],
  in_doubt: ["warn", "in doubt"],
  finished: ["quiet", "finished"],
};

const OUTCOMES = {
  succeeded: ["good", "succeeded", "It did what was asked."],
  already_satisfied: ["good", "already so", "The account was in that state before, so nothing was changed."],
  failed: ["bad", "failed", "It did not do what was asked."],
  partially_succeeded: ["warn", "partly", "Some of it succeeded and some did not."],
  cancelled: ["quiet", "cancelled", "It was cancelled before anything was changed."],
  expired: ["quiet", "expired", "Its deadline passed before anything was changed."],
  unknown: ["bad", "unknown", "It cannot be found out whether it took effect. Look at the account, then decide."],
  dead_lettered: ["bad", "given up", "The agent's process died again and again in the same step of it. Look at the account and the agent's log, then submit again."],
  // Of entries of a batch.
  created: ["good", "created"],
  modified: ["good", "modified"],
  unchanged: ["quiet", "unchanged"],
  would_create: ["good", "would be created"],
  would_modify: ["good", "would be modified"],
};

/** What a table has for a word that others say. Words such as `constructor` are in every object, and in no table. */
export const among = (table, word) => (Object.hasOwn(table, word) ? table[word] : undefined);

/** How a badge says a word of the API. One that is not in the table is said as it is. */
export function toned(table, word) {
  const [tone, said] = among(table, word) ?? ["quiet", word];
  return { tone, word: said };
}

export const state = (word) => toned(STATES, word);

export const outcome = (word) => toned(OUTCOMES, word);

export const outcomeSentence = (word) => among(OUTCOMES, word)?.[2] ?? "";

/** How a task is, in one word: how it ended, or how far it is. */
export const taskState = (task) => (task.outcome ? outcome(task.outcome) : state(task.state));

const CERTAINTIES = {
  certain: "Salesforce said so, or was read back",
  probable: "what was read back fits, but another cause is possible",
  unknown: "not known",
};

export const certainty = (word) => among(CERTAINTIES, word) ?? word;

const CHANGES = { no: "nothing was changed", yes: "something was changed", unknown: "not known" };

export const changed = (word) => among(CHANGES, word) ?? word;

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** A moment, in milliseconds since 1970, as the clock on the wall here shows it, with its zone; a dash for what no clock shows. */
export function when(millis) {
  if (millis === undefined || millis === null) return undefined;
  const moment = new Date(millis);
  if (Number.isNaN(moment.getTime())) return "–";
  return el("time", { datetime: moment.toISOString() }, clock.format(moment));
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  const [unit, shift] = bytes < 1024 ** 2 ? ["KiB", 1] : ["MiB", 2];
  return `${(bytes / 1024 ** shift).toFixed(1)} ${unit}`;
}

/** An id, short enough for a table and whole for who wants it. */
export const shortId = (id) => (id.length > 16 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id);

/** Names one after the other; which way one is written is no matter of the next. */
export const list = (names) => names.flatMap((it, at) => [at > 0 && ", ", el("bdi", {}, it)]);

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString()} ${number === 1 ? one : many}`;
