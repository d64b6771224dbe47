//! What connected systems say they can still do, and what of that is spoken for.

use std::time::Duration;

use postern_protocol::{SystemName, Timestamp};

use super::Ledger;

/// Calls that a task about one account may need: looking, changing and looking again for each of two steps, a sign-in,
/// and one call that is made twice. Few need half of them.
const CALLS_A_TASK: u64 = 8;

/// How many more calls a connected system takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallsLeft {
    /// So many, from all programs together.
    pub calls: u64,
    /// Until when that is worth anything; then nothing is known, and whoever asks finds out.
    pub until: Timestamp,
}

impl Ledger {
    /// A connected system says how many more calls it takes; `None`: nobody knows, or there is no bound.
    pub fn handle_calls_left(&mut self, system: &SystemName, left: Option<CallsLeft>) {
        match left {
            Some(left) => drop(self.calls_left.insert(system.clone(), left)),
            None => drop(self.calls_left.remove(system)),
        }
    }

    /// Forgets what is worth nothing any more.
    pub(super) fn forget_calls(&mut self, now: Timestamp) {
        self.calls_left.retain(|_, left| now < left.until);
    }

    /// Tasks that may still be taken before the calls of all systems are spoken for. One system that has some left, or
    /// does not say, is enough for offers to be wanted: those of others are refused.
    pub(super) fn callable(&self) -> usize {
        let rooms = self.limits.systems.keys().map(|system| self.callable_on(system));
        rooms.fold(0, |sum, room| sum.saturating_add(room.unwrap_or(usize::MAX)))
    }

    /// How long a system is left alone, if the calls it takes are spoken for.
    pub(super) fn used_up(&self, system: &SystemName, now: Timestamp) -> Option<Duration> {
        let left = self.calls_left.get(system).filter(|left| now < left.until)?;
        (self.callable_on(system) == Some(0)).then(|| left.until.since(now))
    }

    fn callable_on(&self, system: &SystemName) -> Option<usize> {
        let left = self.calls_left.get(system)?;
        let held = self.tasks.values().filter(|held| !held.is_concluded() && held.offer.system == *system).count();
        Some(usize::try_from(left.calls / CALLS_A_TASK).unwrap_or(usize::MAX).saturating_sub(held))
    }
}
