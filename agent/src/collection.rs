//! Collections on a schedule: each a task of this machine that begins when it is due, and whose file lands in a
//! directory of this host.
//!
//! A run is on disk before it begins. Its task goes the way of every task; when its report is there, the file is
//! written, and only then the report is taken, which lets the memory of who was seen move on. Killed anywhere, the run
//! is gone on with or done once more.

mod file;

use std::time::Duration;

use jiff::Timestamp;
use postern_agent_core::{Caller, Ledger};
use postern_protocol::bounded::Text;
use postern_protocol::message::v1::Report;
use postern_protocol::plain::Chain;
use postern_protocol::{Outcome, SystemName, TaskId, TaskKind, TaskOutput, TaskRequest};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{Collection, Config, ConfigError};
use crate::dispatcher::{Dispatcher, LocalEvent};
use crate::keys::SealingKeys;
use crate::local::{self, Along, PayloadError};
use crate::random;
use crate::schedule::Verdict;
use crate::store::collection::{End, Record, Run};
use crate::store::{AgentStoreError, Store};

/// How long a collection sleeps at most: the clock may be set, and the host suspended.
const NAP: Duration = Duration::from_secs(30);
/// How long what cannot be done now is left alone: a full disk, a directory that is gone.
const LATER: Duration = Duration::from_secs(60);
/// Progress events waiting to be dropped.
const EVENTS: usize = 16;

/// Makes the directories that files go to, and removes what killed processes left there: on a disk that is full of it, the
/// store could not even be opened. A directory that cannot be used now is no reason not to start: it may be of a host that is
/// away, and whatever else there is to do does not wait for a file.
pub fn prepare(config: &Config) {
    for collection in config.collections.iter().filter(|collection| collection.active) {
        let name = collection.name.as_str();
        if let Err(error) = postern_store::private::directory(&collection.directory) {
            let error = collection.invalid("directory", Chain(&error).to_string());
            tracing::warn!(
                collection = name,
                %error,
                "what is gathered waits until its directory can be used: if another file system is to be mounted there, look \
                 whether it is before anything is mended"
            );
        } else if let Err(error) = file::remove_parts(&collection.directory, name) {
            tracing::warn!(collection = name, %error, "what is left of a file stays");
        }
    }
}

/// Looks whether the connector of every system that something is gathered of can do so: `kinds_of` tells what it can do.
pub fn check<'a>(config: &Config, kinds_of: impl Fn(&SystemName) -> &'a [TaskKind]) -> Result<(), ConfigError> {
    let cannot = |it: &&Collection| !kinds_of(&it.system).contains(&TaskKind::Collect);
    config.collections.iter().find(cannot).map_or(Ok(()), |collection| {
        let problem = format!(
            "the connector of `{}` cannot {}; name another connected system, or remove the collection",
            collection.system,
            TaskKind::Collect
        );
        Err(collection.invalid("system", problem))
    })
}

/// A collection with what is remembered of it, not yet at work.
pub struct Remembered {
    collection: Collection,
    record: Record,
    /// A run that ended before the process did: its report comes here.
    watched: Option<mpsc::Receiver<LocalEvent>>,
}

/// Takes up what the collections of the configuration were at. For a run whose report waits in the ledger, `watch` is
/// told where to send it.
pub fn take_up(
    config: &Config,
    store: &Store,
    ledger: &Ledger,
    mut watch: impl FnMut(TaskId, mpsc::Sender<LocalEvent>),
) -> Result<Vec<Remembered>, AgentStoreError> {
    let mut remembered = Vec::new();
    for collection in &config.collections {
        let known = store.collection(&collection.system, &collection.name)?;
        let mut record = known.unwrap_or_else(|| Record { since: clock::unix_millis().0, run: None });
        let mut watched = None;
        if let Some(run) = &mut record.run {
            if ledger.holds(run.task) {
                let (sender, receiver) = mpsc::channel(EVENTS);
                watch(run.task, sender);
                watched = Some(receiver);
            } else if run.end.is_none() && !collection.active {
                run.end = Some(End::of(Outcome::Cancelled, "it was made inactive", (0, 0)));
            }
        }
        remembered.push(Remembered { collection: collection.clone(), record, watched });
    }
    Ok(remembered)
}

/// What a collection tells about itself.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    name: String,
    /// The connected system.
    system: String,
    /// Whether it runs at all.
    active: bool,
    /// When the last run began.
    last_run: Option<String>,
    /// What came of it: an outcome, or `running`, or `waiting` for what cannot be done now.
    outcome: Option<String>,
    /// Why it did not succeed, or what it waits for.
    told: Option<String>,
    /// Users in its file.
    users: Option<u64>,
    /// Users it told to be gone.
    removed: Option<u64>,
    /// When the next run is planned.
    next_run: Option<String>,
}

