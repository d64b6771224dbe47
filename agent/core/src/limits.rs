//! The bounds of the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_protocol::SystemName;

/// How much a ledger holds and how long it waits. Every number has its reason beside it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Attempts that may run at once on one connected system, its slots; systems not named here get none. One attempt
    /// is mostly one open request. Batches leave the last quarter of them to what is urgent.
    pub systems: BTreeMap<SystemName, usize>,
    /// Tasks held and not yet reported, beyond which no offer is wanted: twice the slots of all systems keeps each fed.
    /// As many batches may be held beside them.
    pub held: usize,
    /// Reports waiting for the controller. A day without a controller at one task a second fits.
    pub outbox: usize,
    /// What these take in bytes, for they are kept in memory: most have a few hundred, so that it is the number that is
    /// reached first, but one with all there may be in a report has 28 KiB.
    pub outbox_bytes: usize,
    /// Ended tasks remembered, so that one offered again is answered and not run again: far more than a controller can
    /// have in doubt at once. As many with a payload are remembered beside them.
    pub tombstones: usize,
    /// Attempts at one task whose failure may pass, between which it gets no further; at the default spacing they span a quarter
    /// of a minute. Twice as many if what they begin may still take effect each time.
    pub attempts: u32,
    /// Waits asked for by a connected system that are at least this long do not count as failures: attempts so far apart
    /// are no burden.
    pub long_wait: Duration,
    /// How long one task waits in this way in all: budgets of calls are for a day.
    pub waiting: Duration,
    /// How long an attempt waits for a lease to be renewed before it gives its slot back.
    pub lease_patience: Duration,
    /// How long begun work whose lease was lost is kept, in case it is leased to this member again: longer than the
    /// controller waits before it gives it to anybody.
    pub lost_patience: Duration,
    /// Deaths of the process in one step of a task after which the task is not run again.
    pub deaths: u32,
    /// The same for imports, which find by themselves at which entry the process dies: once with the whole unit, once
    /// more to be sure, and once for each time that its 10,000 entries are halved; a few are to spare.
    pub import_deaths: u32,
}

impl Limits {
    /// The bounds for connected systems that take this many attempts each.
    pub fn for_systems(systems: BTreeMap<SystemName, usize>) -> Self {
        let slots: usize = systems.values().sum();
        Self {
            systems,
            held: slots.saturating_mul(2),
            outbox: 100_000,
            outbox_bytes: 64 * 1024 * 1024,
            tombstones: 4096,
            attempts: 5,
            long_wait: Duration::from_secs(60),
            waiting: Duration::from_secs(24 * 60 * 60),
            lease_patience: Duration::from_secs(10),
            lost_patience: Duration::from_secs(900),
            deaths: 2,
            import_deaths: 20,
        }
    }
}
