//! Members that were there a moment ago: what those that are there refuse, one of these may do when it is back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postern_protocol::{MemberId, TaskId, Timestamp};

use super::{Entry, Holder, Queue};
use crate::clock::Moment;

/// Whose session ended a moment ago, and what is kept for them.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// As they were, and until when they are waited for.
    members: BTreeMap<MemberId, (Holder, Timestamp)>,
    /// Tasks that everybody refused who is there, and when they fail.
    kept: BTreeSet<(Timestamp, TaskId)>,
}

impl Queue {
    /// How long a member is waited for: as long as what it had would be kept from others.
    const fn absence(&self) -> Duration {
        self.config.lease_ttl.saturating_add(self.config.settle)
    }

    /// A member's session is over. Its leases run on.
    pub fn disconnect(&mut self, member: MemberId, now: Timestamp) {
        if let Some(holder) = self.remove_holder(member) {
            self.away.members.insert(member, (holder, now + self.absence()));
        }
    }

    pub(super) fn forget_away(&mut self, member: MemberId) {
        self.away.members.remove(&member);
    }

    /// Until when a member that is away may come back and take a task that was refused. A controller that was just started has
    /// not seen anybody yet.
    fn awaited_until(&self, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
        let unseen_until = self.freed.known_since().map(|start| start + self.absence());
        let until = |member: MemberId| match self.away.members.get(&member) {
            Some((holder, until)) => holder.can(&entry.record.system, entry.record.kind).then_some(*until),
            None => unseen_until,
        };
        let may_take = |member: &MemberId| {
            !self.holders.contains_key(member)
                && self.can_open(*member, entry)
                && entry.refused_by.get(member) != Some(&None)
        };
        let of_cluster = self.openers.of(&entry.record.cluster).filter(may_take);
        of_cluster.filter_map(until).max().filter(|until| *until > now)
    }

    /// Everybody who is there refused a task. It fails now, or when nobody is waited for any more.
    pub(super) fn fail_unless_awaited(&mut self, id: TaskId, at: Moment) {
        let Some(entry) = self.tasks.get(&id) else { return };
        match self.awaited_until(entry, at.now) {
            Some(until) => {
                if let Some(entry) = self.tasks.get_mut(&id) {
                    entry.fails_at = Some(until);
                }
                self.away.kept.insert((until, id));
            }
            None => self.fail(id, &entry.refused_because.clone(), at),
        }
    }

    /// The task is not where it was refused any more.
    pub(super) fn forget_kept(&mut self, id: TaskId) {
        if let Some(until) = self.tasks.get_mut(&id).and_then(|entry| entry.fails_at.take()) {
            self.away.kept.remove(&(until, id));
        }
    }

    /// Ends what was kept for members that are not back, and forgets who is away for too long.
    pub(super) fn end_kept(&mut self, at: Moment) {
        while let Some((_, id)) = self.away.kept.first().copied().filter(|(until, _)| *until <= at.now) {
            self.forget_kept(id);
            if !self.somebody_else_might(id)
                && let Some(note) = self.tasks.get(&id).map(|it| it.refused_because.clone())
            {
                self.fail(id, &note, at);
            }
        }
        self.away.members.retain(|_, (_, until)| *until > at.now);
    }
}
