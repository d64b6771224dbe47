//! The controllers: the real state and sessions, driven as the controller's dispatcher and link drive them.
//!
//! Two of them share one disk. Whoever has it locked works; when it dies, either may be the next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use postern_controller_stub::access::Role;
use postern_controller_stub::ca::{Authority, RootNo};
use postern_controller_stub::clock::Moment;
use postern_controller_stub::membership::Action;
use postern_controller_stub::state::ledger::{self, Write};
use postern_controller_stub::state::members::MemberView;
use postern_controller_stub::state::record::{
    Association, ClusterRecord, MemberRecord, SystemDetails, SystemRecord, TaskState,
};
use postern_controller_stub::state::{
    Greeting, Introduction, Resealing, Retention, SessionHandle, Settings, State, ToSession, Turn,
};
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{Hello, MembershipState, StreamFault, StreamOpen, StreamRef};
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::session::ControllerSession;
use postern_protocol::time::UnixMillis;
use postern_protocol::{Epoch, MemberId, SessionNo, TaskId, Timestamp};
use tokio::sync::mpsc;

use crate::agenda::Millis;
use crate::coverage::Situation;
use crate::disk::{ControllerDisk, ControllerRecords};
use crate::net::{End, LinkId, Packet, Taken};
use crate::workload::{CONTROLLERS, Fault, Turning, WALL};
use crate::world::{CLUSTER, Happens, SYSTEM, World};

mod put_back;
mod session;
mod submission;

use submission::{sealed_to_all, submission};

/// Requests decided in one turn.
const MAX_REQUESTS: usize = 64;
/// Changes after which a turn ends.
const MAX_CHANGES: usize = 256;
/// How often leases and deadlines are looked at.
const TICK: Millis = 500;
/// What most secrets are sealed to: every member has it.
const EVERYBODYS_KEY: SealingPublicKey = SealingPublicKey([7; 32]);

/// What only that member has.
fn key_of(member: usize) -> SealingPublicKey {
    SealingPublicKey([u8::try_from(member).unwrap_or_default() + 8; 32])
}

/// The controllers and their disk.
pub struct Controllers {
    /// What is on it.
    pub disk: ControllerDisk,
    /// The one that works.
    pub process: Option<Process>,
    /// The number of its life.
    pub life: u64,
    /// Which of them worked last.
    pub which: usize,
    /// Nothing of it moves before.
    pub paused: Millis,
    /// How far their wall clock is off.
    pub wall: i64,
    /// Where it is to die, and for how long.
    pub trap: Option<(Turning, Millis)>,
    /// When each member was last there and enabled, as far as the controllers know.
    pub seen: Vec<Millis>,
    /// Copies of what was on their disk, and of when.
    pub copies: Vec<(Millis, ControllerRecords)>,
    /// Who is put out by the next that starts.
    put_out_again: Vec<(MemberId, Action)>,
    authority: Arc<Authority>,
}

/// A controller's process.
pub struct Process {
    state: State,
    sessions: BTreeMap<LinkId, Session>,
    requests: VecDeque<Request>,
    committing: Option<Committing>,
}

struct Session {
    member: MemberId,
    machine: ControllerSession,
    number: Option<SessionNo>,
    handle: SessionHandle,
    words: mpsc::Receiver<ToSession>,
}

struct Committing {
    writes: Vec<Write>,
    turn: Turn,
    after: Vec<After>,
}

/// What is asked of the state's owner.
#[derive(Debug)]
pub enum Request {
    Introduce(LinkId, Box<Hello>),
    Establish(MemberId, SessionNo),
    Hear(MemberId, SessionNo, Box<FromMember>),
    Disconnect(MemberId, SessionNo),
    Results(LinkId, TaskId, StreamRef),
    Submit(usize),
    Cancel(TaskId),
    SealAgain(TaskId),
    Operate(MemberId, Action),
    Tick,
}

