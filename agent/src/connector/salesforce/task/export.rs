//! Export: read records, and hand them over as one sealed file.
//!
//! Whatever breaks in the middle, a file is handed over whole or not at all: pages are repeated, the stream begins
//! again when what leads through it is gone, and the records are counted against what Salesforce said it found.

mod bulk;
mod delta;
mod pages;
mod plan;
mod sink;
mod table;
mod value;

use std::sync::Arc;

use jiff::Timestamp;
use postern_protocol::bounded::Text;
use postern_protocol::outcome::Changed;
use postern_protocol::task::export::{Output, RESULT_KEY, Request, Way};
use postern_protocol::{Failure, FailureClass};

use super::super::api::{Call, lock_wait};
use super::super::{Salesforce, error, soql};
use crate::connector::{AttemptCx, Conclusion, stopped};
use bulk::Bulk;
use delta::{Begin, Cursor, Span, Tracker};
use pages::Pages;
use plan::Plan;
use sink::Sink;

/// Up to so many records are read page by page: five pages of 2,000, which is no more calls than a job in bulk takes,
/// and none of its waiting.
const BULK_ABOVE: u64 = 10_000;
/// How often a stream begins again: what leads through it lives for days, so losing it twice has another reason.
const RESTARTS: u32 = 2;
/// How often a page is asked for before the attempt fails.
const TRIES: u32 = 5;

/// Records as the service gave them, a text for each column.
type Rows = Vec<Vec<Option<String>>>;

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let mut plan = Plan::make(org, &it).await?;
    let delta = begin_delta(org, &it, &mut plan, cx).await?;
    let total = if it.size_hint > 0 { it.size_hint } else { org.first_page(&plan.count()).await?.total };
    let mut way = if total > BULK_ABOVE { Way::Bulk } else { Way::Pages };
    let mut restarts = 0;
    loop {
        let tracker = delta.as_ref().map(|(cursor, _)| Tracker::new(Arc::clone(&org.keep), cursor.clone(), &plan, &it));
        let (failure, what) = match attempt(org, &plan, (way, total), tracker, cx).await {
            Ok(((stream, key), records)) => {
                let moment = |moment: &Timestamp| Text::clipped(soql::moment(moment));
                let span = delta.as_ref().map(|(_, span)| span);
                let output = Output {
                    records,
                    way: way.into(),
                    since: span.and_then(|span| span.from.as_ref()).map(moment).unwrap_or_default(),
                    until: span.map(|span| moment(&span.until)).unwrap_or_default(),
                    warnings: plan.warnings(),
                };
                let conclusion = Conclusion::succeeded(output, Changed::No);
                return Ok(Conclusion { payload: Some(stream), ..conclusion.with_sealed(key) });
            }
            Err(Broken { failure, what }) => (failure, what),
        };
        match what {
            Broke::NoBulk if way == Way::Bulk => {
                plan.warn(format!(
                    "This object was read page by page, as Salesforce refused a job in bulk: {}",
                    failure.summary
                ));
                way = Way::Pages;
            }
            Broke::Thread if restarts < RESTARTS => {
                restarts += 1;
                tracing::warn!(code = %failure.code, summary = %failure.summary, "an export begins again");
            }
            Broke::Thread => {
                let summary = format!("The export was interrupted again and again: {}", failure.summary);
                return Err(Failure::new(FailureClass::Transient, "export_interrupted", summary));
            }
            Broke::NoBulk | Broke::Attempt => return Err(failure),
        }
    }
}

/// Begins the run of a cursor, if the export is a delta, and leaves only its span of time.
async fn begin_delta(
    org: &Salesforce,
    it: &Request,
    plan: &mut Plan,
    cx: &AttemptCx,
) -> Result<Option<(Cursor, Span)>, Failure> {
    let Some(delta) = &it.delta else { return Ok(None) };
    let begin = Begin {
        object: &plan.object,
        name: &delta.cursor,
        about: &plan.about,
        restart: delta.restart,
        task: cx.task,
        // Records are stamped by Salesforce's clock, so this host's is of no use here.
        now: plan.now.ok_or_else(|| error::strange(200))?,
    };
    let (cursor, span) = Cursor::begin(org.keep.as_ref(), begin).await?;
    plan.within(&span);
    Ok(Some((cursor, span)))
}

