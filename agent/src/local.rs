//! Tasks of this machine: the offer that a controller would make of one, and the file that comes of it.

use std::io::{self, Write as _};

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::codec::CodecError;
use postern_protocol::message::v1::{Mode, Offer, Report, StreamRef};
use postern_protocol::seal::{SealContext, SealError, SealedField, SealingKey, SealingPublicKey, SegmentOpener};
use postern_protocol::stream::CHUNK_BYTES;
use postern_protocol::{SystemName, TaskId, TaskRequest};
use postern_store::private::PartFile;
use postern_store::{SpoolError, SpoolReader};
use zeroize::Zeroizing;

use crate::store::{Store, spool_id};

/// What goes along with a task.
#[derive(Default)]
pub struct Along {
    /// Its secrets.
    pub sealed: Vec<SealedField>,
    /// Its payloads.
    pub streams: Vec<StreamRef>,
    /// The key of whoever may read what comes of it.
    pub requester: Option<SealingPublicKey>,
}

/// The offer that a controller would make of a task.
pub fn offer(task: TaskId, system: &SystemName, request: &TaskRequest, along: Along) -> Result<Offer, CodecError> {
    let params = Bytes::new(request.encode()?);
    let params = params.map_err(|error| CodecError::Malformed { reason: error.to_string() })?;
    Ok(Offer {
        mode: Mode::Sync.into(),
        attempt: 1,
        sealed: List::clipped(along.sealed),
        streams: List::clipped(along.streams),
        requester: along.requester,
        ..Offer::new(task, system.clone(), request, params)
    })
}

/// Why the payload of a task could not be opened into a file.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The task brought none.
    #[error("the task ended without a file")]
    Missing,
    /// It is sealed to a key that is not here, or altered.
    #[error("what came of the task cannot be opened")]
    Seal(#[from] SealError),
    /// It cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The file cannot be written.
    #[error("the file cannot be written")]
    File(#[from] io::Error),
}

/// Opens the payload of a task, which is sealed to one of `keys`, into a file, which is there when it is whole. Before each
/// piece `room_for` says whether what is still to come may be written.
pub fn write_payload(
    store: &Store,
    keys: &[SealingKey],
    context: SealContext<'_>,
    report: &Report,
    file: PartFile,
    room_for: &dyn Fn(u64) -> io::Result<()>,
) -> Result<(), PayloadError> {
    let (Some(stream), Some(sealed)) = (report.streams.first(), report.sealed.first()) else {
        return Err(PayloadError::Missing);
    };
    let opened = keys.iter().find_map(|key| sealed.open(context, key).ok()).ok_or(SealError::Altered)?;
    let stream_key = opened.as_slice().try_into().map(Zeroizing::new).map_err(|_| SealError::Altered)?;
    let reader = store.spool().read(spool_id(stream.id), stream.length)?;
    write(file, &reader, stream, &mut SegmentOpener::new(&stream_key), room_for)
}

fn write(
    mut file: PartFile,
    reader: &SpoolReader,
    stream: &StreamRef,
    opener: &mut SegmentOpener,
    room_for: &dyn Fn(u64) -> io::Result<()>,
) -> Result<(), PayloadError> {
    let mut offset = 0;
    while offset < stream.length {
        room_for(stream.length - offset)?;
        let sealed = reader.read_at(offset)?;
        offset += CHUNK_BYTES;
        file.write_all(&opener.open(&sealed, offset >= stream.length)?)?;
    }
    Ok(file.complete()?)
}
