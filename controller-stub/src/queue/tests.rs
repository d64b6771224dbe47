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

mod sealing;

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

    fn assign(&mut self, millis: u64) -> Option<LeaseRef> {
        let assigned = self.queue.poll_assign(at(millis).now)?;
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

#[test]
fn the_least_loaded_enabled_member_with_credit_that_serves_the_system_gets_the_task() {
    let no_system = Holder { serves: Serves::new(), ..holder(10) };
    let elsewhere = Holder { cluster: "other".parse().unwrap(), ..holder(10) };
    for (unfit, why) in [
        (Holder { enabled: false, ..holder(10) }, "disabled"),
        (Holder { settled: false, ..holder(10) }, "inventory not settled"),
        (Holder { stopping: true, ..holder(10) }, "about to stop"),
        (holder(0), "no credit"),
        (no_system, "does not serve the system"),
        (elsewhere, "another cluster"),
    ] {
        let mut world = World::new();
        world.queue.connect(ONE, unfit);
        world.queue.submit(task(1), at(0));
        assert_eq!(world.assign(0), None, "{why}");
        world.queue.connect(TWO, holder(10));
        assert!(world.assign(0).is_some(), "{why}");
        assert_eq!(world.queue.load(TWO), 1, "{why}");
    }
}

#[test]
fn members_take_turns_and_credit_is_never_exceeded() {
    let mut world = World::new();
    world.queue.connect(ONE, holder(2));
    world.queue.connect(TWO, holder(3));
    for number in 1..=9 {
        world.queue.submit(task(number), at(0));
    }
    assert!(world.assign(0).is_some() && world.assign(0).is_some());
    assert_eq!((world.queue.load(ONE), world.queue.load(TWO)), (1, 1), "the one with less to do comes next");
    while world.assign(0).is_some() {}
    assert_eq!((world.queue.load(ONE), world.queue.load(TWO)), (2, 3));
}

#[test]
fn larger_priority_goes_first_then_age() {
    let mut world = World::new();
    world.queue.submit(task(1), at(0));
    world.queue.submit(task(2), at(0));
    world.queue.submit(TaskRecord { priority: 200, ..task(3) }, at(0));
    world.queue.connect(ONE, holder(10));
    let order: Vec<TaskId> = std::iter::from_fn(|| world.assign(0)).map(|it| it.task).collect();
    assert_eq!(order, [id(3), id(1), id(2)]);
}

/// Invariant 8: leave `busy` out of `best_member` and the second is given out at once.
/// Look through all lanes at once, and the pile hides the disable; leave out the fourth turn, and the batch starves.
#[test]
fn a_pile_in_one_lane_hides_nothing_in_another_and_no_lane_starves() {
    let mut world = World::new();
    world.queue.config.max_unfinished = 1_000;
    let batch = |n| TaskRecord {
        kind: TaskKind::Export,
        target: String::new(),
        id: TaskId::from_random(n, [0; 10]),
        ..task(1)
    };
    for n in 0..600 {
        world.queue.submit(batch(n), at(0));
    }
    world.queue.connect(ONE, holder(100));
    for number in 10..20 {
        world.queue.submit(task(number), at(0));
    }
    let mut order = Vec::new();
    for _ in 0..9 {
        let assigned = world.assign(0).unwrap();
        order.push(world.record_of(assigned.task).kind.is_batch());
    }
    assert_eq!(order, [false, false, false, true, false, false, false, true, false]);
}

#[test]
fn no_target_has_two_unexpired_leases() {
    let mut world = World::new();
    world.queue.connect(ONE, holder(10));
    world.queue.submit(TaskRecord { target: "joe".to_owned(), ..task(1) }, at(0));
    world.queue.submit(TaskRecord { target: "joe".to_owned(), ..task(2) }, at(0));
    let lease = world.assign(0).unwrap();
    assert_eq!(world.assign(0), None);
    assert!(world.queue.waits_for(id(2)).contains("same account"));
    world.queue.report(ONE, reported(lease, Outcome::Succeeded, Certainty::Certain), at(1));
    assert_eq!(world.assign(1).map(|it| it.task), Some(id(2)));

    let mut free = World::new();
    free.queue.connect(ONE, holder(10));
    for number in 1..=2 {
        free.queue.submit(TaskRecord { target: String::new(), ..task(number) }, at(0));
    }
    assert!(free.assign(0).is_some() && free.assign(0).is_some(), "no target, nothing to wait for");
}

#[test]
fn a_lease_that_runs_out_is_in_doubt_and_then_given_out_with_a_warning() {
    // kind, state, then what it is after the lease, and after the doubt
    for (kind, state, after_lease, after_doubt, reconcile) in [
        (TaskKind::DisableUser, "leased", "in_doubt", "queued", true),
        (TaskKind::DisableUser, "accepted", "in_doubt", "queued", true),
        (TaskKind::DisableUser, "started", "in_doubt", "queued", true),
        (TaskKind::ValidateUser, "started", "queued", "queued", false),
        (TaskKind::ExpirePassword, "started", "in_doubt", "finished", false),
    ] {
        let (mut world, _) = World::holding(kind, state);
        world.queue.disconnect(ONE);
        world.queue.tick(at(TTL - 1));
        assert_eq!(world.state(1), state, "{kind} {state}: the lease still holds");
        world.queue.tick(at(TTL));
        assert_eq!(world.state(1), after_lease, "{kind} {state}");
        world.queue.tick(at(TTL + SETTLE - 1));
        assert_eq!(world.state(1), after_lease, "{kind} {state}: an effect may still appear");
        world.queue.tick(at(TTL + SETTLE));
        assert_eq!(world.state(1), after_doubt, "{kind} {state}");
        assert_eq!(world.record(1).reconcile, reconcile, "{kind} {state}");
    }
}

#[test]
fn what_is_never_done_twice_ends_as_unknown() {
    let (mut world, _) = World::holding(TaskKind::ExpirePassword, "started");
    world.queue.tick(at(TTL));
    world.queue.tick(at(TTL + SETTLE));
    let finish = world.record(1).finish.unwrap();
    assert_eq!((finish.outcome, finish.certainty, finish.member), (Outcome::Unknown, Certainty::Unknown, None));
}

#[test]
fn every_epoch_is_newer_than_the_one_before_and_an_older_one_is_fenced() {
    let (mut world, first) = World::holding(TaskKind::DisableUser, "started");
    world.queue.tick(at(TTL));
    world.queue.tick(at(TTL + SETTLE));
    let second = world.assign(TTL + SETTLE).unwrap();
    assert_eq!((first.epoch, second.epoch), (Epoch(1), Epoch(2)));
    assert_eq!(world.record(1).attempt, 2);
    assert_eq!(world.queue.renew(ONE, first, at(0).now), LeaseVerdict::Fenced);
    assert!(!world.queue.accept(ONE, first));
    world.queue.reject(ONE, first, no(Rejection::Invalid, 0), at(0));
    assert_eq!(world.state(1), "leased");
}

#[test]
fn renewing_keeps_a_lease_and_ends_a_doubt_as_long_as_nobody_else_has_the_task() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "started");
    assert_eq!(world.queue.renew(ONE, lease, at(TTL - 1).now), LeaseVerdict::Kept);
    world.queue.tick(at(TTL));
    assert_eq!(world.state(1), "started");
    world.queue.tick(at(2 * TTL));
    assert_eq!(world.state(1), "in_doubt");
    assert_eq!(world.queue.renew(ONE, lease, at(2 * TTL).now), LeaseVerdict::Kept);
    assert_eq!(world.state(1), "started");
    assert_eq!(world.queue.renew(TWO, lease, at(2 * TTL).now), LeaseVerdict::Fenced, "another member");
    let unknown = LeaseRef { task: id(9), epoch: Epoch(1) };
    assert_eq!(world.queue.renew(ONE, unknown, at(0).now), LeaseVerdict::Unknown);
}

