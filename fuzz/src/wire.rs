//! Frames, requests and outputs of tasks, enrollment, what is sealed, traces.

use std::sync::OnceLock;

use data_encoding::BASE64URL_NOPAD;
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::code::CodeSet as _;
use postern_protocol::codec;
use postern_protocol::enrollment::{EnrollmentToken, FromApplicant, FromAuthority, TokenText};
use postern_protocol::message::v1::Extension;
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::seal::{
    SEGMENT, SealContext, SealedField, SealedOutput, SealingKey, SegmentOpener, SegmentSealer, StreamKey,
};
use postern_protocol::stream::CHUNK;
use postern_protocol::trace::{EXTENSION, TraceContext};
use postern_protocol::{SystemName, TaskId, TaskKind, TaskOutput, TaskRequest};
use zeroize::Zeroizing;

use crate::choice;

/// What is read is written with the same bytes: a value has one encoding, and nothing is read past or made up.
fn same(data: &[u8], written: Result<Vec<u8>, codec::CodecError>) {
    assert_eq!(written.expect("what was read can be written"), data, "another encoding of the same value");
}

/// What a controller receives.
pub fn frames_from_member(data: &[u8]) -> bool {
    let Ok(frame) = FromMember::decode(data) else { return false };
    same(data, frame.encode());
    if let FromMember::Report(report) = &frame {
        let _ = TaskKind::ALL.iter().filter(|kind| TaskOutput::decode(**kind, &report.output).is_ok()).count();
    }
    true
}

/// What a member receives.
pub fn frames_from_controller(data: &[u8]) -> bool {
    let Ok(frame) = FromController::decode(data) else { return false };
    same(data, frame.encode());
    if let FromController::Offer(offer) = &frame
        && let Ok(request) = TaskRequest::decode(offer.kind.number(), offer.kind_rev, &offer.params)
    {
        same(&offer.params, request.encode());
    }
    true
}

/// What either side receives on the way to membership.
pub fn enrollment(data: &[u8]) -> bool {
    let applicant = FromApplicant::decode(data).map(|frame| same(data, frame.encode()));
    let authority = FromAuthority::decode(data).map(|frame| same(data, frame.encode()));
    applicant.is_ok() || authority.is_ok()
}

/// What an administrator was handed and pastes: a token has one text.
pub fn enrollment_token(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let Ok(EnrollmentToken { cluster, id, ca_sha256, .. }) = text.parse() else { return false };
    let body = text.trim().strip_prefix("postern-token-").and_then(|it| BASE64URL_NOPAD.decode(it.as_bytes()).ok());
    let body = body.expect("it was read");
    // The secret, of which a token keeps only what is derived from it, stands before the hash of the root's key.
    let secret = body.rchunks_exact(32).nth(1).and_then(|it| it.try_into().ok()).map(Zeroizing::new);
    let written = TokenText::new(cluster, id, &secret.expect("it has a secret"), ca_sha256);
    assert_eq!(written.expose(), text.trim(), "another text of the same token");
    true
}

/// The parameters of an offer, by the number of their kind.
pub fn task_request(data: &[u8]) -> bool {
    let (kind, params) = choice(data);
    let Ok(request) = TaskRequest::decode(kind.try_into().unwrap_or_default(), TaskRequest::REV, params) else {
        return false;
    };
    same(params, request.encode());
    let _ = request.target();
    let again = TaskRequest::from_json(request.kind(), request.to_json());
    if let Ok(again) = again {
        assert_eq!(again, request, "JSON means another task");
    }
    true
}

/// The parameters of a task as a submitter writes them.
pub fn task_json(data: &[u8]) -> bool {
    let (kind, text) = choice(data);
    let Some(kind) = kind.try_into().ok().and_then(TaskKind::from_code) else { return false };
    let Ok(json) = serde_json::from_slice(text) else { return false };
    let Ok(request) = TaskRequest::from_json(kind, json) else { return false };
    let Ok(bytes) = request.encode() else { return false };
    let again = TaskRequest::decode(kind.code(), TaskRequest::REV, &bytes).expect("what a submitter says can travel");
    assert_eq!(again, request, "it travels as another task");
    true
}

/// What a member says came of a task.
pub fn task_output(data: &[u8]) -> bool {
    let (kind, bytes) = choice(data);
    let Some(kind) = kind.try_into().ok().and_then(TaskKind::from_code) else { return false };
    let Ok(output) = TaskOutput::decode(kind, bytes) else { return false };
    same(bytes, output.encode());
    true
}

