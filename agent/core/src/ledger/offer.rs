//! What becomes of an offer, by what the agent already knows of the task.

use std::cmp::Ordering;

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{Accept, Offer, Reject, Rejection, Report, Started};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Outcome, ReportNo, TaskKind, Timestamp};

use super::held::Held;
use super::{Event, Gated, Ledger, Offered, Refusal, failure};
use crate::lease::Lease;
use crate::write::{Origin, TaskState, Tombstone, Write};

/// When a batch that there is no room for may be offered again: soon beside the time that batches take, and seldom
/// enough for hundreds of them in the controller's queue.
const BATCH_AGAIN_MS: u32 = 30_000;

/// The same of a task for a system whose tasks wait already: beside what such waits take, and for as many.
const CROWD_AGAIN_MS: u32 = 30_000;

/// When a task may be offered again that there is no room for: soon beside what a task or an acknowledgement takes.
const FULL_AGAIN_MS: u32 = 1_000;

/// When a task may be offered again whose earlier results are on their way: soon beside what they take.
const OUTDATED_AGAIN_MS: u32 = 1_000;

/// Whether an outcome stays true whatever others did since: what was asked for was done. What was only seen may be what
/// somebody else did, if another task was leased for the target since, or this one to another member.
pub(super) fn is_lasting(report: &Report, offer: &Offer) -> bool {
    let is_kept = report.epoch >= offer.alone_since && report.epoch.next() >= offer.epoch;
    let is_ours = report.certainty.known() == Some(Certainty::Certain) || is_kept;
    report.outcome.known() == Some(Outcome::Succeeded) && is_ours
}

impl Ledger {
    /// A task was offered.
    pub fn handle_offer(&mut self, offered: Offered, now: Timestamp) {
        if let Some(session) = &mut self.session {
            session.offers_seen = session.offers_seen.saturating_add(1);
        }
        let task = offered.offer.task;
        if let Some(held) = self.tasks.get(&task) {
            if held.is_same_work(&offered.offer) {
                self.offer_of_held(&offered, now);
            } else {
                self.reject(&offered.offer, Rejection::Invalid, "the task is held here with other content", 0);
            }
        } else if let Some(report) = self.outbox.find(task).cloned() {
            self.offer_of_reported(offered, report, now);
        } else if let Some(stone) = self.tombstones.get(task) {
            self.offer_of_ended(offered, stone, now);
        } else {
            self.offer_of_unknown(offered, now);
        }
    }

    fn offer_of_unknown(&mut self, offered: Offered, now: Timestamp) {
        let Offered { offer, origin, refusal } = offered;
        if let Some(refusal) = refusal {
            self.reject_for(&offer, &refusal);
        } else if self.has_payload_of(&offer) {
            let message = "a payload of it belongs to another task that is held here";
            self.reject(&offer, Rejection::Invalid, message, 0);
        } else if origin == Origin::Controller && (self.stopping || !self.membership.may_begin()) {
            self.reject(&offer, Rejection::Draining, "the member takes no new work now", 0);
        } else if origin == Origin::Controller
            && let Some(wait) = self.used_up(&offer.system, now)
        {
            let message = format!("the calls that `{}` takes today are used up, or spoken for", offer.system);
            self.reject(&offer, Rejection::Overloaded, &message, u32::try_from(wait.as_millis()).unwrap_or(u32::MAX));
        } else if origin == Origin::Controller && self.room() == 0 {
            self.reject(&offer, Rejection::Overloaded, "the member holds as much as it can", FULL_AGAIN_MS);
        } else if origin == Origin::Controller && self.crowds_out_others(&offer.system) {
            let message =
                format!("tasks for `{}` wait here, and the room that is left is for other systems", offer.system);
            self.reject(&offer, Rejection::Overloaded, &message, CROWD_AGAIN_MS);
        } else if origin == Origin::Controller && !self.has_outbox_for(offer.kind.known()) {
            let message = "too many reports wait to be acknowledged for anything to be changed";
            self.reject(&offer, Rejection::Overloaded, message, FULL_AGAIN_MS);
        } else if origin == Origin::Controller
            && offer.kind.known().is_some_and(TaskKind::is_batch)
            && !self.has_room_for_batch()
        {
            let message = "the member holds as many batches as it can";
            self.reject(&offer, Rejection::Overloaded, message, BATCH_AGAIN_MS);
        } else {
            self.take(offer, origin, now);
        }
    }

    /// Whether a held task has a payload of the same id: one would delete what the other needs, or put its own in the place.
    fn has_payload_of(&self, offer: &Offer) -> bool {
        let is_of_offer = |id| offer.streams.iter().any(|stream| stream.id == id);
        !offer.streams.is_empty() && self.tasks.values().any(|held| held.streams().into_iter().any(is_of_offer))
    }

