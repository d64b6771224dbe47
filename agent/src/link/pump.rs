//! Frames in and out of one WebSocket, each way on its own task so that a slow peer cannot stop both.

use futures_util::stream::SplitStream;
use futures_util::{Sink, SinkExt, StreamExt};
use postern_protocol::bounded::Text;
use postern_protocol::frame::FrameError;
use postern_protocol::message::v1::ProtocolError;
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::plain::Chain;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use super::{Frames, Socket};
use crate::spawn::Spawner;
use crate::telemetry::{Topic, may_tell_of};

/// Frames waiting to be sent: enough to fill a flush, few enough that reports wait on disk and not here.
const FRAMES: usize = 64;
/// Chunks waiting to be sent: at most one is handed to the socket while anything else waits.
const BULK: usize = 1;
/// Frames received and not yet looked at.
const RECEIVED: usize = 64;
/// How long a peer may take nothing while frames wait: as long as it may show no sign of life.
const WRITE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
/// How long a peer may take over what still waits when a session is over.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);
/// How long the tasks may take to end after that.
const STOP: std::time::Duration = std::time::Duration::from_secs(2);

/// What came out of the socket.
pub(super) enum Received {
    /// A frame.
    Frame(Box<FromController>),
    /// A frame that could not be read.
    Unreadable(FrameError),
    /// Nothing more will come.
    Ended(String),
}

/// One WebSocket at work.
pub(super) struct Pump {
    tasks: Spawner,
    frames: Frames,
    bulk: Frames,
    received: mpsc::Receiver<Received>,
}

impl Pump {
    pub(super) fn start(socket: Socket) -> Self {
        let (sink, stream) = socket.split();
        let (frames, frames_out) = mpsc::channel(FRAMES);
        let (bulk, bulk_out) = mpsc::channel(BULK);
        let (received_in, received) = mpsc::channel(RECEIVED);
        let tasks = Spawner::default();
        let ended = received_in.clone();
        tasks.spawn(|stop| async move {
            if let Some(why) = write(sink, frames_out, bulk_out, &stop).await {
                let _ = ended.send(Received::Ended(why)).await;
            }
        });
        tasks.spawn(|stop| async move {
            tokio::select! {
                () = stop.cancelled() => (),
                () = read(stream, received_in) => (),
            }
        });
        Self { tasks, frames, bulk, received }
    }

    /// Where frames go.
    pub(super) fn frames(&self) -> Frames {
        self.frames.clone()
    }

    /// Where chunks go, behind everything else.
    pub(super) fn bulk(&self) -> Frames {
        self.bulk.clone()
    }

    /// Sends a frame.
    pub(super) async fn send(&self, frame: FromMember) {
        // A closed channel means that the writer has ended, which is about to be received.
        let _ = self.frames.send(frame).await;
    }

    pub(super) fn try_send(&self, frame: FromMember) {
        let _ = self.frames.try_send(frame);
    }

    pub(super) async fn receive(&mut self) -> Received {
        self.received.recv().await.unwrap_or_else(|| Received::Ended("the connection was closed".to_owned()))
    }

    /// Ends the session after what waits to be sent, chunks excepted.
    pub(super) async fn stop(self) {
        self.tasks.stop(STOP).await;
    }
}

/// Writes until it is stopped, or the connection fails: then it returns why.
///
/// When it is stopped, frames may wait that would not be sent again before the next session: the report of what was finished
/// last, the goodbye. They are written first.
///
/// Whoever waits for room in its channels is set free when it returns, so that no peer can hold up the agent for longer
/// than [`WRITE_PATIENCE`], or [`LAST_WORDS`] once it is stopped.
async fn write(
    sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    frames: mpsc::Receiver<FromMember>,
    bulk: mpsc::Receiver<FromMember>,
    stop: &CancellationToken,
) -> Option<String> {
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = too_late => None,
        why = write_in_turn(sink, frames, bulk, stop) => why,
    }
}

/// Frames first, and chunks as long as nobody stops it.
async fn write_in_turn(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut frames: mpsc::Receiver<FromMember>,
    mut bulk: mpsc::Receiver<FromMember>,
    stop: &CancellationToken,
) -> Option<String> {
    loop {
        let frame = tokio::select! {
            biased;
            Some(frame) = frames.recv() => frame,
            () = stop.cancelled() => {
                let _ = sink.close().await;
                return None;
            }
            Some(frame) = bulk.recv() => frame,
        };
        match tokio::time::timeout(WRITE_PATIENCE, write_some(&mut sink, &frame, &mut frames)).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => return Some(format!("the connection broke: {}", Chain(&error))),
            Err(_) => return Some(format!("the controller took nothing for {} s", WRITE_PATIENCE.as_secs())),
        }
    }
}

