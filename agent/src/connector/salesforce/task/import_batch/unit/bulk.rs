//! One bulk job for many records.
//!
//! A job does nothing before it is handed over, and its id is in the journal before that. So whatever is lost up to
//! there is given up and begun anew, and whatever is lost after it is asked for by the id. What may be handed over late is
//! both: given up, and asked for by another attempt.

use std::collections::{BTreeSet, HashMap, HashSet};

use postern_protocol::task::import_batch::Delimiter;
use postern_protocol::{Failure, FailureClass};
use serde_json::Value as Json;
use tokio_util::bytes::Bytes;

use super::super::jobs::{Info, Made, State, left_to_another};
use super::super::memory::{Job, Note, Operation, Rows};
use super::super::plan::Refused;
use super::super::reader::Size;
use super::super::values::Values;
use super::Unit;
use super::sent::{NO_CODE, RowEnd, Sent};
use super::work::{record, said};
use crate::connector;
use crate::connector::salesforce::api::{Call, MAX_CALLS, Undone, error_code, job_id};
use crate::connector::salesforce::error;
use crate::connector::salesforce::governor::OnlyJob;
use crate::connector::salesforce::role_lane::{Role, takes_lane};
use crate::connector::salesforce::user::short;
use crate::dataset::{Entry, csv};

/// The most entries apart from a job whose numbers fit its note.
const MOST_APART: usize = 64;

/// A job that was handed over.
struct Handed {
    id: String,
    /// What its open intents say, oldest first.
    notes: Vec<Vec<u8>>,
}

/// What the results of a job tell of rows.
#[derive(Default)]
struct Told {
    ends: Vec<RowEnd>,
    /// They met a lock, or what else may pass, and nothing became of them.
    again: Vec<usize>,
    /// The last that was refused because the org is read-only.
    read_only: Option<Refused>,
    /// Whether every row is told of.
    is_whole: bool,
}

impl Told {
    /// Why nothing became of the job, if the org is read-only and that is why.
    fn nothing_done(&self) -> Option<&Refused> {
        let nothing_done = self.is_whole && self.ends.iter().all(|(_, end)| end.is_err());
        self.read_only.as_ref().filter(|_| nothing_done)
    }
}

/// What is known of the rows of earlier jobs.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) ends: Vec<RowEnd>,
    /// Rows of jobs that this account is told nothing of, each with why.
    pub(super) untold: Vec<(Vec<usize>, Failure)>,
}

/// Which of its rows the results of a job are about.
const SUCCESSFUL: &str = "successfulResults";
const FAILED: &str = "failedResults";
const UNPROCESSED: &str = "unprocessedrecords";

