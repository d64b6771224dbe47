//! Connected systems: what is known of them, and whom they let in.

use postern_controller_stub::access::Role;
use postern_controller_stub::exit::Exit;
use serde_json::{Value, json};

use crate::access::{Caller, token};
use crate::lab::{Lab, new_task};

/// Feature B18.
#[tokio::test]
async fn b18_a_record_is_made_edited_and_kept() {
    let mut lab = Lab::start().await;
    let _identity = lab.enroll().await;
    let add = [
        "system",
        "add",
        "sf",
        "--with",
        "acme",
        "--display-name",
        "Salesforce",
        "--description",
        "The org",
        "--locale",
        "en-GB",
        "--password-reset-by",
        "users_and_obo_user",
        "--provisioning-option",
        "administrative",
        "--hpam",
        "true",
        "--transfer-of-accounts",
        "true",
        "--owner",
        "ada@example.com",
        "--owner",
        "bob@example.com",
        "--category",
        "CRM",
    ];
    let (code, _, err) = lab.command(&add);
    assert_eq!(code, Some(0), "{err}");
    let edit = [
        "system",
        "edit",
        "sf",
        "--in",
        "fr",
        "--display-name",
        "Le CRM",
        "--remove-owner",
        "bob@example.com",
        "--category",
        "Cloud",
        "--hpam",
        "false",
    ];
    assert_eq!(lab.command(&edit).0, Some(0));

    lab.kill();
    lab.restart().await;
    let mut record: Value = lab.client().get("/v1/systems/sf").await.unwrap();
    record.as_object_mut().unwrap().remove("created");
    let expected = json!({
        "name": "sf", "type": "salesforce", "supports": ["identity", "provisioning"], "display_name": "Salesforce",
        "description": "The org", "locale": "en-GB", "texts": {"fr": {"display_name": "Le CRM", "description": ""}},
        "association": "acme", "password_reset_by": "users_and_obo_user", "provisioning_option": "administrative",
        "hpam": false, "transfer_of_accounts": true, "owners": ["ada@example.com"], "categories": ["CRM", "Cloud"],
        "revision": 1,
    });
    assert_eq!(record, expected);
    let (_, out, _) = lab.command(&["system", "show", "sf"]);
    for words in ["users and OBO user", "administrative", "Le CRM", "CRM, Cloud", "in the agents' configuration"] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[tokio::test]
async fn what_a_record_cannot_be_is_refused_by_the_name_of_its_field() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    for (body, field) in [
        (json!({ "name": "other" }), "name"),
        (json!({ "type": "salesforce" }), "type"),
        (json!({ "association": "server" }), "association"),
        (json!({ "provisioning_option": 1 }), "provisioning_option"),
        (json!({ "hpam": "yes" }), "hpam"),
        (json!({ "add_owners": "ada" }), "add_owners"),
        (json!({ "add_categories": ["x".repeat(129)] }), "add_categories"),
        (json!({ "description": "x".repeat(513) }), "description"),
        (json!({ "domain": "acme.my.salesforce.com" }), "domain"),
        (json!({ "locale": "../etc" }), "locale"),
        (json!({ "password_reset_by": "anybody" }), "password_reset_by"),
        (json!({ "add_owners": [" "] }), "add_owners"),
        (json!({ "display_name": "two\nlines" }), "display_name"),
        (json!({ "display_name": "  " }), "display_name"),
        (json!({ "revision": -1 }), "revision"),
    ] {
        let failure = lab.client().post::<Value>("/v1/systems/sf", &body).await.unwrap_err();
        assert!(failure.text.contains(&format!("`{field}`")), "{body}: {}", failure.text);
    }
    let many: Vec<String> = (0..40).map(|number| format!("{number:0>100}")).collect();
    let failure = lab.client().post::<Value>("/v1/systems/sf", &json!({ "add_owners": many })).await.unwrap_err();
    assert!(failure.text.contains("there is room for"), "{}", failure.text);
    assert_eq!(lab.client().get::<Value>("/v1/systems/sf").await.unwrap()["owners"], json!([]));
}

