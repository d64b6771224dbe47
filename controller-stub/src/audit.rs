//! The audit log of this controller: every administrative act becomes a line, once.
//!
//! A line is committed with what it tells of, see [`crate::state::audit`]. The [`Scribe`] writes it into the files of the
//! log, and only then is its row removed from the ledger. After a crash the last line tells where to go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_store::audit::{AuditError, Event, Head, Log};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::{Handle, Stopped};
use crate::exit::Chain;

/// How long lines are gathered before they are written: they share one wait for the disk.
const GATHER: Duration = Duration::from_millis(100);
/// How long a log that cannot be written is left alone.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the log of the controller with this data directory is.
pub fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("audit")
}

/// What waits to be written, in its order.
pub struct Rows {
    /// The last line that is known to be in the log.
    pub known: Option<Head>,
    /// The number of the last row.
    pub last: u64,
    /// What they say.
    pub events: Vec<Event>,
}

/// Why the log was not written.
#[derive(Debug, thiserror::Error)]
enum ScribeError {
    #[error(transparent)]
    Log(#[from] AuditError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("whoever writes to the disk ended")]
    Blocking(#[from] tokio::task::JoinError),
}

/// Whoever writes the log.
pub struct Scribe {
    directory: PathBuf,
    handle: Handle,
    /// The newest row that is durable.
    newest: watch::Receiver<u64>,
    log: Option<Log>,
    trouble: Option<String>,
}

impl Scribe {
    /// For the log of the controller with this data directory.
    pub fn new(data_dir: &Path, handle: Handle, newest: watch::Receiver<u64>) -> Self {
        Self { directory: directory(data_dir), handle, newest, log: None, trouble: None }
    }

    /// Writes what there is, until it is told to stop and everything is written.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut is_last = false;
        loop {
            let written = self.write_all().await;
            if is_last || matches!(written, Err(ScribeError::Stopped(_))) {
                return;
            }
            let is_well = self.tell(written.err());
            let newest = &mut self.newest;
            let due = async {
                if is_well {
                    tokio::time::sleep(GATHER).await;
                    // Whoever made the rows lives as long as there are any.
                    let _ = newest.changed().await;
                } else {
                    tokio::time::sleep(AGAIN).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => is_last = true,
                () = due => (),
            }
        }
    }

    /// Says once that the log cannot be written, and that it can again. Whether all is well.
    fn tell(&mut self, error: Option<ScribeError>) -> bool {
        let trouble = error.map(|error| Chain(&error).to_string());
        match &trouble {
            Some(error) if self.trouble.as_ref() != Some(error) => {
                tracing::error!(
                    error,
                    "the audit log cannot be written; when too much waits for it, nothing is done any more"
                );
            }
            None if self.trouble.is_some() => tracing::info!("the audit log is written again"),
            _ => (),
        }
        self.trouble = trouble;
        self.trouble.is_none()
    }

    async fn write_all(&mut self) -> Result<(), ScribeError> {
        loop {
            let rows = self.handle.ask(|state, _| state.audit_rows()).await?;
            if rows.events.is_empty() {
                return Ok(());
            }
            let (directory, log) = (self.directory.clone(), self.log.take());
            let (log, last, head) = tokio::task::spawn_blocking(move || write(&directory, log, &rows)).await??;
            self.log = Some(log);
            self.handle.tell(0, move |state, _| state.audit_written(last, head)).await?;
        }
    }
}

/// Writes rows. A log that was not open yet may hold some of them, if the process died right behind them.
fn write(directory: &Path, log: Option<Log>, rows: &Rows) -> Result<(Log, u64, Head), AuditError> {
    let (mut log, there) = match log {
        Some(log) => (log, 0),
        None => open(directory, rows)?,
    };
    let head = log.append(rows.events.iter().skip(there))?;
    Ok((log, rows.last, head))
}

/// Opens the log. How many of the rows are its last lines already.
fn open(directory: &Path, rows: &Rows) -> Result<(Log, usize), AuditError> {
    let opened = Log::open(directory, rows.known)?;
    if opened.cut > 0 {
        tracing::warn!(
            bytes = opened.cut,
            "a crash had left a line of the audit log half written; it is written again"
        );
    }
    if let Some(fault) = opened.fault {
        tracing::error!(error = %fault, "the audit log was changed; it goes on in a new file: run `postern-controller audit verify`");
    }
    let (known, end) = (rows.known.unwrap_or_default(), opened.log.head());
    let lines = usize::try_from(end.number.saturating_sub(known.number)).unwrap_or(usize::MAX);
    let head = rows.events.iter().take(lines).try_fold(known, |head, event| event.after(head).map(|it| it.1))?;
    if head == end {
        return Ok((opened.log, lines));
    }
    tracing::error!(
        known = known.number,
        "the audit log goes on behind its last line with lines that the ledger does not know of: was an older ledger put \
         in place?"
    );
    Ok((opened.log, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(known: Option<Head>, events: &[&str]) -> Rows {
        let events = events.iter().map(|it| Event { time: 1, what: format!("{{\"act\":\"{it}\"}}") }).collect();
        Rows { known, last: 7, events }
    }

    fn lines(directory: &Path) -> usize {
        let read = postern_store::audit::Verifier::new(directory).run(|_| ());
        usize::try_from(read.unwrap().lines).unwrap()
    }

    /// Write every row again after a crash and the log says everything twice.
    #[test]
    fn rows_that_a_crash_left_behind_their_lines_are_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("audit");
        let (_, _, first) = write(&directory, None, &rows(None, &["a", "b"])).unwrap();
        // The ledger never heard of it, and two more rows have come.
        let (_, last, head) = write(&directory, None, &rows(None, &["a", "b", "c", "d"])).unwrap();
        assert_eq!((lines(&directory), last, head.number), (4, 7, 4));
        // It heard of the first two, and died behind the third.
        let (_, _, head) = write(&directory, None, &rows(Some(first), &["c", "d", "e"])).unwrap();
        assert_eq!((lines(&directory), head.number), (5, 5));
    }

    #[test]
    fn a_log_that_outlived_its_ledger_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("audit");
        write(&directory, None, &rows(None, &["a", "b"])).unwrap();
        let (_, _, head) = write(&directory, None, &rows(None, &["c"])).unwrap();
        assert_eq!((lines(&directory), head.number), (3, 3));
    }
}
