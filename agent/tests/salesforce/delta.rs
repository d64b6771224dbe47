//! Deltas: what changed since a cursor was last handed over, nothing skipped whatever is lost.

use std::sync::Arc;
use std::time::Duration;

use postern_agent::connector::salesforce::Type;
use postern_agent::connector::{Connector, Cursors as _};
use postern_protocol::task::export::Output;
use postern_protocol::{FailureClass, TaskOutput};
use salesforce_sim::{Assumptions, Mishap, OrgSeed, Switches};
use serde_json::{Value, json};

use crate::lab::{Lab, Task, disable, enable, export, import};

const JOE: &str = "user0001@acme.example";
const ANN: &str = "user0002@acme.example";
/// Longer than a run stays behind Salesforce's clock.
const LAG: Duration = Duration::from_secs(6 * 60);
/// Longer than a run reaches back, too.
const LONG: Duration = Duration::from_secs(30 * 60);
/// After such a wait a try is not counted.
const A_MINUTE: Duration = Duration::from_secs(60);

struct Deltas {
    lab: Lab,
    connector: Arc<dyn Connector>,
}

impl Deltas {
    async fn start() -> Self {
        Self::start_in(Lab::start().await)
    }

    fn start_in(lab: Lab) -> Self {
        // Its sign-in does not mind that the simulator's clock is ahead.
        let connector = lab.connector_with(&lab.settings("oauth-client-credentials"));
        lab.sim.advance(LONG);
        Self { lab, connector }
    }

    async fn change(&self, mut task: Task) {
        task.attempt(&self.connector).await.unwrap();
    }

