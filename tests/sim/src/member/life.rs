//! When a process of a member starts and dies, and what it loses then.

use std::collections::{BTreeMap, VecDeque};

use postern_agent_core::{Backoff, Ledger, TaskState, Write};
use postern_protocol::id::Incarnation;
use postern_protocol::{StreamId, TaskId};

use super::{Input, Member, Process, limits};
use crate::agenda::Millis;
use crate::coverage::Situation;
use crate::disk::MemberDisk;
use crate::net::{End, Packet};
use crate::workload::{Fault, Point};
use crate::world::{Happens, World};

impl World {
    /// A member's process starts.
    pub fn start_member(&mut self, m: usize) {
        let member = &mut self.members[m];
        if member.process.is_some() {
            return;
        }
        member.life += 1;
        let ledger = Ledger::restore(limits(), member.disk.restore());
        member.process = Some(Process {
            ledger,
            link: None,
            backoff: Backoff::default(),
            inputs: VecDeque::new(),
            committing: None,
            welcome: None,
            established: false,
            attempts: BTreeMap::new(),
            under_way: BTreeMap::new(),
            found: member.disk.tasks().collect(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            uploads: BTreeMap::new(),
            policy: member.policy,
            stopping: false,
            drained: false,
            granted: 0,
            offered: 0,
            wakes: 0,
        });
        let life = member.life;
        self.agenda.put_after(1, Happens::Dial(m, life));
        self.settle_member(m);
    }

    /// A member's process dies, and starts again after `down`.
    pub fn kill_member(&mut self, m: usize, down: Millis) {
        self.tell(|_| format!("member {m} dies"));
        let member = &mut self.members[m];
        let Some(process) = member.process.take() else { return };
        member.life += 1;
        member.trap = None;
        if let Some((_, writes)) = process.committing {
            let kept = MemberDisk::tear(&writes, &mut self.chance);
            if kept > 0 && kept < writes.len() {
                self.coverage.met(Situation::TornMemberCommit);
            }
            let kept = writes.get(..kept).unwrap_or_default();
            self.die_before_attempts(m, kept, &process.under_way);
            self.member_durable(m, kept, kept.len() == writes.len());
        }
        self.forget_what_was_not_said(m);
        let memory = self.members[m].memory();
        for task in process.under_way.into_keys() {
            // What the first process died of is not held against a task that it had not begun.
            if process.found.contains(&task) || self.members[m].disk.is_begun(task) {
                self.truth(task).died(memory);
            }
        }
        if let Some((link, _)) = process.link {
            self.end_link(link);
        }
        self.agenda.put_after(down.max(1), Happens::StartMember(m));
    }

    /// That an attempt begins is on disk before it does: who dies in between has died in it, as far as anybody can know.
    fn die_before_attempts(&mut self, m: usize, kept: &[Write], under_way: &BTreeMap<TaskId, bool>) {
        let memory = self.members[m].memory();
        for write in kept {
            if let Write::PutState(task, TaskState::Journaled { unended } | TaskState::Started { unended }) = write
                && *unended > self.members[m].disk.deaths(*task)
                && !under_way.contains_key(task)
            {
                self.truth(*task).died(memory);
            }
        }
    }

    /// What is announced on a member's disk and not settled there, nobody knows any more.
    fn forget_what_was_not_said(&mut self, m: usize) {
        let Member { disk, .. } = &self.members[m];
        let memory = self.members[m].memory();
        for task in disk.tasks() {
            if let Some(truth) = self.tasks.get_mut(&task) {
                truth.is_cut(memory, disk.journal(task));
            }
        }
    }

    /// A member is where it may have to die. Whether it did.
    pub(super) fn at_point(&mut self, m: usize, point: Point) -> bool {
        if self.members[m].bad_disk == Some(point) {
            self.lose_store(m);
            return true;
        }
        let Some((_, down)) = self.members[m].trap.filter(|(at, _)| *at == point) else { return false };
        self.coverage.met(match point {
            Point::OfferTaken => Situation::DiedWithOfferNotDurable,
            Point::OfferDurable => Situation::DiedWithOfferDurable,
            Point::IntentDurable => Situation::DiedBeforeCall,
            Point::CallMade => Situation::DiedInCall,
            Point::OutcomeKnown => Situation::DiedAnswered,
            Point::ReportDurable => Situation::DiedWithReport,
            Point::ReportAcknowledged => Situation::DiedAcknowledged,
            Point::Welcomed => Situation::DiedWelcomed,
            Point::Committing => Situation::DiedCommitting,
        });
        self.kill_member(m, down);
        true
    }

    /// A member is asked to stop.
    pub fn stop_member(&mut self, m: usize, down: Millis) {
        self.members[m].trap = None;
        if self.members[m].works() {
            self.coverage.met(Situation::MemberStopped);
        }
        if self.members[m].process.is_some() {
            self.restart_after[m] = down;
            self.member_input(m, Input::Stop);
        }
    }

    pub(super) fn member_stopped(&mut self, m: usize) {
        let member = &mut self.members[m];
        member.life += 1;
        if let Some(process) = member.process.take()
            && let Some((link, _)) = process.link
        {
            self.send(link, End::Controller, Packet::Closed);
            self.net.kill(link, End::Member);
        }
        let down = self.restart_after[m].max(1);
        self.agenda.put_after(down, Happens::StartMember(m));
    }

    /// A fault that a member suffers by itself.
    pub fn member_suffers(&mut self, fault: &Fault) {
        let now = self.agenda.now();
        match *fault {
            Fault::KillMember(m, down) => self.kill_member(m, down),
            Fault::KillMemberAt(m, point, down) => self.members[m].trap = Some((point, down)),
            Fault::StopMember(m, down) => self.stop_member(m, down),
            Fault::PauseMember(m, time) => {
                if time > self.pace.lease && self.members[m].works() {
                    self.coverage.met(Situation::PausedPastLease);
                }
                self.members[m].paused = now + time;
            }
            Fault::LoseStore(m) => self.lose_store(m),
            Fault::LoseStoreAt(m, point) => self.members[m].bad_disk = Some(point),
            Fault::RollBack(m, by) => {
                // From before the last session or an acknowledged report, whatever it reports before anybody sees it: else
                // a copy cannot be told from the store that a crash left.
                let (id, present) = (self.members[m].id, self.members[m].disk.session);
                let acked = self.controllers.disk.records().numbers.get(&id).map(|it| it.acked).unwrap_or_default();
                let older = |(at, disk): &&(Millis, MemberDisk)| {
                    let may_come = u64::try_from(disk.tasks().count()).unwrap_or(u64::MAX);
                    at + by <= now
                        && (disk.session < present || disk.next_report().0.saturating_add(may_come) <= acked.0)
                };
                let backup = self.members[m].backups.iter().rev().find(older).cloned();
                if let Some((_, disk)) = backup {
                    self.kill_member(m, 500);
                    self.members[m].disk = disk;
                    self.members[m].put_back += 1;
                    self.forget_what_was_not_said(m);
                    let (memory, held) = (self.members[m].memory(), self.members[m].disk.tasks().collect::<Vec<_>>());
                    for task in held {
                        self.truth(task).was_put_back(memory);
                    }
                }
            }
            Fault::LosePayload(m, down) => {
                self.kill_member(m, down);
                self.lose_payload(m);
            }
            Fault::FillDisk(m, time) => self.members[m].full = now + time,
            Fault::Policy(m, policy) => {
                self.members[m].policy = policy;
                self.stop_member(m, 500);
            }
            _ => (),
        }
    }

    fn lose_payload(&mut self, m: usize) {
        let payloads: Vec<StreamId> = self.members[m].disk.payloads.iter().copied().collect();
        let Some(lost) = self.chance.choice(&payloads).copied() else { return };
        self.members[m].disk.payloads.remove(&lost);
        self.coverage.met(if self.told.contains_key(&lost) { Situation::ResultsLost } else { Situation::DatasetLost });
    }

    fn lose_store(&mut self, m: usize) {
        if !self.members[m].is_idle() {
            self.coverage.met(Situation::StoreLost);
        }
        self.kill_member(m, 500);
        let incarnation = Incarnation::from_bytes(self.chance.u128(..).to_be_bytes());
        self.members[m].disk = MemberDisk::new(incarnation);
        self.members[m].backups.clear();
        self.members[m].bad_disk = None;
    }
}
