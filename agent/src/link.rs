//! Keeps a session with a controller alive: dials, shakes hands, passes frames on, dials again, for ever.
//!
//! The only home of the WebSocket library. What the frames mean is decided by the ledger behind the dispatcher; how a
//! session goes is decided by [`MemberSession`]; here is only the loop that moves bytes.

mod dial;
mod pump;
pub mod tls;

use std::time::Duration;

use postern_agent_core::{Backoff, Membership};
use postern_protocol::bounded::{List, Text};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{
    AnnouncedKey, GoAway, Hello, MembershipState, ServedSystem, SessionRefusal, Welcome,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::session::member::Event;
use postern_protocol::session::{self, Ended, MemberSession};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::dial::{DialError, Dialer, ProxyRoute, Socket};
use self::pump::{Pump, Received};
use crate::dispatcher::Dispatcher;
use crate::streams::{self, Streams};
use crate::{chain, clock, random};

/// Frames to the controller in the order they are to leave.
pub type Frames = mpsc::Sender<FromMember>;

/// How long a goodbye may take to leave.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the link is doing, for `postern status`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LinkStatus {
    /// Dialling or shaking hands.
    Connecting {
        /// The URL.
        url: String,
    },
    /// A session is established.
    Connected {
        /// The URL.
        url: String,
        /// The session's number.
        session: u64,
        /// The address this connection came from, as the controller saw it.
        observed_address: String,
    },
    /// Waiting before the next try.
    Waiting {
        /// What went wrong.
        error: String,
        /// For how many milliseconds.
        retry_in_ms: u64,
    },
}

/// What this agent says of itself in every `Hello`.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The host's name, for people.
    pub host: String,
    /// The life of the store.
    pub incarnation: Incarnation,
    /// What it serves.
    pub systems: Vec<ServedSystem>,
    /// The keys secrets for it are sealed to.
    pub sealing_keys: Vec<AnnouncedKey>,
}

/// The way to the controller.
pub struct Link {
    /// Opens connections.
    pub dialer: Dialer,
    /// The controllers, tried in turn.
    pub urls: Vec<String>,
    /// What to say in `Hello`.
    pub introduction: Introduction,
    /// Who decides what frames mean.
    pub dispatcher: Dispatcher,
    /// Who moves payloads.
    pub streams: Streams,
    /// Where to say how it goes.
    pub status: watch::Sender<LinkStatus>,
}

