use jiff::civil::Time;
use jiff::tz::TimeZone;
use postern_protocol::task::deprovision_user;
use serde_json::{Value as Json, json};

use super::*;

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

fn policy() -> Policy {
    Policy {
        allow: patterns(&["*@acme.example", "*@acme.example.deleted"]),
        deny: patterns(&["ceo@*"]),
        protected: patterns(&["admin@acme.example"]),
        ..Policy::default()
    }
}

fn request(kind: TaskKind, params: Json) -> TaskRequest {
    TaskRequest::from_json(kind, params).unwrap()
}

fn verdict(policy: &Policy, kind: TaskKind, params: Json) -> String {
    let refused = policy.check_request(&request(kind, params), true).err();
    refused.map_or_else(String::new, |refused| refused.rule.to_string())
}

#[test]
fn names_decide_what_may_be_touched() {
    use TaskKind::{DeprovisionUser, DisableUser, EnableUser, ResetPassword, RestoreUser, UnlockUser, ValidateUser};
    let account = |name: &str| json!({ "account": name });
    let reset = |name: &str| json!({ "account": name, "source": "generated" });
    for (kind, params, rule) in [
        (EnableUser, account("joe@acme.example"), ""),
        (EnableUser, account("JOE@Acme.Example"), ""),
        (EnableUser, account("joe@other.example"), "allow"),
        (EnableUser, account("ceo@acme.example"), "deny"),
        (EnableUser, account("admin@acme.example"), ""),
        (UnlockUser, account("admin@acme.example"), ""),
        (DisableUser, account("admin@acme.example"), "protected"),
        (DisableUser, account("ADMIN@acme.example"), "protected"),
        (DisableUser, account(" admin@acme.example "), "protected"),
        (TaskKind::FreezeUser, account("admin@acme.example"), "protected"),
        (TaskKind::ExpirePassword, account("admin@acme.example"), "protected"),
        (ResetPassword, reset("admin@acme.example"), "protected"),
        (ResetPassword, reset("joe@acme.example"), ""),
        (DeprovisionUser, account("admin@acme.example"), "protected"),
        (DeprovisionUser, account("joe@acme.example"), ""),
        (DeprovisionUser, json!({ "account": "joe@acme.example", "new_name": "x@acme.example" }), ""),
        (RestoreUser, json!({ "account": "joe@acme.example.deleted", "name": "joe@acme.example" }), ""),
        (RestoreUser, json!({ "account": "joe@acme.example.deleted", "name": "joe@other.example" }), "allow"),
        (ValidateUser, account("ceo@acme.example"), ""),
    ] {
        assert_eq!(verdict(&policy(), kind, params.clone()), rule, "{kind} {params}");
    }
}

/// A task that goes on with an account which has its new name already finds it by that: whoever chooses the new name
/// chooses the account.
#[test]
fn an_account_is_not_reached_by_the_name_it_is_to_get() {
    let deprovision = |account: &str, new_name: &str| {
        verdict(&policy(), TaskKind::DeprovisionUser, json!({ "account": account, "new_name": new_name }))
    };
    assert_eq!(deprovision("nobody@acme.example", "admin@acme.example"), "protected");
    assert_eq!(deprovision("nobody@acme.example", "ceo@acme.example"), "deny");
    assert_eq!(deprovision("nobody@acme.example", "joe@other.example"), "allow");
    let narrow = Policy { protected: patterns(&["x@acme.example.deleted"]), ..policy() };
    let params = json!({ "account": "x@acme.example" });
    assert_eq!(verdict(&narrow, TaskKind::DeprovisionUser, params), "protected", "by the name it gets of itself");
}

#[test]
fn the_name_that_follows_from_an_allowed_one_is_allowed() {
    let narrow = Policy { allow: patterns(&["*@acme.example"]), ..Policy::default() };
    assert_eq!(verdict(&narrow, TaskKind::DeprovisionUser, json!({ "account": "joe@acme.example" })), "");
    let request = deprovision_user::Request {
        account: postern_protocol::task::Account::new("joe@acme.example").unwrap(),
        new_name: postern_protocol::task::Account::default(),
        email: postern_protocol::bounded::Text::default(),
    };
    assert_eq!(request.name_to_be(), "joe@acme.example.deleted");
}

#[test]
fn only_the_kinds_that_are_named_are_done() {
    let policy = Policy { kinds: Some(vec![TaskKind::DisableUser]), ..Policy::default() };
    assert_eq!(verdict(&policy, TaskKind::DisableUser, json!({ "account": "a" })), "");
    assert_eq!(verdict(&policy, TaskKind::EnableUser, json!({ "account": "a" })), "kinds");
    assert_eq!(verdict(&policy, TaskKind::TestConnection, json!({})), "kinds");
    let nothing = Policy { kinds: Some(Vec::new()), ..Policy::default() };
    assert_eq!(verdict(&nothing, TaskKind::TestConnection, json!({})), "kinds");
    assert_eq!(verdict(&Policy::default(), TaskKind::TestConnection, json!({})), "");
}

