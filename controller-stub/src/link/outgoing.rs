//! Payloads on their way to a member, a chunk at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_protocol::bounded::Bytes;
use postern_protocol::code::Code;
use postern_protocol::message::FromController;
use postern_protocol::message::v1::{Chunk, StreamFault, StreamOpen, StreamRef, StreamReset};
use postern_protocol::stream::{Retry, Sending};
use postern_protocol::{StreamId, TaskId, Timestamp};
use postern_store::{Spool, SpoolError, SpoolReader};

use crate::clock;
use crate::state::ledger::spool_id;
use crate::telemetry::MemberLines;

/// A payload that was announced.
struct Outgoing {
    task: TaskId,
    stream: StreamRef,
    /// Once the member said where to begin.
    progress: Option<(Sending, Arc<SpoolReader>)>,
    retry: Retry,
}

impl Outgoing {
    fn announcement(&self) -> FromController {
        StreamOpen { task: self.task, stream: self.stream }.into()
    }

    /// Whether the member has yet to say where to begin.
    fn is_announced(&self) -> bool {
        self.progress.is_none() && self.retry.poll_timeout().is_none()
    }
}

/// Every payload on its way to one member. Bounded by the tasks the member accepts.
pub(super) struct Outgoings {
    streams: BTreeMap<StreamId, Outgoing>,
    /// The next chunk, already taken from its window.
    next: Option<(StreamId, u64, u64)>,
    lines: MemberLines,
}

impl Outgoings {
    /// To a member of whom the log tells so much.
    pub(super) const fn new(lines: MemberLines) -> Self {
        Self { streams: BTreeMap::new(), next: None, lines }
    }

    /// Announces a payload. One that is on its way already begins where the member has it: it may have given the task
    /// back meanwhile, and what it had with it.
    pub(super) fn announce(&mut self, task: TaskId, stream: StreamRef) -> FromController {
        self.over(stream.id);
        let outgoing = Outgoing { task, stream, progress: None, retry: Retry::default() };
        let announcement = outgoing.announcement();
        self.streams.insert(stream.id, outgoing);
        announcement
    }

    /// The member said where to begin.
    pub(super) fn begin(&mut self, id: StreamId, durable: u64, spool: &Spool) -> Option<FromController> {
        let outgoing = self.streams.get_mut(&id).filter(|it| it.is_announced())?;
        let begun = Sending::from_durable(outgoing.stream, durable)
            .map_err(|error| (StreamFault::Corrupt, error.to_string()))
            .and_then(|sending| {
                let reader = spool
                    .read(spool_id(id), outgoing.stream.length)
                    .map_err(|error| (StreamFault::Unknown, error.to_string()))?;
                Ok((sending, Arc::new(reader)))
            });
        match begun {
            Ok(progress) => {
                outgoing.progress = Some(progress);
                None
            }
            Err((fault, error)) => Some(self.give_up(id, fault, &error)),
        }
    }

    /// The member has this many chunks on disk.
    pub(super) fn acknowledged(&mut self, id: StreamId, durable: u64) -> Option<FromController> {
        let (sending, _) = self.streams.get_mut(&id)?.progress.as_mut()?;
        let error = sending.handle_ack(durable).err()?;
        Some(self.give_up(id, StreamFault::Corrupt, &error.to_string()))
    }

    /// The member says that it has all of it. If that is not what came of the newest announcement, which it has yet to answer, it
    /// may have forgotten it since.
    pub(super) fn closed(&mut self, id: StreamId) {
        if self.streams.get(&id).is_some_and(|it| it.progress.is_some()) {
            self.over(id);
        }
    }

    fn over(&mut self, id: StreamId) {
        self.streams.remove(&id);
        self.next = self.next.filter(|(next, ..)| *next != id);
    }

    /// The member cannot take it now, or does not want it any more.
    pub(super) fn reset(&mut self, id: StreamId, fault: Code<StreamFault>, now: Timestamp) {
        if fault == StreamFault::Unknown.into() {
            self.over(id);
        } else {
            self.put_off(id, now);
        }
    }

