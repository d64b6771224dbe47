//! Jobs in bulk: where one stands, and which are under way that another member may have handed over.

use std::time::Duration;

use jiff::Timestamp;
use postern_protocol::{Failure, FailureClass};
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::super::may_have_begun;
use crate::connector::AttemptCx;
use crate::connector::salesforce::api::{Call, is_locator, job_id};
use crate::connector::salesforce::user::short;
use crate::connector::salesforce::{Salesforce, error, time};

/// The first pause between polls. They grow apart by half each time: a job of seconds is noticed at once, and one of
/// minutes asked for some twenty times.
const POLL_FIRST: Duration = Duration::from_millis(100);
/// Polls grow apart up to this.
const POLL_MAX: Duration = Duration::from_secs(30);
/// A day of polls, after which Salesforce itself gives a job up.
const MAX_POLLS: u32 = 2_900;
/// Polls without an answer, in a row, before another attempt has to go on.
const MAX_MISSED: u32 = 10;

/// Pages of the list of jobs. It has a thousand on each, and tells of a week, in which an org takes 105,000 batches.
const MAX_PAGES: usize = 110;

/// A job, and the version of the API that it was made with.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) id: &'a str,
    pub(super) version: &'a str,
}

impl Made<'_> {
    pub(super) fn asked(self, call: Call) -> Call {
        call.under(self.version)
    }
}

/// Where a job stands, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has not been handed over: nothing of it will be done.
    Open,
    /// It is being done.
    Busy,
    /// It has its results.
    Over,
}

impl State {
    fn read(json: &Json) -> Option<Self> {
        Some(match text(json, "state") {
            "Open" => Self::Open,
            "JobComplete" | "Failed" | "Aborted" => Self::Over,
            "UploadComplete" | "InProgress" => Self::Busy,
            _ => return None,
        })
    }
}

/// What a job says of itself.
pub(super) struct Info {
    pub(super) state: State,
    pub(super) error: String,
}

impl Info {
    pub(super) fn read(json: &Json) -> Result<Self, Failure> {
        let state = State::read(json).ok_or_else(|| error::strange(200))?;
        Ok(Self { state, error: error::words(text(json, "errorMessage")) })
    }
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap_or_default()
}

impl Salesforce {
    pub(super) async fn job(&self, job: Made<'_>) -> Result<Info, Failure> {
        Info::read(&self.read(&job.asked(Call::get(format!("jobs/ingest/{}", job.id)))).await?.json)
    }

    /// Asks, less and less often, until a job is done.
    pub(super) async fn ended_job(&self, job: Made<'_>, stop: &CancellationToken) -> Result<Info, Failure> {
        let mut pause = POLL_FIRST.min(self.settings.settle);
        let mut missed = 0;
        for _ in 0..MAX_POLLS {
            match self.job(job).await {
                Ok(info) if info.state == State::Over => return Ok(info),
                Ok(_) => missed = 0,
                // Another attempt asks for it by its id.
                Err(failure) if missed >= MAX_MISSED || !error::is_glitch(&failure) => return Err(failure),
                Err(_) => missed += 1,
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => (),
                // Another attempt asks for it by its id.
                () = stop.cancelled() => return Err(stopped(job.id)),
            }
            pause = (pause + pause / 2).min(POLL_MAX);
        }
        let summary = format!("the bulk job {} is not done after a day", job.id);
        Err(Failure::new(FailureClass::Transient, "bulk_job_slow", summary))
    }

    /// Waits until no job works on users that another member may have handed over for this task: it goes on without its member,
    /// and would do entries behind whoever does them meanwhile. Only when no call of that member can take effect any more is
    /// every such job in the list. One that is open then is handed over by nobody, or by another task. Whether Salesforce told
    /// of them all.
    pub(super) async fn outlast_jobs(&self, cx: &AttemptCx) -> Result<bool, Failure> {
        let jobs = match self.jobs_under_way(may_have_begun(cx.task)).await {
            Ok(Some(jobs)) => jobs,
            Ok(None) => {
                tracing::warn!(
                    "the org's list of bulk jobs has no end, or another form: those of another member are not waited for"
                );
                return Ok(false);
            }
            Err(failure) if error::takes_no_jobs(&failure) => return Ok(true),
            Err(failure) if error::is_retryable(&failure) => return Err(failure),
            Err(failure) => {
                tracing::warn!(code = %failure.code, "the org lists no bulk jobs: those of another member are not waited for");
                return Ok(false);
            }
        };
        for (id, version) in &jobs {
            tracing::info!(job = id, "a bulk job is waited for that another member may have handed over");
            match self.ended_job(Made { id, version }, &cx.stop).await {
                Ok(_) => (),
                Err(failure) if error::says_job_is_gone(&failure) => (),
                Err(failure) => return Err(left_to_another(failure)),
            }
        }
        Ok(true)
    }

    /// The jobs of this account that work on users and were made from `since` on, each with its version; `None` if the list is
    /// none that is known, or has no end.
    async fn jobs_under_way(&self, since: Option<Timestamp>) -> Result<Option<Vec<(String, String)>>, Failure> {
        let by = self.sessions.current().await?.user.clone();
        let mut all = Vec::new();
        let mut path = "jobs/ingest?jobType=V2Ingest".to_owned();
        for _ in 0..MAX_PAGES {
            let page = self.read(&Call::get(path)).await?.json;
            let Some(Page { jobs, next }) = Page::read(&page, &by, since) else { return Ok(None) };
            let made = |(id, version): (&str, Option<String>)| {
                (id.to_owned(), version.unwrap_or_else(|| self.settings.api_version.clone()))
            };
            all.extend(jobs.into_iter().map(made));
            let Some(next) = next else { return Ok(Some(all)) };
            path = format!("jobs/ingest?queryLocator={next}");
        }
        Ok(None)
    }
}

