//! Moves payloads between the spool and the link, on one thread that may block on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postern_protocol::bounded::Bytes;
use postern_protocol::code::Code;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{
    Chunk, ChunkAck, StreamClose, StreamFault, StreamOpen, StreamOpenAck, StreamRef, StreamReset,
};
use postern_protocol::plain::Chain;
use postern_protocol::rate::{Buckets, Rate};
use postern_protocol::stream::{CHUNK, CHUNK_BYTES, Receiving, Retry, Sending, chunks};
use postern_protocol::{StreamId, TaskId, Timestamp};
use postern_store::{Spool, SpoolError, SpoolReader, SpoolWriter};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::clock;
use crate::dispatcher::{Dispatcher, Moved, Place};
use crate::link::Frames;
use crate::store::spool_id;
use crate::telemetry::{Topic, may_tell_of};

// What the spool reads at once is sent as one chunk.
const _: () = assert!(postern_store::CHUNK == CHUNK, "the spool's chunks and the wire's are the same");

/// Commands waiting: a window of chunks for each of a few streams.
const COMMANDS: usize = 64;

/// What the streams' thread is asked to do.
pub enum Command {
    /// A session is established; chunks go there.
    Connected(Frames),
    /// The session is over.
    Disconnected,
    /// Take this payload of a task in.
    Receive(TaskId, StreamRef),
    /// A piece of a payload came.
    Chunk(Chunk),
    /// Send this payload of a task.
    Upload(TaskId, StreamRef),
    /// The controller has this many chunks of a payload already.
    OpenAcked(StreamId, u64),
    /// The controller made this many chunks durable.
    ChunkAcked(StreamId, u64),
    /// The controller has all of a payload.
    Stored(StreamId),
    /// The controller cannot send or take a payload.
    Reset(StreamId, Code<StreamFault>),
    /// These payloads are needed no more.
    Forget(Vec<StreamId>),
}

/// A handle to the streams' thread.
#[derive(Clone)]
pub struct Streams(mpsc::Sender<Command>);

impl Streams {
    /// A handle and the end its thread takes commands from.
    pub fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(COMMANDS);
        (Self(sender), receiver)
    }

    /// Asks for something.
    pub async fn send(&self, command: Command) {
        // A closed channel means that the program is stopping.
        let _ = self.0.send(command).await;
    }

    /// A place for one command, if there is one at once.
    pub fn try_place(&self) -> Option<mpsc::Permit<'_, Command>> {
        self.0.try_reserve().ok()
    }

    /// A place for one command, as soon as it is its turn; `None` if the program is stopping.
    pub async fn place(self) -> Option<mpsc::OwnedPermit<Command>> {
        self.0.reserve_owned().await.ok()
    }

    /// A session is established.
    pub async fn connected(&self, frames: Frames) {
        self.send(Command::Connected(frames)).await;
    }

    /// The session is over.
    pub async fn disconnected(&self) {
        self.send(Command::Disconnected).await;
    }
}

struct Incoming {
    task: TaskId,
    progress: Receiving,
    writer: SpoolWriter,
}

struct Outgoing {
    task: TaskId,
    stream: StreamRef,
    /// Once the controller said how much it has.
    progress: Option<(Sending, SpoolReader)>,
    retry: Retry,
}

impl Outgoing {
    fn announcement(&self) -> FromMember {
        StreamOpen { task: self.task, stream: self.stream }.into()
    }

    /// Whether the controller has yet to say how much it has.
    fn is_announced(&self) -> bool {
        self.progress.is_none() && self.retry.poll_timeout().is_none()
    }

    fn put_off(&mut self, now: Timestamp) {
        self.progress = None;
        self.retry.handle_reset(now);
    }
}

