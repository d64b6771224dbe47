//! What happens when time passes: leases run out, doubts end, deadlines pass.

use std::time::Duration;

use postern_protocol::task::Repeat;
use postern_protocol::{MemberId, Outcome, TaskId, Timestamp};

use super::{Queue, from_wall};
use crate::clock::{self, Moment};
use crate::state::record::TaskState;

/// By how much the clock on the wall has to differ from what it would be by itself to have been set: far more than it is slewed
/// by between two ticks, and nothing to a deadline.
const JUMP: Duration = Duration::from_secs(5);

/// How many tasks of each sort end or change in one tick, because time passed or a member has other keys, and as many more at once
/// when it says so: about one commit. Those of a pile follow in the next ticks, with the requests of others between; nobody is given what is late meanwhile, nor what
/// another had.
pub(super) const AT_ONCE: usize = 256;

/// The same of those that are late: about ten commits. They stand in line until they end, before others that may be done.
const LATE_AT_ONCE: usize = 10 * AT_ONCE;

impl Queue {
    /// Time passed. To be called several times a lease.
    pub fn tick(&mut self, at: Moment) {
        self.freed.pass(at.now);
        self.freed.forget(at.now);
        let due: Vec<TaskId> = self
            .held
            .values()
            .flatten()
            .copied()
            .filter(|id| self.tasks.get(id).is_some_and(|entry| entry.until <= at.now))
            .take(AT_ONCE)
            .collect();
        for id in due {
            self.lapse(id, at);
        }

        self.follow_the_wall(at);
        // A member that has it answers for it; it is never told to begin late.
        let nobody_has = |id: &TaskId| matches!(self.state(*id), Some(TaskState::Queued | TaskState::NeedsReseal));
        let past = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= at.now).map(|(_, id)| *id);
        let late = past.filter(nobody_has).filter(|id| self.is_surely_late(*id, at.now));
        for id in late.take(LATE_AT_ONCE).collect::<Vec<TaskId>>() {
            self.expire(id, at);
        }
        self.sort_some();
        self.end_cancelled_unopened(at);
        self.look_at_refusals(at);
    }

    /// Reads deadlines off the wall again if its clock was set. Those of this process are counted from when it took them in.
    fn follow_the_wall(&mut self, at: Moment) {
        let Some((_, read)) = &mut self.restored else { return };
        let expected = clock::after(read.wall, at.now.since(read.now));
        if Duration::from_millis(expected.0.abs_diff(at.wall.0)) < JUMP {
            return;
        }
        *read = at;
        for (id, entry) in self.tasks.iter_mut().filter(|(_, entry)| entry.is_restored) {
            if let (Some(before), Some(late)) = (entry.deadline, entry.record.deadline) {
                let deadline = from_wall(late, at);
                self.deadlines.remove(&(before, *id));
                self.deadlines.insert((deadline, *id));
                entry.deadline = Some(deadline);
            }
        }
    }

    /// A host that has just started may have its clock set yet.
    pub(super) fn is_surely_late(&self, id: TaskId, now: Timestamp) -> bool {
        let is_restored = self.tasks.get(&id).is_some_and(|entry| entry.is_restored);
        !is_restored || self.restored.is_none_or(|(start, _)| now >= start + self.config.lease_ttl)
    }

    fn lapse(&mut self, id: TaskId, at: Moment) {
        let repeat = self.repeat(id);
        self.lapses += u64::from(!matches!(self.state(id), Some(TaskState::InDoubt { .. })));
        match self.state(id) {
            Some(TaskState::Leased { holder } | TaskState::Accepted { holder }) => self.doubt(id, holder, false, at),
            Some(TaskState::Started { holder }) => self.doubt(id, holder, true, at),
            Some(TaskState::InDoubt { .. }) => match repeat {
                Repeat::Never => self.finish_here(
                    id,
                    super::Ending::Undecidable,
                    "the member that had it did not come back, and this kind is never done twice: \
                     look at the account, then submit it again if need be",
                    at,
                ),
                Repeat::AfterReadBack => self.queue_again(id, true, at),
                Repeat::Freely => self.queue_again(id, false, at),
            },
            Some(TaskState::Queued | TaskState::NeedsReseal | TaskState::Finished) | None => (),
        }
    }

    /// Nobody knows how far the holder got; an effect it began may still appear for a while.
    pub(super) fn doubt(&mut self, id: TaskId, holder: MemberId, started: bool, at: Moment) {
        if self.repeat(id) == Repeat::Freely {
            return self.queue_again(id, false, at);
        }
        self.doubts += 1;
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.until = entry.until.max(at.now) + self.config.settle;
        }
        self.move_to(id, TaskState::InDoubt { holder, started });
    }

    /// The member knows that a lease it began under is gone, so it begins no further call: only an effect of its last
    /// one may still appear.
    pub(super) fn shorten_doubt(&mut self, id: TaskId, holder: MemberId, at: Moment) {
        let soon = at.now + self.config.settle;
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.until = entry.until.min(soon);
        }
        self.move_to(id, TaskState::InDoubt { holder, started: true });
    }

    /// Puts a task back in line, unless it is to be cancelled and nobody can have begun it. Once somebody may have, that
    /// stays true.
    pub(super) fn queue_again(&mut self, id: TaskId, reconcile: bool, at: Moment) {
        if reconcile {
            self.look_first(id);
        }
        if !self.end_cancelled(id, at) {
            self.move_to(id, TaskState::Queued);
        }
    }

    pub(super) fn expire(&mut self, id: TaskId, at: Moment) {
        let ending = self.ending(id, Outcome::Expired);
        self.finish_here(id, ending, "its deadline passed before a member could finish it", at);
    }
}
