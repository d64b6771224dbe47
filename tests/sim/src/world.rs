//! Everything together: one seed, one thread, no clock, no socket.

mod calls;
mod checks;
mod faults;
mod people;
mod traffic;

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use postern_controller_stub::ca::Authority;
use postern_protocol::id::Incarnation;
use postern_protocol::{MemberId, StreamId, TaskId};

use crate::agenda::{Agenda, Millis};
use crate::attempt::{Answer, Told};
use crate::controller::Controllers;
use crate::coverage::Coverage;
use crate::disk::MemberDisk;
use crate::member::{Input, Member};
use crate::net::{End, LinkId, Net};
use crate::oracle::{Oracle, Violation};
use crate::salesforce::{CALL_TIMEOUT, LATEST_COMMIT, Salesforce};
use crate::truth::Truth;
use crate::workload::{Does, MEMBERS, Plan, Policy, TROUBLE, WALL};

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
    /// How long the controller waits for what a lost holder may have begun. It may be less than that takes, and less than
    /// attempts wait.
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
            world.seal_what_waits();
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
        let longest = CALL_TIMEOUT + LATEST_COMMIT + 5_000;
        // Of its own, so that the rest of a seed is the same with any.
        let mut of_settle = Rng::with_seed(plan.seed ^ 0x5e77);
        let pace = Pace {
            lease,
            settle: if of_settle.bool() { longest } else { of_settle.u64(2_000..longest) },
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
                full: 0,
                policy: Policy::Allows,
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
                self.of_member(m, life, Happens::UploadAgain(m, life, task), |it| it.upload(m, task));
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

    /// What is true of a task.
    pub fn truth(&mut self, task: TaskId) -> &mut Truth {
        self.tasks.get_mut(&task).expect("nobody works on what was not submitted")
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
}
