//! Payloads that belong to tasks.

use bincode::{Decode, Encode};

use crate::bounded::Bytes;
use crate::code::Code;
use crate::codes;
use crate::id::{StreamId, TaskId};

/// A payload that belongs to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct StreamRef {
    /// Its id.
    pub id: StreamId,
    /// Its bytes.
    pub length: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// Announces a payload. Its sender has all of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StreamOpen {
    /// The task it belongs to.
    pub task: TaskId,
    /// The payload.
    pub stream: StreamRef,
}

/// How much of a payload is already durable at its receiver.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StreamOpenAck {
    /// The payload.
    pub stream: StreamId,
    /// Chunks from the beginning.
    pub durable: u64,
}

/// A piece of a payload. Every chunk but the last is full.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Chunk {
    /// The payload.
    pub stream: StreamId,
    /// Its number, from 0.
    pub index: u64,
    /// Its bytes.
    pub bytes: Bytes<{ crate::stream::CHUNK }>,
}

/// How much of a payload is durable.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChunkAck {
    /// The payload.
    pub stream: StreamId,
    /// Chunks from the beginning.
    pub durable: u64,
}

/// A payload is complete, verified and durable at its receiver.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StreamClose {
    /// The payload.
    pub stream: StreamId,
}

codes! {
    /// Why a payload cannot be sent or taken.
    pub enum StreamFault {
        /// Not known here.
        1 Unknown = "unknown",
        /// The bytes are not those announced.
        2 Corrupt = "corrupt",
        /// No room.
        3 Full = "full",
    }
}

/// A payload cannot be sent or taken.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StreamReset {
    /// The payload.
    pub stream: StreamId,
    /// Why.
    pub fault: Code<StreamFault>,
}
