//! Resetting and expiring passwords: nothing twice, nothing lost.

use std::time::Duration;

use postern_agent::connector::{Conclusion, Earlier};
use postern_protocol::{FailureClass, TaskKind, TaskOutput};
use salesforce_sim::{ADMIN, Mishap};
use tokio_util::sync::CancellationToken;

use crate::lab::{
    DONE, Death, Lab, PROBABLY_DONE, Task, UNKNOWN, disable, expire, repeatable_resets, reset, reset_by_service,
    reset_generated, restore, verdict,
};

const USER: &str = "user0001@acme.example";
const INACTIVE: &str = "user0010@acme.example";
const NEW: &str = "Correct-Horse-7";
const OTHER: &str = "Another-Horse-8";

/// How long after its first lease a task is taken over: what has happened in a test so far happened since then.
const A_WHILE: Duration = Duration::from_secs(60);
/// The same of a task that was not leased before the clock of the org went on by [`A_WHILE`].
const A_MOMENT: Duration = Duration::from_secs(20);

/// Feature B4.
#[tokio::test]
async fn a_given_password_is_set() {
    let lab = Lab::start().await;
    let mut task = reset(USER, NEW);
    assert_eq!(verdict(&task.attempt(&lab.connector()).await.unwrap()), DONE);
    assert!(lab.sim.password_is(USER, NEW));
    assert_eq!(task.intents(), 1);
    let note = task.notes.lock().unwrap()[0].note.clone();
    assert!(!String::from_utf8(note).unwrap().contains(NEW));
}

/// Feature B4.
#[tokio::test]
async fn a_made_up_password_reaches_the_requester_alone() {
    let lab = Lab::start().await;
    let mut task = reset_generated(USER);
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(verdict(&conclusion), DONE);
    let password = task.opened(&conclusion);
    assert!(password.len() >= 20 && lab.sim.password_is(USER, &password));
    let notes = task.notes.lock().unwrap();
    assert!(!notes.is_empty(), "there is a journal to look at");
    for entry in notes.iter() {
        let is_told = entry.note.windows(password.len()).any(|it| it == password.as_bytes());
        assert!(!is_told, "the password is in a note of the journal");
    }
}

/// Feature B4.
#[tokio::test]
async fn what_is_refused_is_refused_clearly() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    for (user, password, code) in [
        (INACTIVE, NEW, "user_inactive"),
        ("nobody@acme.example", NEW, "user_not_found"),
        (ADMIN, NEW, "service_account_protected"),
        (USER, "short", "INVALID_NEW_PASSWORD"),
        (USER, "", "bad_password"),
    ] {
        let failure = reset(user, password).attempt(&connector).await.unwrap_err();
        assert_eq!((failure.class.known(), failure.code.as_str()), (Some(FailureClass::Rejected), code));
    }
    for (user, code) in [(INACTIVE, "user_inactive"), (ADMIN, "service_account_protected")] {
        assert_eq!(expire(user).attempt(&connector).await.unwrap_err().code.as_str(), code);
    }
    assert_eq!(lab.counters().routes.get("DELETE password"), None);
}

/// F04 for a given password.
#[tokio::test]
async fn f04_a_lost_answer_to_a_given_password() {
    let lab = Lab::start().await;
    lab.fault("POST", "/password", Mishap::DropReply, 1);
    assert_eq!(verdict(&reset(USER, NEW).attempt(&lab.connector()).await.unwrap()), PROBABLY_DONE);
    assert!(lab.sim.password_is(USER, NEW));
    assert_eq!(lab.effects(USER).password_sets, 1);
}

