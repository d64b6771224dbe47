//! Payloads on their way from a member into the spool.

use std::collections::BTreeMap;

use postern_protocol::StreamId;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Chunk, ChunkAck, StreamClose, StreamFault, StreamOpenAck, StreamRef, StreamReset};
use postern_protocol::plain::Chain;
use postern_protocol::stream::{CHUNK, Receiving, chunks};
use postern_store::{Spool, SpoolError, SpoolWriter};

use crate::space::Space;
use crate::spawn::blocking;
use crate::state::ledger::spool_id;
use crate::telemetry::MemberLines;

/// The most payloads that one member may be sending at once.
const MAX_INCOMING: usize = 16;
/// After how many chunks they are made durable: half a window, so that the member need not wait.
const SYNC_AFTER: u64 = 4;

/// A payload that is being received.
struct Incoming {
    receiving: Receiving,
    writer: SpoolWriter,
    synced: u64,
}

/// Every payload on its way from one member.
pub(super) struct Incomings {
    streams: BTreeMap<StreamId, Incoming>,
    space: Space,
    lines: MemberLines,
}

/// What follows from a payload's frame.
pub(super) enum Step {
    /// Tell the member.
    Say(Box<FromController>),
    /// Nothing.
    Nothing,
    /// All of it is verified and in the spool: record it, then say so.
    Complete(StreamRef),
}

impl Incomings {
    /// Of a member of whom the log tells so much.
    pub(super) const fn new(space: Space, lines: MemberLines) -> Self {
        Self { streams: BTreeMap::new(), space, lines }
    }

    /// Begins or resumes a payload whose record is durable.
    pub(super) async fn open(&mut self, stream: StreamRef, spool: &Spool) -> Step {
        if self.streams.len() >= MAX_INCOMING && !self.streams.contains_key(&stream.id) {
            return refuse(stream.id, StreamFault::Full);
        }
        self.streams.remove(&stream.id);
        let (spool, space) = (spool.clone(), self.space.clone());
        let opened = blocking(move || {
            let id = spool_id(stream.id);
            // A crash after the last byte leaves the file complete and its record not.
            if spool.contains(id) && spool.verify(id, stream.length, &stream.sha256).is_ok() {
                return Ok(None);
            }
            let writer = spool.write(id, stream.length)?;
            let left = stream.length.saturating_sub(writer.durable());
            if space.has_room_for_payload(left) { Ok(Some(writer)) } else { Err(SpoolError::DiskFull(id)) }
        })
        .await;
        match opened {
            Ok(None) => Step::Complete(stream),
            Ok(Some(writer)) => self.begin(stream, writer).await,
            Err(error) => self.fault(stream.id, &error),
        }
    }

    async fn begin(&mut self, stream: StreamRef, writer: SpoolWriter) -> Step {
        let durable = writer.durable() / u64::try_from(CHUNK).unwrap_or(u64::MAX);
        let receiving = Receiving::from_durable(stream, durable);
        if receiving.is_complete() {
            return self.finish(stream, writer).await;
        }
        self.streams.insert(stream.id, Incoming { receiving, writer, synced: durable });
        say(StreamOpenAck { stream: stream.id, durable })
    }

    /// Takes a chunk.
    pub(super) async fn chunk(&mut self, chunk: Chunk) -> Step {
        // It crossed a reset, which the member must not take for one of its next try.
        let Some(mut it) = self.streams.remove(&chunk.stream) else { return Step::Nothing };
        let stream = *it.receiving.stream();
        match it.receiving.handle_chunk(chunk.index, chunk.bytes.len()) {
            Err(error) => {
                if self.lines.allow() {
                    tracing::warn!(stream = %stream.id, %error, "a payload was given up");
                }
                return refuse(stream.id, StreamFault::Corrupt);
            }
            Ok(false) => {
                let durable = it.synced;
                self.streams.insert(stream.id, it);
                return say(ChunkAck { stream: stream.id, durable });
            }
            Ok(true) => (),
        }
        let complete = it.receiving.is_complete();
        let sync = it.receiving.received() - it.synced >= SYNC_AFTER;
        let bytes = chunk.bytes.into_vec();
        let (mut writer, space) = (it.writer, self.space.clone());
        let before = chunk.index.saturating_mul(u64::try_from(CHUNK).unwrap_or(u64::MAX));
        let left = stream.length.saturating_sub(before);
        let written = blocking(move || {
            if !space.has_room_for_payload(left) {
                return Err(SpoolError::DiskFull(spool_id(stream.id)));
            }
            writer.append(&bytes)?;
            if sync && !complete {
                writer.sync()?;
            }
            Ok(writer)
        })
        .await;
        match written {
            Err(error) => self.fault(stream.id, &error),
            Ok(writer) if complete => self.finish(stream, writer).await,
            Ok(writer) => {
                let synced = if sync { it.receiving.received() } else { it.synced };
                self.streams.insert(stream.id, Incoming { receiving: it.receiving, writer, synced });
                if sync { say(ChunkAck { stream: stream.id, durable: synced }) } else { Step::Nothing }
            }
        }
    }

