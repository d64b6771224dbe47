//! Leases: what needs one, what keeps it, and what becomes of work that lost its own.

use super::*;

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
    desk.now = at(130);
    desk.ledger.handle_renewed(&answer(&renew.unwrap(), LeaseVerdict::Kept), desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk.now = at(145);
    desk.ledger.handle_intend(id(1), 7, intent(0), REACH, desk.now);
    desk.sync();
    assert!(desk.events().is_empty(), "a lease until 160 does not cover a call until 165");
}

/// Let the oldest question go for each that comes, and an answer that takes as long as seventeen tasks is never heard.
#[test]
fn slow_answers_to_renewals_are_heard_however_many_tasks_come_meanwhile() {
    let mut desk = Desk::connected();
    desk.offer(offer(1, TaskKind::DisableUser, 1));
    desk.sync();
    let (mut asked, mut started) = (Vec::new(), Vec::new());
    for n in 2..100 {
        desk.offer(offer(n, TaskKind::ValidateUser, 1));
        desk.sync();
        for frame in desk.sent() {
            if let FromMember::Renew(renew) = frame {
                asked.push((n, renew));
            }
        }
        desk.ledger.handle_concluded(id(n), success(), desk.now);
        desk.sync();
        for (_, renew) in asked.extract_if(.., |(since, _)| *since + 20 < n) {
            desk.ledger.handle_renewed(&answer(&renew, LeaseVerdict::Kept), desk.now);
        }
        started.extend(starts(&desk.events()));
    }
    assert!(started.contains(&id(1)), "its lease was kept");
}

/// Renew as often as such leases ask for, and nothing else is ever said.
#[test]
fn leases_of_no_time_leave_room_for_other_words() {
    let mut desk = Desk::new();
    desk.ledger.handle_welcome(SessionNo(1), enabled(1), desk.now);
    desk.sync();
    desk.ledger.handle_established(ReportNo(0), Duration::ZERO, desk.now);
    desk.sync();
    desk.offer(offer(1, TaskKind::ValidateUser, 1));
    desk.sync();
    let names: Vec<&str> =
        std::iter::from_fn(|| desk.ledger.poll_transmit(desk.now)).take(10).map(|it| it.name()).collect();
    assert_eq!(names.iter().filter(|it| **it == "Renew").count(), 1, "{names:?}");
    assert!(names.contains(&"Accept"), "{names:?}");
}

/// Ask by the time of the welcome, and leases that became shorter since are over before they are renewed.
#[test]
fn leases_are_renewed_by_the_time_that_they_were_kept_for_last() {
    let mut desk = Desk::connected();
    desk.offer(offer(1, TaskKind::DisableUser, 1));
    desk.sync();
    let asked = desk.sent().into_iter().find_map(|frame| match frame {
        FromMember::Renew(renew) => Some(renew),
        _ => None,
    });
    let shorter = Renewed { ttl_ms: 15_000, ..answer(&asked.unwrap(), LeaseVerdict::Kept) };
    desk.ledger.handle_renewed(&shorter, desk.now);
    desk.now = at(104);
    assert!(!desk.names().contains(&"Renew"));
    desk.now = at(105);
    assert!(desk.names().contains(&"Renew"));
}

/// Invariant 6: believe an answer that was asked for before the pause, and the call is made under a lease of long ago.
#[test]
fn after_a_pause_of_the_host_nothing_is_begun_before_its_lease_was_asked_for_again() {
    let mut desk = Desk::connected();
    desk.offer(offer(1, TaskKind::DisableUser, 1));
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk.ledger.handle_timeout(desk.now);
    desk.now = at(121);
    let before = desk.sent().into_iter().find(|frame| matches!(frame, FromMember::Renew(_)));
    let Some(FromMember::Renew(renew)) = before else { panic!("it is due") };
    desk.ledger.handle_pause();
    desk.ledger.handle_renewed(&answer(&renew, LeaseVerdict::Kept), desk.now);
    desk.ledger.handle_intend(id(1), 7, intent(0), REACH, desk.now);
    desk.sync();
    assert_eq!(desk.events(), []);
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(desk.events(), [Event::Granted(7)]);
}

/// Leave concluded tasks out of `leases` and the controller gives the batch to another member.
#[test]
fn the_lease_is_kept_while_results_are_on_their_way() {
    let (mut desk, _) = Desk::with_results();
    desk.events();
    desk.now = at(140);
    assert!(desk.names().contains(&"Renew"));
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
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    assert!(desk.names().contains(&"Report"), "an effect is told even under an old epoch");
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

/// What is told of the lease that was lost would be taken for the outcome of the new one.
#[test]
fn what_is_being_given_up_and_comes_back_is_gone_on_with() {
    let mut desk = Desk::connected();
    desk.started(1);
    desk.now = at(130);
    desk.renew(LeaseVerdict::Fenced);
    desk.ledger.handle_failed(id(1), failure::lease_too_short(), desk.now);
    desk.now = desk.ledger.poll_timeout().unwrap();
    desk.ledger.handle_timeout(desk.now);
    let events = desk.events();
    assert!(matches!(events.as_slice(), [.., Event::GiveUp { .. }]), "{events:?}");
    desk.offer(Offer { reconcile: true, ..offer(1, TaskKind::DisableUser, 3) });
    desk.sync();
    assert_eq!(desk.events(), [Event::Stop(id(1))]);
    desk.ledger.handle_concluded(id(1), Ending::unknown(failure::fenced()), desk.now);
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    desk.sync();
    let events = desk.events();
    assert!(matches!(events.as_slice(), [Event::Start { resumed: true, .. }]), "{events:?}");
    assert!(!desk.disk.iter().any(|write| matches!(write, Write::PutReport(_))));
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
