//! The one thread that writes: many batches, one barrier.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::headroom::Headroom;
use crate::seal::Sealer;
use crate::store::{Incarnation, Progress};
use crate::watermark::{Mark, Watermark};
use crate::{Batch, Broken, Disk, StoreError, Table, record};

/// Batches in one group: as many as a busy member has tasks in flight.
const GROUP_BATCHES: usize = 64;

/// Bytes in one group, so that the first waiter does not wait for a long write.
const GROUP_BYTES: usize = 256 * 1024;

/// Batches that may wait: the group that comes next, and one to spare. More wait in their callers.
const QUEUE: usize = 2 * GROUP_BATCHES;

/// Key of the group number in the system table.
pub(crate) const GROUP_KEY: &[u8] = b"group";

/// A batch as it goes to disk.
pub(crate) struct Sealed {
    records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bytes: usize,
    essential: bool,
}

impl Sealed {
    /// Encrypts; in the caller's thread, which leaves the one that writes with less to do.
    pub(crate) fn new(sealer: &Sealer, batch: Batch) -> Result<Self, StoreError> {
        let essential = batch.is_essential();
        let mut bytes = 0;
        let mut records = Vec::new();
        for operation in batch.into_operations() {
            let key = record::disk_key(operation.table, &operation.key);
            let value = operation.value.map(|value| record::seal(sealer, &key, &value)).transpose()?;
            bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            records.push((key, value));
        }
        Ok(Self { records, bytes, essential })
    }
}

struct Request {
    sealed: Sealed,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

/// What the thread tells everyone.
#[derive(Debug, Default)]
pub(crate) struct State {
    broken: OnceLock<Arc<Broken>>,
    accepted: AtomicU64,
    settled: AtomicU64,
    commits: AtomicU64,
    barriers: AtomicU64,
}

impl State {
    pub(crate) fn broken(&self) -> Option<StoreError> {
        self.broken.get().map(|why| StoreError::Broken(Arc::clone(why)))
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn barriers(&self) -> u64 {
        self.barriers.load(Ordering::Relaxed)
    }

    pub(crate) fn progress(&self) -> Progress {
        let settled = self.settled.load(Ordering::Acquire);
        let accepted = self.accepted.load(Ordering::Acquire);
        Progress { pending: accepted.saturating_sub(settled), settled }
    }

    /// Breaks the store, unless it is broken already: the first reason is the one to know.
    fn break_down(&self, why: Broken) -> StoreError {
        StoreError::Broken(Arc::clone(self.broken.get_or_init(|| Arc::new(why))))
    }
}

/// A look at the committer of a store, for a watchdog. It does not keep the store open.
#[derive(Debug, Clone)]
pub struct CommitWatch(Arc<State>);

impl CommitWatch {
    /// How far the committer is.
    pub fn look(&self) -> Progress {
        self.0.progress()
    }
}

/// The way to the thread; dropping it waits until what was handed over is settled.
pub(crate) struct Committer {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<State>,
}

impl Committer {
    /// Starts the thread.
    pub(crate) fn start(log: Log) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let (requests, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("store committer".to_owned()).spawn({
            let state = Arc::clone(&state);
            move || serve(log, queue, &state)
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread), state })
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn watch(&self) -> CommitWatch {
        CommitWatch(Arc::clone(&self.state))
    }