/// Let `tick` look at the wall, and a lease ends when somebody sets the clock.
#[test]
fn f25_a_wall_clock_that_jumps_ends_no_lease_and_keeps_none() {
    let hour = 60 * 60 * 1_000;
    let year_2000 = UnixMillis(946_684_800_000);
    for wall in [UnixMillis(at(0).wall.0 + hour), year_2000, UnixMillis(0)] {
        let (mut world, _) = World::holding(TaskKind::DisableUser, "started");
        world.queue.disconnect(ONE);
        world.queue.tick(Moment { now: at(TTL - 1).now, wall });
        assert_eq!(world.state(1), "started", "{wall:?}");
        world.queue.tick(Moment { now: at(TTL).now, wall });
        assert_eq!(world.state(1), "in_doubt", "{wall:?}");
    }
}

/// F73 and the table of protocol.md section 5.
/// Leave `told_before` out and the submitter never sees what came of its task.
#[test]
fn f33_a_member_that_remembers_the_outcome_alone_is_taken_at_its_earlier_word() {
    let (mut world, first) = World::holding(TaskKind::ImportBatch, "started");
    world.queue.tick(at(TTL + 1));
    world.queue.tick(at(TTL + SETTLE + 2));
    world.queue.disconnect(ONE);
    world.queue.connect(TWO, holder(10));
    let second = world.assign(TTL + SETTLE + 3).unwrap();
    world.queue.connect(ONE, holder(10));
    let told = reported(first, Outcome::Succeeded, Certainty::Probable);
    assert_eq!(world.queue.report(ONE, told, at(TTL + SETTLE + 4)), Verdict::Observed);
    world.queue.tick(at(2 * TTL + SETTLE + 5));
    world.queue.tick(at(2 * TTL + 2 * SETTLE + 6));
    world.queue.disconnect(TWO);
    let third = world.assign(2 * TTL + 2 * SETTLE + 7).unwrap();
    assert!(first.epoch < second.epoch && second.epoch < third.epoch);
    let repeated = Reported { bare: true, ..reported(third, Outcome::Succeeded, Certainty::Probable) };
    assert_eq!(world.queue.report(ONE, repeated, at(2 * TTL + 2 * SETTLE + 8)), Verdict::Finished);
    assert_eq!(world.record(1).finish.unwrap().epoch, first.epoch);
}

