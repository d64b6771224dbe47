//! A member's process: the real ledger and session, driven as the agent's dispatcher drives them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use postern_agent_core::ledger::Ending;
use postern_agent_core::{
    Backoff, Event, JournalEntry, Ledger, Limits, Membership, Offered, Origin, TaskState, Unfinished, Write,
};
use postern_protocol::bounded::{List, Text};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{Hello, Offer, ReportAck, ServedSystem, StreamRef, Welcome};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::session::{self, MemberSession};
use postern_protocol::{Failure, MemberId, StreamId, TaskId, TaskKind, Timestamp};

use crate::agenda::Millis;
use crate::attempt::{Answer, Ask, Attempt, Step, is_end, told_by};
use crate::coverage::Situation;
use crate::disk::MemberDisk;
use crate::net::{End, LinkId, Packet};
use crate::salesforce::CALL_TIMEOUT;
use crate::truth::Memory;
use crate::workload::{Fault, Point};
use crate::world::{Happens, SYSTEM, World};

/// Attempts that a member runs at once.
const SLOTS: usize = 3;
/// Inputs that share a barrier.
const GATHER: usize = 64;

/// A member, running or not.
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// What it has on disk.
    pub disk: MemberDisk,
    /// What it had there before, and when.
    pub backups: Vec<(Millis, MemberDisk)>,
    /// How far its clock is ahead of true time.
    pub clock: Millis,
    /// Nothing of it moves before.
    pub paused: Millis,
    /// The number of its present or next process.
    pub life: u64,
    /// Its process.
    pub process: Option<Process>,
    /// Where it is to die, and for how long.
    pub trap: Option<(Point, Millis)>,
    /// Where it is to lose its store.
    pub bad_disk: Option<Point>,
    /// How often its store was put back.
    pub put_back: u32,
}

/// A member's process.
pub struct Process {
    ledger: Ledger,
    link: Option<(LinkId, MemberSession)>,
    backoff: Backoff,
    inputs: VecDeque<Input>,
    committing: Option<(u64, Vec<Write>)>,
    welcome: Option<(LinkId, Welcome)>,
    established: bool,
    attempts: BTreeMap<TaskId, Attempt>,
    /// Attempts of which the end is not on disk, and whether they ended.
    under_way: BTreeMap<TaskId, bool>,
    /// The tasks that it found on disk.
    found: BTreeSet<TaskId>,
    tickets: BTreeMap<u64, TaskId>,
    next_ticket: u64,
    uploads: BTreeMap<TaskId, StreamRef>,
    stopping: bool,
    drained: bool,
    granted: u64,
    offered: u64,
    wakes: Millis,
}

/// What the dispatcher's channel carries.
#[derive(Debug)]
pub enum Input {
    Introduce,
    Welcomed(LinkId, Box<Welcome>, Membership),
    Established(LinkId, Box<Welcome>),
    Frame(Box<FromController>),
    Intend(TaskId, JournalEntry),
    Record(TaskId, Vec<JournalEntry>),
    Ended(TaskId, Result<Box<Ending>, Unfinished>),
    PayloadHere(TaskId, StreamId),
    Uploaded(TaskId),
    Disconnected,
    Stop,
}

impl Member {
    /// Its present moment.
    pub fn now(&self, true_time: Millis) -> Timestamp {
        Timestamp::from_millis(true_time + self.clock)
    }

    /// Which of its memories it works with.
    pub const fn memory(&self) -> Memory {
        (self.disk.incarnation, self.put_back)
    }

    /// Whether it has nothing in its hands.
    pub fn is_idle(&self) -> bool {
        self.disk.reports.is_empty() && self.disk.tasks().next().is_none()
    }

