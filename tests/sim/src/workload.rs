//! What a seed makes happen: what is submitted, what goes wrong, and when. Chance in small things is the world's.

use std::fmt;

use fastrand::Rng;
use postern_controller_stub::membership::Action;
use postern_protocol::{TaskId, TaskKind};
use serde::{Deserialize, Serialize};

use crate::agenda::Millis;

/// How many members there are.
pub const MEMBERS: usize = 3;
/// How many controllers take turns over one ledger.
pub const CONTROLLERS: usize = 2;
/// The wall clock at the beginning.
pub const WALL: u64 = 1_795_000_000_000;
/// How long things go wrong.
pub const TROUBLE: Millis = 600_000;
/// How many users there are: few, so that tasks meet.
const USERS: usize = 4;

/// When a task was made, in true time.
pub fn made(task: TaskId) -> Millis {
    task.made().0.saturating_sub(WALL)
}

/// The password that a task gives.
pub fn given(task: TaskId) -> String {
    format!("given by {task}")
}

/// The marker of a record of a batch.
pub fn key(task: TaskId, record: u64) -> String {
    format!("{task}/{record}")
}

/// Everything that a seed makes happen.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What happens when, by number: a step that is left out leaves the others their numbers.
    pub steps: Vec<(usize, Step)>,
}

/// One thing that happens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Millis,
    /// What.
    pub does: Does,
}

/// What can happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// Somebody submits a task.
    Submit(Wish),
    /// Somebody wants the task of that step cancelled.
    Cancel(usize),
    /// The submitter of the task of that step seals it again, to all members.
    SealAgain(usize),
    /// An operator does something with a member.
    Operate(usize, #[serde(with = "Acts")] Action),
    /// Something goes wrong.
    Fault(Fault),
}

/// [`Action`], as it is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Action", rename_all = "snake_case")]
enum Acts {
    Approve,
    Enable,
    Drain,
    Disable,
    DisableHard,
    Revoke,
}

/// Kinds of tasks by their names.
mod kind {
    #![allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]

    use postern_protocol::TaskKind;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(kind: &TaskKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(kind)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TaskKind, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What somebody wants done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wish {
    /// What kind of task.
    #[serde(with = "kind")]
    pub kind: TaskKind,
    /// On which user; batches make their own.
    pub user: String,
    /// Of a new password: the agent makes it up.
    pub made_up: bool,
    /// Of a given one: the member that alone can open it; else all can.
    #[serde(default)]
    pub sealed_to: Option<usize>,
    /// How many records a batch has.
    pub records: u64,
    /// How long from then it may be begun.
    pub deadline: Option<Millis>,
    /// Larger goes first.
    pub priority: u8,
    /// Random bytes of its id.
    pub id: [u8; 10],
}

/// What can go wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A member's process dies, and starts again after so long.
    KillMember(usize, Millis),
    /// It dies when it next comes to this point.
    KillMemberAt(usize, Point, Millis),
    /// It is asked to stop, and starts again after so long.
    StopMember(usize, Millis),
    /// It stands still for so long.
    PauseMember(usize, Millis),
    /// Its store is lost.
    LoseStore(usize),
    /// Its store is lost when it next comes to this point.
    LoseStoreAt(usize, Point),
    /// Its store is put back to what it was that long ago.
    RollBack(usize, Millis),
    /// Its process dies and starts again after so long, and a payload in its spool is gone by then.
    LosePayload(usize, Millis),
    /// Its disk is too full for new work, for so long.
    FillDisk(usize, Millis),
    /// Its policy refuses all changes of users and passwords from its next start on, or none any more; it is started anew.
    Policy(usize, Policy),
    /// The controller's process dies, and one, perhaps the other, starts after so long.
    KillController(Millis),
    /// It dies when it next comes to this point.
    KillControllerAt(Turning, Millis),
    /// It stands still for so long.
    PauseController(Millis),
    /// The controllers' ledger is put back to what it was that long ago, and one starts with it after so long.
    PutBackController(Millis, Millis),
    /// The wall clock of the controllers jumps.
    JumpWall(i64),
    /// A member's connection is cut; each side hears of it sooner or later.
    Cut(usize),
    /// A member's connection is dead, and nobody hears of it.
    HalfOpen(usize),
    /// Nothing gets through for so long, one way or both.
    Partition(usize, Millis, Ways),
    /// Salesforce answers most calls with what may pass, for so long.
    Refusing(Millis),
    /// Salesforce leaves most calls unanswered, for so long.
    Silent(Millis),
}

/// What a member's policy says of changes of users and passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It allows them.
    Allows,
    /// It refuses them.
    Refuses,
}