    pub(crate) async fn commit(&self, sealed: Sealed) -> Result<(), StoreError> {
        let (request, answer) = self.request(sealed)?;
        let permit = self.requests().ok_or_else(|| self.stopped())?;
        let permit = permit.reserve().await.map_err(|_| self.stopped())?;
        self.state.accepted.fetch_add(1, Ordering::AcqRel);
        permit.send(request);
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    pub(crate) fn commit_blocking(&self, sealed: Sealed) -> Result<(), StoreError> {
        // An async runtime forbids its own threads to wait, so another one does.
        let waited = std::thread::scope(|scope| scope.spawn(|| self.wait_for(sealed)).join());
        waited.unwrap_or_else(|_| Err(self.stopped()))
    }

    fn wait_for(&self, sealed: Sealed) -> Result<(), StoreError> {
        let (request, answer) = self.request(sealed)?;
        let requests = self.requests().ok_or_else(|| self.stopped())?;
        self.state.accepted.fetch_add(1, Ordering::AcqRel);
        requests.blocking_send(request).map_err(|_| self.stopped())?;
        answer.blocking_recv().unwrap_or_else(|_| Err(self.stopped()))
    }

    fn request(&self, sealed: Sealed) -> Result<(Request, oneshot::Receiver<Result<(), StoreError>>), StoreError> {
        if let Some(broken) = self.state.broken() {
            return Err(broken);
        }
        let (reply, answer) = oneshot::channel();
        Ok((Request { sealed, reply }, answer))
    }

    fn requests(&self) -> Option<&mpsc::Sender<Request>> {
        self.requests.as_ref()
    }

    fn stopped(&self) -> StoreError {
        self.state.break_down(Broken::Stopped)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Everything the thread writes to.
pub(crate) struct Log {
    pub(crate) db: sled::Db,
    /// Our own descriptor of sled's file: `fdatasync` on it reaches the drive, and it is told of
    /// write errors even if sled's own was told first.
    pub(crate) file: File,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) headroom: Headroom,
    pub(crate) watermark: Watermark,
    pub(crate) sealer: Sealer,
    pub(crate) incarnation: Incarnation,
    /// Number of the last group.
    pub(crate) group: u64,
}

fn serve(mut log: Log, mut queue: mpsc::Receiver<Request>, state: &State) {
    // sled panics on some write errors; whoever waits must learn of it.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        while let Some(first) = queue.blocking_recv() {
            let group = gather(first, &mut queue);
            settle(&mut log, group, state);
        }
    }));
    if ended.is_err() {
        state.break_down(Broken::Stopped);
    }
}

/// Takes what is there, without waiting for more: the next group gathers behind this one's barrier.
fn gather(first: Request, queue: &mut mpsc::Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.sealed.bytes;
    let mut group = vec![first];
    while group.len() < GROUP_BATCHES && bytes < GROUP_BYTES {
        let Ok(next) = queue.try_recv() else { break };
        bytes += next.sealed.bytes;
        group.push(next);
    }
    group
}

/// Writes a group and answers everyone in it.
fn settle(log: &mut Log, group: Vec<Request>, state: &State) {
    let answer = |request: oneshot::Sender<Result<(), StoreError>>, result| {
        state.settled.fetch_add(1, Ordering::AcqRel);
        // A caller that went away does not want to know.
        let _ = request.send(result);
    };
    if let Some(broken) = state.broken.get() {
        for request in group {
            answer(request.reply, Err(StoreError::Broken(Arc::clone(broken))));
        }
        return;
    }

    let essential = group.iter().any(|it| it.sealed.essential);
    let room = log.headroom.survey(&log.file, essential);
    let mut batch = sled::Batch::default();
    let mut waiters = Vec::with_capacity(group.len());
    for Request { sealed, reply } in group {
        let admitted = match &room {
            Ok(room) => room.admit(sealed.essential),
            Err(StoreError::Io { doing, path, source }) => {
                Err(StoreError::Io { doing, path: path.clone(), source: source.kind().into() })
            }
            Err(_) => Ok(()),
        };
        if let Err(refused) = admitted {
            answer(reply, Err(refused));
            continue;
        }
        for (key, value) in sealed.records {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        waiters.push(reply);
    }
    if waiters.is_empty() {
        return;
    }

    let written = write(log, batch);
    if written.is_ok() {
        state.barriers.fetch_add(1, Ordering::Relaxed);
        state.commits.fetch_add(waiters.len().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    let broken = written.err().map(|why| {
        tracing::error!(error = %why, "the disk did not take a commit group");
        Arc::clone(state.broken.get_or_init(|| Arc::new(why)))
    });
    for waiter in waiters {
        let result = broken.as_ref().map_or(Ok(()), |why| Err(StoreError::Broken(Arc::clone(why))));
        answer(waiter, result);
    }
}

fn write(log: &mut Log, mut batch: sled::Batch) -> Result<(), Broken> {
    let group = log.group + 1;
    let key = record::disk_key(Table::SYSTEM, GROUP_KEY);
    let record = record::seal(&log.sealer, &key, &group.to_be_bytes())
        .map_err(|error| Broken::Sync(std::io::Error::other(error)))?;
    batch.insert(key, record);

    log.db.apply_batch(batch).map_err(Broken::Write)?;
    log.db.flush().map_err(Broken::Write)?;
    // sled's flush ends in `sync_file_range`, which leaves the data in the drive's cache.
    log.disk.sync(&log.file).map_err(Broken::Sync)?;

    log.group = group;
    let mark = Mark { incarnation: log.incarnation, group };
    if let Err(error) = log.watermark.raise(mark) {
        // It stays too low, which is allowed, and damage to the log's end may go unnoticed.
        tracing::warn!(%error, "could not raise the store's watermark");
    }
    Ok(())
}
