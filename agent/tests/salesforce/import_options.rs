//! What a request can ask of a batch beside its dataset, and what becomes of bad input.

use std::time::Duration;

use postern_agent::connector::{Conclusion, Known, Mark, Shift};
use postern_agent_core::GivenUp;
use postern_agent_core::ledger::Ending;
use postern_protocol::bounded::{List, Text};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::import_batch::{DynamicSystem, Format, Output, Request};
use postern_protocol::{Failure, FailureClass, Outcome, TaskOutput};
use salesforce_sim::{Mishap, OrgSeed, Switches};
use serde_json::{Value, json};

use crate::lab::{Lab, Task, import_with};

const ACTIVE: &str = "user0001@acme.example";
const OTHER: &str = "user0002@acme.example";

fn request(rules: &[&str]) -> Request {
    let attributes = List::new(rules.iter().map(|rule| rule.parse().unwrap()).collect()).unwrap();
    Request { attributes, ..Request::new(Format::Jsonl) }
}

fn lines(entries: &[Value]) -> String {
    entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

/// An entry for a new user.
fn new_user(lab: &Lab, name: &str) -> Value {
    let profile = lab.sim.user(ACTIVE).unwrap().text("ProfileId").to_owned();
    json!({
        "op": "add", "Username": name, "LastName": "New", "Alias": "new", "Email": name, "ProfileId": profile,
        "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US", "EmailEncodingKey": "UTF-8", "LanguageLocaleKey": "en_US",
    })
}

fn output(conclusion: &Conclusion) -> &Output {
    let Some(TaskOutput::ImportBatch(output)) = &conclusion.output else { panic!("{:?}", conclusion.output) };
    output
}

/// What became of each entry: the code, or how it ended.
fn codes(task: &Task) -> Vec<String> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    task.lines()
        .iter()
        .map(|it| if text(it, "code").is_empty() { text(it, "outcome") } else { text(it, "code") })
        .collect()
}

fn title(lab: &Lab, name: &str) -> String {
    lab.sim.user(name).unwrap().text("Title").to_owned()
}

/// Feature B6.
#[tokio::test]
async fn bad_entries_are_named_and_good_ones_go_on() {
    let lab = Lab::start().await;
    let mut taken = new_user(&lab, "third@acme.example");
    taken["TimeZoneSidKey"] = json!("Mars/Olympus");
    let mut nameless = new_user(&lab, "x");
    nameless.as_object_mut().unwrap().remove("Username");
    let mut bare = new_user(&lab, "bare@acme.example");
    bare.as_object_mut().unwrap().remove("Email");
    let cases = [
        (json!({"Username": ACTIVE, "Title": "good"}), "modified"),
        (json!({"Username": ACTIVE, "Nonsense": "x"}), "unknown_attribute"),
        (json!({"Title": "x"}), "no_key"),
        (nameless, "no_key"),
        (new_user(&lab, &format!("{}@acme.example", "x".repeat(68))), "STRING_TOO_LONG"),
        (json!({"Username": ACTIVE, "Alias": "ninechars"}), "STRING_TOO_LONG"),
        (json!({"Username": ACTIVE, "Title": "nul \u{0} inside"}), "bad_character"),
        (taken, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        (bare, "REQUIRED_FIELD_MISSING"),
        (json!({"Username": OTHER, "Title": "first"}), "modified"),
        (json!({"Username": OTHER, "Title": "second"}), "modified"),
    ];
    let mut task = import_with(request(&[]), lines(&cases.clone().map(|(entry, _)| entry)));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(codes(&task), cases.map(|(_, code)| code.to_owned()), "{:?}", task.lines());
    let counts = output(&conclusion);
    assert_eq!((counts.entries, counts.modified, counts.failed), (11, 3, 8));
    assert_eq!((title(&lab, ACTIVE).as_str(), title(&lab, OTHER).as_str()), ("good", "second"));
    for (number, line) in (1..).zip(task.lines()) {
        assert_eq!((line["line"].as_u64(), line["column"].as_u64()), (Some(number), Some(1)));
    }
    let missing = &task.lines()[8]["message"];
    assert!(missing.as_str().unwrap().contains("Email"), "{missing}");
}

/// Feature D5.
#[tokio::test]
async fn a_dry_run_says_what_would_be_changed_and_changes_nothing() {
    let lab = Lab::start().await;
    let before = title(&lab, ACTIVE);
    let entries = [
        json!({"Username": ACTIVE, "Title": "Lead", "Department": "Hidden place", "password": "Correct-Horse-7"}),
        new_user(&lab, "new@acme.example"),
        json!({"Username": "nobody@acme.example", "Title": "x"}),
    ];
    let mut task = import_with(Request { dry_run: true, ..request(&["Department=encrypted"]) }, lines(&entries));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::PartiallySucceeded, Changed::No));
    assert_eq!(codes(&task), ["would_modify", "would_create", "user_not_found"]);
    let changes = task.lines()[0]["changes"].as_array().unwrap().clone();
    let of = |name: &str| changes.iter().find(|it| it["attribute"] == name).unwrap().clone();
    let old = if before.is_empty() { Value::Null } else { json!(before) };
    assert_eq!(of("Title"), json!({"attribute": "Title", "old": old, "new": "Lead"}));
    assert_eq!(of("Department"), json!({"attribute": "Department"}));
    assert_eq!(of("password"), json!({"attribute": "password"}));
    let counts = output(&conclusion);
    assert!(counts.dry_run);
    assert_eq!((counts.created, counts.modified, counts.failed), (1, 1, 1));
    assert_eq!((counts.licenses.len(), counts.licenses[0].needed), (1, 1));
    assert_eq!((title(&lab, ACTIVE), lab.effects(ACTIVE).updates, task.intents()), (before, 0, 0));
    assert!(lab.sim.user("new@acme.example").is_none());
}

