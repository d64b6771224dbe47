// The controller's API, under the session that somebody opened.

import { hex, random } from "./bytes.js";

const JSON_TYPE = "application/json";
const SESSION_OVER = "The session had ended when this was asked for. See whether it was done; if not, do it again.";

/** Why the API did not do something: its own words, and the field that is wrong if one is. */
class Problem extends Error {
  constructor({ status = 0, detail, field = undefined }) {
    super(detail);
    this.status = status;
    this.field = field;
  }
}

export const get = (path) => ask("GET", path);
export const post = (path, body = undefined) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

/** A proxy has no answer of the controller's, or that is about to stop. */
const UNANSWERED = [502, 503, 504];

/** Whether what was asked for may have been done all the same: nobody answered, or the session ended meanwhile. */
export const mayBeDone = ({ status }) => status === 0 || status === 401 || UNANSWERED.includes(status);

/** What was to be made and may have been, with the key that it was asked for under. */
let unanswered = undefined;

/** Makes something. Whoever does not know whether it was made asks for the same again, and nothing is made twice. */
export const make = (path, body) => once(`${path} ${JSON.stringify(body)}`, (key) => ask("POST", path, body, key));

async function once(what, makeIt) {
  const key = unanswered?.what === what ? unanswered.key : hex(random(16));
  unanswered = { what, key };
  const made = await makeIt(key).catch((problem) => {
    if (!mayBeDone(problem)) unanswered = undefined;
    throw problem;
  });
  unanswered = undefined;
  return made;
}

/** One page of a list, with the cursor of the next. */
export function page(path, query = {}) {
  const said = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return get(`${path}?${new URLSearchParams(said)}`);
}

/** Every item of a list: of those that stay short. */
export async function all(path, query = {}) {
  const items = [];
  let cursor = undefined;
  do {
    const answer = await page(path, { limit: 200, ...query, cursor });
    items.push(...answer.items);
    cursor = answer.next;
  } while (cursor);
  return items;
}

/** How long an answer may take, of what is no file: ten seconds of waiting for a task, and slow networks several times over. */
const LONGEST_ANSWER = 90_000;

/** Uploads sealed bytes. */
export async function upload(bytes, sha256) {
  const path = `/v1/streams?sha256=${sha256}`;
  return once(path, async (key) => read(await call("POST", path, { type: "application/octet-stream", body: bytes, key })));
}

/** Downloads bytes. */
export async function download(path) {
  const answer = await call("GET", path);
  if (!answer.ok) await read(answer);
  return new Uint8Array(await answer.arrayBuffer());
}

async function ask(method, path, body, key = undefined) {
  return read(await call(method, path, { type: body && JSON_TYPE, body: body && JSON.stringify(body), key, signal: AbortSignal.timeout(LONGEST_ANSWER) }));
}

async function call(method, path, { type = undefined, body = undefined, key = undefined, signal = undefined } = {}) {
  const headers = Object.entries({ "Content-Type": type, "Idempotency-Key": key }).filter(([, value]) => value !== undefined);
  try {
    const answer = await fetch(path, { method, body, headers, signal });
    dispatchEvent(new CustomEvent("heard"));
    return answer;
  } catch {
    throw unheard();
  }
}

function unheard() {
  dispatchEvent(new CustomEvent("unheard"));
  return new Problem({ detail: "The controller does not answer. Is it running, and is the network there?" });
}

async function read(answer) {
  const told = await answer.text().catch(() => {
    throw unheard();
  });
  const body = told === "" ? undefined : parsed(told);
  if (answer.ok) return body;
  const isSignedOut = answer.status === 401;
  if (isSignedOut) dispatchEvent(new CustomEvent("signedout"));
  const detail = isSignedOut ? SESSION_OVER : (body?.detail ?? `The controller answered ${answer.status}.`);
  throw new Problem({ status: answer.status, detail, field: body?.field });
}

function parsed(told) {
  try {
    return JSON.parse(told);
  } catch {
    return undefined;
  }
}
