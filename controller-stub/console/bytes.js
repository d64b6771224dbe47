// Bytes as others want them.

const encoder = new TextEncoder();

export const utf8 = (text) => encoder.encode(text);

export const text = (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

export const random = (length) => crypto.getRandomValues(new Uint8Array(length));

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The lowest `length` bytes of a number, the least significant first. */
export function littleEndian(number, length) {
  const bytes = new Uint8Array(length);
  for (let at = 0, rest = BigInt(number); at < length; at += 1, rest >>= 8n) {
    bytes[at] = Number(rest & 0xffn);
  }
  return bytes;
}

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function fromHex(digits) {
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error("not hexadecimal digits");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

export const fromBase64 = (digits) => Uint8Array.from(atob(digits), (letter) => letter.charCodeAt(0));

export const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