#[test]
fn f73_a_report_under_the_current_epoch_finishes_and_one_under_an_older_is_observed() {
    let (mut world, first) = World::holding(TaskKind::DisableUser, "started");
    world.queue.tick(at(TTL));
    world.queue.tick(at(TTL + SETTLE));
    world.queue.disconnect(ONE);
    world.queue.connect(TWO, other(10));
    let second = world.assign(TTL + SETTLE).unwrap();
    world.queue.connect(ONE, holder(0));

    let failed = reported(first, Outcome::Failed, Certainty::Certain);
    assert_eq!(world.queue.report(ONE, failed, at(0)), Verdict::Observed);
    assert_eq!(world.queue.report(ONE, failed, at(0)), Verdict::Observed);
    assert_eq!(world.record(1).observations.len(), 1, "the same word twice is one observation");
    assert_eq!(world.state(1), "leased");
    let done = reported(second, Outcome::Succeeded, Certainty::Certain);
    assert_eq!(world.queue.report(TWO, done, at(0)), Verdict::Finished);
    assert_eq!(world.outcome(1), Some(Outcome::Succeeded));
    assert_eq!(world.queue.report(TWO, done, at(0)), Verdict::NotOpen);
}

/// The task may have ended as unknown, or by another member: what really happened is kept beside that.
#[test]
fn f73_a_report_about_a_finished_task_is_kept_beside_its_outcome() {
    let (mut world, first) = World::holding(TaskKind::DisableUser, "started");
    world.queue.tick(at(TTL));
    world.queue.tick(at(TTL + SETTLE));
    world.queue.disconnect(ONE);
    world.queue.connect(TWO, other(10));
    let second = world.assign(TTL + SETTLE).unwrap();
    world.queue.connect(ONE, holder(0));
    let found = reported(second, Outcome::AlreadySatisfied, Certainty::Certain);
    assert_eq!(world.queue.report(TWO, found, at(0)), Verdict::Finished);

    let mut record = world.record(1);
    let done = reported(first, Outcome::Succeeded, Certainty::Certain);
    assert!(!world.queue.observe_finished(&mut record, TWO, found), "the outcome itself");
    assert!(!world.queue.observe_finished(&mut record, TWO, done), "a lease of another's");
    assert!(world.queue.observe_finished(&mut record, ONE, done));
    assert!(!world.queue.observe_finished(&mut record, ONE, done), "the same word twice");
    assert_eq!((record.observations.len(), record.finish.unwrap().outcome), (1, Outcome::AlreadySatisfied));
}

