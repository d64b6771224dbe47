//! F33: offers of tasks the agent knows already, row by row as in `docs/protocol.md`.

use super::*;

const KIND: TaskKind = TaskKind::DisableUser;

/// Who the agent knows the task as.
#[derive(Debug, Clone, Copy)]
enum Known {
    Journaled,
    Started,
    Uploading,
    Reported,
    Tombstone,
}

/// A desk that knows task 1 under epoch 5, and has said everything about it.
fn knowing(known: Known) -> Desk {
    knowing_end(known, success())
}

/// The same, with this end if it has one.
fn knowing_end(known: Known, ending: Ending) -> Desk {
    knowing_of(KIND, known, ending)
}

/// The same of a task of this kind.
fn knowing_of(kind: TaskKind, known: Known, ending: Ending) -> Desk {
    let mut desk = Desk::connected();
    desk.offer(offer(1, kind, 5));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    if !matches!(known, Known::Journaled) {
        assert_eq!(starts(&desk.events()), [id(1)]);
        desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
        desk.sync();
        assert_eq!(desk.events(), [Event::Granted(1)]);
    }
    match known {
        Known::Journaled | Known::Started => (),
        Known::Uploading => desk.ledger.handle_concluded(id(1), Ending { streams: vec![stream()], ..ending }, desk.now),
        Known::Reported | Known::Tombstone => desk.ledger.handle_concluded(id(1), ending, desk.now),
    }
    desk.sync();
    desk.sent();
    if matches!(known, Known::Uploading) {
        assert_eq!(desk.events(), [Event::Upload(id(1), stream())]);
    }
    if matches!(known, Known::Tombstone) {
        desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    }
    desk
}

fn stream() -> StreamRef {
    StreamRef { id: StreamId::from_bytes([9; 16]), length: 3, sha256: [0; 32] }
}

/// What is said when task 1 is offered under `epoch`, leases and credit aside.
fn told(desk: &mut Desk, epoch: u64) -> Vec<(&'static str, u64)> {
    desk.offer(Offer { attempt: 2, ..offer(1, KIND, epoch) });
    desk.sync();
    let about = |frame: &FromMember| match frame {
        FromMember::Accept(accept) => Some(("Accept", accept.epoch.0)),
        FromMember::Started(started) => Some(("Started", started.epoch.0)),
        FromMember::Report(report) => {
            assert_eq!(report.outcome.known(), Some(Outcome::Succeeded));
            Some(("Report", report.epoch.0))
        }
        FromMember::Reject(reject) => {
            assert_eq!(reject.reason.known(), Some(Rejection::Fenced));
            Some(("fenced", reject.epoch.0))
        }
        _ => None,
    };
    desk.sent().iter().filter_map(about).collect()
}

#[test]
fn f33_unknown_is_taken_under_any_epoch() {
    for epoch in [1, 5, 9] {
        let mut desk = Desk::connected();
        assert_eq!(told(&mut desk, epoch), [("Accept", epoch)]);
    }
}

#[test]
fn f33_journaled_under_the_same_epoch_is_said_again_and_starts_once() {
    let mut desk = knowing(Known::Journaled);
    assert_eq!(told(&mut desk, 5), [("Accept", 5)]);
    assert_eq!(starts(&desk.events()), [id(1)]);
    assert_eq!(told(&mut desk, 5), [("Accept", 5)]);
    assert_eq!(starts(&desk.events()), []);
}

#[test]
fn f33_started_under_the_same_epoch_is_said_again_and_never_started_twice() {
    let mut desk = knowing(Known::Started);
    assert_eq!(told(&mut desk, 5), [("Accept", 5), ("Started", 5)]);
    assert!(desk.events().is_empty());
}

/// The lease that was kept is not the one that is adopted.
#[test]
fn f33_journaled_under_a_newer_epoch_is_adopted_and_needs_a_lease_anew() {
    let mut desk = knowing(Known::Journaled);
    assert_eq!(told(&mut desk, 6), [("Accept", 6)]);
    let adopted = |write: &Write| matches!(write, Write::PutTask(offer, _) if offer.epoch == Epoch(6));
    assert!(desk.disk.iter().any(adopted), "on disk before it is accepted");
    assert!(desk.events().is_empty());
    desk.ledger.renew_now();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(1)]);
}

