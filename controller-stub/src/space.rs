//! What stays free on the disk while payloads come: they can wait.

use postern_store::Store;

/// What has to stay free for what was promised already: reports of accepted tasks above all.
pub const RESERVE: u64 = 64 * 1024 * 1024;
/// What payloads leave free beside that: to tasks and lines of the audit log. One export would shut out whatever is urgent
/// until somebody makes room, or what came of it is forgotten.
const LEFT_BY_PAYLOADS: u64 = 64 * 1024 * 1024;

/// Looks at the disk of the store.
#[derive(Debug, Clone)]
pub struct Space {
    store: Store,
}

impl Space {
    /// The disk of this store.
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Whether there is room for so many bytes of a payload that are yet to come. Whoever brings them looks again before each
    /// piece: others bring theirs meanwhile.
    pub fn has_room_for_payload(&self, bytes: u64) -> bool {
        self.has_room_for(LEFT_BY_PAYLOADS.saturating_add(bytes))
    }

    /// Whether there is room for so many bytes of a task, or of lines of the audit log.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        // Of a disk that cannot be looked at, the store will tell.
        self.store.free().map_or(true, |free| free >= RESERVE.saturating_add(bytes))
    }
}

/// A disk with as much free space as a test says.
#[cfg(test)]
pub(crate) mod lab {
    use std::fs::File;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use postern_store::{Disk, Options, RealDisk, Spool, Store, StoreKey};

    use super::{LEFT_BY_PAYLOADS, RESERVE, Space};

    #[derive(Debug)]
    pub(crate) struct Filling(AtomicU64);

    impl Filling {
        /// So many bytes are free beside what has to stay free.
        pub(crate) fn leave(&self, bytes: u64) {
            self.0.store(RESERVE + bytes, Ordering::SeqCst);
        }

        /// So many bytes are free for payloads.
        pub(crate) fn leave_for_payloads(&self, bytes: u64) {
            self.leave(LEFT_BY_PAYLOADS + bytes);
        }

        /// Nothing is free, nor of what has to stay so.
        pub(crate) fn fill(&self) {
            self.0.store(0, Ordering::SeqCst);
        }
    }

    impl Disk for Filling {
        fn sync(&self, db: &File) -> io::Result<()> {
            RealDisk.sync(db)
        }

        fn free(&self, _: &File) -> io::Result<u64> {
            Ok(self.0.load(Ordering::SeqCst))
        }
    }

    /// The spool of a store on such a disk.
    pub(crate) fn spool(folder: &Path) -> (Spool, Space, Arc<Filling>) {
        let filling = Arc::new(Filling(AtomicU64::new(1 << 40)));
        let disk: Arc<dyn Disk> = Arc::<Filling>::clone(&filling);
        let options = Options { disk, ..Options::default() };
        let store = Store::open(&folder.join("store"), &StoreKey::from_bytes([1; 32]), &options, 1).unwrap().store;
        (store.spool().unwrap(), Space::new(store), filling)
    }
}