/// The trace that a task belongs to, as a submitter's header and as a peer's extension say it.
pub fn trace_context(data: &[u8]) -> bool {
    let header = std::str::from_utf8(data).ok().and_then(TraceContext::from_traceparent);
    let extension = Bytes::new(data.to_vec()).ok().map(|bytes| Extension { kind: EXTENSION, critical: false, bytes });
    let extensions = List::new(extension.into_iter().collect()).expect("there is room for one");
    let mut is_read = false;
    for context in header.into_iter().chain(TraceContext::of(&extensions)) {
        is_read = true;
        let travelled = TraceContext::of(&context.among(&extensions));
        assert_eq!(travelled, Some(context), "it travels as another");
        assert_ne!(context.trace(), "0".repeat(32), "no trace has this id");
        let Some(span) = context.span() else { continue };
        let flags = if context.is_sampled() { "01" } else { "00" };
        let written = format!("00-{}-{span}-{flags}", context.trace());
        assert_eq!(TraceContext::from_traceparent(&written), Some(context), "another header");
    }
    is_read
}

/// What was sealed elsewhere, by the first byte: a field, an output, the segments of a stream, as they come; the same three,
/// sound and then changed; segments in another order, or not all of them. What is whole opens, and nothing else does.
pub fn sealed(data: &[u8]) -> bool {
    let (what, bytes) = choice(data);
    match what % 7 {
        0 => open_field(bytes).is_some(),
        1 => open_output(bytes).is_some(),
        2 => open_segments(bytes).is_some(),
        3 => changed(include_bytes!("../corpus/sealed/field"), bytes, open_field),
        4 => changed(include_bytes!("../corpus/sealed/output"), bytes, open_output),
        5 => changed(include_bytes!("../corpus/sealed/dataset"), bytes, open_segments),
        _ => put_together(bytes),
    }
}

/// A seed without the byte that chooses, with the bits flipped that `changes` names.
fn changed(seed: &[u8], changes: &[u8], open: fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    let (_, sound) = choice(seed);
    let mut bytes = sound.to_vec();
    for change in changes.chunks_exact(3) {
        if let [low, high, bits] = change {
            let at = usize::from(u16::from_le_bytes([*low, *high])) % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
    }
    assert_eq!(open(&bytes).is_some(), bytes == sound, "what is whole opens, and nothing else");
    true
}

/// A payload of these of three segments, a byte for each; one above 127 lacks its last byte.
fn put_together(names: &[u8]) -> bool {
    const MOST: usize = 5;
    static SEGMENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let segments = SEGMENTS.get_or_init(|| {
        let mut sealer = SegmentSealer::new(&payload_key());
        let plain = [(vec![1; SEGMENT], false), (vec![2; SEGMENT], false), (vec![3; 100], true)];
        plain.iter().map(|(bytes, last)| sealer.seal(bytes, *last).expect("it can be sealed")).collect()
    });
    let mut bytes = Vec::new();
    for name in names.iter().take(MOST) {
        let segment = segments.get(usize::from(*name) % segments.len()).map(Vec::as_slice).unwrap_or_default();
        bytes.extend_from_slice(segment.get(..segment.len() - usize::from(*name > 127)).unwrap_or_default());
    }
    let is_whole = bytes == segments.concat();
    assert_eq!(open_segments(&bytes).is_some(), is_whole, "all of it opens, in its order, and nothing else");
    true
}

fn payload_key() -> StreamKey {
    Zeroizing::new([0x5a; 32])
}

/// Whose task the golden files of `protocol/golden` are sealed for.
fn with_context<T>(open: impl FnOnce(SealContext<'_>) -> T) -> T {
    let system: SystemName = "acme-prod".parse().expect("it is a name");
    let task = TaskId::from_bytes([0x10; 16]);
    open(SealContext { task, kind: TaskKind::ResetPassword, system: &system, target: "zoë@acme.example" })
}

fn key(byte: u8) -> SealingKey {
    SealingKey::from_private(Zeroizing::new([byte; 32])).expect("it is a key")
}

/// For both that it is sealed to.
fn open_field(bytes: &[u8]) -> Option<Vec<u8>> {
    let field: SealedField = codec::decode(bytes).ok()?;
    let secrets: Vec<Vec<u8>> = [1, 2]
        .iter()
        .filter_map(|byte| with_context(|context| field.open(context, &[key(*byte)])).ok())
        .map(|secret| secret.to_vec())
        .collect();
    let [one, other] = secrets.as_slice() else { return None };
    assert_eq!(one, other, "two secrets in one field");
    Some(one.clone())
}

fn open_output(bytes: &[u8]) -> Option<Vec<u8>> {
    let output: SealedOutput = codec::decode(bytes).ok()?;
    with_context(|context| output.open(context, &key(4))).ok().map(|secret| secret.to_vec())
}

fn open_segments(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut opener = SegmentOpener::new(&payload_key());
    // Even what is empty has one segment: without it, nothing vouches for there being nothing.
    let nothing = bytes.is_empty().then_some(bytes);
    let mut pieces = bytes.chunks(CHUNK).chain(nothing).peekable();
    let mut plain = Vec::new();
    while let Some(piece) = pieces.next() {
        plain.extend_from_slice(&opener.open(piece, pieces.peek().is_none()).ok()?);
    }
    Some(plain)
}