    fn reject_for(&mut self, offer: &Offer, Refusal { reason, message, retry_after }: &Refusal) {
        let retry_after = retry_after.unwrap_or_default();
        self.reject(offer, *reason, message, u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX));
    }

    fn take(&mut self, offer: Offer, origin: Origin, now: Timestamp) {
        self.arrivals += 1;
        let task = offer.task;
        let accept = Accept { task, epoch: offer.epoch };
        self.writes.push(Write::PutTask(Box::new(offer.clone()), origin));
        let mut held = Held::offered(offer, origin, self.arrivals, now);
        held.durable_after = self.next_mark();
        self.tasks.insert(task, held);
        if origin == Origin::Controller {
            self.after_writes(Gated::Transmit(accept.into()));
            self.take_up_parked_cancel(task);
            // Asked for at once, so that the answer comes while the disk is busy.
            self.renew_now();
        }
    }

    fn offer_of_held(&mut self, Offered { offer, refusal, .. }: &Offered, now: Timestamp) {
        let Some(held) = self.tasks.get(&offer.task) else { return };
        // What is held was let in; what was sealed again is to be let in as anything new.
        if let Some(refusal) = refusal.as_ref().filter(|_| held.offer.sealed != offer.sealed) {
            return self.reject_for(offer, refusal);
        }
        match offer.epoch.cmp(&held.lease.epoch) {
            Ordering::Less => {
                return self.reject(offer, Rejection::Fenced, "a newer lease of this task is known here", 0);
            }
            Ordering::Greater if held.is_outdated_by(offer) => {
                let message = "the results of an earlier attempt are on their way to the controller";
                return self.reject(offer, Rejection::Overloaded, message, OUTDATED_AGAIN_MS);
            }
            Ordering::Equal => (),
            Ordering::Greater => self.lease_anew(offer, now),
        }
        let (task, epoch, attempt) = (offer.task, offer.epoch, offer.attempt);
        self.after_writes(Gated::Transmit(Accept { task, epoch }.into()));
        if self.tasks.get(&task).is_some_and(Held::is_begun) {
            self.after_writes(Gated::Transmit(Started { task, epoch, attempt }.into()));
        }
    }

    /// A held task is given to this member once more, under a newer lease.
    fn lease_anew(&mut self, offer: &Offer, now: Timestamp) {
        let Some(held) = self.tasks.get_mut(&offer.task) else { return };
        held.lease = Lease::offered(offer.epoch);
        held.fenced = None;
        held.overtaken = held.running && !held.only_reads();
        // What was begun here stands in the journal.
        held.offer.reconcile |= offer.reconcile;
        held.offer.epoch = offer.epoch;
        held.offer.attempt = offer.attempt;
        held.offer.alone_since = offer.alone_since;
        held.offer.alone_ms = offer.alone_ms;
        held.offered_at = Some(now);
        // They may have been sealed again since, and signed.
        held.offer.sealed.clone_from(&offer.sealed);
        held.offer.signature.clone_from(&offer.signature);
        held.offer.ext.clone_from(&offer.ext);
        self.writes.push(Write::PutTask(Box::new(held.offer.clone()), held.origin));
        if let TaskState::Concluded(report) = &mut held.state {
            report.epoch = offer.epoch;
            self.writes.push(Write::PutState(offer.task, TaskState::Concluded(report.clone())));
        }
        if held.overtaken {
            self.events.push_back(Event::Stop(offer.task));
        }
        let parked = std::mem::take(&mut held.parked);
        self.events.extend(parked.into_iter().map(|it| Event::Refused(it.ticket, failure::leased_anew())));
        self.renew_now();
    }

    /// Reported, not acknowledged: the same epoch is a repetition, a newer one gets the same outcome, if it still holds.
    fn offer_of_reported(&mut self, offered: Offered, report: Report, now: Timestamp) {
        let offer = &offered.offer;
        match offer.epoch.cmp(&report.epoch) {
            Ordering::Less => self.reject(offer, Rejection::Fenced, "a newer lease of this task is known here", 0),
            Ordering::Equal => self.outbox.rewind_to(report.number),
            Ordering::Greater => {
                let report = Report { attempt: offer.attempt, ..report };
                self.report_again(offered, report, now);
            }
        }
    }

    fn offer_of_ended(&mut self, offered: Offered, stone: Tombstone, now: Timestamp) {
        let offer = &offered.offer;
        if offer.epoch <= stone.epoch {
            return self.reject(offer, Rejection::Fenced, "the task ended here and was acknowledged", 0);
        }
        let report = Report {
            number: ReportNo(0),
            task: stone.task,
            epoch: stone.epoch,
            attempt: stone.attempt,
            outcome: stone.outcome.into(),
            certainty: stone.certainty.into(),
            changed: stone.changed.into(),
            failure: None,
            output: Bytes::default(),
            sealed: List::default(),
            streams: List::default(),
            ext: List::default(),
        };
        self.report_again(offered, report, now);
    }

    /// What this member remembers of a task is its outcome under the newer epoch too, unless others may have worked on
    /// its target since and that may be wrong now: then it is found out anew.
    fn report_again(&mut self, offered: Offered, report: Report, now: Timestamp) {
        let epoch = offered.offer.epoch;
        if self.reportable() == 0 {
            let message = "too many reports wait to be acknowledged";
            self.reject(&offered.offer, Rejection::Overloaded, message, FULL_AGAIN_MS);
        } else if !offered.offer.reconcile || is_lasting(&report, &offered.offer) {
            self.owe(Report { epoch, ..report });
        } else if report.outcome.known() == Some(Outcome::DeadLettered) {
            // It is not run again, whatever the other member did.
            let changed = if report.changed.known() == Some(Changed::Yes) { Changed::Yes } else { Changed::Unknown };
            let (certainty, changed) = (Certainty::Unknown.into(), changed.into());
            self.owe(Report { epoch, certainty, changed, streams: List::default(), ..report });
        } else {
            self.offer_of_unknown(offered, now);
        }
    }

    pub(super) fn reject(&mut self, offer: &Offer, reason: Rejection, message: &str, retry_after_ms: u32) {
        let frame = Reject {
            task: offer.task,
            epoch: offer.epoch,
            reason: reason.into(),
            message: Text::clipped(message),
            retry_after_ms,
        };
        // Behind earlier writes, so that the answers to one task stay in order.
        self.after_writes(Gated::Transmit(frame.into()));
    }
}
