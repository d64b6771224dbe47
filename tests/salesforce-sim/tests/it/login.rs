//! SOAP login: trusted ranges, tokens, lock-outs, expired passwords, LoginHistory.

use std::time::Duration;

use salesforce_sim::{ADMIN, ADMIN_PASSWORD, ADMIN_TOKEN, OrgSeed, Secret, Simulator, Switches, UserSeed};

use crate::client::{Answer, admin, http, simulator, with_org};

async fn soap(simulator: &Simulator, path: &str, urn: &str, username: &str, password: &str) -> Answer {
    let envelope = format!(
        "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:u=\"urn:{urn}\">\
         <e:Body><u:login><u:username>{username}</u:username><u:password>{password}</u:password></u:login></e:Body>\
         </e:Envelope>"
    );
    let url = format!("{}/services/Soap/{path}", simulator.http_url());
    Answer::of(http().post(url).header("soapaction", "\"\"").header("content-type", "text/xml").body(envelope)).await
}

async fn partner(simulator: &Simulator, username: &str, password: &str) -> Answer {
    soap(simulator, "u/64.0", "partner.soap.sforce.com", username, password).await
}

fn outside() -> Switches {
    Switches { source_ip: Some("203.0.113.7".to_owned()), ..Switches::default() }
}

#[tokio::test]
async fn a_login_gives_a_session_that_works_over_rest() {
    let simulator = simulator(0).await;

    let answer = partner(&simulator, ADMIN, ADMIN_PASSWORD).await;

    assert_eq!(answer.status, 200);
    let session = answer.text.split("<sessionId>").nth(1).unwrap().split('<').next().unwrap();
    assert!(answer.text.contains("<passwordExpired>false</passwordExpired><sandbox>false</sandbox><serverUrl>http://"));
    assert!(answer.text.contains("<sessionSecondsValid>7200</sessionSecondsValid>"));
    let url = format!("{}/services/data/v66.0/limits", simulator.http_url());
    assert_eq!(http().get(url).bearer_auth(session).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn enterprise_and_partner_do_not_mix() {
    let simulator = simulator(0).await;
    let enterprise = "enterprise.soap.sforce.com";
    assert_eq!(soap(&simulator, "c/64.0", enterprise, ADMIN, ADMIN_PASSWORD).await.status, 200);
    assert_eq!(soap(&simulator, "u/64.0", enterprise, ADMIN, ADMIN_PASSWORD).await.status, 500);
}

#[tokio::test]
async fn faults_have_their_published_shape() {
    let simulator = simulator(0).await;

    let answer = partner(&simulator, ADMIN, "wrong").await;

    assert_eq!(answer.status, 500);
    assert!(answer.text.contains(
        "<faultcode>sf:INVALID_LOGIN</faultcode><faultstring>INVALID_LOGIN: Invalid username, password, security \
         token; or user locked out.</faultstring><detail><sf:LoginFault xsi:type=\"sf:LoginFault\">\
         <sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>"
    ));
}

#[tokio::test]
async fn outside_the_trusted_ranges_only_password_with_token_works() {
    let simulator = simulator(0).await;
    simulator.switch(&outside()).unwrap();

    let bare = partner(&simulator, ADMIN, ADMIN_PASSWORD).await;
    let with_token = partner(&simulator, ADMIN, &format!("{ADMIN_PASSWORD}{ADMIN_TOKEN}")).await;

    assert!(bare.text.contains("<sf:exceptionCode>LOGIN_MUST_USE_SECURITY_TOKEN</sf:exceptionCode>"));
    assert!(bare.text.contains("Are you at a new location?"));
    assert_eq!(with_token.status, 200);
}

#[tokio::test]
async fn every_attempt_is_in_the_login_history() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    partner(&simulator, "user0001@acme.example", "wrong").await;
    simulator.switch(&outside()).unwrap();
    partner(&simulator, "user0001@acme.example", "Welcome-0001").await;

    let id = caller.id_of("user0001@acme.example").await;
    let soql = format!("SELECT Status, SourceIp FROM LoginHistory WHERE UserId = '{id}' ORDER BY LoginTime, Id");
    let rows = caller.query(&soql).await.json["records"].clone();

    assert_eq!(rows[0]["Status"], "Invalid Password");
    assert_eq!(rows[0]["SourceIp"], "127.0.0.1");
    assert_eq!(rows[1]["Status"], "Failed: API security token required");
    assert_eq!(rows[1]["SourceIp"], "203.0.113.7");
    assert_eq!(simulator.user("user0001@acme.example").unwrap().effects.failed_logins, 2);
}

#[tokio::test]
async fn ten_wrong_passwords_lock_a_user_out_for_a_while() {
    let simulator = simulator(1).await;
    for _ in 0..10 {
        partner(&simulator, "user0001@acme.example", "wrong").await;
    }

    let locked = partner(&simulator, "user0001@acme.example", "Welcome-0001").await;
    let was_locked = simulator.user("user0001@acme.example").unwrap().locked;
    simulator.advance(Duration::from_secs(15 * 60));
    let later = partner(&simulator, "user0001@acme.example", "Welcome-0001").await;

    assert!(locked.text.contains("INVALID_LOGIN") && was_locked);
    assert_eq!(later.status, 200);
}

#[tokio::test]
async fn an_administrator_unlocks_through_user_login() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    for _ in 0..10 {
        partner(&simulator, "user0001@acme.example", "wrong").await;
    }
    let id = caller.id_of("user0001@acme.example").await;
    let soql = format!("SELECT Id, IsPasswordLocked FROM UserLogin WHERE UserId = '{id}'");
    let row = caller.query(&soql).await.json["records"][0].clone();
    let resource = format!("sobjects/UserLogin/{}", row["Id"].as_str().unwrap());

    let unlocked = caller.patch(&resource, &serde_json::json!({"IsPasswordLocked": false})).await;
    let relocked = caller.patch(&resource, &serde_json::json!({"IsPasswordLocked": true})).await;

    assert_eq!(row["IsPasswordLocked"], true);
    assert_eq!(unlocked.status, 204);
    assert_eq!(relocked.code(), "CANNOT_PASSWORD_LOCKOUT");
    assert_eq!(partner(&simulator, "user0001@acme.example", "Welcome-0001").await.status, 200);
}

