//! What a member says about a task it was offered.

use std::time::Duration;

use postern_protocol::code::Code;
use postern_protocol::message::v1::{LeaseRef, LeaseVerdict, Rejection};
use postern_protocol::task::Repeat;
use postern_protocol::{Epoch, MemberId, Outcome, TaskId, Timestamp};

use super::{Ending, MAX_NOTE, Queue};
use crate::clock::Moment;
use crate::state::record::TaskState;

/// For how long a member that did not take a task is not offered it again, whatever it asks for.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// How long that gets, twice as long each time that it goes on not taking it: each offer has the ledger write two records. An
/// agent that is busy for longer waits no longer than this for what it may take then.
const LONGEST_WAIT: Duration = Duration::from_secs(16);

/// Why a member did not take a task.
#[derive(Debug, Clone, Copy)]
pub struct RejectedAs<'a> {
    /// The reason.
    pub reason: Code<Rejection>,
    /// The member's sentence.
    pub message: &'a str,
    /// When it may be asked again; zero: never.
    pub retry_after: Duration,
}

/// When a member may be asked again that did not take a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Again {
    /// For how long it is left alone with it.
    wait: Duration,
    /// When that is over.
    pub(super) until: Timestamp,
}

impl Queue {
    /// Whether `lease` is the task's present one and `member` has it.
    fn is_current(&self, member: MemberId, lease: LeaseRef) -> bool {
        self.tasks
            .get(&lease.task)
            .is_some_and(|it| it.record.epoch == lease.epoch && it.record.state.holder() == Some(member))
    }

    /// The task is on the member's disk. Returns whether the lease is still the present one.
    pub fn accept(&mut self, member: MemberId, lease: LeaseRef) -> bool {
        if !self.is_current(member, lease) {
            return false;
        }
        if matches!(self.state(lease.task), Some(TaskState::Leased { .. })) {
            self.move_to(lease.task, TaskState::Accepted { holder: member });
        }
        true
    }

    /// The member may have begun an effect.
    pub fn start(&mut self, member: MemberId, lease: LeaseRef) {
        if !self.is_current(member, lease) {
            return;
        }
        match self.state(lease.task) {
            Some(TaskState::Leased { .. } | TaskState::Accepted { .. }) => {
                self.move_to(lease.task, TaskState::Started { holder: member });
            }
            Some(TaskState::InDoubt { started: false, .. }) => {
                self.move_to(lease.task, TaskState::InDoubt { holder: member, started: true });
            }
            Some(
                TaskState::Queued
                | TaskState::NeedsReseal
                | TaskState::Started { .. }
                | TaskState::InDoubt { .. }
                | TaskState::Finished,
            )
            | None => (),
        }
    }

