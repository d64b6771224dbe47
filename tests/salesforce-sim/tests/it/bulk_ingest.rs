//! Bulk ingest: jobs, their states, and what becomes of each record.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use reqwest::Method;
use salesforce_sim::{ADMIN, Assumptions, OrgSeed, Simulator, Switches};
use serde_json::{Value as Json, json};

use crate::client::{Answer, Caller, admin, assuming, caller, simulator, with_org};

/// Makes a job of User; `more` is what it says besides.
async fn make(caller: &Caller, operation: &str, more: Json) -> Answer {
    let mut order = json!({"object": "User", "operation": operation, "contentType": "CSV"});
    let Json::Object(more) = more else { unreachable!("the rest is written as an object") };
    order.as_object_mut().unwrap().extend(more);
    caller.post("jobs/ingest", &order).await
}

async fn put(caller: &Caller, job: &str, csv: impl Into<reqwest::Body>) -> Answer {
    let request = caller.request(Method::PUT, &format!("{job}/batches"));
    Answer::of(request.header("content-type", "text/csv; charset=UTF-8").body(csv)).await
}

/// Makes a job, uploads the file and hands it over. Returns the resource of the job.
async fn hand_over(caller: &Caller, operation: &str, more: Json, csv: &str) -> String {
    let made = make(caller, operation, more).await;
    let job = format!("jobs/ingest/{}", made.json["id"].as_str().unwrap_or_else(|| panic!("{}", made.text)));
    assert_eq!(put(caller, &job, csv.to_owned()).await.status, 201);
    assert_eq!(caller.patch(&job, &json!({"state": "UploadComplete"})).await.json["state"], "UploadComplete");
    job
}

/// Runs a job to its end and returns what is told about it last.
async fn run(caller: &Caller, operation: &str, more: Json, csv: &str) -> (String, Json) {
    let job = hand_over(caller, operation, more, csv).await;
    let told = caller.get(&job).await.json;
    (job, told)
}

/// The same for another object.
pub(crate) async fn run_on(caller: &Caller, object: &str, operation: &str, csv: &str) -> Json {
    run(caller, operation, json!({"object": object}), csv).await.1
}

/// The rows of a result as maps from column to value. The fields of these tests hold neither quotes nor line breaks.
async fn rows(caller: &Caller, resource: &str) -> Vec<BTreeMap<String, String>> {
    let answer = caller.get(resource).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "text/csv");
    let cells = |line: &str| -> Vec<String> {
        let bare = line.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap();
        bare.split("\",\"").map(str::to_owned).collect()
    };
    let mut lines = answer.text.lines();
    let header = cells(lines.next().unwrap());
    lines.map(|line| header.iter().cloned().zip(cells(line)).collect()).collect()
}

async fn failures(caller: &Caller, job: &str) -> Vec<String> {
    let mut rows = rows(caller, &format!("{job}/failedResults/")).await;
    rows.reverse();
    rows.into_iter().map(|mut it| it.remove("sf__Error").unwrap()).collect()
}

fn pace(simulator: &Simulator, polls: u64, millis: u64) {
    let switches = Switches { bulk_polls: Some(polls), bulk_millis: Some(millis), ..Switches::default() };
    simulator.switch(&switches).unwrap();
}

const NEW: &str =
    "Username,LastName,Email,Alias,ProfileId,TimeZoneSidKey,LocaleSidKey,EmailEncodingKey,LanguageLocaleKey";

fn new_row(name: &str, profile: &str) -> String {
    format!("{name},Bulk,{name},bulk,{profile},Europe/Paris,en_US,UTF-8,en_US")
}

async fn standard_profile(caller: &Caller) -> String {
    caller.one("SELECT Id FROM Profile WHERE Name = 'Standard User'", "Id").await
}

#[tokio::test]
async fn a_job_is_told_in_the_real_shape() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let made = make(&caller, "update", json!({"lineEnding": "CRLF", "columnDelimiter": "SEMICOLON"})).await;

    let id = made.json["id"].as_str().unwrap();
    assert_eq!(made.status, 200);
    assert!(id.starts_with("750") && id.len() == 18);
    assert_eq!(made.json["contentUrl"], format!("services/data/v66.0/jobs/ingest/{id}/batches"));
    assert_eq!((&made.json["state"], &made.json["apiVersion"]), (&json!("Open"), &json!(66.0)));
    assert_eq!((&made.json["lineEnding"], &made.json["columnDelimiter"]), (&json!("CRLF"), &json!("SEMICOLON")));
    assert_eq!(made.json["concurrencyMode"], "Parallel");
    let listed = caller.get("jobs/ingest").await;
    assert_eq!((&listed.json["done"], &listed.json["records"][0]["id"]), (&json!(true), &json!(id)));
    assert_eq!(listed.json["records"][0]["jobType"], "V2Ingest");
}

