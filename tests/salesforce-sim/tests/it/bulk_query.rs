//! Bulk query: jobs, and their results page by page.

use std::io::Read as _;

use flate2::read::GzDecoder;
use salesforce_sim::{ADMIN, Switches};
use serde_json::json;

use crate::client::{Answer, Caller, admin, simulator};

async fn make(caller: &Caller, soql: &str) -> Answer {
    caller.post("jobs/query", &json!({"operation": "query", "query": soql})).await
}

/// Runs a query to its end and returns the resource of its job.
async fn run(caller: &Caller, soql: &str) -> String {
    let made = make(caller, soql).await;
    let job = format!("jobs/query/{}", made.json["id"].as_str().unwrap_or_else(|| panic!("{}", made.text)));
    assert_eq!(caller.get(&job).await.json["state"], "JobComplete");
    job
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or_else(|| panic!("{}", answer.text), |it| it.to_str().unwrap())
}

#[tokio::test]
async fn a_query_job_is_told_in_the_real_shape() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    simulator.switch(&Switches { bulk_polls: Some(2), ..Switches::default() }).unwrap();
    let made = make(&caller, "select id from User").await;
    let id = made.json["id"].as_str().unwrap();
    let job = format!("jobs/query/{id}");

    let states = [caller.get(&job).await.json, caller.get(&job).await.json];
    let early = caller.get(&format!("{job}/results")).await;
    let last = caller.get(&job).await.json;

    assert!(id.starts_with("750"));
    assert_eq!((&made.json["state"], &made.json["operation"]), (&json!("UploadComplete"), &json!("query")));
    assert_eq!((&made.json["object"], &made.json["apiVersion"]), (&json!("User"), &json!(66.0)));
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&json!("UploadComplete"), &json!("InProgress")));
    assert_eq!(early.code(), "INVALIDJOBSTATE");
    assert_eq!(
        (&last["state"], &last["jobType"], &last["numberRecordsProcessed"]),
        (&json!("JobComplete"), &json!("V2Query"), &json!(2))
    );
    assert_eq!(caller.get("jobs/query").await.json["records"].as_array().unwrap().len(), 1);
    assert_eq!(caller.get("jobs/ingest").await.json["records"], json!([]));
    assert_eq!(caller.get(&format!("jobs/ingest/{id}")).await.status, 404);
}

#[tokio::test]
async fn columns_come_as_they_were_asked_for() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    caller.patch(&format!("sobjects/User/{id}"), &json!({"Title": "a, \"b\"\nc"})).await;
    let soql = "SELECT profile.userlicense.name, id, Title, Department, IsActive, Profile.Name, LastLoginDate \
                FROM User ORDER BY Username DESC";

    let job = run(&caller, soql).await;
    let answer = caller.get(&format!("{job}/results")).await;
    let (first, second) = answer.text.split_once('\n').unwrap();

    assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (200, "text/csv"));
    assert_eq!(
        first,
        "\"Profile.UserLicense.Name\",\"Id\",\"Title\",\"Department\",\"IsActive\",\"Profile.Name\",\"LastLoginDate\""
    );
    let row = format!("\"Salesforce\",\"{id}\",\"a, \"\"b\"\"\nc\",\"\",\"true\",\"Standard User\",\"\"\n");
    assert!(second.starts_with(&row), "{second}");
    // Where JSON writes `+0000`, CSV writes `Z`.
    assert!(second.ends_with("Z\"\n"), "{second}");
}

#[tokio::test]
async fn pages_lead_to_the_end_and_do_not_change() {
    let simulator = simulator(4).await;
    let caller = admin(&simulator).await;
    let job = run(&caller, "SELECT Username FROM User ORDER BY Username").await;

    let first = caller.get(&format!("{job}/results?maxRecords=2")).await;
    let id = caller.id_of("user0002@acme.example").await;
    caller.patch(&format!("sobjects/User/{id}"), &json!({"Username": "renamed@acme.example"})).await;
    let locator = header(&first, "sforce-locator").to_owned();
    let second = caller.get(&format!("{job}/results?maxRecords=2&locator={locator}")).await;
    let third = caller.get(&format!("{job}/results?locator={}&maxRecords=2", header(&second, "sforce-locator"))).await;
    let again = caller.get(&format!("{job}/results?maxRecords=2&locator={locator}")).await;

    assert_eq!(first.text, format!("\"Username\"\n\"{ADMIN}\"\n\"user0001@acme.example\"\n"));
    assert_eq!(second.text, "\"Username\"\n\"user0002@acme.example\"\n\"user0003@acme.example\"\n");
    assert_eq!((header(&first, "sforce-numberofrecords"), header(&third, "sforce-numberofrecords")), ("2", "1"));
    assert_eq!((header(&third, "sforce-locator"), again.text), ("null", second.text));
}

