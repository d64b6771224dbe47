//! Taking users out of use and putting them back: plans of several steps that are resumed wherever they stopped.

use std::time::Duration;

use postern_agent::connector::{Conclusion, Mark};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::deprovision_user::{self, Stage};
use postern_protocol::task::import_batch::Format;
use postern_protocol::task::restore_user;
use postern_protocol::{FailureClass, Outcome, TaskOutput};
use salesforce_sim::{ADMIN, Effects, Mishap, OrgSeed, UserSeed};
use serde_json::json;

use crate::lab::{
    DONE, Death, Lab, PROBABLY_DONE, Task, UNKNOWN, dead_anywhere, deprovision, deprovision_as, disable, import_as,
    reset, restore, verdict,
};

const USER: &str = "user0001@acme.example";
const GONE: &str = "user0001@acme.example.deleted";
const INACTIVE: &str = "user0010@acme.example";
const OLD_PASSWORD: &str = "Welcome-0001";
const NEW: &str = "Correct-Horse-7";
const OTHER_PASSWORD: &str = "Another-Horse-8";
const DEAD_LETTERS: &str = "dead.letters@acme.example";
const SATISFIED: (Outcome, Certainty, Changed) = (Outcome::AlreadySatisfied, Certainty::Certain, Changed::No);
const PARTLY: (Outcome, Certainty, Changed) = (Outcome::PartiallySucceeded, Certainty::Certain, Changed::Yes);

fn gone(conclusion: &Conclusion) -> (Stage, bool, bool) {
    match &conclusion.output {
        Some(TaskOutput::DeprovisionUser(deprovision_user::Output {
            stage, email_pending, password_replaced, ..
        })) => (stage.known().unwrap(), *email_pending, *password_replaced),
        other => panic!("{other:?}: {:?}", conclusion.failure),
    }
}

fn back(conclusion: &Conclusion) -> (&str, bool, bool) {
    match &conclusion.output {
        Some(TaskOutput::RestoreUser(restore_user::Output { account, email_pending, password_set, .. })) => {
            (account.as_str(), *email_pending, *password_set)
        }
        other => panic!("{other:?}: {:?}", conclusion.failure),
    }
}

fn code(conclusion: &Conclusion) -> &str {
    conclusion.failure.as_ref().unwrap().code.as_str()
}

/// What Salesforce counted of a plan that ran once: updates, deactivations, passwords.
fn effects(lab: &Lab) -> (u64, u64, u64) {
    let effects = lab.effects(GONE);
    (effects.updates, effects.deactivations, effects.password_sets)
}

#[tokio::test]
async fn a_user_is_renamed_given_an_unknown_password_and_disabled() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = deprovision(USER, "");
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), gone(&conclusion)), (DONE, (Stage::Done, false, true)));
    assert_eq!((task.intents(), conclusion.sealed.len()), (3, 0));
    let user = lab.sim.user(GONE).unwrap();
    assert!(!user.active && lab.sim.user(USER).is_none() && !lab.sim.password_is(GONE, OLD_PASSWORD));
    assert_eq!(effects(&lab), (2, 1, 1));

    let again = deprovision(USER, "").attempt(&connector).await.unwrap();
    assert_eq!((verdict(&again), gone(&again).0), (SATISFIED, Stage::Done));
    assert_eq!(effects(&lab), (2, 1, 1));
}

/// The human step of the identity suites' scenario: nothing is claimed before the link was clicked.
/// Feature B12.
#[tokio::test]
async fn a_changed_address_is_waited_for_and_the_same_task_goes_on_after_it() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let conclusion = deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), code(&conclusion)), (PARTLY, "email_confirmation_pending"));
    assert_eq!(gone(&conclusion), (Stage::WaitingForConfirmation, true, true));
    assert!(conclusion.failure.unwrap().next_step.contains("submit the same again"));
    let waiting = lab.sim.user(GONE).unwrap();
    assert!(waiting.active && !lab.sim.password_is(GONE, OLD_PASSWORD));
    assert_eq!(waiting.pending_email.as_deref(), Some(DEAD_LETTERS));

    let early = deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap();
    assert_eq!((early.outcome, gone(&early).0), (Outcome::PartiallySucceeded, Stage::WaitingForConfirmation));
    assert_eq!(lab.effects(GONE).updates, 1, "no second mail while the first one's link works");

    lab.sim.confirm_email(GONE).unwrap();
    let conclusion = deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), gone(&conclusion)), (DONE, (Stage::Done, false, true)));
    let user = lab.sim.user(GONE).unwrap();
    assert_eq!((user.active, user.text("Email")), (false, DEAD_LETTERS));
    let again = deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap();
    assert_eq!(verdict(&again), SATISFIED);
}