impl Unit<'_> {
    /// Sends rows as one job and waits until it is done. Those that its results could not tell from others follow it, and
    /// those that its table cannot hold.
    pub(super) async fn send_in_bulk(&self, rows: &[usize], operation: Operation) -> Result<Sent, Failure> {
        let (firsts, others) = self.apart(rows, operation);
        if firsts.is_empty() || others.len() > MOST_APART {
            return self.send(rows, record, operation).await;
        }
        let mut sent = self.send_as_job(&firsts, self.numbers(&firsts, &others), operation).await?;
        // What was lost is sent again, and they would be done before it.
        if sent.lost.is_none() {
            let more = self.send(&others, record, operation).await?;
            sent.rows.extend(more.rows);
            sent.lost = more.lost;
        }
        Ok(sent)
    }

    async fn send_as_job(&self, rows: &[usize], numbers: Rows, operation: Operation) -> Result<Sent, Failure> {
        let _only = self.only_role_job(rows).await?;
        let table = Bytes::from(self.table(rows));
        let mut lost = None;
        for _ in 0..MAX_CALLS {
            match self.hand_over(operation, table.clone(), &numbers).await? {
                Ok(job) => {
                    drop(table);
                    return self.outcome(&job, rows, operation).await;
                }
                Err(Undone::Not(failure)) if error::takes_no_jobs(&failure) => {
                    drop(table);
                    tracing::info!(code = %failure.code, "the org takes no bulk job: its rows go in calls");
                    return self.send(rows, record, operation).await;
                }
                Err(Undone::Not(failure)) => {
                    let refused = self.said_together(rows, &failure);
                    let rows = rows.iter().map(|index| (*index, Err(refused.clone()))).collect();
                    return Ok(Sent { rows, lost: None });
                }
                Err(Undone::Unknown(failure)) => lost = Some(failure),
            }
        }
        // Nothing was handed over, so another attempt may begin anew.
        Err(lost.unwrap_or_else(error::no_answer))
    }

    /// Waits until no other job writes to roles, if this one does: for hours, so that what was not begun may be late by then. One
    /// of an earlier attempt is with Salesforce already.
    async fn only_role_job(&self, rows: &[usize]) -> Result<Option<OnlyJob>, Failure> {
        let takes_lane = |index: &usize| {
            let work = self.work.get(*index)?;
            let role = if work.is_new() { Role::None } else { Role::Perhaps };
            Some(takes_lane("User", role, work.plan.as_ref()?.fields.names()))
        };
        if !rows.iter().filter_map(takes_lane).any(|it| it) {
            return Ok(None);
        }
        tokio::select! {
            biased;
            () = self.cx.until_late(), if !self.has_begun() => Err(connector::stopped()),
            only = self.org.governor.only_role_job() => Ok(Some(only)),
            () = self.cx.stop.cancelled() => Err(connector::stopped()),
        }
    }

    /// The rows as a table with a column for each field that one of them has.
    fn table(&self, rows: &[usize]) -> String {
        let record = |index: &usize| {
            let work = self.work.get(*index)?;
            Some((work.id.as_deref(), &work.plan.as_ref()?.fields))
        };
        let records: Vec<_> = rows.iter().filter_map(record).collect();
        table(&records)
    }

    /// Rows that are the first of what is tried of the unit on their users and can stand in a table, and the others.
    fn apart(&self, rows: &[usize], operation: Operation) -> (Vec<usize>, Vec<usize>) {
        let mut keys = HashSet::new();
        let is_first = |index: &usize| {
            // What follows such a row for the same user must follow it here, too.
            self.key(*index, operation).is_some_and(|key| keys.insert(key)) && !self.has_nothing_as_text(*index)
        };
        let firsts: BTreeSet<usize> = (0..self.work.len()).filter(is_first).collect();
        rows.iter().partition(|index| firsts.contains(index))
    }

    /// Whether a value of the row is the very text that empties a field in a table.
    fn has_nothing_as_text(&self, index: usize) -> bool {
        let plan = self.work.get(index).and_then(|work| work.plan.as_ref());
        plan.is_some_and(|plan| plan.fields.iter().any(|(_, value)| value.as_str() == Some(csv::NOTHING)))
    }

    /// The entries of a job with these rows, and of those others that are not in it.
    fn numbers(&self, rows: &[usize], others: &[usize]) -> Rows {
        let number = |index: &usize| self.work.get(*index).map(|it| it.number);
        let numbers = || rows.iter().filter_map(number);
        Rows {
            first: numbers().min().unwrap_or_default(),
            last: numbers().max().unwrap_or_default(),
            but: others.iter().filter_map(number).collect(),
        }
    }

    /// Those of some rows that were in a job of an earlier attempt.
    fn of_job(&self, rows: &[usize], job: &Job) -> Vec<usize> {
        let Some(numbers) = &job.rows else { return self.apart(rows, job.operation).0 };
        let has = |index: &usize| self.work.get(*index).is_some_and(|it| numbers.have(it.number));
        rows.iter().copied().filter(has).collect()
    }

    /// What joins a row to its result: its id, or a new user's name.
    fn key(&self, index: usize, operation: Operation) -> Option<String> {
        let work = self.work.get(index).filter(|it| it.operation() == operation)?;
        Some(match operation {
            Operation::Insert => work.plan.as_ref()?.key.text().to_lowercase(),
            Operation::Update => short(work.id.as_deref()?).to_owned(),
        })
    }

    /// What the jobs of earlier attempts did of these rows. All that had some of them are waited for before anything is sent
    /// again: a row that one of them did not come to may be with a later one. Of those that Salesforce tells to another account
    /// alone nothing is sent: they may be under way, and nobody knows for how long.
    pub(super) async fn ends_by_earlier_jobs(&self, rows: &[usize], operation: Operation) -> Result<Ended, Failure> {
        let mut rows = rows.to_vec();
        let mut ended = Ended::default();
        for job in self.memory.jobs.iter().filter(|job| job.operation == operation) {
            let of_job = self.of_job(&rows, job);
            if of_job.is_empty() {
                continue;
            }
            let version = job.version.as_ref().unwrap_or(&self.org.settings.api_version);
            match self.ends_by_earlier(Made { id: &job.id, version }, &of_job, operation).await {
                Ok(some) => {
                    let done: BTreeSet<usize> = some.iter().map(|(index, _)| *index).collect();
                    rows.retain(|index| !done.contains(index));
                    ended.ends.extend(some);
                }
                Err(failure) if error::says_job_is_anothers(&failure) && job.by != self.by => {
                    if job.may_be_handed_over {
                        rows.retain(|index| !of_job.contains(index));
                        ended.untold.push((of_job, failure));
                    }
                }
                // What it did is found by looking.
                Err(failure) => drop(gone(failure)?),
            }
        }
        Ok(ended)
    }

    /// What one job of an earlier attempt did of these rows. One that was never handed over is given up.
    async fn ends_by_earlier(
        &self,
        job: Made<'_>,
        rows: &[usize],
        operation: Operation,
    ) -> Result<Vec<RowEnd>, Failure> {
        if self.org.job(job).await?.state == State::Open {
            self.abort(operation, job).await?;
            return Ok(Vec::new());
        }
        let info = self.org.ended_job(job, &self.cx.stop).await?;
        // What it did not come to, or what may pass, is still to be done.
        Ok(self.results(job, &info, &[SUCCESSFUL, FAILED], rows, operation).await?.ends)
    }

    /// Waits for a job that was handed over. If it is gone, what it did has to be found by looking.
    async fn outcome(&self, handed: &Handed, rows: &[usize], operation: Operation) -> Result<Sent, Failure> {
        let job = self.made(&handed.id);
        let told = match self.org.ended_job(job, &self.cx.stop).await {
            Ok(info) => self.results(job, &info, &[SUCCESSFUL, FAILED, UNPROCESSED], rows, operation).await,
            Err(failure) => Err(failure),
        };
        let told = match told {
            Ok(told) => told,
            Err(failure) => return Ok(Sent { lost: Some(gone(failure)?), ..Sent::default() }),
        };
        // As of a call of many rows: the unit is left to another attempt, and nobody waits beyond the deadline.
        if let Some(refused) = told.nothing_done().filter(|_| !self.cx.is_late()) {
            return Err(self.left(&handed.notes, refused).await);
        }
        let Told { ends: mut rows, again, is_whole, .. } = told;
        let again = self.send(&again, record, operation).await?;
        rows.extend(again.rows);
        let missing = || {
            let summary = format!("the bulk job {} says nothing of the entry", job.id);
            Failure::new(FailureClass::Transient, "bulk_result_missing", summary)
        };
        Ok(Sent { rows, lost: (!is_whole).then(missing).or(again.lost) })
    }

    /// Makes a job, gives it its rows and hands it over. `Unknown`: it was not, and is given up. `Err` if it may have been:
    /// another attempt asks what it did.
    async fn hand_over(
        &self,
        operation: Operation,
        rows: Bytes,
        numbers: &Rows,
    ) -> Result<Result<Handed, Undone>, Failure> {
        let plain = self.intent().encode();
        let made = self.org.change(self.cx, self.step, &plain, &Call::post_job(operation.name())).await;
        let made = match made {
            Ok(answer) => answer.json,
            Err(Undone::Not(failure)) if error::is_retryable(&failure) => return Err(failure),
            Err(undone) => return Ok(Err(undone)),
        };
        let Some(job) = job_id(&made).map(str::to_owned) else {
            return Ok(Err(Undone::Unknown(error::strange(200))));
        };
        let made = self.made(&job);
        let note = self.note(operation, made, Some(numbers)).encode();
        self.cx.intend(self.step, note.clone(), Vec::new(), self.org.reach()).await?;
        match self.org.change(self.cx, self.step, &note, &Call::put_rows(&job, rows)).await {
            Ok(_) => (),
            Err(undone) => {
                self.give_up(operation, made).await;
                return unless_retryable(undone);
            }
        }
        let last = Note { hands_over: true, ..self.note(operation, made, Some(numbers)) }.encode();
        // To make it, its id, and its rows.
        let mut notes = vec![plain, note.clone(), note];
        for round in 1..=MAX_CALLS {
            let closed = self.org.change(self.cx, self.step, &last, &Call::patch_job(&job, "UploadComplete")).await;
            if !matches!(closed, Err(Undone::Not(_))) {
                notes.push(last.clone());
            }
            let Err(undone) = closed else { return Ok(Ok(Handed { id: job, notes })) };
            self.org.settle().await;
            // If it is gone, another attempt looks whether it was handed over before.
            let info = self.org.job(made).await.map_err(left_to_another)?;
            match (info.state, undone) {
                (State::Busy | State::Over, _) => return Ok(Ok(Handed { id: job, notes })),
                (State::Open, undone @ Undone::Not(_)) if round == 1 => {
                    self.give_up(operation, made).await;
                    return unless_retryable(undone);
                }
                (State::Open, Undone::Not(_) | Undone::Unknown(_)) => (),
            }
        }
        self.give_up(operation, made).await;
        Err(error::no_answer())
    }

    /// A job that this attempt made.
    fn made<'j>(&'j self, id: &'j str) -> Made<'j> {
        Made { id, version: &self.org.settings.api_version }
    }

    fn note(&self, operation: Operation, job: Made<'_>, rows: Option<&Rows>) -> Note {
        let version = Some(job.version.to_owned());
        let job = Some((operation, job.id.to_owned()));
        Note { job, version, rows: rows.cloned(), ..self.intent() }
    }

    /// A job that stays open does no harm and ends by itself within a day, so nobody waits for this.
    async fn give_up(&self, operation: Operation, job: Made<'_>) {
        if let Err(failure) = self.abort(operation, job).await {
            tracing::warn!(job = job.id, code = %failure.code, "a bulk job of ours stays open");
        }
    }

    /// Ends a job, so that nothing of it is done any more. Else another attempt looks where it stands.
    async fn abort(&self, operation: Operation, job: Made<'_>) -> Result<(), Failure> {
        let note = self.note(operation, job, None).encode();
        let call = job.asked(Call::patch_job(job.id, "Aborted"));
        match self.org.change(self.cx, self.step, &note, &call).await {
            Ok(_) => Ok(()),
            Err(Undone::Not(failure) | Undone::Unknown(failure)) if error::is_retryable(&failure) => Err(failure),
            Err(Undone::Not(failure) | Undone::Unknown(failure)) => {
                Err(Failure { class: FailureClass::Transient.into(), ..failure })
            }
        }
    }

    /// What became of each record. Results come in an order of their own and are joined by the key.
    async fn results(
        &self,
        job: Made<'_>,
        info: &Info,
        kinds: &[&str],
        rows: &[usize],
        operation: Operation,
    ) -> Result<Told, Failure> {
        let mut open: HashMap<String, usize> =
            rows.iter().filter_map(|index| Some((self.key(*index, operation)?, *index))).collect();
        let mut told = Told::default();
        // What is said of the whole job may be about any of its rows.
        let why = if self.is_told_by(&info.error) { error::KEPT_BACK } else { info.error.as_str() };
        for kind in kinds {
            if open.is_empty() {
                break;
            }
            let call = Call::get_csv(format!("jobs/ingest/{}/{kind}", job.id));
            let reply = self.org.read_raw(&job.asked(call)).await?;
            for (key, end) in read_results(&reply.body, kind, operation, why) {
                let Some(index) = open.remove(&key) else { continue };
                match end {
                    Err(refused) if refused.may_pass() => {
                        told.again.push(index);
                        told.read_only = Some(refused).filter(Refused::says_read_only).or(told.read_only);
                    }
                    end => told.ends.push((index, end)),
                }
            }
        }
        told.is_whole = told.ends.len() + told.again.len() == rows.len();
        Ok(told)
    }
}