/// What waits for a commit.
enum After {
    Greet(LinkId, Box<Greeting>),
    Submitted(usize),
    Taken(LinkId, TaskId, Taken),
}

impl Controllers {
    /// Over an empty disk, with these members.
    pub fn new(authority: Arc<Authority>, members: &[MemberId]) -> Self {
        let disk = ControllerDisk::default();
        let created = UnixMillis(WALL);
        let cluster = ClusterRecord { name: CLUSTER.parse().expect("it is a name"), created };
        let system = SystemRecord {
            revision: 0,
            name: SYSTEM.parse().expect("it is a name"),
            connector: "model".to_owned(),
            display_name: String::new(),
            description: String::new(),
            association: Association::Cluster(cluster.name.clone()),
            details: SystemDetails::default(),
            created,
            log_level: None,
        };
        let mut writes = vec![Write::Cluster(cluster.clone()), Write::System(system)];
        writes.extend(members.iter().enumerate().map(|(m, id)| {
            Write::Member(MemberRecord {
                id: *id,
                cluster: cluster.name.clone(),
                host: String::new(),
                agent_version: String::new(),
                state: MembershipState::Enabled,
                epoch: Epoch(1),
                hard: false,
                disable_when_drained: false,
                alarm: None,
                sealing_keys: vec![EVERYBODYS_KEY, key_of(m)],
                certificate: BASE64.encode(id.as_bytes()),
                serial: String::new(),
                certificate_expires: UnixMillis(u64::MAX),
                root: RootNo::FIRST,
                trusts: vec![RootNo::FIRST],
                acked_bundle: 1,
                next: None,
                enrolled: created,
                seen: None,
            })
        }));
        for write in &writes {
            disk.records().apply(write);
        }
        Self {
            disk,
            process: None,
            life: 0,
            which: 0,
            paused: 0,
            wall: 0,
            trap: None,
            seen: vec![0; members.len()],
            copies: Vec::new(),
            put_out_again: Vec::new(),
            authority,
        }
    }

    /// The present moment, as the controllers see it.
    pub fn moment(&self, true_time: Millis) -> Moment {
        let wall = UnixMillis((WALL + true_time).saturating_add_signed(self.wall));
        Moment { now: self.now(true_time), wall }
    }

    /// On the clock that decides. Each host's has an origin of its own.
    fn now(&self, true_time: Millis) -> Timestamp {
        Timestamp::from_millis(true_time + 7_777 * u64::try_from(self.which + 1).unwrap_or(1))
    }
}

impl World {
    /// A controller's process starts.
    pub fn start_controller(&mut self) {
        let now = self.agenda.now();
        if self.controllers.process.is_some() {
            return;
        }
        let which = self.chance.usize(0..CONTROLLERS);
        if which != self.controllers.which {
            self.coverage.met(Situation::FailedOver);
        }
        self.controllers.which = which;
        self.controllers.life += 1;
        let settings = Settings {
            auto_approve: false,
            certificate_life: Duration::from_secs(7 * 24 * 60 * 60),
            recovery: Duration::ZERO,
            lease_ttl: Duration::from_millis(self.pace.lease),
            settle: Duration::from_millis(self.pace.settle),
            heartbeat: Duration::from_secs(10),
            keep: Retention { days: 365, newest: 1_000_000 },
        };
        let (disk, authority) = (self.controllers.disk.clone(), Arc::clone(&self.controllers.authority));
        match State::open(disk, authority, settings, self.controllers.moment(now)) {
            Ok(state) => {
                let (sessions, requests) = (BTreeMap::new(), VecDeque::new());
                self.controllers.process = Some(Process { state, sessions, requests, committing: None });
                self.expect_members();
                self.put_out_again();
                self.tick();
            }
            Err(error) => self.oracle.broken(0, now, format!("the controller cannot go on: {error}")),
        }
    }