/// Everything on its way, in either direction.
pub struct Mover {
    spool: Spool,
    dispatcher: Dispatcher,
    frames: Option<Frames>,
    incoming: BTreeMap<StreamId, Incoming>,
    outgoing: BTreeMap<StreamId, Outgoing>,
    /// The hashes of payloads that came in and are whole: each is announced again in every session.
    here: BTreeMap<StreamId, [u8; 32]>,
    /// What the controller announced in this session, and how often it announces something again before that is whole.
    announced: BTreeSet<StreamId>,
    again: Buckets<()>,
    /// What the dispatcher is still to be told: of payloads of tasks that are held, or ended, each once.
    untold: BTreeSet<Moved>,
}

/// What a mover waits for.
enum Next<'a> {
    Command(Option<Command>),
    Timeout,
    Place(Option<Place<'a>>),
}

impl Mover {
    /// Moves payloads of `spool`.
    pub fn new(spool: Spool, dispatcher: Dispatcher) -> Self {
        // What could not be taken is announced again after a pause. Each time what came before is read again, which may be gigabytes.
        let again = Rate::new(16, Duration::from_secs(30));
        Self {
            spool,
            dispatcher,
            frames: None,
            incoming: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            here: BTreeMap::new(),
            announced: BTreeSet::new(),
            again: Buckets::new(again, 1),
            untold: BTreeSet::new(),
        }
    }

