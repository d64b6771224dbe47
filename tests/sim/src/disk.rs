//! Model disks: what is durable, and what a crash leaves of a commit that was under way.
//!
//! The engine below the real stores keeps, after any crash, a prefix of what it was given to commit. So does this one,
//! as adversarially as the programs' own batches allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use postern_agent_core::{
    Earlier, JournalEntry, Membership, Origin, Restored, RestoredTask, TaskState, Tombstone, Write,
};
use postern_controller_stub::state::ledger::{self, LedgerError};
use postern_controller_stub::state::record::{
    ApiTokenRecord, AttemptRecord, AuditRow, AuditWritten, ClusterRecord, ForgottenRecord, MemberNumbers, MemberRecord,
    NewerCertificate, OnceRecord, RootsRecord, StreamRecord, SystemRecord, TaskRecord, TokenRecord,
};
use postern_controller_stub::state::records::{Listed, Records};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{MembershipState, Offer, Report};
use postern_protocol::outcome::Certainty;
use postern_protocol::{Epoch, MemberId, Outcome, ReportNo, SessionNo, StreamId, TaskId};

/// What a member has on its disk.
#[derive(Debug, Clone)]
pub struct MemberDisk {
    /// The life of the store.
    pub incarnation: Incarnation,
    /// The newest session.
    pub session: SessionNo,
    /// What the member may do.
    pub membership: Option<Membership>,
    next_report: ReportNo,
    tasks: BTreeMap<TaskId, (Offer, Origin)>,
    states: BTreeMap<TaskId, TaskState>,
    journals: BTreeMap<TaskId, BTreeMap<u32, JournalEntry>>,
    /// The reports that are owed.
    pub reports: BTreeMap<ReportNo, Report>,
    tombstones: BTreeMap<TaskId, Tombstone>,
    /// The payloads in the spool.
    pub payloads: BTreeSet<StreamId>,
    /// The leases it had when it was disabled hard.
    forfeited: BTreeSet<(TaskId, Epoch)>,
}

impl MemberDisk {
    /// An empty one.
    pub const fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            session: SessionNo(0),
            membership: None,
            next_report: ReportNo(1),
            tasks: BTreeMap::new(),
            states: BTreeMap::new(),
            journals: BTreeMap::new(),
            reports: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            payloads: BTreeSet::new(),
            forfeited: BTreeSet::new(),
        }
    }

    /// One write becomes durable.
    pub fn apply(&mut self, write: &Write) {
        match write.clone() {
            Write::PutTask(offer, origin) => drop(self.tasks.insert(offer.task, (*offer, origin))),
            Write::PutState(task, state) => drop(self.states.insert(task, state)),
            Write::PutJournal(task, number, entry) => {
                self.journals.entry(task).or_default().insert(number, entry);
            }
            Write::DeleteTask(task) => {
                self.tasks.remove(&task);
                self.states.remove(&task);
                self.journals.remove(&task);
            }
            Write::PutReport(report) => {
                self.next_report = report.number.next();
                self.reports.insert(report.number, *report);
            }
            Write::DeleteReport(number) => drop(self.reports.remove(&number)),
            Write::PutTombstone(stone) => drop(self.tombstones.insert(stone.task, stone)),
            Write::DeleteTombstone(task) => drop(self.tombstones.remove(&task)),
            // What is audited here are the effects themselves.
            Write::PutAudit(_) => (),
            Write::PutSession(session) => self.session = session,
            Write::PutMembership(membership) => {
                if membership.state == MembershipState::Disabled && membership.hard {
                    self.forfeited.extend(self.tasks.iter().map(|(task, (offer, _))| (*task, offer.epoch)));
                }
                self.membership = Some(membership);
            }
        }
    }

    /// Whether it was disabled hard while it had the task under the lease it has it under now.
    pub fn is_forfeited(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|(offer, _)| self.forfeited.contains(&(task, offer.epoch)))
    }

    /// What a crash leaves of a commit: some writes from its beginning. Those that the agent's store keeps in one batch
    /// stay together.
    pub fn tear(writes: &[Write], rng: &mut Rng) -> usize {
        if rng.bool() {
            return 0;
        }
        let mut upto = rng.usize(0..=writes.len());
        while let (Some(before), Some(after)) = (upto.checked_sub(1).and_then(|it| writes.get(it)), writes.get(upto)) {
            if !stay_together(before, after) {
                break;
            }
            upto -= 1;
        }
        upto
    }

    /// What a process that starts now goes on from.
    pub fn restore(&self) -> Restored {
        let tasks = self.tasks.iter().map(|(task, (offer, origin))| RestoredTask {
            offer: offer.clone(),
            origin: *origin,
            state: self.states.get(task).cloned().unwrap_or(TaskState::Journaled { unended: 0 }),
            journal: self.journals.get(task).and_then(|it| it.keys().next_back()).map_or(0, |last| last + 1),
            streams_here: offer.streams.iter().map(|it| it.id).filter(|id| self.payloads.contains(id)).collect(),
        });
        Restored {
            tasks: tasks.collect(),
            reports: self.reports.values().cloned().collect(),
            tombstones: self.tombstones.values().copied().collect(),
            next_report: self.next_report,
            session: self.session,
            membership: self.membership,
        }
    }

    /// What the journal of a task says.
    pub fn earlier(&self, task: TaskId) -> Earlier {
        self.journal(task).cloned().collect()
    }

    /// The journal of a task.
    pub fn journal(&self, task: TaskId) -> impl Iterator<Item = &JournalEntry> {
        self.journals.get(&task).into_iter().flat_map(BTreeMap::values)
    }

    /// The number of the next report.
    pub const fn next_report(&self) -> ReportNo {
        self.next_report
    }

    /// Whether an effect of a task may exist.
    pub fn is_begun(&self, task: TaskId) -> bool {
        matches!(self.states.get(&task), Some(TaskState::Started { .. }))
    }

    /// In how many attempts at a task the process died, or is under way in.
    pub fn deaths(&self, task: TaskId) -> u32 {
        match self.states.get(&task) {
            Some(TaskState::Journaled { unended } | TaskState::Started { unended }) => *unended,
            Some(TaskState::Concluded(_)) | None => 0,
        }
    }

    /// Whether anything here tells that a task may have been begun.
    pub fn may_have_begun(&self, task: TaskId) -> bool {
        self.is_begun(task)
            || self.is_concluded(task)
            || self.ended(task)
            || self.reports.values().any(|it| it.task == task)
    }

    /// Whether a task has its outcome, and results on their way.
    pub fn is_concluded(&self, task: TaskId) -> bool {
        matches!(self.states.get(&task), Some(TaskState::Concluded(_)))
    }

    /// A task that is held, as it was offered.
    pub fn offer(&self, task: TaskId) -> Option<&Offer> {
        self.tasks.get(&task).map(|(offer, _)| offer)
    }

    /// Whether a task is remembered as ended.
    pub fn ended(&self, task: TaskId) -> bool {
        self.tombstones.contains_key(&task)
    }

    /// Whether anything here tells that a task was done for certain.
    pub fn has_done(&self, task: TaskId) -> bool {
        let done = (Outcome::Succeeded, Certainty::Certain);
        let ended = self.tombstones.get(&task).map(|it| (it.outcome, it.certainty));
        let owed = self.reports.values().filter(|it| it.task == task);
        ended == Some(done)
            || owed.map(|it| (it.outcome.known(), it.certainty.known())).any(|it| it == (Some(done.0), Some(done.1)))
    }

    /// The tasks held.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.keys().copied()
    }
}

