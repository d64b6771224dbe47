//! Exports: whole or not at all, whatever breaks in the middle.

use std::sync::Arc;

use postern_agent::connector::{Connector, Mark};
use postern_protocol::bounded::Text;
use postern_protocol::task::export::{Output, Way};
use postern_protocol::{FailureClass, Outcome, TaskOutput};
use salesforce_sim::{DeviceSeed, Mishap, OrgSeed, Switches};
use serde_json::{Value, json};

use crate::lab::{Lab, Task, export, import};

/// More than one page of a query.
const MANY: usize = 2_100;
/// About half of what they come to.
const MANY_BYTES: usize = 50 * 1_024;

fn output(conclusion: &postern_agent::connector::Conclusion) -> Output {
    assert_eq!(conclusion.outcome, Outcome::Succeeded);
    let Some(TaskOutput::Export(output)) = conclusion.output.clone() else { panic!("no output of an export") };
    output
}

fn lines(task: &Task) -> Vec<Value> {
    task.payload().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn respond(status: u16, code: &str) -> Mishap {
    Mishap::Respond { status, code: Some(code.to_owned()), message: Some("on purpose".to_owned()) }
}

/// Every user of an org with more than one page of them, in two columns.
fn everybody(size_hint: u64) -> Task {
    export(json!({ "attributes": ["Username", "IsActive"], "object": "user", "format": "csv", "size_hint": size_hint }))
}

fn is_whole(task: &Task, with: &str) {
    let text = task.payload();
    let mut names: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MANY + 1, "{with}: every user once");
    assert_eq!(text.lines().count(), MANY + 2, "{with}: nobody twice");
    assert!(text.starts_with("Id,Username,IsActive\n"), "{with}");
}

/// Feature B13.
#[tokio::test]
async fn users_are_exported_with_the_attributes_of_the_schema() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = export(json!({ "object": "User", "format": "jsonl" }));
    let output = output(&task.attempt(&connector).await.unwrap());
    assert_eq!((output.records, output.way.known()), (21, Some(Way::Pages)));
    assert!(output.warnings.is_empty(), "{:?}", output.warnings);
    let lines = lines(&task);
    assert_eq!(lines.len(), 21);
    let joe = lines.iter().find(|line| line["Username"] == json!("user0001@acme.example")).unwrap();
    assert_eq!(joe["IsActive"], json!(true));
    assert_eq!(joe["City"], json!(null));
    assert_eq!(joe.as_object().unwrap().len(), 39);
}

/// An org with records of every class.
async fn lab_with_everything() -> (Lab, Arc<dyn Connector>) {
    let mut org = OrgSeed::acme(20);
    org.users[1].devices = vec![DeviceSeed {
        name: "Joe's phone".to_owned(),
        kind: "Phone".to_owned(),
        platform: "Android".to_owned(),
        browser: None,
    }];
    let lab = Lab::with_org(org).await;
    let connector = lab.connector();
    let entry = "<Username>user0001@acme.example</Username><PermissionSets>Report_Builder</PermissionSets>";
    let mut assigned = import(format!("<root><entry changetype=\"modify\">{entry}</entry></root>"));
    assert_eq!(assigned.attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);
    (lab, connector)
}

const OBJECTS: [&str; 8] = [
    "User",
    "UserRole",
    "Profile",
    "UserLicense",
    "LoginHistory",
    "UserLogin",
    "UserDevice",
    "PermissionSetAssignment",
];

/// Feature B13.
#[tokio::test]
async fn every_object_comes_in_pages_in_bulk_and_in_pages_where_bulk_is_refused() {
    let (lab, connector) = lab_with_everything().await;
    for object in OBJECTS {
        let mut told = Vec::new();
        for (size_hint, refused, way) in
            [(1, false, Way::Pages), (1_000_000, false, Way::Bulk), (1_000_000, true, Way::Pages)]
        {
            if refused {
                lab.fault("POST", "/jobs/query", respond(400, "INVALIDENTITY"), 1);
            }
            let mut task = export(json!({ "object": object, "format": "xml", "size_hint": size_hint }));
            let output = output(&task.attempt(&connector).await.unwrap());
            assert_eq!(output.way.known(), Some(way), "{object}");
            assert_eq!(output.warnings.iter().any(|it| it.contains("refused a job in bulk")), refused, "{object}");
            assert!(output.records > 0, "{object}");
            assert_eq!(u64::try_from(task.payload().matches("<entry ").count()), Ok(output.records), "{object}");
            let mut lines: Vec<String> = task.payload().lines().map(str::to_owned).collect();
            lines.sort();
            told.push(lines);
        }
        assert!(told.iter().all(|lines| *lines == told[0]), "{object}");
    }
}

