//! Moves payloads between the spool and the link, on one thread that may block on the disk.

use std::collections::BTreeMap;

use postern_protocol::bounded::Bytes;
use postern_protocol::code::Code;
use postern_protocol::message::FromMember;
use postern_protocol::message::v1::{
    Chunk, ChunkAck, StreamClose, StreamFault, StreamOpen, StreamOpenAck, StreamRef, StreamReset,
};
use postern_protocol::stream::{CHUNK, CHUNK_BYTES, Receiving, Sending, chunks};
use postern_protocol::{StreamId, TaskId};
use postern_store::{Spool, SpoolError, SpoolReader, SpoolWriter};
use tokio::sync::mpsc;

use crate::chain::Chain;
use crate::dispatcher::Dispatcher;
use crate::link::Frames;
use crate::store::spool_id;

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
}

/// Everything on its way, in either direction.
pub struct Mover {
    spool: Spool,
    dispatcher: Dispatcher,
    frames: Option<Frames>,
    incoming: BTreeMap<StreamId, Incoming>,
    outgoing: BTreeMap<StreamId, Outgoing>,
}

impl Mover {
    /// Moves payloads of `spool`.
    pub fn new(spool: Spool, dispatcher: Dispatcher) -> Self {
        Self { spool, dispatcher, frames: None, incoming: BTreeMap::new(), outgoing: BTreeMap::new() }
    }

    /// Runs until every handle is gone. Blocks.
    pub fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            self.handle(command);
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Connected(frames) => {
                self.frames = Some(frames);
                let opens: Vec<StreamOpen> =
                    self.outgoing.values().map(|out| StreamOpen { task: out.task, stream: out.stream }).collect();
                for open in opens {
                    self.send(open.into());
                }
            }
            Command::Disconnected => {
                self.frames = None;
                // Writers keep what is durable; the controller announces the payload again.
                self.incoming.clear();
                self.outgoing.values_mut().for_each(|out| out.progress = None);
            }
            Command::Receive(task, stream) => self.receive(task, stream),
            Command::Chunk(chunk) => self.take(&chunk),
            Command::Upload(task, stream) => {
                self.outgoing.insert(stream.id, Outgoing { task, stream, progress: None });
                self.send(StreamOpen { task, stream }.into());
            }
            Command::OpenAcked(id, durable) => self.begin(id, durable),
            Command::ChunkAcked(id, durable) => self.go_on(id, durable),
            Command::Stored(id) => {
                if let Some(out) = self.outgoing.remove(&id) {
                    self.dispatcher.uploaded(out.task);
                }
            }
            Command::Reset(id, fault) => {
                tracing::warn!(stream = %id, %fault, "the controller gave a payload up");
                self.incoming.remove(&id);
                if let Some(out) = self.outgoing.get_mut(&id) {
                    out.progress = None;
                }
            }
            Command::Forget(streams) => streams.into_iter().for_each(|id| self.forget(id)),
        }
    }

    fn send(&self, frame: FromMember) {
        if let Some(frames) = &self.frames {
            // A closed channel means that the session is over, which a command will say.
            let _ = frames.blocking_send(frame);
        }
    }

    fn reset(&mut self, stream: StreamId, fault: StreamFault, why: &str) {
        tracing::warn!(%stream, %fault, why, "a payload cannot be moved");
        self.incoming.remove(&stream);
        self.send(StreamReset { stream, fault: fault.into() }.into());
    }

    fn spool_failed(&mut self, stream: StreamId, error: &SpoolError) {
        let fault = if error.is_disk_full() { StreamFault::Full } else { StreamFault::Corrupt };
        self.reset(stream, fault, &Chain(error).to_string());
    }

    // ---- in ----

    fn receive(&mut self, task: TaskId, stream: StreamRef) {
        if self.spool.contains(spool_id(stream.id)) {
            self.send(StreamOpenAck { stream: stream.id, durable: chunks(stream.length) }.into());
            return self.complete(task, stream.id);
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
            Ok(()) => self.complete(incoming.task, id),
            Err(error) => self.spool_failed(id, &error),
        }
    }

    fn complete(&self, task: TaskId, stream: StreamId) {
        self.send(StreamClose { stream }.into());
        self.dispatcher.stream_here(task, stream);
    }

    // ---- out ----

    fn begin(&mut self, id: StreamId, durable: u64) {
        let Some(out) = self.outgoing.get_mut(&id) else { return };
        let sending = Sending::from_durable(out.stream, durable);
        let reader = self.spool.read(spool_id(id), out.stream.length);
        match (sending, reader) {
            (Ok(sending), Ok(reader)) => {
                out.progress = Some((sending, reader));
                self.send_window(id);
            }
            (Err(error), _) => self.reset(id, StreamFault::Corrupt, &error.to_string()),
            (_, Err(error)) => self.spool_failed(id, &error),
        }
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
            let piece = reader
                .read_at(range.start)
                .map_err(|error| Chain(&error).to_string())
                .and_then(|bytes| Bytes::<CHUNK>::new(bytes).map_err(|error| error.to_string()));
            match piece {
                Ok(bytes) => self.send(Chunk { stream: id, index, bytes }.into()),
                Err(error) => return self.reset(id, StreamFault::Corrupt, &error),
            }
        }
    }

    fn forget(&mut self, id: StreamId) {
        self.incoming.remove(&id);
        self.outgoing.remove(&id);
        if let Err(error) = self.spool.delete(spool_id(id)) {
            tracing::warn!(stream = %id, error = %Chain(&error), "a payload could not be deleted");
        }
    }
}
