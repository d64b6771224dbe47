//! Manners on the network: compression, HTTP/2, bounds in time and size, the budget of calls, and waits that are asked for.

use std::sync::Arc;
use std::time::Duration;

use postern_agent::connector::Connector;
use postern_protocol::task::import_batch::{Format, Output, Request};
use postern_protocol::{Failure, FailureClass, Outcome, TaskOutput};
use salesforce_sim::{Mishap, OrgSeed, Switches};
use serde_json::json;

use crate::lab::{
    DONE, Lab, Task, collect, deprovision, describe_schema, disable, enable, expire, export, freeze, import_with,
    reset, restore, test_connection, unfreeze, validate, verdict,
};

const JOE: &str = "user0001@acme.example";
/// What has not ended after this long never does.
const HANGS: Duration = Duration::from_secs(120);

/// Modifies this many users, in bulk if they are more than `bulk_threshold`.
fn titles(count: usize, bulk_threshold: u32) -> Task {
    let entry = |number| json!({"Username": format!("user{number:04}@acme.example"), "Title": "Gardener"}).to_string();
    let dataset = (1..=count).map(entry).collect::<Vec<_>>().join("\n");
    import_with(Request { bulk_threshold, ..Request::new(Format::Jsonl) }, dataset)
}

fn modified(conclusion: &postern_agent::connector::Conclusion) -> u64 {
    let Some(TaskOutput::ImportBatch(Output { modified, .. })) = &conclusion.output else { panic!("{conclusion:?}") };
    *modified
}

/// Nothing says that Salesforce unpacks the rows of a job: if it does not, each of them fails.
#[tokio::test]
async fn requests_are_compressed_unless_it_is_switched_off_and_the_rows_of_jobs_are_not() {
    for (line, is_on) in [("", true), ("compression = false\n", false)] {
        let lab = Lab::with_org(OrgSeed::acme(60)).await;
        let connector = lab.connector_with(&format!("{}{line}", lab.settings("oauth-jwt")));
        for (bulk_threshold, compresses) in [(1_000, is_on), (10, false)] {
            let before = lab.counters().compressed_calls;
            let conclusion = titles(60, bulk_threshold).attempt(&connector).await.unwrap();
            assert_eq!(modified(&conclusion), 60);
            let compressed = lab.counters().compressed_calls - before;
            assert_eq!(compressed > 0, compresses, "threshold {bulk_threshold}: {compressed}");
        }
    }
}

/// The token endpoint is not known to unpack anything.
#[tokio::test]
async fn a_sign_in_is_never_compressed() {
    let lab = Lab::start().await;
    lab.write("password", &"x".repeat(3_000));
    for method in ["soap", "oauth-password"] {
        let failure = test_connection().attempt(&lab.connector_with(&lab.settings(method))).await.unwrap_err();
        assert_eq!(failure.class.known(), Some(FailureClass::Unauthorized), "{failure}");
    }
    assert_eq!((lab.counters().login_attempts, lab.counters().compressed_calls), (2, 0));
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_asked_for_and_http_1_otherwise() {
    let lab = Lab::with_org(OrgSeed::acme(60)).await;
    for (line, speaks_it) in [("", false), ("http2 = false\n", false), ("http2 = true\n", true)] {
        let connector = lab.connector_with(&format!("{}{line}", lab.https()));
        let before = lab.counters();
        assert_eq!(verdict(&disable(JOE).attempt(&connector).await.unwrap()), DONE);
        assert_eq!(modified(&titles(60, 10).attempt(&connector).await.unwrap()), 60);
        let mut all = export(json!({"object": "User", "format": "csv"}));
        assert_eq!(all.attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);
        let after = lab.counters();
        let (calls, by_2) = (after.http_calls - before.http_calls, after.http2_calls - before.http2_calls);
        assert_eq!(by_2, if speaks_it { calls } else { 0 }, "{line}");
        lab.sim.switch(&Switches::default()).unwrap();
        enable(JOE).attempt(&connector).await.unwrap();
    }
}

/// The root of a proxy that inspects TLS is replaced every few years. Read the files at the start alone, and nothing but a
/// restart helps, which nobody is told.
#[tokio::test]
async fn root_certificates_that_were_replaced_are_trusted_without_a_restart() {
    let lab = Lab::start().await;
    let settings = lab.https();
    let key = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::CertificateParams::new(vec!["another root".to_owned()]).unwrap().self_signed(&key).unwrap();
    lab.write("roots", &other.pem());
    let connector = lab.connector_with(&settings);
    let failure = validate(JOE).attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "unreachable_tls");
    lab.write("roots", "half a file");
    let failure = validate(JOE).attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "unreachable_tls", "what was read before is trusted on");
    lab.write("roots", lab.sim.ca_pem());
    let failure = validate(JOE).attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "unreachable_tls", "it is read now");
    validate(JOE).attempt(&connector).await.unwrap();
}

