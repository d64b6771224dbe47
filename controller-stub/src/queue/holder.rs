//! A member that is connected and may be given tasks.

use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::code::CodeSet;
use postern_protocol::id::Incarnation;
use postern_protocol::{ClusterName, Epoch, MemberId, SystemName, TaskId, TaskKind, Timestamp};

use super::ready::Rank;
use super::{Entry, Queue};
use crate::state::record::{LeaseRecord, TaskRecord};

/// The most tasks a member has at once, leases in doubt and reports on their way included, whatever credit it gives: an agent
/// holds 256, and four times as many leave room for what it has done and the ledger does not know of yet.
const MAX_LOAD: usize = 1_024;

/// The connected systems a member serves, with the numbers of the kinds it can do on each.
pub type Serves = BTreeMap<SystemName, BTreeSet<u16>>;

/// A member in a session.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Its cluster.
    pub cluster: ClusterName,
    /// The life of its store.
    pub store: Incarnation,
    /// What it can do.
    pub serves: Serves,
    /// How many offers of this session it allows, as it last said.
    pub credit: u64,
    /// How many offers of this session it was sent.
    pub offered: u64,
    /// Its inventory was compared with the ledger.
    pub settled: bool,
    /// An operator lets it work.
    pub enabled: bool,
    /// It said that it is about to stop.
    pub stopping: bool,
    /// When it was last given a task, in turns.
    pub(super) last_turn: u64,
    /// Its place among those that are ready, if it is.
    pub(super) rank: Option<Rank>,
}

impl Holder {
    /// A member whose session begins.
    pub const fn new(cluster: ClusterName, store: Incarnation, serves: Serves, enabled: bool) -> Self {
        Self {
            cluster,
            store,
            serves,
            credit: 0,
            offered: 0,
            settled: false,
            enabled,
            stopping: false,
            last_turn: 0,
            rank: None,
        }
    }

    /// Whether it was given the task under this epoch, and did not give it back.
    pub fn was_given(&self, task: &TaskRecord, epoch: Epoch) -> bool {
        self.cluster == task.cluster && task.leases.contains(&LeaseRecord { epoch, store: self.store })
    }

    /// Whether it was ever given the task, and did not give it back.
    pub fn was_ever_given(&self, task: &TaskRecord) -> bool {
        task.leases.iter().any(|it| self.was_given(task, it.epoch))
    }

    /// Whether it may be given something, when it has so many tasks.
    pub(super) const fn may_take(&self, load: usize) -> bool {
        self.settled && self.enabled && !self.stopping && self.offered < self.credit && load < MAX_LOAD
    }

    /// Whether it may be given something now.
    pub(super) const fn is_ready(&self) -> bool {
        self.rank.is_some()
    }

    /// Whether it can do `kind` on `system`.
    pub fn can(&self, system: &SystemName, kind: TaskKind) -> bool {
        self.serves.get(system).is_some_and(|kinds| kinds.contains(&kind.code()))
    }
}

impl Queue {
    /// A session of a member begins; whatever was known of an earlier one is gone.
    pub fn connect(&mut self, member: MemberId, holder: Holder) {
        self.forget_refusals(member);
        self.remove_holder(member);
        if holder.enabled {
            self.forget_away(member);
        }
        self.holders.insert(member, holder);
        self.rank(member);
    }

    /// Whether a member may be given work. What it refused before it was let work again may be offered to it anew.
    pub fn set_enabled(&mut self, member: MemberId, enabled: bool, now: Timestamp) {
        if enabled {
            self.forget_refusals(member);
        } else if let Some(holder) = self.holders.get(&member).cloned() {
            self.note_away(member, holder, now);
        }
        self.change(member, |holder| holder.enabled = enabled);
    }

    /// How many offers of this session a member allows.
    pub fn set_credit(&mut self, member: MemberId, offers: u64) {
        self.change(member, |holder| holder.credit = offers);
    }

    /// What a member holds has to be compared with the ledger again before it is given anything.
    pub fn set_unsettled(&mut self, member: MemberId) {
        self.change(member, |holder| holder.settled = false);
    }

    /// A member is about to stop.
    pub fn set_stopping(&mut self, member: MemberId) {
        self.change(member, |holder| holder.stopping = true);
    }

    pub(super) fn change(&mut self, member: MemberId, change: impl FnOnce(&mut Holder)) {
        if let Some(holder) = self.holders.get_mut(&member) {
            change(holder);
            self.rank(member);
        }
    }

    /// What a member could not take, it may be able to take now.
    fn forget_refusals(&mut self, member: MemberId) {
        for id in self.refusals.remove(&member).unwrap_or_default() {
            if let Some(entry) = self.tasks.get_mut(&id) {
                entry.refused_by.remove(&member);
                entry.unopened_by.remove(&member);
            }
            self.sort_soon(id);
        }
        self.sort_some();
    }

    /// What was said of a task before says nothing any more.
    pub(super) fn forget_refusals_of(&mut self, id: TaskId) {
        let Some(Entry { refused_by, unopened_by, .. }) = self.tasks.get_mut(&id) else { return };
        for member in std::mem::take(refused_by).into_keys().chain(std::mem::take(unopened_by)) {
            if let Some(tasks) = self.refusals.get_mut(&member) {
                tasks.remove(&id);
            }
        }
    }

    /// A member that holds nothing is gone for good.
    pub fn forget(&mut self, member: MemberId) {
        self.remove_holder(member);
        self.forget_away(member);
        self.held.remove(&member);
        self.set_opener(member, None);
        self.forget_refusals(member);
    }

    /// A connected member.
    pub fn holder(&self, member: MemberId) -> Option<&Holder> {
        self.holders.get(&member)
    }

    /// The connected members.
    pub fn holders(&self) -> impl Iterator<Item = (MemberId, &Holder)> {
        self.holders.iter().map(|(member, holder)| (*member, holder))
    }
}