/// Stamps are whole seconds. Call when the one before is of the same, and the effect without an answer is not seen: the call
/// is repeated, and refused for it.
#[tokio::test]
async fn f04_a_lost_answer_is_found_although_the_password_was_changed_a_moment_before() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let calls = |route| lab.counters().routes.get(route).copied();
    assert_eq!(verdict(&reset(USER, NEW).attempt(&connector).await.unwrap()), DONE);
    lab.fault("POST", "/password", Mishap::DropReply, 1);
    assert_eq!(verdict(&reset(USER, OTHER).attempt(&connector).await.unwrap()), PROBABLY_DONE);
    lab.fault("DELETE", "/password", Mishap::DropReply, 1);
    assert_eq!(verdict(&expire(USER).attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!((calls("POST password"), calls("DELETE password")), (Some(2), Some(1)));
}

#[tokio::test]
async fn f66_a_password_that_never_arrived_is_sent_once_more() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("POST", "/password", Mishap::Refuse, 1);
    assert_eq!(verdict(&reset(USER, NEW).attempt(&connector).await.unwrap()), DONE);
    assert!(lab.sim.password_is(USER, NEW));

    lab.fault("POST", "/password", Mishap::Refuse, 100);
    let mut task = reset("user0002@acme.example", NEW);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), UNKNOWN);
    assert_eq!(task.intents(), 2, "two calls, the same value");
    lab.sim.clear_faults();
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), UNKNOWN, "not a third");
    assert_eq!(lab.effects("user0002@acme.example").password_sets, 0);
}

/// F68: the second call is refused because the first, unanswered, has set this very password. Take the refusal for the
/// task's, and it failed although the password is set.
#[tokio::test]
async fn f68_a_repeated_password_after_a_lost_answer_is_a_success() {
    let lab = Lab::start().await;
    let connector = lab.hasty();
    let sent = |user| (lab.sim.wanted_passwords(user).len(), lab.effects(user).password_sets);
    lab.late_and_slow("POST", "/password");
    let mut task = reset(USER, NEW);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!((sent(USER), task.intents()), ((2, 1), 2));

    let other = "user0002@acme.example";
    let mut died = reset(other, NEW);
    lab.fault("POST", "/password", Mishap::DelayCommit { millis: 2_100 }, 1);
    died.dies_in_the_call(&lab, &connector).await;
    lab.fault("POST", "/password", Mishap::Latency { millis: 4_200 }, 1);
    assert_eq!(verdict(&died.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!((sent(other), died.intents()), ((2, 1), 2));
}

/// F68: another member has set it.
#[tokio::test]
async fn f68_a_given_password_that_another_member_has_set_is_not_sent_again() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = reset(USER, NEW);
    task.attempt(&connector).await.unwrap();
    task.taken_over(A_WHILE);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!(lab.effects(USER).password_sets, 1);
}

/// F05 for both: the process dies between effect and report.
#[tokio::test]
async fn f05_a_crash_after_the_password_was_set_loses_nothing() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = reset_generated(USER);
    let first = task.attempt(&connector).await.unwrap();
    let password = task.opened(&first);
    let second = task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&second), PROBABLY_DONE);
    assert_eq!(task.opened(&second), password);
    assert!(lab.sim.password_is(USER, &password));
    assert_eq!(lab.effects(USER).password_sets, 1);

    let mut given = reset("user0002@acme.example", NEW);
    given.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&given.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!(lab.effects("user0002@acme.example").password_sets, 1);
}

/// F03 for a made-up password: the lost one was never set, so another may be made.
#[tokio::test]
async fn f03_a_made_up_password_that_was_never_set_is_replaced() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("POST", "/password", Mishap::Refuse, 1);
    let mut task = reset_generated(USER);
    task.dies = Some(Death::After(1));
    assert_eq!(task.attempt(&connector).await.unwrap_err().code.as_str(), "died");
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), DONE);
    assert!(lab.sim.password_is(USER, &task.opened(&conclusion)));
}

#[tokio::test]
async fn a_made_up_password_of_another_member_is_not_replaced_silently() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = reset_generated(USER);
    task.attempt(&connector).await.unwrap();
    task.taken_over(A_WHILE);
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), UNKNOWN);
    assert_eq!(conclusion.failure.unwrap().code.as_str(), "password_lost");
    assert_eq!(lab.effects(USER).password_sets, 1);
}

/// Feature B5.
#[tokio::test]
async fn expiring_resets_and_says_what_that_means() {
    let lab = Lab::start().await;
    let conclusion = expire(USER).attempt(&lab.connector()).await.unwrap();
    assert_eq!(verdict(&conclusion), DONE);
    let Some(TaskOutput::ExpirePassword(output)) = conclusion.output else { panic!() };
    assert!(output.message.contains("mail with a link"));
    assert_eq!(lab.effects(USER).password_resets, 1);
}

