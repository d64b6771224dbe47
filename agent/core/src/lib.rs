//! What a Postern agent decides, without waiting for anything.
//!
//! [`Ledger`] holds every accepted task from offer to acknowledgement and says what must be written, sent and run, when and in
//! which order. [`Backoff`] spaces reconnections, [`renewal`] keeps the certificate young, [`sealing_keys`] those keys. Time and
//! randomness are arguments; nothing here can read a clock, a file or a socket.

mod backoff;
mod journal;
mod lease;
pub mod ledger;
mod limits;
mod membership;
mod outbox;
pub mod renewal;
mod retry;
pub mod sealing_keys;
mod write;

pub use backoff::Backoff;
pub use journal::{Earlier, JournalEntry, Mark};
pub use ledger::{
    Again, CallsLeft, EXPIRED, Ended, Event, GivenUp, IN_THE_SYSTEM, LEASES_TOO_SHORT, Ledger, Offered, Refusal,
    Restored, RestoredTask, Unfinished, to_be_looked_at,
};
pub use limits::Limits;
pub use membership::Membership;
pub use renewal::Renewal;
pub use write::{Caller, Origin, Payload, TaskState, Tombstone, Write};
