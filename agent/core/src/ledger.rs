//! Every task this agent holds, from offer to acknowledgement.

mod held;
mod offer;
mod schedule;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use held::{Held, Parked, Phase};
use postern_protocol::bounded::{List, Text};
use postern_protocol::code::Code;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{
    self, CancelVerdict, HeldState, HeldTask, LeaseRef, Offer, Rejection, Report, Started, StreamRef,
};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::{Failure, FailureClass, Outcome, ReportNo, SessionNo, StreamId, TaskId, Timestamp};
use session::Session;

use crate::journal::JournalEntry;
use crate::limits::Limits;
use crate::membership::Membership;
use crate::outbox::Outbox;
use crate::retry;
use crate::write::{Origin, TaskState, Tombstone, Write};

/// An offer as it came in, with what only the shell can know about it.
#[derive(Debug)]
pub struct Offered {
    /// The offer.
    pub offer: Offer,
    /// Where it came from.
    pub origin: Origin,
    /// Why it cannot be taken, if it cannot: unknown kind, unreadable request, sealed to others, a full disk.
    pub refusal: Option<Refusal>,
    /// Those of its payloads that are complete on this machine.
    pub streams_here: Vec<StreamId>,
}

/// Why an offer cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: Rejection,
    /// The same for people.
    pub message: String,
    /// When the task may be offered here again; `None` if that would be of no use.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A reason that does not pass.
    pub fn lasting(reason: Rejection, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None }
    }
}

/// Why no further attempt at a task follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// It failed for good. What its journal leaves open may have happened, nothing else.
    Failed,
    /// The same, and an attempt of another member may have had an effect as well.
    InDoubt,
    /// The process died in the same step of it again and again.
    Poisoned,
}

/// What the shell has to act on.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Run an attempt.
    Start {
        /// The task as it was offered.
        offer: Box<Offer>,
        /// The attempt's number.
        attempt: u32,
        /// An attempt elsewhere may have had an effect.
        reconcile: bool,
        /// An earlier attempt here wrote a journal: load it.
        resumed: bool,
    },
    /// No further attempt follows this failure, and the task has a journal: find out from it what is known, and end
    /// the task with [`Ledger::handle_concluded`].
    GiveUp {
        /// The task.
        task: TaskId,
        /// What went wrong.
        failure: Failure,
        /// Why there is no further attempt.
        why: GivenUp,
    },
    /// Ask a running attempt to stop where it can.
    Stop(TaskId),
    /// The intent under this ticket is on disk, and the task may act.
    Granted(u64),
    /// The intent under this ticket must not be acted on.
    Refused(u64, Failure),
    /// The entries under this ticket are on disk.
    Recorded(u64),
    /// Send a task's results to the controller, then call [`Ledger::handle_uploaded`].
    Upload(TaskId, StreamRef),
    /// A task of this machine ended. Call [`Ledger::handle_local_taken`] when its report was shown.
    LocalReport(Box<Report>),
    /// These payloads are needed no more.
    Forget(Vec<StreamId>),
}

/// What a store held when it was opened.
#[derive(Debug, Default)]
pub struct Restored {
    /// Tasks held.
    pub tasks: Vec<RestoredTask>,
    /// Reports owed.
    pub reports: Vec<Report>,
    /// Ended tasks remembered.
    pub tombstones: Vec<Tombstone>,
    /// The number of the next report.
    pub next_report: ReportNo,
    /// The newest session.
    pub session: SessionNo,
    /// The newest state of the member.
    pub membership: Option<Membership>,
}

/// One task of a store that was opened.
#[derive(Debug)]
pub struct RestoredTask {
    /// The task as it was offered.
    pub offer: Offer,
    /// Where it came from.
    pub origin: Origin,
    /// How far it was.
    pub state: TaskState,
    /// How many entries its journal has.
    pub journal: u32,
    /// Those of its payloads that are complete on this machine.
    pub streams_here: Vec<StreamId>,
}

