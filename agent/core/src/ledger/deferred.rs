//! Deferred writes: those that nobody waits for.

use std::time::Duration;

use postern_protocol::Timestamp;

use crate::write::Write;

/// How long they may wait for others to go with: what is lost with the process until then is asked for again.
const PATIENCE: Duration = Duration::from_millis(250);
/// How many may wait: a page of acknowledgements, far below what one commit takes.
const MOST: usize = 512;

/// Writes that share the barrier of the next ones, or wait for a while and then get their own.
#[derive(Debug, Default)]
pub(super) struct DeferredWrites {
    writes: Vec<Write>,
    since: Option<Timestamp>,
}

impl DeferredWrites {
    pub(super) fn extend(&mut self, writes: impl IntoIterator<Item = Write>, now: Timestamp) {
        self.writes.extend(writes);
        self.since.get_or_insert(now);
    }

    pub(super) fn take(&mut self) -> Vec<Write> {
        self.since = None;
        std::mem::take(&mut self.writes)
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.writes.len() > MOST || self.due_at().is_some_and(|at| now >= at)
    }

    pub(super) fn due_at(&self) -> Option<Timestamp> {
        self.since.map(|since| since + PATIENCE)
    }
}
