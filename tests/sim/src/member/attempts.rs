//! The attempts that a member runs: what they wait for, and what comes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_agent_core::ledger::Ending;
use postern_agent_core::{JournalEntry, Unfinished};
use postern_protocol::message::v1::{Offer, StreamRef};
use postern_protocol::time::Ago;
use postern_protocol::{Failure, StreamId, TaskId, TaskKind};

use super::Input;
use crate::agenda::Millis;
use crate::attempt::{Answer, Ask, Attempt, SETTLE_EARLIER, Step, told_by};
use crate::coverage::Situation;
use crate::net::{End, Packet};
use crate::workload::Point;
use crate::world::{Happens, World};

impl World {
    pub(super) fn begin_attempt(&mut self, m: usize, offer: Offer, resumed: bool, alone: Ago) {
        let task = offer.task;
        let journal: Vec<JournalEntry> =
            if resumed { self.members[m].disk.journal(task).cloned().collect() } else { Vec::new() };
        if offer.reconcile {
            self.coverage.met(Situation::TakenOver);
        }
        if resumed && offer.kind.known() == Some(TaskKind::ImportBatch) && journal.iter().any(|it| it.mark.is_end()) {
            self.coverage.met(Situation::BatchResumed);
        }
        if let Some(stream) = offer.streams.iter().find(|it| !self.members[m].disk.payloads.contains(&it.id)) {
            let seen = format!("an attempt of {task} began at member {m} without its dataset {}", stream.id);
            self.oracle.broken(16, self.agenda.now(), seen);
        }
        let now = self.members[m].now(self.agenda.now());
        let made_up = format!("made up {}", self.chance.u64(..));
        let alone = Millis::try_from(alone.at(now).as_millis()).unwrap_or(Millis::MAX);
        let alone_from = self.agenda.now().saturating_sub(alone);
        self.meet_password(&offer, alone_from);
        let attempt = Attempt::begin(offer, journal, made_up, alone_from);
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.ledger.is_unwanted(task, now) {
            attempt.stop();
        }
        process.attempts.insert(task, attempt);
        process.under_way.insert(task, false);
        let life = self.members[m].life;
        self.agenda.put_after(1, Happens::Answer(m, life, task, None));
    }

    /// An attempt goes on until it waits again.
    pub fn go_on(&mut self, m: usize, task: TaskId, answer: Option<Answer>) {
        let now = self.members[m].now(self.agenda.now());
        let life = self.members[m].life;
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some(attempt) = process.attempts.get_mut(&task) else { return };
        if process.ledger.is_late(task, now) {
            attempt.be_late();
        }
        match attempt.go_on(answer) {
            Step::Waits(Ask::Intend(entry)) => {
                self.agenda.put_after(1, Happens::MemberInput(m, life, Input::Intend(task, entry)));
            }
            Step::Waits(Ask::Record(entries)) => {
                self.agenda.put_after(1, Happens::MemberInput(m, life, Input::Record(task, entries)));
            }
            Step::Waits(Ask::Sleep(time)) => {
                self.agenda.put_after(time, Happens::Answer(m, life, task, Some(Answer::Slept)));
            }
            Step::Waits(Ask::Read(question)) => self.read(m, task, &question),
            Step::Waits(Ask::Change(intent, change)) => {
                self.call(m, task, &intent, change);
                self.at_point(m, Point::CallMade);
            }
            Step::Ended(ended) => {
                process.attempts.remove(&task);
                let ended = self.with_results(m, task, *ended);
                self.agenda.put_after(1, Happens::MemberInput(m, life, Input::Ended(task, ended)));
            }
        }
    }

    /// An answer came for an attempt.
    pub fn answered(&mut self, m: usize, task: TaskId, answer: Option<Answer>) {
        if matches!(answer, Some(Answer::Changed(Ok(())))) && self.at_point(m, Point::OutcomeKnown) {
            return;
        }
        self.go_on(m, task, answer);
    }

    fn with_results(
        &mut self,
        m: usize,
        task: TaskId,
        ended: Result<Ending, Failure>,
    ) -> Result<Box<Ending>, Unfinished> {
        let mut ending = match ended {
            Ok(ending) => ending,
            Err(failure) => {
                let patience = Duration::from_millis(self.chance.u64(0..3) * 1_000);
                return Err(Unfinished { failure, patience, unsettled_for: Duration::from_millis(SETTLE_EARLIER) });
            }
        };
        ending.streams = self.results(m, task);
        Ok(Box::new(ending))
    }

    /// The results of a batch, as a payload: what its steps told of each record.
    pub(super) fn results(&mut self, m: usize, task: TaskId) -> Vec<StreamRef> {
        if self.truth(task).wish.kind != TaskKind::ImportBatch {
            return Vec::new();
        }
        let mut told = BTreeMap::new();
        for (record, end) in self.members[m].disk.journal(task).filter(|it| it.mark.is_end()).flat_map(told_by) {
            if told.insert(record, end).is_some() {
                self.oracle.broken(20, self.agenda.now(), format!("record {record} of {task} is told of twice"));
            }
        }
        let records = told.len();
        let id = StreamId::from_bytes(self.chance.u128(..).to_be_bytes());
        self.told.insert(id, told);
        self.members[m].disk.payloads.insert(id);
        vec![StreamRef { id, length: u64::try_from(records).unwrap_or(0).max(1), sha256: [0; 32] }]
    }

    /// Sends the results of a task, or again if they could not be taken before.
    pub fn upload(&mut self, m: usize, task: TaskId) {
        let Some(process) = self.members[m].process.as_ref() else { return };
        if !process.established {
            return;
        }
        let (Some((link, _)), Some(stream)) = (&process.link, process.uploads.get(&task)) else { return };
        let (link, stream) = (*link, *stream);
        if !self.members[m].disk.payloads.contains(&stream.id) {
            let member = self.members[m].id;
            self.truth(task).lost_by.insert(member);
            return self.member_input(m, Input::ResultsLost(task));
        }
        self.send(link, End::Controller, Packet::Payload(task, stream));
    }
}
