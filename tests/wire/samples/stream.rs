//! Frames of payloads.

use postern_protocol::StreamId;
use postern_protocol::message::v1::{
    Chunk, ChunkAck, StreamClose, StreamFault, StreamOpen, StreamOpenAck, StreamRef, StreamReset,
};

use super::{Sample, array, both, bytes, task_id};

pub(crate) fn all() -> Vec<Sample> {
    let stream = StreamId::from_bytes(array(0x40));
    vec![
        both(StreamOpen {
            task: task_id(),
            stream: StreamRef { id: stream, length: 0x0000_0040_0102_0304, sha256: array(0xa0) },
        }),
        both(StreamOpenAck { stream, durable: 0x4101 }),
        both(Chunk { stream, index: 0x4201, bytes: bytes(0x77, 37) }),
        both(ChunkAck { stream, durable: 0x4301 }),
        both(StreamClose { stream }),
        both(StreamReset { stream, fault: StreamFault::Full.into() }),
    ]
}
