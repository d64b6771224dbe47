//! Frames, requests and outputs of tasks, enrollment, what is sealed, traces.

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::code::CodeSet as _;
use postern_protocol::codec;
use postern_protocol::enrollment::{EnrollmentToken, FromApplicant, FromAuthority};
use postern_protocol::message::v1::Extension;
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::seal::{SealContext, SealedField, SealedOutput, SealingKey, SegmentOpener};
use postern_protocol::trace::{EXTENSION, TraceContext};
use postern_protocol::{SystemName, TaskId, TaskKind, TaskOutput, TaskRequest};
use zeroize::Zeroizing;

use crate::choice;

/// What is read is written with the same bytes: a value has one encoding, and nothing is read past or made up.
fn same(data: &[u8], written: Result<Vec<u8>, codec::CodecError>) {
    assert_eq!(written.expect("what was read can be written"), data, "another encoding of the same value");
}

/// What a controller receives.
pub fn frames_from_member(data: &[u8]) {
    let Ok(frame) = FromMember::decode(data) else { return };
    same(data, frame.encode());
    if let FromMember::Report(report) = &frame {
        let _ = TaskKind::ALL.iter().filter(|kind| TaskOutput::decode(**kind, &report.output).is_ok()).count();
    }
}

/// What a member receives.
pub fn frames_from_controller(data: &[u8]) {
    let Ok(frame) = FromController::decode(data) else { return };
    same(data, frame.encode());
    if let FromController::Offer(offer) = &frame
        && let Ok(request) = TaskRequest::decode(offer.kind.number(), offer.kind_rev, &offer.params)
    {
        same(&offer.params, request.encode());
    }
}

/// What either side receives on the way to membership.
pub fn enrollment(data: &[u8]) {
    if let Ok(frame) = FromApplicant::decode(data) {
        same(data, frame.encode());
    }
    if let Ok(frame) = FromAuthority::decode(data) {
        same(data, frame.encode());
    }
}

/// What an administrator was handed and pastes.
pub fn enrollment_token(data: &[u8]) {
    let _ = String::from_utf8_lossy(data).parse::<EnrollmentToken>();
}

/// The parameters of an offer, by the number of their kind.
pub fn task_request(data: &[u8]) {
    let (kind, params) = choice(data);
    let Ok(request) = TaskRequest::decode(kind.try_into().unwrap_or_default(), TaskRequest::REV, params) else {
        return;
    };
    same(params, request.encode());
    let _ = request.target();
    let again = TaskRequest::from_json(request.kind(), request.to_json());
    if let Ok(again) = again {
        assert_eq!(again, request, "JSON means another task");
    }
}

/// The parameters of a task as a submitter writes them.
pub fn task_json(data: &[u8]) {
    let (kind, text) = choice(data);
    let Some(kind) = kind.try_into().ok().and_then(TaskKind::from_code) else { return };
    let Ok(json) = serde_json::from_slice(text) else { return };
    let Ok(request) = TaskRequest::from_json(kind, json) else { return };
    let Ok(bytes) = request.encode() else { return };
    let again = TaskRequest::decode(kind.code(), TaskRequest::REV, &bytes).expect("what a submitter says can travel");
    assert_eq!(again, request, "it travels as another task");
}

/// What a member says came of a task.
pub fn task_output(data: &[u8]) {
    let (kind, bytes) = choice(data);
    let Some(kind) = kind.try_into().ok().and_then(TaskKind::from_code) else { return };
    if let Ok(output) = TaskOutput::decode(kind, bytes) {
        same(bytes, output.encode());
    }
}

/// The trace that a task belongs to, as a submitter's header and as a peer's extension say it.
pub fn trace_context(data: &[u8]) {
    let header = std::str::from_utf8(data).ok().and_then(TraceContext::from_traceparent);
    let extension = Bytes::new(data.to_vec()).ok().map(|bytes| Extension { kind: EXTENSION, critical: false, bytes });
    let extensions = List::new(extension.into_iter().collect()).expect("there is room for one");
    for context in header.into_iter().chain(TraceContext::of(&extensions)) {
        let travelled = TraceContext::of(&context.among(&extensions));
        assert_eq!(travelled, Some(context), "it travels as another");
        assert_ne!(context.trace(), "0".repeat(32), "no trace has this id");
        let Some(span) = context.span() else { continue };
        let flags = if context.is_sampled() { "01" } else { "00" };
        let written = format!("00-{}-{span}-{flags}", context.trace());
        assert_eq!(TraceContext::from_traceparent(&written), Some(context), "another header");
    }
}

/// Secrets of a field, of an output and of a stream, opened with keys that the fuzzer knows.
pub fn sealed(data: &[u8]) {
    let (what, bytes) = choice(data);
    let key = SealingKey::from_random(&Zeroizing::new([7; 32]));
    let system: SystemName = "acme".parse().expect("it is a name");
    let task = TaskId::from_bytes([1; 16]);
    let context = SealContext { task, kind: TaskKind::ResetPassword, system: &system, target: "joe@acme.example" };
    match what % 3 {
        0 => {
            if let Ok(field) = codec::decode::<SealedField>(bytes) {
                let _ = field.open(context, &[key]);
            }
        }
        1 => {
            if let Ok(output) = codec::decode::<SealedOutput>(bytes) {
                let _ = output.open(context, &key);
            }
        }
        _ => {
            let mut opener = SegmentOpener::new(&Zeroizing::new([7; 32]));
            let mut pieces = bytes.chunks(64).peekable();
            while let Some(piece) = pieces.next() {
                let _ = opener.open(piece, pieces.peek().is_none());
            }
        }
    }
}
