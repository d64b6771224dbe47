//! The members that may be given something now, in the order in which they are asked: with a thousand of them, nobody looks
//! at each for every task.

use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::{ClusterName, MemberId, SystemName};

use super::{Holder, Queue};

/// Where a member stands: the one with the least to do first, among equals the one served longest ago.
pub(super) type Rank = (usize, u64, MemberId);

/// Those that are ready, by the systems they serve and their clusters. None of the sets is empty.
#[derive(Debug, Default)]
pub(super) struct Ready(BTreeMap<SystemName, BTreeMap<ClusterName, BTreeSet<Rank>>>);

impl Ready {
    /// Whether nobody is.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nobody is who serves this system.
    pub(super) fn is_none_for(&self, system: &SystemName) -> bool {
        !self.0.contains_key(system)
    }

    /// Those of a cluster that serve a system, in order.
    pub(super) fn of(&self, system: &SystemName, cluster: &ClusterName) -> impl Iterator<Item = MemberId> + use<'_> {
        let ranks = self.0.get(system).and_then(|clusters| clusters.get(cluster));
        ranks.into_iter().flatten().map(|(_, _, member)| *member)
    }

    /// Moves a member from one place to another in what it serves.
    fn shift(&mut self, holder: &Holder, from: Option<Rank>, to: Option<Rank>) {
        for system in holder.serves.keys() {
            let clusters = self.0.entry(system.clone()).or_default();
            let ranks = clusters.entry(holder.cluster.clone()).or_default();
            if let Some(from) = from {
                ranks.remove(&from);
            }
            ranks.extend(to);
            if ranks.is_empty() {
                clusters.remove(&holder.cluster);
            }
            if clusters.is_empty() {
                self.0.remove(system);
            }
        }
    }
}

impl Queue {
    /// Puts a member where it belongs. To be called after whatever that depends on has changed.
    pub(super) fn rank(&mut self, member: MemberId) {
        let load = self.load(member);
        let Some(holder) = self.holders.get_mut(&member) else { return };
        let rank = holder.may_take(load).then_some((load, holder.last_turn, member));
        let before = std::mem::replace(&mut holder.rank, rank);
        if before != rank {
            self.ready.shift(holder, before, rank);
        }
    }

    /// Takes a member out of those that are connected.
    pub(super) fn remove_holder(&mut self, member: MemberId) -> Option<Holder> {
        let holder = self.holders.remove(&member)?;
        self.ready.shift(&holder, holder.rank, None);
        Some(holder)
    }
}
