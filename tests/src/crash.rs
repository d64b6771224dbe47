//! Kills agent and controller under load, at random moments and at fail points, and audits what is left.
//!
//! Every account has at most one task under way. A task is submitted until the controller says that it has it, so
//! whatever was acknowledged must get an outcome; and the simulator counts what really happened to each account.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use postern_fail_point::Point;
use postern_protocol::TaskId;
use salesforce_sim::Counters;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, RwLock};

use crate::lab::{AgentOptions, Controller, ControllerOptions, FailPoints, LabOptions, new_task_id};
use crate::{Agent, Lab, wait_for};

/// Accounts that are enabled and disabled all the time: enough to keep every slot busy.
const SWITCHED: usize = 20;
/// Accounts whose passwords are expired all the time, which must never happen twice for one task.
const EXPIRED: usize = 4;
/// The longest pause between two kills. Short ones hit start-up, long ones hit work.
const LONGEST_PAUSE_MS: u64 = 600;
const LEASE: Duration = Duration::from_secs(6);
const SETTLE: Duration = Duration::from_secs(2);
/// After one kill in so many, an agent stays dead until its leases have run out and its tasks are given to the other.
const LONG_DEATHS: u64 = 25;
/// One task in so many is cancelled as soon as it is submitted.
const CANCELS: u64 = 10;
/// How long a program may take to reach a fail point: one that just lost its session waits before it dials again.
const POINT_PATIENCE: Duration = Duration::from_secs(10);
/// After so many rounds every fail point must have been reached.
const ROUNDS_FOR_ALL: u64 = 200;

/// How the rounds went.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Tally {
    /// Kills.
    pub rounds: u64,
    /// Of an agent.
    pub agent_kills: u64,
    /// Those after which the agent stayed dead for longer than its leases.
    pub long_deaths: u64,
    /// Of the controller.
    pub controller_kills: u64,
    /// Kills at a fail point, by its name.
    pub points: BTreeMap<&'static str, u64>,
    /// Fail points that were not reached in time: there the kill came at a random moment.
    pub unreached: u64,
    /// Tasks the controller acknowledged.
    pub tasks: u64,
    /// How they ended.
    pub outcomes: BTreeMap<String, u64>,
    /// Effects the simulator counted.
    pub effects: u64,
    /// What must not be: each a sentence. Empty is what a run is for.
    pub violations: Vec<String>,
}

/// What the workers and the killer share.
struct World {
    lab: RwLock<Lab>,
    stop: AtomicBool,
    ended: Mutex<Vec<Ended>>,
}

/// A task with its outcome.
struct Ended {
    account: String,
    kind: &'static str,
    cancelled: bool,
    task: Value,
}

/// Where the kills come.
#[derive(Debug, Clone, Copy)]
pub enum Kills {
    /// At random moments, and as often at fail points.
    Everywhere,
    /// At this fail point alone.
    At(Point),
}

/// What the kills are drawn from, so that each kind gets its share.
struct Deck {
    kills: Kills,
    cards: Vec<Option<Point>>,
}

impl Deck {
    /// A fail point, or `None` for a random moment.
    fn draw(&mut self) -> Option<Point> {
        if let Kills::At(point) = self.kills {
            return Some(point);
        }
        if self.cards.is_empty() {
            let points = Point::AGENT.into_iter().chain(Point::CONTROLLER);
            self.cards = points.flat_map(|point| [Some(point), None]).collect();
        }
        let cards = u64::try_from(self.cards.len()).unwrap_or(u64::MAX);
        self.cards.swap_remove(usize::try_from(random_below(cards)).unwrap_or(0))
    }
}

/// Runs `rounds` kills with the binary that becomes the programs. `say` is told how it goes.
pub async fn run(binary: &Path, rounds: u64, kills: Kills, mut say: impl FnMut(&Tally)) -> Tally {
    let controller = ControllerOptions {
        lease_ttl: LEASE,
        settle: SETTLE,
        heartbeat: Duration::from_secs(2),
        ..ControllerOptions::default()
    };
    let lab = Lab::start_with(binary, LabOptions { users: SWITCHED + EXPIRED + 8, controller }).await;
    let options = AgentOptions { request_timeout_secs: 2, ..AgentOptions::default() };
    let mut agents =
        [lab.member_with("agent-1", options.clone()).await, lab.member_with("agent-2", options.clone()).await];
    lab.salesforce.reset_counters();

    let world = World { lab: RwLock::new(lab), stop: AtomicBool::new(false), ended: Mutex::default() };
    let account = |number: usize| format!("user{number:04}@acme.example");
    let switched = join_all((1..=SWITCHED).map(|number| world.switch(account(number))));
    let expired = join_all((SWITCHED + 1..=SWITCHED + EXPIRED).map(|number| world.expire(account(number))));
    let (mut tally, _, _) = tokio::join!(world.kill(&mut agents, rounds, kills, &mut say), switched, expired);
    check_points(kills, &mut tally);
    audit(&world, &agents, &mut tally).await;
    say(&tally);
    tally
}

