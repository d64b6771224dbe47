//! Batches with an entry at which the process dies: it is found, and the others are done.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use postern_agent::connector::{Conclusion, Connector};
use postern_protocol::bounded::List;
use postern_protocol::task::import_batch::{Format, Output, Request};
use postern_protocol::{Failure, FailureClass, Outcome, TaskOutput, Timestamp};
use salesforce_sim::{ADMIN, Counters, Fault, Matching, Mishap, OrgSeed, UserSeed};
use serde_json::{Value, json};

use crate::lab::{Death, Lab, Task, dead_anywhere, import_with, validate};

/// What stands in a call at which the process dies.
const DEADLY: &str = "Deadly";
/// More lives than any of these tests may take.
const NINE: usize = 200;

fn user(number: u64) -> String {
    format!("user{number:04}@acme.example")
}

fn new(number: u64) -> String {
    format!("new{number:04}@acme.example")
}

fn titled(number: u64, title: &str) -> Value {
    json!({ "Username": user(number), "Title": title })
}

fn import(bulk_threshold: u32, entries: &[Value]) -> Task {
    let lines: Vec<String> = entries.iter().map(Value::to_string).collect();
    import_with(Request { bulk_threshold, ..Request::new(Format::Jsonl) }, lines.join("\n"))
}

/// Forty users to be modified, and ten that are to be made between them.
async fn fifty(lab: &Lab) -> Vec<Value> {
    validate(&user(1)).attempt(&lab.connector()).await.unwrap();
    let profile = lab.sim.user(&user(1)).unwrap().text("ProfileId").to_owned();
    let made = |number| {
        json!({
            "op": "add", "Username": new(number), "LastName": "New", "Alias": "new", "Email": new(number),
            "ProfileId": profile, "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US",
            "EmailEncodingKey": "UTF-8", "LanguageLocaleKey": "en_US",
        })
    };
    (1..=40).map(|number| titled(number, "Moved")).chain((1..=10).map(made)).collect()
}

