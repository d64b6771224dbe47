//! The audit log of this agent: every effect becomes a line, once.
//!
//! What is to be told is committed with what it tells of, see [`crate::store::audit`]. The [`Scribe`] writes it into the
//! files of the log, and only then are the rows removed from the store. After a crash the last line tells where to go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_store::audit::{AuditError, Event, Head, Log};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::chain::Chain;
use crate::clock;
use crate::store::{AgentStoreError, Store, record};

/// How long events are gathered before they are written: they share one wait for the disk.
const GATHER: Duration = Duration::from_millis(100);
/// How long a log that cannot be written is left alone.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the log of the agent with this state directory is.
pub fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("audit")
}

/// An event that happens now, as the store keeps it.
pub fn event(event: &impl Serialize) -> Vec<u8> {
    let what = serde_json::to_string(event).unwrap_or_else(|_| "{}".to_owned());
    record::audit(&Event { time: clock::unix_millis().0, what })
}

/// How the log is, for `postern status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// Its last line, as `NUMBER:HASH`.
    pub head: String,
    /// How many events wait for being written.
    pub waiting: u64,
    /// Why it cannot be written, if it cannot.
    pub trouble: Option<String>,
    /// What was found wrong with it when the agent started.
    pub fault: Option<String>,
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
    log: Option<Log>,
    status: watch::Sender<Status>,
}

impl Scribe {
    /// For the log of the agent with this state directory.
    pub fn new(state_dir: &Path, store: Store) -> (Self, watch::Receiver<Status>) {
        let head = store.audit().head().unwrap_or_default().to_string();
        let (status, told) = watch::channel(Status { head, ..Status::default() });
        (Self { directory: directory(state_dir), store, log: None, status }, told)
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
                Err(error) => return tracing::error!(%error, "the audit log is not written any more"),
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
        let written = self.try_write_all();
        let trouble = written.err().map(|error| Chain(&error).to_string());
        let is_well = trouble.is_none();
        if !is_well {
            // What is in the file, and what the store knows of it, is compared anew.
            self.log = None;
        }
        let waiting = self.store.audit().waiting();
        match &trouble {
            Some(error) if self.status.borrow().trouble.as_ref() != Some(error) => tracing::error!(
                error,
                waiting,
                "the audit log cannot be written; when too much waits for it, no change is begun any more"
            ),
            None if self.status.borrow().trouble.is_some() => tracing::info!("the audit log is written again"),
            _ => (),
        }
        let head = self.store.audit().head().unwrap_or_default().to_string();
        self.status.send_modify(|status| (status.head, status.waiting, status.trouble) = (head, waiting, trouble));
        (self, is_well)
    }

    fn try_write_all(&mut self) -> Result<(), ScribeError> {
        if self.log.is_none() {
            self.log = Some(self.open()?);
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        while self.store.audit().waiting() > 0 {
            let (last, events) = self.store.audit_rows()?;
            let head = log.append(&events)?;
            self.store.audit_written(last, head)?;
        }
        Ok(())
    }

    /// Opens the log and goes on where it ended.
    fn open(&mut self) -> Result<Log, ScribeError> {
        let known = self.store.audit().head();
        let opened = Log::open(&self.directory, known)?;
        if opened.cut > 0 {
            tracing::warn!(
                bytes = opened.cut,
                "a crash had left a line of the audit log half written; it is written again"
            );
        }
        if let Some(fault) = opened.fault {
            tracing::error!(error = %fault, "the audit log was changed; it goes on in a new file: run `postern audit verify`");
            self.status.send_modify(|status| status.fault = Some(fault.to_string()));
        }
        let log = opened.log;
        self.take_up(known.unwrap_or_default(), log.head())?;
        Ok(log)
    }

    /// Lines behind the last one that the store knows of are its own next rows, if the process died right behind them.
    fn take_up(&self, known: Head, end: Head) -> Result<(), ScribeError> {
        let Some(lines) = end.number.checked_sub(known.number).filter(|lines| *lines > 0) else { return Ok(()) };
        let (last, events) = self.store.audit_rows()?;
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        let head = events.iter().take(lines).try_fold(known, |head, event| event.after(head).map(|it| it.1))?;
        if head == end {
            let rest = u64::try_from(events.len().saturating_sub(lines)).unwrap_or(0);
            return Ok(self.store.audit_written(last.saturating_sub(rest), end)?);
        }
        let fault = format!(
            "the audit log goes on behind line {} with lines that this agent's store does not know of: was an older store \
             put in place?",
            known.number
        );
        tracing::error!(error = fault, "the audit log goes on behind its last line");
        self.status.send_modify(|status| status.fault = Some(fault));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
