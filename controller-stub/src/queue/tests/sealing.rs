//! Who is given a sealed task, and what becomes of one that nobody can open.

use std::collections::BTreeSet;

use postern_protocol::seal::KeyId;

use super::*;

const OLD: &[u8] = b"old";
const NEW: &[u8] = b"new";

fn keys(names: &[&[u8]]) -> BTreeSet<KeyId> {
    names.iter().map(|name| KeyId::of(name)).collect()
}

fn opener(names: &[&[u8]]) -> Opener {
    Opener { cluster: "acme".parse().unwrap(), keys: keys(names), enabled: true }
}

/// A world in which task 1 waits, sealed to the old key, which [`ONE`] has.
fn sealed() -> World {
    let mut world = World::new();
    world.queue.set_opener(ONE, Some(opener(&[OLD])));
    world.queue.set_opener(TWO, Some(opener(&[NEW])));
    world.queue.submit(task(1), at(0));
    world.queue.set_sealed_to(id(1), keys(&[OLD]));
    world
}

/// Leave `can_open` out of `best_member`, and [`TWO`] is asked what it cannot do.
#[test]
fn a_sealed_task_goes_to_the_members_that_have_its_keys_and_waits_for_one_that_may_come_back() {
    let mut world = sealed();
    world.queue.connect(TWO, holder(10));
    assert_eq!((world.assign(0), world.state(1)), (None, "queued"));
    assert!(world.queue.waits_for(id(1)).contains("task reseal"), "{}", world.queue.waits_for(id(1)));
    world.queue.connect(ONE, holder(10));
    assert!(world.assign(0).is_some());
    assert_eq!(world.queue.load(ONE), 1);
}

/// Compare with the newest key of a member alone, and what was sealed yesterday is opened by nobody.
#[test]
fn a_task_sealed_to_a_key_that_was_replaced_is_given_out_until_that_is_forgotten() {
    let mut world = sealed();
    world.queue.set_opener(ONE, Some(opener(&[NEW, OLD])));
    world.queue.submit(task(2), at(0));
    world.queue.set_sealed_to(id(2), keys(&[OLD]));
    world.queue.connect(ONE, holder(10));
    assert_eq!(world.assign(0).map(|lease| lease.task), Some(id(1)));
    world.queue.set_opener(ONE, Some(opener(&[NEW])));
    assert_eq!((world.state(1), world.state(2)), ("leased", "needs_reseal"), "what it has, it may still open");
    assert_eq!(world.assign(0), None);
}

#[test]
fn a_task_that_no_member_can_open_needs_to_be_sealed_again_unless_a_member_with_its_key_is_there_again() {
    let mut world = sealed();
    world.queue.connect(TWO, holder(10));
    world.queue.set_opener(ONE, None);
    assert_eq!((world.assign(0), world.state(1)), (None, "needs_reseal"));
    world.queue.set_opener(ONE, Some(opener(&[OLD])));
    assert_eq!(world.state(1), "queued");
    let elsewhere = Opener { cluster: "other".parse().unwrap(), keys: keys(&[OLD]), enabled: true };
    world.queue.set_opener(ONE, Some(elsewhere));
    assert_eq!(world.state(1), "needs_reseal", "a member of another cluster is none");
    world.queue.reseal(id(1), keys(&[NEW]));
    assert_eq!(world.state(1), "queued");
    world.queue.connect(TWO, holder(10));
    assert!(world.assign(0).is_some());
}

/// Look at every sealed task when a member has another key, and one member keeps the queue busy with what others wait for.
#[test]
fn other_keys_of_a_member_concern_the_tasks_of_its_cluster_that_are_sealed_to_them_alone() {
    let mut world = sealed();
    let other = TaskRecord { cluster: "other".parse().unwrap(), ..task(2) };
    for (record, sealed_to) in [(other, OLD), (task(3), NEW), (task(4), OLD)] {
        let task = record.id;
        world.queue.submit(record, at(0));
        world.queue.set_sealed_to(task, keys(&[sealed_to]));
    }
    world.queue.submit(task(5), at(0));
    let concerned = |names: &[&[u8]]| world.queue.sealed_for([opener(names)].into_iter());
    assert_eq!(concerned(&[OLD]), [id(1), id(4)]);
    assert_eq!(concerned(&[OLD, NEW]), [id(1), id(3), id(4)]);
    assert_eq!(concerned(&[b"newest"]), []);
}