    /// One run; its outcome is handed over if `delivered`.
    async fn run(&self, request: Value, delivered: bool) -> (Output, Vec<Value>) {
        let mut task = export(request);
        let conclusion = task.attempt(&self.connector).await.unwrap();
        if delivered {
            self.lab.keep.deliver(task.id());
        }
        let Some(TaskOutput::Export(output)) = conclusion.output else { panic!("no output of an export") };
        (output, task.payload().lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

fn request(mode: &str) -> Value {
    json!({
        "object": "User",
        "format": "jsonl",
        "attributes": ["Username", "IsActive", "Title"],
        "mandatory": ["Username"],
        "delta": { "cursor": "nightly", "mode": mode },
    })
}

const BOTH: &str = "changed_and_mandatory_attributes";

/// Move the watermark when the task concludes instead of when it is handed over, and this fails.
#[tokio::test]
async fn a_run_that_was_not_handed_over_is_repeated_and_one_that_was_is_not() {
    let deltas = Deltas::start().await;
    let (first, lines) = deltas.run(request(BOTH), false).await;
    assert_eq!((first.records, lines.len(), first.since.as_str()), (21, 21, ""));
    assert!(lines.iter().all(|line| line.as_object().unwrap().len() == 4), "a new record is told whole");
    assert!(first.warnings[0].contains(&format!("since {}", first.until)), "{:?}", first.warnings);

    let (again, _) = deltas.run(request(BOTH), true).await;
    assert_eq!((again.records, again.since.as_str()), (21, ""), "the first was lost");
    let (quiet, _) = deltas.run(request(BOTH), true).await;
    assert_eq!((quiet.records, quiet.warnings.len()), (0, 0));

    deltas.change(disable(JOE)).await;
    deltas.lab.sim.advance(LAG);
    let changed = json!([{ "Id": deltas.lab.sim.user(JOE).unwrap().id, "Username": JOE, "IsActive": false }]);
    for delivered in [false, false, true] {
        let (_, lines) = deltas.run(request(BOTH), delivered).await;
        assert_eq!(json!(lines), changed);
    }
    let (quiet, _) = deltas.run(request(BOTH), true).await;
    assert_eq!(quiet.records, 0);
}

/// What it told, another run would take for not told, and what was taken back since is told by nobody. Begin all the same, and
/// whoever reads the files takes Joe for disabled.
#[tokio::test]
async fn no_run_begins_while_the_file_of_the_one_before_is_on_its_way() {
    let deltas = Deltas::start().await;
    deltas.run(request(BOTH), true).await;
    deltas.change(disable(JOE)).await;
    deltas.lab.sim.advance(LAG);
    let mut on_its_way = export(request(BOTH));
    on_its_way.attempt(&deltas.connector).await.unwrap();
    assert!(on_its_way.payload().contains("\"IsActive\":false"));
    deltas.lab.keep.owe(on_its_way.id());

    deltas.change(enable(JOE)).await;
    deltas.lab.sim.advance(LAG);
    let mut next = export(request(BOTH));
    for _ in 0..2 {
        let failure = next.attempt(&deltas.connector).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.class.known()), ("cursor_busy", Some(FailureClass::Transient)));
        assert_eq!(deltas.connector.patience(&failure), A_MINUTE);
    }
    assert_eq!(Type.all(deltas.lab.keep.as_ref()).unwrap().len(), 1, "it is shown meanwhile");

    deltas.lab.keep.deliver(on_its_way.id());
    next.attempt(&deltas.connector).await.unwrap();
    let told: Value = serde_json::from_str(&next.payload()).unwrap();
    let id = deltas.lab.sim.user(JOE).unwrap().id;
    assert_eq!(told, json!({ "Id": id, "Username": JOE, "IsActive": true }));
}

/// The controller was put back from a copy in which the first of three tasks is queued, or two of them are: the files of all three
/// are gone. Go on from where the newest got, or look at a task's own file alone, and what the others told is told by nobody.
#[tokio::test]
async fn what_a_controller_that_was_put_back_lost_is_told_again_whichever_task_comes_again() {
    for again in [&[0][..], &[1], &[2], &[0, 2], &[2, 0]] {
        let deltas = Deltas::start().await;
        let (_, first) = deltas.run(request(BOTH), true).await;
        let inactive = first.iter().filter(|line| line["IsActive"] == json!(false)).count();
        let mut tasks: Vec<Task> = Vec::new();
        for user in [JOE, ANN, "user0003@acme.example"] {
            deltas.change(disable(user)).await;
            deltas.lab.sim.advance(LAG);
            let mut task = export(request(BOTH));
            task.attempt(&deltas.connector).await.unwrap();
            assert_eq!(task.payload().lines().count(), 1);
            deltas.lab.keep.deliver(task.id());
            tasks.push(task);
        }
        for at in again {
            tasks[*at].taken_anew(&deltas.lab.keep);
        }
        for at in again {
            let task = &mut tasks[*at];
            let conclusion = task.attempt(&deltas.connector).await.unwrap();
            let Some(TaskOutput::Export(output)) = conclusion.output else { panic!("no output of an export") };
            assert_eq!((output.records, output.since.as_str()), (21, ""), "{again:?}");
            assert!(output.warnings[0].contains("lost"), "{:?}", output.warnings);
            assert_eq!(task.payload().matches("\"IsActive\":false").count(), inactive + 3, "{again:?}");
            deltas.lab.keep.deliver(task.id());
        }
        let (quiet, _) = deltas.run(request(BOTH), true).await;
        assert_eq!((quiet.records, quiet.warnings.len()), (0, 0), "{again:?}");
    }
}

/// An operator had another list of attributes since. Let the old task that comes again have the cursor, and every run that is wanted
/// fails until somebody begins it anew; leave the cursor as it was, and what files that are lost told is told by nobody.
#[tokio::test]
async fn an_old_task_that_comes_again_leaves_the_cursor_to_the_question_of_now() {
    for is_handed_over in [true, false] {
        let deltas = Deltas::start().await;
        let mut wanted = request(BOTH);
        wanted["attributes"] = json!(["Username", "IsActive"]);
        let mut old: Vec<Task> = Vec::new();
        for _ in 0..2 {
            let mut task = export(request(BOTH));
            task.attempt(&deltas.connector).await.unwrap();
            deltas.lab.keep.deliver(task.id());
            old.push(task);
        }
        let mut restart = wanted.clone();
        restart["delta"]["restart"] = json!(true);
        deltas.run(restart, is_handed_over).await;
        deltas.lab.sim.advance(LAG);

        for task in &mut old {
            task.taken_anew(&deltas.lab.keep);
            for _ in 0..2 {
                let failure = task.attempt(&deltas.connector).await.unwrap_err();
                assert_eq!(failure.code.as_str(), "cursor_changed", "handed over: {is_handed_over}");
            }
        }
        let failure = export(request(BOTH)).attempt(&deltas.connector).await.unwrap_err();
        assert_eq!(failure.code.as_str(), "cursor_changed", "nor is one that was done nowhere yet to have it");
        for delivered in [false, true] {
            let (everything, _) = deltas.run(wanted.clone(), delivered).await;
            assert_eq!((everything.records, everything.since.as_str()), (21, ""));
            assert!(everything.warnings[0].contains("may have lost"), "{:?}", everything.warnings);
        }
        let (quiet, _) = deltas.run(wanted, true).await;
        assert_eq!((quiet.records, quiet.warnings.len()), (0, 0), "{:?}", quiet.warnings);
    }
}

/// Begin anew at each attempt, and one that dies again and again never gets further than to make a job for everything.
#[tokio::test]
async fn another_attempt_at_what_is_done_anew_goes_on_with_the_job_of_the_one_before() {
    let deltas = Deltas::start().await;
    let mut asked = request(BOTH);
    asked["size_hint"] = json!(1_000_000);
    let mut task = export(asked.clone());
    task.attempt(&deltas.connector).await.unwrap();
    deltas.lab.keep.deliver(task.id());
    deltas.run(request(BOTH), true).await;
    deltas.lab.sim.advance(LAG);

    task.taken_anew(&deltas.lab.keep);
    let jobs = || deltas.lab.counters().routes["POST jobs/query"];
    let before = jobs();
    for _ in 0..2 {
        task.disk_holds = Some(1_000);
        assert_eq!(task.attempt(&deltas.connector).await.unwrap_err().code.as_str(), "disk_full");
        deltas.lab.sim.advance(LAG);
    }
    let conclusion = task.attempt(&deltas.connector).await.unwrap();
    let Some(TaskOutput::Export(output)) = conclusion.output else { panic!("no output of an export") };
    assert_eq!((output.records, jobs()), (21, before + 1));
    assert!(output.warnings[0].contains("lost"), "{:?}", output.warnings);
}

/// Another attempt at the same task makes its file anew, and whoever begins a cursor anew is told everything.
#[tokio::test]
async fn neither_another_attempt_nor_a_new_beginning_waits_for_a_file_on_its_way() {
    let deltas = Deltas::start().await;
    let mut task = export(request(BOTH));
    task.attempt(&deltas.connector).await.unwrap();
    deltas.lab.keep.owe(task.id());
    let again = task.attempt(&deltas.connector).await.unwrap();
    let Some(TaskOutput::Export(again)) = again.output else { panic!("no output of an export") };
    assert_eq!(again.records, 21);

    let mut anew = request(BOTH);
    anew["delta"]["restart"] = json!(true);
    let (anew, _) = deltas.run(anew, true).await;
    assert_eq!((anew.records, anew.since.as_str()), (21, ""));
}

/// Salesforce describes objects and answers no query, all night long. Count each attempt, and the first run after it tells
/// every user as a new one.
#[tokio::test]
async fn a_night_of_runs_that_were_lost_makes_no_cursor_begin_anew() {
    let deltas = Deltas::start().await;
    deltas.run(request(BOTH), true).await;
    deltas.lab.sim.advance(LAG);
    for _ in 0..70 {
        deltas.run(request(BOTH), false).await;
    }
    deltas.change(disable(JOE)).await;
    deltas.lab.sim.advance(LAG);
    let (output, told) = deltas.run(request(BOTH), true).await;
    assert_eq!((output.records, output.since.is_empty()), (1, false), "{told:?}");
    assert!(output.warnings.is_empty(), "{:?}", output.warnings);
}

/// Take the lag or the overlap out and this fails.
#[tokio::test]
async fn late_records_are_told_once_and_in_the_next_run() {
    let deltas = Deltas::start().await;
    deltas.run(request(BOTH), true).await;
    deltas.change(disable(JOE)).await;
    deltas.change(disable(ANN)).await;
    deltas.lab.sim.advance(Duration::from_secs(60));
    let (early, _) = deltas.run(request(BOTH), true).await;
    assert_eq!(early.records, 0, "transactions of that moment may not have been committed");

    deltas.lab.sim.advance(LAG);
    let (output, _) = deltas.run(request(BOTH), true).await;
    assert_eq!(output.records, 2);
    assert!(output.since < output.until);
    deltas.lab.sim.advance(Duration::from_secs(60));
    let (again, _) = deltas.run(request(BOTH), true).await;
    assert!(again.since < output.until, "it reaches back into the run before");
    assert_eq!(again.records, 0);
}

/// One answer says that it is six hours later, and the watermark takes it for true. Leave it there, and what changes within
/// these hours is in no run.
#[tokio::test]
async fn a_date_that_was_ahead_of_its_time_skips_nothing() {
    let deltas = Deltas::start().await;
    deltas.run(request(BOTH), true).await;
    deltas.lab.fault("GET", "/describe", Mishap::OtherDate { ahead_secs: 6 * 3_600 }, 1);
    let (ahead, _) = deltas.run(request(BOTH), true).await;
    deltas.change(disable(JOE)).await;
    deltas.lab.sim.advance(LAG);
    let (output, lines) = deltas.run(request(BOTH), true).await;
    assert_eq!((lines.len(), &lines[0]["Username"]), (1, &json!(JOE)), "he alone: the others are known");
    assert!(output.until < ahead.until);
    assert!(output.warnings.len() == 1 && output.warnings[0].contains("reads everything"), "{:?}", output.warnings);
    deltas.lab.sim.advance(LAG);
    let (quiet, _) = deltas.run(request(BOTH), true).await;
    assert_eq!((quiet.records, quiet.warnings.len()), (0, 0));
    assert!(quiet.since < output.until && output.until < quiet.until, "it goes on from there");
}

/// A job of hours is not what somebody expects who reads of some minutes.
#[tokio::test]
async fn a_run_after_a_date_that_was_ahead_says_how_far_it_goes_back() {
    for (ahead_secs, word) in [(4 * 60, "reaches back to before that"), (6 * 3_600, "reads everything")] {
        let deltas = Deltas::start().await;
        deltas.run(request(BOTH), true).await;
        deltas.lab.fault("GET", "/describe", Mishap::OtherDate { ahead_secs }, 1);
        deltas.run(request(BOTH), true).await;
        let (output, lines) = deltas.run(request(BOTH), true).await;
        assert!(output.warnings.len() == 1 && output.warnings[0].contains(word), "{:?}", output.warnings);
        assert_eq!((output.since.is_empty(), lines.len()), (word == "reads everything", 0), "{word}");
    }
}

/// Feature B13.
#[tokio::test]
async fn each_mode_tells_its_attributes_and_the_log_tells_which_changed() {
    let deltas = Deltas::start().await;
    let only = |mode: &str| {
        let mut request = request(mode);
        request["delta"]["cursor"] = json!(mode);
        request
    };
    let modes = ["only_changed_attributes", BOTH, "all_attributes"];
    for mode in modes {
        deltas.run(only(mode), true).await;
    }
    let mut log = only("only_changed_attributes");
    log["delta"]["cursor"] = json!("log");
    log["content"] = json!("change_log");
    deltas.run(log.clone(), true).await;

    deltas.change(disable(JOE)).await;
    deltas.lab.sim.advance(LAG);
    for (mode, names) in modes.into_iter().zip([
        vec!["Id", "IsActive"],
        vec!["Id", "IsActive", "Username"],
        vec!["Id", "IsActive", "Title", "Username"],
    ]) {
        let (_, lines) = deltas.run(only(mode), true).await;
        let mut told: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
        told.sort_unstable();
        assert_eq!((lines.len(), told), (1, names), "{mode}");
    }
    let (_, lines) = deltas.run(log, true).await;
    assert_eq!((&lines[0]["Change"], &lines[0]["Attributes"]), (&json!("modify"), &json!("IsActive")));
    assert!(lines[0]["ChangedAt"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_change_of_what_a_path_leads_to_is_told_when_the_record_changed() {
    let deltas = Deltas::start().await;
    let mut request = request(BOTH);
    request["attributes"] = json!(["Username", "UserRole.Name"]);
    deltas.run(request.clone(), true).await;
    let role = roles(&deltas).await.into_iter().find(|line| line["Name"] == json!("CEO")).unwrap()["Id"].clone();
    let entry = format!("<Username>{JOE}</Username><UserRoleId>{}</UserRoleId>", role.as_str().unwrap());
    deltas.change(import(format!("<root><entry changetype=\"modify\">{entry}</entry></root>"))).await;
    deltas.lab.sim.advance(LAG);
    let (_, lines) = deltas.run(request, true).await;
    let id = deltas.lab.sim.user(JOE).unwrap().id;
    assert_eq!(json!(lines), json!([{ "Id": id, "Username": JOE, "UserRole.Name": "CEO" }]));
}

/// Another record makes them come true, and none that a delta looks at changes.
#[tokio::test]
async fn a_condition_on_other_records_is_refused_of_changes_alone() {
    let deltas = Deltas::start().await;
    let role = json!({ "attribute": "UserRole.Name", "equals": "CEO" });
    let either = json!({ "or": [{ "attribute": "IsActive", "equals": true }, { "not": role }] });
    for (key, condition, code) in [
        ("filter", &role, "filter_refused"),
        ("filter", &either, "filter_refused"),
        ("clause", &json!("UserRole.Name = 'CEO'"), "clause_refused"),
    ] {
        let mut delta = request(BOTH);
        delta[key] = condition.clone();
        let failure = export(delta.clone()).attempt(&deltas.connector).await.unwrap_err();
        assert_eq!(failure.code.as_str(), code, "{condition}");
        assert!(failure.summary.contains("without a cursor"), "{failure}");
        delta.as_object_mut().unwrap().remove("delta");
        export(delta).attempt(&deltas.connector).await.unwrap();
    }
}

async fn roles(deltas: &Deltas) -> Vec<Value> {
    deltas.run(json!({ "object": "UserRole", "format": "jsonl" }), true).await.1
}

/// The process dies before each of its writes in turn; what it had not handed over comes again.
#[tokio::test]
async fn a_death_at_any_write_skips_nothing() {
    for writes in 0..3 {
        let deltas = Deltas::start().await;
        deltas.run(request(BOTH), true).await;
        deltas.change(disable(JOE)).await;
        deltas.lab.sim.advance(LAG);

        deltas.lab.keep.dies_after(Some(writes));
        let died = export(request(BOTH)).attempt(&deltas.connector).await.is_err();
        deltas.lab.keep.dies_after(None);
        assert!(died || writes >= 2, "{writes}");

        deltas.change(enable(JOE)).await;
        deltas.lab.sim.advance(LAG);
        let (_, lines) = deltas.run(request("all_attributes"), true).await;
        // He is as he was when the cursor last moved: seen again by his stamp, and recognized by his hashes.
        assert_eq!(lines.len(), 0, "{writes}");
        deltas.change(disable(JOE)).await;
        deltas.lab.sim.advance(LAG);
        let (_, lines) = deltas.run(request(BOTH), true).await;
        assert_eq!((lines.len(), &lines[0]["IsActive"]), (1, &json!(false)), "{writes}");
    }
}

/// Let every attempt end its span by its own clock, and this fails.
#[tokio::test]
async fn another_attempt_goes_on_with_the_job_of_the_first() {
    let deltas = Deltas::start().await;
    let mut asked = request(BOTH);
    asked["size_hint"] = json!(1_000_000);
    let mut task = export(asked.clone());
    task.disk_holds = Some(1_000);
    assert_eq!(task.attempt(&deltas.connector).await.unwrap_err().code.as_str(), "disk_full");
    deltas.lab.sim.advance(LAG);
    task.attempt(&deltas.connector).await.unwrap();
    assert_eq!(task.payload().lines().count(), 21, "what the first attempt took is not known to anybody");
    assert_eq!(deltas.lab.counters().routes["POST jobs/query"], 1);
    deltas.lab.keep.deliver(task.id());

    deltas.change(disable(JOE)).await;
    deltas.lab.sim.advance(LAG);
    let (_, lines) = deltas.run(asked, true).await;
    assert_eq!((lines.len(), &lines[0]["Username"]), (1, &json!(JOE)));
}

/// The service account signs in again. Compare every attribute, and this fails.
#[tokio::test]
async fn what_a_login_leaves_behind_is_a_change_only_if_it_is_asked_for() {
    let assumptions = Assumptions { login_moves_system_modstamp: true, ..Assumptions::default() };
    let deltas = Deltas::start_in(Lab::assuming(assumptions, OrgSeed::acme(20)).await);
    let of = |cursor: &str, incidental: Value| {
        let delta = json!({ "cursor": cursor, "mode": "only_changed_attributes", "incidental": incidental });
        json!({ "object": "User", "format": "jsonl", "delta": delta })
    };
    deltas.run(json!({ "object": "UserRole", "format": "jsonl" }), true).await;
    deltas.lab.sim.advance(LAG);
    let requests = [of("usual", json!(null)), of("all", json!([])), of("own", json!(["systemmodstamp"]))];
    for request in &requests {
        deltas.run(request.clone(), true).await;
    }
    deltas.lab.sim.switch(&Switches { expire_sessions: true, ..Switches::default() }).unwrap();
    deltas.run(requests[0].clone(), true).await;
    deltas.lab.sim.advance(LAG);
    let mut told = Vec::new();
    for request in &requests {
        told.push(deltas.run(request.clone(), true).await.1);
    }
    assert_eq!(told[0], Vec::<Value>::new());
    let names: Vec<&String> = told[1][0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["Id", "LastLoginDate", "SystemModstamp"]);
    assert_eq!(told[2], told[1], "the time of the login is not incidental here");

    let mut unknown = requests[2].clone();
    unknown["delta"]["incidental"] = json!(["No_Such__c"]);
    let failure = export(unknown).attempt(&deltas.connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "incidental_attribute_missing");
}

#[tokio::test]
async fn a_cursor_is_of_one_question_and_can_begin_anew() {
    let deltas = Deltas::start().await;
    deltas.run(request(BOTH), true).await;
    let mut other = request(BOTH);
    other["filter"] = json!({ "attribute": "IsActive", "equals": true });
    let failure = export(other.clone()).attempt(&deltas.connector).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.class.known()), ("cursor_changed", Some(FailureClass::Rejected)));
    let (quiet, _) = deltas.run(request(BOTH), true).await;
    assert_eq!(quiet.records, 0, "a refusal leaves the cursor as it was");

    other["delta"]["restart"] = json!(true);
    let (anew, lines) = deltas.run(other, true).await;
    assert_eq!((anew.records, anew.since.as_str()), (19, ""));
    assert!(lines.iter().all(|line| line.as_object().unwrap().len() == 4));
}

/// The records of an org may bear times from before the last run at another: a refreshed sandbox has a copy of its users.
#[tokio::test]
async fn a_cursor_is_of_one_org_and_can_begin_anew_in_another() {
    let deltas = Deltas::start().await;
    deltas.run(request(BOTH), true).await;
    let refreshed = Deltas::start_in(deltas.lab.led_to(OrgSeed::acme(10)).await);
    let failure = export(request(BOTH)).attempt(&refreshed.connector).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.class.known()), ("cursor_changed", Some(FailureClass::Rejected)));
    assert!(failure.summary.contains("leads to the org 00D"), "{failure}");
    let mut anew = request(BOTH);
    anew["delta"]["restart"] = json!(true);
    let (whole, _) = refreshed.run(anew, true).await;
    assert_eq!((whole.records, whole.since.as_str()), (11, ""));
    let (quiet, _) = refreshed.run(request(BOTH), true).await;
    assert_eq!(quiet.records, 0);
}