/// F04 and F66 for a call that is never repeated.
#[tokio::test]
async fn f04_a_reset_is_never_repeated_by_itself() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("DELETE", "/password", Mishap::DropReply, 1);
    let conclusion = expire(USER).attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), PROBABLY_DONE);
    let Some(TaskOutput::ExpirePassword(output)) = conclusion.output else { panic!() };
    assert!(output.message.contains("not known"));

    lab.fault("DELETE", "/password", Mishap::Refuse, 1);
    let mut task = expire("user0002@acme.example");
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), UNKNOWN);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), UNKNOWN);
    assert_eq!(lab.effects("user0002@acme.example").password_resets, 0);

    let mut elsewhere = expire("user0003@acme.example");
    elsewhere.taken_over(A_WHILE);
    assert_eq!(verdict(&elsewhere.attempt(&connector).await.unwrap()), UNKNOWN);
    let mut after_crash = expire("user0004@acme.example");
    after_crash.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&after_crash.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!(lab.effects("user0004@acme.example").password_resets, 1);
}

fn said(conclusion: &Conclusion) -> &str {
    match &conclusion.output {
        Some(TaskOutput::ResetPassword(output)) => output.message.as_str(),
        other => panic!("{other:?}"),
    }
}

/// Feature B4.
#[tokio::test]
async fn salesforces_own_reset_gives_its_temporary_password_to_the_requester_alone() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = reset_by_service(USER);
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), DONE);
    assert!(lab.sim.password_is(USER, &task.opened(&conclusion)));
    assert!(
        said(&conclusion).contains("mail with a link") && said(&conclusion).contains("went to the requester alone")
    );

    let mut task = reset_by_service("user0002@acme.example");
    task.has_requester = false;
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), conclusion.sealed.len()), (DONE, 0));
    assert!(said(&conclusion).contains("dropped"));

    for (user, code) in [(INACTIVE, "user_inactive"), (ADMIN, "service_account_protected")] {
        assert_eq!(reset_by_service(user).attempt(&connector).await.unwrap_err().code.as_str(), code);
    }
}

/// F04, F05, F66 for Salesforce's own reset: moved is a success without its value, not moved is unknown, and there is
/// never a second one. Take the look at the journal out of `reset_by_mail::run` and this sees two resets.
#[tokio::test]
async fn f04_salesforces_own_reset_is_never_repeated_by_itself() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("DELETE", "/password", Mishap::DropReply, 1);
    let mut elsewhere = reset_by_service(USER);
    elsewhere.taken_over(A_WHILE);
    let mut task = reset_by_service(USER);
    for _ in 0..2 {
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!((verdict(&conclusion), conclusion.sealed.len()), (PROBABLY_DONE, 0));
        assert!(said(&conclusion).contains("not known"));
    }
    assert_eq!(verdict(&elsewhere.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!(lab.effects(USER).password_resets, 1);

    lab.fault("DELETE", "/password", Mishap::Refuse, 1);
    let mut task = reset_by_service("user0002@acme.example");
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), UNKNOWN);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), UNKNOWN);
    assert_eq!(lab.effects("user0002@acme.example").password_resets, 0);
}

/// Let `most` be three, or leave the intents of earlier attempts uncounted, and there is a third call.
#[tokio::test]
async fn f66_a_reset_whose_task_allows_it_is_made_once_more_when_no_effect_is_to_be_seen() {
    for which in 0..2 {
        let lab = Lab::start().await;
        let connector = lab.connector();
        let task = |user| repeatable_resets(user).into_iter().nth(which).unwrap();
        let calls = || lab.counters().routes.get("DELETE password").copied().unwrap_or_default();

        lab.fault("DELETE", "/password", Mishap::DropReply, 1);
        assert_eq!(verdict(&task(USER).attempt(&connector).await.unwrap()), PROBABLY_DONE);
        assert_eq!((lab.effects(USER).password_resets, calls()), (1, 1), "it was seen");

        let other = "user0002@acme.example";
        lab.fault("DELETE", "/password", Mishap::Refuse, 1);
        let mut once_more = task(other);
        assert_eq!(verdict(&once_more.attempt(&connector).await.unwrap()), DONE);
        assert_eq!((lab.effects(other).password_resets, once_more.intents()), (1, 2));

        let third = "user0003@acme.example";
        lab.fault("DELETE", "/password", Mishap::Refuse, 3);
        let mut lost = task(third);
        assert_eq!(verdict(&lost.attempt(&connector).await.unwrap()), UNKNOWN);
        assert_eq!(verdict(&lost.attempt(&connector).await.unwrap()), UNKNOWN, "given to the same member again");
        assert_eq!((lost.intents(), lab.sim.faults()), (2, 1), "no third call");
    }
}