/// Which ways of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ways {
    /// What the member says.
    ToController,
    /// What it is told.
    ToMember,
    /// Both.
    Both,
}

/// Where a member's process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// An offer came and is not on disk (F01).
    OfferTaken,
    /// An offer is on disk, and nothing was said (F02).
    OfferDurable,
    /// An intent is on disk, and the call was not made (F03).
    IntentDurable,
    /// The call has left (F04).
    CallMade,
    /// The answer came, and no report is on disk (F05).
    OutcomeKnown,
    /// The report is on disk, and was not sent (F06).
    ReportDurable,
    /// The acknowledgement came, and the report was not deleted (F07).
    ReportAcknowledged,
    /// The session is being made durable.
    Welcomed,
    /// Something is being committed.
    Committing,
}

/// Where a controller's process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turning {
    /// A lease is committed, and no offer was sent (F39).
    LeaseDurable,
    /// A report is committed, and no acknowledgement was sent (F40).
    ReportStored,
    /// Something is being committed.
    Committing,
}

const POINTS: [Point; 9] = [
    Point::OfferTaken,
    Point::OfferDurable,
    Point::IntentDurable,
    Point::CallMade,
    Point::OutcomeKnown,
    Point::ReportDurable,
    Point::ReportAcknowledged,
    Point::Welcomed,
    Point::Committing,
];
const TURNINGS: [Turning; 3] = [Turning::LeaseDurable, Turning::ReportStored, Turning::Committing];

impl Plan {
    /// What `seed` makes happen.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut steps = Vec::new();
        for _ in 0..rng.usize(8..30) {
            let step = Step { at: rng.u64(1_000..TROUBLE - 60_000), does: Does::Submit(wish(&mut rng)) };
            steps.push(step);
        }
        let submitted = steps.len();
        for _ in 0..rng.usize(0..4) {
            let of = rng.usize(0..submitted);
            let at = steps.get(of).map_or(0, |it| it.at) + rng.u64(1..60_000);
            steps.push(Step { at, does: Does::Cancel(of) });
        }
        seal_again(&mut steps, &mut Rng::with_seed(seed ^ 0x5ea1));
        for _ in 0..rng.usize(0..4) {
            operate(&mut rng, &mut steps);
        }
        for _ in 0..rng.usize(2..18) {
            steps.push(Step { at: rng.u64(1_000..TROUBLE), does: Does::Fault(fault(&mut rng)) });
        }
        if rng.u8(0..6) == 0 {
            stand_still(&mut rng, &mut steps);
        }
        if rng.u8(0..6) == 0 {
            passwords_meet(&mut rng, &mut steps);
        }
        if rng.u8(0..6) == 0 {
            call_outlives_lease(&mut rng, &mut steps);
        }
        if rng.u8(0..6) == 0 {
            look_after_another(&mut rng, &mut steps);
        }
        if rng.u8(0..6) == 0 {
            let_in_again(&mut rng, &mut steps);
        }
        put_back(&mut steps, &mut Rng::with_seed(seed ^ 0xbac));
        lose_and_fill(&mut steps, &mut Rng::with_seed(seed ^ 0xf111));
        refuse(&mut steps, &mut Rng::with_seed(seed ^ 0x2ef5));
        Self { seed, steps: steps.into_iter().enumerate().collect() }
    }

    /// The same as text: the seed, for chance in small things, what it broke, and a line for each step.
    pub fn written(&self, wrong: &str) -> Result<String, serde_json::Error> {
        let steps: Result<Vec<String>, _> = self.steps.iter().map(serde_json::to_string).collect();
        Ok(format!("seed {} {wrong}\n{}\n", self.seed, steps?.join("\n")))
    }

    /// Plans as text, each with what it broke. They mean the same however plans are drawn.
    pub fn read(text: &str) -> Result<Vec<(Self, String)>, serde_json::Error> {
        let mut plans: Vec<(Self, String)> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(begun) = line.strip_prefix("seed ") {
                let (seed, wrong) = begun.split_once(' ').unwrap_or((begun, ""));
                let seed = seed.parse().map_err(serde::de::Error::custom)?;
                plans.push((Self { seed, steps: Vec::new() }, wrong.to_owned()));
            } else if let Some((plan, _)) = plans.last_mut() {
                plan.steps.push(serde_json::from_str(line)?);
            }
        }
        Ok(plans)
    }

    /// The same with some of the steps only.
    #[must_use]
    pub fn keeping(&self, wanted: impl Fn(usize) -> bool) -> Self {
        Self { seed: self.seed, steps: self.steps.iter().filter(|(number, _)| wanted(*number)).cloned().collect() }
    }
}