/// An object that the service account may not see is named, with the permission that shows it.
#[tokio::test]
async fn an_object_that_is_hidden_is_refused_with_the_permission_it_takes() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("GET", "/sobjects/UserDevice/describe", respond(404, "NOT_FOUND"), 1);
    let failure = export(json!({ "object": "UserDevice", "format": "csv" })).attempt(&connector).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.class.known()), ("object_hidden", Some(FailureClass::Rejected)));
    assert!(failure.next_step.contains("View Devices"), "{failure:?}");
}

#[tokio::test]
async fn what_the_org_lacks_is_left_out_and_named() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = export(json!({ "object": "Profile", "format": "csv" }));
    let warnings = output(&task.attempt(&connector).await.unwrap()).warnings;
    let warnings: Vec<&str> = warnings.iter().map(Text::as_str).collect();
    assert!(warnings[0].contains("Profile of this org lacks"), "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("PermissionsViewAgentConsole")), "{warnings:?}");
    assert!(!task.payload().contains("PermissionsViewAgentConsole"));

    let request = json!({ "object": "User", "format": "csv", "attributes": ["Postal Code", "No_Such__c", "Title"] });
    let mut task = export(request);
    let output = output(&task.attempt(&connector).await.unwrap());
    assert!(output.warnings[0].ends_with(": No_Such__c"), "{:?}", output.warnings);
    assert!(task.payload().starts_with("Id,PostalCode,Title\n"));
}