#[tokio::test]
async fn a_disabled_user_needs_neither_a_password_nor_a_confirmation() {
    let lab = Lab::start().await;
    let conclusion = deprovision(INACTIVE, DEAD_LETTERS).attempt(&lab.connector()).await.unwrap();
    assert_eq!((verdict(&conclusion), gone(&conclusion)), (DONE, (Stage::Done, false, false)));
    let user = lab.sim.user(&format!("{INACTIVE}.deleted")).unwrap();
    assert_eq!((user.text("Email"), user.effects.updates, user.effects.password_sets), (DEAD_LETTERS, 1, 0));
}

/// How a plan ends after this death. A step whose call may have been made is looked for.
fn once_more(task: &Task, death: Death) -> (Outcome, Certainty, Changed) {
    if task.is_open() && matches!(death, Death::After(_)) { PROBABLY_DONE } else { DONE }
}

/// F03: death in front of each call. F05: death behind it, before it is noted as done. Nothing is done twice.
#[tokio::test]
async fn f05_a_plan_is_resumed_at_the_first_step_that_is_not_proved() {
    let deaths = dead_anywhere(async |death| {
        let lab = Lab::start().await;
        let connector = lab.connector();
        let mut task = deprovision(USER, "");
        task.dies = Some(death);
        let first = task.attempt(&connector).await;
        let expected = once_more(&task, death);
        for expected in [expected, DONE] {
            let conclusion = task.attempt(&connector).await.unwrap();
            assert_eq!((verdict(&conclusion), gone(&conclusion)), (expected, (Stage::Done, false, true)), "{death:?}");
            assert_eq!(effects(&lab), (2, 1, 1), "{death:?}");
        }
        first.is_ok()
    });
    assert!(deaths.await >= 10);
}

/// Let `seen` note nothing, and the audit log never tells of the rename.
#[tokio::test]
async fn f05_a_step_that_is_seen_after_a_crash_is_noted_before_the_plan_stops() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = deprovision(USER, DEAD_LETTERS);
    task.dies = Some(Death::After(1));
    task.attempt(&connector).await.unwrap_err();
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((conclusion.outcome, code(&conclusion)), (Outcome::PartiallySucceeded, "email_confirmation_pending"));
    assert!(task.notes.lock().unwrap().iter().any(|entry| (entry.step, entry.mark) == (0, Mark::Done)));
    assert_eq!(lab.effects(GONE).updates, 1);
}

/// The name is of another task, and somebody disabled the user: whether the password was set is not known.
#[tokio::test]
async fn what_others_did_to_a_user_passes_for_no_step_that_is_open() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut other = deprovision(USER, "");
    other.dies = Some(Death::After(3));
    other.attempt(&connector).await.unwrap_err();
    let mut task = deprovision(USER, "");
    task.dies = Some(Death::AtIntent(1));
    task.attempt(&connector).await.unwrap_err();
    disable(GONE).attempt(&connector).await.unwrap();
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), (Outcome::Succeeded, Certainty::Probable, Changed::Unknown));
}

