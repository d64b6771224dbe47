//! Who is signed in to the console, and what a session is good for.

use postern_controller_stub::access::Role;
use reqwest::header::{CONTENT_SECURITY_POLICY, COOKIE, HeaderValue, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::access::token;
use crate::lab::Lab;

/// A browser, as far as the controller sees one.
struct Page {
    http: Client,
    url: String,
}

impl Page {
    fn of(lab: &Lab) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, url: lab.addresses().api_url }
    }

    async fn get(&self, path: &str, cookie: &str) -> Response {
        self.http.get(format!("{}{path}", self.url)).header(COOKIE, cookie).send().await.unwrap()
    }

    async fn post_from(&self, origin: &str, path: &str, cookie: &str, body: &Value) -> Response {
        let request = self.http.post(format!("{}{path}", self.url)).header(COOKIE, cookie).json(body);
        if origin.is_empty() { request } else { request.header(ORIGIN, origin) }.send().await.unwrap()
    }

    async fn sign_in(&self, token: &str) -> Response {
        self.post_from(&self.url, "/console/session", "", &json!({ "token": token })).await
    }

    /// Signs in, and returns the cookie as a browser sends it back.
    async fn session(&self, token: &str) -> String {
        let response = self.sign_in(token).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(response.text().await.unwrap(), "", "nothing that a script could read");
        cookie.split(';').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_session_does_what_its_token_may_until_somebody_signs_out() {
    let lab = Lab::start().await;
    let (page, viewer) = (Page::of(&lab), token(&lab, "vera", Role::Viewer).await);
    let cookie = page.session(&viewer).await;
    assert!(!cookie.contains(&viewer) && !lab.log().contains(&viewer));
    let me: Value = page.get("/v1/whoami", &cookie).await.json().await.unwrap();
    assert_eq!((&me["name"], &me["role"]), (&json!("vera"), &json!("viewer")));
    let refused = page.post_from(&page.url, "/v1/clusters", &cookie, &json!({ "name": "mine" })).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("the role administrator"), "{problem}");

    let delete = |origin: &str| {
        let request = page.http.delete(format!("{}/console/session", page.url)).header(COOKIE, &cookie);
        request.header(ORIGIN, origin).send()
    };
    assert_eq!(delete("http://127.0.0.1:1").await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(page.get("/v1/whoami", &cookie).await.status(), StatusCode::OK);
    let gone = delete(&page.url).await.unwrap();
    assert!(gone.headers()[SET_COOKIE].to_str().unwrap().starts_with("postern_session=; Path=/; Max-Age=0;"));
    assert_eq!(page.get("/v1/whoami", &cookie).await.status(), StatusCode::UNAUTHORIZED);
}

/// Give a caller in a session the end of its token instead, and whoever got at the cookie watches on.
#[tokio::test]
async fn what_is_watched_in_a_session_ends_when_somebody_signs_out() {
    let lab = Lab::start().await;
    let page = Page::of(&lab);
    let cookie = page.session(&token(&lab, "vera", Role::Viewer).await).await;
    let mut events = page.get("/v1/events", &cookie).await;
    assert!(events.chunk().await.unwrap().is_some(), "the first event");
    let request = page.http.delete(format!("{}/console/session", page.url)).header(COOKIE, &cookie);
    assert_eq!(request.header(ORIGIN, &page.url).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    // A heartbeat comes every quarter of a minute for as long as it goes on.
    let mut left = 2;
    while events.chunk().await.unwrap().is_some() {
        assert!(left > 0, "it goes on");
        left -= 1;
    }
}

/// Leave `check_origin` out and whatever stands on another port of this host can act for whoever is signed in here.
#[tokio::test]
async fn what_changes_something_in_a_session_comes_from_the_page_that_opened_it() {
    let lab = Lab::start().await;
    let page = Page::of(&lab);
    let token = token(&lab, "ada", Role::Administrator).await;
    let cookie = page.session(&token).await;
    let port = page.url.rsplit(':').next().unwrap().to_owned();
    let strange = ["", "null", "http://evil.example", "http://127.0.0.1:1", &format!("http://localhost:{port}")];
    for origin in strange {
        let refused = page.post_from(origin, "/v1/clusters", &cookie, &json!({ "name": "theirs" })).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "from {origin:?}");
        let signed_in = page.post_from(origin, "/console/session", "", &json!({ "token": token })).await;
        assert_eq!(signed_in.status(), StatusCode::FORBIDDEN, "from {origin:?}");
        assert!(!signed_in.headers().contains_key(SET_COOKIE), "from {origin:?}");
    }
    // Behind a proxy it would be the console's own, and whoever signs in there has a session of that page.
    let elsewhere = format!("https://127.0.0.1:{port}");
    let refused = page.post_from(&elsewhere, "/v1/clusters", &cookie, &json!({ "name": "theirs" })).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let done = page.post_from(&page.url, "/v1/clusters", &cookie, &json!({ "name": "ours" })).await;
    assert_eq!(done.status(), StatusCode::OK);
    let clusters = page.get("/v1/clusters", &cookie).await.text().await.unwrap();
    assert!(clusters.contains("ours") && !clusters.contains("theirs"), "{clusters}");
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_with_the_controller() {
    let mut lab = Lab::start().await;
    let page = Page::of(&lab);
    let cookie = page.session(&token(&lab, "was", Role::Operator).await).await;
    assert_eq!(page.get("/v1/status", &cookie).await.status(), StatusCode::OK);
    let _: Value = lab.client().delete("/v1/api-tokens/was").await.unwrap();
    assert_eq!(page.get("/v1/status", &cookie).await.status(), StatusCode::UNAUTHORIZED);

    let cookie = page.session(&token(&lab, "stays", Role::Operator).await).await;
    lab.terminate();
    lab.restart().await;
    assert_eq!(Page::of(&lab).get("/v1/status", &cookie).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoever_guesses_tokens_at_the_console_is_told_to_wait() {
    let lab = Lab::start_with(&["--api-failures-per-min", "5"]).await;
    let page = Page::of(&lab);
    let mut heard = 0;
    let refused = loop {
        let refused = page.sign_in("hunter2").await;
        if refused.status() != StatusCode::UNAUTHORIZED {
            break refused;
        }
        assert!(!refused.text().await.unwrap().contains("hunter2"));
        heard += 1;
        assert!(heard < 100, "each was heard");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(heard >= 5, "{heard}");
    page.session(&token(&lab, "good", Role::Viewer).await).await;
    assert!(!lab.log().contains("hunter2"));
}

#[tokio::test]
async fn bad_input_at_the_sign_in_names_its_field() {
    let lab = Lab::start().await;
    let page = Page::of(&lab);
    for (body, field) in
        [(json!({}), "token"), (json!({ "token": 7 }), "token"), (json!({ "token": "x", "colour": 1 }), "colour")]
    {
        let refused = page.post_from(&page.url, "/console/session", "", &body).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["field"], field, "{problem}");
    }
    let long = json!({ "token": "x".repeat(4096) });
    let refused = page.post_from(&page.url, "/console/session", "", &long).await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

/// The pages are there for everybody, and nothing but the controller's own files has a part in them.
#[tokio::test]
async fn pages_are_served_under_a_policy_that_lets_nothing_else_in() {
    let lab = Lab::start().await;
    let page = Page::of(&lab);
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                  form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
    for (path, media_type) in [
        ("/console/", "text/html; charset=utf-8"),
        ("/console/app.js", "text/javascript; charset=utf-8"),
        ("/console/style.css", "text/css; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        let response = page.get(path, "").await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers();
        assert_eq!(headers[CONTENT_SECURITY_POLICY], HeaderValue::from_str(policy).unwrap(), "{path}");
        for (name, value) in [
            ("content-type", media_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(headers[name], value, "{path}");
        }
    }
    let moved = page.get("/console", "").await;
    assert_eq!(
        (moved.status(), moved.headers()[LOCATION].to_str().unwrap()),
        (StatusCode::PERMANENT_REDIRECT, "/console/")
    );
    let begun = page.get("/", "").await;
    assert_eq!(
        (begun.status(), begun.headers()[LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/console/"),
        "the address of the API, typed into a browser"
    );
    for path in ["/console/nothing.js", "/console/..%2fapi.token", "/console/%2e%2e/api.token", "/console/a/b"] {
        let status = page.get(path, "").await.status();
        assert!(status == StatusCode::NOT_FOUND || status == StatusCode::UNAUTHORIZED, "{path}: {status}");
    }
}
