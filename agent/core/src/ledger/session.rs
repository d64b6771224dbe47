//! The ledger's part of a session: credit, leases, cancels, acknowledgements.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_protocol::bounded::{List, Text};
use postern_protocol::message::v1::{
    CancelVerdict, Credit, Drain, Drained, Inventory, LeaseRef, LeaseVerdict, MemberStateAck, Rejection, Renew, Renewed,
};
use postern_protocol::{ReportNo, SessionNo, StreamId, TaskId, Timestamp};

use super::held::Phase;
use super::{Event, Gated, Ledger, cancel_ack, held_task};
use crate::membership::Membership;
use crate::write::{Origin, Tombstone, Write};

/// Renewals that may be unanswered at once; older ones are taken for lost.
const OPEN_RENEWALS: usize = 16;
/// Leases in one `Renew`, tasks in one page of `Inventory`: the bounds of those frames.
const RENEW_PAGE: usize = 256;
const INVENTORY_PAGE: usize = 512;

/// What lasts as long as one session.
#[derive(Debug)]
pub(super) struct Session {
    ttl: Duration,
    pub(super) offers_seen: u64,
    granted: u64,
    nonce: u64,
    open: BTreeMap<u64, Timestamp>,
    renewed_at: Option<Timestamp>,
    due: bool,
}

impl Session {
    fn new(ttl: Duration) -> Self {
        Self { ttl, offers_seen: 0, granted: 0, nonce: 0, open: BTreeMap::new(), renewed_at: None, due: true }
    }

    /// Leases are renewed at the next opportunity instead of a third of their time after the last.
    pub(super) fn renew_now(&mut self) {
        self.due = true;
    }

    /// The time of leases, if even a freshly renewed one cannot cover a call of this length.
    pub(super) fn too_short_for(&self, reach: Duration) -> Option<Duration> {
        (reach > self.ttl * 2 / 3).then_some(self.ttl)
    }

    fn next_renewal(&self) -> Option<Timestamp> {
        self.renewed_at.map(|at| at + self.ttl / 3)
    }
}

impl Ledger {
    /// The session number and the member's state that a `Welcome` brought must be on disk before the session is
    /// confirmed: the shell calls this, writes, and only then lets the session go on.
    pub fn handle_welcome(&mut self, session: SessionNo, membership: Membership) {
        self.session_no = self.session_no.max(session);
        self.writes.push(Write::PutSession(self.session_no));
        self.put_membership(membership);
    }

    /// A session is established: everything owed is sent again, every lease renewed, credit begins at zero.
    pub fn handle_established(&mut self, acked: ReportNo, ttl: Duration) {
        self.transmits.clear();
        self.gated.retain(|(_, item)| !matches!(item, Gated::Transmit(_)));
        self.session = Some(Session::new(ttl));
        self.outbox.rewind();
        self.handle_report_ack(acked);
        self.give_back();
    }

    /// The session is over.
    pub fn handle_disconnected(&mut self) {
        self.session = None;
        self.transmits.clear();
        self.progress.clear();
    }

    /// The controller has stored every report up to `upto`.
    pub fn handle_report_ack(&mut self, upto: ReportNo) {
        for report in self.outbox.handle_ack(upto) {
            // Remembered before it is forgotten: a crash in between must not let the task run again.
            self.bury(&report);
            self.writes.push(Write::DeleteReport(report.number));
            let streams: Vec<StreamId> = report.streams.iter().map(|stream| stream.id).collect();
            if !streams.is_empty() {
                self.after_writes(Gated::Event(Event::Forget(streams)));
            }
        }
    }

    fn bury(&mut self, report: &postern_protocol::message::v1::Report) {
        let known = (report.outcome.known(), report.certainty.known(), report.changed.known());
        let (Some(outcome), Some(certainty), Some(changed)) = known else { return };
        let stone =
            Tombstone { task: report.task, epoch: report.epoch, attempt: report.attempt, outcome, certainty, changed };
        self.tombstones.insert(stone.task, stone);
        self.writes.push(Write::PutTombstone(stone));
        while self.tombstones.len() > self.limits.tombstones {
            // Ids of tasks begin with the time they were made: the first is the oldest.
            if let Some((task, _)) = self.tombstones.pop_first() {
                self.writes.push(Write::DeleteTombstone(task));
            }
        }
    }