/// F04 and F66 for each call.
#[tokio::test]
async fn f04_a_lost_answer_in_a_plan_is_found_out_by_reading() {
    for (method, path) in [("PATCH", "/sobjects/User/"), ("POST", "/password")] {
        let lab = Lab::start().await;
        lab.fault(method, path, Mishap::DropReply, 2);
        let conclusion = deprovision(USER, "").attempt(&lab.connector()).await.unwrap();
        assert_eq!((verdict(&conclusion), gone(&conclusion).0), (PROBABLY_DONE, Stage::Done), "{method} {path}");
        assert_eq!(effects(&lab), (2, 1, 1), "{method} {path}");
    }
    let lab = Lab::start().await;
    lab.fault("POST", "/password", Mishap::Refuse, 100);
    let conclusion = deprovision(USER, "").attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Unknown, Changed::Yes));
    assert_eq!(gone(&conclusion), (Stage::Renamed, false, false));
    lab.sim.clear_faults();
    let conclusion = deprovision(USER, "").attempt(&lab.connector()).await.unwrap();
    assert_eq!((verdict(&conclusion), effects(&lab)), (DONE, (2, 1, 1)));
}

#[tokio::test]
async fn another_member_goes_on_with_what_it_finds() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut here = deprovision(USER, "");
    here.dies = Some(Death::After(3));
    here.attempt(&connector).await.unwrap_err();
    let mut elsewhere = deprovision(USER, "");
    elsewhere.reconcile = true;
    let conclusion = elsewhere.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), effects(&lab)), (PROBABLY_DONE, (2, 1, 1)));
}

#[tokio::test]
async fn f67_a_name_that_is_taken_is_told_with_where() {
    let mut org = OrgSeed::acme(3);
    org.users[2].username = GONE.to_owned();
    org.users[2].fields.insert("CommunityNickname".to_owned(), "another".into());
    let lab = Lab::with_org(org).await;
    let taken = UserSeed { username: "user0003@acme.example.deleted".to_owned(), ..UserSeed::default() };
    lab.sim.add_org(&OrgSeed { name: "Globex".to_owned(), users: vec![taken], ..OrgSeed::default() }).unwrap();
    let connector = lab.connector();
    for (user, code) in [(USER, "username_taken_here"), ("user0003@acme.example", "username_taken_elsewhere")] {
        let failure = deprovision(user, "").attempt(&connector).await.unwrap_err();
        assert_eq!((failure.class.known(), failure.code.as_str()), (Some(FailureClass::Rejected), code));
        assert!(failure.next_step.contains("another name"));
        assert_eq!(lab.effects(user).updates, 0);
    }
    let long = format!("{}@acme.example", "x".repeat(70));
    for (user, code) in
        [(ADMIN, "service_account_protected"), ("nobody@acme.example", "user_not_found"), (&long, "name_too_long")]
    {
        assert_eq!(deprovision(user, "").attempt(&connector).await.unwrap_err().code.as_str(), code);
    }
    assert_eq!(lab.effects(ADMIN).updates, 0);
}

/// The name that was freed is for somebody else, who may have it when the same is submitted again.
#[tokio::test]
async fn a_user_who_waits_is_found_by_its_present_name_when_the_former_is_somebody_elses() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap();
    lab.sim.confirm_email(GONE).unwrap();
    restore("user0002@acme.example", USER, "", None).attempt(&connector).await.unwrap();
    let failure = deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "username_taken_here");
    assert!(
        failure.next_step.contains("present name as `account` and as `new_name`"),
        "{}",
        failure.next_step.as_str()
    );
    let conclusion = deprovision_as(GONE, GONE, DEAD_LETTERS).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), gone(&conclusion)), (DONE, (Stage::Done, false, true)));
    assert!(lab.sim.user(USER).unwrap().active, "whoever has the name now stays as they are");
}

#[tokio::test]
async fn a_user_whom_the_org_cannot_do_without_stops_the_plan_before_its_end() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = deprovision(USER, "");
    task.dies = Some(Death::After(5));
    task.attempt(&connector).await.unwrap_err();
    let blocker = Mishap::Respond { status: 400, code: Some("DEPENDENCY_EXISTS".to_owned()), message: None };
    lab.fault("PATCH", "/sobjects/User/", blocker, 1);
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), code(&conclusion)), (PARTLY, "DEPENDENCY_EXISTS"));
    assert_eq!(gone(&conclusion), (Stage::PasswordReplaced, false, true));
    assert!(conclusion.failure.unwrap().summary.contains("stands in the way"));
}