/// Plain HTTP has no handshake in which to ask for it.
#[tokio::test]
async fn http_2_needs_tls_and_is_not_forced_upon_plain_http() {
    let lab = Lab::start().await;
    let connector = lab.connector_with(&format!("{}http2 = true\n", lab.settings("oauth-jwt")));
    assert!(validate(JOE).attempt(&connector).await.is_ok());
    assert_eq!(lab.counters().http2_calls, 0);
}

/// A byte now and then keeps a connection alive for ever; the request's bound counts from its beginning.
#[tokio::test]
async fn an_answer_that_drips_is_cut_by_the_timeout_of_the_request() {
    for version in ["", "http2 = true\n"] {
        let lab = Lab::start().await;
        let connector = lab.connector_with(&format!("{}request_timeout_secs = 1\n{version}", lab.https()));
        validate(JOE).attempt(&connector).await.unwrap();
        lab.fault("GET", "/query", Mishap::DripReply { bytes: 1, millis: 100 }, 2);
        let failure = validate(JOE).attempt(&connector).await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.class.known()), ("no_answer", Some(FailureClass::Transient)));
        assert!(failure.summary.contains(&lab.sim.https_url()["https://".len()..]), "{failure}");
    }
}

/// Have an intent ask for less, and another member acts while a call of this one can still take effect.
#[tokio::test]
async fn every_intent_asks_for_a_lease_that_outlives_the_longest_its_call_can_take() {
    let timeout = Duration::from_secs(50);
    let lab = Lab::with_org(OrgSeed::acme(80)).await;
    let connector = lab.connector_with(&format!("{}request_timeout_secs = 50\n", lab.settings("oauth-jwt")));
    let password = "Correct-Horse-7";
    for mut task in [
        titles(20, 1_000),
        titles(20, 10),
        freeze(JOE),
        unfreeze(JOE),
        reset(JOE, password),
        expire(JOE),
        disable(JOE),
        enable(JOE),
        deprovision(JOE, ""),
        restore(&format!("{JOE}.deleted"), JOE, "", None),
    ] {
        let conclusion = task.attempt(&connector).await.unwrap();
        let reach = *task.reach.lock().unwrap();
        assert!(reach.is_some_and(|reach| reach > timeout), "{reach:?}: {conclusion:?}");
    }
}

/// F64 for what comes in bulk: what is small on the wire and large in memory is cut there as well. An export reads piece
/// by piece, and gives up at a value longer than Salesforce has any.
#[tokio::test]
async fn f64_a_compressed_bomb_among_the_results_of_a_bulk_job_is_cut() {
    let lab = Lab::with_org(OrgSeed::acme(60)).await;
    let connector = lab.connector();
    let bomb = || Mishap::GzipBomb { megabytes: 64 };
    lab.fault("GET", "/results", bomb(), 1_000);
    let mut all = export(json!({"object": "User", "format": "csv", "size_hint": 20_000}));
    let failure = all.attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "strange_answer", "{failure}");
    assert!(all.payloads.lock().unwrap().is_empty(), "nothing that looks whole");

    lab.fault("GET", "successfulResults", bomb(), 1_000);
    let mut import = titles(60, 10);
    let failure = import.attempt(&connector).await.unwrap_err();
    assert!(failure.summary.contains("larger than"), "{failure}");
}