    /// When to call [`Outgoings::handle_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        self.streams.values().filter_map(|it| it.retry.poll_timeout()).min()
    }

    /// Announces again what was put off long enough.
    pub(super) fn handle_timeout(&mut self, now: Timestamp) -> Vec<FromController> {
        let due = self.streams.values_mut().filter_map(|it| it.retry.handle_timeout(now).then(|| it.announcement()));
        due.collect()
    }

    /// Whether a chunk may be sent now.
    pub(super) fn is_ready(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.streams.iter_mut().find_map(|(id, outgoing)| {
                let (sending, _) = outgoing.progress.as_mut()?;
                sending.poll_chunk().map(|(index, range)| (*id, index, range.start))
            });
        }
        self.next.is_some()
    }

    /// Reads the next chunk.
    pub(super) async fn chunk(&mut self) -> Option<FromController> {
        let (id, index, offset) = self.next.take()?;
        let (_, reader) = self.streams.get(&id)?.progress.as_ref()?;
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
        if self.lines.allow() {
            tracing::error!(stream = %id, error, "a payload cannot be sent now");
        }
        self.put_off(id, clock::now());
        StreamReset { stream: id, fault: fault.into() }.into()
    }

    fn put_off(&mut self, id: StreamId, now: Timestamp) {
        self.next = self.next.filter(|(next, ..)| *next != id);
        if let Some(outgoing) = self.streams.get_mut(&id) {
            outgoing.progress = None;
            outgoing.retry.handle_reset(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use postern_protocol::MemberId;

    use super::*;
    use crate::space::lab;

    /// A spool with one payload.
    fn stored(folder: &Path) -> (Spool, StreamRef) {
        let (spool, ..) = lab::spool(folder);
        let stream = StreamRef { id: StreamId::from_bytes([2; 16]), length: 7, sha256: [0; 32] };
        let mut payload = spool.begin(spool_id(stream.id)).unwrap();
        payload.append(b"payload").unwrap();
        payload.finish_here().unwrap();
        (spool, stream)
    }

    /// Take the answer whenever it comes, and a few bytes of a member have the file opened and sent, past every pause.
    #[test]
    fn a_payload_that_is_put_off_begins_when_it_is_announced_again() {
        let (task, now) = (TaskId::from_bytes([1; 16]), Timestamp::from_millis(0));
        let folder = tempfile::tempdir().unwrap();
        let (spool, stream) = stored(folder.path());
        let mut outgoings = Outgoings::new(MemberLines::new(MemberId::from_bytes([1; 16]), Arc::default()));
        outgoings.announce(task, stream);
        outgoings.reset(stream.id, StreamFault::Full.into(), now);
        assert_eq!(outgoings.begin(stream.id, 0, &spool), None);
        assert!(!outgoings.is_ready(), "it is put off");

        let again = outgoings.poll_timeout().unwrap();
        outgoings.handle_timeout(again);
        assert_eq!(outgoings.begin(stream.id, 0, &spool), None);
        assert!(outgoings.is_ready());
    }

    /// Take it for the word about whatever is announced, and a payload that the member forgot with its task, and that is announced for
    /// a newer lease, is not sent for the rest of the session.
    #[test]
    fn that_a_payload_is_whole_counts_once_the_member_has_answered_its_announcement() {
        let task = TaskId::from_bytes([1; 16]);
        let folder = tempfile::tempdir().unwrap();
        let (spool, stream) = stored(folder.path());
        let mut outgoings = Outgoings::new(MemberLines::new(MemberId::from_bytes([1; 16]), Arc::default()));
        outgoings.announce(task, stream);
        assert_eq!(outgoings.begin(stream.id, 0, &spool), None);
        outgoings.announce(task, stream);
        outgoings.closed(stream.id);
        assert_eq!(outgoings.begin(stream.id, 0, &spool), None);
        assert!(outgoings.is_ready(), "it has nothing of it");

        outgoings.closed(stream.id);
        assert!(!outgoings.is_ready(), "it has it now");
    }

    #[test]
    fn a_payload_the_member_does_not_want_is_not_announced_again() {
        let (task, now) = (TaskId::from_bytes([1; 16]), Timestamp::from_millis(0));
        let stream = StreamRef { id: StreamId::from_bytes([2; 16]), length: 1, sha256: [0; 32] };
        let mut outgoings = Outgoings::new(MemberLines::new(MemberId::from_bytes([1; 16]), Arc::default()));
        let announcement = outgoings.announce(task, stream);
        outgoings.reset(stream.id, StreamFault::Full.into(), now);
        let again = outgoings.poll_timeout().unwrap();
        assert_eq!(outgoings.handle_timeout(now), []);
        assert_eq!(outgoings.handle_timeout(again), [announcement]);
        outgoings.reset(stream.id, StreamFault::Unknown.into(), again);
        assert_eq!(outgoings.poll_timeout(), None);
    }
}
