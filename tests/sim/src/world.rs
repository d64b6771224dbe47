//! Everything together: one seed, one thread, no clock, no socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use postern_agent_core::JournalEntry;
use postern_controller_stub::ca::Authority;
use postern_controller_stub::state::record::{TaskRecord, TaskState};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::MembershipState;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::Repeat;
use postern_protocol::{MemberId, Outcome, StreamId, TaskId, TaskKind};

use crate::agenda::{Agenda, Millis};
use crate::attempt::{Answer, Told, Undone, rejected, transient};
use crate::controller::{Controllers, Request};
use crate::coverage::{Coverage, Situation};
use crate::disk::MemberDisk;
use crate::member::{Input, Member};
use crate::net::{End, LinkId, Net, Packet};
use crate::oracle::{Broken, Oracle, Violation};
use crate::salesforce::{CALL_TIMEOUT, Change, LATEST_COMMIT, Question, Salesforce};
use crate::truth::{Call, Fate, Truth};
use crate::workload::{Does, Fault, MEMBERS, Plan, TROUBLE, WALL, Ways};

/// The one cluster.
pub const CLUSTER: &str = "acme";
/// The one connected system.
pub const SYSTEM: &str = "salesforce";
/// How long everything has to come to its end once nothing goes wrong any more.
const HEALING: Millis = 3 * 3_600_000;
/// How often it is looked whether it has.
const LOOKS: Millis = 30_000;
/// The most events of a run: far more than any has had. More means that something goes round in circles.
const MAX_EVENTS: u64 = 3_000_000;

/// What happens.
#[derive(Debug)]
pub enum Happens {
    StartMember(usize),
    MemberDisk(usize, u64),
    MemberWakes(usize, u64),
    MemberInput(usize, u64, Input),
    Answer(usize, u64, TaskId, Option<Answer>),
    UploadAgain(usize, u64, TaskId),
    Dial(usize, u64),
    Speaks(usize, u64),
    StartController,
    ControllerDisk(u64),
    ControllerTicks(u64),
    SessionWakes(u64, LinkId),
    Arrives(LinkId, End),
    Commits(TaskId, usize),
    Step(usize),
    SubmitAgain(usize),
    Backup,
}

/// How fast things are in this run.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a lease lasts.
    pub lease: Millis,
    /// How long the controller waits for what a lost holder may have begun.
    pub settle: Millis,
    /// How long a commit may take.
    pub disk: Millis,
    /// How long a frame may take.
    pub net: Millis,
}

/// Everything.
pub struct World {
    /// What happens when.
    pub agenda: Agenda<Happens>,
    /// Chance in small things.
    pub chance: Rng,
    /// How fast things are.
    pub pace: Pace,
    /// The members.
    pub members: Vec<Member>,
    /// When a member that was asked to stop starts again.
    pub restart_after: Vec<Millis>,
    /// The controllers.
    pub controllers: Controllers,
    /// The connections.
    pub net: Net,
    /// What must hold.
    pub oracle: Oracle,
    /// What was met.
    pub coverage: Coverage,
    /// What is true of the tasks.
    pub tasks: BTreeMap<TaskId, Truth>,
    /// When the controller decided on a renewal, by who asked and its number.
    pub renewals: BTreeMap<(MemberId, u64), Millis>,
    /// What each payload with results tells of which record.
    pub told: BTreeMap<StreamId, BTreeMap<u64, Told>>,
    /// What happened, for people, if all of it is told.
    pub fates: Vec<String>,
    /// Whether somebody wants to know.
    pub told_all: bool,
    org: Salesforce,
    plan: Plan,
    partitions: Vec<(usize, Millis)>,
    refusing: Millis,
    silent: Millis,
    healed: bool,
    events: u64,
}

/// How much of a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// How it ended.
    End,
    /// Everything.
    All,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Run {
    /// What does not hold, if anything.
    pub violation: Option<Violation>,
    /// What was met.
    pub coverage: Coverage,
    /// Tasks taken in.
    pub tasks: usize,
    /// Changes that took effect.
    pub effects: usize,
    /// Faults injected.
    pub faults: usize,
    /// Events.
    pub events: u64,
    /// What happened, for people, if all of it is told.
    pub fates: Vec<String>,
}