/// Stop at the password, and a leaver of a single sign-on keeps access for ever: each submission is refused alike.
#[tokio::test]
async fn a_password_that_salesforce_does_not_set_does_not_keep_the_user_active() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let refusal = |code: &str| Mishap::Respond { status: 400, code: Some(code.to_owned()), message: None };
    lab.fault("POST", "/password", refusal("INVALID_SSO_USER"), 1);
    let conclusion = deprovision(USER, "").attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), code(&conclusion)), (PARTLY, "INVALID_SSO_USER"));
    assert_eq!(gone(&conclusion), (Stage::Done, false, false));
    assert!(!lab.sim.user(GONE).unwrap().active);
    assert!(conclusion.failure.unwrap().next_step.contains("former password"));
    let again = deprovision(USER, "").attempt(&connector).await.unwrap();
    assert_eq!((verdict(&again), gone(&again)), (SATISFIED, (Stage::Done, false, false)));

    lab.fault("POST", "/password", refusal("INVALID_SSO_USER"), 1);
    let (piece, why) = ("IsActive".to_owned(), "DEPENDENCY_EXISTS".to_owned());
    let blocker = Mishap::RespondAt { piece, status: 400, code: why, message: String::new() };
    lab.fault("PATCH", "/sobjects/User/", blocker, 10);
    let stuck = deprovision("user0002@acme.example", "").attempt(&connector).await.unwrap();
    assert_eq!((verdict(&stuck), code(&stuck)), (PARTLY, "DEPENDENCY_EXISTS"));
    assert_eq!(gone(&stuck), (Stage::Renamed, false, false));
}

/// Take it for the password's, and the leaver is disabled with the former one, which nobody has refused to replace.
#[tokio::test]
async fn a_session_that_is_refused_says_nothing_of_the_password() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let refusal = |status, code: &str| Mishap::Respond { status, code: Some(code.to_owned()), message: None };
    lab.fault("POST", "/password", refusal(401, "INVALID_SESSION_ID"), 2);
    let conclusion = deprovision(USER, "").attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), code(&conclusion)), (PARTLY, "INVALID_SESSION_ID"));
    assert_eq!(gone(&conclusion), (Stage::Renamed, false, false));
    assert!(lab.sim.user(GONE).unwrap().active);

    // Of the sign-in that follows, nothing that it is refused with.
    lab.fault("POST", "/password", refusal(401, "INVALID_SESSION_ID"), 1);
    let token = json!({"error": "unheard_of", "error_description": "of the sign-in"}).to_string();
    lab.fault("POST", "/oauth2/token", Mishap::OtherReply { status: 400, body: token }, 1);
    let conclusion = deprovision("user0002@acme.example", "").attempt(&connector).await.unwrap();
    assert_eq!((code(&conclusion), gone(&conclusion)), ("unheard_of", (Stage::Renamed, false, false)));
}

/// Remember nothing of the refusal, and whoever goes on when the user is disabled tells that all was done.
#[tokio::test]
async fn f05_a_password_that_was_refused_is_told_whenever_the_process_dies() {
    let deaths = dead_anywhere(async |death| {
        let lab = Lab::start().await;
        let connector = lab.connector();
        let refusal = Mishap::Respond { status: 400, code: Some("INVALID_SSO_USER".to_owned()), message: None };
        lab.fault("POST", "/password", refusal, 100);
        let mut task = deprovision(USER, "");
        task.dies = Some(death);
        let first = task.attempt(&connector).await;
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!(conclusion.outcome, Outcome::PartiallySucceeded, "{death:?}");
        assert_eq!(
            (code(&conclusion), gone(&conclusion)),
            ("INVALID_SSO_USER", (Stage::Done, false, false)),
            "{death:?}"
        );
        first.is_ok()
    });
    assert!(deaths.await >= 8);
}