    /// Time passes for the controller.
    pub fn tick(&mut self) {
        let life = self.controllers.life;
        self.agenda.put_after(TICK, Happens::ControllerTicks(life));
        self.see_members();
        self.ask_controller(Request::Tick);
    }

    /// A controller that just started has not seen anybody yet, and waits for those that are enabled.
    fn expect_members(&mut self) {
        let now = self.agenda.now();
        let records = self.controllers.disk.records();
        for (member, seen) in self.members.iter().zip(&mut self.controllers.seen) {
            let is_enabled = records.member(member.id).is_some_and(|it| it.state == MembershipState::Enabled);
            *seen = if is_enabled { now } else { 0 };
        }
    }

    fn see_members(&mut self) {
        let now = self.agenda.now();
        let Some(process) = self.controllers.process.as_ref() else { return };
        for (member, seen) in self.members.iter().zip(&mut self.controllers.seen) {
            let is_there = |it: MemberView| it.connected && it.state == MembershipState::Enabled;
            if process.state.member(member.id).is_ok_and(is_there) {
                *seen = now;
            }
        }
    }

    /// What a member refused once, it may take in a session of a process that allows changes.
    fn forget_refusals(&mut self, member: MemberId, link: LinkId) {
        let Some(m) = self.members.iter().position(|it| it.id == member && it.allows_changes_over(link)) else {
            return;
        };
        for truth in self.tasks.values_mut() {
            truth.refused_by.remove(&m);
        }
    }

    /// The controller's process dies, and one starts after `down`.
    pub fn kill_controller(&mut self, down: Millis) {
        self.tell(|_| "the controller dies".to_owned());
        let Some(process) = self.controllers.process.take() else { return };
        self.controllers.life += 1;
        self.controllers.trap = None;
        self.coverage.met(Situation::ControllerRestarted);
        if let Some(mut committing) = process.committing {
            ledger::in_safe_order(&mut committing.writes);
            let kept = ControllerDisk::tear(&committing.writes, &mut self.chance);
            if kept > 0 && kept < committing.writes.len() {
                self.coverage.met(Situation::TornControllerCommit);
            }
            committing.writes.truncate(kept);
            self.controller_durable(&committing.writes);
        }
        for link in process.sessions.keys() {
            self.net.kill(*link, End::Controller);
            if self.chance.u8(0..4) > 0 {
                self.send(*link, End::Member, Packet::Closed);
            } else {
                self.net.kill(*link, End::Member);
            }
        }
        self.agenda.put_after(down.max(1), Happens::StartController);
    }

    /// A fault that the controllers suffer.
    pub fn controller_suffers(&mut self, fault: &Fault) {
        match *fault {
            Fault::KillController(down) => self.kill_controller(down),
            Fault::KillControllerAt(turning, down) => self.controllers.trap = Some((turning, down)),
            Fault::PutBackController(ago, down) => self.put_controller_back(ago, down),
            Fault::PauseController(time) => self.controllers.paused = self.agenda.now() + time,
            Fault::JumpWall(by) => {
                if self.tasks.values().any(|it| it.wish.deadline.is_some() && it.is_open) {
                    self.coverage.met(Situation::WallJumped);
                }
                if by > self.controllers.wall {
                    self.tasks.values_mut().filter(|it| it.is_open).for_each(|it| it.wall_went_on = true);
                }
                self.controllers.wall = by;
            }
            _ => (),
        }
    }

    /// The controller is where it may have to die. Whether it did.
    fn at_turning(&mut self, turning: Turning) -> bool {
        let Some((_, down)) = self.controllers.trap.filter(|(at, _)| *at == turning) else { return false };
        match turning {
            Turning::LeaseDurable => self.coverage.met(Situation::DiedWithLease),
            Turning::ReportStored => self.coverage.met(Situation::DiedWithStoredReport),
            Turning::Committing => (),
        }
        self.kill_controller(down);
        true
    }

    // ---- the owner of the state ----