/// One life of the process: it ends with the attempt, or dies at a deadly call.
async fn life(lab: &Lab, task: &mut Task, connector: &Arc<dyn Connector>) -> Option<Result<Conclusion, Failure>> {
    let what = Mishap::HangAt { piece: DEADLY.to_owned() };
    lab.sim.inject(Fault { when: Matching::default(), what, times: Some(1) });
    let death = async {
        while lab.sim.faults() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let attempt = task.attempt(connector);
    let ended = tokio::select! {
        ended = attempt => Some(ended),
        () = death => None,
    };
    lab.sim.clear_faults();
    ended
}

/// Life after life, until one ends the task. How it ended, and how many died before.
async fn lives(lab: &Lab, task: &mut Task) -> (Conclusion, usize) {
    for deaths in 0..NINE {
        if let Some(ended) = life(lab, task, &lab.connector()).await {
            return (ended.unwrap(), deaths);
        }
    }
    panic!("the process died {NINE} times")
}

/// Join the results of a job to whatever entries of its users are in the half that is tried, and this one, which was never
/// done, is told as the one that was.
#[tokio::test]
async fn f10_a_deadly_entry_for_a_user_of_an_earlier_job_gets_nothing_of_its_results() {
    let lab = Lab::with_org(OrgSeed::acme(60)).await;
    let id = lab.sim.user(&user(1)).unwrap().text("Id").to_owned();
    let mut entries = vec![json!({ "Id": id, "Title": "Moved" })];
    entries.extend((2..=59).map(|number| titled(number, "Moved")));
    entries.push(titled(1, DEADLY));
    let mut task = import(50, &entries);
    let (conclusion, deaths) = lives(&lab, &mut task).await;
    assert_eq!((counts(&conclusion).modified, counts(&conclusion).unknown), (59, 1), "after {deaths} deaths");
    assert_eq!(task.lines()[59]["code"], "killed_the_agent");
}

/// Read of a job's results only as many rows as the half has that is tried, and what the job did of the rest of them is sent again,
/// over whatever was changed since.
#[tokio::test]
async fn f10_what_a_job_of_the_whole_unit_did_is_sent_again_by_no_half_of_it() {
    let lab = Lab::with_org(OrgSeed::acme(60)).await;
    let connector = lab.connector();
    let entries: Vec<Value> = (1..=60).map(|number| titled(number, "Moved")).collect();
    let mut task = import(50, &entries);
    for _ in 0..2 {
        lab.fault("GET", "/jobs/ingest", Mishap::HangAt { piece: String::new() }, 1);
        task.dies_in_the_call(&lab, &connector).await;
    }
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((counts(&conclusion).modified, told_once(&task, 60).len()), (60, 0));
    let updates: Vec<u64> = (1..=60).map(|number| lab.effects(&user(number)).updates).collect();
    assert_eq!(updates, [1; 60]);
}

fn counts(conclusion: &Conclusion) -> Output {
    let Some(TaskOutput::ImportBatch(output)) = conclusion.output.clone() else { panic!("{conclusion:?}") };
    output
}

/// Each entry is told once; these are the codes of those that were not done.
fn told_once(task: &Task, entries: u64) -> Vec<(u64, String)> {
    let lines = task.lines();
    let mut numbers: Vec<u64> = lines.iter().map(|line| line["entry"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=entries).collect::<Vec<_>>());
    let code = |line: &Value| Some((line["entry"].as_u64()?, line["code"].as_str()?.to_owned()));
    lines.iter().filter_map(code).collect()
}

/// Run the unit as a whole whatever the journal says, and no life ends this. A part costs a life only if the process
/// died in all around it.
#[tokio::test]
async fn f10_the_entry_at_which_the_process_dies_is_found_and_the_others_are_done_once() {
    for (bulk_threshold, most) in [(2_000, 8), (5, 8)] {
        let lab = Lab::with_org(OrgSeed::acme(50)).await;
        let mut entries = fifty(&lab).await;
        entries[12] = titled(13, DEADLY);
        let mut task = import(bulk_threshold, &entries);
        let (conclusion, deaths) = lives(&lab, &mut task).await;
        assert!(deaths <= most, "{deaths} deaths");
        assert_eq!(told_once(&task, 50), [(13, "killed_the_agent".to_owned())]);
        let output = counts(&conclusion);
        assert_eq!((output.created, output.modified, output.unknown), (10, 39, 1), "what was sent may be done");
        assert_eq!(conclusion.outcome, Outcome::PartiallySucceeded);
        for number in 1..=10 {
            assert_eq!(lab.effects(&new(number)).creates, 1, "{number}");
        }
        assert_eq!(lab.sim.user(&user(40)).unwrap().text("Title"), "Moved");
    }
}

/// What was told of units before stays, and those behind are done.
#[tokio::test]
async fn f10_a_deadly_unit_costs_the_results_of_no_other() {
    let lab = Lab::start().await;
    // Entries on one user are units of their own.
    let entries = [titled(1, "One"), titled(1, DEADLY), titled(1, "Three")];
    let mut task = import(2_000, &entries);
    let (conclusion, deaths) = lives(&lab, &mut task).await;
    assert_eq!(deaths, 2, "a task during which the process died twice is not run again");
    assert_eq!(told_once(&task, 3), [(2, "killed_the_agent".to_owned())]);
    assert_eq!(counts(&conclusion).modified, 2);
    assert_eq!(lab.sim.user(&user(1)).unwrap().text("Title"), "Three");
}

/// Each costs about as many deaths as its unit can be halved; there is an end to that.
#[tokio::test]
async fn f10_a_batch_full_of_deadly_entries_costs_a_bounded_number_of_deaths() {
    let lab = Lab::with_org(OrgSeed::acme(50)).await;
    let entries: Vec<Value> = (1..=40).map(|number| titled(number, DEADLY)).collect();
    let mut task = import(2_000, &entries);
    let (conclusion, deaths) = lives(&lab, &mut task).await;
    assert!(deaths <= 5 * 7, "{deaths} deaths");
    let codes = told_once(&task, 40);
    assert_eq!(codes.iter().filter(|(_, code)| code == "killed_the_agent").count(), 5);
    assert_eq!(codes.iter().filter(|(_, code)| code == "not_sent").count(), 35);
    assert_eq!(conclusion.outcome, Outcome::Unknown);
}

/// Leave out the memo that a part ended, and an entry is given up because the org was busy.
#[tokio::test]
async fn f10_an_attempt_that_fails_is_no_death() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = import(2_000, &[titled(1, DEADLY), titled(2, "Two")]);
    assert!(life(&lab, &mut task, &connector).await.is_none());
    for _ in 0..3 {
        let busy = Mishap::Respond { status: 429, code: None, message: None };
        lab.fault("PATCH", "/composite/sobjects", busy, 1);
        let failure = task.attempt(&connector).await.unwrap_err();
        assert_eq!(failure.class.known(), Some(FailureClass::RateLimited));
    }
    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((counts(&conclusion).modified, told_once(&task, 2).len()), (2, 0));
}

