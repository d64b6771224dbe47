//! What a running agent tells about itself, and is told, on a socket that only its own user can open.
//!
//! Whoever connects writes one [`Ask`] as a line of JSON, and reads one [`Answer`] to the end of the connection.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use postern_health::{UnderWay, Verdict};
use postern_protocol::SystemName;
use postern_protocol::message::v1::LogLevel;
use postern_protocol::session::SUBPROTOCOL;
use postern_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::Connected;
use crate::audit;
use crate::clock;
use crate::collection;
use crate::dispatcher::{Dispatcher, Logged};
use crate::doctor::desk;
use crate::health::Vitals;
use crate::store::Store;
use crate::telemetry::{self, By, Temporary, Trouble};

/// How long a client may take to ask and to read its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait when nobody can be answered: asking again at once would only burn the processor.
const PAUSE: Duration = Duration::from_secs(1);
/// Nothing that is asked is longer.
const MAX_ASK: u64 = 16 * 1024;
/// No answer is longer.
const MAX_ANSWER: u64 = 1024 * 1024;
/// The clients at a time; of more, the one that came first makes room.
const MAX_CALLS: usize = 16;

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// How the agent is.
    Status,
    /// What is wrong, as far as only the agent itself may look.
    Doctor(desk::Request),
    /// Whether it is live, ready and useful.
    Health,
    /// Another log level for a while.
    LogLevel {
        /// Of which connected system; nothing: of everything.
        system: Option<SystemName>,
        /// Which; nothing: what the configuration says.
        level: Option<LogLevel>,
        /// For how many seconds.
        for_secs: u64,
    },
}

impl Ask {
    /// What a line asks for, or what to tell whoever wrote it.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| format!("this is not asked here: {error}"))
    }

    /// How long the answer may take.
    const fn patience(&self) -> Duration {
        match self {
            Self::Status | Self::Health | Self::LogLevel { .. } => PATIENCE,
            Self::Doctor(_) => desk::PATIENCE,
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How the agent is.
    Status(Box<Report>),
    /// What is wrong.
    Doctor(Box<desk::Answer>),
    /// What speaks against its being live, ready and useful.
    Health(Verdict),
    /// What is logged from now on.
    Logged(Logged),
    /// It is not done.
    Refused {
        /// Why, and what to do about it.
        message: String,
    },
}

/// What a running agent tells about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Its cluster.
    pub cluster: String,
    /// Its member id.
    pub member: String,
    /// When it started, in milliseconds since 1970.
    pub started: UnixMillis,
    /// Of what is spoken and written: the protocol and the format of the store.
    pub versions: Versions,
    /// How its certificate is.
    pub certificate: serde_json::Value,
    /// What the link is doing.
    pub link: serde_json::Value,
    /// What sessions there were.
    pub sessions: serde_json::Value,
    /// How its sealing keys are.
    pub sealing_keys: serde_json::Value,
    /// What the ledger looks like, and each connected system.
    pub ledger: serde_json::Value,
    /// How the store is.
    pub store: Space,
    /// What is logged of the agent itself.
    pub log_level: serde_json::Value,
    /// The last warnings and errors, the newest first.
    pub troubles: Vec<Trouble>,
    /// How the audit log is.
    #[serde(default)]
    pub audit: serde_json::Value,
    /// What each collection is at.
    #[serde(default)]
    pub collections: Vec<serde_json::Value>,
    /// What speaks against its being live, ready and useful.
    #[serde(default)]
    pub health: Verdict,
}

/// Versions of what a program speaks and writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Versions {
    /// Of the protocol.
    pub protocol: String,
    /// Of the store.
    pub store_format: u32,
}

/// The disk of the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Space {
    /// The bytes of its records.
    pub bytes: Option<u64>,
    /// The bytes that are free.
    pub free_bytes: Option<u64>,
}

/// The socket of the agent with this state directory.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("agent.sock")
}

