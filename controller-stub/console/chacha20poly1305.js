// ChaCha20-Poly1305 of RFC 8439, which browsers do not have. What is not here is theirs: randomness, X25519, HMAC, SHA-256.

import { concat, littleEndian } from "./bytes.js";

export const TAG = 16;

const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
const PRIME = (1n << 130n) - 5n;
const BELOW_130 = (1n << 130n) - 1n;
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;

/** The ciphertext, and behind it the tag. */
export function encrypt(key, nonce, plaintext, associated = new Uint8Array()) {
  const ciphertext = chacha20(key, nonce, 1, plaintext);
  return concat(ciphertext, tag(key, nonce, ciphertext, associated));
}

/** The plaintext. Throws if anything was altered. */
export function decrypt(key, nonce, sealed, associated = new Uint8Array()) {
  const ciphertext = sealed.subarray(0, Math.max(sealed.length - TAG, 0));
  if (!equal(sealed.subarray(ciphertext.length), tag(key, nonce, ciphertext, associated))) {
    throw new Error("it cannot be opened: it was altered, or is for somebody else");
  }
  return chacha20(key, nonce, 1, ciphertext);
}

/** Bytes with the key stream over them. The same twice gives the bytes again. */
export function chacha20(key, nonce, counter, bytes) {
  const state = new Uint32Array([...CONSTANTS, ...words(key), counter, ...words(nonce)]);
  const out = new Uint8Array(bytes.length);
  const stream = new Uint8Array(64);
  for (let at = 0; at < bytes.length; at += 64) {
    block(state, stream);
    state[12] += 1;
    const end = Math.min(64, bytes.length - at);
    for (let offset = 0; offset < end; offset += 1) out[at + offset] = bytes[at + offset] ^ stream[offset];
  }
  return out;
}

function block(state, stream) {
  const x = state.slice();
  for (let round = 0; round < 10; round += 1) {
    quarter(x, 0, 4, 8, 12);
    quarter(x, 1, 5, 9, 13);
    quarter(x, 2, 6, 10, 14);
    quarter(x, 3, 7, 11, 15);
    quarter(x, 0, 5, 10, 15);
    quarter(x, 1, 6, 11, 12);
    quarter(x, 2, 7, 8, 13);
    quarter(x, 3, 4, 9, 14);
  }
  const view = new DataView(stream.buffer);
  for (let at = 0; at < 16; at += 1) view.setUint32(4 * at, x[at] + state[at], true);
}

function quarter(x, a, b, c, d) {
  x[a] += x[b];
  x[d] = rotated(x[d] ^ x[a], 16);
  x[c] += x[d];
  x[b] = rotated(x[b] ^ x[c], 12);
  x[a] += x[b];
  x[d] = rotated(x[d] ^ x[a], 8);
  x[c] += x[d];
  x[b] = rotated(x[b] ^ x[c], 7);
}

const rotated = (word, by) => (word << by) | (word >>> (32 - by));

function words(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(4 * at, true));
}

function tag(key, nonce, ciphertext, associated) {
  const lengths = concat(littleEndian(associated.length, 8), littleEndian(ciphertext.length, 8));
  const said = concat(associated, padding(associated), ciphertext, padding(ciphertext), lengths);
  return poly1305(chacha20(key, nonce, 0, new Uint8Array(32)), said);
}

const padding = (bytes) => new Uint8Array((16 - (bytes.length % 16)) % 16);

/** The one-time authenticator. */
export function poly1305(key, bytes) {
  const r = number(key, 0, 16) & CLAMP;
  let sum = 0n;
  for (let at = 0; at < bytes.length; at += 16) {
    const length = Math.min(16, bytes.length - at);
    sum = (sum + number(bytes, at, length) + (1n << BigInt(8 * length))) * r;
    // 2^130 is 5 more than the prime: what is above it comes back five times.
    sum = (sum & BELOW_130) + 5n * (sum >> 130n);
  }
  return littleEndian((sum % PRIME) + number(key, 16, 16), 16);
}

function number(bytes, at, length) {
  if (length < 16) return bytes.slice(at, at + length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 16);
  return view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n);
}

/** Whether both are the same, in a time that does not tell where they differ. */
function equal(one, other) {
  let difference = one.length ^ other.length;
  for (let at = 0; at < other.length; at += 1) difference |= one[at] ^ other[at];
  return difference === 0;
}
