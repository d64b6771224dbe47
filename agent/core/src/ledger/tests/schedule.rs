//! Which attempt starts next, and when it is looked again.

use super::*;

#[test]
fn tasks_that_wait_as_asked_leave_room_for_what_is_urgent() {
    let mut desk = Desk::connected();
    for n in 1..=2 {
        desk.offer(offer(n, TaskKind::ValidateUser, 1));
    }
    desk.sync();
    desk.events();
    let room = desk.ledger.room();
    for n in 1..=2 {
        desk.ledger.handle_failed(id(n), busy(900), desk.now);
    }
    assert_eq!(desk.ledger.room(), room + 2);
    desk.now = desk.now + Duration::from_secs(900);
    assert_eq!(desk.events().len(), 2);
    assert_eq!(desk.ledger.room(), room);
}

/// Let batches take any free slot, or count all of them against the room, and the disable waits for hours.
#[test]
fn batches_leave_a_slot_and_room_to_what_is_urgent() {
    let mut desk = Desk::connected();
    for n in 1..=5 {
        desk.offer(offer(n, TaskKind::Export, 1));
    }
    desk.sync();
    let sent = desk.sent();
    let rejected: Vec<_> = sent.iter().filter(|frame| frame.name() == "Reject").collect();
    assert!(matches!(rejected.as_slice(), [FromMember::Reject(it)] if it.task == id(5)), "{rejected:?}");
    assert_eq!(desk.ledger.room(), 4);
    assert_eq!(starts(&desk.events()), [id(1)]);

    desk.offer(urgent(6));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(6)]);
}

#[test]
fn all_batches_get_done_one_after_the_other_beside_urgent_work() {
    let mut desk = Desk::connected();
    for n in 1..=4 {
        desk.offer(offer(n, TaskKind::Export, 1));
    }
    desk.offer(urgent(9));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(9), id(1)], "the slot that urgent work leaves is theirs");
    for n in 1..=3 {
        desk.ledger.handle_concluded(id(n), success(), desk.now);
        desk.sync();
        assert_eq!(starts(&desk.events()), [id(n + 1)]);
    }
}

#[test]
fn the_only_slot_of_a_system_is_for_batches_too() {
    let ledger = Ledger::restore(Limits::for_systems([("acme".parse().unwrap(), 1)].into()), Restored::default());
    let mut desk = Desk { ledger, ..Desk::new() };
    desk.connect();
    desk.offer(offer(1, TaskKind::Export, 1));
    desk.sync();
    assert_eq!(starts(&desk.events()), [id(1)]);
}

/// A desk whose system takes so many attempts, with these tasks taken in and nothing started.
fn waiting(slots: usize, tasks: &[(TaskKind, u8)]) -> Desk {
    let limits = Limits { held: 100, ..Limits::for_systems([("acme".parse().unwrap(), slots)].into()) };
    let mut desk = Desk::new();
    desk.ledger = Ledger::restore(limits, Restored::default());
    desk.connect();
    for (n, (kind, priority)) in (1..).zip(tasks) {
        desk.offer(Offer { priority: *priority, ..offer(n, *kind, 1) });
    }
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk
}

/// Invariant 17. Leave one slot whatever there are, and the half of this fails.
#[test]
fn batches_never_take_the_last_quarter_of_the_slots() {
    for (slots, theirs) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (8, 6), (16, 12)] {
        let mut desk = waiting(slots, &[(TaskKind::Export, 0); 20]);
        assert_eq!(starts(&desk.events()).len(), theirs, "{slots}");
    }
}

#[test]
fn of_one_priority_the_interactive_lane_goes_first_and_batches_last() {
    use TaskKind::{DisableUser, EnableUser, Export};
    let mut desk = waiting(4, &[(Export, 100), (EnableUser, 100), (DisableUser, 100), (EnableUser, 200)]);
    let mut order = Vec::new();
    desk.ledger.limits.systems.insert("acme".parse().unwrap(), 1);
    for _ in 0..4 {
        let started = starts(&desk.events());
        for task in &started {
            desk.ledger.handle_concluded(*task, success(), desk.now);
        }
        order.extend(started);
        desk.sync();
    }
    assert_eq!(order, [4, 3, 2, 1].map(id));
}

/// Liveness: without every fourth turn for the oldest, the batch never starts.
#[test]
fn no_lane_starves_however_much_there_is_in_the_others() {
    let mut desk = waiting(1, &[(TaskKind::Export, 100), (TaskKind::EnableUser, 100)]);
    let mut order = Vec::new();
    for n in 10..30 {
        desk.offer(Offer { priority: 200, ..offer(n, TaskKind::ValidateUser, 1) });
        desk.sync();
        let started = starts(&desk.events());
        for task in &started {
            desk.ledger.handle_concluded(*task, success(), desk.now);
        }
        order.extend(started);
        desk.sync();
    }
    assert_eq!(order.iter().position(|task| *task == id(1)), Some(3));
    assert_eq!(order.iter().position(|task| *task == id(2)), Some(7));
}

/// Other than at the controller. Count them for each system, and the fourth is the last look-up.
#[test]
fn turns_are_counted_over_all_systems() {
    let [acme, other] = ["acme", "other"].map(|name| name.parse::<SystemName>().unwrap());
    let limits = Limits { held: 100, ..Limits::for_systems([(acme.clone(), 1), (other.clone(), 1)].into()) };
    let mut desk = Desk { ledger: Ledger::restore(limits, Restored::default()), ..Desk::new() };
    desk.connect();
    let urgent = TaskKind::ValidateUser;
    let tasks = [(1, TaskKind::Export), (2, TaskKind::Export), (3, urgent), (4, urgent), (5, urgent), (6, urgent)];
    for (n, kind) in tasks {
        let system = if n % 2 == 1 { acme.clone() } else { other.clone() };
        desk.offer(Offer { system, ..offer(n, kind, 1) });
    }
    desk.sync();
    let mut order = Vec::new();
    for _ in 0..2 {
        let started = starts(&desk.events());
        for task in &started {
            desk.ledger.handle_concluded(*task, success(), desk.now);
        }
        order.extend(started);
        desk.sync();
    }
    assert_eq!(order, [3, 4, 5, 2].map(id));
}

/// Put back what `poll_timeout` filters out and the shell wakes up for nothing, again and again.
#[test]
fn what_waits_for_something_else_than_time_wakes_nobody() {
    let failure = || Failure::new(FailureClass::Transient, "timeout", "no answer");
    let mut desk = Desk::connected();
    for n in 1..=3 {
        desk.offer(offer(n, TaskKind::ValidateUser, 1));
    }
    desk.sync();
    desk.events();
    desk.ledger.handle_failed(id(1), failure(), desk.now);
    desk.sync();
    assert_eq!(desk.events().len(), 1, "the third takes the slot");
    desk.now = at(105);
    desk.renew(LeaseVerdict::Kept);
    assert!(desk.events().is_empty());
    assert!(desk.ledger.poll_timeout().is_none_or(|when| when > desk.now), "it waits for a slot");

    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_disconnected();
    desk.ledger.handle_failed(id(1), failure(), desk.now);
    desk.now = at(110);
    assert!(desk.events().is_empty());
    assert!(desk.ledger.poll_timeout().is_none_or(|when| when > desk.now), "it waits for a lease");
}
