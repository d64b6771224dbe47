//! Batches: every entry is reported once, and no user is made twice.

use postern_agent::connector::{Earlier, JournalEntry, Mark};
use postern_agent_core::GivenUp;
use postern_agent_core::ledger::Ending;
use postern_protocol::bounded::List;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::import_batch::{Format, Output};
use postern_protocol::{FailureClass, Outcome, TaskOutput};
use salesforce_sim::{ADMIN, CONSUMER_KEY, Mishap, OrgSeed, Switches};
use std::fmt::Write;

use crate::lab::{DONE, Death, Lab, Task, dead_anywhere, disable, import, import_as, validate, verdict};

pub const ACTIVE: &str = "user0001@acme.example";
pub const OTHER: &str = "user0002@acme.example";
const INACTIVE: &str = "user0010@acme.example";
pub const NEW: &str = "new@acme.example";

pub fn root(entries: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<root>\n{entries}\n</root>\n")
}

pub async fn profile(lab: &Lab) -> String {
    validate(ACTIVE).attempt(&lab.connector()).await.unwrap();
    lab.sim.user(ACTIVE).unwrap().text("ProfileId").to_owned()
}

/// An entry for a new user.
pub fn add(name: &str, profile: &str, more: &str) -> String {
    format!(
        "<entry changetype=\"add\"><Username>{name}</Username><LastName>New</LastName><Alias>new</Alias>\
         <Email>{name}</Email><ProfileId>{profile}</ProfileId><TimeZoneSidKey>Europe/Paris</TimeZoneSidKey>\
         <LocaleSidKey>en_US</LocaleSidKey><EmailEncodingKey>UTF-8</EmailEncodingKey>\
         <LanguageLocaleKey>en_US</LanguageLocaleKey>{more}</entry>\n"
    )
}

pub fn modify(name: &str, more: &str) -> String {
    format!("<entry changetype=\"modify\" modifytype=\"replace\"><Username>{name}</Username>{more}</entry>\n")
}

pub fn rename(name: &str, new_name: &str, more: &str) -> String {
    format!(
        "<entry changetype=\"modify\"><Original_Username>{name}</Original_Username>\
         <Username>{new_name}</Username>{more}</entry>\n"
    )
}

#[allow(clippy::unnecessary_wraps, reason = "a conclusion may have no output")]
pub fn counts(created: u64, modified: u64, failed: u64, unknown: u64) -> Option<TaskOutput> {
    let entries = created + modified + failed + unknown;
    let (dry_run, licenses) = (false, List::default());
    let output = Output { dry_run, entries, created, modified, unchanged: 0, failed, unknown, licenses };
    Some(TaskOutput::ImportBatch(output))
}

/// Entry number, outcome and code of every line.
fn told(task: &Task) -> Vec<(u64, String, String)> {
    let text = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let lines = task.lines();
    lines.iter().map(|it| (it["entry"].as_u64().unwrap(), text(it, "outcome"), text(it, "code"))).collect()
}

pub fn codes(task: &Task) -> Vec<String> {
    told(task).into_iter().map(|(_, outcome, code)| if code.is_empty() { outcome } else { code }).collect()
}

#[tokio::test]
async fn users_are_created_and_modified() {
    let lab = Lab::start().await;
    let profile = profile(&lab).await;
    let entries = [
        add(NEW, &profile, "<password>Correct-Horse-7</password>"),
        modify(ACTIVE, "<Title>Chief &amp; Lead</Title><ReceiveInfoEmails>true</ReceiveInfoEmails>"),
        modify(INACTIVE, "<isActive>true</isActive><password>Correct-Horse-8</password>"),
    ];
    let mut task = import(root(&entries.concat()));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(verdict(&conclusion), (Outcome::Succeeded, Certainty::Certain, Changed::Yes));
    assert_eq!(conclusion.output, counts(1, 2, 0, 0));
    assert_eq!(codes(&task), ["created", "modified", "modified"]);
    assert!(task.lines()[0]["id"].as_str().unwrap().starts_with("005"));
    assert!(lab.sim.password_is(NEW, "Correct-Horse-7") && lab.sim.password_is(INACTIVE, "Correct-Horse-8"));
    assert_eq!(lab.sim.user(ACTIVE).unwrap().text("Title"), "Chief & Lead");
    assert_eq!((lab.effects(NEW).creates, lab.effects(INACTIVE).activations), (1, 1));
    let notes = task.notes.lock().unwrap();
    assert!(notes.iter().all(|it| !String::from_utf8_lossy(&it.note).contains("Correct-Horse")));
    drop(notes);
    assert!(task.lines().iter().all(|line| !line.to_string().contains("Correct-Horse")));
}