/// What a record refers to, in one export with what it is. Both ways of reading tell the same.
#[tokio::test]
async fn attributes_of_what_a_record_refers_to_are_named_by_their_path() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let (joe, ann) = ("user0001@acme.example", "user0002@acme.example");
    let ann_id = lab.sim.user(ann).unwrap().id;
    let entry = format!("<Username>{joe}</Username><ManagerId>{ann_id}</ManagerId>");
    let mut managed = import(format!("<root><entry changetype=\"modify\">{entry}</entry></root>"));
    managed.attempt(&connector).await.unwrap();
    let request = |size_hint: u64| {
        json!({
            "object": "User",
            "format": "jsonl",
            "attributes": ["Username", "profile.userlicense.name", "UserRole.Name", "Manager.Username",
                "Manager.Profile.CreatedDate", "Profile.Titel"],
            "filter": { "attribute": "Profile.Name", "starts_with": "S" },
            "dates": [{ "attribute": "manager.profile.CreatedDate", "day": "iso", "time": "none" }],
            "size_hint": size_hint,
        })
    };
    let mut told = Vec::new();
    for (size_hint, way) in [(1, Way::Pages), (1_000_000, Way::Bulk)] {
        let mut task = export(request(size_hint));
        let output = output(&task.attempt(&connector).await.unwrap());
        assert_eq!(output.way.known(), Some(way));
        assert!(output.warnings[0].ends_with(": Profile.Titel"), "{:?}", output.warnings);
        let mut lines = lines(&task);
        lines.sort_by_key(|line| line["Username"].to_string());
        told.push(lines);
    }
    assert_eq!(told[0], told[1]);
    let of_joe = told[0].iter().find(|line| line["Username"] == json!(joe)).unwrap();
    assert_eq!((&of_joe["Manager.Username"], &of_joe["UserRole.Name"]), (&json!(ann), &json!("Sales Manager")));
    assert_eq!(of_joe["Manager.Profile.CreatedDate"].as_str().unwrap().len(), 10);
    let names: Vec<&String> = told[0][0].as_object().unwrap().keys().collect();
    let paths = ["Manager.Profile.CreatedDate", "Manager.Username", "Profile.UserLicense.Name", "UserRole.Name"];
    assert!(paths.iter().all(|path| names.iter().any(|name| name == path)), "{names:?}");
    assert!(told[0].iter().all(|line| line["Profile.UserLicense.Name"].is_string()), "{told:?}");
    assert!(told[0].iter().any(|line| line["Manager.Username"].is_null()), "{told:?}");

    let mut task = export(json!({ "object": "User", "format": "csv", "mandatory": ["Profile.Titel"] }));
    assert_eq!(task.attempt(&connector).await.unwrap_err().code.as_str(), "mandatory_attribute_missing");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anything_is_read() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    for (request, code) in [
        (json!({ "object": "Account", "format": "csv" }), "unknown_object"),
        (json!({ "object": "User", "format": "csv", "mandatory": ["No_Such__c"] }), "mandatory_attribute_missing"),
        (
            json!({ "object": "User", "format": "csv", "filter": { "attribute": "No_Such__c", "is_null": true } }),
            "filter_unknown_attribute",
        ),
        (json!({ "object": "User", "format": "csv", "clause": "IsActive = true LIMIT 1" }), "clause_refused"),
        (
            json!({ "object": "User", "format": "csv", "dates": [{ "attribute": "Title", "day": "iso", "time": "none" }] }),
            "date_format",
        ),
        (
            json!({ "object": "LoginHistory", "format": "csv", "filter": { "attribute": "Status", "equals": "Success" } }),
            "filter_refused",
        ),
    ] {
        let mut task = export(request);
        let failure = task.attempt(&connector).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.class.known()), (code, Some(FailureClass::Rejected)));
        assert!(task.payloads.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_clause_that_salesforce_cannot_make_out_is_named_as_what_to_correct() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    for clause in ["Nonsense__c = 1", "IsActive = = true"] {
        let mut task = export(json!({ "object": "User", "format": "csv", "clause": clause }));
        let failure = task.attempt(&connector).await.unwrap_err();
        assert!(failure.next_step.contains("Correct the clause"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_date_format_of_an_attribute_that_is_not_exported_is_warned_of() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let dates = json!([
        { "attribute": "LastLoginDate", "day": "iso", "time": "none" },
        { "attribute": "CreatedDate", "day": "iso", "time": "none" },
    ]);
    let mut task = export(json!({ "object": "User", "format": "csv", "attributes": ["CreatedDate"], "dates": dates }));
    let warnings = output(&task.attempt(&connector).await.unwrap()).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("LastLoginDate") && !warnings[0].contains("CreatedDate"), "{warnings:?}");
}

/// Features B14, B15.
#[tokio::test]
async fn filter_and_clause_choose_and_moments_are_written_as_wanted() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut task = export(json!({
        "object": "User",
        "format": "csv",
        "attributes": ["Username", "CreatedDate"],
        "filter": { "and": [
            { "attribute": "Username", "contains": "user00" },
            { "not": { "attribute": "LastName", "equals": "D'Arcy" } },
        ] },
        "clause": "IsActive = false",
        "dates": [{ "attribute": "createddate", "day": "dotted", "time": "12h" }],
    }));
    let output = output(&task.attempt(&connector).await.unwrap());
    assert_eq!(output.records, 1, "user0010 and user0020 are inactive, and user0010 is a D'Arcy");
    let text = task.payload();
    let row = text.lines().nth(1).unwrap().split(',').nth(2).unwrap();
    assert!(row.ends_with('M') && row.as_bytes()[2] == b'.', "{row}");
}

/// The statement is longer than a URL may be, so it travels in the body of a composite call.
#[tokio::test]
async fn a_long_filter_finds_its_way() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mut values: Vec<String> =
        (0..300).map(|number| format!("nobody{number}-{}@acme.example", "x".repeat(20))).collect();
    values.push("user0001@acme.example".to_owned());
    let filter = json!({ "attribute": "Username", "in": values });
    let mut task = export(json!({ "object": "User", "format": "jsonl", "attributes": ["Title"], "filter": filter }));
    assert_eq!(output(&task.attempt(&connector).await.unwrap()).records, 1);
    assert_eq!(lab.counters().routes["POST composite"], 2);
}

#[tokio::test]
async fn few_records_come_in_pages_and_many_in_bulk_and_both_are_the_same() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    let attributes = ["Username", "IsActive", "Title", "CreatedDate", "NumberOfFailedLogins", "ManagerId"];
    let request = |size_hint: u64| json!({ "object": "User", "format": "jsonl", "attributes": attributes, "size_hint": size_hint });
    let mut pages = export(request(1));
    assert_eq!(output(&pages.attempt(&connector).await.unwrap()).way.known(), Some(Way::Pages));

    lab.sim.switch(&Switches { bulk_polls: Some(1), ..Switches::default() }).unwrap();
    let mut bulk = export(request(1_000_000));
    assert_eq!(output(&bulk.attempt(&connector).await.unwrap()).way.known(), Some(Way::Bulk));
    let sorted = |task: &Task| {
        let mut lines: Vec<String> = task.payload().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&pages), sorted(&bulk));
    assert_eq!(lab.counters().routes["DELETE jobs/query"], 1, "the job is not left behind");
}

