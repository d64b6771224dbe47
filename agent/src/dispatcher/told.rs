//! What the dispatcher tells of the ledger and of the connected systems: to people, and to the controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postern_agent_core::ledger::TaskView;
use postern_agent_core::{Ledger, Membership};
use postern_protocol::bounded::List;
use postern_protocol::message::v1::{Condition, LogLevel, MembershipState, SystemCondition};
use postern_protocol::task::Lane;
use postern_protocol::time::UnixMillis;
use postern_protocol::{SystemName, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::connector::{Connector, Route, SignIn};
use crate::executor::Executor;
use crate::telemetry::{self, By};

/// The tasks that are told of one by one: more than a person reads. What runs comes first.
const MAX_TASKS: usize = 64;

/// What the ledger looks like, for `postern status` and for monitoring.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// What the controller lets this member do.
    pub member_state: MembershipState,
    /// The number of that state.
    pub member_epoch: u64,
    /// The newest session.
    pub session: u64,
    /// Tasks journaled, not started.
    pub journaled: u32,
    /// Tasks started, not reported.
    pub started: u32,
    /// Tasks of the controller whose lease holds; for monitoring alone.
    #[serde(skip)]
    pub leases: usize,
    /// Reports not acknowledged.
    pub reports_owed: u32,
    /// What is owed to the controller.
    pub outbox: Outbox,
    /// Tasks that run or wait; no more than 64.
    pub tasks: Vec<Task>,
    /// How many more there are.
    pub more_tasks: usize,
    /// Each connected system.
    pub systems: Vec<System>,
    /// Batches committed to the store since the start.
    pub commits: u64,
    /// Barriers paid for them.
    pub barriers: u64,
    /// How many milliseconds the last commit of the ledger took, waiting for its turn included.
    pub last_commit_ms: Option<u64>,
}

/// What is owed to the controller.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Outbox {
    /// Reports that are not acknowledged.
    pub reports: usize,
    /// Their bytes.
    pub bytes: usize,
    /// How many milliseconds the oldest of them has waited, at least: of one that was there when the agent started, how long
    /// ago that was. Nothing if there is none.
    pub oldest_ms: Option<u64>,
}

/// A task that runs or waits.
#[derive(Debug, Clone, Serialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its kind.
    pub kind: String,
    /// Its connected system.
    pub system: SystemName,
    /// The account it is about; empty if it is about none.
    pub account: String,
    /// `running`, or why it waits.
    pub state: &'static str,
    /// Since when the attempt runs, if one does; milliseconds since 1970.
    pub running_since: Option<UnixMillis>,
    /// An effect of it may exist.
    pub started: bool,
    /// It came from this machine: there is no lease.
    pub local: bool,
}

/// A connected system.
#[derive(Debug, Clone, Serialize)]
pub struct System {
    /// Its name.
    pub name: SystemName,
    /// The connector that works on it.
    pub connector: &'static str,
    /// How it is reached.
    pub route: Route,
    /// How signing in goes.
    pub sign_in: SignIn,
    /// Attempts that run.
    pub running: u32,
    /// Tasks that wait, by lane.
    pub waiting: Waiting,
    /// What is logged of it now.
    pub log_level: Logged,
}

/// Tasks that wait, by lane.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Waiting {
    /// Somebody waits for them.
    pub interactive: u32,
    /// About one account.
    pub provisioning: u32,
    /// About many records.
    pub batch: u32,
}

/// What is logged.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Logged {
    /// The least severe level.
    pub level: LogLevel,
    /// Until when that is another than the configured one, in milliseconds since 1970.
    pub until: Option<UnixMillis>,
    /// Who wanted it.
    pub by: Option<By>,
}

impl Logged {
    /// What is logged now of a connected system, or of the agent itself.
    pub fn now(system: Option<&str>) -> Self {
        let now = clock::now();
        let (level, temporary) = telemetry::levels().now(system, now);
        let until = |at: Timestamp| UnixMillis(clock::unix_millis().0.saturating_add(millis(at.since(now))));
        Self { level, until: temporary.map(|it| until(it.until)), by: temporary.map(|it| it.by) }
    }
}

