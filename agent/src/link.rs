//! Keeps a session with a controller alive: dials, shakes hands, passes frames on, dials again, for ever.
//!
//! The only home of the WebSocket library. What the frames mean is decided by the ledger behind the dispatcher; how a
//! session goes is decided by [`MemberSession`]; here is only the loop that moves bytes.

mod certificates;
mod condition;
pub mod dial;
mod greeting;
mod keys;
mod pump;
#[cfg(feature = "failpoints")]
mod rehearsal;
mod roots;
pub mod tls;
mod vitals;

use std::time::Duration;

use postern_agent_core::{Backoff, Membership};
use postern_fail_point::Point;
use postern_health::TICK;
use postern_protocol::MemberId;
use postern_protocol::bounded::{List, Text};
use postern_protocol::id::Incarnation;
use postern_protocol::message::v1::{GoAway, Hello, MembershipState, ServedSystem, SessionRefusal, Welcome};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::session::member::Event;
use postern_protocol::session::{Ended, MemberSession};
use postern_protocol::time::UnixMillis;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::certificates::{CertificateStatus, Certificates};
use self::certificates::{Shown, Then};
use self::condition::Conditions;
pub use self::dial::{DialError, Dialer, Place, ProxyAnswer, ProxyRoute, Socket};
pub use self::greeting::{Greeted, greet};
pub use self::keys::{KeyRing, KeyStatus};
use self::pump::{Pump, Received, complaint};
#[cfg(feature = "failpoints")]
pub use self::rehearsal::{Opening, Rehearsal};
pub use self::vitals::LinkVitals;
use crate::dispatcher::Dispatcher;
use crate::enrollment;
use crate::metrics::metrics;
use crate::streams::{self, Streams};
use crate::telemetry::{Topic, may_tell_of};
use crate::{clock, random};

/// Frames to the controller in the order they are to leave.
pub type Frames = mpsc::Sender<FromMember>;

/// How long a goodbye may take to leave.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long a frame may wait for whoever it is for. The streams may be in the middle of a window of chunks, each of which a slow
/// line takes up to half a minute for, and the disk may be slow.
const PASSING_ON: Duration = Duration::from_secs(300);
/// How many frames that cannot be read a session survives: enough for a newer controller, too few for a flood.
const MAX_UNREADABLE: u32 = 100;

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

/// The sessions there were since the agent started, for `postern status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sessions {
    /// How many began.
    pub begun: u64,
    /// When the last began, in milliseconds since 1970.
    pub since: Option<UnixMillis>,
    /// The version of the controller, as it says.
    pub controller_version: String,
    /// How the last that ended, or could not begin, ended.
    pub last_end: Option<End>,
}

/// How a session ended, or why there was none.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct End {
    /// When, in milliseconds since 1970.
    pub at: UnixMillis,
    /// With which controller.
    pub url: String,
    /// Why.
    pub why: String,
}

/// What this agent says of itself in every `Hello`.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The member.
    pub member: MemberId,
    /// The host's name, for people.
    pub host: String,
    /// The life of the store.
    pub incarnation: Incarnation,
    /// What it serves.
    pub systems: Vec<ServedSystem>,
}

/// The way to the controller.
pub struct Link {
    /// Opens connections.
    pub dialer: Dialer,
    /// What sessions are opened with.
    pub certificates: Certificates,
    /// What secrets for this agent are sealed to.
    pub keys: KeyRing,
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
    /// The same for health.
    pub vitals: LinkVitals,
    /// For how long the disk may take. That it moves is seen elsewhere: whoever waits for it is not what stands still.
    pub disk_timeout: Duration,
    /// Where to say what sessions there were.
    pub sessions: watch::Sender<Sessions>,
}

/// How a session was left.
enum Left {
    /// It ended, or there was none.
    Ended(String),
    /// This agent stops.
    Stopping,
    /// For another with the next certificate, over this connection.
    For(Box<Socket>),
}

impl Link {
    /// Runs until `stop` fires.
    pub async fn run(mut self, stop: CancellationToken) {
        self.connect(stop).await;
        self.vitals.pulse.rest();
    }

