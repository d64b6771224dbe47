//! Looking a user up, enabling, disabling, with every way an answer can be lost.

use postern_agent::connector::{Conclusion, Earlier};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{FailureClass, Outcome, TaskOutput};
use salesforce_sim::{ADMIN, Mishap, OrgSeed, Switches};
use tokio_util::sync::CancellationToken;

use crate::lab::{
    DONE, Death, Lab, PROBABLY_DONE, Task, UNKNOWN, dead_anywhere, disable, disable_or_freeze, enable, expire, freeze,
    reset, reset_by_service, reset_generated, validate, verdict,
};

const ACTIVE: &str = "user0001@acme.example";
const OTHER: &str = "user0002@acme.example";
const INACTIVE: &str = "user0010@acme.example";

/// Feature B2.
#[tokio::test]
async fn a_user_is_found_in_any_case_with_what_is_known_of_it() {
    let mut org = OrgSeed::acme(2);
    org.users[1].frozen = true;
    let lab = Lab::with_org(org).await;
    let conclusion = validate("USER0001@acme.example").attempt(&lab.connector()).await.unwrap();
    assert_eq!(verdict(&conclusion), (Outcome::Succeeded, Certainty::Certain, Changed::No));
    let Some(TaskOutput::ValidateUser(output)) = conclusion.output else { panic!() };
    let user = output.user.unwrap();
    assert_eq!(user.account.as_str(), ACTIVE);
    assert!(user.id.starts_with("005") && user.active);
    assert_eq!((user.frozen, user.locked), (Some(true), Some(false)));
    assert_eq!((user.profile.as_str(), user.license.as_str()), ("Standard User", "Salesforce"));
    assert_eq!((user.role.as_str(), user.user_type.as_str()), ("Sales Manager", "Standard"));
    assert_eq!((user.email.as_str(), user.last_login.as_str()), (ACTIVE, ""));
    let conclusion = validate(ADMIN).attempt(&lab.connector()).await.unwrap();
    let Some(TaskOutput::ValidateUser(output)) = conclusion.output else { panic!() };
    let user = output.user.unwrap();
    assert!(user.last_login.starts_with("20") && user.last_login.ends_with('Z'), "{user:?}");
}

/// Feature B2.
#[tokio::test]
async fn not_finding_a_user_is_an_answer() {
    let lab = Lab::start().await;
    for name in ["nobody@acme.example", "o'neil@acme.example", "' OR Username != '", "back\\slash@acme.example"] {
        let conclusion = validate(name).attempt(&lab.connector()).await.unwrap();
        let Some(TaskOutput::ValidateUser(output)) = conclusion.output else { panic!() };
        assert_eq!(output.user, None, "{name}");
    }
}

/// Feature B3.
#[tokio::test]
async fn enabling_and_disabling_change_once_and_then_say_so() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let conclusion = disable(ACTIVE).attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), DONE);
    assert_eq!(lab.sim.user(ACTIVE).unwrap().fields["IsActive"], false);
    let again = disable(ACTIVE).attempt(&connector).await.unwrap();
    assert_eq!(verdict(&again), (Outcome::AlreadySatisfied, Certainty::Certain, Changed::No));
    let mut task = enable(INACTIVE);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), DONE);
    assert_eq!(task.intents(), 1);
    assert_eq!((lab.effects(ACTIVE).deactivations, lab.effects(INACTIVE).activations), (1, 1));
}

#[tokio::test]
async fn a_refused_change_names_what_stands_in_the_way() {
    let mut org = OrgSeed::acme(20);
    org.licenses[0].total = 19;
    let lab = Lab::with_org(org).await;
    let connector = lab.connector();
    let failure = enable(INACTIVE).attempt(&connector).await.unwrap_err();
    assert_eq!(
        (failure.class.known(), failure.code.as_str()),
        (Some(FailureClass::Rejected), "LICENSE_LIMIT_EXCEEDED")
    );
    assert!(!failure.next_step.is_empty());

    let failure = disable(ADMIN).attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "service_account_protected");
    let failure = disable("nobody@acme.example").attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "user_not_found");
    assert_eq!(lab.effects(ADMIN).updates, 0);
}

/// The codes that stand for a user the org cannot do without, and the word of the next step for each.
const BLOCKERS: [(&str, &str); 4] = [
    ("CANNOT_DISABLE_LAST_ADMIN", "administrator"),
    ("FIELD_INTEGRITY_EXCEPTION", "default owner"),
    ("DEPENDENCY_EXISTS", "default owner"),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "default owner"),
];

