use postern_protocol::bounded::Text;
use postern_protocol::task::disable_user;
use postern_protocol::{Failure, FailureClass, TaskRequest};
use serde_json::{Value, json};

use super::*;
use crate::connector::Shift;
use crate::local::{self, Along};
use crate::random;
use crate::store::record;

fn teller(earlier: &[JournalEntry]) -> Teller {
    let account = Text::new("joe@acme.example").unwrap();
    let request = disable_user::Request { account, if_refused: disable_user::IfRefused::Fail.into() };
    let request = TaskRequest::DisableUser(request);
    let (task, system) = (random::task_id(), "acme".parse().unwrap());
    let offer = local::offer(task, &system, &request, Along::default()).unwrap();
    let who = Who { cluster: Some("pilot".to_owned()), member: Some("mbr_1".to_owned()) };
    Teller::new(Arc::new(who), Arc::new(offer), Origin::Controller, None, &earlier.iter().cloned().collect())
}

fn intent(step: u32, value: bool) -> JournalEntry {
    let effect = Effect::on("joe@acme.example", "005", vec![Shift::new("IsActive", !value, value)]).encode();
    JournalEntry { step, mark: Mark::Intent, note: vec![1], effect }
}

fn done(step: u32) -> JournalEntry {
    JournalEntry { mark: Mark::Done, effect: Vec::new(), ..intent(step, false) }
}

fn ending(outcome: Outcome, certainty: Certainty, changed: Changed) -> Ending {
    let failure = Failure::new(FailureClass::Rejected, "no", "no");
    Ending { outcome, certainty, changed, ..Ending::failed(failure) }
}

fn read(events: &[Vec<u8>]) -> Vec<Value> {
    events.iter().map(|event| serde_json::from_str(&record::read_audit(event).unwrap().what).unwrap()).collect()
}

/// Outcome, certainty and whether it was found, of each event.
fn told(events: &[Vec<u8>]) -> Vec<(String, String, bool)> {
    let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
    let one = |event: &Value| (text(event, "outcome"), text(event, "certainty"), event["found"] == true);
    read(events).iter().map(one).collect()
}

fn certain() -> Ending {
    ending(Outcome::Succeeded, Certainty::Certain, Changed::Yes)
}

#[test]
fn an_event_says_who_did_what_to_whom_and_for_whom() {
    let teller = teller(&[]);
    teller.intended(&intent(0, false));
    let events = read(&teller.ended(&certain()));
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let mut event = event.clone();
    let task = event.as_object_mut().unwrap().remove("task").unwrap();
    assert!(task.as_str().unwrap().starts_with("tsk_"));
    let expected = json!({
        "what": "effect", "outcome": "done", "certainty": "certain", "found": false, "epoch": 0, "attempt": event["attempt"],
        "step": 0, "cluster": "pilot", "member": "mbr_1", "system": "acme", "kind": "disable_user",
        "target": "joe@acme.example", "asked_by": "controller", "account": "joe@acme.example", "id": "005",
        "changes": [{"attribute": "IsActive", "old": true, "new": false}],
    });
    assert_eq!(event, expected);
    assert!(teller.ended(&certain()).is_empty(), "once");
}

#[test]
fn what_was_refused_or_taken_back_is_no_effect() {
    let teller = teller(&[]);
    teller.intended(&intent(0, false));
    assert!(teller.proved(&[intent(0, false).taken_back()], &Proved::Nothing).is_empty());
    assert!(teller.ended(&certain()).is_empty());
    teller.intended(&intent(0, false));
    assert!(teller.ended(&ending(Outcome::Failed, Certainty::Probable, Changed::No)).is_empty());
}

#[test]
fn a_call_that_was_made_again_is_one_effect() {
    let teller = teller(&[]);
    teller.intended(&intent(0, false));
    teller.intended(&intent(0, false));
    let events = teller.ended(&ending(Outcome::Succeeded, Certainty::Probable, Changed::Yes));
    assert_eq!(told(&events), [("done".to_owned(), "probable".to_owned(), true)]);
}