/// As published: everybody's jobs of seven days, page by page.
#[tokio::test]
async fn jobs_are_listed_in_pages_for_seven_days() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(make(&caller, "update", json!({})).await.json["id"].clone());
    }
    simulator.switch(&Switches { jobs_a_page: Some(2), ..Switches::default() }).unwrap();

    let (mut listed, mut sizes, mut path) = (Vec::new(), Vec::new(), "jobs/ingest?jobType=V2Ingest".to_owned());
    loop {
        let page = caller.get(&path).await.json;
        let records = page["records"].as_array().unwrap();
        sizes.push(records.len());
        listed.extend(records.iter().map(|it| it["id"].clone()));
        let next = page["nextRecordsUrl"].as_str();
        assert_eq!(page["done"], next.is_none());
        let Some(next) = next else { break };
        path = next.strip_prefix("/services/data/v66.0/").unwrap().to_owned();
    }
    assert_eq!((listed, sizes), (made, vec![2, 2, 1]));
    assert_eq!(caller.get("jobs/ingest?jobType=Classic").await.json["records"], json!([]));
    assert_eq!(caller.get("jobs/ingest?jobType=Other").await.status, 400);
    simulator.switch(&Switches { close_cursors: true, ..Switches::default() }).unwrap();
    assert_eq!(caller.get(&path).await.json[0]["errorCode"], "INVALID_QUERY_LOCATOR");

    simulator.advance(Duration::from_secs(7 * 24 * 3_600 + 1));
    assert_eq!(admin(&simulator).await.get("jobs/ingest").await.json["records"], json!([]));
}

#[tokio::test]
async fn users_are_made_by_the_rules_of_single_writes() {
    let mut org = OrgSeed::acme(1);
    org.licenses[0].total = 4;
    let simulator = with_org(org).await;
    let caller = admin(&simulator).await;
    let profile = standard_profile(&caller).await;
    let good = [new_row("a@b.example", &profile), new_row("b@b.example", &profile)];
    let bad = [
        new_row(ADMIN, &profile),
        new_row("c@b.example", &profile).replace("Europe/Paris", "Mars/Olympus"),
        "d@b.example,,,bulk,,Europe/Paris,en_US,UTF-8,en_US".to_owned(),
        new_row("e@b.example", &profile),
    ];
    let csv = [&[NEW.to_owned()], &good[..], &bad[..]].concat().join("\n");

    let (job, told) = run(&caller, "insert", json!({}), &csv).await;
    let made = rows(&caller, &format!("{job}/successfulResults/")).await;

    assert_eq!((&told["state"], &told["jobType"]), (&json!("JobComplete"), &json!("V2Ingest")));
    assert_eq!((&told["numberRecordsProcessed"], &told["numberRecordsFailed"]), (&json!(6), &json!(4)));
    // The results are not in the order of the file, and every one says which record it is about.
    assert_eq!([&made[0]["Username"], &made[1]["Username"]], ["b@b.example", "a@b.example"]);
    assert_eq!(made[1]["sf__Id"], simulator.user("a@b.example").unwrap().id);
    assert_eq!(made[1]["sf__Created"], "true");
    let errors = failures(&caller, &job).await;
    assert!(errors[0].starts_with("DUPLICATE_USERNAME:Duplicate Username.<br>") && errors[0].ends_with(":Username --"));
    assert_eq!(
        errors[1],
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Time Zone: bad value for restricted picklist field: \
         Mars/Olympus:TimeZoneSidKey --"
    );
    assert_eq!(
        errors[2],
        "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName, Email, ProfileId]:LastName Email ProfileId --"
    );
    assert!(errors[3].starts_with("LICENSE_LIMIT_EXCEEDED:License limit exceeded") && errors[3].ends_with(".:--"));
    assert_eq!(simulator.counters().users["a@b.example"].creates, 1);
}

