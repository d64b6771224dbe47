//! Freezing, unfreezing, unlocking: through UserLogin, with every way an answer can be lost.

use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{FailureClass, Outcome};
use salesforce_sim::{ADMIN, Mishap, OrgSeed};

use crate::lab::{
    DONE, Death, Lab, PROBABLY_DONE, UNKNOWN, freeze, test_connection, unfreeze, unlock, validate, verdict,
};

const USER: &str = "user0001@acme.example";
const INACTIVE: &str = "user0010@acme.example";
const SATISFIED: (Outcome, Certainty, Changed) = (Outcome::AlreadySatisfied, Certainty::Certain, Changed::No);

/// A lab whose first user is frozen, and locked out by one wrong password.
async fn closed() -> Lab {
    let mut org = OrgSeed::acme(20);
    org.password_policy.max_failed_logins = 1;
    org.password_policy.lockout_mins = 0;
    let lab = Lab::with_org(org).await;
    lab.write("wrong", "wrong");
    let settings = lab.settings("soap").replace(ADMIN, USER).replace(&lab.secret("password"), &lab.secret("wrong"));
    test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
    assert!(lab.sim.user(USER).unwrap().locked);
    freeze(USER).attempt(&lab.connector()).await.unwrap();
    assert!(lab.sim.user(USER).unwrap().frozen);
    lab
}

#[tokio::test]
async fn each_state_is_brought_about_once_and_then_said_to_be_there() {
    let lab = closed().await;
    let connector = lab.connector();
    for make in [unfreeze, unlock, freeze] {
        let mut task = make(USER);
        assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), DONE);
        assert_eq!(task.intents(), 1);
        assert_eq!(verdict(&make(USER).attempt(&connector).await.unwrap()), SATISFIED);
    }
    let user = lab.sim.user(USER).unwrap();
    assert!(user.active && user.frozen && !user.locked);
    assert_eq!((user.effects.freezes, user.effects.unfreezes, user.effects.unlocks), (2, 1, 1));
    assert_eq!(verdict(&freeze(INACTIVE).attempt(&connector).await.unwrap()), DONE);
}

#[tokio::test]
async fn the_service_account_is_never_frozen() {
    let lab = Lab::start().await;
    let failure = freeze(ADMIN).attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "service_account_protected");
    assert_eq!(lab.effects(ADMIN).freezes, 0);
    let failure = unlock("nobody@acme.example").attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "user_not_found");
}

/// Without Manage Users the object is hidden; a look at the user only leaves it out.
#[tokio::test]
async fn a_service_account_that_may_not_see_user_login_is_told_what_it_lacks() {
    let mut org = OrgSeed::acme(3);
    org.users[0].profile = "Standard User".to_owned();
    org.users[1].profile = "System Administrator".to_owned();
    let lab = Lab::with_org(org).await;
    let connector = lab.connector();
    for make in [freeze, unfreeze, unlock] {
        let failure = make("user0002@acme.example").attempt(&connector).await.unwrap_err();
        assert_eq!(
            (failure.class.known(), failure.code.as_str()),
            (Some(FailureClass::Unauthorized), "user_login_hidden")
        );
        assert!(failure.next_step.contains("Manage Users"));
    }
    assert_eq!(validate("user0002@acme.example").attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);
}

/// F04, F66: the effect without the answer, and neither.
#[tokio::test]
async fn f04_a_lost_answer_is_found_out_by_reading() {
    for (mut task, effects) in [(unfreeze(USER), (1, 0)), (unlock(USER), (0, 1))] {
        let lab = closed().await;
        let connector = lab.connector();
        lab.fault("PATCH", "/sobjects/UserLogin/", Mishap::Refuse, 100);
        assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), UNKNOWN);
        lab.sim.clear_faults();
        lab.fault("PATCH", "/sobjects/UserLogin/", Mishap::DropReply, 1);
        assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
        let seen = lab.effects(USER);
        assert_eq!((seen.unfreezes, seen.unlocks), effects);
    }
}

/// F03, F05: death before the call, and after it.
#[tokio::test]
async fn f05_a_successor_finds_the_state_and_changes_nothing_twice() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = freeze(USER);
    task.dies = Some(Death::After(0));
    assert_eq!(task.attempt(&connector).await.unwrap_err().code.as_str(), "died");
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), DONE);
    assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE);
    let mut elsewhere = freeze(USER);
    elsewhere.reconcile = true;
    let conclusion = elsewhere.attempt(&connector).await.unwrap();
    assert_eq!(verdict(&conclusion), (Outcome::Succeeded, Certainty::Probable, Changed::Unknown));
    assert_eq!(lab.effects(USER).freezes, 1);
}
