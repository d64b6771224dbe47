// The controller's API, under the session that somebody opened.

const JSON_TYPE = "application/json";

/** Why the API did not do something: its own words, and the field that is wrong if one is. */
export class Problem extends Error {
  constructor({ status = 0, detail, field = undefined }) {
    super(detail);
    this.status = status;
    this.field = field;
  }
}

export const get = (path) => ask("GET", path);
export const post = (path, body = undefined) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

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

/** Uploads sealed bytes. */
export async function upload(bytes, sha256) {
  return read(await call("POST", `/v1/streams?sha256=${sha256}`, "application/octet-stream", bytes));
}

/** Downloads bytes. */
export async function download(path) {
  const answer = await call("GET", path);
  if (!answer.ok) await read(answer);
  return new Uint8Array(await answer.arrayBuffer());
}

async function ask(method, path, body) {
  return read(await call(method, path, body && JSON_TYPE, body && JSON.stringify(body)));
}

async function call(method, path, type = undefined, body = undefined) {
  try {
    const answer = await fetch(path, { method, body, headers: type ? { "Content-Type": type } : {} });
    dispatchEvent(new CustomEvent("heard"));
    return answer;
  } catch {
    dispatchEvent(new CustomEvent("unheard"));
    throw new Problem({ detail: "The controller does not answer. Is it running, and is the network there?" });
  }
}

async function read(answer) {
  const told = await answer.text();
  const body = told === "" ? undefined : parsed(told);
  if (answer.ok) return body;
  const problem = new Problem({ status: answer.status, detail: body?.detail ?? `The controller answered ${answer.status}.`, field: body?.field });
  if (problem.status === 401) dispatchEvent(new CustomEvent("signedout"));
  throw problem;
}

function parsed(told) {
  try {
    return JSON.parse(told);
  } catch {
    return undefined;
  }
}
