//! Which task goes to whom, and what a member's word about it means. Decides; never waits, reads a clock or writes.
//!
//! The shell calls `handle`-like methods with the time they happened at, writes what [`Queue::take_changes`] returns,
//! and only then tells anyone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::KeyId;
use postern_protocol::task::Repeat;
use postern_protocol::time::{Ago, UnixMillis};
use postern_protocol::{MemberId, Outcome, SystemName, TaskId, Timestamp};

use crate::clock::Moment;
use crate::state::record::{Finish, TaskRecord, TaskState};

mod alone;
mod assign;
mod away;
mod cancel;
mod expiry;
mod holder;
pub mod inventory;
mod line;
mod ready;
mod report;
mod sealing;
mod take_away;
mod word;

#[cfg(test)]
mod tests;

use alone::{Freed, Target, target};
pub use assign::Assignment;
use away::Away;
pub use cancel::Cancelled;
pub use holder::{Holder, Serves};
use line::{Line, Place, Stands};
use ready::Ready;
pub use report::{Reported, Verdict};
pub use sealing::Opener;
use sealing::Openers;
use word::Again;
pub use word::RejectedAs;

/// The numbers the queue decides by.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How long a lease lasts.
    pub lease_ttl: Duration,
    /// How long after a lease has run out an effect begun under it may still appear.
    pub settle: Duration,
    /// The most unfinished tasks: each takes up to four KiB of memory, with what the store keeps of it.
    pub max_unfinished: usize,
}

/// Reports that came too late and are kept with a task: an offer carries eight, a record has room for seven.
pub(crate) const MAX_OBSERVATIONS: usize = 7;
/// How many leases of a task are remembered: its record has little room, and each of them ran out without a report, so
/// that a holder older than these was away for as many leases.
pub(crate) const MAX_LEASES: usize = 8;
/// The most bytes of the sentence that is kept with an outcome of the controller's.
pub(crate) const MAX_NOTE: usize = 480;

/// A task, and what is only known while this process lives.
#[derive(Debug, Clone)]
struct Entry {
    record: TaskRecord,
    /// When the lease runs out, or, in doubt, when the doubt ends.
    until: Timestamp,
    deadline: Option<Timestamp>,
    /// Whether that was read off the wall, because an earlier process took the task in.
    is_restored: bool,
    /// Since when it is alone with its target, if it is.
    alone: Ago,
    /// Members that did not take it, and when they may be asked again; `None`: never.
    refused_by: BTreeMap<MemberId, Option<Again>>,
    /// What the last of them said that may be asked again, while it is waited for, or the last of all.
    refused_because: String,
    /// What the last of them said that will not take it at all.
    fails_because: String,
    /// The keys with which every secret of it can be opened, if it has any.
    sealed_to: Option<BTreeSet<KeyId>>,
    /// Members that said that they cannot, whatever keys they were known to have.
    unopened_by: BTreeSet<MemberId>,
}

/// Every unfinished task, and the members that are there to work on them.
#[derive(Debug)]
pub struct Queue {
    config: Config,
    tasks: BTreeMap<TaskId, Entry>,
    /// The number of the task that came last.
    arrivals: u64,
    line: BTreeMap<SystemName, Line>,
    /// The tasks that wait for an account; not all of them are in line.
    waiting: BTreeMap<Target, Stands>,
    held: BTreeMap<MemberId, BTreeSet<TaskId>>,
    busy: BTreeMap<Target, TaskId>,
    /// Tasks that nobody has, and somebody had, by what they may have worked on.
    let_go: BTreeMap<Target, BTreeSet<TaskId>>,
    freed: Freed,
    deadlines: BTreeSet<(Timestamp, TaskId)>,
    /// How the clocks stood when tasks were taken in from the ledger, and when their deadlines were last read off the wall.
    restored: Option<(Timestamp, Moment)>,
    holders: BTreeMap<MemberId, Holder>,
    ready: Ready,
    /// The tasks that a member did not take, or could not open.
    refusals: BTreeMap<MemberId, BTreeSet<TaskId>>,
    away: Away,
    openers: Openers,
    /// Tasks of which it is yet to be looked whether anybody can open them, by their accounts: keys of a member changed, or what it
    /// said of them is forgotten.
    unsorted: BTreeMap<Target, BTreeSet<Place>>,
    /// Tasks that no member can open, and that are to be cancelled.
    unwanted: BTreeSet<TaskId>,
    /// Grows with every assignment; the member served longest ago goes first among equals.
    turn: u64,
    /// The system whose turn was last.
    last_system: Option<SystemName>,
    changed: BTreeSet<TaskId>,
    finished: Vec<TaskRecord>,
    /// Leases that ran out.
    lapses: u64,
    /// Tasks that came into doubt.
    doubts: u64,
}

