//! Who may use the API, and how callers are told apart.

use futures_util::future::join_all;
use postern_controller_stub::access::Role;
use postern_controller_stub::api::{Permission, permissions};
use postern_protocol::Outcome;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::lab::{Lab, new_task};
use crate::member::{succeeded, with_sealed_output};

/// Calls the API without anything that the product's client does.
pub(crate) struct Caller {
    http: reqwest::Client,
    url: String,
}

impl Caller {
    pub(crate) fn of(lab: &Lab) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: reqwest::Client::builder().no_proxy().build().unwrap(), url: lab.addresses().api_url }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.url))
    }

    pub(crate) async fn call(&self, method: &str, path: &str, token: &str) -> (StatusCode, Value) {
        let response = self.request(method, path).bearer_auth(token).send().await.unwrap();
        let status = response.status();
        // Events go on for ever.
        let is_json = response.headers()[CONTENT_TYPE].to_str().unwrap().ends_with("json");
        (status, if is_json { response.json().await.unwrap() } else { Value::Null })
    }
}

fn administrators(lab: &Lab) -> String {
    std::fs::read_to_string(lab.data_dir().join("api.token")).unwrap().trim().to_owned()
}

pub(crate) async fn token(lab: &Lab, name: &str, role: Role) -> String {
    let body = json!({ "name": name, "role": role });
    let made: Value = lab.client().post("/v1/api-tokens", &body).await.unwrap();
    made["token"].as_str().unwrap().to_owned()
}

/// A path with something in each place that nothing is called.
pub(crate) fn filled(it: &Permission) -> String {
    it.path
        .replace("{cluster}", "nowhere")
        .replace("{system}", "nowhere")
        .replace("{token}", "nobody")
        .replace("{member}", "mbr_00000000000000000000000000000000")
        .replace("{task}", "tsk_00000000000000000000000000000000")
}

/// Lower the role of a route and [`what_each_role_adds_to_the_one_below_it`] fails; leave out the comparison in `guard` and the rest does.
#[tokio::test]
async fn every_route_asks_for_its_role_and_for_a_token_that_is_good() {
    let lab = Lab::start().await;
    let caller = Caller::of(&lab);
    let roles = [
        (Role::Viewer, token(&lab, "looks", Role::Viewer).await),
        (Role::Operator, token(&lab, "works", Role::Operator).await),
        (Role::Administrator, administrators(&lab)),
    ];
    let revoked = token(&lab, "was", Role::Administrator).await;
    let _: Value = lab.client().delete("/v1/api-tokens/was").await.unwrap();
    let short = json!({ "name": "short", "role": "administrator", "expires_secs": 1 });
    let expired: Value = lab.client().post("/v1/api-tokens", &short).await.unwrap();
    let expired = expired["token"].as_str().unwrap();
    lab.wait_for("the token to run out", async || {
        let tokens: Vec<Value> = lab.client().list("/v1/api-tokens", usize::MAX).await.unwrap();
        tokens.iter().any(|it| it["name"] == "short" && it["expired"] == true).then_some(())
    })
    .await;
    let wrong = format!("{}0000", &roles[2].1[..roles[2].1.len() - 4]);

    for it in permissions() {
        let path = filled(&it);
        for (what, bad) in [("wrong", wrong.as_str()), ("no", ""), ("revoked", &revoked), ("expired", expired)] {
            let (status, problem) = caller.call(it.method, &path, bad).await;
            // What is too much of it is told to wait, and gets as little.
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
            assert!(refused.contains(&status), "{} {path} with a token that is {what}: {status} {problem}", it.method);
        }
        for (role, token) in &roles {
            let (status, problem) = caller.call(it.method, &path, token).await;
            let what = format!("{} {path} as {role}: {status} {problem}", it.method);
            assert_eq!(status == StatusCode::FORBIDDEN, *role < it.least, "{what}");
            assert!(![StatusCode::UNAUTHORIZED, StatusCode::METHOD_NOT_ALLOWED].contains(&status), "{what}");
            if *role < it.least {
                let detail = problem["detail"].as_str().unwrap();
                assert!(detail.contains(&format!("the role {}", it.least)), "{what}");
                assert!(detail.contains(&format!("has {role}")), "{what}");
            }
        }
    }
}