fn wish(rng: &mut Rng) -> Wish {
    let kind = match rng.u8(0..12) {
        0..=2 => TaskKind::EnableUser,
        3..=5 => TaskKind::DisableUser,
        6 | 7 => TaskKind::ExpirePassword,
        8 => TaskKind::ResetPassword,
        9 => TaskKind::ValidateUser,
        _ => TaskKind::ImportBatch,
    };
    let mut id = [0; 10];
    rng.fill(&mut id);
    Wish {
        kind,
        user: format!("user-{}", rng.usize(0..USERS)),
        made_up: rng.bool(),
        sealed_to: (rng.u8(0..4) == 0).then(|| rng.usize(0..MEMBERS)),
        records: rng.u64(1..7),
        deadline: (rng.u8(0..5) == 0).then(|| rng.u64(2_000..120_000)),
        priority: rng.u8(0..3),
        id,
    }
}

/// Of the submitters who sealed to one member alone every second does it again, whoever has the task by then. Chance of its
/// own, so that the rest of a seed is the same without.
fn seal_again(steps: &mut Vec<Step>, rng: &mut Rng) {
    let is_one_members = |step: &Step| matches!(&step.does, Does::Submit(wish) if wish.sealed_to.is_some());
    let of_one: Vec<(usize, Millis)> =
        steps.iter().enumerate().filter(|(_, it)| is_one_members(it)).map(|(of, it)| (of, it.at)).collect();
    for (of, at) in of_one {
        if rng.bool() {
            steps.push(Step { at: at + rng.u64(1..40_000), does: Does::SealAgain(of) });
        }
    }
}

/// In one plan in eight the controllers are put back from a copy. Chance of its own, so that the rest of a seed is the same
/// without, and one plan in eight only, as less can be asked of what the copy does not know.
fn put_back(steps: &mut Vec<Step>, rng: &mut Rng) {
    if rng.u8(0..8) == 0 {
        let fault = Fault::PutBackController(rng.u64(1_000..120_000), rng.u64(500..30_000));
        steps.push(Step { at: rng.u64(60_000..TROUBLE), does: Does::Fault(fault) });
    }
}

/// In one plan in four disks are full for a while, or lose what is in the spool. Chance of its own, as above.
fn lose_and_fill(steps: &mut Vec<Step>, rng: &mut Rng) {
    if rng.u8(0..4) > 0 {
        return;
    }
    for _ in 0..rng.usize(1..6) {
        let member = rng.usize(0..MEMBERS);
        let fault = if rng.bool() {
            Fault::FillDisk(member, rng.u64(1_000..120_000))
        } else {
            Fault::LosePayload(member, rng.u64(50..30_000))
        };
        steps.push(Step { at: rng.u64(1_000..TROUBLE), does: Does::Fault(fault) });
    }
}

