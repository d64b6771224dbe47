//! The two ends of one session as state machines without I/O.
//!
//! A session is the life of one WebSocket: handshake, signs of life, end. What tasks, leases and reports mean is
//! decided elsewhere; here they pass through, but only once the handshake is complete.

pub mod controller;
pub mod member;
#[cfg(test)]
mod samples;

use std::time::Duration;

pub use controller::ControllerSession;
pub use member::MemberSession;

use crate::code::CodeSet as _;
use crate::id::MemberId;
use crate::message::v1::{GoAway, Refused, SessionRefusal};

/// The WebSocket path of sessions.
pub const PATH: &str = "/v1/session";
/// The WebSocket subprotocol of sessions.
pub const SUBPROTOCOL: &str = "postern.v1";

/// How long either side waits for the next step of the handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often each side asks for a sign of life unless told otherwise.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// After how many heartbeats in a row without a sign of life the peer is taken for gone.
pub const MISSES: u32 = 3;

/// How far a session's number may be ahead of the last that a side knows, as after a restore from a backup: more than a member
/// has in its life. With a number near the largest there would be none after it, and a copy of a member could not be told from
/// it any more.
pub const MAX_AHEAD: u64 = 1 << 32;

/// Why a session ended, as its own side sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The handshake did not come to its end in time.
    #[error("the peer did not complete the handshake within {} s", HANDSHAKE.as_secs())]
    HandshakeTimeout,
    /// The peer showed no sign of life.
    #[error("the peer showed no sign of life for {0} ms")]
    Silent(u64),
    /// What the peer sent was not taken in for so many seconds. No session finds that out: whoever passes on what one hands out
    /// does.
    #[error("what the peer sent waited for {0} s: it takes little of what is sent to it, or the disk does")]
    Stuck(u64),
    /// The peer sent a frame that has no place there.
    #[error("the peer sent {frame} {place}")]
    Violation {
        /// The frame.
        frame: &'static str,
        /// Where it has no place.
        place: &'static str,
    },
    /// The controller takes this member for another.
    #[error(
        "the controller calls this agent member {told}, and it is member {member}: nothing is done in such a session; whoever \
         runs the controller has to find out why it mixes members up"
    )]
    AnotherMember {
        /// Who the controller says this is.
        told: MemberId,
        /// Who it is.
        member: MemberId,
    },
    /// The peer is too old or too new.
    #[error(transparent)]
    Incompatible(#[from] crate::version::NoCommonRevision),
    /// The controller refused the session.
    #[error("the controller refused the session ({reason}): {message}")]
    Refused {
        /// Why.
        reason: String,
        /// The controller's sentence.
        message: String,
        /// How long to wait before trying again.
        retry_after: Duration,
    },
    /// The peer said goodbye.
    #[error("the peer ended the session ({reason}): {message}")]
    GoneAway {
        /// Why.
        reason: String,
        /// The peer's sentence.
        message: String,
        /// How long to wait before connecting again.
        reconnect_after: Duration,
    },
}

impl From<GoAway> for Ended {
    fn from(bye: GoAway) -> Self {
        Self::GoneAway {
            reason: bye.reason.to_string(),
            message: bye.message.to_string(),
            reconnect_after: Duration::from_millis(bye.reconnect_after_ms.into()),
        }
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused {
            reason: refused.reason.to_string(),
            message: refused.message.to_string(),
            retry_after: Duration::from_millis(refused.retry_after_ms.into()),
        }
    }
}

impl Ended {
    /// Whether the controller refused the session for this reason.
    pub fn is_refusal_of(&self, why: SessionRefusal) -> bool {
        matches!(self, Self::Refused { reason, .. } if reason == why.name())
    }

    /// What to say to the peer in a `GoAway`, when the end is its doing and it was not told yet.
    pub const fn goodbye(&self) -> Option<SessionRefusal> {
        match self {
            Self::Violation { .. } | Self::AnotherMember { .. } | Self::HandshakeTimeout => {
                Some(SessionRefusal::ProtocolViolation)
            }
            Self::Incompatible(_) => Some(SessionRefusal::Incompatible),
            Self::Silent(_) | Self::Stuck(_) | Self::Refused { .. } | Self::GoneAway { .. } => None,
        }
    }
}

/// Signs of life, the same on both sides: any frame counts; after an interval without one, ask; after the last of
/// [`MISSES`], give up.
#[derive(Debug)]
struct Heartbeat {
    interval: Duration,
    heard: crate::Timestamp,
    asked: u32,
}

impl Heartbeat {
    fn new(interval: Duration, now: crate::Timestamp) -> Self {
        Self { interval, heard: now, asked: 0 }
    }

    fn heard(&mut self, now: crate::Timestamp) {
        self.heard = now;
        self.asked = 0;
    }

    fn next(&self) -> crate::Timestamp {
        self.heard + self.interval * (self.asked + 1)
    }

    /// `Ok(Some(nonce))`: ask now. `Err`: the peer is gone.
    fn poll(&mut self, now: crate::Timestamp) -> Result<Option<u64>, Ended> {
        if now < self.next() {
            return Ok(None);
        }
        if self.asked + 1 >= MISSES {
            let silent = u64::try_from(now.since(self.heard).as_millis()).unwrap_or(u64::MAX);
            return Err(Ended::Silent(silent));
        }
        self.asked += 1;
        Ok(Some(now.as_millis()))
    }
}