impl World {
    /// Runs a plan to its end, or to the first violation.
    pub fn run(plan: &Plan, authority: &Arc<Authority>, telling: Telling) -> Run {
        let mut world = Self::new(plan.clone(), authority);
        world.told_all = telling == Telling::All;
        world.begin();
        world.go_until(TROUBLE);
        world.heal();
        let end = world.agenda.now() + HEALING;
        while world.oracle.violation.is_none() && !world.is_quiet() && world.agenda.now() < end {
            world.let_in();
            let until = world.agenda.now() + LOOKS;
            world.go_until(until);
        }
        world.check_liveness();
        world.check_effects();
        let faults = plan.steps.iter().filter(|(_, step)| !matches!(step.does, Does::Submit(_))).count();
        Run {
            violation: world.oracle.violation,
            coverage: world.coverage,
            tasks: world.tasks.len(),
            effects: world.org.effects,
            faults,
            events: world.events,
            fates: world.fates,
        }
    }

    fn new(plan: Plan, authority: &Arc<Authority>) -> Self {
        let mut chance = Rng::with_seed(plan.seed ^ 0x5eed);
        let lease = chance.u64(20_000..60_000);
        let pace = Pace {
            lease,
            settle: CALL_TIMEOUT + LATEST_COMMIT + 5_000,
            disk: chance.u64(2..400),
            net: chance.u64(2..800),
        };
        let members: Vec<Member> = (0..MEMBERS)
            .map(|_| Member {
                id: MemberId::from_random(WALL, chance.u128(..).to_be_bytes()[..10].try_into().unwrap_or_default()),
                disk: MemberDisk::new(Incarnation::from_bytes(chance.u128(..).to_be_bytes())),
                backups: Vec::new(),
                clock: chance.u64(0..1_000_000_000),
                paused: 0,
                life: 0,
                process: None,
                trap: None,
                bad_disk: None,
                put_back: 0,
            })
            .collect();
        let ids: Vec<MemberId> = members.iter().map(|it| it.id).collect();
        Self {
            agenda: Agenda::default(),
            chance,
            pace,
            restart_after: vec![0; members.len()],
            members,
            controllers: Controllers::new(Arc::clone(authority), &ids),
            net: Net::default(),
            oracle: Oracle::default(),
            coverage: Coverage::default(),
            tasks: BTreeMap::new(),
            renewals: BTreeMap::new(),
            told: BTreeMap::new(),
            fates: Vec::new(),
            told_all: false,
            org: Salesforce::default(),
            plan,
            partitions: Vec::new(),
            refusing: 0,
            silent: 0,
            healed: false,
            events: 0,
        }
    }

    fn begin(&mut self) {
        for (number, step) in self.plan.steps.clone() {
            self.agenda.put(step.at, Happens::Step(number));
        }
        self.start_controller();
        for m in 0..MEMBERS {
            let at = self.chance.u64(0..2_000);
            self.agenda.put(at, Happens::StartMember(m));
        }
        self.agenda.put(5_000, Happens::Backup);
    }