/// Dead after each of the two intents, the call made or not: never a third, and the other member only looks.
#[tokio::test]
async fn f03_a_repeatable_reset_is_gone_on_with_by_the_member_that_began_it_alone() {
    for which in 0..2 {
        let lab = Lab::start().await;
        let connector = lab.connector();
        let task = |user| repeatable_resets(user).into_iter().nth(which).unwrap();
        let task_of = |user, faults: u64| {
            lab.fault("DELETE", "/password", Mishap::Refuse, faults);
            task(user)
        };

        let mut first = task_of(USER, 1);
        first.dies_in_the_call(&lab, &connector).await;
        let other_member = {
            let mut elsewhere = task(USER);
            elsewhere.taken_over(A_WHILE);
            elsewhere.attempt(&connector).await.unwrap()
        };
        assert_eq!((verdict(&other_member), lab.effects(USER).password_resets), (UNKNOWN, 0));
        assert_eq!(verdict(&first.attempt(&connector).await.unwrap()), DONE);
        assert_eq!((lab.effects(USER).password_resets, first.intents()), (1, 2));

        let user = "user0002@acme.example";
        let mut second = task_of(user, 2);
        second.dies_in_the_call(&lab, &connector).await;
        assert_eq!(verdict(&second.attempt(&connector).await.unwrap()), UNKNOWN);
        assert_eq!((second.intents(), lab.effects(user).password_resets), (2, 0), "no third call");

        let user = "user0003@acme.example";
        lab.fault("DELETE", "/password", Mishap::Refuse, 1);
        let mut cancelled = task(user);
        cancelled.dies_in_the_call(&lab, &connector).await;
        cancelled.stop.cancel();
        assert_eq!(verdict(&cancelled.attempt(&connector).await.unwrap()), UNKNOWN);
        assert_eq!((cancelled.intents(), lab.effects(user).password_resets), (1, 0), "it is not wanted any more");
    }
}

/// Take the allowance for clocks out of `may_have_begun`, and the first is unknown and the second a second password.
#[tokio::test]
async fn what_another_member_did_is_found_though_the_submitters_clock_is_ahead() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let ahead = jiff::SignedDuration::from_mins(2);
    let (other, generated) = ("user0002@acme.example", "user0003@acme.example");
    for (task, user, expected) in [
        (expire(USER), USER, PROBABLY_DONE),
        (reset_by_service(other), other, PROBABLY_DONE),
        (reset_generated(generated), generated, UNKNOWN),
    ] {
        let mut task = task.made_ahead(ahead);
        task.attempt(&connector).await.unwrap();
        task.taken_over(A_WHILE);
        assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), expected, "{user}");
        let effects = lab.effects(user);
        assert_eq!(effects.password_resets + effects.password_sets, 1, "{user}");
    }
}

/// F65: the call commits after its time-out, and long after it was looked for first. Take one look for all there is, and
/// the password is set twice and the reset unknown.
#[tokio::test]
async fn f65_a_call_that_commits_late_is_waited_for() {
    let lab = Lab::start().await;
    let connector = lab.impatient();
    crate::lab::validate(USER).attempt(&connector).await.unwrap();
    for (method, mut task) in [("POST", reset(USER, NEW)), ("DELETE", reset_by_service(USER)), ("DELETE", expire(USER))]
    {
        lab.fault(method, "/password", Mishap::DelayCommit { millis: 4_500 }, 1);
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!(verdict(&conclusion), PROBABLY_DONE, "{method}");
        assert_eq!(task.intents(), 1, "{method}");
    }
    assert_eq!((lab.effects(USER).password_sets, lab.effects(USER).password_resets), (1, 2));
}