#[tokio::test]
async fn an_empty_cell_leaves_and_na_empties() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let ids = [caller.id_of("user0001@acme.example").await, caller.id_of("user0002@acme.example").await];
    for id in &ids {
        caller.patch(&format!("sobjects/User/{id}"), &json!({"Title": "Old", "Department": "Old"})).await;
    }
    let csv = format!(
        "id,title,Department,isActive,Manager.Username\r\n{},\"New, \"\"best\"\"\r\nof all\",,no,{ADMIN}\r\n{},#N/A,x,1,#N/A\r\n",
        ids[0],
        &ids[1][..15]
    );

    let (job, told) = run(&caller, "update", json!({"lineEnding": "CRLF"}), &csv).await;
    let (first, second) =
        (simulator.user("user0001@acme.example").unwrap(), simulator.user("user0002@acme.example").unwrap());

    assert_eq!((&told["numberRecordsProcessed"], &told["numberRecordsFailed"]), (&json!(2), &json!(0)), "{told}");
    assert_eq!(
        (first.text("Title"), first.text("Department"), first.active),
        ("New, \"best\"\r\nof all", "Old", false)
    );
    assert_eq!(first.text("ManagerId"), simulator.user(ADMIN).unwrap().id);
    assert_eq!((&second.fields["Title"], second.text("Department"), second.active), (&Json::Null, "x", true));
    // The result is the file of the caller again: its header, its quotes, its line ending.
    let text = caller.get(&format!("{job}/successfulResults")).await.text;
    let expected =
        format!("\"{}\",\"false\",\"{}\",\"New, \"\"best\"\"\r\nof all\",\"\",\"no\",\"{ADMIN}\"\r\n", ids[0], ids[0]);
    assert!(text.starts_with("\"sf__Id\",\"sf__Created\",\"id\",\"title\",") && text.ends_with(&expected), "{text}");
}

#[tokio::test]
async fn records_that_cannot_be_written_say_why() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    let csv = format!(
        "Id,Title,Manager.Username\n,x,\n0015500001QdQWaAAN,x,\n0055g0000000zzz,x,\n{id}, \"x\",\n{id},x\n{id},x,nobody@acme.example\n"
    );

    let (job, told) = run(&caller, "update", json!({}), &csv).await;
    let rows = rows(&caller, &format!("{job}/failedResults")).await;

    assert_eq!((&told["state"], &told["numberRecordsFailed"]), (&json!("JobComplete"), &json!(6)));
    assert_eq!(
        failures(&caller, &job).await,
        [
            "MISSING_ARGUMENT:Id not specified in an update call:Id --",
            "MALFORMED_ID:User ID: id value of incorrect type: 0015500001QdQWaAAN:Id --",
            "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--",
            "ClientInputError:Found unescaped quote. A value with quote should be within a quote:--",
            "ClientInputError:The record has 2 cells, the header 3:--",
            "INVALID_FIELD:Foreign key external ID: nobody@acme.example not found for field Username in entity User:--",
        ]
    );
    // Since v53 a failed update names its id.
    assert_eq!((rows[0]["sf__Id"].as_str(), rows[5]["sf__Id"].as_str()), (id.as_str(), ""));
}

#[tokio::test]
async fn upsert_makes_or_changes_by_its_key() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let profile = standard_profile(&caller).await;
    let csv = [NEW, &new_row("user0001@acme.example", &profile), &new_row("new@b.example", &profile)].join("\n");

    let (job, told) = run(&caller, "upsert", json!({"externalIdFieldName": "username"}), &csv).await;
    let rows = rows(&caller, &format!("{job}/successfulResults")).await;
    let no_key = make(&caller, "upsert", json!({"externalIdFieldName": "Title"})).await;

    assert_eq!((&told["numberRecordsFailed"], &told["externalIdFieldName"]), (&json!(0), &json!("Username")));
    assert_eq!([rows[0]["sf__Created"].as_str(), rows[1]["sf__Created"].as_str()], ["true", "false"]);
    assert_eq!(simulator.user("user0001@acme.example").unwrap().text("LastName"), "Bulk");
    assert_eq!((no_key.status.as_u16(), no_key.code()), (400, "INVALIDJOB"));
}

#[tokio::test]
async fn users_are_not_deleted_in_bulk_either() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    let (job, told) = run(&caller, "delete", json!({}), &format!("Id\n{id}\n")).await;
    assert_eq!(told["numberRecordsFailed"], 1);
    assert!(failures(&caller, &job).await[0].starts_with("INSUFFICIENT_ACCESS_OR_READONLY:"));
    assert!(simulator.user("user0001@acme.example").is_some());
}

