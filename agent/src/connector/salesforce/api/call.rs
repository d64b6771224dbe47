//! What can be asked of the REST API: one constructor a call.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value as Json, json};
use tokio_util::bytes::Bytes;

use super::super::role_lane::{self, Role};
use crate::connector::Effect;
use crate::redaction::{self, InUse};

pub(super) const JSON: &str = "application/json";
const CSV: &str = "text/csv";
pub(super) const CSV_UTF8: &str = "text/csv; charset=UTF-8";

/// What kinds of thing are asked for, by the names that Salesforce has for its endpoints: no id, no query and no name of anybody's
/// is part of one. The first that fits a call is its. Whoever counts calls by them keeps each for good, so that there are no
/// more of them, whatever an org has made part of a path.
const FAMILIES: [&str; 18] = [
    "limits",
    "query",
    "query/{}",
    "composite",
    "composite/sobjects",
    "sobjects/{}/describe",
    "sobjects/User/{}",
    "sobjects/User/{}/password",
    "sobjects/UserLogin/{}",
    "jobs/query",
    "jobs/query/{}",
    "jobs/query/{}/results",
    "jobs/ingest",
    "jobs/ingest/{}",
    "jobs/ingest/{}/batches",
    "jobs/ingest/{}/successfulResults",
    "jobs/ingest/{}/failedResults",
    "jobs/ingest/{}/unprocessedrecords",
];

/// One call below `/services/data/v…/`. Its body may hold a password, so it has no `Debug`.
#[derive(Clone)]
pub(in super::super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    /// The version of the API that answers it, if not the one that is configured.
    pub(super) version: Option<String>,
    pub(super) body: Body,
    /// The status that says it was done.
    pub(super) done: StatusCode,
    /// The form of answer that is asked for.
    pub(super) accept: &'static str,
    /// Whether it has to be the only such write of the org while it is made.
    pub(super) takes_role_lane: bool,
    /// What it is to change, as the journal keeps it.
    pub(super) effect: Vec<u8>,
    /// The password it sets.
    _in_use: Option<Arc<InUse>>,
}

/// What goes along with a call.
#[derive(Clone)]
pub(super) enum Body {
    Nothing,
    Json(Json),
    /// Rows for a bulk job.
    Csv(Bytes),
}

impl Call {
    fn new(method: Method, path: impl Into<String>, body: Option<Json>, done: StatusCode) -> Self {
        let body = body.map_or(Body::Nothing, Body::Json);
        Self {
            method,
            path: path.into(),
            version: None,
            body,
            done,
            accept: JSON,
            takes_role_lane: false,
            effect: Vec::new(),
            _in_use: None,
        }
    }

