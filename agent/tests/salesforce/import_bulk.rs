//! Batches that go in bulk: every call of a job lost, the agent dead at every intent, and nothing done twice.

use std::time::Duration;

use postern_agent::clock;
use postern_agent::connector::JournalEntry;
use postern_protocol::outcome::Certainty;
use postern_protocol::task::import_batch::{Format, Output, Request};
use postern_protocol::{FailureClass, Outcome, TaskOutput};
use salesforce_sim::{Assumptions, Mishap, OrgSeed, Switches};
use serde_json::{Value, json};

use crate::lab::{Lab, Task, dead_anywhere, import_with};

const CREATES: u64 = 12;
const MODIFIES: u64 = 12;

fn request() -> Request {
    Request { bulk_threshold: 10, ..Request::new(Format::Jsonl) }
}

fn lines(entries: &[Value]) -> String {
    entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn modified(number: u64) -> String {
    format!("user{number:04}@acme.example")
}

fn created(number: u64) -> String {
    format!("bulk{number:04}@acme.example")
}

/// As many to create as to modify; two of them with passwords, one that Salesforce refuses, one that is renamed.
async fn lab() -> (Lab, String) {
    lab_assuming(Assumptions::default()).await
}

async fn lab_assuming(assumptions: Assumptions) -> (Lab, String) {
    let lab = Lab::assuming(assumptions, OrgSeed::acme(30)).await;
    lab.sim.switch(&Switches { bulk_polls: Some(2), ..Switches::default() }).unwrap();
    let profile = lab.sim.user(&modified(1)).unwrap().text("ProfileId").to_owned();
    let mut entries = Vec::new();
    for number in 1..=CREATES {
        let mut entry = json!({
            "op": "add", "Username": created(number), "LastName": "New, \"quoted\"", "Alias": "new",
            "Email": created(number), "ProfileId": profile, "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US",
            "EmailEncodingKey": "UTF-8", "LanguageLocaleKey": "en_US",
        });
        if number == 1 {
            entry["password"] = json!("Correct-Horse-7");
        }
        if number == 2 {
            entry["ProfileId"] = json!("00e5g00000ZZZZZAAA");
        }
        entries.push(entry);
    }
    for number in 1..=MODIFIES {
        // Every tenth of the org's users is inactive.
        let mut entry = json!({"Username": modified(number), "Title": "Line one\nline, two", "Department": null});
        if number == 1 {
            entry["password"] = json!("Correct-Horse-8");
        }
        if number == 2 {
            entry = json!({"Original_Username": modified(2), "Username": "renamed@acme.example", "Title": "x"});
        }
        entries.push(entry);
    }
    (lab, lines(&entries))
}

fn output(conclusion: &postern_agent::connector::Conclusion) -> Output {
    let Some(TaskOutput::ImportBatch(output)) = conclusion.output.clone() else { panic!("{:?}", conclusion.output) };
    output
}

/// All is done once, and each entry is told once.
fn all_once(lab: &Lab, task: &Task, conclusion: &postern_agent::connector::Conclusion, what: &str) {
    let lines = task.lines();
    let counts = output(conclusion);
    assert_eq!((counts.created, counts.modified, counts.failed, counts.unknown), (11, 12, 1, 0), "{what}: {lines:?}");
    let mut numbers: Vec<u64> = lines.iter().map(|line| line["entry"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=CREATES + MODIFIES).collect::<Vec<_>>(), "{what}");
    let refused: Vec<&Value> = lines.iter().filter(|line| line["outcome"] == "failed").collect();
    assert_eq!(refused[0]["entry"], 2, "{what}");
    assert_ne!(refused[0]["code"], "DUPLICATE_USERNAME", "{what}");
    for number in (1..=CREATES).filter(|number| *number != 2) {
        assert_eq!(lab.effects(&created(number)).creates, 1, "{what}: {number}");
    }
    assert_eq!(lab.sim.user(&created(3)).unwrap().text("LastName"), "New, \"quoted\"", "{what}");
    assert_eq!(lab.sim.user(&modified(3)).unwrap().text("Title"), "Line one\nline, two", "{what}");
    assert!(lab.sim.user("renamed@acme.example").is_some(), "{what}");
    assert_eq!((lab.effects(&created(1)).password_sets, lab.effects(&modified(1)).password_sets), (1, 1), "{what}");
}

/// Feature B11.
#[tokio::test]
async fn many_entries_go_as_jobs_and_their_results_are_joined() {
    let (lab, dataset) = lab().await;
    let mut task = import_with(request(), dataset);
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(conclusion.outcome, Outcome::PartiallySucceeded);
    all_once(&lab, &task, &conclusion, "plain");
    let routes = lab.counters().routes;
    assert_eq!((routes["POST jobs/ingest"], routes["PUT jobs/ingest/batches"]), (2, 2), "{routes:?}");
    assert!(!routes.contains_key("POST composite/sobjects") && !routes.contains_key("PATCH composite/sobjects"));
}

/// In a job's table that text empties the field.
#[tokio::test]
async fn a_text_that_empties_fields_in_bulk_is_written_as_elsewhere() {
    for bulk_threshold in [10, 1_000] {
        let (lab, _) = lab().await;
        let title = |number| if number == 3 { "#N/A" } else { "x" };
        let entry = |number| json!({"Username": modified(number), "Title": title(number), "Department": "before"});
        let mut entries: Vec<Value> = (1..=MODIFIES).map(entry).collect();
        // What comes after it for the same user is not done before it.
        entries.push(json!({"Id": lab.sim.user(&modified(3)).unwrap().text("Id"), "Department": "after"}));
        let mut task = import_with(Request { bulk_threshold, ..request() }, lines(&entries));
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(conclusion.outcome, Outcome::Succeeded, "{:?}", task.lines());
        assert_eq!(lab.counters().routes.contains_key("POST jobs/ingest"), bulk_threshold == 10);
        for (number, title, department) in [(3, "#N/A", "after"), (4, "x", "before")] {
            let user = lab.sim.user(&modified(number)).unwrap();
            assert_eq!((user.text("Title"), user.text("Department")), (title, department), "{bulk_threshold}");
        }
    }
}

/// Feature B11.
#[tokio::test]
async fn few_entries_do_not_go_as_a_job() {
    let (lab, dataset) = lab().await;
    let mut task = import_with(Request { bulk_threshold: 12, ..request() }, dataset.clone());
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    all_once(&lab, &task, &conclusion, "at the threshold");
    assert!(!lab.counters().routes.contains_key("POST jobs/ingest"));
}

/// F04 for jobs: each call of a job is lost once, before or behind Salesforce.
#[tokio::test]
async fn f04_whatever_is_lost_of_a_job_is_found_out() {
    for (method, path) in [
        ("POST", "/jobs/ingest"),
        ("PUT", "/batches"),
        ("PATCH", "/jobs/ingest"),
        ("GET", "/jobs/ingest"),
        ("GET", "successfulResults"),
        ("GET", "failedResults"),
    ] {
        for mishap in [Mishap::DropReply, Mishap::Refuse, Mishap::LoseReply { status: 500 }] {
            let (lab, dataset) = lab().await;
            let what = format!("{method} {path} {mishap:?}");
            lab.fault(method, path, mishap, 1);
            let mut task = import_with(request(), dataset);
            let mut conclusion = task.attempt(&lab.connector()).await;
            if let Err(failure) = &conclusion {
                assert_ne!(failure.class.known(), Some(FailureClass::Rejected), "{what}: {failure:?}");
                conclusion = task.attempt(&lab.connector()).await;
            }
            all_once(&lab, &task, &conclusion.unwrap(), &what);
        }
    }
}

/// F65 for jobs: a job that may have been handed over is given up without an answer, and handed over after all. Make another
/// meanwhile, and the users that the first one makes are told as names that are taken.
#[tokio::test]
async fn f65_a_job_that_is_handed_over_late_is_asked_what_it_did() {
    let (lab, dataset) = lab().await;
    lab.sim.switch(&Switches { bulk_polls: Some(0), ..Switches::default() }).unwrap();
    lab.fault("PATCH", "/jobs/ingest", Mishap::DelayCommit { millis: 4_500 }, 3);
    let mut task = import_with(request(), dataset);
    let mut conclusion = task.attempt(&lab.impatient()).await;
    if let Err(failure) = &conclusion {
        assert_eq!(failure.class.known(), Some(FailureClass::Transient), "{failure:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        conclusion = task.attempt(&lab.connector()).await;
    }
    all_once(&lab, &task, &conclusion.unwrap(), "handed over late");
    assert_eq!(lab.counters().routes["POST jobs/ingest"], 2);
}

/// Of how many jobs there may be in a day an org says in either spelling. Take it for what the entries are refused for, and
/// ten thousand fail at once.
#[tokio::test]
async fn an_org_that_takes_no_more_jobs_gets_the_entries_in_calls() {
    for code in ["ExceededQuota", "EXCEEDEDQUOTA", "FeatureNotEnabled", "FEATURENOTENABLED"] {
        let (lab, dataset) = lab().await;
        let refused = Mishap::Respond { status: 400, code: Some(code.to_owned()), message: None };
        lab.fault("POST", "/jobs/ingest", refused, 2);
        let mut task = import_with(request(), dataset);
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        all_once(&lab, &task, &conclusion, code);
        assert_eq!(lab.sim.faults(), 0, "{code}");
    }
}

/// F03 and F05: one attempt dies in front of its first call, behind it, … The next ends the batch.
#[tokio::test]
async fn f03_f05_a_batch_that_dies_anywhere_in_a_job_goes_on_from_there() {
    let deaths = dead_anywhere(async |death| {
        let (lab, dataset) = lab().await;
        let mut task = import_with(request(), dataset);
        task.dies = Some(death);
        let first = task.attempt(&lab.connector()).await;
        if let Err(failure) = &first {
            assert_eq!(failure.code.as_str(), "died");
        }
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        all_once(&lab, &task, &conclusion, &format!("{death:?}"));
        first.is_ok()
    });
    assert!(deaths.await > 20);
}

/// F03 and F04: the answer to an upload is lost, so the job is given up and another one made; then the attempt dies.
#[tokio::test]
async fn f03_f04_rows_of_a_job_that_was_given_up_are_told_by_the_job_that_did_them() {
    for aborted_upload_is_unprocessed in [false, true] {
        dead_anywhere(async |death| {
            let assumptions = Assumptions { aborted_upload_is_unprocessed, ..Assumptions::default() };
            let (lab, dataset) = lab_assuming(assumptions).await;
            lab.sim.switch(&Switches { bulk_polls: Some(3), ..Switches::default() }).unwrap();
            lab.fault("PUT", "/batches", Mishap::DropReply, 1);
            let mut task = import_with(request(), dataset);
            task.dies = Some(death);
            let first = task.attempt(&lab.connector()).await;
            let conclusion = task.attempt(&lab.connector()).await.unwrap();
            all_once(&lab, &task, &conclusion, &format!("listed: {aborted_upload_is_unprocessed}, {death:?}"));
            first.is_ok()
        })
        .await;
    }
}

/// F03: a job fails halfway, and the attempt dies before that is told. What the job did nothing for is still to be done.
#[tokio::test]
async fn f03_rows_that_a_failed_job_of_an_earlier_attempt_did_not_come_to_are_sent() {
    let (lab, dataset) = lab().await;
    lab.sim.switch(&Switches { fail_jobs: Some(1), ..Switches::default() }).unwrap();
    let stopped = Mishap::Respond { status: 503, code: None, message: None };
    lab.fault("GET", "Results", stopped, 1);
    let mut task = import_with(request(), dataset);
    let first = task.attempt(&lab.connector()).await;
    assert_eq!(first.unwrap_err().class.known(), Some(FailureClass::Transient));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    all_once(&lab, &task, &conclusion, "failed halfway");
}

/// F70: the job is gone; what it did is found by looking.
#[tokio::test]
async fn f70_a_job_that_vanished_is_looked_for_in_its_users() {
    let (lab, dataset) = lab().await;
    let gone = Mishap::Respond { status: 404, code: Some("NOT_FOUND".to_owned()), message: None };
    lab.fault("GET", "successfulResults", gone, 1);
    let mut task = import_with(request(), dataset);
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    all_once(&lab, &task, &conclusion, "vanished");
}

/// Take it for an answer of somebody else's, and a job of which every row failed is asked until the batch is given up.
#[tokio::test]
async fn a_list_of_results_without_rows_may_have_no_content() {
    let (lab, dataset) = lab().await;
    let bad = dataset.replace("\"Title\":\"", "\"ManagerId\":\"0055g00000ZZZZZAAA\",\"Title\":\"");
    let bad: Vec<&str> = bad.lines().filter(|line| line.contains("ManagerId")).collect();
    let empty = Mishap::OtherReply { status: 204, body: String::new() };
    lab.fault("GET", "successfulResults", empty, 1);
    let mut task = import_with(request(), bad.join("\n"));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    let counts = output(&conclusion);
    assert_eq!((counts.failed, counts.entries), (MODIFIES, MODIFIES), "{:?}", task.lines());
}

/// F59: the session ends in every phase of a job, the results included.
#[tokio::test]
async fn f59_a_session_lost_in_a_job_is_renewed() {
    for (method, path) in [("POST", "/jobs/ingest"), ("PUT", "/batches"), ("PATCH", "/jobs/ingest"), ("GET", "Results")]
    {
        let (lab, dataset) = lab().await;
        lab.fault(method, path, Mishap::Respond { status: 401, code: None, message: None }, 1);
        let mut task = import_with(request(), dataset);
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        all_once(&lab, &task, &conclusion, path);
    }
}

/// F71: stopped while Salesforce works on the job: another attempt asks for it by its id.
#[tokio::test]
async fn f71_a_batch_stopped_in_a_job_is_gone_on_with() {
    let (lab, dataset) = lab().await;
    let mut task = import_with(request(), dataset);
    stopped_in_a_job(&lab, &mut task).await;
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    all_once(&lab, &task, &conclusion, "stopped");
    assert_eq!(lab.counters().routes["POST jobs/ingest"], 2);
}

/// An attempt that is stopped while Salesforce works on its first job.
async fn stopped_in_a_job(lab: &Lab, task: &mut Task) {
    lab.sim.switch(&Switches { bulk_polls: Some(6), ..Switches::default() }).unwrap();
    let (stop, connector) = (task.stop.clone(), lab.connector());
    let stopping = async {
        while !lab.counters().routes.contains_key("GET jobs/ingest/{id}") {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (first, ()) = tokio::join!(task.attempt(&connector), stopping);
    assert_eq!(first.unwrap_err().class.known(), Some(FailureClass::Interrupted));
    task.stop = tokio_util::sync::CancellationToken::new();
}

/// A host dies while a job of its batch is under way. Look at its journal alone for jobs, and the member that goes on does entries
/// before the job does, which then does them over.
#[tokio::test]
async fn a_job_that_another_member_handed_over_is_waited_for_before_anything_is_sent() {
    let (lab, mut task) = taken_over_in_a_job().await;
    lab.sim.switch(&Switches { jobs_a_page: Some(1), ..Switches::default() }).unwrap();
    waits_until_stopped(&lab, &mut task).await;

    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    all_once(&lab, &task, &conclusion, "taken over");
    assert_eq!((jobs(&lab), conclusion.certainty), (2, Certainty::Certain), "what the first job did is found");

    // By the clock of the task's submitter the job was made before it.
    let (lab, task) = taken_over_in_a_job().await;
    let mut task = task.made_ahead(jiff::SignedDuration::from_hours(20));
    waits_until_stopped(&lab, &mut task).await;
}

/// A batch that another member takes over while its first job is under way.
async fn taken_over_in_a_job() -> (Lab, Task) {
    let (lab, dataset) = lab().await;
    let mut task = import_with(request(), dataset);
    stopped_in_a_job(&lab, &mut task).await;
    task.taken_over(Duration::from_secs(60));
    assert_eq!((jobs(&lab), lab.effects(&created(12)).creates), (1, 0), "the first job is under way");
    (lab, task)
}

fn jobs(lab: &Lab) -> u64 {
    lab.counters().routes["POST jobs/ingest"]
}

async fn waits_until_stopped(lab: &Lab, task: &mut Task) {
    let (stop, connector) = (task.stop.clone(), lab.connector());
    let polls = || lab.counters().routes["GET jobs/ingest/{id}"];
    let before = polls();
    let waiting = async {
        while polls() == before && jobs(lab) == 1 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (failed, ()) = tokio::join!(task.attempt(&connector), waiting);
    assert_eq!(failed.unwrap_err().class.known(), Some(FailureClass::Interrupted), "it waits, and can be stopped");
    assert_eq!(jobs(lab), 1);
    task.stop = tokio_util::sync::CancellationToken::new();
}

/// An answer to whoever asks for the list of jobs.
fn page_of_jobs(records: &[Value], next: &str) -> Mishap {
    let body = json!({ "done": next.is_empty(), "records": records, "nextRecordsUrl": next });
    Mishap::OtherReply { status: 200, body: body.to_string() }
}

/// A page that follows, as far as the org remembers it, which it does not.
const LEADS_ON: &str = "/services/data/v66.0/jobs/ingest?queryLocator=01g5g00000XyZ12AAF-1000";

fn refused(status: u16, code: &str) -> Mishap {
    Mishap::Respond { status, code: Some(code.to_owned()), message: None }
}

/// Whoever is told of no jobs goes on all the same: with an org that lists none, no batch would ever be taken over.
#[tokio::test]
async fn a_batch_whose_former_members_jobs_are_not_told_goes_on_and_is_probable() {
    let leads_nowhere = Mishap::OtherReply { status: 200, body: json!({ "done": false, "records": [] }).to_string() };
    for (told, times, certainty) in [
        (refused(403, "INSUFFICIENT_ACCESS"), 1, Certainty::Probable),
        (refused(404, "NOT_FOUND"), 1, Certainty::Probable),
        (refused(405, "METHOD_NOT_ALLOWED"), 1, Certainty::Probable),
        (leads_nowhere, 1, Certainty::Probable),
        (page_of_jobs(&[], LEADS_ON), 110, Certainty::Probable),
        (refused(400, "FEATURENOTENABLED"), 1, Certainty::Certain),
    ] {
        let (lab, dataset) = lab().await;
        let mut task = import_with(request(), dataset);
        task.taken_over(Duration::from_secs(60));
        let what = format!("{told:?}");
        lab.fault("GET", "/jobs/ingest", told, times);
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!((conclusion.certainty, output(&conclusion).created, lab.sim.faults()), (certainty, 11, 0), "{what}");
    }
}

/// What was done meanwhile, a job may have written over. Go by the last list, and it is told as certain.
#[tokio::test]
async fn a_batch_that_was_not_told_of_jobs_once_stays_probable() {
    let (lab, dataset) = lab().await;
    let mut task = import_with(request(), dataset);
    task.taken_over(Duration::from_secs(60));
    lab.fault("GET", "/jobs/ingest", refused(403, "INSUFFICIENT_ACCESS"), 1);
    lab.fault("GET", "Results", Mishap::Respond { status: 503, code: None, message: None }, 1);
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!((failure.class.known(), jobs(&lab)), (Some(FailureClass::Transient), 1), "it is in the midst");
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.certainty, lab.sim.faults()), (Certainty::Probable, 0));
    all_once(&lab, &task, &conclusion, "told by the second attempt");
}

/// A job of another batch may take hours. Wait for its end, and a slot for batches is held to no end: after the deadline nothing is
/// begun.
#[tokio::test]
async fn nobody_waits_for_another_members_job_beyond_the_deadline() {
    for left in [500, 0] {
        let (lab, dataset) = lab().await;
        lab.sim.switch(&Switches { bulk_millis: Some(3_600_000), ..Switches::default() }).unwrap();
        let mut task = import_with(request(), dataset);
        stopped_in_a_job(&lab, &mut task).await;
        task.taken_over(Duration::from_secs(60));
        task.deadline = Some(clock::now() + Duration::from_millis(left));
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!((output(&conclusion).unknown, jobs(&lab)), (CREATES + MODIFIES, 1), "{left}");
        assert!(left > 0 || !lab.counters().routes.contains_key("GET jobs/ingest"), "nothing is asked in vain");
    }
}

/// The member was started again and has forgotten the deadline: the controller tells that it has passed.
#[tokio::test]
async fn a_member_that_is_told_of_the_deadline_waits_for_no_job_and_tells_of_each_entry() {
    for is_waiting in [true, false] {
        let (lab, mut task) = taken_over_in_a_job().await;
        lab.sim.switch(&Switches { bulk_millis: Some(3_600_000), ..Switches::default() }).unwrap();
        let (late, connector) = (task.late.clone(), lab.connector());
        let told = async {
            while is_waiting && !lab.counters().routes.contains_key("GET jobs/ingest") {
                tokio::task::yield_now().await;
            }
            late.cancel();
        };
        let (conclusion, ()) = tokio::join!(task.attempt(&connector), told);
        let conclusion = conclusion.unwrap();
        assert_eq!((output(&conclusion).unknown, jobs(&lab)), (CREATES + MODIFIES, 1), "{is_waiting}");
    }
}

/// Take it for an org that lists no jobs, and what a job of the former member is at work on is done beside it.
#[tokio::test]
async fn a_list_of_jobs_that_is_not_told_for_another_reason_ends_the_attempt() {
    for (told, times, class) in [
        (Mishap::Respond { status: 503, code: None, message: None }, 1, FailureClass::Transient),
        (refused(401, "INVALID_SESSION_ID"), 2, FailureClass::Unauthorized),
        (refused(400, "EXCEEDEDQUOTA"), 1, FailureClass::Transient),
        (refused(403, "REQUEST_LIMIT_EXCEEDED"), 1, FailureClass::RateLimited),
        // What leads to the second page is not known any more.
        (page_of_jobs(&[], LEADS_ON), 1, FailureClass::Transient),
    ] {
        let (lab, mut task) = taken_over_in_a_job().await;
        let what = format!("{told:?}");
        lab.fault("GET", "/jobs/ingest", told, times);
        let failure = task.attempt(&lab.connector()).await.unwrap_err();
        assert_eq!((failure.class.known(), jobs(&lab), lab.sim.faults()), (Some(class), 1, 0), "{what}");
    }
}

/// Forget them, and entries are done beside a job that is known to run.
#[tokio::test]
async fn jobs_that_are_listed_are_waited_for_although_others_are_not() {
    for is_odd in [false, true] {
        let (lab, dataset) = lab().await;
        let mut task = import_with(request(), dataset);
        stopped_in_a_job(&lab, &mut task).await;
        let note = |entry: &JournalEntry| serde_json::from_slice(&entry.note).ok();
        let notes: Vec<Value> = task.notes.lock().unwrap().iter().filter_map(note).collect();
        let made = notes.iter().find(|note| note["job"].is_array()).unwrap();
        let job = json!({
            "id": made["job"][1], "object": "User", "createdById": made["by"], "state": "InProgress", "apiVersion": 66.0,
        });
        let nameless = json!({ "object": "User", "createdById": made["by"], "state": "InProgress" });
        task.taken_over(Duration::from_secs(60));
        if is_odd {
            lab.fault("GET", "/jobs/ingest", page_of_jobs(&[nameless, job], ""), 1);
        } else {
            lab.fault("GET", "/jobs/ingest", page_of_jobs(&[job], LEADS_ON), 1);
            lab.fault("GET", "/jobs/ingest", refused(403, "INSUFFICIENT_ACCESS"), 1);
        }
        waits_until_stopped(&lab, &mut task).await;
    }
}

/// F70: a job is told of under the version of the API that made it alone. Ask under another for one of before an upgrade, take it
/// for gone, and its rows are handed over once more while it runs.
#[tokio::test]
async fn f70_a_job_is_asked_for_under_the_version_that_made_it() {
    let (lab, dataset) = lab().await;
    let mut task = import_with(request(), dataset);
    stopped_in_a_job(&lab, &mut task).await;
    let newer = lab.connector_with(&format!("{}api_version = \"67.0\"\n", lab.settings("oauth-jwt")));
    let conclusion = task.attempt(&newer).await.unwrap();
    all_once(&lab, &task, &conclusion, "under another version");
    assert_eq!(lab.counters().routes["POST jobs/ingest"], 2);
}

/// F70: an administrator ends a job while it is handed over. Nothing of it is done, and the batch is not refused for it.
#[tokio::test]
async fn f70_a_job_that_is_gone_when_it_is_handed_over_is_made_anew() {
    // Asked for by the next attempt, it is there, or gone for good.
    for looks in [1, 2] {
        let (lab, dataset) = lab().await;
        let gone = || Mishap::Respond { status: 404, code: Some("NOT_FOUND".to_owned()), message: None };
        lab.fault("PATCH", "/jobs/ingest/", gone(), 1);
        lab.fault("GET", "/jobs/ingest/", gone(), looks);
        let mut task = import_with(request(), dataset);
        let failure = task.attempt(&lab.connector()).await.unwrap_err();
        assert_eq!(failure.class.known(), Some(FailureClass::Transient), "{failure:?}");
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        all_once(&lab, &task, &conclusion, "gone when it was handed over");
        assert_eq!((lab.counters().routes["POST jobs/ingest"], lab.sim.faults()), (3, 0));
    }
}

/// F70: what is refused says nothing of the job, which may be under way.
#[tokio::test]
async fn f70_a_job_that_cannot_be_asked_for_is_not_gone() {
    let refused = |status, code: &str| Mishap::Respond { status, code: Some(code.to_owned()), message: None };
    for (path, status, code) in [
        ("/jobs/ingest/", 409, "VERSION_CONFLICT"),
        ("/jobs/ingest/", 400, "NEVER_SEEN"),
        ("Results", 400, "NEVER_SEEN"),
    ] {
        let (lab, dataset) = lab().await;
        let mut task = import_with(request(), dataset);
        // By whoever made it, and by whoever goes on with it.
        for _ in 0..2 {
            lab.fault("GET", path, refused(status, code), 1);
            let failure = task.attempt(&lab.connector()).await.unwrap_err();
            assert_eq!((failure.code.as_str(), failure.class.known()), (code, Some(FailureClass::Transient)));
        }
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        all_once(&lab, &task, &conclusion, code);
        assert_eq!(lab.counters().routes["POST jobs/ingest"], 2, "{code}");
    }

    let (lab, dataset) = lab().await;
    let mut task = import_with(request(), dataset);
    stopped_in_a_job(&lab, &mut task).await;
    lab.fault("GET", "/jobs/ingest/", refused(403, "INSUFFICIENT_ACCESS"), 1);
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!((failure.class.known(), task.lines()), (Some(FailureClass::Unauthorized), vec![]));
    assert_eq!(lab.counters().routes["POST jobs/ingest"], 1);
}

/// Rows that met a lock are sent again by themselves.
#[tokio::test]
async fn f63_rows_that_met_a_lock_in_a_job_are_sent_again() {
    let (lab, dataset) = lab().await;
    lab.sim.switch(&Switches { lock_rows: Some(2), ..Switches::default() }).unwrap();
    let mut task = import_with(request(), dataset);
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    all_once(&lab, &task, &conclusion, "locked");
}

/// Results of a job come in an order of their own. Join them by their place, and entries get the ids of others.
#[tokio::test]
async fn each_entry_gets_its_own_result_although_they_are_not_in_order() {
    let (lab, dataset) = lab().await;
    let mut task = import_with(request(), dataset);
    task.attempt(&lab.connector()).await.unwrap();
    let lines = task.lines();
    let told = lines.iter().filter(|line| line["outcome"] != "failed" && line["account"] != modified(2));
    for line in told {
        let user = lab.sim.user(line["account"].as_str().unwrap()).unwrap();
        assert_eq!(line["id"].as_str(), Some(user.text("Id")), "{line}");
    }
    let refused: Vec<&Value> = lines.iter().filter(|line| line["outcome"] == "failed").collect();
    assert_eq!((refused.len(), refused[0]["account"].as_str()), (1, Some(created(2).as_str())));
}

/// A job says what became of a user, not of which of two entries on it. Join both, and one that was refused is told as done.
#[tokio::test]
async fn entries_that_name_one_user_in_two_ways_get_their_own_results_whenever_it_dies() {
    for refused in [1, 2] {
        dead_anywhere(async |death| {
            let lab = Lab::with_org(OrgSeed::acme(60)).await;
            let id = lab.sim.user(&modified(1)).unwrap().text("Id").to_owned();
            let mut entries: Vec<Value> = (2..=59).map(|it| json!({"Username": modified(it), "Title": "x"})).collect();
            entries.insert(0, json!({"Id": id, "Title": "one", "password": "Correct-Horse-7"}));
            entries.push(json!({"Username": modified(1), "Title": "two"}));
            let at = if refused == 1 { 0 } else { 59 };
            entries[at]["ManagerId"] = json!("0055g00000ZZZZZAAA");
            let mut task = import_with(request(), lines(&entries));
            task.dies = Some(death);
            let first = task.attempt(&lab.connector()).await;
            let conclusion = task.attempt(&lab.connector()).await.unwrap();
            let counts = output(&conclusion);
            let what = format!("{refused} is refused, {death:?}");
            assert_eq!((counts.modified, counts.failed, counts.unknown), (59, 1, 0), "{what}");
            assert_eq!(task.lines()[at]["outcome"], "failed", "{what}");
            let title = if refused == 1 { "two" } else { "one" };
            assert_eq!(lab.sim.user(&modified(1)).unwrap().text("Title"), title, "{what}");
            assert_eq!(lab.effects(&modified(1)).password_sets, refused - 1, "{what}");
            first.is_ok()
        })
        .await;
    }
}

/// Thousands of names are one call; results of rows that all went well are another.
#[tokio::test]
async fn a_job_takes_few_calls() {
    let lab = Lab::with_org(OrgSeed::acme(2_500)).await;
    let entries: Vec<Value> = (1..=2_500).map(|number| json!({"Username": modified(number), "Title": "x"})).collect();
    let mut task = import_with(Request::new(Format::Jsonl), lines(&entries));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(output(&conclusion).modified, 2_500);
    let mut routes = lab.counters().routes;
    // Those inside the other call are told too.
    assert_eq!(routes.remove("GET query"), Some(2));
    assert_eq!(routes.remove("GET limits"), Some(1), "the first batch of a process asks for the budget");
    routes.retain(|route, _| !route.contains("oauth"));
    let all: Vec<(&str, u64)> = routes.iter().map(|(route, count)| (route.as_str(), *count)).collect();
    assert_eq!(routes.values().sum::<u64>(), 7, "{all:?}");
    assert_eq!(routes["POST composite"], 1, "{all:?}");
}

/// Nobody says how long a statement inside another call may be.
#[tokio::test]
async fn an_org_that_takes_no_long_lists_gets_shorter_ones_from_then_on() {
    let refusals = [
        (414, "URI_TOO_LONG", "URI Too Long"),
        (
            400,
            "QUERY_TOO_COMPLICATED",
            "Query is either selecting too many fields or the filter conditions are too complicated.",
        ),
    ];
    for (status, code, text) in refusals {
        let assumptions = Assumptions {
            longest_inner_url: Some(10_000),
            too_long_inner_url: (status, code.to_owned(), text.to_owned()),
            ..Assumptions::default()
        };
        let lab = Lab::assuming(assumptions, OrgSeed::acme(1_000)).await;
        let entry = |number| json!({"Username": modified(number), "Title": "x"});
        let entries: Vec<Value> = (1..=1_000).map(entry).collect();
        let mut task = import_with(Request::new(Format::Jsonl), lines(&entries));
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(output(&conclusion).modified, 1_000, "{code}");
        // Two units of 500: the first finds out that 250 are taken, the second knows.
        assert_eq!(lab.counters().routes["POST composite"], 3, "{code}");
    }
}

/// It is not halved for ever.
#[tokio::test]
async fn an_org_that_takes_no_list_at_all_is_told() {
    let assumptions = Assumptions { longest_inner_url: Some(100), ..Assumptions::default() };
    let lab = Lab::assuming(assumptions, OrgSeed::acme(500)).await;
    let entries: Vec<Value> = (1..=500).map(|number| json!({"Username": modified(number), "Title": "x"})).collect();
    let mut task = import_with(Request::new(Format::Jsonl), lines(&entries));
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "call_too_long", "{failure}");
    assert_eq!(lab.counters().routes["POST composite"], 3);
}

/// Salesforce itself says whether there is a user of that id, and whether a new name is taken.
#[tokio::test]
async fn ids_and_new_names_are_not_looked_up() {
    let lab = Lab::with_org(OrgSeed::acme(30)).await;
    let id = lab.sim.user(&modified(1)).unwrap().text("Id").to_owned();
    let user = lab.sim.user(&modified(2)).unwrap();
    let field = |name: &str| user.text(name).to_owned();
    let taken = json!({
        "op": "add", "Username": modified(3), "LastName": "x", "Alias": "x", "Email": "x@acme.example",
        "ProfileId": field("ProfileId"), "TimeZoneSidKey": field("TimeZoneSidKey"),
        "LocaleSidKey": field("LocaleSidKey"), "EmailEncodingKey": field("EmailEncodingKey"),
        "LanguageLocaleKey": field("LanguageLocaleKey"),
    });
    let nobody = json!({"Id": "0055g00000ZZZZZAA5", "Title": "x"});
    let entries = [json!({"Id": id, "Title": "x"}), nobody, taken];
    let mut task = import_with(Request::new(Format::Jsonl), lines(&entries));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((output(&conclusion).modified, output(&conclusion).failed), (1, 2), "{:?}", task.lines());
    assert_eq!(task.lines()[2]["code"], "DUPLICATE_USERNAME");
    let routes = lab.counters().routes;
    assert!(!routes.contains_key("GET query") && !routes.contains_key("POST composite"), "{routes:?}");
}
