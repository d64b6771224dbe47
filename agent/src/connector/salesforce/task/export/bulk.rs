//! Records as one query job of the Bulk API 2.0.
//!
//! The job's id is journaled: what another attempt finds of it need not be asked for again.

use std::time::Duration;

use postern_protocol::{Failure, FailureClass};
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::super::super::api::{Call, Download, is_locator, job_id, lock_wait};
use super::super::super::kept::short_hash;
use super::super::super::{Salesforce, error};
use super::plan::Plan;
use super::table::Table;
use super::{Broke, Broken, Portion, Rows, TRIES, incomplete, patiently};
use crate::clock;
use crate::connector::{AttemptCx, stopped};

/// How long to wait before asking again how a job goes: at first, and at most.
const POLL: Duration = Duration::from_millis(500);
const POLL_MAX: Duration = Duration::from_secs(30);
/// How long a job may take. Salesforce gives up on its own before.
const PATIENCE: Duration = Duration::from_secs(12 * 60 * 60);
/// Records of one download that is handed on as it comes: few calls for a million, and little to repeat if one breaks off.
const PAGE: usize = 50_000;
/// What is taken of a download at once, about: enough to pay for a change of threads.
const PIECE: usize = 256 * 1024;
/// How old a job may be that another attempt goes on with: what it found is of when it was made, and is handed over as what
/// there is now. A million records take some minutes.
const STALE: Duration = Duration::from_secs(60 * 60);
/// The step under which the job is journaled.
const STEP: u32 = 0;

/// A finished job, and how far its results are read.
pub(super) struct Bulk {
    job: String,
    /// How many records the job found.
    pub(super) found: u64,
    next: Next,
    portion: Portion,
    page: Option<Page>,
    /// Records of the page that were handed on, and are to be left out if it has to be read again.
    taken: usize,
    /// How often the page broke off since it brought a record.
    broken: u32,
}

enum Next {
    First,
    Page(String),
    Nothing,
}

/// One page of the results while it comes.
struct Page {
    download: Download,
    head: Head,
    table: Table,
    read: usize,
    /// How many more of its records are known already.
    known: usize,
}

/// What a page says of itself.
pub(in super::super::super) struct Head {
    /// How many records it is to have.
    pub(in super::super::super) count: Option<usize>,
    after: Next,
}

/// What is journaled of a job.
#[derive(Serialize, Deserialize)]
pub(in super::super::super) struct Made {
    job: String,
    statement: String,
    /// When, in milliseconds by this host's clock.
    #[serde(default)]
    at: u64,
}

impl Bulk {
    /// The job that an earlier attempt made for the same statement not long ago. An older one is given up.
    pub(super) async fn made_before(org: &Salesforce, plan: &Plan, cx: &AttemptCx) -> Option<String> {
        let memo = cx.earlier.memos(STEP).next_back()?;
        let made: Made = serde_json::from_slice(&memo.note).ok()?;
        if made.statement != statement(org, plan) {
            return None;
        }
        if u128::from(clock::unix_millis().0.abs_diff(made.at)) < STALE.as_millis() {
            return Some(made.job);
        }
        abort(org, &made.job).await;
        None
    }

    /// Waits until the job is done; makes one if there is none.
    pub(super) async fn open(
        org: &Salesforce,
        plan: &Plan,
        (job, portion): (Option<String>, Portion),
        cx: &AttemptCx,
    ) -> Result<Self, Broken> {
        let job = match job {
            Some(job) => job,
            None => make(org, plan, cx).await?,
        };
        match wait(org, &job, cx).await {
            Ok(found) => Ok(Self { job, found, next: Next::First, portion, page: None, taken: 0, broken: 0 }),
            Err(broken) => {
                if !is_left_to_another(&broken, cx) {
                    abort(org, &job).await;
                }
                Err(broken)
            }
        }
    }

    /// The next records; `None` after the last.
    pub(super) async fn next(&mut self, org: &Salesforce, plan: &Plan) -> Result<Option<Rows>, Failure> {
        match self.portion {
            Portion::AsTheyCome => self.piece(org, plan).await,
            Portion::Whole(count) => self.whole(org, plan, count).await,
        }
    }