    /// Runs until every handle is gone. Blocks, on a thread of the runtime that may.
    pub fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let runtime = Handle::current();
        let dispatcher = self.dispatcher.clone();
        loop {
            let timeout = self.poll_timeout();
            let next = async {
                tokio::select! {
                    command = commands.recv() => Next::Command(command),
                    () = clock::sleep_until(timeout) => Next::Timeout,
                    place = dispatcher.place(), if !self.untold.is_empty() => Next::Place(place),
                }
            };
            match runtime.block_on(next) {
                Next::Command(Some(command)) => self.handle(command),
                Next::Command(None) => return,
                Next::Timeout => self.handle_timeout(clock::now()),
                Next::Place(Some(place)) => {
                    if let Some(moved) = self.untold.pop_first() {
                        place.tell(moved);
                    }
                }
                Next::Place(None) => self.untold.clear(),
            }
        }
    }

    /// When something that was put off is to be announced again.
    fn poll_timeout(&self) -> Option<Timestamp> {
        self.outgoing.values().filter_map(|out| out.retry.poll_timeout()).min()
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        let due =
            self.outgoing.values_mut().filter_map(|out| out.retry.handle_timeout(now).then(|| out.announcement()));
        let announcements: Vec<FromMember> = due.collect();
        for announcement in announcements {
            self.send(announcement);
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Connected(frames) => {
                self.frames = Some(frames);
                self.outgoing.values().for_each(|out| self.send(out.announcement()));
            }
            Command::Disconnected => {
                self.frames = None;
                // Writers keep what is durable; the controller announces the payload again.
                self.incoming.clear();
                self.announced.clear();
                self.outgoing.values_mut().for_each(|out| (out.progress, out.retry) = (None, Retry::default()));
            }
            Command::Receive(task, stream) => self.receive(task, stream),
            Command::Chunk(chunk) => self.take(&chunk),
            Command::Upload(task, stream) => {
                let out = Outgoing { task, stream, progress: None, retry: Retry::default() };
                self.send(out.announcement());
                self.outgoing.insert(stream.id, out);
            }
            Command::OpenAcked(id, durable) => self.begin(id, durable),
            Command::ChunkAcked(id, durable) => self.go_on(id, durable),
            Command::Stored(id) => {
                if let Some(out) = self.outgoing.remove(&id) {
                    self.untold.insert(Moved::Uploaded(out.task));
                }
            }
            Command::Reset(id, fault) => self.was_reset(id, fault),
            Command::Forget(streams) => streams.into_iter().for_each(|id| self.forget(id)),
        }
    }

    fn send(&self, frame: FromMember) {
        if let Some(frames) = &self.frames {
            // A closed channel means that the session is over, which a command will say.
            let _ = frames.blocking_send(frame);
        }
    }

    /// The controller cannot go on with a payload, or does not want it.
    fn was_reset(&mut self, id: StreamId, fault: Code<StreamFault>) {
        if may_tell_of(Topic::Payloads) {
            tracing::warn!(stream = %id, %fault, "the controller gave a payload up");
        }
        self.incoming.remove(&id);
        let Some(out) = self.outgoing.get_mut(&id) else { return };
        if fault == StreamFault::Unknown.into() && out.is_announced() {
            // Its task is over there, or never was this member's: nobody waits for the result, but the report is owed.
            let task = out.task;
            self.outgoing.remove(&id);
            self.untold.insert(Moved::Unwanted(task));
            return;
        }
        out.put_off(clock::now());
    }

    fn reset(&mut self, stream: StreamId, fault: StreamFault, why: &str) {
        if may_tell_of(Topic::Payloads) {
            tracing::warn!(%stream, %fault, why, "a payload cannot be moved now");
        }
        self.incoming.remove(&stream);
        if let Some(out) = self.outgoing.get_mut(&stream) {
            out.put_off(clock::now());
        }
        self.send(StreamReset { stream, fault: fault.into() }.into());
    }

    fn spool_failed(&mut self, stream: StreamId, error: &SpoolError) {
        let fault = if error.is_disk_full() { StreamFault::Full } else { StreamFault::Corrupt };
        self.reset(stream, fault, &Chain(error).to_string());
    }

    fn receive(&mut self, task: TaskId, stream: StreamRef) {
        match self.is_here(&stream) {
            Ok(true) => {
                self.send(StreamOpenAck { stream: stream.id, durable: chunks(stream.length) }.into());
                return self.complete(task, stream.id);
            }
            Ok(false) => (),
            Err(error) => return self.spool_failed(stream.id, &error),
        }
        let is_first = self.announced.insert(stream.id);
        if !is_first && self.spool.is_begun(spool_id(stream.id)) && self.again.take((), clock::now()).is_err() {
            return self.reset(stream.id, StreamFault::Full, "it is announced again too often before it is whole");
        }
        match self.spool.write(spool_id(stream.id), stream.length) {
            Ok(writer) => {
                let durable = writer.durable() / CHUNK_BYTES;
                let progress = Receiving::from_durable(stream, durable);
                self.send(StreamOpenAck { stream: stream.id, durable }.into());
                let complete = progress.is_complete();
                self.incoming.insert(stream.id, Incoming { task, progress, writer });
                if complete {
                    self.finish(stream.id);
                }
            }
            Err(error) => self.spool_failed(stream.id, &error),
        }
    }

    /// Whether a payload is here as it was announced: its id alone stands under no signature. One that is not is removed.
    fn is_here(&mut self, stream: &StreamRef) -> Result<bool, SpoolError> {
        let id = spool_id(stream.id);
        if !self.spool.contains(id) {
            return Ok(false);
        }
        if self.here.get(&stream.id) == Some(&stream.sha256) {
            return Ok(true);
        }
        match self.spool.verify(id, stream.length, &stream.sha256) {
            Ok(()) => {
                self.here.insert(stream.id, stream.sha256);
                Ok(true)
            }
            Err(error) if error.is_damage() => {
                tracing::error!(stream = %stream.id, error = %Chain(&error), "a payload is not what was announced, and comes anew");
                self.here.remove(&stream.id);
                self.spool.delete(id)?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, chunk: &Chunk) {
        let Some(incoming) = self.incoming.get_mut(&chunk.stream) else { return };
        match incoming.progress.handle_chunk(chunk.index, chunk.bytes.len()) {
            Ok(false) => return,
            Ok(true) => (),
            Err(error) => return self.reset(chunk.stream, StreamFault::Corrupt, &error.to_string()),
        }
        let written = incoming.writer.append(&chunk.bytes).and_then(|()| incoming.writer.sync());
        match written {
            Ok(durable) => {
                let complete = incoming.progress.is_complete();
                self.send(ChunkAck { stream: chunk.stream, durable: durable / CHUNK_BYTES }.into());
                if complete {
                    self.finish(chunk.stream);
                }
            }
            Err(error) => self.spool_failed(chunk.stream, &error),
        }
    }

    fn finish(&mut self, id: StreamId) {
        let Some(incoming) = self.incoming.remove(&id) else { return };
        let stream = *incoming.progress.stream();
        match incoming.writer.finish(&stream.sha256) {
            Ok(()) => {
                self.here.insert(id, stream.sha256);
                self.complete(incoming.task, id);
            }
            Err(error) => self.spool_failed(id, &error),
        }
    }

    fn complete(&mut self, task: TaskId, stream: StreamId) {
        self.send(StreamClose { stream }.into());
        self.untold.insert(Moved::Here(task, stream));
    }

    fn begin(&mut self, id: StreamId, durable: u64) {
        // Whoever answers what was not asked, or answers twice, has nothing begin again.
        let Some(out) = self.outgoing.get_mut(&id).filter(|out| out.is_announced()) else { return };
        if durable == chunks(out.stream.length) {
            // The word that it is stored follows, whatever is left of it here.
            return;
        }
        let sending = Sending::from_durable(out.stream, durable);
        let reader = self.spool.read(spool_id(id), out.stream.length);
        match (sending, reader) {
            (Ok(sending), Ok(reader)) => {
                out.progress = Some((sending, reader));
                self.send_window(id);
            }
            (Err(error), _) => self.reset(id, StreamFault::Corrupt, &error.to_string()),
            (_, Err(error)) => self.unread(id, &error),
        }
    }

    /// The results of a task cannot be read.
    fn unread(&mut self, id: StreamId, error: &SpoolError) {
        if !error.is_damage() {
            return self.spool_failed(id, error);
        }
        let Some(out) = self.outgoing.remove(&id) else { return };
        tracing::error!(task = %out.task, stream = %id, error = %Chain(error), "the results of a task are lost");
        self.untold.insert(Moved::Lost(out.task));
        self.send(StreamReset { stream: id, fault: StreamFault::Unknown.into() }.into());
    }

    fn go_on(&mut self, id: StreamId, durable: u64) {
        let Some(Outgoing { progress: Some((sending, _)), .. }) = self.outgoing.get_mut(&id) else { return };
        match sending.handle_ack(durable) {
            Ok(()) => self.send_window(id),
            Err(error) => self.reset(id, StreamFault::Corrupt, &error.to_string()),
        }
    }

    fn send_window(&mut self, id: StreamId) {
        loop {
            let Some(Outgoing { progress: Some((sending, reader)), .. }) = self.outgoing.get_mut(&id) else { return };
            let Some((index, range)) = sending.poll_chunk() else { return };
            let bytes = match reader.read_at(range.start) {
                Ok(bytes) => bytes,
                Err(error) => return self.unread(id, &error),
            };
            match Bytes::<CHUNK>::new(bytes) {
                Ok(bytes) => self.send(Chunk { stream: id, index, bytes }.into()),
                Err(error) => return self.reset(id, StreamFault::Corrupt, &error.to_string()),
            }
        }
    }

    fn forget(&mut self, id: StreamId) {
        self.here.remove(&id);
        self.announced.remove(&id);
        self.untold.retain(|moved| !matches!(moved, Moved::Here(_, stream) if *stream == id));
        // The controller takes few at a time, and keeps open what it sends: this one keeps nobody's place. What it sends may be
        // announced once more by now, for a newer lease: then it is again, later, or told to be unknown.
        if self.incoming.remove(&id).is_some() {
            self.send(StreamReset { stream: id, fault: StreamFault::Full.into() }.into());
        } else if self.outgoing.remove(&id).is_some() {
            self.send(StreamReset { stream: id, fault: StreamFault::Unknown.into() }.into());
        }
        if let Err(error) = self.spool.delete(spool_id(id)) {
            tracing::warn!(stream = %id, error = %Chain(&error), "a payload could not be deleted");
        }
        self.untold.insert(Moved::Forgotten(id));
    }
}

#[cfg(test)]
mod tests;