/// What does not change while the agent runs.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// The cluster.
    pub cluster: String,
    /// The member id.
    pub member: String,
    /// When the agent started.
    pub started: UnixMillis,
    /// The connected systems it serves.
    pub systems: Vec<SystemName>,
}

/// Who tells what changes.
pub struct Told {
    /// The link.
    pub connected: Connected,
    /// The audit log.
    pub audit: watch::Receiver<audit::Status>,
    /// The collections.
    pub collections: Vec<watch::Receiver<collection::Status>>,
    /// Its health.
    pub vitals: Vitals,
}

/// Opens the socket. The state directory's mode keeps others out.
pub fn listen(state_dir: &Path) -> io::Result<UnixListener> {
    // Whoever holds the store owns the socket: one left behind by a killed process is nobody's.
    remove(state_dir)?;
    UnixListener::bind(socket_path(state_dir))
}

/// Removes the socket, if it is there.
pub fn remove(state_dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(socket_path(state_dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Answers everyone who connects, until `stop` fires.
pub async fn serve(listener: UnixListener, desk: Desk, stop: CancellationToken) {
    let mut calls = FuturesUnordered::new();
    let mut under_way = UnderWay::new(MAX_CALLS);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = calls.next() => (),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => calls.push(under_way.begin(desk.take(stream))),
                Err(error) => {
                    // Out of descriptors, most likely, and others will be closed.
                    tracing::warn!(%error, "somebody who asked for the status could not be answered");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
}

/// Whoever knows the answers.
pub struct Desk {
    /// What does not change.
    pub fixed: Fixed,
    /// Who tells what changes.
    pub told: Told,
    /// Who tells of the ledger.
    pub dispatcher: Dispatcher,
    /// Who finds out what is wrong.
    pub doctor: desk::Desk,
    /// Who tells of the disk.
    pub store: Store,
}

impl Desk {
    /// Reads one line from `stream` and answers it.
    async fn take(&self, mut stream: UnixStream) {
        let mut line = Vec::new();
        let asked = async { BufReader::new((&mut stream).take(MAX_ASK)).read_until(b'\n', &mut line).await };
        // Whoever went away, or is too slow, is answered no more.
        let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, asked).await else { return };
        let answer = match Ask::read(&line) {
            Ok(ask) => {
                let patience = ask.patience();
                let late = |_| Answer::Refused { message: format!("it takes longer than {} s", patience.as_secs()) };
                tokio::time::timeout(patience, self.answer(ask)).await.unwrap_or_else(late)
            }
            Err(message) => Answer::Refused { message },
        };
        let bytes = serde_json::to_vec(&answer).unwrap_or_default();
        let _ = tokio::time::timeout(PATIENCE, stream.write_all(&bytes)).await;
    }

    async fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::Health => Answer::Health(self.told.vitals.verdict().await),
            Ask::Status => match self.report().await {
                Some(report) => Answer::Status(Box::new(report)),
                None => Answer::Refused { message: "the agent is stopping".to_owned() },
            },
            Ask::Doctor(request) => match self.doctor.answer(request).await {
                Ok(answer) => Answer::Doctor(Box::new(answer)),
                Err(message) => Answer::Refused { message },
            },
            Ask::LogLevel { system, level, for_secs } => self.set_log_level(system.as_ref(), level, for_secs),
        }
    }

    fn set_log_level(&self, system: Option<&SystemName>, level: Option<LogLevel>, for_secs: u64) -> Answer {
        if let Some(stranger) = system.filter(|it| !self.fixed.systems.contains(it)) {
            return Answer::Refused { message: format!("this agent has no connected system `{stranger}`") };
        }
        let (length, name) = (Duration::from_secs(for_secs), system.map(SystemName::as_str));
        if length.is_zero() || length > telemetry::LONGEST {
            let message = format!("another level holds for 1 second to {} hours", telemetry::LONGEST.as_secs() / 3600);
            return Answer::Refused { message };
        }
        let of = name.unwrap_or("everything");
        if let Some(level) = level {
            let temporary = Temporary { level, until: clock::now() + length, by: By::Host };
            telemetry::levels().set(system, temporary);
            tracing::warn!(of, %level, for_secs, "another level is logged for a while: somebody on this host wants it");
        } else {
            telemetry::levels().reset(system);
            tracing::warn!(of, "what the configuration says is logged again: somebody on this host wants it");
        }
        Answer::Logged(Logged::now(name))
    }

    async fn report(&self) -> Option<Report> {
        let ledger = self.dispatcher.status().await?;
        let (fixed, told) = (&self.fixed, &self.told);
        let health = told.vitals.verdict().await;
        let (bytes, free_bytes) = self.store.space();
        Some(Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            cluster: fixed.cluster.clone(),
            member: fixed.member.clone(),
            started: fixed.started,
            versions: Versions { protocol: SUBPROTOCOL.to_owned(), store_format: postern_store::FORMAT },
            certificate: json(&*told.connected.certificate.borrow()),
            link: json(&*told.connected.link.borrow()),
            sessions: json(&*told.connected.sessions.borrow()),
            sealing_keys: json(&*told.connected.sealing_keys.borrow()),
            ledger: json(&ledger),
            store: Space { bytes, free_bytes },
            log_level: json(&Logged::now(None)),
            troubles: telemetry::recent().all(),
            audit: json(&*told.audit.borrow()),
            collections: told.collections.iter().map(|it| json(&*it.borrow())).collect(),
            health,
        })
    }
}