/// An intent on its way to the disk, and who waits for it.
#[derive(Debug)]
struct Grant {
    task: TaskId,
    ticket: u64,
    entry: JournalEntry,
    reach: Duration,
}

/// Something that may leave only when the writes before it are on disk.
#[derive(Debug)]
enum Gated {
    Transmit(FromMember),
    Event(Event),
    Grant(Grant),
    ReportDurable(ReportNo),
}

/// Every task this agent holds.
///
/// - `handle_*` take what happened, with the time it happened at;
/// - [`poll_writes`](Self::poll_writes) hands out what must be on disk, [`handle_durable`](Self::handle_durable) says
///   that it is;
/// - [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event) hand out what may be said and done,
///   never before the writes it rests on are on disk;
/// - [`poll_timeout`](Self::poll_timeout) says when to call [`handle_timeout`](Self::handle_timeout).
#[derive(Debug)]
pub struct Ledger {
    limits: Limits,
    tasks: BTreeMap<TaskId, Held>,
    outbox: Outbox,
    tombstones: BTreeMap<TaskId, Tombstone>,
    membership: Membership,
    session_no: SessionNo,
    session: Option<Session>,
    stopping: bool,
    looked_at: Timestamp,
    arrivals: u64,
    writes: Vec<Write>,
    written: u64,
    durable: u64,
    gated: VecDeque<(u64, Gated)>,
    transmits: VecDeque<FromMember>,
    events: VecDeque<Event>,
    progress: BTreeMap<TaskId, v1::Progress>,
}

impl Ledger {
    /// Takes up what a store held. Nothing starts before a session is established, local tasks excepted.
    pub fn restore(limits: Limits, restored: Restored) -> Self {
        let mut ledger = Self {
            limits,
            tasks: BTreeMap::new(),
            outbox: Outbox::restore(restored.reports, restored.next_report.max(ReportNo(1))),
            tombstones: restored.tombstones.into_iter().map(|stone| (stone.task, stone)).collect(),
            membership: restored.membership.unwrap_or(Membership::UNKNOWN),
            session_no: restored.session,
            session: None,
            stopping: false,
            looked_at: Timestamp::from_millis(0),
            arrivals: 0,
            writes: Vec::new(),
            written: 0,
            durable: 0,
            gated: VecDeque::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            progress: BTreeMap::new(),
        };
        for task in restored.tasks {
            ledger.restore_task(task);
        }
        ledger
    }

    fn restore_task(&mut self, restored: RestoredTask) {
        self.arrivals += 1;
        let (task, state) = (restored.offer.task, restored.state.clone());
        let held = Held::restore(restored, self.arrivals);
        match state {
            TaskState::Journaled | TaskState::Started { .. } => (),
            TaskState::Concluded(report) => self.announce_conclusion(task, held.origin, report),
        }
        if held.origin == Origin::Local && !held.is_concluded() {
            return self.restore_abandoned(task, held);
        }
        let poisoned = matches!(held.phase, Phase::Started { resumed } if resumed + 1 >= self.limits.deaths);
        self.tasks.insert(task, held);
        if poisoned {
            self.give_up_as(task, process_died(), GivenUp::Poisoned);
        }
    }

    /// Whoever ran a task on this machine is gone with the process: it is not run behind their back. What it had begun
    /// is found out from its journal and logged.
    fn restore_abandoned(&mut self, task: TaskId, held: Held) {
        let begun = matches!(held.phase, Phase::Started { .. });
        self.tasks.insert(task, held);
        if begun {
            self.give_up(task, abandoned());
        } else {
            self.drop_task(task);
        }
    }

    // ---- what is held ------------------------------------------------------------------------------------------

    /// The newest session on disk.
    pub fn session_no(&self) -> SessionNo {
        self.session_no
    }

    /// What the controller lets this member do.
    pub fn membership(&self) -> Membership {
        self.membership
    }

