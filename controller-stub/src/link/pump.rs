//! One session: frames in, frames out, in the order of the protocol.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{Sink, SinkExt, StreamExt};
use postern_protocol::bounded::Text;
use postern_protocol::message::v1::{
    Chunk, GoAway, Hello, Offer, ProtocolError, SessionRefusal, StreamFault, StreamOpen,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::plain::Chain;
use postern_protocol::session::controller::Event;
use postern_protocol::session::{ControllerSession, Ended};
use postern_protocol::{SessionNo, Timestamp};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use super::accept::Socket;
use super::incoming::{Answered, Incomings, Step, completed, reset};
use super::outgoing::Outgoings;
use super::{Link, websocket};
use crate::ca::peer::Peer;
use crate::clock;
use crate::dispatcher::Stopped;
use crate::door::{Inside, Visitor};
use crate::state::{Greeting, Introduction, SessionHandle, ToSession};
use crate::telemetry::MemberLines;

/// How many words of the state may wait for this session. Offers are limited by credit, the rest is small.
const WORDS: usize = 1024;
/// How many frames may wait to be written before nothing more is taken in.
const MAX_WAITING: usize = 256;
/// How long the peer may take to read one frame.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// How long the last frames of a session may take.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a session goes on that the state has ended. What a member that was revoked takes out is nothing any more, but
/// it must not hold its connection for as long as it likes by reading nothing.
const PARTING: Duration = Duration::from_millis(500);
/// How many frames that cannot be read a session survives: enough for a newer peer, too few for a flood.
const MAX_UNREADABLE: u32 = 100;

/// Why a session's loop ends.
enum End {
    /// Nothing more to say.
    Silent,
    /// After what is queued.
    AfterLastWords,
}

impl From<Stopped> for End {
    fn from(_: Stopped) -> Self {
        Self::AfterLastWords
    }
}

struct Pump {
    link: Link,
    peer: Peer,
    address: SocketAddr,
    visitor: Arc<Visitor>,
    /// Once the member is welcome.
    inside: Option<Inside>,
    machine: ControllerSession,
    session: Option<SessionNo>,
    own: SessionHandle,
    control: VecDeque<FromController>,
    offers: VecDeque<FromController>,
    outgoing: Outgoings,
    incoming: Incomings,
    unreadable: u32,
    lines: MemberLines,
}

/// Serves one session to its end.
pub(super) async fn run(
    link: Link,
    socket: Socket,
    peer: Peer,
    address: SocketAddr,
    visitor: Arc<Visitor>,
    stop: CancellationToken,
) {
    let (sink, mut stream) = socket.split();
    let (frames, to_write) = mpsc::channel(1);
    let (words, mut heard) = mpsc::channel(WORDS);
    let own = SessionHandle { words, cut: CancellationToken::new(), over: CancellationToken::new() };
    let over = own.over.clone();
    let member = peer.member;
    let lines = MemberLines::new(member, Arc::clone(&link.hush));
    let mut pump = Pump {
        machine: ControllerSession::new(link.heartbeat, clock::now()),
        incoming: Incomings::new(link.space.clone(), lines.clone()),
        link,
        peer,
        address,
        visitor,
        inside: None,
        session: None,
        own,
        control: VecDeque::new(),
        offers: VecDeque::new(),
        outgoing: Outgoings::new(lines.clone()),
        unreadable: 0,
        lines: lines.clone(),
    };
    let session = async {
        let mut writer = std::pin::pin!(write_frames(sink, to_write));
        let end = tokio::select! {
            () = &mut writer => End::Silent,
            end = pump.pump(&frames, &mut heard, &mut stream, &stop) => end,
        };
        if let Some(session) = pump.session {
            let _ = pump.link.handle.tell(0, move |state, at| state.disconnect(member, session, at)).await;
        }
        if matches!(end, End::AfterLastWords) {
            let last_words = async {
                pump.take_transmits();
                for frame in pump.control.drain(..) {
                    if let Ok(bytes) = frame.encode() {
                        let _ = frames.send(bytes).await;
                    }
                }
                drop(frames);
            };
            let finished = async { tokio::join!(last_words, &mut writer) };
            let _ = tokio::time::timeout(LAST_WORDS, finished).await;
        }
    };
    if until_parted(&over, session).await.is_none() && lines.allow() {
        tracing::info!(%member, "a member did not take the last word of its session: its connection is cut");
    }
}

/// Goes on with a session until it ends, and no longer than [`PARTING`] once the state has ended it: `None` then.
async fn until_parted(over: &CancellationToken, session: impl Future<Output = ()>) -> Option<()> {
    let parted = async {
        over.cancelled().await;
        tokio::time::sleep(PARTING).await;
    };
    tokio::select! {
        () = session => Some(()),
        () = parted => None,
    }
}

async fn write_frames(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut frames: mpsc::Receiver<Vec<u8>>,
) {
    while let Some(frame) = frames.recv().await {
        match tokio::time::timeout(WRITE_PATIENCE, websocket::write(&mut sink, frame)).await {
            Ok(Ok(())) => (),
            Ok(Err(_)) => return,
            Err(_) => {
                tracing::warn!("a member does not read what it is sent: its session is cut");
                return;
            }
        }
    }
    let _ = sink.close().await;
}

impl Pump {
    async fn pump(
        &mut self,
        frames: &mpsc::Sender<Vec<u8>>,
        heard: &mut mpsc::Receiver<ToSession>,
        stream: &mut SplitStream<Socket>,
        stop: &CancellationToken,
    ) -> End {
        let cut = self.own.cut.clone();
        let visitor = Arc::clone(&self.visitor);
        // A session never outlives its certificate.
        let left = self.peer.expires.0.saturating_sub(clock::wall().0);
        let expires = clock::now() + Duration::from_millis(left);
        loop {
            self.take_transmits();
            let has_frames = !self.control.is_empty() || !self.offers.is_empty();
            let has_chunk = !has_frames && self.outgoing.is_ready();
            let has_room = self.control.len() + self.offers.len() < MAX_WAITING;
            let went = tokio::select! {
                biased;
                () = cut.cancelled() => Err(End::Silent),
                () = visitor.turned_out() => Err(End::Silent),
                () = stop.cancelled() => {
                    self.say_goodbye(SessionRefusal::Stopping, "the controller is stopping", 500);
                    Err(End::AfterLastWords)
                }
                // Before what is read: whoever never stops talking would outlive it.
                () = clock::sleep_until(expires) => {
                    self.say_goodbye(SessionRefusal::WrongCertificate, "the member's certificate ran out: enroll again", 60_000);
                    Err(End::AfterLastWords)
                }
                permit = frames.reserve(), if has_frames => match permit {
                    Ok(permit) => {
                        if let Some(bytes) = self.next_frame() {
                            permit.send(bytes);
                        }
                        Ok(())
                    }
                    Err(_) => Err(End::Silent),
                },
                Some(said) = heard.recv(), if has_room => self.told(said),
                message = stream.next(), if has_room => self.received(message).await,
                () = clock::sleep_until(self.poll_timeout()) => {
                    let again = self.outgoing.handle_timeout(clock::now());
                    self.control.extend(again);
                    self.machine.handle_timeout(clock::now());
                    self.take_events(0).await
                }
                permit = frames.reserve(), if has_chunk => match permit {
                    Ok(permit) => {
                        if let Some(Ok(bytes)) = self.outgoing.chunk().await.map(|it| it.encode()) {
                            permit.send(bytes);
                        }
                        Ok(())
                    }
                    Err(_) => Err(End::Silent),
                },
            };
            if let Err(end) = went {
                return end;
            }
        }
    }

    /// A certificate of a member may be a stolen one: before it is welcome it is a stranger to the log.
    fn may_tell(&self) -> bool {
        if self.inside.is_some() { self.lines.allow() } else { self.visitor.may_be_told() }
    }

    fn poll_timeout(&self) -> Timestamp {
        let session = self.machine.poll_timeout();
        self.outgoing.poll_timeout().map_or(session, |again| again.min(session))
    }

    fn take_transmits(&mut self) {
        while let Some(frame) = self.machine.poll_transmit() {
            self.control.push_back(frame);
        }
    }

    /// Control first, then offers; chunks are taken elsewhere, when neither waits.
    fn next_frame(&mut self) -> Option<Vec<u8>> {
        let frame = self.control.pop_front().or_else(|| self.offers.pop_front())?;
        match frame.encode() {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::error!(frame = frame.name(), error = %Chain(&error), "a frame could not be written");
                None
            }
        }
    }

    /// The state says something.
    fn told(&mut self, said: ToSession) -> Result<(), End> {
        match said {
            ToSession::Frame(frame) => self.told_frame(*frame),
            ToSession::Payloads(task, streams) => {
                self.control.extend(streams.into_iter().map(|it| self.outgoing.announce(task, it)));
            }
            ToSession::Close(bye) => {
                self.control.push_back(bye.into());
                return Err(End::AfterLastWords);
            }
        }
        Ok(())
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "what is not about offers is control")]
    fn told_frame(&mut self, frame: FromController) {
        match frame {
            offer @ FromController::Offer(_) => self.offers.push_back(offer),
            // A cancel must not overtake the offer it is about.
            FromController::Cancel(cancel) if self.has_offer(cancel.task) => self.offers.push_back(cancel.into()),
            control => self.control.push_back(control),
        }
    }

    fn has_offer(&self, task: postern_protocol::TaskId) -> bool {
        self.offers
            .iter()
            .any(|it| matches!(it, FromController::Offer(Offer { task: waiting, .. }) if *waiting == task))
    }

    async fn received(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Result<(), End> {
        match message {
            Some(Ok(Message::Binary(bytes))) => self.frame(&bytes).await,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Text(_) | Message::Frame(_))) => self.unreadable(0, "a text message is not a frame"),
            Some(Ok(Message::Close(_))) | None => Err(End::AfterLastWords),
            Some(Err(tungstenite::Error::Capacity(error))) => {
                if self.may_tell() {
                    tracing::warn!(member = %self.peer.member, %error, "a member sent a frame that is too large");
                }
                self.say_goodbye(SessionRefusal::ProtocolViolation, "a frame was larger than 128 KiB", 1_000);
                Err(End::AfterLastWords)
            }
            Some(Err(error)) => {
                if self.may_tell() {
                    tracing::info!(member = %self.peer.member, error = %Chain(&error), "a session broke");
                }
                Err(End::Silent)
            }
        }
    }

    async fn frame(&mut self, bytes: &[u8]) -> Result<(), End> {
        match FromMember::decode(bytes) {
            Ok(frame) => {
                self.machine.handle_message(frame, clock::now());
                self.take_events(bytes.len()).await
            }
            Err(error) => {
                self.machine.handle_unreadable(&error);
                self.take_events(0).await?;
                let tag = bytes.first_chunk::<2>().map_or(0, |tag| u16::from_le_bytes(*tag));
                self.unreadable(tag, &Chain(&error).to_string())
            }
        }
    }

    /// One bad frame does not end a session that was begun properly.
    fn unreadable(&mut self, tag: u16, why: &str) -> Result<(), End> {
        if self.may_tell() {
            tracing::warn!(member = %self.peer.member, tag, why, "a member sent a frame that cannot be read");
        }
        self.unreadable += 1;
        if !self.machine.is_established() || self.unreadable > MAX_UNREADABLE {
            self.say_goodbye(SessionRefusal::ProtocolViolation, why, 1_000);
            return Err(End::AfterLastWords);
        }
        self.control.push_back(ProtocolError { tag, message: Text::clipped(why) }.into());
        Ok(())
    }

    /// Acts on what a frame of this size, or the time, brought about.
    async fn take_events(&mut self, size: usize) -> Result<(), End> {
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Introduced(hello) => self.introduced(*hello).await?,
                Event::Established => {
                    let (member, session) = (self.peer.member, self.session.ok_or(End::Silent)?);
                    self.link.handle.tell(0, move |state, at| state.establish(member, session, at)).await?;
                }
                Event::Message(frame) => self.work(frame, size).await?,
                Event::Ended(why) => {
                    if self.may_tell() {
                        tracing::info!(member = %self.peer.member, why = %Chain(&why), "a session ended");
                    }
                    self.explain(&why);
                    return Err(End::AfterLastWords);
                }
            }
        }
        Ok(())
    }

    /// Tells the peer why, when it is the peer's doing and it was not told by the machine.
    fn explain(&mut self, why: &Ended) {
        if let Some(reason) = why.goodbye() {
            self.say_goodbye(reason, &why.to_string(), 1_000);
        }
    }

    fn say_goodbye(&mut self, reason: SessionRefusal, message: &str, reconnect_after_ms: u32) {
        let bye = GoAway { reason: reason.into(), message: Text::clipped(message), reconnect_after_ms };
        self.control.push_back(bye.into());
    }

    async fn introduced(&mut self, hello: Hello) -> Result<(), End> {
        let introduction = Introduction {
            cluster: self.peer.cluster.clone(),
            member: self.peer.member,
            certificate: self.peer.certificate.clone(),
            address: self.address.ip().to_string(),
            hello,
            session: self.own.clone(),
        };
        match self.link.handle.ask(move |state, at| state.introduce(introduction, at)).await? {
            Greeting::Welcome(welcomed) => {
                self.session = Some(welcomed.session);
                self.inside = Some(self.visitor.inside().ok_or(End::Silent)?);
                self.machine.welcome(welcomed.welcome, clock::now());
            }
            Greeting::Refused(refused) => self.machine.refuse(refused),
        }
        Ok(())
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the session takes payloads, the state everything else")]
    async fn work(&mut self, frame: FromMember, size: usize) -> Result<(), End> {
        match frame {
            FromMember::StreamOpen(open) => self.open_incoming(open).await,
            FromMember::Chunk(chunk) => self.take_chunk(chunk).await,
            FromMember::StreamOpenAck(ack) => {
                let said = self.outgoing.begin(ack.stream, ack.durable, &self.link.spool);
                self.control.extend(said);
                Ok(())
            }
            FromMember::ChunkAck(ack) => {
                let said = self.outgoing.acknowledged(ack.stream, ack.durable);
                self.control.extend(said);
                Ok(())
            }
            FromMember::StreamClose(close) => {
                self.outgoing.closed(close.stream);
                Ok(())
            }
            FromMember::StreamReset(reset) => {
                if self.may_tell() {
                    tracing::warn!(member = %self.peer.member, stream = %reset.stream, fault = %reset.fault, "a payload was refused");
                }
                self.outgoing.reset(reset.stream, reset.fault, clock::now());
                self.incoming.over(reset.stream);
                Ok(())
            }
            about_work => {
                let (member, session) = (self.peer.member, self.session.ok_or(End::Silent)?);
                // A report is stored about as long as it came; what else is said is small.
                let bytes = if matches!(about_work, FromMember::Report(_)) { size } else { 0 };
                self.link.handle.tell(bytes, move |state, at| state.hear(member, session, about_work, at)).await?;
                Ok(())
            }
        }
    }

    async fn open_incoming(&mut self, open: StreamOpen) -> Result<(), End> {
        let (member, session) = (self.peer.member, self.session.ok_or(End::Silent)?);
        let stream = open.stream;
        let answer = self.link.handle.ask(move |state, at| state.open_output(member, session, &open, at)).await?;
        match answer {
            // The session is over: only the next one may say what becomes of the payload.
            None => Ok(()),
            Some(Ok(record)) if record.complete => {
                self.control.extend(completed(&stream, Answered::Open));
                Ok(())
            }
            Some(Ok(_)) => {
                let step = self.incoming.open(stream, &self.link.spool).await;
                self.step(step, Answered::Open).await
            }
            Some(Err(fault)) => {
                self.control.push_back(reset(stream.id, fault));
                Ok(())
            }
        }
    }

    async fn take_chunk(&mut self, chunk: Chunk) -> Result<(), End> {
        let step = self.incoming.chunk(chunk).await;
        self.step(step, Answered::Chunk).await
    }

    async fn step(&mut self, step: Step, answered: Answered) -> Result<(), End> {
        match step {
            Step::Nothing => (),
            Step::Say(frame) => self.control.push_back(*frame),
            Step::Complete(stream) => {
                let (member, session, id) = (self.peer.member, self.session.ok_or(End::Silent)?, stream.id);
                let is_kept =
                    self.link.handle.ask(move |state, at| state.complete_output(member, session, id, at)).await?;
                if is_kept {
                    self.control.extend(completed(&stream, answered));
                } else {
                    self.control.push_back(reset(id, StreamFault::Full));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::time::Instant;

    use super::*;

    /// A member that takes nothing.
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

    /// F29. Take the patience out of `write_frames`, and the session of a member that reads nothing never ends.
    #[tokio::test(start_paused = true)]
    async fn f29_a_member_that_takes_nothing_loses_its_session_in_the_end() {
        let (frames, to_write) = mpsc::channel(1);
        let says = async { while frames.send(vec![0]).await.is_ok() {} };
        let began = Instant::now();
        tokio::join!(write_frames(Stuck, to_write), says);
        // The clock counts whole milliseconds.
        assert_eq!(began.elapsed().as_secs(), WRITE_PATIENCE.as_secs());
    }

    /// Leave the cut out, and a member that was revoked keeps its connection for as long as the writer is patient.
    #[tokio::test(start_paused = true)]
    async fn a_session_that_the_state_ended_is_cut_within_a_second_although_nothing_is_taken() {
        let over = CancellationToken::new();
        let (frames, to_write) = mpsc::channel(1);
        let stuck = async {
            let says = async { while frames.send(vec![0]).await.is_ok() {} };
            tokio::join!(write_frames(Stuck, to_write), says);
        };
        let session = until_parted(&over, stuck);
        let said = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            over.cancel();
            Instant::now()
        };
        let (ended, said) = tokio::join!(
            async {
                session.await;
                Instant::now()
            },
            said
        );
        assert!(ended - said < Duration::from_secs(1), "{:?}", ended - said);
    }
}
