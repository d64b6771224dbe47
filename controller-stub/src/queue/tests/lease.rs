//! How long a lease lasts, and what comes after it.

use super::*;

/// Invariant 8: leave `busy` out of `best_member` and the second is given out at once.
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
        world.queue.disconnect(ONE, at(0).now);
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
        world.queue.disconnect(ONE, at(0).now);
        world.queue.tick(Moment { now: at(TTL - 1).now, wall });
        assert_eq!(world.state(1), "started", "{wall:?}");
        world.queue.tick(Moment { now: at(TTL).now, wall });
        assert_eq!(world.state(1), "in_doubt", "{wall:?}");
    }
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

/// Say what is late by the clock that a controller starts with, and a task that is in time ends as expired.
#[test]
fn a_holder_is_not_told_that_a_restored_task_is_late_until_the_clock_can_have_been_set() {
    let (mut world, lease) = World::holding(TaskKind::DisableUser, "accepted");
    let record = TaskRecord { deadline: Some(UnixMillis(1)), ..world.record(1) };
    let mut again = World::new();
    again.queue.restore(record, at(50_000));
    assert_eq!(again.queue.renew(ONE, lease, at(50_000 + TTL - 1).now), LeaseVerdict::Kept);
    assert_eq!(again.queue.renew(ONE, lease, at(50_000 + TTL).now), LeaseVerdict::Late);
}

/// So many tasks with a deadline at 1,000.
fn with_a_deadline(count: u64) -> World {
    let mut world = World::new();
    world.queue.config.max_unfinished = 4_000;
    for n in 0..count {
        let (id, deadline) = (TaskId::from_random(n, [0; 10]), Some(UnixMillis(at(1_000).wall.0)));
        world.queue.submit(TaskRecord { id, deadline, target: n.to_string(), ..task(1) }, at(0));
    }
    world
}

/// Take all that are late in one tick, and nobody else has a turn until a hundred thousand are committed. Take the first that
/// are past their deadlines, whoever has them, and those that a member has keep the others from ending.
#[test]
fn of_what_is_late_so_much_ends_in_a_tick_and_the_rest_in_the_next_whatever_members_have() {
    let mut world = with_a_deadline(3_300);
    world.queue.connect(ONE, holder(300));
    let given = std::iter::from_fn(|| world.assign(0)).count();
    assert_eq!((given, world.queue.load(ONE)), (300, 300));
    for left in [3_300 - 2_560, 300, 300] {
        world.queue.tick(at(1_000));
        assert_eq!((world.queue.len(), world.assign(1_000)), (left, None));
    }
    assert_eq!(world.queue.load(ONE), 300);
}

/// As of what is late.
#[test]
fn of_the_leases_that_ran_out_so_many_lapse_in_a_tick_and_the_rest_in_the_next() {
    let mut world = with_a_deadline(600);
    world.queue.connect(ONE, holder(600));
    assert_eq!(std::iter::from_fn(|| world.assign(0)).count(), 600);
    for in_doubt in [256, 512, 600, 600] {
        world.queue.tick(at(TTL));
        let doubts = world.queue.tasks().filter(|it| it.state.is_in_doubt()).count();
        assert_eq!((doubts, world.queue.lapses_and_doubts().0), (in_doubt, u64::try_from(in_doubt).unwrap()));
    }
}