    /// The number the next report will have.
    pub fn next_report(&self) -> ReportNo {
        self.outbox.next()
    }

    /// How many tasks are held, by state.
    pub fn held(&self) -> v1::Held {
        let count = |matches: fn(&Phase) -> bool| {
            u32::try_from(self.tasks.values().filter(|held| matches(&held.phase)).count()).unwrap_or(u32::MAX)
        };
        v1::Held {
            journaled: count(|phase| matches!(phase, Phase::Journaled)),
            started: count(|phase| matches!(phase, Phase::Started { .. })),
            reported: count(|phase| matches!(phase, Phase::Concluded(_)))
                .saturating_add(u32::try_from(self.outbox.len()).unwrap_or(u32::MAX)),
        }
    }

    /// Whether any attempt is running.
    pub fn is_running(&self) -> bool {
        self.tasks.values().any(|held| held.running)
    }

    /// Whether something waits to be written.
    pub fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Whether nothing waits to be written, sent or acted on.
    pub fn is_settled(&self) -> bool {
        self.writes.is_empty() && self.gated.is_empty() && self.transmits.is_empty() && self.events.is_empty()
    }

    /// The payloads that are referenced: everything else in the spool is an orphan.
    pub fn streams(&self) -> BTreeSet<StreamId> {
        let of_tasks = self.tasks.values().flat_map(Held::streams);
        let of_reports = self.outbox.iter().flat_map(|report| report.streams.iter().map(|stream| stream.id));
        of_tasks.chain(of_reports).collect()
    }