impl World {
    /// Kills, starts again, and tells the workers to stop in the end.
    async fn kill(&self, agents: &mut [Agent; 2], rounds: u64, kills: Kills, say: &mut impl FnMut(&Tally)) -> Tally {
        let (mut tally, mut deck) = (Tally::default(), Deck { kills, cards: Vec::new() });
        while tally.rounds < rounds {
            tokio::time::sleep(Duration::from_millis(random_below(LONGEST_PAUSE_MS))).await;
            let point = deck.draw();
            let (kill_agent, kill_controller) = match point {
                Some(point) => (Point::AGENT.contains(&point), Point::CONTROLLER.contains(&point)),
                None => match random_below(3) {
                    0 => (true, true),
                    1 => (false, true),
                    _ => (true, false),
                },
            };
            let [one, other] = &mut *agents;
            let agent = if random_below(2) == 0 { one } else { other };
            if kill_agent {
                if let Some(point) = point {
                    reach(point, &agent.fail_points(), &mut tally).await;
                }
                agent.kill().await;
                tally.agent_kills += 1;
            }
            if kill_controller {
                if let Some(point) = point {
                    let fail_points = self.lab.read().await.controller.fail_points();
                    reach(point, &fail_points, &mut tally).await;
                }
                let mut lab = self.lab.write().await;
                lab.controller.kill().await;
                lab.controller.restart().await;
                tally.controller_kills += 1;
            }
            if kill_agent {
                if random_below(LONG_DEATHS) == 0 {
                    tokio::time::sleep(LEASE + 2 * SETTLE).await;
                    tally.long_deaths += 1;
                }
                agent.spawn();
            }
            tally.rounds += 1;
            for agent in &mut *agents {
                check_alive(agent, &mut tally);
            }
            say(&tally);
        }
        self.stop.store(true, Ordering::Relaxed);
        tally
    }

    /// Enables and disables one account until told to stop, one task after the other.
    async fn switch(&self, account: String) {
        while !self.stop.load(Ordering::Relaxed) {
            let active = self.lab.read().await.salesforce.user(&account).is_some_and(|user| user.active);
            self.run(if active { "disable_user" } else { "enable_user" }, &account).await;
        }
    }

    /// Expires the password of one account until told to stop.
    async fn expire(&self, account: String) {
        while !self.stop.load(Ordering::Relaxed) {
            self.run("expire_password", &account).await;
        }
    }

    /// One task, from its submission to its outcome.
    async fn run(&self, kind: &'static str, account: &str) {
        let id = new_task_id();
        self.submit(id, kind, account).await;
        let cancelled = random_below(CANCELS) == 0;
        if cancelled {
            let lab = self.lab.read().await;
            // A controller that is killed meanwhile has not heard of it, and the task goes on.
            let _ = lab.controller.try_cli(&["task", "cancel", &id.to_string()]).await;
        }
        let task = self.outcome(id).await;
        self.ended.lock().await.push(Ended { account: account.to_owned(), kind, cancelled, task });
    }

    /// Submits until the controller acknowledges. The id makes repetitions harmless.
    async fn submit(&self, id: TaskId, kind: &str, account: &str) {
        wait_for(&format!("an answer to the submission of {id}"), async || {
            let lab = self.lab.read().await;
            lab.controller.try_submit(id, kind, json!({ "account": account })).await
        })
        .await;
    }

    async fn outcome(&self, id: TaskId) -> Value {
        wait_for(&format!("the outcome of {id}"), async || {
            let task = self.lab.read().await.controller.task(id).await;
            if task["outcome"].is_string() { Ok(task) } else { Err(task) }
        })
        .await
    }
}

