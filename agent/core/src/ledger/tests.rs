#![allow(clippy::wildcard_enum_match_arm, reason = "tests look for the one frame they mean")]

mod flow;
mod known;

use std::time::Duration;

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{
    CancelVerdict, LeaseVerdict, MembershipState, Mode, Offer, Rejection, Renew, Renewed, RenewedLease,
};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Epoch, Failure, FailureClass, Outcome, TaskKind, TaskRequest};

use super::*;
use crate::journal::{JournalEntry, Mark};
use crate::write::{Caller, Origin, TaskState};

const TTL: Duration = Duration::from_secs(60);
const REACH: Duration = Duration::from_secs(20);

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn id(n: u8) -> TaskId {
    TaskId::from_bytes([n; 16])
}

fn offer(n: u8, kind: TaskKind, epoch: u64) -> Offer {
    let json = match kind {
        TaskKind::TestConnection => serde_json::json!({}),
        TaskKind::Export => serde_json::json!({ "object": "User", "format": "csv" }),
        _ => serde_json::json!({ "account": "joe@example.com" }),
    };
    Offer {
        task: id(n),
        kind: kind.into(),
        kind_rev: TaskRequest::REV,
        epoch: Epoch(epoch),
        lease_ttl_ms: 60_000,
        deadline_ms: 0,
        priority: 0,
        system: "acme".parse().unwrap(),
        target: Text::new("joe@example.com").unwrap(),
        mode: Mode::Async.into(),
        attempt: 1,
        reconcile: false,
        observations: List::default(),
        params: Bytes::new(TaskRequest::from_json(kind, json).unwrap().encode().unwrap()).unwrap(),
        sealed: List::default(),
        streams: List::default(),
        requester: None,
        signature: None,
        ext: List::default(),
    }
}

fn enabled(epoch: u64) -> Membership {
    Membership { state: MembershipState::Enabled, epoch: Epoch(epoch), hard: false }
}

fn success() -> Ending {
    let nothing = Ending::cancelled();
    Ending { outcome: Outcome::Succeeded, certainty: Certainty::Certain, changed: Changed::Yes, ..nothing }
}

fn intent(step: u32) -> JournalEntry {
    JournalEntry { step, mark: Mark::Intent, note: Vec::new() }
}

/// A ledger with a disk that takes everything at once, unless held.
struct Desk {
    ledger: Ledger,
    disk: Vec<Write>,
    now: Timestamp,
}

impl Desk {
    fn new() -> Self {
        Self::restored(Restored::default())
    }

    fn restored(restored: Restored) -> Self {
        let ledger = Ledger::restore(Limits::for_systems([("acme".parse().unwrap(), 2)].into()), restored);
        Self { ledger, disk: Vec::new(), now: at(100) }
    }

    fn connected() -> Self {
        let mut desk = Self::new();
        desk.connect();
        desk
    }

    fn connect(&mut self) {
        self.ledger.handle_welcome(SessionNo(1), enabled(1), self.now);
        self.sync();
        self.ledger.handle_established(ReportNo(0), TTL, self.now);
        self.sync();
    }

    fn sync(&mut self) {
        while let Some((mark, writes)) = self.ledger.poll_writes(self.now) {
            self.disk.extend(writes);
            self.ledger.handle_durable(mark, self.now);
        }
    }

    fn offer(&mut self, offer: Offer) {
        let origin = Origin::Controller;
        self.ledger.handle_offer(Offered { offer, origin, refusal: None, streams_here: Vec::new() }, self.now);
    }