/// What the dispatcher knows beside the ledger.
pub(super) struct Beside<'a> {
    pub(super) executor: &'a Executor,
    /// When the dispatcher began.
    pub(super) since: Timestamp,
    /// Since when attempts run.
    pub(super) running: BTreeMap<TaskId, UnixMillis>,
    pub(super) commits_and_barriers: (u64, u64),
    pub(super) last_commit: Option<Duration>,
}

impl Beside<'_> {
    pub(super) fn status(&self, ledger: &Ledger, now: Timestamp) -> Status {
        let (held, Membership { state, epoch, .. }) = (ledger.held(), ledger.membership());
        let views = ledger.views();
        let more_tasks = views.len().saturating_sub(MAX_TASKS);
        Status {
            member_state: state,
            member_epoch: epoch.0,
            session: ledger.session_no().0,
            journaled: held.journaled,
            started: held.started,
            leases: ledger.leases_held(now),
            reports_owed: held.reported,
            outbox: self.outbox(ledger, now),
            tasks: views.into_iter().take(MAX_TASKS).map(|view| self.task(view, now)).collect(),
            more_tasks,
            systems: self.systems(ledger),
            commits: self.commits_and_barriers.0,
            barriers: self.commits_and_barriers.1,
            last_commit_ms: self.last_commit.map(millis),
        }
    }

    pub(super) fn condition(&self, ledger: &Ledger, now: Timestamp) -> Condition {
        let outbox = self.outbox(ledger, now);
        let systems = self.systems(ledger).into_iter().map(|it| {
            let left = it.log_level.until.map_or(0, |until| until.0.saturating_sub(clock::unix_millis().0));
            SystemCondition {
                name: it.name,
                running: it.running,
                interactive: it.waiting.interactive,
                provisioning: it.waiting.provisioning,
                batch: it.waiting.batch,
                sign_in: it.sign_in.state.into(),
                log_level: it.log_level.level.into(),
                log_level_left_ms: left,
            }
        });
        Condition {
            reports: u32::try_from(outbox.reports).unwrap_or(u32::MAX),
            report_bytes: u64::try_from(outbox.bytes).unwrap_or(u64::MAX),
            oldest_report_ms: outbox.oldest_ms.unwrap_or(0),
            systems: List::clipped(systems.collect()),
            ext: List::default(),
        }
    }

    fn outbox(&self, ledger: &Ledger, now: Timestamp) -> Outbox {
        let outbox = ledger.outbox();
        let oldest_ms = (outbox.reports > 0).then(|| millis(now.since(outbox.since.unwrap_or(self.since))));
        Outbox { reports: outbox.reports, bytes: outbox.bytes, oldest_ms }
    }

    fn task(&self, view: TaskView, now: Timestamp) -> Task {
        Task {
            state: state(&view, now),
            running_since: self.running.get(&view.task).filter(|_| view.running).copied(),
            id: view.task,
            kind: view.kind.to_string(),
            system: view.system,
            account: view.account,
            started: view.started,
            local: view.local,
        }
    }

    fn systems(&self, ledger: &Ledger) -> Vec<System> {
        let mut queues = ledger.queues();
        let system = |(name, connector): (&SystemName, &Arc<dyn Connector>)| {
            let (running, waiting) = queues.remove(name).unwrap_or_default();
            let in_lane = |lane| waiting.get(&lane).copied().unwrap_or_default();
            System {
                name: name.clone(),
                connector: connector.name(),
                route: connector.route(),
                sign_in: connector.sign_in(),
                running,
                waiting: Waiting {
                    interactive: in_lane(Lane::Interactive),
                    provisioning: in_lane(Lane::Provisioning),
                    batch: in_lane(Lane::Batch),
                },
                log_level: Logged::now(Some(name.as_str())),
            }
        };
        self.executor.connectors().map(system).collect()
    }
}

fn state(view: &TaskView, now: Timestamp) -> &'static str {
    if view.concluded {
        "waits for its results to be taken"
    } else if view.running {
        "running"
    } else if view.lost {
        "its lease is lost"
    } else if view.retry_at.is_some_and(|at| now < at) {
        "waits to be tried again"
    } else {
        "waits"
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
