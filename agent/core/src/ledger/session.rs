//! The ledger's part of a session: credit, leases, cancels, acknowledgements.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_protocol::bounded::Text;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{self, CancelVerdict, Credit, Drain, Drained, MemberStateAck, Rejection, Report};
use postern_protocol::{ReportNo, SessionNo, TaskId, Timestamp};

use super::held::Phase;
use super::renewal::RENEW_PAGE;
use super::{Ending, Event, Gated, Ledger};
use crate::membership::Membership;
use crate::write::{Origin, Tombstone, Write};

/// What lasts as long as one session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) ttl: Duration,
    pub(super) offers_seen: u64,
    granted: u64,
    pub(super) nonce: u64,
    pub(super) open: BTreeMap<u64, Timestamp>,
    pub(super) renewed_at: Option<Timestamp>,
    pub(super) due: bool,
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

    pub(super) fn next_renewal(&self) -> Option<Timestamp> {
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
    pub fn handle_established(&mut self, acked: ReportNo, ttl: Duration, now: Timestamp) {
        self.transmits.clear();
        self.gated.retain(|(_, item)| !matches!(item, Gated::Transmit(_)));
        self.session = Some(Session::new(ttl));
        self.outbox.rewind();
        self.handle_report_ack(acked, now);
        self.give_back();
    }

    /// The session is over.
    pub fn handle_disconnected(&mut self) {
        self.session = None;
        self.transmits.clear();
        self.progress.clear();
    }

    /// The controller has stored every report up to `upto`.
    pub fn handle_report_ack(&mut self, upto: ReportNo, now: Timestamp) {
        for report in self.outbox.handle_ack(upto) {
            // Remembered before it is forgotten: a crash in between must not let the task run again.
            let mut writes = self.bury(&report);
            writes.push(Write::DeleteReport(report.number));
            if report.streams.is_empty() {
                self.unhurried.extend(writes, now);
            } else {
                self.writes.append(&mut writes);
                let streams = report.streams.iter().map(|stream| stream.id).collect();
                self.after_writes(Gated::Event(Event::Forget(streams)));
            }
        }
    }

    pub(super) fn bury(&mut self, report: &Report) -> Vec<Write> {
        let known = (report.outcome.known(), report.certainty.known(), report.changed.known());
        let (Some(outcome), Some(certainty), Some(changed)) = known else { return Vec::new() };
        let stone =
            Tombstone { task: report.task, epoch: report.epoch, attempt: report.attempt, outcome, certainty, changed };
        self.tombstones.insert(stone.task, stone);
        let mut writes = vec![Write::PutTombstone(stone)];
        while self.tombstones.len() > self.limits.tombstones {
            // Ids of tasks begin with the time they were made: the first is the oldest.
            let Some((task, _)) = self.tombstones.pop_first() else { break };
            writes.push(Write::DeleteTombstone(task));
        }
        writes
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
        } else if matches!(held.phase, Phase::Journaled) && !held.in_doubt() {
            self.conclude(task, Ending::cancelled());
            self.after_writes(Gated::Transmit(cancel_ack(task, CancelVerdict::Dropped)));
        } else {
            // Another attempt only finds out what there is.
            held.retry_at = None;
            self.transmits.push_back(cancel_ack(task, CancelVerdict::Stopping));
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
        let lost = idle().filter_map(|held| held.fenced).map(|since| since + self.limits.lost_patience);
        // What was due when last looked at waits for something else than time.
        let upcoming =
            renewal.into_iter().chain(retries).chain(deadlines).chain(lost).filter(|at| *at > self.looked_at);
        upcoming.chain(patience).chain(self.unhurried.due_at()).min()
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

fn cancel_ack(task: TaskId, verdict: CancelVerdict) -> FromMember {
    v1::CancelAck { task, verdict: verdict.into() }.into()
}