/// All or none of a unit is one call: it cannot be parted.
#[tokio::test]
async fn f10_of_all_or_none_the_unit_is_given_up_and_nothing_behind_it_is_sent() {
    let lab = Lab::start().await;
    let entries = [titled(1, DEADLY), titled(2, "Two"), titled(1, "Behind")];
    let lines: Vec<String> = entries.iter().map(Value::to_string).collect();
    let request = Request { all_or_none: true, ..Request::new(Format::Jsonl) };
    let mut task = import_with(request, lines.join("\n"));
    let (conclusion, deaths) = lives(&lab, &mut task).await;
    let codes: Vec<String> = told_once(&task, 3).into_iter().map(|(_, code)| code).collect();
    assert_eq!((deaths, codes), (2, ["killed_the_agent", "killed_the_agent", "not_sent"].map(str::to_owned).to_vec()));
    assert_eq!((counts(&conclusion).unknown, counts(&conclusion).failed), (2, 1));
}

/// A batch begins nothing after its deadline, and does to its end what it has begun.
#[tokio::test]
async fn entries_that_were_not_begun_before_the_deadline_are_not_sent() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let entries = [titled(1, "One"), titled(2, "Two"), titled(1, "Behind")];
    let mut task = import(2_000, &entries);
    task.deadline = Some(Timestamp::from_millis(0));
    let failure = task.attempt(&connector).await.unwrap_err();
    assert_eq!((failure.class.known(), failure.code.as_str()), (Some(FailureClass::Interrupted), "expired"));
    assert_eq!(task.intents(), 0, "nothing was begun, and the task is expired as a whole");

    lab.fault("PATCH", "/composite/sobjects", Mishap::DropReply, 1);
    let mut begun = import(2_000, &entries);
    begun.dies = Some(Death::After(3));
    begun.attempt(&connector).await.unwrap_err();
    begun.deadline = Some(Timestamp::from_millis(0));
    let conclusion = begun.attempt(&connector).await.unwrap();
    assert_eq!(told_once(&begun, 3), [(3, "expired".to_owned())]);
    assert_eq!((counts(&conclusion).modified, counts(&conclusion).failed), (2, 1));
    assert_eq!(conclusion.outcome, Outcome::PartiallySucceeded);
    assert_eq!(lab.sim.user(&user(1)).unwrap().text("Title"), "One");

    let mut elsewhere = import(2_000, &entries);
    (elsewhere.reconcile, elsewhere.deadline) = (true, Some(Timestamp::from_millis(0)));
    let conclusion = elsewhere.attempt(&connector).await.unwrap();
    assert_eq!(counts(&conclusion).unknown, 3, "another member may have done them");
}

/// Ask the org first whether all of them pass, and what can be told at once waits for as long as the org is busy.
#[tokio::test]
async fn whether_all_entries_pass_is_not_asked_of_a_batch_that_is_late() {
    let lab = Lab::start().await;
    let lines = format!("{}\n{}", titled(1, "One"), titled(2, "Two"));
    let mut task = import_with(Request { all_or_none: true, ..Request::new(Format::Jsonl) }, lines);
    (task.reconcile, task.deadline) = (true, Some(Timestamp::from_millis(0)));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(counts(&conclusion).unknown, 2, "another member may have done them");
    assert!(!lab.counters().routes.contains_key("GET query"), "{:?}", lab.counters().routes);
}