#[tokio::test]
async fn an_org_that_refuses_bulk_is_read_in_pages() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    for code in ["FEATURENOTENABLED", "FeatureNotEnabled", "ExceededQuota"] {
        lab.fault("POST", "/jobs/query", respond(400, code), 1);
        let mut task = everybody(1_000_000);
        let output = output(&task.attempt(&connector).await.unwrap());
        assert_eq!(output.way.known(), Some(Way::Pages), "{code}");
        assert!(output.warnings[0].contains("page by page"), "{code}: {:?}", output.warnings);
        is_whole(&task, code);
    }
}

/// F59, F64, F70: everything that can break in the middle of pages. Take the restart out and this fails.
#[tokio::test]
async fn f70_whatever_breaks_between_pages_the_file_is_whole() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    for (name, mishap, times) in [
        ("f70 locator", respond(400, "INVALID_QUERY_LOCATOR"), 2),
        ("f59 session", respond(401, "INVALID_SESSION_ID"), 1),
        ("f64 truncated", Mishap::TruncateReply, 2),
        ("f61 limit", respond(503, "SERVER_UNAVAILABLE"), 2),
        ("dropped", Mishap::DropReply, 3),
        ("html", Mishap::Maintenance, 2),
    ] {
        lab.fault("GET", "/query/", mishap, times);
        let mut task = everybody(1);
        output(&task.attempt(&connector).await.unwrap_or_else(|failure| panic!("{name}: {failure:?}")));
        is_whole(&task, name);
    }
}

#[tokio::test]
async fn f70_whatever_breaks_in_a_job_the_file_is_whole() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    for (name, method, path, mishap, times) in [
        ("f70 job vanished", "GET", "/jobs/query/", respond(404, "NOT_FOUND"), 1),
        ("f70 results vanished", "GET", "/results", respond(404, "NOT_FOUND"), 1),
        ("f70 locator", "GET", "/results", respond(400, "INVALID_QUERY_LOCATOR"), 1),
        ("f59 session in the download", "GET", "/results", respond(401, "INVALID_SESSION_ID"), 1),
        ("cut download", "GET", "/results", Mishap::TruncateReply, 2),
        ("dropped download", "GET", "/results", Mishap::DropReply, 3),
        ("lost creation", "POST", "/jobs/query", Mishap::DropReply, 1),
    ] {
        lab.fault(method, path, mishap, times);
        let mut task = everybody(1_000_000);
        let output = output(&task.attempt(&connector).await.unwrap_or_else(|failure| panic!("{name}: {failure:?}")));
        assert_eq!(output.way.known(), Some(Way::Bulk), "{name}");
        is_whole(&task, name);
    }
}

/// Bound a download like any other call, and a page that takes longer to arrive is read from its beginning for ever.
#[tokio::test]
async fn a_page_of_a_job_may_take_longer_to_arrive_than_another_call_but_not_fall_silent() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let settings = format!("{}compression = false\nrequest_timeout_secs = 3\n", lab.settings("oauth-jwt"));
    let connector = lab.connector_with(&settings);
    lab.fault("GET", "/results", Mishap::HangAt { piece: String::new() }, 1);
    lab.fault("GET", "/results", Mishap::DripReply { bytes: 8_192, millis: 450 }, 100);
    let mut task = everybody(1_000_000);
    output(&task.attempt(&connector).await.unwrap());
    is_whole(&task, "dripping");
    assert_eq!(lab.counters().routes["GET jobs/query/results"], 2);
}

/// Leave the memo of the job out, or take it for that of any statement, and this fails.
#[tokio::test]
async fn the_job_of_an_attempt_that_broke_off_is_gone_on_with() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    let routes = |route: &str| lab.counters().routes.get(route).copied().unwrap_or_default();
    let mut task = everybody(1_000_000);
    task.disk_holds = Some(MANY_BYTES);
    assert_eq!(task.attempt(&connector).await.unwrap_err().code.as_str(), "disk_full");
    task.attempt(&connector).await.unwrap();
    is_whole(&task, "the next attempt");
    assert_eq!((routes("POST jobs/query"), routes("DELETE jobs/query")), (1, 1));
}

