//! The end of tasks: what is said of them, and when a report leaves and goes.

use super::*;

/// Invariant 2 and rule 7. Mark the report durable in `Outbox::push` and this fails.
/// Feature D1.
#[test]
fn a_report_leaves_only_when_it_is_on_disk_and_stays_until_it_is_acknowledged() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    assert!(!desk.names().contains(&"Report"));
    desk.sync();
    let sent = desk.sent();
    let [FromMember::Report(report), ..] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((report.number, report.task), (ReportNo(1), id(1)));

    desk.ledger.handle_disconnected();
    desk.connect();
    assert!(desk.sent().iter().any(|frame| matches!(frame, FromMember::Report(again) if again == report)));
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    desk.ledger.handle_disconnected();
    desk.connect();
    assert!(!desk.names().contains(&"Report"));
}

/// One barrier a task less: the next write takes it along.
#[test]
fn an_acknowledged_report_waits_for_company_on_its_way_off_the_disk() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    desk.sent();
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    assert_eq!(desk.ledger.poll_writes(desk.now), None);

    desk.now = desk.ledger.poll_timeout().unwrap();
    let (_, writes) = desk.ledger.poll_writes(desk.now).unwrap();
    assert!(matches!(writes.as_slice(), [Write::PutTombstone(_), Write::DeleteReport(ReportNo(1))]), "{writes:?}");
}

/// Count attempts instead, and whatever is ended without one is missed: most failures, and what only a person can settle.
/// Count reports, and a task that is reported under a newer lease, too, ended twice.
#[test]
fn every_end_is_told_once_whoever_decided_it() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.events();
    assert_eq!(desk.ended, [], "it is not on disk");
    desk.running(2, TaskKind::DisableUser);
    desk.ledger.handle_failed(id(2), Failure::new(FailureClass::Rejected, "no", "it is not to be"), desk.now);
    desk.offer(offer(1, TaskKind::DisableUser, 2));
    desk.offer(offer(3, TaskKind::DisableUser, 1));
    desk.ledger.handle_cancel(id(3));
    desk.sync();
    desk.events();
    let told = [(id(1), Outcome::Succeeded), (id(2), Outcome::Failed), (id(3), Outcome::Cancelled)];
    assert_eq!(desk.ended, told);

    let mut desk = Desk::restored(restored(Origin::Controller, TaskState::Journaled { unended: 2 }, 0));
    desk.sync();
    desk.events();
    assert_eq!(desk.ended, [(id(1), Outcome::DeadLettered)]);
}

/// Nor is it told again when its results are taken, or by the next process.
#[test]
fn an_end_that_waits_for_its_results_to_be_taken_is_told_once() {
    let (mut desk, _) = Desk::with_results();
    desk.events();
    desk.ledger.handle_uploaded(id(1), desk.now);
    desk.sync();
    desk.events();
    assert_eq!(desk.ended, [(id(1), Outcome::Succeeded)]);

    let concluded = desk.disk.iter().find_map(|write| match write {
        Write::PutState(_, state @ TaskState::Concluded(_)) => Some(state.clone()),
        _ => None,
    });
    let mut desk = Desk::restored(restored(Origin::Controller, concluded.unwrap(), 1));
    desk.sync();
    desk.events();
    assert_eq!(desk.ended, []);
}

#[test]
fn the_task_and_its_report_change_places_in_one_write() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    let (_, writes) = desk.ledger.poll_writes(desk.now).unwrap();
    assert!(matches!(writes.as_slice(), [Write::PutReport(_), Write::DeleteTask(_)]), "{writes:?}");
}

#[test]
fn a_batch_is_reported_only_when_its_results_are_at_the_controller() {
    let (mut desk, results) = Desk::with_results();
    assert_eq!(desk.events(), [Event::Upload(id(1), results)]);
    assert!(!desk.names().contains(&"Report"));
    desk.ledger.handle_uploaded(id(1), desk.now);
    desk.sync();
    assert!(desk.names().contains(&"Report"));
    assert!(desk.events().is_empty(), "the results are kept until the report is acknowledged");
    desk.ledger.handle_disconnected();
    desk.connect();
    assert_eq!(desk.events(), [Event::Upload(id(1), results)], "a controller that was put back has lost them");
    desk.ledger.handle_uploaded(id(1), desk.now);
    desk.sent();
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    desk.sync();
    assert!(desk.ledger.is_forgetting(results.id));
    assert_eq!(desk.events(), [Event::Forget(vec![results.id])]);
    assert!(!desk.ledger.is_forgetting(results.id));
}