/// Where a password must be a day old, the second submission must not fail for the password of the first.
#[tokio::test]
async fn a_password_that_may_not_be_changed_again_yet_does_not_keep_the_user_active() {
    let mut org = OrgSeed::acme(3);
    org.password_policy.one_day_minimum = true;
    let lab = Lab::with_org(org).await;
    // No assertion is good for so long.
    let connector = lab.connector_with(&lab.settings("soap"));
    lab.sim.advance(Duration::from_secs(25 * 60 * 60));
    let conclusion = deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), gone(&conclusion)), (PARTLY, (Stage::WaitingForConfirmation, true, true)));
    lab.sim.confirm_email(GONE).unwrap();
    let conclusion = deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), gone(&conclusion)), (DONE, (Stage::Done, false, false)));
    assert!(!lab.sim.user(GONE).unwrap().active);
}

/// Feature B12.
#[tokio::test]
async fn a_user_is_put_back_in_one_task() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    deprovision(INACTIVE, DEAD_LETTERS).attempt(&connector).await.unwrap();
    let present = format!("{INACTIVE}.deleted");
    let mut task = restore(&present, INACTIVE, INACTIVE, Some(NEW));
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), back(&conclusion)), (DONE, (INACTIVE, false, true)));
    assert_eq!(task.intents(), 2);
    let user = lab.sim.user(INACTIVE).unwrap();
    assert!(user.active && lab.sim.password_is(INACTIVE, NEW));
    assert_eq!((user.text("Email"), user.effects.activations, user.effects.password_sets), (INACTIVE, 1, 1));

    let again = restore(&present, INACTIVE, INACTIVE, None).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&again), back(&again)), (SATISFIED, (INACTIVE, false, false)));
}

/// An address of an active user is never claimed to be changed.
/// Feature B12.
#[tokio::test]
async fn a_pending_address_of_a_user_put_back_is_told() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    deprovision(USER, DEAD_LETTERS).attempt(&connector).await.unwrap();
    lab.sim.confirm_email(GONE).unwrap();
    let conclusion = restore(GONE, USER, USER, None).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), back(&conclusion)), (DONE, (USER, true, false)));
    assert_eq!(lab.sim.user(USER).unwrap().text("Email"), DEAD_LETTERS);
    lab.sim.confirm_email(USER).unwrap();
    let again = restore(GONE, USER, USER, None).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&again), back(&again)), (SATISFIED, (USER, false, false)));
}

/// Take any change of the user for the sending of its address, and a mail is waited for that nobody ever gets.
#[tokio::test]
async fn only_an_address_that_was_sent_is_waited_for() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let pending = |name: &str| lab.sim.user(name).unwrap().pending_email.clone();
    let mut first = deprovision(USER, "");
    first.dies = Some(Death::After(5));
    first.attempt(&connector).await.unwrap_err();
    let blocker = Mishap::Respond { status: 400, code: Some("DEPENDENCY_EXISTS".to_owned()), message: None };
    lab.fault("PATCH", "/sobjects/User/", blocker, 1);
    first.attempt(&connector).await.unwrap();
    let mistyped = "mistyped@acme.example";
    for (address, updates) in [(mistyped, 2), (DEAD_LETTERS, 3), (DEAD_LETTERS, 3), (mistyped, 4)] {
        let conclusion = deprovision(USER, address).attempt(&connector).await.unwrap();
        assert_eq!(
            (conclusion.outcome, code(&conclusion)),
            (Outcome::PartiallySucceeded, "email_confirmation_pending")
        );
        assert_eq!(pending(GONE).as_deref(), Some(address));
        assert_eq!(lab.effects(GONE).updates, updates, "{address}");
    }

    let other = "user0002@acme.example";
    for expected in [DONE, SATISFIED] {
        let conclusion = restore(other, other, DEAD_LETTERS, None).attempt(&connector).await.unwrap();
        assert_eq!((verdict(&conclusion), back(&conclusion)), (expected, (other, true, false)));
        assert_eq!(pending(other).as_deref(), Some(DEAD_LETTERS));
    }
}