    /// Whether a task should stop at the next point where it can.
    pub fn is_unwanted(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|held| held.cancelled || held.fenced)
    }

    /// The payload of a held task that is announced as `stream`, if the task expects it.
    pub fn expects(&self, task: TaskId, stream: StreamId) -> Option<StreamRef> {
        self.tasks.get(&task)?.offer.streams.iter().find(|expected| expected.id == stream).copied()
    }

    // ---- writes ------------------------------------------------------------------------------------------------

    /// The writes decided so far and the mark to give to [`Self::handle_durable`]. They belong together.
    pub fn poll_writes(&mut self) -> Option<(u64, Vec<Write>)> {
        if self.writes.is_empty() {
            return None;
        }
        self.written += 1;
        Some((self.written, std::mem::take(&mut self.writes)))
    }

    /// The writes up to this mark are on disk.
    pub fn handle_durable(&mut self, mark: u64, now: Timestamp) {
        self.durable = self.durable.max(mark);
        self.release(Some(now));
    }

    /// Hands out what waits no longer. A grant always waits for a write, so it is only met when one became durable.
    fn release(&mut self, now: Option<Timestamp>) {
        while self.gated.front().is_some_and(|(after, _)| *after <= self.durable) {
            match (self.gated.pop_front(), now) {
                (Some((_, Gated::Transmit(frame))), _) => self.transmits.push_back(frame),
                (Some((_, Gated::Event(event))), _) => self.events.push_back(event),
                (Some((_, Gated::ReportDurable(number))), _) => self.outbox.handle_durable(number),
                (Some((_, Gated::Grant(grant))), Some(now)) => self.grant(grant, now),
                (Some((_, Gated::Grant(grant))), None) => self.refuse(&grant, lease_too_short()),
                (None, _) => break,
            }
        }
    }

    /// Holds `item` back until everything decided so far is on disk.
    fn after_writes(&mut self, item: Gated) {
        let mark = self.next_mark();
        self.gated.push_back((mark, item));
        if mark <= self.durable {
            self.release(None);
        }
    }

    /// The mark under which what is decided so far will be, or was, handed out.
    fn next_mark(&self) -> u64 {
        if self.writes.is_empty() { self.written } else { self.written + 1 }
    }

    // ---- attempts ----------------------------------------------------------------------------------------------

    /// An attempt is about to act. Answered with [`Event::Granted`] or [`Event::Refused`] under `ticket`.
    pub fn handle_intend(&mut self, task: TaskId, ticket: u64, entry: JournalEntry, reach: Duration, now: Timestamp) {
        if let Err(failure) = self.may_act(task, now) {
            self.events.push_back(Event::Refused(ticket, failure));
            return;
        }
        let Some(held) = self.tasks.get_mut(&task) else { return };
        if held.lease.covers(reach, now) {
            self.write_intent(task, ticket, entry, reach);
        } else if let Some(ttl) = self.session.as_ref().and_then(|session| session.too_short_for(reach)) {
            self.events.push_back(Event::Refused(ticket, never_long_enough(ttl, reach)));
        } else {
            held.parked.push(Parked { ticket, entry, reach, since: now });
            if let Some(session) = &mut self.session {
                session.renew_now();
            }
        }
    }

    fn may_act(&mut self, task: TaskId, now: Timestamp) -> Result<(), Failure> {
        let refuse = |code: &str, why: &str| Err(Failure::new(FailureClass::Interrupted, code, why));
        let (membership, stopping) = (self.membership, self.stopping);
        let Some(held) = self.tasks.get_mut(&task).filter(|held| held.running) else {
            return refuse("not_held", "The task is no longer held by this agent");
        };
        let begun = matches!(held.phase, Phase::Started { .. });
        if held.fenced {
            return refuse("fenced", "The lease of the task was lost to another member");
        }
        if held.origin == Origin::Local {
            return Ok(());
        }
        if !begun && held.cancelled {
            return refuse("cancelled", "The task was cancelled");
        }
        if !begun && held.is_expired(now) {
            return refuse("expired", "The deadline of the task passed before it began");
        }
        if (!begun && (stopping || !membership.may_begin())) || !membership.may_go_on() {
            return refuse("not_enabled", "The member may not begin work now");
        }
        Ok(())
    }

    fn write_intent(&mut self, task: TaskId, ticket: u64, entry: JournalEntry, reach: Duration) {
        let Some(held) = self.tasks.get_mut(&task) else { return };
        let (epoch, attempt) = (held.lease.epoch, held.offer.attempt);
        let number = held.next_journal();
        let first = matches!(held.phase, Phase::Journaled);
        if first {
            held.phase = Phase::Started { resumed: 0 };
            self.writes.push(Write::PutState(task, TaskState::Started { resumed: 0 }));
        }
        let local = held.origin == Origin::Local;
        self.writes.push(Write::PutJournal(task, number, entry.clone()));
        if first && !local {
            self.after_writes(Gated::Transmit(Started { task, epoch, attempt }.into()));
        }
        self.after_writes(Gated::Grant(Grant { task, ticket, entry, reach }));
    }

    /// The intent is on disk: may the call still begin?
    fn grant(&mut self, grant: Grant, now: Timestamp) {
        let may = self.may_act(grant.task, now);
        let covered = self.tasks.get(&grant.task).is_some_and(|held| held.lease.covers(grant.reach, now));
        match may {
            Ok(()) if covered => self.events.push_back(Event::Granted(grant.ticket)),
            Ok(()) => self.refuse(&grant, lease_too_short()),
            Err(failure) => self.refuse(&grant, failure),
        }
    }

    /// Nothing is done about an intent that is on disk already: taken back, so that no later attempt takes it for a
    /// call that may have been made.
    fn refuse(&mut self, grant: &Grant, failure: Failure) {
        if let Some(held) = self.tasks.get_mut(&grant.task) {
            let number = held.next_journal();
            self.writes.push(Write::PutJournal(grant.task, number, grant.entry.voided()));
        }
        self.events.push_back(Event::Refused(grant.ticket, failure));
    }

    /// An attempt proved what became of its intents. Answered with [`Event::Recorded`] under `ticket`.
    pub fn handle_record(&mut self, task: TaskId, ticket: u64, entries: Vec<JournalEntry>) {
        if let Some(held) = self.tasks.get_mut(&task) {
            for entry in entries {
                let number = held.next_journal();
                self.writes.push(Write::PutJournal(task, number, entry));
            }
            // The process lives, and the task got further.
            if matches!(held.phase, Phase::Started { resumed } if resumed > 0) {
                held.phase = Phase::Started { resumed: 0 };
                self.writes.push(Write::PutState(task, TaskState::Started { resumed: 0 }));
            }
        }
        self.after_writes(Gated::Event(Event::Recorded(ticket)));
    }

    /// An attempt says how far it is.
    pub fn handle_progress(&mut self, task: TaskId, done: u64, total: u64, phase: &str) {
        if self.session.is_some() && self.tasks.get(&task).is_some_and(|held| held.origin == Origin::Controller) {
            self.progress.insert(task, v1::Progress { task, done, total, phase: Text::clipped(phase) });
        }
    }

    /// An attempt ended the task.
    pub fn handle_concluded(&mut self, task: TaskId, ending: Ending) {
        if let Some(held) = self.tasks.get_mut(&task) {
            held.stop_running();
            self.conclude(task, ending);
        }
    }

    /// An attempt ended without ending the task.
    pub fn handle_failed(&mut self, task: TaskId, failure: Failure, now: Timestamp) {
        let (limits, local_stop) = (self.limits.attempts, self.stopping);
        let Some(held) = self.tasks.get_mut(&task) else { return };
        held.stop_running();
        let begun = matches!(held.phase, Phase::Started { .. });
        if let Phase::Started { resumed: resumed @ 1.. } = &mut held.phase {
            *resumed -= 1;
            self.writes.push(Write::PutState(task, TaskState::Started { resumed: *resumed }));
        }
        if held.fenced && begun {
            // Whoever has the task now is told what may have happened here.
            self.give_up(task, failure);
        } else if held.fenced {
            self.drop_task(task);
        } else if held.cancelled && !begun {
            self.conclude(task, Ending::cancelled());
        } else if held.cancelled && failure.class.known() == Some(FailureClass::Interrupted) {
            self.give_up(task, cancelled_too_late());
        } else if !begun && held.is_expired(now) {
            self.conclude(task, Ending::expired());
        } else {
            let interrupted = failure.class.known() == Some(FailureClass::Interrupted);
            held.failures += u32::from(!interrupted);
            match retry::decide(failure.class.known(), held.failures, limits) {
                retry::Next::GiveUp => self.give_up(task, failure),
                retry::Next::Again(after) if !held.is_expired(now + after) => {
                    held.retry_at = Some(now + after);
                    if local_stop || !self.membership.may_begin() {
                        self.give_back();
                    }
                }
                retry::Next::Again(_) if begun => self.give_up(task, failure),
                retry::Next::Again(_) => self.conclude(task, Ending::expired()),
            }
        }
    }

    fn give_up(&mut self, task: TaskId, failure: Failure) {
        let Some(held) = self.tasks.get(&task) else { return };
        let in_doubt = held.offer.reconcile && !held.only_reads();
        self.give_up_as(task, failure, if in_doubt { GivenUp::InDoubt } else { GivenUp::Failed });
    }

    /// No further attempt follows. Without a journal nothing was changed here; with one, somebody has to read it.
    fn give_up_as(&mut self, task: TaskId, failure: Failure, why: GivenUp) {
        let Some(held) = self.tasks.get_mut(&task) else { return };
        if held.journal == 0 {
            return match why {
                GivenUp::Failed => self.conclude(task, Ending::failed(failure)),
                GivenUp::InDoubt | GivenUp::Poisoned => self.conclude(task, Ending::unknown(failure)),
            };
        }
        // Nothing else may begin meanwhile.
        held.running = true;
        self.events.push_back(Event::GiveUp { task, failure, why });
    }

    fn conclude(&mut self, task: TaskId, ending: Ending) {
        let Some(held) = self.tasks.get_mut(&task) else { return };
        let report = ending.into_report(&held.offer, held.lease.epoch);
        held.phase = Phase::Concluded(Box::new(report.clone()));
        self.progress.remove(&task);
        if held.origin == Origin::Local || !report.streams.is_empty() {
            let origin = held.origin;
            let report = Box::new(report);
            self.writes.push(Write::PutState(task, TaskState::Concluded(report.clone())));
            self.announce_conclusion(task, origin, report);
        } else {
            self.owe(task, report);
        }
    }

    /// The conclusion is decided and being written; what follows depends on where the task came from.
    fn announce_conclusion(&mut self, task: TaskId, origin: Origin, report: Box<Report>) {
        match (origin, report.streams.first()) {
            (Origin::Local, _) => self.after_writes(Gated::Event(Event::LocalReport(report))),
            (Origin::Controller, Some(stream)) => self.after_writes(Gated::Event(Event::Upload(task, *stream))),
            (Origin::Controller, None) => self.owe(task, *report),
        }
    }

    /// Puts a report into the outbox and forgets the task, in one write.
    fn owe(&mut self, task: TaskId, report: Report) {
        let report = self.outbox.push(report);
        let number = report.number;
        self.writes.push(Write::PutReport(Box::new(report)));
        self.drop_task(task);
        self.after_writes(Gated::ReportDurable(number));
    }

    /// The results of a concluded task are stored at the controller: now the report may follow.
    pub fn handle_uploaded(&mut self, task: TaskId) {
        if let Some(Held { phase: Phase::Concluded(report), origin: Origin::Controller, .. }) = self.tasks.get(&task) {
            let report = Report::clone(report);
            self.owe(task, report);
        }
    }

    /// The report of a task of this machine was shown.
    pub fn handle_local_taken(&mut self, task: TaskId) {
        if matches!(self.tasks.get(&task), Some(Held { origin: Origin::Local, phase: Phase::Concluded(_), .. })) {
            self.drop_task(task);
        }
    }

    fn drop_task(&mut self, task: TaskId) {
        if let Some(held) = self.tasks.remove(&task) {
            self.writes.push(Write::DeleteTask(task));
            let kept: BTreeSet<StreamId> = match &held.phase {
                Phase::Concluded(report) if held.origin == Origin::Controller => {
                    report.streams.iter().map(|stream| stream.id).collect()
                }
                Phase::Concluded(_) | Phase::Journaled | Phase::Started { .. } => BTreeSet::new(),
            };
            let streams: Vec<StreamId> = held.streams().into_iter().filter(|id| !kept.contains(id)).collect();
            if !streams.is_empty() {
                self.after_writes(Gated::Event(Event::Forget(streams)));
            }
            for parked in held.parked {
                self.events.push_back(Event::Refused(parked.ticket, lease_too_short()));
            }
        }
    }

    // ---- outputs -----------------------------------------------------------------------------------------------

    /// The next frame to send. Reports come after everything else, progress last.
    pub fn poll_transmit(&mut self, now: Timestamp) -> Option<FromMember> {
        self.session.as_ref()?;
        if let Some(renew) = self.poll_renew(now) {
            return Some(renew.into());
        }
        if let Some(frame) = self.transmits.pop_front() {
            return Some(frame);
        }
        if let Some(report) = self.outbox.poll() {
            return Some(report.into());
        }
        if let Some(credit) = self.poll_credit() {
            return Some(credit.into());
        }
        self.progress.pop_first().map(|(_, progress)| progress.into())
    }

    /// The next thing to act on.
    pub fn poll_event(&mut self, now: Timestamp) -> Option<Event> {
        self.looked_at = now;
        // Looking for what to start may end what only waited for its end.
        self.events.pop_front().or_else(|| self.poll_start(now)).or_else(|| self.events.pop_front())
    }
}