/// The identity suites' scenario of a delete in its two machine steps, then that of a restore.
/// Feature B7.
#[tokio::test]
async fn the_identity_suites_datasets_take_a_user_out_of_use_and_put_it_back() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let gone = format!("{ACTIVE}.gone");
    let delete = format!(
        "<entry changetype=\"modify\" modifytype=\"replace\" >\n<Original_Username>{ACTIVE}</Original_Username>\n\
         <Username>{gone}</Username>\n<password>1ih34189u</password>\n<Email>DeadLetters@example.com</Email>\n</entry>"
    );
    let mut task = import(root(&delete));
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!(conclusion.output, counts(0, 1, 0, 0));
    assert_eq!(codes(&task), ["email_pending"]);
    assert!(lab.sim.user(ACTIVE).is_none() && lab.sim.password_is(&gone, "1ih34189u"));

    let mut task = import(root(&modify(&gone, "<IsActive>false</IsActive>")));
    assert_eq!(task.attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);

    let restore = format!(
        "<entry changetype=\"modify\"><Original_Username>{gone}</Original_Username><Username>{ACTIVE}</Username>\
         <IsActive>true</IsActive><password>Something-7</password></entry>"
    );
    let mut task = import(root(&restore));
    assert_eq!(task.attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);
    assert!(lab.sim.password_is(ACTIVE, "Something-7"));
    assert_eq!(lab.effects(ACTIVE).flips, 2);
}

/// Feature B7.
#[tokio::test]
async fn a_user_is_disabled_after_its_password_was_set() {
    let lab = Lab::start().await;
    let mut task = import(root(&modify(ACTIVE, "<IsActive>false</IsActive><password>Correct-Horse-7</password>")));
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Succeeded);
    assert!(lab.sim.password_is(ACTIVE, "Correct-Horse-7"));
    assert_eq!(lab.effects(ACTIVE).deactivations, 1);
}

/// Feature B6.
#[tokio::test]
async fn bad_entries_are_reported_with_their_place_and_the_others_go_on() {
    let lab = Lab::start().await;
    let profile = profile(&lab).await;
    let entries = [
        modify(ACTIVE, "<Title>one</Title>"),
        modify("user0002@acme.example", "<Nonsense>x</Nonsense>"),
        modify("nobody@acme.example", "<Title>x</Title>"),
        add("user0003@acme.example", &profile, ""),
        add(NEW, &profile, "").replace("Europe/Paris", "Mars/Olympus"),
        modify(INACTIVE, "<password>Correct-Horse-7</password>"),
        modify(ADMIN, "<isActive>false</isActive>"),
        modify("user0004@acme.example", "<password>short</password>"),
        "<entry changetype=\"add\"><Username>x</Username>\n".to_owned(),
        modify("user0005@acme.example", "<Title>ten</Title>"),
    ];
    let mut task = import(root(&entries.concat()));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(verdict(&conclusion), (Outcome::PartiallySucceeded, Certainty::Certain, Changed::Yes));
    assert_eq!(conclusion.output, counts(0, 2, 8, 0));
    assert_eq!(
        codes(&task),
        [
            "modified",
            "unknown_attribute",
            "user_not_found",
            "DUPLICATE_USERNAME",
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "user_inactive",
            "service_account_protected",
            "INVALID_NEW_PASSWORD",
            "entry_not_closed",
            "modified",
        ]
    );
    let lines = task.lines();
    assert!(lines[1]["message"].as_str().unwrap().contains("`Nonsense`"));
    assert!(lines[8]["message"].as_str().unwrap().starts_with("line 11, column 1: "));
    assert_eq!(lab.effects(ADMIN).updates, 0);
    assert_eq!(lab.effects("user0003@acme.example").creates, 0);
}

#[tokio::test]
async fn a_dataset_that_cannot_be_read_changes_nothing() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let whole = root(&modify(ACTIVE, "<Title>one</Title>"));
    for text in [String::new(), "{}".to_owned(), whole.replace("<root>", "<!DOCTYPE root []><root>")] {
        let mut task = import(text);
        let failure = task.attempt(&connector).await.unwrap_err();
        assert_eq!((failure.class.known(), failure.code.as_str()), (Some(FailureClass::Rejected), "dataset_malformed"));
        assert!(failure.summary.contains("line "));
        assert_eq!(task.intents(), 0);
    }
    let empty = import("<root/>").attempt(&connector).await.unwrap();
    assert_eq!(verdict(&empty), (Outcome::Succeeded, Certainty::Certain, Changed::No));
    assert_eq!(lab.effects(ACTIVE).updates, 0);
}