/// A call that holds its place while it asks for another waits for ever.
#[tokio::test]
async fn one_place_is_enough_for_every_task_and_is_given_back_by_what_breaks_off() {
    let lab = Lab::with_org(OrgSeed::acme(1_200)).await;
    let connector = lab.connector_with(&format!("{}max_concurrent_calls = 1\n", lab.settings("oauth-jwt")));
    test_connection().attempt(&connector).await.unwrap();
    let (mut one, mut two) = (disable(JOE), freeze("user0002@acme.example"));
    let (one, two) = tokio::join!(one.attempt(&connector), two.attempt(&connector));
    assert_eq!((verdict(&one.unwrap()), verdict(&two.unwrap())), (DONE, DONE));
    for bulk_threshold in [1_000, 10] {
        assert!(titles(60, bulk_threshold).attempt(&connector).await.is_ok());
    }
    let everybody = |size_hint: u64| export(json!({"object": "User", "format": "csv", "size_hint": size_hint}));
    for size_hint in [1, 20_000] {
        assert!(everybody(size_hint).attempt(&connector).await.is_ok());
    }
    let pages = || lab.counters().routes.get("GET jobs/query/results").copied().unwrap_or_default();
    for (user_status, count) in [("inactive", 0), ("all", 5)] {
        let before = pages();
        let mut gathers = collect(json!({"name": "nightly", "user_status": user_status}));
        let bounded = tokio::time::timeout(HANGS, gathers.attempt(&connector)).await;
        assert!(bounded.expect("it waits for the place it holds").is_ok());
        assert_eq!(pages() - before, count, "1,201 users in groups of 250");
    }
    for mishap in [Mishap::TruncateReply, Mishap::DropReply, Mishap::Maintenance] {
        lab.fault("GET", "/results", mishap.clone(), 1);
        assert!(everybody(20_000).attempt(&connector).await.is_ok());
        lab.fault("GET", "/results", mishap, 1);
        let mut gathers = collect(json!({"name": "nightly", "user_status": "all"}));
        assert_eq!(gathers.attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);
    }
    let mut stopped = everybody(20_000);
    stopped.stop.cancel();
    stopped.attempt(&connector).await.unwrap_err();
    assert!(validate(JOE).attempt(&connector).await.is_ok());
}

/// Let downloads have every place, and nobody is looked up or shut out until one of them has come to its end.
#[tokio::test]
async fn exports_leave_a_place_to_what_is_urgent() {
    let lab = Lab::start().await;
    let connector = lab.connector_with(&format!("{}max_concurrent_calls = 2\n", lab.settings("oauth-jwt")));
    lab.fault("GET", "/results", Mishap::DripReply { bytes: 1, millis: 600_000 }, 2);
    let everybody = || export(json!({"object": "User", "format": "csv", "size_hint": 20_000}));
    let (mut one, mut two) = (everybody(), everybody());
    let urgent = async {
        let asked = || lab.counters().routes.get("GET jobs/query/{id}").copied().unwrap_or_default();
        while asked() < 2 {
            tokio::task::yield_now().await;
        }
        for task in [&mut validate(JOE), &mut disable(JOE), &mut enable(JOE)] {
            task.attempt(&connector).await.unwrap();
        }
    };
    tokio::select! {
        _ = one.attempt(&connector) => unreachable!("its results drip"),
        _ = two.attempt(&connector) => unreachable!("so do its"),
        done = tokio::time::timeout(HANGS, urgent) => done.expect("it waits for an export"),
    }
}

