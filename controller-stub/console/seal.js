// Sealing as docs/protocol.md says it: what leaves this page is for the members alone, and the controller only carries it.

import { base64, concat, fromBase64, fromHex, hex, littleEndian, random, sha256, text, utf8 } from "./bytes.js";
import { TAG, decrypt, encrypt } from "./chacha20poly1305.js";
import { keyPair, open, seal } from "./hpke.js";

/** The most bytes of a secret. */
const MAX_SECRET = 2048;
/** What a segment of a dataset holds, and what it becomes. */
const SEGMENT = 65_520;
const CHUNK = SEGMENT + TAG;
/** How many segments are sealed, or opened, before the page may show how far it is. */
const AT_ONCE = 16;

/** Why nothing can be sealed here, in a sentence; nothing if it can. */
export async function whyNot() {
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) {
    return "This page came without TLS from another host, so the browser gives it no cryptography. Open the console by HTTPS, or on the controller's own host as http://127.0.0.1 or http://localhost.";
  }
  try {
    await keyPair();
    return undefined;
  } catch {
    return "This browser has no X25519, which secrets are sealed with. Use a newer one, or submit the task with `postern-controller task submit`.";
  }
}

/** A task's id: the time, then chance, as a UUID of version 7. */
export function newTaskId() {
  const bytes = random(16);
  bytes.set(littleEndian(Date.now(), 6).reverse());
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return `tsk_${hex(bytes)}`;
}

/** What secrets of a task are bound to. `target` is what the task is about, as the member writes it. */
function associatedData({ id, number, system, target }, field) {
  const sized = (part) => concat(littleEndian(utf8(part).length, 2), utf8(part));
  const task = fromHex(id.replace("tsk_", ""));
  return concat(utf8("postern/field/v1"), task, littleEndian(number, 2), sized(system), sized(target), sized(field));
}

/** Seals one secret to the members' public keys, as the API takes it. */
export async function sealField(task, name, secret, recipients) {
  if (secret.length > MAX_SECRET) throw new Error(`a secret may have at most ${MAX_SECRET} bytes`);
  const associated = associatedData(task, name);
  const dataKey = random(32);
  const ciphertext = encrypt(dataKey, new Uint8Array(12), secret, associated);
  const wrapped = await Promise.all(recipients.map((recipient) => wrap(recipient, dataKey, associated)));
  const bytes = concat(counted(utf8(name)), counted(ciphertext), littleEndian(wrapped.length, 4), ...wrapped);
  return { name, bytes: base64(bytes) };
}

async function wrap(recipient, dataKey, associated) {
  const { enc, ciphertext } = await seal(recipient, utf8("postern/wrap/v1"), dataKey, associated);
  const keyId = (await sha256(recipient)).slice(0, 8);
  return concat(keyId, enc, counted(ciphertext));
}

const counted = (bytes) => concat(littleEndian(bytes.length, 4), bytes);

/** Opens a secret that came of a task, with the pair of keys that the task was submitted with. */
export async function openOutput(task, output, own) {
  const { name, enc, ciphertext } = sealedOutput(fromBase64(output.bytes));
  return open(own, enc, utf8("postern/output/v1"), ciphertext, associatedData(task, name));
}

function sealedOutput(bytes) {
  const view = new DataView(bytes.buffer);
  const nameEnd = 4 + view.getUint32(0, true);
  const begin = nameEnd + 32 + 4;
  return {
    name: text(bytes.slice(4, nameEnd)),
    enc: bytes.slice(nameEnd, nameEnd + 32),
    ciphertext: bytes.slice(begin, begin + view.getUint32(nameEnd + 32, true)),
  };
}

/** Seals a dataset whole under a fresh key. */
export async function sealDataset(plain, onProgress = () => {}) {
  const key = random(32);
  const segments = Math.max(Math.ceil(plain.length / SEGMENT), 1);
  const sealed = new Uint8Array(plain.length + segments * TAG);
  for (let index = 0; index < segments; index += 1) {
    const segment = plain.subarray(index * SEGMENT, (index + 1) * SEGMENT);
    sealed.set(encrypt(key, segmentNonce(index, index + 1 === segments), segment), index * CHUNK);
    await letPageBreathe(index, () => onProgress(index / segments));
  }
  return { key, sealed };
}

/** Opens a payload that was sealed like a dataset. */
export async function openPayload(key, sealed) {
  const segments = Math.max(Math.ceil(sealed.length / CHUNK), 1);
  const plain = new Uint8Array(Math.max(sealed.length - segments * TAG, 0));
  for (let index = 0; index < segments; index += 1) {
    const chunk = sealed.subarray(index * CHUNK, (index + 1) * CHUNK);
    plain.set(decrypt(key, segmentNonce(index, index + 1 === segments), chunk), index * SEGMENT);
    await letPageBreathe(index, () => {});
  }
  return plain;
}

const segmentNonce = (index, last) => concat(littleEndian(index, 8), [0, 0, 0, last ? 1 : 0]);

async function letPageBreathe(index, tell) {
  if (index % AT_ONCE !== 0) return;
  tell();
  await new Promise((resume) => setTimeout(resume));
}