/// Feature D5.
#[tokio::test]
async fn a_dry_run_finds_that_the_licenses_run_out() {
    let lab = Lab::start().await;
    let mut task = import_with(Request { dry_run: true, ..request(&[]) }, lines(&[new_user(&lab, "a@acme.example")]));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    let stock = output(&conclusion).licenses[0].clone();
    let left = stock.total - stock.used;
    let entries: Vec<Value> = (0..=left).map(|n| new_user(&lab, &format!("more{n}@acme.example"))).collect();
    let mut task = import_with(Request { dry_run: true, ..request(&[]) }, lines(&entries));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((output(&conclusion).created, output(&conclusion).failed), (left, 1));
    assert_eq!(codes(&task).last().unwrap(), "LICENSE_LIMIT_EXCEEDED");
    assert_eq!(output(&conclusion).licenses[0].needed, left + 1);
}

#[tokio::test]
async fn all_or_none_sends_nothing_if_one_entry_does_not_pass() {
    let lab = Lab::start().await;
    let mut entries: Vec<Value> =
        (1..=9).map(|n| json!({"Username": format!("user{n:04}@acme.example"), "Title": "x"})).collect();
    entries.push(json!({"Username": "nobody@acme.example", "Title": "x"}));
    let mut task = import_with(Request { all_or_none: true, ..request(&[]) }, lines(&entries));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No));
    assert_eq!(output(&conclusion).failed, 10);
    assert_eq!(codes(&task), [vec!["not_sent"; 9], vec!["user_not_found"]].concat());
    assert_eq!((lab.effects(ACTIVE).updates, task.intents()), (0, 0));
    // What was found is kept to, even if the entry would pass when another attempt goes on.
    task.notes.lock().unwrap().retain(|entry| entry.note.is_empty());
    let mut mended = import_with(request(&[]), lines(&[new_user(&lab, "nobody@acme.example")]));
    assert_eq!(mended.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Succeeded);
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((output(&conclusion).failed, task.intents()), (10, 0));
}

#[tokio::test]
async fn all_or_none_rolls_a_unit_back_and_says_so() {
    let lab = Lab::start().await;
    let bad = "00e5g00000ZZZZZAAA";
    let entries = [
        json!({"Username": ACTIVE, "Title": "x"}),
        json!({"Username": OTHER, "ProfileId": bad}),
        json!({"Username": ACTIVE, "Title": "the next unit"}),
    ];
    let mut task = import_with(Request { all_or_none: true, ..request(&[]) }, lines(&entries));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No), "{:?}", task.lines());
    let codes = codes(&task);
    assert_eq!((codes[0].as_str(), codes[2].as_str()), ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "not_sent"));
    assert_ne!(title(&lab, ACTIVE), "x");
}