    /// Something for the owner of the state.
    pub fn ask_controller(&mut self, request: Request) {
        if let Some(process) = self.controllers.process.as_mut() {
            process.requests.push_back(request);
            self.turn();
        }
    }

    /// Decides what waits, commits it, and only then speaks: the controller's own loop.
    fn turn(&mut self) {
        loop {
            let now = self.agenda.now();
            let moment = self.controllers.moment(now);
            let Some(process) = self.controllers.process.as_mut() else { return };
            if process.committing.is_some() || process.requests.is_empty() {
                return;
            }
            let mut after = Vec::new();
            let mut may_wait = true;
            for _ in 0..MAX_REQUESTS {
                let Some(process) = self.controllers.process.as_mut() else { return };
                if process.state.pending() >= MAX_CHANGES {
                    break;
                }
                let Some(request) = process.requests.pop_front() else { break };
                may_wait &= !matches!(request, Request::Tick);
                after.extend(self.decide(request, moment));
            }
            let Some(process) = self.controllers.process.as_mut() else { return };
            if let Err(error) = process.state.assign(moment) {
                return self.oracle.broken(0, now, format!("a task cannot be offered: {error}"));
            }
            if may_wait && after.is_empty() && process.state.is_quiet() && process.state.pending() < MAX_CHANGES {
                continue;
            }
            let mut turn = process.state.end_turn();
            let writes = std::mem::take(&mut turn.writes);
            if writes.is_empty() {
                self.speak(turn, after);
                continue;
            }
            process.committing = Some(Committing { writes, turn, after });
            let life = self.controllers.life;
            let takes = self.chance.u64(1..self.pace.disk);
            self.agenda.put_after(takes, Happens::ControllerDisk(life));
            self.at_turning(Turning::Committing);
            return;
        }
    }

    fn decide(&mut self, request: Request, at: Moment) -> Option<After> {
        let true_time = self.agenda.now();
        let process = self.controllers.process.as_mut()?;
        let state = &mut process.state;
        match request {
            Request::Tick => state.tick(at),
            Request::Introduce(link, hello) => {
                let session = process.sessions.get(&link)?;
                if state.member(session.member).is_ok_and(|it| it.connected) {
                    self.coverage.met(Situation::Replaced);
                }
                let introduction = Introduction {
                    cluster: CLUSTER.parse().expect("it is a name"),
                    member: session.member,
                    certificate: session.member.as_bytes().to_vec(),
                    address: String::new(),
                    hello: *hello,
                    session: session.handle.clone(),
                };
                return Some(After::Greet(link, Box::new(state.introduce(introduction, at))));
            }
            Request::Establish(member, number) => {
                state.establish(member, number, at);
                let of_number = |it: &(&LinkId, &Session)| it.1.member == member && it.1.number == Some(number);
                if let Some(link) = process.sessions.iter().find(of_number).map(|(link, _)| *link) {
                    self.forget_refusals(member, link);
                }
            }
            Request::Hear(member, number, frame) => {
                if let FromMember::Renew(renew) = &*frame {
                    self.renewals.insert((member, renew.nonce), true_time);
                }
                state.hear(member, number, *frame, at);
            }
            Request::Disconnect(member, number) => state.disconnect(member, number, at),
            Request::Results(link, task, stream) => {
                let session = process.sessions.get(&link)?;
                let (member, number) = (session.member, session.number?);
                let taken = match state.open_output(member, number, &StreamOpen { task, stream }, at)? {
                    Ok(record) if state.complete_output(member, number, record.id, at) => Taken::Stored,
                    Err(StreamFault::Unknown) => Taken::Unwanted,
                    Ok(_) | Err(_) => Taken::NotNow,
                };
                return Some(After::Taken(link, task, taken));
            }
            Request::Submit(step) => {
                let truth = self.tasks.values().find(|it| it.step == step)?;
                let (submission, stream) = submission(truth.id, &truth.wish);
                if let Some(stream) = stream
                    && state.stream(stream.id).is_none()
                    && state.add_input(stream, None, at).is_err()
                {
                    return None;
                }
                match state.submit(submission, Role::Operator, at) {
                    Ok(_) => return Some(After::Submitted(step)),
                    Err(refusal) => {
                        self.oracle.broken(1, true_time, format!("a task was not taken: {}", refusal.message));
                    }
                }
            }
            Request::Cancel(task) => drop(state.cancel_task(task, at)),
            Request::SealAgain(task) => {
                let sealed = sealed_to_all(task, &self.tasks.get(&task)?.wish);
                let was_stuck = state.task(task).is_ok_and(|it| it.state == "needs_reseal");
                if state.reseal(task, &Resealing { sealed, signature: None }).is_ok() && was_stuck {
                    self.coverage.met(Situation::SealedAgain);
                }
            }
            Request::Operate(member, action) => {
                // Whoever is put out before a controller that started has seen it is not waited for.
                let is_unseen = state.member(member).is_ok_and(|it| !it.connected);
                let number = self.members.iter().position(|it| it.id == member);
                let seen = number.and_then(|number| self.controllers.seen.get_mut(number));
                if let Some(seen) = seen.filter(|_| is_unseen && action != Action::Enable) {
                    *seen = 0;
                }
                drop(state.act_on_member(member, action, at));
            }
        }
        None
    }

