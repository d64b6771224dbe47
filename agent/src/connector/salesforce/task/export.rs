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
use std::time::Duration;

use jiff::Timestamp;
use postern_protocol::bounded::Text;
use postern_protocol::message::v1::StreamRef;
use postern_protocol::outcome::Changed;
use postern_protocol::seal::SealedOutput;
use postern_protocol::task::export::{Output, RESULT_KEY, Request, Way};
use postern_protocol::{Failure, FailureClass};

use super::super::api::lock_wait;
use super::super::kept::{Turn, busy};
use super::super::{Salesforce, error, soql};
use crate::connector::{AttemptCx, Conclusion, stopped};
use bulk::Bulk;
pub(in super::super) use bulk::{Head, Made};
use delta::{Begin, Cursor, Span, Tracker};
pub(in super::super) use delta::{Known, State, cursors, forget_cursor};
use pages::Pages;
use sink::Sink;

pub(in super::super) use pages::cells;
pub(super) use plan::Plan;
pub(in super::super) use table::Table;
pub(in super::super) use value::Column;

/// Up to so many records are read page by page: five pages of 2,000, which is no more calls than a job in bulk takes,
/// and none of its waiting.
const BULK_ABOVE: u64 = 10_000;
/// How often a stream begins again: what leads through it lives for days, so losing it twice has another reason.
const RESTARTS: u32 = 2;
/// How often a page is asked for before the attempt fails.
const TRIES: u32 = 5;
/// A wait that an org may ask for and that is waited here: another attempt would begin the file anew, and an attempt that should
/// stop is not kept for long.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// A record as the service gave it, a text for each column.
type Row = Vec<Option<String>>;
pub(super) type Rows = Vec<Row>;

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let done = export(org, &it, cx).await;
    if it.clause.is_empty() { done } else { done.map_err(soql::manual::blamed) }
}

async fn export(org: &Salesforce, it: &Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let mut plan = Plan::make(org, it).await?;
    let _turn = begin_turn(org, it, &plan)?;
    let delta = begin_delta(org, it, &mut plan, cx).await?;
    let total = if it.size_hint > 0 { it.size_hint } else { org.first_page(&plan.count()).await?.total };
    let mut course = Course::new(org, &plan, total > BULK_ABOVE, cx).await;
    loop {
        let way = course.way;
        let tracker = delta.as_ref().map(|(cursor, _)| Tracker::new(Arc::clone(&org.keep), cursor.clone(), &plan, it));
        match attempt(org, &plan, course.begin(), tracker, cx).await {
            Ok(((stream, key), records)) => {
                if let Some((_, Span { from: None, until, reaches_back: false })) = &delta {
                    let until = soql::moment(until);
                    plan.warn(format!(
                        "This cursor has just begun: what changed since {until} comes with its next run."
                    ));
                }
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
                return Ok(Conclusion { payload: Some(stream), ..conclusion.with_sealed([key]) });
            }
            Err(broken) => course.after(&mut plan, broken)?,
        }
    }
}

/// How a stream goes, over all its beginnings.
pub(super) struct Course {
    /// How the records are read.
    pub(super) way: Way,
    restarts: u32,
    /// The job that an earlier attempt made.
    job: Option<String>,
}

/// How a stream begins.
pub(super) enum Beginning {
    Pages,
    /// With the job that an earlier attempt made, if one did.
    Bulk(Option<String>),
}

impl Course {
    /// In bulk if there are many records, or if an earlier attempt made a job for them.
    pub(super) async fn new(org: &Salesforce, plan: &Plan, many: bool, cx: &AttemptCx) -> Self {
        let job = Bulk::made_before(org, plan, cx).await;
        let way = if many || job.is_some() { Way::Bulk } else { Way::Pages };
        Self { way, restarts: 0, job }
    }

    /// How the stream begins now. A job that led nowhere is not gone back to.
    pub(super) fn begin(&mut self) -> Beginning {
        match self.way {
            Way::Pages => Beginning::Pages,
            Way::Bulk => Beginning::Bulk(self.job.take()),
        }
    }