#[tokio::test]
async fn an_expired_password_still_logs_in_but_may_only_be_changed() {
    let mut org = OrgSeed::acme(0);
    org.users.push(UserSeed {
        username: "late@acme.example".to_owned(),
        password: Some(Secret::from("Old-Enough-1")),
        password_expired: true,
        ..UserSeed::default()
    });
    let simulator = with_org(org).await;

    let answer = partner(&simulator, "late@acme.example", "Old-Enough-1").await;
    let session = answer.text.split("<sessionId>").nth(1).unwrap().split('<').next().unwrap();
    let caller = crate::client::Caller { http: http(), base: simulator.http_url(), token: session.to_owned() };
    let refused = caller.get("limits").await;
    let id = simulator.user("late@acme.example").unwrap().id;
    let resource = format!("sobjects/User/{id}/password");
    let changed = caller.post(&resource, &serde_json::json!({"NewPassword": "Brand-New-2"})).await;

    assert!(answer.text.contains("<passwordExpired>true</passwordExpired>"));
    assert_eq!(refused.code(), "INVALID_OPERATION_WITH_EXPIRED_PASSWORD");
    assert_eq!(changed.status, 204);
    assert_eq!(caller.get("limits").await.status, 200);
}

#[tokio::test]
async fn login_is_gone_from_version_65_on_and_before_31() {
    let simulator = simulator(0).await;
    for version in ["u/65.0", "u/30.0"] {
        let answer = soap(&simulator, version, "partner.soap.sforce.com", ADMIN, ADMIN_PASSWORD).await;
        assert_eq!(answer.status, 500, "{version}");
        assert!(answer.text.contains("UNSUPPORTED_API_VERSION"), "{version}");
    }
}

#[tokio::test]
async fn a_session_dies_of_idleness_and_a_call_keeps_it_alive() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;

    simulator.advance(Duration::from_secs(7_199));
    let alive = caller.get("limits").await;
    simulator.advance(Duration::from_secs(7_199));
    let still_alive = caller.get("limits").await;
    simulator.advance(Duration::from_secs(7_200));
    let dead = caller.get("limits").await;

    assert_eq!((alive.status.as_u16(), still_alive.status.as_u16(), dead.status.as_u16()), (200, 200, 401));
    assert_eq!((dead.code(), dead.message()), ("INVALID_SESSION_ID", "Session expired or invalid"));
}

#[tokio::test]
async fn login_ranges_of_a_profile_forbid_and_need_no_token() {
    let mut org = OrgSeed::acme(1);
    org.trusted_ranges.clear();
    org.profiles[1].login_ranges = vec!["198.51.100.0/24".to_owned()];
    let simulator = with_org(org).await;
    let from = |address: &str| Switches { source_ip: Some(address.to_owned()), ..Switches::default() };

    simulator.switch(&from("203.0.113.7")).unwrap();
    let outside = partner(&simulator, "user0001@acme.example", "Welcome-0001").await;
    simulator.switch(&from("198.51.100.9")).unwrap();
    let inside = partner(&simulator, "user0001@acme.example", "Welcome-0001").await;

    assert!(outside.text.contains("<sf:exceptionCode>LOGIN_DURING_RESTRICTED_DOMAIN</sf:exceptionCode>"));
    assert_eq!(inside.status, 200);
}