#[test]
fn a_certain_success_under_an_older_epoch_closes_a_doubt_and_nothing_else_does() {
    for (outcome, certainty, closes) in [
        (Outcome::Succeeded, Certainty::Certain, true),
        (Outcome::AlreadySatisfied, Certainty::Certain, false),
        (Outcome::Succeeded, Certainty::Probable, false),
        (Outcome::Failed, Certainty::Certain, false),
        (Outcome::Unknown, Certainty::Unknown, false),
    ] {
        let (mut world, first) = World::holding(TaskKind::DisableUser, "started");
        world.queue.tick(at(TTL));
        world.queue.tick(at(TTL + SETTLE));
        world.queue.disconnect(ONE);
        world.queue.connect(TWO, other(10));
        world.assign(TTL + SETTLE).unwrap();
        world.queue.connect(ONE, holder(0));
        world.queue.tick(at(3 * TTL));
        assert_eq!(world.state(1), "in_doubt");
        let verdict = world.queue.report(ONE, reported(first, outcome, certainty), at(3 * TTL));
        assert_eq!(verdict == Verdict::Finished, closes, "{outcome} {certainty}");
    }
}

#[test]
fn a_report_finishes_whatever_the_controller_had_heard_before() {
    for state in ["leased", "accepted", "started"] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, state);
        world.queue.disconnect(ONE);
        world.queue.tick(at(TTL));
        world.queue.connect(ONE, holder(0));
        let verdict = world.queue.report(ONE, reported(lease, Outcome::Succeeded, Certainty::Certain), at(TTL));
        assert_eq!(verdict, Verdict::Finished, "{state}");
        assert!(world.queue.is_empty());
        assert_eq!(world.queue.load(ONE), 0);
    }
}

/// Leave `was_given` out of `Queue::report` and each of these ends the task or is kept with it.
#[test]
fn a_report_counts_only_under_a_lease_its_member_was_given_and_kept() {
    let elsewhere = Holder { cluster: "other".parse().unwrap(), ..holder(0) };
    for (stranger, epochs_later, why) in [
        (other(0), 0, "another member"),
        (elsewhere, 0, "another cluster"),
        (holder(0), 1, "an epoch that was not given out"),
    ] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "started");
        let epoch = Epoch(lease.epoch.0 + epochs_later);
        world.queue.connect(TWO, stranger);
        let claim = reported(LeaseRef { epoch, ..lease }, Outcome::Succeeded, Certainty::Certain);
        assert_eq!(world.queue.report(TWO, claim, at(1)), Verdict::NeverLeased, "{why}");
        assert_eq!((world.state(1), world.record(1).observations), ("started", Vec::new()), "{why}");
        world.queue.tick(at(TTL));
        assert_eq!(world.queue.report(TWO, claim, at(TTL)), Verdict::NeverLeased, "{why}, in doubt");
    }

    let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
    world.queue.reject(ONE, lease, no(Rejection::Draining, 0), at(0));
    let claim = reported(lease, Outcome::Succeeded, Certainty::Certain);
    assert_eq!(world.queue.report(ONE, claim, at(1)), Verdict::NeverLeased, "given back");
}

/// After a new enrollment the same store reports under another member's id.
#[test]
fn a_lease_belongs_to_the_store_that_took_the_task() {
    let (mut world, lease) = World::holding(TaskKind::ExpirePassword, "started");
    world.queue.disconnect(ONE);
    world.queue.connect(TWO, holder(0));
    let claim = reported(lease, Outcome::Succeeded, Certainty::Certain);
    assert_eq!(world.queue.report(TWO, claim, at(1)), Verdict::Finished);
    assert_eq!(world.record(1).finish.unwrap().member, Some(TWO));
}

/// The ledger was restored from a backup: whoever gets the task next has to look first.
#[test]
fn a_report_under_an_epoch_that_is_yet_to_come_is_a_reason_to_look_first() {
    let mut world = World::new();
    world.queue.submit(task(1), at(0));
    let claim = reported(LeaseRef { task: id(1), epoch: Epoch(1) }, Outcome::Succeeded, Certainty::Certain);
    world.queue.connect(TWO, Holder { cluster: "other".parse().unwrap(), ..holder(0) });
    world.queue.report(TWO, claim, at(1));
    assert!(!world.record(1).reconcile);
    world.queue.connect(ONE, holder(0));
    assert_eq!(world.queue.report(ONE, claim, at(1)), Verdict::NeverLeased);
    assert!(world.record(1).reconcile);
}

