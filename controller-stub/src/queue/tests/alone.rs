//! Since when a task is alone with its target.

use super::*;
use crate::state::record::AloneRecord;

/// A world in which task 1 is in line again, a lease and a doubt after it was leased at 0.
fn let_go() -> World {
    let (mut world, _) = World::holding(TaskKind::ResetPassword, "started");
    world.queue.connect(TWO, other(10));
    world.queue.disconnect(ONE, at(0).now);
    world.queue.tick(at(TTL));
    world.queue.tick(at(TTL + SETTLE));
    assert_eq!(world.state(1), "queued");
    world
}

fn given(queue: &mut Queue, millis: u64) -> (TaskId, u64) {
    let assigned = queue.poll_assign(at(millis)).unwrap();
    (assigned.task, assigned.alone_ms)
}

fn since(world: &mut World) -> Option<u64> {
    world.record(1).alone.map(|it| it.since.0)
}

#[test]
fn a_task_that_is_given_out_again_is_alone_since_its_first_lease() {
    let mut world = let_go();
    assert_eq!(given(&mut world.queue, 20_000), (id(1), 20_000));
    assert_eq!(world.record(1).alone, Some(AloneRecord { since: Epoch(1), at: at(0).wall }));
}

/// Leave `interrupt_others` out, and what task 2 does is taken for what task 1 did.
#[test]
fn another_task_for_the_target_between_two_leases_is_not_overlooked() {
    use TaskKind::{DisableUser, ValidateUser};
    for (kind, target, expected) in [
        (DisableUser, "user1", (0, Some(2))),
        (ValidateUser, "user1", (25_000, Some(1))),
        (DisableUser, "user2", (25_000, Some(1))),
        (DisableUser, "", (25_000, Some(1))),
    ] {
        let mut world = let_go();
        let other = TaskRecord { kind, priority: 200, target: target.to_owned(), ..task(2) };
        world.queue.submit(other, at(20_000));
        assert_eq!(given(&mut world.queue, 20_000).0, id(2), "the larger priority");
        let two = LeaseRef { task: id(2), epoch: Epoch(1) };
        world.queue.report(TWO, reported(two, Outcome::Succeeded, Certainty::Certain), at(21_000));
        let (task, alone) = given(&mut world.queue, 25_000);
        assert_eq!((task, (alone, since(&mut world))), (id(1), expected), "{kind} for `{target}`");
    }
}

/// Count it, and a password that was never set is told as set.
#[test]
fn what_a_former_holder_only_saw_once_another_task_had_the_target_is_no_outcome() {
    let lease = LeaseRef { task: id(1), epoch: Epoch(1) };
    for (target, certainty, verdict) in [
        ("user1", Certainty::Probable, Verdict::Observed),
        ("user1", Certainty::Certain, Verdict::Finished),
        ("user2", Certainty::Probable, Verdict::Finished),
    ] {
        let mut world = let_go();
        world.queue.submit(TaskRecord { priority: 200, target: target.to_owned(), ..task(2) }, at(20_000));
        assert_eq!(given(&mut world.queue, 20_000).0, id(2));
        world.queue.connect(ONE, holder(10));
        let told = world.queue.report(ONE, reported(lease, Outcome::Succeeded, certainty), at(21_000));
        assert_eq!(told, verdict, "{certainty} after another task for `{target}`");
    }
}

/// Let the account of a task be forgotten with the process, and nobody notices the other task.
#[test]
fn a_restart_forgets_neither_since_when_nor_whom_a_lease_interrupts() {
    let mut record = let_go().record(1);
    let mut world = World::new();
    world.queue.connect(TWO, other(10));
    world.queue.restore(record.clone(), Moment { now: Timestamp::from_millis(7), ..at(30_000) });
    let assigned = world.queue.poll_assign(Moment { now: Timestamp::from_millis(1_007), ..at(31_000) }).unwrap();
    assert_eq!(assigned.alone_ms, 31_000, "by the clock on the wall as long as nobody counted");

    record.alone = Some(AloneRecord { since: Epoch(1), at: at(90_000).wall });
    let mut world = World::new();
    world.queue.connect(TWO, other(10));
    world.queue.restore(record, at(30_000));
    world.queue.submit(TaskRecord { priority: 200, target: "user1".to_owned(), ..task(2) }, at(30_000));
    assert_eq!(given(&mut world.queue, 30_000), (id(2), 0));
    assert_eq!(since(&mut world), None);
}

