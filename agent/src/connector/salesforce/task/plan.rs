//! A task of several steps, each with an intent of its own: what is proved of those behind, and how the task ends when
//! one gets stuck.

use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::Account;
use postern_protocol::{Failure, Outcome, TaskOutput};

use super::super::user::{User, not_found};
use super::super::{Salesforce, error};
use super::step::{self, Stuck};
use super::{Stop, undecided};
use crate::clock;
use crate::connector::{AttemptCx, Conclusion, Proved};

/// What a person should do about a plan that may have got further than is known.
const LOOK: &str = "Username, Email and Active tell how far it got, Last Password Change or Reset the rest. Then submit the same again, \
    for a restore with the name that the user has now as `account`: it goes on where it stopped.";

/// Who did a step of a plan, as far as the journal on this agent tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoneBy {
    Nobody,
    ThisTask,
    AnEarlierOne,
}

/// The steps so far.
pub(super) struct Plan<'a> {
    cx: &'a AttemptCx,
    certainty: Certainty,
    changed: Changed,
    /// The user, until it is noted that it is this one.
    user: Option<String>,
}

/// A step that is never done: its memo says which user the task is about.
const WHICH_USER: u32 = u32::MAX;

impl<'a> Plan<'a> {
    pub(super) fn new(cx: &'a AttemptCx) -> Self {
        Self { cx, certainty: Certainty::Certain, changed: Changed::No, user: None }
    }

    /// The user whose name is changed from `former` to `new`: by Id, if an earlier attempt on this agent noted it; else
    /// by the one name, then by the other.
    pub(super) async fn user_to_change(
        &mut self,
        org: &Salesforce,
        former: &Account,
        new: &Account,
    ) -> Result<User, Stop> {
        let user = match step::noted_user(&self.cx.earlier) {
            Some(id) => Some(org.read_back(&id).await?),
            None => match org.find_user(former).await? {
                Some(user) => Some(user),
                None => org.find_user(new).await?,
            },
        };
        let user = user.ok_or_else(|| Stop::proven(self.cx, not_found(former)))?;
        step::spare_service_account(org, &user, self.cx).await?;
        let is_noted = self.cx.earlier.open().iter().any(|entry| entry.step == WHICH_USER);
        self.user = (!is_noted).then(|| user.id.clone());
        Ok(user)
    }

    /// Whether it may be another user than is meant: found by the name that it is to have, which was free for anybody, by a task
    /// of which nothing here tells whom it is about. Another member may have given him the name, if the service account was the
    /// last to change him, and did while the task was alone with its account.
    pub(super) async fn may_be_another(
        &self,
        org: &Salesforce,
        user: &User,
        former: &Account,
    ) -> Result<bool, Failure> {
        if user.is_called(former) || step::noted_user(&self.cx.earlier).is_some() {
            return Ok(false);
        }
        if !self.cx.may_have_acted() {
            return Ok(true);
        }
        let Some(since) = org.clock().at_most(self.cx.alone.ago, clock::now()) else { return Ok(true) };
        Ok(!org.was_changed_by_us(&user.id, since).await?)
    }

    /// The org shows a step as done. Whether this task did it, or was about to, its journal says.
    pub(super) async fn seen(&mut self, step: u32) -> Result<DoneBy, Failure> {
        self.seen_if(step, true).await
    }

    /// The same; `shows`: what it shows can be what the journal says that the task was about to do.
    pub(super) async fn seen_if(&mut self, step: u32, shows: bool) -> Result<DoneBy, Failure> {
        if self.cx.is_done(step) {
            self.changed = Changed::Yes;
            return Ok(DoneBy::ThisTask);
        }
        if self.cx.is_open(step) && shows {
            self.did(step, Certainty::Probable).await?;
            return Ok(DoneBy::ThisTask);
        }
        if self.cx.reconcile {
            self.certainty = Certainty::Probable;
            if self.changed == Changed::No {
                self.changed = Changed::Unknown;
            }
        }
        Ok(DoneBy::AnEarlierOne)
    }

    /// This attempt has done a step, or proved that an earlier one has.
    pub(super) async fn did(&mut self, step: u32, certainty: Certainty) -> Result<(), Failure> {
        self.changed = Changed::Yes;
        if certainty != Certainty::Certain {
            self.certainty = certainty;
        }
        // With its end the journal forgets what its intents told.
        if let Some(user) = self.user.take() {
            self.cx.memo(WHICH_USER, step::user_note(&user)).await?;
        }
        // Nothing is told of a step but that it is done: what is told of finished steps are the results of batches.
        self.cx.done(step, &[], Proved::Intended(certainty)).await
    }

    /// All steps are done.
    pub(super) fn finished(&self, output: impl Into<TaskOutput>) -> Conclusion {
        let finished = Conclusion::succeeded(output, self.changed);
        if self.changed == Changed::No {
            return step::found_now(finished, self.cx);
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

    /// A step is stuck. `output` tells how far the others got.
    pub(super) fn stuck(&self, stuck: Stuck, user: &User, output: impl Into<TaskOutput>) -> Stop {
        match stuck {
            stuck if self.changed == Changed::No => stuck.stop(user, LOOK, self.cx),
            Stuck::Later(failure) => failure.into(),
            Stuck::Refused(failure) if error::is_retryable(&failure) => failure.into(),
            Stuck::Refused(failure) | Stuck::Unseen(failure) => self.stopped(failure, output).into(),
            Stuck::Another(failure) | Stuck::Unknown(failure) => {
                Conclusion { changed: Changed::Yes, output: Some(output.into()), ..undecided(&failure, user, LOOK) }
                    .into()
            }
        }
    }
}
