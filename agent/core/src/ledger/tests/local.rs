//! Tasks of this machine.

use super::*;

fn offer_here(desk: &mut Desk, n: u8, kind: TaskKind, caller: Caller) {
    let (offer, origin) = (offer(n, kind, 0), Origin::Local(caller));
    desk.ledger.handle_offer(Offered { offer, origin, refusal: None }, desk.now);
    desk.sync();
}

#[test]
fn a_task_of_this_machine_needs_no_controller() {
    let mut desk = Desk::new();
    offer_here(&mut desk, 1, TaskKind::DisableUser, Caller::Person);
    assert!(matches!(desk.events().as_slice(), [Event::Start { .. }]));
    desk.ledger.handle_intend(id(1), 1, intent(0), REACH, desk.now);
    desk.sync();
    assert_eq!(desk.events(), [Event::Granted(1)]);
    desk.ledger.handle_concluded(id(1), success(), desk.now);
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
        offer_here(&mut desk, n, kind, Caller::Person);
    }
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
    offer_here(&mut desk, 1, TaskKind::DisableUser, Caller::Person);
    desk.ledger.handle_concluded(id(1), success(), desk.now);
    desk.sync();
    desk.ledger.handle_local_taken(id(1), false);
    desk.sync();
    assert!(desk.disk.contains(&Write::DeleteTask(id(1))));
    assert!(!is_buried(&desk));
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

/// A member that runs a task of this machine.
fn running_for(caller: Caller) -> Desk {
    let mut desk = Desk::new();
    offer_here(&mut desk, 1, TaskKind::ValidateUser, caller);
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