/// Feature B8.
#[tokio::test]
async fn only_what_differs_is_sent() {
    let lab = Lab::start().await;
    let entries = lines(&[
        json!({"Username": ACTIVE, "Title": "Lead", "isActive": true}),
        json!({"Username": OTHER, "Title": "Lead", "isActive": true}),
    ]);
    let rules = ["title=diff_with_target", "IsActive=diff_with_target"];
    let mut task = import_with(request(&rules), entries.clone());
    assert_eq!(output(&task.attempt(&lab.connector()).await.unwrap()).modified, 2);
    let mut again = import_with(request(&rules), entries);
    let conclusion = again.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::AlreadySatisfied, Changed::No));
    assert_eq!((output(&conclusion).unchanged, codes(&again)), (2, vec!["unchanged".to_owned(); 2]));
    assert_eq!((lab.effects(ACTIVE).updates, again.intents()), (1, 0));
    // What an attempt that died has written is still its own doing.
    task.notes.lock().unwrap().retain(|entry| entry.mark == Mark::Intent);
    assert_eq!(output(&task.attempt(&lab.connector()).await.unwrap()).modified, 2);
    assert_eq!(lab.effects(ACTIVE).updates, 1);
}

#[tokio::test]
async fn a_rule_that_means_nothing_ends_the_task_before_it_begins() {
    let lab = Lab::start().await;
    for (rule, code) in [
        ("Nonsense=audited", "unknown_attribute"),
        ("Title=add_diff_with_target", "not_multi_valued"),
        ("Username=encrypted", "name_encrypted"),
    ] {
        let mut task = import_with(request(&[rule]), lines(&[json!({"Username": ACTIVE, "Title": "x"})]));
        assert_eq!(task.attempt(&lab.connector()).await.unwrap_err().code.as_str(), code);
        assert_eq!(task.intents(), 0);
    }
}

/// Feature B10.
#[tokio::test]
async fn an_entry_goes_to_the_system_it_names() {
    let lab = Lab::start().await;
    let entry = |system: Option<&str>| match system {
        Some(system) => json!({"Username": ACTIVE, "Title": "x", "Transaction-SystemName": system}),
        None => json!({"Username": OTHER, "Title": "x"}),
    };
    let entries = lines(&[entry(Some("acme")), entry(Some("elsewhere")), entry(None)]);
    let dynamic_system = DynamicSystem::TransactionSystemName.into();
    let mut task = import_with(Request { dynamic_system, ..request(&[]) }, entries);
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(codes(&task), ["modified", "other_system", "system_missing"]);

    let variable = |variables: &[&str]| Request {
        dynamic_system: DynamicSystem::GlobalVariable.into(),
        system_variable: Text::new("target").unwrap(),
        variables: List::new(variables.iter().map(|it| it.parse().unwrap()).collect()).unwrap(),
        ..request(&[])
    };
    let without_the_way = |dynamic_system: DynamicSystem| Request {
        dynamic_system: dynamic_system.into(),
        ..variable(&["target=elsewhere"])
    };
    for (request, code) in [
        (variable(&["target=elsewhere"]), "other_system"),
        (variable(&["other=acme"]), "variable_missing"),
        (variable(&["target=acme", "target=elsewhere"]), "variable_twice"),
        (without_the_way(DynamicSystem::None), "variable_unused"),
        (without_the_way(DynamicSystem::TransactionSystemName), "variable_unused"),
    ] {
        let mut task = import_with(request, lines(&[entry(None)]));
        assert_eq!(task.attempt(&lab.connector()).await.unwrap_err().code.as_str(), code);
        assert_eq!(task.intents(), 0);
    }
    let mut task = import_with(variable(&["target=acme"]), lines(&[entry(None)]));
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Succeeded);
}

