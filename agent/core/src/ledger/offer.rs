//! What becomes of an offer, by what the agent already knows of the task.

use std::cmp::Ordering;
use std::time::Duration;

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{Accept, Offer, Reject, Rejection, Report, Started};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::Repeat;
use postern_protocol::{Outcome, ReportNo, TaskKind, Timestamp};

use super::held::{Held, deadline_of};
use super::{Event, Gated, Ledger, Offered, Refusal, failure};
use crate::lease::Lease;
use crate::write::{Origin, Payload, TaskState, Tombstone, Write};

/// When a batch that there is no room for may be offered again: soon beside the time that batches take, and seldom
/// enough for hundreds of them in the controller's queue.
const BATCH_AGAIN: Duration = Duration::from_secs(30);

/// The same of a task for a system whose tasks wait already: beside what such waits take, and for as many.
const CROWD_AGAIN: Duration = Duration::from_secs(30);

/// When a task may be offered again that there is no room for: soon beside what a task or an acknowledgement takes.
const FULL_AGAIN: Duration = Duration::from_secs(1);

/// Reports of one task that wait to be acknowledged, each under another lease: a controller has a few in doubt at a time, and takes
/// what is owed before it leases anew.
const MAX_OF_TASK: usize = 8;

/// When a task may be offered again whose earlier results are on their way: soon beside what they take.
const OUTDATED_AGAIN: Duration = Duration::from_secs(1);

/// Whether an outcome stays true whatever others did since: what was asked for was done. What was only seen may be what
/// somebody else did, if another task was leased for the target since, or this one to another member.
pub(super) fn is_lasting(report: &Report, offer: &Offer) -> bool {
    let is_kept = report.epoch >= offer.alone_since && report.epoch.next() >= offer.epoch;
    let is_ours = report.certainty.known() == Some(Certainty::Certain) || is_kept;
    report.outcome.known() == Some(Outcome::Succeeded) && is_ours
}

