//! The four grants, and what each refuses.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use salesforce_sim::{ADMIN, ADMIN_PASSWORD, CONSUMER_KEY, CONSUMER_SECRET, OrgSeed, RefreshSeed, Simulator, Switches};
use serde_json::json;

use crate::client::{Answer, admin, by_password, caller, http, simulator, token, with_org};

const CERTIFICATE: &str = include_str!("test-only.crt.pem");
const KEY: &str = include_str!("test-only.key.pem");

fn org_with_certificate() -> OrgSeed {
    let mut org = OrgSeed::acme(2);
    org.apps[0].certificate = Some(CERTIFICATE.to_owned());
    org
}

fn assertion(issuer: &str, subject: &str, audience: &str, seconds_ahead: i64) -> String {
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let part = |json: serde_json::Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let claims = json!({"iss": issuer, "sub": subject, "aud": audience, "exp": now + seconds_ahead});
    let signed = format!("{}.{}", part(json!({"alg": "RS256"})), part(claims));
    let key = RsaKeyPair::from_pkcs8(PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap().secret_pkcs8_der());
    let key = key.unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

async fn by_assertion(simulator: &Simulator, assertion: &str) -> Answer {
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    token(simulator, &[("grant_type", grant), ("assertion", assertion)]).await
}

fn description(answer: &Answer) -> (u16, &str, &str) {
    let text = |name: &str| answer.json[name].as_str().unwrap_or_default();
    (answer.status.as_u16(), text("error"), text("error_description"))
}

#[tokio::test]
async fn a_signed_assertion_logs_in() {
    let simulator = with_org(org_with_certificate()).await;
    let audience = "https://login.salesforce.com";

    let answer = by_assertion(&simulator, &assertion(CONSUMER_KEY, ADMIN, audience, 180)).await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json["token_type"], "Bearer");
    assert!(answer.json["issued_at"].is_string() && answer.json.get("refresh_token").is_none());
    assert_eq!(answer.json["instance_url"], simulator.http_url());
}