/// Leave a key that was replaced in `by_key`, and it stays there for ever.
#[test]
fn what_is_known_of_the_keys_of_a_member_is_what_it_announced_last() {
    let mut world = sealed();
    for names in [&[NEW, OLD][..], &[b"newest", NEW], &[OLD]] {
        world.queue.set_opener(ONE, Some(opener(names)));
        let with = |key: &[u8]| world.queue.openers.with_any(&keys(&[key])).filter(|it| *it == ONE).count();
        let known = [OLD, NEW, b"newest"].map(|key| with(key) == 1);
        assert_eq!(known, [OLD, NEW, b"newest"].map(|key| names.contains(&key)));
    }
    world.queue.set_opener(ONE, None);
    assert_eq!(world.queue.openers.with_any(&keys(&[OLD])).count(), 0);
}

/// It stood in the ledger as it was; who has which key, others say.
#[test]
fn a_task_from_the_ledger_is_where_the_keys_of_today_put_it() {
    for (state, keys_of_one, expected) in [
        (TaskState::Queued, NEW, "needs_reseal"),
        (TaskState::NeedsReseal, OLD, "queued"),
        (TaskState::NeedsReseal, NEW, "needs_reseal"),
    ] {
        let mut world = World::new();
        world.queue.set_opener(ONE, Some(opener(&[keys_of_one])));
        world.queue.restore(TaskRecord { state, ..task(1) }, at(0));
        world.queue.set_sealed_to(id(1), keys(&[OLD]));
        assert_eq!(world.queue.task(id(1)).unwrap().state.name(), expected);
    }
}

/// Leave `note_unopened` out, and it is offered to the member again and again, or fails.
#[test]
fn a_member_that_says_that_it_cannot_open_is_believed_and_others_are_asked() {
    let mut world = sealed();
    world.queue.set_opener(TWO, Some(opener(&[OLD, NEW])));
    world.queue.connect(ONE, holder(10));
    let lease = world.assign(0).unwrap();
    world.queue.connect(TWO, holder(10));
    world.queue.reject(ONE, lease, no(Rejection::NeedsReseal, 0), at(0));
    assert_eq!(world.state(1), "queued");
    let lease = world.assign(0).unwrap();
    assert_eq!(world.queue.load(TWO), 1);
    world.queue.reject(TWO, lease, no(Rejection::NeedsReseal, 0), at(0));
    assert_eq!((world.state(1), world.outcome(1)), ("needs_reseal", None));
    world.queue.set_opener(TWO, Some(Opener { enabled: false, ..opener(&[OLD, NEW]) }));
    assert_eq!(world.state(1), "needs_reseal", "to be drained is no other key");
    world.queue.set_opener(TWO, Some(opener(&[OLD, NEW])));
    world.queue.reseal(id(1), keys(&[NEW]));
    assert!(world.assign(0).is_some());
    assert_eq!(world.queue.load(TWO), 1, "what it said was of another sealing");
}

/// Leave `can_open` out of `somebody_else_might`, and it waits for a member that will never be asked.
#[test]
fn a_task_that_every_member_with_its_key_refuses_has_failed() {
    let mut world = sealed();
    world.queue.connect(TWO, holder(10));
    world.queue.connect(ONE, holder(10));
    let lease = world.assign(0).unwrap();
    world.queue.reject(ONE, lease, no(Rejection::Policy, 0), at(0));
    assert_eq!(world.outcome(1), Some(Outcome::Failed));
}

