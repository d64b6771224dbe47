//! The results of a batch as one payload.

use postern_protocol::message::v1::StreamRef;
use postern_protocol::{Failure, FailureClass};
use postern_store::{Spool, SpoolError};
use sha2::{Digest, Sha256};

use crate::chain::Chain;
use crate::connector::{JournalEntry, Mark};
use crate::random;
use crate::store::spool_id;

/// Writes the notes of the steps that were proved done, one after the other. Nothing if there are none.
pub(super) fn write(spool: &Spool, journal: &[JournalEntry]) -> Result<Vec<StreamRef>, Failure> {
    let notes = || journal.iter().filter(|entry| entry.mark == Mark::Done).map(|entry| entry.note.as_slice());
    let mut hash = Sha256::new();
    let mut length = 0;
    for note in notes() {
        hash.update(note);
        length += u64::try_from(note.len()).unwrap_or(u64::MAX);
    }
    if length == 0 {
        return Ok(Vec::new());
    }
    let stream = StreamRef { id: random::stream_id(), length, sha256: hash.finalize().into() };
    write_notes(spool, &stream, notes()).map_err(|error| {
        let class = if error.is_disk_full() { FailureClass::Transient } else { FailureClass::Internal };
        Failure::new(class, "spool", format!("The results cannot be written: {}", Chain(&error)))
    })?;
    Ok(vec![stream])
}

fn write_notes<'a>(spool: &Spool, stream: &StreamRef, notes: impl Iterator<Item = &'a [u8]>) -> Result<(), SpoolError> {
    let mut writer = spool.write(spool_id(stream.id), stream.length)?;
    for note in notes {
        writer.append(note)?;
    }
    writer.finish(&stream.sha256)
}
