//! Which attempt starts next, and when to look again.

use std::cmp::Reverse;
use std::time::Duration;

use postern_protocol::task::Lane;
use postern_protocol::{StreamId, SystemName, TaskId, Timestamp};

use super::held::Held;
use super::session::Session;
use super::{Event, Gated, Ledger};
use crate::write::{TaskState, Write};

impl Ledger {
    /// Time passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.retry_parked(now);
        self.forget_calls(now);
    }

    /// When to call [`Self::handle_timeout`], if ever.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let renewal = self.session.as_ref().filter(|_| self.leases().next().is_some()).and_then(Session::next_renewal);
        let idle = || self.tasks.values().filter(|held| !held.running && !held.is_concluded());
        let retries = idle().filter_map(|held| held.retry_at);
        let patience =
            self.tasks.values().flat_map(|held| &held.parked).map(|parked| parked.since + self.limits.lease_patience);
        let deadlines = idle().filter(|held| held.is_untouched()).filter_map(|held| held.deadline);
        let lost = idle().filter_map(|held| held.fenced).map(|since| since + self.limits.lost_patience);
        // What was due when last looked at waits for something else than time.
        let upcoming =
            renewal.into_iter().chain(retries).chain(deadlines).chain(lost).filter(|at| *at > self.looked_at);
        let calls = self.calls_left.values().map(|left| left.until);
        upcoming.chain(patience).chain(calls).chain(self.deferred.due_at()).min()
    }

    /// A payload of a task is complete on this machine.
    pub fn handle_stream_here(&mut self, task: TaskId, stream: StreamId) {
        if let Some(held) = self.tasks.get_mut(&task).filter(|held| held.announced.contains(&stream)) {
            held.missing.remove(&stream);
        }
    }

    pub(super) fn poll_start(&mut self, now: Timestamp) -> Option<Event> {
        self.expire(now);
        let has_slot = |held: &Held| self.has_slot(&held.offer.system, held.is_batch());
        let ready = self.tasks.values().filter(|held| has_slot(held) && self.may_start(held, now));
        let next = if Lane::is_for_the_oldest(self.turn) {
            ready.min_by_key(|held| held.arrival)
        } else {
            ready.max_by_key(|held| (held.offer.priority, Reverse((held.lane(), held.arrival))))
        };
        let task = next?.offer.task;
        self.turn += 1;
        let held = self.tasks.get_mut(&task)?;
        held.running = true;
        held.finds_out = held.cancelled;
        held.began_late = held.is_expired(now);
        held.retry_at = None;
        held.waits = false;
        let (offer, resumed, deadline) = (Box::new(held.offer.clone()), held.journal > 0, held.deadline);
        let earlier = held.first_run;
        held.first_run = earlier.or(Some(held.lease.epoch));
        let alone = held.alone(now);
        let start = Event::Start { offer, origin: held.origin, resumed, earlier, deadline, alone };
        let Some(state) = held.resume() else { return Some(start) };
        // On disk first, so that a task in which the process dies again and again is known by it.
        self.writes.push(Write::PutState(task, state));
        self.after_writes(Gated::Event(start));
        self.poll_start(now)
    }

    /// Whether a system has a slot for another task. Batches run for hours: the last quarter of the slots, one at least,
    /// is never theirs. The only slot of a system is for all, or they would never be done.
    fn has_slot(&self, system: &SystemName, is_batch: bool) -> bool {
        let Some(slots) = self.limits.systems.get(system).copied() else { return false };
        let running = || self.tasks.values().filter(|held| held.running && held.offer.system == *system);
        let for_batches = slots.saturating_sub(slots.div_ceil(4)).max(1);
        running().count() < slots && (!is_batch || running().filter(|held| held.is_batch()).count() < for_batches)
    }

    fn may_start(&self, held: &Held, now: Timestamp) -> bool {
        let waits = held.running || held.is_concluded() || held.fenced.is_some() || !held.missing.is_empty();
        if waits || held.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        // A lease may be renewed before the offer is on disk.
        if held.durable_after > self.durable {
            return false;
        }
        if held.origin.is_local() {
            return !self.stopping;
        }
        let allowed = match held.state {
            TaskState::Journaled { .. } => self.membership.may_begin() && !self.stopping,
            TaskState::Started { .. } => self.membership.may_go_on() && !self.stopping,
            TaskState::Concluded(_) => false,
        };
        // Behind a restart the answer to a renewal is the first word that it still may, and whether it is late.
        let needs_lease = !held.only_reads() || held.restored;
        // Without one an attempt would only wait for it, in a slot that others could use.
        allowed && (!needs_lease || held.lease.covers(Duration::ZERO, now))
    }

    /// Ends what waits for nothing but its end: deadlines that passed, begun tasks that were lost for good.
    fn expire(&mut self, now: Timestamp) {
        let idle = || self.tasks.values().filter(|held| !held.running);
        let is_late = |held: &&Held| held.is_untouched() && held.is_expired(now);
        let late: Vec<TaskId> = idle().filter(is_late).map(|held| held.offer.task).collect();
        // While the agent stops, what was put off stays so.
        let is_lost = |since| !self.stopping && now.since(since) >= self.limits.lost_patience;
        let lost = idle().filter(|held| held.fenced.is_some_and(is_lost));
        let lost: Vec<TaskId> = lost.map(|held| held.offer.task).collect();
        for task in late {
            self.conclude_expired(task);
        }
        for task in lost {
            self.give_up_lost(task);
        }
    }
}
