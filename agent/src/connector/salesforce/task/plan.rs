//! A task of several steps, each with an intent of its own: what is proved of those behind, and how the task ends when
//! one gets stuck.

use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Failure, Outcome, TaskOutput};
use serde_json::Value as Json;

use super::super::error;
use super::step::{self, Stuck};
use super::undecided;
use crate::connector::{AttemptCx, Conclusion};

/// The steps so far.
pub(super) struct Plan<'a> {
    cx: &'a AttemptCx,
    certainty: Certainty,
    changed: Changed,
}

impl<'a> Plan<'a> {
    pub(super) fn new(cx: &'a AttemptCx) -> Self {
        Self { cx, certainty: Certainty::Certain, changed: Changed::No }
    }

    /// The user that earlier attempts on this agent worked on: its name may be another by now.
    pub(super) fn user(&self) -> Option<String> {
        self.cx.earlier.iter().find_map(|entry| {
            let note: Json = serde_json::from_slice(&entry.note).ok()?;
            Some(note.get("user")?.as_str()?.to_owned())
        })
    }

    /// Whether an earlier attempt of this task, on this agent, has done this step or was about to.
    pub(super) fn was_begun(&self, step: u32) -> bool {
        self.cx.is_done(step) || self.is_open(step)
    }

    /// The org shows a step as done. Whether this task did it, its journal says.
    pub(super) fn seen(&mut self, step: u32) {
        if self.cx.is_done(step) {
            self.changed = Changed::Yes;
        } else if self.is_open(step) {
            (self.changed, self.certainty) = (Changed::Yes, Certainty::Probable);
        } else if self.cx.reconcile {
            self.certainty = Certainty::Probable;
            if self.changed == Changed::No {
                self.changed = Changed::Unknown;
            }
        }
    }

    /// This attempt has done a step, or proved that an earlier one has.
    pub(super) async fn did(&mut self, step: u32, certainty: Certainty) -> Result<(), Failure> {
        self.changed = Changed::Yes;
        if certainty != Certainty::Certain {
            self.certainty = certainty;
        }
        // Nothing is told of a step but that it is done: notes of finished steps are the results of batches.
        self.cx.done(step, vec![Vec::new()]).await
    }

    /// All steps are done.
    pub(super) fn finished(&self, output: impl Into<TaskOutput>) -> Conclusion {
        let finished = Conclusion::succeeded(output, self.changed);
        if self.changed == Changed::No {
            return step::found(finished, self.cx);
        }
        Conclusion { certainty: self.certainty, ..finished }
    }

    /// The steps behind are done, the next has to wait or was refused.
    pub(super) fn stopped(&self, failure: Failure, output: impl Into<TaskOutput>) -> Conclusion {
        Conclusion {
            outcome: Outcome::PartiallySucceeded,
            certainty: self.certainty,
            failure: Some(failure),
            ..Conclusion::succeeded(output, self.changed)
        }
    }

    /// A step is stuck. `output` tells how far the others got, `look` what a person should do.
    pub(super) fn stuck(&self, stuck: Stuck, output: impl Into<TaskOutput>, look: &str) -> Result<Conclusion, Failure> {
        match stuck {
            stuck if self.changed == Changed::No => stuck.conclude(look, self.cx),
            Stuck::Later(failure) => Err(failure),
            Stuck::Refused(failure) if error::is_retryable(&failure) => Err(failure),
            Stuck::Refused(failure) | Stuck::Unseen(failure) => Ok(self.stopped(failure, output)),
            Stuck::Unknown(failure) => {
                Ok(Conclusion { changed: Changed::Yes, output: Some(output.into()), ..undecided(&failure, look) })
            }
        }
    }

    fn is_open(&self, step: u32) -> bool {
        self.cx.open_intents().iter().any(|entry| entry.step == step)
    }
}