/// F65 over a death: look once and make up another password, and the requester gets one that the late call replaces.
#[tokio::test]
async fn f65_a_made_up_password_that_commits_after_a_crash_is_the_one_that_is_handed_over() {
    let lab = Lab::start().await;
    let connector = lab.impatient();
    lab.fault("POST", "/password", Mishap::DelayCommit { millis: 1_500 }, 1);
    let mut task = reset_generated(USER);
    task.dies_in_the_call(&lab, &connector).await;
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), PROBABLY_DONE);
    assert!(lab.sim.password_is(USER, &task.opened(&conclusion)));
    assert_eq!(lab.effects(USER).password_sets, 1);
}

/// F65 over a loss of the member. Do not wait, and the requester gets a password that the first member's call replaces.
#[tokio::test]
async fn f65_a_made_up_password_of_another_member_that_commits_late_is_waited_for() {
    let lab = Lab::start().await;
    let connector = lab.impatient();
    lab.fault("POST", "/password", Mishap::DelayCommit { millis: 2_500 }, 1);
    let mut task = reset_generated(USER);
    task.dies_in_the_call(&lab, &connector).await;
    task.taken_over(A_WHILE);
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), conclusion.sealed.len()), (UNKNOWN, 0));
    assert_eq!(conclusion.failure.unwrap().code.as_str(), "password_lost");
    assert_eq!((task.intents(), lab.effects(USER).password_sets), (0, 1));
}

/// Whatever changed meanwhile, it was not by the call that was refused. Take the change for it, and the requester is handed
/// a password that opens nothing.
#[tokio::test]
async fn a_made_up_password_that_is_refused_is_not_handed_over() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let code = Some("INVALID_NEW_PASSWORD".to_owned());
    lab.fault("POST", "/password", Mishap::Latency { millis: 2_000 }, 1);
    lab.fault("POST", "/password", Mishap::Respond { status: 400, code, message: None }, 1);
    let mut task = reset_generated(USER);
    task.taken_over(A_WHILE);
    let meanwhile = async {
        while lab.sim.faults() > 0 {
            tokio::task::yield_now().await;
        }
        reset(USER, OTHER).attempt(&connector).await.unwrap()
    };
    let (refused, other) = tokio::join!(task.attempt(&connector), meanwhile);
    let refused = refused.unwrap();
    assert_eq!((verdict(&refused), refused.sealed.len()), (UNKNOWN, 0));
    assert_eq!(verdict(&other), DONE);
    assert!(lab.sim.password_is(USER, OTHER));
}

/// An attempt that is told to stop while it waits leaves the rest to another, which finds the intent.
#[tokio::test]
async fn nobody_waits_for_a_late_effect_when_the_agent_stops() {
    let lab = Lab::start().await;
    let connector = lab.impatient();
    lab.fault("DELETE", "/password", Mishap::Refuse, 1);
    let mut task = expire(USER);
    let stop = task.stop.clone();
    let stopping = async {
        while lab.sim.faults() > 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (attempt, ()) = tokio::join!(task.attempt(&connector), stopping);
    assert_eq!(attempt.unwrap_err().code.as_str(), "stopped");
    task.stop = CancellationToken::new();
    assert_eq!(verdict(&task.attempt(&lab.connector()).await.unwrap()), UNKNOWN);
    assert_eq!(lab.effects(USER).password_resets, 0);
}

/// F61: what Salesforce refused for lack of calls did not happen, and the next attempt knows it. Leave `cx.take_back`
/// out of `Salesforce::change` and these end as unknown.
#[tokio::test]
async fn f61_a_throttled_change_is_made_by_the_next_attempt() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let throttled = || Mishap::Respond { status: 429, code: None, message: None };

    lab.fault("DELETE", "/password", throttled(), 1);
    let mut expiry = expire(USER);
    let failure = expiry.attempt(&connector).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::RateLimited));
    assert_eq!(verdict(&expiry.attempt(&connector).await.unwrap()), DONE);
    assert_eq!(lab.effects(USER).password_resets, 1);

    lab.fault("POST", "/password", throttled(), 1);
    let mut generated = reset_generated("user0002@acme.example");
    generated.attempt(&connector).await.unwrap_err();
    let conclusion = generated.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), DONE);
    assert!(lab.sim.password_is("user0002@acme.example", &generated.opened(&conclusion)));
}