#[test]
fn the_newest_leases_are_remembered() {
    let (mut world, first) = World::holding(TaskKind::ValidateUser, "accepted");
    let mut now = 0;
    for _ in 0..8 {
        now += TTL;
        world.queue.tick(at(now));
        world.assign(now).unwrap();
    }
    assert_eq!(world.record(1).leases.len(), 8);
    let claim = reported(first, Outcome::Failed, Certainty::Certain);
    assert_eq!(world.queue.report(ONE, claim, at(now)), Verdict::NeverLeased);
    let second = LeaseRef { epoch: first.epoch.next(), ..first };
    assert_eq!(
        world.queue.report(ONE, reported(second, Outcome::Failed, Certainty::Certain), at(now)),
        Verdict::Observed
    );
}

fn no(reason: Rejection, retry_after_ms: u64) -> RejectedAs<'static> {
    RejectedAs { reason: reason.into(), message: "no", retry_after: Duration::from_millis(retry_after_ms) }
}

#[test]
fn a_rejection_means_what_its_reason_says() {
    for (reason, retry, outcome) in [
        (Rejection::Expired, 0, Some(Outcome::Expired)),
        (Rejection::Invalid, 0, Some(Outcome::Failed)),
        (Rejection::Unsupported, 0, Some(Outcome::Failed)),
        (Rejection::NeedsReseal, 0, Some(Outcome::Failed)),
        (Rejection::Policy, 0, Some(Outcome::Failed)),
        (Rejection::BadSignature, 0, Some(Outcome::Failed)),
        (Rejection::Overloaded, 1_000, None),
        (Rejection::Draining, 1_000, None),
        (Rejection::StoreFault, 0, None),
        (Rejection::Fenced, 0, None),
    ] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
        world.queue.reject(ONE, lease, no(reason, retry), at(0));
        assert_eq!(world.outcome(1), outcome, "{reason}");
        if outcome.is_none() {
            assert_eq!(world.assign(499), None, "{reason}: not at once");
        }
    }
}

#[test]
fn a_member_that_cannot_is_left_out_and_another_gets_the_task() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "leased");
    world.queue.connect(TWO, holder(10));
    world.queue.reject(ONE, lease, no(Rejection::Unsupported, 0), at(0));
    let second = world.assign(1).unwrap();
    assert_eq!((world.queue.load(TWO), second.epoch), (1, Epoch(2)));
    world.queue.reject(TWO, second, no(Rejection::Overloaded, 2_000), at(1));
    assert_eq!(world.assign(2_000), None);
    assert!(world.assign(2_001).is_some());
}

#[test]
fn what_may_have_been_begun_never_ends_as_if_nothing_had_happened() {
    for reason in [Rejection::Expired, Rejection::Invalid, Rejection::NeedsReseal] {
        let (mut world, _) = World::holding(TaskKind::DisableUser, "started");
        world.queue.tick(at(TTL));
        world.queue.tick(at(TTL + SETTLE));
        let again = world.assign(TTL + SETTLE).unwrap();
        world.queue.reject(ONE, again, no(reason, 0), at(0));
        assert_eq!(world.outcome(1), Some(Outcome::Unknown), "{reason}");
    }
}

/// A restarted holder has forgotten the deadline. Leave it out of `renew` and the task runs late.
#[test]
fn a_deadline_that_passed_ends_the_lease_of_what_has_not_begun() {
    let mut world = World::new();
    world.queue.connect(ONE, holder(10));
    let deadline = Some(UnixMillis(at(0).wall.0 + 500));
    world.queue.submit(TaskRecord { deadline, ..task(1) }, at(0));
    let lease = world.assign(0).unwrap();
    assert_eq!(world.queue.renew(ONE, lease, at(400).now), LeaseVerdict::Kept);
    assert_eq!(world.queue.renew(ONE, lease, at(500).now), LeaseVerdict::Cancelled);

    let report = reported(lease, Outcome::Cancelled, Certainty::Certain);
    assert_eq!(world.queue.report(ONE, report, at(600)), Verdict::Finished);
    assert_eq!(world.outcome(1), Some(Outcome::Expired), "nobody has cancelled it");
}