/// The decisions themselves, so that none changes unseen.
#[test]
fn what_each_role_adds_to_the_one_below_it() {
    let of = |role: Role| permissions().into_iter().filter(|it| it.least == role).map(|it| it.act).collect::<Vec<_>>();
    assert_eq!(
        of(Role::Operator),
        [
            "member.enable",
            "member.drain",
            "member.disable",
            "system.log_level",
            "task.submit",
            "task.cancel",
            "task.reseal",
            "task.results",
            "task.records",
            "stream.upload"
        ]
    );
    assert_eq!(
        of(Role::Administrator),
        [
            "ca.rotate",
            "cluster.create",
            "enrollment_token.create",
            "member.remove",
            "member.approve",
            "member.accept",
            "member.revoke",
            "outbox.hand_in",
            "system.add",
            "system.edit",
            "system.remove",
            "system.associate",
            "audit.show",
            "api_token.list",
            "api_token.create",
            "api_token.revoke"
        ]
    );
    assert!(permissions().iter().filter(|it| it.least == Role::Viewer).all(|it| it.method == "GET"));
}

#[test]
fn the_documentation_names_every_act() {
    let document = include_str!("../../../docs/audit.md");
    for it in permissions().into_iter().filter(|it| it.method != "GET") {
        assert!(document.contains(&format!("`{}`", it.act)), "docs/audit.md does not name `{}`", it.act);
    }
}

#[tokio::test]
async fn a_viewer_sees_a_task_without_what_is_sealed() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let id = lab.submit("enable_user", "a").await;
    let offer = session.offer().await;
    session.send(with_sealed_output(succeeded(1, &offer))).await;
    assert_eq!(lab.finished(id).await.outcome, Some(Outcome::Succeeded));
    let caller = Caller::of(&lab);
    let (viewer, operator) = (token(&lab, "v", Role::Viewer).await, token(&lab, "o", Role::Operator).await);
    for path in [format!("/v1/tasks/{id}"), format!("/v1/tasks/{id}/wait"), "/v1/tasks".to_owned()] {
        let (_, seen) = caller.call("GET", &path, &viewer).await;
        let (_, all) = caller.call("GET", &path, &operator).await;
        assert!(all.to_string().contains("\"sealed\""), "{all}");
        assert!(seen.to_string().contains("succeeded"), "{seen}");
        assert!(!seen.to_string().contains("\"sealed\""), "{seen}");
    }
}

