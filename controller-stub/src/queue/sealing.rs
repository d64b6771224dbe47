//! Which members can open the secrets of a task, and what becomes of one that nobody can.

use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::seal::KeyId;
use postern_protocol::{ClusterName, MemberId, TaskId};

use super::alone::{Target, account, target};
use super::expiry::AT_ONCE;
use super::line::place;
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
    /// An operator lets it work.
    pub enabled: bool,
}

impl Opener {
    /// Whether it has a key for every secret of the task.
    fn fits(&self, entry: &Entry) -> bool {
        let has = |sealed_to: &BTreeSet<KeyId>| self.keys.iter().any(|key| sealed_to.contains(key));
        self.cluster == entry.record.cluster && entry.sealed_to.as_ref().is_some_and(has)
    }
}

/// Every member that may come back, connected or not, with what it can open.
#[derive(Debug, Default)]
pub(super) struct Openers {
    members: BTreeMap<MemberId, Opener>,
    /// Who has a key: a task is looked at with those alone that may be able to open it, however many others there are.
    by_key: BTreeMap<KeyId, BTreeSet<MemberId>>,
}

impl Openers {
    fn get(&self, member: MemberId) -> Option<&Opener> {
        self.members.get(&member)
    }

    pub(super) fn is_enabled(&self, member: MemberId) -> bool {
        self.get(member).is_some_and(|it| it.enabled)
    }

    /// Those of a cluster.
    pub(super) fn of<'a>(&'a self, cluster: &'a ClusterName) -> impl Iterator<Item = MemberId> + 'a {
        self.members.iter().filter(move |(_, it)| it.cluster == *cluster).map(|(member, _)| *member)
    }

    pub(super) fn with_any<'a>(&'a self, keys: &'a BTreeSet<KeyId>) -> impl Iterator<Item = MemberId> + 'a {
        keys.iter().filter_map(|key| self.by_key.get(key)).flatten().copied()
    }

