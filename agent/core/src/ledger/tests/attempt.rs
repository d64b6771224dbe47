//! Running attempts: when they may act, and when not.

use super::*;

/// Invariant 5. Push `Event::Granted` from `write_intent` and this fails.
#[test]
fn an_attempt_may_act_only_when_its_intent_is_on_disk() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::DisableUser);
    desk.ledger.handle_intend(id(1), 7, intent(0), REACH, desk.now);
    assert!(desk.events().is_empty());
    assert!(!desk.names().contains(&"Started"));
    desk.sync();
    assert_eq!(desk.events(), [Event::Granted(7)]);
    assert_eq!(desk.names(), ["Started"]);
    assert!(desk.disk.contains(&Write::PutJournal(id(1), 0, intent(0))));
}

/// Invariant 6: the disk took so long that the lease no longer covers the call.
#[test]
fn an_intent_is_not_granted_when_the_lease_ran_out_while_it_was_written() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::DisableUser);
    desk.ledger.handle_intend(id(1), 7, intent(0), REACH, desk.now);
    desk.now = at(150);
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::Refused(7, _)]));
    let taken_back = Write::PutJournal(id(1), 1, intent(0).taken_back());
    assert!(desk.disk.contains(&taken_back), "or a later attempt would take it for a call that may have been made");
}

#[test]
fn an_intent_waits_for_a_renewal_and_gives_up_after_its_patience() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::DisableUser);
    desk.now = at(145);
    desk.ledger.handle_intend(id(1), 7, intent(0), REACH, desk.now);
    assert!(desk.events().is_empty());
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(desk.events(), [Event::Granted(7)]);

    desk.now = at(195);
    desk.ledger.handle_intend(id(1), 8, intent(1), REACH, desk.now);
    desk.now = at(205);
    desk.ledger.handle_timeout(desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Refused(8, _)]));
}

#[test]
fn a_call_that_no_lease_can_cover_is_refused_with_what_to_change() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::DisableUser);
    desk.ledger.handle_intend(id(1), 7, intent(0), Duration::from_secs(61), desk.now);
    let refused = desk.events();
    let [Event::Refused(7, failure)] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!(failure.class.known(), Some(FailureClass::Rejected));
    // Longer ones would have the controller not start.
    for told in ["request_timeout_secs", "--lease-ttl-secs", "--settle-secs", "840 at most"] {
        assert!(failure.next_step.contains(told), "{}", failure.next_step.as_str());
    }
}

/// Wait for a renewal of more than is left of a lease when the next one is due, and a slot is held for what may never come.
#[test]
fn a_call_that_is_not_covered_waits_for_a_renewal_only_if_two_thirds_of_a_lease_cover_it() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::DisableUser);
    desk.now = at(121);
    desk.ledger.handle_intend(id(1), 7, intent(0), Duration::from_secs(40), desk.now);
    assert!(desk.events().is_empty());
    desk.ledger.handle_intend(id(1), 8, intent(1), Duration::from_secs(41), desk.now);
    let refused = desk.events();
    let [Event::Refused(8, failure)] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!(failure.code.as_str(), LEASES_TOO_SHORT);
}

/// What it has read may be what another member has changed since.
#[test]
fn an_attempt_of_an_older_lease_does_not_act_under_a_newer_one() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::DisableUser);
    desk.now = at(190);
    desk.ledger.handle_intend(id(1), 7, intent(0), REACH, desk.now);
    desk.offer(Offer { reconcile: true, ..offer(1, TaskKind::DisableUser, 3) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    let events = desk.events();
    assert_eq!(events, [Event::Stop(id(1)), Event::Refused(7, failure::leased_anew())]);
    desk.ledger.handle_intend(id(1), 8, intent(0), REACH, desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Refused(8, _)]));

    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Start { offer, .. }] if offer.reconcile), "and is made anew");
}
