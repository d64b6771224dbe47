//! The member's end of a session.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Ended, HANDSHAKE, HEARTBEAT, Heartbeat, MAX_AHEAD};
use crate::frame::FrameError;
use crate::id::{MemberId, SessionNo};
use crate::message::v1::{Confirm, Hello, Ping, Pong, Welcome, unknown_critical};
use crate::message::{FromController, FromMember};
use crate::time::Timestamp;
use crate::version::{NoCommonRevision, check_common};

/// The tags of what answers `Hello`.
const WELCOME: u16 = 2;
const REFUSED: u16 = 3;

/// What the member's shell has to act on.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The controller accepted: make session number and member state durable, then call
    /// [`MemberSession::handle_durable`].
    Welcomed(Box<Welcome>),
    /// A frame about work, after the handshake.
    Message(Box<FromController>),
    /// The session is over. Nothing follows.
    Ended(Ended),
}

#[derive(Debug)]
enum State {
    AwaitingWelcome { since: Timestamp },
    AwaitingDurable { confirm: Confirm },
    Established,
    Ended,
}

/// The member's end of one session, from `Hello` to the end.
///
/// - `handle_*` take what happened, with the time it happened at;
/// - `poll_transmit` and `poll_event` hand out what to do about it;
/// - `poll_timeout` says when to call `handle_timeout`.
///
/// After every `handle_*`, poll until both polls return `None`.
#[derive(Debug)]
pub struct MemberSession {
    member: MemberId,
    last: SessionNo,
    state: State,
    heartbeat: Heartbeat,
    transmits: VecDeque<FromMember>,
    events: VecDeque<Event>,
}

impl MemberSession {
    /// Begins with a `Hello` of this member to send.
    pub fn new(member: MemberId, hello: Hello, now: Timestamp) -> Self {
        Self {
            member,
            last: hello.last_session,
            state: State::AwaitingWelcome { since: now },
            heartbeat: Heartbeat::new(HEARTBEAT, now),
            transmits: VecDeque::from([hello.into()]),
            events: VecDeque::new(),
        }
    }

    /// A frame came.
    pub fn handle_message(&mut self, message: FromController, now: Timestamp) {
        self.heartbeat.heard(now);
        match (&self.state, message) {
            (State::Ended, _) => (),
            (_, FromController::Ping(ping)) => self.transmits.push_back(Pong { nonce: ping.nonce }.into()),
            (_, FromController::Pong(_)) => (),
            (_, FromController::GoAway(bye)) => self.end(bye.into()),
            (State::AwaitingWelcome { .. }, FromController::Welcome(welcome)) => self.welcome(welcome, now),
            (State::AwaitingWelcome { .. }, FromController::Refused(refused)) => self.end(refused.into()),
            (State::AwaitingWelcome { .. } | State::AwaitingDurable { .. }, other) => {
                self.end(Ended::Violation { frame: other.name(), place: "before the handshake was complete" });
            }
            (State::Established, other @ (FromController::Welcome(_) | FromController::Refused(_))) => {
                self.end(Ended::Violation { frame: other.name(), place: "after the handshake" });
            }
            (State::Established, other) => self.events.push_back(Event::Message(Box::new(other))),
        }
    }

    /// A frame came that cannot be read. An answer to `Hello` in another revision ends the session. Returns whether it did: else
    /// it is the shell that decides.
    pub fn handle_unreadable(&mut self, error: &FrameError) -> bool {
        let (State::AwaitingWelcome { .. }, FrameError::Unknown { tag: tag @ (WELCOME | REFUSED), .. }) =
            (&self.state, error)
        else {
            return false;
        };
        self.end(NoCommonRevision { tag: *tag }.into());
        true
    }

    fn welcome(&mut self, welcome: Welcome, now: Timestamp) {
        if let Err(error) = check_common(FromController::REVISIONS, &welcome.revisions) {
            return self.end(error.into());
        }
        if unknown_critical(&welcome.ext).is_some() {
            return self
                .end(Ended::Violation { frame: "Welcome", place: "with a critical extension of a newer version" });
        }
        if welcome.member != self.member {
            return self.end(Ended::AnotherMember { told: welcome.member, member: self.member });
        }
        if welcome.session.0.saturating_sub(self.last.0) > MAX_AHEAD {
            return self
                .end(Ended::Violation { frame: "Welcome", place: "with a session number that no member comes to" });
        }
        let interval = Duration::from_millis(welcome.heartbeat_ms.clamp(100, 60_000).into());
        self.heartbeat = Heartbeat::new(interval, now);
        self.state = State::AwaitingDurable {
            confirm: Confirm { session: welcome.session, member_epoch: welcome.member_epoch },
        };
        self.events.push_back(Event::Welcomed(Box::new(welcome)));
    }

