//! Tasks that may not be begun any more.

use super::*;

/// A desk with a lease for task 1, which may be begun until 105.
fn taken() -> Desk {
    let mut desk = Desk::connected();
    desk.offer(Offer { deadline_ms: 5_000, ..offer(1, TaskKind::DisableUser, 1) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk
}

/// The same, and its first change may have been made.
fn begun_in_time() -> Desk {
    let mut desk = taken();
    desk.events();
    desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
    desk.sync();
    desk.events();
    desk
}

#[test]
fn an_expired_task_is_reported_and_never_run_late() {
    let mut desk = taken();
    desk.now = at(105);
    assert!(desk.events().is_empty());
    desk.sync();
    assert!(desk.names().contains(&"Report"));
}

/// Ask whether it began instead of whether an effect may exist, and the second attempt runs late.
#[test]
fn what_came_to_nothing_is_not_begun_again_after_its_deadline() {
    let mut desk = begun_in_time();
    desk.ledger.handle_record(id(1), 2, vec![intent(0).taken_back()], Vec::new());
    desk.sync();
    desk.events();
    desk.ledger.handle_failed(id(1), Failure::new(FailureClass::Transient, "locked", "a lock"), desk.now);
    desk.now = at(105);
    assert_eq!(desk.events(), []);
    desk.sync();
    assert!(desk.reports().iter().any(|it| it.outcome.known() == Some(Outcome::Expired)));
}

/// Forget it with the attempt, and a task that would have been in time tells nothing of why it waited.
#[test]
fn what_had_no_place_for_another_try_tells_why_it_was_not_done() {
    let mut desk = taken();
    desk.events();
    desk.ledger.handle_failed(id(1), busy(1), desk.now);
    desk.running(2, TaskKind::DisableUser);
    desk.running(3, TaskKind::DisableUser);
    desk.sent();
    desk.now = at(105);
    desk.events();
    desk.sync();
    let reports = desk.reports();
    let told = reports.iter().map(|it| (it.outcome.known(), it.failure.as_ref().map(|it| it.code.as_str())));
    assert_eq!(told.collect::<Vec<_>>(), [(Some(Outcome::Expired), Some("busy"))]);
}

/// Leave it out, and all that is told of a task that met a busy org is that its time was over, before it was.
#[test]
fn what_cannot_be_tried_again_in_time_tells_why_it_was_not_done() {
    for now in [100, 105] {
        let mut desk = taken();
        desk.events();
        desk.now = at(now);
        desk.ledger.handle_failed(id(1), busy(5), desk.now);
        desk.sync();
        let reports = desk.reports();
        let told = reports.iter().map(|it| (it.outcome.known(), it.failure.as_ref().map(|it| it.code.as_str())));
        assert_eq!(told.collect::<Vec<_>>(), [(Some(Outcome::Expired), Some("busy"))], "at {now}");
    }
}

/// Give it up at its deadline, and what could be read ends as unknown.
#[test]
fn what_may_have_had_an_effect_is_found_out_after_its_deadline() {
    let mut desk = begun_in_time();
    desk.now = at(110);
    desk.ledger.handle_failed(id(1), Failure::new(FailureClass::Transient, "timeout", "no answer"), desk.now);
    desk.now = at(112);
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.sync();
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::Start { resumed: true, .. }]), "{events:?}");
    assert!(!desk.ledger.is_unwanted(id(1), desk.now));
    desk.ledger.handle_intend(id(1), 2, intent(1), REACH, desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Granted(2)], "the next step of what has begun");
}

/// Whether the attempt that begins knows a deadline, and which.
fn deadline_at_start(desk: &mut Desk) -> Option<Timestamp> {
    desk.events();
    desk.sync();
    let events = desk.events();
    let [Event::Start { deadline, .. }] = events.as_slice() else { panic!("{events:?}") };
    *deadline
}

/// It was begun here, and the process that knew the deadline is gone.
fn restarted_in_the_midst() -> Desk {
    let held = restored(Origin::Controller, TaskState::Started { unended: 0 }, 1);
    let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..held });
    desk.connect();
    desk
}

