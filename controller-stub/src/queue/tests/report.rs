//! What a report means.

use super::*;

/// F73 and the table of protocol.md section 5.
/// Leave `told_before` out and the submitter never sees what came of its task.
#[test]
fn f33_a_member_that_remembers_the_outcome_alone_is_taken_at_its_earlier_word() {
    let (mut world, first) = World::holding(TaskKind::ImportBatch, "started");
    world.queue.tick(at(TTL + 1));
    world.queue.tick(at(TTL + SETTLE + 2));
    world.queue.disconnect(ONE, at(0).now);
    world.queue.connect(TWO, holder(10));
    let second = world.assign(TTL + SETTLE + 3).unwrap();
    world.queue.connect(ONE, holder(10));
    let told = reported(first, Outcome::Succeeded, Certainty::Probable);
    assert_eq!(world.queue.report(ONE, told, at(TTL + SETTLE + 4)), Verdict::Observed);
    world.queue.tick(at(2 * TTL + SETTLE + 5));
    world.queue.tick(at(2 * TTL + 2 * SETTLE + 6));
    world.queue.disconnect(TWO, at(0).now);
    let third = world.assign(2 * TTL + 2 * SETTLE + 7).unwrap();
    assert!(first.epoch < second.epoch && second.epoch < third.epoch);
    let repeated = Reported { bare: true, ..reported(third, Outcome::Succeeded, Certainty::Probable) };
    assert_eq!(world.queue.report(ONE, repeated, at(2 * TTL + 2 * SETTLE + 8)), Verdict::Finished);
    assert_eq!(world.record(1).finish.unwrap().epoch, first.epoch);
}

#[test]
fn f73_a_report_under_the_current_epoch_finishes_and_one_under_an_older_is_observed() {
    let (mut world, first, second) = World::leased_twice();

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
    let (mut world, first, second) = World::leased_twice();
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
        let (mut world, first, _) = World::leased_twice();
        world.queue.tick(at(3 * TTL));
        assert_eq!(world.state(1), "in_doubt");
        let verdict = world.queue.report(ONE, reported(first, outcome, certainty), at(3 * TTL));
        assert_eq!(verdict == Verdict::Finished, closes, "{outcome} {certainty}");
    }
}

/// What it read is on its way or here, and the same is being read once more. Leave it an observation and its file goes with
/// the end of the task, though its member was told that it was taken.
#[test]
fn a_certain_success_under_an_older_epoch_ends_a_task_that_only_reads() {
    for (outcome, bare, ends) in
        [(Outcome::Succeeded, false, true), (Outcome::Succeeded, true, false), (Outcome::Failed, false, false)]
    {
        let (mut world, first) = World::holding(TaskKind::Export, "started");
        world.queue.tick(at(TTL));
        world.queue.disconnect(ONE, at(0).now);
        world.queue.connect(TWO, other(10));
        let second = world.assign(TTL).unwrap();
        world.queue.connect(ONE, holder(0));
        let report = Reported { bare, ..reported(first, outcome, Certainty::Certain) };
        let verdict = world.queue.report(ONE, report, at(TTL + 1));
        assert_eq!(verdict == Verdict::Finished, ends, "{outcome}, bare: {bare}");
        let told = if ends { LeaseVerdict::Unknown } else { LeaseVerdict::Kept };
        assert_eq!(world.queue.renew(TWO, second, at(TTL + 1).now), told, "{outcome}, bare: {bare}");
    }
}

#[test]
fn a_report_finishes_whatever_the_controller_had_heard_before() {
    for state in ["leased", "accepted", "started"] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, state);
        world.queue.disconnect(ONE, at(0).now);
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
    world.queue.disconnect(ONE, at(0).now);
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

    // Both ledgers gave out the same number, each to another member.
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "started");
    world.queue.connect(TWO, other(0));
    let claim = reported(lease, Outcome::Succeeded, Certainty::Certain);
    assert_eq!(world.queue.report(TWO, claim, at(1)), Verdict::NeverLeased);
    assert!(world.record(1).reconcile);
}

/// Tell the next holder of it as of a change, and an export that nobody has can neither be cancelled nor expire.
#[test]
fn of_what_only_reads_nobody_has_to_find_out_what_came_of_it() {
    let (mut world, first) = World::holding(TaskKind::Export, "started");
    world.queue.tick(at(TTL));
    world.queue.disconnect(ONE, at(TTL).now);
    world.queue.connect(TWO, other(10));
    let second = world.assign(TTL).unwrap();
    world.queue.connect(ONE, holder(0));
    let failed = reported(first, Outcome::Failed, Certainty::Certain);
    assert_eq!(world.queue.report(ONE, failed, at(TTL)), Verdict::Observed);
    assert!(!world.record(1).reconcile);
    world.queue.reject(TWO, second, no(Rejection::Fenced, 0), at(TTL));
    assert!(!world.record(1).reconcile, "nor of what a ledger that is gone gave out");
    assert_eq!(world.queue.cancel(id(1), at(TTL)), Cancelled::AtOnce);
    assert_eq!(world.outcome(1), Some(Outcome::Cancelled));
}

/// The same of an inventory that tells of it under an earlier lease.
#[test]
fn what_only_reads_goes_on_as_if_it_had_not_begun() {
    let (mut world, lease) = World::holding(TaskKind::Export, "started");
    let held = Held::from([(id(1), (Epoch(lease.epoch.0 + 1), HeldState::Started))]);
    world.queue.settle(ONE, &held, Memory::Same, at(1));
    assert_eq!((world.state(1), world.record(1).reconcile), ("queued", false));
}
