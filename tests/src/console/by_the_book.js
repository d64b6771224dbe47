// Runs in a page of the console, and tells what was not as the books say.
return (async () => {
  const { fromHex, hex, base64, utf8, text } = await import("/console/bytes.js");
  const { chacha20, poly1305, encrypt, decrypt } = await import("/console/chacha20poly1305.js");
  const { seal, open } = await import("/console/hpke.js");
  const { openOutput, openPayload, sealDataset } = await import("/console/seal.js");

  const wrong = [];
  const is = (what, found, wanted) => {
    if (found !== wanted) wrong.push(`${what}: ${found}`);
  };
  const golden = (file) => fromHex(file.split("\n").filter((line) => !line.startsWith("#")).join(""));
  const sunscreen = utf8("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.");
  const counting = (from) => Uint8Array.from({ length: 32 }, (_, at) => from + at);

  // RFC 8439, 2.4.2, 2.5.2, 2.8.2, and of its appendix A.3 what carries over.
  const enciphered = chacha20(counting(0), fromHex("000000000000004a00000000"), 1, sunscreen);
  is("the cipher", hex(enciphered).slice(0, 64), "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b");
  const forum = poly1305(fromHex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"), utf8("Cryptographic Forum Research Group"));
  is("the authenticator", hex(forum), "a8061dc1305136c6c22b8baf0c0127a9");
  const two = `02${"00".repeat(15)}`;
  for (const [key, said, wanted] of [
    [two + "00".repeat(16), "ff".repeat(16), `03${"00".repeat(15)}`],
    [two + "ff".repeat(16), two, `03${"00".repeat(15)}`],
    [two + "00".repeat(16), `fd${"ff".repeat(15)}`, `fa${"ff".repeat(15)}`],
    [`01${"00".repeat(31)}`, `${"ff".repeat(16)}f0${"ff".repeat(15)}11${"00".repeat(15)}`, `05${"00".repeat(15)}`],
    [`01${"00".repeat(31)}`, `${"ff".repeat(16)}fb${"fe".repeat(15)}${"01".repeat(16)}`, "00".repeat(16)],
  ]) {
    is(`the authenticator of ${said}`, hex(poly1305(fromHex(key), fromHex(said))), wanted);
  }
  const nonce = fromHex("070000004041424344454647");
  const associated = fromHex("50515253c0c1c2c3c4c5c6c7");
  const sealed = encrypt(counting(0x80), nonce, sunscreen, associated);
  is("the tag", hex(sealed.slice(-16)), "1ae10b594f09e26a7e902ecbd0600691");
  is("what is opened", hex(decrypt(counting(0x80), nonce, sealed, associated)), hex(sunscreen));
  for (const at of [0, 50, sealed.length - 1]) {
    const altered = sealed.slice();
    altered[at] ^= 1;
    is(`altered at ${at}`, opens(() => decrypt(counting(0x80), nonce, altered, associated)), false);
  }
  is("too short", opens(() => decrypt(counting(0x80), nonce, sealed.slice(0, 15), associated)), false);

  // RFC 9180, A.2.1.
  const ephemeral = await pair("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600");
  const recipient = await pair("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
  const beauty = utf8("Beauty is truth, truth beauty");
  const [info, count] = [utf8("Ode on a Grecian Urn"), utf8("Count-0")];
  const told = await seal(recipient.publicKey, info, beauty, count, ephemeral);
  is("the encapsulated key", hex(told.enc), "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
  is("the ciphertext", hex(told.ciphertext), "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28");
  is("what the recipient opens", hex(await open(recipient, told.enc, info, told.ciphertext, count)), hex(beauty));

  // What another program sealed by docs/protocol.md.
  const task = { id: `tsk_${"10".repeat(16)}`, number: 5, system: "acme-prod", target: "zoë@acme.example" };
  const output = { name: "password", bytes: base64(golden(`{output}`)) };
  is("an output", text(await openOutput(task, output, await pair("04".repeat(32)))), "correct horse – battery staple");
  const dataset = '<root><entry changetype="add"><Username>zoë@acme.example</Username></entry></root>';
  is("a dataset", text(await openPayload(fromHex("5a".repeat(32)), golden(`{dataset}`))), dataset);

  for (const length of [0, 1, 65_519, 65_520, 65_521, 200_000]) {
    const { key, sealed: payload } = await sealDataset(new Uint8Array(length).fill(7));
    is(`a dataset of ${length} bytes`, (await openPayload(key, payload)).length, length);
    is(`and cut`, await openPayload(key, payload.slice(0, -1)).then(() => true, () => false), false);
  }
  return wrong;

  function opens(act) {
    try {
      act();
      return true;
    } catch {
      return false;
    }
  }

  async function pair(secret) {
    const pkcs8 = fromHex(`302e020100300506032b656e04220420${secret}`);
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "X25519" }, false, ["deriveBits"]);
    const base = await crypto.subtle.importKey("raw", fromHex(`09${"00".repeat(31)}`), { name: "X25519" }, false, []);
    const publicKey = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: base }, privateKey, 256));
    return { privateKey, publicKey };
  }
})();
