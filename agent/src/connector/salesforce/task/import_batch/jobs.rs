//! Jobs in bulk: where one stands, and which are under way that another member may have handed over.

use std::time::Duration;

use jiff::Timestamp as OrgTime;
use postern_protocol::time::Ago;
use postern_protocol::{Failure, FailureClass, Timestamp};
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use crate::clock;
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
    /// every such job in the list. One that is open then is handed over by nobody, or by another task, and so is one that was
    /// made after this attempt began. Whether Salesforce told of them all.
    pub(super) async fn outlast_jobs(&self, begun: Timestamp, stop: &CancellationToken) -> Result<bool, Failure> {
        let begun = self.clock().at_most(Ago { long: Duration::ZERO, as_of: begun }, clock::now());
        let Listed { jobs, is_all } = self.jobs_under_way(begun).await?;
        for (id, version) in &jobs {
            tracing::info!(job = id, "a bulk job is waited for that another member may have handed over");
            match self.ended_job(Made { id, version }, stop).await {
                Ok(_) => (),
                Err(failure) if error::says_job_is_gone(&failure) => (),
                Err(failure) => return Err(left_to_another(failure)),
            }
        }
        Ok(is_all)
    }

    /// The jobs of this account that work on users and were made until then, as far as the org lists them.
    async fn jobs_under_way(&self, until: Option<OrgTime>) -> Result<Listed, Failure> {
        let by = self.sessions.current().await?.user.clone();
        let mut jobs = Vec::new();
        let mut path = "jobs/ingest?jobType=V2Ingest".to_owned();
        for _ in 0..MAX_PAGES {
            let answer = match self.read(&Call::get(path)).await {
                Ok(answer) => answer.json,
                Err(failure) if error::has_no_jobs(&failure) => return Ok(Listed { jobs, is_all: true }),
                Err(failure) if error::lists_no_jobs(&failure) => {
                    tracing::warn!(code = %failure.code, "the org lists no bulk jobs: another member's may not be waited for");
                    return Ok(Listed { jobs, is_all: false });
                }
                // That one begins the list anew.
                Err(failure) => return Err(left_to_another(failure)),
            };
            let page = Page::read(&answer, &by, until);
            let made = |(id, version): (&str, Option<String>)| {
                (id.to_owned(), version.unwrap_or_else(|| self.settings.api_version.clone()))
            };
            jobs.extend(page.jobs.into_iter().map(made));
            match page.next {
                Next::Page(locator) => path = format!("jobs/ingest?queryLocator={locator}"),
                Next::Nothing => return Ok(Listed { jobs, is_all: true }),
                Next::Unknown => break,
            }
        }
        tracing::warn!(
            "the org's list of bulk jobs has no end, or another form: another member's may not be waited for"
        );
        Ok(Listed { jobs, is_all: false })
    }
}

/// What the org lists of the jobs that are looked for.
struct Listed {
    /// The id of each, and its version.
    jobs: Vec<(String, String)>,
    is_all: bool,
}

/// A page of the list of jobs.
#[derive(Debug, PartialEq, Eq)]
struct Page<'a> {
    /// The id of each that is looked for, and its version.
    jobs: Vec<(&'a str, Option<String>)>,
    next: Next<'a>,
}

/// What comes after a page.
#[derive(Debug, PartialEq, Eq)]
enum Next<'a> {
    /// The page that this leads to.
    Page(&'a str),
    /// Nothing: it is the last.
    Nothing,
    /// Nobody knows, or a job of the page itself is not told.
    Unknown,
}

