//! What a running agent tells about itself on a socket that only its own user can open.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_health::Verdict;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::collection;
use crate::dispatcher::Dispatcher;
use crate::health::Vitals;
use crate::link::{CertificateStatus, LinkStatus};

/// How long a client may take to read its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait when nobody can be answered: asking again at once would only burn the processor.
const PAUSE: Duration = Duration::from_secs(1);
/// No answer is longer.
const MAX_ANSWER: u64 = 64 * 1024;

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
    /// How its certificate is.
    pub certificate: serde_json::Value,
    /// What the link is doing.
    pub link: serde_json::Value,
    /// What the ledger looks like.
    pub ledger: serde_json::Value,
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
}

/// Who tells what changes.
pub struct Told {
    /// The link.
    pub link: watch::Receiver<LinkStatus>,
    /// The certificate.
    pub certificate: watch::Receiver<CertificateStatus>,
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

/// Answers everyone who connects, one after the other, until `stop` fires.
pub async fn serve(listener: UnixListener, fixed: Fixed, told: Told, dispatcher: Dispatcher, stop: CancellationToken) {
    loop {
        let mut stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely, and others will be closed.
                    tracing::warn!(%error, "somebody who asked for the status could not be answered");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let Some(ledger) = dispatcher.status().await else { return };
        let health = told.vitals.verdict().await;
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            cluster: fixed.cluster.clone(),
            member: fixed.member.clone(),
            certificate: serde_json::to_value(&*told.certificate.borrow()).unwrap_or_default(),
            link: serde_json::to_value(&*told.link.borrow()).unwrap_or_default(),
            ledger: serde_json::to_value(&ledger).unwrap_or_default(),
            audit: serde_json::to_value(&*told.audit.borrow()).unwrap_or_default(),
            collections: told
                .collections
                .iter()
                .map(|it| serde_json::to_value(&*it.borrow()).unwrap_or_default())
                .collect(),
            health,
        };
        let bytes = serde_json::to_vec(&report).unwrap_or_default();
        let _ = tokio::time::timeout(PATIENCE, stream.write_all(&bytes)).await;
    }
}

/// Asks the running agent; `None` if none is running.
pub async fn ask(state_dir: &Path) -> io::Result<Option<Report>> {
    let stream = match UnixStream::connect(socket_path(state_dir)).await {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        connected => connected?,
    };
    let mut bytes = Vec::new();
    let mut stream = stream.take(MAX_ANSWER);
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.map_err(io::Error::other)??;
    serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other)
}
