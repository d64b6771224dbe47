//! `updated` and `deleted`: what changed in a span of time.

use std::time::Duration;

use salesforce_sim::{ADMIN, Simulator};
use serde_json::json;

use crate::client::{Answer, Caller, admin, form_encode, simulator};

const MINUTE: Duration = Duration::from_secs(60);

async fn ask(caller: &Caller, resource: &str, start: &str, end: &str) -> Answer {
    caller.get(&format!("sobjects/{resource}/?{}", form_encode(&[("start", start), ("end", end)]))).await
}

/// What the simulator takes for now, moved by some time.
fn moment(simulator: &Simulator, ahead: i64) -> String {
    let stamp = simulator.user(ADMIN).unwrap().text("SystemModstamp").to_owned();
    let at: jiff::Timestamp = format!("{}Z", &stamp[..23]).parse().unwrap();
    at.checked_add(jiff::SignedDuration::from_mins(ahead)).unwrap().to_string()
}

#[tokio::test]
async fn a_change_is_told_once_its_minute_is_over() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    let (start, end) = (moment(&simulator, 5), moment(&simulator, 60));
    simulator.advance(MINUTE * 10);
    caller.patch(&format!("sobjects/User/{id}"), &json!({"Title": "Changed"})).await;

    let early = ask(&caller, "User/updated", &start, &end).await;
    simulator.advance(MINUTE);
    let late = ask(&caller, "User/updated", &start, &end).await;
    let past = ask(&caller, "User/updated", &start, &moment(&simulator, 8)).await;

    assert_eq!((early.status.as_u16(), &early.json["ids"]), (200, &json!([])));
    assert_eq!(late.json["ids"], json!([id]));
    // Seconds do not count: what is covered ends with a whole minute, the last one before now or the end asked for.
    let covered = |answer: &Answer| answer.json["latestDateCovered"].as_str().unwrap().to_owned();
    assert!(covered(&late).ends_with(":00.000+0000") && covered(&late) > covered(&early));
    assert_eq!(covered(&past)[..16], moment(&simulator, 8)[..16]);
    assert_eq!(past.json["ids"], json!([]));
}

#[tokio::test]
async fn what_does_not_change_the_user_is_not_told() {
    let simulator = simulator(3).await;
    let caller = admin(&simulator).await;
    let ids = [caller.id_of("user0001@acme.example").await, caller.id_of("user0002@acme.example").await];
    let login = caller.one(&format!("SELECT Id FROM UserLogin WHERE UserId = '{}'", ids[0]), "Id").await;
    let start = moment(&simulator, 5);
    simulator.advance(MINUTE * 10);

    caller.patch(&format!("sobjects/UserLogin/{login}"), &json!({"IsFrozen": true})).await;
    let mail = json!({"Email": "new@acme.example"});
    caller.post(&format!("sobjects/User/{}/password", ids[1]), &json!({"NewPassword": "Brand-New-77"})).await;
    simulator.advance(MINUTE);
    let told = ask(&caller, "User/updated", &start, &moment(&simulator, 60)).await;
    caller.patch(&format!("sobjects/User/{}", ids[0]), &mail).await;
    simulator.confirm_email("user0001@acme.example").unwrap();
    simulator.advance(MINUTE);
    let confirmed = ask(&caller, "User/updated", &start, &moment(&simulator, 60)).await;

    // A frozen login is another record; a new password is a change of the user.
    assert_eq!(told.json["ids"], json!([ids[1]]));
    assert_eq!(confirmed.json["ids"], json!([ids[0], ids[1]]));
}

#[tokio::test]
async fn spans_out_of_reach_are_refused() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let day = 24 * 60;
    let end = moment(&simulator, 0);
    let old = ask(&caller, "User/updated", &moment(&simulator, -31 * day), &end).await;
    let just = ask(&caller, "User/updated", &moment(&simulator, -30 * day), &end).await;
    let turned = ask(&caller, "User/updated", &end, &moment(&simulator, -5)).await;
    let empty = ask(&caller, "User/updated", &end, &end).await;
    let old_deleted = ask(&caller, "UserRole/deleted", &moment(&simulator, -16 * day), &end).await;
    let unfit = ask(&caller, "UserLogin/updated", &moment(&simulator, -5), &end).await;
    let no_end = caller.get("sobjects/User/updated?start=2026-11-21T00:00:00Z").await;

    for answer in [&old, &turned, &empty, &old_deleted] {
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "INVALID_REPLICATION_DATE"), "{}", answer.text);
    }
    assert_eq!(old.message(), "startDate cannot be more than 30 days ago");
    assert_eq!(just.status, 200);
    assert_eq!((unfit.code(), no_end.code()), ("INVALID_TYPE_FOR_OPERATION", "MISSING_ARGUMENT"));
}

#[tokio::test]
async fn users_are_never_among_the_deleted() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let answer = ask(&caller, "User/deleted", &moment(&simulator, -60), &moment(&simulator, 0)).await;
    assert_eq!(answer.json["deletedRecords"], json!([]));
    assert!(
        answer.json["earliestDateAvailable"].as_str().unwrap() < answer.json["latestDateCovered"].as_str().unwrap()
    );
}
