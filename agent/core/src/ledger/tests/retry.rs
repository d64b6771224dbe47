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
    assert_eq!((desk.events(), desk.again.as_slice()), (vec![], [(id(1), Duration::from_secs(30))].as_slice()));
    desk.now = at(129);
    assert!(desk.events().is_empty());
    desk.now = at(130);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
}

/// Count all failures of a task, and an import of a day is given up at its fifth, however many units are done between them.
#[test]
fn a_task_that_gets_further_between_its_failures_is_not_given_up() {
    let mut desk = Desk::connected();
    desk.offer(Offer { kind: TaskKind::ImportBatch.into(), ..offer(1, TaskKind::DisableUser, 1) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    for step in 0..20 {
        desk.ledger.handle_failed(id(1), Failure::new(FailureClass::Transient, "timeout", "no answer"), desk.now);
        desk.now = desk.now + Duration::from_secs(10);
        desk.ledger.handle_timeout(desk.now);
        desk.renew(LeaseVerdict::Kept);
        assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]), "after {step} steps");
        desk.ledger.handle_record(id(1), 2, vec![JournalEntry { mark: Mark::Done, ..intent(step) }], Vec::new());
        desk.sync();
        assert_eq!(desk.events(), [Event::Recorded(2)]);
    }
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
    let interrupted = Unfinished { patience: Duration::from_secs(900), ..failure::lease_too_short().into() };
    desk.ledger.handle_failed(id(1), interrupted, desk.now);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    assert_eq!(desk.again, [], "it does not wait");
}

const SETTLE: Duration = Duration::from_secs(150);

/// An attempt that could not look, on a system where a call may take effect so long after it was begun.
fn unseen(class: FailureClass) -> Unfinished {
    Unfinished { unsettled_for: SETTLE, ..Failure::new(class, "away", "nobody is there").into() }
}

impl Desk {
    /// What is to be acted on, now and when it is on disk.
    fn all_events(&mut self) -> Vec<Event> {
        let mut events = self.events();
        self.sync();
        events.extend(self.events());
        events
    }

    /// Every attempt fails until none follows. After how many attempts, and when, the task was given up.
    fn given_up(&mut self, class: FailureClass) -> (u32, Timestamp, GivenUp) {
        let mut attempts = 0;
        for _ in 0..3_600 {
            match self.all_events().as_slice() {
                [Event::GiveUp { why, .. }] => return (attempts, self.now, *why),
                [] | [Event::Start { .. }] => (),
                other => panic!("{other:?}"),
            }
            if self.ledger.is_running() {
                attempts += 1;
                self.ledger.handle_failed(id(1), unseen(class), self.now);
            } else {
                self.now = self.now + Duration::from_secs(1);
                self.ledger.handle_timeout(self.now);
                self.renew(LeaseVerdict::Kept);
            }
        }
        panic!("it goes on for ever");
    }
}

/// Give it up with its last failure, and its account is given to another task while the call can still take effect.
#[test]
fn what_may_still_take_effect_is_looked_for_once_more_before_it_is_given_up() {
    for (class, attempts) in [(FailureClass::Transient, 6), (FailureClass::Unauthorized, 2)] {
        let mut desk = Desk::connected();
        desk.started(1);
        desk.ledger.handle_failed(id(1), unseen(class), desk.now);
        assert_eq!(desk.given_up(class), (attempts - 1, at(100) + SETTLE, GivenUp::Failed), "{class:?}");

        // Of a call of the process before it is not known when it was made.
        let held = restored(Origin::Controller, TaskState::Started { unended: 0 }, 1);
        let mut desk = Desk::restored(Restored { membership: Some(enabled(1)), ..held });
        desk.connect();
        desk.renew(LeaseVerdict::Kept);
        assert_eq!(desk.given_up(class), (attempts, at(100) + SETTLE, GivenUp::Failed), "{class:?}");
    }
}

/// Let every call be waited for, and a task that makes one more in each attempt never ends.
#[test]
fn an_attempt_that_acts_again_and_again_has_an_end() {
    let mut desk = Desk::connected();
    desk.started(1);
    for ticket in 2.. {
        assert!(ticket < 20, "it goes on for ever");
        desk.ledger.handle_failed(id(1), unseen(FailureClass::Transient), desk.now);
        desk.now = desk.now + SETTLE;
        desk.ledger.handle_timeout(desk.now);
        desk.renew(LeaseVerdict::Kept);
        if matches!(desk.all_events().as_slice(), [Event::GiveUp { .. }]) {
            break;
        }
        desk.ledger.handle_intend(id(1), ticket, intent(0), REACH, desk.now);
        desk.sync();
        assert_eq!(desk.events(), [Event::Granted(ticket)]);
    }
}