/// Leave the comparison out, and whoever saves what he loaded before takes back what another has changed since.
#[tokio::test]
async fn what_was_changed_since_it_was_looked_at_is_not_changed() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    let caller = Caller::of(&lab);
    let administrator = token(&lab, "x", Role::Administrator).await;
    let post = async |path: &str, body: Value| {
        let answer = caller.request("POST", path).bearer_auth(&administrator).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let seen = lab.client().get::<Value>("/v1/systems/sf").await.unwrap()["revision"].clone();
    let (status, edited) = post("/v1/systems/sf", json!({ "revision": seen, "description": "mine" })).await;
    assert_eq!(status, 200, "{edited}");
    assert_ne!(edited["revision"], seen);
    for (path, body) in [
        ("/v1/systems/sf", json!({ "revision": seen, "description": "theirs" })),
        ("/v1/systems/sf/associate", json!({ "revision": seen, "association": "server" })),
    ] {
        let (status, problem) = post(path, body).await;
        assert_eq!((status, &problem["field"]), (409, &json!("revision")), "{problem}");
    }
    let associate = json!({ "revision": edited["revision"], "association": "server" });
    let (_, associated) = post("/v1/systems/sf/associate", associate).await;
    assert_eq!((&associated["description"], &associated["association"]), (&json!("mine"), &json!("server")));
    assert_ne!(associated["revision"], edited["revision"]);
    assert_eq!(post("/v1/systems/sf", json!({ "description": "whatever there is" })).await.0, 200);
}

/// Let a cluster be called so, and no system can ever be associated with it.
#[tokio::test]
async fn what_a_system_cannot_be_associated_with_is_refused_by_the_name_of_the_field() {
    let lab = Lab::start().await;
    let failure = lab.client().post::<Value>("/v1/clusters", &json!({ "name": "server" })).await.unwrap_err();
    assert!(failure.text.contains("choose another"), "{}", failure.text);
    let administrator = token(&lab, "x", Role::Administrator).await;
    let _: Value = lab.client().post("/v1/clusters", &json!({ "name": "empty" })).await.unwrap();
    for (association, status) in [("nowhere", 404), ("empty", 403), ("No Good", 422), ("", 422)] {
        let body = json!({ "name": "sf", "association": association });
        let request = Caller::of(&lab).request("POST", "/v1/systems").bearer_auth(&administrator).json(&body);
        let problem: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!((&problem["status"], &problem["field"]), (&json!(status), &json!("association")), "{problem}");
    }
}

#[tokio::test]
async fn texts_in_another_language_can_be_taken_back() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    let say = async |name: &str, description: &str| {
        let body = json!({ "in": "fr", "display_name": name, "description": description });
        lab.client().post::<Value>("/v1/systems/sf", &body).await.unwrap()["texts"].clone()
    };
    assert_eq!(say("Le CRM", "").await["fr"]["display_name"], "Le CRM");
    assert_eq!(say("", "").await, json!({}));
}

/// Take the check out of `submit`, and this fails. Feature B18.
#[tokio::test]
async fn b18_tasks_are_taken_in_only_from_whom_the_system_lets_in() {
    let lab = Lab::start().await;
    let _identity = lab.enroll().await;
    lab.add_system().await;
    let submit = async |origin: &str, kind: &str, params: Value| {
        let body = json!({ "id": new_task(), "system": "sf", "kind": kind, "params": params, "origin": origin });
        lab.client().post::<Value>("/v1/tasks", &body).await
    };
    let reset = json!({ "account": "joe@example.com", "source": "service" });
    let disable = json!({ "account": "joe@example.com" });
    for (setting, users, obo_users) in
        [("obo_user_only", false, true), ("users_and_obo_user", true, true), ("external", false, false)]
    {
        let edit = ["system", "edit", "sf", "--password-reset-by", setting];
        assert_eq!(lab.command(&edit).0, Some(0));
        for (origin, taken) in [("user", users), ("obo_user", obo_users), ("administrator", true)] {
            match submit(origin, "reset_password", reset.clone()).await {
                Ok(view) => assert!(taken && view["origin"] == origin, "{setting} {origin}"),
                Err(failure) => {
                    assert!(!taken && failure.exit == Exit::Refused, "{setting} {origin}: {}", failure.text);
                }
            }
        }
    }
    assert!(submit("user", "disable_user", disable.clone()).await.unwrap_err().text.contains("new password"));

    assert!(submit("workflow", "disable_user", disable.clone()).await.is_ok());
    assert_eq!(lab.command(&["system", "edit", "sf", "--provisioning-option", "administrative"]).0, Some(0));
    assert!(submit("workflow", "disable_user", disable.clone()).await.unwrap_err().text.contains("administrative"));
    assert!(submit("administrator", "disable_user", disable).await.is_ok());
    let (code, _, err) = lab.command(&["task", "submit", "test_connection", "--system", "sf", "--origin", "workflow"]);
    assert_eq!(code, Some(77), "{err}");
}

/// Read the second part of a body only after the first was good, and a setting is taken for a secret that nobody asked for.
#[tokio::test]
async fn a_wrong_name_is_told_as_such_beside_a_setting_that_is_called_like_a_secret() {
    let lab = Lab::start().await;
    let body = json!({ "name": "Not Good", "association": "server", "password_reset_by": "external" });
    let failure = lab.client().post::<Value>("/v1/systems", &body).await.unwrap_err();
    assert!(failure.text.contains("`name`") && !failure.text.contains("never travels"), "{}", failure.text);
}
