//! A member that is connected and may be given tasks.

use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::code::CodeSet;
use postern_protocol::id::Incarnation;
use postern_protocol::{ClusterName, Epoch, MemberId, SystemName, TaskKind};

use super::Queue;
use crate::state::record::{LeaseRecord, TaskRecord};

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
}

impl Holder {
    /// A member whose session begins.
    pub const fn new(cluster: ClusterName, store: Incarnation, serves: Serves, enabled: bool) -> Self {
        Self { cluster, store, serves, credit: 0, offered: 0, settled: false, enabled, stopping: false, last_turn: 0 }
    }

    /// Whether it was given the task under this epoch, and did not give it back.
    pub fn was_given(&self, task: &TaskRecord, epoch: Epoch) -> bool {
        self.cluster == task.cluster && task.leases.contains(&LeaseRecord { epoch, store: self.store })
    }

    /// Whether it was ever given the task, and did not give it back.
    pub fn was_ever_given(&self, task: &TaskRecord) -> bool {
        task.leases.iter().any(|it| self.was_given(task, it.epoch))
    }

    /// Whether it may be given something now.
    pub const fn is_ready(&self) -> bool {
        self.settled && self.enabled && !self.stopping && self.offered < self.credit
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
        self.holders.insert(member, holder);
    }

    /// Whether a member may be given work. What it refused before it was let work again may be offered to it anew.
    pub fn set_enabled(&mut self, member: MemberId, enabled: bool) {
        if enabled {
            self.forget_refusals(member);
        }
        if let Some(holder) = self.holders.get_mut(&member) {
            holder.enabled = enabled;
        }
    }

    /// What a member could not take, it may be able to take now.
    fn forget_refusals(&mut self, member: MemberId) {
        let mut unopened = Vec::new();
        for (id, entry) in &mut self.tasks {
            entry.refused_by.remove(&member);
            if entry.unopened_by.contains(&member) {
                unopened.push(*id);
            }
        }
        self.believe_again(member, &unopened);
    }

    /// A member's session is over. Its leases run on.
    pub fn disconnect(&mut self, member: MemberId) {
        self.holders.remove(&member);
    }

    /// A member that holds nothing is gone for good.
    pub fn forget(&mut self, member: MemberId) {
        self.holders.remove(&member);
        self.held.remove(&member);
        self.set_opener(member, None);
        self.forget_refusals(member);
    }

    /// A connected member.
    pub fn holder(&self, member: MemberId) -> Option<&Holder> {
        self.holders.get(&member)
    }

    /// A connected member, to change what is known of it.
    pub fn holder_mut(&mut self, member: MemberId) -> Option<&mut Holder> {
        self.holders.get_mut(&member)
    }

    /// The connected members.
    pub fn holders(&self) -> impl Iterator<Item = (MemberId, &Holder)> {
        self.holders.iter().map(|(member, holder)| (*member, holder))
    }
}