    /// A commit of the controller is done.
    pub fn controller_committed(&mut self) {
        let Some(process) = self.controllers.process.as_mut() else { return };
        let Some(Committing { writes, turn, after }) = process.committing.take() else { return };
        self.controller_durable(&writes);
        let leases =
            writes.iter().any(|it| matches!(it, Write::Task(task) if matches!(task.state, TaskState::Leased { .. })));
        let reports = writes.iter().any(|it| matches!(it, Write::Report(_)));
        if leases && self.at_turning(Turning::LeaseDurable) || reports && self.at_turning(Turning::ReportStored) {
            return;
        }
        self.speak(turn, after);
        self.turn();
    }

    /// Writes are on the controllers' disk.
    fn controller_durable(&mut self, writes: &[Write]) {
        let now = self.agenda.now();
        let disk = self.controllers.disk.clone();
        for write in writes {
            match write {
                Write::Task(task) => {
                    let before = disk.records().tasks.get(&task.id).cloned();
                    self.observe_task(before.as_ref(), task);
                    self.oracle.task_is(task, now);
                }
                Write::Numbers(member, numbers) => self.oracle.numbers_are(*member, numbers, now),
                _ => (),
            }
            disk.records().apply(write);
        }
        self.one_holder_a_target();
    }

    fn one_holder_a_target(&mut self) {
        let records = self.controllers.disk.records();
        let mut held: BTreeMap<&str, TaskId> = BTreeMap::new();
        let mut twice = None;
        for task in records.tasks.values().filter(|it| it.state.holder().is_some() && !it.target.is_empty()) {
            if let Some(other) = held.insert(&task.target, task.id) {
                twice = Some(format!("{other} and {} are both leased for {}", task.id, task.target));
            }
        }
        if let Some(seen) = twice {
            self.oracle.broken(8, self.agenda.now(), seen);
        }
    }

    /// Lets out what waited for the commit.
    fn speak(&mut self, turn: Turn, after: Vec<After>) {
        for reply in after {
            match reply {
                After::Greet(link, greeting) => self.greet(link, *greeting),
                After::Submitted(step) => self.submitted(step),
                After::Taken(link, task, taken) => self.send(link, End::Member, Packet::Taken(task, taken)),
            }
        }
        turn.speak();
        let links: Vec<LinkId> = self.controllers.process.iter().flat_map(|it| it.sessions.keys()).copied().collect();
        for link in links {
            self.pass_words_on(link);
        }
    }
}
