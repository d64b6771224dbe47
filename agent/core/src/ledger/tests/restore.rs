//! Going on from what a store held, and giving up what the process dies of.

use super::*;

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
        desk.ledger.handle_record(id(1), ticket, vec![entry], Vec::new());
        desk.sync();
        assert!(!desk.disk.contains(&forgotten));
    }
    desk.ledger.handle_record(id(1), 6, vec![JournalEntry { mark: Mark::Unchanged, ..intent(0) }], Vec::new());
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

/// Take it for one that nobody has begun, and it is given up while it waits for what the other member sent.
#[test]
fn f10_a_batch_that_was_taken_over_is_given_up_as_late_as_one_that_was_begun() {
    let is_given_up = |unended| {
        let mut held = restored(Origin::Controller, TaskState::Journaled { unended }, 1);
        let offer = &mut held.tasks[0].offer;
        (offer.kind, offer.reconcile) = (TaskKind::ImportBatch.into(), true);
        matches!(Desk::restored(held).events().as_slice(), [Event::GiveUp { why: GivenUp::ProcessDied, .. }])
    };
    assert_eq!([2, 19, 20].map(is_given_up), [false, false, true]);
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

/// Let what only reads go without a lease here as well, and it runs before anybody said that it still may.
#[test]
fn after_a_restart_nothing_starts_before_its_lease_is_renewed() {
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
    assert_eq!(started(&mut desk), []);
    desk.renew(LeaseVerdict::Kept);
    assert_eq!(started(&mut desk), [id(1)]);
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

/// Keep their leases, and nobody ever does them: here they have no slot.
#[test]
fn tasks_of_a_system_that_is_not_configured_any_more_are_left_to_whoever_has_it() {
    let held_for_gone = |state, journal| {
        let mut held = Restored { membership: Some(enabled(1)), ..restored(Origin::Controller, state, journal) };
        held.tasks[0].offer.system = "gone".parse().unwrap();
        let mut desk = Desk::restored(held);
        desk.connect();
        desk
    };
    let mut unbegun = held_for_gone(TaskState::Journaled { unended: 0 }, 0);
    assert_eq!(unbegun.names(), ["Reject", "Credit"]);
    assert!(unbegun.disk.contains(&Write::DeleteTask(id(1))));

    let mut begun = held_for_gone(TaskState::Started { unended: 0 }, 1);
    assert!(!begun.names().contains(&"Renew"), "whoever serves it gets it when the lease has run out");
    begun.now = begun.now + begun.ledger.limits.lost_patience;
    begun.ledger.handle_timeout(begun.now);
    let events = begun.events();
    assert!(matches!(events.as_slice(), [Event::GiveUp { .. }]), "what its journal knows is told: {events:?}");

    let mut served = Desk::restored(Restored {
        membership: Some(enabled(1)),
        ..restored(Origin::Controller, TaskState::Started { unended: 0 }, 1)
    });
    served.connect();
    assert!(served.names().contains(&"Renew"));
}
