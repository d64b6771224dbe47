//! Promises of docs/features.md that no other story proves as a whole.

use postern_protocol::TaskOutput;
use postern_protocol::task::import_batch::{Format, Request};
use salesforce_sim::{ADMIN, Mishap, OrgSeed};
use serde_json::{Value, json};

use crate::lab::{
    Lab, Task, collect, deprovision, describe_schema, disable, enable, expire, export, freeze, import_with, reset,
    reset_by_service, restore, test_connection, unfreeze, unlock, validate,
};

const ACTIVE: &str = "user0001@acme.example";
const OTHER: &str = "user0002@acme.example";
const INACTIVE: &str = "user0010@acme.example";

/// An address at which nobody listens: a port that was free may have been given to another test.
const NOBODY: &str = "http://127.0.0.1:1";

/// Feature B1.
#[tokio::test]
async fn b01_each_hop_that_fails_is_named_with_what_to_do() {
    let lab = Lab::start().await;
    let connected = test_connection().attempt(&lab.connector()).await.unwrap();
    let Some(TaskOutput::TestConnection(output)) = connected.output else { panic!() };
    assert!(output.message.contains("established successfully"));

    let jwt = lab.settings("oauth-jwt");
    let at = |url: &str| jwt.replace(&lab.sim.http_url(), url);
    lab.write("wrong", "wrong");
    let wrong_secret = lab.settings("oauth-client-credentials").replace(&lab.secret("secret"), &lab.secret("wrong"));
    let rows = [
        ("DNS", "unreachable_dns", at("http://no-such-host.invalid")),
        ("proxy", "unreachable_proxy", format!("{jwt}proxy = {{ url = \"{NOBODY}\" }}\n")),
        ("connection", "unreachable", at(NOBODY)),
        ("TLS", "unreachable_tls", at(&lab.sim.https_url())),
        ("login", "invalid_client", wrong_secret),
        ("API", "API_DISABLED_FOR_ORG", jwt.clone()),
    ];
    let code = Some("API_DISABLED_FOR_ORG".to_owned());
    lab.fault("GET", "/query", Mishap::Respond { status: 403, code, message: None }, 1);
    for (hop, code, settings) in rows {
        let failure = test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
        assert_eq!(failure.code.as_str(), code, "{failure}");
        assert!(failure.summary.starts_with("Failed to establish connection"), "{failure}");
        assert!(failure.summary.contains(&format!("it failed at: {hop}.")), "{failure}");
        assert!(!failure.next_step.is_empty(), "{failure}");
    }
}

/// Feature B2.
#[tokio::test]
async fn b02_each_state_of_a_user_is_told_apart() {
    let mut org = OrgSeed::acme(20);
    org.password_policy.max_failed_logins = 1;
    let lab = Lab::with_org(org).await;
    lab.write("wrong", "wrong");
    let settings = lab.settings("soap").replace(ADMIN, ACTIVE).replace(&lab.secret("password"), &lab.secret("wrong"));
    test_connection().attempt(&lab.connector_with(&settings)).await.unwrap_err();
    let connector = lab.connector();
    freeze(OTHER).attempt(&connector).await.unwrap();
    for (name, active, frozen, locked) in
        [(ACTIVE, true, false, true), (OTHER, true, true, false), (INACTIVE, false, false, false)]
    {
        let conclusion = validate(name).attempt(&connector).await.unwrap();
        let Some(TaskOutput::ValidateUser(output)) = conclusion.output else { panic!() };
        let user = output.user.unwrap();
        assert_eq!((user.active, user.frozen, user.locked), (active, Some(frozen), Some(locked)), "{name}");
    }
}

