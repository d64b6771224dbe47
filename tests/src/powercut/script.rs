//! What a worker does with an agent's store, step by step: the same for the same seed, whenever it is played.

use std::collections::BTreeMap;

use postern_agent_core::{Caller, JournalEntry, Mark, Membership, Origin, TaskState, Tombstone, Write};
use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{MembershipState, Offer, Report, StreamRef};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::disable_user::{self, IfRefused};
use postern_protocol::{Epoch, Outcome, ReportNo, SessionNo, StreamId, SystemName, TaskId, TaskRequest};
use sha2::{Digest as _, Sha256};

use super::dice::Dice;
use crate::lab::SYSTEM;

/// Tasks held at once, as with an agent of a few slots.
const HELD: usize = 12;
/// Reports owed at once.
const OWED: usize = 20;
/// Ended tasks remembered.
const TOMBSTONES: usize = 20;
/// The largest payload: a few chunks of the spool.
const PAYLOAD: u64 = 150 * 1024;

/// A payload and what is in it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// How it is announced.
    pub stream: StreamRef,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// One step: a commit, and what belongs to it.
#[derive(Debug, Default)]
pub struct Step {
    /// Results, in the spool before the commit names them.
    pub before: Option<Payload>,
    /// What is committed together.
    pub writes: Vec<Write>,
    /// A payload that comes while work goes on.
    pub beside: Option<Payload>,
    /// Payloads that are needed no more once the commit is durable.
    pub forgotten: Vec<StreamId>,
}

/// A task that is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// As it was offered.
    pub offer: Offer,
    /// Where it came from.
    pub origin: Origin,
    /// How far it is.
    pub state: TaskState,
    /// What its attempts wrote down.
    pub journal: Vec<JournalEntry>,
}

/// What a store has to hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Tasks held.
    pub tasks: BTreeMap<TaskId, Held>,
    /// Reports owed.
    pub reports: BTreeMap<ReportNo, Report>,
    /// Ended tasks remembered.
    pub tombstones: BTreeMap<TaskId, Tombstone>,
    /// The number of the next report.
    pub next_report: ReportNo,
    /// The newest session, which counts the steps.
    pub session: SessionNo,
    /// The newest state of the member.
    pub membership: Option<Membership>,
}

/// The script of a seed.
#[derive(Debug)]
pub struct Script {
    seed: u64,
    dice: Dice,
    contents: Contents,
    tasks: u64,
}

impl Script {
    /// From its beginning.
    pub fn new(seed: u64) -> Self {
        Self { seed, dice: Dice::new(seed, 1), contents: Contents::default(), tasks: 0 }
    }

    /// Played up to a step.
    pub fn at(seed: u64, step: u64) -> Self {
        let mut script = Self::new(seed);
        while script.number() < step {
            script.step();
        }
        script
    }

    /// The last step.
    pub fn number(&self) -> u64 {
        self.contents.session.0
    }

    /// What has to be there after the last step.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The next step.
    pub fn step(&mut self) -> Step {
        let mut step = match self.dice.below(10) {
            0..3 if self.contents.tasks.len() < HELD => self.offer(),
            3..7 if !self.contents.tasks.is_empty() => self.work(),
            7..9 if !self.contents.reports.is_empty() => self.acknowledged(),
            9 => self.membership(),
            _ if self.contents.reports.len() >= OWED => self.acknowledged(),
            _ if self.contents.tasks.is_empty() => self.offer(),
            _ => self.conclude(),
        };
        if self.contents.tombstones.len() > TOMBSTONES {
            step.writes.extend(self.contents.tombstones.keys().next().map(|task| Write::DeleteTombstone(*task)));
        }
        step.writes.push(Write::PutSession(self.contents.session.next()));
        step.writes.iter().for_each(|write| self.contents.apply(write));
        step
    }

    /// The payload of a stream of this script.
    pub fn payload(&self, id: StreamId) -> Payload {
        let [number, ..] = id.as_bytes().as_chunks::<8>().0 else { unreachable!("an id has sixteen bytes") };
        let mut dice = Dice::new(self.seed, u64::from_be_bytes(*number));
        let length = if dice.one_in(8) { 0 } else { dice.below(PAYLOAD) };
        let bytes = dice.bytes(usize::try_from(length).unwrap_or(0));
        Payload { stream: StreamRef { id, length, sha256: Sha256::digest(&bytes).into() }, bytes }
    }