/// Salesforce shows nowhere that an address waits. Take a user that somebody else changed meanwhile for one that got the mail, and
/// nobody ever gets it.
#[tokio::test]
async fn an_address_whose_sending_had_no_answer_is_sent_again() {
    for (mishap, updates) in [(Mishap::DropReply, 3), (Mishap::Refuse, 2)] {
        let lab = Lab::start().await;
        let patient = lab.settings("oauth-jwt").replace("settle_ms = 10", "settle_ms = 4500");
        let (connector, others) = (lab.connector_with(&patient), lab.connector());
        restore(USER, GONE, "", None).attempt(&connector).await.unwrap();
        let before = lab.effects(GONE).updates;
        lab.fault("PATCH", "/sobjects/User/", mishap, 1);
        let mut restored = restore(GONE, GONE, DEAD_LETTERS, None);
        let mut titled = import_as(Format::Jsonl, format!("{{\"Username\":\"{GONE}\",\"Title\":\"x\"}}"));
        let somebody_else = async {
            while lab.sim.faults() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            titled.attempt(&others).await.unwrap();
        };
        let (conclusion, ()) = tokio::join!(restored.attempt(&connector), somebody_else);
        let conclusion = conclusion.unwrap();
        assert_eq!(conclusion.certainty, Certainty::Certain);
        assert_eq!(lab.sim.user(GONE).unwrap().pending_email.as_deref(), Some(DEAD_LETTERS));
        assert_eq!(lab.effects(GONE).updates - before, updates);
    }
}

/// Take an address that was announced for one that was sent, and everybody waits for a mail that nobody ever gets.
#[tokio::test]
async fn f05_an_address_that_was_only_announced_is_sent_by_the_next_attempt() {
    let restored: fn() -> Task = || restore(GONE, GONE, DEAD_LETTERS, None);
    let deprovisioned: fn() -> Task = || deprovision(USER, DEAD_LETTERS);
    for (task, outcome) in [(restored, Outcome::Succeeded), (deprovisioned, Outcome::PartiallySucceeded)] {
        let deaths = dead_anywhere(async |death| {
            let lab = Lab::start().await;
            let connector = lab.connector();
            restore(USER, GONE, "", None).attempt(&connector).await.unwrap();
            let mut task = task();
            task.dies = Some(death);
            let first = task.attempt(&connector).await;
            let conclusion = task.attempt(&connector).await.unwrap();
            assert_eq!(conclusion.outcome, outcome, "{death:?}");
            assert_eq!(lab.sim.user(GONE).unwrap().pending_email.as_deref(), Some(DEAD_LETTERS), "{death:?}");
            first.is_ok()
        });
        assert!(deaths.await >= 4);
    }
}

/// Salesforce shows nowhere that an address waits, and an attempt that was told to stop sends none.
#[tokio::test]
async fn of_an_address_that_was_only_announced_it_is_not_known_after_a_stop_whether_it_was_sent() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = restore(USER, USER, DEAD_LETTERS, None);
    task.dies = Some(Death::AtIntent(1));
    task.attempt(&connector).await.unwrap_err();
    task.stop.cancel();
    let failure = task.attempt(&connector).await.unwrap_err();
    assert_eq!((failure.class.known(), lab.effects(USER).updates), (Some(FailureClass::Interrupted), 0));
    assert!(task.is_open(), "whoever goes on sends it");
}

/// F03 to F05 for both calls.
#[tokio::test]
async fn f05_putting_back_is_resumed_and_nothing_is_done_twice() {
    let deaths = dead_anywhere(async |death| {
        let lab = Lab::start().await;
        let connector = lab.connector();
        disable(USER).attempt(&connector).await.unwrap();
        let mut task = restore(USER, "ada@acme.example", "", Some(NEW));
        task.dies = Some(death);
        let first = task.attempt(&connector).await;
        let expected = once_more(&task, death);
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!(
            (verdict(&conclusion), back(&conclusion)),
            (expected, ("ada@acme.example", false, true)),
            "{death:?}"
        );
        let effects = lab.effects("ada@acme.example");
        assert_eq!((effects.activations, effects.updates, effects.password_sets), (1, 2, 1), "{death:?}");
        first.is_ok()
    });
    assert!(deaths.await >= 7);
    for (method, path) in [("PATCH", "/sobjects/User/"), ("POST", "/password")] {
        let lab = Lab::start().await;
        let connector = lab.connector();
        disable(USER).attempt(&connector).await.unwrap();
        lab.fault(method, path, Mishap::DropReply, 1);
        let conclusion = restore(USER, "ada@acme.example", "", Some(NEW)).attempt(&connector).await.unwrap();
        assert_eq!(verdict(&conclusion), PROBABLY_DONE);
        let effects = lab.effects("ada@acme.example");
        assert_eq!((effects.activations, effects.password_sets), (1, 1));
    }
}

