//! How a task ended.

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::v1::{Offer, Report, StreamRef};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::SealedOutput;
use postern_protocol::{Epoch, Failure, Outcome, ReportNo};

/// How an attempt ended a task, in the words of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub outcome: Outcome,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether anything was changed.
    pub changed: Changed,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The kind's output, encoded; empty if there is none.
    pub output: Vec<u8>,
    /// Secrets for the requester.
    pub sealed: Vec<SealedOutput>,
    /// Results too big for a report.
    pub streams: Vec<StreamRef>,
}

impl Ending {
    fn without_output(outcome: Outcome, certainty: Certainty, changed: Changed, failure: Option<Failure>) -> Self {
        Self { outcome, certainty, changed, failure, output: Vec::new(), sealed: Vec::new(), streams: Vec::new() }
    }

    /// It failed and changed nothing.
    pub fn failed(failure: Failure) -> Self {
        Self::without_output(Outcome::Failed, Certainty::Certain, Changed::No, Some(failure))
    }

    pub(super) fn cancelled() -> Self {
        Self::without_output(Outcome::Cancelled, Certainty::Certain, Changed::No, None)
    }

    pub(super) fn expired() -> Self {
        Self::without_output(Outcome::Expired, Certainty::Certain, Changed::No, None)
    }

    /// The process died in it before anything was begun here; `in_doubt`: another member may have begun it.
    pub(super) fn dead_lettered(failure: Failure, in_doubt: bool) -> Self {
        if in_doubt {
            return Self { outcome: Outcome::DeadLettered, ..Self::unknown(failure) };
        }
        Self { outcome: Outcome::DeadLettered, ..Self::failed(failure) }
    }

    pub(super) fn unknown(failure: Failure) -> Self {
        Self::without_output(Outcome::Unknown, Certainty::Unknown, Changed::Unknown, Some(failure))
    }

    pub(super) fn into_report(self, offer: &Offer, epoch: Epoch) -> Report {
        Report {
            number: ReportNo(0),
            task: offer.task,
            epoch,
            attempt: offer.attempt,
            outcome: self.outcome.into(),
            certainty: self.certainty.into(),
            changed: self.changed.into(),
            failure: self.failure,
            output: Bytes::new(self.output).unwrap_or_default(),
            sealed: List::clipped(self.sealed),
            streams: List::clipped(self.streams),
            ext: List::default(),
        }
    }
}
