//! What can be made to go wrong, steered over HTTP and seen from outside.

use std::time::Duration;

use salesforce_sim::{Fault, Matching, Mishap, Switches};
use serde_json::json;

use crate::bulk_ingest::run_on;
use crate::client::{Answer, Caller, admin, http, simulator};

const USER: &str = "user0001@acme.example";

fn on_patch(what: Mishap) -> Fault {
    let when = Matching { method: Some("PATCH".to_owned()), path: None };
    Fault { when, what, times: Some(1) }
}

#[tokio::test]
async fn an_effect_without_its_reply_has_happened() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of(USER).await);
    simulator.inject(on_patch(Mishap::DropReply));

    let lost = caller.request(reqwest::Method::PATCH, &resource).json(&json!({"IsActive": false})).send().await;

    assert!(lost.is_err());
    assert!(!simulator.user(USER).unwrap().active);
    assert_eq!(caller.patch(&resource, &json!({"IsActive": true})).await.status, 204);
}

#[tokio::test]
async fn a_refused_call_has_not_happened() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of(USER).await);
    let off = json!({"IsActive": false});

    simulator.inject(on_patch(Mishap::Respond { status: 503, code: None, message: None }));
    let unavailable = caller.patch(&resource, &off).await;
    simulator.inject(on_patch(Mishap::Maintenance));
    let maintenance = caller.patch(&resource, &off).await;
    simulator.inject(on_patch(Mishap::Refuse));
    let refused = caller.request(reqwest::Method::PATCH, &resource).json(&off).send().await;

    assert_eq!(unavailable.status, 503);
    assert!(unavailable.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(maintenance.text.contains("Maintenance"));
    assert!(refused.is_err() && simulator.user(USER).unwrap().active);
}

#[tokio::test]
async fn a_lost_reply_is_a_page_and_the_effect_is_there() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of(USER).await);
    simulator.inject(on_patch(Mishap::LoseReply { status: 500 }));
    let lost = caller.patch(&resource, &json!({"IsActive": false})).await;
    assert_eq!(lost.status, 500);
    assert!(!simulator.user(USER).unwrap().active);
}

#[tokio::test]
async fn a_delayed_commit_happens_after_the_caller_has_gone() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of(USER).await);
    simulator.inject(on_patch(Mishap::DelayCommit { millis: 300 }));

    let request = caller.request(reqwest::Method::PATCH, &resource).json(&json!({"IsActive": false}));
    let gone = request.timeout(Duration::from_millis(30)).send().await;
    assert!(gone.unwrap_err().is_timeout());

    let committed = async {
        while simulator.user(USER).unwrap().active {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), committed).await.expect("the user is disabled");
}

#[tokio::test]
async fn a_truncated_reply_breaks_off() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    simulator.inject(Fault { when: Matching::default(), what: Mishap::TruncateReply, times: Some(1) });
    let response = caller.request(reqwest::Method::GET, "sobjects/User/describe").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn rows_can_be_locked_for_a_while() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of(USER).await);
    simulator.switch(&Switches { lock_rows: Some(1), ..Switches::default() }).unwrap();
    let locked = caller.patch(&resource, &json!({"Title": "x"})).await;
    let free = caller.patch(&resource, &json!({"Title": "x"})).await;
    assert_eq!((locked.status.as_u16(), locked.code(), free.status.as_u16()), (400, "UNABLE_TO_LOCK_ROW", 204));
}

#[tokio::test]
async fn the_daily_limit_can_be_spent() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    simulator.switch(&Switches { api_exhausted: Some(true), ..Switches::default() }).unwrap();
    let refused = caller.get("limits").await;
    let versions = Answer::of(http().get(format!("{}/services/data", simulator.http_url()))).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "REQUEST_LIMIT_EXCEEDED"));
    assert_eq!(refused.message(), "TotalRequests Limit exceeded.");
    assert_eq!(versions.status, 200);
}

fn once(path: &str, what: Mishap) -> Fault {
    Fault { when: Matching { method: None, path: Some(path.to_owned()) }, what, times: Some(1) }
}

/// A bulk query that is done, over a few people.
async fn queried(caller: &Caller) -> String {
    let order = json!({"operation": "query", "query": "SELECT Id, Username FROM User"});
    let made = caller.post("jobs/query", &order).await;
    let job = format!("jobs/query/{}", made.json["id"].as_str().unwrap());
    assert_eq!(caller.get(&job).await.json["state"], "JobComplete");
    format!("{job}/results")
}

#[tokio::test]
async fn a_body_may_come_in_drops() {
    let simulator = simulator(20).await;
    let caller = admin(&simulator).await;
    let results = queried(&caller).await;
    let whole = caller.get(&results).await;
    simulator.inject(once("/results", Mishap::DripReply { bytes: 100, millis: 1 }));
    let mut response = caller.request(reqwest::Method::GET, &results).send().await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        pieces.push(piece);
    }
    assert!(pieces.len() > 1, "{}", pieces.len());
    assert_eq!(pieces.concat(), whole.text.as_bytes());
}