/// A file that was cut off, or is broken in the middle: what stands before is done, the rest is told.
#[tokio::test]
async fn the_rest_of_a_broken_dataset_is_reported() {
    let lab = Lab::start().await;
    let entry = modify(ACTIVE, "<Title>one</Title>");
    for (text, line) in
        [(root(&entry).replace("</root>", ""), 4), (root(&format!("{entry}<Title>\n</entry>text\n{entry}")), 5)]
    {
        let mut task = import(text);
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        let lines = task.lines();
        let last = lines.last().unwrap();
        assert_eq!(conclusion.outcome, Outcome::PartiallySucceeded);
        assert_eq!((last["code"].as_str(), last["outcome"].as_str()), (Some("dataset_malformed"), Some("failed")));
        assert!(last["message"].as_str().unwrap().contains("nothing from here on was read"), "{last}");
        assert!(last["line"].as_u64().unwrap() <= line, "{last}");
        assert_eq!(lines[0]["outcome"], "modified");
    }
}

/// Feature B6.
#[tokio::test]
async fn every_form_of_a_dataset_does_the_same() {
    let lab = Lab::start().await;
    for (format, text) in [
        (Format::Csv, format!("\u{feff}Username;Title;IsActive\n{ACTIVE};\"R; D\";\n{INACTIVE};#N/A;true\n")),
        (
            Format::Jsonl,
            format!(
                "{{\"Username\":\"{ACTIVE}\",\"Title\":\"R; D\"}}\n{{\"Username\":\"{INACTIVE}\",\"Title\":null,\"IsActive\":true}}"
            ),
        ),
    ] {
        let mut task = import_as(format, text);
        assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 2, 0, 0), "{:?}", task.lines());
        assert_eq!(lab.sim.user(ACTIVE).unwrap().text("Title"), "R; D");
    }
}

#[tokio::test]
async fn entries_on_one_user_are_done_in_their_order() {
    let lab = Lab::start().await;
    let entries: String = (1..=5).fold(String::new(), |mut text, number| {
        write!(text, "{}", modify(ACTIVE, &format!("<Title>{number}</Title>"))).unwrap();
        text
    });
    let mut task = import(root(&entries));
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 5, 0, 0));
    assert_eq!(lab.sim.user(ACTIVE).unwrap().text("Title"), "5");
}

async fn five_hundred() -> (Lab, String) {
    let lab = Lab::with_org(OrgSeed::acme(300)).await;
    let profile = profile(&lab).await;
    let mut entries = String::new();
    for number in 1..=200 {
        entries.push_str(&modify(&format!("user{number:04}@acme.example"), "<Title>Moved</Title>"));
    }
    for number in 1..=100 {
        entries.push_str(&add(&format!("new{number:04}@acme.example"), &profile, ""));
    }
    entries.push_str(&modify("user0201@acme.example", "<Title>Moved</Title><password>Correct-Horse-7</password>"));
    (lab, root(&entries))
}

fn each_once(lab: &Lab, task: &Task) {
    let mut numbers: Vec<u64> = told(task).iter().map(|it| it.0).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=301).collect::<Vec<_>>());
    for number in 1..=100 {
        assert_eq!(lab.effects(&format!("new{number:04}@acme.example")).creates, 1, "{number}");
    }
}

#[tokio::test]
async fn three_hundred_entries_take_few_calls() {
    let (lab, dataset) = five_hundred().await;
    let mut task = import(dataset);
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(conclusion.output, counts(100, 201, 0, 0));
    each_once(&lab, &task);
    let calls = &lab.counters().routes;
    assert_eq!((calls["PATCH composite/sobjects"], calls["POST composite/sobjects"]), (2, 1));
}

/// F04 for collections: made, and never told.
#[tokio::test]
async fn f04_a_lost_answer_to_a_collection_creates_nobody_twice() {
    for mishap in [Mishap::DropReply, Mishap::TruncateReply, Mishap::LoseReply { status: 500 }] {
        let (lab, dataset) = five_hundred().await;
        lab.fault("POST", "/composite/sobjects", mishap.clone(), 1);
        lab.fault("PATCH", "/composite/sobjects", mishap, 1);
        let mut task = import(dataset);
        assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(100, 201, 0, 0));
        each_once(&lab, &task);
    }
}

#[tokio::test]
async fn a_collection_that_never_arrived_is_sent_once_more() {
    let (lab, dataset) = five_hundred().await;
    lab.fault("POST", "/composite/sobjects", Mishap::Refuse, 1);
    lab.fault("PATCH", "/composite/sobjects", Mishap::Refuse, 1);
    let mut task = import(dataset);
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(100, 201, 0, 0));
    each_once(&lab, &task);
}