/// One frame, and whatever waits already, in the same flush.
async fn write_some(
    sink: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    first: &FromMember,
    frames: &mut mpsc::Receiver<FromMember>,
) -> Result<(), tungstenite::Error> {
    feed(sink, first).await?;
    for _ in 1..FRAMES {
        let Ok(frame) = frames.try_recv() else { break };
        feed(sink, &frame).await?;
    }
    sink.flush().await
}

async fn feed(
    sink: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    frame: &FromMember,
) -> Result<(), tungstenite::Error> {
    match frame.encode() {
        Ok(bytes) => sink.feed(Message::Binary(bytes.into())).await,
        Err(error) => {
            tracing::error!(frame = frame.name(), error = %Chain(&error), "a frame could not be encoded");
            Ok(())
        }
    }
}

async fn read(mut stream: SplitStream<Socket>, received: mpsc::Sender<Received>) {
    loop {
        let next = match stream.next().await {
            Some(Ok(Message::Binary(bytes))) => match FromController::decode(&bytes) {
                Ok(frame) => Received::Frame(Box::new(frame)),
                Err(error) => Received::Unreadable(error),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Text(_))) => Received::Ended("the controller sent text, which is no frame".to_owned()),
            Some(Ok(Message::Close(_))) | None => Received::Ended("the controller closed the connection".to_owned()),
            Some(Err(error)) => Received::Ended(format!("the connection broke: {}", Chain(&error))),
        };
        let last = matches!(next, Received::Ended(_));
        if received.send(next).await.is_err() || last {
            return;
        }
    }
}

/// What to say about a frame that could not be read. The session goes on.
pub(super) fn complaint(error: &FrameError) -> ProtocolError {
    let tag = match error {
        FrameError::Unknown { tag, .. } | FrameError::Body { tag, .. } => *tag,
        FrameError::NoHeader { .. } | FrameError::WrongLength { .. } => 0,
    };
    if may_tell_of(Topic::Frames) {
        tracing::warn!(error = %Chain(error), "the controller sent a frame that cannot be read");
    }
    ProtocolError { tag, message: Text::clipped(Chain(error).to_string()) }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use postern_protocol::message::v1::Pong;

    use super::*;

    /// A peer that takes nothing.
    struct Stuck;

    impl Sink<Message> for Stuck {
        type Error = tungstenite::Error;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
            Poll::Pending
        }

        fn start_send(self: Pin<&mut Self>, _: Message) -> Result<(), tungstenite::Error> {
            Ok(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
            Poll::Pending
        }
    }

    /// F28. Take the patience out of `write`, and whoever sends waits for ever: the link for the streams, the streams
    /// for this channel.
    #[tokio::test(start_paused = true)]
    async fn f28_a_peer_that_takes_nothing_sets_everybody_free_in_the_end() {
        let (frames, frames_out) = mpsc::channel(FRAMES);
        let (bulk, bulk_out) = mpsc::channel(BULK);
        let chunks = async {
            while bulk.send(Pong { nonce: 1 }.into()).await.is_ok() {}
            drop(frames);
        };
        let going_on = CancellationToken::new();
        let (why, ()) = tokio::join!(write(Stuck, frames_out, bulk_out, &going_on), chunks);
        assert_eq!(why.as_deref(), Some("the controller took nothing for 30 s"));
    }

    /// Leave [`LAST_WORDS`] out of `write`, and an agent that stops keeps its last report until it is started again, every
    /// other time.
    #[tokio::test(start_paused = true)]
    async fn what_waits_when_a_session_stops_is_written_first() {
        let stop = CancellationToken::new();
        stop.cancel();
        for _ in 0..32 {
            let (frames, frames_out) = mpsc::channel(FRAMES);
            let (_bulk, bulk_out) = mpsc::channel(BULK);
            for nonce in 1..=3 {
                frames.try_send(Pong { nonce }.into()).unwrap();
            }
            let mut written = Vec::new();
            let sink = (&mut written).sink_map_err(|never| match never {});
            assert_eq!(write(sink, frames_out, bulk_out, &stop).await, None);
            assert_eq!(written.len(), 3, "{written:?}");
        }
    }

    /// F28. Take `too_late` out of `write`, and a stop waits for the patience of an ordinary write.
    #[tokio::test(start_paused = true)]
    async fn f28_a_peer_that_takes_nothing_does_not_hold_up_a_stop() {
        let stop = CancellationToken::new();
        let (frames, frames_out) = mpsc::channel(FRAMES);
        let (_bulk, bulk_out) = mpsc::channel(BULK);
        frames.try_send(Pong { nonce: 1 }.into()).unwrap();
        stop.cancel();
        let began = tokio::time::Instant::now();
        assert_eq!(write(Stuck, frames_out, bulk_out, &stop).await, None);
        assert_eq!(began.elapsed(), LAST_WORDS);
    }
}
