//! What a member may do that is draining, or was disabled.

use super::*;

#[test]
fn a_disabled_member_gives_unbegun_work_back_and_finishes_what_it_began() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.offer(offer(2, TaskKind::EnableUser, 1));
    desk.sync();
    desk.sent();
    let draining = Membership { state: MembershipState::Draining, epoch: Epoch(2), hard: false };
    desk.ledger.handle_member_state(draining, desk.now);
    desk.sync();
    assert_eq!(desk.names(), ["Reject", "MemberStateAck"]);
    desk.ledger.handle_intend(id(1), 4, intent(1), REACH, desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Granted(4)]);
}

/// Invariant 7.
#[test]
fn f72_a_hard_disabled_member_begins_no_further_step() {
    let mut desk = Desk::connected();
    desk.started(1);
    let disabled = Membership { state: MembershipState::Disabled, epoch: Epoch(2), hard: true };
    desk.ledger.handle_member_state(disabled, desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Stop(id(1))]);
    desk.ledger.handle_intend(id(1), 4, intent(1), REACH, desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Refused(4, _)]));
}

fn hard_disabled(epoch: u64) -> Membership {
    Membership { state: MembershipState::Disabled, epoch: Epoch(epoch), hard: true }
}

/// Invariant 7. Take `lose_all` out of `put_membership`, and both tasks go on under leases from before.
#[test]
fn what_was_held_before_a_hard_disable_goes_on_only_under_a_newer_lease() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.running(2, TaskKind::EnableUser);
    desk.ledger.handle_member_state(hard_disabled(2), desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Stop(id(1)), Event::Stop(id(2))]);
    desk.ledger.handle_member_state(enabled(3), desk.now);
    desk.sync();
    for n in [1, 2] {
        desk.ledger.handle_intend(id(n), 7, intent(1), REACH, desk.now);
        desk.sync();
        assert_eq!(desk.events(), [Event::Refused(7, failure::fenced())], "{n}");
        desk.ledger.handle_failed(id(n), failure::fenced(), desk.now);
    }
    desk.sync();
    assert!(desk.disk.contains(&Write::DeleteTask(id(2))), "nothing was begun");
    assert!(!desk.names().contains(&"Renew"), "nothing is left to be renewed");
    assert!(desk.events().is_empty());

    desk.offer(Offer { reconcile: true, ..offer(1, TaskKind::DisableUser, 3) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert!(desk.events().is_empty());
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::Start { offer, resumed: true, .. }] if offer.epoch == Epoch(3)));
}

/// The agent died disabled and was enabled before it came back.
#[test]
fn a_hard_disable_on_disk_outlives_the_process() {
    let begun = restored(Origin::Controller, TaskState::Started { unended: 0 }, 1);
    let mut desk = Desk::restored(Restored { membership: Some(hard_disabled(1)), ..begun });
    desk.ledger.handle_welcome(SessionNo(2), enabled(2), desk.now);
    desk.sync();
    desk.ledger.handle_established(ReportNo(0), TTL, desk.now);
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.sync();
    assert!(desk.events().is_empty());
}

/// F72: a call that is on the wire is not called back, and what came of it is told.
#[test]
fn f72_what_was_on_the_wire_at_a_hard_disable_is_finished_and_reported() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_member_state(hard_disabled(2), desk.now);
    desk.sync();
    desk.sent();
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    assert_eq!(desk.names(), ["Report"]);
}

#[test]
fn an_older_member_state_is_acknowledged_and_ignored() {
    let mut desk = Desk::connected();
    let older = Membership { state: MembershipState::Disabled, epoch: Epoch(0), hard: true };
    desk.ledger.handle_member_state(older, desk.now);
    assert_eq!(desk.ledger.membership(), enabled(1));
}

/// Invariant 7: disabled hard and enabled again while it was away, its leases are gone, and its next session says nothing but
/// a newer epoch. Go on under them, and it acts beside whoever was given the tasks.
#[test]
fn a_change_that_was_missed_gives_no_right_before_the_leases_were_renewed() {
    for (verdict, event) in
        [(LeaseVerdict::Kept, Event::Granted(7)), (LeaseVerdict::Fenced, Event::Refused(7, failure::fenced()))]
    {
        let mut desk = Desk::connected();
        desk.started(1);
        desk.ledger.handle_disconnected();
        desk.ledger.handle_welcome(SessionNo(2), enabled(3), desk.now);
        desk.sync();
        desk.ledger.handle_established(ReportNo(0), TTL, desk.now);
        desk.ledger.handle_intend(id(1), 7, intent(1), REACH, desk.now);
        desk.sync();
        assert_eq!(desk.events(), []);
        desk.renew(verdict);
        assert!(desk.events().contains(&event), "{verdict:?}");
    }
}

/// What is about one account is finished, for a while; a batch would go on for hours.
#[test]
fn a_stop_lets_what_it_began_for_one_account_end_and_has_batches_go_on_another_time() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.offer(Offer { kind: TaskKind::ImportBatch.into(), ..offer(2, TaskKind::DisableUser, 1) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(2)]);
    desk.ledger.handle_intend(id(2), 2, intent(0), REACH, desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Granted(2)]);
    desk.ledger.handle_stopping();
    desk.sync();
    assert_eq!(desk.events(), [Event::Stop(id(2))]);
    assert!(desk.ledger.stops(id(2)) && !desk.ledger.stops(id(1)), "nor what starts only now");

    let mut desk = Desk::connected();
    desk.running(1, TaskKind::ValidateUser);
    desk.ledger.handle_disconnected();
    desk.ledger.handle_stopping();
    desk.sync();
    assert_eq!(desk.events(), [Event::Stop(id(1))], "nobody is there to take it back");
    assert!(desk.ledger.stops(id(1)));
}

/// Count it as a death, and two restarts dead-letter a reset that waits for its answer.
#[test]
fn what_a_stop_cuts_off_has_not_died() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_stopping();
    desk.ledger.handle_cut_off();
    desk.sync();
    let mut states = desk.disk.iter().filter(|write| matches!(write, Write::PutState(_, TaskState::Started { .. })));
    assert_eq!(states.next_back(), Some(&Write::PutState(id(1), TaskState::Started { unended: 0 })));
}

/// The death that ended its attempts was counted by them.
#[test]
fn a_stop_takes_no_death_from_what_is_given_up() {
    let begun = restored(Origin::Controller, TaskState::Started { unended: 2 }, 1);
    let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..begun });
    desk.connect();
    desk.renew(LeaseVerdict::Kept);
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { why: GivenUp::ProcessDied, .. }]), "{events:?}");
    desk.ledger.handle_stopping();
    desk.ledger.handle_cut_off();
    desk.sync();
    assert!(!desk.disk.iter().any(|write| matches!(write, Write::PutState(_, TaskState::Started { unended: 1 }))));
}
