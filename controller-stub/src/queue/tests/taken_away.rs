//! What becomes of the work of a member that may not go on.

use super::*;

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

/// Invariant 7. A crash kept that the member is disabled, and not what became of its tasks: it would go on with them when it is
/// enabled again. Take them away at each start, and what was in doubt never has the epoch that anybody knows.
#[test]
fn what_a_crash_left_to_a_member_that_may_not_go_on_is_taken_away_behind_it_once() {
    for state in ["leased", "accepted", "started"] {
        let (mut world, lease) = World::holding(TaskKind::DisableUser, state);
        let mut again = World::new();
        again.queue.restore(world.record(1), at(2));
        again.queue.take_away_the_rest(ONE, at(2));
        again.queue.connect(ONE, holder(10));
        assert_eq!(
            (again.state(1), again.queue.renew(ONE, lease, at(2).now)),
            ("in_doubt", LeaseVerdict::Fenced),
            "{state}"
        );
        let taken = again.record(1).epoch;
        again.queue.take_away_the_rest(ONE, at(3));
        assert_eq!(again.record(1).epoch, taken, "{state}");
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
