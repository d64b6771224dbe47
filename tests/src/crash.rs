//! Kills agent and controller under load, at random moments and at fail points, and audits what is left.
//!
//! Every account has at most one task under way. A task is submitted until the controller says that it has it, so
//! whatever was acknowledged must get an outcome; and the simulator counts what really happened to each account.

mod audit;
mod desk;
mod dice;
mod ended;
mod kills;
mod load;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub use kills::Kills;
use serde::Serialize;

use crate::Lab;
use crate::lab::{AgentOptions, ControllerOptions, LabOptions};

const LEASE: Duration = Duration::from_secs(6);
const SETTLE: Duration = Duration::from_secs(2);
/// How long an agent looks for the effect of a call that must not be repeated: longer than any call is late, with
/// something to spare for a machine that is busy.
const SETTLE_ONCE: Duration = Duration::from_millis(2_500);

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
    /// Those of which a call took effect late.
    pub late: u64,
    /// How they ended, by their kind.
    pub outcomes: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// How the entries of imports ended.
    pub entries: BTreeMap<String, u64>,
    /// Effects the simulator counted: of enabling, disabling and expiring, passwords given, users made.
    pub effects: u64,
    /// Lines of the agents' audit logs.
    pub audited: u64,
    /// What must not be: each a sentence. Empty is what a run is for.
    pub violations: Vec<String>,
}

/// Runs `rounds` kills with the binary that becomes the programs. `say` is told how it goes.
pub async fn run(binary: &Path, rounds: u64, kills: Kills, mut say: impl FnMut(&Tally)) -> Tally {
    let controller = ControllerOptions {
        lease_ttl: LEASE,
        settle: SETTLE,
        heartbeat: Duration::from_secs(2),
        ..ControllerOptions::default()
    };
    let mut lab = Lab::start_with(binary, LabOptions { users: load::ACCOUNTS, controller }).await;
    let options = AgentOptions {
        request_timeout_secs: 1,
        settle_once_ms: u64::try_from(SETTLE_ONCE.as_millis()).unwrap_or(u64::MAX),
        // So that they tell which of their calls had no answer.
        system_section: "log_level = \"debug\"\n".to_owned(),
        salesforce_section: format!("create_marker = \"{}\"\n", load::MARKER),
        ..AgentOptions::default()
    };
    let mut agents = [lab.member_with("agent-1", options.clone()).await, lab.member_with("agent-2", options).await];
    lab.salesforce.reset_counters();

    let world = load::World::new(&lab.salesforce, lab.controller.api()).await;
    let mut killer = kills::Killer::new(&mut lab.controller, &mut agents, kills);
    let killing = async {
        killer.kill(rounds, &mut say).await;
        world.stop();
    };
    tokio::join!(killing, world.work());
    let (mut tally, deaths) = killer.end();
    audit::audit(world, &agents, &deaths, &mut tally).await;
    for agent in &agents {
        audit::check_stores(&lab.controller, agent, &mut tally);
    }
    say(&tally);
    tally
}