/// Keep the word from what has begun, and the rest of a batch is sent hours after the deadline.
#[test]
fn what_was_begun_here_learns_of_the_deadline_after_a_restart_and_goes_on() {
    let mut desk = restarted_in_the_midst();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(deadline_at_start(&mut desk), None);
    desk.now = desk.now + TTL / 3;
    desk.renew(LeaseVerdict::Late);
    assert_eq!(desk.events(), [Event::Late(id(1))]);
    assert!(!desk.ledger.is_unwanted(id(1), desk.now));
    desk.ledger.handle_intend(id(1), 2, intent(1), REACH, desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Granted(2)], "the next step of what has begun");

    let mut desk = restarted_in_the_midst();
    desk.renew(LeaseVerdict::Late);
    assert_eq!(deadline_at_start(&mut desk), Some(at(100)));
}

/// Let what only reads begin without a lease, or leave what waits for its dataset, and a task is begun after its deadline, or keeps
/// its lease, and its account from others, until somebody cancels it.
#[test]
fn what_has_not_begun_ends_by_the_word_that_it_is_late_after_a_restart() {
    let dataset = StreamRef { id: StreamId::from_bytes([4; 16]), length: 1, sha256: [0; 32] };
    for (kind, streams) in
        [(TaskKind::DisableUser, vec![]), (TaskKind::DisableUser, vec![dataset]), (TaskKind::Export, vec![])]
    {
        let mut held = restored(Origin::Controller, TaskState::Journaled { unended: 0 }, 0);
        held.tasks[0].offer = Offer { streams: List::new(streams).unwrap(), ..offer(1, kind, 1) };
        let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..held });
        desk.connect();
        desk.events();
        desk.sync();
        assert_eq!(starts(&desk.events()), [], "{kind}");
        desk.renew(LeaseVerdict::Late);
        assert_eq!(starts(&desk.events()), [], "{kind}");
        desk.sync();
        let outcomes: Vec<_> = desk.reports().iter().map(|it| it.outcome.known()).collect();
        assert_eq!(outcomes, [Some(Outcome::Expired)], "{kind}");
    }
}

/// Believe what was counted here alone, and a change begins after its deadline: a virtual machine that was paused counted too
/// little.
#[test]
fn what_has_not_begun_ends_by_the_word_that_it_is_late_whatever_was_counted_here() {
    let mut desk = Desk::connected();
    desk.offer(Offer { deadline_ms: 600_000, ..offer(1, TaskKind::DisableUser, 1) });
    desk.sync();
    desk.ledger.handle_pause();
    desk.renew(LeaseVerdict::Late);
    assert_eq!(starts(&desk.events()), []);
    desk.sync();
    let outcomes: Vec<_> = desk.reports().iter().map(|it| it.outcome.known()).collect();
    assert_eq!(outcomes, [Some(Outcome::Expired)]);
}

/// Stop it, and an export that began in time, while the controller could not hear of it, ends as late.
#[test]
fn what_began_while_there_was_no_session_is_not_stopped_by_the_word_that_it_is_late() {
    for kind in [TaskKind::Export, TaskKind::DisableUser] {
        let mut desk = Desk::connected();
        desk.offer(Offer { deadline_ms: 5_000, ..offer(1, kind, 1) });
        desk.sync();
        desk.renew(LeaseVerdict::Kept);
        desk.ledger.handle_disconnected();
        assert_eq!(starts(&desk.events()), [id(1)], "{kind}");
        desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
        desk.sync();
        assert_eq!(desk.events(), [Event::Granted(1)], "{kind}");

        desk.now = at(110);
        desk.connect();
        desk.renew(LeaseVerdict::Late);
        assert_eq!(desk.events(), [], "{kind}");
    }
}

/// Leave it out, and a batch of which all was taken back before the restart is tried again and again, as fast as it can.
#[test]
fn what_came_to_nothing_before_a_restart_ends_once_an_attempt_finds_it_late() {
    let mut desk = restarted_in_the_midst();
    desk.renew(LeaseVerdict::Late);
    deadline_at_start(&mut desk);
    desk.ledger.handle_failed(id(1), failure::expired(), desk.now);
    assert_eq!(starts(&desk.events()), []);
    desk.sync();
    assert!(desk.reports().iter().any(|it| it.outcome.known() == Some(Outcome::Expired)));
}

/// Go on without it, and what is leased anew after a restart knows no deadline until it has passed.
#[test]
fn a_newer_offer_brings_the_deadline_that_a_restart_forgot() {
    let mut desk = restarted_in_the_midst();
    desk.offer(Offer { deadline_ms: 5_000, ..offer(1, TaskKind::DisableUser, 2) });
    desk.sync();
    desk.ledger.renew_now();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(deadline_at_start(&mut desk), Some(at(105)));
}