/// Whether the agent's store never parts two writes that follow one another.
fn stay_together(before: &Write, after: &Write) -> bool {
    match (before, after) {
        (_, Write::DeleteTask(_)) => true,
        (Write::PutJournal(task, _, one), Write::PutJournal(same, _, other)) => task == same && one.step == other.step,
        _ => false,
    }
}

/// What the controllers have on their disk.
#[derive(Debug, Clone, Default)]
pub struct ControllerRecords {
    clusters: BTreeMap<String, ClusterRecord>,
    systems: BTreeMap<String, SystemRecord>,
    members: BTreeMap<MemberId, MemberRecord>,
    /// What has to be remembered of members' sessions.
    pub numbers: BTreeMap<MemberId, MemberNumbers>,
    /// The tasks.
    pub tasks: BTreeMap<TaskId, TaskRecord>,
    offers: BTreeMap<TaskId, Offer>,
    /// What came of them, by the epoch it came under.
    pub reports: BTreeMap<(TaskId, Epoch), Report>,
    streams: BTreeMap<StreamId, StreamRecord>,
    forgotten: Option<ForgottenRecord>,
}

impl ControllerRecords {
    /// One write becomes durable.
    pub fn apply(&mut self, write: &ledger::Write) {
        match write.clone() {
            ledger::Write::Cluster(it) => drop(self.clusters.insert(it.name.to_string(), it)),
            ledger::Write::Member(it) => drop(self.members.insert(it.id, it)),
            ledger::Write::Numbers(member, it) => drop(self.numbers.insert(member, it)),
            ledger::Write::ForgetMember(id) => {
                self.members.remove(&id);
                self.numbers.remove(&id);
            }
            ledger::Write::System(it) => drop(self.systems.insert(it.name.to_string(), it)),
            ledger::Write::ForgetSystem(name) => drop(self.systems.remove(name.as_str())),
            // Certificates are not renewed here.
            ledger::Write::Newer(..) => (),
            ledger::Write::Task(it) => drop(self.tasks.insert(it.id, it)),
            ledger::Write::ForgetTask(id) => {
                self.tasks.remove(&id);
                self.offers.remove(&id);
                self.reports.retain(|(task, _), _| *task != id);
            }
            ledger::Write::Forgotten(it) => self.forgotten = Some(it),
            ledger::Write::Offer(it) => drop(self.offers.insert(it.task, *it)),
            ledger::Write::Report(it) => drop(self.reports.insert((it.task, it.epoch), *it)),
            ledger::Write::Once(_, made) => self.apply(&made),
            ledger::Write::Stream(it) => drop(self.streams.insert(it.id, it)),
            ledger::Write::ForgetStream(id) => drop(self.streams.remove(&id)),
            // Nobody enrolls here, calls an API, or reads what was done or tried, and no root is replaced.
            ledger::Write::Token(_)
            | ledger::Write::ForgetToken(_)
            | ledger::Write::ApiToken(_)
            | ledger::Write::ForgetApiToken(_)
            | ledger::Write::ForgetOnce(..)
            | ledger::Write::Audit(_)
            | ledger::Write::ForgetAudit(_)
            | ledger::Write::AuditWritten(_)
            | ledger::Write::Attempt(..)
            | ledger::Write::Roots(_) => (),
        }
    }