    fn sent(&mut self) -> Vec<FromMember> {
        std::iter::from_fn(|| self.ledger.poll_transmit(self.now)).collect()
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.sent().iter().map(FromMember::name).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.ledger.poll_event(self.now)).collect()
    }

    /// Answers every renewal that is asked for with `verdict`.
    fn renew(&mut self, verdict: LeaseVerdict) {
        for frame in self.sent() {
            if let FromMember::Renew(Renew { nonce, leases }) = frame {
                let leases = leases.iter().map(|lease| RenewedLease { lease: *lease, verdict: verdict.into() });
                let leases = List::new(leases.collect()).unwrap();
                self.ledger.handle_renewed(&Renewed { nonce, ttl_ms: 60_000, leases }, self.now);
            }
        }
        self.sync();
    }

    /// Takes a task up to its running attempt.
    fn running(&mut self, n: u8, kind: TaskKind) {
        self.offer(offer(n, kind, 1));
        self.sync();
        self.renew(LeaseVerdict::Kept);
        assert!(matches!(self.events().as_slice(), [Event::Start { .. }]));
    }

    fn started(&mut self, n: u8) {
        self.running(n, TaskKind::DisableUser);
        self.ledger.handle_intend(id(n), 1, intent(0), REACH, self.now);
        self.sync();
        assert_eq!(self.events(), [Event::Granted(1)]);
        self.sent();
    }
}

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
fn a_read_starts_without_a_lease_and_a_write_does_not() {
    let mut desk = Desk::connected();
    desk.offer(offer(1, TaskKind::ValidateUser, 1));
    desk.offer(offer(2, TaskKind::DisableUser, 1));
    desk.sync();
    let starts = desk.events();
    assert!(matches!(starts.as_slice(), [Event::Start { offer, .. }] if offer.task == id(1)), "{starts:?}");
    desk.renew(LeaseVerdict::Kept);
    let starts = desk.events();
    assert!(matches!(starts.as_slice(), [Event::Start { offer, .. }] if offer.task == id(2)), "{starts:?}");
}

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

/// Invariant 6: hand `now` instead of `asked` to `Lease::handle_kept` and this fails.
#[test]
fn a_late_answer_to_a_renewal_gives_no_more_than_was_asked_for() {
    let mut desk = Desk::connected();
    desk.offer(offer(1, TaskKind::DisableUser, 1));
    desk.sync();
    let asked = desk.sent();
    let renew = asked.iter().find_map(|frame| match frame {
        FromMember::Renew(renew) => Some(renew.clone()),
        _ => None,
    });
    let Renew { nonce, leases } = renew.unwrap();
    desk.now = at(130);
    let kept = leases.iter().map(|lease| RenewedLease { lease: *lease, verdict: LeaseVerdict::Kept.into() }).collect();
    desk.ledger.handle_renewed(&Renewed { nonce, ttl_ms: 60_000, leases: List::new(kept).unwrap() }, desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk.now = at(145);
    desk.ledger.handle_intend(id(1), 7, intent(0), REACH, desk.now);
    desk.sync();
    assert!(desk.events().is_empty(), "a lease until 160 does not cover a call until 165");
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
    assert!(failure.next_step.contains("request_timeout_secs"), "{}", failure.next_step.as_str());
}

/// Invariant 2 and rule 7. Mark the report durable in `Outbox::push` and this fails.
/// Feature D1.
#[test]
fn a_report_leaves_only_when_it_is_on_disk_and_stays_until_it_is_acknowledged() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_concluded(id(1), success());
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
    desk.ledger.handle_concluded(id(1), success());
    desk.sync();
    desk.sent();
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    assert_eq!(desk.ledger.poll_writes(desk.now), None);

    desk.now = desk.ledger.poll_timeout().unwrap();
    let (_, writes) = desk.ledger.poll_writes(desk.now).unwrap();
    assert!(matches!(writes.as_slice(), [Write::PutTombstone(_), Write::DeleteReport(ReportNo(1))]), "{writes:?}");
}

#[test]
fn the_task_and_its_report_change_places_in_one_write() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_concluded(id(1), success());
    let (_, writes) = desk.ledger.poll_writes(desk.now).unwrap();
    assert!(matches!(writes.as_slice(), [Write::PutReport(_), Write::DeleteTask(_)]), "{writes:?}");
}

