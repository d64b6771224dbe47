//! One job: what it is asked for, and where it stands.

use crate::csv::Dialect;
use crate::id::RecordId;
use crate::schema::ObjectKind;
use crate::world::{Caller, World};

use super::ingest::Ingest;
use super::pace::{Pace, Progress};
use super::query::Query;

/// Records a job does in one go: those of one internal batch (published). So nobody waits long for what is due.
const BATCH: usize = 10_000;

/// Why a job fails that was meant to.
const TOO_MANY_LOCKS: &str = "TooManyLockFailure : Too many lock failures. The job is given up.";
const TIME_OUT: &str = "Timeout : The query took too long.";

/// A job of either kind.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: RecordId,
    pub(crate) owner: Caller,
    /// As in `66.0`.
    pub(crate) version: String,
    pub(crate) kind: ObjectKind,
    pub(crate) dialect: Dialect,
    pub(crate) state: State,
    /// Why it failed.
    pub(crate) error: Option<String>,
    pub(crate) created: i64,
    pub(crate) modified: i64,
    started: i64,
    polls: u64,
    pace: Pace,
    /// Whether it fails when half of its work is done.
    fails: bool,
    pub(crate) work: Work,
}

/// What a job does.
#[derive(Debug)]
pub(crate) enum Work {
    Ingest(Ingest),
    Query(Query),
}

impl Work {
    pub(crate) fn ingest(&self) -> Option<&Ingest> {
        if let Self::Ingest(it) = self { Some(it) } else { None }
    }

    pub(crate) fn query(&self) -> Option<&Query> {
        if let Self::Query(it) = self { Some(it) } else { None }
    }
}

/// Where a job stands, in the words of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }

    /// Whether it has work to do.
    pub(crate) const fn is_busy(self) -> bool {
        matches!(self, Self::UploadComplete | Self::InProgress)
    }

    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::JobComplete | Self::Failed | Self::Aborted)
    }
}

/// What every new job is told.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) owner: Caller,
    pub(crate) version: String,
    pub(crate) kind: ObjectKind,
    pub(crate) dialect: Dialect,
    pub(crate) work: Work,
}

impl Job {
    pub(crate) fn new(world: &mut World, order: Order) -> Self {
        let Order { owner, version, kind, dialect, work } = order;
        let (now, number) = (world.now(), world.org(owner.org).number);
        Self {
            id: RecordId::new("750", number, world.bulk.next_serial()),
            owner,
            version,
            kind,
            dialect,
            state: State::Open,
            error: None,
            created: now,
            modified: now,
            started: now,
            polls: 0,
            pace: Pace::default(),
            fails: false,
            work,
        }
    }

    /// Hands the job over to be worked on.
    pub(crate) fn start(&mut self, world: &mut World) {
        self.go_to(State::UploadComplete, world.now());
        (self.started, self.pace) = (self.modified, world.bulk.pace);
        self.fails = world.faults.take_failing_job();
        if let Work::Ingest(ingest) = &mut self.work {
            ingest.prepare(self.kind, self.dialect);
        }
    }

    /// Ends the job before its time.
    pub(crate) fn abort(&mut self, world: &World) {
        if self.state == State::Open
            && world.assumptions.aborted_upload_is_unprocessed
            && let Work::Ingest(ingest) = &mut self.work
        {
            ingest.prepare(self.kind, self.dialect);
        }
        self.go_to(State::Aborted, world.now());
    }

    pub(crate) fn go_to(&mut self, state: State, now: i64) {
        (self.state, self.modified) = (state, now);
    }

    /// Milliseconds from the handing over to the last change.
    pub(crate) fn processing_millis(&self) -> i64 {
        if self.state == State::Open { 0 } else { self.modified - self.started }
    }

    /// Somebody asks where the job stands.
    pub(crate) fn poll(&mut self, world: &mut World) {
        self.polls += 1;
        self.advance(world);
    }

    /// Does the records that are due.
    pub(crate) fn advance(&mut self, world: &mut World) {
        if !self.state.is_busy() {
            return;
        }
        let now = world.now();
        let millis = u64::try_from(now - self.started).unwrap_or_default();
        let progress = Progress { polls: self.polls, millis };
        let over = self.pace.is_over(progress);
        let reached = match &mut self.work {
            Work::Ingest(ingest) => match ingest.flaw() {
                Some(flaw) if over => Err(flaw.to_owned()),
                Some(_) => Ok(false),
                None => {
                    let end = if self.fails { ingest.total() / 2 } else { ingest.total() };
                    let due = self.pace.due(progress, ingest.total()).min(ingest.settled() + BATCH).min(end);
                    ingest.advance(world, self.owner, self.kind, self.dialect, due);
                    match over && ingest.settled() == end {
                        true if self.fails => Err(TOO_MANY_LOCKS.to_owned()),
                        done => Ok(done),
                    }
                }
            },
            Work::Query(_) if over && self.fails => Err(TIME_OUT.to_owned()),
            Work::Query(query) if over => {
                query.run(world, self.owner, self.dialect);
                Ok(true)
            }
            Work::Query(_) => Ok(false),
        };
        match reached {
            Err(flaw) => {
                self.error = Some(flaw);
                self.go_to(State::Failed, now);
            }
            Ok(true) => self.go_to(State::JobComplete, now),
            Ok(false) if self.has_begun() => self.go_to(State::InProgress, now),
            Ok(false) => {}
        }
    }

    fn has_begun(&self) -> bool {
        self.polls > 1 || self.work.ingest().is_some_and(|it| it.settled() > 0)
    }
}
