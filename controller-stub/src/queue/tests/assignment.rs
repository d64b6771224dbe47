//! Who is given what.

use postern_protocol::seal::KeyId;

use super::*;
use crate::queue::line::{IN_LINE, Place, place};

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

/// Believe its credit, and one member takes all there is and has the others stand idle.
#[test]
fn a_member_has_a_thousand_tasks_at_most_whatever_credit_it_gives_and_others_get_the_rest() {
    let mut world = World::new();
    world.queue.config.max_unfinished = 2_000;
    world.queue.connect(ONE, holder(u64::MAX));
    for number in 0..2_000 {
        let (id, target) = (TaskId::from_random(number, [0; 10]), format!("user{number}"));
        world.queue.submit(TaskRecord { id, target, ..task(1) }, at(0));
    }
    let leases: Vec<LeaseRef> = std::iter::from_fn(|| world.assign(0)).collect();
    assert_eq!((leases.len(), world.queue.load(ONE)), (1_024, 1_024));
    let next = world.queue.tasks().find(|it| it.state == TaskState::Queued).unwrap().id;
    assert_eq!(world.queue.waits_for(next), "the members that serve it are busy");

    world.queue.report(ONE, reported(leases[0], Outcome::Succeeded, Certainty::Certain), at(0));
    assert!(world.assign(0).is_some(), "whoever ends something is given something");
    assert_eq!(world.assign(0), None);
    world.queue.connect(TWO, other(u64::MAX));
    while world.assign(0).is_some() {}
    assert_eq!(world.queue.load(TWO), 2_000 - 1_025);
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

/// Look through all lanes at once, and the pile hides the disable; leave out the fourth turn, and the batch starves; count
/// the turns of both systems together, and that of one of them does.
#[test]
fn a_pile_in_one_lane_hides_nothing_in_another_and_no_lane_starves() {
    for systems in [&["a"][..], &["a", "b"]] {
        let mut world = World::new();
        world.queue.config.max_unfinished = 2_000;
        let kinds: BTreeSet<u16> = TaskKind::ALL.iter().map(|kind| kind.code()).collect();
        let serves = systems.iter().map(|it| (it.parse().unwrap(), kinds.clone())).collect();
        world.queue.connect(ONE, Holder { serves, ..holder(100) });
        for (system, first) in systems.iter().zip([0, 1_000]) {
            let of_system = || TaskRecord { system: system.parse().unwrap(), ..task(1) };
            for n in first..first + 600 {
                let (id, target) = (TaskId::from_random(n, [0; 10]), String::new());
                world.queue.submit(TaskRecord { id, target, kind: TaskKind::Export, ..of_system() }, at(0));
            }
            for n in first + 600..first + 610 {
                let (id, target) = (TaskId::from_random(n, [0; 10]), format!("user{n}"));
                world.queue.submit(TaskRecord { id, target, ..of_system() }, at(0));
            }
        }
        let mut orders: BTreeMap<SystemName, Vec<bool>> = BTreeMap::new();
        for _ in 0..9 * systems.len() {
            let assigned = world.assign(0).unwrap();
            let record = world.record_of(assigned.task);
            orders.entry(record.system).or_default().push(record.kind.is_batch());
        }
        assert_eq!(orders.len(), systems.len());
        for (system, order) in orders {
            let expected = [false, false, false, true, false, false, false, true, false];
            assert_eq!(order, expected, "{system} of {systems:?}");
        }
    }
}

/// A world in which the first was submitted before the second, for one account.
fn two(world: &mut World, first: TaskKind, second: TaskKind) {
    for (number, kind) in (1..).zip([first, second]) {
        world.queue.submit(TaskRecord { kind, target: "joe".to_owned(), ..task(number) }, at(0));
    }
}

/// Let lanes decide, and the account that somebody disabled last is enabled in the end.
#[test]
fn of_two_changes_of_one_account_the_first_goes_first_whatever_their_lanes() {
    use TaskKind::{DeprovisionUser, DisableUser, EnableUser, UnlockUser, ValidateUser};
    for (first, second, expected) in [
        (EnableUser, DisableUser, 1),
        (DeprovisionUser, EnableUser, 1),
        (UnlockUser, DeprovisionUser, 1),
        (EnableUser, ValidateUser, 2),
    ] {
        for turns in 0..4 {
            let mut world = World::new();
            world.queue.connect(ONE, holder(10));
            two(&mut world, first, second);
            world.queue.line.values_mut().for_each(|line| line.turns = turns);
            let lease = world.assign(0).unwrap();
            let is_oldest = turns == 3;
            assert_eq!(lease.task, if is_oldest { id(1) } else { id(expected) }, "{first}, {second}, turn {turns}");
            assert_eq!(world.assign(0), None, "the account is busy");
            world.queue.report(ONE, reported(lease, Outcome::Succeeded, Certainty::Certain), at(1));
            assert_ne!(world.assign(1).unwrap().task, lease.task, "the other");
        }
    }
}

/// Let what is urgent wait in the lane of what it has to wait for, and a pile in that lane keeps an account open.
#[test]
fn an_urgent_change_draws_forward_what_its_account_has_to_have_done_before() {
    let mut world = World::new();
    world.queue.connect(ONE, holder(1));
    for number in 10..30 {
        world.queue.submit(TaskRecord { kind: TaskKind::DeprovisionUser, ..task(number) }, at(0));
    }
    two(&mut world, TaskKind::EnableUser, TaskKind::DisableUser);
    let enable = world.assign(0).unwrap();
    assert_eq!(enable.task, id(1));
    world.queue.report(ONE, reported(enable, Outcome::Succeeded, Certainty::Certain), at(1));
    world.queue.set_credit(ONE, 2);
    assert_eq!(world.assign(1).unwrap().task, id(2));
}

#[test]
fn a_change_whose_holder_died_goes_before_those_that_came_while_it_was_in_doubt() {
    let (mut world, _) = World::holding(TaskKind::EnableUser, "started");
    world.queue.submit(TaskRecord { target: "user1".to_owned(), ..task(2) }, at(100));
    world.queue.disconnect(ONE, at(0).now);
    world.queue.connect(TWO, other(10));
    assert_eq!(world.assign(100), None, "the account is busy");
    world.queue.tick(at(TTL));
    assert_eq!((world.state(1), world.assign(TTL)), ("in_doubt", None));
    world.queue.tick(at(TTL + SETTLE));
    let enable = world.assign(TTL + SETTLE).unwrap();
    assert_eq!(enable.task, id(1));
    world.queue.report(TWO, reported(enable, Outcome::Succeeded, Certainty::Certain), at(TTL + SETTLE));
    assert_eq!(world.assign(TTL + SETTLE).unwrap().task, id(2));
}

/// Hold the account for it, and a task that nobody does keeps an account open for ever.
#[test]
fn a_change_that_nobody_can_be_given_holds_up_no_other_of_its_account() {
    let no_enable = {
        let kinds = TaskKind::ALL.iter().filter(|it| **it != TaskKind::EnableUser).map(|kind| kind.code()).collect();
        Holder { serves: Serves::from([("sf".parse().unwrap(), kinds)]), ..holder(10) }
    };
    let mut world = World::new();
    world.queue.connect(ONE, no_enable);
    two(&mut world, TaskKind::EnableUser, TaskKind::DisableUser);
    assert_eq!(world.assign(0).unwrap().task, id(2), "nobody there does it");

    let mut world = World::new();
    world.queue.connect(ONE, holder(10));
    two(&mut world, TaskKind::EnableUser, TaskKind::DisableUser);
    let enable = world.assign(0).unwrap();
    world.queue.reject(ONE, enable, no(Rejection::Overloaded, 30_000), at(0));
    assert_eq!(world.assign(0).unwrap().task, id(2), "a member asked to wait with it");

    let mut world = World::new();
    world.queue.connect(ONE, holder(10));
    two(&mut world, TaskKind::EnableUser, TaskKind::DisableUser);
    world.queue.reseal(id(1), BTreeSet::from([KeyId::of(b"nobody's")]));
    assert_eq!(world.state(1), "needs_reseal");
    assert_eq!(world.assign(0).unwrap().task, id(2), "nobody can open it");
}

/// Go by the clock on the wall, and while it is behind what it was, everything new goes before everything that waits.
#[test]
fn what_came_first_goes_first_however_the_clock_is_set_and_after_a_restart() {
    let mut world = World::new();
    for (number, wall) in [(3, 9_000), (2, 500), (1, 500)] {
        let (target, submitted) = ("joe".to_owned(), UnixMillis(wall));
        world.queue.submit(TaskRecord { target, submitted, ..task(number) }, at(0));
    }
    let mut restarted = World::new();
    for record in world.queue.take_changes() {
        restarted.queue.restore(record, at(0));
    }
    restarted.queue.submit(TaskRecord { target: "joe".to_owned(), ..task(0) }, at(0));
    for (mut world, expected) in [(world, vec![3, 2, 1]), (restarted, vec![3, 2, 1, 0])] {
        world.queue.connect(ONE, holder(10));
        for number in expected {
            let lease = world.assign(0).unwrap();
            assert_eq!(lease.task, id(number));
            world.queue.report(ONE, reported(lease, Outcome::Succeeded, Certainty::Certain), at(0));
        }
    }
}

/// So many tasks of one account.
fn pile(world: &mut World, target: &str, count: u64) -> Vec<TaskId> {
    let ids: Vec<TaskId> = (0..count).map(|n| TaskId::from_random(n, [0; 10])).collect();
    for id in &ids {
        world.queue.submit(TaskRecord { id: *id, target: target.to_owned(), ..task(1) }, at(0));
    }
    ids
}

/// Have all of them stand in line, and whoever looks at some hundred finds nothing for the others.
#[test]
fn a_pile_of_tasks_for_an_account_that_another_has_hides_nothing() {
    let mut world = World::new();
    world.queue.config.max_unfinished = 1_000;
    world.queue.connect(ONE, holder(2_000));
    let ids = pile(&mut world, "busy", 600);
    assert_eq!(world.queue.waits_for(ids[0]), "");
    assert_eq!(world.queue.waits_for(ids[599]), format!("{} is for the same account and goes first", ids[0]));
    let first = world.assign(0).unwrap();
    world.queue.submit(task(200), at(0));
    assert_eq!(world.assign(0).map(|it| it.task), Some(id(200)));
    assert_eq!(world.assign(0), None, "its account is busy");
    let mut done = vec![first];
    for expected in &ids[1..] {
        let last = done[done.len() - 1];
        world.queue.report(ONE, reported(last, Outcome::Succeeded, Certainty::Certain), at(1));
        let next = world.assign(1).unwrap();
        assert_eq!(next.task, *expected, "one after the other");
        done.push(next);
    }
}

/// Go through all that wait for the account whenever one comes or goes, and the last hundred change more than those before.
#[test]
fn a_task_lines_up_and_leaves_at_the_same_cost_however_many_with_other_keys_wait_for_its_account() {
    let changes = |count: u64| {
        let mut world = World::new();
        world.queue.config.max_unfinished = 1_000;
        let keys = BTreeSet::from([KeyId::of(b"key")]);
        let keys_of = |n: u64| &keys | &BTreeSet::from([KeyId::of(&n.to_be_bytes())]);
        let cluster = "acme".parse().unwrap();
        world.queue.set_opener(ONE, Some(Opener { cluster, keys: keys.clone(), enabled: true }));
        let ids = pile(&mut world, "user", count);
        for (n, id) in (0..).zip(&ids) {
            world.queue.set_sealed_to(*id, keys_of(n));
        }
        for id in &ids[1..] {
            world.queue.cancel(*id, at(0));
        }
        world.queue.line[&"sf".parse().unwrap()].changes
    };
    let [some, more, most] = [100, 200, 300].map(changes);
    assert_eq!(most - more, more - some);
}

/// Look at each of them, and the same.
#[test]
fn a_pile_of_tasks_that_nobody_who_is_there_can_open_hides_nothing() {
    for opener_is_there in [false, true] {
        let mut world = World::new();
        world.queue.config.max_unfinished = 1_000;
        let keys = BTreeSet::from([KeyId::of(b"key")]);
        world
            .queue
            .set_opener(TWO, Some(Opener { cluster: "acme".parse().unwrap(), keys: keys.clone(), enabled: true }));
        if opener_is_there {
            world.queue.connect(TWO, other(0));
        }
        world.queue.connect(ONE, holder(10));
        for n in 0..600 {
            let id = TaskId::from_random(n, [0; 10]);
            world.queue.submit(TaskRecord { id, target: n.to_string(), ..task(1) }, at(0));
            world.queue.set_sealed_to(id, keys.clone());
        }
        world.queue.submit(task(200), at(0));
        assert_eq!(world.assign(0).map(|it| it.task), Some(id(200)), "{opener_is_there}");
        assert_eq!(world.assign(0), None);
        world.queue.connect(TWO, other(1_000));
        let opened: Vec<_> = std::iter::from_fn(|| world.assign(0)).collect();
        assert_eq!((opened.len(), world.queue.load(TWO)), (600, 600));
    }
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

#[test]
fn a_task_beyond_the_most_unfinished_is_refused() {
    let mut world = World::new();
    for number in 0..100 {
        assert!(world.queue.submit(task(number), at(0)));
    }
    assert!(!world.queue.submit(task(200), at(0)));
}

fn in_line_of(queue: &Queue) -> BTreeSet<Place> {
    let stands = queue.line.values().flat_map(|line| line.lanes.values());
    stands.flat_map(|it| it.values()).flatten().copied().collect()
}

/// Of the tasks of each kind for each account that is not busy, the first.
fn may_go_next(queue: &Queue) -> BTreeSet<Place> {
    let mut of_accounts: BTreeMap<(Target, TaskKind), BTreeSet<Place>> = BTreeMap::new();
    for entry in queue.tasks.values().filter(|it| it.record.state == TaskState::Queued) {
        let (target, kind) = (target(&entry.record).unwrap(), entry.record.kind);
        of_accounts.entry((target, kind)).or_default().insert(place(entry));
    }
    of_accounts.retain(|(target, _), _| !queue.busy.contains_key(target));
    of_accounts.into_values().flat_map(|places| places.into_iter().take(IN_LINE)).collect()
}

/// The first of the changes that wait for an account.
fn first_change(queue: &Queue, target: &str) -> Option<TaskId> {
    let waits = |it: &&Entry| it.record.state == TaskState::Queued && it.record.target == target;
    let changes = queue.tasks.values().filter(waits).filter(|it| it.record.kind.repeat() != Repeat::Freely);
    changes.map(place).min().map(|(_, _, id)| id)
}

/// Forget `rank`, `keep_first`, `set_busy` or `set_free` after any of these changes, and it fails.
#[test]
fn whoever_is_ready_and_what_may_go_next_stand_in_line_whatever_happened() {
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
            (2, _) => world.queue.disconnect(member, at(step).now),
            (3, _) => world.queue.set_enabled(member, random(2) == 0, at(step).now),
            (4, _) => world.queue.set_credit(member, random(20)),
            (5, _) => world.queue.settle(member, &Held::new(), Memory::Same, at(step)),
            (6, _) if random(20) == 0 => world.queue.set_stopping(member),
            (7, Some(lease)) => {
                world.queue.report(member, reported(lease, Outcome::Succeeded, Certainty::Certain), at(step));
            }
            (8, _) => world.queue.take_away(member, at(step)),
            (9, _) => world.queue.tick(at(step * 100)),
            _ => {
                use TaskKind::{DisableUser, EnableUser, ValidateUser};
                let kind = [DisableUser, EnableUser, ValidateUser][usize::try_from(random(3)).unwrap()];
                let (id, target) = (TaskId::from_random(step, [0; 10]), format!("user{}", random(3)));
                world.queue.submit(TaskRecord { id, kind, target, ..task(1) }, at(step));
                let first: Vec<_> = (0..3).map(|it| first_change(&world.queue, &format!("user{it}"))).collect();
                if let Some(LeaseRef { task: given, .. }) = world.assign(step) {
                    let only_reads = world.queue.task(given).unwrap().kind == ValidateUser;
                    assert!(only_reads || first.contains(&Some(given)), "step {step}");
                }
            }
        }
        let standing = |queue: &Queue, (member, it): (MemberId, &Holder)| {
            let load = queue.load(member);
            it.may_take(load).then_some((load, it.last_turn, member))
        };
        let mut ready: Vec<_> = world.queue.holders().filter_map(|it| standing(&world.queue, it)).collect();
        ready.sort_unstable();
        let ready: Vec<MemberId> = ready.into_iter().map(|(_, _, member)| member).collect();
        let in_line: Vec<MemberId> = world.queue.ready.of(&"sf".parse().unwrap(), &"acme".parse().unwrap()).collect();
        assert_eq!(in_line, ready, "step {step}");
        assert_eq!(in_line_of(&world.queue), may_go_next(&world.queue), "step {step}");
    }
}