#[test]
fn a_lost_lease_stops_the_attempt_and_forgets_what_had_not_begun() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.offer(offer(2, TaskKind::EnableUser, 1));
    desk.sync();
    desk.renew(LeaseVerdict::Fenced);
    assert_eq!(desk.events(), [Event::Stop(id(1))]);
    assert!(desk.disk.contains(&Write::DeleteTask(id(2))));
    desk.ledger.handle_intend(id(1), 9, intent(1), REACH, desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Refused(9, _)]));
    desk.ledger.handle_concluded(id(1), success());
    desk.sync();
    assert!(desk.names().contains(&"Report"), "an effect is told even under an old epoch");
}

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
    let sent = desk.sent();
    let cancelled = |frame: &FromMember| matches!(frame, FromMember::Report(report) if report.outcome.known() == Some(Outcome::Cancelled));
    assert!(sent.iter().any(cancelled), "{sent:?}");
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
            7 if made => desk.ledger.handle_concluded(id(1), success()),
            10 => desk.ledger.handle_report_ack(ReportNo(1), desk.now),
            _ => desk.sync(),
        }
        for event in desk.events() {
            match event {
                Event::Start { .. } => running = true,
                Event::Granted(granted) => made = granted == ticket,
                Event::Refused(_, failure) => desk.ledger.handle_failed(id(1), failure, desk.now),
                Event::GiveUp { task, failure, .. } => {
                    let unknown = Ending { outcome: Outcome::Unknown, failure: Some(failure), ..Ending::cancelled() };
                    desk.ledger.handle_concluded(task, unknown);
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
    let unknown = |frame: &FromMember| matches!(frame, FromMember::Report(report) if report.outcome.known() == Some(Outcome::Unknown));
    let sent = desk.sent();
    assert!(sent.iter().any(unknown), "nothing was changed here, but perhaps elsewhere: {sent:?}");
}

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
    desk.ledger.handle_concluded(id(1), success());
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

fn busy(patience: u64) -> Unfinished {
    let failure = Failure::new(FailureClass::RateLimited, "busy", "leave me alone");
    Unfinished { failure, patience: Duration::from_secs(patience) }
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

/// A member that runs a task of this machine.
fn running_for(caller: Caller) -> Desk {
    let mut desk = Desk::new();
    let offer = offer(1, TaskKind::ValidateUser, 0);
    let offered = Offered { offer, origin: Origin::Local(caller), refusal: None, streams_here: Vec::new() };
    desk.ledger.handle_offer(offered, desk.now);
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk
}

#[test]
fn whoever_waits_at_a_terminal_is_told_instead_of_waiting_long() {
    let mut desk = running_for(Caller::Person);
    desk.ledger.handle_failed(id(1), busy(59), desk.now);
    desk.now = desk.now + Duration::from_secs(59);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk.ledger.handle_failed(id(1), busy(60), desk.now);
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::LocalReport(_)]));
}

/// Take it for one that somebody waits for, and a night's collection ends when it is asked to wait for a minute.
#[test]
fn a_task_of_a_schedule_waits_as_long_as_one_of_the_controller() {
    let mut desk = running_for(Caller::Schedule);
    for _ in 0..24 * 4 {
        desk.ledger.handle_failed(id(1), busy(900), desk.now);
        desk.sync();
        assert_eq!(desk.events(), []);
        desk.now = desk.ledger.poll_timeout().unwrap();
        assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    }
}

#[test]
fn an_interruption_goes_on_as_soon_as_it_may_whatever_was_asked_for() {
    let mut desk = Desk::connected();
    desk.running(1, TaskKind::ValidateUser);
    let interrupted = Unfinished { failure: failure::lease_too_short(), patience: Duration::from_secs(900) };
    desk.ledger.handle_failed(id(1), interrupted, desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
}

#[test]
fn batches_that_wait_leave_room_for_what_is_urgent() {
    let mut desk = Desk::connected();
    for n in 1..=2 {
        desk.offer(offer(n, TaskKind::ValidateUser, 1));
    }
    desk.sync();
    desk.events();
    let room = desk.ledger.room();
    for n in 1..=2 {
        desk.ledger.handle_failed(id(n), busy(900), desk.now);
    }
    assert_eq!(desk.ledger.room(), room + 2);
    desk.now = desk.now + Duration::from_secs(900);
    assert_eq!(desk.events().len(), 2);
    assert_eq!(desk.ledger.room(), room);
}

fn urgent(n: u8) -> Offer {
    Offer { priority: 255, ..offer(n, TaskKind::DisableUser, 1) }
}

fn starts(events: &[Event]) -> Vec<TaskId> {
    let start = |event: &Event| match event {
        Event::Start { offer, .. } => Some(offer.task),
        _ => None,
    };
    events.iter().filter_map(start).collect()
}

/// Let batches take any free slot, or count all of them against the room, and the disable waits for hours.
#[test]
fn batches_leave_a_slot_and_room_to_what_is_urgent() {
    let mut desk = Desk::connected();
    for n in 1..=5 {
        desk.offer(offer(n, TaskKind::Export, 1));
    }
    desk.sync();
    let sent = desk.sent();
    let rejected: Vec<_> = sent.iter().filter(|frame| frame.name() == "Reject").collect();
    assert!(matches!(rejected.as_slice(), [FromMember::Reject(it)] if it.task == id(5)), "{rejected:?}");
    assert_eq!(desk.ledger.room(), 4);
    assert_eq!(starts(&desk.events()), [id(1)]);

    desk.offer(urgent(6));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(6)]);
}

