"""Seals secrets and datasets and proves enrollments as docs/protocol.md says, with Python's standard library alone.

The suite `wire` opens what this makes. It is slow and its running time depends on the secrets: an example to read, not
a library to use.

Reads one JSON request from standard input, writes one JSON answer to standard output; all bytes are in hexadecimal.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys

P = 2**255 - 19


def x25519(scalar, point):
    """RFC 7748, section 5."""
    k = int.from_bytes(scalar, "little")
    k = (k & ~7 & (2**254 - 1)) | 2**254
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for bit in reversed(range(255)):
        now = k >> bit & 1
        if now != swapped:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + 121665 * (aa - bb)) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public_of(private):
    return x25519(private, (9).to_bytes(32, "little"))


def chacha20_block(key, counter, nonce):
    """RFC 8439, section 2.3."""
    start = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
    s = list(start)

    def quarter(a, b, c, d):
        for one, other, target, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[one] = (s[one] + s[other]) & 0xFFFFFFFF
            mixed = s[target] ^ s[one]
            s[target] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(s, start)))


def padded(data):
    return data + bytes(-len(data) % 16)


def chacha20_poly1305(key, nonce, data, aad):
    """RFC 8439, section 2.8: the ciphertext, then its tag."""
    stream = b"".join(chacha20_block(key, 1 + i, nonce) for i in range((len(data) + 63) // 64))
    ciphertext = bytes(a ^ b for a, b in zip(data, stream))
    one_time = chacha20_block(key, 0, nonce)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    message = padded(aad) + padded(ciphertext) + struct.pack("<QQ", len(aad), len(ciphertext))
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    tag = (total + int.from_bytes(one_time[16:32], "little")) % 2**128
    return ciphertext + tag.to_bytes(16, "little")


def extract(salt, material):
    return hmac.digest(salt or bytes(32), material, "sha256")


def expand(key, info, length):
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


KEM_SUITE = b"KEM" + (0x0020).to_bytes(2, "big")
SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0020, 0x0001, 0x0003))


def labeled_extract(suite, salt, label, material):
    return extract(salt, b"HPKE-v1" + suite + label + material)


def labeled_expand(suite, key, label, info, length):
    return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def hpke_seal(recipient, ephemeral, info, data, aad):
    """RFC 9180, base mode, single shot: the encapsulated key and the ciphertext."""
    enc = public_of(ephemeral)
    eae = labeled_extract(KEM_SUITE, b"", b"eae_prk", x25519(ephemeral, recipient))
    shared = labeled_expand(KEM_SUITE, eae, b"shared_secret", enc + recipient, 32)
    context = b"\0" + labeled_extract(SUITE, b"", b"psk_id_hash", b"") + labeled_extract(SUITE, b"", b"info_hash", info)
    secret = labeled_extract(SUITE, shared, b"secret", b"")
    key = labeled_expand(SUITE, secret, b"key", context, 32)
    nonce = labeled_expand(SUITE, secret, b"base_nonce", context, 12)
    return enc, chacha20_poly1305(key, nonce, data, aad)


# ---- what docs/protocol.md says, section "Sealing" ----


def counted(data):
    """bytes(N) and text(N): a u32 count, then the bytes."""
    return len(data).to_bytes(4, "little") + data


def associated_data(request, field):
    texts = [request["system"], request["target"], field]
    data = b"postern/field/v1" + bytes.fromhex(request["task"]) + request["kind"].to_bytes(2, "little")
    return data + b"".join(len(it.encode()).to_bytes(2, "little") + it.encode() for it in texts)


def sealed_field(request):
    """The encoding of a SealedField."""
    aad, data_key = associated_data(request, request["field"]), bytes.fromhex(request["data_key"])
    sealed = counted(request["field"].encode())
    sealed += counted(chacha20_poly1305(data_key, bytes(12), bytes.fromhex(request["secret"]), aad))
    sealed += len(request["recipients"]).to_bytes(4, "little")
    for recipient, ephemeral in zip(request["recipients"], request["ephemeral"]):
        public = bytes.fromhex(recipient)
        enc, wrapped = hpke_seal(public, bytes.fromhex(ephemeral), b"postern/wrap/v1", data_key, aad)
        sealed += hashlib.sha256(public).digest()[:8] + enc + counted(wrapped)
    return sealed.hex()


def sealed_output(request):
    """The encoding of a SealedOutput."""
    aad, public = associated_data(request, request["field"]), bytes.fromhex(request["recipients"][0])
    secret, ephemeral = bytes.fromhex(request["secret"]), bytes.fromhex(request["ephemeral"][0])
    enc, ciphertext = hpke_seal(public, ephemeral, b"postern/output/v1", secret, aad)
    return (counted(request["field"].encode()) + enc + counted(ciphertext)).hex()


def sealed_dataset(request):
    """The bytes of the stream."""
    key, data = bytes.fromhex(request["data_key"]), bytes.fromhex(request["secret"])
    segments = [data[at : at + 65520] for at in range(0, len(data), 65520)] or [b""]
    sealed = b""
    for index, segment in enumerate(segments):
        nonce = index.to_bytes(8, "little") + bytes([0, 0, 0, index == len(segments) - 1])
        sealed += chacha20_poly1305(key, nonce, segment, b"")
    return sealed.hex()


def token(request):
    """The text of an enrollment token."""
    data = counted(request["cluster"].encode()) + bytes.fromhex(request["id"] + request["secret"] + request["ca_sha256"])
    return "postern-token-" + base64.urlsafe_b64encode(data).decode().rstrip("=")


def proof(request):
    key = hashlib.sha256(b"postern/enroll-key/v1" + bytes.fromhex(request["secret"])).digest()
    parts = (request[name] for name in ("exporter", "incarnation", "sealing_key", "csr"))
    return hmac.digest(key, b"postern/enroll/v1" + bytes.fromhex("".join(parts)), "sha256").hex()


MAKERS = {
    "field": sealed_field,
    "output": sealed_output,
    "dataset": sealed_dataset,
    "token": token,
    "proof": proof,
}

if __name__ == "__main__":
    asked = json.load(sys.stdin)
    print(MAKERS[asked["make"]](asked))
