//! One call for many records.

use postern_protocol::Failure;
use serde_json::{Map, Value as Json, json};

use super::super::memory::{Note, Operation};
use super::super::plan::Refused;
use super::Unit;
use super::work::said;
use crate::connector::salesforce::api::{Call, Undone, lock_wait};
use crate::connector::salesforce::error;

/// Rows that meet a lock are tried again, by themselves.
const LOCK_TRIES: u32 = 5;

/// What Salesforce takes in one call.
pub(in super::super) const AT_ONCE: usize = 200;

/// One record on its way: the row it belongs to, and its fields.
pub(super) type Sending = (usize, Map<String, Json>);

/// What became of records. Those that are not here were lost.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) rows: Vec<(usize, Result<String, Refused>)>,
    pub(super) lost: Option<Failure>,
}

impl Unit<'_> {
    /// As few calls as there can be for many records.
    pub(super) async fn send(&self, records: Vec<Sending>, operation: Operation) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        let mut records = records.into_iter();
        loop {
            let some: Vec<Sending> = records.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(sent);
            }
            let Sent { rows, lost } = self.send_some(some, operation).await?;
            sent.rows.extend(rows);
            sent.lost = sent.lost.or(lost);
        }
    }

    /// One call for many records; rows that met a lock once more, by themselves.
    async fn send_some(&self, mut records: Vec<Sending>, operation: Operation) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        let note = Note { since: self.since(), ..Note::default() }.encode();
        for tries in 0..LOCK_TRIES {
            if records.is_empty() {
                break;
            }
            if tries > 0 {
                tokio::time::sleep(lock_wait(tries)).await;
            }
            let body = body(&records, self.choices.all_or_none);
            let call = match operation {
                Operation::Insert => Call::post_many(body),
                Operation::Update => Call::patch_many(body),
            };
            let answer = match self.org.change(self.cx, self.step, &note, &call).await {
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
            let results: Vec<_> = answers.iter().map(row).collect();
            let locked = |result: &Result<String, Refused>| result.as_ref().is_err_and(Refused::is_lock);
            // Together with a row that met a lock all are rolled back.
            let all_again = self.choices.all_or_none && results.iter().any(locked);
            let mut again = Vec::new();
            for ((index, record), result) in records.into_iter().zip(results) {
                if !last && (all_again || locked(&result)) {
                    again.push((index, record));
                } else {
                    sent.rows.push((index, result));
                }
            }
            records = again;
        }
        Ok(sent)
    }
}

fn body(records: &[Sending], all_or_none: bool) -> Json {
    let records: Vec<Json> = records
        .iter()
        .map(|(_, fields)| {
            let mut record = Map::from_iter([("attributes".to_owned(), json!({ "type": "User" }))]);
            record.extend(fields.clone());
            Json::Object(record)
        })
        .collect();
    json!({ "allOrNone": all_or_none, "records": records })
}

/// The fate of one record of a collection: its id, or the first error.
pub(super) fn row(answer: &Json) -> Result<String, Refused> {
    if answer.get("success").and_then(Json::as_bool) == Some(true) {
        return Ok(answer.get("id").and_then(Json::as_str).unwrap_or_default().to_owned());
    }
    let error = answer.get("errors").and_then(|errors| errors.get(0));
    let text = |name: &str| error.and_then(|error| error.get(name)).and_then(Json::as_str).unwrap_or_default();
    let code = if text("statusCode").is_empty() { "UNKNOWN_EXCEPTION" } else { text("statusCode") };
    Err(said(&error::failure(code, text("message"))))
}