#[test]
fn a_clock_on_the_wall_that_was_put_back_makes_it_shorter_alone() {
    let mut record = let_go().record(1);
    record.alone = Some(AloneRecord { since: Epoch(1), at: at(90_000).wall });
    let mut world = World::new();
    world.queue.connect(TWO, other(10));
    world.queue.restore(record, at(30_000));
    assert_eq!(given(&mut world.queue, 31_000), (id(1), 1_000));
}

/// Count from the lease, and what a quick holder did is not recognized; count on while another is at the target, and what
/// that one did is.
#[test]
fn a_target_that_was_free_for_some_seconds_before_a_lease_is_the_tasks_alone_for_as_long() {
    for (before, expected) in [(0, 0), (3_000, 3_000), (60_000, 5_000)] {
        let mut world = World::new();
        world.queue.connect(ONE, holder(10));
        world.queue.tick(at(0));
        world.queue.submit(task(1), at(before));
        assert_eq!(given(&mut world.queue, before), (id(1), expected), "a controller that runs for {before} ms");
        assert_eq!(world.record(1).alone.unwrap().at, at(before - expected).wall);
    }

    let mut world = World::new();
    world.queue.connect(ONE, holder(10));
    world.queue.tick(at(0));
    for number in 1..=3 {
        world.queue.submit(TaskRecord { target: "joe".to_owned(), ..task(number) }, at(0));
    }
    for (number, ends, next, expected) in [(1, 30_000, 31_000, 1_000), (2, 40_000, 47_000, 5_000)] {
        let lease = LeaseRef { task: id(number), epoch: Epoch(1) };
        if number == 1 {
            given(&mut world.queue, 10_000);
        }
        world.queue.report(ONE, reported(lease, Outcome::Succeeded, Certainty::Certain), at(ends));
        world.queue.tick(at(ends));
        assert_eq!(given(&mut world.queue, next), (id(number + 1), expected));
    }
}

/// What only reads changes nothing there.
#[test]
fn a_target_that_was_only_looked_at_was_free() {
    let mut world = World::new();
    world.queue.connect(ONE, holder(10));
    world.queue.tick(at(0));
    world.queue.submit(TaskRecord { kind: TaskKind::ValidateUser, ..task(1) }, at(10_000));
    given(&mut world.queue, 10_000);
    let lease = LeaseRef { task: id(1), epoch: Epoch(1) };
    world.queue.report(ONE, reported(lease, Outcome::Succeeded, Certainty::Certain), at(11_000));
    world.queue.tick(at(11_000));
    world.queue.submit(TaskRecord { target: "user1".to_owned(), ..task(2) }, at(12_000));
    assert_eq!(given(&mut world.queue, 12_000), (id(2), 5_000));
}

/// Keep it, and a change from before the second lease passes for the task's own.
#[test]
fn a_lease_that_was_given_back_is_none() {
    let (mut world, lease) = World::holding(TaskKind::ResetPassword, "leased");
    world.queue.reject(ONE, lease, no(Rejection::Overloaded, 500), at(100));
    assert_eq!(since(&mut world), None);
    assert_eq!(given(&mut world.queue, 1_000), (id(1), 0));
    assert_eq!(since(&mut world), Some(2));
}

/// A ledger that was put back knows of no lease that it gave out since.
#[test]
fn a_report_from_a_future_that_is_gone_leaves_no_task_alone() {
    let mut world = let_go();
    let future = LeaseRef { task: id(1), epoch: Epoch(9) };
    world.queue.report(TWO, reported(future, Outcome::Failed, Certainty::Certain), at(20_000));
    assert_eq!(since(&mut world), None);
}
