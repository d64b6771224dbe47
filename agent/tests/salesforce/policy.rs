//! What the agent's own policy leaves of tasks.

use std::sync::Arc;
use std::time::Duration;

use postern_agent::policy::{Ceiling, Ceilings, Pattern, Policy};
use postern_protocol::task::import_batch::{Format, Request};
use salesforce_sim::{ADMIN, Mishap, OrgSeed};
use serde_json::{Value, json};

use crate::lab::{Lab, Task, dead_anywhere, import_with, validate};

fn user(number: u64) -> String {
    format!("user{number:04}@acme.example")
}

fn new(number: u64) -> String {
    format!("new{number:04}@acme.example")
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

fn policy() -> Policy {
    let once = Ceiling { per_hour: Some(1), per_day: None };
    Policy {
        deny: patterns(&["user0001@*"]),
        protected: patterns(&["USER0002@*"]),
        ceilings: Ceilings { deactivations: once, creates: once, ..Ceilings::default() },
        ..Policy::default()
    }
}

fn import(request: Request, policy: Policy, entries: &[Value]) -> Task {
    let lines: Vec<String> = entries.iter().map(Value::to_string).collect();
    let mut task = import_with(request, lines.join("\n"));
    task.policy = Arc::new(policy);
    task
}

async fn made(lab: &Lab, number: u64) -> Value {
    validate(&user(1)).attempt(&lab.connector()).await.unwrap();
    let profile = lab.sim.user(&user(1)).unwrap().text("ProfileId").to_owned();
    json!({
        "op": "add", "Username": new(number), "LastName": "New", "Alias": "new", "Email": new(number),
        "ProfileId": profile, "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US",
        "EmailEncodingKey": "UTF-8", "LanguageLocaleKey": "en_US",
    })
}

/// Each entry's outcome, and the rule if the policy refused it.
fn told(task: &Task) -> Vec<String> {
    let told = |line: &Value| {
        let (outcome, code) = (line["outcome"].as_str().unwrap(), line["code"].as_str().unwrap_or_default());
        let rule = line["message"].as_str().and_then(|it| it.split("rule `").nth(1)?.split('`').next());
        match (code, rule) {
            ("policy", Some(rule)) => format!("{outcome}: {rule}"),
            _ => outcome.to_owned(),
        }
    };
    task.lines().iter().map(told).collect()
}

async fn entries(lab: &Lab) -> Vec<Value> {
    let id = lab.sim.user(&user(1)).unwrap().text("Id").to_owned();
    vec![
        json!({ "Username": user(1), "Title": "Refused" }),
        json!({ "Id": id, "Title": "Refused" }),
        json!({ "Username": user(2), "Title": "Moved" }),
        json!({ "Username": user(2), "IsActive": "false" }),
        json!({ "Original_Username": user(3), "Username": "user0002@other.example", "Title": "Refused" }),
        json!({ "Username": user(4), "IsActive": "false" }),
        json!({ "Username": user(5), "IsActive": "false" }),
        made(lab, 1).await,
        made(lab, 2).await,
        json!({ "Username": user(6), "Title": "Moved" }),
    ]
}

const TOLD: [&str; 10] = [
    "failed: deny",
    "failed: deny",
    "modified",
    "failed: protected",
    "failed: protected",
    "modified",
    "failed: deactivations_per_hour",
    "created",
    "failed: creates_per_hour",
    "modified",
];

/// Look nobody up by Id whom nothing else needs, and the second entry is done.
#[tokio::test]
async fn an_import_is_held_to_the_policy_entry_by_entry() {
    for bulk_threshold in [2_000, 1] {
        let lab = Lab::with_org(OrgSeed::acme(20)).await;
        let request = Request { bulk_threshold, ..Request::new(Format::Jsonl) };
        let mut task = import(request, policy(), &entries(&lab).await);
        task.attempt(&lab.connector()).await.unwrap();
        let mut lines = told(&task);
        // Entries about one user are not done at once, so that they may be told in another order.
        lines.sort_unstable();
        let mut expected = TOLD.to_vec();
        expected.sort_unstable();
        assert_eq!(lines, expected);
        assert_eq!(lab.sim.user(&user(1)).unwrap().text("Title"), lab.sim.user(&user(7)).unwrap().text("Title"));
        assert_eq!(lab.sim.user(&user(2)).unwrap().text("Title"), "Moved");
        assert_eq!((lab.effects(&user(2)).deactivations, lab.effects(&user(4)).deactivations), (0, 1));
        assert_eq!((lab.effects(&new(1)).creates, lab.effects(&new(2)).creates), (1, 0));
    }
}

#[tokio::test]
async fn a_dry_run_tells_what_the_policy_refuses_at_any_time_and_counts_nothing() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    let request = Request { dry_run: true, ..Request::new(Format::Jsonl) };
    let mut task = import(request, policy(), &entries(&lab).await);
    task.attempt(&lab.connector()).await.unwrap();
    let lines = told(&task);
    assert_eq!(lines.iter().filter(|line| *line == "failed: deny").count(), 2, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| *line == "failed: protected").count(), 2, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("would_")).count(), 6, "{lines:?}");
}