/// Feature B9.
#[tokio::test]
async fn audited_attributes_are_written_to_the_audit_without_what_is_encrypted() {
    let lab = Lab::start().await;
    let rules = ["Title=audited", "Department=audited,encrypted", "Division=encrypted"];
    let wanted = Request { audit_key: Text::new("EmployeeNumber").unwrap(), ..request(&rules) };
    let hidden = "A hidden place";
    let mut task = import_with(
        wanted,
        lines(&[
            json!({"Username": ACTIVE, "Title": "Lead", "Department": hidden, "EmployeeNumber": "E-7", "City": "Ulm"}),
            json!({"Username": OTHER, "City": "Ulm"}),
            json!({"Username": "user0003@acme.example", "City": null}),
        ]),
    );
    task.attempt(&lab.connector()).await.unwrap();
    let told = task.told.lock().unwrap().clone();
    let [(first, Known::Done(_)), (second, Known::Done(_)), (third, Known::Done(_))] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((first.key.as_deref(), first.account.as_str(), first.entry), (Some("E-7"), ACTIVE, Some(1)));
    assert!(
        first.changes.iter().any(|it| it.attribute == "Title" && it.old.is_some() && it.new == Some(json!("Lead")))
    );
    assert!(first.changes.contains(&Shift::hidden("Department")), "{first:?}");
    assert_eq!(second.changes, [Shift::hidden("City")], "nobody asked for its values");
    assert_eq!(third.changes, [Shift::hidden("City")], "nor knows that it was empty");
    assert!(!format!("{told:?}").contains(hidden));
    assert!(!task.notes.lock().unwrap().iter().any(|it| String::from_utf8_lossy(&it.note).contains(hidden)));
    assert!(!task.lines().iter().any(|line| line.to_string().contains(hidden)));
}

#[tokio::test]
async fn an_entry_that_failed_says_whether_it_was_changed_all_the_same() {
    let lab = Lab::start().await;
    let entries = [
        json!({"Username": ACTIVE, "Title": "Lead", "password": "short"}),
        json!({"Username": OTHER, "password": "short"}),
    ];
    let mut task = import_with(request(&[]), lines(&entries));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::PartiallySucceeded, Changed::Yes));
    let partly: Vec<bool> = task.lines().iter().map(|line| line["partly"] == true).collect();
    assert_eq!(partly, [true, false]);
    let mut task = import_with(request(&[]), lines(&entries[1..]));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No));
}

/// The attempt that wrote it died before it could say so.
#[tokio::test]
async fn what_an_earlier_attempt_wrote_is_audited_too() {
    let lab = Lab::start().await;
    let mut task = import_with(request(&["Title=audited"]), lines(&[json!({"Username": ACTIVE, "Title": "Lead"})]));
    task.attempt(&lab.connector()).await.unwrap();
    task.notes.lock().unwrap().retain(|entry| entry.mark == Mark::Intent);
    task.told.lock().unwrap().clear();
    task.attempt(&lab.connector()).await.unwrap();
    let told = task.told.lock().unwrap().clone();
    let [(effect, Known::Done(_))] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(effect.changes, [Shift { old: None, ..Shift::new("Title", "", "Lead") }]);
}

/// Somebody else with the same service account may have made it.
#[tokio::test]
async fn a_user_that_is_taken_for_ones_own_is_audited_as_probable() {
    let lab = Lab::start().await;
    let entry = new_user(&lab, "new@acme.example");
    let mut task = import_with(request(&[]), lines(&[entry]));
    task.attempt(&lab.connector()).await.unwrap();
    task.notes.lock().unwrap().retain(|entry| entry.mark == Mark::Intent);
    task.told.lock().unwrap().clear();
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(task.lines().last().unwrap()["outcome"], "created", "{:?}", task.lines());
    let told = task.told.lock().unwrap().clone();
    assert!(matches!(told.as_slice(), [(_, Known::Done(Certainty::Probable))]), "{told:?}");
}

/// What another member has done is not as it was any more, and passes for what keeps everything from being done.
#[tokio::test]
async fn a_batch_of_all_or_none_that_another_member_may_have_done_is_not_told_as_failed() {
    let lab = Lab::start().await;
    let entries = [json!({"Username": ACTIVE, "Title": "x"}), json!({"Username": OTHER, "Title": "x"})];
    let mut task = import_with(Request { all_or_none: true, ..request(&[]) }, lines(&entries));
    task.attempt(&lab.connector()).await.unwrap();
    let renamed = json!({"Original_Username": ACTIVE, "Username": "renamed@acme.example"});
    import_with(request(&[]), lines(&[renamed])).attempt(&lab.connector()).await.unwrap();
    task.taken_over(Duration::from_secs(600));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Unknown, Changed::Unknown), "{:?}", task.lines());
}

