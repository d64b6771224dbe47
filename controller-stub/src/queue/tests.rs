//! Decision tables of the queue, with a time that is made up.

use std::time::Duration;

use postern_protocol::code::CodeSet;
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{HeldState, LeaseRef, LeaseVerdict, Rejection};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::time::UnixMillis;
use postern_protocol::{Epoch, MemberId, Outcome, TaskId, TaskKind, Timestamp};

use super::inventory::{Held, Memory};
use super::*;
use crate::clock::Moment;
use crate::state::record::TaskRecord;

mod alone;
mod assignment;
mod ending;
mod inventory;
mod lease;
mod report;
mod sealing;
mod taken_away;

const TTL: u64 = 10_000;
const SETTLE: u64 = 5_000;
const ONE: MemberId = MemberId::from_bytes([1; 16]);
const TWO: MemberId = MemberId::from_bytes([2; 16]);
const STORE: Incarnation = Incarnation::from_bytes([1; 16]);
const OTHER_STORE: Incarnation = Incarnation::from_bytes([2; 16]);

fn at(millis: u64) -> Moment {
    Moment { now: Timestamp::from_millis(millis), wall: UnixMillis(1_000_000 + millis) }
}

fn id(number: u8) -> TaskId {
    TaskId::from_bytes([number; 16])
}

fn task(number: u8) -> TaskRecord {
    let (cluster, system) = ("acme".parse().unwrap(), "sf".parse().unwrap());
    TaskRecord {
        priority: 100,
        submitted: UnixMillis(u64::from(number)),
        ..TaskRecord::queued(id(number), cluster, system, TaskKind::DisableUser, format!("user{number}"))
    }
}

fn holder(credit: u64) -> Holder {
    let kinds = TaskKind::ALL.iter().map(|kind| kind.code()).collect();
    let serves = Serves::from([("sf".parse().unwrap(), kinds)]);
    Holder { credit, settled: true, ..Holder::new("acme".parse().unwrap(), STORE, serves, true) }
}

/// A member with another store than the one of [`holder`].
fn other(credit: u64) -> Holder {
    Holder { store: OTHER_STORE, ..holder(credit) }
}

struct World {
    queue: Queue,
    records: BTreeMap<TaskId, TaskRecord>,
}

impl World {
    fn new() -> Self {
        let config = Config {
            lease_ttl: Duration::from_millis(TTL),
            settle: Duration::from_millis(SETTLE),
            max_unfinished: 100,
        };
        Self { queue: Queue::new(config), records: BTreeMap::new() }
    }

    /// A world in which [`ONE`] holds task 1 of `kind` in a state.
    fn holding(kind: TaskKind, state: &str) -> (Self, LeaseRef) {
        let mut world = Self::new();
        world.queue.connect(ONE, holder(10));
        world.queue.submit(TaskRecord { kind, ..task(1) }, at(0));
        let lease = world.assign(0).unwrap();
        if state != "leased" {
            world.queue.accept(ONE, lease);
        }
        if state == "started" {
            world.queue.start(ONE, lease);
        }
        assert_eq!(world.state(1), state);
        (world, lease)
    }

    /// A world in which [`ONE`] began task 1 and lost its lease, [`TWO`] holds it now, and both are there.
    fn leased_twice() -> (Self, LeaseRef, LeaseRef) {
        let (mut world, first) = Self::holding(TaskKind::DisableUser, "started");
        world.queue.tick(at(TTL));
        world.queue.tick(at(TTL + SETTLE));
        world.queue.disconnect(ONE, at(TTL + SETTLE).now);
        world.queue.connect(TWO, other(10));
        let second = world.assign(TTL + SETTLE).unwrap();
        world.queue.connect(ONE, holder(0));
        (world, first, second)
    }

    fn assign(&mut self, millis: u64) -> Option<LeaseRef> {
        let assigned = self.queue.poll_assign(at(millis))?;
        let epoch = self.queue.task(assigned.task).unwrap().epoch;
        Some(LeaseRef { task: assigned.task, epoch })
    }

    fn record(&mut self, number: u8) -> TaskRecord {
        self.record_of(id(number))
    }

    fn record_of(&mut self, task: TaskId) -> TaskRecord {
        self.records.extend(self.queue.take_changes().into_iter().map(|it| (it.id, it)));
        self.records[&task].clone()
    }

    fn state(&mut self, number: u8) -> &'static str {
        self.record(number).state.name()
    }

    fn outcome(&mut self, number: u8) -> Option<Outcome> {
        self.record(number).finish.map(|it| it.outcome)
    }
}

fn reported(lease: LeaseRef, outcome: Outcome, certainty: Certainty) -> Reported {
    Reported { task: lease.task, epoch: lease.epoch, outcome, certainty, changed: Changed::Yes, bare: false }
}

fn no(reason: Rejection, retry_after_ms: u64) -> RejectedAs<'static> {
    RejectedAs { reason: reason.into(), message: "no", retry_after: Duration::from_millis(retry_after_ms) }
}