/// A proxy that inspects answers has a page of its own in place of Salesforce's. Take any 4xx for "nothing happened",
/// and the user gets a mail for every attempt.
#[tokio::test]
async fn f62_a_page_in_place_of_an_answer_proves_nothing() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("DELETE", "/password", Mishap::LoseReply { status: 403 }, 3);
    assert_eq!(verdict(&expire(USER).attempt(&connector).await.unwrap()), PROBABLY_DONE);
    assert_eq!(lab.effects(USER).password_resets, 1);

    lab.fault("POST", "/password", Mishap::LoseReply { status: 429 }, 1);
    let mut generated = reset_generated("user0002@acme.example");
    let conclusion = generated.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), PROBABLY_DONE);
    assert!(lab.sim.password_is("user0002@acme.example", &generated.opened(&conclusion)));
    assert_eq!(lab.effects("user0002@acme.example").password_sets, 1);
}

/// F73: the member that had the task before sent it twice, and nobody heard of it. Leave the look out, and the next one
/// sends it twice again.
#[tokio::test]
async fn f73_a_given_password_is_sent_once_by_the_next_member_after_a_look() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("POST", "/password", Mishap::Refuse, 100);
    let mut task = reset(USER, NEW);
    task.attempt(&connector).await.unwrap();
    assert_eq!(task.intents(), 2);
    task.taken_over(A_WHILE);
    task.attempt(&connector).await.unwrap();
    assert_eq!(task.intents(), 1);
}

/// What another task did to the account before this one was first leased. Take whatever changed after the task was made for
/// its own doing, and each of these is told as done.
#[tokio::test]
async fn what_was_changed_before_its_first_lease_is_not_told_as_done_by_a_task_that_is_taken_over() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let users = ["user0001@acme.example", "user0002@acme.example", "user0003@acme.example"];
    let mut tasks = [reset(users[0], NEW), reset_by_service(users[1]), expire(users[2])];
    for user in users {
        assert_eq!(verdict(&reset(user, OTHER).attempt(&connector).await.unwrap()), DONE);
    }
    lab.sim.advance(A_WHILE);
    for (task, expected) in tasks.iter_mut().zip([DONE, UNKNOWN, UNKNOWN]) {
        task.taken_over(A_MOMENT);
        assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), expected);
    }
    assert!(lab.sim.password_is(users[0], NEW));
    assert_eq!(users.map(|user| lab.effects(user).password_resets), [0, 0, 0], "nothing is reset by a guess");
}

/// It may have been set by the member that had the task before, or long ago and then changed by another task.
#[tokio::test]
async fn a_password_that_is_refused_as_used_before_is_unknown_if_another_task_may_have_changed_it() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = reset(USER, NEW);
    reset(USER, NEW).attempt(&connector).await.unwrap();
    reset(USER, OTHER).attempt(&connector).await.unwrap();
    lab.sim.advance(A_WHILE);
    task.taken_over(A_MOMENT);
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), UNKNOWN);
    assert!(conclusion.failure.unwrap().next_step.contains("Last Password Change or Reset"));
    assert!(lab.sim.password_is(USER, OTHER));
}

/// The journal tells what the password was before; but another task was leased since, and has changed it.
#[tokio::test]
async fn what_another_task_changed_between_two_leases_proves_no_call_of_the_journal() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let users = ["user0001@acme.example", "user0002@acme.example", "user0003@acme.example"];
    let [mut given, mut made_up, mut by_service] =
        [reset(users[0], NEW), reset_generated(users[1]), reset_by_service(users[2])];
    for task in [&mut given, &mut made_up, &mut by_service] {
        lab.fault("POST", "/password", Mishap::Refuse, 1);
        lab.fault("DELETE", "/password", Mishap::Refuse, 1);
        task.dies = Some(Death::After(1));
        let _ = task.attempt(&connector).await;
        lab.sim.clear_faults();
    }
    for user in users {
        reset(user, OTHER).attempt(&connector).await.unwrap();
    }
    lab.sim.advance(A_WHILE);
    for (task, expected) in [(&mut given, DONE), (&mut made_up, UNKNOWN), (&mut by_service, UNKNOWN)] {
        task.leased_after_another();
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!(verdict(&conclusion), expected);
        if task.intents() == 1 && conclusion.sealed.len() == 1 {
            assert!(!task.opened(&conclusion).is_empty(), "the requester can try it");
        }
    }
    assert!(lab.sim.password_is(users[0], NEW));
    assert_eq!((given.intents(), made_up.intents(), by_service.intents()), (2, 1, 1));
    assert_eq!(users.map(|user| lab.effects(user).password_sets), [2, 1, 1]);
}