/// An org in which the agent has made this many calls, of so many it may make.
async fn org_with_calls(used: u64, daily_api_calls: u64, settings: &str) -> (Lab, Arc<dyn Connector>) {
    let lab = Lab::with_org(OrgSeed { daily_api_calls, ..OrgSeed::acme(600) }).await;
    // This method does not mind when the simulator's clock is moved.
    let connector = lab.connector_with(&format!("{}{settings}", lab.settings("oauth-client-credentials")));
    while calls(&lab) < used {
        validate("nobody@acme.example").attempt(&connector).await.unwrap();
    }
    (lab, connector)
}

/// Those that count: the sign-in does not.
fn calls(lab: &Lab) -> u64 {
    lab.counters().http_calls - lab.counters().login_attempts
}

fn waits(connector: &Arc<dyn Connector>, failure: &Failure) -> Duration {
    connector.patience(failure)
}

#[tokio::test]
async fn batches_leave_the_rest_of_the_calls_to_others_and_single_tasks_go_on() {
    let (lab, connector) = org_with_calls(25, 50, "api_budget_percent = 50\n").await;
    let before = calls(&lab);
    let all = json!({"object": "User", "format": "csv"});
    let described = describe_schema(json!({"objects": ["User"]}));
    let gathered = collect(json!({"name": "nightly", "user_status": "all"}));
    for mut batch in [titles(60, 10), titles(5, 10), export(all), described, gathered] {
        let failure = batch.attempt(&connector).await.unwrap_err();
        assert_eq!(failure.code.as_str(), "api_budget_reserved");
        assert_eq!(failure.class.known(), Some(FailureClass::RateLimited));
        assert!(failure.summary.contains("used 25 of the 50 API calls"), "{failure}");
        assert!(failure.summary.contains("from 50 % on"), "{failure}");
        assert!(failure.next_step.contains("every 15 minutes"), "{}", failure.next_step.as_str());
        assert_eq!(waits(&connector, &failure), Duration::from_secs(900));
    }
    assert_eq!(calls(&lab), before, "nothing was called");

    assert_eq!(verdict(&disable(JOE).attempt(&connector).await.unwrap()), DONE);
    assert_eq!(verdict(&freeze("user0002@acme.example").attempt(&connector).await.unwrap()), DONE);
    let tested = test_connection().attempt(&connector).await.unwrap();
    let Some(TaskOutput::TestConnection(output)) = tested.output else { panic!("{tested:?}") };
    assert_eq!((output.api_calls_used, output.api_calls_limit), (Some(calls(&lab)), Some(50)));

    // Until Salesforce itself refuses.
    let failure = loop {
        if let Err(failure) = validate(JOE).attempt(&connector).await {
            break failure;
        }
    };
    assert_eq!((failure.code.as_str(), calls(&lab)), ("REQUEST_LIMIT_EXCEEDED", 51));
    assert_eq!(waits(&connector, &failure), Duration::from_secs(900));
}

#[tokio::test]
async fn f61_a_connector_tells_how_many_calls_its_org_takes_until_any_answer_says_that_there_are_more() {
    let left = |connector: &Arc<dyn Connector>| connector.calls_left().map(|left| left.calls);
    let (lab, connector) = org_with_calls(25, 50, "").await;
    assert_eq!(left(&connector), Some(50 - calls(&lab)));
    while validate(JOE).attempt(&connector).await.is_ok() {}
    assert_eq!(left(&connector), Some(0));

    lab.sim.switch(&Switches { advance_secs: 24 * 60 * 60, ..Switches::default() }).unwrap();
    validate(JOE).attempt(&connector).await.unwrap();
    assert!(left(&connector) > Some(40), "another day");
}