#[test]
fn a_deadline_ends_what_nobody_has_and_leaves_the_rest_to_its_holder() {
    let mut world = World::new();
    let deadline = Some(UnixMillis(at(0).wall.0 + 500));
    world.queue.submit(TaskRecord { deadline, ..task(1) }, at(0));
    world.queue.submit(TaskRecord { deadline, ..task(2) }, at(0));
    world.queue.connect(ONE, holder(1));
    let assigned = world.queue.poll_assign(at(100).now).unwrap();
    assert_eq!((assigned.task, assigned.deadline_ms), (id(1), 400));
    world.queue.tick(at(499));
    assert_eq!(world.state(2), "queued");
    world.queue.tick(at(500));
    assert_eq!((world.state(1), world.outcome(2)), ("leased", Some(Outcome::Expired)));
    assert_eq!(world.record(2).finish.unwrap().changed, Changed::No);
}

#[test]
fn cancelling_depends_on_how_far_the_task_is() {
    let mut world = World::new();
    world.queue.submit(task(1), at(0));
    assert_eq!(world.queue.cancel(id(1), at(1)), Cancelled::AtOnce);
    assert_eq!(world.outcome(1), Some(Outcome::Cancelled));
    assert_eq!(world.queue.cancel(id(1), at(1)), Cancelled::TooLate);

    for (state, verdict) in
        [("leased", LeaseVerdict::Cancelled), ("accepted", LeaseVerdict::Cancelled), ("started", LeaseVerdict::Kept)]
    {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, state);
        assert_eq!(world.queue.cancel(id(1), at(1)), Cancelled::Ask(ONE), "{state}");
        assert!(world.record(1).cancel_requested);
        assert_eq!(world.queue.renew(ONE, lease, at(1).now), verdict, "{state}");
    }

    let (mut world, _) = World::holding(TaskKind::DisableUser, "started");
    world.queue.tick(at(TTL));
    world.queue.tick(at(TTL + SETTLE));
    let now = at(TTL + SETTLE);
    assert_eq!(world.queue.cancel(id(1), now), Cancelled::Later, "somebody may have begun it");
    let lease = world.assign(TTL + SETTLE).unwrap();
    assert_eq!(world.queue.renew(ONE, lease, now.now), LeaseVerdict::Kept, "its next holder has to look");
}

/// Count a doubt from a restart like a lease, and a task is given away while its last holder's call may take effect.
#[test]
fn f41_a_doubt_lasts_its_settle_time_after_a_restart_too() {
    let (mut world, _) = World::holding(TaskKind::ExpirePassword, "started");
    world.queue.tick(at(TTL));
    let record = world.record(1);
    assert_eq!(record.state.name(), "in_doubt");
    let mut again = World::new();
    again.queue.restore(record, at(TTL + 1));
    again.queue.tick(at(2 * TTL + SETTLE));
    assert_eq!(again.queue.tasks().count(), 1);
    again.queue.tick(at(2 * TTL + SETTLE + 1));
    assert_eq!(again.outcome(1), Some(Outcome::Unknown));
}

/// Leave a doubt as it is when a store was lost, and the next inventory, of a store that is the same as the last,
/// makes certain that nothing happened.
#[test]
fn f19_what_a_lost_store_may_have_begun_stays_in_doubt_over_the_next_inventory() {
    let (mut world, _) = World::holding(TaskKind::ExpirePassword, "accepted");
    world.queue.tick(at(TTL));
    assert_eq!(world.state(1), "in_doubt");
    world.queue.settle(ONE, &Held::new(), Memory::Lost, at(TTL + 1));
    world.queue.settle(ONE, &Held::new(), Memory::Same, at(TTL + 2));
    assert_eq!(world.state(1), "in_doubt");
    world.queue.tick(at(TTL + SETTLE));
    assert_eq!(world.outcome(1), Some(Outcome::Unknown));
}

#[test]
fn an_inventory_settles_every_task_the_member_is_believed_to_hold() {
    use HeldState::{Journaled, Reported as IsReported, Started};
    use Memory::{Lost, Same};
    // believed, what the member says (epochs back, state), its memory, then state and reconcile
    let table = [
        ("leased", Some((0, Journaled)), Same, "accepted", false),
        ("leased", Some((0, Started)), Same, "started", false),
        ("leased", Some((0, IsReported)), Same, "started", false),
        ("accepted", Some((0, Journaled)), Same, "accepted", false),
        ("started", Some((0, Journaled)), Same, "queued", true),
        ("leased", None, Same, "queued", false),
        ("accepted", None, Same, "queued", false),
        ("started", None, Same, "in_doubt", false),
        ("leased", None, Lost, "in_doubt", false),
        ("accepted", None, Lost, "in_doubt", false),
        ("started", None, Lost, "in_doubt", false),
        ("leased", Some((1, Journaled)), Same, "queued", false),
        ("leased", Some((1, Started)), Same, "queued", true),
        ("leased", Some((1, IsReported)), Same, "queued", true),
    ];
    for (believed, says, memory, state, reconcile) in table {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, believed);
        let held: Held =
            says.into_iter().map(|(back, state)| (lease.task, (Epoch(lease.epoch.0 - back), state))).collect();
        world.queue.settle(ONE, &held, memory, at(1));
        assert_eq!((world.state(1), world.record(1).reconcile), (state, reconcile), "{believed} {says:?} {memory:?}");
    }
}