    fn go_until(&mut self, until: Millis) {
        while self.oracle.violation.is_none() {
            let Some(event) = self.agenda.next(until) else { return };
            self.events += 1;
            if self.events > MAX_EVENTS {
                self.oracle.broken(0, self.agenda.now(), format!("{MAX_EVENTS} events, and no end"));
            }
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Happens) {
        match event {
            Happens::StartMember(m) => self.start_member(m),
            Happens::MemberDisk(m, life) => {
                self.of_member(m, life, Happens::MemberDisk(m, life), |it| it.member_committed(m));
            }
            Happens::MemberWakes(m, life) => {
                self.of_member(m, life, Happens::MemberWakes(m, life), |it| it.member_wakes(m));
            }
            Happens::Dial(m, life) => self.of_member(m, life, Happens::Dial(m, life), |it| it.dial(m)),
            Happens::Speaks(m, life) => self.of_member(m, life, Happens::Speaks(m, life), |it| it.member_begins(m)),
            Happens::UploadAgain(m, life, task) => {
                self.of_member(m, life, Happens::UploadAgain(m, life, task), |it| it.upload_again(m, task));
            }
            Happens::MemberInput(m, life, input) => {
                if self.waits_for_member(m, life) {
                    return self.agenda.put(self.members[m].paused, Happens::MemberInput(m, life, input));
                }
                if self.members[m].life == life {
                    self.member_input(m, input);
                }
            }
            Happens::Answer(m, life, task, answer) => {
                if self.waits_for_member(m, life) {
                    return self.agenda.put(self.members[m].paused, Happens::Answer(m, life, task, answer));
                }
                if self.members[m].life == life {
                    self.answered(m, task, answer);
                }
            }
            Happens::StartController => self.start_controller(),
            Happens::ControllerDisk(life) => {
                self.of_controller(life, Happens::ControllerDisk(life), Self::controller_committed);
            }
            Happens::ControllerTicks(life) => self.of_controller(life, Happens::ControllerTicks(life), Self::tick),
            Happens::SessionWakes(life, link) => {
                self.of_controller(life, Happens::SessionWakes(life, link), |it| it.session_wakes(link));
            }
            Happens::Arrives(link, to) => self.arrives(link, to),
            Happens::Commits(task, call) => self.commits(task, call),
            Happens::Step(number) => self.step(number),
            Happens::SubmitAgain(step) => self.submit(step),
            Happens::Backup => self.back_up(),
        }
    }

    fn waits_for_member(&self, m: usize, life: u64) -> bool {
        self.members[m].life == life && self.members[m].paused > self.agenda.now()
    }

    /// Has something happen to a member's process, once it moves, if it still lives.
    fn of_member(&mut self, m: usize, life: u64, again: Happens, work: impl FnOnce(&mut Self)) {
        if self.waits_for_member(m, life) {
            self.agenda.put(self.members[m].paused, again);
        } else if self.members[m].life == life {
            work(self);
        }
    }

    fn of_controller(&mut self, life: u64, again: Happens, work: impl FnOnce(&mut Self)) {
        if self.controllers.life != life {
            return;
        }
        if self.controllers.paused > self.agenda.now() {
            self.agenda.put(self.controllers.paused, again);
        } else {
            work(self);
        }
    }

    // ---- the net ----

    /// Sends something over a connection.
    pub fn send(&mut self, link: LinkId, to: End, packet: Packet) {
        let delay = self.chance.u64(1..self.pace.net);
        if let Some(at) = self.net.send(link, to, packet, self.agenda.now(), delay) {
            self.agenda.put(at, Happens::Arrives(link, to));
        }
    }

    fn arrives(&mut self, link: LinkId, to: End) {
        let now = self.agenda.now();
        let Some(m) = self.net.link(link).map(|it| it.member) else { return };
        let paused = match to {
            End::Member => self.members[m].paused,
            End::Controller => self.controllers.paused,
        };
        if paused > now {
            return self.agenda.put(paused, Happens::Arrives(link, to));
        }
        match self.net.receive(link, to, now) {
            Err(later) => self.agenda.put(later, Happens::Arrives(link, to)),
            Ok(None) => (),
            Ok(Some(packet)) => match to {
                End::Member => self.member_receives(m, link, packet),
                End::Controller => self.controller_receives(link, packet),
            },
        }
    }

    /// Whether nothing of a member gets through now.
    pub fn partitioned(&self, m: usize) -> bool {
        self.partitions.iter().any(|(member, until)| *member == m && *until > self.agenda.now())
    }

    // ---- Salesforce ----

    /// An attempt reads.
    pub fn read(&mut self, m: usize, task: TaskId, question: &Question) {
        let life = self.members[m].life;
        let after = self.chance.u64(20..1_500);
        let chance = self.chance.u8(0..100);
        let bad = if self.refusing > self.agenda.now() || self.silent > self.agenda.now() { 50 } else { 2 };
        let seen =
            if chance < bad && !self.healed { Err(transient("UNAVAILABLE")) } else { Ok(self.org.look(question)) };
        self.agenda.put_after(after, Happens::Answer(m, life, task, Some(Answer::Seen(seen))));
    }

    /// An attempt makes a change.
    pub fn call(&mut self, m: usize, task: TaskId, intent: &JournalEntry, change: Change) {
        let now = self.agenda.now();
        self.tell(|_| format!("member {m} asks for {change:?}"));
        self.check_call(m, task, intent, &change);
        let life = self.members[m].life;
        let by = self.members[m].memory();
        let calls = &mut self.truth(task).calls;
        let call = calls.len();
        calls.push(Call { change, by, fate: Fate::Answered, at: now, committed: false });
        let (soon, answers) = (self.chance.u64(20..2_000), self.chance.u64(10..2_000));
        let luck = self.chance.u8(0..100);
        let (refused, unanswered) = match () {
            () if self.healed => (0, 0),
            () if self.refusing > now => (70, 75),
            () if self.silent > now => (2, 80),
            () => (4, 12),
        };
        if luck < refused {
            if self.refusing > now {
                self.coverage.met(Situation::LockedStorm);
            }
            self.truth(task).calls[call].fate = Fate::Refused;
            let failure = if luck == 0 { rejected("FIELD_INTEGRITY") } else { transient("UNABLE_TO_LOCK_ROW") };
            let answer = Answer::Changed(Err(Undone::Not(failure)));
            self.agenda.put_after(soon, Happens::Answer(m, life, task, Some(answer)));
        } else if luck < unanswered {
            self.truth(task).calls[call].fate = Fate::Lost;
            let at = match self.chance.u8(0..3) {
                0 => Some(soon),
                1 => {
                    self.coverage.met(Situation::LateCommit);
                    Some(CALL_TIMEOUT + self.chance.u64(0..LATEST_COMMIT))
                }
                _ => {
                    self.coverage.met(Situation::NeverCommitted);
                    None
                }
            };
            if let Some(at) = at {
                self.agenda.put_after(at, Happens::Commits(task, call));
            }
            let answer = Answer::Changed(Err(Undone::Unknown(transient("no_answer"))));
            self.agenda.put_after(CALL_TIMEOUT, Happens::Answer(m, life, task, Some(answer)));
        } else {
            self.agenda.put_after(soon, Happens::Commits(task, call));
            self.agenda.put_after(soon + answers, Happens::Answer(m, life, task, Some(Answer::Changed(Ok(())))));
        }
        self.check_password(task);
    }

    /// Invariant 12 after a password may have been sent.
    fn check_password(&mut self, task: TaskId) {
        if let Err((invariant, seen)) = self.truth(task).may_be_sent() {
            self.oracle.broken(invariant, self.agenda.now(), seen);
        }
    }

    fn commits(&mut self, task: TaskId, call: usize) {
        let now = self.agenda.now();
        let call = &mut self.truth(task).calls[call];
        call.committed = true;
        let change = call.change.clone();
        self.tell(|_| format!("Salesforce does {change:?}"));
        self.org.commit(&change, now);
    }

    /// Invariants 5, 6 and 7 at the moment a change is asked for.
    fn check_call(&mut self, m: usize, task: TaskId, intent: &JournalEntry, change: &Change) {
        let now = self.agenda.now();
        let member = &self.members[m];
        if self.truth_of(task).is_none_or(|it| !it.is_open) && self.oracle.outcome(task).is_some() {
            return self.oracle.broken(6, now, format!("member {m} changes {change:?} for {task}, which has ended"));
        }
        let member_id = member.id;
        let hard = member.disk.membership.is_some_and(|it| it.hard && it.state == MembershipState::Disabled);
        let forfeited = member.disk.is_forfeited(task);
        let is_intended = member.disk.earlier(task).open_intents().any(|it| it == intent);
        let record = self.controllers.disk.records().tasks.get(&task).cloned();
        if !is_intended {
            return self.oracle.broken(5, now, format!("member {m} changes {change:?} for {task} without an intent"));
        }
        if hard {
            return self.oracle.broken(7, now, format!("member {m}, disabled hard, changes {change:?} for {task}"));
        }
        if forfeited {
            let seen =
                format!("member {m} changes {change:?} for {task} under a lease from before it was disabled hard");
            return self.oracle.broken(7, now, seen);
        }
        let Some(record) = record else { return };
        // A lease that was taken away runs on for a holder that does not know it yet.
        let newest = record.leases.last().map(|it| it.epoch).unwrap_or_default();
        let until = self.oracle.lease_until(task, newest);
        if record.state.holder() != Some(member_id) || until < now + CALL_TIMEOUT {
            let seen = format!(
                "member {m} changes {change:?} for {task} under a lease until {until} ms, while it is {:?}, epoch {}",
                record.state, record.epoch
            );
            self.oracle.broken(6, now, seen);
        }
    }

    // ---- what is submitted ----

    fn step(&mut self, number: usize) {
        let Some((_, step)) = self.plan.steps.iter().find(|(it, _)| *it == number).cloned() else { return };
        self.tell(|_| format!("step {number}: {step}"));
        match step.does {
            Does::Submit(wish) => {
                let id = TaskId::from_random(WALL + step.at, wish.id);
                self.tasks.insert(id, Truth::new(number, id, wish));
                self.submit(number);
                // Or two submit the same task.
                if self.chance.u8(0..4) == 0 {
                    self.submit(number);
                }
            }
            Does::Cancel(of) => {
                if let Some(task) = self.tasks.values().find(|it| it.step == of).map(|it| it.id) {
                    self.ask_controller(Request::Cancel(task));
                }
            }
            Does::Operate(m, action) => {
                let member = self.members[m].id;
                self.ask_controller(Request::Operate(member, action));
            }
            Does::Fault(fault) => self.suffer(&fault),
        }
    }

    /// A submitter submits, and again until it knows that the task is taken in.
    fn submit(&mut self, step: usize) {
        if self.tasks.values().any(|it| it.step == step && !it.acknowledged) {
            self.ask_controller(Request::Submit(step));
            let again = self.chance.u64(2_000..9_000);
            self.agenda.put_after(again, Happens::SubmitAgain(step));
        }
    }

    /// The submitter hears that its task is taken in.
    pub fn submitted(&mut self, step: usize) {
        if let Some(truth) = self.tasks.values_mut().find(|it| it.step == step) {
            if truth.acknowledged {
                self.coverage.met(Situation::SubmittedAgain);
            }
            truth.acknowledged = true;
        }
    }

    /// What is true of a task.
    pub fn truth(&mut self, task: TaskId) -> &mut Truth {
        self.tasks.get_mut(&task).expect("nobody works on what was not submitted")
    }

    fn truth_of(&self, task: TaskId) -> Option<&Truth> {
        self.tasks.get(&task)
    }

    /// A task is about to change on the controllers' disk.
    pub fn observe_task(&mut self, before: Option<&TaskRecord>, now: &TaskRecord) {
        let mut met = Vec::new();
        self.tell(|it| {
            let Some(truth) = it.tasks.get(&now.id) else { return String::new() };
            let (state, epoch, finish) = (now.state, now.epoch, now.finish.as_ref().map(|it| it.outcome));
            format!("task of step {} is {state:?} {finish:?}, epoch {epoch}, reconcile {}", truth.step, now.reconcile)
        });
        self.check_task(before, now);
        if now.observations.len() > before.map_or(0, |it| it.observations.len()) {
            met.push(Situation::MovedAndReported);
        }
        if let Some(finish) = &now.finish {
            self.truth(now.id).is_open = false;
            if before.is_some_and(|it| matches!(it.state, TaskState::InDoubt { .. })) && finish.member.is_some() {
                met.push(match finish.certainty {
                    Certainty::Certain => Situation::ClosedInDoubt,
                    _ => Situation::ClosedProbably,
                });
            }
            match finish.outcome {
                Outcome::Expired => met.push(Situation::Expired),
                Outcome::Unknown => met.push(Situation::EndedUnknown),
                Outcome::Cancelled => met.push(Situation::EndedCancelled),
                _ => (),
            }
        }
        for situation in met {
            self.coverage.met(situation);
        }
    }

    /// What the controllers may decide by themselves (invariant 15): that nobody can know, and who has to look.
    fn check_task(&mut self, before: Option<&TaskRecord>, now: &TaskRecord) {
        let at = self.agenda.now();
        let Some(before) = before else { return };
        let kind = now.kind;
        let in_doubt = matches!(before.state, TaskState::InDoubt { .. });
        let heard_of = now.observations.len() > before.observations.len();
        if now.reconcile && !before.reconcile && !in_doubt && !heard_of {
            let began = matches!(before.state, TaskState::Started { .. }) || {
                let holder = self.members.iter().find(|it| before.state.holder() == Some(it.id));
                holder.is_some_and(|it| it.disk.may_have_begun(now.id))
            };
            if !began {
                let seen =
                    format!("{kind} {} is to be looked at, and nobody may have begun it: {:?}", now.id, before.state);
                self.oracle.broken(15, at, seen);
            }
        }
        let Some(finish) = now.finish.as_ref().filter(|_| before.finish.is_none()) else { return };
        let undecidable = now.reconcile || (in_doubt && kind.repeat() == Repeat::Never);
        if finish.member.is_none() && finish.certainty != Certainty::Certain && !undecidable {
            self.oracle.broken(15, at, format!("{kind} {} ended as {finish:?}, and nobody may have begun it", now.id));
        }
        let newest = before.leases.last().map(|it| it.epoch).unwrap_or_default();
        let is_sure = finish.certainty == Certainty::Certain && finish.outcome == Outcome::Succeeded;
        // A member that was acknowledged says under a newer epoch only how it ended; what it told then counts.
        let told_before = before.observations.iter().any(|it| (it.epoch, it.outcome) == (finish.epoch, finish.outcome));
        if in_doubt && finish.member.is_some() && finish.epoch < newest && !is_sure && !told_before {
            let seen = format!("{kind} {} was in doubt and ended under an older epoch as {finish:?}", now.id);
            self.oracle.broken(24, at, seen);
        }
    }

    // ---- what goes wrong ----

    fn suffer(&mut self, fault: &Fault) {
        let now = self.agenda.now();
        match *fault {
            Fault::Cut(m) => {
                for link in self.net.of(m) {
                    for to in [End::Member, End::Controller] {
                        if self.chance.bool() {
                            self.send(link, to, Packet::Closed);
                        }
                        self.net.kill(link, to.other());
                    }
                }
            }
            Fault::HalfOpen(m) => {
                for link in self.net.of(m) {
                    self.net.kill(link, End::Member);
                    self.net.kill(link, End::Controller);
                }
            }
            Fault::Partition(m, time, ways) => {
                let works = !self.members[m].is_idle();
                if works {
                    self.coverage.met(if ways == Ways::Both { Situation::Partitioned } else { Situation::OneWay });
                }
                for link in self.net.of(m) {
                    if ways != Ways::ToController {
                        self.net.stall(link, End::Member, now + time);
                    }
                    if ways != Ways::ToMember {
                        self.net.stall(link, End::Controller, now + time);
                    }
                }
                self.partitions.push((m, now + time));
            }
            Fault::Refusing(time) => self.refusing = now + time,
            Fault::Silent(time) => self.silent = now + time,
            Fault::KillMember(..)
            | Fault::KillMemberAt(..)
            | Fault::StopMember(..)
            | Fault::PauseMember(..)
            | Fault::LoseStore(_)
            | Fault::LoseStoreAt(..)
            | Fault::RollBack(..) => self.member_suffers(fault),
            Fault::KillController(_) | Fault::KillControllerAt(..) | Fault::PauseController(_) | Fault::JumpWall(_) => {
                self.controller_suffers(fault);
            }
        }
    }

    fn back_up(&mut self) {
        let now = self.agenda.now();
        for member in &mut self.members {
            member.backups.push((now, member.disk.clone()));
        }
        if now < TROUBLE {
            self.agenda.put_after(5_000, Happens::Backup);
        }
    }

    /// Nothing goes wrong any more: what stands still moves, and clocks are right.
    fn heal(&mut self) {
        if self.oracle.violation.is_some() {
            return;
        }
        let now = self.agenda.now();
        (self.refusing, self.silent, self.healed, self.controllers.wall) = (0, 0, true, 0);
        self.controllers.trap = None;
        self.controllers.paused = self.controllers.paused.min(now);
        self.partitions.clear();
        for m in 0..MEMBERS {
            self.members[m].trap = None;
            self.members[m].bad_disk = None;
            self.members[m].paused = self.members[m].paused.min(now);
        }
        // What waits for somebody who stood still looks again by itself at the moment it was put off to.
    }

    /// Operators let every member in.
    fn let_in(&mut self) {
        let ids: Vec<MemberId> = self.members.iter().map(|it| it.id).collect();
        for id in ids {
            let out = self.controllers.disk.records().member(id).is_some_and(|it| it.state != MembershipState::Enabled);
            if out {
                self.ask_controller(Request::Operate(id, postern_controller_stub::membership::Action::Enable));
            }
        }
    }

    /// Whether everything has come to its end.
    fn is_quiet(&self) -> bool {
        self.tasks.values().all(|it| !it.is_open && it.acknowledged) && self.members.iter().all(Member::is_idle)
    }

    /// Notes what happened, for people, if one seed is looked at.
    pub fn tell(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.told_all {
            let what = format!("{:>8} ms  {}", self.agenda.now(), what(self));
            self.fates.push(what);
        }
    }

    // ---- at the end ----

    fn check_liveness(&mut self) {
        let now = self.agenda.now();
        if self.oracle.violation.is_some() {
            return;
        }
        let open: Vec<String> = self
            .tasks
            .values()
            .filter(|it| it.is_open || !it.acknowledged)
            .map(|it| {
                let record = self.controllers.disk.records().tasks.get(&it.id).cloned();
                format!("{} of step {} ({}) is {:?}", it.id, it.step, it.wish.kind, record.map(|it| it.state))
            })
            .collect();
        if let Some(first) = open.first() {
            self.oracle.broken(0, now, format!("{} tasks have no outcome: {first}", open.len()));
        }
        for (m, member) in self.members.iter().enumerate() {
            if !member.is_idle() {
                let (tasks, reports) = (member.disk.tasks().count(), member.disk.reports.len());
                self.oracle.broken(0, now, format!("member {m} still holds {tasks} tasks and {reports} reports"));
            }
        }
    }

    /// Invariants 10 to 15 and 20, when all has come to its end.
    fn check_effects(&mut self) {
        let now = self.agenda.now();
        if self.oracle.violation.is_some() {
            return;
        }
        let mut states: BTreeMap<String, Option<bool>> = BTreeMap::new();
        let disk = self.controllers.disk.clone();
        let records = disk.records();
        let mut broken = Vec::new();
        for (task, finish) in self.oracle.ended() {
            let Some(truth) = self.tasks.get(&task) else { continue };
            let committed: Vec<&Call> = truth.committed().collect();
            let certain = finish.certainty == Certainty::Certain;
            let kind = truth.wish.kind;
            if matches!(finish.outcome, Outcome::Cancelled | Outcome::Expired) && !committed.is_empty() {
                broken.push((13, format!("{kind} {task} ended {}, with effects", finish.outcome)));
            }
            if certain && finish.changed == Changed::No && !committed.is_empty() {
                broken.push((14, format!("{kind} {task} changed nothing for certain, with effects: {finish:?}")));
            }
            let did = finish.outcome == Outcome::Succeeded && finish.changed == Changed::Yes && certain;
            if did && committed.is_empty() {
                broken.push((14, format!("{kind} {task} succeeded for certain, without effects")));
            }
            match kind {
                TaskKind::ResetPassword if truth.wish.made_up => {
                    let report = records.reports.get(&(task, finish.epoch)).filter(|_| finish.member.is_some());
                    broken.extend(truth.hands_over(finish, report).err());
                }
                TaskKind::EnableUser | TaskKind::DisableUser => {
                    let wanted = kind == TaskKind::EnableUser;
                    let state = states.entry(truth.wish.user.clone()).or_insert(Some(true));
                    // A report under an older epoch tells of an effect from before; what was done for the user meanwhile,
                    // by a task that ended earlier, may be the newer one.
                    let is_older = records.tasks.get(&task).is_some_and(|it| finish.epoch < it.epoch);
                    match (finish.outcome, finish.certainty, finish.changed) {
                        _ if is_older => *state = None,
                        (Outcome::Succeeded | Outcome::AlreadySatisfied, _, _) => *state = Some(wanted),
                        (_, Certainty::Certain, Changed::No) => (),
                        _ => *state = None,
                    }
                }
                _ => (),
            }
            debug_assert!(kind.repeat() != Repeat::Never || kind == TaskKind::ExpirePassword);
        }
        for (user, state) in states {
            let is = self.org.look(&Question::User(user.clone())).active;
            if state.is_some_and(|state| state != is) {
                broken.push((10, format!("{user} is active: {is}, and its last task wanted otherwise")));
            }
        }
        for (key, made) in self.org.made() {
            if made > 1 {
                broken.push((11, format!("{made} users were made for {key}")));
            }
        }
        drop(records);
        broken.extend(self.check_batches());
        for (invariant, seen) in broken {
            self.oracle.broken(invariant, now, seen);
        }
    }

    /// A batch that ended tells of each of its records what became of it.
    fn check_batches(&self) -> Vec<Broken> {
        let records = self.controllers.disk.records();
        let mut broken = Vec::new();
        for (task, finish) in self.oracle.ended() {
            let Some(truth) = self.tasks.get(&task).filter(|it| it.wish.kind == TaskKind::ImportBatch) else {
                continue;
            };
            let report = records.reports.get(&(task, finish.epoch)).filter(|_| finish.member.is_some());
            let streams = report.into_iter().flat_map(|it| it.streams.iter());
            let told: BTreeMap<u64, Told> =
                streams.filter_map(|it| self.told.get(&it.id)).flatten().map(|(record, end)| (*record, *end)).collect();
            broken.extend(truth.tells(finish, &told).err());
        }
        broken
    }
}