/// What is said of a job that is gone. One that could not be asked for may be under way: another attempt asks for it, and
/// nothing is sent of its rows before. What the account is refused for would be refused to that one, too.
fn gone(failure: Failure) -> Result<Failure, Failure> {
    match failure.class.known() {
        Some(FailureClass::Rejected) if error::says_job_is_gone(&failure) => Ok(failure),
        _ => Err(left_to_another(failure)),
    }
}

/// What is refused for good ends the entries; another attempt gets over the rest.
fn unless_retryable(undone: Undone) -> Result<Result<Handed, Undone>, Failure> {
    match undone {
        Undone::Not(failure) if error::is_retryable(&failure) => Err(failure),
        Undone::Not(_) | Undone::Unknown(_) => Ok(Err(undone)),
    }
}

/// What a list of results of a job says of each row, by what joins it to that: of as many as any job may have had, at most. One of
/// an earlier attempt may have had more than are tried now. `why` the job ended, as far as it is said.
fn read_results<'a>(
    body: &'a [u8],
    kind: &'a str,
    operation: Operation,
    why: &'a str,
) -> impl Iterator<Item = (String, Result<String, Refused>)> + 'a {
    let rows = csv::Reader::new(body, Delimiter::Comma).map_while(Result::ok).flatten().take(Size::JOB.entries);
    rows.filter_map(move |row| Some((key_of(&row, operation)?, outcome(kind, &row, why))))
}