/// Tell nothing of what this attempt did not touch, and what the one that died wrote has no line.
#[tokio::test]
async fn what_an_earlier_attempt_may_have_written_is_told_although_it_is_refused_now() {
    let lab = Lab::start().await;
    let entry = json!({"Username": ACTIVE, "Title": "Lead", "Email": "new@acme.example"});
    let mut task = import_with(request(&["Title=audited"]), lines(&[entry]));
    task.attempt(&lab.connector()).await.unwrap();
    task.notes.lock().unwrap().retain(|entry| entry.mark == Mark::Intent);
    task.told.lock().unwrap().clear();
    task.rewrite(|dataset| dataset.replace("new@acme.example", "not-an-address"));
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(codes(&task), ["INVALID_EMAIL_ADDRESS"]);
    let told = task.told.lock().unwrap().clone();
    let [(effect, Known::Unknown)] = told.as_slice() else { panic!("{told:?}") };
    assert!(effect.changes.iter().any(|it| it.attribute == "Title"), "{effect:?}");
}

/// Salesforce's words hold the value that it refuses.
/// Feature B9.
#[tokio::test]
async fn an_encrypted_value_stands_in_no_message() {
    let lab = Lab::start().await;
    let bad = "not-an-address";
    // Salesforce trims an address, and puts it into lower case.
    for written in [bad, "Not-An-Address "] {
        for (rules, shown) in [(&[][..], true), (&["Email=encrypted"][..], false)] {
            let mut task = import_with(request(rules), lines(&[json!({"Username": ACTIVE, "Email": written})]));
            task.attempt(&lab.connector()).await.unwrap();
            assert_eq!(codes(&task), ["INVALID_EMAIL_ADDRESS"]);
            let message = task.lines()[0]["message"].as_str().unwrap().to_lowercase();
            assert_eq!(message.contains(bad), shown, "{:?}", task.lines());
        }
    }
}

/// Look for a value as it is written in words that are no more as they were said, and what is left of it stands there.
#[tokio::test]
async fn an_encrypted_value_stands_in_no_message_that_is_cut_or_brought_into_one_line() {
    let lab = Lab::start().await;
    let long = format!("Hush-hush {}", "and more ".repeat(60));
    for (value, quoted) in [("two  Words<br>in\nlines ", "two Words"), (&long, "hush-hush")] {
        let refused = Mishap::RespondAt {
            piece: "AboutMe".to_owned(),
            status: 400,
            code: "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY".to_owned(),
            message: format!("UserTrigger: no good: {value}"),
        };
        lab.fault("PATCH", "/composite/sobjects", refused, 1);
        let entry = json!({"Username": ACTIVE, "AboutMe": value});
        let mut task = import_with(request(&["AboutMe=encrypted"]), lines(&[entry]));
        task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(codes(&task), ["CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"]);
        let line = task.lines()[0].to_string().to_lowercase();
        assert!(!line.contains(&quoted.to_lowercase()), "{line}");
    }
}

/// Look for a value as it is written, and one that ends with a full stop stands whole before the next step.
#[tokio::test]
async fn an_encrypted_value_that_ends_like_a_sentence_stands_in_no_message() {
    let lab = Lab::start().await;
    let refused = Mishap::RespondAt {
        piece: "Department".to_owned(),
        status: 400,
        code: "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST".to_owned(),
        message: "Department: bad value for restricted picklist field: Acme Inc.".to_owned(),
    };
    lab.fault("PATCH", "/composite/sobjects", refused, 1);
    let entry = json!({"Username": ACTIVE, "Department": "Acme Inc."});
    let mut task = import_with(request(&["Department=encrypted"]), lines(&[entry]));
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(codes(&task), ["INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"]);
    let line = task.lines()[0].to_string();
    assert!(!line.contains("Acme Inc"), "{line}");
}

