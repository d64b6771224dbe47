//! Where a running agent is asked what only it can find out, because it has the store and the sessions.
//!
//! A socket of its own beside that of the status: to look takes a while, and must keep nobody from the status.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use postern_protocol::SystemName;
use postern_store::audit::Status as AuditStatus;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::state::Facts;
use super::{Finding, system};
use crate::chain::Chain;
use crate::connector::{Connector, Reach};
use crate::store::Store;

/// How long a client may take to say what it wants, or to read its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait when nobody can be answered: asking again at once would only burn the processor.
const PAUSE: Duration = Duration::from_secs(1);
/// How long whoever asks waits: longer than [`system::EXAMINATION`], for another may be asked for just before.
const ANSWER: Duration = Duration::from_secs(2 * 60 + 10);
/// No request is longer: the names of a hundred systems.
const MAX_REQUEST: u64 = 16 * 1024;
/// No answer is longer: a hundred systems with eight findings each.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

/// What is to be looked at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// The connected systems, and how far each may be looked at.
    pub systems: BTreeMap<SystemName, Reach>,
}

/// What was found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The configuration of the agent that runs.
    pub config: PathBuf,
    /// Its store.
    pub store: Facts,
    /// Each system that it serves.
    pub systems: BTreeMap<SystemName, Vec<Finding>>,
}

/// What a running agent looks with.
pub struct Desk {
    /// Its configuration.
    pub config: PathBuf,
    /// Its store.
    pub store: Store,
    /// How its audit log is.
    pub audit: watch::Receiver<AuditStatus>,
    /// Its connectors.
    pub connectors: BTreeMap<SystemName, Arc<dyn Connector>>,
}

/// The socket of the agent with this state directory.
fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join("doctor.sock")
}

/// Opens the socket. Whoever holds the store owns it; the state directory's mode keeps others out.
pub fn listen(state_dir: &Path) -> io::Result<UnixListener> {
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

impl Desk {
    /// Answers everyone who asks, one after the other, until `stop` fires.
    pub async fn serve(self, listener: UnixListener, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => tokio::select! {
                    () = stop.cancelled() => return,
                    served = self.answer(stream) => if let Err(error) = served {
                        tracing::warn!(%error, "somebody who asked what is wrong could not be answered");
                    },
                },
                Err(error) => {
                    tracing::warn!(%error, "somebody who asked what is wrong could not be answered");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn answer(&self, mut stream: UnixStream) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut limited = (&mut stream).take(MAX_REQUEST);
        tokio::time::timeout(PATIENCE, limited.read_to_end(&mut bytes)).await.map_err(io::Error::other)??;
        let request: Request = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        let wanted = self.connectors.iter().filter_map(|(name, it)| Some((name, it, *request.systems.get(name)?)));
        let looks = wanted.map(async |(name, connector, reach)| {
            (name.clone(), system::examine(connector.as_ref(), reach, name).await)
        });
        let systems = join_all(looks).await.into_iter().collect();
        let (store, audit) = (self.store.clone(), self.audit.borrow().clone());
        let facts = tokio::task::spawn_blocking(move || Facts::of(&store, audit)).await.map_err(io::Error::other)?;
        let store = facts.map_err(|error| io::Error::other(Chain(&error).to_string()))?;
        let answer = serde_json::to_vec(&Answer { config: self.config.clone(), store, systems }).unwrap_or_default();
        tokio::time::timeout(PATIENCE, stream.write_all(&answer)).await.map_err(io::Error::other)?
    }
}

/// Asks the agent that runs.
pub async fn ask(state_dir: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket_path(state_dir)).await?;
    stream.write_all(&serde_json::to_vec(request).unwrap_or_default()).await?;
    stream.shutdown().await?;
    let mut bytes = Vec::new();
    let mut stream = stream.take(MAX_ANSWER);
    tokio::time::timeout(ANSWER, stream.read_to_end(&mut bytes)).await.map_err(io::Error::other)??;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}
