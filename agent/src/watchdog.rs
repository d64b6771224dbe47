//! Looks after the parts that have to move: the owners, and the disk. Whoever judges whether this agent is live, whoever
//! tells systemd so, and the end of a process whose disk takes nothing any more all go by these looks. Of the disk alone systemd
//! is not told: it has the time that the configuration gives it, however soon systemd would end the process.
//!
//! An agent whose disk takes nothing can begin and end nothing, and would renew its leases all the same: nobody else could
//! do its work.

use std::time::Duration;

use postern_health::{Heart, Look, Pace, Pulse, Stalled, Still, Watch};
use postern_store::{CommitWatch, Progress};

use crate::exit::{self, Exit};

/// The part that writes, and over which the process ends by itself.
pub const DISK: &str = "the disk";

/// What is looked after.
pub struct Watchdog {
    watch: Watch,
    commits: CommitWatch,
}

impl Watchdog {
    /// Looks after these, and ends the process once commits have waited for `limit`. Whoever supervises it wants to hear of
    /// it as often as `patience` says. The parts that do not move are told with every look.
    pub fn new(
        commits: CommitWatch,
        dispatcher: Pulse,
        link: Pulse,
        limit: Duration,
        patience: Option<Duration>,
    ) -> (Self, Stalled) {
        let heart = heart_of(commits.clone())
            .with("the dispatcher", move || dispatcher.look())
            .with("the link", move || link.look());
        let (watch, stalled) = Watch::new(heart, Pace::new(limit, patience));
        (Self { watch, commits }, stalled)
    }

    /// Looks until the program ends, or ends it.
    pub async fn run(self) {
        let Self { watch, commits } = self;
        watch.run(|pace, still| end_without_disk(pace, still, &commits)).await;
    }
}

fn heart_of(commits: CommitWatch) -> Heart {
    Heart::default().with(DISK, move || disk(commits.look()))
}

fn disk(progress: Progress) -> Look {
    Look { has_to_move: progress.pending > 0, moved: progress.settled }
}

fn end_without_disk(pace: Pace, still: &[Still], commits: &CommitWatch) {
    if pace.is_over(still, DISK) {
        let (waiting, looks) = (commits.look().pending, pace.looks);
        tracing::error!(
            waiting,
            looks,
            "the disk of the state directory takes nothing any more: the process ends, so that its leases end too"
        );
        exit::at_once(Exit::Store);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(120);

    /// A disk for which so many wait, and how many it has answered.
    fn heart(pending: u64) -> (Heart, Arc<AtomicU64>) {
        let settled = Arc::new(AtomicU64::new(7));
        let seen = Arc::clone(&settled);
        let look = move || disk(Progress { pending, settled: seen.load(Ordering::Relaxed) });
        (Heart::default().with(DISK, look), settled)
    }

    fn is_over(heart: &mut Heart, times: u32) -> bool {
        (0..times).any(|_| Pace::new(LIMIT, None).is_over(&heart.look(), DISK))
    }

    #[test]
    fn f11_patience_ends_when_commits_wait_and_nothing_moves() {
        assert!(!is_over(&mut heart(0).0, 100), "nothing waits");
        let (mut heart, _) = heart(3);
        assert!(!is_over(&mut heart, 11));
        assert!(is_over(&mut heart, 1));
    }

    #[test]
    fn f21_a_slow_disk_is_waited_for_as_long_as_anything_moves() {
        let (mut heart, settled) = heart(64);
        for _ in 0..100 {
            settled.fetch_add(1, Ordering::Relaxed);
            assert!(!is_over(&mut heart, 12));
        }
    }
}
