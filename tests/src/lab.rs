//! A controller, a simulated Salesforce and as many agents as a story needs, in a folder of their own.

mod agent;
mod api;
mod collector;
mod controller;
mod fail_points;
mod port;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use agent::{Agent, AgentOptions, Finished, SignIn, sealing_key};
pub use api::Api;
pub use collector::Collector;
pub use controller::{Controller, ControllerOptions, new_task_id};
pub use fail_points::FailPoints;
pub use port::Reserved;
pub use process::Process;
use salesforce_sim::{Config, Fault, Matching, Mishap, OrgSeed, Simulator};
use tempfile::TempDir;

use crate::programs;

/// The connected system of the lab.
pub const SYSTEM: &str = "acme";
/// A host that no name service knows, and that the certificate of the lab's Salesforce is good for.
pub const UNKNOWN_HOST: &str = "salesforce.invalid";
/// The cluster of the lab.
pub const CLUSTER: &str = "pilot";

/// The key that the connected app of the lab's Salesforce knows, in PEM.
pub const JWT_KEY: &str = include_str!("../../agent/src/connector/salesforce/testdata/pkcs8.pem");
const JWT_PUBLIC_KEY: &str = include_str!("../../agent/src/connector/salesforce/testdata/public.pem");

/// How a lab is set up.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// Accounts in the simulated org beside the service account, `user0001@acme.example` and so on.
    pub users: usize,
    /// How the controller runs.
    pub controller: ControllerOptions,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self { users: 20, controller: ControllerOptions::default() }
    }
}

/// The whole of a story's world. Everything ends with it.
pub struct Lab {
    /// The simulated Salesforce, in this process.
    pub salesforce: Simulator,
    /// The controller, a process of its own.
    pub controller: Controller,
    programs: PathBuf,
    folder: TempDir,
}

impl Lab {
    /// Starts a controller with one cluster, and a Salesforce. `binary` is the one that becomes the programs.
    pub async fn start(binary: &Path) -> Self {
        Self::start_with(binary, LabOptions::default()).await
    }

    /// The same, set up otherwise.
    pub async fn start_with(binary: &Path, options: LabOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("postern-lab-").tempdir().expect("a temporary folder");
        let programs = folder.path().join("bin");
        programs::link(binary, &programs).expect("links to the programs");
        let names = vec![UNKNOWN_HOST.to_owned()];
        let salesforce = Simulator::start(Config { names, orgs: vec![org(options.users)], ..Config::default() })
            .await
            .expect("a simulator on a free port");
        std::fs::write(folder.path().join("salesforce-ca.pem"), salesforce.ca_pem()).expect("the simulator's CA");
        let controller = Controller::start(&programs, &folder.path().join("controller"), options.controller).await;
        controller.cli(&["cluster", "create", CLUSTER]).await;
        Self { salesforce, controller, programs, folder }
    }

    /// Has Salesforce do nothing with the changes that are asked of it by `PATCH`, until its faults are cleared.
    pub fn hold_changes(&self) {
        let when = Matching { method: Some("PATCH".to_owned()), path: None };
        self.salesforce.inject(Fault { when, what: Mishap::Hold, times: None });
    }

    /// The lab's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the programs are.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// An agent with a configuration, not yet enrolled.
    pub fn agent(&self, name: &str) -> Agent {
        self.agent_with(name, AgentOptions::default())
    }

    /// The same, configured otherwise.
    #[allow(clippy::needless_pass_by_value, reason = "stories make the options on the spot")]
    pub fn agent_with(&self, name: &str, options: AgentOptions) -> Agent {
        let salesforce = options.domain.clone().unwrap_or_else(|| self.salesforce.https_url());
        Agent::prepare(&self.programs, &self.folder.path().join(name), &salesforce, self.salesforce.ca_pem(), &options)
    }

    /// An agent that is enrolled, approved, running and connected, and serves [`SYSTEM`].
    pub async fn member(&self, name: &str) -> Agent {
        self.member_with(name, AgentOptions::default()).await
    }

    /// The same, configured otherwise.
    pub async fn member_with(&self, name: &str, options: AgentOptions) -> Agent {
        let mut agent = self.agent_with(name, options);
        agent.enroll(&self.controller).await;
        agent.start().await;
        self.controller.approve(agent.member()).await;
        self.controller.associate(SYSTEM, CLUSTER).await;
        agent
    }
}

/// An org with room for as many users more as anybody makes.
fn org(users: usize) -> OrgSeed {
    let mut org = OrgSeed::acme(users);
    if let Some(license) = org.licenses.first_mut() {
        license.total += 1_000_000;
    }
    if let Some(app) = org.apps.first_mut() {
        app.certificate = Some(JWT_PUBLIC_KEY.to_owned());
    }
    org
}

/// The time a process of the lab may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(60);