impl Status {
    fn of(collection: &Collection, record: &Record, waits: Option<&str>) -> Self {
        let end = record.run.as_ref().and_then(|run| run.end.as_ref());
        let under_way = if waits.is_some() { "waiting" } else { "running" };
        let outcome = |run: &Run| run.end.as_ref().map_or_else(|| under_way.to_owned(), |end| end.outcome.to_string());
        let told = waits.or(end.map(|end| end.told.as_str()));
        let next = collection.schedule.next(moment(record.since)).filter(|_| collection.active);
        let shown = |moment: Timestamp| format!("{moment:.0}");
        Self {
            name: collection.name.to_string(),
            system: collection.system.to_string(),
            active: collection.active,
            last_run: record.run.as_ref().map(|run| shown(moment(run.begun))),
            outcome: record.run.as_ref().map(outcome),
            told: told.filter(|told| !told.is_empty()).map(str::to_owned),
            users: end.map(|end| end.users),
            removed: end.map(|end| end.removed),
            next_run: next.map(shown),
        }
    }
}

/// A collection at work.
pub struct Collector {
    remembered: Remembered,
    store: Store,
    dispatcher: Dispatcher,
    keys: SealingKeys,
    /// Why the run under way does not go on, if it is tried again later.
    waits: Option<String>,
    status: watch::Sender<Status>,
}