/// How an attempt ended a task, in the words of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub outcome: Outcome,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether anything was changed.
    pub changed: Changed,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The kind's output, encoded; empty if there is none.
    pub output: Vec<u8>,
    /// Secrets for the requester.
    pub sealed: Vec<postern_protocol::seal::SealedOutput>,
    /// Results too big for a report.
    pub streams: Vec<StreamRef>,
}

impl Ending {
    fn without_output(outcome: Outcome, certainty: Certainty, changed: Changed, failure: Option<Failure>) -> Self {
        Self { outcome, certainty, changed, failure, output: Vec::new(), sealed: Vec::new(), streams: Vec::new() }
    }

    /// It failed and changed nothing.
    pub fn failed(failure: Failure) -> Self {
        Self::without_output(Outcome::Failed, Certainty::Certain, Changed::No, Some(failure))
    }

    fn cancelled() -> Self {
        Self::without_output(Outcome::Cancelled, Certainty::Certain, Changed::No, None)
    }

    fn expired() -> Self {
        Self::without_output(Outcome::Expired, Certainty::Certain, Changed::No, None)
    }

    fn unknown(failure: Failure) -> Self {
        Self::without_output(Outcome::Unknown, Certainty::Unknown, Changed::Unknown, Some(failure))
    }