/// A call with this in its body is refused as a whole, for the value of one entry.
fn unreadable(piece: &str) -> Mishap {
    Mishap::RespondAt {
        piece: piece.to_owned(),
        status: 400,
        code: "JSON_PARSER_ERROR".to_owned(),
        message: "Cannot deserialize instance of date from VALUE_STRING value poison".to_owned(),
    }
}

/// Refuse the rows of a call together, and everybody's entry ends with somebody else's value, which stands in their words.
#[tokio::test]
async fn a_value_for_which_a_whole_call_is_refused_ends_its_own_entry_alone_and_stands_in_no_message() {
    for rules in [&["Department=encrypted"][..], &["Department=encrypted", "Title=encrypted"]] {
        let lab = Lab::with_org(OrgSeed::acme(80)).await;
        let entry = |number: usize| {
            let department = if number == 42 { "poison" } else { "Sales" };
            json!({"Username": format!("user{number:04}@acme.example"), "Department": department, "Title": "x"})
        };
        lab.fault("PATCH", "/composite/sobjects", unreadable("poison"), 100);
        let mut task = import_with(request(rules), lines(&(1..=60).map(entry).collect::<Vec<_>>()));
        task.attempt(&lab.connector()).await.unwrap();
        for (at, line) in task.lines().iter().enumerate() {
            let outcome = if at + 1 == 42 { "failed" } else { "modified" };
            assert_eq!(line["outcome"], outcome, "{line}");
            assert!(!line.to_string().contains("poison"), "{line}");
        }
    }
}

/// Look for each entry's own values alone in what a call is answered with of which nobody knows what became, and the value of one
/// stands with all the others.
#[tokio::test]
async fn a_value_that_a_call_of_unknown_outcome_is_answered_with_stands_in_no_message() {
    let lab = Lab::with_org(OrgSeed::acme(80)).await;
    let entry = |number: usize| {
        let department = if number == 42 { "poison" } else { "Research" };
        json!({"Username": format!("user{number:04}@acme.example"), "Department": department})
    };
    let broke_down = Mishap::RespondAt {
        piece: "poison".to_owned(),
        status: 500,
        code: "UNKNOWN_EXCEPTION".to_owned(),
        message: "An unexpected error occurred at poison".to_owned(),
    };
    lab.fault("PATCH", "/composite/sobjects", broke_down, 100);
    let mut task = import_with(request(&["Department=encrypted"]), lines(&(1..=60).map(entry).collect::<Vec<_>>()));
    task.attempt(&lab.connector()).await.unwrap();
    assert!(task.lines().iter().all(|line| line["outcome"] == "unknown"), "{:?}", task.lines());
    assert!(task.lines().iter().all(|line| !line.to_string().contains("poison")), "{:?}", task.lines());
}

/// Look for values in the agent's own words, or for a sign that Salesforce writes, too, and nobody learns what to do.
#[tokio::test]
async fn words_that_tell_no_encrypted_value_are_told_with_what_to_do() {
    let lab = Lab::start().await;
    for words in ["This user is the default owner of leads", "Propriétaire par défaut des pistes, des requêtes…"] {
        let refused = Mishap::Respond {
            status: 400,
            code: Some("DEPENDENCY_EXISTS".to_owned()),
            message: Some(words.to_owned()),
        };
        lab.fault("PATCH", "/composite/sobjects", refused, 1);
        let entry = json!({"Username": ACTIVE, "IsActive": false, "Department": "Take"});
        let mut task = import_with(request(&["Department=encrypted"]), lines(&[entry]));
        task.attempt(&lab.connector()).await.unwrap();
        let message = task.lines()[0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words) && message.contains("Take the user out"), "{message}");
    }
}