impl<'a> Page<'a> {
    /// Jobs by that account, made until then, that work on users.
    fn read(page: &'a Json, by: &str, until: Option<OrgTime>) -> Self {
        let made = |job: &Json| time::parse(text(job, "createdDate"));
        let is_later = |job: &Json| made(job).zip(until).is_some_and(|(made, until)| made > until);
        let is_looked_for = |job: &&Json| {
            State::read(job) == Some(State::Busy)
                && text(job, "object") == "User"
                && short(text(job, "createdById")) == short(by)
                && !is_later(job)
        };
        let version = |job: &Json| job.get("apiVersion").and_then(Json::as_f64).map(|it| format!("{it:.1}"));
        let records = page.get("records").and_then(Json::as_array);
        let looked_for: Vec<&Json> = records.into_iter().flatten().filter(is_looked_for).collect();
        let jobs: Vec<_> = looked_for.iter().filter_map(|job| Some((job_id(job)?, version(job)))).collect();
        let is_told = records.is_some() && jobs.len() == looked_for.len();
        let done = page.get("done").and_then(Json::as_bool);
        let next = match (done, locator(text(page, "nextRecordsUrl"))) {
            (Some(false), Some(locator)) if is_told => Next::Page(locator),
            (Some(true), None) if is_told => Next::Nothing,
            // One that is not the last and leads nowhere would pass for the end.
            _ => Next::Unknown,
        };
        Self { jobs, next }
    }
}

/// The ids of the jobs on a page of the list that are looked for, and what leads to the next one.
pub(in super::super::super) fn jobs_told(page: &Json, by: &str) -> (Vec<String>, Option<String>) {
    let Page { jobs, next } = Page::read(page, by, None);
    let next = match next {
        Next::Page(locator) => Some(locator.to_owned()),
        Next::Nothing | Next::Unknown => None,
    };
    (jobs.into_iter().map(|(id, _)| id.to_owned()).collect(), next)
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
        let (by, until) = ("0055g00000XyZ12", "2026-11-22T11:00:00Z".parse().ok());
        for (change, expected) in [
            (json!({}), true),
            (json!({ "state": "InProgress" }), true),
            (json!({ "createdDate": "some day" }), true),
            // The task may have been made by a clock that is a day ahead.
            (json!({ "createdDate": "2026-11-21T10:00:00.000+0000" }), true),
            (json!({ "createdDate": "2026-11-22T11:00:01.000+0000" }), false),
            (json!({ "state": "Open" }), false),
            (json!({ "state": "JobComplete" }), false),
            (json!({ "state": "Closed" }), false),
            (json!({ "object": "Account" }), false),
            (json!({ "createdById": "0055g00000XyZ34AAF" }), false),
        ] {
            let page = json!({ "done": true, "records": [job(change.clone())], "nextRecordsUrl": null });
            let all = vec![("7505g00000AbCdEAAV", Some("66.0".to_owned()))];
            let expected = Page { jobs: if expected { all } else { Vec::new() }, next: Next::Nothing };
            assert_eq!(Page::read(&page, by, until), expected, "{change}");
        }
        let odd = json!({ "done": true, "records": [job(json!({ "id": "../limits" })), job(json!({}))] });
        let expected = Page { jobs: vec![("7505g00000AbCdEAAV", Some("66.0".to_owned()))], next: Next::Unknown };
        assert_eq!(Page::read(&odd, by, until), expected);
    }

    #[test]
    fn a_page_of_jobs_leads_to_the_next_or_is_the_last() {
        let to = |next: &str| format!("/services/data/v66.0/jobs/ingest?queryLocator={next}");
        for (done, next, expected) in [
            (json!(true), json!(null), Next::Nothing),
            (json!(false), json!(to("01gRM000000NS1vYAG-1000")), Next::Page("01gRM000000NS1vYAG-1000")),
            (
                json!(false),
                json!(to("01gRM000000NS1vYAG-1000&jobType=V2Ingest")),
                Next::Page("01gRM000000NS1vYAG-1000"),
            ),
            (json!(false), json!(null), Next::Unknown),
            (json!(false), json!(to("../../limits")), Next::Unknown),
            (json!(true), json!(to("01gRM000000NS1vYAG-1000")), Next::Unknown),
            (json!(null), json!(null), Next::Unknown),
        ] {
            let page = json!({ "done": done, "records": [], "nextRecordsUrl": next });
            assert_eq!(Page::read(&page, "", None).next, expected, "{page}");
        }
        assert_eq!(Page::read(&json!({ "done": true }), "", None).next, Next::Unknown);
    }
}