    /// The controller changed what this member may do. Acknowledged once it is on disk.
    pub fn handle_member_state(&mut self, membership: Membership) {
        if membership.epoch >= self.membership.epoch {
            self.put_membership(membership);
            self.give_back();
        }
        self.after_writes(Gated::Transmit(MemberStateAck { epoch: membership.epoch }.into()));
    }

    fn put_membership(&mut self, membership: Membership) {
        self.membership = membership;
        self.writes.push(Write::PutMembership(membership));
        if !membership.may_go_on() {
            let running = self.tasks.iter().filter(|(_, held)| held.running && held.origin == Origin::Controller);
            self.events.extend(running.map(|(task, _)| Event::Stop(*task)));
        }
    }

    /// Hands tasks that have not begun back to the controller, so that another member can take them at once.
    pub(super) fn give_back(&mut self) {
        if self.session.is_none() || (self.membership.may_begin() && !self.stopping) {
            return;
        }
        let idle: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, held)| held.origin == Origin::Controller && matches!(held.phase, Phase::Journaled))
            .map(|(task, _)| *task)
            .collect();
        for task in idle {
            let Some(held) = self.tasks.get(&task) else { continue };
            if held.running {
                self.events.push_back(Event::Stop(task));
            } else {
                let offer = held.offer.clone();
                self.drop_task(task);
                self.reject(&offer, Rejection::Draining, "the member gives its unbegun work back", 0);
            }
        }
    }

    /// The agent is about to stop: no new work, unbegun work goes back.
    pub fn handle_stopping(&mut self) {
        self.stopping = true;
        self.transmits.push_back(Drain { reason: Text::clipped("the agent is stopping") }.into());
        self.give_back();
    }

    /// Everything that could be finished is: says goodbye.
    pub fn handle_drained(&mut self) {
        let left = self.held();
        self.after_writes(Gated::Transmit(Drained { left }.into()));
    }

    /// A task is no longer wanted.
    pub fn handle_cancel(&mut self, task: TaskId) {
        let Some(held) = self.tasks.get_mut(&task) else {
            let ended = self.outbox.find(task).is_some() || self.tombstones.contains_key(&task);
            let verdict = if ended { CancelVerdict::AlreadyDone } else { CancelVerdict::NotHeld };
            return self.transmits.push_back(cancel_ack(task, verdict));
        };
        if held.is_concluded() {
            return self.transmits.push_back(cancel_ack(task, CancelVerdict::AlreadyDone));
        }
        held.cancelled = true;
        if held.running {
            self.events.push_back(Event::Stop(task));
            self.transmits.push_back(cancel_ack(task, CancelVerdict::Stopping));
        } else if matches!(held.phase, Phase::Journaled) {
            self.conclude(task, super::Ending::cancelled());
            self.after_writes(Gated::Transmit(cancel_ack(task, CancelVerdict::Dropped)));
        } else {
            self.transmits.push_back(cancel_ack(task, CancelVerdict::Stopping));
        }
    }

    /// The controller wants to know what is held.
    pub fn handle_inventory_ask(&mut self, nonce: u64) {
        let tasks: Vec<_> = self
            .tasks
            .iter()
            .filter(|(_, held)| held.origin == Origin::Controller)
            .map(|(task, held)| held_task(*task, held))
            .chain(self.outbox.iter().map(|report| postern_protocol::message::v1::HeldTask {
                lease: LeaseRef { task: report.task, epoch: report.epoch },
                state: postern_protocol::message::v1::HeldState::Reported.into(),
            }))
            .collect();
        let mut pages: Vec<Inventory> = tasks
            .chunks(INVENTORY_PAGE)
            .map(|page| Inventory { nonce, last: false, tasks: List::clipped(page.to_vec()) })
            .collect();
        if pages.is_empty() {
            pages.push(Inventory { nonce, last: false, tasks: List::default() });
        }
        if let Some(page) = pages.last_mut() {
            page.last = true;
        }
        for page in pages {
            self.after_writes(Gated::Transmit(page.into()));
        }
    }

    /// The answer to a renewal.
    pub fn handle_renewed(&mut self, renewed: &Renewed, now: Timestamp) {
        let Some(asked) = self.session.as_mut().and_then(|session| session.open.remove(&renewed.nonce)) else { return };
        let ttl = Duration::from_millis(renewed.ttl_ms.into());
        for lease in &renewed.leases {
            let LeaseRef { task, epoch } = lease.lease;
            let Some(held) = self.tasks.get_mut(&task).filter(|held| held.lease.epoch == epoch) else { continue };
            match lease.verdict.known() {
                Some(LeaseVerdict::Kept) => held.lease.handle_kept(asked, ttl),
                Some(LeaseVerdict::Cancelled) => self.handle_cancel(task),
                Some(LeaseVerdict::Fenced | LeaseVerdict::Unknown) | None => self.lose(task),
            }
        }
        self.retry_parked(now);
    }

    /// The task is another's now: what has not begun is forgotten, what runs stops where it can and, if it had an
    /// effect, still says so.
    fn lose(&mut self, task: TaskId) {
        let Some(held) = self.tasks.get_mut(&task) else { return };
        held.lease.handle_lost();
        held.fenced = true;
        if held.running {
            self.events.push_back(Event::Stop(task));
        } else if !held.is_concluded() {
            self.drop_task(task);
        }
    }

    fn retry_parked(&mut self, now: Timestamp) {
        let ready: Vec<TaskId> =
            self.tasks.iter().filter(|(_, held)| !held.parked.is_empty()).map(|(t, _)| *t).collect();
        for task in ready {
            let Some(held) = self.tasks.get_mut(&task) else { continue };
            for parked in std::mem::take(&mut held.parked) {
                self.take_up_parked(task, parked, now);
            }
        }
    }

    fn take_up_parked(&mut self, task: TaskId, parked: super::held::Parked, now: Timestamp) {
        let patience_over = now.since(parked.since) >= self.limits.lease_patience;
        let may = self.may_act(task, now);
        let Some(held) = self.tasks.get_mut(&task) else { return };
        match may {
            Err(failure) => self.events.push_back(Event::Refused(parked.ticket, failure)),
            Ok(()) if held.lease.covers(parked.reach, now) => {
                self.write_intent(task, parked.ticket, parked.entry, parked.reach);
            }
            Ok(()) if patience_over => {
                self.events.push_back(Event::Refused(parked.ticket, super::lease_too_short()));
            }
            Ok(()) => held.parked.push(parked),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.retry_parked(now);
    }

    /// When to call [`Self::handle_timeout`], if ever.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let renewal = self.session.as_ref().filter(|_| self.leases().next().is_some()).and_then(Session::next_renewal);
        let idle = || self.tasks.values().filter(|held| !held.running && !held.is_concluded());
        let retries = idle().filter_map(|held| held.retry_at);
        let patience =
            self.tasks.values().flat_map(|held| &held.parked).map(|parked| parked.since + self.limits.lease_patience);
        let deadlines = idle().filter(|held| matches!(held.phase, Phase::Journaled)).filter_map(|held| held.deadline);
        // What was due when last looked at waits for something else than time.
        let upcoming = renewal.into_iter().chain(retries).chain(deadlines).filter(|at| *at > self.looked_at);
        upcoming.chain(patience).min()
    }

    fn leases(&self) -> impl Iterator<Item = LeaseRef> {
        self.tasks
            .iter()
            // A concluded task whose results are on their way is still this member's.
            .filter(|(_, held)| held.origin == Origin::Controller && !held.fenced)
            .map(|(task, held)| LeaseRef { task: *task, epoch: held.lease.epoch })
    }

    pub(super) fn poll_renew(&mut self, now: Timestamp) -> Option<Renew> {
        let session = self.session.as_ref()?;
        if !session.due && session.next_renewal().is_some_and(|next| now < next) {
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

    /// Tasks that may still be taken. Local tasks and those that wait for their results to be uploaded count too.
    pub(super) fn room(&self) -> usize {
        let held = self.limits.held.min(RENEW_PAGE).saturating_sub(self.tasks.len());
        held.min(self.limits.outbox.saturating_sub(self.outbox.len() + self.tasks.len()))
    }

    pub(super) fn poll_credit(&mut self) -> Option<Credit> {
        let room = if self.membership.may_begin() && !self.stopping { self.room() } else { 0 };
        let session = self.session.as_mut()?;
        let offers = session.offers_seen.saturating_add(u64::try_from(room).unwrap_or(u64::MAX));
        if offers <= session.granted {
            return None;
        }
        session.granted = offers;
        Some(Credit { offers })
    }
}
