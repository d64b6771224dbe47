//! What an org answers, or whoever answers in its place; and the conditions that it is sent.

use std::sync::OnceLock;

use postern_agent::connector::salesforce::answers::{self, InUse, Object, Proof, SignIn};
use postern_agent::dataset::writer::Cell;
use postern_agent::doctor::clock::{Heard, judge};
use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::filter::{Comparison, Condition, Filter};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value as Json, json};

use crate::{choice, grown};

/// A secret that is in use while answers are read. The seeds that repeat it have it too.
const HIDDEN: &str = "hidden-7e1c9";

/// What is told of a refusal does not repeat a secret, whatever its words do.
fn assert_hidden(told: &Failure) {
    let is_told = told.summary.as_str().contains(HIDDEN) || told.code.as_str().contains(HIDDEN);
    assert!(!is_told, "{told:?}");
}

fn hide() {
    static HELD: OnceLock<InUse> = OnceLock::new();
    HELD.get_or_init(|| answers::in_use(HIDDEN.as_bytes()));
}

/// The token endpoint's answer to a sign-in.
pub fn token_answer(data: &[u8]) -> bool {
    let (succeeded, body) = choice(data);
    signed_in(succeeded % 2 == 1, || answers::token(succeeded % 2 == 1, body))
}

/// The answer of `login()`.
pub fn login_answer(data: &[u8]) -> bool {
    signed_in(true, || answers::login(&grown(data)))
}

fn signed_in(may_be: bool, read: impl FnOnce() -> Option<SignIn>) -> bool {
    hide();
    match read() {
        Some(SignIn::Session(origin)) => {
            assert!(may_be && origin.has_host() && origin.path() == "/", "{origin} is no origin");
        }
        Some(SignIn::Refused(failure)) => assert_hidden(&failure),
        None => return false,
    }
    true
}

/// An answer to a call: nothing but the right status proves that it was done.
pub fn call_answer(data: &[u8]) -> bool {
    const DONE: [StatusCode; 3] = [StatusCode::OK, StatusCode::CREATED, StatusCode::NO_CONTENT];
    let Some(([done, low, high], body)) = data.split_first_chunk::<3>() else { return false };
    let Ok(status) = StatusCode::from_u16(u16::from_le_bytes([*low, *high])) else { return false };
    let done = DONE.get(usize::from(done % 3)).copied().unwrap_or(StatusCode::OK);
    hide();
    match answers::proof(status, body.to_vec(), done) {
        Proof::Done => assert_eq!(status, done, "another status proves nothing"),
        Proof::NotDone(failure) => {
            assert!(status != done && !failure.code.is_empty(), "{failure:?}");
            assert_hidden(&failure);
        }
        Proof::Nothing(failure) => {
            assert!(!failure.code.is_empty(), "{failure:?}");
            assert_hidden(&failure);
        }
    }
    true
}

