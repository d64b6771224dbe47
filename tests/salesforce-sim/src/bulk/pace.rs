//! How long a job takes: in polls, for tests that decide what a caller sees, and in time.

/// A job is done when both have passed. Its records are done in proportion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// This many polls see the job unfinished; the first of them sees it queued.
    pub(crate) polls: u64,
    pub(crate) millis: u64,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Polls since the job was handed over.
    pub(crate) polls: u64,
    /// Milliseconds since then.
    pub(crate) millis: u64,
}

impl Pace {
    pub(crate) fn is_over(self, progress: Progress) -> bool {
        (self.polls == 0 || progress.polls > self.polls) && progress.millis >= self.millis
    }

    /// How many of `records` should be done by now.
    pub(crate) fn due(self, progress: Progress, records: usize) -> usize {
        if self.is_over(progress) {
            return records;
        }
        let by_polls = share(records, progress.polls.saturating_sub(1), self.polls);
        by_polls.min(share(records, progress.millis, self.millis))
    }
}

fn share(records: usize, passed: u64, all: u64) -> usize {
    if passed >= all {
        return records;
    }
    let share = u64::try_from(records).unwrap_or(u64::MAX).saturating_mul(passed) / all;
    usize::try_from(share).unwrap_or(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_done_in_proportion_to_polls_and_time() {
        let pace = Pace { polls: 4, millis: 1_000 };
        let due = |polls, millis| pace.due(Progress { polls, millis }, 100);
        assert_eq!([due(1, 1_000), due(2, 1_000), due(4, 1_000), due(5, 1_000)], [0, 25, 75, 100]);
        assert_eq!([due(5, 0), due(5, 999), due(3, 250)], [0, 99, 25]);
        assert!(Pace::default().is_over(Progress::default()));
    }
}
