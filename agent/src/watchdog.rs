//! Ends a process whose disk takes nothing any more.
//!
//! Such an agent can begin and end nothing, and would renew its leases all the same: nobody else could do its work.

use std::time::Duration;

use postern_store::{CommitWatch, Progress};

use crate::exit::{self, Exit};

/// Looks without progress until the disk is given up. They are counted, rather than time: of a process that was stopped,
/// or of a host that slept, the disk was not asked anything meanwhile.
const LOOKS: u32 = 12;

/// Looks after the disk until the program ends, or ends it once commits have waited for `limit`.
pub async fn watch(commits: CommitWatch, limit: Duration) {
    let mut patience = Patience::default();
    loop {
        tokio::time::sleep(limit / LOOKS).await;
        let progress = commits.look();
        if patience.is_over(progress) {
            let (waiting, limit_secs) = (progress.pending, limit.as_secs());
            tracing::error!(
                waiting,
                limit_secs,
                "the disk of the state directory takes nothing any more: the process ends, so that its leases end too"
            );
            exit::at_once(Exit::Store);
        }
    }
}

/// How long nothing has moved.
#[derive(Debug, Default)]
struct Patience {
    settled: u64,
    looks: u32,
}

impl Patience {
    fn is_over(&mut self, progress: Progress) -> bool {
        let is_stuck = progress.pending > 0 && progress.settled == self.settled;
        self.looks = if is_stuck { self.looks + 1 } else { 0 };
        self.settled = progress.settled;
        self.looks >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(patience: &mut Patience, pending: u64, settled: u64, times: u32) -> bool {
        (0..times).any(|_| patience.is_over(Progress { pending, settled }))
    }

    #[test]
    fn f11_patience_ends_when_commits_wait_and_nothing_moves() {
        let mut patience = Patience::default();
        assert!(!looks(&mut patience, 0, 7, 100), "nothing waits");
        assert!(!looks(&mut patience, 3, 7, LOOKS - 1));
        assert!(looks(&mut patience, 4, 7, 1), "that more waits is no progress");
    }

    #[test]
    fn f21_a_slow_disk_is_waited_for_as_long_as_anything_moves() {
        let mut patience = Patience::default();
        for settled in 1..100 {
            assert!(!looks(&mut patience, 64, settled, LOOKS));
        }
    }
}