#[tokio::test]
async fn a_length_that_is_wrong_breaks_off_or_looks_whole() {
    let simulator = simulator(20).await;
    let caller = admin(&simulator).await;
    let results = queried(&caller).await;
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let url = format!("{}/services/data/v66.0/{results}", simulator.http_url());
    let get = || plain.get(&url).bearer_auth(&caller.token).send();

    let whole = get().await.unwrap().text().await.unwrap();
    simulator.inject(once("/results", Mishap::WrongLength { percent: 50 }));
    let short = get().await.unwrap().text().await.unwrap();
    simulator.inject(once("/results", Mishap::WrongLength { percent: 200 }));
    let long = get().await.unwrap().text().await;

    assert_eq!(short, whole[..whole.len() / 2]);
    assert!(long.is_err());
}

#[tokio::test]
async fn a_bomb_is_small_until_it_is_unpacked() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let results = queried(&caller).await;
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let url = format!("{}/services/data/v66.0/{results}", simulator.http_url());
    simulator.inject(once("/results", Mishap::GzipBomb { megabytes: 16 }));
    let response = plain.get(&url).bearer_auth(&caller.token).send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let bomb = response.bytes().await.unwrap();
    let unpacked = std::io::copy(&mut flate2::read::GzDecoder::new(&bomb[..]), &mut std::io::sink()).unwrap();
    assert!(bomb.len() < 128 * 1024, "{}", bomb.len());
    assert_eq!(unpacked, 16 * 1024 * 1024);
}

#[tokio::test]
async fn a_session_may_end_between_two_pages() {
    let simulator = simulator(3).await;
    let caller = admin(&simulator).await;
    let results = queried(&caller).await;
    simulator.inject(once("/results", Mishap::EndSession));
    let first = caller.get(&format!("{results}?maxRecords=1")).await;
    let locator = first.headers["sforce-locator"].to_str().unwrap();
    let second = caller.get(&format!("{results}?locator={locator}")).await;
    // The job outlives the session it was made in.
    let third = admin(&simulator).await.get(&format!("{results}?locator={locator}")).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16(), second.code()), (200, 401, "INVALID_SESSION_ID"));
    assert_eq!((third.status.as_u16(), third.text.lines().count()), (200, 4));
}

#[tokio::test]
async fn bulk_jobs_fail_halfway_or_vanish() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let ids = [caller.id_of(USER).await, caller.id_of("user0002@acme.example").await];
    let csv = format!("Id,Title\n{},x\n{},x\n", ids[0], ids[1]);
    simulator.switch(&Switches { fail_jobs: Some(1), ..Switches::default() }).unwrap();

    let failed = run_on(&caller, "User", "update", &csv).await;
    let job = format!("jobs/ingest/{}", failed["id"].as_str().unwrap());
    let rest = caller.get(&format!("{job}/unprocessedrecords")).await;
    let again = run_on(&caller, "User", "update", &csv).await;
    simulator.switch(&Switches { lose_jobs: true, ..Switches::default() }).unwrap();
    let gone = caller.get(&job).await;

    assert_eq!((&failed["state"], &failed["numberRecordsProcessed"]), (&json!("Failed"), &json!(1)));
    assert!(failed["errorMessage"].as_str().unwrap().starts_with("TooManyLockFailure : "));
    assert_eq!(rest.text, format!("\"Id\",\"Title\"\n\"{}\",\"x\"\n", ids[1]));
    assert_eq!(again["state"], "JobComplete");
    assert_eq!((gone.status.as_u16(), gone.code()), (404, "NOT_FOUND"));
}

/// The org is read, and each record of a write is refused, whatever brings it.
#[tokio::test]
async fn an_org_is_read_only_for_a_while() {
    const CODE: &str = "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE";
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let ids = [caller.id_of(USER).await, caller.id_of("user0002@acme.example").await];
    let record = |id: &str| json!({"attributes": {"type": "User"}, "Id": id, "Title": "x"});
    let records = json!({"records": [record(&ids[0]), record(&ids[1])]});
    simulator.switch(&Switches { read_only_after: Some(1), ..Switches::default() }).unwrap();

    let several = caller.patch("composite/sobjects", &records).await;
    assert_eq!((several.status.as_u16(), &several.json[0]["success"]), (200, &json!(true)));
    assert_eq!(several.json[1]["errors"][0]["statusCode"], CODE);
    let resource = format!("sobjects/User/{}", ids[0]);
    assert_eq!(caller.patch(&resource, &json!({"Title": "y"})).await.code(), CODE);
    let password = caller.post(&format!("{resource}/password"), &json!({"NewPassword": "Correct-Horse-7"})).await;
    assert_eq!(password.code(), CODE);
    let told = run_on(&caller, "User", "update", &format!("Id,Title\n{},y\n", ids[0])).await;
    let failed = caller.get(&format!("jobs/ingest/{}/failedResults", told["id"].as_str().unwrap())).await;
    assert!(failed.text.contains(CODE), "{}", failed.text);
    assert_eq!(simulator.user(USER).unwrap().text("Title"), "x");

    simulator.clear_faults();
    assert_eq!(caller.patch(&resource, &json!({"Title": "y"})).await.status, 204);
}