impl Collector {
    /// A collection that submits to `dispatcher` what is sealed to the newest of `keys`, this agent's own, and where its
    /// status is.
    pub fn new(
        remembered: Remembered,
        store: Store,
        dispatcher: Dispatcher,
        keys: SealingKeys,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, watched) = watch::channel(Status::of(&remembered.collection, &remembered.record, None));
        (Self { remembered, store, dispatcher, keys, waits: None, status }, watched)
    }

    /// Runs until `stop` fires. A run that is under way then is done once more after the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = self.work() => ended,
        };
        if let Err(error) = ended {
            let (collection, error) = (self.remembered.collection.name.as_str(), Chain(&error));
            tracing::error!(collection, %error, "the collection stands still");
            self.waits = Some(format!("it stands still until the agent is started again: {error}"));
            self.tell();
        }
    }

    async fn work(&mut self) -> Result<(), AgentStoreError> {
        self.remember().await?;
        if let (Some(watched), Some(run)) = (self.remembered.watched.take(), self.remembered.record.run.clone())
            && let Ok(report) = ended(watched).await
        {
            self.take(&run, &report).await?;
        }
        if !self.remembered.collection.active {
            return Ok(());
        }
        if self.remembered.record.run.as_ref().is_some_and(|run| run.end.is_none()) {
            self.begin().await?;
        }
        loop {
            let (now, since) = (now(), moment(self.remembered.record.since));
            match self.remembered.collection.schedule.look(since, now) {
                Verdict::Due => self.begin().await?,
                Verdict::ClockWasWrong => {
                    tracing::warn!(%since, "the clock was wrong when the collection ran last");
                    self.remembered.record.since = clock::unix_millis().0;
                    self.remember().await?;
                }
                Verdict::Wait(until) => {
                    let left = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
                    tokio::time::sleep(left.map_or(NAP, |left| left.min(NAP))).await;
                }
            }
        }
    }

    /// One run, from its record to its end.
    async fn begin(&mut self) -> Result<(), AgentStoreError> {
        let begun = clock::unix_millis().0;
        let run = Run { begun, task: random::task_id(), end: None };
        self.remembered.record = Record { since: begun, run: Some(run.clone()) };
        self.remember().await?;
        loop {
            match self.submit(run.task).await? {
                Ok(report) => return self.take(&run, &report).await,
                Err(why) => self.wait(format!("its task is not taken: {why}")).await,
            }
        }
    }

    /// Leaves what cannot be done now alone for a while, which the status tells.
    async fn wait(&mut self, why: String) {
        self.waits = Some(format!("{why}; it is tried again every minute"));
        self.tell();
        tokio::time::sleep(LATER).await;
        self.waits = None;
        self.tell();
    }

    /// Has the task run, and waits for its report; or says why it was not taken.
    async fn submit(&self, task: TaskId) -> Result<Result<Box<Report>, String>, AgentStoreError> {
        let collection = &self.remembered.collection;
        let request = TaskRequest::Collect(collection.request());
        let along = Along { requester: Some(self.keys.newest()), ..Along::default() };
        let offer = local::offer(task, &collection.system, &request, along)?;
        let (sender, receiver) = mpsc::channel(EVENTS);
        tracing::info!(collection = collection.name.as_str(), system = %collection.system, %task, "a collection begins");
        self.dispatcher.run_local(offer, Caller::Schedule, sender).await;
        Ok(ended(receiver).await)
    }

    /// Writes the file, remembers how the run ended, and takes the report: in this order, because nobody knows any more
    /// how it ended when its report is taken.
    async fn take(&mut self, run: &Run, report: &Report) -> Result<(), AgentStoreError> {
        let end = self.written(run, report).await;
        let succeeded = end.outcome.known() == Some(Outcome::Succeeded);
        self.remembered.record.run = Some(Run { end: Some(end.clone()), ..run.clone() });
        self.keep().await?;
        self.dispatcher.local_taken(run.task, succeeded).await;
        let collection = &self.remembered.collection;
        let (name, told) = (collection.name.as_str(), end.told.as_str());
        if succeeded {
            tracing::info!(collection = name, users = end.users, removed = end.removed, "a collection was written");
        } else {
            tracing::error!(collection = name, outcome = %end.outcome, told, "a collection failed; the next run is made as planned");
        }
        self.tell();
        Ok(())
    }

    /// How the run ended, its file written if there is one. A disk that does not take it is waited for.
    async fn written(&mut self, run: &Run, report: &Report) -> End {
        let outcome = report.outcome.known().unwrap_or(Outcome::Failed);
        if outcome != Outcome::Succeeded {
            let failure = report.failure.as_ref();
            let told = failure.map(|it| format!("{} ({}). {}", it.summary, it.code, it.next_step)).unwrap_or_default();
            return End::of(outcome, &told, (0, 0));
        }
        loop {
            let (store, keys) = (self.store.clone(), self.keys.all());
            let (collection, run, report) = (self.remembered.collection.clone(), run.clone(), report.clone());
            let counts = counts(&report);
            let writing = move || file::write(&store, &keys, (&collection, moment(run.begun)), run.task, &report);
            match tokio::task::spawn_blocking(writing).await {
                Ok(Ok(())) => return End::of(Outcome::Succeeded, "", counts),
                Ok(Err(PayloadError::File(error))) => {
                    let collection = self.remembered.collection.name.as_str();
                    tracing::error!(collection, %error, "the file cannot be written; it is tried again in a minute");
                    self.wait(format!("its file cannot be written: {error}")).await;
                }
                Ok(Err(error)) => {
                    let told = format!("What was gathered is lost: {}", Chain(&error));
                    return End::of(Outcome::Failed, &told, (0, 0));
                }
                Err(_) => return End::of(Outcome::Failed, "writing the file ended in a defect", (0, 0)),
            }
        }
    }

    async fn remember(&mut self) -> Result<(), AgentStoreError> {
        self.tell();
        self.keep().await
    }

    fn tell(&self) {
        let Remembered { collection, record, .. } = &self.remembered;
        self.status.send_replace(Status::of(collection, record, self.waits.as_deref()));
    }

    /// Keeps what is remembered. A disk that does not take it is waited for.
    async fn keep(&mut self) -> Result<(), AgentStoreError> {
        loop {
            let Remembered { collection, record, .. } = &self.remembered;
            match self.store.keep_collection(&collection.system, &collection.name, record).await {
                Err(AgentStoreError::Store(error)) if error.is_disk_full() => {
                    let collection = collection.name.as_str();
                    tracing::error!(collection, %error, "a run cannot be remembered; it is tried again in a minute");
                    self.wait(format!("it cannot be remembered: {error}")).await;
                }
                kept => return kept,
            }
        }
    }
}

impl End {
    fn of(outcome: Outcome, told: &str, (users, removed): (u64, u64)) -> Self {
        Self { outcome: outcome.into(), told: Text::clipped(told), users, removed }
    }
}

/// The report of a task, when it has ended; or why it was not taken.
async fn ended(mut events: mpsc::Receiver<LocalEvent>) -> Result<Box<Report>, String> {
    loop {
        match events.recv().await {
            Some(LocalEvent::Progress { .. } | LocalEvent::Again { .. }) => (),
            Some(LocalEvent::Ended(report)) => return Ok(report),
            Some(LocalEvent::NotTaken(why)) => return Err(why),
            None => return Err("the agent takes no tasks any more".to_owned()),
        }
    }
}

fn counts(report: &Report) -> (u64, u64) {
    match TaskOutput::decode(TaskKind::Collect, &report.output) {
        Ok(TaskOutput::Collect(output)) => (output.users, output.removed),
        Ok(_) | Err(_) => (0, 0),
    }
}

fn now() -> Timestamp {
    moment(clock::unix_millis().0)
}

fn moment(millis: u64) -> Timestamp {
    i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
