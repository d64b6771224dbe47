//! The end of tasks: from the last attempt to the report that is owed, and to its acknowledgement.

use postern_protocol::bounded::List;
use postern_protocol::message::v1::{MAX_PARTS, Report, StreamRef};
use postern_protocol::{Failure, FailureClass, Outcome, ReportNo, TaskId, Timestamp};

use super::ending::Ending;
use super::held::Held;
use super::{Ended, Event, Gated, GivenUp, Ledger, failure};
use crate::journal::Earlier;
use crate::write::{Origin, Payload, TaskState, Tombstone, Write};

impl Ledger {
    /// No further attempt follows. Without a journal nothing was changed here; with one, somebody has to read it.
    /// Whether another member may have acted is found here, whatever the reason.
    pub(super) fn give_up(&mut self, task: TaskId, failure: Failure, why: GivenUp) {
        let Some(held) = self.tasks.get_mut(&task) else { return };
        let in_doubt = held.in_doubt();
        let why = if in_doubt && why != GivenUp::ProcessDied { GivenUp::InDoubt } else { why };
        if held.journal == 0 {
            let ending = match why {
                GivenUp::InDoubt => {
                    Ending::unknown(failure::to_be_looked_at(failure, &held.offer.target, failure::IN_THE_SYSTEM))
                }
                GivenUp::Failed | GivenUp::Cancelled | GivenUp::ProcessDied => {
                    Ending::given_up(failure, &Earlier::default(), why, in_doubt)
                }
            };
            return self.conclude(task, ending);
        }
        // Nothing else may begin meanwhile.
        (held.running, held.is_given_up) = (true, true);
        let (offer, origin) = (Box::new(held.offer.clone()), held.origin);
        self.events.push_back(Event::GiveUp { offer, origin, failure, why });
    }

    /// The end of a task that is given up could not be told before the agent stops: it is looked for at the next start.
    pub fn handle_put_off(&mut self, task: TaskId) {
        if let Some(held) = self.tasks.get_mut(&task) {
            held.stop_running();
        }
    }

    /// There is no time left to begin it.
    pub(super) fn conclude_expired(&mut self, task: TaskId) {
        let failure = self.tasks.get_mut(&task).and_then(|held| held.failed_of.take());
        self.conclude(task, Ending::expired(failure));
    }

    pub(super) fn conclude(&mut self, task: TaskId, ending: Ending) {
        let Some(held) = self.tasks.get_mut(&task) else { return };
        let ended = Ended {
            task,
            kind: held.offer.kind,
            system: held.offer.system.clone(),
            outcome: ending.outcome,
            changed: ending.changed,
            failure: ending.failure.clone(),
        };
        let report = ending.into_report(&held.offer, held.lease.epoch);
        held.state = TaskState::Concluded(Box::new(report.clone()));
        self.progress.remove(&task);
        if held.origin.is_local() || !report.streams.is_empty() {
            let origin = held.origin;
            let report = Box::new(report);
            self.writes.push(Write::PutState(task, TaskState::Concluded(report.clone())));
            self.announce_conclusion(task, origin, report);
        } else {
            self.owe(report);
        }
        self.after_writes(Gated::Event(Event::Ended(Box::new(ended))));
    }

    /// The conclusion is decided and being written; what follows depends on where the task came from.
    pub(super) fn announce_conclusion(&mut self, task: TaskId, origin: Origin, report: Box<Report>) {
        match (origin, report.streams.first()) {
            (Origin::Local(_), _) => self.after_writes(Gated::Event(Event::LocalReport(report))),
            (Origin::Controller, Some(stream)) => self.after_writes(Gated::Event(Event::Upload(task, *stream))),
            (Origin::Controller, None) => self.owe(*report),
        }
    }

    /// Puts a report into the outbox and forgets the task, if it is held, in one write.
    pub(super) fn owe(&mut self, report: Report) {
        let task = report.task;
        let report = self.outbox.push(report);
        let number = report.number;
        self.writes.push(Write::PutReport(Box::new(report)));
        self.drop_task(task);
        self.after_writes(Gated::ReportDurable(number));
    }

    /// The results of a concluded task are stored at the controller: now the report may follow.
    pub fn handle_uploaded(&mut self, task: TaskId, now: Timestamp) {
        let ended = self.tasks.get(&task).filter(|held| !held.origin.is_local()).and_then(Held::conclusion);
        if let Some(report) = ended.cloned() {
            self.owe(report);
        }
        self.outbox.handle_results_kept(task);
        self.take_ack(self.outbox.acked(), now);
    }

    /// The controller does not want the results of a concluded task, or threw them away: its report goes on without them, so that
    /// nobody takes them for handed over.
    pub fn handle_unwanted(&mut self, task: TaskId, now: Timestamp) {
        self.owe_without_results(task, |report| std::mem::take(&mut report.streams));
        self.leave_results_out(task, |report| std::mem::take(&mut report.streams), now);
    }

    /// The disk lost the results of a concluded task. A report that the controller has, it took without them.
    pub fn handle_results_lost(&mut self, task: TaskId, now: Timestamp) {
        self.owe_without_results(task, lose_results);
        let acked = self.outbox.acked();
        let leave_out =
            |it: &mut Report| if it.number > acked { lose_results(it) } else { std::mem::take(&mut it.streams) };
        self.leave_results_out(task, leave_out, now);
    }