    fn into_report(self, offer: &Offer, epoch: postern_protocol::Epoch) -> Report {
        Report {
            number: ReportNo(0),
            task: offer.task,
            epoch,
            attempt: offer.attempt,
            outcome: self.outcome.into(),
            certainty: self.certainty.into(),
            changed: self.changed.into(),
            failure: self.failure,
            output: postern_protocol::bounded::Bytes::new(self.output).unwrap_or_default(),
            sealed: List::clipped(self.sealed),
            streams: List::clipped(self.streams),
            ext: List::default(),
        }
    }
}

fn process_died() -> Failure {
    Failure::new(
        FailureClass::Internal,
        "process_died",
        "The agent's process died twice in the same step of this task, so the task is not run again by itself",
    )
    .with_next_step("Look at the account in the connected system and at the agent's log before submitting it again")
}

fn never_long_enough(ttl: Duration, reach: Duration) -> Failure {
    let summary = format!(
        "The controller's leases last {} s, too short for a call that may take {} s",
        ttl.as_secs(),
        reach.as_secs()
    );
    Failure::new(FailureClass::Rejected, "leases_too_short", summary).with_next_step(
        "Lower the connected system's `request_timeout_secs` to less than two thirds of the lease, or have the controller's \
         `--lease-ttl-secs` raised",
    )
}