#[tokio::test]
async fn all_or_none_of_an_import_is_none_if_the_policy_refuses_one() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    for entries in [
        vec![json!({ "Username": user(6), "Title": "Moved" }), json!({ "Username": user(1), "Title": "Refused" })],
        vec![
            json!({ "Username": user(6), "Title": "Moved" }),
            json!({ "Username": user(4), "IsActive": "false" }),
            json!({ "Username": user(5), "IsActive": "false" }),
        ],
    ] {
        let request = Request { all_or_none: true, ..Request::new(Format::Jsonl) };
        let mut task = import(request, policy(), &entries);
        task.attempt(&lab.connector()).await.unwrap();
        assert!(told(&task).iter().all(|line| line.starts_with("failed")), "{:?}", told(&task));
        assert_ne!(lab.sim.user(&user(6)).unwrap().text("Title"), "Moved");
    }
}

/// Ask the policy anew when a unit is gone on with, and the user that was made counts twice, so that none is let in; leave
/// the note of what was refused out, and the second is made above the ceiling.
#[tokio::test]
async fn what_the_policy_refused_stays_refused_when_a_unit_is_gone_on_with() {
    let deaths = dead_anywhere(async |death| {
        let lab = Lab::with_org(OrgSeed::acme(20)).await;
        let entries = [made(&lab, 1).await, made(&lab, 2).await, json!({ "Username": user(6), "Title": "Moved" })];
        let mut task = import(Request::new(Format::Jsonl), policy(), &entries);
        task.dies = Some(death);
        let first = task.attempt(&lab.connector()).await;
        let was_begun = task.intents() > 0;
        if let Err(died) = &first {
            assert_eq!(died.code.as_str(), "died");
            task.attempt(&lab.connector()).await.unwrap();
        }
        let refused = told(&task).iter().filter(|line| *line == "failed: creates_per_hour").count();
        // What was counted and never begun is counted once more.
        let most = if was_begun { 1 } else { 2 };
        assert!((1..=most).contains(&refused), "{death:?}: {:?}", told(&task));
        assert_eq!(
            (lab.effects(&new(1)).creates, lab.effects(&new(2)).creates),
            (u64::from(refused == 1), 0),
            "{death:?}"
        );
        first.is_ok()
    });
    assert!(deaths.await >= 6);
}

/// Invariant of the ceilings: what begins is counted, also behind a crash. Take a unit that was begun for one that was let in,
/// and whoever was not to be found when it was is never counted.
#[tokio::test]
async fn what_an_entry_asks_for_that_nobody_admitted_is_counted_when_a_unit_is_gone_on_with() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    let once = Ceiling { per_hour: Some(2), per_day: None };
    let policy = Policy { ceilings: Ceilings { resets: once, ..Ceilings::default() }, ..Policy::default() };
    let password = |name: &str| json!({ "Username": name, "password": "Correct-Horse-7" });
    let absent = ["absent-1@acme.example", "absent-2@acme.example"];
    let entries = [password(&user(3)), password(absent[0]), password(absent[1])];
    let mut task = import(Request::new(Format::Jsonl), policy, &entries);
    lab.fault("POST", "/password", Mishap::Latency { millis: 600_000 }, 1);
    task.dies_in_the_call(&lab, &lab.connector()).await;
    let renames: Vec<Value> = absent
        .iter()
        .zip([user(4), user(5)])
        .map(|(new, old)| json!({ "Original_Username": old, "Username": new }))
        .collect();
    import(Request::new(Format::Jsonl), Policy::default(), &renames).attempt(&lab.connector()).await.unwrap();
    task.attempt(&lab.connector()).await.unwrap();
    let told = told(&task);
    assert_eq!(told[..2], ["modified", "modified"], "{told:?}");
    assert!(told[2].ends_with(": resets_per_hour"), "{told:?}");
    assert_eq!([0, 1].map(|it| lab.effects(absent[it]).password_sets), [1, 0]);
}

