//! What a reply tells: done, not done, or unknown.

use jiff::Timestamp;
use postern_protocol::{Failure, FailureClass};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::super::{elements, error, time};
use crate::http::{Lost, Reply, Unread, weighed_json};

/// The codes of bulk jobs that are not always words in capitals.
const OF_JOBS: &[&str] = &[
    "InvalidJobState",
    "InvalidJob",
    "InvalidBatch",
    "InvalidUser",
    "ExceededQuota",
    "FeatureNotEnabled",
    "TooManyLockFailure",
];

/// The longest code there is has about fifty letters.
const LONGEST_CODE: usize = 100;

/// What was answered, and when by the service's clock. It may hold a password, so it has no `Debug`.
pub(in super::super) struct Answer {
    pub(in super::super) json: Json,
    pub(in super::super) at: Option<Timestamp>,
    /// About how much memory it takes.
    pub(in super::super) weight: usize,
}

/// Why a call was not proved done, before anything is repeated.
pub(in super::super) enum Miss {
    /// The session has ended.
    Expired(Failure),
    Not(Failure),
    Unknown(Failure),
    Lost(Lost),
}

/// Done, not done, or unknown.
pub(in super::super) fn classify(reply: &Reply, done: StatusCode) -> Result<Answer, Miss> {
    let status = reply.status;
    let at = date(&reply.headers);
    if status == done && (status == StatusCode::NO_CONTENT || status == StatusCode::CREATED) {
        return Ok(Answer { json: Json::Null, at, weight: 0 });
    }
    let (json, weight): (Option<Json>, usize) = match weighed_json(&reply.body) {
        Ok((json, weight)) => (Some(json), weight),
        Err(Unread::TooLarge) => return Err(Miss::Unknown(error::too_large())),
        Err(Unread::Malformed) => (None, 0),
    };
    if status == done {
        return json
            .map(|json| Answer { json, at, weight })
            .ok_or_else(|| Miss::Unknown(error::strange(status.as_u16())));
    }
    // Proxies and gateways answer with pages, or with JSON of their own, also to calls that have had their effect: an
    // inspecting one may refuse the *answer*. Only Salesforce's own words say that nothing happened, and not all of them.
    let Some((code, message)) = json.as_ref().and_then(problem).or_else(|| problem_in_xml(&reply.body)) else {
        return Err(Miss::Unknown(error::strange(status.as_u16())));
    };
    if error::says_too_long(status.as_u16(), "") {
        return Err(Miss::Not(too_long(&code, &message)));
    }
    let failure = error::failure(&code, &message);
    Err(match status.as_u16() {
        401 if is_renewable(&code, &message) => Miss::Expired(failure),
        429 => Miss::Not(Failure { class: FailureClass::RateLimited.into(), ..failure }),
        status if error::says_not_done(status, &code) => Miss::Not(failure),
        300..=599 => Miss::Unknown(Failure { class: FailureClass::Transient.into(), ..failure }),
        other => Miss::Unknown(error::strange(other)),
    })
}

/// Some 401 are not about the session, and signing in again would go on for ever.
fn is_renewable(code: &str, message: &str) -> bool {
    code != "INVALID_OPERATION_WITH_EXPIRED_PASSWORD"
        && !message.contains("not valid for use with the REST API")
        && !message.contains("not attached to Agent")
}

/// Code and message of Salesforce's error body: an array of objects, or, on some paths, one object.
pub(super) fn problem(json: &Json) -> Option<(String, String)> {
    let object = json.as_array().map_or(Some(json), |list| list.first())?;
    let text = |name: &str| object.get(name).and_then(Json::as_str);
    Some((error_code(text("errorCode")?)?, text("message")?.to_owned()))
}

/// The same in XML, which is what a call is refused with that takes CSV alone: `<Errors><Error><errorCode>…`.
fn problem_in_xml(body: &[u8]) -> Option<(String, String)> {
    let (mut named, mut message) = (None, String::new());
    elements::each(body, |name, value| match name {
        "errorCode" if named.is_none() => named = error_code(value),
        "message" if message.is_empty() => message = std::mem::take(value),
        _ => (),
    })?;
    Some((named?, message))
}

pub(super) fn too_long(code: &str, message: &str) -> Failure {
    error::too_long(FailureClass::Rejected, &format!("{code} {message}"))
}

/// The id of a job, from the answer to its making. Letters and digits: it becomes part of a path.
pub(in super::super) fn job_id(made: &Json) -> Option<&str> {
    let is_id = |id: &&str| matches!(id.len(), 15 | 18) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    made.get("id").and_then(Json::as_str).filter(is_id)
}

/// Salesforce's codes are words in capitals. Those of bulk jobs come in another spelling too, which is a gateway's as well,
/// so that they are known by name.
pub(in super::super) fn error_code(text: &str) -> Option<String> {
    let is_in_capitals = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_code = !text.is_empty() && text.len() <= LONGEST_CODE && text.bytes().all(is_in_capitals);
    (is_code || OF_JOBS.contains(&text)).then(|| text.to_ascii_uppercase())
}

