//! Members that might have been given work a moment ago: what those that are there refuse, one of these may do when it is back.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use postern_protocol::{MemberId, TaskId, Timestamp};

use super::word::told;
use super::{Entry, Holder, Queue, RejectedAs};
use crate::clock::Moment;
use crate::state::record::TaskState;

/// How many refusals are looked at in one tick: tens of thousands within a minute, and not to be felt beside a thousand members.
const LOOK_AT: usize = 128;

/// Whose session ended a moment ago, or who is not enabled any more since, and what is kept for them.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// As they were, and until when they are waited for.
    members: BTreeMap<MemberId, (Holder, Timestamp)>,
    /// Tasks that a member refused for good, as far as is known.
    refused: BTreeSet<(TaskId, MemberId)>,
    /// The refusal that was looked at last, unless they were all looked at.
    looked_at: Option<(TaskId, MemberId)>,
}

impl Queue {
    /// How long a member is waited for: as long as what it had would be kept from others.
    const fn absence(&self) -> Duration {
        self.config.lease_ttl.saturating_add(self.config.settle)
    }

    /// A member's session is over. Its leases run on.
    pub fn disconnect(&mut self, member: MemberId, now: Timestamp) {
        if let Some(holder) = self.remove_holder(member) {
            self.note_away(member, holder, now);
        }
    }

    /// A member cannot be given work from now on. One that is not enabled was away before.
    pub(super) fn note_away(&mut self, member: MemberId, holder: Holder, now: Timestamp) {
        if holder.enabled {
            self.away.members.insert(member, (holder, now + self.absence()));
        }
    }

    pub(super) fn forget_away(&mut self, member: MemberId) {
        self.away.members.remove(&member);
    }

    /// Whether a member that is away may come back and take a task that was refused. A controller that was just started has
    /// not seen anybody yet.
    fn is_awaited(&self, entry: &Entry, now: Timestamp) -> bool {
        let unseen_until = self.freed.known_since().map(|start| start + self.absence());
        let until = |member: MemberId| match self.away.members.get(&member) {
            Some((holder, until)) => holder.can(&entry.record.system, entry.record.kind).then_some(*until),
            None => unseen_until.filter(|_| self.openers.is_enabled(member)),
        };
        let may_take = |member: &MemberId| {
            !self.holders.get(member).is_some_and(|it| it.enabled)
                && self.can_open(*member, entry)
                && entry.refused_by.get(member) != Some(&None)
        };
        let of_cluster = self.openers.of(&entry.record.cluster).filter(may_take);
        of_cluster.filter_map(until).any(|until| until > now)
    }

    /// A member that is there refuses a task for good.
    pub(super) fn note_lasting(&mut self, id: TaskId, member: MemberId, why: RejectedAs<'_>) {
        self.away.refused.insert((id, member));
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.fails_because = told(why);
        }
    }

    /// Ends a task that was refused for good, if everybody who is there did so and nobody is waited for.
    pub(super) fn end_refused(&mut self, id: TaskId, at: Moment) {
        let Some(entry) = self.tasks.get(&id) else { return };
        let is_queued = matches!(entry.record.state, TaskState::Queued);
        if is_queued && !self.somebody_else_might(id) && !self.is_awaited(entry, at.now) {
            self.fail(id, &entry.fails_because.clone(), at);
        }
    }

    /// Looks at some of what was refused, in turn: whoever might have taken it may be gone, or not enabled any more, or do other
    /// things than before. If those that refused it are gone, too, nobody is there of whom it could be told.
    pub(super) fn look_at_refusals(&mut self, at: Moment) {
        self.away.members.retain(|_, (_, until)| *until > at.now);
        let from = self.away.looked_at.take().map_or(Bound::Unbounded, Bound::Excluded);
        let some: Vec<_> = self.away.refused.range((from, Bound::Unbounded)).take(LOOK_AT).copied().collect();
        self.away.looked_at = some.get(LOOK_AT - 1).copied();
        for (id, member) in some {
            if !self.refused_for_good(id, member) {
                self.away.refused.remove(&(id, member));
            } else if self.holders.contains_key(&member) {
                self.end_refused(id, at);
            }
        }
    }

    fn refused_for_good(&self, id: TaskId, member: MemberId) -> bool {
        self.tasks.get(&id).is_some_and(|entry| entry.refused_by.get(&member) == Some(&None))
    }

    /// Whether a task fails soon, unless somebody who is away comes back and takes it.
    pub(super) fn fails_soon(&self, id: TaskId) -> bool {
        let (first, last) = ((id, MemberId::from_bytes([0; 16])), (id, MemberId::from_bytes([u8::MAX; 16])));
        let mut refused = self.away.refused.range(first..=last).map(|(_, member)| *member);
        refused.any(|it| self.holders.contains_key(&it) && self.refused_for_good(id, it))
            && !self.somebody_else_might(id)
    }
}