/// Of two calls that disable, the first has no answer, twice; the second is answered, and refuses one.
#[tokio::test]
async fn f04_only_what_has_no_answer_is_looked_for_after_disabling() {
    for (mishap, told) in [(Mishap::Refuse, "no_answer"), (Mishap::DropReply, "modified")] {
        let lab = Lab::with_org(OrgSeed::acme(240)).await;
        let active = (1..=240).filter(|number| number % 10 != 0);
        let leave = "<password>Correct-Horse-7</password><isActive>false</isActive>";
        let entries: String = active.map(|number| modify(&format!("user{number:04}@acme.example"), leave)).collect();
        let mut answers = vec![serde_json::json!({ "success": true }); 16];
        answers[0] = serde_json::json!({ "success": false, "errors": [{ "statusCode": "DEPENDENCY_EXISTS" }] });
        let body = serde_json::Value::from(answers).to_string();
        for mishap in [mishap.clone(), Mishap::OtherReply { status: 200, body }, mishap] {
            lab.fault("PATCH", "/composite/sobjects", mishap, 1);
        }
        let mut task = import(root(&entries));
        task.attempt(&lab.connector()).await.unwrap();
        let mut expected = vec![told; 200];
        expected.push("DEPENDENCY_EXISTS");
        expected.extend(["modified"; 15]);
        assert_eq!(codes(&task), expected);
    }
}

#[tokio::test]
async fn f04_an_answer_that_was_lost_is_no_remark_once_the_same_was_answered() {
    let lab = Lab::start().await;
    lab.fault("PATCH", "/composite/sobjects", Mishap::DropReply, 1);
    let entries = [modify(ACTIVE, "<Email>elsewhere@acme.example</Email>"), modify(OTHER, "<Title>x</Title>")];
    let mut task = import(root(&entries.concat()));
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 2, 0, 0));
    assert_eq!(codes(&task), ["email_pending", "modified"]);
}

/// F65 for new users, and for passwords that are sent again with the rest of a unit.
#[tokio::test]
async fn f65_a_collection_that_commits_late_creates_nobody_twice() {
    let lab = Lab::start().await;
    let (profile, connector) = (profile(&lab).await, lab.impatient());
    lab.fault("POST", "/composite/sobjects", Mishap::DelayCommit { millis: 4_500 }, 1);
    let mut task = import(root(&add(NEW, &profile, "")));
    assert_eq!(task.attempt(&connector).await.unwrap().output, counts(1, 0, 0, 0));
    assert_eq!((lab.effects(NEW).creates, task.intents()), (1, 1));
}

/// End the unit when the second call was answered, and the first, late, undoes what the next task did.
#[tokio::test]
async fn f65_a_batch_does_not_end_while_a_call_of_it_may_still_take_effect() {
    let lab = Lab::start().await;
    let settings = lab.settings("oauth-jwt").replace("settle_once_ms = 30", "settle_once_ms = 6000");
    let connector = lab.connector_with(&format!("{settings}request_timeout_secs = 3\n"));
    let enable = || import(root(&modify(INACTIVE, "<IsActive>true</IsActive><Title>x</Title>")));
    let disabling =
        || import(root(&modify(INACTIVE, "<IsActive>false</IsActive><password>Correct-Horse-7</password>")));

    lab.fault("PATCH", "/composite/sobjects", Mishap::DelayCommit { millis: 4_500 }, 1);
    assert_eq!(enable().attempt(&connector).await.unwrap().output, counts(0, 1, 0, 0));
    assert_eq!(lab.effects(INACTIVE).activations, 2, "both calls have taken effect before the batch ends");
    assert_eq!(verdict(&disable(INACTIVE).attempt(&connector).await.unwrap()), DONE);
    assert!(!lab.sim.user(INACTIVE).unwrap().active);

    lab.fault("PATCH", "/composite/sobjects", Mishap::DelayCommit { millis: 4_500 }, 1);
    let mut died = enable();
    died.dies_in_the_call(&lab, &connector).await;
    assert_eq!(died.attempt(&connector).await.unwrap().output, counts(0, 1, 0, 0));
    assert_eq!(lab.effects(INACTIVE).activations, 4, "that of the attempt that died, too");

    lab.fault("PATCH", "/composite/sobjects", Mishap::DelayCommit { millis: 4_500 }, 1);
    assert_eq!(disabling().attempt(&connector).await.unwrap().output, counts(0, 1, 0, 0));
    assert_eq!(lab.effects(INACTIVE).deactivations, 3, "those that disable at the end, too");
}