    fn new_payload(&mut self) -> Payload {
        let id = self.dice.bytes(16).try_into().unwrap_or_default();
        self.payload(StreamId::from_bytes(id))
    }

    fn offer(&mut self) -> Step {
        self.tasks += 1;
        let beside = self.dice.one_in(3).then(|| self.new_payload());
        let mut id = [0; 16];
        id.iter_mut().zip(self.tasks.to_be_bytes()).for_each(|(byte, digit)| *byte = digit);
        let params = self.dice.index(12 * 1024);
        let account = Text::new("joe@acme.example").expect("a short text");
        let request = TaskRequest::DisableUser(disable_user::Request { account, if_refused: IfRefused::Fail.into() });
        let params = Bytes::new(self.dice.bytes(params)).expect("less than the most");
        let offer = Offer {
            epoch: Epoch(self.tasks),
            lease_ttl_ms: 60_000,
            priority: 1,
            attempt: 1,
            streams: List::new(beside.iter().map(|it| it.stream).collect()).expect("at most one"),
            ..Offer::new(TaskId::from_bytes(id), system(), &request, params)
        };
        let origin = if self.dice.one_in(4) { Origin::Local(Caller::Person) } else { Origin::Controller };
        Step { writes: vec![Write::PutTask(Box::new(offer), origin)], beside, ..Step::default() }
    }

    /// A task gets on, or ends.
    fn work(&mut self) -> Step {
        let Some(task) = self.any_task() else { return Step::default() };
        let Some(held) = self.contents.tasks.get(&task) else { return Step::default() };
        let first = u32::try_from(held.journal.len()).unwrap_or(u32::MAX);
        match &held.state {
            TaskState::Journaled { .. } => {
                let entry = self.entry(0, Mark::Intent);
                let writes = vec![
                    Write::PutState(task, TaskState::Started { unended: 1 }),
                    Write::PutJournal(task, first, entry),
                ];
                Step { writes, ..Step::default() }
            }
            TaskState::Started { .. } if first < 12 => {
                let count = 1 + self.dice.index(3);
                let entries = (first..).take(count).map(|number| {
                    let entry = self.entry(number / 2, if number % 2 == 0 { Mark::Intent } else { Mark::Done });
                    Write::PutJournal(task, number, entry)
                });
                let writes = entries.collect();
                Step { writes, ..Step::default() }
            }
            TaskState::Started { .. } | TaskState::Concluded(_) => self.conclude(),
        }
    }

    fn entry(&mut self, step: u32, mark: Mark) -> JournalEntry {
        let len = self.dice.index(300);
        JournalEntry { step, mark, note: self.dice.bytes(len), effect: Vec::new() }
    }

    /// A task ends: its outcome is owed, sometimes with results, and the task goes.
    fn conclude(&mut self) -> Step {
        let Some(task) = self.any_task() else { return Step::default() };
        let before = self.dice.one_in(4).then(|| self.new_payload());
        let output = self.dice.index(4 * 1024);
        let report = Report {
            number: self.contents.next_report,
            task,
            epoch: Epoch(1),
            attempt: 1,
            outcome: Outcome::Succeeded.into(),
            certainty: Certainty::Certain.into(),
            changed: Changed::Yes.into(),
            failure: None,
            output: Bytes::new(self.dice.bytes(output)).expect("less than the most"),
            sealed: List::default(),
            streams: List::new(before.iter().map(|it| it.stream).collect()).expect("at most one"),
            ext: List::default(),
        };
        let held = self.contents.tasks.get(&task);
        let forgotten = held.into_iter().flat_map(|it| it.offer.streams.iter().map(|stream| stream.id)).collect();
        let writes = vec![Write::PutReport(Box::new(report)), Write::DeleteTask(task)];
        Step { before, writes, beside: None, forgotten }
    }

