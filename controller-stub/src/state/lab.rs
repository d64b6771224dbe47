//! A state over a ledger on disk, for tests of what uses one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postern_store::{Options, Spool, Store, StoreKey};

use super::ledger::Ledger;
use super::{Retention, Settings, State};
use crate::ca::Authority;
use crate::clock::Moment;

pub(crate) const SETTINGS: Settings = Settings {
    auto_approve: false,
    certificate_life: Duration::from_secs(7 * 24 * 60 * 60),
    recovery: Duration::ZERO,
    lease_ttl: Duration::from_secs(60),
    settle: Duration::from_secs(1),
    heartbeat: Duration::from_secs(10),
    keep: Retention { days: 1, newest: 1 },
};

pub(crate) fn ledger(folder: &Path) -> (Ledger, Spool) {
    let key = StoreKey::from_bytes([1; 32]);
    let store = Store::open(&folder.join("store"), &key, &Options::default(), 1).unwrap().store;
    let spool = store.spool().unwrap();
    (Ledger::new(store), spool)
}

/// What the ledger holds, as it is taken up at this moment.
pub(crate) fn state(folder: &Path, ledger: &Ledger, settings: Settings, at: Moment) -> State {
    let authority = Arc::new(Authority::open(folder, at.wall).unwrap());
    State::open(ledger.clone(), authority, settings, at).unwrap()
}