/// Whether what a task of a kind that only reads was to find out is in its report. If not it is read once more, which harms
/// nobody: whoever waits for it has nothing of the word that it was read. What kills the process is not.
fn is_all_there(report: &Report, kind: TaskKind) -> bool {
    match report.outcome.known() {
        Some(Outcome::Succeeded) => !report.output.is_empty() && (!kind.is_batch() || !report.streams.is_empty()),
        outcome => outcome == Some(Outcome::DeadLettered),
    }
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
                self.reject(&offered.offer, Rejection::Invalid, "the task is held here with other content");
            }
        } else if let Some(report) = self.outbox.find(task).cloned() {
            self.offer_of_reported(offered, report, now);
        } else if let Some(stone) = self.tombstones.get(task) {
            self.offer_of_ended(offered, stone, now);
        } else {
            self.offer_of_unknown(offered, now);
        }
    }

    fn offer_of_unknown(&mut self, Offered { offer, origin, refusal }: Offered, now: Timestamp) {
        match refusal.or_else(|| self.refusal(&offer, origin, now)) {
            Some(refusal) => self.reject_for(&offer, &refusal),
            None => self.take(offer, origin, now),
        }
    }

    /// Why a task that is not known here cannot be taken, if it cannot.
    fn refusal(&self, offer: &Offer, origin: Origin, now: Timestamp) -> Option<Refusal> {
        if self.has_payload_of(offer) {
            let message = "a payload of it belongs to another task that is held here";
            return Some(Refusal::lasting(Rejection::Invalid, message));
        }
        if origin.is_local() {
            return None;
        }
        if self.stopping || !self.membership.may_begin() {
            return Some(Refusal::lasting(Rejection::Draining, "the member takes no new work now"));
        }
        if let Some(wait) = self.used_up(&offer.system, now) {
            let message = format!("the calls that `{}` takes today are used up, or spoken for", offer.system);
            return Some(Refusal::overloaded(message, wait));
        }
        if self.room() == 0 {
            return Some(Refusal::overloaded("the member holds as much as it can", FULL_AGAIN));
        }
        if self.crowds_out_others(&offer.system) {
            let message =
                format!("tasks for `{}` wait here, and the room that is left is for other systems", offer.system);
            return Some(Refusal::overloaded(message, CROWD_AGAIN));
        }
        if !self.has_outbox_for(offer.kind.known()) {
            let message = "too many reports wait to be acknowledged for anything to be changed";
            return Some(Refusal::overloaded(message, FULL_AGAIN));
        }
        if offer.kind.known().is_some_and(TaskKind::is_batch) && !self.has_room_for_batch() {
            return Some(Refusal::overloaded("the member holds as many batches as it can", BATCH_AGAIN));
        }
        None
    }

    /// Whether a held task has a payload of the same id: one would delete what the other needs, or put its own in the place.
    fn has_payload_of(&self, offer: &Offer) -> bool {
        let is_of_offer = |id| offer.streams.iter().any(|stream| stream.id == id);
        !offer.streams.is_empty() && self.tasks.values().any(|held| held.streams().into_iter().any(is_of_offer))
    }

    fn take(&mut self, offer: Offer, origin: Origin, now: Timestamp) {
        self.arrivals += 1;
        let task = offer.task;
        let accept = Accept { task, epoch: offer.epoch };
        // It is done anew because nobody has what came of it: connectors are not to take that for handed over meanwhile. The
        // controller may have lost it, and then what came of others too.
        if offer.kind.known().is_some_and(TaskKind::is_batch)
            && let Some(stone) = self.tombstones.get(task).filter(|it| it.payload != Payload::Lost)
        {
            let mut writes = self.remember(Tombstone { payload: Payload::Lost, ..stone });
            self.writes.append(&mut writes);
        }
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
                return self.reject(offer, Rejection::Fenced, "a newer lease of this task is known here");
            }
            Ordering::Equal if held.fenced.is_none() => (),
            Ordering::Equal | Ordering::Greater if held.is_outdated_by(offer) => {
                let message = "the results of an earlier attempt are on their way to the controller";
                return self.reject_for(offer, &Refusal::overloaded(message, OUTDATED_AGAIN));
            }
            // A controller that was put back from a copy may come to the number that it has just said to be lost.
            Ordering::Equal | Ordering::Greater => self.lease_anew(offer, now),
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
        // A restart may have forgotten it.
        held.deadline = deadline_of(offer, now).or(held.deadline);
        // They may have been sealed again since, and signed. What was not is let in without a look at its signature, which stays
        // the one that was looked at.
        if held.offer.sealed != offer.sealed {
            held.offer.sealed.clone_from(&offer.sealed);
            held.offer.signature.clone_from(&offer.signature);
        }
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
            Ordering::Less => self.reject(offer, Rejection::Fenced, "a newer lease of this task is known here"),
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
            return self.reject(offer, Rejection::Fenced, "the task ended here and was acknowledged");
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
        let (epoch, offer) = (offered.offer.epoch, &offered.offer);
        let stands = match offer.kind.known().filter(|kind| kind.repeat() == Repeat::Freely) {
            Some(kind) => is_all_there(&report, kind),
            None => !offer.reconcile || is_lasting(&report, offer),
        };
        if self.reportable() == 0 || self.outbox.count_of(offer.task) >= MAX_OF_TASK {
            let refusal = Refusal::overloaded("too many reports wait to be acknowledged", FULL_AGAIN);
            self.reject_for(&offered.offer, &refusal);
        } else if stands {
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

    pub(super) fn reject(&mut self, offer: &Offer, reason: Rejection, message: &str) {
        self.reject_for(offer, &Refusal::lasting(reason, message));
    }

    fn reject_for(&mut self, offer: &Offer, Refusal { reason, message, retry_after }: &Refusal) {
        let retry_after = retry_after.unwrap_or_default();
        let frame = Reject {
            task: offer.task,
            epoch: offer.epoch,
            reason: (*reason).into(),
            message: Text::clipped(message),
            retry_after_ms: u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX),
        };
        // Behind earlier writes, so that the answers to one task stay in order.
        self.after_writes(Gated::Transmit(frame.into()));
    }
}