/// F04, twice: the same values were sent two times, and who has them was given them.
#[tokio::test]
async fn f04_values_that_are_there_after_two_lost_answers_are_told_as_done() {
    let lab = Lab::start().await;
    lab.fault("PATCH", "/composite/sobjects", Mishap::LoseReply { status: 500 }, 1);
    lab.fault("PATCH", "/composite/sobjects", Mishap::DropReply, 1);
    let entries = [modify(ACTIVE, "<Title>x</Title>"), modify(INACTIVE, "<IsActive>true</IsActive>")];
    let mut task = import(root(&entries.concat()));
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 2, 0, 0), "{:?}", task.lines());
    assert_eq!(lab.effects(INACTIVE).flips, 1);
}

/// F67, invariant 11: somebody else's user of that name was made by the same service account at the same time. Leave the
/// marker out of `is_made_of`, and it is taken for this task's.
#[tokio::test]
async fn f67_a_user_with_another_marker_is_a_name_conflict() {
    let lab = Lab::start().await;
    let profile = profile(&lab).await;
    let connector = lab.connector_with(&format!("{}create_marker = \"employeenumber\"\n", lab.settings("oauth-jwt")));
    let with = |number: &str| root(&add(NEW, &profile, &format!("<EmployeeNumber>{number}</EmployeeNumber>")));
    import(with("E-17")).attempt(&connector).await.unwrap();
    for (number, expected) in [("E-18", "DUPLICATE_USERNAME"), ("E-17", "created"), ("E-17 ", "created")] {
        let mut task = import(with(number));
        task.reconcile = true;
        task.attempt(&connector).await.unwrap();
        assert_eq!(codes(&task), [expected], "{number}");
    }
    assert_eq!(lab.effects(NEW).creates, 1);
    let wrong = lab.connector_with(&format!("{}create_marker = \"Nonsense\"\n", lab.settings("oauth-jwt")));
    let failure = import(with("E-19")).attempt(&wrong).await.unwrap_err();
    assert!(failure.next_step.contains("create_marker"), "{failure}");
}

/// F66 for collections.
#[tokio::test]
async fn f66_what_never_answers_is_unknown_entry_by_entry() {
    let lab = Lab::start().await;
    let profile = profile(&lab).await;
    lab.fault("POST", "/composite/sobjects", Mishap::Refuse, 100);
    let mut task = import(root(&[add(NEW, &profile, ""), modify(ACTIVE, "<Title>x</Title>")].concat()));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.output), (Outcome::PartiallySucceeded, counts(0, 1, 0, 1)));
    assert_eq!(told(&task)[0].1, "unknown");
}

/// F66 for values, and for disabling at the end: they may be there.
#[tokio::test]
async fn f66_values_that_were_sent_twice_without_an_answer_are_unknown() {
    let lab = Lab::start().await;
    for more in ["<Title>x</Title>", "<IsActive>false</IsActive><password>Correct-Horse-7</password>"] {
        lab.fault("PATCH", "/composite/sobjects", Mishap::Refuse, 2);
        let mut task = import(root(&modify(ACTIVE, more)));
        task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(
            (&task.lines()[0]["outcome"], lab.sim.faults()),
            (&"unknown".into(), 0),
            "{more}: {:?}",
            task.lines()
        );
    }
    assert_eq!((lab.effects(ACTIVE).updates, lab.effects(ACTIVE).password_sets), (0, 1));
}

/// An outage of seconds, a gateway's or of the line, takes the answer to a call and the look that follows. Take what one attempt
/// could not look at for unknown, and somebody looks up a whole unit by hand, whose leavers are not disabled either.
#[tokio::test]
async fn an_outage_that_takes_the_look_as_well_leaves_the_unit_to_another_attempt() {
    const LEAVER: &str = "<password>Correct-Horse-7</password><IsActive>false</IsActive>";
    let page = |status| Mishap::OtherReply { status, body: "<html/>".to_owned() };
    let made: fn(&str) -> String = |profile| add(NEW, profile, "");
    let changed: fn(&str) -> String = |_| modify(ACTIVE, "<Title>x</Title>");
    let leaves: fn(&str) -> String = |_| modify(ACTIVE, LEAVER);
    for (method, path, times, entry, expected) in [
        ("POST", "/composite/sobjects", 1, made, counts(1, 0, 0, 0)),
        ("PATCH", "/composite/sobjects", 2, changed, counts(0, 1, 0, 0)),
        ("PATCH", "/composite/sobjects", 2, leaves, counts(0, 1, 0, 0)),
        ("POST", "/password", 1, leaves, counts(0, 1, 0, 0)),
    ] {
        for outage in [page(503), page(429), page(403), Mishap::Maintenance, Mishap::DropReply] {
            let lab = Lab::start().await;
            let (profile, connector) = (profile(&lab).await, lab.connector());
            let mut task = import(root(&entry(&profile)));
            lab.fault(method, path, outage.clone(), times);
            let goes_on = async {
                while lab.sim.faults() > 0 {
                    tokio::task::yield_now().await;
                }
                lab.fault("GET", "/query", outage.clone(), 1_000);
            };
            let (ended, ()) = tokio::join!(task.attempt(&connector), goes_on);
            let Err(failure) = ended else { panic!("{path}, {outage:?}: {:?}", task.lines()) };
            assert!(task.lines().is_empty(), "{path}, {outage:?}: {:?}", task.lines());
            let journal: Earlier = task.notes.lock().unwrap().iter().cloned().collect();
            let ending = Ending::given_up(failure, &journal, GivenUp::Failed, false);
            assert_eq!(ending.outcome, Outcome::Unknown, "{path}, {outage:?}: if no other attempt may follow");

            lab.sim.clear_faults();
            let conclusion = task.attempt(&connector).await.unwrap();
            assert_eq!(conclusion.output, expected, "{path}, {outage:?}: {:?}", task.lines());
            assert!(lab.effects(NEW).creates <= 1 && lab.effects(ACTIVE).password_sets <= 1);
        }
    }
}