impl Queue {
    /// An empty queue.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            tasks: BTreeMap::new(),
            arrivals: 0,
            line: BTreeMap::new(),
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            busy: BTreeMap::new(),
            let_go: BTreeMap::new(),
            freed: Freed::default(),
            deadlines: BTreeSet::new(),
            restored: None,
            holders: BTreeMap::new(),
            ready: Ready::default(),
            refusals: BTreeMap::new(),
            away: Away::default(),
            openers: Openers::default(),
            unsorted: BTreeMap::new(),
            unwanted: BTreeSet::new(),
            turn: 0,
            last_system: None,
            changed: BTreeSet::new(),
            finished: Vec::new(),
            lapses: 0,
            doubts: 0,
        }
    }

    /// Takes a new task in. `false` when there are too many.
    pub fn submit(&mut self, record: TaskRecord, at: Moment) -> bool {
        if self.tasks.len() >= self.config.max_unfinished {
            return false;
        }
        let id = record.id;
        let arrival = self.arrivals.saturating_add(1);
        self.insert(TaskRecord { arrival, ..record }, false, at);
        self.changed.insert(id);
        true
    }

    /// Takes in an unfinished task from the ledger. Nothing is known of how long ago its lease was renewed, so it
    /// lasts a whole term from now; nor of how long it is in doubt, so that is a term and a settle time.
    /// How long it was alone with its target, the clock on the wall tells, and how long it may be begun: for as long as the
    /// clock may not have been set yet, no such task ends because it is late.
    pub fn restore(&mut self, record: TaskRecord, at: Moment) {
        self.restored.get_or_insert((at.now, at));
        self.insert(record, true, at);
    }

    fn insert(&mut self, record: TaskRecord, is_restored: bool, at: Moment) {
        let id = record.id;
        self.arrivals = self.arrivals.max(record.arrival);
        let settle = if record.state.is_in_doubt() { self.config.settle } else { Duration::ZERO };
        let until = at.now + self.config.lease_ttl + settle;
        let deadline = record.deadline.map(|it| from_wall(it, at));
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
        let state = record.state;
        let alone_since = record.alone.map_or(at.wall, |it| it.at);
        let alone = Ago { long: Duration::from_millis(at.wall.0.saturating_sub(alone_since.0)), as_of: at.now };
        let entry = Entry {
            record,
            until,
            deadline,
            is_restored,
            alone,
            refused_by: BTreeMap::new(),
            refused_because: String::new(),
            fails_because: String::new(),
            sealed_to: None,
            unopened_by: BTreeSet::new(),
        };
        self.tasks.insert(id, entry);
        self.enter(id, state);
    }

    /// An unfinished task.
    pub fn task(&self, id: TaskId) -> Option<&TaskRecord> {
        self.tasks.get(&id).map(|entry| &entry.record)
    }

    /// Every unfinished task.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskRecord> {
        self.tasks.values().map(|entry| &entry.record)
    }

    /// How many tasks are unfinished.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is unfinished.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The tasks a member has, leases in doubt included.
    pub fn held_by(&self, member: MemberId) -> Vec<TaskId> {
        self.held.get(&member).map(|tasks| tasks.iter().copied().collect()).unwrap_or_default()
    }

    /// How many tasks a member has.
    pub fn load(&self, member: MemberId) -> usize {
        self.held.get(&member).map_or(0, BTreeSet::len)
    }

    /// How many leases ran out, and how many tasks came into doubt.
    pub const fn lapses_and_doubts(&self) -> (u64, u64) {
        (self.lapses, self.doubts)
    }

    /// What changed since the last call, each task once, finished ones included.
    pub fn take_changes(&mut self) -> Vec<TaskRecord> {
        let mut changes = std::mem::take(&mut self.finished);
        for id in std::mem::take(&mut self.changed) {
            changes.extend(self.tasks.get(&id).map(|entry| entry.record.clone()));
        }
        changes
    }

    /// Moves a task to another state and keeps every index true.
    fn move_to(&mut self, id: TaskId, state: TaskState) {
        let state = if state == TaskState::Queued && self.is_unopenable(id) { TaskState::NeedsReseal } else { state };
        let Some(entry) = self.tasks.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.record.state, state);
        self.changed.insert(id);
        self.leave(id, before);
        self.enter(id, state);
    }

    /// It was in the state `before`, and is in another by now.
    fn leave(&mut self, id: TaskId, before: TaskState) {
        self.unwanted.remove(&id);
        self.forget_let_go(id);
        let Some(record) = self.tasks.get(&id).map(|entry| &entry.record) else { return };
        if let Some(holder) = before.holder() {
            if let Some(tasks) = self.held.get_mut(&holder) {
                tasks.remove(&id);
                if tasks.is_empty() {
                    self.held.remove(&holder);
                }
            }
            let is_change = record.kind.repeat() != Repeat::Freely;
            // Its account is not free for a moment each time that it goes on: whoever waits for that would line up in vain.
            let is_let_go = record.state.holder().is_none();
            if let Some(target) = target(record).filter(|it| is_let_go && self.busy.get(it) == Some(&id)) {
                self.set_free(&target);
                if is_change {
                    self.freed.insert(target);
                }
            }
            self.rank(holder);
        } else if matches!(before, TaskState::Queued) {
            self.step_out(id);
        }
    }

    fn enter(&mut self, id: TaskId, state: TaskState) {
        if matches!(state, TaskState::Queued | TaskState::NeedsReseal) {
            self.note_let_go(id);
        }
        let Some(record) = self.tasks.get(&id).map(|entry| &entry.record) else { return };
        if let Some(holder) = state.holder() {
            self.held.entry(holder).or_default().insert(id);
            if let Some(target) = target(record) {
                self.set_busy(&target, id);
            }
            self.rank(holder);
        } else if matches!(state, TaskState::Queued) {
            self.line_up(id);
        } else if matches!(state, TaskState::NeedsReseal) && record.cancel_requested {
            self.unwanted.insert(id);
        }
    }

    /// Gives a task its outcome and takes it out.
    fn finish(&mut self, id: TaskId, finish: Finish) {
        self.move_to(id, TaskState::Finished);
        self.changed.remove(&id);
        self.forget_refusals_of(id);
        let Some(mut entry) = self.tasks.remove(&id) else { return };
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        if self.line.get(&entry.record.system).is_some_and(|it| it.lanes.is_empty()) {
            self.line.remove(&entry.record.system);
        }
        entry.record.finish = Some(finish);
        self.finished.push(entry.record);
    }

    /// Finishes a task that no member finished.
    fn finish_here(&mut self, id: TaskId, ending: Ending, note: &str, at: Moment) {
        let Some(entry) = self.tasks.get(&id) else { return };
        let (outcome, certainty, changed) = match ending {
            Ending::NothingHappened(outcome) => (outcome, Certainty::Certain, Changed::No),
            Ending::Undecidable => (Outcome::Unknown, Certainty::Unknown, Changed::Unknown),
        };
        let epoch = entry.record.epoch;
        self.finish(
            id,
            Finish { outcome, certainty, changed, member: None, epoch, note: note.to_owned(), at: at.wall },
        );
    }

    fn repeat(&self, id: TaskId) -> Repeat {
        self.tasks.get(&id).map_or(Repeat::Never, |entry| entry.record.kind.repeat())
    }
}

/// A moment on the wall, on the clock that decides.
fn from_wall(late: UnixMillis, at: Moment) -> Timestamp {
    at.now + Duration::from_millis(late.0.saturating_sub(at.wall.0))
}

/// How the controller ends a task by itself.
#[derive(Debug, Clone, Copy)]
enum Ending {
    /// No member can have begun it.
    NothingHappened(Outcome),
    /// A member may have begun it.
    Undecidable,
}