#[test]
fn an_inventory_revives_a_doubt_that_nobody_acted_on() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
    world.queue.tick(at(TTL));
    assert_eq!(world.state(1), "in_doubt");
    world.queue.settle(ONE, &Held::from([(lease.task, (lease.epoch, HeldState::Journaled))]), Memory::Same, at(TTL));
    assert_eq!(world.state(1), "accepted");
    world.queue.tick(at(2 * TTL - 1));
    assert_eq!(world.state(1), "accepted", "with a whole new lease");
}

#[test]
fn what_a_disabled_member_has_not_begun_goes_to_others() {
    for (state, expected) in [(HeldState::Journaled, "queued"), (HeldState::Started, "started")] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
        world.queue.set_enabled(ONE, false);
        world.queue.settle(ONE, &Held::from([(lease.task, (lease.epoch, state))]), Memory::Same, at(1));
        assert_eq!(world.state(1), expected);
    }
}

/// Invariant 7. Leave the epoch as it is in `take_away`, and the lease is kept: the member would go on under it when it
/// is enabled again.
#[test]
fn a_lease_that_was_taken_away_is_never_kept_again() {
    for state in ["leased", "accepted", "started"] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, state);
        world.queue.take_away(ONE, at(1));
        assert_eq!(world.state(1), "in_doubt", "{state}");
        assert_eq!(world.queue.renew(ONE, lease, at(1).now), LeaseVerdict::Fenced, "{state}");

        let record = world.record(1);
        let mut again = World::new();
        again.queue.connect(ONE, holder(10));
        again.queue.restore(record, at(2));
        assert_eq!(again.queue.renew(ONE, lease, at(2).now), LeaseVerdict::Fenced, "{state}, after a restart");
    }
}

/// F72: its last call was on the wire.
#[test]
fn f72_what_a_member_reports_under_a_lease_that_was_taken_away_is_the_outcome_as_long_as_nobody_else_was_given_the_task()
 {
    for outcome in [Outcome::Succeeded, Outcome::Failed] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "started");
        world.queue.take_away(ONE, at(1));
        let told = reported(lease, outcome, Certainty::Certain);
        assert_eq!(world.queue.report(ONE, told, at(2)), Verdict::Finished);
        assert_eq!(world.outcome(1), Some(outcome));
    }

    let (mut world, lease) = World::holding(TaskKind::DisableUser, "started");
    world.queue.take_away(ONE, at(1));
    world.queue.tick(at(TTL + SETTLE));
    let newer = world.assign(TTL + SETTLE).unwrap();
    assert!(newer.epoch.0 > lease.epoch.0 + 1 && world.record(1).reconcile);
    let told = reported(lease, Outcome::Succeeded, Certainty::Certain);
    assert_eq!(world.queue.report(ONE, told, at(TTL + SETTLE)), Verdict::Observed);
}

/// What the member says of itself after it knows is believed at once; an effect may appear for the time of a call.
#[test]
fn f72_what_was_taken_away_unbegun_goes_to_others_at_once_and_what_was_begun_after_the_settle_time() {
    use HeldState::{Journaled, Started};
    for (says, soon, later) in
        [(Some(Started), "in_doubt", "queued"), (Some(Journaled), "queued", "queued"), (None, "queued", "queued")]
    {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
        world.queue.take_away(ONE, at(1));
        let held: Held = says.into_iter().map(|state| (lease.task, (lease.epoch, state))).collect();
        world.queue.settle(ONE, &held, Memory::Same, at(2));
        assert_eq!(world.state(1), soon, "{says:?}");
        world.queue.tick(at(2 + SETTLE));
        assert_eq!((world.state(1), world.record(1).reconcile), (later, says == Some(Started)), "{says:?}");
    }
    let (mut never_twice, lease) = World::holding(TaskKind::ExpirePassword, "started");
    never_twice.queue.take_away(ONE, at(1));
    never_twice.queue.settle(ONE, &Held::from([(lease.task, (lease.epoch, Started))]), Memory::Same, at(2));
    never_twice.queue.tick(at(2 + SETTLE));
    assert_eq!(never_twice.outcome(1), Some(Outcome::Unknown));
}