    /// The next page, read to its end.
    async fn whole(&mut self, org: &Salesforce, plan: &Plan, count: usize) -> Result<Option<Rows>, Failure> {
        let Some(call) = self.call(count) else { return Ok(None) };
        let read = || async {
            let reply = org.read_raw(&call).await?;
            let head = Head::read(&reply.headers)?;
            let (mut table, mut rows) = (table(plan, count), Rows::new());
            let taken = table.take(&reply.body, &mut rows);
            taken.filter(|()| table.is_whole()).ok_or_else(|| error::strange(200))?;
            head.check(rows.len())?;
            Ok((rows, head.after))
        };
        let (rows, after) = patiently(org, read).await?;
        self.next = after;
        Ok(Some(rows))
    }

    /// The next records of a page that is under way.
    async fn piece(&mut self, org: &Salesforce, plan: &Plan) -> Result<Option<Rows>, Failure> {
        loop {
            let page = match &mut self.page {
                Some(page) => page,
                None => match self.open_page(org, plan).await? {
                    Some(page) => self.page.insert(page),
                    None => return Ok(None),
                },
            };
            match page.rows().await {
                Ok(rows) if rows.is_empty() => {
                    if let Some(page) = self.page.take() {
                        page.head.check(page.read)?;
                        self.next = page.head.after;
                    }
                    self.taken = 0;
                }
                Ok(rows) => {
                    self.taken += rows.len();
                    self.broken = 0;
                    return Ok(Some(rows));
                }
                Err(failure) => {
                    self.page = None;
                    self.broken += 1;
                    if self.broken >= TRIES {
                        return Err(failure);
                    }
                    tokio::time::sleep(lock_wait(self.broken)).await;
                }
            }
        }
    }

    async fn open_page(&self, org: &Salesforce, plan: &Plan) -> Result<Option<Page>, Failure> {
        let Some(call) = self.call(PAGE) else { return Ok(None) };
        let download = patiently(org, || org.download(&call)).await?;
        let head = Head::read(download.headers())?;
        Ok(Some(Page { download, head, table: table(plan, PAGE), read: 0, known: self.taken }))
    }

    /// What reads the next page; nothing after the last.
    fn call(&self, count: usize) -> Option<Call> {
        let locator = match &self.next {
            Next::First => String::new(),
            Next::Page(locator) => format!("&locator={locator}"),
            Next::Nothing => return None,
        };
        Some(Call::get_csv(format!("jobs/query/{}/results?maxRecords={count}{locator}", self.job)))
    }

    /// Forgets the job, unless another attempt may go on with it.
    pub(super) async fn close(self, org: &Salesforce, broken: Option<&Broken>, cx: &AttemptCx) {
        // A download that was not read to its end gives its place back first.
        drop(self.page);
        if !broken.is_some_and(|broken| is_left_to_another(broken, cx)) {
            forget(org, &self.job).await;
        }
    }
}

impl Page {
    /// The next records that are not known yet; none at the end.
    async fn rows(&mut self) -> Result<Rows, Failure> {
        let (mut rows, mut size) = (Rows::new(), 0);
        while rows.is_empty() || size < PIECE {
            let Some(piece) = self.download.piece().await? else { break };
            let before = rows.len();
            self.table.take(&piece, &mut rows).ok_or_else(|| error::strange(200))?;
            self.read += rows.len() - before;
            let known = self.known.min(rows.len());
            rows.drain(..known);
            self.known -= known;
            size += piece.len();
        }
        if rows.is_empty() && !self.table.is_whole() {
            return Err(error::strange(200));
        }
        Ok(rows)
    }
}

impl Head {
    pub(in super::super::super) fn read(headers: &HeaderMap) -> Result<Self, Failure> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let after = match text("Sforce-Locator").ok_or_else(|| error::strange(200))? {
            "null" => Next::Nothing,
            locator if is_locator(locator) => Next::Page(locator.to_owned()),
            _ => return Err(error::strange(200)),
        };
        Ok(Self { count: text("Sforce-NumberOfRecords").and_then(|count| count.parse().ok()), after })
    }

    /// Whether the page brought as many records as it said, and some if it leads on: else it may do so for ever.
    fn check(&self, read: usize) -> Result<(), Failure> {
        let long = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        match self.count {
            Some(count) if count != read => Err(incomplete(long(read), long(count))),
            _ if read == 0 && matches!(self.after, Next::Page(_)) => Err(error::strange(200)),
            _ => Ok(()),
        }
    }
}