/// Count the outbox alone, and whoever retires the host is told that nothing is owed.
#[test]
fn a_report_that_waits_for_its_results_to_be_taken_is_told_as_owed() {
    let mut desk = Desk::connected();
    desk.started(1);
    let results = StreamRef { id: StreamId::from_bytes([3; 16]), length: 1, sha256: [0; 32] };
    desk.now = at(200);
    desk.ledger.handle_concluded(id(1), Ending { streams: vec![results], ..success() }, desk.now);
    desk.sync();
    desk.events();
    let owed = desk.ledger.outbox();
    assert_eq!((owed.reports, owed.since), (1, Some(at(200))));
    let views = desk.ledger.views();
    assert!(matches!(views.as_slice(), [TaskView { running: false, concluded: true, .. }]), "{views:?}");
    assert!(desk.ledger.queues().is_empty(), "it waits for no turn");

    desk.now = at(300);
    desk.ledger.handle_uploaded(id(1), desk.now);
    desk.sync();
    let reported = desk.ledger.outbox();
    assert_eq!((reported.reports, reported.bytes), (1, owed.bytes));
    assert_eq!(desk.ledger.views(), []);
}

#[test]
fn results_that_the_disk_lost_are_told_in_place_of_the_outcome() {
    let (mut desk, results) = Desk::with_results();
    desk.sent();
    desk.ledger.handle_results_lost(id(1), desk.now);
    desk.sync();
    let reports = desk.reports();
    let report = reports.first().unwrap();
    assert_eq!((report.outcome.known(), report.streams.len()), (Some(Outcome::Failed), 0));
    assert_eq!(report.failure.as_ref().unwrap().code.as_str(), "results_lost");
    assert!(desk.ledger.is_forgetting(results.id) || desk.events().contains(&Event::Forget(vec![results.id])));
}

/// Call `handle_uploaded` instead, and what nobody has is taken for handed over.
#[test]
fn results_that_the_controller_does_not_want_are_not_taken_for_handed_over() {
    let (mut desk, results) = Desk::with_results();
    desk.events();
    desk.sent();
    desk.ledger.handle_unwanted(id(1), desk.now);
    assert_eq!(desk.events(), [], "they stay until the report is on disk without them");
    desk.sync();
    assert_eq!(desk.events(), [Event::Forget(vec![results.id])]);
    assert!(desk.reports().iter().any(|it| it.streams.is_empty()));

    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    desk.now = desk.ledger.poll_timeout().unwrap();
    desk.sync();
    let stone = |write: &Write| match write {
        Write::PutTombstone(stone) => Some((stone.outcome, stone.payload)),
        _ => None,
    };
    assert_eq!(desk.disk.iter().find_map(stone), Some((Outcome::Succeeded, Payload::None)));
}

