//! Records as one query job of the Bulk API 2.0.

use std::time::Duration;

use postern_protocol::{Failure, FailureClass};
use serde_json::{Value as Json, json};

use super::super::super::api::Call;
use super::super::super::{Salesforce, error};
use super::plan::Plan;
use super::{Broke, Broken, Rows, forget, patiently, table};
use crate::connector::{AttemptCx, stopped};

/// How long to wait before asking again how a job goes: at first, and at most.
const POLL: Duration = Duration::from_millis(500);
const POLL_MAX: Duration = Duration::from_secs(30);
/// How long a job may take. Salesforce gives up on its own before.
const PATIENCE: Duration = Duration::from_secs(12 * 60 * 60);
/// Values of one page: some ten megabytes of text, which is what a page takes in memory.
const PAGE_CELLS: usize = 200_000;

/// A finished job, and how far its results are read.
pub(super) struct Bulk {
    job: String,
    /// How many records the job found.
    pub(super) found: u64,
    next: Next,
}

enum Next {
    First,
    Page(String),
    Nothing,
}

impl Bulk {
    /// Makes the job, and waits until it is done.
    pub(super) async fn open(org: &Salesforce, plan: &Plan, cx: &AttemptCx) -> Result<Self, Broken> {
        let ask = Call::ask("jobs/query", json!({ "operation": "query", "query": plan.select() }));
        let made = patiently(|| org.read(&ask)).await.map_err(|failure| {
            let what = if error::is_retryable(&failure) { Broke::Attempt } else { Broke::NoBulk };
            Broken { failure, what }
        })?;
        let job = made.json.get("id").and_then(Json::as_str).ok_or_else(|| error::strange(200))?.to_owned();
        match wait(org, &job, cx).await {
            Ok(found) => Ok(Self { job, found, next: Next::First }),
            Err(broken) => {
                abort(org, &job).await;
                Err(broken)
            }
        }
    }

    /// The next page of the results; `None` after the last.
    pub(super) async fn next(&mut self, org: &Salesforce, plan: &Plan) -> Result<Option<Rows>, Failure> {
        let most = (PAGE_CELLS / plan.columns.len().max(1)).max(1);
        let locator = match &self.next {
            Next::First => String::new(),
            Next::Page(locator) => format!("&locator={locator}"),
            Next::Nothing => return Ok(None),
        };
        let call = Call::get_csv(format!("jobs/query/{}/results?maxRecords={most}{locator}", self.job));
        let reply = patiently(|| org.read_raw(&call)).await?;
        let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
        let (locator, count) = (header("Sforce-Locator"), header("Sforce-NumberOfRecords"));
        let locator = locator.ok_or_else(|| error::strange(200))?;
        self.next = if locator == "null" { Next::Nothing } else { Next::Page(locator.to_owned()) };
        let names: Vec<&str> = plan.columns.iter().map(|column| column.name.as_str()).collect();
        let rows = table::rows(&reply.body, &names).ok_or_else(|| error::strange(200))?;
        match count.and_then(|count| count.parse::<usize>().ok()) {
            Some(count) if count != rows.len() => Err(super::incomplete(
                u64::try_from(rows.len()).unwrap_or(u64::MAX),
                u64::try_from(count).unwrap_or(u64::MAX),
            )),
            _ => Ok(Some(rows)),
        }
    }

    pub(super) async fn close(self, org: &Salesforce) {
        forget(org, &self.job).await;
    }
}

/// How many records a job found, once it is done.
async fn wait(org: &Salesforce, job: &str, cx: &AttemptCx) -> Result<u64, Broken> {
    let call = Call::get(format!("jobs/query/{job}"));
    let (mut waited, mut pause) = (Duration::ZERO, POLL);
    loop {
        let told = patiently(|| org.read(&call)).await?.json;
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
                return Err(Broken { failure, what: Broke::Thread });
            }
            _ if waited >= PATIENCE => {
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