    /// The stream broke. Unless that is the end of the attempt, it begins again.
    pub(super) fn after(&mut self, plan: &mut Plan, Broken { failure, what }: Broken) -> Result<(), Failure> {
        match what {
            Broke::NoBulk => {
                plan.warn(format!(
                    "This object was read page by page, as Salesforce refused a job in bulk: {}",
                    failure.summary
                ));
                self.way = Way::Pages;
                Ok(())
            }
            Broke::Job if self.restarts >= RESTARTS => {
                plan.warn(format!("This object was read page by page, as jobs in bulk failed: {}", failure.summary));
                *self = Self { way: Way::Pages, restarts: 0, job: None };
                Ok(())
            }
            Broke::Thread | Broke::Job if self.restarts < RESTARTS => {
                self.restarts += 1;
                tracing::warn!(code = %failure.code, summary = %failure.summary, "the records are read once more from the beginning");
                Ok(())
            }
            Broke::Thread | Broke::Job => {
                let summary = format!("Reading the records was interrupted again and again: {}", failure.summary);
                Err(Failure::new(FailureClass::Transient, "export_interrupted", summary))
            }
            Broke::Attempt => Err(failure),
        }
    }
}

/// The turn of a cursor, if the export is a delta: each of two runs would undo what the other remembers.
fn begin_turn<'a>(org: &'a Salesforce, it: &Request, plan: &Plan) -> Result<Option<Turn<'a>>, Failure> {
    let Some(delta) = &it.delta else { return Ok(None) };
    let busy = || busy("cursor_busy", &format!("the cursor `{}`", delta.cursor));
    org.under_way.begin(&delta::place(&plan.object, &delta.cursor)).ok_or_else(busy).map(Some)
}

const REACHES_BACK: &str = "Salesforce's clock may have been ahead when this cursor last moved on, or this host's was set since: \
    this run reaches back to before that, and tells nothing twice";
const READS_EVERYTHING: &str = "This cursor got to a time that Salesforce's clock has not come to: a date of Salesforce's was wrong, \
    then or now. This run reads everything, and tells nothing twice";

/// Begins the run of a cursor, if the export is a delta, and leaves only its span of time.
async fn begin_delta(
    org: &Salesforce,
    it: &Request,
    plan: &mut Plan,
    cx: &AttemptCx,
) -> Result<Option<(Cursor, Span)>, Failure> {
    let Some(delta) = &it.delta else { return Ok(None) };
    let session = org.sessions.current().await?;
    let begin = Begin {
        org: session.org_id(),
        object: &plan.object,
        name: &delta.cursor,
        about: &plan.about,
        restart: delta.restart,
        task: cx.task,
        now: plan.now.ok_or_else(|| error::strange(200))?,
    };
    let (cursor, span, forgot) = Cursor::begin(org.keep.as_ref(), begin).await?;
    if let Some(forgot) = forgot {
        plan.warn(forgot);
    }
    if span.reaches_back {
        plan.warn(if span.from.is_none() { READS_EVERYTHING } else { REACHES_BACK }.to_owned());
    }
    plan.within(&span);
    Ok(Some((cursor, span)))
}

/// Why a stream did not come to its end.
pub(super) struct Broken {
    failure: Failure,
    what: Broke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broke {
    /// The org does not do it in bulk.
    NoBulk,
    /// What led through the records is gone: begin again.
    Thread,
    /// The job failed: make another.
    Job,
    /// This attempt is over.
    Attempt,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        // A cursor that expired, a job that somebody deleted, or one that the account was not told of that made it.
        let gone = ["INVALID_QUERY_LOCATOR", "NOT_FOUND", "INVALIDJOBSTATE", "INVALIDJOB", INCOMPLETE];
        let is_gone = gone.contains(&failure.code.as_str()) || error::says_job_is_anothers(&failure);
        let what = if is_gone { Broke::Thread } else { Broke::Attempt };
        Self { failure, what }
    }
}

const INCOMPLETE: &str = "incomplete";

