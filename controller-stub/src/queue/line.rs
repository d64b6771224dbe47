//! The tasks that can be given to somebody, in line: a pile of those that cannot hides nothing.

use std::collections::btree_set::Iter;
use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::seal::KeyId;
use postern_protocol::task::Lane;
use postern_protocol::{ClusterName, TaskId, TaskKind};

use super::alone::{Target, target};
use super::{Entry, Queue};

/// How many tasks for one account that take the same stand in line: one can go, but a member may ask to wait with it.
pub(super) const IN_LINE: usize = 16;

/// Where a task stands: larger priority first, then whatever came earlier.
pub(super) type Place = (u8, u64, TaskId);

/// What a member has to be for a task. Those that ask the same stand together, so that nobody looks at each of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Takes {
    pub(super) cluster: ClusterName,
    pub(super) kind: TaskKind,
    pub(super) sealed_to: Option<BTreeSet<KeyId>>,
}

/// The tasks of some lane or account, by what they take. None of the sets is empty.
pub(super) type Stands = BTreeMap<Takes, BTreeSet<Place>>;

/// The tasks that wait for one system.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Each lane by itself: a pile in one hides nothing in another.
    pub(super) lanes: BTreeMap<Lane, Stands>,
    /// How many turns the system had while anything stood here: every fourth of its own is that of the oldest, or, of two systems
    /// that take turns, one would have all of those and the other none.
    pub(super) turns: u64,
    /// How often a stand was changed.
    #[cfg(test)]
    pub(super) changes: usize,
}

pub(super) fn place(entry: &Entry) -> Place {
    let record = &entry.record;
    (u8::MAX - record.priority, record.arrival, record.id)
}

fn takes(entry: &Entry) -> Takes {
    let record = &entry.record;
    Takes { cluster: record.cluster.clone(), kind: record.kind, sealed_to: entry.sealed_to.clone() }
}

fn remove(stands: &mut Stands, takes: &Takes, place: &Place) {
    if let Some(places) = stands.get_mut(takes) {
        places.remove(place);
        if places.is_empty() {
            stands.remove(takes);
        }
    }
}

/// Every place of these, in order.
pub(super) fn in_order<'a>(stands: impl IntoIterator<Item = &'a BTreeSet<Place>>) -> impl Iterator<Item = &'a Place> {
    let first = |places: &'a BTreeSet<Place>| {
        let mut rest = places.iter();
        Some((rest.next()?, rest))
    };
    let mut next: BTreeMap<&Place, Iter<'_, Place>> = stands.into_iter().filter_map(first).collect();
    std::iter::from_fn(move || {
        let (place, mut rest) = next.pop_first()?;
        if let Some(following) = rest.next() {
            next.insert(following, rest);
        }
        Some(place)
    })
}

impl Queue {
    /// A task waits to be given to somebody. Of those for one account that take the same, the first are in line, and none
    /// while the account is busy. Those that take something else stay where they are: a submitter may have thousands of them.
    pub(super) fn line_up(&mut self, id: TaskId) {
        let Some(entry) = self.tasks.get(&id) else { return };
        let (takes, place) = (takes(entry), place(entry));
        let line = self.line.entry(entry.record.system.clone()).or_default();
        let Some(target) = target(&entry.record) else { return stand(line, &takes, &[place]) };
        let is_busy = self.busy.contains_key(&target);
        let places = self.waiting.entry(target).or_default().entry(takes.clone()).or_default();
        places.insert(place);
        if !is_busy {
            keep_first(line, &takes, places);
        }
    }

    /// It waits no more.
    pub(super) fn step_out(&mut self, id: TaskId) {
        let Some(entry) = self.tasks.get(&id) else { return };
        let (takes, place) = (takes(entry), place(entry));
        let line = self.line.entry(entry.record.system.clone()).or_default();
        stand_aside(line, &takes, &[place]);
        let Some(target) = target(&entry.record) else { return };
        let Some(stands) = self.waiting.get_mut(&target) else { return };
        remove(stands, &takes, &place);
        if let Some(places) = stands.get(&takes).filter(|_| !self.busy.contains_key(&target)) {
            keep_first(line, &takes, places);
        }
        if stands.is_empty() {
            self.waiting.remove(&target);
        }
    }

    /// A member has a task for an account: the others for it step aside, all of them, if nobody had one before.
    pub(super) fn set_busy(&mut self, target: &Target, id: TaskId) {
        if self.busy.insert(target.clone(), id).is_none() {
            self.first_of(target, stand_aside);
        }
    }

    /// Nobody has a task for it any more: the first of each stand are in line again.
    pub(super) fn set_free(&mut self, target: &Target) {
        if self.busy.remove(target).is_some() {
            self.first_of(target, stand);
        }
    }

    fn first_of(&mut self, target: &Target, then: impl Fn(&mut Line, &Takes, &[Place])) {
        let Some(stands) = self.waiting.get(target) else { return };
        let line = self.line.entry(target.0.clone()).or_default();
        for (takes, places) in stands {
            let first: Vec<Place> = places.iter().take(IN_LINE).copied().collect();
            then(line, takes, &first);
        }
    }

    /// The task for the same account that goes before this one and keeps it out of line, if one does.
    pub(super) fn goes_before(&self, id: TaskId) -> Option<TaskId> {
        let entry = self.tasks.get(&id)?;
        let places = self.waiting.get(&target(&entry.record)?)?.get(&takes(entry))?;
        let is_in_line = places.iter().take(IN_LINE).any(|it| it.2 == id);
        places.first().filter(|_| !is_in_line).map(|it| it.2)
    }
}

/// Of those for an account that take the same one came or went: keeps the first in line, and the one behind them out.
fn keep_first(line: &mut Line, takes: &Takes, places: &BTreeSet<Place>) {
    let mut places = places.iter().copied();
    let first: Vec<Place> = places.by_ref().take(IN_LINE).collect();
    stand(line, takes, &first);
    if let Some(next) = places.next() {
        stand_aside(line, takes, &[next]);
    }
}

fn stand(line: &mut Line, takes: &Takes, places: &[Place]) {
    #[cfg(test)]
    {
        line.changes += 1;
    }
    let stands = line.lanes.entry(takes.kind.lane()).or_default();
    stands.entry(takes.clone()).or_default().extend(places);
}

fn stand_aside(line: &mut Line, takes: &Takes, places: &[Place]) {
    #[cfg(test)]
    {
        line.changes += 1;
    }
    let Some(stands) = line.lanes.get_mut(&takes.kind.lane()) else { return };
    for place in places {
        remove(stands, takes, place);
    }
    if stands.is_empty() {
        line.lanes.remove(&takes.kind.lane());
    }
}
