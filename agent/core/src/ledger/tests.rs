#![allow(clippy::wildcard_enum_match_arm, reason = "tests look for the one frame they mean")]

mod attempt;
mod cancel;
mod conclusion;
mod deadline;
mod drain;
mod flow;
mod known;
mod local;
mod offer;
mod renewal;
mod restore;
mod retry;
mod schedule;
mod sealing;

use std::time::Duration;

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{
    CancelVerdict, LeaseVerdict, MembershipState, Offer, Rejection, Renew, Renewed, RenewedLease,
};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Epoch, Failure, FailureClass, Outcome, TaskKind, TaskRequest};

use super::*;
use crate::journal::{JournalEntry, Mark};
use crate::write::{Caller, Origin, Payload, TaskState};

const TTL: Duration = Duration::from_secs(60);
const REACH: Duration = Duration::from_secs(20);

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

/// The controller says the same of every lease that is to be renewed.
fn answer(asked: &Renew, verdict: LeaseVerdict) -> Renewed {
    let leases = asked.leases.iter().map(|lease| RenewedLease { lease: *lease, verdict: verdict.into() });
    Renewed { nonce: asked.nonce, ttl_ms: 60_000, leases: List::new(leases.collect()).unwrap() }
}

fn id(n: u8) -> TaskId {
    TaskId::from_bytes([n; 16])
}

fn offer(n: u8, kind: TaskKind, epoch: u64) -> Offer {
    let json = match kind {
        TaskKind::TestConnection => serde_json::json!({}),
        TaskKind::Export => serde_json::json!({ "object": "User", "format": "csv" }),
        _ => serde_json::json!({ "account": "joe@example.com" }),
    };
    let request = TaskRequest::from_json(kind, json).unwrap();
    let params = Bytes::new(request.encode().unwrap()).unwrap();
    Offer {
        epoch: Epoch(epoch),
        lease_ttl_ms: 60_000,
        target: Text::new("joe@example.com").unwrap(),
        attempt: 1,
        ..Offer::new(id(n), "acme".parse().unwrap(), &request, params)
    }
}

fn enabled(epoch: u64) -> Membership {
    Membership { state: MembershipState::Enabled, epoch: Epoch(epoch), hard: false }
}

fn success() -> Ending {
    let nothing = Ending::cancelled();
    Ending { outcome: Outcome::Succeeded, certainty: Certainty::Certain, changed: Changed::Yes, ..nothing }
}

fn intent(step: u32) -> JournalEntry {
    JournalEntry { step, mark: Mark::Intent, note: Vec::new(), effect: Vec::new() }
}

fn urgent(n: u8) -> Offer {
    Offer { priority: 255, ..offer(n, TaskKind::DisableUser, 1) }
}

fn busy(patience: u64) -> Unfinished {
    let failure = Failure::new(FailureClass::RateLimited, "busy", "leave me alone");
    Unfinished { patience: Duration::from_secs(patience), ..failure.into() }
}

fn restored(origin: Origin, state: TaskState, journal: u32) -> Restored {
    let task =
        RestoredTask { offer: offer(1, TaskKind::DisableUser, 1), origin, state, journal, streams_here: Vec::new() };
    Restored { tasks: vec![task], ..Restored::default() }
}

fn starts(events: &[Event]) -> Vec<TaskId> {
    let start = |event: &Event| match event {
        Event::Start { offer, .. } => Some(offer.task),
        _ => None,
    };
    events.iter().filter_map(start).collect()
}

/// A ledger with a disk that takes everything at once, unless held.
struct Desk {
    ledger: Ledger,
    disk: Vec<Write>,
    /// How tasks were told to have ended.
    ended: Vec<(TaskId, Outcome)>,
    /// Which were told to be tried again, and after how long.
    again: Vec<(TaskId, Duration)>,
    now: Timestamp,
}

impl Desk {
    fn new() -> Self {
        Self::restored(Restored::default())
    }

    fn restored(restored: Restored) -> Self {
        let ledger = Ledger::restore(Limits::for_systems([("acme".parse().unwrap(), 2)].into()), restored);
        Self { ledger, disk: Vec::new(), ended: Vec::new(), again: Vec::new(), now: at(100) }
    }

    fn connected() -> Self {
        let mut desk = Self::new();
        desk.connect();
        desk
    }

    fn connect(&mut self) {
        self.ledger.handle_welcome(SessionNo(1), enabled(1), self.now);
        self.sync();
        self.ledger.handle_established(ReportNo(0), TTL, self.now);
        self.sync();
    }

    fn sync(&mut self) {
        while let Some((mark, writes)) = self.ledger.poll_writes(self.now) {
            self.disk.extend(writes);
            self.ledger.handle_durable(mark, self.now);
        }
    }

    fn offer(&mut self, offer: Offer) {
        let origin = Origin::Controller;
        self.ledger.handle_offer(Offered { offer, origin, refusal: None }, self.now);
    }

    fn sent(&mut self) -> Vec<FromMember> {
        std::iter::from_fn(|| self.ledger.poll_transmit(self.now)).collect()
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.sent().iter().map(FromMember::name).collect()
    }

    /// The reports among what is sent.
    fn reports(&mut self) -> Vec<v1::Report> {
        let report = |frame| match frame {
            FromMember::Report(report) => Some(report),
            _ => None,
        };
        self.sent().into_iter().filter_map(report).collect()
    }

    /// What is to be acted on. Tasks that ended, or are tried again, are counted apart.
    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.ledger.poll_event(self.now) {
            match event {
                Event::Ended(ended) => self.ended.push((ended.task, ended.outcome)),
                Event::Again(again) => self.again.push((again.task, again.after)),
                event => events.push(event),
            }
        }
        events
    }

    /// Answers every renewal that is asked for with `verdict`.
    fn renew(&mut self, verdict: LeaseVerdict) {
        for frame in self.sent() {
            if let FromMember::Renew(renew) = frame {
                self.ledger.handle_renewed(&answer(&renew, verdict), self.now);
            }
        }
        self.sync();
    }

    /// Takes a task up to its running attempt.
    fn running(&mut self, n: u8, kind: TaskKind) {
        self.offer(offer(n, kind, 1));
        self.sync();
        self.renew(LeaseVerdict::Kept);
        assert!(matches!(self.events().as_slice(), [Event::Start { .. }]));
    }

    fn started(&mut self, n: u8) {
        self.running(n, TaskKind::DisableUser);
        self.ledger.handle_intend(id(n), 1, intent(0), REACH, self.now);
        self.sync();
        assert_eq!(self.events(), [Event::Granted(1)]);
        self.sent();
    }

    /// Connected, and a batch has succeeded whose results are on their way.
    fn with_results() -> (Self, StreamRef) {
        let mut desk = Self::connected();
        desk.started(1);
        let results = StreamRef { id: StreamId::from_bytes([3; 16]), length: 1, sha256: [0; 32] };
        desk.ledger.handle_concluded(id(1), Ending { streams: vec![results], ..success() }, desk.now);
        desk.sync();
        (desk, results)
    }
}