/// The state of a job, and what one of its lists of results says: of each row its id, or the code that it was refused with.
pub(in super::super::super::super) fn job_told(
    state: &Json,
    list: usize,
    body: &[u8],
) -> Vec<(String, Result<String, String>)> {
    let Ok(info) = Info::read(state) else { return Vec::new() };
    let kind = [SUCCESSFUL, FAILED, UNPROCESSED].get(list % 3).copied().unwrap_or(FAILED);
    let operation = if list.is_multiple_of(2) { Operation::Insert } else { Operation::Update };
    read_results(body, kind, operation, &info.error)
        .map(|(key, end)| (key, end.map_err(|refused| refused.code)))
        .collect()
}

fn cell<'a>(row: &'a Entry, name: &str) -> Option<&'a str> {
    row.record.attributes.iter().find(|cell| cell.name == name).map(|cell| cell.value.expose())
}

/// What joins a result to its row.
fn key_of(row: &Entry, operation: Operation) -> Option<String> {
    Some(match operation {
        Operation::Insert => cell(row, "Username")?.to_lowercase(),
        Operation::Update => short(cell(row, "Id").or_else(|| cell(row, "sf__Id"))?).to_owned(),
    })
}

fn outcome(kind: &str, row: &Entry, why: &str) -> Result<String, Refused> {
    let text = |name| cell(row, name).unwrap_or_default();
    match kind {
        SUCCESSFUL => Ok(text("sf__Id").to_owned()),
        FAILED => Err(refused(text("sf__Error"))),
        _ if why.is_empty() => {
            Err(Refused::new("bulk_job_failed", "the bulk job ended before this entry: it was stopped"))
        }
        _ => Err(Refused::quoting("bulk_job_failed", "the bulk job ended before this entry: ", why, "")),
    }
}

