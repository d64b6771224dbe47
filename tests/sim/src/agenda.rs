//! What happens when: the only clock there is.

use std::collections::BTreeMap;

/// Milliseconds of true time since the beginning. The programs see it through clocks of their own.
pub type Millis = u64;

/// Events in the order in which they happen; those of one moment in the order in which they were put down.
#[derive(Debug)]
pub struct Agenda<E> {
    now: Millis,
    sequence: u64,
    events: BTreeMap<(Millis, u64), E>,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { now: 0, sequence: 0, events: BTreeMap::new() }
    }
}

impl<E> Agenda<E> {
    /// The present moment.
    pub const fn now(&self) -> Millis {
        self.now
    }

    /// Has `event` happen at `at`, or now if that is past.
    pub fn put(&mut self, at: Millis, event: E) {
        self.sequence += 1;
        self.events.insert((at.max(self.now), self.sequence), event);
    }

    /// Has `event` happen `after` so long.
    pub fn put_after(&mut self, after: Millis, event: E) {
        self.put(self.now + after, event);
    }

    /// The next event, at whose moment it then is; `None` if there is none until `until`, which it is then.
    pub fn next(&mut self, until: Millis) -> Option<E> {
        let next = self.events.first_entry().filter(|entry| entry.key().0 <= until);
        let Some(entry) = next else {
            self.now = self.now.max(until);
            return None;
        };
        self.now = entry.key().0;
        Some(entry.remove())
    }
}