/// An object as the org describes it.
pub fn description(data: &[u8]) -> bool {
    let Ok(object) = Object::read(data.to_vec()) else { return false };
    let _ = answers::page(&object, br#"{"totalSize":1,"done":true,"records":[{"Id":"005"}]}"#.to_vec());
    for name in object.fields() {
        let Ok(filter) = Filter::new(Condition::IsNull(Text::clipped(name))) else { continue };
        if let Ok(condition) = object.condition(&filter) {
            let name = condition.strip_suffix(" = NULL").expect("the one condition");
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            assert!(!name.is_empty() && name.bytes().all(is_plain), "{condition}");
        }
    }
    true
}

/// A page of records.
pub fn page(data: &[u8]) -> bool {
    let data = grown(data);
    let Some(rows) = answers::page(user(), data.to_vec()) else { return false };
    let told: Option<Json> = serde_json::from_slice(&data).ok();
    let total = told.as_ref().and_then(|it| it.get("totalSize")?.as_u64());
    assert!(total.is_some_and(|total| u64::try_from(rows.len()).is_ok_and(|it| it <= total)), "of {total:?}");
    let columns = user().fields().count();
    for row in rows.into_iter().flatten() {
        assert_eq!(row.len(), columns, "a row with other columns");
        let told: Vec<bool> = row.iter().map(|text| text.as_ref().is_some_and(|text| !text.is_empty())).collect();
        let values = answers::values(user(), row);
        assert!(values.iter().map(|it| *it != Cell::Null).eq(told), "a value is lost, or made up: {values:?}");
    }
    true
}

/// The head of an answer, a line each: whatever it says, no wait is made of what is no moment; both who read its date read the
/// same, and it can be told.
pub fn org_headers(data: &[u8]) -> bool {
    let (busy, lines) = choice(data);
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let status = if busy % 2 == 1 { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    let told = answers::head(status, &headers);
    assert!(told.wait.is_none() || status == StatusCode::TOO_MANY_REQUESTS, "nobody asks to wait: {told:?}");
    assert!(told.usage.is_none_or(|(_, of)| of > 0), "a share of nothing: {told:?}");
    assert!(told.records.is_none() || headers.contains_key("sforce-locator"), "{told:?}");
    let said = headers.get(DATE).and_then(|it| it.to_str().ok());
    let heard = said.and_then(|date| Heard::date("acme", date, 1_767_225_600_000));
    let seconds = || Some(told.date?.as_second());
    assert_eq!(heard.as_ref().map(|it| it.theirs), seconds(), "each reads another time");
    let finding = judge(heard.as_slice(), None);
    assert!(!finding.told.is_empty(), "{finding:?}");
    !headers.is_empty()
}

/// A table of records, in one piece and in many.
pub fn table(data: &[u8]) -> bool {
    let columns = || vec!["Id".to_owned(), "Title".to_owned()];
    let (piece, text) = choice(data);
    let text = &*grown(text);
    let whole = answers::table(columns(), [text]);
    let cut = answers::table(columns(), text.chunks(piece % 16 + 1));
    assert_eq!(cut, whole, "it depends on where it is cut");
    let Some(rows) = whole else { return false };
    assert!(rows.iter().all(|row| row.len() == columns().len()), "a row with other columns");
    assert!(rows.len() < text.split(|byte| *byte == b'\n').count(), "more rows than lines");
    true
}

/// The answer to a call for a few records: as many fates as records, or none.
pub fn collection_answer(data: &[u8]) -> bool {
    let (records, body) = choice(data);
    let records = records % 8;
    let Some(fates) = answers::collection(body.to_vec(), records) else { return false };
    assert_eq!(fates.len(), records, "some are lost");
    true
}

/// What a bulk job says of itself, in a line, and of its rows, behind that: who was refused is told why. The line may be a page of
/// the list of jobs as well: what it names becomes part of a path.
pub fn job_answer(data: &[u8]) -> bool {
    let (list, told) = choice(data);
    let end = told.iter().position(|byte| *byte == b'\n').unwrap_or(told.len());
    let (state, body) = told.split_at(end);
    let (jobs, next) = answers::jobs(state.to_vec(), "0055g00000XyZ12AAF");
    for part in jobs.iter().chain(&next) {
        assert!(!part.contains(['/', '?', '&', '#', '%']), "{part} leads elsewhere");
    }
    let ends = answers::job(state.to_vec(), list, body.trim_ascii_start());
    for (key, end) in &ends {
        assert!(*end != Err(String::new()), "{key} is refused without a code");
    }
    !(jobs.is_empty() && ends.is_empty())
}

/// The answer to a few queries in one call: as many as there were, or none.
pub fn composite_answer(data: &[u8]) -> bool {
    let (queries, body) = choice(data);
    let queries = queries % 8;
    let Some(found) = answers::composite(grown(body).into_owned(), queries) else { return false };
    assert_eq!(found.len(), queries, "a query without an answer would pass for one that found nothing");
    true
}

/// A filter of a submitter: what the org understands is what was meant.
pub fn condition(data: &[u8]) -> bool {
    let Ok(filter) = serde_json::from_slice::<Filter>(data) else { return false };
    let Ok(condition) = user().condition(&filter) else { return false };
    let understood = salesforce_sim::read_condition(&format!("SELECT Id FROM User WHERE {condition}"));
    assert_eq!(understood.map(without_typed), Ok(meant(filter.condition())), "{condition}");
    true
}

/// A user, with a field of every type.
fn user() -> &'static Object {
    static USER: OnceLock<Object> = OnceLock::new();
    USER.get_or_init(|| {
        let types = ["id", "boolean", "string", "int", "double", "date", "datetime", "multipicklist"];
        let names = ["Id", "IsActive", "Title", "Count__c", "Score__c", "Hired__c", "CreatedDate", "Skills__c"];
        let fields =
            names.iter().zip(types).map(|(name, kind)| json!({"name": name, "type": kind, "filterable": true}));
        let description = json!({ "name": "User", "fields": fields.collect::<Vec<_>>() });
        Object::read(description.to_string().into_bytes()).expect("it is a description")
    })
}

/// The same in the simulator's words. What is no text is compared by its field and sign alone: how it is written is a
/// matter of its type.
fn meant(condition: &Condition) -> Json {
    let test = |attribute: &str, sign: &str, value: Json| {
        let field = user().fields().find(|field| field.eq_ignore_ascii_case(attribute.trim())).unwrap_or_default();
        without_typed(json!({ "field": field, sign: value }))
    };
    match condition {
        Condition::All(terms) => joined("and", terms),
        Condition::Any(terms) => joined("or", terms),
        Condition::Not(term) => json!({ "not": meant(term) }),
        Condition::IsNull(attribute) => test(attribute, "=", json!({ "bare": "NULL" })),
        Condition::In(attribute, values) => test(attribute, "in", values.iter().map(|it| text(it)).collect()),
        Condition::Compare(attribute, comparison, value) => match comparison {
            Comparison::Equals => test(attribute, "=", text(value)),
            Comparison::NotEquals => test(attribute, "!=", text(value)),
            Comparison::Less => test(attribute, "<", text(value)),
            Comparison::LessOrEqual => test(attribute, "<=", text(value)),
            Comparison::Greater => test(attribute, ">", text(value)),
            Comparison::GreaterOrEqual => test(attribute, ">=", text(value)),
            Comparison::StartsWith => test(attribute, "like", like(value, "", "%")),
            Comparison::EndsWith => test(attribute, "like", like(value, "%", "")),
            Comparison::Contains => test(attribute, "like", like(value, "%", "%")),
        },
    }
}

/// Terms of the same kind are one list: `a AND (b AND c)` is `a AND b AND c`, and one term stands for itself.
fn joined(word: &str, terms: &[Condition]) -> Json {
    let mut all = Vec::new();
    for term in terms.iter().map(meant) {
        match term.get(word).and_then(Json::as_array) {
            Some(inner) => all.extend(inner.clone()),
            None => all.push(term),
        }
    }
    match all.as_slice() {
        [only] => only.clone(),
        _ => json!({ word: all }),
    }
}

fn text(value: &str) -> Json {
    json!({ "text": value.replace('\\', "\\\\") })
}

fn like(value: &str, before: &str, after: &str) -> Json {
    let literal = value.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    json!({ "text": format!("{before}{literal}{after}") })
}

/// Values of fields that are no text, taken away.
fn without_typed(condition: Json) -> Json {
    match condition {
        Json::Object(mut members) => {
            let is_typed =
                members.get("field").and_then(Json::as_str).is_some_and(|it| it != "Title" && it != "Skills__c");
            let is_test = members.contains_key("field");
            for (name, value) in &mut members {
                if is_typed && name != "field" {
                    *value = Json::Null;
                } else if !is_test {
                    *value = without_typed(value.take());
                }
            }
            Json::Object(members)
        }
        Json::Array(terms) => terms.into_iter().map(without_typed).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => condition,
    }
}