/// Nothing is configured here: the last quarter of the calls is never a batch's.
#[tokio::test]
async fn batches_never_take_the_last_quarter_of_the_calls() {
    for (used, waits) in [(74, false), (75, true)] {
        let (_lab, connector) = org_with_calls(used, 100, "").await;
        let end = export(json!({"object": "User", "format": "csv"})).attempt(&connector).await;
        assert_eq!(end.is_err_and(|failure| failure.code.as_str() == "api_budget_reserved"), waits, "{used}");
    }
}

/// Ask before the first user only, and the rest of the calls is gone when many are gathered.
#[tokio::test]
async fn a_collection_stops_between_groups_when_the_calls_get_scarce() {
    let (lab, connector) = org_with_calls(40, 100, "").await;
    lab.fault("GET", "/query", Mishap::Latency { millis: 200 }, 1_000);
    let mut gathered = collect(json!({"name": "nightly", "user_status": "all"}));
    let others = async {
        while calls(&lab) < 55 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let looks = std::iter::repeat_with(|| async { validate(JOE).attempt(&connector).await.unwrap() });
        futures_util::future::join_all(looks.take(12)).await;
    };
    let (gathers, ()) = tokio::join!(gathered.attempt(&connector), others);
    let failure = gathers.unwrap_err();
    assert_eq!(failure.code.as_str(), "api_budget_reserved");
    assert!(failure.summary.contains("batches wait"), "not before it began: {failure}");
    assert!(gathered.payloads.lock().unwrap().is_empty());
    assert_eq!(verdict(&disable(JOE).attempt(&connector).await.unwrap()), DONE);
}

/// Begin it all the same, and it begins anew every 15 minutes and uses up what it waits for.
#[tokio::test]
async fn a_collection_that_was_cut_off_is_begun_again_when_there_are_calls_for_all_of_it() {
    let (lab, connector) = org_with_calls(130, 200, "").await;
    let gathered = || collect(json!({"name": "nightly", "user_status": "all"}));
    let mut cut_off = gathered();
    let failure = cut_off.attempt(&connector).await.unwrap_err();
    assert!(calls(&lab) >= 150, "the first time yesterday's calls may come back meanwhile: {failure}");

    lab.sim.switch(&Switches { advance_secs: 24 * 60 * 60, ..Switches::default() }).unwrap();
    let before = calls(&lab);
    while calls(&lab) < before + 130 {
        validate(JOE).attempt(&connector).await.unwrap();
    }
    let failure = cut_off.attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "api_budget_reserved");
    assert!(failure.summary.contains("about 15 API calls"), "{failure}");
    assert!(calls(&lab) < before + 150, "a look takes few: {}", calls(&lab) - before);

    let (_lab, connector) = org_with_calls(1, 1_000, "api_budget_percent = 1\n").await;
    let failure = gathered().attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "api_budget_exceeded");
    assert_eq!(failure.class.known(), Some(FailureClass::Rejected));
}

/// A process that has just begun knows of no call.
#[tokio::test]
async fn a_batch_asks_once_how_many_calls_are_used_when_nothing_has_told_it() {
    let (lab, _) = org_with_calls(80, 100, "").await;
    let restarted = lab.connector_with(&lab.settings("oauth-client-credentials"));
    for _ in 0..2 {
        let failure = export(json!({"object": "User", "format": "csv"})).attempt(&restarted).await.unwrap_err();
        assert_eq!((failure.code.as_str(), calls(&lab)), ("api_budget_reserved", 81));
    }
}