/// A unit is what is held in memory. Take its bound in bytes away, and there is one job instead of three. Feature B11.
#[tokio::test]
async fn b11_a_large_batch_goes_in_units_whatever_its_size() {
    const UNITS: usize = 3;
    let lab = Lab::with_org(OrgSeed::acme(80)).await;
    let small = |number: usize| json!({"Username": format!("user{number:04}@acme.example"), "Title": "Lead"});
    let large = |number: usize| json!({"Username": format!("{number}@acme.example"), "AboutMe": "x".repeat(120_000)});
    // Seven megabytes, of which no two fit one unit.
    let part = |number: usize| {
        let small = (0..12).map(move |it| small(1 + 12 * number + it));
        (0..60).map(move |it| large(60 * number + it)).chain(small)
    };
    let entries: Vec<Value> = (0..UNITS).flat_map(part).collect();
    let lines = entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let mut task = import_with(Request { bulk_threshold: 10, ..Request::new(Format::Jsonl) }, lines);
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    let Some(TaskOutput::ImportBatch(output)) = conclusion.output else { panic!() };
    assert_eq!((output.modified, output.failed), (36, 180));
    assert_eq!(lab.counters().routes["POST jobs/ingest"], u64::try_from(UNITS).unwrap());
}

/// Feature B16.
#[tokio::test]
async fn b16_a_value_outside_its_picklist_is_refused_before_anything_is_sent() {
    let lab = Lab::start().await;
    for (field, value) in [("TimeZoneSidKey", "Mars/Olympus"), ("LocaleSidKey", "xx_XX"), ("EmailEncodingKey", "x")] {
        let mut task = import_with(Request::new(Format::Jsonl), json!({"Username": ACTIVE, field: value}).to_string());
        task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(task.lines()[0]["code"], json!("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"), "{field}");
        assert_eq!(task.intents(), 0, "{field}");
    }
    assert_eq!(lab.effects(ACTIVE).updates, 0);
}

/// What the administrators' guide says of a task: how many calls it takes.
fn told(task: &str) -> u64 {
    let guide = include_str!("../../../docs/salesforce.md");
    let row = guide.lines().find(|line| line.starts_with('|') && line.split('|').nth(1).unwrap().contains(task));
    row.unwrap().split('|').nth(2).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn each_task_takes_as_many_calls_as_the_administrators_guide_says() {
    let mut org = OrgSeed::acme(20);
    org.users[3].frozen = true;
    let lab = Lab::with_org(org).await;
    let user = |number: usize| format!("user{number:04}@acme.example");
    let titles = (1..=12).map(|it| json!({"Username": user(it), "Title": "Lead"}).to_string()).collect::<Vec<_>>();
    let bulk = Request { bulk_threshold: 10, ..Request::new(Format::Jsonl) };
    let tasks: Vec<(&str, Task)> = vec![
        ("`validate_user`", validate(&user(1))),
        ("`disable_user`", disable(&user(1))),
        ("`enable_user`", enable(&user(1))),
        ("`freeze_user`", freeze(&user(2))),
        ("`unfreeze_user`", unfreeze(&user(3))),
        ("`reset_password`", reset(&user(4), "Correct-Horse-7")),
        ("`reset_password --service`", reset_by_service(&user(4))),
        ("`expire_password`", expire(&user(4))),
        ("`deprovision_user`", deprovision(&user(5), "")),
        ("`restore_user`", restore(&format!("{}.deleted", user(5)), &user(5), "", Some("Correct-Horse-8"))),
        ("`import_batch`", import_with(Request::new(Format::Jsonl), titles[0].clone())),
        ("`import_batch` in bulk", import_with(bulk, titles.join("\n"))),
        ("`export`", export(json!({"object": "User", "format": "csv"}))),
        ("`describe_schema`", describe_schema(json!({}))),
        ("`collect`", collect(json!({"name": "nightly"}))),
        ("`test_connection`", test_connection()),
    ];
    let connector = lab.connector();
    validate(ACTIVE).attempt(&connector).await.unwrap();
    for (name, mut task) in tasks {
        lab.sim.reset_counters();
        task.attempt(&connector).await.unwrap();
        let calls = lab.counters().http_calls - lab.counters().login_attempts;
        assert_eq!(calls, told(name), "{name}: {:?}", lab.counters().routes);
    }
    // Nobody is locked here, so that looking is all there is to do.
    lab.sim.reset_counters();
    unlock(ACTIVE).attempt(&connector).await.unwrap();
    assert_eq!(lab.counters().http_calls + 1, told("`unlock_user`"));
}
