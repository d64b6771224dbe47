//! The ledger's part of a session: its beginning and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postern_protocol::{ReportNo, SessionNo, TaskId, Timestamp};

use super::{Event, Gated, Ledger};
use crate::membership::Membership;
use crate::write::Write;

/// The shortest time of leases that renewals keep up with: with a shorter one nothing else would be said.
pub(super) const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// What lasts as long as one session.
#[derive(Debug)]
pub(super) struct Session {
    /// How long the controller keeps a lease that is renewed, as it said last.
    pub(super) ttl: Duration,
    /// Offers received.
    pub(super) offers_seen: u64,
    /// The newest credit given: how many offers there may have been in all.
    pub(super) granted: u64,
    /// The number of the newest renewal.
    pub(super) nonce: u64,
    /// Renewals without an answer, by number, with the time each was asked at.
    pub(super) open: BTreeMap<u64, Timestamp>,
    /// When leases were renewed last.
    pub(super) renewed_at: Option<Timestamp>,
    /// Whether leases are renewed at the next opportunity.
    pub(super) due: bool,
    /// Tasks that were cancelled before they were offered.
    pub(super) parked_cancels: BTreeSet<TaskId>,
}

impl Session {
    fn new(ttl: Duration) -> Self {
        Self {
            ttl: ttl.max(SHORTEST_LEASE),
            offers_seen: 0,
            granted: 0,
            nonce: 0,
            open: BTreeMap::new(),
            renewed_at: None,
            due: true,
            parked_cancels: BTreeSet::new(),
        }
    }

    /// The time of leases, if even a freshly renewed one cannot cover a call of this length.
    pub(super) fn too_short_for(&self, reach: Duration) -> Option<Duration> {
        (reach > self.ttl * 2 / 3).then_some(self.ttl)
    }

    pub(super) fn next_renewal(&self) -> Option<Timestamp> {
        self.renewed_at.map(|at| at + self.ttl / 3)
    }
}

impl Ledger {
    /// The session number and the member's state that a `Welcome` brought must be on disk before the session is
    /// confirmed: the shell calls this, writes, and only then lets the session go on.
    pub fn handle_welcome(&mut self, session: SessionNo, membership: Membership, now: Timestamp) {
        self.session_no = self.session_no.max(session);
        self.writes.push(Write::PutSession(self.session_no));
        self.put_membership(membership, now);
    }

    /// A session is established: everything owed is sent again, every lease renewed, credit begins at zero.
    pub fn handle_established(&mut self, acked: ReportNo, ttl: Duration, now: Timestamp) {
        self.transmits.clear();
        self.gated.retain(|(_, item)| !matches!(item, Gated::Transmit(_)));
        self.session = Some(Session::new(ttl));
        self.outbox.rewind();
        self.announce_results();
        self.take_ack(acked, now);
        self.give_back();
        self.lose_unserved(now);
    }

    /// A controller that was put back from a copy may have lost the results that it took, and waits for them before it takes
    /// the report. One that ended the task meanwhile threw them away.
    fn announce_results(&mut self) {
        let results = self.outbox.announce_results();
        self.events.extend(results.map(|(task, stream)| Event::Upload(task, stream)));
    }

    /// The session is over.
    pub fn handle_disconnected(&mut self) {
        self.session = None;
        self.transmits.clear();
        self.progress.clear();
    }
}