    /// The oldest report is acknowledged, and the task remembered.
    fn acknowledged(&mut self) -> Step {
        let Some(report) = self.contents.reports.values().next() else { return Step::default() };
        let stone = Tombstone {
            task: report.task,
            epoch: report.epoch,
            attempt: 1,
            outcome: Outcome::Succeeded,
            certainty: Certainty::Certain,
            changed: Changed::Yes,
            payload: if report.streams.is_empty() {
                postern_agent_core::Payload::None
            } else {
                postern_agent_core::Payload::HandedOver
            },
            ended: report.number.0,
        };
        let forgotten = report.streams.iter().map(|stream| stream.id).collect();
        let writes = vec![Write::PutTombstone(stone), Write::DeleteReport(report.number)];
        Step { writes, forgotten, ..Step::default() }
    }

    fn membership(&mut self) -> Step {
        let state = if self.dice.one_in(2) { MembershipState::Enabled } else { MembershipState::Draining };
        let epoch = Epoch(self.contents.membership.map_or(1, |it| it.epoch.0 + 1));
        let writes = vec![Write::PutMembership(Membership { state, epoch, hard: self.dice.one_in(2) })];
        Step { writes, ..Step::default() }
    }

    fn any_task(&mut self) -> Option<TaskId> {
        let index = self.dice.index(self.contents.tasks.len());
        self.contents.tasks.keys().nth(index).copied()
    }
}

impl Contents {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::PutTask(offer, origin) => {
                let held = Held {
                    offer: Offer::clone(offer),
                    origin: *origin,
                    state: TaskState::Journaled { unended: 0 },
                    journal: Vec::new(),
                };
                self.tasks.insert(offer.task, held);
            }
            Write::PutState(task, state) => {
                self.tasks.entry(*task).and_modify(|held| held.state = state.clone());
            }
            Write::PutJournal(task, _, entry) => {
                self.tasks.entry(*task).and_modify(|held| held.journal.push(entry.clone()));
            }
            Write::PutAudit(_) => (),
            Write::DeleteTask(task) => {
                self.tasks.remove(task);
            }
            Write::PutReport(report) => {
                self.next_report = report.number.next();
                self.reports.insert(report.number, Report::clone(report));
            }
            Write::DeleteReport(number) => {
                self.reports.remove(number);
            }
            Write::PutTombstone(stone) => {
                self.tombstones.insert(stone.task, *stone);
            }
            Write::DeleteTombstone(task) => {
                self.tombstones.remove(task);
            }
            Write::PutSession(session) => self.session = *session,
            Write::PutMembership(membership) => self.membership = Some(*membership),
        }
    }

    /// The payloads that something refers to: of tasks, which may still be on their way, and of reports, which are whole.
    pub fn payloads(&self) -> (Vec<StreamRef>, Vec<StreamRef>) {
        let of_tasks = self.tasks.values().flat_map(|held| held.offer.streams.iter().copied());
        let of_reports = self.reports.values().flat_map(|report| report.streams.iter().copied());
        (of_tasks.collect(), of_reports.collect())
    }
}

/// The connected system of the script.
pub fn system() -> SystemName {
    SYSTEM.parse().expect("a name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_the_same_whenever_it_is_played() {
        let once = Script::at(7, 300);
        let mut again = Script::at(7, 120);
        while again.number() < 300 {
            again.step();
        }
        assert_eq!(again.contents(), once.contents());
        assert_ne!(Script::at(8, 300).contents(), once.contents());
    }

    #[test]
    fn a_script_leaves_nothing_out() {
        let mut script = Script::new(1);
        let steps: Vec<Step> = (0..400).map(|_| script.step()).collect();
        let writes: Vec<&Write> = steps.iter().flat_map(|step| &step.writes).collect();
        let counts = |is: fn(&Write) -> bool| writes.iter().filter(|write| is(write)).count();
        assert!(counts(|it| matches!(it, Write::PutTask(..))) > 20);
        assert!(counts(|it| matches!(it, Write::PutJournal(..))) > 20);
        assert!(counts(|it| matches!(it, Write::DeleteTask(_))) > 20);
        assert!(counts(|it| matches!(it, Write::DeleteReport(_))) > 20);
        assert!(counts(|it| matches!(it, Write::DeleteTombstone(_))) > 5);
        assert!(steps.iter().any(|step| step.before.is_some()) && steps.iter().any(|step| step.beside.is_some()));
    }
}