    /// The member does not take the task.
    pub fn reject(&mut self, member: MemberId, lease: LeaseRef, why: RejectedAs<'_>, at: Moment) {
        if !self.is_current(member, lease) {
            return;
        }
        let id = lease.task;
        // What the member knows of a newer epoch than ours, or of the task's end, it was told by a ledger that is gone.
        let is_known_there = why.reason.known() == Some(Rejection::Fenced);
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.record.leases.retain(|it| it.epoch != lease.epoch);
            if entry.record.leases.is_empty() && !is_known_there {
                // Nobody can have begun it.
                entry.record.alone = None;
            }
        }
        let wait = why.retry_after.max(self.least_wait(id, member, at.now));
        if is_known_there {
            self.may_have_begun_elsewhere(id);
            self.skip_epochs(id, wait.min(LONGEST_WAIT));
        }
        let is_sealed = self.tasks.get(&id).is_some_and(|it| it.sealed_to.is_some());
        let cannot_open = is_sealed && why.reason.known() == Some(Rejection::NeedsReseal);
        if cannot_open {
            self.note_unopened(id, member);
        }
        if !is_known_there && self.end_cancelled(id, at) {
            return;
        }
        self.move_to(id, TaskState::Queued);
        match why.reason.known() {
            Some(Rejection::Expired) => self.expire(id, at),
            Some(Rejection::Invalid) => self.fail(id, &told(why), at),
            Some(Rejection::NeedsReseal) if cannot_open => (),
            Some(Rejection::Unsupported | Rejection::NeedsReseal | Rejection::Policy | Rejection::BadSignature) => {
                self.wait_for(id, member, None);
                if !self.waits_for_another(id, at.now) {
                    self.note_refused(id, why);
                }
                self.note_lasting(id, member, why);
                self.end_refused(id, at);
            }
            Some(Rejection::Fenced | Rejection::Overloaded | Rejection::Draining | Rejection::StoreFault) | None => {
                // Whoever drains is offered nothing, and takes it when that is over.
                let drains = why.reason.known() == Some(Rejection::Draining);
                // A newer epoch is caught up with.
                let may_come_back = is_known_there || drains || !why.retry_after.is_zero();
                self.note_refused(id, why);
                self.wait_for(id, member, may_come_back.then(|| Again { wait, until: at.now + wait }));
            }
        }
    }

    /// A member says that it knows a lease. Only a ledger that is gone can have given out one as new as the newest that is not
    /// in this: somebody may have acted under it.
    pub(super) fn doubt_ledger(&mut self, member: MemberId, lease: LeaseRef) {
        let Some((entry, holder)) = self.tasks.get(&lease.task).zip(self.holders.get(&member)) else { return };
        let is_of_cluster = holder.cluster == entry.record.cluster;
        if is_of_cluster && lease.epoch >= entry.record.epoch && !holder.was_given(&entry.record, lease.epoch) {
            self.may_have_begun_elsewhere(lease.task);
        }
    }

    /// Somebody may have acted under a lease that this ledger knows nothing of.
    pub(super) fn may_have_begun_elsewhere(&mut self, id: TaskId) {
        self.look_first(id);
        // Nor does it know to which other task the target was given meanwhile.
        self.not_alone(id);
    }

    /// Somebody may have begun it: whoever has it next finds out what came of that. Of what only reads nothing comes.
    pub(super) fn look_first(&mut self, id: TaskId) {
        let Some(entry) = self.tasks.get_mut(&id).filter(|it| it.record.kind.repeat() != Repeat::Freely) else {
            return;
        };
        if !std::mem::replace(&mut entry.record.reconcile, true) {
            self.changed.insert(id);
        }
    }

    /// For how long a member that does not take a task is left alone with it, whatever it asks for. One that kept it for a while, or
    /// was asked much later, begins anew.
    fn least_wait(&self, id: TaskId, member: MemberId, now: Timestamp) -> Duration {
        let before = self.tasks.get(&id).and_then(|it| it.refused_by.get(&member).copied().flatten());
        let before = before.filter(|it| now < it.until + it.wait);
        before.map_or(FIRST_WAIT, |it| (2 * it.wait).min(LONGEST_WAIT))
    }

    /// The member knows a newer epoch, and says not which: what is asked ever more seldom goes on as fast as if it were not.
    fn skip_epochs(&mut self, id: TaskId, wait: Duration) {
        let Some(entry) = self.tasks.get_mut(&id) else { return };
        let skipped = u64::try_from(wait.as_millis() / FIRST_WAIT.as_millis()).unwrap_or(0).saturating_sub(1);
        entry.record.epoch = Epoch(entry.record.epoch.0.saturating_add(skipped));
    }

    fn wait_for(&mut self, id: TaskId, member: MemberId, again: Option<Again>) {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.refused_by.insert(member, again);
            self.refusals.entry(member).or_default().insert(id);
        }
    }

    /// Whether a member that did not take it may do so once its time has come.
    fn waits_for_another(&self, id: TaskId, now: Timestamp) -> bool {
        let stands = |again: &Option<Again>| again.is_some_and(|it| now < it.until);
        self.tasks.get(&id).is_some_and(|it| it.refused_by.values().any(stands))
    }

    fn note_refused(&mut self, id: TaskId, why: RejectedAs<'_>) {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.refused_because = told(why);
        }
    }

    /// Whether a member that is there may take it yet.
    pub(super) fn somebody_else_might(&self, id: TaskId) -> bool {
        let Some(entry) = self.tasks.get(&id) else { return false };
        self.holders.iter().any(|(member, it)| {
            it.enabled
                && it.cluster == entry.record.cluster
                && it.can(&entry.record.system, entry.record.kind)
                && self.can_open(*member, entry)
                && entry.refused_by.get(member) != Some(&None)
        })
    }

    pub(super) fn fail(&mut self, id: TaskId, note: &str, at: Moment) {
        let ending = self.ending(id, Outcome::Failed);
        self.finish_here(id, ending, note, at);
    }

    /// The end of a task nobody will begin any more: unless somebody may have before.
    pub(super) fn ending(&self, id: TaskId, outcome: Outcome) -> Ending {
        match self.tasks.get(&id) {
            Some(entry) if entry.record.reconcile => Ending::Undecidable,
            _ => Ending::NothingHappened(outcome),
        }
    }

    /// Keeps leases for another term, or says what became of them.
    pub fn renew(&mut self, member: MemberId, lease: LeaseRef, now: Timestamp) -> LeaseVerdict {
        if !self.tasks.contains_key(&lease.task) {
            return LeaseVerdict::Unknown;
        }
        if !self.is_current(member, lease) {
            return LeaseVerdict::Fenced;
        }
        let is_surely_late = self.is_surely_late(lease.task, now);
        let Some(entry) = self.tasks.get_mut(&lease.task) else { return LeaseVerdict::Unknown };
        let begun = matches!(entry.record.state, TaskState::Started { .. } | TaskState::InDoubt { started: true, .. });
        // What another member may have begun has to be looked at, wanted or not.
        if entry.record.cancel_requested && !begun && !entry.record.reconcile {
            return LeaseVerdict::Cancelled;
        }
        // A holder that was restarted has forgotten the deadline. It alone knows what has begun: what only reads tells nothing of
        // that, nor does a change whose word was lost with its session.
        let late = is_surely_late && entry.deadline.is_some_and(|deadline| deadline <= now);
        entry.until = now + self.config.lease_ttl;
        match entry.record.state {
            // Nobody else was given it meanwhile, so the doubt is over.
            TaskState::InDoubt { started: true, .. } => {
                self.move_to(lease.task, TaskState::Started { holder: member });
            }
            TaskState::InDoubt { started: false, .. } => {
                self.move_to(lease.task, TaskState::Accepted { holder: member });
            }
            TaskState::Queued
            | TaskState::NeedsReseal
            | TaskState::Leased { .. }
            | TaskState::Accepted { .. }
            | TaskState::Started { .. }
            | TaskState::Finished => (),
        }
        if late { LeaseVerdict::Late } else { LeaseVerdict::Kept }
    }

    pub(super) fn state(&self, id: TaskId) -> Option<TaskState> {
        self.tasks.get(&id).map(|entry| entry.record.state)
    }
}

/// A member's reason and words, on one line of bounded length.
pub(super) fn told(why: RejectedAs<'_>) -> String {
    let mut told = format!("{}: {}", why.reason, why.message);
    told.retain(|it| !it.is_control());
    told.truncate(told.floor_char_boundary(MAX_NOTE));
    told
}
