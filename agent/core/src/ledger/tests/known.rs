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
    let mut desk = Desk::connected();
    desk.offer(offer(1, KIND, 5));
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
        Known::Uploading => desk.ledger.handle_concluded(id(1), Ending { streams: vec![stream()], ..success() }),
        Known::Reported | Known::Tombstone => desk.ledger.handle_concluded(id(1), success()),
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
    desk.ledger.handle_concluded(id(1), success());
    desk.sync();
    let epoch = |frame: &FromMember| matches!(frame, FromMember::Report(report) if report.epoch == Epoch(6));
    assert!(desk.sent().iter().any(epoch));
}

#[test]
fn f33_concluded_under_a_newer_epoch_is_reported_under_it_when_its_results_are_there() {
    for (epoch, told_now) in [(5, ("Accept", 5)), (6, ("Accept", 6))] {
        let mut desk = knowing(Known::Uploading);
        assert_eq!(told(&mut desk, epoch), [told_now]);
        assert!(desk.events().is_empty());
        desk.ledger.handle_uploaded(id(1));
        desk.sync();
        let report = |frame: &FromMember| matches!(frame, FromMember::Report(report) if report.epoch == Epoch(epoch));
        assert!(desk.sent().iter().any(report));
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
