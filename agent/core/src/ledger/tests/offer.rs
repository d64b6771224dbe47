//! Offers of tasks that the agent does not know, and what a task waits for once it is taken.

use super::*;

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
    assert_eq!(desk.ledger.expects(id(1), dataset.id), Some(dataset));
    desk.ledger.handle_stream_here(id(1), dataset.id);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
}