/// The resource asks for a permission of its own. End the attempt for it, and no batch runs, and one that has begun ends as
/// unknown at each start.
#[tokio::test]
async fn a_batch_goes_on_where_the_service_account_may_not_ask_how_many_calls_are_used() {
    let (lab, _) = org_with_calls(10, 100, "").await;
    let restarted = lab.connector_with(&lab.settings("oauth-client-credentials"));
    let code = Some("INSUFFICIENT_ACCESS".to_owned());
    lab.fault("GET", "/limits", Mishap::Respond { status: 403, code, message: None }, 1);
    assert_eq!(titles(1, 1_000).attempt(&restarted).await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(lab.sim.faults(), 0);
}

/// What was done stays done, and the next attempt begins where this one stopped.
#[tokio::test]
async fn an_import_stops_between_units_when_the_calls_get_scarce_and_goes_on_when_there_are_some_again() {
    let (lab, connector) = org_with_calls(8, 1_000, "api_budget_percent = 1\n").await;
    let mut import = titles(600, 1_000);
    let failure = import.attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "api_budget_reserved");
    let first = lab.effects(JOE).updates;
    assert_eq!((first, lab.effects("user0600@acme.example").updates), (1, 0), "one unit of two");

    // Another day. Any answer tells how many calls are used.
    lab.sim.switch(&Switches { advance_secs: 24 * 60 * 60, ..Switches::default() }).unwrap();
    validate(JOE).attempt(&connector).await.unwrap();
    let conclusion = import.attempt(&connector).await.unwrap();
    assert_eq!((conclusion.outcome, modified(&conclusion)), (Outcome::Succeeded, 600));
    assert_eq!((lab.effects(JOE).updates, lab.effects("user0600@acme.example").updates), (1, 1));
}

#[tokio::test]
async fn f61_the_wait_that_an_answer_asks_for_is_granted_in_seconds_and_as_a_date() {
    for status in [429, 503] {
        let lab = Lab::start().await;
        let connector = lab.connector();
        validate(JOE).attempt(&connector).await.unwrap();
        lab.fault("GET", "/query", Mishap::Busy { status, retry_after: "3000".to_owned() }, 1);
        let failure = validate(JOE).attempt(&connector).await.unwrap_err();
        let class = if status == 429 { FailureClass::RateLimited } else { FailureClass::Transient };
        assert_eq!(failure.class.known(), Some(class), "{failure}");
        let wait = waits(&connector, &failure);
        assert!((2_900..=3_000).contains(&wait.as_secs()), "{status}: {wait:?} {failure}");

        let date = "Fri, 01 Jan 2100 00:00:00 GMT".to_owned();
        lab.fault("GET", "/query", Mishap::Busy { status, retry_after: date }, 1);
        let failure = validate(JOE).attempt(&connector).await.unwrap_err();
        let wait = waits(&connector, &failure);
        assert!((3_001..=3_600).contains(&wait.as_secs()), "{status}: no longer than an hour: {wait:?}");
    }
}

/// Look at nothing but the class, and each page of an export is asked for four times more before the wait is granted.
#[tokio::test]
async fn an_export_asks_an_org_once_that_wants_to_be_left_alone() {
    for (method, size_hint) in [("GET", 1), ("POST", 20_000)] {
        let lab = Lab::start().await;
        let connector = lab.connector();
        validate(JOE).attempt(&connector).await.unwrap();
        lab.fault(method, "/query", Mishap::Busy { status: 503, retry_after: "600".to_owned() }, 1);
        let mut everybody = export(json!({"object": "User", "format": "csv", "size_hint": size_hint}));
        let failure = everybody.attempt(&connector).await.unwrap_err();
        assert!(waits(&connector, &failure) > Duration::from_secs(500), "{failure}");
        assert!(everybody.attempt(&connector).await.is_ok());
    }
}

/// End the attempt, and five such answers end an export of an hour.
#[tokio::test]
async fn an_export_grants_a_short_wait_where_it_is() {
    for status in [429, 503] {
        let lab = Lab::start().await;
        lab.fault("GET", "/query", Mishap::Busy { status, retry_after: "1".to_owned() }, 1);
        let mut everybody = export(json!({"object": "User", "format": "csv", "size_hint": 1}));
        assert!(everybody.attempt(&lab.connector()).await.is_ok(), "{status}");
    }
}