fn blocks(lab: &Lab, code: &str, times: u64) {
    let code = Some(code.to_owned());
    let message = Some("Default lead owner of the org".to_owned());
    lab.fault("PATCH", "/sobjects/User/", Mishap::Respond { status: 400, code, message }, times);
}

fn frozen_instead(conclusion: &Conclusion) -> bool {
    matches!(&conclusion.output, Some(TaskOutput::DisableUser(output)) if output.frozen_instead)
}

/// Feature B3.
#[tokio::test]
async fn a_user_who_cannot_be_disabled_is_frozen_only_if_asked() {
    for (code, word) in BLOCKERS {
        let lab = Lab::start().await;
        let connector = lab.connector();
        blocks(&lab, code, 1);
        let failure = disable(ACTIVE).attempt(&connector).await.unwrap_err();
        assert_eq!((failure.class.known(), failure.code.as_str()), (Some(FailureClass::Rejected), code));
        assert!(failure.summary.contains("stands in the way: Salesforce: Default lead owner"), "{failure}");
        assert!(failure.next_step.contains(word), "{code}: {}", failure.next_step.as_str());
        assert!(failure.next_step.contains("if_refused: freeze"), "{code}");
        assert!(!lab.sim.user(ACTIVE).unwrap().frozen);

        blocks(&lab, code, 2);
        let mut task = disable_or_freeze(ACTIVE);
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!((verdict(&conclusion), frozen_instead(&conclusion), task.intents()), (DONE, true, 2));
        let again = disable_or_freeze(ACTIVE).attempt(&connector).await.unwrap();
        assert_eq!((again.outcome, frozen_instead(&again)), (Outcome::AlreadySatisfied, true));
        let user = lab.sim.user(ACTIVE).unwrap();
        assert!(user.active && user.frozen);
        assert_eq!((user.effects.freezes, user.effects.deactivations), (1, 0));
    }
}

#[tokio::test]
async fn a_user_who_can_be_disabled_is_not_frozen() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("PATCH", "/sobjects/User/", Mishap::Respond { status: 429, code: None, message: None }, 1);
    let mut task = disable_or_freeze(ACTIVE);
    assert_eq!(task.attempt(&connector).await.unwrap_err().class.known(), Some(FailureClass::RateLimited));
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), frozen_instead(&conclusion)), (DONE, false));
    assert_eq!(lab.effects(ACTIVE).freezes, 0);
    let failure = disable_or_freeze(ADMIN).attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "service_account_protected");
}

/// F03 to F05 at the second of the two steps.
#[tokio::test]
async fn f05_freezing_instead_survives_a_lost_answer_and_a_crash() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    blocks(&lab, "DEPENDENCY_EXISTS", 100);
    lab.fault("PATCH", "/sobjects/UserLogin/", Mishap::DropReply, 1);
    let conclusion = disable_or_freeze(ACTIVE).attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), frozen_instead(&conclusion)), (PROBABLY_DONE, true));

    let mut task = disable_or_freeze(OTHER);
    // The first intent and that it was taken back.
    task.dies = Some(Death::After(2));
    assert_eq!(task.attempt(&connector).await.unwrap_err().code.as_str(), "died");
    assert_eq!(lab.effects(OTHER).freezes, 0);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), DONE);
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), frozen_instead(&conclusion)), (PROBABLY_DONE, true));
    assert_eq!(lab.effects(OTHER).freezes, 1);
}

/// Leave the intent of the attempt that died, and the audit log tells that the user was disabled. Take a user whom
/// somebody else disabled for what the freezing brought about, and it tells that it was frozen.
#[tokio::test]
async fn f05_what_was_refused_before_freezing_and_what_another_did_passes_for_no_effect() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    blocks(&lab, "DEPENDENCY_EXISTS", 100);
    let mut task = disable_or_freeze(ACTIVE);
    // It was refused, which is not told to the journal any more.
    task.dies = Some(Death::After(1));
    task.attempt(&connector).await.unwrap_err();
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), frozen_instead(&conclusion)), (DONE, true));
    let earlier: Earlier = task.notes.lock().unwrap().iter().cloned().collect();
    assert_eq!(earlier.open_intents().map(|entry| entry.step).collect::<Vec<_>>(), [1]);

    lab.sim.clear_faults();
    disable(ACTIVE).attempt(&connector).await.unwrap();
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), (Outcome::Succeeded, Certainty::Probable, Changed::Unknown));
}

