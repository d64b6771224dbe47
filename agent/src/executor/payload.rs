//! A file for the requester in the spool: sealed segment by segment, never there in clear.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use postern_protocol::message::v1::StreamRef;
use postern_protocol::plain::Chain;
use postern_protocol::seal::{SEGMENT, SealedOutput, SegmentSealer, StreamKey};
use postern_protocol::stream::MAX_RESULT;
use postern_protocol::{Failure, StreamId};
use postern_store::{Spool, SpoolError, SpoolWriter};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::connector::{Payload, unwritten};
use crate::random;
use crate::store::{Store, spool_id};

/// The payloads that an attempt finished: if it fails all the same, nothing refers to them.
#[derive(Default)]
pub(super) struct Made(Mutex<Vec<StreamId>>);

impl Made {
    fn note(&self, stream: StreamId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }

    /// Deletes them.
    pub(super) fn discard(&self, spool: &Spool) {
        for stream in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            delete(spool, stream);
        }
    }
}

/// Writes one segment at a time. Its file is made with the first: whoever begins one is on a thread that must not wait for
/// the disk, and only whoever writes is not.
pub(super) struct SealedPayload {
    store: Store,
    id: StreamId,
    writer: Option<SpoolWriter>,
    sealer: SegmentSealer,
    /// What is not sealed yet: whether a segment is the last is known only when more comes, or the end.
    segment: Zeroizing<Vec<u8>>,
    sealed_key: SealedOutput,
    made: Arc<Made>,
}

impl SealedPayload {
    pub(super) fn new(store: Store, key: &StreamKey, sealed_key: SealedOutput, made: Arc<Made>) -> Self {
        Self {
            store,
            id: random::stream_id(),
            writer: None,
            sealer: SegmentSealer::new(key),
            segment: Zeroizing::new(Vec::with_capacity(SEGMENT)),
            sealed_key,
            made,
        }
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.store.spool().begin(spool_id(self.id)).map_err(|error| into_io(&error))?),
        };
        if writer.offset() >= MAX_RESULT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let sealed = self.sealer.seal(&self.segment, last).map_err(io::Error::other)?;
        self.segment.clear();
        writer.append(&sealed).map_err(|error| into_io(&error))
    }
}

fn into_io(error: &SpoolError) -> io::Error {
    let kind = if error.is_disk_full() { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
    io::Error::new(kind, Chain(error).to_string())
}

impl Write for SealedPayload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.segment.len() == SEGMENT {
            self.seal(false)?;
        }
        let count = bytes.len().min(SEGMENT - self.segment.len());
        self.segment.extend(bytes.iter().take(count));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Payload for SealedPayload {
    fn finish(mut self: Box<Self>) -> Result<(StreamRef, SealedOutput), Failure> {
        self.seal(true).map_err(|error| unwritten(&error))?;
        let Some(writer) = self.writer.take() else { return Err(unwritten(&io::Error::other("finished twice"))) };
        let (length, sha256) = writer.finish_here().map_err(|error| {
            delete(self.store.spool(), self.id);
            failure(&error)
        })?;
        self.made.note(self.id);
        Ok((StreamRef { id: self.id, length, sha256 }, self.sealed_key.clone()))
    }
}

impl Drop for SealedPayload {
    fn drop(&mut self) {
        if self.writer.take().is_none() {
            return;
        }
        let (store, id) = (self.store.clone(), self.id);
        let delete = move || delete(store.spool(), id);
        // An attempt that fails, or is cut off, lets go of it on a thread that must not wait for the disk.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(delete)),
            Err(_) => delete(),
        }
    }
}

pub(super) fn delete(spool: &Spool, stream: StreamId) {
    if let Err(error) = spool.delete(spool_id(stream)) {
        tracing::warn!(%stream, error = %Chain(&error), "a payload could not be deleted");
    }
}

pub(super) fn failure(error: &SpoolError) -> Failure {
    unwritten(&into_io(error))
}