#[test]
fn changes_are_let_in_one_by_one_by_every_rule() {
    let policy = Policy {
        ceilings: Ceilings {
            creates: Ceiling { per_hour: Some(1), per_day: None },
            deactivations: Ceiling { per_hour: Some(1), per_day: None },
            ..Ceilings::default()
        },
        ..policy()
    };
    let act = |account: &str| Act { account: account.to_owned(), ..Act::default() };
    let acts = [
        Act { creates: true, ..act("new@acme.example") },
        Act { creates: true, ..act("newer@acme.example") },
        Act { deactivates: true, ..act("ceo@acme.example") },
        Act { deactivates: true, ..act("joe@acme.example") },
        Act { new_name: Some("x@acme.example".to_owned()), ..act("admin@acme.example") },
        act("admin@acme.example"),
    ];
    let answers = policy.admit(&acts, &mut Counters::default(), "2026-01-05T10:00:00Z".parse().unwrap());
    let rules: Vec<String> = answers
        .iter()
        .map(|answer| answer.as_ref().err().map_or_else(String::new, |refused| refused.rule.to_string()))
        .collect();
    assert_eq!(rules, ["", "creates_per_hour", "deny", "", "protected", ""], "what is refused does not count");
}

/// The owner of the new mailbox asks for another password while the account is still active.
#[test]
fn whoever_gives_an_account_another_address_has_its_password_reset() {
    let resets = Ceiling { per_hour: Some(1), per_day: None };
    let policy = Policy { ceilings: Ceilings { resets, ..Ceilings::default() }, ..Policy::default() };
    let act = |kind, params| Act::of(&request(kind, params), false).unwrap();
    let acts = [
        act(TaskKind::DeprovisionUser, json!({ "account": "a@b.c" })),
        act(TaskKind::RestoreUser, json!({ "account": "a@b.c", "name": "b@b.c" })),
        act(TaskKind::DeprovisionUser, json!({ "account": "a@b.c", "email": "x@b.c" })),
        act(TaskKind::DeprovisionUser, json!({ "account": "a@b.c", "email": "x@b.c" })),
        act(TaskKind::RestoreUser, json!({ "account": "a@b.c", "name": "b@b.c", "email": "x@b.c" })),
    ];
    let answers = policy.admit(&acts, &mut Counters::default(), "2026-01-05T10:00:00Z".parse().unwrap());
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, true, false, false]);
}

/// A restored account may be one that is there under its name already: what is left of the task then is the password.
#[test]
fn a_password_that_comes_with_a_restored_account_counts_as_a_reset() {
    let resets = Ceiling { per_hour: Some(1), per_day: None };
    let policy = Policy { ceilings: Ceilings { resets, ..Ceilings::default() }, ..Policy::default() };
    let restore = |brings_password| {
        let params = json!({ "account": "a@b.c", "name": "a@b.c" });
        Act::of(&request(TaskKind::RestoreUser, params), brings_password).unwrap()
    };
    let acts = [true, true, false].map(restore);
    let answers = policy.admit(&acts, &mut Counters::default(), "2026-01-05T10:00:00Z".parse().unwrap());
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn no_change_begins_in_quiet_hours_and_it_is_said_when_one_may() {
    let window = Window { days: Vec::new(), from: Time::midnight(), to: "06:00".parse().unwrap() };
    let quiet_hours = Some(QuietHours { windows: vec![window], zone: TimeZone::UTC });
    let policy = Policy { quiet_hours, ..Policy::default() };
    let act = [Act { account: "a".to_owned(), ..Act::default() }];
    let admit = |now: &str| policy.admit(&act, &mut Counters::default(), now.parse().unwrap()).remove(0);
    let refused = admit("2026-01-05T05:59:59Z").unwrap_err();
    assert_eq!((refused.rule, refused.again), (Rule::QuietHours, "2026-01-05T06:00:00Z".parse().ok()));
    let failure = refused.failure();
    assert_eq!(failure.code.as_str(), CODE);
    assert!(failure.summary.contains("`quiet_hours`") && failure.summary.contains("2026-01-05T06:00:00Z"));
    assert_eq!(admit("2026-01-05T06:00:00Z"), Ok(()));

    let begins =
        |params| policy.check_hour_of(&request(TaskKind::ImportBatch, params), "2026-01-05T05:00:00Z".parse().unwrap());
    assert!(begins(json!({ "format": "csv" })).is_err());
    assert_eq!(begins(json!({ "format": "csv", "dry_run": true })), Ok(()), "it changes nothing");
}