/// The same for what nobody answered: of those rows it is not known that they were refused.
#[tokio::test]
async fn why_an_outcome_is_unknown_is_told_whatever_the_encrypted_values_are() {
    let lab = Lab::with_org(OrgSeed::acme(80)).await;
    let entry = |number: usize| {
        let department = if number == 42 { "Sales" } else { "Research" };
        json!({"Username": format!("user{number:04}@acme.example"), "Department": department})
    };
    lab.fault("PATCH", "/composite/sobjects", Mishap::Refuse, 100);
    let mut task = import_with(request(&["Department=encrypted"]), lines(&(1..=60).map(entry).collect::<Vec<_>>()));
    task.attempt(&lab.connector()).await.unwrap();
    for line in task.lines() {
        let message = line["message"].as_str().unwrap();
        assert!(line["outcome"] == "unknown" && message.starts_with("Salesforce did not answer at "), "{line}");
    }
}

/// What leaves a unit to another attempt is told as the task's failure, and logged. Look only at what is told of rows, and the
/// value of one stands there.
#[tokio::test]
async fn an_encrypted_value_stands_in_no_failure_of_an_attempt() {
    let at_poison = |status, code: &str| Mishap::RespondAt {
        piece: "poison".to_owned(),
        status,
        code: code.to_owned(),
        message: "An unexpected error occurred at poison".to_owned(),
    };
    for (bulk_threshold, method, path, mishap, class) in [
        (5, "PUT", "/batches", at_poison(500, "UNKNOWN_EXCEPTION"), FailureClass::Transient),
        (100, "PATCH", "/composite/sobjects", at_poison(429, "REQUEST_LIMIT_EXCEEDED"), FailureClass::RateLimited),
    ] {
        let lab = Lab::start().await;
        lab.fault(method, path, mishap, 100);
        let entry = |number| json!({"Username": format!("user{number:04}@acme.example"), "Department": "poison"});
        let request = Request { bulk_threshold, ..request(&["Department=encrypted"]) };
        let mut task = import_with(request, lines(&(1..=8).map(entry).collect::<Vec<_>>()));
        for _ in 0..2 {
            let failure = task.attempt(&lab.connector()).await.unwrap_err();
            assert_eq!(failure.class.known(), Some(class), "{failure:?}");
            assert!(!format!("{failure:?}").contains("poison"), "{failure:?}");
        }
    }
}

/// Go by words that are kept back, and what is over in seconds is waited for for a quarter of an hour.
#[tokio::test]
async fn how_long_a_busy_org_is_left_alone_does_not_hang_on_words_that_are_kept_back() {
    let lab = Lab::start().await;
    let (code, message) = ("REQUEST_LIMIT_EXCEEDED".to_owned(), "ConcurrentPerOrgLongTxn Limit exceeded.".to_owned());
    let busy = Mishap::Respond { status: 403, code: Some(code), message: Some(message) };
    lab.fault("PATCH", "/composite/sobjects", busy, 100);
    let connector = lab.connector();
    let entry = json!({"Username": ACTIVE, "Department": "IT"});
    let mut task = import_with(request(&["Department=encrypted"]), lines(&[entry]));
    let failure = task.attempt(&connector).await.unwrap_err();
    assert!(failure.summary.contains("kept back"), "{failure:?}");
    let patience = connector.patience(&failure);
    assert!(patience > Duration::ZERO && patience <= Duration::from_secs(20), "{patience:?}");
}

/// F64: look for each of them, and half a million values that are shown nowhere hold a thread for ten seconds with every refusal.
#[tokio::test]
async fn f64_words_are_kept_back_where_there_are_too_many_values_to_look_for() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    for (values, said) in [(10, "no value of it"), (8_000, "kept back")] {
        let (code, message) = (Some("INVALID_INPUT".to_owned()), Some("no value of it".to_owned()));
        lab.fault("PATCH", "/composite/sobjects", Mishap::Respond { status: 400, code, message }, 100);
        let sets = "Report_Builder;".repeat(values);
        let entry = |number| json!({"Username": format!("user{number:04}@acme.example"), "PermissionSets": sets, "Title": "new"});
        let mut task = import_with(request(&["PermissionSets=encrypted"]), lines(&[1, 2, 3, 4, 5, 6, 7].map(entry)));
        task.attempt(&connector).await.unwrap();
        for line in task.lines() {
            assert!(line["code"] == "INVALID_INPUT" && line["message"].as_str().unwrap().contains(said), "{line}");
        }
        lab.sim.clear_faults();
    }
}