    fn works(&self) -> bool {
        self.process.as_ref().is_some_and(|it| !it.attempts.is_empty())
    }
}

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
            self.member_durable(m, writes.get(..kept).unwrap_or_default(), kept == writes.len());
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

    /// A connection ends on the member's side; the controller hears of it soon, late or never.
    fn end_link(&mut self, link: LinkId) {
        self.net.kill(link, End::Member);
        if self.chance.u8(0..4) > 0 {
            self.send(link, End::Controller, Packet::Closed);
        } else {
            self.net.kill(link, End::Controller);
        }
    }

    /// A member is where it may have to die. Whether it did.
    fn at_point(&mut self, m: usize, point: Point) -> bool {
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

    /// Writes are on a member's disk.
    fn member_durable(&mut self, m: usize, writes: &[Write], whole: bool) {
        let now = self.agenda.now();
        for write in writes {
            self.check_conclusion(m, write);
            if whole && self.goes_further(m, write) {
                let memory = self.members[m].memory();
                if let Write::PutState(task, _) | Write::PutJournal(task, ..) = write {
                    self.truth(*task).got_further(memory);
                }
            }
            if let Write::PutJournal(task, _, entry) = write
                && is_end(entry)
            {
                let memory = self.members[m].memory();
                self.truth(*task).proved(memory, entry, now);
            }
            match write {
                Write::PutReport(report) => {
                    self.oracle.member_owes(report);
                    let (number, task, epoch, outcome) = (report.number, report.task, report.epoch, report.outcome);
                    self.tell(|_| format!("member {m} owes report {number}: {task}, epoch {epoch}, {outcome}"));
                }
                Write::DeleteReport(number) => {
                    let store = self.members[m].disk.incarnation;
                    self.oracle.member_deleted(store, *number, now);
                }
                Write::PutSession(session) if *session < self.members[m].disk.session => {
                    self.oracle.broken(9, now, format!("member {m}'s session fell to {session}"));
                }
                _ => (),
            }
            self.members[m].disk.apply(write);
        }
    }

    /// Whether what becomes durable says that a task has begun, or got further.
    fn goes_further(&self, m: usize, write: &Write) -> bool {
        match write {
            Write::PutState(task, TaskState::Started { .. }) => !self.members[m].disk.is_begun(*task),
            Write::PutJournal(_, _, entry) => is_end(entry),
            _ => false,
        }
    }

    /// How a task ends has to follow from what happened to it at this member.
    fn check_conclusion(&mut self, m: usize, write: &Write) {
        let (Write::PutReport(report) | Write::PutState(_, TaskState::Concluded(report))) = write else { return };
        let (disk, memory) = (&self.members[m].disk, self.members[m].memory());
        // What was concluded before is only said again.
        let Some(offer) = disk.offer(report.task).filter(|_| !disk.is_concluded(report.task)) else { return };
        let Some(truth) = self.tasks.get_mut(&report.task) else { return };
        truth.concluded(memory, self.agenda.now());
        let (journal, begun) = (disk.journal(report.task), disk.is_begun(report.task));
        if let Err((invariant, seen)) = truth.may_end_so(memory, report, offer, journal, begun, &limits()) {
            self.oracle.broken(invariant, self.agenda.now(), format!("at member {m}, {seen}"));
        }
    }

    /// A commit of a member is done.
    pub fn member_committed(&mut self, m: usize) {
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some((mark, writes)) = process.committing.take() else { return };
        self.member_durable(m, &writes, true);
        let now = self.members[m].now(self.agenda.now());
        if let Some(process) = self.members[m].process.as_mut() {
            process.ledger.handle_durable(mark, now);
            process.under_way.retain(|_, ended| !*ended);
        }
        let offers = writes.iter().any(|it| matches!(it, Write::PutTask(..)));
        let reports = writes.iter().any(|it| matches!(it, Write::PutReport(_)));
        if offers && self.at_point(m, Point::OfferDurable) || reports && self.at_point(m, Point::ReportDurable) {
            return;
        }
        self.settle_member(m);
    }

    /// Something for a member's dispatcher.
    pub fn member_input(&mut self, m: usize, input: Input) {
        if let Some(process) = self.members[m].process.as_mut() {
            process.inputs.push_back(input);
            self.settle_member(m);
        }
    }

    /// Everything decided reaches the disk before anyone hears of it: the agent's own loop.
    fn settle_member(&mut self, m: usize) {
        loop {
            let true_time = self.agenda.now();
            let now = self.members[m].now(true_time);
            let life = self.members[m].life;
            let Some(process) = self.members[m].process.as_mut() else { return };
            if process.committing.is_some() {
                return;
            }
            if let Some((mark, writes)) = process.ledger.poll_writes(now) {
                process.committing = Some((mark, writes));
                let takes = self.chance.u64(1..self.pace.disk);
                self.agenda.put_after(takes, Happens::MemberDisk(m, life));
                self.at_point(m, Point::Committing);
                return;
            }
            if let Some((link, welcome)) = process.welcome.take() {
                if self.at_point(m, Point::Welcomed) {
                    return;
                }
                self.confirm(m, link, welcome);
            }
            if !self.member_acts(m) {
                return;
            }
            let Some(process) = self.members[m].process.as_mut() else { return };
            if process.stopping && !process.drained && !process.ledger.is_running() {
                process.drained = true;
                process.ledger.handle_drained();
            }
            self.member_speaks(m);
            let Some(process) = self.members[m].process.as_mut() else { return };
            if process.ledger.has_writes() {
                continue;
            }
            if process.drained && (process.link.is_none() || process.ledger.is_settled()) {
                return self.member_stopped(m);
            }
            if process.inputs.is_empty() {
                break;
            }
            for _ in 0..GATHER {
                let input = self.members[m].process.as_mut().and_then(|it| it.inputs.pop_front());
                let Some(input) = input else { break };
                if !self.member_handles(m, input) {
                    return;
                }
            }
        }
        self.wake_member(m);
    }

    fn member_stopped(&mut self, m: usize) {
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

    fn wake_member(&mut self, m: usize) {
        let (clock, life, present) = (self.members[m].clock, self.members[m].life, self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        let session = process.link.as_ref().map(|(_, session)| session.poll_timeout());
        let Some(at) = process.ledger.poll_timeout().into_iter().chain(session).min() else { return };
        // What is due at once has been looked at just now; time has to pass before it is looked at again.
        let at = at.as_millis().saturating_sub(clock).max(present + 1);
        if process.wakes <= present || at < process.wakes {
            process.wakes = at;
            self.agenda.put(at, Happens::MemberWakes(m, life));
        }
    }

    /// Time passed for a member.
    pub fn member_wakes(&mut self, m: usize) {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.ledger.poll_timeout().is_some_and(|at| at <= now) && process.committing.is_none() {
            process.ledger.handle_timeout(now);
        }
        if let Some((_, session)) = process.link.as_mut()
            && session.poll_timeout() <= now
        {
            session.handle_timeout(now);
            self.member_session(m);
        }
        self.settle_member(m);
    }

    // ---- what it does ----

    /// Does what the ledger wants done. Whether the process lives.
    fn member_acts(&mut self, m: usize) -> bool {
        loop {
            let now = self.members[m].now(self.agenda.now());
            let Some(process) = self.members[m].process.as_mut() else { return false };
            let Some(event) = process.ledger.poll_event(now) else { return true };
            match event {
                Event::Start { offer, resumed, .. } => self.begin_attempt(m, *offer, resumed),
                Event::GiveUp { task, failure, why } => {
                    let journal = self.members[m].disk.earlier(task);
                    let mut ending = Ending::given_up(failure, &journal, why);
                    ending.streams = self.results(m, task);
                    if ending.outcome == postern_protocol::Outcome::DeadLettered {
                        self.coverage.met(Situation::DeadLettered);
                    }
                    let life = self.members[m].life;
                    self.agenda.put_after(1, Happens::MemberInput(m, life, Input::Ended(task, Ok(Box::new(ending)))));
                }
                Event::Stop(task) => {
                    if let Some(attempt) = process.attempts.get(&task) {
                        attempt.stop();
                    }
                }
                Event::Granted(ticket) => {
                    let Some(task) = process.tickets.remove(&ticket) else { continue };
                    if self.at_point(m, Point::IntentDurable) {
                        return false;
                    }
                    self.go_on(m, task, Some(Answer::Written(Ok(()))));
                }
                Event::Recorded(ticket) => {
                    let Some(task) = process.tickets.remove(&ticket) else { continue };
                    self.go_on(m, task, Some(Answer::Written(Ok(()))));
                }
                Event::Refused(ticket, failure) => {
                    let Some(task) = process.tickets.remove(&ticket) else { continue };
                    if failure.code.as_str() == "lease_too_short" {
                        self.coverage.met(Situation::LeaseRefusedCall);
                    }
                    self.go_on(m, task, Some(Answer::Written(Err(failure))));
                }
                Event::Upload(task, stream) => {
                    process.uploads.insert(task, stream);
                    self.upload(m, task);
                }
                Event::Forget(streams) => {
                    for stream in streams {
                        self.members[m].disk.payloads.remove(&stream);
                    }
                }
                // Nobody runs tasks of this machine here.
                Event::LocalReport(_) => (),
            }
        }
    }

    fn begin_attempt(&mut self, m: usize, offer: Offer, resumed: bool) {
        let task = offer.task;
        let journal: Vec<JournalEntry> =
            if resumed { self.members[m].disk.journal(task).cloned().collect() } else { Vec::new() };
        if offer.reconcile {
            self.coverage.met(Situation::TakenOver);
        }
        if resumed && offer.kind.known() == Some(TaskKind::ImportBatch) && journal.iter().any(is_end) {
            self.coverage.met(Situation::BatchResumed);
        }
        let now = self.members[m].now(self.agenda.now());
        let made_up = format!("made up {}", self.chance.u64(..));
        let attempt = Attempt::begin(offer, journal, made_up);
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
        let life = self.members[m].life;
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some(attempt) = process.attempts.get_mut(&task) else { return };
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
                return Err(Unfinished { failure, patience });
            }
        };
        ending.streams = self.results(m, task);
        Ok(Box::new(ending))
    }

    /// The results of a batch, as a payload: what its steps told of each record.
    fn results(&mut self, m: usize, task: TaskId) -> Vec<StreamRef> {
        if self.truth(task).wish.kind != TaskKind::ImportBatch {
            return Vec::new();
        }
        let mut told = BTreeMap::new();
        for (record, end) in self.members[m].disk.journal(task).filter(|it| is_end(it)).flat_map(told_by) {
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

    fn upload(&mut self, m: usize, task: TaskId) {
        let Some(process) = self.members[m].process.as_ref() else { return };
        if !process.established {
            return;
        }
        let (Some((link, _)), Some(stream)) = (&process.link, process.uploads.get(&task)) else { return };
        let (link, stream) = (*link, *stream);
        self.send(link, End::Controller, Packet::Payload(task, stream));
    }

    // ---- what it hears ----

    /// Handles one input. Whether the process lives.
    fn member_handles(&mut self, m: usize, input: Input) -> bool {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return false };
        match input {
            Input::Introduce => self.introduce(m),
            Input::Welcomed(link, welcome, membership) => {
                process.ledger.handle_welcome(welcome.session, membership, now);
                process.welcome = Some((link, *welcome));
            }
            Input::Established(link, welcome) => self.established(m, link, &welcome),
            Input::Frame(frame) => return self.member_hears(m, *frame),
            Input::Intend(task, entry) => {
                process.next_ticket += 1;
                process.tickets.insert(process.next_ticket, task);
                let reach = Duration::from_millis(CALL_TIMEOUT);
                process.ledger.handle_intend(task, process.next_ticket, entry, reach, now);
            }
            Input::Record(task, entries) => {
                process.next_ticket += 1;
                process.tickets.insert(process.next_ticket, task);
                process.ledger.handle_record(task, process.next_ticket, entries);
            }
            Input::Ended(task, ended) => {
                process.under_way.entry(task).and_modify(|it| *it = true);
                match ended {
                    Ok(ending) => process.ledger.handle_concluded(task, *ending),
                    Err(unfinished) => process.ledger.handle_failed(task, unfinished, now),
                }
            }
            Input::PayloadHere(task, stream) => process.ledger.handle_stream_here(task, stream),
            Input::Uploaded(task) => {
                process.uploads.remove(&task);
                process.ledger.handle_uploaded(task);
            }
            Input::Disconnected => {
                process.established = false;
                process.ledger.handle_disconnected();
            }
            Input::Stop => {
                process.stopping = true;
                process.ledger.handle_stopping();
            }
        }
        true
    }

    /// A frame about work. Whether the process lives.
    fn member_hears(&mut self, m: usize, frame: FromController) -> bool {
        let true_time = self.agenda.now();
        let now = self.members[m].now(true_time);
        match frame {
            FromController::Offer(offer) => return self.member_is_offered(m, offer, now),
            FromController::ReportAck(ReportAck { upto }) => {
                self.heard_ack(m, upto);
                if !self.members[m].disk.reports.is_empty() && self.at_point(m, Point::ReportAcknowledged) {
                    return false;
                }
                let Some(process) = self.members[m].process.as_mut() else { return false };
                process.ledger.handle_report_ack(upto, now);
            }
            other => {
                let begun = matches!(&other, FromController::Cancel(it) if self.members[m].disk.is_begun(it.task));
                let Some(process) = self.members[m].process.as_mut() else { return false };
                match other {
                    FromController::Renewed(renewed) => process.ledger.handle_renewed(&renewed, now),
                    FromController::Cancel(cancel) => {
                        if begun {
                            self.coverage.met(Situation::CancelledBegun);
                        }
                        process.ledger.handle_cancel(cancel.task);
                    }
                    FromController::InventoryAsk(ask) => process.ledger.handle_inventory_ask(ask.nonce),
                    FromController::MemberState(change) => {
                        let Some(state) = change.state.known() else { return true };
                        if change.hard && !process.attempts.is_empty() {
                            self.coverage.met(Situation::DisabledHard);
                        }
                        let membership = Membership { state, epoch: change.epoch, hard: change.hard };
                        process.ledger.handle_member_state(membership, now);
                    }
                    _ => (),
                }
            }
        }
        true
    }

    fn heard_ack(&mut self, m: usize, upto: postern_protocol::ReportNo) {
        let (id, store) = (self.members[m].id, self.members[m].disk.incarnation);
        let stored = self.controllers.disk.records().numbers.get(&id).copied();
        self.oracle.member_heard(store, upto, stored.as_ref(), self.agenda.now());
    }

    fn member_is_offered(&mut self, m: usize, offer: Offer, now: Timestamp) -> bool {
        if self.at_point(m, Point::OfferTaken) {
            return false;
        }
        let true_time = self.agenda.now();
        let member = &mut self.members[m];
        let held: Vec<TaskId> = member.disk.tasks().collect();
        let situation = if held.contains(&offer.task) {
            Some(Situation::OfferedAgain)
        } else if member.disk.reports.values().any(|it| it.task == offer.task) {
            Some(Situation::OfferedReported)
        } else if member.disk.ended(offer.task) {
            Some(Situation::OfferedEnded)
        } else {
            None
        };
        let is_newer = member.disk.offer(offer.task).is_some_and(|it| it.epoch < offer.epoch);
        if is_newer && member.process.as_ref().is_some_and(|it| it.attempts.contains_key(&offer.task)) {
            self.coverage.met(Situation::Overtaken);
        }
        let streams_here =
            offer.streams.iter().map(|it| it.id).filter(|id| member.disk.payloads.contains(id)).collect();
        let Some(process) = member.process.as_mut() else { return false };
        process.offered += 1;
        if process.offered > process.granted {
            let seen = format!("member {m} was offered {} tasks and allowed {}", process.offered, process.granted);
            self.oracle.broken(17, true_time, seen);
        }
        let offered = Offered { offer, origin: Origin::Controller, refusal: None, streams_here };
        process.ledger.handle_offer(offered, now);
        let held = process.ledger.held();
        if usize::try_from(held.journaled + held.started).unwrap_or(usize::MAX) > SLOTS * 4 {
            self.oracle.broken(17, true_time, format!("member {m} holds {held:?}"));
        }
        if usize::try_from(held.journaled + held.started).unwrap_or(0) >= SLOTS * 2 {
            self.coverage.met(Situation::FullCredit);
        }
        if let Some(situation) = situation {
            self.coverage.met(situation);
        }
        true
    }

    /// Says what may be said.
    fn member_speaks(&mut self, m: usize) {
        loop {
            let now = self.members[m].now(self.agenda.now());
            let Some(process) = self.members[m].process.as_mut() else { return };
            let Some(link) = process.link.as_ref().filter(|_| process.established).map(|(link, _)| *link) else {
                return;
            };
            let Some(frame) = process.ledger.poll_transmit(now) else { return };
            match &frame {
                FromMember::Credit(credit) => process.granted = credit.offers.max(process.granted),
                FromMember::Reject(reject)
                    if reject.reason.known() == Some(postern_protocol::message::v1::Rejection::Draining) =>
                {
                    self.coverage.met(Situation::GaveBack);
                }
                _ => (),
            }
            self.send_frame_to_controller(link, &frame);
        }
    }

    fn send_frame_to_controller(&mut self, link: LinkId, frame: &FromMember) {
        match frame.encode() {
            Ok(bytes) => self.send(link, End::Controller, Packet::Frame(bytes)),
            Err(error) => self.oracle.broken(17, self.agenda.now(), format!("{} has no frame: {error}", frame.name())),
        }
    }

    // ---- its sessions ----

    /// A member tries to connect.
    pub fn dial(&mut self, m: usize) {
        let true_time = self.agenda.now();
        let now = self.members[m].now(true_time);
        let life = self.members[m].life;
        let nobody = self.controllers.process.is_none() || self.partitioned(m);
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.link.is_some() {
            return;
        }
        if nobody {
            let wait = process.backoff.handle_failure(now, self.chance.u32(..));
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(100);
            return self.agenda.put_after(wait, Happens::Dial(m, life));
        }
        self.member_input(m, Input::Introduce);
    }

    /// Says `Hello`.
    fn introduce(&mut self, m: usize) {
        let now = self.members[m].now(self.agenda.now());
        let (life, incarnation) = (self.members[m].life, self.members[m].disk.incarnation);
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.link.is_some() {
            return;
        }
        let hello = hello(&process.ledger, incarnation);
        let link = self.net.connect(m);
        process.link = Some((link, MemberSession::new(hello, now)));
        if self.controllers.process.is_some() {
            self.accept(link, m);
        }
        self.agenda.put_after(1, Happens::Speaks(m, life));
    }

    /// A session that just began says its first word.
    pub fn member_begins(&mut self, m: usize) {
        self.member_session(m);
        self.wake_member(m);
    }

    /// Something arrived at a member.
    pub fn member_receives(&mut self, m: usize, link: LinkId, packet: Packet) {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some((present, session)) = process.link.as_mut() else { return };
        if *present != link {
            return;
        }
        match packet {
            Packet::Frame(bytes) => match FromController::decode(&bytes) {
                Ok(frame) => {
                    session.handle_message(frame, now);
                    self.member_session(m);
                }
                Err(error) => self.oracle.broken(21, self.agenda.now(), format!("a frame cannot be read: {error}")),
            },
            Packet::Payload(task, stream) => {
                if process.established && process.ledger.expects(task, stream.id) == Some(stream) {
                    self.coverage.met(Situation::DatasetArrived);
                    self.members[m].disk.payloads.insert(stream.id);
                    self.member_input(m, Input::PayloadHere(task, stream.id));
                }
            }
            Packet::Taken(task, true) => self.member_input(m, Input::Uploaded(task)),
            Packet::Taken(task, false) => {
                let life = self.members[m].life;
                self.agenda.put_after(5_000, Happens::UploadAgain(m, life, task));
            }
            Packet::Closed => self.disconnect_member(m),
        }
    }

    /// Results could not be taken before.
    pub fn upload_again(&mut self, m: usize, task: TaskId) {
        self.upload(m, task);
    }

    /// Does what a member's session asks for.
    fn member_session(&mut self, m: usize) {
        loop {
            let Some(process) = self.members[m].process.as_mut() else { return };
            let Some((link, session)) = process.link.as_mut() else { return };
            let link = *link;
            if let Some(frame) = session.poll_transmit() {
                self.send_frame_to_controller(link, &frame);
                continue;
            }
            match session.poll_event() {
                None => return,
                Some(session::member::Event::Welcomed(welcome)) => {
                    let Some(state) = welcome.state.known() else { return };
                    let membership = Membership { state, epoch: welcome.member_epoch, hard: welcome.hard };
                    self.member_input(m, Input::Welcomed(link, welcome, membership));
                }
                Some(session::member::Event::Message(frame)) => self.member_input(m, Input::Frame(Box::new(frame))),
                Some(session::member::Event::Ended(why)) => {
                    if let session::Ended::Refused { retry_after, .. }
                    | session::Ended::GoneAway { reconnect_after: retry_after, .. } = &why
                    {
                        process.backoff.handle_asked(*retry_after);
                    }
                    match why {
                        session::Ended::Silent(_) => self.coverage.met(Situation::HalfOpen),
                        session::Ended::Refused { reason, .. } if reason == "rolled_back" => {
                            self.coverage.met(Situation::RolledBack);
                        }
                        session::Ended::Violation { frame, place } => {
                            self.oracle.broken(9, self.agenda.now(), format!("member {m} was sent {frame} {place}"));
                        }
                        _ => (),
                    }
                    return self.disconnect_member(m);
                }
            }
        }
    }

    /// What a `Welcome` brought is durable: the session is confirmed, then work may flow.
    fn confirm(&mut self, m: usize, link: LinkId, welcome: Welcome) {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some((_, session)) = process.link.as_mut().filter(|(present, _)| *present == link) else { return };
        session.handle_durable();
        let mut said = Vec::new();
        while let Some(frame) = session.poll_transmit() {
            said.push(frame);
        }
        process.backoff.handle_established(now);
        process.inputs.push_back(Input::Established(link, Box::new(welcome)));
        for frame in said {
            self.send_frame_to_controller(link, &frame);
        }
    }

    fn established(&mut self, m: usize, link: LinkId, welcome: &Welcome) {
        let now = self.members[m].now(self.agenda.now());
        let Some(process) = self.members[m].process.as_mut() else { return };
        if process.link.as_ref().is_none_or(|(present, _)| *present != link) {
            return;
        }
        (process.established, process.granted, process.offered) = (true, 0, 0);
        self.tell(|_| format!("member {m} has session {}", welcome.session));
        self.heard_ack(m, welcome.acked_report);
        let Some(process) = self.members[m].process.as_mut() else { return };
        let ttl = Duration::from_millis(welcome.lease_ttl_ms.into());
        process.ledger.handle_established(welcome.acked_report, ttl, now);
        let uploads: Vec<TaskId> = process.uploads.keys().copied().collect();
        for task in uploads {
            self.coverage.met(Situation::UploadedAgain);
            self.upload(m, task);
        }
    }

    /// A member's session is over on its side.
    pub fn disconnect_member(&mut self, m: usize) {
        let now = self.members[m].now(self.agenda.now());
        let life = self.members[m].life;
        let Some(process) = self.members[m].process.as_mut() else { return };
        let Some((link, _)) = process.link.take() else { return };
        let wait = process.backoff.handle_failure(now, self.chance.u32(..));
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(10);
        self.agenda.put_after(wait, Happens::Dial(m, life));
        self.end_link(link);
        self.member_input(m, Input::Disconnected);
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
                // From before the last session or an acknowledged report: else a copy cannot be told from the store that
                // a crash left.
                let (id, present) = (self.members[m].id, self.members[m].disk.session);
                let acked = self.controllers.disk.records().numbers.get(&id).map(|it| it.acked).unwrap_or_default();
                let older = |(at, disk): &&(Millis, MemberDisk)| {
                    at + by <= now && (disk.session < present || disk.next_report() <= acked)
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
            _ => (),
        }
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

fn limits() -> Limits {
    Limits {
        tombstones: 32,
        // Few, so that it is met.
        import_deaths: 3,
        ..Limits::for_systems(BTreeMap::from([(SYSTEM.parse().expect("it is a name"), SLOTS)]))
    }
}

fn hello(ledger: &Ledger, incarnation: Incarnation) -> Hello {
    let kinds = [
        TaskKind::EnableUser,
        TaskKind::DisableUser,
        TaskKind::ValidateUser,
        TaskKind::ResetPassword,
        TaskKind::ExpirePassword,
        TaskKind::ImportBatch,
    ];
    let system = ServedSystem {
        name: SYSTEM.parse().expect("it is a name"),
        connector: Text::clipped("model"),
        kinds: List::clipped(kinds.into_iter().map(Into::into).collect()),
    };
    Hello {
        agent_version: Text::clipped("0"),
        host: Text::clipped("host"),
        incarnation,
        last_session: ledger.session_no(),
        revisions: List::clipped(FromMember::REVISIONS.to_vec()),
        systems: List::clipped(vec![system]),
        sealing_keys: List::default(),
        next_report: ledger.next_report(),
        held: ledger.held(),
        ext: List::default(),
    }
}