#[tokio::test]
async fn a_record_of_a_bulk_job_meets_a_locked_row() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let ids = [caller.id_of(USER).await, caller.id_of("user0002@acme.example").await];
    simulator.switch(&Switches { lock_rows: Some(1), ..Switches::default() }).unwrap();
    let told = run_on(&caller, "User", "update", &format!("Id,Title\n{},x\n{},x\n", ids[0], ids[1])).await;
    let failed = caller.get(&format!("jobs/ingest/{}/failedResults", told["id"].as_str().unwrap())).await;
    assert_eq!((&told["state"], &told["numberRecordsFailed"]), (&json!("JobComplete"), &json!(1)));
    let error =
        format!("UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: {}:--", ids[0]);
    assert!(failed.text.contains(&error), "{}", failed.text);
}

#[tokio::test]
async fn everything_can_be_steered_over_http() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let path = |path: &str| format!("{}/__sim/{path}", simulator.http_url());
    let post = async |to: &str, body: serde_json::Value| Answer::of(http().post(path(to)).json(&body)).await;

    let fault = json!({"when": {"method": "GET"}, "what": {"respond": {"status": 429}}, "times": 1});
    assert_eq!(post("faults", fault).await.status, 204);
    assert_eq!(caller.get("limits").await.status, 429);
    let text = "This session is not valid for use with the REST API";
    let fault = json!({"what": {"respond": {"status": 401, "message": text}}, "times": 1});
    assert_eq!(post("faults", fault).await.status, 204);
    let unfit = caller.get("limits").await;
    assert_eq!((unfit.code(), unfit.message()), ("INVALID_SESSION_ID", text));
    assert_eq!(post("switches", json!({"expire_sessions": true})).await.status, 204);
    assert_eq!(caller.get("limits").await.status, 401);
    for what in [
        json!({"drip_reply": {"bytes": 1, "millis": 1}}),
        json!({"wrong_length": {"percent": 1}}),
        json!({"gzip_bomb": {"megabytes": 1}}),
        json!("end_session"),
    ] {
        assert_eq!(post("faults", json!({"what": what, "times": 0})).await.status, 204, "{what}");
    }
    assert_eq!(post("switches", json!({"unknown": true})).await.status, 400);
    let globex = json!({"name": "Globex", "users": [{"username": "g@globex.example", "password": "Globex-Pass-1"}]});
    assert_eq!(post("orgs", globex).await.status, 204);
    let ranges = http().put(path("orgs/Globex/trusted")).json(&json!(["10.0.0.0/8"]));
    assert_eq!(Answer::of(ranges).await.status, 204);

    let user = Answer::of(http().get(path("users/g@globex.example"))).await;
    assert_eq!((&user.json["org"], &user.json["active"]), (&json!("Globex"), &json!(true)));
    let counters = Answer::of(http().get(path("counters"))).await;
    assert_eq!((&counters.json["http_calls"], &counters.json["routes"]["GET limits"]), (&json!(4), &json!(null)));
    assert_eq!(Answer::of(http().delete(path("counters"))).await.status, 204);
    assert_eq!(simulator.counters().http_calls, 0);
    assert_eq!(Answer::of(http().get(path("nothing"))).await.status, 404);
}

#[tokio::test]
async fn a_held_call_is_done_once_the_faults_are_cleared_or_what_holds_it_is_taken_back() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of(USER).await);
    let releases: [fn(&salesforce_sim::Simulator); 2] =
        [salesforce_sim::Simulator::clear_faults, |it| assert!(it.withdraw(&on_patch(Mishap::Hold)))];
    for (active, release) in [false, true].into_iter().zip(releases) {
        simulator.inject(on_patch(Mishap::Hold));
        let body = json!({"IsActive": active});
        let mut held = std::pin::pin!(caller.patch(&resource, &body));
        let calls = simulator.counters().http_calls;
        while simulator.counters().http_calls == calls {
            let waited = tokio::time::timeout(Duration::from_millis(10), held.as_mut()).await;
            assert!(waited.is_err(), "it is not answered");
        }
        // Other faults do not hold it, and do not let it go.
        simulator.inject(on_patch(Mishap::Latency { millis: 1 }));
        assert!(simulator.withdraw(&on_patch(Mishap::Latency { millis: 1 })));
        assert_eq!(caller.get(&resource).await.status, 200, "others are answered");
        assert_eq!(simulator.user(USER).unwrap().active, !active, "nothing is done");
        release(&simulator);
        assert_eq!(held.await.status, 204);
        assert_eq!(simulator.user(USER).unwrap().active, active);
    }
}
