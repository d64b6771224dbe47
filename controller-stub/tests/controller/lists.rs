//! Lists in pages.

use postern_controller_stub::access::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::access::{Caller, token};
use crate::lab::Lab;

/// Every list of the API.
const LISTS: [&str; 5] = ["/v1/clusters", "/v1/members", "/v1/systems", "/v1/tasks", "/v1/api-tokens"];

/// The names or ids of a list, read in pages of so many.
async fn read(caller: &Caller, path: &str, token: &str, limit: usize) -> Vec<String> {
    let mark = if path.contains('?') { '&' } else { '?' };
    let mut names = Vec::new();
    let mut behind = String::new();
    loop {
        let (status, page) = caller.call("GET", &format!("{path}{mark}limit={limit}{behind}"), token).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        let name = |it: &Value| it.get("id").unwrap_or(&it["name"]).as_str().unwrap().to_owned();
        names.extend(items.iter().map(name));
        let Some(next) = page["next"].as_str() else { return names };
        behind = format!("&cursor={next}");
    }
}

async fn full() -> (Lab, String) {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    for name in ["a", "b", "c"] {
        let _: Value = lab.client().post("/v1/clusters", &json!({ "name": name })).await.unwrap();
        let body = json!({ "name": name, "association": "acme" });
        let _: Value = lab.client().post("/v1/systems", &body).await.unwrap();
        token(&lab, name, Role::Viewer).await;
    }
    lab.add_system().await;
    for account in ["a", "b", "c", "d", "e"] {
        lab.submit("enable_user", account).await;
    }
    let token = std::fs::read_to_string(lab.data_dir().join("api.token")).unwrap().trim().to_owned();
    (lab, token)
}

#[tokio::test]
async fn every_list_is_the_same_whatever_its_pages() {
    let (lab, token) = full().await;
    let caller = Caller::of(&lab);
    let filtered = ["/v1/members?cluster=acme", "/v1/tasks?system=sf&state=queued"];
    for path in LISTS.into_iter().chain(filtered) {
        let whole = read(&caller, path, &token, 200).await;
        assert!(!whole.is_empty(), "{path}");
        for limit in [1, 2, whole.len()] {
            assert_eq!(read(&caller, path, &token, limit).await, whole, "{path} by {limit}");
        }
    }
    let tasks = read(&caller, "/v1/tasks", &token, 2).await;
    assert!(tasks.is_sorted_by(|a, b| a > b), "the newest first: {tasks:?}");
    assert_eq!(tasks.len(), 5);
    assert!(read(&caller, "/v1/tasks?system=a", &token, 2).await.is_empty());
}

#[tokio::test]
async fn whatever_is_wrong_with_a_question_for_a_list_is_refused_by_its_name() {
    let (lab, token) = full().await;
    let caller = Caller::of(&lab);
    let (_, page) = caller.call("GET", "/v1/tasks?limit=1", &token).await;
    let of_tasks = page["next"].as_str().unwrap().to_owned();
    for path in LISTS {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=many", "limit"),
            ("limit=1&limit=2", "limit"),
            ("cursor=", "cursor"),
            ("cursor=x", "cursor"),
            ("colour=red", "colour"),
        ] {
            let (status, problem) = caller.call("GET", &format!("{path}?{query}"), &token).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}?{query}: {problem}");
            assert_eq!(problem["field"], field, "{path}?{query}: {problem}");
        }
    }
    for stolen in ["/v1/members?", "/v1/tasks?state=queued&", "/v1/tasks?system=a&"] {
        let (status, problem) = caller.call("GET", &format!("{stolen}cursor={of_tasks}"), &token).await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("cursor")), "{stolen}: {problem}");
    }
    for (path, field) in
        [("/v1/tasks?state=asleep", "state"), ("/v1/tasks?system=No", "system"), ("/v1/members?cluster=No", "cluster")]
    {
        let (status, problem) = caller.call("GET", path, &token).await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &json!(field)), "{path}: {problem}");
    }
}

#[tokio::test]
async fn a_caller_is_told_who_it_is() {
    let lab = Lab::start().await;
    let caller = Caller::of(&lab);
    let viewer = token(&lab, "v", Role::Viewer).await;
    let (_, me) = caller.call("GET", "/v1/whoami", &viewer).await;
    assert_eq!(me, json!({ "name": "v", "role": "viewer" }));
    let body = json!({ "name": "short", "role": "operator", "expires_secs": 3600 });
    let made: Value = lab.client().post("/v1/api-tokens", &body).await.unwrap();
    let (_, me) = caller.call("GET", "/v1/whoami", made["token"].as_str().unwrap()).await;
    assert_eq!(me["role"], "operator");
    assert_eq!(me["expires"], made["expires"]);
}