    /// Reports of a task that are owed go on without the results that were announced again. What the controller was told before
    /// may wait there for these, and holds whatever comes after it.
    fn leave_results_out(
        &mut self,
        task: TaskId,
        leave_out: impl Fn(&mut Report) -> List<StreamRef, MAX_PARTS>,
        now: Timestamp,
    ) {
        let acked = self.outbox.acked();
        for (without, left_out) in self.outbox.leave_results_out(task, leave_out) {
            let number = without.number;
            self.writes.push(Write::PutReport(Box::new(without)));
            self.forget_unowed(&left_out);
            if number > acked {
                self.outbox.say_anew(number);
                self.after_writes(Gated::ReportDurable(number));
            }
        }
        self.take_ack(acked, now);
    }

    /// Forgets results, but for those that a report under a newer lease names, too.
    fn forget_unowed(&mut self, results: &[StreamRef]) {
        let streams = results.iter().map(|stream| stream.id).filter(|id| !self.outbox.names(*id)).collect();
        self.after_writes(Gated::Event(Event::Forget(streams)));
    }

    fn owe_without_results(&mut self, task: TaskId, leave_out: impl FnOnce(&mut Report) -> List<StreamRef, MAX_PARTS>) {
        let Some(Held { state: TaskState::Concluded(report), origin: Origin::Controller, .. }) =
            self.tasks.get_mut(&task)
        else {
            return;
        };
        let left_out = leave_out(report).iter().map(|stream| stream.id).collect();
        let report = Report::clone(report);
        self.owe(report);
        self.after_writes(Gated::Event(Event::Forget(left_out)));
    }

    /// The report of a task of this machine was shown, and what came of it is `delivered` or lost.
    pub fn handle_local_taken(&mut self, task: TaskId, delivered: bool) {
        let ended = self.tasks.get(&task).filter(|held| held.origin.is_local()).and_then(Held::conclusion);
        let Some(report) = ended.cloned() else { return };
        if delivered {
            let mut writes = self.bury(&report);
            self.writes.append(&mut writes);
        }
        self.drop_task(task);
    }

    /// The controller says that it has stored every report up to `upto`. It can mean none that was not sent.
    pub fn handle_report_ack(&mut self, upto: ReportNo, now: Timestamp) {
        self.take_ack(upto.min(self.outbox.sent()), now);
    }

    /// The controller has stored every report up to `upto`, in this session or an earlier one. It stores those of tasks that are
    /// over as well, without their results: whether it has these is known when their announcement was answered.
    pub(super) fn take_ack(&mut self, upto: ReportNo, now: Timestamp) {
        for report in self.outbox.handle_ack(upto) {
            // Remembered before it is forgotten: a crash in between must not let the task run again.
            let mut writes = self.bury(&report);
            writes.push(Write::DeleteReport(report.number));
            // What is deferred is written before what is not: it must not overtake what the same report was changed to.
            if report.streams.is_empty() && self.writes.is_empty() {
                self.deferred.extend(writes, now);
            } else {
                self.writes.append(&mut writes);
            }
            if !report.streams.is_empty() {
                self.forget_unowed(&report.streams);
            }
        }
    }

    fn bury(&mut self, report: &Report) -> Vec<Write> {
        let known = (report.outcome.known(), report.certainty.known(), report.changed.known());
        let (Some(outcome), Some(certainty), Some(changed)) = known else { return Vec::new() };
        // One that is said again, in short, was handed over before.
        let before = self.tombstones.get(report.task);
        let payload = match before {
            _ if !report.streams.is_empty() => Payload::HandedOver,
            Some(before) => before.payload,
            None => Payload::None,
        };
        let stone = Tombstone {
            task: report.task,
            epoch: report.epoch,
            attempt: report.attempt,
            outcome,
            certainty,
            changed,
            payload,
            ended: 0,
        };
        self.remember(stone)
    }

    pub(super) fn remember(&mut self, stone: Tombstone) -> Vec<Write> {
        let (stone, forgotten) = self.tombstones.add(stone, self.limits.tombstones);
        [Write::PutTombstone(stone)].into_iter().chain(forgotten.map(Write::DeleteTombstone)).collect()
    }

    pub(super) fn drop_task(&mut self, task: TaskId) {
        if let Some(held) = self.tasks.remove(&task) {
            self.writes.push(Write::DeleteTask(task));
            // The controller's results stay until their report is acknowledged.
            let streams = if held.origin.is_local() {
                held.streams()
            } else {
                held.offer.streams.iter().map(|stream| stream.id).collect()
            };
            if !streams.is_empty() {
                self.after_writes(Gated::Event(Event::Forget(streams)));
            }
            for parked in held.parked {
                self.events.push_back(Event::Refused(parked.ticket, failure::not_held()));
            }
        }
    }
}

/// Tells in place of an outcome that the disk lost the results that belong to it. What they were.
pub fn lose_results(report: &mut Report) -> List<StreamRef, MAX_PARTS> {
    let summary = format!("The task ended as {}, and the disk lost its results", report.outcome);
    let failure = Failure::new(FailureClass::Internal, "results_lost", summary)
        .with_next_step("Check the disk of the agent, and look at the accounts before the task is submitted again");
    report.failure = Some(failure);
    report.outcome = Outcome::Failed.into();
    std::mem::take(&mut report.streams)
}