/// Leave them in line, and five hundred of them hide everything behind them.
#[test]
fn tasks_that_nobody_can_open_are_in_nobodys_way() {
    let mut world = World::new();
    world.queue.config.max_unfinished = 1_000;
    world.queue.set_opener(ONE, Some(opener(&[NEW])));
    world.queue.connect(ONE, holder(10));
    for number in 0..600_u16 {
        let mut bytes = [9; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let stuck = TaskId::from_bytes(bytes);
        world.queue.submit(TaskRecord { id: stuck, target: number.to_string(), ..task(1) }, at(0));
        world.queue.set_sealed_to(stuck, keys(&[OLD]));
    }
    world.queue.submit(task(2), at(1));
    assert_eq!(world.assign(1).map(|lease| lease.task), Some(id(2)));
}

#[test]
fn a_task_that_waits_to_be_sealed_again_ends_with_its_deadline_or_its_cancel_and_never_as_if_nothing_had_happened() {
    let deadline = Some(UnixMillis(at(0).wall.0 + 500));
    for (begun, outcome) in [(false, Outcome::Expired), (true, Outcome::Unknown)] {
        let mut world = World::new();
        world.queue.submit(TaskRecord { deadline, reconcile: begun, ..task(1) }, at(0));
        world.queue.set_sealed_to(id(1), keys(&[OLD]));
        assert_eq!(world.state(1), "needs_reseal");
        world.queue.tick(at(499));
        assert_eq!(world.outcome(1), None);
        world.queue.tick(at(500));
        assert_eq!(world.outcome(1), Some(outcome));
    }
    for (begun, outcome) in [(false, Outcome::Cancelled), (true, Outcome::Unknown)] {
        for is_cancelled_before in [false, true] {
            let mut world = World::new();
            world
                .queue
                .submit(TaskRecord { reconcile: begun, cancel_requested: is_cancelled_before, ..task(1) }, at(0));
            world.queue.set_sealed_to(id(1), keys(&[OLD]));
            assert_eq!(world.state(1), "needs_reseal");
            if !is_cancelled_before {
                world.queue.cancel(id(1), at(0));
            }
            world.queue.tick(at(1));
            assert_eq!(world.outcome(1), Some(outcome));
        }
    }
}

/// Take all of them in one tick, and nobody else has a turn until they are committed.
#[test]
fn of_what_is_cancelled_and_nobody_can_open_so_much_ends_in_a_tick_and_the_rest_in_the_next() {
    let mut world = World::new();
    world.queue.config.max_unfinished = 1_000;
    for n in 0..600 {
        let (id, target) = (TaskId::from_random(n, [0; 10]), n.to_string());
        world.queue.submit(TaskRecord { id, target, reconcile: true, ..task(1) }, at(0));
        world.queue.set_sealed_to(id, keys(&[OLD]));
        world.queue.cancel(id, at(0));
    }
    for left in [600, 600 - 256, 600 - 512, 0] {
        assert_eq!(world.queue.len(), left);
        world.queue.tick(at(1));
    }
}

/// Sort all of them at once, and nobody else has a turn until they are committed. Leave `sort_some` out of `tick`, and the
/// others are never sorted.
#[test]
fn of_what_other_keys_of_a_member_concern_so_much_is_sorted_in_a_tick_and_nothing_is_given_to_who_cannot_open_it() {
    let mut world = World::new();
    world.queue.config.max_unfinished = 1_000;
    world.queue.set_opener(ONE, Some(opener(&[OLD])));
    world.queue.connect(ONE, holder(10));
    world.queue.set_credit(ONE, 0);
    for n in 0..600 {
        let (id, target) = (TaskId::from_random(n, [0; 10]), n.to_string());
        world.queue.submit(TaskRecord { id, target, ..task(1) }, at(0));
        world.queue.set_sealed_to(id, keys(&[OLD]));
    }
    let unopenable = |world: &World| world.queue.tasks().filter(|it| it.state == TaskState::NeedsReseal).count();
    world.queue.set_opener(ONE, Some(opener(&[NEW])));
    world.queue.set_credit(ONE, 10);
    for expected in [256, 512, 600] {
        assert_eq!((unopenable(&world), world.assign(0)), (expected, None));
        world.queue.tick(at(0));
    }
    world.queue.set_opener(ONE, Some(opener(&[NEW, OLD])));
    for expected in [600 - 256, 600 - 512, 0] {
        assert_eq!(unopenable(&world), expected);
        world.queue.tick(at(0));
    }
    assert!(world.assign(0).is_some());
}

/// Sort them as they are numbered, or give out what came later meanwhile, and of two changes of one account the first has the last
/// word.
#[test]
fn what_is_yet_to_be_sorted_is_overtaken_by_no_later_change_of_its_account() {
    let mut world = World::new();
    world.queue.config.max_unfinished = 1_000;
    world.queue.connect(ONE, holder(10));
    world.queue.set_credit(ONE, 0);
    let mut seal = |id: TaskId, target: &str, sealed_to: Option<&[u8]>| {
        world.queue.submit(TaskRecord { id, target: target.to_owned(), ..task(1) }, at(0));
        if let Some(key) = sealed_to {
            world.queue.set_sealed_to(id, keys(&[key]));
        }
    };
    for n in 0..600 {
        seal(TaskId::from_random(n, [0; 10]), &n.to_string(), Some(OLD));
    }
    // The second has the smaller number.
    let (first, second, third) = (id(9), id(8), id(7));
    seal(first, "zoe", Some(OLD));
    seal(second, "zoe", Some(OLD));
    seal(third, "zoe", None);
    world.queue.set_opener(ONE, Some(opener(&[OLD])));
    let waits = world.queue.waits_for(first);
    assert!(waits.contains("looked at soon"), "{waits}");
    world.queue.set_credit(ONE, 2_000);
    let mut given = Vec::new();
    for _ in 0..4 {
        while let Some(lease) = world.assign(0) {
            given.push(lease.task);
            world.queue.report(ONE, reported(lease, Outcome::Succeeded, Certainty::Certain), at(0));
        }
        world.queue.tick(at(0));
    }
    assert_eq!(given.len(), 603);
    given.retain(|it| [first, second, third].contains(it));
    assert_eq!(given, [first, second, third]);
}
