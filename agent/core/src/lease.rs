//! How long a member may act on a task.

use std::time::Duration;

use postern_protocol::{Epoch, Timestamp};

/// A member's time-limited right to run a task.
///
/// It lasts from the moment the agent *asked* for its renewal, on the agent's own clock. The controller counts from a
/// later moment, when the question arrived, so the agent's idea of the end is never later than the controller's. An
/// offer alone gives no right to act: it may have waited in a socket while the lease ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub epoch: Epoch,
    until: Option<Until>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Moment(Timestamp),
    Ever,
}

impl Lease {
    /// A lease that was offered and is yet to be renewed.
    pub const fn offered(epoch: Epoch) -> Self {
        Self { epoch, until: None }
    }

    /// The right to run a task that came from this machine: nobody else has it.
    pub const fn local() -> Self {
        Self { epoch: Epoch(0), until: Some(Until::Ever) }
    }

    /// The controller keeps the lease for `ttl` from the moment it was `asked`.
    pub fn handle_kept(&mut self, asked: Timestamp, ttl: Duration) {
        let until = asked + ttl;
        match self.until {
            Some(Until::Ever) => (),
            Some(Until::Moment(before)) => self.until = Some(Until::Moment(before.max(until))),
            None => self.until = Some(Until::Moment(until)),
        }
    }

    /// The lease is lost.
    pub fn handle_lost(&mut self) {
        self.until = None;
    }

    /// Whether a call that may take `reach` may begin now.
    pub fn covers(&self, reach: Duration, now: Timestamp) -> bool {
        match self.until {
            Some(Until::Ever) => true,
            Some(Until::Moment(until)) => now + reach <= until,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn an_offer_alone_gives_no_right_to_act() {
        assert!(!Lease::offered(Epoch(1)).covers(Duration::ZERO, at(0)));
    }

    /// Count from the answer instead of the question and this fails.
    #[test]
    fn it_lasts_from_the_question_and_must_outlive_the_call() {
        let mut lease = Lease::offered(Epoch(1));
        lease.handle_kept(at(10), Duration::from_secs(60));
        assert!(lease.covers(Duration::from_secs(30), at(40)));
        assert!(!lease.covers(Duration::from_secs(30), at(41)));
        lease.handle_kept(at(5), Duration::from_secs(60));
        assert!(lease.covers(Duration::from_secs(30), at(40)), "a late answer does not shorten it");
        lease.handle_lost();
        assert!(!lease.covers(Duration::ZERO, at(11)));
    }
}