/// A page of the list of jobs.
#[derive(Debug, PartialEq, Eq)]
struct Page<'a> {
    /// The id of each that is looked for, and its version.
    jobs: Vec<(&'a str, Option<String>)>,
    /// What leads to the next one.
    next: Option<&'a str>,
}

impl<'a> Page<'a> {
    /// Jobs by that account, made from `since` on, that work on users; `None` if it is no page.
    fn read(page: &'a Json, by: &str, since: Option<Timestamp>) -> Option<Self> {
        let made = |job: &Json| time::parse(text(job, "createdDate"));
        let is_early = |job: &Json| made(job).zip(since).is_some_and(|(made, since)| made < since);
        let is_looked_for = |job: &&Json| {
            State::read(job) == Some(State::Busy)
                && text(job, "object") == "User"
                && short(text(job, "createdById")) == short(by)
                && !is_early(job)
        };
        let version = |job: &Json| job.get("apiVersion").and_then(Json::as_f64).map(|it| format!("{it:.1}"));
        let jobs = page.get("records")?.as_array()?.iter().filter(is_looked_for);
        let jobs = jobs.map(|job| Some((job_id(job)?, version(job)))).collect::<Option<_>>()?;
        let next = locator(text(page, "nextRecordsUrl"));
        // One that is not the last and leads nowhere would pass for the end.
        (page.get("done")?.as_bool()? == next.is_none()).then_some(Self { jobs, next })
    }
}

/// What leads to the next page, of the address that Salesforce names.
fn locator(next: &str) -> Option<&str> {
    next.split_once("queryLocator=")?.1.split('&').next().filter(|it| is_locator(it))
}

/// What is refused of a job does not end the batch.
pub(super) fn left_to_another(failure: Failure) -> Failure {
    match failure.class.known() {
        Some(FailureClass::Rejected) => Failure { class: FailureClass::Transient.into(), ..failure },
        _ => failure,
    }
}

fn stopped(job: &str) -> Failure {
    let summary = format!("the batch was stopped while its bulk job {job} was being done");
    Failure::new(FailureClass::Interrupted, "stopped", summary)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Leave a condition out, and a batch waits for what others have their jobs do, or for what nobody hands over.
    #[test]
    fn of_a_page_of_jobs_those_are_waited_for_that_may_be_the_batchs_own() {
        let job = |change: Json| {
            let mut job = json!({
                "id": "7505g00000AbCdEAAV", "object": "User", "createdById": "0055g00000XyZ12AAF",
                "createdDate": "2026-11-22T10:00:00.000+0000", "state": "UploadComplete", "apiVersion": 66.0,
            });
            for (name, value) in change.as_object().unwrap() {
                job[name] = value.clone();
            }
            job
        };
        let (by, since) = ("0055g00000XyZ12", "2026-11-22T09:00:00Z".parse().ok());
        for (change, expected) in [
            (json!({}), Some(true)),
            (json!({ "state": "InProgress" }), Some(true)),
            (json!({ "createdDate": "some day" }), Some(true)),
            (json!({ "state": "Open" }), Some(false)),
            (json!({ "state": "JobComplete" }), Some(false)),
            (json!({ "state": "Closed" }), Some(false)),
            (json!({ "object": "Account" }), Some(false)),
            (json!({ "createdById": "0055g00000XyZ34AAF" }), Some(false)),
            (json!({ "createdDate": "2026-11-22T08:59:59.000+0000" }), Some(false)),
            (json!({ "id": "../limits" }), None),
        ] {
            let page = json!({ "done": true, "records": [job(change.clone())], "nextRecordsUrl": null });
            let read = Page::read(&page, by, since).map(|page| page.jobs);
            let all = vec![("7505g00000AbCdEAAV", Some("66.0".to_owned()))];
            assert_eq!(read, expected.map(|it| if it { all } else { Vec::new() }), "{change}");
        }
    }

    #[test]
    fn a_page_of_jobs_leads_to_the_next_or_is_the_last() {
        let to = |next: &str| format!("/services/data/v66.0/jobs/ingest?queryLocator={next}");
        for (done, next, expected) in [
            (json!(true), json!(null), Some(None)),
            (json!(false), json!(to("01gRM000000NS1vYAG-1000")), Some(Some("01gRM000000NS1vYAG-1000"))),
            (
                json!(false),
                json!(to("01gRM000000NS1vYAG-1000&jobType=V2Ingest")),
                Some(Some("01gRM000000NS1vYAG-1000")),
            ),
            (json!(false), json!(null), None),
            (json!(false), json!(to("../../limits")), None),
            (json!(true), json!(to("01gRM000000NS1vYAG-1000")), None),
            (json!(null), json!(null), None),
        ] {
            let page = json!({ "done": done, "records": [], "nextRecordsUrl": next });
            assert_eq!(Page::read(&page, "", None).map(|page| page.next), expected, "{page}");
        }
        assert_eq!(Page::read(&json!({ "done": true }), "", None), None);
    }
}