/// The call that runs ends; another step is taken by an attempt that looks at what there is first.
#[test]
fn f33_started_under_a_newer_epoch_lets_the_running_call_end_and_looks_before_any_further_step() {
    let mut desk = knowing(Known::Started);
    assert_eq!(told(&mut desk, 6), [("Accept", 6), ("Started", 6)]);
    assert_eq!(desk.events(), [Event::Stop(id(1))]);
    desk.ledger.renew_now();
    desk.renew(LeaseVerdict::Kept);
    desk.ledger.handle_intend(id(1), 2, intent(1), REACH, desk.now);
    assert_eq!(desk.events(), [Event::Refused(2, failure::leased_anew())]);
    desk.ledger.handle_failed(id(1), failure::leased_anew(), desk.now);
    desk.events();
    desk.sync();
    let events = desk.events();
    assert!(
        matches!(events.as_slice(), [Event::Start { offer, resumed: true, .. }] if offer.epoch == Epoch(6)),
        "{events:?}"
    );
}

/// The running call ended the task: that is its outcome, under the epoch it was adopted with.
#[test]
fn f33_started_under_a_newer_epoch_is_reported_under_it_if_the_running_call_ends_it() {
    let mut desk = knowing(Known::Started);
    told(&mut desk, 6);
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    assert!(desk.reports().iter().any(|it| it.epoch == Epoch(6)));
}

#[test]
fn f33_concluded_under_a_newer_epoch_is_reported_under_it_when_its_results_are_there() {
    for (epoch, told_now) in [(5, ("Accept", 5)), (6, ("Accept", 6))] {
        let mut desk = knowing(Known::Uploading);
        assert_eq!(told(&mut desk, epoch), [told_now]);
        assert!(desk.events().is_empty());
        desk.ledger.handle_uploaded(id(1), desk.now);
        desk.sync();
        assert!(desk.reports().iter().any(|it| it.epoch == Epoch(epoch)));
    }
}

#[test]
fn f33_reported_under_the_same_epoch_is_reported_again() {
    let mut desk = knowing(Known::Reported);
    assert_eq!(told(&mut desk, 5), [("Report", 5)]);
    assert_eq!(told(&mut desk, 5), [("Report", 5)]);
    assert!(desk.events().is_empty());
}

#[test]
fn f33_reported_or_forgotten_under_a_newer_epoch_has_the_same_outcome_under_it() {
    for known in [Known::Reported, Known::Tombstone] {
        let mut desk = knowing(known);
        assert_eq!(told(&mut desk, 6), [("Report", 6)], "{known:?}");
        assert!(desk.events().is_empty(), "{known:?}");
    }
}

/// Say it under each, and a controller that leases one task again and again fills the outbox, for nobody else's reports.
#[test]
fn one_task_has_a_few_reports_that_wait_to_be_acknowledged_and_no_more() {
    for known in [Known::Reported, Known::Tombstone] {
        let mut desk = knowing(known);
        let mut refused = 0;
        for epoch in 6..106 {
            desk.offer(offer(1, KIND, epoch));
            desk.sync();
            let is_put_off = |frame: &FromMember| match frame {
                FromMember::Reject(it) => it.reason.known() == Some(Rejection::Overloaded),
                _ => false,
            };
            refused += desk.sent().iter().filter(|frame| is_put_off(frame)).count();
        }
        assert_eq!(desk.ledger.outbox().reports, 8, "{known:?}");
        assert!(refused >= 92, "{known:?}: {refused}");
        desk.ledger.handle_report_ack(ReportNo(u64::MAX), desk.now);
        assert_eq!(told(&mut desk, 106), [("Report", 106)], "{known:?}: once they are acknowledged");
    }
}

/// What is said when task 1 is offered under epoch 6 after another member may have begun it.
fn told_after_another(desk: &mut Desk) -> Vec<FromMember> {
    desk.offer(Offer { reconcile: true, ..offer(1, KIND, 6) });
    desk.sync();
    desk.sent().into_iter().filter(|frame| !matches!(frame, FromMember::Renew(_) | FromMember::Credit(_))).collect()
}