/// What a task does to its one account, and the call that does it.
type Change = (fn(&str) -> Task, &'static str, &'static str);

const CHANGES: [Change; 8] = [
    (disable, "PATCH", "/sobjects/User/"),
    (freeze, "PATCH", "/sobjects/UserLogin/"),
    (disable_or_freeze, "PATCH", "/sobjects/User/"),
    (|name| reset(name, "Correct-Horse-7"), "POST", "/password"),
    (reset_generated, "POST", "/password"),
    (reset_by_service, "DELETE", "/password"),
    (expire, "DELETE", "/password"),
    (enable, "PATCH", "/sobjects/User/"),
];

/// F03 to F05 of every change, whatever became of its first call: none is made twice, and none is told as made that was not,
/// or as not made that was.
#[tokio::test]
async fn f03_f05_a_change_of_one_account_that_dies_anywhere_is_made_and_told_once() {
    let locked = Mishap::Respond { status: 400, code: Some("UNABLE_TO_LOCK_ROW".to_owned()), message: None };
    let refused = Mishap::Respond { status: 400, code: Some("DEPENDENCY_EXISTS".to_owned()), message: None };
    for mishap in [locked, refused, Mishap::Refuse, Mishap::DropReply] {
        let deaths = dead_anywhere(async |death| {
            let lab = Lab::start().await;
            let (connector, successor) = (lab.connector(), lab.connector());
            let mut came_through = true;
            for (number, (change, method, path)) in CHANGES.into_iter().enumerate() {
                let name = if number == 7 { INACTIVE } else { &format!("user{:04}@acme.example", number + 1) };
                let mut task = change(name);
                lab.fault(method, path, mishap.clone(), 1);
                task.dies = Some(death);
                let first = task.attempt(&connector).await;
                lab.sim.clear_faults();
                let has_died = first.as_ref().is_err_and(|it| it.code.as_str() == "died");
                came_through &= !has_died;
                let ended = if has_died { task.attempt(&successor).await } else { first };

                let it = lab.effects(name);
                let made = it.activations + it.deactivations + it.freezes + it.password_sets + it.password_resets;
                let what = format!("{method} {path} of {name}, {mishap:?}, {death:?}: {made} made, {ended:?}");
                assert!(made <= 1, "{what}");
                match ended.map(|it| (it.outcome, it.changed)) {
                    Ok((Outcome::Succeeded, Changed::Yes)) => assert_eq!(made, 1, "{what}"),
                    Ok((Outcome::Unknown, _)) => assert!(task.is_open(), "{what}"),
                    Ok((Outcome::Failed, Changed::Unknown)) => assert!(task.is_open() && made == 0, "{what}"),
                    Ok((Outcome::Failed, Changed::No)) | Err(_) => assert!(made == 0 && !task.is_open(), "{what}"),
                    Ok(_) => panic!("{what}"),
                }
            }
            came_through
        });
        assert!(deaths.await >= 2, "{mishap:?}");
    }
}

/// F04: the effect is there, the answer is not.
/// Feature D2.
#[tokio::test]
async fn f04_an_answer_lost_after_the_effect_is_found_out_by_reading() {
    for mishap in [Mishap::DropReply, Mishap::LoseReply { status: 503 }, Mishap::LoseReply { status: 500 }] {
        let lab = Lab::start().await;
        let connector = lab.connector();
        lab.fault("PATCH", "/sobjects/User/", mishap.clone(), 1);
        let conclusion = disable(ACTIVE).attempt(&connector).await.unwrap();
        assert_eq!(verdict(&conclusion), PROBABLY_DONE, "{mishap:?}");
        assert_eq!(lab.effects(ACTIVE).deactivations, 1, "{mishap:?}");
    }
}

#[tokio::test]
async fn a_call_that_never_arrived_is_made_again() {
    for mishap in [Mishap::Refuse, Mishap::Maintenance] {
        let lab = Lab::start().await;
        let connector = lab.connector();
        lab.fault("PATCH", "/sobjects/User/", mishap, 1);
        let mut task = disable(ACTIVE);
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!(verdict(&conclusion), DONE);
        assert_eq!((lab.effects(ACTIVE).deactivations, task.intents()), (1, 2));
    }
}

/// F66: neither answer nor effect, for as long as anybody is willing to wait.
/// Feature D2.
#[tokio::test]
async fn f66_what_cannot_be_found_out_is_unknown() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("PATCH", "/sobjects/User/", Mishap::Refuse, 100);
    let conclusion = disable(ACTIVE).attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), UNKNOWN);
    assert!(!conclusion.failure.unwrap().next_step.is_empty());
    assert_eq!(lab.effects(ACTIVE).deactivations, 0);
}