/// Ask for the deadline only before users are looked up, which may take minutes, and a unit that was not begun is sent after it.
#[tokio::test]
async fn a_unit_whose_users_were_looked_up_when_the_deadline_passed_is_not_begun() {
    let lab = Lab::start().await;
    lab.fault("GET", "/query", Mishap::Hold, 1);
    let (connector, mut task) = (lab.connector(), import(2_000, &[titled(1, "One")]));
    let late = task.late.clone();
    let passes = async {
        // The limits are the last that is asked for before a unit is begun.
        let looks = |told: &Counters| {
            told.routes.contains_key("GET limits") && told.http_calls > told.routes.values().sum::<u64>()
        };
        while !looks(&lab.counters()) {
            tokio::task::yield_now().await;
        }
        late.cancel();
        lab.sim.clear_faults();
    };
    let (ended, ()) = tokio::join!(task.attempt(&connector), passes);
    assert_eq!((ended.unwrap_err().code.as_str(), task.intents()), ("stopped", 0));
}

/// Ask for the deadline only before the wait, and the first intent behind it is refused: of each entry nothing would be told.
#[tokio::test]
async fn entries_of_another_member_are_told_of_if_the_deadline_passes_while_its_calls_are_waited_for() {
    let lab = Lab::start().await;
    let settings = lab.settings("oauth-jwt").replace("settle_once_ms = 30", "settle_once_ms = 6000");
    let connector = lab.connector_with(&settings);
    let mut task = import(2_000, &[titled(1, "One"), titled(2, "Two")]);
    task.reconcile = true;
    let late = task.late.clone();
    let passes = async {
        // Before the first part is begun nobody has looked for anything.
        tokio::time::sleep(Duration::from_millis(500)).await;
        late.cancel();
    };
    let (conclusion, ()) = tokio::join!(task.attempt(&connector), passes);
    assert_eq!((counts(&conclusion.unwrap()).unknown, task.intents()), (2, 0), "another member may have done them");
}

/// The agent is started anew with another service account while a batch is interrupted. Take for the batch's own only what that one
/// made, and users that exist are told as names that are taken, without their passwords. Whether a job was handed over Salesforce
/// tells its maker alone: send its rows again, and they may be done late; wait for it, and nobody is told of the rest.
#[tokio::test]
async fn what_was_made_as_another_service_account_is_gone_on_with() {
    const NEXT: &str = "next@acme.example";
    for (bulk_threshold, in_doubt) in [(2_000, 0), (1, 2)] {
        let doubts = Cell::new(0);
        dead_anywhere(async |death| {
            let mut org = OrgSeed::acme(5);
            org.users.push(UserSeed {
                username: NEXT.to_owned(),
                last_name: "Next".to_owned(),
                ..org.users[0].clone()
            });
            let lab = Lab::with_org(org).await;
            let mut entries: Vec<Value> = fifty(&lab).await.into_iter().skip(40).take(2).collect();
            entries[0]["password"] = json!("Correct-Horse-7");
            entries.extend([titled(1, "Moved"), titled(2, "Moved")]);
            let rule = "Title=diff_with_target".parse().unwrap();
            let request =
                Request { bulk_threshold, attributes: List::new(vec![rule]).unwrap(), ..Request::new(Format::Jsonl) };
            let lines: Vec<String> = entries.iter().map(Value::to_string).collect();
            let mut task = import_with(request, lines.join("\n"));
            task.dies = Some(death);
            let first = task.attempt(&lab.connector()).await;
            let next = lab.connector_with(&lab.settings("oauth-jwt").replace(ADMIN, NEXT));
            let conclusion = task.attempt(&next).await.unwrap();
            let what = format!("{death:?}, in bulk above {bulk_threshold}: {:?}", task.lines());
            let Output { created, modified, unknown, .. } = counts(&conclusion);
            // The job was about to be handed over.
            let is_in_doubt = matches!((created, modified), (0, 2) | (2, 0)) && matches!(death, Death::AtIntent(_));
            doubts.set(doubts.get() + usize::from(is_in_doubt));
            assert_eq!((created + modified, unknown), if is_in_doubt { (2, 2) } else { (4, 0) }, "{what}");
            let effects = lab.effects(&new(1));
            assert_eq!((effects.creates, effects.password_sets), (created / 2, created / 2), "{what}");
            assert_eq!(task.told.lock().unwrap().len(), 4, "{what}");
            first.is_ok()
        })
        .await;
        assert_eq!(doubts.get(), in_doubt, "in bulk above {bulk_threshold}");
    }
}
