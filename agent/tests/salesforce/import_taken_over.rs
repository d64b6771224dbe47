//! Batches that another member goes on with, which begins with their first entry.

use std::time::Duration;

use postern_protocol::Outcome;
use salesforce_sim::{Mishap, Switches};

use crate::import::{ACTIVE, NEW, OTHER, add, codes, counts, modify, profile, rename, root};
use crate::lab::{Lab, Task, import};

/// Look before the other member's call has taken effect, and the one that goes on is refused for a password that it saw
/// nobody set: the entry failed, although it is done.
#[tokio::test]
async fn f65_a_password_of_another_member_that_arrives_late_is_waited_for() {
    let lab = Lab::start().await;
    let mut task = import(root(&modify(ACTIVE, "<password>Correct-Horse-7</password>")));
    lab.fault("POST", "/password", Mishap::DelayCommit { millis: 2_500 }, 1);
    task.dies_in_the_call(&lab, &lab.impatient()).await;
    task.taken_over(Duration::from_secs(60));
    // Longer than the other one takes.
    lab.fault("POST", "/password", Mishap::Latency { millis: 3_500 }, 1);
    let patient = lab.settings("oauth-jwt").replace("settle_once_ms = 30", "settle_once_ms = 4000");
    let conclusion = task.attempt(&lab.connector_with(&patient)).await.unwrap();
    assert_eq!(conclusion.output, counts(0, 1, 0, 0), "{:?}", task.lines());
    assert!(lab.sim.password_is(ACTIVE, "Correct-Horse-7"));
    assert_eq!(lab.effects(ACTIVE).password_sets, 1);
}

/// F67: another agent has made the user for the same task.
#[tokio::test]
async fn f67_a_user_of_our_own_earlier_attempt_is_found_and_not_made_again() {
    let lab = Lab::start().await;
    let profile = profile(&lab).await;
    let mut task = import(root(&add(NEW, &profile, "")));
    task.attempt(&lab.connector()).await.unwrap();
    task.notes.lock().unwrap().clear();
    task.reconcile = true;
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(1, 0, 0, 0));
    assert_eq!(lab.effects(NEW).creates, 1);

    let mut later = import(root(&add(NEW, &profile, "")));
    assert_eq!(later.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Failed);
    assert_eq!(codes(&later), ["DUPLICATE_USERNAME"]);
}

/// F68 in a batch: the member that had the task before has set the password, and Salesforce takes none twice.
#[tokio::test]
async fn f68_a_password_that_another_member_has_set_is_no_failure() {
    let lab = Lab::start().await;
    let mut task = import(root(&modify(ACTIVE, "<password>Correct-Horse-7</password>")));
    task.attempt(&lab.connector()).await.unwrap();
    task.taken_over(Duration::from_secs(60));
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 1, 0, 0), "{:?}", task.lines());
    assert_eq!(lab.effects(ACTIVE).password_sets, 1);

    let mut refused = import(root(&modify(OTHER, "<password>short</password>")));
    refused.reconcile = true;
    refused.attempt(&lab.connector()).await.unwrap();
    assert_eq!(codes(&refused), ["INVALID_NEW_PASSWORD"]);
}

/// The first member has set it; then the one that goes on is refused for another reason.
#[tokio::test]
async fn a_password_of_a_batch_that_another_member_may_have_set_is_unknown_whatever_the_refusal() {
    let lab = Lab::start().await;
    let mut task = import(root(&modify(ACTIVE, "<password>Correct-Horse-7</password>")));
    task.attempt(&lab.connector()).await.unwrap();
    task.taken_over(Duration::from_secs(60));
    let code = Some("INSUFFICIENT_ACCESS".to_owned());
    lab.fault("POST", "/password", Mishap::Respond { status: 400, code, message: None }, 1);
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(
        (&task.lines()[0]["outcome"], codes(&task)),
        (&"unknown".into(), vec!["INSUFFICIENT_ACCESS".to_owned()])
    );
}

/// Invariant 12: give it the calls of a first member, and whoever takes a batch over sends a password twice. Forget that
/// there was another as soon as the journal has a call, and whoever dies in it sends the password again.
#[tokio::test]
async fn f68_a_password_of_a_batch_that_was_taken_over_is_sent_once() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut died = import(root(&modify(OTHER, "<password>Correct-Horse-7</password>")));
    died.taken_over(Duration::from_secs(60));
    lab.fault("POST", "/password", Mishap::Latency { millis: 600_000 }, 1);
    died.dies_in_the_call(&lab, &connector).await;
    assert_eq!(died.attempt(&connector).await.unwrap().output, counts(0, 0, 0, 1), "{:?}", died.lines());
    assert_eq!((died.intents(), lab.effects(OTHER).password_sets), (1, 0));

    let mut task = import(root(&modify(ACTIVE, "<password>Correct-Horse-7</password>")));
    task.taken_over(Duration::from_secs(60));
    lab.fault("POST", "/password", Mishap::Refuse, 1);
    task.attempt(&connector).await.unwrap();
    assert_eq!((&task.lines()[0]["outcome"], codes(&task)), (&"unknown".into(), vec!["no_answer".to_owned()]));
    assert_eq!(lab.effects(ACTIVE).password_sets, 0);
}

