//! One call for many records.

use postern_protocol::Failure;
use serde_json::{Value as Json, json};

use super::super::memory::Operation;
use super::super::plan::Refused;
use super::Unit;
use super::work::{Work, said};
use crate::connector::salesforce::api::{Call, LOCK_TRIES, Undone, error_code, lock_wait};
use crate::connector::salesforce::error;

/// What Salesforce takes in one call.
pub(in super::super) const AT_ONCE: usize = 200;

/// How often calls for many rows are halved: as often as it takes to find two rows among 200. Where every row is refused, that is
/// 32 calls more.
const MAX_HALVINGS: usize = 16;

/// The code of a row that was refused with none that is one of Salesforce's.
pub(super) const NO_CODE: &str = "UNKNOWN_EXCEPTION";

/// What a call is to say of one of a unit's entries.
pub(super) type Record = fn(&Work<'_>) -> Option<Json>;

/// A row and how it ended: the record's id, or why it was refused.
pub(super) type RowEnd = (usize, Result<String, Refused>);

/// What became of records. Those that are not here were lost.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) rows: Vec<RowEnd>,
    pub(super) lost: Option<Failure>,
}

/// Rows whose call was refused as a whole, and why.
type RefusedTogether = Option<(Vec<usize>, Failure)>;

impl Unit<'_> {
    /// As few calls as there can be for many rows. One that is refused for a value in it is sent again in halves, so that
    /// the other rows do not end with it.
    pub(super) async fn send(&self, rows: &[usize], record: Record, operation: Operation) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        let mut halvings = 0;
        for some in rows.chunks(AT_ONCE) {
            let mut parts = vec![some.to_vec()];
            while let Some(part) = parts.pop() {
                let (Sent { rows, lost }, refused) = self.send_some(part, record, operation).await?;
                sent.rows.extend(rows);
                sent.lost = sent.lost.or(lost);
                let Some((mut rows, failure)) = refused else { continue };
                if error::is_about_a_value(&failure)
                    && rows.len() > 1
                    && halvings < MAX_HALVINGS
                    && !self.choices.all_or_none
                {
                    halvings += 1;
                    let second = rows.split_off(rows.len() / 2);
                    parts.extend([second, rows]);
                } else {
                    let refused = self.said_together(&rows, &failure);
                    sent.rows.extend(rows.into_iter().map(|index| (index, Err(refused.clone()))));
                }
            }
        }
        Ok(sent)
    }

    /// One call for many rows; those that met a lock, or what else may pass, once more, by themselves.
    async fn send_some(
        &self,
        mut rows: Vec<usize>,
        record: Record,
        operation: Operation,
    ) -> Result<(Sent, RefusedTogether), Failure> {
        let mut sent = Sent::default();
        let note = self.intent().encode();
        for tries in 0..LOCK_TRIES {
            if rows.is_empty() {
                break;
            }
            if tries > 0 {
                tokio::time::sleep(lock_wait(tries)).await;
            }
            let records: Vec<Json> = rows.iter().filter_map(|index| record(self.work.get(*index)?)).collect();
            let body = json!({ "allOrNone": self.choices.all_or_none, "records": records });
            let call = match operation {
                Operation::Insert => Call::post_many(body),
                Operation::Update => Call::patch_many(body),
            };
            let answer = match self.org.change(self.cx, self.step, &note, &call).await {
                Ok(answer) => answer.json,
                Err(Undone::Not(failure)) if error::is_retryable(&failure) => return Err(failure),
                Err(Undone::Not(failure)) => return Ok((sent, Some((rows, failure)))),
                Err(Undone::Unknown(failure)) => return Ok((Sent { lost: Some(failure), ..sent }, None)),
            };
            let Some(results) = fates(&answer, rows.len()) else {
                return Ok((Sent { lost: Some(error::strange(200)), ..sent }, None));
            };
            self.unless_read_only(&note, &results).await?;
            let last = tries + 1 == LOCK_TRIES;
            let may_pass = |result: &Result<String, Refused>| result.as_ref().is_err_and(Refused::may_pass);
            // Together with a row that met a lock all are rolled back.
            let all_again = self.choices.all_or_none && results.iter().any(may_pass);
            let mut again = Vec::new();
            for (index, result) in rows.into_iter().zip(results) {
                if !last && (all_again || may_pass(&result)) {
                    again.push(index);
                } else {
                    sent.rows.push((index, result));
                }
            }
            rows = again;
        }
        Ok((sent, None))
    }

    /// Leaves the unit to another attempt if nothing came of an answered call because the org is read-only. Where others of its
    /// rows were done it is not, or no more: those are sent again first. After the deadline nobody waits for the org any more.
    pub(super) async fn unless_read_only(
        &self,
        note: &[u8],
        results: &[Result<String, Refused>],
    ) -> Result<(), Failure> {
        let nothing_done = results.iter().all(Result::is_err);
        let refused = results.iter().filter_map(|it| it.as_ref().err()).find(|it| it.says_read_only());
        let Some(refused) = refused.filter(|_| nothing_done && !self.cx.is_late()) else { return Ok(()) };
        Err(self.left(&[note.to_vec()], refused).await)
    }

    /// Why the unit is left to another attempt: nothing came of the calls that these notes announced, oldest first.
    pub(super) async fn left(&self, notes: &[Vec<u8>], refused: &Refused) -> Failure {
        let take_back = async {
            self.keep_lease().await?;
            for note in notes.iter().rev() {
                self.cx.take_back(self.step, note.clone()).await?;
            }
            Ok(())
        };
        take_back.await.err().unwrap_or_else(|| error::failure(&refused.code, ""))
    }
}

/// The fates of so many records of a collection; `None` if it is another answer, which proves nothing of any.
pub(super) fn fates(answer: &Json, records: usize) -> Option<Vec<Result<String, Refused>>> {
    let answers = answer.as_array().filter(|answers| answers.len() == records)?;
    Some(answers.iter().map(row).collect())
}

/// The ids of those of so many records of a collection that were written.
pub(in super::super::super::super) fn written(answer: &Json, records: usize) -> Option<Vec<Option<String>>> {
    Some(fates(answer, records)?.into_iter().map(Result::ok).collect())
}

/// The fate of one record of a collection: its id, or the first error.
fn row(answer: &Json) -> Result<String, Refused> {
    if answer.get("success").and_then(Json::as_bool) == Some(true) {
        return Ok(answer.get("id").and_then(Json::as_str).unwrap_or_default().to_owned());
    }
    let error = answer.get("errors").and_then(|errors| errors.get(0));
    let text = |name: &str| error.and_then(|error| error.get(name)).and_then(Json::as_str).unwrap_or_default();
    let code = error_code(text("statusCode"));
    Err(said(&error::failure(code.as_deref().unwrap_or(NO_CODE), text("message"))))
}