/// One attempt dies in front of its first call, behind it, … The next ends the batch, and nothing is done twice.
#[tokio::test]
async fn f03_f05_a_batch_that_dies_anywhere_reports_each_entry_once() {
    let renamed = "<entry changetype=\"modify\"><Original_Username>user0002@acme.example</Original_Username>\
                   <Username>renamed@acme.example</Username><Title>x</Title></entry>";
    let deaths = dead_anywhere(async |death| {
        let lab = Lab::start().await;
        let profile = profile(&lab).await;
        let entries = [
            add(NEW, &profile, "<password>Correct-Horse-7</password>"),
            renamed.to_owned(),
            modify(ACTIVE, "<password>Correct-Horse-8</password><IsActive>false</IsActive>"),
            modify(ACTIVE, "<Title>second unit</Title>"),
        ];
        let mut task = import(root(&entries.concat()));
        task.dies = Some(death);
        let first = task.attempt(&lab.connector()).await;
        if let Err(failure) = &first {
            assert_eq!(failure.code.as_str(), "died");
        }
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(conclusion.output, counts(1, 3, 0, 0), "{death:?}: {:?}", task.lines());
        assert_eq!((lab.effects(NEW).creates, lab.effects(NEW).password_sets), (1, 1), "{death:?}");
        assert_eq!((lab.effects(ACTIVE).password_sets, lab.effects(ACTIVE).flips), (1, 1), "{death:?}");
        assert_eq!(told(&task).iter().map(|it| it.0).collect::<Vec<_>>(), [1, 2, 3, 4], "{death:?}");
        first.is_ok()
    });
    assert!(deaths.await > 12);
}

/// F05: the whole unit was done, and the process died before it could say so.
#[tokio::test]
async fn f05_a_unit_that_was_done_and_not_journaled_is_told_apart_by_reading() {
    let lab = Lab::start().await;
    let profile = profile(&lab).await;
    let entries = [
        add(NEW, &profile, "<password>Correct-Horse-7</password>"),
        modify(ACTIVE, "<password>Correct-Horse-8</password><IsActive>false</IsActive>"),
    ];
    let mut task = import(root(&entries.concat()));
    task.attempt(&lab.connector()).await.unwrap();
    task.notes.lock().unwrap().retain(|entry| entry.mark == Mark::Intent);
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(1, 1, 0, 0), "{:?}", task.lines());
    assert_eq!((lab.effects(NEW).creates, lab.effects(NEW).password_sets), (1, 1));
    assert_eq!((lab.effects(ACTIVE).password_sets, lab.effects(ACTIVE).flips), (1, 1));
}

/// F04 for a rename: the old name leads nowhere any more, and somebody else has changed the user since.
#[tokio::test]
async fn f04_a_renamed_user_is_found_again_by_its_journaled_id() {
    let mut org = OrgSeed::acme(2);
    let (mut other, password) = (org.users[0].clone(), "Other-Admin-1");
    other.username = "other@acme.example".to_owned();
    other.password = Some(password.into());
    org.users.push(other);
    let lab = Lab::with_org(org).await;
    let entry = rename(ACTIVE, "renamed@acme.example", "<password>Correct-Horse-7</password>");
    let mut task = import(root(&entry));
    task.dies = Some(Death::After(4));
    task.attempt(&lab.connector()).await.unwrap_err();
    assert!(lab.sim.user("renamed@acme.example").is_some());

    lab.write("password", password);
    let other = lab.connector_with(&lab.settings("soap").replace(ADMIN, "other@acme.example"));
    let mut theirs = import(root(&modify("renamed@acme.example", "<Title>x</Title>")));
    assert_eq!(theirs.attempt(&other).await.unwrap().outcome, Outcome::Succeeded);

    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 1, 0, 0), "{:?}", task.lines());
    assert!(lab.sim.password_is("renamed@acme.example", "Correct-Horse-7"));
}