#[test]
fn credit_says_truly_what_would_be_taken_beside_batches() {
    let mut desk = Desk::connected();
    let credit = |frames: &[FromMember]| {
        let told = |frame: &FromMember| match frame {
            FromMember::Credit(credit) => Some(credit.offers),
            _ => None,
        };
        frames.iter().rev().find_map(told)
    };
    assert_eq!(credit(&desk.sent()), Some(4));
    for n in 1..=4 {
        desk.offer(offer(n, TaskKind::Export, 1));
    }
    desk.sync();
    assert_eq!(credit(&desk.sent()), Some(8));
    for n in 5..=8 {
        desk.offer(urgent(n));
    }
    desk.sync();
    let sent = desk.sent();
    assert!(sent.iter().all(|frame| frame.name() != "Reject"), "{sent:?}");
    assert_eq!((desk.ledger.room(), credit(&sent)), (0, None));
    desk.ledger.handle_concluded(id(1), success());
    desk.sync();
    assert_eq!(
        (desk.ledger.room(), credit(&desk.sent())),
        (0, None),
        "one batch less: the others are as many as before"
    );
}

#[test]
fn all_batches_get_done_one_after_the_other_beside_urgent_work() {
    let mut desk = Desk::connected();
    for n in 1..=4 {
        desk.offer(offer(n, TaskKind::Export, 1));
    }
    desk.offer(urgent(9));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(starts(&desk.events()), [id(9), id(1)], "the slot that urgent work leaves is theirs");
    for n in 1..=3 {
        desk.ledger.handle_concluded(id(n), success());
        desk.sync();
        assert_eq!(starts(&desk.events()), [id(n + 1)]);
    }
}

#[test]
fn the_only_slot_of_a_system_is_for_batches_too() {
    let ledger = Ledger::restore(Limits::for_systems([("acme".parse().unwrap(), 1)].into()), Restored::default());
    let mut desk = Desk { ledger, disk: Vec::new(), now: at(100) };
    desk.connect();
    desk.offer(offer(1, TaskKind::Export, 1));
    desk.sync();
    assert_eq!(starts(&desk.events()), [id(1)]);
}

#[test]
fn an_expired_task_is_reported_and_never_run_late() {
    let mut desk = Desk::connected();
    desk.offer(Offer { deadline_ms: 5_000, ..offer(1, TaskKind::DisableUser, 1) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk.now = at(105);
    assert!(desk.events().is_empty());
    desk.sync();
    assert!(desk.names().contains(&"Report"));
}

/// The journal is read first: a batch has results of the steps that were done.
#[test]
fn f10_a_task_in_which_the_process_died_twice_is_given_up() {
    let died = |unended| Desk::restored(restored(Origin::Controller, TaskState::Started { unended }, 1));
    assert!(died(1).events().is_empty(), "once is bad luck");
    let events = died(2).events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { why: GivenUp::ProcessDied, .. }]), "{events:?}");
}