/// A member that is alone in its cluster and was away gets its own batch back: nobody else can have sent the password. Count
/// a call of others for it, and it is not sent again; count none for a member that had the batch in between, and it is sent a
/// third time.
#[tokio::test]
async fn a_password_of_a_batch_that_comes_back_to_its_member_is_sent_once_more() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    for (user, of_another, expected) in [(ACTIVE, false, counts(0, 1, 0, 0)), (OTHER, true, counts(0, 0, 0, 1))] {
        let mut task = import(root(&modify(user, "<password>Correct-Horse-7</password>")));
        lab.fault("POST", "/password", Mishap::Latency { millis: 600_000 }, 1);
        task.dies_in_the_call(&lab, &connector).await;
        if of_another {
            task.leased_after_another_member();
        } else {
            task.leased_again();
        }
        assert_eq!(task.attempt(&connector).await.unwrap().output, expected, "{:?}", task.lines());
        assert_eq!(lab.effects(user).password_sets, u64::from(!of_another));
        assert_eq!(task.intents(), 2 - usize::from(of_another));
    }
}

/// An entry that another member did may find its user under another name, which a later entry gave it.
#[tokio::test]
async fn an_entry_whose_user_is_not_found_is_unknown_if_another_member_may_have_done_it() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = import(root(&[modify(ACTIVE, "<Title>x</Title>"), rename(ACTIVE, "b@acme.example", "")].concat()));
    task.attempt(&connector).await.unwrap();
    task.taken_over(Duration::from_secs(60));
    task.attempt(&connector).await.unwrap();
    let lines = task.lines();
    assert_eq!((&lines[0]["outcome"], &lines[0]["code"]), (&"unknown".into(), &"user_not_found".into()), "{lines:?}");
    assert_eq!(lines[1]["outcome"], "modified");
}

/// A batch with a name that nobody has, and one that changes hands.
fn names_change_hands(profile: &str) -> Task {
    let entries = [
        modify(OTHER, "<Title>x</Title>"),
        modify("nobody@acme.example", "<Title>x</Title>"),
        rename(ACTIVE, "gone@acme.example", ""),
        add(ACTIVE, profile, ""),
    ];
    import(root(&entries.concat()))
}

/// A cluster of one member whose line was down: nobody else had the batch. Take it for another's, and a mistyped name cannot be
/// told from a user who was renamed by it, and whose name changes hands is left alone.
#[tokio::test]
async fn a_batch_that_comes_back_to_its_member_is_not_taken_for_anothers() {
    let lab = Lab::start().await;
    let (connector, profile) = (lab.connector(), profile(&lab).await);
    let mut task = names_change_hands(&profile);
    lab.fault("PATCH", "/composite/sobjects", Mishap::Latency { millis: 600_000 }, 1);
    task.dies_in_the_call(&lab, &connector).await;
    task.leased_again();
    assert_eq!(task.attempt(&connector).await.unwrap().output, counts(1, 2, 1, 0), "{:?}", task.lines());
}

/// The numbers of the leases follow one another, and yet another member may have had the batch, under the one that this had in
/// the ledger that is gone. Go by them alone, and what that did is told as failed, and done again for the next who has the name.
#[tokio::test]
async fn a_batch_that_comes_back_after_a_restore_of_the_controller_may_be_anothers() {
    let lab = Lab::start().await;
    let (connector, profile) = (lab.connector(), profile(&lab).await);
    let mut task = names_change_hands(&profile);
    lab.fault("PATCH", "/composite/sobjects", Mishap::Latency { millis: 600_000 }, 1);
    task.dies_in_the_call(&lab, &connector).await;
    task.leased_after_a_restore();
    task.attempt(&connector).await.unwrap();
    assert!(codes(&task).iter().any(|code| code == "name_passed_on"), "{:?}", task.lines());
}

/// One that waited for an org that was read-only is its own as well: no intent of it is open.
#[tokio::test]
async fn a_batch_that_waited_for_a_read_only_org_is_not_taken_for_anothers() {
    let lab = Lab::start().await;
    let (connector, profile) = (lab.connector(), profile(&lab).await);
    let mut task = names_change_hands(&profile);
    lab.sim.switch(&Switches { read_only_after: Some(0), ..Switches::default() }).unwrap();
    task.attempt(&connector).await.unwrap_err();
    lab.sim.clear_faults();
    task.leased_again();
    assert_eq!(task.attempt(&connector).await.unwrap().output, counts(1, 2, 1, 0), "{:?}", task.lines());
}

/// Entries are done in their order, and a batch that is taken over begins with its first. Look at who has a name now, and a
/// second user is made, and the one who got the name last is disabled for the one before.
#[tokio::test]
async fn a_name_that_changes_hands_in_a_batch_that_is_taken_over_is_nobodys_to_change() {
    let lab = Lab::start().await;
    let (connector, profile) = (lab.connector(), profile(&lab).await);
    let entries = [
        add(NEW, &profile, ""),
        rename(NEW, "moved@acme.example", ""),
        modify(ACTIVE, "<IsActive>false</IsActive>"),
        rename(ACTIVE, "gone@acme.example", ""),
        add(ACTIVE, &profile, ""),
        modify(OTHER, "<Title>x</Title>"),
    ];
    let mut task = import(root(&entries.concat()));
    assert_eq!(task.attempt(&connector).await.unwrap().output, counts(2, 4, 0, 0), "{:?}", task.lines());
    task.taken_over(Duration::from_secs(60));
    assert_eq!(task.attempt(&connector).await.unwrap().output, counts(0, 1, 0, 5), "{:?}", task.lines());
    assert!(codes(&task)[..5].iter().all(|code| code == "name_passed_on"), "{:?}", codes(&task));
    assert!(lab.sim.user(NEW).is_none());
    assert_eq!(lab.effects(ACTIVE).deactivations, 0);
}