    /// What kind of thing it asks for, as one of [`FAMILIES`].
    pub(super) fn family(&self) -> &'static str {
        let path = self.path.split('?').next().unwrap_or_default();
        let is_of = |family: &&str| {
            let fits = |(name, part)| name == part || name == "{}";
            path.split('/').count() == family.split('/').count() && family.split('/').zip(path.split('/')).all(fits)
        };
        FAMILIES.into_iter().find(is_of).unwrap_or("other")
    }

    /// The same, and what it is to change is told to the audit log if nobody can tell more.
    pub(in super::super) fn telling(self, effect: &Effect) -> Self {
        Self { effect: effect.encode(), ..self }
    }

    /// The same, for this version of the API to answer.
    pub(in super::super) fn under(self, version: &str) -> Self {
        Self { version: Some(version.to_owned()), ..self }
    }

    /// Reads.
    pub(in super::super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None, StatusCode::OK)
    }

    /// Reads records as CSV.
    pub(in super::super) fn get_csv(path: impl Into<String>) -> Self {
        Self { accept: CSV, ..Self::get(path) }
    }

    /// Asks for something that takes more words than a URL has room for. Changes no record.
    pub(in super::super) fn ask(path: impl Into<String>, body: Json) -> Self {
        Self::new(Method::POST, path, Some(body), StatusCode::OK)
    }

    /// Ends a job of the org before its time.
    pub(in super::super) fn abort(path: impl Into<String>) -> Self {
        let body = json!({ "state": "Aborted" });
        Self::new(Method::PATCH, path, Some(body), StatusCode::OK)
    }

    /// Forgets a job of the org and its results.
    pub(in super::super) fn forget(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None, StatusCode::NO_CONTENT)
    }

    /// Changes a record.
    pub(in super::super) fn patch(path: impl Into<String>, body: Json) -> Self {
        Self::new(Method::PATCH, path, Some(body), StatusCode::NO_CONTENT)
    }

    /// Changes a user.
    pub(in super::super) fn patch_user(user: &str, role: Role, fields: Map<String, Json>) -> Self {
        let takes_role_lane = role_lane::takes_lane("User", role, fields.keys().map(String::as_str));
        Self { takes_role_lane, ..Self::patch(format!("sobjects/User/{user}"), Json::Object(fields)) }
    }

    /// Changes up to 200 records.
    pub(in super::super) fn patch_many(body: Json) -> Self {
        Self::many(Method::PATCH, body)
    }

    /// Makes up to 200 records.
    pub(in super::super) fn post_many(body: Json) -> Self {
        Self::many(Method::POST, body)
    }

    fn many(method: Method, body: Json) -> Self {
        let takes_role_lane = body.get("records").is_some_and(role_lane::one_takes_lane);
        Self { takes_role_lane, ..Self::new(method, "composite/sobjects", Some(body), StatusCode::OK) }
    }

    /// Ends up to 200 memberships.
    pub(in super::super) fn end_memberships(ids: &[String]) -> Self {
        let path = format!("composite/sobjects?allOrNone=false&ids={}", ids.join(","));
        Self { takes_role_lane: true, ..Self::new(Method::DELETE, path, None, StatusCode::OK) }
    }

    /// Makes a bulk job for users.
    pub(in super::super) fn post_job(operation: &str) -> Self {
        let body = json!({
            "object": "User", "operation": operation, "contentType": "CSV", "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        });
        Self::new(Method::POST, "jobs/ingest", Some(body), StatusCode::OK)
    }

    /// Gives a bulk job its rows.
    pub(in super::super) fn put_rows(job: &str, rows: Bytes) -> Self {
        let call = Self::new(Method::PUT, format!("jobs/ingest/{job}/batches"), None, StatusCode::CREATED);
        Self { body: Body::Csv(rows), ..call }
    }

    /// Hands a bulk job over, or gives it up.
    pub(in super::super) fn patch_job(job: &str, state: &str) -> Self {
        let body = json!({ "state": state });
        Self::new(Method::PATCH, format!("jobs/ingest/{job}"), Some(body), StatusCode::OK)
    }

    /// Sets a password.
    pub(in super::super) fn set_password(user: &str, password: &str) -> Self {
        let body = json!({ "NewPassword": password });
        let path = format!("sobjects/User/{user}/password");
        let in_use = Some(Arc::new(redaction::in_use(password.as_bytes())));
        Self { _in_use: in_use, ..Self::new(Method::POST, path, Some(body), StatusCode::NO_CONTENT) }
    }

    /// Resets a password.
    pub(in super::super) fn reset_password(user: &str) -> Self {
        Self::new(Method::DELETE, format!("sobjects/User/{user}/password"), None, StatusCode::OK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_names_nobody() {
        for (call, family) in [
            (Call::get("query?q=SELECT+Id+FROM+User+WHERE+Username='joe@acme.example'"), "query"),
            (Call::get("query/01gJOE-2000"), "query/{}"),
            (Call::patch_user("005000000000001", Role::Perhaps, Map::new()), "sobjects/User/{}"),
            (Call::set_password("005000000000001", "secret"), "sobjects/User/{}/password"),
            (Call::end_memberships(&["00G000000000001".to_owned()]), "composite/sobjects"),
            (Call::get("sobjects/Joe__c/describe"), "sobjects/{}/describe"),
            (Call::get("jobs/ingest/750000000000001/failedResults"), "jobs/ingest/{}/failedResults"),
            (Call::get(format!("query/{}", "a/".repeat(10_000))), "other"),
            (Call::get("sobjects/User/limits/jobs/query/ingest"), "other"),
            (Call::get("sobjects"), "other"),
            (Call::get(""), "other"),
        ] {
            assert_eq!(call.family(), family);
        }
    }
}
