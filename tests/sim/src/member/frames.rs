//! What a member hears about work.

use std::time::Duration;

use postern_agent_core::{Membership, Offered, Origin, Refusal};
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Offer, Rejection, ReportAck};
use postern_protocol::task::Repeat;
use postern_protocol::{ReportNo, TaskId, Timestamp};

use super::SLOTS;
use crate::coverage::Situation;
use crate::net::LinkId;
use crate::workload::{Point, Policy};
use crate::world::World;

/// After how long a member with a full disk may be asked again.
const FULL_DISK: Duration = Duration::from_secs(10);

impl World {
    /// A frame about work. Whether the process lives.
    pub(super) fn member_hears(&mut self, m: usize, frame: FromController) -> bool {
        let true_time = self.agenda.now();
        let now = self.members[m].now(true_time);
        match frame {
            FromController::Offer(offer) => return self.member_is_offered(m, offer, now),
            FromController::ReportAck(ReportAck { upto }) => {
                self.heard_ack(m, upto);
                if !self.members[m].disk.reports.is_empty() && self.at_point(m, Point::ReportAcknowledged) {
                    return false;
                }
                let Some(process) = self.members[m].process.as_mut() else { return false };
                process.ledger.handle_report_ack(upto, now);
            }
            other => {
                let begun = matches!(&other, FromController::Cancel(it) if self.members[m].disk.is_begun(it.task));
                let Some(process) = self.members[m].process.as_mut() else { return false };
                match other {
                    FromController::Renewed(renewed) => process.ledger.handle_renewed(&renewed, now),
                    FromController::Cancel(cancel) => {
                        if begun {
                            self.coverage.met(Situation::CancelledBegun);
                        }
                        process.ledger.handle_cancel(cancel.task);
                    }
                    FromController::InventoryAsk(ask) => process.ledger.handle_inventory_ask(ask.nonce),
                    FromController::MemberState(change) => {
                        let Some(state) = change.state.known() else { return true };
                        if change.hard && !process.attempts.is_empty() {
                            self.coverage.met(Situation::DisabledHard);
                        }
                        let membership = Membership { state, epoch: change.epoch, hard: change.hard };
                        process.ledger.handle_member_state(membership, now);
                    }
                    _ => (),
                }
            }
        }
        true
    }

    pub(super) fn heard_ack(&mut self, m: usize, upto: ReportNo) {
        let (id, store) = (self.members[m].id, self.members[m].disk.incarnation);
        let stored = self.controllers.disk.records().numbers.get(&id).copied();
        let link = self.members[m].process.as_ref().and_then(|it| it.link.as_ref()).map(|(link, _)| *link);
        self.oracle.member_heard((store, link.unwrap_or(LinkId::MAX)), upto, stored.as_ref(), self.agenda.now());
    }

    /// Why a task is not taken on that is not known here, if it is not.
    fn refusal(&self, m: usize, offer: &Offer) -> Option<Refusal> {
        let member = &self.members[m];
        let is_change = offer.kind.known().is_some_and(|it| it.repeat() != Repeat::Freely);
        if is_change && member.process.as_ref().is_some_and(|it| it.policy == Policy::Refuses) {
            return Some(Refusal { reason: Rejection::Policy, message: "no changes".to_owned(), retry_after: None });
        }
        let is_full = member.full > self.agenda.now();
        let message = "the disk is full".to_owned();
        is_full.then_some(Refusal { reason: Rejection::StoreFault, message, retry_after: Some(FULL_DISK) })
    }

    fn member_is_offered(&mut self, m: usize, offer: Offer, now: Timestamp) -> bool {
        if self.at_point(m, Point::OfferTaken) {
            return false;
        }
        let true_time = self.agenda.now();
        let refusal = self.refusal(m, &offer);
        let member = &mut self.members[m];
        let held: Vec<TaskId> = member.disk.tasks().collect();
        let situation = if held.contains(&offer.task) {
            Some(Situation::OfferedAgain)
        } else if member.disk.reports.values().any(|it| it.task == offer.task) {
            Some(Situation::OfferedReported)
        } else if member.disk.ended(offer.task) {
            Some(Situation::OfferedEnded)
        } else {
            None
        };
        let is_newer = member.disk.offer(offer.task).is_some_and(|it| it.epoch < offer.epoch);
        if is_newer && member.process.as_ref().is_some_and(|it| it.attempts.contains_key(&offer.task)) {
            self.coverage.met(Situation::Overtaken);
        }
        let Some(process) = member.process.as_mut() else { return false };
        process.offered += 1;
        if process.offered > process.granted {
            let seen = format!("member {m} was offered {} tasks and allowed {}", process.offered, process.granted);
            self.oracle.broken(17, true_time, seen);
        }
        let offered = Offered { offer, origin: Origin::Controller, refusal };
        process.ledger.handle_offer(offered, now);
        let held = process.ledger.held();
        if usize::try_from(held.journaled + held.started).unwrap_or(usize::MAX) > SLOTS * 4 {
            self.oracle.broken(17, true_time, format!("member {m} holds {held:?}"));
        }
        if usize::try_from(held.journaled + held.started).unwrap_or(0) >= SLOTS * 2 {
            self.coverage.met(Situation::FullCredit);
        }
        if let Some(situation) = situation {
            self.coverage.met(situation);
        }
        true
    }
}