/// In one plan in four one or two members refuse changes for a while; the others may be started anew meanwhile, or be put out.
/// Chance of its own, as above.
fn refuse(steps: &mut Vec<Step>, rng: &mut Rng) {
    if rng.u8(0..4) > 0 {
        return;
    }
    let (first, at) = (rng.usize(0..MEMBERS), rng.u64(1_000..TROUBLE - 200_000));
    let until = at + rng.u64(10_000..200_000);
    for member in (first..first + rng.usize(1..MEMBERS)).map(|it| it % MEMBERS) {
        steps.push(Step { at, does: Does::Fault(Fault::Policy(member, Policy::Refuses)) });
        steps.push(Step { at: until, does: Does::Fault(Fault::Policy(member, Policy::Allows)) });
    }
    let other = (first + MEMBERS - 1) % MEMBERS;
    let away = match rng.u8(0..4) {
        0 => Does::Fault(Fault::StopMember(other, rng.u64(1_000..60_000))),
        1 => Does::Fault(Fault::KillController(rng.u64(1_000..20_000))),
        2 => Does::Operate(other, Action::Disable),
        _ => Does::Operate(other, Action::Drain),
    };
    steps.push(Step { at: rng.u64(at..until), does: away });
    steps.push(Step { at: until, does: Does::Operate(other, Action::Enable) });
    for _ in 0..rng.usize(2..6) {
        steps.push(Step { at: rng.u64(at..until), does: Does::Submit(wish(rng)) });
    }
}

/// An operator takes a member out and, mostly, lets it in again; of the last, for good if need be.
fn operate(rng: &mut Rng, steps: &mut Vec<Step>) {
    let (member, at) = (rng.usize(0..MEMBERS), rng.u64(1_000..TROUBLE));
    let action = match rng.u8(0..8) {
        0 | 1 => Action::Drain,
        2 | 3 => Action::Disable,
        4 if member == MEMBERS - 1 => Action::Revoke,
        _ => Action::DisableHard,
    };
    steps.push(Step { at, does: Does::Operate(member, action) });
    if rng.u8(0..4) > 0 {
        steps.push(Step { at: at + rng.u64(1..90_000), does: Does::Operate(member, Action::Enable) });
    }
}

/// A member that has all tasks to itself stands still while it waits for what calls without an answer came to, until
/// its leases are over and longer. What it then finds out crosses the offers of the same tasks under newer leases,
/// which chance alone hardly ever brings about.
fn stand_still(rng: &mut Rng, steps: &mut Vec<Step>) {
    const TIME: Millis = 220_000;
    let (member, at) = (rng.usize(0..MEMBERS), rng.u64(1_000..TROUBLE - TIME));
    for other in (0..MEMBERS).filter(|it| *it != member) {
        steps.push(Step { at, does: Does::Operate(other, Action::Disable) });
        steps.push(Step { at: at + TIME, does: Does::Operate(other, Action::Enable) });
    }
    steps.push(Step { at, does: Does::Operate(member, Action::Enable) });
    // The second of the two changes something, whatever there was before.
    for (kind, after) in [(TaskKind::EnableUser, 1_000), (TaskKind::DisableUser, 8_000)] {
        for user in 0..USERS {
            let wish = Wish { kind, user: format!("user-{user}"), deadline: None, ..wish(rng) };
            steps.push(Step { at: at + after + rng.u64(0..2_000), does: Does::Submit(wish) });
        }
    }
    steps.push(Step { at: at + 8_000, does: Does::Fault(Fault::Silent(40_000)) });
    let still = Fault::PauseMember(member, rng.u64(100_000..150_000));
    steps.push(Step { at: at + rng.u64(24_000..36_000), does: Does::Fault(still) });
}