fn incomplete(read: u64, found: u64) -> Failure {
    let summary = format!("Salesforce found {found} records and handed over {read}");
    Failure::new(FailureClass::Transient, INCOMPLETE, summary)
}

/// One stream from its beginning to its end.
async fn attempt(
    org: &Salesforce,
    plan: &Plan,
    begin: Beginning,
    tracker: Option<Tracker>,
    cx: &AttemptCx,
) -> Result<((StreamRef, SealedOutput), u64), Broken> {
    let sink = Sink::begin(plan, cx.journal.payload(RESULT_KEY)?, tracker).await?;
    let sink = stream(org, plan, begin, sink, cx).await?;
    Ok(sink.finish().await?)
}

/// How records are handed on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Portion {
    /// As they come, to who asks the org for nothing meanwhile.
    AsTheyCome,
    /// So many at once, their call over: who takes them asks the org for more about them, which takes places of its own.
    Whole(usize),
}

/// What takes the records of a stream.
pub(super) trait Taker: Sized {
    /// What the task is at meanwhile.
    const PHASE: &'static str;
    /// How it takes the records of a job in bulk.
    const PORTION: Portion;

    /// Takes some more.
    fn take(self, rows: Rows) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// How many records were taken.
    fn taken(&self) -> u64;
}

/// Gives every record that a plan finds to `taker`. It comes back when that were all.
pub(super) async fn stream<T: Taker>(
    org: &Salesforce,
    plan: &Plan,
    begin: Beginning,
    taker: T,
    cx: &AttemptCx,
) -> Result<T, Broken> {
    let mut source = Source::open(org, plan, (begin, T::PORTION), cx).await?;
    let read = read(org, plan, (&mut source, taker), cx).await;
    source.close(org, read.as_ref().err(), cx).await;
    read
}

async fn read<T: Taker>(
    org: &Salesforce,
    plan: &Plan,
    (source, mut taker): (&mut Source, T),
    cx: &AttemptCx,
) -> Result<T, Broken> {
    while let Some(rows) = source.next(org, plan).await? {
        taker = taker.take(rows).await?;
        cx.journal.progress(taker.taken(), source.found().max(taker.taken()), T::PHASE);
        // A page that leads back to one before it does so for ever.
        if taker.taken() > source.found() {
            break;
        }
        if cx.stop.is_cancelled() {
            return Err(stopped().into());
        }
    }
    match source.found() {
        found if found == taker.taken() => Ok(taker),
        found => Err(incomplete(taker.taken(), found).into()),
    }
}

enum Source {
    Pages(Pages),
    Bulk(Box<Bulk>),
}

impl Source {
    async fn open(
        org: &Salesforce,
        plan: &Plan,
        (begin, portion): (Beginning, Portion),
        cx: &AttemptCx,
    ) -> Result<Self, Broken> {
        match begin {
            Beginning::Pages => Ok(Self::Pages(Pages::default())),
            Beginning::Bulk(job) => Ok(Self::Bulk(Box::new(Bulk::open(org, plan, (job, portion), cx).await?))),
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

    async fn close(self, org: &Salesforce, broken: Option<&Broken>, cx: &AttemptCx) {
        if let Self::Bulk(bulk) = self {
            bulk.close(org, broken, cx).await;
        }
    }
}

/// Asks until there is an answer, for a while; but not an org that wants to be left alone for long.
pub(super) async fn patiently<T, F: Future<Output = Result<T, Failure>>>(
    org: &Salesforce,
    ask: impl Fn() -> F,
) -> Result<T, Failure> {
    for tries in 1..TRIES {
        match ask().await {
            Err(failure) if error::is_retryable(&failure) => {
                let wait = org.governor.patience(&failure);
                let is_waited_here = if wait.is_zero() { error::is_glitch(&failure) } else { wait <= SHORT_WAIT };
                if !is_waited_here {
                    return Err(failure);
                }
                tokio::time::sleep(wait.max(lock_wait(tries))).await;
            }
            other => return other,
        }
    }
    ask().await
}