#[tokio::test]
async fn a_file_that_does_not_fit_its_job_fails_it_whole() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    for (csv, error) in [
        (format!("Id,Foo\n{id},x\n"), "InvalidBatch : Field name not found : Foo"),
        (format!("\u{feff}Id,Title\n{id},x\n"), "InvalidBatch : Field name not found : \u{feff}Id"),
        (format!("Id,Profile.Name\n{id},x\n"), "InvalidBatch : Field name not found : Profile.Name"),
        (
            format!("Id,Title\r\n{id},x\r\n"),
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
        ),
    ] {
        let (job, told) = run(&caller, "update", json!({}), &csv).await;
        assert_eq!((&told["state"], &told["errorMessage"]), (&json!("Failed"), &json!(error)));
        assert_eq!(told["numberRecordsProcessed"], 0);
        assert!(failures(&caller, &job).await.is_empty());
    }
    assert_eq!(simulator.counters().users.get("user0001@acme.example"), None);
}

#[tokio::test]
async fn polls_and_time_decide_how_far_a_job_is() {
    let simulator = simulator(4).await;
    let caller = admin(&simulator).await;
    let mut csv = "Id,Title\n".to_owned();
    for number in 1..=4 {
        let id = caller.id_of(&format!("user000{number}@acme.example")).await;
        writeln!(csv, "{id},Bulk").unwrap();
    }
    pace(&simulator, 3, 0);
    let job = hand_over(&caller, "update", json!({}), &csv).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let told = caller.get(&job).await.json;
        seen.push((told["state"].as_str().unwrap().to_owned(), told["numberRecordsProcessed"].as_u64().unwrap()));
    }
    let expected = [("UploadComplete", 0), ("InProgress", 1), ("InProgress", 2), ("JobComplete", 4)];
    assert_eq!(seen, expected.map(|(state, count)| (state.to_owned(), count)));

    // Nobody polls, and yet the work is done: the job does not need its caller.
    pace(&simulator, 0, 60_000);
    hand_over(&caller, "update", json!({}), &csv.replace("Bulk", "Later")).await;
    assert_eq!(simulator.user("user0004@acme.example").unwrap().text("Title"), "Bulk");
    simulator.advance(Duration::from_secs(61));
    assert_eq!(simulator.user("user0004@acme.example").unwrap().text("Title"), "Later");
}

#[tokio::test]
async fn an_aborted_job_keeps_what_it_has_done_and_names_the_rest() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let ids = [caller.id_of("user0001@acme.example").await, caller.id_of("user0002@acme.example").await];
    pace(&simulator, 2, 0);
    let job = hand_over(&caller, "update", json!({}), &format!("Id,Title\n{},x\n{},x\n", ids[0], ids[1])).await;
    let early = caller.get(&format!("{job}/successfulResults")).await;
    let other_version = caller.get(&format!("/services/data/v65.0/{job}")).await;
    caller.get(&job).await;
    caller.get(&job).await;
    let not_deleted = caller.delete(&job).await;

    let aborted = caller.patch(&job, &json!({"state": "Aborted"})).await;
    let again = caller.patch(&job, &json!({"state": "Aborted"})).await;
    let back = caller.patch(&job, &json!({"state": "UploadComplete"})).await;

    assert_eq!((early.code(), not_deleted.code()), ("INVALIDJOBSTATE", "INVALIDJOBSTATE"));
    assert_eq!((other_version.status.as_u16(), other_version.code()), (409, "VERSION_CONFLICT"));
    assert_eq!(aborted.json["state"], "Aborted");
    assert_eq!((again.status.as_u16(), again.code(), back.code()), (400, "INVALIDJOBSTATE", "INVALIDJOBSTATE"));
    assert_eq!(again.message(), "Aborting already Completed Job not allowed");
    assert_eq!(rows(&caller, &format!("{job}/successfulResults")).await[0]["Id"], ids[0]);
    for spelling in ["unprocessedrecords", "unprocessedRecords/"] {
        let waiting = caller.get(&format!("{job}/{spelling}")).await.text;
        assert_eq!(waiting, format!("\"Id\",\"Title\"\n\"{}\",\"x\"\n", ids[1]));
    }
    assert_eq!(caller.delete(&job).await.status, 204);
    assert_eq!(
        (caller.get(&job).await.status, caller.get(&format!("{job}/failedResults")).await.code()),
        (reqwest::StatusCode::NOT_FOUND, "NOT_FOUND")
    );
}