/// Why a stream did not come to its end.
struct Broken {
    failure: Failure,
    what: Broke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broke {
    /// The org does not do it in bulk.
    NoBulk,
    /// What led through the records is gone: begin again.
    Thread,
    /// This attempt is over.
    Attempt,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        // A cursor that expired, or a job that somebody deleted.
        let gone =
            ["INVALID_QUERY_LOCATOR", "NOT_FOUND", "INVALIDJOBSTATE", "InvalidJobState", "InvalidJob", INCOMPLETE];
        let what = if gone.contains(&failure.code.as_str()) { Broke::Thread } else { Broke::Attempt };
        Self { failure, what }
    }
}

const INCOMPLETE: &str = "incomplete";

fn incomplete(read: u64, found: u64) -> Failure {
    let summary = format!("Salesforce found {found} records and handed over {read}");
    Failure::new(FailureClass::Transient, INCOMPLETE, summary)
}

type Done = ((postern_protocol::message::v1::StreamRef, postern_protocol::seal::SealedOutput), u64);

/// One stream from its beginning to its end.
async fn attempt(
    org: &Salesforce,
    plan: &Plan,
    (way, total): (Way, u64),
    tracker: Option<Tracker>,
    cx: &AttemptCx,
) -> Result<Done, Broken> {
    let mut source = Source::open(org, plan, way, cx).await?;
    let sink = Sink::begin(plan, cx.journal.payload(RESULT_KEY)?, tracker).await?;
    let read = read(org, plan, (&mut source, sink), total, cx).await;
    source.close(org).await;
    let sink = read?;
    Ok(sink.finish().await?)
}

async fn read(
    org: &Salesforce,
    plan: &Plan,
    (source, mut sink): (&mut Source, Sink),
    total: u64,
    cx: &AttemptCx,
) -> Result<Sink, Broken> {
    while let Some(rows) = source.next(org, plan).await? {
        sink = sink.add(rows).await?;
        cx.journal.progress(sink.read(), total.max(sink.read()), "export");
        if cx.stop.is_cancelled() {
            return Err(stopped().into());
        }
    }
    match source.found() {
        found if found == sink.read() => Ok(sink),
        found => Err(incomplete(sink.read(), found).into()),
    }
}

enum Source {
    Pages(Pages),
    Bulk(Bulk),
}

impl Source {
    async fn open(org: &Salesforce, plan: &Plan, way: Way, cx: &AttemptCx) -> Result<Self, Broken> {
        match way {
            Way::Pages => Ok(Self::Pages(Pages::default())),
            Way::Bulk => Bulk::open(org, plan, cx).await.map(Self::Bulk),
        }
    }

    async fn next(&mut self, org: &Salesforce, plan: &Plan) -> Result<Option<Rows>, Failure> {
        match self {
            Self::Pages(pages) => pages.next(org, plan).await,
            Self::Bulk(bulk) => bulk.next(org, plan).await,
        }
    }

    /// How many records the service says it found.
    fn found(&self) -> u64 {
        match self {
            Self::Pages(pages) => pages.found,
            Self::Bulk(bulk) => bulk.found,
        }
    }

    async fn close(self, org: &Salesforce) {
        if let Self::Bulk(bulk) = self {
            bulk.close(org).await;
        }
    }
}

/// Asks until there is an answer, for a while.
async fn patiently<T, F: Future<Output = Result<T, Failure>>>(ask: impl Fn() -> F) -> Result<T, Failure> {
    for tries in 1..TRIES {
        match ask().await {
            Err(failure) if error::is_retryable(&failure) => tokio::time::sleep(lock_wait(tries)).await,
            other => return other,
        }
    }
    ask().await
}

/// Deletes a job and what it found. If that fails, Salesforce does so after a week.
async fn forget(org: &Salesforce, job: &str) {
    if let Err(failure) = org.read_raw(&Call::forget(format!("jobs/query/{job}"))).await {
        tracing::debug!(job, code = %failure.code, "a query job was left behind");
    }
}