#[test]
fn a_restored_queue_goes_on_where_it_was_with_whole_leases() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "started");
    let record = world.record(1);
    let mut again = World::new();
    again.queue.restore(record.clone(), at(50_000));
    again.records.insert(record.id, record);
    assert!(again.queue.take_changes().is_empty(), "reading is no change");
    again.queue.tick(at(50_000 + TTL - 1));
    assert_eq!(again.queue.load(ONE), 1);
    assert_eq!(again.queue.renew(ONE, lease, at(50_000 + TTL - 1).now), LeaseVerdict::Kept);
}

#[test]
fn a_task_beyond_the_most_unfinished_is_refused() {
    let mut world = World::new();
    for number in 0..100 {
        assert!(world.queue.submit(task(number), at(0)));
    }
    assert!(!world.queue.submit(task(200), at(0)));
}

#[test]
fn systems_take_turns() {
    let mut world = World::new();
    let mut member = holder(100);
    for system in ["a", "b", "c"] {
        let kinds = TaskKind::ALL.iter().map(|kind| kind.code()).collect();
        member.serves.insert(system.parse().unwrap(), kinds);
    }
    world.queue.connect(ONE, member);
    for (number, system) in (1..).zip(["a", "a", "a", "b", "c"]) {
        world.queue.submit(TaskRecord { system: system.parse().unwrap(), ..task(number) }, at(0));
    }
    let order: Vec<TaskId> = std::iter::from_fn(|| world.assign(0)).map(|it| it.task).collect();
    assert_eq!(order, [id(1), id(4), id(5), id(2), id(3)]);
}

/// Forget `rank` after any of these changes, and it fails.
#[test]
fn whoever_is_ready_stands_in_line_whatever_happened() {
    let mut world = World::new();
    let members: Vec<MemberId> = (1..=5).map(|number| MemberId::from_bytes([number; 16])).collect();
    let mut number: u64 = 1;
    let mut random = |below: u64| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % below
    };
    for step in 0..5_000 {
        let member = members[usize::try_from(random(5)).unwrap()];
        let lease = world.queue.held_by(member).first().map(|task| {
            let epoch = world.queue.task(*task).unwrap().epoch;
            LeaseRef { task: *task, epoch }
        });
        match (random(11), lease) {
            (0, _) => world.queue.connect(member, holder(random(4))),
            (1, _) => world.queue.connect(member, Holder { settled: false, ..holder(3) }),
            (2, _) => world.queue.disconnect(member),
            (3, _) => world.queue.set_enabled(member, random(2) == 0),
            (4, _) => world.queue.set_credit(member, random(20)),
            (5, _) => world.queue.settle(member, &Held::new(), Memory::Same, at(step)),
            (6, _) if random(20) == 0 => world.queue.set_stopping(member),
            (7, Some(lease)) => {
                world.queue.report(member, reported(lease, Outcome::Succeeded, Certainty::Certain), at(step));
            }
            (8, _) => world.queue.take_away(member, at(step)),
            (9, _) => world.queue.tick(at(step * 100)),
            _ => {
                world.queue.submit(task(u8::try_from(step % 250).unwrap()), at(step));
                world.assign(step);
            }
        }
        let standing = |queue: &Queue, (member, it): (MemberId, &Holder)| {
            it.is_ready().then(|| (queue.load(member), it.last_turn, member))
        };
        let mut ready: Vec<_> = world.queue.holders().filter_map(|it| standing(&world.queue, it)).collect();
        ready.sort_unstable();
        let ready: Vec<MemberId> = ready.into_iter().map(|(_, _, member)| member).collect();
        let in_line: Vec<MemberId> = world.queue.ready.of(&"sf".parse().unwrap(), &"acme".parse().unwrap()).collect();
        assert_eq!(in_line, ready, "step {step}");
    }
}
