//! The results of a batch, read from its journal and kept as one payload: never in memory as a whole.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use postern_agent_core::JournalEntry;
use postern_protocol::message::v1::StreamRef;
use postern_protocol::stream::CHUNK;
use postern_protocol::{Failure, FailureClass, TaskId};
use postern_store::SpoolWriter;

use super::blocking;
use super::payload::{delete, failure};
use crate::connector::{DISK_FULL, stopped, unpacked, unwritten};
use crate::random;
use crate::store::{AgentStoreError, Store, spool_id};

/// How often it is looked whether there is room for results by now.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How often in all: for a day, as long as a task waits that is asked to. What was done cannot be told without results.
pub(super) const LOOKS: u32 = 24 * 60;

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
            if entry.mark.is_end() {
                (self.note, self.read) = (entry.note, 0);
            }
        }
        let count = self.note.get(self.read..).unwrap_or_default().read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

/// Keeps the results of a task as a payload, as soon as the disk has room for them. Nothing if there are none.
///
/// # Errors
///
/// When they cannot be read or written, or there was no room for so long; [`stopped`] if there is no room and `hurry`
/// resolves.
pub(super) async fn keep_once_there_is_room(
    store: &Store,
    task: TaskId,
    looks: u32,
    hurry: impl Future<Output = ()>,
) -> Result<Vec<StreamRef>, Failure> {
    let mut hurry = std::pin::pin!(hurry);
    let mut left = looks;
    loop {
        let at_hand = store.clone();
        // Written to the end only to be removed again, it would take the room of others.
        let has_room = left == looks || store.has_room_for(0);
        let kept = if has_room {
            blocking(move || keep(&at_hand, task)).await
        } else {
            Err(unwritten(&io::ErrorKind::StorageFull.into()))
        };
        let full = match kept {
            Err(failure) if failure.code.as_str() == DISK_FULL => failure,
            kept => return kept,
        };
        let Some(fewer) = left.checked_sub(1) else {
            return Err(Failure { class: FailureClass::Internal.into(), ..full }.with_next_step(
                "Make room on the disk of the agent's state directory. What was done stands in its audit log: submit the \
                 rest again",
            ));
        };
        left = fewer;
        tracing::error!(%task, "the disk of the state directory is too full for the results of a batch, which wait for room");
        tokio::select! {
            () = &mut hurry => return Err(stopped()),
            () = tokio::time::sleep(LOOK_AGAIN) => (),
        }
    }
}

fn keep(store: &Store, task: TaskId) -> Result<Vec<StreamRef>, Failure> {
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

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::io::Write as _;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use postern_agent_core::{Mark, Write};

    use super::*;
    use crate::store::lab::Disklike;

    const TASK: TaskId = TaskId::from_bytes([1; 16]);

    async fn finished(folder: &tempfile::TempDir) -> (Arc<Disklike>, Store) {
        let (disk, store) = Disklike::with_store(folder.path());
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(b"told").unwrap();
        let note = packer.finish().unwrap();
        let done = JournalEntry { step: 0, mark: Mark::Done, note, effect: Vec::new() };
        store.commit(&[Write::PutJournal(TASK, 0, done)]).await.unwrap();
        disk.free.store(0, Ordering::SeqCst);
        (disk, store)
    }

    /// F14. Let the first failure be the answer, and every entry of a batch that was done is told as unknown.
    #[tokio::test(start_paused = true)]
    async fn f14_the_results_of_a_batch_wait_until_the_disk_has_room() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, store) = finished(&folder).await;
        let room = async {
            tokio::time::sleep(LOOK_AGAIN * 9).await;
            disk.free.store(1 << 40, Ordering::SeqCst);
        };
        let (kept, ()) = tokio::join!(keep_once_there_is_room(&store, TASK, LOOKS, pending()), room);
        let [kept] = kept.unwrap().try_into().unwrap();
        store.spool().verify(spool_id(kept.id), kept.length, &kept.sha256).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn results_do_not_wait_for_ever_nor_when_the_agent_stops() {
        let folder = tempfile::tempdir().unwrap();
        let (_disk, store) = finished(&folder).await;
        let full = keep_once_there_is_room(&store, TASK, 3, pending()).await.unwrap_err();
        assert_eq!((full.code.as_str(), full.class), (DISK_FULL, FailureClass::Internal.into()));
        let stopped = keep_once_there_is_room(&store, TASK, 3, ready(())).await.unwrap_err();
        assert_eq!(stopped.class, FailureClass::Interrupted.into());
    }
}
