//! Passwords of the entries of a batch: told as set where they are, and never sent too often.

use std::time::Duration;

use salesforce_sim::Mishap;

use crate::import::{ACTIVE, codes, counts, modify, root};
use crate::lab::{Lab, import, reset};

/// F65 and F68: the password of an earlier attempt arrives before the one of this attempt, which is refused for it. Take
/// the refusal for the entry's, and it failed although its password is set.
#[tokio::test]
async fn f68_a_password_that_an_earlier_attempt_set_after_all_is_no_failure() {
    let lab = Lab::start().await;
    let connector = lab.impatient();
    let mut task = import(root(&modify(ACTIVE, "<password>Correct-Horse-7</password>")));
    lab.fault("POST", "/password", Mishap::DelayCommit { millis: 800 }, 1);
    task.dies_in_the_call(&lab, &connector).await;
    // Longer than the other one takes.
    lab.fault("POST", "/password", Mishap::Latency { millis: 1_500 }, 1);
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(conclusion.output, counts(0, 1, 0, 0), "{:?}", task.lines());
    assert!(lab.sim.password_is(ACTIVE, "Correct-Horse-7"));
    assert_eq!(lab.effects(ACTIVE).password_sets, 1);
}

/// Invariant 12: count the calls of one attempt only, and each attempt sends the password twice.
#[tokio::test]
async fn f66_a_password_of_an_entry_is_sent_twice_whatever_the_attempts() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = import(root(&modify(ACTIVE, "<password>Correct-Horse-7</password>")));
    for _ in 0..2 {
        lab.fault("POST", "/password", Mishap::Latency { millis: 600_000 }, 1);
        task.dies_in_the_call(&lab, &connector).await;
    }
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(conclusion.output, counts(0, 0, 0, 1), "{:?}", task.lines());
    assert_eq!((task.intents(), lab.effects(ACTIVE).password_sets), (2, 0));
}

/// A unit may take hours to come to its passwords. Compare with the date of its beginning, and what another task set
/// meanwhile passes for this one's.
#[tokio::test]
async fn a_password_that_was_changed_while_the_unit_was_worked_on_is_not_told_as_set() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = import(root(&modify(ACTIVE, "<Title>x</Title><password>Correct-Horse-7</password>")));
    lab.fault("PATCH", "/composite/sobjects", Mishap::Latency { millis: 1_500 }, 1);
    let another = async {
        while lab.sim.faults() > 0 {
            tokio::task::yield_now().await;
        }
        reset(ACTIVE, "Another-Horse-8").attempt(&connector).await.unwrap();
        lab.fault("POST", "/password", Mishap::Refuse, 2);
    };
    let (conclusion, ()) = tokio::join!(task.attempt(&connector), another);
    assert_eq!(conclusion.unwrap().output, counts(0, 0, 0, 1), "{:?}", task.lines());
    assert!(lab.sim.password_is(ACTIVE, "Another-Horse-8"));
}

/// The password was given once before, and then changed by another task, after the batch was made and before it was leased.
#[tokio::test]
async fn a_password_of_a_batch_that_another_task_may_have_changed_is_not_told_as_set() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = import(root(&modify(ACTIVE, "<password>Correct-Horse-7</password>")));
    for password in ["Correct-Horse-7", "Another-Horse-8"] {
        reset(ACTIVE, password).attempt(&connector).await.unwrap();
    }
    lab.sim.advance(Duration::from_secs(60));
    task.taken_over(Duration::from_secs(20));
    task.attempt(&connector).await.unwrap();
    assert_eq!(
        (&task.lines()[0]["outcome"], codes(&task)),
        (&"unknown".into(), vec!["INVALID_NEW_PASSWORD".to_owned()])
    );
    assert!(lab.sim.password_is(ACTIVE, "Another-Horse-8"));
}

/// Make all the calls of a chunk first, and an org that asks to be left alone gets two hundred refused ones at each attempt.
#[tokio::test]
async fn passwords_of_a_batch_end_where_the_org_takes_none() {
    let lab = Lab::start().await;
    let entry = |number| modify(&format!("user{number:04}@acme.example"), "<password>Correct-Horse-7</password>");
    let mut task = import(root(&(1..=40).map(entry).collect::<String>()));
    let code = "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE";
    let refusal = Mishap::Respond { status: 503, code: Some(code.to_owned()), message: None };
    lab.fault("POST", "/password", refusal, 1_000);
    assert_eq!(task.attempt(&lab.connector()).await.unwrap_err().code.as_str(), code);
    assert_eq!(task.intents(), 8, "as many as are made at once");
}

/// Let a locked row end them, too, and one user whom somebody works on keeps those after it without their passwords.
#[tokio::test]
async fn passwords_of_a_batch_go_on_behind_locked_rows() {
    let lab = Lab::start().await;
    let entry = |number, password| {
        modify(&format!("user{number:04}@acme.example"), &format!("<password>{password}</password>"))
    };
    let locked = (1..=8).map(|number| entry(number, "Locked-Horse-7"));
    let mut task = import(root(&locked.chain([entry(9, "Correct-Horse-7")]).collect::<String>()));
    let piece = "Locked-Horse-7".to_owned();
    let (code, message) = ("UNABLE_TO_LOCK_ROW".to_owned(), String::new());
    lab.fault("POST", "/password", Mishap::RespondAt { piece, status: 400, code, message }, 40);
    assert_eq!(task.attempt(&lab.connector()).await.unwrap_err().code.as_str(), "UNABLE_TO_LOCK_ROW");
    assert!(lab.sim.password_is("user0009@acme.example", "Correct-Horse-7"));
}
