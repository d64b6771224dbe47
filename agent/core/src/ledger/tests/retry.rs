//! Attempts that failed: whether there is another, and when.

use super::*;

#[test]
fn a_passing_failure_is_tried_again_later_and_a_lasting_one_reported() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::DisableUser);
    desk.ledger.handle_failed(id(1), Failure::new(FailureClass::Transient, "timeout", "no answer"), desk.now);
    assert!(desk.events().is_empty());
    desk.now = at(101);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk.ledger.handle_failed(id(1), Failure::new(FailureClass::Rejected, "user_not_found", "no such user"), desk.now);
    desk.sync();
    assert!(desk.names().contains(&"Report"));
}

#[test]
fn a_task_is_not_tried_again_before_the_system_asked_for_it() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::ValidateUser);
    desk.ledger.handle_failed(id(1), busy(30), desk.now);
    desk.now = at(129);
    assert!(desk.events().is_empty());
    desk.now = at(130);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
}

/// Count them like failures, and the fifth ends the task.
#[test]
fn long_waits_that_were_asked_for_are_no_failures_but_do_not_last_for_ever() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::ValidateUser);
    let mut waits = 0;
    loop {
        desk.ledger.handle_failed(id(1), busy(900), desk.now);
        desk.now = desk.now + Duration::from_secs(900);
        if desk.events().is_empty() {
            break;
        }
        waits += 1;
        assert!(waits < 200);
    }
    assert_eq!(waits, 24 * 4 + 4, "a day, and the tries of any failure");
    desk.sync();
    assert!(desk.names().contains(&"Report"));
}

#[test]
fn an_interruption_goes_on_as_soon_as_it_may_whatever_was_asked_for() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::ValidateUser);
    let interrupted = Unfinished { failure: failure::lease_too_short(), patience: Duration::from_secs(900) };
    desk.ledger.handle_failed(id(1), interrupted, desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
}