/// F03: the process dies after the intent and before the call.
#[tokio::test]
async fn f03_a_crash_before_the_call_is_made_good_by_the_next_attempt() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = disable(ACTIVE);
    task.notes.lock().unwrap().push(postern_agent::connector::JournalEntry {
        step: 0,
        mark: postern_agent::connector::Mark::Intent,
        note: vec![],
        effect: vec![],
    });
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), DONE);
    assert_eq!(lab.effects(ACTIVE).deactivations, 1);
}

/// F05: the process dies after the effect; its successor finds the state and does not claim that it was there before.
#[tokio::test]
async fn f05_a_crash_after_the_effect_is_not_already_satisfied() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = disable(ACTIVE);
    task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!(lab.effects(ACTIVE).deactivations, 1);

    let mut elsewhere = disable(ACTIVE);
    elsewhere.reconcile = true;
    let conclusion = elsewhere.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), (Outcome::Succeeded, Certainty::Probable, Changed::Unknown));
}

/// F63.
#[tokio::test]
async fn f63_a_locked_row_is_waited_for_a_few_times() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.sim.switch(&Switches { lock_rows: Some(2), ..Switches::default() }).unwrap();
    assert_eq!(verdict(&disable(ACTIVE).attempt(&connector).await.unwrap()), DONE);
    lab.sim.switch(&Switches { lock_rows: Some(100), ..Switches::default() }).unwrap();
    let mut task = enable(INACTIVE);
    let failure = task.attempt(&connector).await.unwrap_err();
    assert_eq!((failure.class.known(), failure.code.as_str()), (Some(FailureClass::Transient), "UNABLE_TO_LOCK_ROW"));
    assert_eq!(task.intents(), 5);
}

/// F61.
#[tokio::test]
async fn f61_a_spent_budget_asks_for_patience() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.sim.switch(&Switches { api_exhausted: Some(true), ..Switches::default() }).unwrap();
    let failure = disable(ACTIVE).attempt(&connector).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::RateLimited));
    lab.sim.clear_faults();
    lab.fault("PATCH", "/sobjects/User/", Mishap::Respond { status: 429, code: None, message: None }, 1);
    let failure = disable(ACTIVE).attempt(&connector).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::RateLimited));
    assert_eq!(lab.effects(ACTIVE).deactivations, 0);
}

/// F71: a task that should stop makes no call.
#[tokio::test]
async fn f71_a_stopped_task_changes_nothing() {
    let lab = Lab::start().await;
    let mut task = disable(ACTIVE);
    task.stop.cancel();
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::Interrupted));
    assert_eq!(lab.effects(ACTIVE).deactivations, 0);
}

/// F59 in a change: the refused call was not done, and gets a second intent.
/// Feature C14.
#[tokio::test]
async fn f59_a_change_is_repeated_after_the_session_was_renewed() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("PATCH", "/sobjects/User/", Mishap::Respond { status: 401, code: None, message: None }, 1);
    let mut task = disable(ACTIVE);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), DONE);
    assert_eq!((task.intents(), lab.counters().login_attempts), (2, 2));
}

/// F62: Salesforce takes the change, loses the answer, and is away for a while. Conclude `unknown` from the first look
/// that fails, and this does.
#[tokio::test]
async fn f62_an_outage_after_a_lost_answer_is_waited_out() {
    let lab = Lab::start().await;
    // Long enough for the outage to begin before the first look.
    let connector = lab.connector_with(&lab.settings("oauth-jwt").replace("settle_ms = 10", "settle_ms = 500"));
    lab.fault("PATCH", "/sobjects/User/", Mishap::DropReply, 1);
    let mut task = disable(ACTIVE);
    let outage = async {
        while lab.effects(ACTIVE).deactivations == 0 {
            tokio::task::yield_now().await;
        }
        lab.fault("GET", "/query", Mishap::Maintenance, 100);
    };
    let (attempt, ()) = tokio::join!(task.attempt(&connector), outage);
    let failure = attempt.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::Transient));
    lab.sim.clear_faults();
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!(lab.effects(ACTIVE).deactivations, 1);
}