/// Say the same again, and "nothing was changed" is told of what the other member did.
#[test]
fn f33_what_did_not_succeed_is_found_out_anew_once_another_member_may_have_begun_it() {
    let refused = || Failure::new(FailureClass::Rejected, "refused", "no");
    let satisfied = || Ending { outcome: Outcome::AlreadySatisfied, changed: Changed::No, ..success() };
    for ending in [Ending::failed(refused()), Ending::unknown(refused()), Ending::cancelled(), satisfied()] {
        for known in [Known::Reported, Known::Tombstone] {
            let mut desk = knowing_end(known, ending.clone());
            let said = told_after_another(&mut desk);
            assert!(matches!(said.as_slice(), [FromMember::Accept(_)]), "{known:?}, {ending:?}: {said:?}");
            desk.ledger.renew_now();
            desk.renew(LeaseVerdict::Kept);
            let looks = |event: &Event| matches!(event, Event::Start { offer, .. } if offer.reconcile);
            assert!(desk.events().iter().any(looks), "{known:?}, {ending:?}");
        }
        let mut desk = knowing_end(Known::Uploading, ending);
        let said = told_after_another(&mut desk);
        let [FromMember::Reject(reject)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!((reject.reason.known(), reject.retry_after_ms), (Some(Rejection::Overloaded), 1_000));
    }
}

#[test]
fn f33_what_succeeded_is_said_again_whoever_had_the_task_since() {
    for known in [Known::Reported, Known::Tombstone] {
        let said = told_after_another(&mut knowing(known));
        let [FromMember::Report(report)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!((report.epoch, report.certainty.known()), (Epoch(6), Some(Certainty::Certain)));
    }
}

/// What was seen may be what the other task did, or a member that made another password.
#[test]
fn f33_what_was_only_seen_is_found_out_anew_once_another_task_or_member_may_have_done_it() {
    let seen = Ending { certainty: Certainty::Probable, ..success() };
    let again = |epoch, since| Offer { reconcile: true, alone_since: Epoch(since), ..offer(1, KIND, epoch) };
    for known in [Known::Reported, Known::Tombstone] {
        for (epoch, since, is_said_again) in [(6, 5, true), (6, 6, false), (7, 5, false)] {
            let mut desk = knowing_end(known, seen.clone());
            desk.offer(again(epoch, since));
            desk.sync();
            let is_told = desk.reports().iter().any(|it| it.epoch == Epoch(epoch));
            assert_eq!(is_told, is_said_again, "{known:?}, {epoch}, alone since {since}");
        }
    }
    let mut desk = knowing_end(Known::Uploading, seen);
    desk.offer(again(6, 6));
    desk.sync();
    assert!(desk.names().contains(&"Reject"), "its results are on their way first");
}

/// Take its word, and what it saw of another task's doing is told under the new lease.
#[test]
fn f33_what_a_running_attempt_only_saw_after_a_newer_lease_is_looked_at_anew() {
    let mut desk = knowing(Known::Started);
    told(&mut desk, 6);
    desk.events();
    desk.ledger.renew_now();
    desk.renew(LeaseVerdict::Kept);
    desk.ledger.handle_concluded(id(1), Ending { certainty: Certainty::Probable, ..success() }, desk.now);
    assert_eq!(desk.events(), []);
    desk.sync();
    assert!(!desk.names().contains(&"Report"));
    let events = desk.events();
    assert!(
        matches!(events.as_slice(), [Event::Start { offer, resumed: true, .. }] if offer.epoch == Epoch(6)),
        "{events:?}"
    );
}

/// Leave them, and what no report names stays in the spool until the next start.
#[test]
fn the_results_of_an_end_that_is_not_taken_are_forgotten() {
    let mut desk = knowing(Known::Started);
    told(&mut desk, 6);
    desk.events();
    desk.ledger.renew_now();
    desk.renew(LeaseVerdict::Kept);
    let results = StreamRef { id: StreamId::from_bytes([3; 16]), length: 1, sha256: [0; 32] };
    let ending = Ending { certainty: Certainty::Probable, streams: vec![results], ..success() };
    desk.ledger.handle_concluded(id(1), ending, desk.now);
    assert_eq!(desk.events(), [Event::Forget(vec![results.id])]);
}

/// It is not run again, and what the other member did is not denied.
#[test]
fn f33_what_killed_the_process_is_dead_lettered_again_and_denies_nothing() {
    let died = Ending {
        outcome: Outcome::DeadLettered,
        ..Ending::failed(Failure::new(FailureClass::Internal, "process_died", "it died"))
    };
    for known in [Known::Reported, Known::Tombstone] {
        let said = told_after_another(&mut knowing_end(known, died.clone()));
        let [FromMember::Report(report)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!((report.outcome.known(), report.epoch), (Some(Outcome::DeadLettered), Epoch(6)));
        assert_eq!(
            (report.certainty.known(), report.changed.known()),
            (Some(Certainty::Unknown), Some(Changed::Unknown))
        );
    }
}

#[test]
fn a_task_that_is_held_again_is_told_of_once() {
    let refused = Failure::new(FailureClass::Rejected, "refused", "no");
    let mut desk = knowing_end(Known::Reported, Ending::failed(refused));
    told_after_another(&mut desk);
    desk.ledger.handle_inventory_ask(1);
    desk.sync();
    let told: Vec<_> = desk
        .sent()
        .into_iter()
        .filter_map(|frame| match frame {
            FromMember::Inventory(inventory) => {
                Some(inventory.tasks.iter().map(|it| it.lease.epoch).collect::<Vec<_>>())
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [[Epoch(6)]]);
}

/// Leave it fenced, and the controller, which was put back from a copy and came to the same number, waits for a member that
/// said that it goes on, and does not.
#[test]
fn f33_what_is_held_without_its_lease_gets_it_back_under_the_same_number() {
    for known in [Known::Started, Known::Uploading] {
        let mut desk = knowing(known);
        desk.ledger.renew_now();
        desk.renew(LeaseVerdict::Fenced);
        desk.events();
        desk.offer(offer(1, KIND, 5));
        desk.sync();
        let said = desk.sent();
        assert!(said.iter().any(|it| matches!(it, FromMember::Accept(_))), "{known:?}: {said:?}");
        let renews = |it: &FromMember| matches!(it, FromMember::Renew(renew) if renew.leases.len() == 1);
        assert!(said.iter().any(renews), "{known:?}: {said:?}");
    }

    let mut desk = knowing(Known::Started);
    desk.ledger.renew_now();
    desk.renew(LeaseVerdict::Fenced);
    desk.ledger.handle_failed(id(1), failure::fenced(), desk.now);
    desk.sync();
    desk.events();
    desk.offer(offer(1, KIND, 5));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(desk.events(), []);
    desk.sync();
    assert_eq!(starts(&desk.events()), [id(1)]);
}

#[test]
fn f33_under_an_older_epoch_everything_is_fenced() {
    for known in [Known::Journaled, Known::Started, Known::Uploading, Known::Reported, Known::Tombstone] {
        let mut desk = knowing(known);
        let running = desk.ledger.is_running();
        assert_eq!(told(&mut desk, 4), [("fenced", 4)], "{known:?}");
        assert_eq!(desk.ledger.is_running(), running, "{known:?}");
    }
    let mut forgotten = knowing(Known::Tombstone);
    assert_eq!(told(&mut forgotten, 5), [("fenced", 5)], "it was acknowledged under that one");
}

/// Say that it was read, and whoever waits for what was read, under a ledger that was put back from a copy, is told of a
/// success and gets nothing.
#[test]
fn f33_what_was_read_and_is_not_here_any_more_is_read_again() {
    let read = || Ending { output: vec![1], changed: Changed::No, ..success() };
    let with_file = || Ending { streams: vec![stream()], ..read() };
    let refused = || Ending::failed(Failure::new(FailureClass::Rejected, "refused", "no"));
    let died = || Ending { outcome: Outcome::DeadLettered, ..refused() };
    let table = [
        ("acknowledged", TaskKind::ValidateUser, Known::Tombstone, read(), "Accept"),
        ("acknowledged, of another end", TaskKind::ValidateUser, Known::Tombstone, refused(), "Accept"),
        ("acknowledged, with a file", TaskKind::Export, Known::Tombstone, with_file(), "Accept"),
        ("the file was not wanted", TaskKind::Export, Known::Reported, read(), "Accept"),
        ("of another end", TaskKind::ValidateUser, Known::Reported, refused(), "Accept"),
        ("all of it is here", TaskKind::ValidateUser, Known::Reported, read(), "Report"),
        ("it kills the process", TaskKind::ValidateUser, Known::Tombstone, died(), "Report"),
    ];
    for (why, kind, known, ending, says) in table {
        for reconcile in [false, true] {
            let mut desk = knowing_of(kind, known, ending.clone());
            if !ending.streams.is_empty() {
                desk.ledger.handle_uploaded(id(1), desk.now);
                desk.sync();
                desk.sent();
                desk.ledger.handle_report_ack(ReportNo(1), desk.now);
            }
            desk.offer(Offer { reconcile, ..offer(1, kind, 6) });
            desk.sync();
            let said = desk.names();
            assert!(said.contains(&says), "{why}: {said:?}");
        }
    }
}

/// Leave the tombstone as it is, and what the first run found counts as handed over while it is looked for once more: a delta
/// leaves it out of the second file, and of what that run finds nothing is told if it fails in the middle.
#[test]
fn f33_what_is_read_again_is_not_handed_over_before_its_new_report_is() {
    let mut desk = Desk::connected();
    let export = |epoch| offer(1, TaskKind::Export, epoch);
    let end = |desk: &mut Desk| {
        desk.renew(LeaseVerdict::Kept);
        desk.ledger.handle_concluded(id(1), Ending { streams: vec![stream()], ..success() }, desk.now);
        desk.sync();
    };
    desk.offer(export(1));
    desk.sync();
    end(&mut desk);
    desk.ledger.handle_uploaded(id(1), desk.now);
    desk.sync();
    desk.sent();
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    desk.sync();
    assert_eq!(remembered(&desk), Some(Payload::HandedOver));

    desk.offer(export(6));
    let (mark, writes) = desk.ledger.poll_writes(desk.now).unwrap();
    let at = |sought: fn(&Write) -> bool| writes.iter().position(sought);
    let (stone, task) = (at(|it| matches!(it, Write::PutTombstone(_))), at(|it| matches!(it, Write::PutTask(..))));
    assert!(stone.is_some() && stone < task, "{writes:?}");
    desk.disk.extend(writes);
    desk.ledger.handle_durable(mark, desk.now);
    assert_eq!(remembered(&desk), Some(Payload::Lost));

    end(&mut desk);
    desk.ledger.handle_unwanted(id(1), desk.now);
    desk.sync();
    desk.sent();
    desk.ledger.handle_report_ack(ReportNo(2), desk.now);
    desk.now = desk.ledger.poll_timeout().unwrap();
    desk.sync();
    assert_eq!(remembered(&desk), Some(Payload::Lost), "nobody wanted it the second time");
}

/// Remember that alone of what was handed over, and a delta takes for told what runs after the one that failed told to a
/// controller that was put back.
#[test]
fn f33_what_failed_and_is_done_anew_is_remembered_as_lost_too() {
    let refused = Ending::failed(Failure::new(FailureClass::Rejected, "refused", "no"));
    for (kind, expected) in [(TaskKind::Export, Payload::Lost), (TaskKind::ValidateUser, Payload::None)] {
        let mut desk = knowing_of(kind, Known::Tombstone, refused.clone());
        for epoch in [6, 7] {
            desk.offer(offer(1, kind, epoch));
            desk.sync();
        }
        assert!(desk.names().contains(&"Accept"), "{kind}");
        assert_eq!(remembered(&desk), Some(expected), "{kind}");
    }
}

/// What became of what came of the task, as the disk has it.
fn remembered(desk: &Desk) -> Option<Payload> {
    let stone = |write: &Write| match write {
        Write::PutTombstone(stone) => Some(stone.payload),
        _ => None,
    };
    desk.disk.iter().rev().find_map(stone)
}
