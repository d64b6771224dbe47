//! Leases in the ledger: asked for, kept, lost, and the intents that wait for them.

use std::time::Duration;

use postern_protocol::bounded::List;
use postern_protocol::message::v1::{LeaseRef, LeaseVerdict, Renew, Renewed};
use postern_protocol::{TaskId, Timestamp};

use super::held::Parked;
use super::session::SHORTEST_LEASE;
use super::{Event, GivenUp, Ledger, failure};
use crate::lease::Lease;
use crate::write::{Origin, TaskState};

/// Renewals that may be unanswered at once. Only one that is due by time takes the oldest for lost: what came since waits for
/// the next answer, or answers that take long would never be heard.
const OPEN_RENEWALS: usize = 16;
/// Leases in one `Renew`: the bound of the frame.
pub(super) const RENEW_PAGE: usize = 256;

impl Ledger {
    /// The answer to a renewal.
    pub fn handle_renewed(&mut self, renewed: &Renewed, now: Timestamp) {
        let Some(session) = &mut self.session else { return };
        let Some(asked) = session.open.remove(&renewed.nonce) else { return };
        let ttl = Duration::from_millis(renewed.ttl_ms.into());
        session.ttl = ttl.max(SHORTEST_LEASE);
        for lease in &renewed.leases {
            let LeaseRef { task, epoch } = lease.lease;
            let Some(held) = self.tasks.get_mut(&task).filter(|held| held.lease.epoch == epoch) else { continue };
            match lease.verdict.known() {
                Some(verdict @ (LeaseVerdict::Kept | LeaseVerdict::Late)) => {
                    held.lease.handle_kept(asked, ttl);
                    if verdict == LeaseVerdict::Late {
                        self.learn_that_it_is_late(task, now);
                    }
                }
                Some(LeaseVerdict::Cancelled) => self.handle_cancel(task),
                Some(LeaseVerdict::Fenced) | None => self.lose(task, now),
                Some(LeaseVerdict::Unknown) => {
                    self.lose(task, now);
                    self.give_up_lost(task);
                }
            }
        }
        self.retry_parked(now);
    }

    /// The deadline of a task has passed. Whoever has counted it itself knows that, and so does each attempt that follows; but a
    /// virtual machine that was paused counted too little.
    fn learn_that_it_is_late(&mut self, task: TaskId, now: Timestamp) {
        let Some(held) = self.tasks.get_mut(&task).filter(|held| !held.is_expired(now)) else { return };
        held.deadline = Some(now);
        if held.running {
            self.events.push_back(Event::Late(task));
        }
    }

    /// The clock by which leases are counted stood still for a while: every one is asked for again before it gives a right.
    /// What was asked before may have been answered before, too.
    pub fn handle_pause(&mut self) {
        self.ask_for_leases_again();
    }

    /// No lease gives a right before it was renewed once more, and what was asked before does not count.
    pub(super) fn ask_for_leases_again(&mut self) {
        for held in self.tasks.values_mut().filter(|held| held.origin == Origin::Controller) {
            held.lease = Lease::offered(held.lease.epoch);
        }
        if let Some(session) = &mut self.session {
            session.open.clear();
        }
        self.renew_now();
    }

    /// The task is another's now: what has not begun is forgotten, what runs stops where it can. What has begun is kept
    /// for a while, because its journal is of use if the task is leased to this member again.
    pub(super) fn lose(&mut self, task: TaskId, now: Timestamp) {
        let Some(held) = self.tasks.get_mut(&task) else { return };
        held.lease.handle_lost();
        held.fenced.get_or_insert(now);
        if held.running {
            self.events.push_back(Event::Stop(task));
        } else if matches!(held.state, TaskState::Journaled { .. }) {
            self.drop_task(task);
        }
    }

    /// The task does not come back: what its journal knows is told.
    pub(super) fn give_up_lost(&mut self, task: TaskId) {
        let idle = self.tasks.get(&task).filter(|held| !held.running && held.is_begun());
        if let Some(target) = idle.map(|held| held.offer.target.clone()) {
            self.give_up(task, failure::lease_lost(&target), GivenUp::Failed);
        }
    }

    pub(super) fn retry_parked(&mut self, now: Timestamp) {
        let ready: Vec<TaskId> =
            self.tasks.iter().filter(|(_, held)| !held.parked.is_empty()).map(|(t, _)| *t).collect();
        for task in ready {
            let Some(held) = self.tasks.get_mut(&task) else { continue };
            for parked in std::mem::take(&mut held.parked) {
                self.take_up_parked(task, parked, now);
            }
        }
    }

    fn take_up_parked(&mut self, task: TaskId, parked: Parked, now: Timestamp) {
        let patience_over = now.since(parked.since) >= self.limits.lease_patience;
        let may = self.may_act(task, now);
        let Some(held) = self.tasks.get_mut(&task) else { return };
        match may {
            Err(failure) => self.events.push_back(Event::Refused(parked.ticket, failure)),
            Ok(()) if held.lease.covers(parked.reach, now) => {
                self.write_intent(task, parked.ticket, parked.entry, parked.reach);
            }
            Ok(()) if patience_over => {
                self.events.push_back(Event::Refused(parked.ticket, failure::lease_too_short()));
            }
            Ok(()) => held.parked.push(parked),
        }
    }

    pub(super) fn leases(&self) -> impl Iterator<Item = LeaseRef> {
        self.tasks
            .iter()
            // A concluded task whose results are on their way is still this member's.
            .filter(|(_, held)| held.is_leased())
            .map(|(task, held)| LeaseRef { task: *task, epoch: held.lease.epoch })
    }

    /// Leases are renewed at the next opportunity instead of a third of their time after the last.
    pub(super) fn renew_now(&mut self) {
        if let Some(session) = &mut self.session {
            session.due = true;
        }
    }

    pub(super) fn poll_renew(&mut self, now: Timestamp) -> Option<Renew> {
        let session = self.session.as_ref()?;
        let is_due_by_time = session.next_renewal().is_none_or(|next| next <= now);
        let is_asked_for = session.due && session.open.len() < OPEN_RENEWALS;
        if !is_due_by_time && !is_asked_for {
            return None;
        }
        let leases: Vec<LeaseRef> = self.leases().take(RENEW_PAGE).collect();
        let session = self.session.as_mut()?;
        session.due = false;
        session.renewed_at = Some(now);
        if leases.is_empty() {
            return None;
        }
        session.nonce += 1;
        session.open.insert(session.nonce, now);
        while session.open.len() > OPEN_RENEWALS {
            session.open.pop_first();
        }
        Some(Renew { nonce: session.nonce, leases: List::clipped(leases) })
    }
}