/// A sandbox has a login host of its own, and takes no assertion that is meant for the other.
#[tokio::test]
async fn an_assertion_is_for_the_login_host_of_the_orgs_kind() {
    for sandbox in [false, true] {
        let simulator = with_org(OrgSeed { sandbox, ..org_with_certificate() }).await;
        for (audience, of_sandboxes) in
            [("https://login.salesforce.com", false), ("https://test.salesforce.com/", true)]
        {
            let answer = by_assertion(&simulator, &assertion(CONSUMER_KEY, ADMIN, audience, 180)).await;
            let status = if sandbox == of_sandboxes { 200 } else { 400 };
            assert_eq!(answer.status, status, "{audience}: {}", answer.text);
        }
        let audience = simulator.http_url();
        let answer = by_assertion(&simulator, &assertion(CONSUMER_KEY, ADMIN, &audience, 180)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

#[tokio::test]
async fn an_assertion_is_refused_for_its_true_reason() {
    let mut org = org_with_certificate();
    org.apps[0].approved = Some(vec![ADMIN.to_owned()]);
    let simulator = with_org(org).await;
    let good = "https://login.salesforce.com";

    let stranger = by_assertion(&simulator, &assertion("nobody", ADMIN, good, 180)).await;
    let unapproved = by_assertion(&simulator, &assertion(CONSUMER_KEY, "user0001@acme.example", good, 180)).await;
    let audience = by_assertion(&simulator, &assertion(CONSUMER_KEY, ADMIN, "https://evil.example", 180)).await;
    let old = by_assertion(&simulator, &assertion(CONSUMER_KEY, ADMIN, good, -1)).await;
    let mut forged = assertion(CONSUMER_KEY, ADMIN, good, 180);
    let place = forged.len() - 8..forged.len() - 7;
    let flipped = if &forged[place.clone()] == "A" { "B" } else { "A" };
    forged.replace_range(place, flipped);
    let forged = by_assertion(&simulator, &forged).await;

    assert_eq!(description(&stranger), (400, "invalid_client_id", "client identifier invalid"));
    assert_eq!(description(&unapproved), (400, "invalid_grant", "user hasn't approved this consumer"));
    assert_eq!(description(&audience), (400, "invalid_grant", "Audience validation failed"));
    assert_eq!(description(&old), (400, "invalid_grant", "invalid assertion"));
    assert_eq!(description(&forged), (400, "invalid_grant", "invalid assertion"));
}

#[tokio::test]
async fn client_credentials_run_as_their_user_and_not_on_the_login_host() {
    let simulator = simulator(0).await;
    let url = format!("{}/services/oauth2/token", simulator.http_url());
    let basic = format!("Basic {}", BASE64.encode(format!("{CONSUMER_KEY}:{CONSUMER_SECRET}").as_bytes()));
    let request = || {
        let it = http().post(&url).header("authorization", &basic);
        it.header("content-type", "application/x-www-form-urlencoded").body("grant_type=client_credentials")
    };

    let granted = Answer::of(request()).await;
    let refused = Answer::of(request().header("host", "login.salesforce.com")).await;

    assert!(granted.json["id"].as_str().unwrap().ends_with(&simulator.user(ADMIN).unwrap().id));
    assert_eq!(description(&refused), (400, "invalid_grant", "request not supported on this domain"));
}

#[tokio::test]
async fn a_refresh_token_gives_new_sessions_until_it_is_revoked() {
    let mut org = OrgSeed::acme(0);
    org.apps[0].refresh_tokens = vec![RefreshSeed { token: "5Aep-refresh".into(), username: ADMIN.to_owned() }];
    let simulator = with_org(org).await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", CONSUMER_KEY),
        ("client_secret", CONSUMER_SECRET),
        ("refresh_token", "5Aep-refresh"),
    ];

    let first = token(&simulator, &form).await;
    let url = format!("{}/services/oauth2/revoke?token=5Aep-refresh", simulator.http_url());
    let revoked = http().post(url).send().await.unwrap().status();
    let second = token(&simulator, &form).await;

    assert!(first.json["access_token"].is_string() && revoked == 200);
    assert_eq!(description(&second), (400, "invalid_grant", "expired access/refresh token"));
}

#[tokio::test]
async fn the_password_grant_says_as_little_as_the_real_one() {
    let mut org = OrgSeed::acme(1);
    let mut closed = org.apps[0].clone();
    closed.consumer_key = "closed".to_owned();
    closed.password_flow = false;
    org.apps.push(closed);
    let simulator = with_org(org).await;
    let failure = (400, "invalid_grant", "authentication failure");

    assert_eq!(description(&by_password(&simulator, ADMIN, "wrong").await), failure);
    assert_eq!(description(&by_password(&simulator, "nobody@acme.example", "x").await), failure);
    let form = [
        ("grant_type", "password"),
        ("client_id", "closed"),
        ("client_secret", CONSUMER_SECRET),
        ("username", ADMIN),
        ("password", ADMIN_PASSWORD),
    ];
    assert_eq!(description(&token(&simulator, &form).await), failure);
    let outside = Switches { source_ip: Some("203.0.113.7".to_owned()), ..Switches::default() };
    simulator.switch(&outside).unwrap();
    assert_eq!(description(&by_password(&simulator, ADMIN, ADMIN_PASSWORD).await), failure);
}

#[tokio::test]
async fn other_mistakes_have_their_own_error() {
    let simulator = simulator(0).await;
    let typo = token(&simulator, &[("grant_type", "pasword")]).await;
    let form = [("grant_type", "client_credentials"), ("client_id", CONSUMER_KEY), ("client_secret", "wrong")];
    let secret = token(&simulator, &form).await;
    assert_eq!(description(&typo), (400, "unsupported_grant_type", "grant type not supported"));
    assert_eq!(description(&secret), (400, "invalid_client", "invalid client credentials"));
}

#[tokio::test]
async fn a_token_tells_whose_it_is() {
    let simulator = simulator(1).await;
    let caller = caller(&simulator, "user0001@acme.example", "Welcome-0001").await;
    let who = caller.get("/services/oauth2/userinfo").await;
    let nobody = Answer::of(http().get(format!("{}/services/oauth2/userinfo", simulator.http_url()))).await;
    assert_eq!(who.json["preferred_username"], "user0001@acme.example");
    assert_eq!((nobody.status.as_u16(), nobody.text.as_str()), (403, "Bad_OAuth_Token"));
}

#[tokio::test]
async fn a_session_ends_with_its_user() {
    let simulator = simulator(1).await;
    let admin = admin(&simulator).await;
    let user = caller(&simulator, "user0001@acme.example", "Welcome-0001").await;
    let id = admin.id_of("user0001@acme.example").await;

    admin.patch(&format!("sobjects/User/{id}"), &json!({"IsActive": false})).await;
    admin.patch(&format!("sobjects/User/{id}"), &json!({"IsActive": true})).await;

    assert_eq!(user.get("limits").await.status, 401);
}