    async fn finish(&self, stream: StreamRef, writer: SpoolWriter) -> Step {
        match blocking(move || writer.finish(&stream.sha256)).await {
            Ok(()) => Step::Complete(stream),
            Err(error) => self.fault(stream.id, &error),
        }
    }

    fn fault(&self, id: StreamId, error: &SpoolError) -> Step {
        if self.lines.allow() {
            tracing::error!(stream = %id, error = %Chain(error), "a payload could not be stored");
        }
        refuse(id, if error.is_disk_full() { StreamFault::Full } else { StreamFault::Corrupt })
    }

    /// The member gives a payload up.
    pub(super) fn over(&mut self, id: StreamId) {
        self.streams.remove(&id);
    }
}

/// What the member is told of a payload that is complete here: in answer to its announcement, or to its last chunk.
pub(super) fn completed(stream: &StreamRef, answered: Answered) -> [FromController; 2] {
    let (id, durable) = (stream.id, chunks(stream.length));
    let first = match answered {
        Answered::Open => StreamOpenAck { stream: id, durable }.into(),
        Answered::Chunk => ChunkAck { stream: id, durable }.into(),
    };
    [first, StreamClose { stream: id }.into()]
}

/// What the member waits for an answer to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answered {
    /// Its announcement.
    Open,
    /// A chunk.
    Chunk,
}

/// The member has to announce a payload again, unless nobody wants it.
pub(super) fn reset(id: StreamId, fault: StreamFault) -> FromController {
    StreamReset { stream: id, fault: fault.into() }.into()
}

fn refuse(id: StreamId, fault: StreamFault) -> Step {
    say(reset(id, fault))
}

fn say(frame: impl Into<FromController>) -> Step {
    Step::Say(Box::new(frame.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postern_protocol::MemberId;
    use postern_protocol::bounded::Bytes;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::space::lab;
    use crate::telemetry::Hush;

    fn said(step: Step) -> FromController {
        let Step::Say(frame) = step else { panic!("nothing was said") };
        *frame
    }

    /// Look only when a payload begins, or not at all, and those of many members fill the disk together: no report finds
    /// room any more.
    #[tokio::test]
    async fn a_payload_for_which_the_disk_has_no_room_waits_before_it_begins_and_in_the_middle() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, space, disk) = lab::spool(folder.path());
        let lines = MemberLines::new(MemberId::from_bytes([1; 16]), Arc::new(Hush::default()));
        let mut incoming = Incomings::new(space, lines);
        let (bytes, id) = (vec![7; 2 * CHUNK], StreamId::from_bytes([5; 16]));
        let stream = StreamRef { id, length: 2 * 64 * 1024, sha256: Sha256::digest(&bytes).into() };
        let chunk = |index| Chunk { stream: id, index, bytes: Bytes::new(vec![7; CHUNK]).unwrap() };
        let full = || FromController::from(StreamReset { stream: id, fault: StreamFault::Full.into() });

        disk.leave_for_payloads(stream.length - 1);
        assert_eq!(said(incoming.open(stream, &spool).await), full());
        disk.leave_for_payloads(stream.length);
        assert_eq!(said(incoming.open(stream, &spool).await), StreamOpenAck { stream: id, durable: 0 }.into());
        assert!(matches!(incoming.chunk(chunk(0)).await, Step::Nothing));
        disk.leave_for_payloads(stream.length / 2 - 1);
        assert_eq!(said(incoming.chunk(chunk(1)).await), full());

        disk.leave_for_payloads(stream.length);
        assert!(matches!(said(incoming.open(stream, &spool).await), FromController::StreamOpenAck(_)));
        for index in 0..2 {
            let step = incoming.chunk(chunk(index)).await;
            assert_eq!(index == 1, matches!(step, Step::Complete(_)));
        }
    }
}