#[test]
fn what_is_found_after_a_crash_is_told_as_found() {
    let events = teller(&[intent(0, false)]).ended(&ending(Outcome::Succeeded, Certainty::Probable, Changed::Yes));
    assert_eq!(told(&events), [("done".to_owned(), "probable".to_owned(), true)]);
    assert_eq!(read(&events)[0]["changes"][0]["attribute"], "IsActive", "the intent said what it was about");
}

#[test]
fn what_nobody_can_know_is_told_as_unknown() {
    for outcome in [Outcome::Unknown, Outcome::DeadLettered] {
        let events = teller(&[intent(0, false)]).ended(&ending(outcome, Certainty::Unknown, Changed::Unknown));
        assert_eq!(told(&events), [("unknown".to_owned(), "unknown".to_owned(), false)]);
    }
}

#[test]
fn each_step_of_a_plan_is_told_when_it_is_done_and_not_again() {
    let teller = teller(&[]);
    for step in 0..2 {
        teller.intended(&intent(step, false));
        let events = teller.proved(&[done(step)], &Proved::Intended(Certainty::Certain));
        assert_eq!(told(&events).len(), 1);
        assert_eq!(read(&events)[0]["step"], step);
    }
    teller.intended(&intent(2, false));
    let events = teller.ended(&ending(Outcome::Unknown, Certainty::Unknown, Changed::Yes));
    assert_eq!(told(&events), [("unknown".to_owned(), "unknown".to_owned(), false)]);
}

/// Tell nothing of a plan that stopped, and a rename under which the agent died has no line.
#[test]
fn a_step_left_open_by_a_plan_that_stopped_is_told_as_unknown() {
    for outcome in [Outcome::PartiallySucceeded, Outcome::Failed] {
        let events = teller(&[intent(0, false)]).ended(&ending(outcome, Certainty::Certain, Changed::Yes));
        assert_eq!(told(&events), [("unknown".to_owned(), "unknown".to_owned(), false)]);
    }
}

/// Tell every open step as done, and a user who was frozen instead is told as disabled.
#[test]
fn a_success_vouches_for_the_step_that_it_is_about_and_no_other() {
    let teller = teller(&[intent(0, false)]);
    teller.intended(&intent(1, false));
    let events = teller.ended(&certain());
    let steps: Vec<Value> = read(&events).iter().map(|event| json!([event["step"], event["outcome"]])).collect();
    assert_eq!(steps, [json!([0, "unknown"]), json!([1, "done"])]);
}

/// Take the last open step for what a plan's success is about, and a password that nobody saw is told as set.
#[test]
fn the_success_of_a_plan_vouches_for_no_step_that_was_not_proved() {
    let now = teller(&[intent(1, false)]);
    now.intended(&intent(0, false));
    assert_eq!(now.proved(&[done(0)], &Proved::Intended(Certainty::Certain)).len(), 1);
    let before = teller(&[intent(0, false), done(0), intent(1, false)]);
    for teller in [now, before] {
        assert_eq!(told(&teller.ended(&certain())), [("unknown".to_owned(), "unknown".to_owned(), false)]);
    }
}

#[test]
fn each_entry_of_a_batch_is_told_with_its_unit() {
    let teller = teller(&[]);
    teller.intended(&JournalEntry { effect: Vec::new(), ..intent(3, false) });
    let entry = |number, known| (Effect { entry: Some(number), ..Effect::default() }, known);
    let entries = vec![entry(1, Known::Done(Certainty::Certain)), entry(4, Known::Unknown)];
    let events = teller.proved(&[done(3), done(3)], &Proved::Entries(entries));
    let numbers: Vec<Value> = read(&events).iter().map(|event| json!([event["step"], event["entry"]])).collect();
    assert_eq!(numbers, [json!([3, 1]), json!([3, 4])]);
    assert!(teller.ended(&certain()).is_empty());
}
