//! How much is taken on: credit, the room that is kept for what is owed, and the calls for what is held.

use postern_protocol::message::v1::Credit;
use postern_protocol::task::Repeat;
use postern_protocol::{FailureClass, SystemName, TaskId, TaskKind};

use super::Ledger;
use super::held::Held;
use super::renewal::RENEW_PAGE;
use crate::outbox::LARGEST_REPORT;

/// From this share of the outbox on, in percent, fewer tasks are held the fuller it is: what cannot be reported soon is
/// better done by another member.
const CREDIT_SHRINKS: usize = 70;
/// From this share of the outbox on, in percent, nothing new is taken on that changes anything: the rest is for what is
/// held, and for reads, of which little is lost if they are made again.
const NO_CHANGES: usize = 85;
/// Answers that may wait to be sent before nothing more is taken in: as many as a whole inventory and every lease and
/// cancel of a session may have at once.
const MOST_TRANSMITS: usize = 1024;
/// So many attempts in a row that failed of what may pass are no accident: the system does not answer, or not as it should.
const NO_ACCIDENT: u32 = 4;

impl Ledger {
    /// Whether so much waits to be sent that nothing more should be taken in before some of it is: a controller that
    /// speaks and does not listen must not fill the memory.
    pub fn is_choked(&self) -> bool {
        self.transmits.len() >= MOST_TRANSMITS
    }

    /// Tasks that may still be taken. Local tasks and those that wait for their results to be uploaded count too.
    /// Batches, and tasks that wait because the connected system asked for it, must not keep the agent from what is
    /// urgent: as many of them as there are places for batches do not count.
    pub(super) fn room(&self) -> usize {
        let spared = self.tasks.values().filter(|held| held.waits || held.is_batch()).count().min(self.batch_places());
        let most = (self.limits.held + spared).min(RENEW_PAGE);
        let left = 100_usize.saturating_sub(self.outbox_percent());
        let most = most.min((most * left).div_ceil(100 - CREDIT_SHRINKS));
        most.saturating_sub(self.tasks.len()).min(self.reportable()).min(self.callable())
    }

    /// Whether tasks of a system wait because it asked for it, or fail one after another, and another of them would take the
    /// room that other systems need to be fed: twice their slots.
    pub(super) fn crowds_out_others(&self, system: &SystemName) -> bool {
        let fails = self.failed_in_a_row.get(system).is_some_and(|attempts| *attempts >= NO_ACCIDENT);
        // It is asked again when the wait of one is over: what has waited counts, not what waits.
        let stays = |held: &Held| held.offer.system == *system && !held.is_batch() && (fails || !held.waited.is_zero());
        let held = |name: &SystemName| self.tasks.values().filter(|held| held.offer.system == *name).count();
        let others = self.limits.systems.iter().filter(|(name, _)| *name != system);
        let wanted = others.map(|(name, slots)| slots.saturating_mul(2).saturating_sub(held(name))).sum();
        self.tasks.values().any(stays) && self.room() <= wanted
    }

    /// An attempt at a single task ended, with a failure or without: what is not to pass was at least answered.
    pub(super) fn count_in_a_row(&mut self, task: TaskId, failure: Option<FailureClass>) {
        let Some(held) = self.tasks.get(&task).filter(|held| !held.is_batch()) else { return };
        match failure {
            Some(FailureClass::Transient | FailureClass::RateLimited) => {
                let attempts = self.failed_in_a_row.entry(held.offer.system.clone()).or_default();
                *attempts = attempts.saturating_add(1);
            }
            Some(FailureClass::Interrupted) => (),
            Some(FailureClass::Unauthorized | FailureClass::Rejected | FailureClass::Internal) | None => {
                self.failed_in_a_row.remove(&held.offer.system);
            }
        }
    }

    /// Whether another task of a kind may be taken while so much is owed.
    pub(super) fn has_outbox_for(&self, kind: Option<TaskKind>) -> bool {
        kind.is_some_and(|kind| kind.repeat() == Repeat::Freely) || self.outbox_percent() < NO_CHANGES
    }

    /// How many more reports the outbox takes, however long, beside one for every task that is held.
    pub(super) fn reportable(&self) -> usize {
        let (reports, bytes) = self.spoken_for();
        let by_bytes = self.limits.outbox_bytes.saturating_sub(bytes) / LARGEST_REPORT;
        self.limits.outbox.saturating_sub(reports).min(by_bytes)
    }

    /// How full the outbox is, with a report for every task that is held.
    fn outbox_percent(&self) -> usize {
        let (reports, bytes) = self.spoken_for();
        let by_reports = reports.saturating_mul(100) / self.limits.outbox.max(1);
        by_reports.max(bytes.saturating_mul(100) / self.limits.outbox_bytes.max(1))
    }

    /// The reports that are owed or will be, and the bytes they take.
    fn spoken_for(&self) -> (usize, usize) {
        let held = self.tasks.len();
        (self.outbox.len() + held, self.outbox.bytes() + held * LARGEST_REPORT)
    }

    /// Whether another batch may be taken. Credit does not tell kinds apart: it is for what is urgent, and a batch too
    /// many is refused.
    pub(super) fn has_room_for_batch(&self) -> bool {
        self.tasks.values().filter(|held| held.is_batch()).count() < self.batch_places()
    }

    /// Half of what can be held, however many slots there are.
    fn batch_places(&self) -> usize {
        self.limits.held.min(RENEW_PAGE / 2)
    }

    /// Whether the store has room for new work. As long as it has none no credit is granted: each task of the controller's
    /// queue would be offered, and refused, again and again. What was begun here, and lost its lease, needs no more room, but an
    /// offer to be gone on with, which nobody else may be there to take.
    pub fn handle_store_room(&mut self, has_room: bool) {
        self.store_has_room = has_room;
    }

    pub(super) fn poll_credit(&mut self) -> Option<Credit> {
        let takes_work = self.membership.may_begin() && !self.stopping;
        let has_lost = |held: &&Held| held.is_begun() && held.fenced.is_some();
        let most = if self.store_has_room { usize::MAX } else { self.tasks.values().filter(has_lost).count() };
        let room = if takes_work { self.room().min(most) } else { 0 };
        let session = self.session.as_mut()?;
        let offers = session.offers_seen.saturating_add(u64::try_from(room).unwrap_or(u64::MAX));
        if offers <= session.granted {
            return None;
        }
        session.granted = offers;
        Some(Credit { offers })
    }
}