    /// A member's record.
    pub fn member(&self, id: MemberId) -> Option<&MemberRecord> {
        self.members.get(&id)
    }
}

/// The controllers' disk; clones share it.
#[derive(Debug, Clone, Default)]
pub struct ControllerDisk(Arc<Mutex<ControllerRecords>>);

impl ControllerDisk {
    /// What is on it.
    pub fn records(&self) -> MutexGuard<'_, ControllerRecords> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a crash leaves of a commit: nothing or all of it if it fits one batch, as nearly all do; else a beginning.
    pub fn tear(writes: &[ledger::Write], rng: &mut Rng) -> usize {
        match rng.u8(0..4) {
            0 | 1 => 0,
            2 => writes.len(),
            _ => rng.usize(0..=writes.len()),
        }
    }
}

fn all<K, T: Clone>(records: &BTreeMap<K, T>) -> Vec<T> {
    records.values().cloned().collect()
}

impl Records for ControllerDisk {
    fn roots(&self) -> Result<Option<RootsRecord>, LedgerError> {
        Ok(None)
    }

    fn clusters(&self) -> Result<Vec<ClusterRecord>, LedgerError> {
        Ok(all(&self.records().clusters))
    }

    fn systems(&self) -> Result<Vec<SystemRecord>, LedgerError> {
        Ok(all(&self.records().systems))
    }

    fn tokens(&self) -> Result<Vec<TokenRecord>, LedgerError> {
        Ok(Vec::new())
    }

    fn api_tokens(&self) -> Result<Vec<ApiTokenRecord>, LedgerError> {
        Ok(Vec::new())
    }

    fn once(&self) -> Result<Vec<OnceRecord>, LedgerError> {
        Ok(Vec::new())
    }

    fn audit_rows(&self) -> Result<Vec<AuditRow>, LedgerError> {
        Ok(Vec::new())
    }

    fn audit_written(&self) -> Result<Option<AuditWritten>, LedgerError> {
        Ok(None)
    }

    fn members(&self) -> Result<Vec<MemberRecord>, LedgerError> {
        Ok(all(&self.records().members))
    }

    fn numbers(&self, member: MemberId) -> Result<Option<MemberNumbers>, LedgerError> {
        Ok(self.records().numbers.get(&member).copied())
    }

    fn newer(&self, _: MemberId) -> Result<Vec<NewerCertificate>, LedgerError> {
        Ok(Vec::new())
    }

    fn task(&self, id: TaskId) -> Result<Option<TaskRecord>, LedgerError> {
        Ok(self.records().tasks.get(&id).cloned())
    }

    fn tasks(&self, before: Option<TaskId>) -> Listed<'_, TaskRecord> {
        let older = all(&self.records().tasks).into_iter().filter(move |it| before.is_none_or(|before| it.id < before));
        Box::new(older.rev().map(Ok))
    }

    fn attempts(&self, _: TaskId) -> Result<Vec<AttemptRecord>, LedgerError> {
        Ok(Vec::new())
    }

    fn offer(&self, id: TaskId) -> Result<Option<Offer>, LedgerError> {
        Ok(self.records().offers.get(&id).cloned())
    }

    fn report(&self, id: TaskId, epoch: Epoch) -> Result<Option<Report>, LedgerError> {
        Ok(self.records().reports.get(&(id, epoch)).cloned())
    }

    fn forgotten(&self) -> Result<Option<ForgottenRecord>, LedgerError> {
        Ok(self.records().forgotten)
    }

    fn streams(&self) -> Result<Vec<StreamRecord>, LedgerError> {
        Ok(all(&self.records().streams))
    }

    fn commits_and_barriers(&self) -> (u64, u64) {
        (0, 0)
    }
}