/// `CODE:message:Field Field --`; the message may hold colons.
fn refused(error: &str) -> Refused {
    let told = error.split_once(':').and_then(|(code, rest)| Some((error_code(code)?, rest)));
    let (code, rest) = told.unwrap_or_else(|| (NO_CODE.to_owned(), error));
    let fields = rest.rsplit_once(':').filter(|(_, fields)| fields.trim_end().ends_with("--"));
    said(&error::failure(&code, fields.map_or(rest, |(message, _)| message)))
}

/// Ids, where there are any, and fields as a table with a column for each field that one of them has.
fn table(records: &[(Option<&str>, &Values<'_>)]) -> String {
    let columns: BTreeSet<&str> = records.iter().flat_map(|(_, fields)| fields.names()).collect();
    let with_ids = records.iter().any(|(id, _)| id.is_some());
    let mut table = String::new();
    for (place, column) in with_ids.then_some("Id").into_iter().chain(columns.iter().copied()).enumerate() {
        put(&mut table, place, column);
    }
    table.push('\n');
    for (id, fields) in records {
        if with_ids {
            put(&mut table, 0, id.unwrap_or_default());
        }
        for (place, column) in (usize::from(with_ids)..).zip(&columns) {
            match fields.get(column) {
                None => put(&mut table, place, ""),
                Some(Json::Null) => put(&mut table, place, csv::NOTHING),
                Some(Json::String(text)) => put(&mut table, place, text),
                Some(value) => put(&mut table, place, &value.to_string()),
            }
        }
        table.push('\n');
    }
    table
}

fn put(table: &mut String, place: usize, cell: &str) {
    if place > 0 {
        table.push(',');
    }
    if cell.contains(['"', ',', '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ') {
        table.push('"');
        table.push_str(&cell.replace('"', "\"\""));
        table.push('"');
    } else {
        table.push_str(cell);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sent::fates;
    use super::*;

    #[test]
    fn an_error_of_a_row_is_told_like_one_of_a_collection() {
        for (error, code, words) in [
            (
                "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --",
                "REQUIRED_FIELD_MISSING",
                "are missing: [Name]",
            ),
            (
                "STRING_TOO_LONG:Alias: data value too large: x (max length=8):Alias --",
                "STRING_TOO_LONG",
                "(max length=8)",
            ),
            ("DUPLICATE_USERNAME:taken:--", "DUPLICATE_USERNAME", "taken"),
            ("strange", "UNKNOWN_EXCEPTION", "strange"),
        ] {
            let refused = refused(error);
            assert_eq!(refused.code, code);
            assert!(refused.message().contains(words), "{}", refused.message());
        }
    }

    /// A code is told without being looked through.
    #[test]
    fn what_is_no_code_of_salesforces_is_told_of_a_row_as_none() {
        for code in ["poison", "POISON AT", &"X".repeat(101)] {
            let of_call = json!([{ "success": false, "errors": [{ "statusCode": code, "message": "bad" }] }]);
            let of_call = fates(&of_call, 1).unwrap().remove(0).unwrap_err();
            let told = [refused(&format!("{code}:bad:--")).code, of_call.code];
            assert_eq!(told, ["UNKNOWN_EXCEPTION", "UNKNOWN_EXCEPTION"]);
        }
        let without_fields = refused("System.LimitException: Apex CPU time limit exceeded");
        assert!(without_fields.message().contains("CPU time limit exceeded"), "{without_fields:?}");
    }

    /// F64: 32 MiB have millions of them.
    #[test]
    fn f64_of_a_list_of_results_no_more_rows_are_read_than_a_job_may_have() {
        for (more, found) in [(1, 1), (9_999, 1), (10_000, 0)] {
            let body = format!("sf__Id,Username\n{}1,a@b.c\n", "1,\n".repeat(more));
            let told = read_results(body.as_bytes(), SUCCESSFUL, Operation::Insert, "");
            assert_eq!(told.filter(|(key, _)| key == "a@b.c").count(), found, "{more}");
        }
    }

    #[test]
    fn records_become_a_table_with_all_their_columns() {
        let (mut one, mut other) = (Values::default(), Values::default());
        one.insert("Title", json!("a, \"b\"\nc"));
        one.insert("IsActive", json!(true));
        other.insert("City", Json::Null);
        other.insert("Level__c", json!(3));
        let rows = "1,,true,,\"a, \"\"b\"\"\nc\"\n2,#N/A,,3,\n";
        assert_eq!(
            table(&[(Some("1"), &one), (Some("2"), &other)]),
            format!("Id,City,IsActive,Level__c,Title\n{rows}")
        );
        assert_eq!(table(&[(None, &other)]), "City,Level__c\n#N/A,3\n");
    }
}
