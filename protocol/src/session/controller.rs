//! The controller's end of a session.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Ended, HANDSHAKE, Heartbeat};
use crate::frame::FrameError;
use crate::message::v1::{Confirm, Hello, Ping, Pong, Refused, Welcome};
use crate::message::{FromController, FromMember};
use crate::time::Timestamp;
use crate::version::{NoCommonRevision, check_common};

/// The tag of `Hello`.
const HELLO: u16 = 1;

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
            (_, FromMember::GoAway(bye)) => self.end(bye.into()),
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

    /// A frame came that cannot be read. A `Hello` of another revision ends the session; of everything else it is the shell
    /// that decides.
    pub fn handle_unreadable(&mut self, error: &FrameError) {
        if let (State::AwaitingHello { .. }, FrameError::Unknown { tag: tag @ HELLO, .. }) = (&self.state, error) {
            self.end(NoCommonRevision { tag: *tag }.into());
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
            self.transmits.push_back(refused.clone().into());
            self.end(refused.into());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounded::{List, Text};
    use crate::id::{Epoch, SessionNo};
    use crate::message::v1::{Drain, GoAway, ProtocolError, SessionRefusal};
    use crate::session::samples::{at, hello, welcome};

    fn begun() -> ControllerSession {
        ControllerSession::new(Duration::from_secs(10), at(0))
    }

    fn confirm() -> Confirm {
        Confirm { session: SessionNo(7), member_epoch: Epoch(3) }
    }

    fn drain() -> FromMember {
        Drain { reason: Text::default() }.into()
    }

    fn introduced() -> ControllerSession {
        let mut session = begun();
        session.handle_message(hello().into(), at(1));
        assert!(matches!(session.poll_event(), Some(Event::Introduced(_))));
        session
    }

    fn welcomed() -> ControllerSession {
        let mut session = introduced();
        session.welcome(welcome(), at(5));
        assert!(matches!(session.poll_transmit(), Some(FromController::Welcome(_))));
        session
    }

    fn established() -> ControllerSession {
        let mut session = welcomed();
        session.handle_message(confirm().into(), at(10));
        assert_eq!(session.poll_event(), Some(Event::Established));
        session
    }

    fn ended(session: &mut ControllerSession) -> Ended {
        match session.poll_event() {
            Some(Event::Ended(why)) => why,
            other => panic!("the session should have ended: {other:?}"),
        }
    }

    /// Any frame but a `Hello`, even a sign of life: a stranger gets no answer.
    #[test]
    fn a_session_begins_with_hello_or_ends() {
        for first in [drain(), Ping { nonce: 1 }.into(), confirm().into()] {
            let mut session = begun();
            session.handle_message(first, at(1));
            assert!(matches!(ended(&mut session), Ended::Violation { place: "instead of Hello", .. }));
            assert_eq!(session.poll_transmit(), None);
        }
    }

    #[test]
    fn a_member_is_waited_for_at_each_step_and_no_longer() {
        let mut silent = begun();
        assert_eq!(silent.poll_timeout(), at(5_000));
        silent.handle_timeout(at(4_999));
        assert_eq!(silent.poll_event(), None);
        silent.handle_timeout(at(5_000));
        assert_eq!(ended(&mut silent), Ended::HandshakeTimeout);

        let mut unconfirmed = welcomed();
        assert_eq!(unconfirmed.poll_timeout(), at(5_005));
        unconfirmed.handle_timeout(at(5_005));
        assert_eq!(ended(&mut unconfirmed), Ended::HandshakeTimeout);
    }

    /// Signs of life keep nobody in the handshake.
    #[test]
    fn a_ping_does_not_prolong_the_handshake() {
        let mut session = welcomed();
        session.handle_message(Ping { nonce: 9 }.into(), at(4_000));
        assert_eq!(session.poll_transmit(), Some(Pong { nonce: 9 }.into()));
        assert_eq!(session.poll_timeout(), at(5_005));
    }

    #[test]
    fn work_flows_after_the_right_confirm_and_not_before() {
        let mut session = welcomed();
        assert!(!session.is_established());
        session.handle_message(confirm().into(), at(10));
        assert!(session.is_established());
        assert_eq!(session.poll_event(), Some(Event::Established));
        session.handle_message(drain(), at(11));
        assert_eq!(session.poll_event(), Some(Event::Message(drain())));
    }

    /// Leave the guard `confirm == *expected` out and this fails: the member would have another state on disk.
    #[test]
    fn a_confirm_of_another_session_or_state_is_a_violation() {
        let other_session = Confirm { session: SessionNo(6), ..confirm() };
        let other_state = Confirm { member_epoch: Epoch(2), ..confirm() };
        for wrong in [other_session, other_state] {
            let mut session = welcomed();
            session.handle_message(wrong.into(), at(10));
            assert!(matches!(ended(&mut session), Ended::Violation { frame: "Confirm", .. }));
            assert!(!session.is_established());
        }
    }

    #[test]
    fn work_before_welcome_or_confirm_is_a_violation() {
        for mut session in [introduced(), welcomed()] {
            session.handle_message(drain(), at(6));
            assert!(matches!(ended(&mut session), Ended::Violation { frame: "Drain", .. }));
        }
    }

    #[test]
    fn a_refused_member_is_told_why_and_the_session_is_over() {
        let mut session = introduced();
        session.refuse(Refused {
            reason: SessionRefusal::Revoked.into(),
            message: Text::clipped("out"),
            retry_after_ms: 60_000,
            ext: List::default(),
        });
        assert!(matches!(session.poll_transmit(), Some(FromController::Refused(_))));
        let retry_after = Duration::from_secs(60);
        let refused = Ended::Refused { reason: "revoked".to_owned(), message: "out".to_owned(), retry_after };
        assert_eq!(ended(&mut session), refused);
        session.welcome(welcome(), at(6));
        assert_eq!(session.poll_transmit(), None, "a refusal is final");
    }

    #[test]
    fn nobody_is_welcomed_before_it_introduced_itself() {
        let mut session = begun();
        session.welcome(welcome(), at(1));
        assert_eq!(session.poll_transmit(), None);
    }

    #[test]
    fn a_second_hello_is_a_violation() {
        for mut session in [introduced(), welcomed(), established()] {
            session.handle_message(hello().into(), at(20));
            assert!(matches!(ended(&mut session), Ended::Violation { frame: "Hello", .. }));
        }
    }

    #[test]
    fn a_second_confirm_is_a_violation() {
        let mut session = established();
        session.handle_message(confirm().into(), at(20));
        assert!(matches!(ended(&mut session), Ended::Violation { frame: "Confirm", .. }));
    }

    #[test]
    fn f27_a_member_silent_for_half_a_minute_is_asked_twice_and_given_up() {
        let mut session = established();
        for asked in 1..=2 {
            assert_eq!(session.poll_timeout(), at(10 + 10_000 * asked));
            session.handle_timeout(at(10 + 10_000 * asked));
            assert!(matches!(session.poll_transmit(), Some(FromController::Ping(_))), "{asked}");
        }
        session.handle_timeout(at(30_010));
        assert_eq!(ended(&mut session), Ended::Silent(30_000));
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
    fn f57_a_member_that_lacks_a_frame_is_named_incompatible() {
        let mut session = begun();
        let fewer = FromMember::REVISIONS.iter().skip(1).copied().collect();
        session.handle_message(Hello { revisions: List::new(fewer).unwrap(), ..hello() }.into(), at(1));
        assert!(matches!(ended(&mut session), Ended::Incompatible(error) if error.tag == 1));
    }

    /// Take it for any frame that cannot be read, and nobody is told which of the two programs is too old.
    #[test]
    fn f57_a_hello_of_another_revision_is_named_incompatible() {
        let unknown = |frame: &FromMember| {
            let mut bytes = frame.encode().unwrap();
            bytes[2] = 2;
            FromMember::decode(&bytes).unwrap_err()
        };
        let mut session = begun();
        session.handle_unreadable(&unknown(&hello().into()));
        let why = ended(&mut session);
        assert!(why.to_string().contains("update the older of the two programs"), "{why}");
        assert_eq!(why.goodbye(), Some(SessionRefusal::Incompatible));

        let mut session = begun();
        session.handle_unreadable(&unknown(&drain()));
        assert_eq!(session.poll_event(), None, "no Hello");
        let mut session = established();
        session.handle_unreadable(&unknown(&hello().into()));
        assert_eq!(session.poll_event(), None, "it is established");
    }

    #[test]
    fn nothing_follows_a_goodbye() {
        let bye = GoAway { reason: SessionRefusal::Stopping.into(), message: Text::default(), reconnect_after_ms: 500 };
        for mut session in [introduced(), welcomed(), established()] {
            session.handle_message(bye.clone().into(), at(20));
            let reconnect_after = Duration::from_millis(500);
            let gone = Ended::GoneAway { reason: "stopping".to_owned(), message: String::new(), reconnect_after };
            assert_eq!(ended(&mut session), gone);
            session.handle_message(drain(), at(21));
            session.handle_timeout(at(99_000));
            assert_eq!((session.poll_event(), session.poll_transmit()), (None, None));
        }
    }
}