fn abandoned() -> Failure {
    Failure::new(
        FailureClass::Interrupted,
        "abandoned",
        "The command that ran this task on this machine was killed in the middle of it",
    )
    .with_next_step("Look at the account in the connected system before running it again")
}

fn cancelled_too_late() -> Failure {
    Failure::new(
        FailureClass::Interrupted,
        "cancelled_too_late",
        "The task was cancelled after it had begun; some of it may have taken effect",
    )
    .with_next_step("Look at the account in the connected system before submitting the task again")
}

fn lease_too_short() -> Failure {
    Failure::new(
        FailureClass::Interrupted,
        "lease_too_short",
        "The lease of the task could not be renewed in time, so nothing was begun",
    )
}

fn verdict_of(phase: &Phase) -> Code<HeldState> {
    match phase {
        Phase::Journaled => HeldState::Journaled.into(),
        Phase::Started { .. } => HeldState::Started.into(),
        Phase::Concluded(_) => HeldState::Reported.into(),
    }
}

fn held_task(task: TaskId, held: &Held) -> HeldTask {
    HeldTask { lease: LeaseRef { task, epoch: held.lease.epoch }, state: verdict_of(&held.phase) }
}

fn cancel_ack(task: TaskId, verdict: CancelVerdict) -> FromMember {
    v1::CancelAck { task, verdict: verdict.into() }.into()
}

#[cfg(test)]
mod tests;