#[tokio::test]
async fn what_a_form_cannot_tell_is_refused() {
    let deltas = Deltas::start().await;
    let mut csv = request(BOTH);
    csv["format"] = json!("csv");
    assert_eq!(export(csv.clone()).attempt(&deltas.connector).await.unwrap_err().code.as_str(), "csv_delta");
    csv["delta"]["mode"] = json!("all_attributes");
    assert!(export(csv).attempt(&deltas.connector).await.is_ok());

    let log = json!({ "object": "User", "format": "csv", "content": "change_log" });
    assert_eq!(export(log).attempt(&deltas.connector).await.unwrap_err().code.as_str(), "no_change_log");
}

/// Leave `admit` out and this fails: a controller could fill the agent's disk with cursors.
#[tokio::test]
async fn there_is_place_for_so_many_cursors() {
    let deltas = Deltas::start().await;
    let named = |number: usize| json!({ "object": "Profile", "format": "jsonl", "attributes": ["Name"], "delta": { "cursor": number.to_string() } });
    for number in 0..32 {
        deltas.run(named(number), true).await;
    }
    let failure = export(named(32)).attempt(&deltas.connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "too_many_cursors");
    deltas.run(named(0), true).await;
    assert!(Type.forget("Profile", "7", deltas.lab.keep.as_ref()).await.unwrap());
    deltas.run(named(32), true).await;
}