/// What a reply tells, in the form that is wanted, and about how much memory it takes.
pub(super) fn typed<T: DeserializeOwned>(reply: &Reply) -> Result<(T, usize), Miss> {
    if reply.status == StatusCode::OK {
        match weighed_json(&reply.body) {
            Ok(told) => return Ok(told),
            Err(Unread::TooLarge) => return Err(Miss::Unknown(error::too_large())),
            Err(Unread::Malformed) => (),
        }
    }
    Err(missed(reply, StatusCode::OK))
}

/// Why a reply is not what was asked for.
pub(super) fn missed(reply: &Reply, done: StatusCode) -> Miss {
    classify(reply, done).err().unwrap_or_else(|| Miss::Not(error::strange(reply.status.as_u16())))
}

/// When it was answered, by the service's clock.
pub(in super::super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    headers.get(DATE)?.to_str().ok().and_then(time::parse_http)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }
    }

    fn class(status: u16, body: &str, done: StatusCode) -> &'static str {
        match classify(&reply(status, body), done) {
            Ok(_) => "done",
            Err(Miss::Expired(_)) => "expired",
            Err(Miss::Not(_)) => "not done",
            Err(Miss::Unknown(_) | Miss::Lost(_)) => "unknown",
        }
    }

    #[test]
    fn every_reply_is_done_not_done_or_unknown() {
        let error = r#"[{"message":"m","errorCode":"UNKNOWN_EXCEPTION"}]"#;
        let session = r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#;
        let rule_5 =
            r#"[{"message":"This session is not valid for use with the REST API","errorCode":"INVALID_SESSION_ID"}]"#;
        let expired = r#"[{"message":"m","errorCode":"INVALID_OPERATION_WITH_EXPIRED_PASSWORD"}]"#;
        let refused = r#"[{"message":"m","errorCode":"DUPLICATE_USERNAME"}]"#;
        let away = r#"[{"message":"m","errorCode":"SERVER_UNAVAILABLE"}]"#;
        let page = "<html></html>";
        let long_code = format!(r#"[{{"message":"m","errorCode":"{}"}}]"#, "A".repeat(LONGEST_CODE + 1));
        let gateway = r#"{"errorCode":"blocked","message":"by policy"}"#;
        let other_gateway = r#"{"errorCode":"AccessDenied","message":"by policy"}"#;
        let job = r#"[{"message":"m","errorCode":"InvalidJobState"}]"#;
        for (status, body, expected) in [
            (204, "", "done"),
            (200, "", "unknown"),
            (200, page, "unknown"),
            (400, refused, "not done"),
            (403, refused, "not done"),
            (404, refused, "not done"),
            (400, page, "unknown"),
            (403, page, "unknown"),
            (403, gateway, "unknown"),
            (403, other_gateway, "unknown"),
            (400, job, "not done"),
            (401, session, "expired"),
            (401, "", "unknown"),
            (401, rule_5, "not done"),
            (401, expired, "not done"),
            (407, "", "unknown"),
            (407, page, "unknown"),
            (302, "", "unknown"),
            (429, "", "unknown"),
            (429, error, "not done"),
            (503, gateway, "unknown"),
            (500, error, "unknown"),
            (400, error, "unknown"),
            (500, refused, "unknown"),
            (503, away, "not done"),
            (500, away, "not done"),
            (502, away, "unknown"),
            (504, away, "unknown"),
            (500, page, "unknown"),
            (503, page, "unknown"),
            (502, "", "unknown"),
            (400, &long_code, "unknown"),
        ] {
            assert_eq!(class(status, body, StatusCode::NO_CONTENT), expected, "{status} {body}");
        }
        assert_eq!(class(200, "[]", StatusCode::OK), "done");
        assert_eq!(class(200, "[{\"id\":", StatusCode::OK), "unknown");
    }

    /// F64: as a tree it would take hundreds of megabytes.
    #[test]
    fn f64_an_answer_that_would_take_too_much_memory_is_refused_in_whatever_form_it_is_wanted() {
        let bomb = reply(200, &format!("{{\"records\":[{}0]}}", "0,".repeat(2 * 1024 * 1024)));
        let code = |miss: Option<Miss>| match miss {
            Some(Miss::Unknown(failure)) => failure.code.to_string(),
            _ => "another".to_owned(),
        };
        assert_eq!(code(classify(&bomb, StatusCode::OK).err()), "answer_too_large");
        assert_eq!(code(classify(&bomb, StatusCode::NO_CONTENT).err()), "answer_too_large");
        assert_eq!(code(typed::<Json>(&bomb).err()), "answer_too_large");
    }

    #[test]
    fn a_jobs_id_is_letters_and_digits() {
        for (id, expected) in
            [("7505g00000AbCdEAAV", true), ("7505g00000AbCdE", true), ("../750/../../xyz12", false), ("", false)]
        {
            assert_eq!(job_id(&serde_json::json!({ "id": id })).is_some(), expected, "{id}");
        }
    }

    #[test]
    fn an_error_is_an_array_or_an_object() {
        let Err(Miss::Not(failure)) =
            classify(&reply(403, r#"{"message":"no","errorCode":"INSUFFICIENT_ACCESS"}"#), StatusCode::OK)
        else {
            panic!("it is a refusal")
        };
        assert_eq!(failure.code.as_str(), "INSUFFICIENT_ACCESS");
    }
}
