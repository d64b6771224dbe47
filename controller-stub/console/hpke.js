// HPKE of RFC 9180 in base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.

import { concat, littleEndian, utf8 } from "./bytes.js";
import { decrypt, encrypt } from "./chacha20poly1305.js";

const KEM = concat(utf8("KEM"), [0x00, 0x20]);
const SUITE = concat(utf8("HPKE"), [0x00, 0x20, 0x00, 0x01, 0x00, 0x03]);
const NOTHING = new Uint8Array();
const X25519 = { name: "X25519" };

/** A fresh pair of keys. The private half cannot be read out, not even by this page. */
export async function keyPair() {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(X25519, false, ["deriveBits"]);
  return { privateKey, publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)) };
}

/** Seals to the owner of a public key: the encapsulated key, and the ciphertext. */
export async function seal(recipient, info, plaintext, associated, ephemeral = undefined) {
  const own = ephemeral ?? (await keyPair());
  const shared = await sharedSecret(own.privateKey, recipient, own.publicKey, recipient);
  const { key, nonce } = await schedule(shared, info);
  return { enc: own.publicKey, ciphertext: encrypt(key, nonce, plaintext, associated) };
}

/** Opens what was sealed to this pair of keys. */
export async function open(own, enc, info, ciphertext, associated) {
  const shared = await sharedSecret(own.privateKey, enc, enc, own.publicKey);
  const { key, nonce } = await schedule(shared, info);
  return decrypt(key, nonce, ciphertext, associated);
}

async function sharedSecret(privateKey, theirs, enc, recipient) {
  const their = await crypto.subtle.importKey("raw", theirs, X25519, false, []);
  // A key of low order gives zeros, which the browser refuses.
  const point = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: their }, privateKey, 256));
  const secret = await extract(KEM, NOTHING, "eae_prk", point);
  return expand(KEM, secret, "shared_secret", concat(enc, recipient), 32);
}

async function schedule(shared, info) {
  const none = await extract(SUITE, NOTHING, "psk_id_hash", NOTHING);
  const context = concat([0x00], none, await extract(SUITE, NOTHING, "info_hash", info));
  const secret = await extract(SUITE, shared, "secret", NOTHING);
  return { key: await expand(SUITE, secret, "key", context, 32), nonce: await expand(SUITE, secret, "base_nonce", context, 12) };
}

const extract = (suite, salt, label, material) => hmac(salt, concat(utf8("HPKE-v1"), suite, utf8(label), material));

/** All that is asked for here fits into the first block. */
async function expand(suite, secret, label, info, length) {
  const size = littleEndian(length, 2).reverse();
  return (await hmac(secret, concat(size, utf8("HPKE-v1"), suite, utf8(label), info, [0x01]))).slice(0, length);
}

async function hmac(key, bytes) {
  // No salt is as good as one of zeros, and browsers want a key that is not empty.
  const material = key.length === 0 ? new Uint8Array(32) : key;
  const imported = await crypto.subtle.importKey("raw", material, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, bytes));
}
