//! Frames about tasks.

use postern_protocol::message::v1::{
    Accept, Cancel, CancelAck, CancelVerdict, HeldState, HeldTask, Inventory, InventoryAsk, LeaseRef, LeaseVerdict,
    Mode, Observation, Offer, Progress, Reject, Rejection, Renew, Renewed, RenewedLease, Report, ReportAck, Started,
    StreamRef,
};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::{KeyId, SealedField, SealedOutput, SealingPublicKey, WrappedKey};
use postern_protocol::signature::TaskSignature;
use postern_protocol::{Epoch, Failure, FailureClass, MemberId, Outcome, ReportNo, StreamId, TaskId, TaskKind};

use super::{Sample, array, bytes, controller, extensions, list, member, task_id, text};

pub(crate) fn all() -> Vec<Sample> {
    vec![
        controller(offer()),
        controller(bare_offer()).variant("bare"),
        member(Accept { task: task_id(), epoch: Epoch(0x2101) }),
        member(Reject {
            task: task_id(),
            epoch: Epoch(0x2201),
            reason: Rejection::NeedsReseal.into(),
            message: text("versiegelt für andere – nicht für mich"),
            retry_after_ms: 1_009,
        }),
        member(Started { task: task_id(), epoch: Epoch(0x2301), attempt: 0x2302 }),
        member(Progress { task: task_id(), done: 0x2401, total: 0x2402, phase: text("Benutzer anlegen …") }),
        member(report()),
        member(bare_report()).variant("bare"),
        controller(ReportAck { upto: ReportNo(0x2601) }),
        member(Renew { nonce: 0x2701, leases: list(leases().to_vec()) }),
        controller(renewed()),
        controller(Cancel { task: task_id() }),
        member(CancelAck { task: task_id(), verdict: CancelVerdict::AlreadyDone.into() }),
        controller(InventoryAsk { nonce: 0x3101 }),
        member(inventory()),
    ]
}

fn leases() -> [LeaseRef; 2] {
    [
        LeaseRef { task: task_id(), epoch: Epoch(0x2702) },
        LeaseRef { task: TaskId::from_bytes(array(0x40)), epoch: Epoch(0x2703) },
    ]
}

fn streams(from: u8) -> [StreamRef; 2] {
    [
        StreamRef { id: StreamId::from_bytes(array(from)), length: 0x0001_0203_0405, sha256: array(from + 0x20) },
        StreamRef { id: StreamId::from_bytes(array(from + 0x10)), length: 65_537, sha256: array(from + 0x40) },
    ]
}

fn wrapped(from: u8) -> WrappedKey {
    WrappedKey { key: key_id(from), enc: array(from + 8), wrapped: bytes(from + 40, 48) }
}

/// The id of some key: only its length matters to the wire.
fn key_id(from: u8) -> KeyId {
    SealingPublicKey(array(from)).id()
}

fn offer() -> Offer {
    Offer {
        task: task_id(),
        kind: TaskKind::ResetPassword.into(),
        kind_rev: 1,
        epoch: Epoch(0x2001),
        lease_ttl_ms: 59_999,
        deadline_ms: 0x0000_0001_0000_2002,
        priority: 200,
        system: "acme-prod".parse().unwrap(),
        target: text("zoë@acme.example"),
        mode: Mode::Async.into(),
        attempt: 0x2003,
        reconcile: true,
        alone_since: Epoch(0x2000),
        alone_ms: 0x2008_0000_0007,
        observations: list(vec![
            Observation {
                member: MemberId::from_bytes(array(0x70)),
                epoch: Epoch(0x2004),
                outcome: Outcome::Failed.into(),
                certainty: Certainty::Probable.into(),
            },
            Observation {
                member: MemberId::from_bytes(array(0x80)),
                epoch: Epoch(0x2005),
                outcome: Outcome::Succeeded.into(),
                certainty: Certainty::Certain.into(),
            },
        ]),
        params: bytes(0xa0, 11),
        sealed: list(vec![
            SealedField {
                name: text("password"),
                ciphertext: bytes(0x01, 24),
                keys: list(vec![wrapped(0x11), wrapped(0x61)]),
            },
            SealedField { name: text("schlüssel"), ciphertext: bytes(0x31, 17), keys: list(vec![wrapped(0x91)]) },
        ]),
        streams: list(streams(0x90).to_vec()),
        requester: Some(SealingPublicKey(array(0xc0))),
        signature: Some(TaskSignature { key: KeyId::of(&[0xd0]), deadline_ms: 0x2006, bytes: array(0xd1) }.into()),
        ext: extensions(),
    }
}

/// What most offers look like: nothing optional.
fn bare_offer() -> Offer {
    Offer {
        kind: TaskKind::DisableUser.into(),
        deadline_ms: 0,
        target: text(""),
        mode: Mode::Sync.into(),
        reconcile: false,
        alone_since: Epoch(0x2001),
        alone_ms: 0,
        observations: list(Vec::new()),
        params: bytes(0, 0),
        sealed: list(Vec::new()),
        streams: list(Vec::new()),
        requester: None,
        signature: None,
        ext: list(Vec::new()),
        ..offer()
    }
}

fn report() -> Report {
    Report {
        number: ReportNo(0x2501),
        task: task_id(),
        epoch: Epoch(0x2502),
        attempt: 0x2503,
        outcome: Outcome::PartiallySucceeded.into(),
        certainty: Certainty::Probable.into(),
        changed: Changed::Yes.into(),
        failure: Some(
            Failure::new(FailureClass::RateLimited, "REQUEST_LIMIT_EXCEEDED", "Das Tageskontingent ist aufgebraucht")
                .with_next_step("Attendez jusqu’à minuit"),
        ),
        output: bytes(0xb0, 9),
        sealed: list(vec![
            SealedOutput { name: text("password"), enc: array(0xd0), ciphertext: bytes(0x41, 30) },
            SealedOutput { name: text("clé"), enc: array(0xf0), ciphertext: bytes(0x71, 19) },
        ]),
        streams: list(streams(0x50).to_vec()),
        ext: extensions(),
    }
}

fn bare_report() -> Report {
    Report {
        outcome: Outcome::AlreadySatisfied.into(),
        certainty: Certainty::Certain.into(),
        changed: Changed::No.into(),
        failure: None,
        output: bytes(0, 0),
        sealed: list(Vec::new()),
        streams: list(Vec::new()),
        ext: list(Vec::new()),
        ..report()
    }
}

fn renewed() -> Renewed {
    let [first, second] = leases();
    Renewed {
        nonce: 0x2801,
        ttl_ms: 60_011,
        leases: list(vec![
            RenewedLease { lease: first, verdict: LeaseVerdict::Kept.into() },
            RenewedLease { lease: second, verdict: LeaseVerdict::Fenced.into() },
        ]),
    }
}

fn inventory() -> Inventory {
    let [first, second] = leases();
    Inventory {
        nonce: 0x3201,
        last: true,
        tasks: list(vec![
            HeldTask { lease: first, state: HeldState::Started.into() },
            HeldTask { lease: second, state: HeldState::Reported.into() },
        ]),
    }
}
