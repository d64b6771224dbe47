//! Payloads on their way to a member, a chunk at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_protocol::bounded::Bytes;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Chunk, StreamFault, StreamOpen, StreamRef, StreamReset};
use postern_protocol::stream::Sending;
use postern_protocol::{StreamId, TaskId};
use postern_store::{Spool, SpoolError, SpoolReader};

use crate::state::ledger::spool_id;

/// A payload that was announced.
enum Outgoing {
    /// The member has not said yet where to begin.
    Announced(StreamRef),
    /// It is being sent.
    Sending { sending: Box<Sending>, reader: Arc<SpoolReader> },
}

/// Every payload on its way to one member. Bounded by the tasks the member accepts.
#[derive(Default)]
pub(super) struct Outgoings {
    streams: BTreeMap<StreamId, Outgoing>,
    /// The next chunk, already taken from its window.
    next: Option<(StreamId, u64, u64)>,
}

impl Outgoings {
    /// Announces a payload, unless it is on its way already.
    pub(super) fn announce(&mut self, task: TaskId, stream: StreamRef) -> Option<FromController> {
        if self.streams.contains_key(&stream.id) {
            return None;
        }
        self.streams.insert(stream.id, Outgoing::Announced(stream));
        Some(StreamOpen { task, stream }.into())
    }

    /// The member said where to begin.
    pub(super) fn begin(&mut self, id: StreamId, durable: u64, spool: &Spool) -> Option<FromController> {
        let Some(Outgoing::Announced(stream)) = self.streams.get(&id) else { return None };
        let stream = *stream;
        let begun = Sending::from_durable(stream, durable)
            .map_err(|error| (StreamFault::Corrupt, error.to_string()))
            .and_then(|sending| {
                let reader = spool
                    .read(spool_id(id), stream.length)
                    .map_err(|error| (StreamFault::Unknown, error.to_string()))?;
                Ok(Outgoing::Sending { sending: Box::new(sending), reader: Arc::new(reader) })
            });
        match begun {
            Ok(outgoing) => {
                self.streams.insert(id, outgoing);
                None
            }
            Err((fault, error)) => Some(self.give_up(id, fault, &error)),
        }
    }

    /// The member has this many chunks on disk.
    pub(super) fn acknowledged(&mut self, id: StreamId, durable: u64) -> Option<FromController> {
        let Some(Outgoing::Sending { sending, .. }) = self.streams.get_mut(&id) else { return None };
        let error = sending.handle_ack(durable).err()?;
        Some(self.give_up(id, StreamFault::Corrupt, &error.to_string()))
    }

    /// The member has all of it, or wants no more of it.
    pub(super) fn over(&mut self, id: StreamId) {
        self.streams.remove(&id);
        self.next = self.next.filter(|(next, ..)| *next != id);
    }

    /// Whether a chunk may be sent now.
    pub(super) fn is_ready(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.streams.iter_mut().find_map(|(id, outgoing)| match outgoing {
                Outgoing::Sending { sending, .. } => {
                    sending.poll_chunk().map(|(index, range)| (*id, index, range.start))
                }
                Outgoing::Announced(_) => None,
            });
        }
        self.next.is_some()
    }

    /// Reads the next chunk.
    pub(super) async fn chunk(&mut self) -> Option<FromController> {
        let (id, index, offset) = self.next.take()?;
        let Some(Outgoing::Sending { reader, .. }) = self.streams.get(&id) else { return None };
        let reader = Arc::clone(reader);
        let read = tokio::task::spawn_blocking(move || reader.read_at(offset)).await;
        let bytes: Result<Vec<u8>, SpoolError> = read.ok()?;
        match bytes.map(Bytes::new) {
            Ok(Ok(bytes)) => Some(Chunk { stream: id, index, bytes }.into()),
            Ok(Err(error)) => Some(self.give_up(id, StreamFault::Corrupt, &error.to_string())),
            Err(error) => Some(self.give_up(id, StreamFault::Corrupt, &error.to_string())),
        }
    }

    fn give_up(&mut self, id: StreamId, fault: StreamFault, error: &str) -> FromController {
        tracing::error!(stream = %id, error, "a payload cannot be sent");
        self.over(id);
        StreamReset { stream: id, fault: fault.into() }.into()
    }
}