/// What is only remembered of a rename announces no call. Journal it as an intent, and a batch whose every call was
/// refused ends as unknown.
#[tokio::test]
async fn a_rename_that_was_always_refused_is_known_to_have_changed_nothing() {
    let lab = Lab::start().await;
    let mut task = import(root(&rename(ACTIVE, "renamed@acme.example", "")));
    let code = Some("SERVER_UNAVAILABLE".to_owned());
    lab.fault("PATCH", "/composite/sobjects", Mishap::Respond { status: 503, code, message: None }, 2);
    task.attempt(&lab.connector()).await.unwrap_err();
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "SERVER_UNAVAILABLE");
    let conclusion =
        Ending::given_up(failure, &task.notes.lock().unwrap().iter().cloned().collect(), GivenUp::Failed, false);
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No));
}

/// F67: the second call is refused because the first, unanswered, has made the user. Look for users of the task's own only
/// before anything is sent, and the entry fails although its user is there.
#[tokio::test]
async fn f67_a_name_taken_by_our_own_unanswered_call_is_not_a_conflict() {
    let lab = Lab::start().await;
    let (profile, connector) = (profile(&lab).await, lab.hasty());
    lab.late_and_slow("POST", "/composite/sobjects");
    let mut task = import(root(&add(NEW, &profile, "<password>Correct-Horse-7</password>")));
    assert_eq!(task.attempt(&connector).await.unwrap().output, counts(1, 0, 0, 0), "{:?}", task.lines());
    assert_eq!((lab.effects(NEW).creates, lab.counters().routes["POST composite/sobjects"]), (1, 2));
    assert!(lab.sim.password_is(NEW, "Correct-Horse-7"));
}

/// What stands between has a clock of its own, an hour ahead, and refuses the last call of the unit before. Take its date for the
/// org's, and the user that a call without an answer has made seems older than its unit, and another's.
#[tokio::test]
async fn f67_a_user_of_our_own_is_known_whatever_the_date_of_a_refusal() {
    let lab = Lab::start().await;
    let (profile, connector) = (profile(&lab).await, lab.connector());
    lab.fault("POST", "/password", Mishap::OtherDate { ahead_secs: 3_600 }, 1);
    lab.fault("POST", "/composite/sobjects", Mishap::DropReply, 1);
    let password = modify(ACTIVE, "<password>short</password>");
    let mut task = import(root(&[password, modify(ACTIVE, "<Title>x</Title>"), add(NEW, &profile, "")].concat()));
    task.attempt(&connector).await.unwrap();
    assert_eq!(
        (codes(&task), lab.sim.faults()),
        (["INVALID_NEW_PASSWORD", "modified", "created"].map(str::to_owned).to_vec(), 0)
    );
}

/// Whoever bears the former name by now is not the one that was renamed.
#[tokio::test]
async fn f04_a_renamed_user_is_gone_on_with_though_another_has_its_former_name() {
    let lab = Lab::start().await;
    let (connector, profile) = (lab.connector(), profile(&lab).await);
    let mut task = import(root(&rename(ACTIVE, "b@acme.example", "<password>Correct-Horse-7</password>")));
    lab.fault("POST", "/password", Mishap::Latency { millis: 600_000 }, 1);
    task.dies_in_the_call(&lab, &connector).await;
    import(root(&add(ACTIVE, &profile, ""))).attempt(&connector).await.unwrap();
    assert_eq!(task.attempt(&connector).await.unwrap().output, counts(0, 1, 0, 0), "{:?}", task.lines());
    assert!(
        lab.sim.password_is("b@acme.example", "Correct-Horse-7") && !lab.sim.password_is(ACTIVE, "Correct-Horse-7")
    );
}

#[tokio::test]
async fn a_finished_unit_is_not_repeated() {
    let lab = Lab::start().await;
    let mut task = import(root(&modify(ACTIVE, "<Title>x</Title>")));
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 1, 0, 0));
    assert_eq!(lab.effects(ACTIVE).updates, 1);
    assert_eq!(task.lines().len(), 1);
}