fn json(it: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(it).unwrap_or_default()
}

/// Asks the running agent something; `None` if none is running.
pub async fn call(state_dir: &Path, ask: &Ask) -> io::Result<Option<Answer>> {
    let mut stream = match UnixStream::connect(socket_path(state_dir)).await {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        connected => connected?,
    };
    let process = stream.peer_cred().ok().and_then(|it| it.pid());
    let answered = async {
        let mut line = serde_json::to_vec(ask).map_err(io::Error::other)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut bytes = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut bytes).await?;
        Ok::<_, io::Error>(bytes)
    };
    let limit = ask.patience() + PATIENCE;
    let bytes = tokio::time::timeout(limit, answered).await.map_err(|_| {
        let who = process.map_or_else(|| "it".to_owned(), |process| format!("process {process}"));
        io::Error::new(io::ErrorKind::TimedOut, format!("{who} did not answer within {} s", limit.as_secs()))
    })??;
    serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other)
}

/// What speaks against the running agent's being live, ready and useful; `None` if none is running.
pub async fn ask_health(state_dir: &Path) -> io::Result<Option<Verdict>> {
    match call(state_dir, &Ask::Health).await? {
        None => Ok(None),
        Some(Answer::Health(verdict)) => Ok(Some(verdict)),
        Some(Answer::Refused { message }) => Err(io::Error::other(message)),
        Some(Answer::Status(_) | Answer::Doctor(_) | Answer::Logged(_)) => {
            Err(io::Error::other("it answers something else"))
        }
    }
}

/// The status of the running agent; `None` if none is running.
pub async fn ask(state_dir: &Path) -> io::Result<Option<Report>> {
    match call(state_dir, &Ask::Status).await? {
        None => Ok(None),
        Some(Answer::Status(report)) => Ok(Some(*report)),
        Some(Answer::Refused { message }) => Err(io::Error::other(message)),
        Some(Answer::Doctor(_) | Answer::Health(_) | Answer::Logged(_)) => {
            Err(io::Error::other("it answers something else"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_hangs_is_named_by_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let _deaf = listen(folder.path()).unwrap();
        let error = call(folder.path(), &Ask::Health).await.unwrap_err().to_string();
        assert_eq!(error, format!("process {} did not answer within 10 s", std::process::id()));
    }
}
