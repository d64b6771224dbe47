//! An org that is read-only for a while: it answers each call, and refuses each row.

use std::time::Duration;

use postern_agent_core::GivenUp;
use postern_agent_core::ledger::Ending;
use postern_protocol::outcome::Changed;
use postern_protocol::task::import_batch::{Format, Output, Request};
use postern_protocol::{Failure, FailureClass, Outcome, TaskOutput, Timestamp};
use salesforce_sim::{Mishap, OrgSeed, Switches};
use serde_json::{Value, json};

use crate::lab::{Lab, Task, disable, import_with};

const CODE: &str = "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE";

fn modified(number: u64) -> String {
    format!("user{number:04}@acme.example")
}

fn created(number: u64) -> String {
    format!("new{number:04}@acme.example")
}

/// Five users to be made, and five to be changed and put into a permission set.
fn ten(lab: &Lab, request: Request) -> Task {
    let profile = lab.sim.user(&modified(1)).unwrap().text("ProfileId").to_owned();
    let new = |number| {
        json!({
            "op": "add", "Username": created(number), "LastName": "New", "Alias": "new", "Email": created(number),
            "ProfileId": profile, "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US",
            "EmailEncodingKey": "UTF-8", "LanguageLocaleKey": "en_US",
        })
    };
    let changed = |number| json!({ "Username": modified(number), "Title": "x", "PermissionSets": "Report_Builder" });
    let entries: Vec<Value> = (1..=5).map(new).chain((1..=5).map(changed)).collect();
    import_with(request, entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"))
}

fn request() -> Request {
    Request::new(Format::Jsonl)
}

fn read_only_after(lab: &Lab, writes: u64) {
    lab.sim.switch(&Switches { read_only_after: Some(writes), ..Switches::default() }).unwrap();
}

fn is_maintained(failure: &Failure) -> bool {
    failure.code.as_str() == CODE && failure.class.known() == Some(FailureClass::Transient)
}

fn all_done(lab: &Lab, task: &Task, output: Option<&TaskOutput>, what: &str) {
    let Some(TaskOutput::ImportBatch(Output { created: made, modified: changed, .. })) = output else {
        panic!("{what}: {output:?}")
    };
    let lines = task.lines();
    assert_eq!((*made, *changed, lines.len()), (5, 5, 10), "{what}: {lines:?}");
    for number in 1..=5 {
        assert_eq!(lab.effects(&created(number)).creates, 1, "{what}: {number}");
        assert_eq!(lab.sim.user(&modified(number)).unwrap().text("Title"), "x", "{what}: {number}");
    }
}

/// F62. End the entries by it, and a feed of the night is not done although its deadline is hours away.
#[tokio::test]
async fn f62_what_a_read_only_org_refuses_is_done_by_a_later_attempt() {
    for (all_or_none, bulk_threshold) in [(false, 1_000), (true, 1_000), (false, 2)] {
        // None of it; some of the rows of the first call, and of the second; some memberships.
        for writes in [0, 2, 7, 12] {
            let what = format!("all or none: {all_or_none}, in bulk above {bulk_threshold}, after {writes}");
            let lab = Lab::start().await;
            let connector = lab.connector();
            let mut task = ten(&lab, Request { all_or_none, bulk_threshold, ..request() });
            read_only_after(&lab, writes);
            for _ in 0..2 {
                let failure = task.attempt(&connector).await.unwrap_err();
                assert!(is_maintained(&failure), "{what}: {failure:?}");
                assert!(connector.patience(&failure) >= Duration::from_secs(60), "it costs no try");
                assert_eq!(task.lines(), [Value::Null; 0], "{what}");
            }
            lab.sim.clear_faults();
            let conclusion = task.attempt(&connector).await.unwrap();
            assert_eq!(conclusion.outcome, Outcome::Succeeded, "{what}: {:?}", task.lines());
            all_done(&lab, &task, conclusion.output.as_ref(), &what);
        }
    }
}

/// What is given up because the org stays read-only did nothing, and that is known.
#[tokio::test]
async fn f62_a_batch_of_which_a_read_only_org_took_nothing_is_known_to_have_changed_nothing() {
    let mut cases = vec![(false, 1_000, None), (true, 1_000, None), (false, 2, None)];
    // The job is handed over without an answer, or at the second call.
    cases.extend([Mishap::DropReply, Mishap::Refuse].map(|mishap| (false, 2, Some(mishap))));
    for (all_or_none, bulk_threshold, lost) in cases {
        let lab = Lab::start().await;
        let mut task = ten(&lab, Request { all_or_none, bulk_threshold, ..request() });
        read_only_after(&lab, 0);
        if let Some(mishap) = lost {
            lab.fault("PATCH", "/jobs/ingest", mishap, 1);
        }
        let failure = task.attempt(&lab.connector()).await.unwrap_err();
        assert!(!task.is_open(), "in bulk above {bulk_threshold}: {:?}", task.notes);
        let earlier = task.notes.lock().unwrap().iter().cloned().collect();
        let ending = Ending::given_up(failure, &earlier, GivenUp::Failed, false);
        assert_eq!((ending.outcome, ending.changed), (Outcome::Failed, Changed::No));
    }
}

/// The same where another row of the call is bad by itself.
#[tokio::test]
async fn f62_a_bad_row_among_those_that_a_read_only_org_refuses_is_no_sign_that_something_was_done() {
    let lab = Lab::start().await;
    let entry = |number| json!({ "Username": modified(number), "Title": "x" }).to_string();
    let mut task = import_with(request(), format!("{}\n{}", entry(1), entry(2)));
    let refused = |code: &str| json!({ "success": false, "errors": [{ "statusCode": code, "message": "no" }] });
    let body = json!([refused("STRING_TOO_LONG"), refused(CODE)]).to_string();
    lab.fault("PATCH", "/composite/sobjects", Mishap::OtherReply { status: 200, body }, 1);
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert!(is_maintained(&failure), "{failure:?}");
    assert!(!task.is_open(), "{:?}", task.notes);
}

/// Nobody waits beyond the deadline: what was begun is told, row by row, and what was not begun as late.
#[tokio::test]
async fn f62_after_the_deadline_what_a_read_only_org_refuses_is_told() {
    let (nothing, some) = ((Outcome::Failed, Changed::No), (Outcome::PartiallySucceeded, Changed::Yes));
    let cases = [
        (1_000, 0, 0, "expired", nothing),
        (2, 0, 0, "expired", nothing),
        (1_000, 3, 3, CODE, some),
        (2, 3, 3, CODE, some),
    ];
    for (bulk_threshold, writes, done, code, outcome) in cases {
        let lab = Lab::start().await;
        let connector = lab.connector();
        let mut task = ten(&lab, Request { bulk_threshold, ..request() });
        read_only_after(&lab, writes);
        task.attempt(&connector).await.unwrap_err();
        task.deadline = Some(Timestamp::from_millis(1));
        let conclusion = task.attempt(&connector).await.unwrap();
        let lines = task.lines();
        let refused = lines.iter().filter(|line| line["outcome"] == "failed" && line["code"] == code);
        assert_eq!((lines.len(), refused.count()), (10, 10 - done), "{lines:?}");
        assert_eq!((conclusion.outcome, conclusion.changed), outcome);
        let jobs = lab.counters().routes.get("POST jobs/ingest").copied();
        assert!(bulk_threshold > 2 || done > 0 || jobs == Some(1), "what was not begun in time is not begun: {jobs:?}");
    }
}

/// All or none is checked until something is sent: while the org is read-only, another user may go.
#[tokio::test]
async fn f62_all_or_none_is_checked_again_after_a_read_only_org_took_nothing() {
    let lab = Lab::with_org(OrgSeed::acme(230)).await;
    let connector = lab.connector();
    let entry = |number| json!({ "Username": modified(number), "Title": "x" }).to_string();
    let entries: Vec<String> = (1..=201).map(entry).collect();
    let mut task = import_with(Request { all_or_none: true, ..request() }, entries.join("\n"));
    read_only_after(&lab, 0);
    task.attempt(&connector).await.unwrap_err();
    lab.sim.clear_faults();
    let renamed = json!({ "Original_Username": modified(201), "Username": "renamed@acme.example" });
    let mut other = import_with(request(), renamed.to_string());
    assert_eq!(other.attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);

    let conclusion = task.attempt(&connector).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No), "{:?}", task.lines());
    assert_ne!(lab.sim.user(&modified(1)).unwrap().text("Title"), "x");
}

/// The same of a task for one account, which waits like a batch.
#[tokio::test]
async fn f62_one_user_is_not_given_up_in_maintenance() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = disable(&modified(1));
    read_only_after(&lab, 0);
    let failure = task.attempt(&connector).await.unwrap_err();
    assert!(is_maintained(&failure) && connector.patience(&failure) >= Duration::from_secs(60), "{failure:?}");
    lab.sim.clear_faults();
    assert_eq!(task.attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(lab.effects(&modified(1)).deactivations, 1);
}
