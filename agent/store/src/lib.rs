//! The durable store: sled with the guards that make it keep its promises.
//!
//! Both programs keep what they must not forget here. The crate knows nothing of tasks: it stores
//! bytes under a [`Table`] and a key, what is too large for one value in [`parts`], and files of big
//! payloads in the [`Spool`]. The audit logs of both are written and verified with [`audit`]. What
//! they keep in files of their own, such as keys, they read and write with [`private`]; a password
//! that is handed to them, they read with [`password`]. With [`hardening`] they keep to themselves
//! what they make and remember.
//!
//! What is promised, and by what:
//!
//! | promise | kept by |
//! |---|---|
//! | a commit that resolved survives a crash and a power cut | `flush`, then `fdatasync` on our own descriptor, before the caller is told |
//! | a batch is there whole or not at all | one sled batch in one tree |
//! | after a crash the store is a prefix of the commit groups, with all that was told | the watermark, and a scrub at the start |
//! | damage is never passed over in silence | CRC and seal of every record; the store is moved aside and a new one begun |
//! | acknowledgements and deletes work on a full disk | a headroom file and the check before every group |
//! | values are unreadable without the key | XChaCha20-Poly1305, the record's table and key as associated data |
//!
//! Files, all below one directory of mode 0700:
//!
//! ```text
//! lock        who has the store open
//! format      version of this layout, and a check of the key
//! watermark   how many commit groups are durable at least
//! headroom    preallocated space, given up when the disk is full
//! data/       sled's own files; data.new/ while they are made
//! spool/      one file for each big payload
//! *.rekeyed/  the same under a new key, until they take the place of the old
//! corrupt-*/  stores that could not be read, kept for a person to look at
//! ```

pub mod audit;
mod batch;
mod committer;
mod disk;
mod engine;
mod error;
mod excerpt;
mod format;
pub mod hardening;
mod headroom;
mod home;
mod key;
mod lock;
mod open;
pub mod parts;
pub mod password;
pub mod private;
mod record;
mod rekey;
mod seal;
mod spool;
mod store;
mod table;
mod watermark;

pub use batch::{Batch, MAX_BATCH_BYTES};
pub use committer::CommitWatch;
pub use disk::{Disk, RealDisk};
pub use error::{Broken, StoreError};
pub use excerpt::excerpt;
pub use format::FORMAT;
pub use home::{Home, HomeError, KEEP_A_COPY};
pub use key::{KeyError, KeySource, StoreKey};
pub use open::{MovedAside, Opened, Options, Recovered};
pub use record::{MAX_KEY, MAX_VALUE};
pub use rekey::Rekeyed;
pub use spool::{CHUNK, Spool, SpoolError, SpoolId, SpoolReader, SpoolWriter};
pub use store::{Incarnation, Progress, Store};
pub use table::Table;