/// Leave `resume` to tasks that have begun, and a task whose dataset brings the process down does so for ever.
#[test]
fn f10_a_task_that_kills_the_process_before_its_first_intent_is_given_up_too() {
    let died = |unended| {
        let held = restored(Origin::Controller, TaskState::Journaled { unended }, 0);
        Desk::restored(Restored { membership: Some(enabled(1)), ..held })
    };
    for unended in 0..2 {
        let mut desk = died(unended);
        desk.connect();
        desk.renew(LeaseVerdict::Kept);
        assert!(desk.events().is_empty(), "not before it is on disk that it runs");
        desk.sync();
        assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
        assert!(desk.disk.contains(&Write::PutState(id(1), TaskState::Journaled { unended: unended + 1 })));
        desk.ledger.handle_intend(id(1), 3, intent(0), REACH, desk.now);
        desk.sync();
        assert!(desk.disk.contains(&Write::PutState(id(1), TaskState::Started { unended: 1 })), "it got further");
    }
    let mut desk = died(2);
    desk.connect();
    let reports: Vec<_> = desk.sent().into_iter().filter(|frame| frame.name() == "Report").collect();
    let [FromMember::Report(report)] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((report.outcome.known(), report.changed.known()), (Some(Outcome::DeadLettered), Some(Changed::No)));
    assert_eq!(report.certainty.known(), Some(Certainty::Certain));
}

/// Take any entry for progress, and a task that takes its intent back in every attempt kills the process for ever.
#[test]
fn f10_only_a_step_that_is_done_lets_deaths_be_forgotten() {
    let mut desk = Desk::connected();
    let held = restored(Origin::Controller, TaskState::Started { unended: 1 }, 1);
    desk.ledger = Desk::restored(Restored { membership: Some(enabled(1)), ..held }).ledger;
    desk.connect();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.sync();
    desk.events();
    let forgotten = Write::PutState(id(1), TaskState::Started { unended: 1 });
    let memo = JournalEntry { mark: Mark::Memo, ..intent(0) };
    for (ticket, entry) in [(4, intent(0).taken_back()), (5, memo)] {
        desk.ledger.handle_record(id(1), ticket, vec![entry]);
        desk.sync();
        assert!(!desk.disk.contains(&forgotten));
    }
    desk.ledger.handle_record(id(1), 6, vec![JournalEntry { mark: Mark::Unchanged, ..intent(0) }]);
    desk.sync();
    assert!(desk.disk.contains(&forgotten));
}

#[test]
fn f10_an_import_may_cost_as_many_deaths_as_it_takes_to_find_one_entry() {
    let events = |unended| {
        let mut held = restored(Origin::Controller, TaskState::Started { unended }, 1);
        held.tasks[0].offer.kind = TaskKind::ImportBatch.into();
        Desk::restored(held).events()
    };
    assert!(events(17).is_empty(), "a unit of 10,000, once for itself, once again, and fourteen halves");
    let given_up = events(20);
    assert!(matches!(given_up.as_slice(), [Event::GiveUp { why: GivenUp::ProcessDied, .. }]), "{given_up:?}");
}