/// Hand over what the journal has, and the requester is told of a password that was never set.
#[tokio::test]
async fn a_made_up_password_that_another_member_may_have_replaced_is_handed_over_as_unknown() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = reset_generated(USER);
    lab.fault("POST", "/password", Mishap::Refuse, 1);
    task.dies_in_the_call(&lab, &connector).await;
    let mut elsewhere = reset_generated(USER);
    elsewhere.attempt(&connector).await.unwrap();
    task.leased_after_another_member();
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((verdict(&conclusion), task.intents()), (UNKNOWN, 1));
    assert!(!lab.sim.password_is(USER, &task.opened(&conclusion)), "the requester can try it");
}

/// Look at whoever bears the name, and what happened to that one is told as done to the user that it was sent to.
#[tokio::test]
async fn what_was_sent_to_a_user_is_not_looked_for_at_who_bears_its_name_by_now() {
    let (heir, former) = ("user0002@acme.example", "former@acme.example");
    for (mut task, sealed) in [(reset_generated(USER), 1), (reset(USER, NEW), 0), (expire(USER), 0), (disable(USER), 0)]
    {
        let lab = Lab::start().await;
        let connector = lab.connector();
        task.dies = Some(Death::AtIntent(1));
        task.attempt(&connector).await.unwrap_err();
        restore(USER, former, "", None).attempt(&connector).await.unwrap();
        restore(heir, USER, "", Some(OTHER)).attempt(&connector).await.unwrap();

        let over = CancellationToken::new();
        over.cancel();
        let (stop, stopping) =
            (std::mem::replace(&mut task.stop, over.clone()), std::mem::replace(&mut task.stopping, over));
        let failure = task.attempt(&connector).await.unwrap_err();
        assert_eq!(
            failure.code.as_str(),
            "stopped",
            "it is waited for what may still take effect, unless the agent stops"
        );
        (task.stop, task.stopping) = (stop, stopping);

        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!((verdict(&conclusion), conclusion.sealed.len()), (UNKNOWN, sealed), "{:?}", conclusion.failure);
        let failure = conclusion.failure.unwrap();
        assert!(failure.next_step.contains(former), "{}", failure.next_step.as_str());
        let user = lab.sim.user(USER).unwrap();
        assert_eq!((user.active, user.effects.password_sets), (true, 1), "nothing happened to the heir of the name");
    }
}

/// Leave it in the journal of a task that is given up, and the password that is in force is known to nobody.
#[tokio::test]
async fn a_made_up_password_that_could_not_be_looked_for_is_owed_to_its_requester() {
    let lab = Lab::start().await;
    // Long enough for the refusals to begin before the first look.
    let connector = lab.connector_with(&lab.settings("oauth-jwt").replace("settle_ms = 10", "settle_ms = 500"));
    lab.fault("POST", "/password", Mishap::DropReply, 1);
    let mut task = reset_generated(USER);
    let refusals = async {
        while lab.sim.faults() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = Mishap::Respond { status: 403, code: Some("INSUFFICIENT_ACCESS".to_owned()), message: None };
        lab.fault("GET", "/query", refused, 100);
    };
    let (attempt, ()) = tokio::join!(task.attempt(&connector), refusals);
    let failure = attempt.unwrap_err();
    let owed = |kind, task: &Task| {
        let journal: Earlier = task.notes.lock().unwrap().iter().cloned().collect();
        connector.owed(kind, &journal)
    };
    let ended = Conclusion { sealed: owed(TaskKind::ResetPassword, &task), ..Conclusion::unknown(failure) };
    assert_eq!(ended.sealed.len(), 1);
    assert!(lab.sim.password_is(USER, &task.opened(&ended)));
    assert!(owed(TaskKind::ImportBatch, &task).is_empty(), "its journal is another");

    lab.sim.clear_faults();
    let refused = Mishap::Respond { status: 400, code: Some("INVALID_NEW_PASSWORD".to_owned()), message: None };
    lab.fault("POST", "/password", refused, 1);
    let mut task = reset_generated("user0002@acme.example");
    task.attempt(&connector).await.unwrap_err();
    assert!(owed(TaskKind::ResetPassword, &task).is_empty(), "nobody has that password");
}
