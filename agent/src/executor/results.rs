//! The results of a batch, read from its journal and kept as one payload: never in memory as a whole.

use std::io::{self, BufRead, BufReader, Read};

use postern_agent_core::{JournalEntry, Mark};
use postern_protocol::message::v1::StreamRef;
use postern_protocol::stream::CHUNK;
use postern_protocol::{Failure, TaskId};
use postern_store::SpoolWriter;

use super::payload::{delete, failure};
use crate::connector::{unpacked, unwritten};
use crate::random;
use crate::store::{AgentStoreError, Store, spool_id};

/// The notes of the steps that are done, one after the other.
struct Notes<I> {
    journal: I,
    note: Vec<u8>,
    read: usize,
}

/// The results so far of a task.
pub(super) fn read(store: &Store, task: TaskId) -> impl Read + Send + use<> {
    unpacked(Notes { journal: store.journal(task), note: Vec::new(), read: 0 })
}

impl<I: Iterator<Item = Result<JournalEntry, AgentStoreError>>> Read for Notes<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.note.len() {
            let Some(entry) = self.journal.next() else { return Ok(0) };
            let entry = entry.map_err(io::Error::other)?;
            if matches!(entry.mark, Mark::Done | Mark::Unchanged) {
                (self.note, self.read) = (entry.note, 0);
            }
        }
        let count = self.note.get(self.read..).unwrap_or_default().read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

/// Keeps the results of a task as a payload. Nothing if there are none.
pub(super) fn keep(store: &Store, task: TaskId) -> Result<Vec<StreamRef>, Failure> {
    let mut results = BufReader::with_capacity(CHUNK, read(store, task));
    if results.fill_buf().map_err(|error| unwritten(&error))?.is_empty() {
        return Ok(Vec::new());
    }
    let id = random::stream_id();
    let writer = store.spool().begin(spool_id(id)).map_err(|error| failure(&error))?;
    write(results, writer).map(|(length, sha256)| vec![StreamRef { id, length, sha256 }]).inspect_err(|_| {
        delete(store.spool(), id);
    })
}

fn write(mut results: impl BufRead, mut writer: SpoolWriter) -> Result<(u64, [u8; 32]), Failure> {
    loop {
        let piece = results.fill_buf().map_err(|error| unwritten(&error))?;
        if piece.is_empty() {
            return writer.finish_here().map_err(|error| failure(&error));
        }
        writer.append(piece).map_err(|error| failure(&error))?;
        let length = piece.len();
        results.consume(length);
    }
}
