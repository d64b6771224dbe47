//! The password resource.

use std::time::Duration;

use salesforce_sim::{ADMIN, OrgSeed};
use serde_json::json;

use crate::client::{admin, by_password, simulator, with_org};

const USER: &str = "user0001@acme.example";

#[tokio::test]
async fn a_set_password_works_at_once_and_is_not_expired() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}/password", caller.id_of(USER).await);
    let old_token = simulator.user(USER).unwrap().security_token;

    let set = caller.post(&resource, &json!({"NewPassword": "Brand-New-77"})).await;

    assert_eq!((set.status.as_u16(), set.text.as_str()), (204, ""));
    assert_eq!(caller.get(&resource).await.text, "{\"isExpired\":false}");
    assert_eq!(by_password(&simulator, USER, "Brand-New-77").await.status, 200);
    assert_eq!(by_password(&simulator, USER, "Welcome-0001").await.status, 400);
    assert_ne!(simulator.user(USER).unwrap().security_token, old_token);
    assert_eq!(simulator.user(USER).unwrap().effects.password_sets, 1);
}

#[tokio::test]
async fn a_reset_gives_a_temporary_password_that_must_be_changed() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}/password", caller.id_of(USER).await);

    let reset = caller.delete(&resource).await;
    let temporary = reset.json["NewPassword"].as_str().unwrap();

    assert_eq!(reset.status, 200);
    assert_eq!(caller.get(&resource).await.text, "{\"isExpired\":true}");
    assert!(simulator.password_is(USER, temporary) && simulator.user(USER).unwrap().password_expired);
    assert_eq!(simulator.user(USER).unwrap().effects.password_resets, 1);
}

#[tokio::test]
async fn the_policy_and_the_history_are_kept() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}/password", caller.id_of(USER).await);
    let set = async |new: &str| caller.post(&resource, &json!({"NewPassword": new})).await;

    for (new, text) in [
        ("abc1", "Your password must be at least 8 characters long."),
        ("onlyletters", "Your password must have a mix of letters and numbers."),
        ("xUSER0001x", "Your password cannot equal or contain your user name"),
        ("Welcome-0001", "invalid repeated password"),
    ] {
        let refused = set(new).await;
        assert_eq!((refused.status.as_u16(), refused.code(), refused.message()), (400, "INVALID_NEW_PASSWORD", text));
    }
    for new in ["First-New-1", "Second-New-2"] {
        assert_eq!(set(new).await.status, 204);
    }
    assert_eq!(set("Welcome-0001").await.code(), "INVALID_NEW_PASSWORD");
    assert_eq!(set("Third-New-3").await.status, 204);
    assert_eq!(set("Welcome-0001").await.status, 204);
}

#[tokio::test]
async fn an_inactive_user_gets_no_password() {
    let simulator = simulator(10).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}/password", caller.id_of("user0010@acme.example").await);

    let set = caller.post(&resource, &json!({"NewPassword": "Brand-New-77"})).await;
    let reset = caller.delete(&resource).await;

    for refused in [set, reset] {
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "INACTIVE_OWNER_OR_USER"));
        assert_eq!(refused.message(), "password cannot be modified while the account is inactive");
    }
}

#[tokio::test]
async fn passwords_grow_old() {
    let simulator = simulator(1).await;
    simulator.advance(Duration::from_secs(90 * 86_400));
    let answer = by_password(&simulator, ADMIN, salesforce_sim::ADMIN_PASSWORD).await;
    let token = answer.json["access_token"].as_str().unwrap().to_owned();
    let caller = crate::client::Caller { http: crate::client::http(), base: simulator.http_url(), token };
    assert_eq!(caller.get("limits").await.code(), "INVALID_OPERATION_WITH_EXPIRED_PASSWORD");
}

#[tokio::test]
async fn a_day_old_rule_covers_administrators_too() {
    let mut org = OrgSeed::acme(1);
    org.password_policy.one_day_minimum = true;
    let simulator = with_org(org).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}/password", caller.id_of(USER).await);

    let too_soon = caller.post(&resource, &json!({"NewPassword": "Brand-New-77"})).await;
    simulator.advance(Duration::from_secs(86_400));
    let caller = admin(&simulator).await;
    let later = caller.post(&resource, &json!({"NewPassword": "Brand-New-77"})).await;

    assert_eq!((too_soon.code(), later.status.as_u16()), ("INVALID_NEW_PASSWORD", 204));
}
