//! Payloads too big for a frame: sent in chunks, acknowledged when durable, resumed where the receiver left off.
//!
//! A sender announces a payload whose length and hash it knows; the receiver says how many chunks it has on disk; the
//! sender goes on from there, never more than [`WINDOW`] chunks ahead of what is durable.

use std::time::Duration;

use crate::message::v1::StreamRef;
use crate::time::Timestamp;

/// The bytes of every chunk but the last.
pub const CHUNK: usize = 64 * 1024;

/// How many chunks may be on their way: 512 KiB, enough to keep a link busy and little to send again.
pub const WINDOW: u64 = 8;

/// The longest payload that comes of a task: some ten million records of an export. It has to fit the disks of both sides.
pub const MAX_RESULT: u64 = 4 * 1024 * 1024 * 1024;

/// How many chunks a payload of `length` bytes has.
pub const fn chunks(length: u64) -> u64 {
    length.div_ceil(CHUNK_BYTES)
}

/// [`CHUNK`] as a length in a stream.
pub const CHUNK_BYTES: u64 = 64 * 1024;

/// A receiver acknowledged more than there is, or less than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiver acknowledged {durable} chunks of a stream that has {total}")]
pub struct ImpossibleAck {
    /// What it acknowledged.
    pub durable: u64,
    /// What there is.
    pub total: u64,
}

/// Which chunk of a payload to send next.
#[derive(Debug, Clone)]
pub struct Sending {
    stream: StreamRef,
    next: u64,
    durable: u64,
}

impl Sending {
    /// Begins where the receiver left off.
    pub fn from_durable(stream: StreamRef, durable: u64) -> Result<Self, ImpossibleAck> {
        let total = chunks(stream.length);
        if durable > total {
            return Err(ImpossibleAck { durable, total });
        }
        Ok(Self { stream, next: durable, durable })
    }

    /// The payload.
    pub fn stream(&self) -> &StreamRef {
        &self.stream
    }

    /// The next chunk's index and byte range, if the window allows one.
    pub fn poll_chunk(&mut self) -> Option<(u64, std::ops::Range<u64>)> {
        let total = chunks(self.stream.length);
        if self.next >= total || self.next >= self.durable.saturating_add(WINDOW) {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let start = index * CHUNK_BYTES;
        Some((index, start..self.stream.length.min(start + CHUNK_BYTES)))
    }

    /// The receiver has this many chunks on disk. Older acknowledgements are ignored.
    pub fn handle_ack(&mut self, durable: u64) -> Result<(), ImpossibleAck> {
        if durable > self.next {
            return Err(ImpossibleAck { durable, total: chunks(self.stream.length) });
        }
        self.durable = self.durable.max(durable);
        Ok(())
    }
}

/// The first pause before a payload that was reset is announced again: time for one of the payloads a receiver takes at
/// once to make room.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause: a person empties a full disk, who does not notice a minute, and a frame a minute is no load.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When to announce a payload again that its receiver reset: after a pause that doubles with every reset of a session.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retry {
    resets: u32,
    at: Option<Timestamp>,
}

impl Retry {
    /// The payload was reset.
    pub fn handle_reset(&mut self, now: Timestamp) {
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.resets)).min(LONGEST_PAUSE);
        self.resets = self.resets.saturating_add(1);
        self.at = Some(now + pause);
    }

    /// When to announce it again, if it was reset.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.at
    }

    /// Whether it is to be announced again now, and from then on is not waiting any more.
    pub fn handle_timeout(&mut self, now: Timestamp) -> bool {
        self.at.take_if(|at| *at <= now).is_some()
    }
}

/// A chunk that does not follow the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadChunk {
    /// A chunk was left out.
    #[error("chunk {index} came while {expected} was expected")]
    Gap {
        /// The one that came.
        index: u64,
        /// The one expected.
        expected: u64,
    },
    /// A chunk is shorter or longer than it must be.
    #[error("chunk {index} has {length} bytes instead of {expected}")]
    WrongLength {
        /// The chunk.
        index: u64,
        /// Its bytes.
        length: usize,
        /// The bytes it should have.
        expected: u64,
    },
}