    /// Returns what was there before.
    fn replace(&mut self, member: MemberId, opener: Option<Opener>) -> Option<Opener> {
        for key in opener.iter().flat_map(|it| &it.keys) {
            self.by_key.entry(*key).or_default().insert(member);
        }
        let before = match opener {
            Some(opener) => self.members.insert(member, opener),
            None => self.members.remove(&member),
        };
        let has = |key: &KeyId| self.members.get(&member).is_some_and(|it| it.keys.contains(key));
        for key in before.iter().flat_map(|it| &it.keys).filter(|key| !has(key)) {
            if let Some(members) = self.by_key.get_mut(key) {
                members.remove(&member);
                if members.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        before
    }
}

impl Queue {
    /// What a member can open, connected or not; nothing any more if it is out for good.
    pub fn set_opener(&mut self, member: MemberId, opener: Option<Opener>) {
        if self.openers.get(member) == opener.as_ref() {
            return;
        }
        let opens = |it: Option<&Opener>| it.map(|it| (it.cluster.clone(), it.keys.clone()));
        let opens_the_same = opens(self.openers.get(member)) == opens(opener.as_ref());
        let before = self.openers.replace(member, opener.clone());
        if opens_the_same {
            return;
        }
        let concerned = self.sealed_for([before, opener].into_iter().flatten());
        self.believe_again(member, &concerned);
    }

    /// The tasks that any of these can open.
    pub(super) fn sealed_for(&self, openers: impl Iterator<Item = Opener>) -> Vec<TaskId> {
        let openers: Vec<Opener> = openers.collect();
        let sealed = self.tasks.iter().filter(|(_, entry)| openers.iter().any(|it| it.fits(entry)));
        sealed.map(|(id, _)| *id).collect()
    }

    /// What a member said that it cannot open, it may be able to open now.
    pub(super) fn believe_again(&mut self, member: MemberId, tasks: &[TaskId]) {
        for id in tasks {
            if let Some(entry) = self.tasks.get_mut(id) {
                entry.unopened_by.remove(&member);
            }
        }
        for id in tasks {
            self.sort_soon(*id);
        }
        self.sort_some();
    }

    pub(super) fn sort_soon(&mut self, id: TaskId) {
        let Some(entry) = self.tasks.get(&id) else { return };
        let (account, place) = (account(&entry.record), place(entry));
        self.unsorted.entry(account).or_default().insert(place);
    }

    /// Sorts some of what other keys of a member concern, and of what its word is forgotten of. The others follow, as time passes:
    /// until then what nobody can open is given to nobody, and hides nothing; what somebody can open waits a little, and what came
    /// after it for the same account, too.
    pub(super) fn sort_some(&mut self) {
        for _ in 0..AT_ONCE {
            let Some(mut of_account) = self.unsorted.first_entry() else { return };
            let first = of_account.get_mut().pop_first();
            if of_account.get().is_empty() {
                of_account.remove();
            }
            if let Some((_, _, id)) = first {
                self.sort(id);
            }
        }
    }

    pub(super) fn is_unsorted(&self, entry: &Entry) -> bool {
        self.unsorted.get(&account(&entry.record)).is_some_and(|places| places.contains(&place(entry)))
    }

    /// Whether it is yet to be looked at one that goes before this.
    pub(super) fn is_behind_unsorted(&self, entry: &Entry) -> bool {
        let has_before = |target: &Target| {
            let first = self.unsorted.get(target).and_then(BTreeSet::first);
            first.is_some_and(|first| *first < place(entry))
        };
        !self.unsorted.is_empty() && target(&entry.record).is_some_and(|it| has_before(&it))
    }

    /// The keys with which every secret of a task can be opened, of a task that has secrets.
    pub fn set_sealed_to(&mut self, id: TaskId, sealed_to: BTreeSet<KeyId>) {
        self.seal_to(id, sealed_to);
        self.sort(id);
    }

    fn seal_to(&mut self, id: TaskId, sealed_to: BTreeSet<KeyId>) {
        let is_queued = matches!(self.state(id), Some(TaskState::Queued));
        if is_queued {
            self.step_out(id);
        }
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.sealed_to = Some(sealed_to);
        }
        if is_queued {
            self.line_up(id);
        }
    }

    /// The secrets of a task that nobody has were sealed again: whatever was said of it before says nothing now.
    pub fn reseal(&mut self, id: TaskId, sealed_to: BTreeSet<KeyId>) {
        self.seal_to(id, sealed_to);
        self.forget_refusals_of(id);
        self.sort(id);
    }

    /// Whether this member has a key for every secret of the task.
    pub(super) fn can_open(&self, member: MemberId, entry: &Entry) -> bool {
        entry.sealed_to.is_none()
            || !entry.unopened_by.contains(&member) && self.openers.get(member).is_some_and(|it| it.fits(entry))
    }

    /// Whether no member that may come back has a key for it.
    pub(super) fn is_unopenable(&self, id: TaskId) -> bool {
        let Some(entry) = self.tasks.get(&id) else { return false };
        let opens = |keys| self.openers.with_any(keys).any(|member| self.can_open(member, entry));
        entry.sealed_to.as_ref().is_some_and(|keys| !opens(keys))
    }

    /// A member said that it cannot open a task.
    pub(super) fn note_unopened(&mut self, id: TaskId, member: MemberId) {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.unopened_by.insert(member);
            self.refusals.entry(member).or_default().insert(id);
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
        // Somebody may have a key by now.
        let is_sorted = |id: &&TaskId| !self.tasks.get(id).is_some_and(|entry| self.is_unsorted(entry));
        for id in self.unwanted.iter().filter(is_sorted).take(AT_ONCE).copied().collect::<Vec<TaskId>>() {
            let ending = self.ending(id, postern_protocol::Outcome::Cancelled);
            self.finish_here(id, ending, "cancelled while no member had a key to open it with", at);
        }
    }
}
