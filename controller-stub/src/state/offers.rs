//! Turning leases into offers.

use std::time::Duration;

use postern_protocol::TaskId;
use postern_protocol::bounded::List;
use postern_protocol::message::v1::{Cancel, Observation, Offer};
use postern_protocol::trace::{self, SpanId, TraceContext};

use super::ledger::{LedgerError, Write};
use super::record::AttemptRecord;
use super::{State, ToSession, sessions};
use crate::clock::Moment;
use crate::metrics::metrics;
use crate::queue::Assignment;

/// The most tasks given out in one turn: their records fill a fraction of a commit.
const MAX_ASSIGNED: usize = 64;

impl State {
    /// Gives queued tasks to members that have room.
    pub fn assign(&mut self, at: Moment) -> Result<(), LedgerError> {
        for _ in 0..MAX_ASSIGNED {
            let Some(assignment) = self.queue.poll_assign(at) else { break };
            self.note_dispatch(assignment.task, at);
            self.offer(assignment, at)?;
        }
        Ok(())
    }

    fn note_dispatch(&self, task: TaskId, at: Moment) {
        if let Some(record) = self.queue.task(task).filter(|record| record.attempt == 1) {
            let waited = Duration::from_millis(at.wall.0.saturating_sub(record.submitted.0));
            metrics().dispatch_duration.took(waited, &[&record.kind.to_string()]);
        }
    }

    fn offer(
        &mut self,
        Assignment { task, member, deadline_ms, alone_ms }: Assignment,
        at: Moment,
    ) -> Result<(), LedgerError> {
        let Some(content) = self.content(task)? else {
            tracing::error!(%task, "the ledger has a task without its content");
            return Err(LedgerError::Unreadable { table: "offers" });
        };
        let Some(record) = self.queue.task(task) else { return Ok(()) };
        // What was signed is not made longer by a clock that was set back meanwhile: members would refuse it.
        let signed = content.signature.as_ref().map_or(0, |it| it.deadline_ms);
        let deadline_ms = if signed == 0 { deadline_ms } else { deadline_ms.min(signed) };
        let observations = record.observations.iter().map(|it| Observation {
            member: it.member,
            epoch: it.epoch,
            outcome: it.outcome.into(),
            certainty: it.certainty.into(),
        });
        let mut ext = content.ext;
        if let Some(trace) = TraceContext::of(&ext).filter(|_| self.tells_leases) {
            ext = trace.below(SpanId::of(task, record.epoch, trace::LEASE)).among(&ext);
        }
        let offer = Offer {
            ext,
            epoch: record.epoch,
            lease_ttl_ms: sessions::millis(self.settings.lease_ttl),
            deadline_ms,
            attempt: record.attempt,
            reconcile: record.reconcile,
            alone_since: record.alone.map_or(record.epoch, |it| it.since),
            alone_ms,
            observations: List::clipped(observations.collect()),
            ..content
        };
        let cancel = record.cancel_requested;
        let attempt = AttemptRecord { number: record.attempt, member, epoch: record.epoch, at: at.wall };
        self.writes.push(Write::Attempt(task, attempt));
        self.say(member, ToSession::frame(offer));
        if cancel {
            self.say(member, ToSession::frame(Cancel { task }));
        }
        Ok(())
    }

    /// What a task is to do, as it was submitted.
    pub(super) fn content(&self, task: TaskId) -> Result<Option<Offer>, LedgerError> {
        match self.new_offers.get(&task) {
            Some(offer) => Ok(Some(offer.clone())),
            None => self.records.offer(task),
        }
    }
}
