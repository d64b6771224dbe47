//! What is kept of an org, and noted of tasks for it, by versions before.

use data_encoding::HEXLOWER;
use postern_agent::connector::salesforce::notes::{Again, KINDS};
use postern_agent::connector::{Effect, JournalEntry, Mark, Shift};
use postern_agent::policy::Counters;
use salesforce_sim::Mishap;

use crate::lab::{Lab, Task, deprovision, disable, disable_or_freeze, expire, reset, reset_by_service, restore};

/// What is kept of a system whatever its connector, behind what is of Salesforce.
const COUNTERS: Again = |bytes| serde_json::to_vec(&serde_json::from_slice::<Counters>(bytes).ok()?).ok();

/// Every kind as the first version wrote it, a line each: its number in [`KINDS`], or that behind them for [`COUNTERS`], what
/// it is, and the text, or the bytes in hexadecimal.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/golden/notes-1");

/// Add a field to a note, or name one otherwise, and an agent that is upgraded with work under way takes what it noted for
/// nothing: a second password, a second job. Whoever does so on purpose has these read all the same.
#[test]
fn what_was_kept_and_noted_is_read_as_it_was_written() {
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    let kinds = [&KINDS[..], &[COUNTERS]].concat();
    let mut seen = vec![false; kinds.len()];
    for line in golden.lines() {
        let [kind, what, written] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("three cells: {line}") };
        let kind: usize = kind.parse().unwrap();
        let is_text = written.starts_with(['{', '[']);
        let written = if is_text { written.into() } else { HEXLOWER.decode(written.as_bytes()).unwrap() };
        let again = kinds[kind](&written);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(again.as_deref().map(shown), Some(shown(&written)), "{what}");
        assert_eq!(again, Some(written), "{what}");
        seen[kind] = true;
    }
    assert_eq!(seen, vec![true; kinds.len()], "there is a line of every kind");
}

const USER: &str = "user0001@acme.example";
const OTHER: &str = "user0003@acme.example";

/// The steps of a task that announced something, each with what that is called.
fn announced(task: &Task) -> Vec<(u32, String)> {
    let notes = task.notes.lock().unwrap();
    let intents = notes.iter().filter(|entry| entry.mark == Mark::Intent);
    let named = |entry: &JournalEntry| {
        let changes = Effect::decode(&entry.effect).changes;
        changes.into_iter().map(|shift| shift.attribute).collect::<Vec<_>>().join(" ")
    };
    intents.map(|entry| (entry.step, named(entry))).collect()
}

/// A task that was begun by an earlier version goes on where its journal says that it stopped. Give a step another number, and
/// what was not done is taken for done.
#[tokio::test]
async fn the_steps_of_a_task_have_the_numbers_that_they_always_had() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let blocked = Mishap::Respond { status: 400, code: Some("DEPENDENCY_EXISTS".to_owned()), message: None };
    lab.fault("PATCH", "/sobjects/User/", blocked, 1);
    let gone = "user0003@acme.example.deleted";
    for (mut task, steps) in [
        (disable_or_freeze(USER), &[(0, "IsActive"), (1, "IsFrozen")][..]),
        (expire(USER), &[(0, "password")]),
        (reset_by_service(USER), &[(0, "password")]),
        (reset(USER, "An0ther-pass-word"), &[(0, "password")]),
        (deprovision(OTHER, ""), &[(0, "Username"), (1, "password"), (2, "IsActive")]),
        (restore(gone, OTHER, "", Some("An0ther-pass-word!")), &[(0, "IsActive Username"), (1, "password")]),
    ] {
        task.attempt(&connector).await.unwrap();
        let steps: Vec<_> = steps.iter().map(|(step, what)| (*step, (*what).to_owned())).collect();
        assert_eq!(announced(&task), steps);
    }
}

/// A line of the audit log is made of what the intent of its call announced, whatever that is: leave it out, and nobody finds out
/// whose password was replaced, or which address an account was given.
#[tokio::test]
async fn an_intent_announces_the_account_and_every_attribute_that_changes() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let gone = "user0003@acme.example.deleted";
    let told = |attribute: &str, old: &str, new: &str| Shift::new(attribute, old, new);
    let leaves = vec![told("Username", OTHER, gone), told("Email", OTHER, "dead@acme.example")];
    let returns = vec![
        Shift::new("IsActive", false, true),
        told("Username", gone, OTHER),
        told("Email", OTHER, "new@acme.example"),
    ];
    for (mut task, account, first) in [
        (expire(USER), USER, vec![Shift::password()]),
        (reset_by_service(USER), USER, vec![Shift::password()]),
        (deprovision(OTHER, "dead@acme.example"), OTHER, leaves),
        (disable(gone), gone, vec![Shift::new("IsActive", true, false)]),
        (restore(gone, OTHER, "new@acme.example", None), gone, returns),
    ] {
        // An address waits to be confirmed.
        let _ = task.attempt(&connector).await;
        let notes = task.notes.lock().unwrap();
        let effect = Effect::decode(&notes.iter().find(|entry| entry.mark == Mark::Intent).unwrap().effect);
        assert_eq!((effect.account.as_str(), effect.changes), (account, first));
        assert!(effect.id.is_some(), "{account}");
    }
}