/// Cut it without the sign that it was, and what is left of it is taken for another value.
#[tokio::test]
async fn an_encrypted_name_that_the_org_does_not_have_stands_in_no_message_however_long_it_is() {
    let lab = Lab::start().await;
    for length in [20, 80, 81] {
        let entry = json!({"Username": ACTIVE, "Groups": "x".repeat(length)});
        let mut task = import_with(request(&["Groups=encrypted"]), lines(&[entry]));
        task.attempt(&lab.connector()).await.unwrap();
        let line = task.lines()[0].to_string();
        assert!(line.contains("unknown_value") && !line.contains("xxx"), "{line}");
    }
}

/// Send it in bulk, which has no such thing, send the halves of a call that is refused as a whole, or send alone the row that
/// met a lock, and half is done of what was to be done as a whole or not at all.
#[tokio::test]
async fn of_all_or_none_no_half_is_written() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let name = |number: usize| format!("user{number:04}@acme.example");
    let entry = |number: usize| json!({ "Username": name(number), "Title": "new" });
    let import = |last: Value| {
        let entries: Vec<Value> = (1..=3).map(entry).chain([last]).collect();
        import_with(Request { all_or_none: true, bulk_threshold: 1, ..request(&[]) }, lines(&entries))
    };
    let is_new = || (1..=4).map(|number| title(&lab, &name(number)) == "new").collect::<Vec<_>>();

    let no_profile = json!({ "Username": name(4), "Title": "new", "ProfileId": "00e5g00000ZZZZZAAA" });
    let poisoned = json!({ "Username": name(4), "Title": "new", "Department": "poison" });
    lab.fault("PATCH", "/composite/sobjects", unreadable("poison"), 100);
    for bad in [no_profile, poisoned] {
        let mut task = import(bad);
        let conclusion = task.attempt(&connector).await.unwrap();
        assert_eq!((conclusion.outcome, is_new()), (Outcome::Failed, vec![false; 4]), "{:?}", task.lines());
    }

    lab.sim.switch(&Switches { lock_rows: Some(1), ..Switches::default() }).unwrap();
    let mut task = import(entry(4));
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((conclusion.outcome, is_new()), (Outcome::Succeeded, vec![true; 4]), "{:?}", task.lines());
    assert!(!lab.counters().routes.contains_key("POST jobs/ingest"));
}

/// More rows are bad than are looked for: those that are left are refused together.
#[tokio::test]
async fn of_many_values_for_which_whole_calls_are_refused_none_stands_in_another_entrys_message() {
    let lab = Lab::with_org(OrgSeed::acme(80)).await;
    let department = |number: usize| if number == 60 { "poison" } else { "Research" };
    let entry = |number: usize| json!({"Username": format!("user{number:04}@acme.example"), "Department": department(number), "Title": "bad"});
    lab.fault("PATCH", "/composite/sobjects", unreadable("bad"), 100);
    let mut task = import_with(request(&["Department=encrypted"]), lines(&(1..=60).map(entry).collect::<Vec<_>>()));
    task.attempt(&lab.connector()).await.unwrap();
    assert!(task.lines().iter().all(|it| it["outcome"] == "failed"), "{:?}", task.lines());
    assert!(task.lines()[30..].iter().all(|it| !it.to_string().contains("poison")), "{:?}", task.lines());
    assert!(lab.counters().http_calls < 45, "33 for the rows, and a few to sign in and look: {:?}", lab.counters());
}

/// A plan is journaled as it is made. Journal it like what was done, and a plan that nobody finishes has changed something.
#[tokio::test]
async fn a_dry_run_that_is_given_up_is_known_to_have_changed_nothing() {
    let lab = Lab::start().await;
    let entry =
        format!("<root><entry changetype=\"modify\"><Username>{ACTIVE}</Username><Title>x</Title></entry></root>");
    let mut task = import_with(Request { dry_run: true, ..Request::new(Format::Xml) }, entry);
    task.attempt(&lab.connector()).await.unwrap();
    let earlier = task.notes.lock().unwrap().iter().cloned().collect();
    let failure = Failure::new(FailureClass::Interrupted, "cancelled_too_late", "it was cancelled");
    let conclusion = Ending::given_up(failure, &earlier, GivenUp::Failed, false);
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No));
}
