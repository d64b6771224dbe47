//! Whether a failed attempt is followed by another.

use std::time::Duration;

use postern_protocol::FailureClass;

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, after this long.
    Again(Duration),
    /// The failure is the task's outcome.
    GiveUp,
}

/// Decides what follows attempt number `attempt`, which is never sooner than `patience`. Of the failure it looks at
/// nothing but the class: `None` is one this version does not know.
pub fn decide(class: Option<FailureClass>, attempt: u32, attempts: u32, patience: Duration) -> Next {
    match class {
        Some(FailureClass::Transient) if attempt < attempts => Next::Again(spacing(attempt, 1).max(patience)),
        Some(FailureClass::RateLimited) if attempt < attempts => Next::Again(spacing(attempt, 4).max(patience)),
        // A stopped attempt is not a failed one: it goes on as soon as it may.
        Some(FailureClass::Interrupted) => Next::Again(Duration::ZERO),
        Some(
            FailureClass::Transient
            | FailureClass::RateLimited
            | FailureClass::Unauthorized
            | FailureClass::Rejected
            | FailureClass::Internal,
        )
        | None => Next::GiveUp,
    }
}

fn spacing(attempt: u32, first_secs: u64) -> Duration {
    Duration::from_secs(first_secs.saturating_mul(1 << attempt.saturating_sub(1).min(5)).min(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let secs = |class, attempt| match decide(Some(class), attempt, 5, Duration::from_secs(3)) {
            Next::Again(after) => Some(after.as_secs()),
            Next::GiveUp => None,
        };
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| secs(FailureClass::Transient, n)),
            [Some(3), Some(3), Some(4), Some(8), None]
        );
        assert_eq!(secs(FailureClass::RateLimited, 2), Some(8));
        assert_eq!(secs(FailureClass::Rejected, 1), None);
        assert_eq!(secs(FailureClass::Unauthorized, 1), None);
        assert_eq!(secs(FailureClass::Interrupted, 9), Some(0));
        assert_eq!(decide(None, 1, 5, Duration::ZERO), Next::GiveUp);
    }
}
