//! Tasks that are no longer wanted.

use super::*;

#[test]
fn f71_a_cancel_before_the_intent_means_that_nothing_happened() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::DisableUser);
    desk.ledger.handle_cancel(id(1));
    assert_eq!(desk.events(), [Event::Stop(id(1))]);
    desk.ledger.handle_intend(id(1), 3, intent(0), REACH, desk.now);
    let refused = desk.events();
    let [Event::Refused(3, failure)] = refused.as_slice() else { panic!("{refused:?}") };
    desk.ledger.handle_failed(id(1), failure.clone(), desk.now);
    desk.sync();
    assert!(desk.reports().iter().any(|it| it.outcome.known() == Some(Outcome::Cancelled)));
}

/// What became of a task that is cancelled before the step of this number: its report, and whether the change was made.
fn cancelled_before(step: usize) -> (Option<v1::Report>, bool) {
    let mut desk = Desk::connected();
    let (mut reports, mut ticket, mut running, mut made) = (Vec::new(), 0, false, false);
    for now in 0..12 {
        if now == step {
            desk.ledger.handle_cancel(id(1));
        }
        match now {
            0 => desk.offer(offer(1, TaskKind::DisableUser, 1)),
            4 if running => {
                ticket = 1;
                desk.ledger.handle_intend(id(1), ticket, intent(0), REACH, desk.now);
            }
            7 if made => desk.ledger.handle_concluded(id(1), success(), desk.now),
            10 => desk.ledger.handle_report_ack(ReportNo(1), desk.now),
            _ => desk.sync(),
        }
        for event in desk.events() {
            match event {
                Event::Start { .. } => running = true,
                Event::Granted(granted) => made = granted == ticket,
                Event::Refused(_, failure) => desk.ledger.handle_failed(id(1), failure, desk.now),
                Event::GiveUp { offer, failure, .. } => {
                    let task = offer.task;
                    let unknown = Ending { outcome: Outcome::Unknown, failure: Some(failure), ..Ending::cancelled() };
                    desk.ledger.handle_concluded(task, unknown, desk.now);
                }
                _ => (),
            }
        }
        for frame in desk.sent() {
            match frame {
                FromMember::Report(report) => reports.push(report),
                FromMember::Renew(Renew { nonce, leases }) => {
                    let kept =
                        leases.iter().map(|lease| RenewedLease { lease: *lease, verdict: LeaseVerdict::Kept.into() });
                    let leases = List::new(kept.collect()).unwrap();
                    desk.ledger.handle_renewed(&Renewed { nonce, ttl_ms: 60_000, leases }, desk.now);
                }
                _ => (),
            }
        }
    }
    assert!(reports.len() <= 1, "{reports:?}");
    (reports.pop(), made)
}

/// Invariant 13: conclude `Cancelled` whatever the state and this fails.
#[test]
fn f71_a_cancel_at_any_point_never_claims_that_nothing_happened_if_it_did() {
    let mut cancelled = 0;
    for step in 0..12 {
        let (report, made) = cancelled_before(step);
        let outcome = report.as_ref().and_then(|it| it.outcome.known());
        assert_eq!(outcome == Some(Outcome::Cancelled), !made, "before step {step}: {report:?}");
        cancelled += usize::from(!made);
    }
    assert!((1..12).contains(&cancelled), "some came in time and some too late: {cancelled}");
}

/// Give it up with the attempt that the cancel met, and what a look would have settled ends as unknown.
#[test]
fn f71_a_cancel_after_the_intent_never_claims_that_nothing_happened() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_cancel(id(1));
    assert_eq!(desk.events(), [Event::Stop(id(1))]);
    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    assert_eq!(desk.events(), []);
    desk.sync();
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::Start { resumed: true, .. }]), "another attempt looks: {events:?}");
    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { why: GivenUp::Cancelled, .. }]), "{events:?}");
    desk.sync();
    assert!(!desk.names().contains(&"Report"), "the journal is read first");
}

/// Give it up then, and it ends as unknown although the next start would find out.
#[test]
fn an_agent_that_stops_finds_out_about_a_cancelled_task_at_the_next_start() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_cancel(id(1));
    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    desk.events();
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk.ledger.handle_stopping();
    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    desk.sync();
    assert_eq!(desk.events(), []);
    let mut states = desk.disk.iter().filter(|write| matches!(write, Write::PutState(..)));
    assert_eq!(states.next_back(), Some(&Write::PutState(id(1), TaskState::Started { unended: 0 })));
}

#[test]
fn f71_a_cancelled_task_that_had_begun_is_looked_at_and_not_gone_on_with() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_failed(id(1), Failure::new(FailureClass::Transient, "timeout", "no answer"), desk.now);
    desk.ledger.handle_cancel(id(1));
    desk.events();
    desk.sync();
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::Start { .. }]), "{events:?}");
    assert!(desk.ledger.is_unwanted(id(1), desk.now));
    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { .. }]), "{events:?}");
}

/// Forget the cancel, and the task runs until a renewal says that nobody wants it.
#[test]
fn a_cancel_that_overtakes_its_task_is_parked() {
    let mut desk = Desk::connected();
    desk.sent();
    desk.ledger.handle_cancel(id(1));
    desk.offer(offer(1, TaskKind::ValidateUser, 1));
    desk.offer(offer(2, TaskKind::ValidateUser, 1));
    desk.sync();
    let verdicts = |frames: &[FromMember]| -> Vec<_> {
        let verdict = |frame: &FromMember| match frame {
            FromMember::CancelAck(ack) => ack.verdict.known(),
            _ => None,
        };
        frames.iter().filter_map(verdict).collect()
    };
    let sent = desk.sent();
    assert_eq!(verdicts(&sent), [CancelVerdict::Parked, CancelVerdict::Dropped]);
    let cancelled = |frame: &FromMember| matches!(frame, FromMember::Report(report) if report.task == id(1) && report.outcome.known() == Some(Outcome::Cancelled));
    assert!(sent.iter().any(cancelled), "{sent:?}");
    assert_eq!(starts(&desk.events()), [id(2)]);
}

/// A controller that cancels what it never offers takes no more memory than that.
#[test]
fn parked_cancels_are_bounded_and_end_with_their_session() {
    let mut desk = Desk::connected();
    for made in 0..1_000 {
        desk.ledger.handle_cancel(TaskId::from_random(made, [0; 10]));
    }
    assert_eq!(desk.ledger.session.as_ref().unwrap().parked_cancels.len(), 256);
    desk.ledger.handle_cancel(id(200));
    desk.ledger.handle_disconnected();
    desk.connect();
    desk.offer(offer(200, TaskKind::ValidateUser, 1));
    desk.sync();
    assert_eq!(starts(&desk.events()), [id(200)]);
}