#[tokio::test]
async fn nothing_found_is_the_header_alone() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let job = run(&caller, "SELECT Id FROM User WHERE Username = 'nobody@acme.example'").await;
    let answer = caller.get(&format!("{job}/results")).await;
    assert_eq!(answer.text, "\"Id\"\n");
    assert_eq!((header(&answer, "sforce-locator"), header(&answer, "sforce-numberofrecords")), ("null", "0"));
}

#[tokio::test]
async fn a_locator_that_is_not_known_is_refused() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let job = run(&caller, "SELECT Id FROM User").await;
    let first = caller.get(&format!("{job}/results?maxRecords=1")).await;
    let next = format!("{job}/results?locator={}", header(&first, "sforce-locator"));

    let nonsense = caller.get(&format!("{job}/results?locator=MTAwMDA")).await;
    let good = caller.get(&next).await;
    simulator.switch(&Switches { close_cursors: true, ..Switches::default() }).unwrap();
    let lost = caller.get(&next).await;

    assert_eq!(good.status, 200);
    for answer in [nonsense, lost] {
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "INVALID_QUERY_LOCATOR"));
    }
    assert_eq!(caller.get(&format!("{job}/results")).await.status, 200);
    assert_eq!(caller.get(&format!("{job}/results?maxRecords=0")).await.code(), "ILLEGAL_QUERY_PARAMETER_VALUE");
    let other_version = caller.get(&format!("/services/data/v65.0/{job}/results")).await;
    assert_eq!(other_version.status, 409);
}

#[tokio::test]
async fn what_bulk_queries_cannot_do_is_refused_at_once() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    for (soql, code) in [
        ("SELECT COUNT() FROM User", "FEATURENOTENABLED"),
        ("SELECT COUNT(Id) FROM User", "FEATURENOTENABLED"),
        ("SELECT Id FROM User LIMIT 1 OFFSET 1", "FEATURENOTENABLED"),
        ("SELECT FIELDS(STANDARD) FROM User", "FEATURENOTENABLED"),
        ("SELECT Id, (SELECT Id FROM Users) FROM Profile", "FEATURENOTENABLED"),
        ("SELECT Id FROM User GROUP BY Id", "MALFORMED_QUERY"),
        ("SELECT Foo FROM User", "INVALID_FIELD"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
    ] {
        let refused = make(&caller, soql).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, code), "{soql}");
    }
    let other = crate::client::caller(&simulator, "user0001@acme.example", "Welcome-0001").await;
    assert_eq!(make(&other, "SELECT Id FROM UserLogin").await.code(), "INVALID_TYPE");
    let unknown = caller.post("jobs/query", &json!({"operation": "insert", "query": "SELECT Id FROM User"})).await;
    assert_eq!(unknown.code(), "JSON_PARSER_ERROR");
}

#[tokio::test]
async fn a_query_can_be_aborted_and_deleted() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    simulator.switch(&Switches { bulk_polls: Some(1), ..Switches::default() }).unwrap();
    let made = make(&caller, "SELECT Id FROM User").await;
    let job = format!("jobs/query/{}", made.json["id"].as_str().unwrap());

    let aborted = caller.patch(&job, &json!({"state": "Aborted"})).await;
    let results = caller.get(&format!("{job}/results")).await;
    let deleted = caller.delete(&job).await;

    assert_eq!((&aborted.json["state"], results.code()), (&json!("Aborted"), "INVALIDJOBSTATE"));
    assert_eq!((deleted.status.as_u16(), caller.get(&job).await.status.as_u16()), (204, 404));
}

#[tokio::test]
async fn results_are_compressed_when_asked_for() {
    let simulator = simulator(50).await;
    let caller = admin(&simulator).await;
    let job = run(&caller, "SELECT Username FROM User").await;
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let url = format!("{}/services/data/v66.0/{job}/results", simulator.http_url());
    let response = plain.get(url).bearer_auth(&caller.token).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let mut text = String::new();
    GzDecoder::new(&response.bytes().await.unwrap()[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 52);
}
