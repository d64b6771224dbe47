//! Offers of tasks that the agent does not know, and what a task waits for once it is taken.

use super::*;

const KIND: TaskKind = TaskKind::DisableUser;

/// Let `take` push the `Accept` into `transmits` directly and this fails.
#[test]
fn an_accept_waits_for_the_disk() {
    let mut desk = Desk::connected();
    desk.sent();
    desk.offer(offer(1, TaskKind::ValidateUser, 1));
    assert!(!desk.names().contains(&"Accept"));
    assert!(desk.events().is_empty(), "nor does it start");
    desk.sync();
    assert!(desk.names().contains(&"Accept"));
}

#[test]
fn a_task_waits_for_its_payload() {
    let mut desk = Desk::connected();
    let dataset = StreamRef { id: StreamId::from_bytes([4; 16]), length: 1, sha256: [0; 32] };
    let batch = Offer { streams: List::new(vec![dataset]).unwrap(), ..offer(1, TaskKind::ValidateUser, 1) };
    desk.offer(batch);
    desk.sync();
    assert!(desk.events().is_empty());
    assert_eq!(desk.ledger.awaited(), dataset.length);
    desk.ledger.handle_stream_here(id(1), dataset.id);
    assert!(desk.events().is_empty(), "that one is of an earlier lease, and may be on its way out");
    assert_eq!(desk.ledger.handle_announced(id(1), dataset.id), Some(dataset));
    desk.ledger.handle_stream_here(id(1), dataset.id);
    assert_eq!(desk.ledger.awaited(), 0);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
}

/// Take it, and each deletes what the other needs, or has it exchanged behind its back.
#[test]
fn a_task_with_the_payload_of_another_that_is_held_is_refused() {
    let mut desk = Desk::connected();
    let dataset = StreamRef { id: StreamId::from_bytes([4; 16]), length: 1, sha256: [0; 32] };
    let batch = |n, sha256| {
        let dataset = StreamRef { sha256, ..dataset };
        Offer { streams: List::new(vec![dataset]).unwrap(), ..offer(n, TaskKind::ValidateUser, 1) }
    };
    desk.offer(batch(1, [0; 32]));
    desk.sync();
    desk.sent();
    desk.offer(batch(2, [2; 32]));
    desk.sync();
    let invalid = |frame: &FromMember| matches!(frame, FromMember::Reject(reject) if reject.task == id(2) && reject.reason.known() == Some(Rejection::Invalid));
    assert!(desk.sent().iter().any(invalid));
    assert_eq!(desk.ledger.handle_announced(id(2), dataset.id), None);
}

/// Count from the first offer, and what another task did before the newest one passes for its own.
#[test]
fn how_long_it_has_been_alone_counts_from_the_newest_offer() {
    let second = Offer { alone_since: Epoch(1), alone_ms: 60_000, reconcile: true, ..offer(1, KIND, 2) };
    let third = Offer { alone_since: Epoch(3), alone_ms: 0, ..Offer { epoch: Epoch(3), ..second.clone() } };
    for (newer, since, secs) in [(None, 1, 80), (Some(third), 3, 10)] {
        let mut desk = Desk::connected();
        desk.offer(second.clone());
        desk.now = at(110);
        if let Some(newer) = newer {
            desk.offer(newer);
        }
        desk.sync();
        desk.now = at(120);
        desk.ledger.renew_now();
        desk.renew(LeaseVerdict::Kept);
        let events = desk.events();
        let [Event::Start { offer, alone, .. }] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((offer.alone_since, alone.at(desk.now)), (Epoch(since), Duration::from_secs(secs)));
    }
}

/// When it came is forgotten: it is alone for as long as it was then, and from its first run on.
#[test]
fn a_restart_makes_no_task_longer_alone_than_it_is() {
    let mut journaled = restored(Origin::Controller, TaskState::Journaled { unended: 0 }, 0);
    journaled.membership = Some(enabled(1));
    journaled.tasks[0].offer.alone_ms = 60_000;
    let mut desk = Desk::restored(journaled);
    desk.connect();
    desk.now = at(150);
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.sync();
    let events = desk.events();
    let [Event::Start { alone, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((alone.at(desk.now), alone.at(at(155))), (Duration::from_secs(60), Duration::from_secs(65)));
}