#[tokio::test]
async fn a_job_is_told_to_its_maker_alone() {
    let simulator = simulator(2).await;
    let maker = admin(&simulator).await;
    let id = maker.id_of("user0001@acme.example").await;
    let job = hand_over(&maker, "update", json!({}), &format!("Id,Title\n{id},x\n")).await;
    let other = caller(&simulator, "user0001@acme.example", "Welcome-0001").await;
    for answer in [
        other.get(&job).await,
        other.get(&format!("{job}/successfulResults")).await,
        other.patch(&job, &json!({"state": "Aborted"})).await,
        other.delete(&job).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "INVALIDUSER"));
    }
    assert_eq!(maker.get(&job).await.json["state"], "JobComplete");
}

#[tokio::test]
async fn a_job_that_was_aborted_before_it_was_handed_over_lists_its_rows_if_that_is_assumed() {
    for listed in [true, false] {
        let assumptions = Assumptions { aborted_upload_is_unprocessed: listed, ..Assumptions::default() };
        let simulator = assuming(assumptions).await;
        let caller = admin(&simulator).await;
        let made = make(&caller, "update", json!({})).await;
        let job = format!("jobs/ingest/{}", made.json["id"].as_str().unwrap());
        put(&caller, &job, "Id,Title\n0055g00000XyZ12AAF,x\n").await;
        caller.patch(&job, &json!({"state": "Aborted"})).await;
        let waiting = caller.get(&format!("{job}/unprocessedrecords")).await.text;
        assert_eq!(waiting.contains("0055g00000XyZ12AAF"), listed, "{waiting}");
        assert!(!caller.get(&format!("{job}/failedResults")).await.text.contains("0055g"));
    }
}

#[tokio::test]
async fn one_file_and_no_more_is_taken_while_a_job_is_open() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let made = make(&caller, "insert", json!({})).await;
    let job = format!("jobs/ingest/{}", made.json["id"].as_str().unwrap());

    let json_content = Answer::of(caller.request(Method::PUT, &format!("{job}/batches")).json(&json!({}))).await;
    let first = put(&caller, &job, "Username\n").await;
    let second = put(&caller, &job, "Username\n").await;
    caller.patch(&job, &json!({"state": "UploadComplete"})).await;
    let late = put(&caller, &job, "Username\n").await;
    let told = caller.get(&job).await;

    assert_eq!((first.status.as_u16(), first.text.as_str(), json_content.status.as_u16()), (201, "", 415));
    assert!(second.message().starts_with("Found multiple contents for job: <750"), "{}", second.text);
    assert_eq!((late.status.as_u16(), late.code()), (400, "INVALIDJOBSTATE"));
    assert_eq!((&told.json["state"], &told.json["numberRecordsProcessed"]), (&json!("JobComplete"), &json!(0)));
}

#[tokio::test]
async fn more_than_the_limit_is_not_taken() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let made = make(&caller, "insert", json!({})).await;
    let job = format!("jobs/ingest/{}", made.json["id"].as_str().unwrap());
    // 150 MB of base64 are so many bytes of CSV.
    let limit = 150 * 1024 * 1024 / 4 * 3;

    let refused = put(&caller, &job, vec![b'x'; limit + 1]).await;
    let taken = put(&caller, &job, vec![b'\n'; limit]).await;

    assert_eq!((refused.status.as_u16(), refused.message()), (400, "Max content size exceeded"));
    assert_eq!(taken.status, 201);
}

#[tokio::test]
async fn what_a_job_cannot_be_is_refused() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let object = caller.post("jobs/ingest", &json!({"object": "Nothing", "operation": "insert"})).await;
    let operation = make(&caller, "explode", json!({})).await;
    let content = make(&caller, "insert", json!({"contentType": "XML"})).await;
    let delimiter = make(&caller, "insert", json!({"columnDelimiter": "DOT"})).await;
    assert_eq!((object.status.as_u16(), object.code()), (400, "INVALIDENTITY"));
    for answer in [operation, content, delimiter] {
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "JSON_PARSER_ERROR"), "{}", answer.text);
    }
    assert_eq!(caller.get("jobs/ingest/7505g0000000001AAA").await.status, 404);
    assert_eq!(caller.get("jobs/ingest").await.json["records"], json!([]));
}
