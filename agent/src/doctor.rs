//! What is wrong: a walk from the configuration to the connected systems, each step with what to do next.
//!
//! Probing is apart from judging: `route` walks to a host and its findings are decided from what was met; what a connected
//! system lets be seen is its connector's to say ([`crate::connector::Connector::examine`]). Nothing is changed by a look:
//! no store is made, no sign-in is made that the guard against lock-out would not let an agent make, and a running agent is
//! asked (`desk`) for what only it may look at.

mod bundle;
pub mod clock;
mod configuration;
mod controller;
pub mod desk;
mod finding;
mod route;
mod state;
mod system;

use std::time::Duration;

use futures_util::future::{join, join_all};
use postern_protocol::SystemName;
use serde::Serialize;

pub use self::bundle::{Bundle, Names};
pub use self::finding::{Check, Finding, Status};
use crate::config::{Config, ConfigError, System};
use crate::connector::Reach;

/// The longest that one step to a host may take: longer than a name service that is slow, shorter than anybody's patience.
const STEP: Duration = Duration::from_secs(10);

/// What is to be looked at.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// This connected system; `None`: all.
    pub system: Option<SystemName>,
    /// Without leaving this host.
    pub offline: bool,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of this program.
    pub version: &'static str,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What was found, in the order in which it was looked at.
    pub findings: Vec<Finding>,
    /// Whether it had the store while it looked, so that no agent could be started.
    pub had_store: bool,
}

impl Report {
    fn new(findings: Vec<Finding>) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), at: crate::clock::unix_millis().0, findings, had_store: false }
    }

    /// About a configuration that cannot be used.
    pub fn of_unusable(error: &ConfigError) -> Self {
        Self::new(vec![configuration::unusable(error)])
    }

    /// How many findings are so.
    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|it| it.status == status).count()
    }
}

/// Looks at everything that is asked for. `tell` hears what is being looked at.
pub async fn look(config: &Config, asked: &Asked, tell: &(dyn Fn(&str) + Sync)) -> (Report, serde_json::Value) {
    let systems: Vec<&System> =
        config.systems.iter().filter(|it| asked.system.as_ref().is_none_or(|name| *name == it.name)).collect();
    tell("configuration");
    let mut findings = configuration::look(config);
    tell("ways to the connected systems");
    let walks = join_all(systems.iter().map(|system| system::walk(system, asked.offline))).await;
    let reaches: Vec<Reach> = walks.iter().map(|(way, _)| system::reach(way, asked.offline)).collect();
    let names = systems.iter().map(|system| system.name.clone());
    let request = desk::Request { systems: names.zip(reaches.iter().copied()).collect() };
    tell("state directory");
    let (of_state, holder) = state::look(config, request).await;
    findings.extend(of_state);
    tell("controller and connected systems");
    let examined =
        join_all(systems.iter().zip(reaches).map(|(system, reach)| system::examined(system, &holder, reach)));
    let of_controller = Box::pin(controller::look(config, &holder, asked.offline));
    let ((of_controller, mut heard), examined) = join(of_controller, Box::pin(examined)).await;
    heard.extend(walks.iter().filter_map(|(_, heard)| heard.clone()));
    findings.push(clock::judge(&heard, clock::is_synchronized()));
    findings.extend(of_controller);
    let now = crate::clock::wall();
    for ((system, (way, _)), examined) in systems.iter().zip(walks).zip(examined) {
        let policy = system::policy(&system.policy, now);
        findings.extend(way.into_iter().chain(examined).chain([policy]).map(|it| it.of(system.name.as_str())));
    }
    let findings = findings.into_iter().map(Finding::redacted).collect();
    let had_store = matches!(holder, state::Holder::Here { .. });
    (Report { had_store, ..Report::new(findings) }, holder.told())
}