/// Several tasks about the password of one user, one behind the other, while members die in the middle of them and are
/// away until others have their tasks: what one task changed stands where another is looked for.
fn passwords_meet(rng: &mut Rng, steps: &mut Vec<Step>) {
    const POINTS: [Point; 4] = [Point::OfferDurable, Point::IntentDurable, Point::CallMade, Point::OutcomeKnown];
    let at = rng.u64(1_000..TROUBLE - 200_000);
    let user = format!("user-{}", rng.usize(0..USERS));
    for _ in 0..rng.usize(3..7) {
        let kind = if rng.u8(0..4) == 0 { TaskKind::ExpirePassword } else { TaskKind::ResetPassword };
        let wish = Wish { kind, user: user.clone(), made_up: rng.u8(0..4) == 0, deadline: None, ..wish(rng) };
        steps.push(Step { at: at + rng.u64(0..60_000), does: Does::Submit(wish) });
    }
    for member in 0..MEMBERS {
        let point = *rng.choice(&POINTS).unwrap_or(&Point::CallMade);
        let fault = Fault::KillMemberAt(member, point, rng.u64(5_000..180_000));
        steps.push(Step { at: at + rng.u64(0..60_000), does: Does::Fault(fault) });
    }
    if rng.bool() {
        steps.push(Step { at: at + rng.u64(0..60_000), does: Does::Fault(Fault::Silent(rng.u64(5_000..40_000))) });
    }
    // One that nobody hears of goes on looking, while others work on the user.
    if rng.bool() {
        let partition = Fault::Partition(rng.usize(0..MEMBERS), rng.u64(20_000..120_000), Ways::Both);
        steps.push(Step { at: at + rng.u64(0..60_000), does: Does::Fault(partition) });
    }
}

/// A member is disabled hard while its call for a password that it made up is under way: another takes the task over, and
/// may do so before the call takes effect.
fn call_outlives_lease(rng: &mut Rng, steps: &mut Vec<Step>) {
    const TIME: Millis = 120_000;
    let (member, at) = (rng.usize(0..MEMBERS), rng.u64(1_000..TROUBLE - TIME));
    let taken_over = at + rng.u64(3_000..10_000);
    for other in (0..MEMBERS).filter(|it| *it != member) {
        steps.push(Step { at, does: Does::Operate(other, Action::Disable) });
        steps.push(Step { at: taken_over, does: Does::Operate(other, Action::Enable) });
    }
    steps.push(Step { at, does: Does::Operate(member, Action::Enable) });
    let user = format!("user-{}", rng.usize(0..USERS));
    let reset = Wish { kind: TaskKind::ResetPassword, user, made_up: true, deadline: None, ..wish(rng) };
    steps.push(Step { at: at + 1_000, does: Does::Submit(reset) });
    steps.push(Step { at, does: Does::Fault(Fault::Silent(taken_over - at)) });
    steps.push(Step { at: taken_over, does: Does::Operate(member, Action::DisableHard) });
    steps.push(Step { at: at + TIME, does: Does::Operate(member, Action::Enable) });
}

/// A member is disabled hard and enabled again while it is asked what it holds, and what it is given then crosses its
/// answer. Others may be given the same a moment later.
fn let_in_again(rng: &mut Rng, steps: &mut Vec<Step>) {
    let (member, at) = (rng.usize(0..MEMBERS), rng.u64(1_000..TROUBLE - 60_000));
    let out = at + 5_000;
    let again = out + rng.u64(1..400);
    for other in (0..MEMBERS).filter(|it| *it != member) {
        steps.push(Step { at, does: Does::Operate(other, Action::Disable) });
        steps.push(Step { at: again + rng.u64(1..400), does: Does::Operate(other, Action::Enable) });
    }
    steps.push(Step { at, does: Does::Operate(member, Action::Enable) });
    steps.push(Step { at: out, does: Does::Operate(member, Action::DisableHard) });
    steps.push(Step { at: again, does: Does::Operate(member, Action::Enable) });
    for _ in 0..rng.usize(2..5) {
        let wish = Wish { deadline: None, ..wish(rng) };
        steps.push(Step { at: out + rng.u64(0..400), does: Does::Submit(wish) });
    }
}