#[test]
fn giving_up_says_whether_another_member_may_have_acted() {
    let refused = || Failure::new(FailureClass::Rejected, "refused", "Salesforce said no");
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_failed(id(1), refused(), desk.now);
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { why: GivenUp::Failed, .. }]), "{events:?}");

    let mut desk = Desk::connected();
    desk.offer(Offer { reconcile: true, ..offer(1, TaskKind::DisableUser, 2) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.ledger.handle_failed(id(1), refused(), desk.now);
    desk.sync();
    let is_unknown = desk.reports().iter().any(|it| it.outcome.known() == Some(Outcome::Unknown));
    assert!(is_unknown, "nothing was changed here, but perhaps elsewhere");
}

/// Invariant 13: the member that had the task before may have done it.
#[test]
fn a_task_in_doubt_is_never_said_not_to_have_happened() {
    let claims = |desk: &mut Desk| -> Vec<Outcome> {
        desk.sync();
        desk.reports().iter().filter_map(|it| it.outcome.known()).collect()
    };
    let in_doubt = |deadline_ms| Offer { reconcile: true, deadline_ms, ..offer(1, TaskKind::DisableUser, 2) };

    let mut cancelled = Desk::connected();
    cancelled.offer(in_doubt(0));
    cancelled.sync();
    cancelled.ledger.handle_cancel(id(1));
    assert_eq!(claims(&mut cancelled), []);

    let mut late = Desk::connected();
    late.offer(in_doubt(1_000));
    late.sync();
    late.renew(LeaseVerdict::Kept);
    late.now = at(102);
    let events = late.events();
    assert!(matches!(events.as_slice(), [Event::Start { .. }]), "it finds out what there is: {events:?}");
    assert!(late.ledger.is_unwanted(id(1), late.now));
    late.ledger.handle_failed(id(1), failure::lease_too_short(), late.now);
    assert_eq!(claims(&mut late), [Outcome::Unknown]);
}

/// Take its word for it that the report was taken, and the cursor moves on for a file that the controller threw away, because
/// its task had ended before the report came.
#[test]
fn results_that_the_controller_does_not_have_any_more_are_not_taken_for_handed_over() {
    for (has_them, ack_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut desk, results) = Desk::with_results();
        desk.ledger.handle_uploaded(id(1), desk.now);
        desk.sync();
        desk.events();
        desk.ledger.handle_disconnected();
        desk.connect();
        assert_eq!(desk.events(), [Event::Upload(id(1), results)]);
        assert_eq!(desk.reports().len(), 1, "it waits for nothing");
        if ack_first {
            desk.ledger.handle_report_ack(ReportNo(1), desk.now);
            desk.sync();
            assert!(tombstones(&desk).is_empty(), "what became of the file is not known yet");
        }
        if has_them {
            desk.ledger.handle_uploaded(id(1), desk.now);
        } else {
            desk.ledger.handle_unwanted(id(1), desk.now);
            assert_eq!(desk.reports(), [], "it is not on disk like this");
            desk.sync();
            let anew: Vec<_> = desk.reports().iter().map(|it| it.streams.len()).collect();
            assert_eq!(
                anew,
                if ack_first { vec![] } else { vec![0] },
                "what waits for its file there is not waited for"
            );
        }
        desk.ledger.handle_report_ack(ReportNo(1), desk.now);
        desk.now = desk.now + Duration::from_secs(1);
        desk.sync();
        assert_eq!(
            tombstones(&desk),
            [if has_them { Payload::HandedOver } else { Payload::None }],
            "acknowledged first: {ack_first}"
        );
        assert!(desk.events().contains(&Event::Forget(vec![results.id])), "{has_them}, {ack_first}");
        assert_eq!(desk.ledger.outbox().reports, 0);
        let mut of_report = desk.disk.iter().filter(|it| matches!(it, Write::PutReport(_) | Write::DeleteReport(_)));
        assert!(matches!(of_report.next_back(), Some(Write::DeleteReport(_))), "nothing is owed after a restart");
    }
}

/// Go by what a ledger said that is gone, and the one that was put back never gets the report.
#[test]
fn what_an_earlier_session_acknowledged_buries_nothing_in_a_later_one() {
    let (mut desk, results) = Desk::with_results();
    desk.ledger.handle_uploaded(id(1), desk.now);
    desk.sync();
    desk.ledger.handle_disconnected();
    desk.connect();
    assert_eq!(desk.reports().len(), 1);
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    desk.ledger.handle_disconnected();
    desk.events();

    desk.connect();
    assert_eq!(desk.events(), [Event::Upload(id(1), results)]);
    desk.ledger.handle_uploaded(id(1), desk.now);
    desk.sync();
    assert_eq!((tombstones(&desk), desk.reports().len()), (Vec::new(), 1));
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    desk.sync();
    assert_eq!(tombstones(&desk), [Payload::HandedOver]);
}

/// What became of what came of tasks that are remembered on disk.
fn tombstones(desk: &Desk) -> Vec<Payload> {
    let stone = |write: &Write| match write {
        Write::PutTombstone(stone) => Some(stone.payload),
        _ => None,
    };
    desk.disk.iter().filter_map(stone).collect()
}

/// Leave it out, and the report, which waits for a word about its file, keeps itself and every later one in the outbox for ever.
#[test]
fn results_that_neither_side_has_any_more_are_told_as_lost_and_their_report_goes() {
    for is_acked in [false, true] {
        let (mut desk, results) = Desk::with_results();
        desk.ledger.handle_uploaded(id(1), desk.now);
        desk.sync();
        desk.ledger.handle_disconnected();
        desk.connect();
        desk.events();
        assert!(desk.reports().iter().all(|it| it.outcome.known() == Some(Outcome::Succeeded)));
        if is_acked {
            desk.ledger.handle_report_ack(ReportNo(1), desk.now);
        }
        desk.ledger.handle_results_lost(id(1), desk.now);
        assert_eq!(desk.reports(), [], "it is not on disk like this");
        desk.sync();
        let told: Vec<_> = desk.reports().iter().map(|it| (it.outcome.known(), it.streams.len())).collect();
        assert_eq!(told, if is_acked { Vec::new() } else { vec![(Some(Outcome::Failed), 0)] });
        assert!(desk.events().contains(&Event::Forget(vec![results.id])));
        desk.ledger.handle_report_ack(ReportNo(1), desk.now);
        desk.now = at(1_000);
        desk.sync();
        assert_eq!(
            (tombstones(&desk), desk.ledger.outbox().reports),
            (vec![Payload::None], 0),
            "acknowledged first: {is_acked}"
        );
    }
}