#[tokio::test]
async fn what_keeps_a_user_from_coming_back_is_told() {
    let mut org = OrgSeed::acme(20);
    org.licenses[0].total = 19;
    let lab = Lab::with_org(org).await;
    let connector = lab.connector();
    for (present, name, code) in [
        (INACTIVE, "ada@acme.example", "LICENSE_LIMIT_EXCEEDED"),
        (USER, "user0002@acme.example", "username_taken_here"),
        ("nobody@acme.example", "nobody.either@acme.example", "user_not_found"),
        (ADMIN, "boss@acme.example", "service_account_protected"),
    ] {
        let failure = restore(present, name, "", None).attempt(&connector).await.unwrap_err();
        assert_eq!(failure.code.as_str(), code);
        assert!(!failure.next_step.is_empty(), "{code}");
    }
    let conclusion = restore(USER, "ada@acme.example", "", Some("short")).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), code(&conclusion)), (PARTLY, "INVALID_NEW_PASSWORD"));
    assert_eq!(back(&conclusion), ("ada@acme.example", false, false));
}

/// Change whoever bears the name, and somebody else gets what is meant for the user who had it before.
#[tokio::test]
async fn who_bears_the_name_by_now_is_not_put_back_in_place_of_who_had_it() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    for (name, email, password) in [(USER, DEAD_LETTERS, None), (USER, "", Some(NEW)), (INACTIVE, "", None)] {
        let failure = restore(GONE, name, email, password).attempt(&connector).await.unwrap_err();
        assert_eq!((failure.class.known(), failure.code.as_str()), (Some(FailureClass::Rejected), "user_not_found"));
        assert!(failure.next_step.contains(&format!("`account` {name}")), "{}", failure.next_step.as_str());
        assert_eq!(lab.effects(name), Effects::default());
    }
    assert!(lab.sim.password_is(USER, OLD_PASSWORD) && lab.sim.user(USER).unwrap().pending_email.is_none());
    let there = restore(GONE, USER, "", None).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&there), back(&there)), (SATISFIED, (USER, false, false)));

    let mut here = restore(USER, "ada@acme.example", "", Some(NEW));
    here.dies = Some(Death::After(1));
    here.attempt(&connector).await.unwrap_err();
    let mut elsewhere = restore(USER, "ada@acme.example", "", Some(NEW));
    elsewhere.taken_over(Duration::from_secs(60));
    assert_eq!(elsewhere.attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);
    assert!(lab.sim.password_is("ada@acme.example", NEW), "another member goes on with what it finds");
}

/// A member that died held the task and may have done nothing of it; the service account changed whoever bears the name before
/// that. Take him for the one whom the task renamed, and he gets the password and the address of another.
#[tokio::test]
async fn whoever_bears_the_name_after_a_takeover_is_put_back_only_if_the_task_may_have_renamed_him() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    reset(USER, OTHER_PASSWORD).attempt(&connector).await.unwrap();
    lab.sim.advance(Duration::from_secs(60));
    let before = lab.effects(USER);
    for (email, password) in [(DEAD_LETTERS, None), ("", Some(NEW))] {
        let mut task = restore(GONE, USER, email, password);
        task.taken_over(Duration::from_secs(20));
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!(verdict(&conclusion), UNKNOWN);
        let failure = conclusion.failure.unwrap();
        assert_eq!(failure.code.as_str(), "user_not_found");
        for told in [format!("`{USER}` (Id "), format!("`account` {USER}")] {
            assert!(failure.next_step.contains(&told), "{}", failure.next_step.as_str());
        }
        assert_eq!((lab.effects(USER), task.intents()), (before, 0));
    }
    assert!(lab.sim.password_is(USER, OTHER_PASSWORD) && lab.sim.user(USER).unwrap().pending_email.is_none());
}
