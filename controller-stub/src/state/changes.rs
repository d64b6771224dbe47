//! What changed lately, for whoever watches. Only names are kept: how a thing is now, the state knows.

use std::collections::BTreeMap;

use postern_protocol::time::UnixMillis;
use postern_protocol::{ClusterName, MemberId, SystemName, TaskId};
use tokio::sync::watch;

use super::State;
use super::ledger::Write;

/// The most things that are known to have changed, each once: more than a browser was away for misses, and under a MiB.
const MAX_KEPT: usize = 4_096;
/// By how many numbers a millisecond is ahead of the one before it: no controller makes as many changes.
const PER_MILLI: u64 = 1_000;

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A task.
    Task(TaskId),
    /// How far a task is.
    Progress(TaskId),
    /// A member, or its session.
    Member(MemberId),
    /// A cluster.
    Cluster(ClusterName),
    /// A connected system.
    System(SystemName),
}

/// What changed, each thing under the number of its newest change.
pub(super) struct Changes {
    by_number: BTreeMap<u64, Thing>,
    numbers: BTreeMap<Thing, u64>,
    newest: u64,
    /// From this number on everything is known.
    complete_from: u64,
    durable: watch::Sender<u64>,
}

impl Changes {
    /// Numbers go on above those of an earlier life of the program, whose watchers are told to look anew.
    pub(super) fn new(wall: UnixMillis) -> Self {
        let newest = wall.0.saturating_mul(PER_MILLI);
        Self {
            by_number: BTreeMap::new(),
            numbers: BTreeMap::new(),
            newest,
            complete_from: newest,
            durable: watch::Sender::new(newest),
        }
    }

    pub(super) fn note(&mut self, thing: Thing) {
        self.newest = self.newest.saturating_add(1);
        if let Some(before) = self.numbers.insert(thing.clone(), self.newest) {
            self.by_number.remove(&before);
        }
        self.by_number.insert(self.newest, thing);
        if self.by_number.len() > MAX_KEPT
            && let Some((number, thing)) = self.by_number.pop_first()
        {
            self.numbers.remove(&thing);
            self.complete_from = number;
        }
    }

    pub(super) fn note_write(&mut self, write: &Write) {
        let thing = match write {
            Write::Task(it) => Thing::Task(it.id),
            Write::Member(it) => Thing::Member(it.id),
            Write::ForgetMember(id) | Write::Newer(id, _) => Thing::Member(*id),
            Write::Cluster(it) => Thing::Cluster(it.name.clone()),
            Write::System(it) => Thing::System(it.name.clone()),
            Write::ForgetSystem(name) => Thing::System(name.clone()),
            Write::Once(_, made) => return self.note_write(made),
            Write::Roots(_)
            | Write::Token(_)
            | Write::ForgetToken(_)
            | Write::ApiToken(_)
            | Write::ForgetApiToken(_)
            | Write::ForgetOnce(..)
            | Write::Audit(_)
            | Write::ForgetAudit(_)
            | Write::AuditWritten(_)
            | Write::Numbers(..)
            | Write::Attempt(..)
            | Write::ForgetTask(_)
            | Write::Forgotten(_)
            | Write::Offer(_)
            | Write::Report(_)
            | Write::Stream(_)
            | Write::ForgetStream(_) => return,
        };
        self.note(thing);
    }

    /// Where it is seen that changes are durable, and up to which they are once a turn is.
    pub(super) fn newest(&self) -> (watch::Sender<u64>, u64) {
        (self.durable.clone(), self.newest)
    }

    fn behind(&self, number: u64, most: usize) -> Option<Vec<(u64, Thing)>> {
        if number < self.complete_from || number > self.newest {
            return None;
        }
        let behind = self.by_number.range(number.saturating_add(1)..).take(most);
        Some(behind.map(|(number, thing)| (*number, thing.clone())).collect())
    }
}

impl State {
    /// What changed behind a number, the oldest change first and at most so many. `None` when that is not known any more.
    pub fn changes_behind(&self, number: u64, most: usize) -> Option<Vec<(u64, Thing)>> {
        self.changes.behind(number, most)
    }

    /// Where it is seen that something changed.
    pub fn newest_change(&self) -> watch::Receiver<u64> {
        self.changes.durable.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(number: usize) -> Thing {
        Thing::System(format!("s{number}").parse().unwrap())
    }

    #[test]
    fn each_thing_is_told_once_under_its_newest_change() {
        let mut changes = Changes::new(UnixMillis(7));
        for number in [1, 2, 1, 3, 1] {
            changes.note(system(number));
        }
        let told = changes.behind(7_000, 10).unwrap();
        assert_eq!(told, [(7_002, system(2)), (7_004, system(3)), (7_005, system(1))]);
        assert_eq!(changes.behind(7_002, 1).unwrap(), [(7_004, system(3))]);
        assert_eq!(changes.behind(7_005, 10), Some(vec![]));
    }

    /// Tell whoever was away for too long what is left, and it never hears of the rest.
    #[test]
    fn who_was_away_for_too_long_or_comes_from_another_life_is_not_told_a_part() {
        let mut changes = Changes::new(UnixMillis(7));
        assert_eq!(changes.behind(6_999, 10), None, "of an earlier life");
        assert_eq!(changes.behind(7_001, 10), None, "of one whose clock was ahead");
        for number in 0..=MAX_KEPT {
            changes.note(system(number));
        }
        assert_eq!(changes.by_number.len(), MAX_KEPT);
        assert_eq!(changes.numbers.len(), MAX_KEPT);
        assert_eq!(changes.behind(7_000, 10), None, "the first change is gone");
        assert_eq!(changes.behind(7_001, 1).unwrap(), [(7_002, system(1))]);
    }
}
