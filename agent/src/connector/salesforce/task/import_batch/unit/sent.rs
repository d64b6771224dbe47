//! One call for many records.

use postern_protocol::Failure;
use serde_json::{Map, Value as Json, json};

use super::super::memory::Note;
use super::super::plan::Refused;
use super::Unit;
use super::work::said;
use crate::connector::salesforce::api::{Call, Undone, lock_wait};
use crate::connector::salesforce::error;

/// Rows that meet a lock are tried again, by themselves.
const LOCK_TRIES: u32 = 5;

/// What became of one call for many records.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) rows: Vec<(usize, Result<String, Refused>)>,
    pub(super) lost: Option<Failure>,
}

impl Unit<'_> {
    /// One call for many records; rows that met a lock once more, by themselves.
    pub(super) async fn send(
        &self,
        mut records: Vec<(usize, Map<String, Json>)>,
        call: impl Fn(Json) -> Call,
    ) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        let note = Note { since: self.since(), ..Note::default() }.encode();
        for tries in 0..LOCK_TRIES {
            if records.is_empty() {
                break;
            }
            if tries > 0 {
                tokio::time::sleep(lock_wait(tries)).await;
            }
            let answer = match self.org.change(self.cx, self.step, &note, &call(body(&records))).await {
                Ok(answer) => answer.json,
                Err(Undone::Not(failure)) if error::is_retryable(&failure) => return Err(failure),
                Err(Undone::Not(failure)) => {
                    sent.rows.extend(records.into_iter().map(|(index, _)| (index, Err(said(&failure)))));
                    return Ok(sent);
                }
                Err(Undone::Unknown(failure)) => return Ok(Sent { lost: Some(failure), ..sent }),
            };
            let Some(answers) = answer.as_array().filter(|rows| rows.len() == records.len()) else {
                return Ok(Sent { lost: Some(error::strange(200)), ..sent });
            };
            let last = tries + 1 == LOCK_TRIES;
            let mut again = Vec::new();
            for ((index, record), answer) in records.into_iter().zip(answers) {
                match row(answer) {
                    Err(refused) if refused.code == "UNABLE_TO_LOCK_ROW" && !last => again.push((index, record)),
                    result => sent.rows.push((index, result)),
                }
            }
            records = again;
        }
        Ok(sent)
    }
}

fn body(records: &[(usize, Map<String, Json>)]) -> Json {
    let records: Vec<Json> = records
        .iter()
        .map(|(_, fields)| {
            let mut record = Map::from_iter([("attributes".to_owned(), json!({ "type": "User" }))]);
            record.extend(fields.clone());
            Json::Object(record)
        })
        .collect();
    json!({ "allOrNone": false, "records": records })
}

/// The fate of one record of a collection: its id, or the first error.
fn row(answer: &Json) -> Result<String, Refused> {
    if answer.get("success").and_then(Json::as_bool) == Some(true) {
        return Ok(answer.get("id").and_then(Json::as_str).unwrap_or_default().to_owned());
    }
    let error = answer.get("errors").and_then(|errors| errors.get(0));
    let text = |name: &str| error.and_then(|error| error.get(name)).and_then(Json::as_str).unwrap_or_default();
    let code = if text("statusCode").is_empty() { "UNKNOWN_EXCEPTION" } else { text("statusCode") };
    Err(said(&error::failure(code, text("message"))))
}
