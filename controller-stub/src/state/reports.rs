//! Storing reports: task, report and number in one commit, and only then the acknowledgement.

use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Report, ReportAck, SessionRefusal, StreamRef};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{MemberId, Outcome, ReportNo};

use super::ledger::Write;
use super::record::Direction;
use super::sessions::Reports;
use super::{State, ToSession};
use crate::clock::Moment;
use crate::metrics::metrics;
use crate::queue::{Reported, Verdict};

/// The most reports that may wait for payloads, or be stored ahead of one that does: a member sends a payload before
/// the report that names it, so a few suffice.
const MAX_WAITING: usize = 256;

/// Whether the outcome is all that a report tells.
pub(super) fn is_bare(report: &Report) -> bool {
    report.failure.is_none() && report.output.is_empty() && report.sealed.is_empty() && report.streams.is_empty()
}

impl State {
    /// A report of this number came, taken or not: if it is the first of its session, everything before it was acknowledged.
    pub(super) fn note_first(&mut self, id: MemberId, number: ReportNo, at: Moment) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(live) = member.live.as_mut() else { return };
        let first = std::mem::replace(&mut live.reports, Reports::Heard) != Reports::Heard;
        let expected = member.numbers.acked.next();
        if first && number > expected {
            // A member sends what it still has from its oldest report on. It would not have dropped the ones between
            // without an acknowledgement, so this ledger is older than what it acknowledged. Or an operator let a store in
            // that another ledger, or this one before an alarm, knew.
            if !live.is_new && self.hush.allows_of(id, at.now) {
                tracing::error!(member = %id, %expected, %number, "reports are missing that were acknowledged once: was the controller restored from a backup?");
            }
            member.numbers.acked = ReportNo(number.0.saturating_sub(1));
        }
    }

    /// A report came.
    pub(super) fn reported(&mut self, id: MemberId, report: Report, at: Moment) {
        let Some(member) = self.members.get(&id) else { return };
        let Some(live) = member.live.as_ref() else { return };
        let number = report.number;
        if number <= member.numbers.acked || live.stored_ahead.contains(&number) {
            return self.acknowledge(id);
        }
        self.note_first(id, number, at);
        let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) else { return };
        if live.waiting.len() + live.stored_ahead.len() >= MAX_WAITING {
            return self.end_session(id, SessionRefusal::Overloaded, "too many reports wait for their payloads", at);
        }
        // One that is said anew takes the place of what it said before.
        if let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) {
            live.waiting.remove(&number);
        }
        if self.has_to_wait(id, &report) {
            if let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) {
                live.waiting.insert(number, report);
            }
            return;
        }
        self.store_report(id, report, at);
        self.acknowledge(id);
    }

    /// A payload became complete: reports that waited for it can be stored.
    pub(super) fn payload_came(&mut self, id: MemberId, at: Moment) {
        let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) else { return };
        for (number, report) in std::mem::take(&mut live.waiting) {
            if self.has_to_wait(id, &report) {
                if let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) {
                    live.waiting.insert(number, report);
                }
            } else {
                self.store_report(id, report, at);
                self.acknowledge(id);
            }
        }
    }

    /// Whether a report counts and cannot be stored yet. One that does not count waits for nothing.
    pub(super) fn has_to_wait(&self, id: MemberId, report: &Report) -> bool {
        let (holder, task) = (self.queue.holder(id), self.queue.task(report.task));
        holder.zip(task).is_some_and(|(holder, task)| holder.was_given(task, report.epoch))
            && self.lacks_payload(&report.streams, report.task)
    }

    fn lacks_payload(&self, streams: &[StreamRef], task: postern_protocol::TaskId) -> bool {
        let is_there = |it: &StreamRef| {
            self.streams.get(&it.id).is_some_and(|found| {
                found.complete
                    && found.direction == Direction::Output
                    && found.task == Some(task)
                    && (found.length, found.sha256) == (it.length, it.sha256)
            })
        };
        !streams.iter().all(is_there)
    }

    /// Stores what a report means for its task, and tells what that is.
    pub(super) fn store_report(&mut self, id: MemberId, report: Report, at: Moment) -> Verdict {
        let number = report.number;
        let reported = Reported {
            task: report.task,
            epoch: report.epoch,
            // An outcome from a newer version is one that only a person can read.
            outcome: report.outcome.known().unwrap_or(Outcome::Unknown),
            certainty: report.certainty.known().unwrap_or(Certainty::Unknown),
            changed: report.changed.known().unwrap_or(Changed::Unknown),
            bare: is_bare(&report),
        };
        let mut verdict = self.queue.report(id, reported, at);
        if verdict == Verdict::NotOpen && self.observed_late(id, reported) {
            verdict = Verdict::Observed;
        }
        metrics().reports.one(&[verdict.name()]);
        match verdict {
            Verdict::Finished => {
                tracing::info!(member = %id, task = %report.task, outcome = %report.outcome, "a task is finished");
            }
            // What counts for nothing, or late, a member may send as often as it likes.
            Verdict::Observed | Verdict::OneTooMany | Verdict::NotOpen | Verdict::NeverLeased
                if !self.hush.allows_of(id, at.now) => {}
            Verdict::Observed => {
                tracing::warn!(member = %id, task = %report.task, outcome = %report.outcome, "a report came under an epoch that had passed");
            }
            Verdict::OneTooMany => {
                tracing::warn!(member = %id, task = %report.task, outcome = %report.outcome, "a report came under an epoch that had passed, and too many are kept already");
            }
            Verdict::NotOpen => {
                tracing::info!(member = %id, task = %report.task, outcome = %report.outcome, "a report came for a task that is not open");
            }
            Verdict::NeverLeased => {
                tracing::warn!(member = %id, task = %report.task, epoch = %report.epoch, outcome = %report.outcome, "a report was refused: its task was never leased to this member under its epoch");
            }
        }
        // What counts for nothing is acknowledged all the same: sent again it would mean no more.
        if matches!(verdict, Verdict::Finished | Verdict::Observed) && self.is_news(&report) {
            self.writes.push(Write::Report(Box::new(report)));
        }
        if let Some(live) = self.members.get_mut(&id).and_then(|it| it.live.as_mut()) {
            live.stored_ahead.insert(number);
        }
        verdict
    }

    /// Keeps a report about a finished task beside its outcome, if it is one that counts and is news.
    fn observed_late(&mut self, id: MemberId, reported: Reported) -> bool {
        // What this turn finished would be written over what is added here.
        self.collect_changes();
        // One that cannot be read is as good as forgotten.
        let Ok(Some(mut record)) = self.any_task(reported.task) else { return false };
        if !self.queue.observe_finished(&mut record, id, reported) {
            return false;
        }
        // The next one of this turn is to find it.
        match self.new_finished.get_mut(&record.id) {
            Some(finished) => finished.observations.clone_from(&record.observations),
            None => drop(self.observed.insert(record.id, record.clone())),
        }
        self.writes.push(Write::Task(record));
        true
    }

    /// Whether nothing is stored yet under the report's task and epoch. What is stored never changes: it may be the
    /// task's outcome.
    fn is_news(&self, report: &Report) -> bool {
        // One that cannot be read is as good as none.
        !matches!(self.records.report(report.task, report.epoch), Ok(Some(_)))
            && !self
                .writes
                .iter()
                .any(|write| matches!(write, Write::Report(it) if (it.task, it.epoch) == (report.task, report.epoch)))
    }

    /// Acknowledges every report up to the first that is not stored.
    fn acknowledge(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(live) = member.live.as_mut() else { return };
        let before = member.numbers.acked;
        while live.stored_ahead.remove(&member.numbers.acked.next()) {
            member.numbers.acked = member.numbers.acked.next();
        }
        let (numbers, session) = (member.numbers, live.session.clone());
        if numbers.acked != before {
            self.writes.retain(|write| !matches!(write, Write::Numbers(of, _) if *of == id));
            self.writes.push(Write::Numbers(id, numbers));
        }
        // One of a turn tells all of it.
        let is_ack = |said: &ToSession| matches!(said, ToSession::Frame(frame) if matches!(**frame, FromController::ReportAck(_)));
        self.words.retain(|word| !(is_ack(&word.said) && word.session.words.same_channel(&session.words)));
        self.say(id, ToSession::frame(ReportAck { upto: numbers.acked }));
    }
}