    /// What [`Event::Welcomed`] brought is on disk: work may flow.
    pub fn handle_durable(&mut self) {
        if let State::AwaitingDurable { confirm } = &self.state {
            self.transmits.push_back(confirm.clone().into());
            self.state = State::Established;
        }
    }

    /// Whether work may flow.
    pub fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// When to call [`MemberSession::handle_timeout`].
    pub fn poll_timeout(&self) -> Timestamp {
        match self.state {
            State::AwaitingWelcome { since } => since + HANDSHAKE,
            State::AwaitingDurable { .. } | State::Established | State::Ended => self.heartbeat.next(),
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        match self.state {
            State::AwaitingWelcome { since } if now >= since + HANDSHAKE => self.end(Ended::HandshakeTimeout),
            State::AwaitingDurable { .. } | State::Established => match self.heartbeat.poll(now) {
                Ok(Some(nonce)) => self.transmits.push_back(Ping { nonce }.into()),
                Ok(None) => (),
                Err(silent) => self.end(silent),
            },
            State::AwaitingWelcome { .. } | State::Ended => (),
        }
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<FromMember> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::{Bytes, List, Text};
    use crate::id::{Epoch, SessionNo};
    use crate::message::v1::{Extension, GoAway, InventoryAsk, ProtocolError, Refused, SessionRefusal};
    use crate::session::samples::{MEMBER, at, hello, welcome};

    fn established() -> MemberSession {
        let mut session = MemberSession::new(MEMBER, hello(), at(0));
        assert!(matches!(session.poll_transmit(), Some(FromMember::Hello(_))));
        session.handle_message(welcome().into(), at(10));
        assert!(matches!(session.poll_event(), Some(Event::Welcomed(_))));
        session.handle_durable();
        assert!(matches!(session.poll_transmit(), Some(FromMember::Confirm(_))));
        session
    }

    /// Send the `Confirm` from `welcome` instead of `handle_durable` and this fails.
    #[test]
    fn the_confirm_waits_for_the_disk() {
        let mut session = MemberSession::new(MEMBER, hello(), at(0));
        session.poll_transmit();
        session.handle_message(welcome().into(), at(10));
        assert_eq!(session.poll_transmit(), None);
        assert!(!session.is_established());
        session.handle_durable();
        let confirm = Confirm { session: SessionNo(7), member_epoch: Epoch(3) };
        assert_eq!(session.poll_transmit(), Some(confirm.into()));
    }

    #[test]
    fn work_before_the_handshake_is_a_violation() {
        let mut session = MemberSession::new(MEMBER, hello(), at(0));
        session.handle_message(InventoryAsk { nonce: 1 }.into(), at(1));
        assert!(matches!(session.poll_event(), Some(Event::Ended(Ended::Violation { frame: "InventoryAsk", .. }))));
    }

    #[test]
    fn a_second_welcome_is_a_violation() {
        let mut session = established();
        session.handle_message(welcome().into(), at(20));
        assert!(matches!(session.poll_event(), Some(Event::Ended(Ended::Violation { frame: "Welcome", .. }))));
    }

    #[test]
    fn f27_a_controller_silent_for_half_a_minute_is_asked_twice_and_given_up() {
        let mut session = established();
        for asked in 1..=2 {
            session.handle_timeout(at(10 + 10_000 * asked));
            assert!(matches!(session.poll_transmit(), Some(FromMember::Ping(_))), "{asked}");
        }
        session.handle_timeout(at(30_010));
        assert_eq!(session.poll_event(), Some(Event::Ended(Ended::Silent(30_000))));
    }

    #[test]
    fn any_frame_counts_as_life() {
        let mut session = established();
        session.handle_timeout(at(10_010));
        let note = ProtocolError { tag: 1, message: Text::default() };
        session.handle_message(note.into(), at(12_000));
        assert_eq!(session.poll_timeout(), at(22_000));
    }

    #[test]
    fn a_controller_that_does_not_answer_hello_is_given_up() {
        let mut session = MemberSession::new(MEMBER, hello(), at(0));
        assert_eq!(session.poll_timeout(), at(5_000));
        session.handle_timeout(at(5_000));
        assert_eq!(session.poll_event(), Some(Event::Ended(Ended::HandshakeTimeout)));
    }

    #[test]
    fn f57_a_controller_that_lacks_a_frame_is_named_incompatible() {
        let mut session = MemberSession::new(MEMBER, hello(), at(0));
        let mut older = welcome();
        older.revisions = List::default();
        session.handle_message(older.into(), at(1));
        assert!(matches!(session.poll_event(), Some(Event::Ended(Ended::Incompatible(_)))));
    }

    /// Go on as with any frame that cannot be read, and the complaint has no place before the handshake: the end is told as
    /// the agent's fault.
    #[test]
    fn f57_an_answer_to_hello_of_another_revision_is_named_incompatible() {
        let unknown = |frame: &FromController| {
            let mut bytes = frame.encode().unwrap();
            bytes[2] = 2;
            FromController::decode(&bytes).unwrap_err()
        };
        let refused = Refused {
            reason: SessionRefusal::Revoked.into(),
            message: Text::default(),
            retry_after_ms: 0,
            ext: List::default(),
        };
        for answer in [welcome().into(), refused.into()] {
            let mut session = MemberSession::new(MEMBER, hello(), at(0));
            assert!(session.handle_unreadable(&unknown(&answer)));
            let Some(Event::Ended(why)) = session.poll_event() else { panic!("the session should have ended") };
            assert!(why.to_string().contains("update the older of the two programs"), "{why}");
            assert_eq!(why.goodbye(), Some(SessionRefusal::Incompatible));
            assert!(!established().handle_unreadable(&unknown(&answer)), "it is established");
        }
        let mut session = MemberSession::new(MEMBER, hello(), at(0));
        assert!(!session.handle_unreadable(&unknown(&InventoryAsk { nonce: 1 }.into())), "no answer to Hello");
    }

    #[test]
    fn f55_a_welcome_with_an_unknown_critical_extension_is_not_confirmed() {
        let mut session = MemberSession::new(MEMBER, hello(), at(0));
        let mut newer = welcome();
        let critical = Extension { kind: 9, critical: true, bytes: Bytes::default() };
        newer.ext = List::new(vec![critical]).unwrap();
        session.handle_message(newer.into(), at(1));
        assert!(matches!(session.poll_event(), Some(Event::Ended(Ended::Violation { frame: "Welcome", .. }))));
    }

    #[test]
    fn a_welcome_of_another_member_ends_the_session_and_names_both() {
        let mut session = MemberSession::new(MEMBER, hello(), at(0));
        session.poll_transmit();
        let told = MemberId::from_bytes([9; 16]);
        session.handle_message(Welcome { member: told, ..welcome() }.into(), at(1));
        let ended = Ended::AnotherMember { told, member: MEMBER };
        assert!([told, MEMBER].iter().all(|it| ended.to_string().contains(&it.to_string())), "{ended}");
        assert_eq!(ended.goodbye(), Some(SessionRefusal::ProtocolViolation));
        assert_eq!((session.poll_event(), session.poll_event()), (Some(Event::Ended(ended)), None));
        session.handle_durable();
        assert_eq!(session.poll_transmit(), None, "nothing is confirmed");
    }

    /// Take any number, and two of them make a store with which no controller lets the member in.
    #[test]
    fn f19_a_welcome_to_a_session_that_no_member_comes_to_is_not_confirmed() {
        for (ahead, is_taken) in [(MAX_AHEAD, true), (MAX_AHEAD + 1, false), (u64::MAX - 7, false)] {
            let mut session = MemberSession::new(MEMBER, Hello { last_session: SessionNo(7), ..hello() }, at(0));
            session.handle_message(Welcome { session: SessionNo(7 + ahead), ..welcome() }.into(), at(1));
            assert_eq!(matches!(session.poll_event(), Some(Event::Welcomed(_))), is_taken, "{ahead}");
        }
    }

    #[test]
    fn nothing_follows_the_end() {
        let mut session = established();
        let bye = GoAway { reason: SessionRefusal::Stopping.into(), message: Text::default(), reconnect_after_ms: 500 };
        session.handle_message(bye.into(), at(20));
        assert!(matches!(session.poll_event(), Some(Event::Ended(Ended::GoneAway { .. }))));
        session.handle_message(InventoryAsk { nonce: 1 }.into(), at(21));
        assert_eq!(session.poll_event(), None);
    }
}