/// Which chunk of a payload to expect next.
#[derive(Debug, Clone)]
pub struct Receiving {
    stream: StreamRef,
    next: u64,
}

impl Receiving {
    /// Begins behind the chunks that are on disk already.
    pub fn from_durable(stream: StreamRef, durable: u64) -> Self {
        Self { stream, next: durable.min(chunks(stream.length)) }
    }

    /// The payload.
    pub fn stream(&self) -> &StreamRef {
        &self.stream
    }

    /// Whether every chunk has come.
    pub fn is_complete(&self) -> bool {
        self.next == chunks(self.stream.length)
    }

    /// Checks a chunk: `true` if it is the next one and must be written, `false` if it was written before.
    pub fn handle_chunk(&mut self, index: u64, length: usize) -> Result<bool, BadChunk> {
        if index < self.next {
            return Ok(false);
        }
        if index > self.next || self.is_complete() {
            return Err(BadChunk::Gap { index, expected: self.next });
        }
        let expected = (self.stream.length - index * CHUNK_BYTES).min(CHUNK_BYTES);
        if u64::try_from(length) != Ok(expected) {
            return Err(BadChunk::WrongLength { index, length, expected });
        }
        self.next += 1;
        Ok(true)
    }

    /// How many chunks have come.
    pub fn received(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StreamId;

    fn stream(length: u64) -> StreamRef {
        StreamRef { id: StreamId::from_bytes([1; 16]), length, sha256: [0; 32] }
    }

    #[test]
    fn a_sender_stays_within_the_window_and_goes_on_with_acknowledgements() {
        let mut sending = Sending::from_durable(stream(20 * CHUNK_BYTES + 1), 0).unwrap();
        let first: Vec<_> = std::iter::from_fn(|| sending.poll_chunk()).collect();
        assert_eq!(first.len(), 8);
        sending.handle_ack(3).unwrap();
        assert_eq!(std::iter::from_fn(|| sending.poll_chunk()).count(), 3);
        assert!(sending.handle_ack(12).is_err());
    }

    #[test]
    fn the_last_chunk_may_be_short() {
        let mut sending = Sending::from_durable(stream(CHUNK_BYTES + 1), 1).unwrap();
        assert_eq!(sending.poll_chunk(), Some((1, CHUNK_BYTES..CHUNK_BYTES + 1)));
        assert_eq!(sending.poll_chunk(), None);
        let mut receiving = Receiving::from_durable(stream(CHUNK_BYTES + 1), 1);
        assert!(receiving.handle_chunk(1, 1).unwrap());
        assert!(receiving.is_complete());
    }

    #[test]
    fn a_receiver_takes_each_chunk_once_and_in_order() {
        let mut receiving = Receiving::from_durable(stream(3 * CHUNK_BYTES), 1);
        assert_eq!(receiving.handle_chunk(0, CHUNK), Ok(false));
        assert_eq!(receiving.handle_chunk(2, CHUNK), Err(BadChunk::Gap { index: 2, expected: 1 }));
        assert_eq!(
            receiving.handle_chunk(1, 5),
            Err(BadChunk::WrongLength { index: 1, length: 5, expected: CHUNK_BYTES })
        );
        assert_eq!(receiving.handle_chunk(1, CHUNK), Ok(true));
    }

    #[test]
    fn the_pause_before_another_announcement_doubles_up_to_a_minute() {
        let mut retry = Retry::default();
        assert_eq!(retry.poll_timeout(), None);
        let mut now = Timestamp::from_millis(0);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            retry.handle_reset(now);
            let at = now + Duration::from_secs(seconds);
            assert_eq!(retry.poll_timeout(), Some(at));
            assert!(!retry.handle_timeout(now));
            assert!(retry.handle_timeout(at) && !retry.handle_timeout(at), "once");
            now = at;
        }
    }

    #[test]
    fn an_empty_stream_is_complete_at_once() {
        assert!(Receiving::from_durable(stream(0), 0).is_complete());
        assert!(Sending::from_durable(stream(0), 1).is_err());
    }
}