/// Another member may have begun it, and this one was restarted: only the controller knows the deadline.
fn restarted_in_doubt(state: TaskState) -> Desk {
    let mut held = restored(Origin::Controller, state, 1);
    held.tasks[0].offer.reconcile = true;
    let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..held });
    desk.connect();
    desk
}

/// Take the lease for kept and nothing more, and a task is begun after its deadline, if its holder died once before.
#[test]
fn what_another_may_have_begun_is_not_begun_late_by_a_member_that_forgot_the_deadline() {
    let idle = || restarted_in_doubt(TaskState::Journaled { unended: 0 });
    let mut desk = idle();
    desk.renew(LeaseVerdict::Late);
    desk.events();
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]), "it finds out what there is");
    assert!(desk.ledger.is_unwanted(id(1), desk.now));

    let mut desk = idle();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.sync();
    assert_eq!(starts(&desk.events()), [id(1)]);
    desk.now = desk.now + TTL / 3;
    desk.renew(LeaseVerdict::Late);
    assert_eq!(desk.events(), [Event::Late(id(1))], "it may wait for what another sent");
    assert!(desk.ledger.is_late(id(1), desk.now));
    desk.ledger.handle_intend(id(1), 3, intent(0), REACH, desk.now);
    let refused = desk.events();
    assert!(matches!(refused.as_slice(), [Event::Refused(3, _)]), "{refused:?}");

    let mut desk = restarted_in_doubt(TaskState::Started { unended: 0 });
    desk.renew(LeaseVerdict::Late);
    assert_eq!(deadline_at_start(&mut desk), Some(at(100)));
    assert!(!desk.ledger.is_unwanted(id(1), desk.now), "what may have had an effect here is gone on with");
}

/// Stop it, before it runs or while it does, and it ends as a whole that is not known, with nothing told of any entry.
#[test]
fn a_batch_that_another_may_have_begun_is_not_stopped_to_be_late() {
    let mut held = restored(Origin::Controller, TaskState::Journaled { unended: 0 }, 0);
    held.tasks[0].offer =
        Offer { kind: TaskKind::ImportBatch.into(), reconcile: true, ..offer(1, TaskKind::DisableUser, 1) };
    let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..held });
    desk.connect();
    desk.renew(LeaseVerdict::Late);
    desk.events();
    desk.sync();
    assert_eq!(starts(&desk.events()), [id(1)]);
    assert!(desk.ledger.is_late(id(1), desk.now) && !desk.ledger.is_unwanted(id(1), desk.now));
    desk.ledger.handle_cancel(id(1));
    assert!(desk.ledger.is_unwanted(id(1), desk.now), "nobody wants to be told");
}

/// End it as a whole, and nothing is told of any entry because one call had no answer, or because the deadline passed a moment
/// before the first intent.
#[test]
fn a_batch_that_another_may_have_begun_is_tried_again_to_tell_that_it_is_late() {
    for failed in [failure::expired(), Failure::new(FailureClass::Transient, "timeout", "no answer")] {
        let mut desk = Desk::connected();
        let kind = TaskKind::ImportBatch.into();
        desk.offer(Offer { kind, reconcile: true, deadline_ms: 5_000, ..offer(1, TaskKind::DisableUser, 2) });
        desk.sync();
        desk.renew(LeaseVerdict::Kept);
        assert_eq!(starts(&desk.events()), [id(1)]);
        desk.now = desk.now + Duration::from_secs(6);
        desk.ledger.handle_failed(id(1), failed, desk.now);
        desk.sync();
        let mut again = starts(&desk.events());
        desk.now = desk.now + Duration::from_secs(2);
        desk.ledger.handle_timeout(desk.now);
        again.extend(starts(&desk.events()));
        assert_eq!((again.as_slice(), desk.reports().len()), ([id(1)].as_slice(), 0));
        desk.ledger.handle_failed(id(1), failure::expired(), desk.now);
        desk.sync();
        assert_eq!((starts(&desk.events()), desk.reports().len()), (vec![], 1), "once is enough");
    }
}

/// Stop it, and a batch that tells of each of its entries that it is late tells nothing of any.
#[test]
fn a_member_that_knows_the_deadline_is_not_stopped_by_the_controllers_word() {
    let mut desk = Desk::connected();
    desk.offer(Offer { deadline_ms: 5_000, reconcile: true, ..offer(1, TaskKind::DisableUser, 2) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(1)]);
    desk.now = desk.now + TTL / 3;
    desk.renew(LeaseVerdict::Late);
    assert_eq!(desk.events(), []);
}