/// Let every failure wait for what any answer asked for, and one header keeps all tasks from the org for an hour.
#[tokio::test]
async fn a_wait_that_one_answer_asked_for_is_not_for_what_others_fail_of() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    validate(JOE).attempt(&connector).await.unwrap();
    lab.fault("GET", "/query", Mishap::Busy { status: 503, retry_after: "999999999".to_owned() }, 1);
    let asked = validate(JOE).attempt(&connector).await.unwrap_err();
    assert!(waits(&connector, &asked) > Duration::from_secs(3_500), "{asked}");
    validate(JOE).attempt(&connector).await.unwrap();

    lab.fault("GET", "/query", Mishap::DropReply, 2);
    let lost = disable(JOE).attempt(&connector).await.unwrap_err();
    assert_eq!((lost.code.as_str(), waits(&connector, &lost)), ("no_answer", Duration::ZERO));
    lab.fault("GET", "/query", Mishap::Maintenance, 1);
    let page = disable(JOE).attempt(&connector).await.unwrap_err();
    assert_eq!((page.code.as_str(), waits(&connector, &page)), ("maintenance_page", Duration::ZERO));
}

#[tokio::test]
async fn the_token_endpoint_may_ask_for_a_wait_too() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("POST", "/oauth2/token", Mishap::Busy { status: 503, retry_after: "600".to_owned() }, 1);
    let failure = test_connection().attempt(&connector).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "maintenance_page");
    assert!(waits(&connector, &failure) > Duration::from_secs(500));
    assert!(test_connection().attempt(&connector).await.is_ok());
}

/// Let it wait as long as any other failure, and a task has used up its attempts within a minute.
#[tokio::test]
async fn a_task_waits_for_as_long_as_sign_ins_without_an_answer_count() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("POST", "/oauth2/token", Mishap::DropReply, 2);
    for code in ["no_answer", "no_answer", "sign_in_paused"] {
        let failure = validate(JOE).attempt(&connector).await.unwrap_err();
        assert_eq!(failure.code.as_str(), code, "{failure}");
        let wait = waits(&connector, &failure);
        let is_paused = code == "sign_in_paused";
        assert!(if is_paused { (800..=900).contains(&wait.as_secs()) } else { wait.is_zero() }, "{code}: {wait:?}");
    }
}

/// A refusal in Salesforce's own words had no effect, and is not repeated within the attempt. A page may hide one, so
/// the user is read back.
#[tokio::test]
async fn f61_a_change_that_met_a_busy_org_is_made_once() {
    for (mishap, code, calls) in [
        (Mishap::Busy { status: 429, retry_after: "60".to_owned() }, "REQUEST_LIMIT_EXCEEDED", 0),
        (
            Mishap::Respond {
                status: 403,
                code: Some("REQUEST_LIMIT_EXCEEDED".to_owned()),
                message: Some("ConcurrentPerOrgLongTxn Limit exceeded.".to_owned()),
            },
            "REQUEST_LIMIT_EXCEEDED",
            0,
        ),
        (
            Mishap::Respond { status: 503, code: Some("SERVER_UNAVAILABLE".to_owned()), message: Some("x".to_owned()) },
            "SERVER_UNAVAILABLE",
            0,
        ),
    ] {
        let lab = Lab::start().await;
        let connector = lab.connector();
        lab.fault("PATCH", "/sobjects/User/", mishap, 1);
        let mut task = disable(JOE);
        let failure = task.attempt(&connector).await.unwrap_err();
        assert_eq!((failure.code.as_str(), lab.effects(JOE).deactivations), (code, calls));
        assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), DONE);
        assert_eq!(lab.effects(JOE).deactivations, 1);
    }
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("PATCH", "/sobjects/User/", Mishap::LoseReply { status: 503 }, 1);
    assert_eq!(disable(JOE).attempt(&connector).await.unwrap().outcome, Outcome::Succeeded);
    assert_eq!(lab.effects(JOE).deactivations, 1);
}