impl Link {
    /// Runs until `stop` fires.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        for url in self.urls.iter().cycle() {
            self.status.send_replace(LinkStatus::Connecting { url: url.clone() });
            let error = tokio::select! {
                () = stop.cancelled() => return,
                dialled = self.dialer.dial(url, session::PATH, session::SUBPROTOCOL) => match dialled {
                    Err(error) => chain::Chain(&error).to_string(),
                    Ok(socket) => match self.session(url, socket, &mut backoff, &stop).await {
                        Some(ended) => ended,
                        None => return,
                    },
                },
            };
            let wait = backoff.handle_failure(clock::now(), random::number());
            let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(%url, error, retry_in_ms, "no session with the controller");
            self.status.send_replace(LinkStatus::Waiting { error, retry_in_ms });
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => (),
            }
        }
    }

    /// One session, from `Hello` to the end. Returns why it ended, or `None` if this agent stops.
    async fn session(
        &self,
        url: &str,
        socket: Socket,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Option<String> {
        let standing = self.dispatcher.introduce().await?;
        let hello = Hello {
            agent_version: Text::clipped(env!("CARGO_PKG_VERSION")),
            host: Text::clipped(self.introduction.host.as_str()),
            incarnation: self.introduction.incarnation,
            last_session: standing.session,
            revisions: List::clipped(FromMember::REVISIONS.to_vec()),
            systems: List::clipped(self.introduction.systems.clone()),
            sealing_keys: List::clipped(self.introduction.sealing_keys.clone()),
            next_report: standing.next_report,
            held: standing.held,
            ext: List::default(),
        };
        let mut pump = Pump::start(socket);
        let mut session = MemberSession::new(hello, clock::now());
        let ended = loop {
            if let Some(ended) = self.settle(url, &mut session, &pump, backoff).await {
                if let Some(reason) = ended.goodbye() {
                    pump.try_send(goodbye(reason, &ended.to_string()).into());
                }
                break Some(ended.to_string());
            }
            tokio::select! {
                () = stop.cancelled() => {
                    self.say_goodbye(&pump).await;
                    break None;
                }
                received = pump.receive() => match received {
                    Received::Frame(frame) => session.handle_message(*frame, clock::now()),
                    Received::Unreadable(answer) => pump.send(answer.into()).await,
                    Received::Ended(why) => break Some(why),
                },
                () = clock::sleep_until(Some(session.poll_timeout())) => session.handle_timeout(clock::now()),
            }
        };
        self.streams.disconnected().await;
        self.dispatcher.disconnected().await;
        pump.stop().await;
        ended
    }

    /// Does what the session asks for. Returns why it ended, if it did.
    async fn settle(
        &self,
        url: &str,
        session: &mut MemberSession,
        pump: &Pump,
        backoff: &mut Backoff,
    ) -> Option<Ended> {
        loop {
            while let Some(frame) = session.poll_transmit() {
                pump.send(frame).await;
            }
            match session.poll_event()? {
                Event::Ended(ended) => {
                    if let Ended::Refused { retry_after, .. } | Ended::GoneAway { reconnect_after: retry_after, .. } =
                        &ended
                    {
                        backoff.handle_asked(*retry_after);
                    }
                    return Some(ended);
                }
                Event::Welcomed(welcome) => {
                    let Some(state) = welcome.state.known() else {
                        let place = "with a member state of a newer version";
                        return Some(Ended::Violation { frame: "Welcome", place });
                    };
                    self.welcome(url, &welcome, state, session, pump).await;
                    backoff.handle_established(clock::now());
                }
                Event::Message(frame) => self.pass_on(frame).await,
            }
        }
    }

    /// Durable first, then `Confirm`, then work.
    async fn welcome(
        &self,
        url: &str,
        welcome: &Welcome,
        state: MembershipState,
        session: &mut MemberSession,
        pump: &Pump,
    ) {
        let membership = Membership { state, epoch: welcome.member_epoch, hard: welcome.hard };
        if !self.dispatcher.welcomed(welcome.session, membership).await {
            return;
        }
        session.handle_durable();
        while let Some(frame) = session.poll_transmit() {
            pump.send(frame).await;
        }
        let ttl = Duration::from_millis(welcome.lease_ttl_ms.into());
        self.streams.connected(pump.bulk()).await;
        self.dispatcher.established(welcome.acked_report, ttl, pump.frames()).await;
        tracing::info!(url, session = welcome.session.0, state = %welcome.state, "session established");
        self.status.send_replace(LinkStatus::Connected {
            url: url.to_owned(),
            session: welcome.session.0,
            observed_address: welcome.observed_address.to_string(),
        });
    }

    async fn pass_on(&self, frame: FromController) {
        match frame {
            FromController::StreamOpenAck(frame) => {
                self.streams.send(streams::Command::OpenAcked(frame.stream, frame.durable)).await;
            }
            FromController::Chunk(frame) => self.streams.send(streams::Command::Chunk(frame)).await,
            FromController::ChunkAck(frame) => {
                self.streams.send(streams::Command::ChunkAcked(frame.stream, frame.durable)).await;
            }
            FromController::StreamClose(frame) => self.streams.send(streams::Command::Stored(frame.stream)).await,
            FromController::StreamReset(frame) => {
                self.streams.send(streams::Command::Reset(frame.stream, frame.fault)).await;
            }
            FromController::ProtocolError(error) => {
                tracing::warn!(tag = error.tag, message = %error.message, "the controller could not take a frame");
            }
            frame @ (FromController::Welcome(_)
            | FromController::Refused(_)
            | FromController::Ping(_)
            | FromController::Pong(_)
            | FromController::GoAway(_)
            | FromController::MemberState(_)
            | FromController::Offer(_)
            | FromController::ReportAck(_)
            | FromController::Renewed(_)
            | FromController::Cancel(_)
            | FromController::InventoryAsk(_)
            | FromController::StreamOpen(_)) => self.dispatcher.frame(frame).await,
        }
    }

    async fn say_goodbye(&self, pump: &Pump) {
        let bye = goodbye(SessionRefusal::Stopping, "the agent is stopping");
        let _ = tokio::time::timeout(GOODBYE, pump.send(bye.into())).await;
    }
}

fn goodbye(reason: SessionRefusal, message: &str) -> GoAway {
    GoAway { reason: reason.into(), message: Text::clipped(message), reconnect_after_ms: 0 }
}
