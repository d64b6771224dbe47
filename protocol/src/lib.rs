//! What a Postern agent and its controller say to each other, and when.
//!
//! This crate decides and describes; it cannot wait, read a clock, open a file or reach the network. Time, randomness
//! and identifiers are arguments. `docs/protocol.md` describes the same bytes for other languages.
//!
//! - [`frame`] and [`codec`]: bytes to messages and back, within limits;
//! - [`message`]: every frame of `postern.v1`;
//! - [`task`]: every kind of task, its request and its output;
//! - [`session`]: the two ends of one session as state machines;
//! - [`signature`]: tasks signed by whoever originated them;
//! - [`seal`]: secrets sealed by the submitter to the members of a cluster;
//! - [`enrollment`]: how a member gets its certificate;
//! - [`outbox`]: what a member owes, in a file;
//! - [`filter`]: conditions on records;
//! - [`stream`]: payloads too big for a frame, resumable;
//! - [`rate`]: how often something may be asked for, or told of;
//! - [`plain`]: what is wrong with a text, in words for people;
//! - [`trace`]: the trace a task belongs to.

pub mod bounded;
pub mod code;
pub mod codec;
pub mod enrollment;
pub mod filter;
pub mod frame;
pub mod id;
pub mod message;
pub mod outbox;
pub mod outcome;
pub mod plain;
pub mod rate;
#[cfg(feature = "schema")]
mod schema;
pub mod seal;
pub mod secret;
pub mod session;
pub mod signature;
pub mod stream;
pub mod task;
pub mod time;
pub mod trace;
pub mod version;

pub use id::{ClusterName, Epoch, MemberId, ReportNo, SessionNo, StreamId, SystemName, TaskId};
pub use outcome::{Failure, FailureClass, Outcome};
pub use secret::Secret;
pub use task::{TaskKind, TaskOutput, TaskRequest};
pub use time::Timestamp;