/// Conclude `unknown` from a look that is refused, and this is told while what was sent may still come about, and is not looked
/// for any more when the refusal is mended.
#[tokio::test]
async fn what_may_not_be_looked_at_after_a_lost_answer_is_left_to_another_attempt() {
    let refused = || Mishap::Respond { status: 403, code: Some("INSUFFICIENT_ACCESS".to_owned()), message: None };
    for (number, (change, method, path)) in CHANGES.into_iter().enumerate() {
        let lab = Lab::start().await;
        // Long enough for the refusals to begin before the first look.
        let connector = lab.connector_with(&lab.settings("oauth-jwt").replace("settle_ms = 10", "settle_ms = 500"));
        let name = if number == 7 { INACTIVE } else { ACTIVE };
        lab.fault(method, path, Mishap::DropReply, 1);
        let mut task = change(name);
        let refusals = async {
            while lab.sim.faults() > 0 {
                tokio::task::yield_now().await;
            }
            lab.fault("GET", "/query", refused(), 100);
        };
        for attempt in [tokio::join!(task.attempt(&connector), refusals).0, task.attempt(&connector).await] {
            let failure = attempt.unwrap_err();
            assert_eq!(failure.class.known(), Some(FailureClass::Unauthorized), "{failure}");
        }
        let earlier: Earlier = task.notes.lock().unwrap().iter().cloned().collect();
        let user = lab.sim.user(name).unwrap();
        assert_eq!(connector.place(&earlier), format!("in Salesforce (Setup, Users; Id {})", user.text("Id")));
        lab.sim.clear_faults();
        assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE, "{method} {path}");
    }
}

/// F65: cancelled after the process died in the call. Look once and take the intent back, and the task is `cancelled`
/// although the user is disabled a second later.
#[tokio::test]
async fn f65_a_cancelled_change_that_takes_effect_late_is_told() {
    let lab = Lab::start().await;
    let connector = lab.impatient();
    lab.fault("PATCH", "/sobjects/User/", Mishap::DelayCommit { millis: 1_500 }, 1);
    let mut task = disable(ACTIVE);
    task.dies_in_the_call(&lab, &connector).await;
    task.stop.cancel();
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!((task.intents(), lab.effects(ACTIVE).deactivations), (1, 1));
}

/// What an earlier attempt intended was looked for and is not there: stopped now, nothing is left in doubt.
#[tokio::test]
async fn an_intent_that_came_to_nothing_is_taken_back_by_the_next_attempt() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = disable(ACTIVE);
    lab.fault("PATCH", "/sobjects/User/", Mishap::Refuse, 1);
    task.dies = Some(Death::After(1));
    task.attempt(&connector).await.unwrap_err();
    lab.sim.clear_faults();
    task.stop.cancel();
    let failure = task.attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "stopped");
    let journal = task.notes.lock().unwrap().clone();
    let earlier: Earlier = journal.iter().cloned().collect();
    assert!(earlier.is_empty(), "{journal:?}");
}

/// Conclude when the second call was answered, and the first, late, undoes what the next task did.
#[tokio::test]
async fn f65_a_task_does_not_end_while_a_call_of_it_may_still_take_effect() {
    let lab = Lab::start().await;
    let connector = lab.impatient();
    lab.fault("PATCH", "/sobjects/User/", Mishap::DelayCommit { millis: 6_000 }, 1);
    assert_eq!(verdict(&disable(ACTIVE).attempt(&connector).await.unwrap()), DONE);
    assert_eq!(lab.effects(ACTIVE).deactivations, 2, "both calls have taken effect before the task ends");
    assert_eq!(verdict(&enable(ACTIVE).attempt(&connector).await.unwrap()), DONE);
    assert_eq!(
        verdict(&enable(ACTIVE).attempt(&connector).await.unwrap()),
        (Outcome::AlreadySatisfied, Certainty::Certain, Changed::No)
    );
}

/// The same when the second call had no answer either, and what it did was seen.
#[tokio::test]
async fn f65_a_task_whose_second_call_was_seen_does_not_end_while_the_first_may_still_take_effect() {
    let lab = Lab::start().await;
    lab.fault("PATCH", "/sobjects/User/", Mishap::DelayCommit { millis: 6_000 }, 1);
    lab.fault("PATCH", "/sobjects/User/", Mishap::DropReply, 1);
    let mut task = disable(ACTIVE);
    assert_eq!(verdict(&task.attempt(&lab.impatient()).await.unwrap()), PROBABLY_DONE);
    assert_eq!(lab.effects(ACTIVE).deactivations, 2, "both calls have taken effect before the task ends");
}