/// Ask whether it began instead of whether an effect may exist, and the second attempt runs late.
#[test]
fn what_came_to_nothing_is_not_begun_again_after_its_deadline() {
    let mut desk = Desk::connected();
    desk.offer(Offer { deadline_ms: 5_000, ..offer(1, TaskKind::DisableUser, 1) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
    desk.sync();
    desk.events();
    desk.ledger.handle_record(id(1), 2, vec![intent(0).taken_back()]);
    desk.sync();
    desk.events();
    desk.ledger.handle_failed(id(1), Failure::new(FailureClass::Transient, "locked", "a lock"), desk.now);
    desk.now = at(105);
    assert_eq!(desk.events(), []);
    desk.sync();
    let expired = |frame: &FromMember| matches!(frame, FromMember::Report(report) if report.outcome.known() == Some(Outcome::Expired));
    assert!(desk.sent().iter().any(expired));
}

/// Give it up at its deadline, and what could be read ends as unknown.
#[test]
fn what_may_have_had_an_effect_is_found_out_after_its_deadline() {
    let mut desk = Desk::connected();
    desk.offer(Offer { deadline_ms: 5_000, ..offer(1, TaskKind::DisableUser, 1) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
    desk.sync();
    desk.events();
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

/// Leave the first attempt out of those that end, and one death is taken for two.
#[test]
fn f10_a_first_attempt_that_failed_is_no_death_of_the_process() {
    let mut desk = Desk::connected();
    desk.offer(offer(1, TaskKind::DisableUser, 1));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
    desk.sync();
    desk.ledger.handle_failed(id(1), Failure::new(FailureClass::Transient, "timeout", "no answer"), desk.now);
    desk.now = at(110);
    desk.events();
    desk.sync();
    assert!(desk.events().iter().any(|it| matches!(it, Event::Start { resumed: true, .. })));
    let state = desk.disk.iter().rev().find_map(|write| match write {
        Write::PutState(_, state) => Some(state.clone()),
        _ => None,
    });
    let died = restored(Origin::Controller, state.unwrap(), 1);
    assert!(Desk::restored(died).events().is_empty(), "it died once");
}

#[test]
fn f26_a_restored_task_waits_for_a_session_and_a_lease() {
    let begun = restored(Origin::Controller, TaskState::Started { unended: 1 }, 1);
    let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..begun });
    desk.sync();
    assert!(desk.events().is_empty());
    desk.connect();
    assert!(desk.events().is_empty());
    desk.renew(LeaseVerdict::Kept);
    assert!(desk.events().is_empty(), "nor before it is on disk that it runs again");
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::Start { resumed: true, .. }]));
    assert!(desk.disk.contains(&Write::PutState(id(1), TaskState::Started { unended: 2 })));

    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    desk.sync();
    assert!(desk.disk.contains(&Write::PutState(id(1), TaskState::Started { unended: 1 })), "it ended: no death");
}

/// Leave `welcomed` out of `may_start`: what only reads needs no lease and runs before anybody said that it still may.
#[test]
fn after_a_restart_nothing_starts_before_there_is_a_session() {
    let reads = offer(1, TaskKind::ValidateUser, 1);
    let (origin, state) = (Origin::Controller, TaskState::Journaled { unended: 0 });
    let reads = RestoredTask { offer: reads, origin, state, journal: 0, streams_here: Vec::new() };
    let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), tasks: vec![reads], ..Restored::default() });
    let started = |desk: &mut Desk| {
        desk.events();
        desk.sync();
        starts(&desk.events())
    };
    assert_eq!(started(&mut desk), []);
    desk.connect();
    assert_eq!(started(&mut desk), [id(1)]);
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

/// Invariant 17: an offer beyond the credit is refused, not swallowed.
#[test]
fn credit_is_absolute_and_bounds_what_is_held() {
    let mut desk = Desk::connected();
    let credit = |frames: &[FromMember]| {
        frames.iter().rev().find_map(|frame| match frame {
            FromMember::Credit(credit) => Some(credit.offers),
            _ => None,
        })
    };
    assert_eq!(credit(&desk.sent()), Some(4));
    for n in 1..=5 {
        desk.offer(offer(n, TaskKind::ValidateUser, 1));
    }
    desk.sync();
    let sent = desk.sent();
    assert!(
        matches!(sent.iter().find(|frame| frame.name() == "Reject"), Some(FromMember::Reject(reject)) if reject.task == id(5))
    );
    assert_eq!(desk.events().len(), 2, "as many as there are slots");
    desk.ledger.handle_concluded(id(1), success());
    desk.sync();
    assert_eq!(credit(&desk.sent()), Some(6));
}

#[test]
fn a_batch_is_reported_only_when_its_results_are_at_the_controller() {
    let mut desk = Desk::connected();
    desk.started(1);
    let results = StreamRef { id: StreamId::from_bytes([3; 16]), length: 1, sha256: [0; 32] };
    desk.ledger.handle_concluded(id(1), Ending { streams: vec![results], ..success() });
    desk.sync();
    assert_eq!(desk.events(), [Event::Upload(id(1), results)]);
    assert!(!desk.names().contains(&"Report"));
    desk.ledger.handle_uploaded(id(1));
    desk.sync();
    assert!(desk.names().contains(&"Report"));
    assert!(desk.events().is_empty(), "the results are kept until the report is acknowledged");
    desk.ledger.handle_report_ack(ReportNo(1), desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Forget(vec![results.id])]);
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