/// Its unit is done, the process died in the next one, and the sign-in is refused by now. Conclude that as if it were about one
/// account, and nobody is told of what was changed, nor how to have the rest done.
#[tokio::test]
async fn a_batch_that_cannot_go_on_behind_an_open_unit_is_ended_by_its_journal() {
    let lab = Lab::start().await;
    let mut task = import(root(&modify(ACTIVE, "<Title>x</Title>")));
    task.attempt(&lab.connector()).await.unwrap();
    let intent = JournalEntry { step: 1, mark: Mark::Intent, note: Vec::new(), effect: Vec::new() };
    task.notes.lock().unwrap().push(intent);
    let stranger = lab.connector_with(&lab.settings("oauth-jwt").replace(CONSUMER_KEY, "3MVG9Nobody.s"));
    let failure = task.attempt(&stranger).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::Unauthorized), "{failure}");
    let journal: Earlier = task.notes.lock().unwrap().iter().cloned().collect();
    let ending = Ending::given_up(failure, &journal, GivenUp::Failed, false);
    assert_eq!((ending.outcome, ending.changed), (Outcome::Unknown, Changed::Yes));
}

/// F61 and F63 in a batch: patience, then on from where it was.
#[tokio::test]
async fn f61_a_batch_waits_for_the_budget_and_goes_on() {
    let lab = Lab::start().await;
    let mut task = import(root(&[modify(ACTIVE, "<Title>x</Title>"), modify(ACTIVE, "<Title>y</Title>")].concat()));
    lab.fault("PATCH", "/composite/sobjects", Mishap::Respond { status: 429, code: None, message: None }, 1);
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::RateLimited));
    lab.sim.switch(&Switches { lock_rows: Some(1), ..Switches::default() }).unwrap();
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 2, 0, 0));
    assert_eq!(lab.effects(ACTIVE).updates, 2);
}

/// F59 in the middle of a batch: let each call renew for itself, and there are as many logins as calls on their way.
#[tokio::test]
async fn f59_a_session_lost_in_a_batch_is_renewed_once() {
    let lab = Lab::start().await;
    let mut entries = String::new();
    for number in 1..=9 {
        entries.push_str(&modify(&format!("user{number:04}@acme.example"), "<password>Correct-Horse-7</password>"));
    }
    let connector = lab.connector();
    validate(ACTIVE).attempt(&connector).await.unwrap();
    lab.fault("POST", "/password", Mishap::Latency { millis: 500 }, 4);
    let session_ends = async {
        while lab.sim.faults() > 0 {
            tokio::task::yield_now().await;
        }
        lab.sim.switch(&Switches { expire_sessions: true, ..Switches::default() }).unwrap();
    };
    let mut task = import(root(&entries));
    let (ended, ()) = tokio::join!(task.attempt(&connector), session_ends);
    assert_eq!(ended.unwrap().output, counts(0, 9, 0, 0));
    assert_eq!((lab.counters().login_attempts, lab.counters().login_failures), (2, 0));
}

/// F71: stopped between two units; the rest is done by another attempt.
#[tokio::test]
async fn f71_a_stopped_batch_keeps_what_is_done() {
    let lab = Lab::start().await;
    let mut task = import(root(&[modify(ACTIVE, "<Title>x</Title>"), modify(ACTIVE, "<Title>y</Title>")].concat()));
    task.dies = Some(Death::After(4));
    task.attempt(&lab.connector()).await.unwrap_err();
    task.stop.cancel();
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::Interrupted));
    task.stop = tokio_util::sync::CancellationToken::new();
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().output, counts(0, 2, 0, 0));
    assert_eq!(lab.effects(ACTIVE).updates, 2);
}

/// The first block of the documentation that is written in `language`.
fn documented(language: &str) -> &'static str {
    let text = include_str!("../../../docs/datasets.md");
    let block = text.split_once(&format!("```{language}\n")).unwrap().1;
    block.split_once("```").unwrap().0
}

#[tokio::test]
async fn the_example_of_the_documentation_does_what_it_says() {
    let lab = Lab::start().await;
    let mut task = import(documented("xml"));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    let lines: Vec<serde_json::Value> =
        documented("json").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdict(&conclusion), (Outcome::PartiallySucceeded, Certainty::Certain, Changed::Yes));
    assert_eq!(task.lines(), lines);
    assert!(lab.sim.password_is("grace@acme.example", "Correct-Horse-7"));
    assert!(lab.sim.password_is("user0002@acme.example.gone", "aX9-kk2-Qm4-zz7"));
    assert!(!lab.sim.user("user0002@acme.example.gone").unwrap().active);
    assert!(lab.sim.user(INACTIVE).unwrap().active && lab.sim.password_is(INACTIVE, "Welcome-Back-10"));
    let ada = lab.sim.user(ACTIVE).unwrap();
    assert_eq!((ada.text("Title"), &ada.fields["Department"]), ("Research & Development", &serde_json::Value::Null));
}