/// What it found is of then: whoever was disabled meanwhile would be handed over as active.
#[tokio::test]
async fn a_job_that_was_made_an_hour_ago_is_not_gone_on_with() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    let mut task = everybody(1_000_000);
    task.disk_holds = Some(MANY_BYTES);
    task.attempt(&connector).await.unwrap_err();
    for entry in task.notes.lock().unwrap().iter_mut().filter(|entry| entry.mark == Mark::Memo) {
        let mut made: Value = serde_json::from_slice(&entry.note).unwrap();
        made["at"] = (made["at"].as_u64().unwrap() - 3_600_000).into();
        entry.note = serde_json::to_vec(&made).unwrap();
    }
    task.attempt(&connector).await.unwrap();
    is_whole(&task, "another job");
    let counters = lab.counters();
    assert_eq!((counters.routes["POST jobs/query"], counters.routes["DELETE jobs/query"]), (2, 2), "none is left");
}

#[tokio::test]
async fn f70_an_attempt_whose_job_is_gone_makes_another() {
    // Or it is another account's: Salesforce tells of a job to its maker alone.
    for is_anothers in [false, true] {
        let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
        let connector = lab.connector();
        let mut task = everybody(1_000_000);
        task.disk_holds = Some(MANY_BYTES);
        task.attempt(&connector).await.unwrap_err();
        if is_anothers {
            lab.fault("GET", "/jobs/query/", respond(400, "INVALIDUSER"), 1);
        } else {
            lab.sim.switch(&Switches { lose_jobs: true, ..Switches::default() }).unwrap();
        }
        task.attempt(&connector).await.unwrap();
        is_whole(&task, "another job");
        assert_eq!(lab.counters().routes["POST jobs/query"], 2);
    }
}

#[tokio::test]
async fn jobs_that_fail_again_and_again_are_given_up_for_pages() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    lab.sim.switch(&Switches { fail_jobs: Some(3), ..Switches::default() }).unwrap();
    let mut task = everybody(1_000_000);
    let output = output(&task.attempt(&connector).await.unwrap());
    assert_eq!(output.way.known(), Some(Way::Pages));
    assert!(output.warnings[0].contains("jobs in bulk failed"), "{:?}", output.warnings);
    is_whole(&task, "pages");
}

#[tokio::test]
async fn a_stream_that_is_lost_again_and_again_leaves_no_file_and_is_tried_later() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    lab.fault("GET", "/query/", respond(400, "INVALID_QUERY_LOCATOR"), 3);
    let mut task = everybody(1);
    let failure = task.attempt(&connector).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::Transient), "{failure:?}");
    assert!(task.payloads.lock().unwrap().is_empty());

    output(&task.attempt(&connector).await.unwrap());
    is_whole(&task, "the next attempt");
}

/// Take what was read for all there was, and this fails.
#[tokio::test]
async fn fewer_records_than_were_found_are_never_a_whole_file() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    let lose = |lose: bool| Switches { lose_records: Some(lose), ..Switches::default() };
    for (size_hint, way) in [(1, Way::Pages), (1_000_000, Way::Bulk)] {
        lab.sim.switch(&lose(true)).unwrap();
        let mut task = everybody(size_hint);
        let failure = task.attempt(&connector).await.unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.class.known()),
            ("export_interrupted", Some(FailureClass::Transient))
        );
        assert!(failure.summary.contains(&format!("found {} records and handed over", MANY + 1)), "{failure:?}");
        assert!(task.payloads.lock().unwrap().is_empty());

        lab.sim.switch(&lose(false)).unwrap();
        assert_eq!(output(&task.attempt(&connector).await.unwrap()).way.known(), Some(way));
        is_whole(&task, "the next attempt");
    }
}

#[tokio::test]
async fn an_export_stops_between_pages_and_leaves_no_file() {
    let lab = Lab::with_org(OrgSeed::acme(MANY)).await;
    let connector = lab.connector();
    let mut task = everybody(1);
    task.stop.cancel();
    let failure = task.attempt(&connector).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::Interrupted));
    assert!(task.payloads.lock().unwrap().is_empty());
}
