//! How a task ended.

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::v1::{Offer, Report, StreamRef};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::SealedOutput;
use postern_protocol::trace::TraceContext;
use postern_protocol::{Epoch, Failure, Outcome, ReportNo};

use super::{GivenUp, failure};
use crate::journal::Earlier;

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
    /// What the audit log tells of it.
    pub audit: Vec<Vec<u8>>,
    /// The trace that its report goes on with.
    pub trace: Option<TraceContext>,
}

impl Ending {
    fn without_output(outcome: Outcome, certainty: Certainty, changed: Changed, failure: Option<Failure>) -> Self {
        let (output, sealed, streams, audit) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { outcome, certainty, changed, failure, output, sealed, streams, audit, trace: None }
    }

    /// It failed and changed nothing.
    pub fn failed(failure: Failure) -> Self {
        Self::without_output(Outcome::Failed, Certainty::Certain, Changed::No, Some(failure))
    }

    pub(super) fn cancelled() -> Self {
        Self::without_output(Outcome::Cancelled, Certainty::Certain, Changed::No, None)
    }

    /// There is no time left to begin it; `failure` is why it was not done in time, if it was tried.
    pub(super) fn expired(failure: Option<Failure>) -> Self {
        Self::without_output(Outcome::Expired, Certainty::Certain, Changed::No, failure)
    }

    /// Whether it took effect cannot be found out; `failure` says what a person should look at.
    pub fn unknown(failure: Failure) -> Self {
        Self::without_output(Outcome::Unknown, Certainty::Unknown, Changed::Unknown, Some(failure))
    }

    /// What is known, by what all attempts here have journaled, of a task that no further attempt follows.
    /// `shared`: an attempt of another member may have had an effect.
    pub fn given_up(failure: Failure, journal: &Earlier, why: GivenUp, shared: bool) -> Self {
        let has_changed = journal.has_changed();
        let changed = if has_changed { Changed::Yes } else { Changed::Unknown };
        let in_doubt = why == GivenUp::InDoubt || journal.open_intents().next().is_some();
        match why {
            // What is to be remembered of a task says nothing of what was done.
            GivenUp::ProcessDied if !shared && !journal.has_begun() => {
                let failure = failure.with_next_step(failure::NOTHING_WAS_CHANGED);
                Self { outcome: Outcome::DeadLettered, ..Self::failed(failure) }
            }
            GivenUp::ProcessDied => Self { outcome: Outcome::DeadLettered, changed, ..Self::unknown(failure) },
            GivenUp::Failed | GivenUp::Cancelled | GivenUp::InDoubt if in_doubt => {
                Self { changed, ..Self::unknown(failure) }
            }
            GivenUp::Failed | GivenUp::Cancelled | GivenUp::InDoubt if has_changed => {
                Self { outcome: Outcome::PartiallySucceeded, changed, ..Self::failed(failure) }
            }
            GivenUp::Cancelled => Self::cancelled(),
            GivenUp::Failed | GivenUp::InDoubt => Self::failed(failure),
        }
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
            ext: self.trace.map(|it| it.among(&List::default())).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_protocol::FailureClass;

    use super::*;
    use crate::journal::{JournalEntry, Mark};

    #[test]
    fn what_is_known_of_a_task_that_is_given_up_stands_in_its_journal() {
        let entry = |step, mark| JournalEntry { step, mark, note: Vec::new(), effect: Vec::new() };
        let failure = || Failure::new(FailureClass::Rejected, "refused", "no");
        let known = |journal: &[JournalEntry], why| {
            let ending = Ending::given_up(failure(), &journal.iter().cloned().collect(), why, false);
            (ending.outcome, ending.changed)
        };
        let (open, done) = (entry(1, Mark::Intent), entry(0, Mark::Done));
        let both = [done.clone(), open.clone()];
        let taken_back = [open.clone(), open.taken_back()];
        let unchanged = [entry(0, Mark::Unchanged)];
        assert_eq!(known(&unchanged, GivenUp::Failed), (Outcome::Failed, Changed::No));
        assert_eq!(known(&unchanged, GivenUp::ProcessDied), (Outcome::DeadLettered, Changed::Unknown));
        let remembered = [entry(0, Mark::Memo)];
        assert_eq!(known(&remembered, GivenUp::ProcessDied), (Outcome::DeadLettered, Changed::No));
        let shared = Ending::given_up(failure(), &remembered.into_iter().collect(), GivenUp::ProcessDied, true);
        assert_eq!((shared.outcome, shared.changed), (Outcome::DeadLettered, Changed::Unknown));
        assert_eq!(known(&taken_back, GivenUp::Failed), (Outcome::Failed, Changed::No));
        assert_eq!(known(&taken_back, GivenUp::Cancelled), (Outcome::Cancelled, Changed::No));
        assert_eq!(known(&both, GivenUp::Cancelled), (Outcome::Unknown, Changed::Yes));
        assert_eq!(known(&taken_back, GivenUp::InDoubt), (Outcome::Unknown, Changed::Unknown));
        assert_eq!(known(&[open], GivenUp::Failed), (Outcome::Unknown, Changed::Unknown));
        assert_eq!(known(&[done], GivenUp::Failed), (Outcome::PartiallySucceeded, Changed::Yes));
        assert_eq!(known(&both, GivenUp::Failed), (Outcome::Unknown, Changed::Yes));
        assert_eq!(known(&both, GivenUp::ProcessDied), (Outcome::DeadLettered, Changed::Yes));
    }

    /// Or somebody looks at five thousand accounts of which none was touched.
    #[test]
    fn nobody_is_sent_to_look_where_nothing_was_changed() {
        let entry = |mark| JournalEntry { step: 0, mark, note: Vec::new(), effect: Vec::new() };
        for (journal, shared, looks) in [
            (vec![], false, false),
            (vec![entry(Mark::Memo)], false, false),
            (vec![entry(Mark::Memo)], true, true),
            (vec![entry(Mark::Intent)], false, true),
        ] {
            let journal: Earlier = journal.into_iter().collect();
            let ending = Ending::given_up(failure::process_died(""), &journal, GivenUp::ProcessDied, shared);
            let next_step = ending.failure.unwrap().next_step;
            assert_eq!(next_step.contains("Look at the accounts"), looks, "{next_step}");
            assert_eq!(ending.changed == Changed::No, !looks, "{next_step}");
            assert!(next_step.contains("the agent's log"), "{next_step}");
        }
    }
}