#[test]
fn a_task_of_this_machine_needs_no_controller() {
    let mut desk = Desk::new();
    let offered = Offered {
        offer: offer(1, TaskKind::DisableUser, 0),
        origin: Origin::Local(Caller::Person),
        refusal: None,
        streams_here: Vec::new(),
    };
    desk.ledger.handle_offer(offered, desk.now);
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Granted(1)]);
    desk.ledger.handle_concluded(id(1), success());
    assert!(desk.events().is_empty(), "shown only when it is on disk");
    desk.sync();
    assert!(matches!(desk.events().as_slice(), [Event::LocalReport(_)]));
    desk.ledger.handle_local_taken(id(1), true);
    desk.sync();
    assert!(desk.disk.contains(&Write::DeleteTask(id(1))));
    assert!(is_buried(&desk), "what came of it was handed over, which is remembered");
}

/// Let it be, and the agent stops only when everything has been read; start it again, and it never does.
#[test]
fn a_task_of_this_machine_that_only_reads_is_not_waited_for() {
    let mut desk = Desk::new();
    for (n, kind) in [(1, TaskKind::ValidateUser), (2, TaskKind::DisableUser)] {
        let (offer, origin) = (offer(n, kind, 0), Origin::Local(Caller::Person));
        desk.ledger.handle_offer(Offered { offer, origin, refusal: None, streams_here: Vec::new() }, desk.now);
    }
    desk.sync();
    assert_eq!(desk.events().len(), 2);
    desk.ledger.handle_intend(id(2), 1, intent(0), REACH, desk.now);
    desk.sync();
    desk.events();
    desk.ledger.handle_stopping();
    assert_eq!(desk.events(), [Event::Stop(id(1))], "what changes something is finished");
    let stopped = Failure::new(FailureClass::Interrupted, "stopped", "");
    desk.ledger.handle_failed(id(1), stopped, desk.now);
    desk.sync();
    assert!(desk.events().is_empty() && desk.ledger.holds(id(1)));
}

fn is_buried(desk: &Desk) -> bool {
    desk.disk.iter().any(|write| matches!(write, Write::PutTombstone(stone) if stone.task == id(1)))
}

/// Bury it whatever becomes of its results, and a delta skips what was lost.
#[test]
fn a_task_of_this_machine_whose_results_were_lost_is_not_remembered_as_handed_over() {
    let mut desk = Desk::new();
    let offered = Offered {
        offer: offer(1, TaskKind::DisableUser, 0),
        origin: Origin::Local(Caller::Person),
        refusal: None,
        streams_here: Vec::new(),
    };
    desk.ledger.handle_offer(offered, desk.now);
    desk.sync();
    desk.ledger.handle_concluded(id(1), success());
    desk.sync();
    desk.ledger.handle_local_taken(id(1), false);
    desk.sync();
    assert!(desk.disk.contains(&Write::DeleteTask(id(1))));
    assert!(!is_buried(&desk));
}

fn restored(origin: Origin, state: TaskState, journal: u32) -> Restored {
    let task =
        RestoredTask { offer: offer(1, TaskKind::DisableUser, 1), origin, state, journal, streams_here: Vec::new() };
    Restored { tasks: vec![task], ..Restored::default() }
}

/// F23. Announce the conclusion before the task is taken up, and the task stays in memory beside its report.
#[test]
fn f23_a_conclusion_that_lost_its_results_is_owed_at_the_start_and_the_task_goes() {
    let report = success().into_report(&offer(1, TaskKind::DisableUser, 1), Epoch(1));
    let state = TaskState::Concluded(Box::new(report));
    let mut desk = Desk::new();
    desk.ledger = Ledger::restore(
        Limits::for_systems([("acme".parse().unwrap(), 1)].into()),
        restored(Origin::Controller, state, 0),
    );
    desk.sync();
    assert_eq!(desk.ledger.held().started + desk.ledger.held().journaled, 0);
    assert!(desk.disk.iter().any(|write| matches!(write, Write::PutReport(_))));
    assert!(desk.disk.contains(&Write::DeleteTask(id(1))));
}

