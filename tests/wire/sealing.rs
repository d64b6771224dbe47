//! What another program seals by the words of `docs/protocol.md` opens here, and opens for ever.
//!
//! The golden files were made by `seal.py`, which shares no code with this crate. Their keys and secrets are in
//! [`task`], [`key`] and the tests. Change the layout of the associated data in `protocol/src/seal.rs`, or one of its
//! labels, and these tests fail.

use std::fs;
use std::io::Write as _;

use postern_protocol::enrollment::{EnrollmentToken, Request};
use postern_protocol::id::Incarnation;
use postern_protocol::seal::{SEGMENT, SealContext, SealedField, SealedOutput, SealingKey, SealingPublicKey};
use postern_protocol::seal::{SegmentOpener, StreamKey};
use postern_protocol::stream::CHUNK;
use postern_protocol::{SystemName, TaskId, TaskKind, codec};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::decoder::{python, root};
use crate::describe::hex;
use crate::golden;

const TARGET: &str = "zoë@acme.example";
const SECRET: &str = "correct horse – battery staple";

/// The files of this module in `protocol/golden`.
pub(crate) fn files() -> [&'static str; 3] {
    ["sealed.field.hex", "sealed.output.hex", "sealed.dataset.hex"]
}

fn system() -> SystemName {
    "acme-prod".parse().unwrap()
}

fn context(system: &SystemName) -> SealContext<'_> {
    SealContext { task: TaskId::from_bytes([0x10; 16]), kind: TaskKind::ResetPassword, system, target: TARGET }
}

fn key(byte: u8) -> SealingKey {
    SealingKey::from_private(Zeroizing::new([byte; 32])).unwrap()
}

fn stream_key() -> StreamKey {
    Zeroizing::new([0x5a; 32])
}

/// What `seal.py` is asked to make.
fn request(make: &str, recipients: &[SealingPublicKey], secret: &[u8]) -> Value {
    json!({
        "make": make,
        "task": hex(&[0x10; 16]),
        "kind": 5,
        "system": "acme-prod",
        "target": TARGET,
        "field": "password",
        "secret": hex(secret),
        "data_key": hex(stream_key().as_slice()),
        "recipients": recipients.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "ephemeral": recipients.iter().enumerate().map(|(at, _)| format!("{:02x}", at + 0x71).repeat(32)).collect::<Vec<_>>(),
    })
}

/// What `seal.py` makes, if there is a Python.
fn made(request: &Value) -> Option<Vec<u8>> {
    python("seal.py", &request.to_string()).map(|text| golden::parse(&text))
}

/// The golden bytes of `file`; made by `seal.py` when the file does not exist and is asked for.
fn golden_bytes(file: &str, what: &str, request: &Value) -> Vec<u8> {
    let path = root().join("protocol/golden").join(file);
    if !path.exists() && golden::may_create() {
        let bytes = made(request).expect("python3 is needed to make the file");
        fs::File::create_new(&path)
            .unwrap()
            .write_all(format!("# {what}\n{}", golden::lines(&bytes)).as_bytes())
            .unwrap();
    }
    golden::parse(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

#[test]
fn a_field_sealed_elsewhere_opens_for_each_of_its_recipients_and_nobody_else() {
    let (one, two, other) = (key(1), key(2), key(3));
    let asked = request("field", &[*one.public(), *two.public()], SECRET.as_bytes());
    let golden = golden_bytes("sealed.field.hex", "SealedField, by tests/wire/seal.py", &asked);
    for bytes in std::iter::once(golden).chain(made(&asked)) {
        let field: SealedField = codec::decode(&bytes).unwrap();
        for recipient in [&one, &two] {
            let opened = field.open(context(&system()), std::slice::from_ref(recipient)).unwrap();
            assert_eq!(opened.as_slice(), SECRET.as_bytes());
        }
        assert!(!field.is_for(std::slice::from_ref(&other)));
    }
}

#[test]
fn an_output_sealed_elsewhere_opens() {
    let requester = key(4);
    let asked = request("output", &[*requester.public()], SECRET.as_bytes());
    let golden = golden_bytes("sealed.output.hex", "SealedOutput, by tests/wire/seal.py", &asked);
    for bytes in std::iter::once(golden).chain(made(&asked)) {
        let output: SealedOutput = codec::decode(&bytes).unwrap();
        assert_eq!(output.open(context(&system()), &requester).unwrap().as_slice(), SECRET.as_bytes());
    }
}

fn open_dataset(sealed: &[u8]) -> Vec<u8> {
    let mut opener = SegmentOpener::new(&stream_key());
    let count = sealed.len().div_ceil(CHUNK);
    let segments = sealed.chunks(CHUNK).enumerate().map(|(index, it)| opener.open(it, index + 1 == count).unwrap());
    segments.flat_map(|segment| segment.to_vec()).collect()
}

#[test]
fn a_dataset_sealed_elsewhere_opens() {
    let dataset = "<root><entry changetype=\"add\"><Username>zoë@acme.example</Username></entry></root>";
    let asked = request("dataset", &[], dataset.as_bytes());
    let golden = golden_bytes("sealed.dataset.hex", "SealedDataset, by tests/wire/seal.py", &asked);
    for bytes in std::iter::once(golden).chain(made(&asked)) {
        assert_eq!(open_dataset(&bytes), dataset.as_bytes());
    }
    for length in [0, SEGMENT + 1] {
        let plain = vec![b'x'; length];
        let Some(sealed) = made(&request("dataset", &[], &plain)) else { return };
        assert_eq!(open_dataset(&sealed), plain, "{length} bytes");
    }
}

#[test]
fn a_token_and_a_proof_made_elsewhere_are_understood() {
    let asked = json!({
        "make": "token", "cluster": "acme", "id": hex(&[1; 16]), "secret": hex(&[5; 32]), "ca_sha256": hex(&[2; 32]),
    });
    let text = "postern-token-BAAAAGFjbWUBAQEBAQEBAQEBAQEBAQEBBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUCAgICAgICAgICAgIC\
                AgICAgICAgICAgICAgICAgICAg";
    if let Some(made) = python("seal.py", &asked.to_string()) {
        assert_eq!(made.trim(), text);
    }
    let token: EnrollmentToken = text.parse().unwrap();
    assert_eq!((token.cluster.as_str(), token.id.as_bytes(), token.ca_sha256), ("acme", &[1; 16], [2; 32]));

    let sealing_key = SealingPublicKey([3; 32]);
    let request = Request { incarnation: Incarnation::from_bytes([4; 16]), sealing_key: &sealing_key, csr: b"csr" };
    let proof = token.key.prove(&[9; 32], &request);
    assert_eq!(hex(&proof), "d9c34ccc386e9ad7f13d806fd8f1ac91c5b0f656270f71a89c2fda7b5d6ea80f");
    let asked = json!({
        "make": "proof", "secret": hex(&[5; 32]), "exporter": hex(&[9; 32]), "incarnation": hex(&[4; 16]),
        "sealing_key": hex(&[3; 32]), "csr": hex(b"csr"),
    });
    if let Some(made) = python("seal.py", &asked.to_string()) {
        assert_eq!(made.trim(), hex(&proof));
    }
}