/// Take the password that an earlier attempt here has set for that of somebody who works with the user, and an account that
/// was to be made, and is protected once it is, is never finished.
#[tokio::test]
async fn a_user_that_an_earlier_attempt_here_made_is_gone_on_with() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    let mut entries = [made(&lab, 1).await];
    entries[0]["password"] = "Correct-Horse-7".into();
    let protected = Policy { protected: patterns(&["new*"]), ..Policy::default() };
    let mut task = import(Request::new(Format::Jsonl), protected, &entries);
    lab.fault("POST", "/password", Mishap::DelayCommit { millis: 20 }, 1);
    task.dies_in_the_call(&lab, &lab.impatient()).await;
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(told(&task), ["created"]);
    assert!(lab.sim.password_is(&new(1), "Correct-Horse-7"));
}

/// A controller says that a batch was begun elsewhere, and how long ago. Take whom the service account once made for what that
/// batch made, without a look at the policy, and everybody's password is its to set.
#[tokio::test]
async fn a_user_that_is_taken_for_what_another_member_made_is_held_to_the_policy() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    let made = [made(&lab, 1).await, made(&lab, 2).await];
    let with_password = |entry: &Value, password: &str| {
        let mut entry = entry.clone();
        entry["password"] = password.into();
        entry
    };
    let first = made.each_ref().map(|entry| with_password(entry, "Correct-Horse-7"));
    import(Request::new(Format::Jsonl), Policy::default(), &first).attempt(&lab.connector()).await.unwrap();
    let again = made.each_ref().map(|entry| with_password(entry, "Another-Horse-8"));
    let denied = Policy { deny: patterns(&["new*"]), ..Policy::default() };
    let none = Ceiling { per_hour: Some(0), per_day: None };
    let counted = Policy { ceilings: Ceilings { resets: none, ..Ceilings::default() }, ..Policy::default() };
    for (policy, rule) in [(denied, "deny"), (counted, "resets_per_hour")] {
        let mut task = import(Request::new(Format::Jsonl), policy, &again);
        task.taken_over(Duration::from_secs(600));
        task.attempt(&lab.connector()).await.unwrap();
        assert!(told(&task).iter().all(|line| line.ends_with(&format!(": {rule}"))), "{:?}", told(&task));
        assert!(lab.sim.password_is(&new(1), "Correct-Horse-7"));
    }
}

/// Before it was refused here, another member may have done it: that stays so when this one dies and goes on.
#[tokio::test]
async fn what_is_refused_of_a_batch_that_was_taken_over_stays_unknown() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    let once = Ceiling { per_hour: Some(1), per_day: None };
    let policy = Policy { ceilings: Ceilings { deactivations: once, ..Ceilings::default() }, ..Policy::default() };
    let off = |number| json!({ "Username": user(number), "IsActive": "false" });
    let mut task = import(Request::new(Format::Jsonl), policy, &[off(4), off(5)]);
    task.taken_over(Duration::from_secs(600));
    lab.fault("PATCH", "/composite/sobjects", Mishap::Latency { millis: 600_000 }, 1);
    task.dies_in_the_call(&lab, &lab.connector()).await;
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(told(&task), ["modified", "unknown: deactivations_per_hour"], "{:?}", task.lines());
}

/// Whoever owns the mailbox of an account asks for another password, and an identity provider lets in whomever it calls so.
/// Look at a name, a password and `IsActive` alone, and all of it is done.
#[tokio::test]
async fn an_account_that_is_protected_keeps_its_address_and_its_identity() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    let id = lab.sim.user(&user(2)).unwrap().text("Id").to_owned();
    let address = lab.sim.user(&user(2)).unwrap().text("Email").to_uppercase();
    let refused = [
        json!({ "Username": user(2), "Email": "x@evil.example" }),
        json!({ "Id": id, "Email": "x@evil.example" }),
        json!({ "Username": user(2), "FederationIdentifier": "evil" }),
        json!({ "Id": id, "FederationIdentifier": "evil" }),
    ];
    for entry in refused {
        let mut task = import(Request::new(Format::Jsonl), policy(), std::slice::from_ref(&entry));
        task.attempt(&lab.connector()).await.unwrap();
        assert_eq!((told(&task), lab.effects(&user(2)).updates), (vec!["failed: protected".to_owned()], 0), "{entry}");
    }
    let entry = json!({ "Username": user(2), "Email": address, "FederationIdentifier": "", "Title": "Moved" });
    let mut task = import(Request::new(Format::Jsonl), policy(), &[entry]);
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(told(&task), ["modified"], "a record that repeats what is there");
}