/// Count from the last call that was made, whatever became of it, and a task that is refused for good is tried ten times, 150 s
/// apart: each try is refused again, and counts as the call that may still take effect.
#[test]
fn a_call_that_is_known_to_have_had_no_effect_makes_nobody_wait_longer() {
    let refused = JournalEntry { note: vec![7], ..intent(0) };
    let mut left_open = Desk::connected();
    left_open.started(1);
    left_open.ledger.handle_failed(id(1), unseen(FailureClass::Rejected), left_open.now);
    let held = restored(Origin::Controller, TaskState::Started { unended: 0 }, 2);
    let mut after_a_restart = Desk::restored(Restored { membership: Some(enabled(1)), ..held });
    after_a_restart.connect();
    after_a_restart.renew(LeaseVerdict::Kept);
    for (mut desk, attempts) in [(left_open, 1), (after_a_restart, 2)] {
        let mut made = 0;
        loop {
            match desk.all_events().as_slice() {
                [Event::GiveUp { .. }] => break,
                [] => {
                    desk.now = desk.now + SETTLE;
                    desk.ledger.handle_timeout(desk.now);
                    desk.renew(LeaseVerdict::Kept);
                    continue;
                }
                [Event::Start { .. }] => made += 1,
                other => panic!("{other:?}"),
            }
            assert!(made <= attempts, "it is done again and again");
            desk.ledger.handle_intend(id(1), 5, refused.clone(), REACH, desk.now);
            desk.sync();
            assert_eq!(desk.events(), [Event::Granted(5)]);
            desk.ledger.handle_record(id(1), 6, vec![refused.taken_back()], Vec::new());
            desk.sync();
            assert_eq!(desk.events(), [Event::Recorded(6)]);
            desk.ledger.handle_failed(id(1), unseen(FailureClass::Rejected), desk.now);
        }
        assert_eq!(made, attempts);
    }
}

#[test]
fn what_is_known_to_have_had_no_effect_or_to_be_done_is_not_waited_for() {
    for proof in [intent(0).taken_back(), JournalEntry { mark: Mark::Done, ..intent(0) }] {
        let mut desk = Desk::connected();
        desk.started(1);
        desk.ledger.handle_record(id(1), 2, vec![proof], Vec::new());
        desk.sync();
        assert_eq!(desk.events(), [Event::Recorded(2)]);
        desk.ledger.handle_failed(id(1), unseen(FailureClass::Rejected), desk.now);
        assert!(matches!(desk.all_events().as_slice(), [Event::GiveUp { .. }]));
    }
}

/// While it waits for what may still take effect, whoever cancels it has it looked at once, a stop is not held up, and a lease
/// that is lost is lost.
#[test]
fn the_wait_for_what_may_still_take_effect_holds_nobody_up() {
    let waiting = || {
        let mut desk = Desk::connected();
        desk.started(1);
        desk.ledger.handle_failed(id(1), unseen(FailureClass::Unauthorized), desk.now);
        desk.now = at(110);
        assert!(desk.all_events().is_empty() && !desk.ledger.is_running());
        desk
    };
    let mut cancelled = waiting();
    cancelled.ledger.handle_cancel(id(1));
    assert!(matches!(cancelled.all_events().as_slice(), [Event::Start { .. }]));
    assert!(cancelled.ledger.is_unwanted(id(1), cancelled.now));

    let mut stopping = waiting();
    stopping.ledger.handle_stopping();
    stopping.now = at(100) + SETTLE;
    assert!(stopping.all_events().is_empty() && !stopping.ledger.is_running());
    assert_eq!(stopping.ledger.held().started, 1, "it is gone on with at the next start");

    let mut lost = waiting();
    lost.now = at(125);
    lost.ledger.handle_timeout(lost.now);
    lost.renew(LeaseVerdict::Fenced);
    lost.now = at(100) + SETTLE;
    lost.ledger.handle_timeout(lost.now);
    assert!(lost.all_events().is_empty(), "it may be leased to this member again");
}

/// A person who reads "submit it again" does, and the user gets a second mail.
#[test]
fn whoever_cannot_know_is_told_whom_to_look_at_first() {
    let told = |class| {
        let failure = Failure::new(class, "refused", "no").with_next_step("Mend it, and submit it again");
        to_be_looked_at(failure, "joe", "over there").next_step.to_string()
    };
    let look = "Look at `joe` over there before submitting the task again";
    assert_eq!([FailureClass::Transient, FailureClass::RateLimited].map(told), [look, look]);
    assert_eq!(told(FailureClass::Unauthorized), format!("{look}. Mend it, and submit it again"));
    assert!(told(FailureClass::Interrupted).starts_with("Mend it"), "the ledger says it by itself");

    let mut desk = Desk::connected();
    desk.offer(Offer { reconcile: true, ..offer(1, TaskKind::ExpirePassword, 1) });
    desk.sync();
    desk.renew(LeaseVerdict::Kept);
    desk.events();
    let failure = Failure::new(FailureClass::Rejected, "away", "no").with_next_step("Submit it again");
    desk.ledger.handle_failed(id(1), failure, desk.now);
    desk.sync();
    let reports = desk.reports();
    let report = reports.first().unwrap();
    assert_eq!(report.outcome.known(), Some(Outcome::Unknown));
    let next_step = report.failure.as_ref().unwrap().next_step.to_string();
    assert!(next_step.starts_with("Look at `joe@example.com` in the connected system"), "{next_step}");
}
