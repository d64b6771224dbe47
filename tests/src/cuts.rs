//! Cuts the line between an agent and its controller at every byte of a session in which one task is done.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::lab::AgentOptions;
use crate::proxy::{Line, Way};
use crate::{Agent, Lab};

/// Whom the tasks are about.
const ACCOUNT: &str = "user0001@acme.example";
/// Signatures of TLS have no fixed length, so a session may be a little longer than the one that was measured.
const SLACK: usize = 16;

/// Which bytes.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// One of so many; 1 cuts at each.
    pub step: usize,
    /// How many labs work at once.
    pub labs: usize,
}

/// How it went.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Tally {
    /// Bytes of the session, up and down.
    pub session: (usize, usize),
    /// Sessions that were to be cut.
    pub rounds: usize,
    /// Those that were long enough.
    pub cuts: usize,
    /// What must not be: each a sentence. Empty is what a run is for.
    pub violations: Vec<String>,
}

/// A lab whose agent dials its controller by way of a line.
struct Scene {
    lab: Lab,
    line: Line,
    agent: Agent,
    flips: u64,
}

/// Cuts as planned with the binary that becomes the programs. `say` is told how it goes.
pub async fn run(binary: &Path, plan: Plan, say: impl Fn(&Tally)) -> Tally {
    let mut scenes = join_all((0..plan.labs.max(1)).map(|_| Scene::open(binary))).await;
    let mut tally = Tally::default();
    if let Some(scene) = scenes.first_mut() {
        tally.session = scene.measure().await;
    }
    let places = |way, length: usize| (1..=length + SLACK).step_by(plan.step.max(1)).map(move |after| (way, after));
    let places: Vec<_> = places(Way::Up, tally.session.0).chain(places(Way::Down, tally.session.1)).collect();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(tally));
    join_all(scenes.iter_mut().map(async |scene| {
        while let Some((way, after)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (cut, violation) = scene.cut(*way, *after).await;
            let mut tally = tally.lock().await;
            tally.rounds += 1;
            tally.cuts += usize::from(cut);
            tally.violations.extend(violation);
            say(&tally);
        }
    }))
    .await;
    tally.into_inner()
}

impl Scene {
    async fn open(binary: &Path) -> Self {
        let lab = Lab::start(binary).await;
        let line = Line::open(lab.controller.address()).await;
        let options =
            AgentOptions { controller_section: format!("urls = [\"{}\"]", line.url()), ..AgentOptions::default() };
        let agent = lab.member_with("agent", options).await;
        Self { lab, line, agent, flips: 0 }
    }

    /// How many bytes a session takes, up and down, from the first of TLS to the acknowledgement of a report.
    async fn measure(&mut self) -> (usize, usize) {
        self.cut(Way::Up, usize::MAX).await;
        (self.line.carried(Way::Up), self.line.carried(Way::Down))
    }

    /// One task in a session of a fresh process that is cut after so many bytes, and in the sessions that follow. Says
    /// whether it was cut, and what must not be.
    ///
    /// A fresh process waits a second at most before it dials again, however often the one before had to.
    async fn cut(&mut self, way: Way, after: usize) -> (bool, Option<String>) {
        self.agent.kill().await;
        let kind = if self.flips.is_multiple_of(2) { "disable_user" } else { "enable_user" };
        let task = self.lab.controller.submit(kind, ACCOUNT).await;
        self.flips += 1;
        let cuts = self.line.cuts();
        self.line.cut_next(way, after);
        self.agent.spawn();
        self.lab.controller.finished(task).await;
        self.agent.owes(0).await;
        let task = self.lab.controller.task(task).await;
        let effects = self.lab.salesforce.counters().users[ACCOUNT];
        let done = task["outcome"] == json!("succeeded")
            && task["changed"] == json!("yes")
            && task["observations"] == Value::Null
            && (effects.flips, effects.activations + effects.deactivations) == (self.flips, self.flips);
        let violation = (!done).then(|| format!("cut after {after} bytes {way:?}: {effects:?} of {task}"));
        (self.line.cuts() > cuts, violation)
    }
}
