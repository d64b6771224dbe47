//! Which members can open the secrets of a task, and what becomes of one that nobody can.

use std::collections::BTreeSet;

use postern_protocol::seal::KeyId;
use postern_protocol::{ClusterName, MemberId, TaskId};

use super::{Entry, Queue};
use crate::clock::Moment;
use crate::state::record::TaskState;

/// What a member that may come back can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opener {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its keys.
    pub keys: BTreeSet<KeyId>,
}

impl Queue {
    /// What a member can open, connected or not; nothing any more if it is out for good.
    pub fn set_opener(&mut self, member: MemberId, opener: Option<Opener>) {
        if self.openers.get(&member) == opener.as_ref() {
            return;
        }
        let mut keys = opener.as_ref().map(|it| it.keys.clone()).unwrap_or_default();
        let before = match opener {
            Some(opener) => self.openers.insert(member, opener),
            None => self.openers.remove(&member),
        };
        keys.extend(before.into_iter().flat_map(|it| it.keys));
        for id in self.refusals.get(&member).into_iter().flatten() {
            if let Some(entry) = self.tasks.get_mut(id) {
                entry.unopened_by.remove(&member);
            }
        }
        self.sort_sealed(&keys);
    }

    /// The keys with which every secret of a task can be opened, of a task that has secrets.
    pub fn set_sealed_to(&mut self, id: TaskId, sealed_to: BTreeSet<KeyId>) {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.sealed_to = Some(sealed_to);
            self.sort(id);
        }
    }

    /// The secrets of a task that nobody has were sealed again: whatever was said of it before says nothing now.
    pub fn reseal(&mut self, id: TaskId, sealed_to: BTreeSet<KeyId>) {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.sealed_to = Some(sealed_to);
            self.forget_refusals_of(id);
            self.sort(id);
        }
    }

    /// Whether this member has a key for every secret of the task.
    pub(super) fn can_open(&self, member: MemberId, entry: &Entry) -> bool {
        let Some(sealed_to) = &entry.sealed_to else { return true };
        !entry.unopened_by.contains(&member)
            && self.openers.get(&member).is_some_and(|it| {
                it.cluster == entry.record.cluster && it.keys.iter().any(|key| sealed_to.contains(key))
            })
    }

    /// Whether no member that may come back has a key for it.
    pub(super) fn is_unopenable(&self, id: TaskId) -> bool {
        let Some(entry) = self.tasks.get(&id) else { return false };
        entry.sealed_to.is_some() && !self.openers.keys().any(|member| self.can_open(*member, entry))
    }

    /// A member said that it cannot open a task.
    pub(super) fn note_unopened(&mut self, id: TaskId, member: MemberId) {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.unopened_by.insert(member);
            self.refusals.entry(member).or_default().insert(id);
        }
    }

    /// Members can open other tasks than before, among those that are sealed to these keys.
    fn sort_sealed(&mut self, keys: &BTreeSet<KeyId>) {
        let concerns = |entry: &Entry| entry.sealed_to.as_ref().is_some_and(|it| !it.is_disjoint(keys));
        let sealed: Vec<TaskId> = self.tasks.iter().filter(|(_, entry)| concerns(entry)).map(|(id, _)| *id).collect();
        for id in sealed {
            self.sort(id);
        }
    }

    /// A task that nobody has goes where it belongs: in line if somebody can open it, out of the others' way if not.
    pub(super) fn sort(&mut self, id: TaskId) {
        let is_unopenable = self.is_unopenable(id);
        match self.state(id) {
            Some(TaskState::Queued) if is_unopenable => self.move_to(id, TaskState::NeedsReseal),
            Some(TaskState::NeedsReseal) if !is_unopenable => self.move_to(id, TaskState::Queued),
            Some(_) | None => (),
        }
    }

    /// Nobody can find out what became of a task that may have been begun, so it does not wait to be cancelled.
    pub(super) fn end_cancelled_unopened(&mut self, at: Moment) {
        let is_unwanted = |id: &&TaskId| self.tasks.get(id).is_some_and(|entry| entry.record.cancel_requested);
        let unwanted: Vec<TaskId> = self.unopened.iter().filter(is_unwanted).copied().collect();
        for id in unwanted {
            let ending = self.ending(id, postern_protocol::Outcome::Cancelled);
            self.finish_here(id, ending, "cancelled while no member had a key to open it with", at);
        }
    }
}