/// Has a program die at a fail point. One that does not get there in time is killed where it is.
async fn reach(point: Point, fail_points: &FailPoints, tally: &mut Tally) {
    fail_points.arm(point);
    let hit = tokio::time::timeout(POINT_PATIENCE, async {
        while !fail_points.was_hit(point) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    if hit.await.is_ok() || !fail_points.disarm(point) {
        *tally.points.entry(point.name()).or_default() += 1;
    } else {
        tally.unreached += 1;
    }
}

/// A fail point that no run reaches proves nothing.
fn check_points(kills: Kills, tally: &mut Tally) {
    let wanted = match kills {
        Kills::At(point) => vec![point],
        Kills::Everywhere if tally.rounds >= ROUNDS_FOR_ALL => [&Point::AGENT[..], &Point::CONTROLLER].concat(),
        Kills::Everywhere => Vec::new(),
    };
    for point in wanted.into_iter().map(Point::name).filter(|name| !tally.points.contains_key(name)).collect::<Vec<_>>()
    {
        tally.violations.push(format!("the fail point {point} was never reached"));
    }
}

/// An agent that ended by itself found its store unopenable, or met a defect.
fn check_alive(agent: &mut Agent, tally: &mut Tally) {
    if !agent.is_running() {
        tally.violations.push(format!("round {}: the agent ended by itself:\n{}", tally.rounds, agent.log()));
        agent.spawn();
    }
}

/// How many effects the outcomes of an account's tasks stand for: at least, and at most where one is not known.
type Expected<'a> = BTreeMap<&'a str, (u64, u64)>;

async fn audit(world: &World, agents: &[Agent; 2], tally: &mut Tally) {
    let lab = world.lab.read().await;
    let ended = world.ended.lock().await;
    let expected = count_outcomes(&ended, tally);
    check_effects(&expected, &lab.salesforce.counters(), tally);
    for agent in agents {
        check_stores(&lab.controller, agent, tally);
    }
}

fn count_outcomes<'a>(ended: &'a [Ended], tally: &mut Tally) -> Expected<'a> {
    let mut expected = Expected::new();
    for it in ended {
        let outcome = it.task["outcome"].as_str().unwrap_or("none");
        *tally.outcomes.entry(outcome.to_owned()).or_default() += 1;
        tally.tasks += 1;
        let (least, most) = expected.entry(it.account.as_str()).or_default();
        match (outcome, it.task["changed"].as_str()) {
            ("succeeded", Some("yes")) => {
                *least += 1;
                *most += 1;
            }
            ("succeeded" | "already_satisfied" | "failed" | "cancelled", Some("no")) => (),
            _ => *most += 1,
        }
        if !is_acceptable(it, outcome) {
            tally.violations.push(format!("{} of {} ended as {outcome}: {}", it.kind, it.account, it.task));
        }
    }
    // Two deaths in one step are bad luck at this rate of kills; many would mean that deaths are miscounted. A short
    // run says nothing about rates.
    let dead = tally.outcomes.get("dead_lettered").copied().unwrap_or(0);
    if tally.tasks >= 1_000 && dead * 20 > tally.tasks {
        tally.violations.push(format!("{dead} of {} tasks were dead-lettered", tally.tasks));
    }
    expected
}

fn check_effects(expected: &Expected<'_>, counters: &Counters, tally: &mut Tally) {
    for (account, (least, most)) in expected {
        let effects = counters.users.get(*account).copied().unwrap_or_default();
        let switched = effects.activations + effects.deactivations;
        let issued = switched + effects.password_resets;
        tally.effects += issued;
        if issued < *least || issued > *most {
            tally.violations.push(format!(
                "{account}: the outcomes account for {least} to {most} effects, Salesforce saw {issued}"
            ));
        }
        if switched != effects.flips {
            tally.violations.push(format!(
                "{account}: {switched} effects were issued but the state changed {} times: one was applied twice",
                effects.flips
            ));
        }
    }
}

/// What brings about a state is found out by looking. What is never repeated may stay unknown, and so may what was
/// cancelled while it was in doubt.
fn is_acceptable(it: &Ended, outcome: &str) -> bool {
    match outcome {
        "succeeded" | "already_satisfied" | "dead_lettered" => true,
        "cancelled" => it.cancelled,
        "unknown" => it.cancelled || it.kind == "expire_password",
        "failed" => it.cancelled && it.task["changed"] != json!("yes"),
        _ => false,
    }
}

/// A store that could not be opened is moved aside: none may have been.
fn check_stores(controller: &Controller, agent: &Agent, tally: &mut Tally) {
    for store in [agent.folder().join("state/store"), controller.data().to_owned()] {
        for entry in walk(&store) {
            if entry.contains("corrupt-") {
                tally.violations.push(format!("a store had to be given up: {entry}"));
            }
        }
    }
}

fn walk(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|entry| {
            let path = entry.path();
            let mut found = if path.is_dir() { walk(&path) } else { Vec::new() };
            found.push(path.display().to_string());
            found
        })
        .collect()
}

fn random_below(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("random bytes");
    u64::from_le_bytes(bytes) % limit
}