#[tokio::test]
async fn a_cursor_is_shown_and_forgotten_with_all_it_remembers() {
    let deltas = Deltas::start().await;
    let keep = deltas.lab.keep.clone();
    let shown = || {
        let cursors = Type.all(keep.as_ref()).unwrap();
        cursors.into_iter().map(|it| (it.object, it.name, it.until.is_some(), it.records)).collect::<Vec<_>>()
    };
    let nightly = |handed_over| ("User".to_owned(), "nightly".to_owned(), handed_over, 21);
    deltas.run(request(BOTH), false).await;
    assert_eq!(shown(), [nightly(false)]);
    deltas.run(request(BOTH), true).await;
    let roles = json!({ "object": "UserRole", "format": "jsonl", "delta": { "cursor": "a" } });
    deltas.run(roles, true).await;
    assert_eq!(shown(), [nightly(true), ("UserRole".to_owned(), "a".to_owned(), true, 5)]);

    assert!(Type.forget("User", "nightly", keep.as_ref()).await.unwrap());
    assert!(!Type.forget("User", "nightly", keep.as_ref()).await.unwrap());
    assert_eq!(shown().len(), 1);
    let (anew, _) = deltas.run(request(BOTH), true).await;
    assert_eq!((anew.records, anew.since.as_str()), (21, ""));
}

