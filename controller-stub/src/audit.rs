//! The audit log of this controller: every administrative act becomes a line, once.
//!
//! A line is committed with what it tells of, see [`crate::state::audit`]. The [`Scribe`] writes it into the files of the
//! log, and only then is its row removed from the ledger. After a crash the last line tells where to go on.

use std::path::{Path, PathBuf};

use postern_protocol::plain::Chain;
use postern_store::audit::{AGAIN, AuditError, Event, GATHER, Head, Pen};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::{Handle, Stopped};
use crate::space::Space;

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
    /// The log can wait in the ledger for a while, and what was promised there cannot.
    #[error("the disk is nearly full: free space")]
    NearlyFull,
    #[error("whoever writes to the disk ended")]
    Blocking(#[from] tokio::task::JoinError),
}

/// Whoever writes the log.
pub struct Scribe {
    directory: PathBuf,
    handle: Handle,
    /// The newest row that is durable.
    newest: watch::Receiver<u64>,
    /// Who acts all the time must not take with lines what reports need.
    space: Space,
    pen: Pen,
}

impl Scribe {
    /// For the log of the controller with this data directory.
    pub fn new(data_dir: &Path, handle: Handle, newest: watch::Receiver<u64>, space: Space) -> Self {
        Self { directory: directory(data_dir), handle, newest, space, pen: Pen::default() }
    }

    /// Writes what there is, until it is told to stop and everything is written.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut is_last = false;
        loop {
            let written = self.write_all().await;
            if is_last || matches!(written, Err(ScribeError::Stopped(_))) {
                return;
            }
            let Ok(is_well) = self.tell(written.err()).await else { return };
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

    /// Says how writing went, here and to the state. Whether it went well.
    async fn tell(&mut self, error: Option<ScribeError>) -> Result<bool, Stopped> {
        let waiting = self.handle.ask(|state, _| state.audit_waiting()).await?;
        let is_well = self.pen.tell(error.map(|error| Chain(&error).to_string()), waiting);
        let status = self.pen.status(None, waiting);
        self.handle.tell(0, move |state, _| state.audit_is(status)).await?;
        Ok(is_well)
    }

    async fn write_all(&mut self) -> Result<(), ScribeError> {
        loop {
            let rows = self.handle.ask(|state, _| state.audit_rows()).await?;
            let (is_last, last) = (rows.events.is_empty(), rows.last);
            let bytes: usize = rows.events.iter().map(|it| it.what.len()).sum();
            if !is_last && !self.space.has_room_for(u64::try_from(bytes).unwrap_or(u64::MAX)) {
                return Err(ScribeError::NearlyFull);
            }
            let (directory, mut pen) = (self.directory.clone(), std::mem::take(&mut self.pen));
            let writing = tokio::task::spawn_blocking(move || {
                let written = pen.write(&directory, rows.known, &rows.events);
                (pen, written)
            });
            let (pen, written) = writing.await?;
            self.pen = pen;
            let head = written?;
            if is_last {
                return Ok(());
            }
            self.handle.tell(0, move |state, _| state.audit_written(last, head)).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::dispatcher::Dispatcher;
    use crate::space;
    use crate::state::lab;

    /// Write on as long as the disk takes it, and whoever may act takes the controller's last bytes with lines of his acts.
    #[tokio::test]
    async fn the_log_leaves_reports_their_room_on_the_disk_and_goes_on_once_there_is_more() {
        let (folder, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ledger, spool) = lab::ledger(folder.path());
        let (_spool, space, filling) = space::lab::spool(disk.path());
        let mut state = lab::state(folder.path(), &ledger, lab::SETTINGS, clock::moment());
        state.audit_start(clock::moment());
        let newest = state.newest_audit_row();
        let (dispatcher, handle) = Dispatcher::new(state, ledger, spool);
        let mut scribe = Scribe::new(folder.path(), handle.clone(), newest, space);
        let rows_left = async || handle.ask(|state, _| state.audit_waiting()).await.unwrap();
        let writing = async {
            filling.leave(0);
            assert!(matches!(scribe.write_all().await, Err(ScribeError::NearlyFull)));
            assert!(!directory(folder.path()).exists());
            assert_eq!(rows_left().await, 1);
            filling.leave(1 << 20);
            scribe.write_all().await.unwrap();
            assert_eq!(rows_left().await, 0);
        };
        tokio::select! {
            ended = dispatcher.run(CancellationToken::new()) => panic!("the owner ended: {ended:?}"),
            () = writing => (),
        }
    }
}
