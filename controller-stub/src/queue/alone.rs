//! Since when a task is alone with its target. What changed there since, a member that takes it over may hold for its doing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postern_protocol::task::Repeat;
use postern_protocol::time::Ago;
use postern_protocol::{SystemName, TaskId, Timestamp};

use super::Queue;
use crate::clock::{self, Moment};
use crate::state::record::{AloneRecord, TaskRecord};

/// From how long before its lease on a task is alone, if its target was free then: longer than a member is in doubt about
/// the org's clock, or what a quick holder did would not be recognized. What a person changes in that time passes for the
/// task's doing, so no longer.
const BEFORE_LEASE: Duration = Duration::from_secs(5);

/// The target of a task.
pub(super) type Target = (SystemName, String);

/// Which targets became free a moment ago.
#[derive(Debug, Default)]
pub(super) struct Freed {
    /// Since when this is known of all.
    known_since: Option<Timestamp>,
    /// Those of which nobody has said when.
    now: BTreeSet<Target>,
    at: BTreeMap<Target, Timestamp>,
}

impl Freed {
    pub(super) fn insert(&mut self, target: Target) {
        self.now.insert(target);
    }

    /// What became free did so by now.
    pub(super) fn pass(&mut self, now: Timestamp) {
        self.known_since.get_or_insert(now);
        self.at.extend(std::mem::take(&mut self.now).into_iter().map(|target| (target, now)));
    }

    /// Since when this process looks on.
    pub(super) const fn known_since(&self) -> Option<Timestamp> {
        self.known_since
    }

    /// Forgets what was freed long enough ago.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.at.retain(|_, at| now.since(*at) < BEFORE_LEASE);
    }

    /// For how long a target is known to have been free.
    fn free_for(&self, target: &Target, now: Timestamp) -> Duration {
        let since = self.at.get(target).copied().max(self.known_since);
        since.map_or(Duration::ZERO, |since| now.since(since)).min(BEFORE_LEASE)
    }
}

impl Queue {
    /// A task is given a lease. How long it has been alone with its target: hardly at all if nobody had it before, or if
    /// another task was given one since.
    pub(super) fn come_alone(&mut self, id: TaskId, at: Moment) -> Duration {
        self.interrupt_others(id);
        let Some(entry) = self.tasks.get_mut(&id) else { return Duration::ZERO };
        if entry.record.alone.is_none() {
            // Without a target there are always others.
            let long = target(&entry.record).map_or(Duration::ZERO, |it| self.freed.free_for(&it, at.now));
            entry.record.alone = Some(AloneRecord { since: entry.record.epoch, at: clock::before(at.wall, long) });
            entry.alone = Ago { long, as_of: at.now };
        }
        entry.alone.at(at.now)
    }

    /// What happened to its target so far may have been somebody else's doing.
    pub(super) fn not_alone(&mut self, id: TaskId) {
        if self.tasks.get_mut(&id).is_some_and(|entry| entry.record.alone.take().is_some()) {
            self.changed.insert(id);
        }
    }

    fn interrupt_others(&mut self, id: TaskId) {
        // What only reads did nothing there.
        if self.repeat(id) == Repeat::Freely {
            return;
        }
        let Some(target) = self.task(id).and_then(target) else { return };
        for other in self.let_go.remove(&target).unwrap_or_default() {
            if other != id {
                self.not_alone(other);
            }
        }
    }

    /// Nobody has a task any more that somebody had.
    pub(super) fn note_let_go(&mut self, id: TaskId) {
        if let Some(target) = self.task(id).filter(|record| record.alone.is_some()).and_then(target) {
            self.let_go.entry(target).or_default().insert(id);
        }
    }

    pub(super) fn forget_let_go(&mut self, id: TaskId) {
        if self.let_go.is_empty() {
            return;
        }
        let Some(target) = self.task(id).and_then(target) else { return };
        if let Some(tasks) = self.let_go.get_mut(&target) {
            tasks.remove(&id);
            if tasks.is_empty() {
                self.let_go.remove(&target);
            }
        }
    }
}

/// What a task must have to itself, if anything.
pub(super) fn target(record: &TaskRecord) -> Option<Target> {
    (!record.target.is_empty()).then(|| account(record))
}

/// The same of any task: those without a target share one that is no account.
pub(super) fn account(record: &TaskRecord) -> Target {
    (record.system.clone(), record.target.clone())
}
