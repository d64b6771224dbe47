//! The audit log of this agent: every effect becomes a line, once.
//!
//! What is to be told is committed with what it tells of, see [`crate::store::audit`]. The [`Scribe`] writes it into the
//! files of the log, and only then are the rows removed from the store. After a crash the last line tells where to go on.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use postern_protocol::plain::Chain;
pub use postern_store::audit::Status;
use postern_store::audit::{AGAIN, AuditError, Event, GATHER, Pen};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::store::{AgentStoreError, Store, record};

/// Where the log of the agent with this state directory is.
pub fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("audit")
}

/// An event that happens now, as the store keeps it.
pub fn event(event: &impl Serialize) -> Vec<u8> {
    let what = serde_json::to_string(event).unwrap_or_else(|_| "{}".to_owned());
    record::audit(&Event { time: clock::unix_millis().0, what })
}

/// Why the log was not written.
#[derive(Debug, thiserror::Error)]
enum ScribeError {
    #[error(transparent)]
    Log(#[from] AuditError),
    #[error(transparent)]
    Store(#[from] AgentStoreError),
}

/// Whoever writes the log.
pub struct Scribe {
    directory: PathBuf,
    store: Store,
    pen: Pen,
    status: watch::Sender<Status>,
}

impl Scribe {
    /// For the log of the agent with this state directory.
    pub fn new(state_dir: &Path, store: Store) -> (Self, watch::Receiver<Status>) {
        let pen = Pen::default();
        let (status, told) = watch::channel(pen.status(store.audit().head(), store.audit().waiting()));
        (Self { directory: directory(state_dir), store, pen, status }, told)
    }

    /// Writes what there is, until it is told to stop and everything is written.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut is_last = false;
        loop {
            let store = self.store.clone();
            let mut wait = GATHER;
            self = match tokio::task::spawn_blocking(move || self.write_all()).await {
                Ok((scribe, is_well)) => {
                    if !is_well {
                        wait = AGAIN;
                    }
                    scribe
                }
                Err(error) => match error.try_into_panic() {
                    // Without its log the agent would take no work after a while, and nobody would know why.
                    Ok(panic) => resume_unwind(panic),
                    Err(error) => return tracing::error!(%error, "the audit log is not written any more"),
                },
            };
            if is_last {
                return;
            }
            let due = async {
                tokio::time::sleep(wait).await;
                store.audit().some().await;
            };
            tokio::select! {
                () = stop.cancelled() => is_last = true,
                () = due => (),
            }
        }
    }

    /// Writes everything that waits. Whether that went well.
    fn write_all(mut self) -> (Self, bool) {
        let trouble = self.try_write_all().err().map(|error| Chain(&error).to_string());
        let waiting = self.store.audit().waiting();
        let is_well = self.pen.tell(trouble, waiting);
        self.status.send_replace(self.pen.status(self.store.audit().head(), waiting));
        (self, is_well)
    }

    fn try_write_all(&mut self) -> Result<(), ScribeError> {
        loop {
            let (last, bytes, rows) = self.store.audit_rows()?;
            let head = self.pen.write(&self.directory, self.store.audit().head(), &rows)?;
            if rows.is_empty() {
                return Ok(());
            }
            self.store.audit_written(last, bytes, head)?;
        }
    }
}

#[cfg(test)]
mod tests;