/// What reads a page of at most so many records.
fn table(plan: &Plan, most: usize) -> Table {
    Table::new(plan.columns.iter().map(|column| column.name.clone()).collect(), most)
}

/// What tells statements apart. Results are read with the version of the API that made the job.
fn statement(org: &Salesforce, plan: &Plan) -> String {
    short_hash(&[&org.settings.api_version, &plan.select()])
}

async fn make(org: &Salesforce, plan: &Plan, cx: &AttemptCx) -> Result<String, Broken> {
    let ask = Call::ask("jobs/query", json!({ "operation": "query", "query": plan.select() }));
    let made = patiently(org, || org.read(&ask)).await.map_err(|failure| {
        let what = if error::is_retryable(&failure) { Broke::Attempt } else { Broke::NoBulk };
        Broken { failure, what }
    })?;
    let job = job_id(&made.json).ok_or_else(|| error::strange(200))?.to_owned();
    let note =
        serde_json::to_vec(&Made { job: job.clone(), statement: statement(org, plan), at: clock::unix_millis().0 })
            .unwrap_or_default();
    match cx.memo(STEP, note).await {
        Ok(()) => Ok(job),
        Err(failure) => {
            abort(org, &job).await;
            Err(failure.into())
        }
    }
}

/// Whether the job is of use to another attempt. Who stops the task may not want it at all.
fn is_left_to_another(broken: &Broken, cx: &AttemptCx) -> bool {
    broken.what == Broke::Attempt && error::is_retryable(&broken.failure) && !cx.stop.is_cancelled()
}

/// How many records a job found, once it is done.
async fn wait(org: &Salesforce, job: &str, cx: &AttemptCx) -> Result<u64, Broken> {
    let call = Call::get(format!("jobs/query/{job}"));
    let (mut waited, mut pause) = (Duration::ZERO, POLL);
    loop {
        let told = patiently(org, || org.read(&call)).await?.json;
        let text = |name: &str| told.get(name).and_then(Json::as_str).unwrap_or_default();
        match text("state") {
            "JobComplete" => {
                let found = told.get("numberRecordsProcessed").and_then(Json::as_u64);
                return Ok(found.ok_or_else(|| error::strange(200))?);
            }
            "Failed" | "Aborted" => {
                let words = error::words(text("errorMessage"));
                let summary = format!("Salesforce ended the query job as {}: {words}", text("state"));
                let failure = Failure::new(FailureClass::Transient, "query_job_failed", summary);
                return Err(Broken { failure, what: Broke::Job });
            }
            _ if waited >= PATIENCE => {
                abort(org, job).await;
                let summary = format!("The query job {job} was not done after {} hours", PATIENCE.as_secs() / 3600);
                return Err(Failure::new(FailureClass::Transient, "query_job_slow", summary).into());
            }
            _ => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => (),
                    () = cx.stop.cancelled() => return Err(stopped().into()),
                }
                waited += pause;
                pause = (pause * 3 / 2).min(POLL_MAX);
            }
        }
    }
}

/// Ends a job that nobody waits for any more.
async fn abort(org: &Salesforce, job: &str) {
    let aborted = org.read(&Call::abort(format!("jobs/query/{job}"))).await;
    if let Err(failure) = aborted {
        tracing::debug!(job, code = %failure.code, "a query job could not be aborted");
    }
    forget(org, job).await;
}

/// Deletes a job and what it found. If that fails, Salesforce does so after a week.
async fn forget(org: &Salesforce, job: &str) {
    if let Err(failure) = org.read_raw(&Call::forget(format!("jobs/query/{job}"))).await {
        tracing::debug!(job, code = %failure.code, "a query job was left behind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Take it for a page like any other, and one that leads to itself is read for ever.
    #[test]
    fn a_page_without_records_leads_nowhere() {
        let head = |locator: &str| {
            let headers = [("sforce-locator", locator), ("sforce-numberofrecords", "0")];
            let pair = |(name, value): (&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
            Head::read(&headers.map(pair).into_iter().collect::<HeaderMap>())
        };
        assert!(head("null").unwrap().check(0).is_ok());
        assert_eq!(head("MTAwMDA").unwrap().check(0).unwrap_err().code.as_str(), "strange_answer");
        assert_eq!(head("MTAwMDA").unwrap().check(1).unwrap_err().code.as_str(), "incomplete");
        assert_eq!(head("M&x=y").err().unwrap().code.as_str(), "strange_answer");
    }
}