/// Logins are never changed, only added; each is told once.
#[tokio::test]
async fn logins_are_told_once() {
    let deltas = Deltas::start().await;
    let request = json!({ "object": "LoginHistory", "format": "jsonl", "delta": { "cursor": "logins" } });
    deltas.run(json!({ "object": "User", "format": "jsonl" }), true).await;
    deltas.lab.sim.advance(LAG);
    let (first, _) = deltas.run(request.clone(), true).await;
    assert!(first.records > 0);
    let (second, _) = deltas.run(request, true).await;
    assert_eq!(second.records, 0);
}

/// Go on with a cursor of any format, and this fails.
#[tokio::test]
async fn a_cursor_of_another_version_begins_anew_and_says_so() {
    let deltas = Deltas::start().await;
    deltas.run(request(BOTH), true).await;
    deltas.lab.keep.age("salesforce/deltas");
    let (anew, lines) = deltas.run(request(BOTH), true).await;
    assert_eq!((anew.records, anew.since.as_str()), (21, ""));
    assert!(lines.iter().all(|line| line.as_object().unwrap().len() == 4), "each is told whole");
    assert!(anew.warnings.iter().any(|it| it.as_str().contains("another version of the agent")));
    let (quiet, _) = deltas.run(request(BOTH), true).await;
    assert!(quiet.records == 0 && quiet.warnings.is_empty());
}

/// Leave out the turns, and both succeed, one of them with what the other has just undone.
#[tokio::test]
async fn one_run_of_a_cursor_at_a_time() {
    let deltas = Deltas::start().await;
    deltas.run(request(BOTH), true).await;
    let latency = Mishap::Latency { millis: 300 };
    deltas.lab.fault("GET", "/query", latency, 10);
    let (mut one, mut other) = (export(request(BOTH)), export(request("all_attributes")));
    let (first, second) = tokio::join!(one.attempt(&deltas.connector), other.attempt(&deltas.connector));
    let failure = second.err().unwrap();
    assert!(first.is_ok());
    assert_eq!((failure.code.as_str(), failure.class.known()), ("cursor_busy", Some(FailureClass::Transient)));
    assert_eq!(deltas.connector.patience(&failure), A_MINUTE);
    let mut another = request(BOTH);
    another["delta"]["cursor"] = json!("weekly");
    let (mut one, mut other) = (export(request(BOTH)), export(another));
    let (first, second) = tokio::join!(one.attempt(&deltas.connector), other.attempt(&deltas.connector));
    assert!(first.is_ok() && second.is_ok(), "its turn is over, and each cursor has its own");
}
