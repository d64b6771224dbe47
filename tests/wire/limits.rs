//! The bounds of the fields fit together: whatever they allow fits into a frame.

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::frame::MAX_FRAME;
use postern_protocol::message::v1::{
    AnnouncedKey, Chunk, Condition, Connection, Extension, HeldState, HeldTask, Hello, Inventory, LeaseRef,
    LeaseVerdict, LogLevel, MAX_OUTPUT, MAX_PARAMS, MAX_PARTS, Observation, Offer, Renewed, RenewedLease, Report,
    ServedSystem, SignInState, StreamRef, SystemCondition,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::outcome::{Certainty, Failure};
use postern_protocol::seal::{MAX_RECIPIENTS, MAX_SECRET, SealedField, SealedOutput, SealingPublicKey, WrappedKey};
use postern_protocol::signature::TaskSignature;
use postern_protocol::stream::CHUNK;
use postern_protocol::version::Revisions;
use postern_protocol::{Epoch, FailureClass, MemberId, Outcome, StreamId, TaskId, TaskKind};

use crate::samples::{self, Content};

fn text<const MAX: usize>() -> Text<MAX> {
    Text::new("x".repeat(MAX)).unwrap()
}

fn bytes<const MAX: usize>() -> Bytes<MAX> {
    Bytes::new(vec![0xff; MAX]).unwrap()
}

fn full<T: Clone, const MAX: usize>(item: &T) -> List<T, MAX> {
    List::new(vec![item.clone(); MAX]).unwrap()
}

fn extensions() -> List<Extension, 16> {
    full(&Extension { kind: 1, critical: false, bytes: bytes() })
}

fn stream() -> StreamRef {
    StreamRef { id: StreamId::from_bytes([1; 16]), length: u64::MAX, sha256: [2; 32] }
}

fn lease() -> LeaseRef {
    LeaseRef { task: TaskId::from_bytes([3; 16]), epoch: Epoch(u64::MAX) }
}

fn sampled_by_member(name: &str) -> FromMember {
    match samples::named(name).content {
        Content::Message { member: Some(frame), .. } => frame,
        Content::Message { .. }
        | Content::Applicant(_)
        | Content::Authority(_)
        | Content::Request(_)
        | Content::Output(_) => panic!("{name} is no frame of a member"),
    }
}

fn sampled_by_controller(name: &str) -> FromController {
    match samples::named(name).content {
        Content::Message { controller: Some(frame), .. } => frame,
        Content::Message { .. }
        | Content::Applicant(_)
        | Content::Authority(_)
        | Content::Request(_)
        | Content::Output(_) => panic!("{name} is no frame of a controller"),
    }
}

fn comes_through_from_member(frame: impl Into<FromMember>) {
    let frame = frame.into();
    let bytes = frame.encode().unwrap_or_else(|error| panic!("{}: {error}", frame.name()));
    assert!(bytes.len() <= MAX_FRAME, "{} takes {} bytes", frame.name(), bytes.len());
    assert_eq!(FromMember::decode(&bytes).unwrap(), frame);
}

fn comes_through_from_controller(frame: impl Into<FromController>) {
    let frame = frame.into();
    let bytes = frame.encode().unwrap_or_else(|error| panic!("{}: {error}", frame.name()));
    assert!(bytes.len() <= MAX_FRAME, "{} takes {} bytes", frame.name(), bytes.len());
    assert_eq!(FromController::decode(&bytes).unwrap(), frame);
}

#[test]
fn the_largest_offer_fits() {
    let FromController::Offer(offer) = sampled_by_controller("Offer") else { panic!("no offer") };
    let key = SealingPublicKey([4; 32]);
    let wrapped = WrappedKey { key: key.id(), enc: [5; 32], wrapped: bytes() };
    let keys = full::<_, MAX_RECIPIENTS>(&wrapped);
    let sealed = SealedField { name: text(), ciphertext: bytes::<{ MAX_SECRET + 16 }>(), keys };
    let observation = Observation {
        member: MemberId::from_bytes([6; 16]),
        epoch: Epoch(u64::MAX),
        outcome: Outcome::Failed.into(),
        certainty: Certainty::Certain.into(),
    };
    comes_through_from_controller(Offer {
        system: "s".repeat(63).parse().unwrap(),
        target: text(),
        observations: full(&observation),
        params: bytes::<MAX_PARAMS>(),
        sealed: full::<_, MAX_PARTS>(&sealed),
        streams: full(&stream()),
        requester: Some(key),
        signature: Some(TaskSignature { key: key.id(), deadline_ms: u64::MAX, bytes: [8; 64] }.into()),
        ext: extensions(),
        ..offer
    });
}

#[test]
fn the_largest_report_fits() {
    let FromMember::Report(report) = sampled_by_member("Report") else { panic!("no report") };
    let sealed = SealedOutput { name: text(), enc: [7; 32], ciphertext: bytes() };
    let failure =
        Failure::new(FailureClass::Internal, "c".repeat(64), "s".repeat(1024)).with_next_step("n".repeat(1024));
    comes_through_from_member(Report {
        failure: Some(failure),
        output: bytes::<MAX_OUTPUT>(),
        sealed: full(&sealed),
        streams: full(&stream()),
        ext: extensions(),
        ..report
    });
}

#[test]
fn the_largest_hello_fits() {
    let FromMember::Hello(hello) = sampled_by_member("Hello") else { panic!("no hello") };
    let public = SealingPublicKey([8; 32]);
    let system = ServedSystem {
        name: "s".repeat(63).parse().unwrap(),
        connector: text(),
        kinds: full(&TaskKind::ImportBatch.into()),
        connection: Connection {
            domain: text(),
            login_method: text(),
            secure: true,
            compression: true,
            connect_timeout_secs: u32::MAX,
            log_level: LogLevel::Trace.into(),
        },
    };
    comes_through_from_member(Hello {
        agent_version: text(),
        host: text(),
        revisions: full(&Revisions { tag: 1, min: 1, max: 1 }),
        systems: full(&system),
        sealing_keys: full(&AnnouncedKey { id: public.id(), public }),
        ext: extensions(),
        ..hello
    });
}

#[test]
fn the_largest_condition_fits() {
    let FromMember::Condition(condition) = sampled_by_member("Condition") else { panic!("no condition") };
    let system = SystemCondition {
        name: "s".repeat(63).parse().unwrap(),
        running: u32::MAX,
        interactive: u32::MAX,
        provisioning: u32::MAX,
        batch: u32::MAX,
        sign_in: SignInState::Blocked.into(),
        log_level: LogLevel::Trace.into(),
        log_level_left_ms: u64::MAX,
    };
    comes_through_from_member(Condition { systems: full(&system), ext: extensions(), ..condition });
}

#[test]
fn the_fullest_pages_fit() {
    let held = HeldTask { lease: lease(), state: HeldState::Started.into() };
    comes_through_from_member(Inventory { nonce: 1, last: false, tasks: full(&held) });
    let renewed = RenewedLease { lease: lease(), verdict: LeaseVerdict::Kept.into() };
    comes_through_from_controller(Renewed { nonce: 1, ttl_ms: 1, leases: full(&renewed) });
    let chunk = Chunk { stream: StreamId::from_bytes([9; 16]), index: u64::MAX, bytes: bytes::<CHUNK>() };
    comes_through_from_member(chunk.clone());
    comes_through_from_controller(chunk);
}