#[tokio::test]
async fn another_address_or_identity_counts_as_a_reset() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    let id = lab.sim.user(&user(4)).unwrap().text("Id").to_owned();
    let once = Ceiling { per_hour: None, per_day: Some(1) };
    let policy = Policy { ceilings: Ceilings { resets: once, ..Ceilings::default() }, ..Policy::default() };
    let entries = [
        json!({ "Username": user(3), "Email": lab.sim.user(&user(3)).unwrap().text("Email"), "Title": "Moved" }),
        json!({ "Id": id, "FederationIdentifier": "fed-4" }),
        json!({ "Username": user(5), "Email": "x@evil.example" }),
    ];
    let mut task = import(Request::new(Format::Jsonl), policy, &entries);
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(told(&task), ["modified", "modified", "failed: resets_per_day"]);
    assert_eq!(lab.effects(&user(5)).updates, 0);
}

#[tokio::test]
async fn the_service_account_keeps_its_address_and_its_identity_without_a_policy() {
    let lab = Lab::with_org(OrgSeed::acme(20)).await;
    let (id, address) = {
        let user = lab.sim.user(ADMIN).unwrap();
        (user.text("Id").to_owned(), user.text("Email").to_owned())
    };
    let other = lab.sim.user(&user(1)).unwrap().text("ProfileId").to_owned();
    for (entry, code) in [
        (json!({ "Username": ADMIN, "Email": "x@evil.example" }), "service_account_protected"),
        (json!({ "Id": id, "Email": "x@evil.example" }), "service_account_protected"),
        (json!({ "Id": id, "FederationIdentifier": "evil" }), "service_account_protected"),
        (json!({ "Id": id, "ProfileId": other }), "service_account_protected"),
        (json!({ "Username": ADMIN, "ProfileId": other }), "service_account_protected"),
        (json!({ "Username": ADMIN, "Email": address, "FederationIdentifier": "", "Title": "Moved" }), ""),
    ] {
        let mut task = import(Request::new(Format::Jsonl), Policy::default(), std::slice::from_ref(&entry));
        task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(task.lines()[0]["code"].as_str().unwrap_or_default(), code, "{entry}");
        assert_eq!(lab.effects(ADMIN).updates, u64::from(code.is_empty()), "{entry}");
    }
}

/// A dataset of all users repeats every name. Take that for a rename, and a nightly import of it never succeeds.
#[tokio::test]
async fn the_service_account_may_be_given_the_name_that_it_has_and_no_other() {
    let lab = Lab::start().await;
    let id = lab.sim.user(ADMIN).unwrap().id;
    let (own, other) = (ADMIN.to_uppercase(), "boss@acme.example");
    for (entry, told) in [
        (json!({ "Id": id, "Username": own, "Title": "Robot" }), "modified"),
        (json!({ "Id": &id[..15], "Username": ADMIN, "Title": "Robot" }), "modified"),
        (json!({ "Original_Username": ADMIN, "Username": own, "Title": "Robot" }), "modified"),
        (json!({ "Id": id, "Username": other, "Title": "Robot" }), "service_account_protected"),
        (json!({ "Id": id, "Username": "", "Title": "Robot" }), "no_key"),
        (json!({ "Original_Username": ADMIN, "Username": other, "Title": "Robot" }), "service_account_protected"),
        (json!({ "Id": id, "Username": own, "IsActive": false }), "service_account_protected"),
    ] {
        let mut task = import(Request::new(Format::Jsonl), Policy::default(), std::slice::from_ref(&entry));
        task.attempt(&lab.connector()).await.unwrap();
        let line = &task.lines()[0];
        let code = line["code"].as_str().or(line["outcome"].as_str());
        assert_eq!(code, Some(told), "{entry}");
        assert!(lab.sim.user(ADMIN).is_some_and(|user| user.active), "{entry}");
    }
    assert_eq!(lab.sim.user(ADMIN).unwrap().text("Title"), "Robot");
}