/// Leave out the `select!` in `auth::check` and the wait goes on for half a minute.
#[tokio::test]
async fn a_token_that_is_revoked_is_worth_nothing_at_once_and_what_it_waits_for_ends() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    let id = lab.submit("enable_user", "a").await;
    let (caller, token) = (Caller::of(&lab), token(&lab, "ci", Role::Operator).await);
    let path = format!("/v1/tasks/{id}/wait?secs=50");
    let waiting = caller.call("GET", &path, &token);
    let revoking = async {
        lab.wait_for("the token to be used", async || {
            let tokens: Vec<Value> = lab.client().list("/v1/api-tokens", usize::MAX).await.unwrap();
            tokens.iter().any(|it| it["name"] == "ci" && !it["last_used"].is_null()).then_some(())
        })
        .await;
        let gone: Value = lab.client().delete("/v1/api-tokens/ci").await.unwrap();
        assert_eq!(gone["name"], "ci");
    };
    let ((status, problem), ()) = tokio::join!(waiting, revoking);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(problem["detail"].as_str().unwrap().contains("revoked"), "{problem}");
    let (status, _) = caller.call("GET", "/v1/status", &token).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn tokens_and_their_revocation_outlive_the_controller() {
    let mut lab = Lab::start().await;
    let (kept, gone) = (token(&lab, "kept", Role::Viewer).await, token(&lab, "gone", Role::Viewer).await);
    let _: Value = lab.client().delete("/v1/api-tokens/gone").await.unwrap();
    lab.kill();
    lab.restart().await;
    let caller = Caller::of(&lab);
    assert_eq!(caller.call("GET", "/v1/status", &kept).await.0, StatusCode::OK);
    assert_eq!(caller.call("GET", "/v1/status", &gone).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_first_administrators_token_is_made_anew_when_asked_for_and_can_be_done_without() {
    let mut lab = Lab::start().await;
    let (first, file) = (administrators(&lab), lab.data_dir().join("api.token"));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let (code, _, err) = lab.command(&["api-token", "revoke", "bootstrap"]);
    assert_eq!(code, Some(77));
    assert!(err.contains("last administrator"), "{err}");

    lab.terminate();
    lab.restart().await;
    assert_eq!(administrators(&lab), first, "a start alone changes nothing");
    lab.terminate();
    std::fs::remove_file(&file).unwrap();
    lab.restart().await;
    let second = administrators(&lab);
    let caller = Caller::of(&lab);
    assert_eq!(caller.call("GET", "/v1/api-tokens", &first).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(caller.call("GET", "/v1/api-tokens", &second).await.0, StatusCode::OK);

    // As if the process had died behind the file, and before the ledger knew of it.
    lab.terminate();
    lab.private_file("data/api.token", &first);
    lab.restart().await;
    let second = administrators(&lab);
    assert_eq!(Caller::of(&lab).call("GET", "/v1/api-tokens", &second).await.0, StatusCode::OK);

    let ops = token(&lab, "ops", Role::Administrator).await;
    let (code, _, err) = lab.command(&["api-token", "revoke", "bootstrap"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "a token may revoke itself and hear of it");
    assert!(!file.exists());
    lab.terminate();
    lab.restart().await;
    assert!(!file.exists(), "others administrate: nobody needs it");
    let caller = Caller::of(&lab);
    assert_eq!(caller.call("GET", "/v1/api-tokens", &second).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(caller.call("GET", "/v1/api-tokens", &ops).await.0, StatusCode::OK);
    let (code, _, err) = lab.command(&["status"]);
    assert_eq!(code, Some(78));
    assert!(err.contains("--api-token-file"), "{err}");

    // Whoever lost every token and has the host asks with an empty file.
    lab.terminate();
    lab.private_file("data/api.token", "");
    lab.restart().await;
    let third = administrators(&lab);
    assert_eq!(Caller::of(&lab).call("GET", "/v1/api-tokens", &third).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_commands_use_the_token_they_are_given() {
    let lab = Lab::start().await;
    let (code, out, err) =
        lab.command(&["api-token", "create", "--name", "looks", "--role", "viewer", "--expires", "90d"]);
    assert_eq!(code, Some(0), "{err}");
    let file = lab.private_file("looks.token", &out);
    let file = file.to_str().unwrap();
    assert_eq!(lab.command(&["status", "--api-token-file", file]).0, Some(0));
    assert!(!lab.command(&["status"]).1.contains("look at API tokens"), "in 90 days");
    let created = lab.command(&["api-token", "create", "--name", "ci", "--role", "operator", "--expires", "13d"]);
    assert_eq!(created.0, Some(0), "{created:?}");
    let (_, out, _) = lab.command(&["status"]);
    assert!(out.contains("look at API tokens") && out.contains("the next one runs out"), "{out}");
    let (code, _, err) = lab.command(&["cluster", "create", "acme", "--api-token-file", file]);
    assert_eq!(code, Some(77));
    assert!(err.contains("the role administrator, and `looks` has viewer"), "{err}");
    let (code, out, _) = lab.command(&["api-token", "list"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("looks") && out.contains("viewer") && out.contains("bootstrap"), "{out}");
    let (code, _, err) = lab.command(&["api-token", "create", "--name", "looks", "--role", "viewer"]);
    assert_eq!(code, Some(77));
    assert!(err.contains("already"), "{err}");
    assert_eq!(
        lab.command(&["api-token", "create", "--name", "x", "--role", "viewer", "--expires", "soon"]).0,
        Some(2)
    );
}

#[tokio::test]
async fn every_answer_says_how_it_is_to_be_taken() {
    let lab = Lab::start().await;
    let (caller, token) = (Caller::of(&lab), administrators(&lab));
    let answers: [Response; 4] = [
        caller.request("GET", "/v1/status").bearer_auth(&token).send().await.unwrap(),
        caller.request("GET", "/v1/status").send().await.unwrap(),
        caller.request("GET", "/nowhere").bearer_auth(&token).send().await.unwrap(),
        caller.request("PUT", "/v1/status").bearer_auth(&token).send().await.unwrap(),
    ];
    let statuses = answers.iter().map(|it| it.status().as_u16()).collect::<Vec<_>>();
    assert_eq!(statuses, [200, 401, 404, 405]);
    for answer in answers {
        let headers: &HeaderMap = answer.headers();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers.get(name), Some(&HeaderValue::from_static(value)), "{name}");
        }
        assert!(!headers.contains_key("server") && !headers.contains_key("access-control-allow-origin"));
    }
}

/// Leave out the look at `Host` and a page whose name leads to the loopback can call the API.
#[tokio::test]
async fn no_page_of_a_browser_gets_at_the_api() {
    let lab = Lab::start_with(&["--api-name", "api.example.com"]).await;
    let (caller, token) = (Caller::of(&lab), administrators(&lab));
    let with = async |name, value: &str| {
        caller.request("GET", "/v1/status").bearer_auth(&token).header(name, value).send().await.unwrap().status()
    };
    assert_eq!(with(HOST, "evil.example").await, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(with(HOST, "api.example.com").await, StatusCode::OK);
    assert_eq!(with(HOST, "localhost:1").await, StatusCode::OK);
    assert_eq!(with(ORIGIN, "http://127.0.0.1").await, StatusCode::FORBIDDEN);
    assert_eq!(with(ORIGIN, "null").await, StatusCode::FORBIDDEN);
    let asked = caller.request("OPTIONS", "/v1/tasks").header(ORIGIN, "https://evil.example").send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_body_says_what_it_is() {
    let lab = Lab::start().await;
    let (caller, token) = (Caller::of(&lab), administrators(&lab));
    let with = async |path: &str, media_type: &'static str| {
        let request = caller.request("POST", path).bearer_auth(&token).header(CONTENT_TYPE, media_type);
        request.body(r#"{"name": "acme"}"#).send().await.unwrap().status()
    };
    assert_eq!(with("/v1/clusters", "text/plain").await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(with("/v1/clusters", "application/x-www-form-urlencoded").await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(with("/v1/clusters", "application/json; charset=utf-8").await, StatusCode::OK);
    assert_eq!(with("/v1/streams", "application/json").await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

/// Let the address's count stand before the token and the last two lines fail: a flood of wrong tokens on the loopback
/// would shut everybody out.
#[tokio::test]
async fn a_flood_without_a_good_token_is_told_to_wait_and_shuts_nobody_out() {
    let lab = Lab::start_with(&["--api-failures-per-min", "5"]).await;
    let (caller, token) = (Caller::of(&lab), administrators(&lab));
    let mut heard = 0;
    let answer = loop {
        let wrong = caller.request("GET", "/v1/status").header(AUTHORIZATION, "Bearer wrong");
        let answer = wrong.send().await.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        heard += 1;
        assert!(heard < 100, "each was heard");
    };
    assert!(heard >= 5, "{heard}");
    let wait: u64 = answer.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(caller.call("GET", "/v1/status", &token).await.0, StatusCode::OK);
    assert_eq!(lab.log().matches("without a token that is good").count(), heard, "and the log does not grow with it");
}

#[tokio::test]
async fn a_token_that_calls_too_often_is_told_to_wait_and_others_go_on() {
    let lab = Lab::start_with(&["--api-calls-per-sec", "10"]).await;
    let (caller, other) = (Caller::of(&lab), token(&lab, "other", Role::Viewer).await);
    let mine = administrators(&lab);
    let mut limited = None;
    for _ in 0..20 {
        // At once, so that few are made up for however slow it all is.
        let answers = join_all((0..64).map(|_| caller.call("GET", "/v1/clusters", &mine))).await;
        limited = answers.into_iter().find(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS);
        if limited.is_some() {
            break;
        }
    }
    let (_, limited) = limited.expect("a thousand calls");
    assert!(limited["retry_after"].as_u64().unwrap() >= 1, "{limited}");
    assert_eq!(caller.call("GET", "/v1/clusters", &other).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_submission_needs_an_operator() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    let caller = Caller::of(&lab);
    let body = json!({ "id": new_task(), "system": "sf", "kind": "test_connection" });
    for (name, role, status) in
        [("v", Role::Viewer, StatusCode::FORBIDDEN), ("o", Role::Operator, StatusCode::ACCEPTED)]
    {
        let token = token(&lab, name, role).await;
        let answer = caller.request("POST", "/v1/tasks").bearer_auth(token).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
}