/// The same when the process died in both calls.
#[tokio::test]
async fn f65_a_task_that_finds_one_of_its_calls_does_not_end_while_another_may_still_take_effect() {
    let lab = Lab::start().await;
    let connector = lab.impatient();
    let mut task = disable(ACTIVE);
    lab.fault("PATCH", "/sobjects/User/", Mishap::DelayCommit { millis: 4_000 }, 1);
    task.dies_in_the_call(&lab, &connector).await;
    lab.fault("PATCH", "/sobjects/User/", Mishap::DropReply, 1);
    let second_effect = async {
        while lab.effects(ACTIVE).deactivations == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = task.attempt(&connector) => panic!("it ended before: {ended:?}"),
        () = second_effect => (),
    }
    assert_eq!((task.intents(), lab.effects(ACTIVE).deactivations), (2, 1));

    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!((task.intents(), lab.effects(ACTIVE).deactivations), (2, 2), "both calls have taken effect by then");
}

/// Look at once, and the user is disabled twice.
#[tokio::test]
async fn what_was_sent_before_the_process_died_is_given_time_before_it_is_looked_at() {
    let lab = Lab::start().await;
    let connector = lab.connector_with(&lab.settings("oauth-jwt").replace("settle_ms = 10", "settle_ms = 3000"));
    lab.fault("PATCH", "/sobjects/User/", Mishap::DelayCommit { millis: 1_000 }, 1);
    let mut task = disable(ACTIVE);
    task.dies_in_the_call(&lab, &connector).await;
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!((task.intents(), lab.effects(ACTIVE).deactivations), (1, 1));
}

/// Take a stop that comes in the middle for one that was there before, and the attempt waits for the first call to the end,
/// deaf, until the agent cuts it off.
#[tokio::test]
async fn a_stop_that_comes_while_the_second_call_is_made_leaves_the_waiting_to_the_next_attempt() {
    let lab = Lab::start().await;
    let settings = lab.settings("oauth-jwt").replace("settle_once_ms = 30", "settle_once_ms = 5000");
    let patient = lab.connector_with(&settings);
    let mut task = disable(ACTIVE);
    lab.fault("PATCH", "/sobjects/User", Mishap::Refuse, 1);
    let stop = task.stop.clone();
    let stopper = async {
        while lab.sim.faults() > 0 {
            tokio::task::yield_now().await;
        }
        lab.fault("PATCH", "/sobjects/User", Mishap::DripReply { bytes: 20, millis: 100 }, 1);
        while lab.effects(ACTIVE).deactivations == 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(task.attempt(&patient), stopper);
    assert_eq!(ended.unwrap_err().class.known(), Some(FailureClass::Interrupted));
    assert!(task.is_open());
    assert_eq!(lab.effects(ACTIVE).deactivations, 1);
}

/// Have it wait to the end, and the agent cuts it off: whoever cancelled is told at the next start, if it is not another's by
/// then.
#[tokio::test]
async fn an_attempt_that_finds_out_about_a_cancelled_task_hears_that_the_agent_stops() {
    let lab = Lab::start().await;
    let settings = lab.settings("oauth-jwt").replace("settle_once_ms = 30", "settle_once_ms = 5000");
    let patient = lab.connector_with(&settings);
    let mut task = disable(ACTIVE);
    lab.fault("PATCH", "/sobjects/User", Mishap::Refuse, 1);
    task.dies_in_the_call(&lab, &patient).await;
    task.stop.cancel();
    task.stopping.cancel();
    assert_eq!(task.attempt(&patient).await.unwrap_err().code.as_str(), "stopped");
    assert!(task.is_open(), "what was sent may still take effect");

    task.stopping = CancellationToken::new();
    assert_eq!(task.attempt(&patient).await.unwrap_err().code.as_str(), "stopped");
    assert!(!task.is_open(), "nothing came of it");
}

/// Call it a strange answer, and who was led to another org looks for a proxy.
#[tokio::test]
async fn a_user_whom_the_org_does_not_have_any_more_is_called_gone() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = disable(ACTIVE);
    task.dies = Some(Death::AtIntent(1));
    task.attempt(&connector).await.unwrap_err();
    let nobody = r#"{"totalSize":0,"done":true,"records":[]}"#.to_owned();
    lab.fault("GET", "/query", Mishap::OtherReply { status: 200, body: nobody }, 10);
    let failure = task.attempt(&connector).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.class.known()), ("user_gone", Some(FailureClass::Rejected)));
    assert!(failure.next_step.contains("`domain`"), "{failure}");
}
