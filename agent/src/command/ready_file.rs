//! The file whose existence tells a script that the agent is up.

use std::io::ErrorKind;
use std::path::PathBuf;

use postern_protocol::plain::Chain;
use postern_store::private;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Failed;
use crate::exit::Exit;
use crate::link::LinkStatus;

/// A ready file that is not there.
pub(super) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Removes the one that a killed process left behind.
    pub(super) fn absent(path: PathBuf) -> Result<Self, Failed> {
        let file = Self(path);
        file.remove().map_err(|error| {
            let path = file.0.display();
            Failed::new(Exit::Usage, format!("the ready file `{path}` cannot be replaced; name another: {error}"))
        })?;
        Ok(file)
    }

    /// Writes it once there is a session, and removes it when `stop` fires.
    pub(super) async fn keep(self, mut link: watch::Receiver<LinkStatus>, stop: CancellationToken) {
        let connected = tokio::select! {
            () = stop.cancelled() => return,
            connected = link.wait_for(|status| matches!(status, LinkStatus::Connected { .. })) => connected.is_ok(),
        };
        if !connected {
            return;
        }
        if let Err(error) = private::replace(&self.0, b"ready\n") {
            return tracing::warn!(error = %Chain(&error), "the ready file cannot be written");
        }
        stop.cancelled().await;
        if let Err(error) = self.remove() {
            tracing::warn!(%error, "the ready file cannot be removed");
        }
    }

    fn remove(&self) -> std::io::Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
