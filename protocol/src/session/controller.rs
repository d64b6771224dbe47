//! The controller's end of a session.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Ended, HANDSHAKE, Heartbeat};
use crate::message::v1::{Confirm, Hello, Ping, Pong, Refused, Welcome};
use crate::message::{FromController, FromMember};
use crate::time::Timestamp;
use crate::version::check_common;

/// What the controller's shell has to act on.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A member introduced itself: answer with [`ControllerSession::welcome`] or [`ControllerSession::refuse`].
    Introduced(Box<Hello>),
    /// The member made the session durable: work may flow.
    Established,
    /// A frame about work, after the handshake.
    Message(FromMember),
    /// The session is over. Nothing follows.
    Ended(Ended),
}

#[derive(Debug)]
enum State {
    AwaitingHello { since: Timestamp },
    Deciding,
    AwaitingConfirm { since: Timestamp, expected: Confirm },
    Established,
    Ended,
}

/// The controller's end of one session, from `Hello` to the end. Used like [`MemberSession`](super::MemberSession).
#[derive(Debug)]
pub struct ControllerSession {
    state: State,
    heartbeat: Heartbeat,
    transmits: VecDeque<FromController>,
    events: VecDeque<Event>,
}

impl ControllerSession {
    /// Begins by waiting for a `Hello`.
    pub fn new(heartbeat: Duration, now: Timestamp) -> Self {
        Self {
            state: State::AwaitingHello { since: now },
            heartbeat: Heartbeat::new(heartbeat, now),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// A frame came.
    pub fn handle_message(&mut self, message: FromMember, now: Timestamp) {
        self.heartbeat.heard(now);
        match (&self.state, message) {
            (State::Ended, _) => (),
            (State::AwaitingHello { .. }, FromMember::Hello(hello)) => self.introduce(hello),
            (State::AwaitingHello { .. }, other) => {
                self.end(Ended::Violation { frame: other.name(), place: "instead of Hello" });
            }
            (_, FromMember::Ping(ping)) => self.transmits.push_back(Pong { nonce: ping.nonce }.into()),
            (_, FromMember::Pong(_)) => (),
            (_, FromMember::GoAway(bye)) => self.end(Ended::GoneAway {
                reason: bye.reason.to_string(),
                message: bye.message.to_string(),
                reconnect_after: Duration::from_millis(bye.reconnect_after_ms.into()),
            }),
            (State::AwaitingConfirm { expected, .. }, FromMember::Confirm(confirm)) if confirm == *expected => {
                self.state = State::Established;
                self.events.push_back(Event::Established);
            }
            (State::Deciding | State::AwaitingConfirm { .. }, other) => {
                self.end(Ended::Violation { frame: other.name(), place: "before the handshake was complete" });
            }
            (State::Established, other @ (FromMember::Hello(_) | FromMember::Confirm(_))) => {
                self.end(Ended::Violation { frame: other.name(), place: "after the handshake" });
            }
            (State::Established, other) => self.events.push_back(Event::Message(other)),
        }
    }

    fn introduce(&mut self, hello: Hello) {
        if let Err(error) = check_common(FromMember::REVISIONS, &hello.revisions) {
            return self.end(error.into());
        }
        self.state = State::Deciding;
        self.events.push_back(Event::Introduced(Box::new(hello)));
    }

    /// Accepts the member. The session number must be durable here before.
    pub fn welcome(&mut self, welcome: Welcome, now: Timestamp) {
        if matches!(self.state, State::Deciding) {
            let expected = Confirm { session: welcome.session, member_epoch: welcome.member_epoch };
            self.state = State::AwaitingConfirm { since: now, expected };
            self.transmits.push_back(welcome.into());
        }
    }

    /// Refuses the member. The session is over once the frame is sent.
    pub fn refuse(&mut self, refused: Refused) {
        if matches!(self.state, State::Deciding) {
            let ended = Ended::Refused {
                reason: refused.reason.to_string(),
                message: refused.message.to_string(),
                retry_after: Duration::from_millis(refused.retry_after_ms.into()),
            };
            self.transmits.push_back(refused.into());
            self.end(ended);
        }
    }

    /// Whether work may flow.
    pub fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// When to call [`ControllerSession::handle_timeout`].
    pub fn poll_timeout(&self) -> Timestamp {
        match self.state {
            State::AwaitingHello { since } | State::AwaitingConfirm { since, .. } => since + HANDSHAKE,
            State::Deciding | State::Established | State::Ended => self.heartbeat.next(),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        match self.state {
            State::AwaitingHello { since } | State::AwaitingConfirm { since, .. } => {
                if now >= since + HANDSHAKE {
                    self.end(Ended::HandshakeTimeout);
                }
            }
            State::Established => match self.heartbeat.poll(now) {
                Ok(Some(nonce)) => self.transmits.push_back(Ping { nonce }.into()),
                Ok(None) => (),
                Err(silent) => self.end(silent),
            },
            State::Deciding | State::Ended => (),
        }
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<FromController> {
        self.transmits.pop_front()
    }

    /// The next thing to act on.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn end(&mut self, why: Ended) {
        self.state = State::Ended;
        self.events.push_back(Event::Ended(why));
    }
}
