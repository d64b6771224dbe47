//! One task in the agent's hands.

use std::collections::BTreeSet;
use std::time::Duration;

use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::task::{Lane, Repeat};
use postern_protocol::{StreamId, TaskKind, Timestamp};

use super::RestoredTask;
use crate::journal::JournalEntry;
use crate::lease::Lease;
use crate::write::{Origin, TaskState};

/// How far a held task is. Mirrors [`TaskState`].
#[derive(Debug)]
pub(super) enum Phase {
    Journaled,
    Started { resumed: u32 },
    Concluded(Box<Report>),
}

/// An intent that waits for the lease to be renewed.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) ticket: u64,
    pub(super) entry: JournalEntry,
    pub(super) reach: Duration,
    pub(super) since: Timestamp,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub(super) struct Held {
    pub(super) offer: Offer,
    pub(super) origin: Origin,
    pub(super) phase: Phase,
    pub(super) lease: Lease,
    /// Order of arrival, among tasks of one priority.
    pub(super) arrival: u64,
    pub(super) running: bool,
    /// Attempts that failed, as opposed to having been interrupted.
    pub(super) failures: u32,
    pub(super) retry_at: Option<Timestamp>,
    /// The connected system asked for the wait that is under way, and it is long.
    pub(super) waits: bool,
    /// How long such waits were in all.
    pub(super) waited: Duration,
    pub(super) deadline: Option<Timestamp>,
    pub(super) cancelled: bool,
    /// Since when the lease is known to be lost.
    pub(super) fenced: Option<Timestamp>,
    /// The running attempt began under an older lease: what it has read may be out of date.
    pub(super) overtaken: bool,
    pub(super) missing: BTreeSet<StreamId>,
    pub(super) journal: u32,
    /// The mark of the write that makes the offer durable.
    pub(super) durable_after: u64,
    pub(super) parked: Vec<Parked>,
}

impl Held {
    pub(super) fn offered(
        offer: Offer,
        origin: Origin,
        streams_here: &[StreamId],
        arrival: u64,
        now: Timestamp,
    ) -> Self {
        let deadline = (offer.deadline_ms > 0).then(|| now + Duration::from_millis(offer.deadline_ms));
        Self { deadline, ..Self::new(offer, origin, streams_here, arrival) }
    }

    /// The deadline is gone with the process that counted it: the controller, which knows it, cancels what is late.
    pub(super) fn restore(restored: RestoredTask, arrival: u64) -> Self {
        let phase = match restored.state {
            TaskState::Journaled => Phase::Journaled,
            TaskState::Started { resumed } => Phase::Started { resumed },
            TaskState::Concluded(report) => Phase::Concluded(report),
        };
        Self {
            phase,
            journal: restored.journal,
            ..Self::new(restored.offer, restored.origin, &restored.streams_here, arrival)
        }
    }

    fn new(offer: Offer, origin: Origin, streams_here: &[StreamId], arrival: u64) -> Self {
        let lease = match origin {
            Origin::Controller => Lease::offered(offer.epoch),
            Origin::Local(_) => Lease::local(),
        };
        let missing = offer.streams.iter().map(|stream| stream.id).filter(|id| !streams_here.contains(id)).collect();
        Self {
            origin,
            phase: Phase::Journaled,
            lease,
            arrival,
            running: false,
            failures: 0,
            retry_at: None,
            waits: false,
            waited: Duration::ZERO,
            deadline: None,
            cancelled: false,
            fenced: None,
            overtaken: false,
            missing,
            journal: 0,
            durable_after: 0,
            parked: Vec::new(),
            offer,
        }
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Whether an attempt of another member may have had an effect: then nothing can be said of the task before the
    /// target was looked at.
    pub(super) fn in_doubt(&self) -> bool {
        self.offer.reconcile && !self.only_reads()
    }

    /// Whether an effect of this agent may exist.
    pub(super) fn is_begun(&self) -> bool {
        matches!(self.phase, Phase::Started { .. })
    }

    /// Whether it is certain that nobody has begun it.
    pub(super) fn is_untouched(&self) -> bool {
        !self.is_begun() && !self.in_doubt()
    }

    /// Whether an attempt should go no further than to find out what there is.
    pub(super) fn is_unwanted(&self, now: Timestamp) -> bool {
        self.cancelled || self.fenced.is_some() || (matches!(self.phase, Phase::Journaled) && self.is_expired(now))
    }

    pub(super) fn is_concluded(&self) -> bool {
        matches!(self.phase, Phase::Concluded(_))
    }

    /// Whether it may run without a lease: it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        let kind = self.offer.kind.known();
        kind.is_some_and(|kind| kind.repeat() == Repeat::Freely)
    }

    /// Where it waits for its turn.
    pub(super) fn lane(&self) -> Lane {
        self.offer.kind.known().map_or(Lane::Provisioning, TaskKind::lane)
    }

    /// Whether what is about one account goes before it.
    pub(super) fn is_batch(&self) -> bool {
        self.lane() == Lane::Batch
    }

    pub(super) fn stop_running(&mut self) {
        self.running = false;
        self.overtaken = false;
        self.parked.clear();
    }

    pub(super) fn next_journal(&mut self) -> u32 {
        self.journal += 1;
        self.journal - 1
    }

    /// Every payload on this machine that belongs to it.
    pub(super) fn streams(&self) -> Vec<StreamId> {
        let results = match &self.phase {
            Phase::Concluded(report) => report.streams.iter().map(|stream| stream.id).collect(),
            Phase::Journaled | Phase::Started { .. } => Vec::new(),
        };
        self.offer.streams.iter().map(|stream| stream.id).chain(results).collect()
    }

    /// Whether the same work is asked for, whatever the lease.
    pub(super) fn is_same_work(&self, offer: &Offer) -> bool {
        self.offer.kind == offer.kind
            && self.offer.kind_rev == offer.kind_rev
            && self.offer.system == offer.system
            && self.offer.params == offer.params
    }
}
