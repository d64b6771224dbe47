//! A disk for tests that does what they say, and what they put on it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::message::v1::{Mode, Offer, Report};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::task::disable_user::{self, IfRefused};
use postern_protocol::{Epoch, Outcome, ReportNo, TaskId, TaskRequest};
use postern_store::{Disk, Home, Options, RealDisk};

use super::Store;

/// A disk with as much free space as the test says, and that is as busy as it says.
#[derive(Debug)]
pub(crate) struct Disklike {
    pub(crate) free: AtomicU64,
    /// How many looks find no space at all, before the next find that.
    pub(crate) full_for: AtomicU64,
    busy: Mutex<bool>,
    changed: Condvar,
}

impl Disklike {
    /// One with a lot of space, and a store on it that keeps 3 MiB from whoever can wait, and 2 MiB from everybody.
    pub(crate) fn with_store(folder: &Path) -> (Arc<Self>, Store) {
        let disk = Arc::<Self>::default();
        let options = Options { headroom: 1 << 20, disk: Arc::<Self>::clone(&disk), ..Options::default() };
        let (store, _) = Store::open_with(&Home::with_key_file(folder), &options).unwrap();
        (disk, store)
    }

    pub(crate) fn is_busy(&self, busy: bool) {
        *self.busy.lock().unwrap() = busy;
        self.changed.notify_all();
    }
}

impl Disk for Disklike {
    fn sync(&self, db: &File) -> io::Result<()> {
        drop(self.changed.wait_while(self.busy.lock().unwrap(), |busy| *busy).unwrap());
        RealDisk.sync(db)
    }

    fn free(&self, _: &File) -> io::Result<u64> {
        let is_full = self.full_for.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        Ok(if is_full { 0 } else { self.free.load(Ordering::SeqCst) })
    }
}

impl Default for Disklike {
    /// One with a lot of space, and nothing to do.
    fn default() -> Self {
        Self {
            free: AtomicU64::new(1 << 40),
            full_for: AtomicU64::new(0),
            busy: Mutex::new(false),
            changed: Condvar::new(),
        }
    }
}

/// An offer of the controller's, with parameters of this length.
pub(crate) fn offer(n: u8, params: usize) -> Offer {
    let if_refused = IfRefused::Fail.into();
    let request = TaskRequest::DisableUser(disable_user::Request { account: Text::new("joe").unwrap(), if_refused });
    let params = Bytes::new((0..params).map(|n| n.to_le_bytes()[0]).collect()).unwrap();
    Offer {
        epoch: Epoch(4),
        lease_ttl_ms: 1,
        deadline_ms: 2,
        priority: 3,
        mode: Mode::Sync.into(),
        attempt: 5,
        reconcile: true,
        ..Offer::new(TaskId::from_bytes([n; 16]), "acme".parse().unwrap(), &request, params)
    }
}

/// The report of a task that succeeded.
pub(crate) fn report(number: u64, task: TaskId) -> Report {
    Report {
        number: ReportNo(number),
        task,
        epoch: Epoch(4),
        attempt: 5,
        outcome: Outcome::Succeeded.into(),
        certainty: Certainty::Certain.into(),
        changed: Changed::Yes.into(),
        failure: None,
        output: Bytes::new(vec![7; 8000]).unwrap(),
        sealed: List::default(),
        streams: List::default(),
        ext: List::default(),
    }
}