    async fn connect(&mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        for url in self.urls.clone().iter().cycle() {
            self.status.send_replace(LinkStatus::Connecting { url: url.clone() });
            let Some(error) = self.visit(url, &mut backoff, &stop).await else { return };
            let wait = backoff.handle_failure(clock::now(), random::number());
            let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(%url, error, retry_in_ms, "no session with the controller");
            let end = End { at: clock::unix_millis(), url: url.clone(), why: error.clone() };
            self.sessions.send_modify(|it| it.last_end = Some(end));
            self.status.send_replace(LinkStatus::Waiting { error, retry_in_ms });
            metrics().session_failures.one(&[]);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.vitals.pulse.during(wait, tokio::time::sleep(wait)) => (),
            }
        }
    }

    /// Sessions with one controller, each with the certificate that follows that of the one before. Returns why the last
    /// ended, or `None` if this agent stops.
    async fn visit(&mut self, url: &str, backoff: &mut Backoff, stop: &CancellationToken) -> Option<String> {
        // A name is resolved and each of its addresses tried: where certificates have run out, by proof of one key and of the
        // other, each of which waits for its answer, and then for the session.
        let tries = 3 * (1 + u32::from(dial::MOST_ADDRESSES));
        let (pulse, longest) = (self.vitals.pulse.clone(), self.dialer.timeout * tries + 2 * enrollment::ANSWER);
        let dialled = tokio::select! {
            () = stop.cancelled() => return None,
            dialled = pulse.during(longest, Box::pin(self.dial(url))) => dialled,
        };
        let (mut socket, mut shown) = match dialled {
            Ok(dialled) => dialled,
            Err(error) => return Some(error),
        };
        loop {
            let left = self.session(url, socket, shown, backoff, stop).await;
            self.vitals.lost(clock::now());
            self.certificates.handle_disconnected();
            self.keys.handle_disconnected();
            self.streams.disconnected().await;
            self.dispatcher.disconnected().await;
            match left {
                Left::Ended(why) => return Some(why),
                Left::Stopping => return None,
                Left::For(next) => (socket, shown) = (*next, Shown::Next),
            }
        }
    }

    /// A connection, and the certificate that it shows; or why there is none.
    async fn dial(&mut self, url: &str) -> Result<(Socket, Shown), String> {
        self.vitals.pulse.during(self.disk_timeout, self.certificates.settle()).await;
        self.certificates.dial(&self.dialer, url).await
    }

    /// One session, from `Hello` to the end.
    async fn session(
        &mut self,
        url: &str,
        socket: Socket,
        shown: Shown,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Left {
        let Some(standing) = self.dispatcher.introduce().await else { return Left::Stopping };
        let hello = Hello {
            agent_version: Text::clipped(env!("CARGO_PKG_VERSION")),
            host: Text::clipped(self.introduction.host.as_str()),
            incarnation: self.introduction.incarnation,
            last_session: standing.session,
            revisions: List::clipped(FromMember::REVISIONS.to_vec()),
            systems: List::clipped(self.introduction.systems.clone()),
            sealing_keys: self.keys.introduce(),
            next_report: standing.next_report,
            held: standing.held,
            ext: List::default(),
        };
        let mut conditions = Conditions::new(&self.dispatcher);
        let mut pump = Pump::start(socket);
        let mut session = MemberSession::new(self.introduction.member, hello, clock::now());
        let mut unreadable = 0_u32;
        let left = loop {
            self.vitals.pulse.beat();
            Point::LinkTurns.hang().await;
            if let Some(ended) = self.settle(url, shown, &mut session, &mut conditions, &pump, backoff).await {
                if let Some(reason) = ended.goodbye() {
                    pump.try_send(goodbye(reason, &ended.to_string()).into());
                }
                break Left::Ended(ended.to_string());
            }
            if let Some(renew) = self.certificates.poll(&self.dialer, url) {
                pump.send(renew.into()).await;
            }
            if let Some(announce) = self.keys.poll() {
                pump.send(announce.into()).await;
            }
            conditions.poll();
            tokio::select! {
                () = stop.cancelled() => {
                    say_goodbye(&pump).await;
                    break Left::Stopping;
                }
                received = pump.receive() => match received {
                    Received::Frame(frame) => session.handle_message(*frame, clock::now()),
                    Received::Unreadable(error) if session.handle_unreadable(&error) => (),
                    Received::Unreadable(_) if unreadable == MAX_UNREADABLE => {
                        let why = "the controller sent too many frames that cannot be read";
                        pump.try_send(goodbye(SessionRefusal::ProtocolViolation, why).into());
                        break Left::Ended(why.to_owned());
                    }
                    Received::Unreadable(error) => {
                        unreadable += 1;
                        pump.send(complaint(&error).into()).await;
                    }
                    Received::Ended(why) => break Left::Ended(why),
                },
                () = clock::sleep_until(Some(session.poll_timeout())) => session.handle_timeout(clock::now()),
                () = clock::sleep_until(self.certificates.poll_timeout()) => (),
                () = clock::sleep_until(self.keys.poll_timeout()) => (),
                () = tokio::time::sleep(TICK) => (),
                () = clock::sleep_until(conditions.poll_timeout()) => (),
                found = conditions.work() => if let Some(condition) = conditions.handle_found(found) {
                    pump.send(condition.into()).await;
                },
                done = self.keys.work() => self.keys.handle_done(done),
                done = self.certificates.work() => match self.certificates.handle_done(done).await {
                    Then::Nothing => (),
                    Then::Say(frame) => pump.send(*frame).await,
                    Then::Move(next) => {
                        pump.try_send(goodbye(SessionRefusal::Replaced, "it goes on under the next certificate").into());
                        break Left::For(next);
                    }
                },
            }
        };
        pump.stop().await;
        left
    }

    /// Does what the session asks for. Returns why it ended, if it did.
    async fn settle(
        &mut self,
        url: &str,
        shown: Shown,
        session: &mut MemberSession,
        conditions: &mut Conditions,
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
                    if ended.is_refusal_of(SessionRefusal::WrongCertificate) {
                        self.certificates.handle_turned_down(shown, &ended.to_string());
                    }
                    return Some(ended);
                }
                Event::Welcomed(welcome) => {
                    let Some(state) = welcome.state.known() else {
                        let place = "with a member state of a newer version";
                        return Some(Ended::Violation { frame: "Welcome", place });
                    };
                    if self.welcome(url, shown, &welcome, state, session, pump).await {
                        conditions.handle_established(Duration::from_millis(welcome.heartbeat_ms.into()));
                    }
                    backoff.handle_established(clock::now());
                }
                Event::Message(frame) => {
                    let pulse = self.vitals.pulse.clone();
                    let passed_on = tokio::time::timeout(PASSING_ON, self.pass_on(*frame, pump));
                    if pulse.during(PASSING_ON, passed_on).await.is_err() {
                        return Some(Ended::Stuck(PASSING_ON.as_secs()));
                    }
                }
            }
        }
    }

    /// Durable first, then `Confirm`, then work. Returns whether it came to that.
    async fn welcome(
        &mut self,
        url: &str,
        shown: Shown,
        welcome: &Welcome,
        state: MembershipState,
        session: &mut MemberSession,
        pump: &Pump,
    ) -> bool {
        let membership = Membership { state, epoch: welcome.member_epoch, hard: welcome.hard };
        let (pulse, longest) = (&self.vitals.pulse, self.disk_timeout);
        if !pulse.during(longest, self.dispatcher.welcomed(welcome.session, membership)).await {
            return false;
        }
        pulse.during(longest, self.certificates.handle_welcomed(shown)).await;
        self.keys.handle_welcomed();
        session.handle_durable();
        while let Some(frame) = session.poll_transmit() {
            pump.send(frame).await;
        }
        let ttl = Duration::from_millis(welcome.lease_ttl_ms.into());
        self.streams.connected(pump.bulk()).await;
        self.dispatcher.established(welcome.acked_report, ttl, pump.frames()).await;
        tracing::info!(url, session = welcome.session.0, state = %welcome.state, "session established");
        self.vitals.established();
        metrics().sessions.one(&[]);
        self.status.send_replace(LinkStatus::Connected {
            url: url.to_owned(),
            session: welcome.session.0,
            observed_address: welcome.observed_address.to_string(),
        });
        self.sessions.send_modify(|it| {
            it.begun += 1;
            it.since = Some(clock::unix_millis());
            it.controller_version = welcome.controller_version.to_string();
        });
        true
    }

    async fn pass_on(&mut self, frame: FromController, pump: &Pump) {
        match frame {
            FromController::CertIssued(issued) => self.certificates.handle_issued(&issued),
            FromController::CertRefused(refused) => self.certificates.handle_refused(&refused),
            FromController::KeyAck(ack) => self.keys.handle_acknowledged(&ack),
            FromController::TrustBundle(bundle) => {
                if let Some(frame) = self.certificates.handle_bundle(bundle) {
                    pump.send(frame).await;
                }
            }
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
                if may_tell_of(Topic::Frames) {
                    tracing::warn!(tag = error.tag, message = %error.message, "the controller could not take a frame");
                }
                self.keys.handle_complaint(&error);
            }
            frame @ (FromController::Welcome(_)
            | FromController::Refused(_)
            | FromController::Ping(_)
            | FromController::Pong(_)
            | FromController::GoAway(_)
            | FromController::MemberState(_)
            | FromController::SetLogLevel(_)
            | FromController::Offer(_)
            | FromController::ReportAck(_)
            | FromController::Renewed(_)
            | FromController::Cancel(_)
            | FromController::InventoryAsk(_)
            | FromController::StreamOpen(_)) => self.dispatcher.frame(frame).await,
        }
    }
}

async fn say_goodbye(pump: &Pump) {
    say_goodbye_for(pump, goodbye(SessionRefusal::Stopping, "the agent is stopping")).await;
}

async fn say_goodbye_for(pump: &Pump, bye: GoAway) {
    let _ = tokio::time::timeout(GOODBYE, pump.send(bye.into())).await;
}

fn goodbye(reason: SessionRefusal, message: &str) -> GoAway {
    GoAway { reason: reason.into(), message: Text::clipped(message), reconnect_after_ms: 0 }
}