/// Put back what `poll_timeout` filters out and the shell wakes up for nothing, again and again.
#[test]
fn what_waits_for_something_else_than_time_wakes_nobody() {
    let failure = || Failure::new(FailureClass::Transient, "timeout", "no answer");
    let mut desk = Desk::connected();
    for n in 1..=3 {
        desk.offer(offer(n, TaskKind::ValidateUser, 1));
    }
    desk.sync();
    desk.events();
    desk.ledger.handle_failed(id(1), failure(), desk.now);
    desk.sync();
    assert_eq!(desk.events().len(), 1, "the third takes the slot");
    desk.now = at(105);
    desk.renew(LeaseVerdict::Kept);
    assert!(desk.events().is_empty());
    assert!(desk.ledger.poll_timeout().is_none_or(|when| when > desk.now), "it waits for a slot");

    let mut desk = Desk::connected();
    desk.started(1);
    desk.ledger.handle_disconnected();
    desk.ledger.handle_failed(id(1), failure(), desk.now);
    desk.now = at(110);
    assert!(desk.events().is_empty());
    assert!(desk.ledger.poll_timeout().is_none_or(|when| when > desk.now), "it waits for a lease");
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

/// Leave concluded tasks out of `leases` and the controller gives the batch to another member.
#[test]
fn the_lease_is_kept_while_results_are_on_their_way() {
    let mut desk = Desk::connected();
    desk.started(1);
    let results = StreamRef { id: StreamId::from_bytes([3; 16]), length: 1, sha256: [0; 32] };
    desk.ledger.handle_concluded(id(1), Ending { streams: vec![results], ..success() });
    desk.sync();
    desk.events();
    desk.now = at(140);
    assert!(desk.names().contains(&"Renew"));
}

#[test]
fn a_task_of_this_machine_is_not_run_behind_the_back_of_whoever_left_it() {
    let mut desk = Desk::restored(restored(Origin::Local(Caller::Person), TaskState::Journaled { unended: 0 }, 0));
    assert!(desk.events().is_empty());
    desk.sync();
    assert!(desk.disk.contains(&Write::DeleteTask(id(1))));

    let mut desk = Desk::restored(restored(Origin::Local(Caller::Person), TaskState::Started { unended: 0 }, 1));
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { why: GivenUp::Failed, .. }]), "{events:?}");
}

/// It is kept for a while, because its journal is of use if the task comes back; then what it knows is told.
#[test]
fn begun_work_whose_lease_was_lost_still_says_what_may_have_happened() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.now = at(130);
    desk.renew(LeaseVerdict::Fenced);
    assert_eq!(desk.events(), [Event::Stop(id(1))]);
    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    assert_eq!(desk.events(), []);
    desk.now = desk.ledger.poll_timeout().unwrap();
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { why: GivenUp::Failed, .. }]), "{events:?}");

    let begun = restored(Origin::Controller, TaskState::Started { unended: 0 }, 1);
    let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..begun });
    desk.connect();
    desk.renew(LeaseVerdict::Unknown);
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { why: GivenUp::Failed, .. }]), "{events:?}");
}

/// Drop it in `lose`, and what the journal could decide ends as unknown.
#[test]
fn begun_work_that_comes_back_under_a_newer_lease_goes_on_from_its_journal() {
    let begun = restored(Origin::Controller, TaskState::Started { unended: 0 }, 1);
    let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..begun });
    desk.connect();
    desk.renew(LeaseVerdict::Fenced);
    desk.offer(Offer { reconcile: true, ..offer(1, TaskKind::DisableUser, 2) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.sync();
    let events = desk.events();
    assert!(!desk.disk.contains(&Write::DeleteTask(id(1))));
    assert!(matches!(events.as_slice(), [Event::Start { offer, resumed: true, .. }] if offer.reconcile), "{events:?}");
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

/// Invariant 13: the member that had the task before may have done it.
#[test]
fn a_task_in_doubt_is_never_said_not_to_have_happened() {
    let claims = |desk: &mut Desk| -> Vec<Outcome> {
        desk.sync();
        let outcome = |frame: &FromMember| match frame {
            FromMember::Report(report) => report.outcome.known(),
            _ => None,
        };
        desk.sent().iter().filter_map(outcome).collect()
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