/// The one member that can open a password stands still before it looks what became of its call: by then another has
/// changed the password for another task.
fn look_after_another(rng: &mut Rng, steps: &mut Vec<Step>) {
    const TIME: Millis = 200_000;
    let (member, at) = (rng.usize(0..MEMBERS), rng.u64(1_000..TROUBLE - TIME));
    let user = format!("user-{}", rng.usize(0..USERS));
    let about = |kind, rng: &mut Rng| Wish { kind, user: user.clone(), made_up: false, deadline: None, ..wish(rng) };
    let reset = Wish { sealed_to: Some(member), ..about(TaskKind::ResetPassword, rng) };
    steps.push(Step { at, does: Does::Submit(reset) });
    let expire = about(TaskKind::ExpirePassword, rng);
    steps.push(Step { at: at + rng.u64(10_000..40_000), does: Does::Submit(expire) });
    steps.push(Step { at, does: Does::Fault(Fault::Silent(30_000)) });
    let still = Fault::PauseMember(member, rng.u64(80_000..150_000));
    steps.push(Step { at: at + rng.u64(5_000..30_000), does: Does::Fault(still) });
}

fn fault(rng: &mut Rng) -> Fault {
    let member = rng.usize(0..MEMBERS);
    let soon = rng.u64(50..5_000);
    let down = if rng.u8(0..3) == 0 { rng.u64(30_000..180_000) } else { soon };
    match rng.u8(0..40) {
        0..=3 => Fault::KillMember(member, down),
        4..=14 => Fault::KillMemberAt(member, *rng.choice(&POINTS).unwrap_or(&Point::CallMade), down),
        15 => Fault::StopMember(member, down),
        16..=18 => Fault::PauseMember(member, rng.u64(500..150_000)),
        19 if rng.bool() => Fault::LoseStoreAt(member, *rng.choice(&POINTS).unwrap_or(&Point::CallMade)),
        19 => Fault::LoseStore(member),
        20 => Fault::RollBack(member, rng.u64(1_000..120_000)),
        21 | 22 => Fault::KillController(down),
        23..=27 => Fault::KillControllerAt(*rng.choice(&TURNINGS).unwrap_or(&Turning::Committing), soon),
        28 => Fault::PauseController(rng.u64(500..120_000)),
        29 => Fault::JumpWall(rng.i64(-3_600_000..3_600_000)),
        30 | 31 => Fault::Cut(member),
        32 | 33 => Fault::HalfOpen(member),
        34..=36 => {
            let ways = *rng.choice(&[Ways::ToController, Ways::ToMember, Ways::Both]).unwrap_or(&Ways::Both);
            Fault::Partition(member, rng.u64(1_000..120_000), ways)
        }
        37 => Fault::Refusing(rng.u64(5_000..60_000)),
        _ => Fault::Silent(rng.u64(5_000..90_000)),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7} ms  ", self.at)?;
        match &self.does {
            Does::Submit(wish) => {
                write!(f, "submit {} on {}", wish.kind, wish.user)?;
                match wish.kind {
                    TaskKind::ImportBatch => write!(f, ", {} records", wish.records)?,
                    TaskKind::ResetPassword if wish.made_up => write!(f, ", to one that is made up")?,
                    TaskKind::ResetPassword => {
                        if let Some(member) = wish.sealed_to {
                            write!(f, ", sealed to member {member}")?;
                        }
                    }
                    _ => (),
                }
                match wish.deadline {
                    Some(deadline) => write!(f, ", to be begun within {deadline} ms"),
                    None => Ok(()),
                }
            }
            Does::Cancel(of) => write!(f, "cancel the task of step {of}"),
            Does::SealAgain(of) => write!(f, "seal the task of step {of} again"),
            Does::Operate(member, action) => write!(f, "{action:?} member {member}"),
            Does::Fault(fault) => write!(f, "{fault:?}"),
        }
    }
}
