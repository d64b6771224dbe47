//! Both ends of a session, fed with frames in any order, and streams with any numbers.
//!
//! An input is a list of steps: a byte that says what happens, and for a frame its length in two bytes and its bytes. The peer's
//! part of the handshake is a step as well: no fuzzer makes up a frame with every revision of every frame in it, and without
//! one nothing that comes after a handshake is ever tried.

use std::time::Duration;

use postern_protocol::bounded::{List, Text};
use postern_protocol::id::{Epoch, Incarnation, MemberId, ReportNo, SessionNo};
use postern_protocol::message::v1::{Confirm, Held, Hello, MembershipState, StreamRef, Welcome};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::session::{ControllerSession, HEARTBEAT, MemberSession, controller, member};
use postern_protocol::stream::{MAX_RESULT, Receiving, Sending, WINDOW};
use postern_protocol::{StreamId, Timestamp};

/// What happens next.
enum Step<'a> {
    Frame(&'a [u8]),
    /// The peer sends what it has to in a handshake.
    Handshake,
    /// So many seconds pass.
    Time(u8),
    /// The program has done what it was asked for.
    Act,
}

fn steps(mut data: &[u8]) -> impl Iterator<Item = Step<'_>> {
    std::iter::from_fn(move || {
        let (what, rest) = data.split_first()?;
        data = rest;
        Some(match what % 4 {
            0 => Step::Act,
            1 => {
                let (seconds, rest) = data.split_first()?;
                data = rest;
                Step::Time(*seconds)
            }
            2 => Step::Handshake,
            _ => {
                let (length, rest) = data.split_first_chunk::<2>()?;
                let (frame, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
                data = rest;
                Step::Frame(frame)
            }
        })
    })
}

/// Who the member is, as the seeds of `Welcome` have it.
const MEMBER: MemberId = MemberId::from_bytes(*b"`abcdefghijklmno");
/// What a peer may make an end say at once: an answer and a sign of life, and nothing that grows.
const MOST_SAID: usize = 2;

/// A member with a controller that says anything. Whether it came to be established.
pub fn member_session(data: &[u8]) -> bool {
    let mut now = Timestamp::from_millis(0);
    let mut session = MemberSession::new(MEMBER, hello(), now);
    let (mut over, mut established) = (false, false);
    for step in steps(data) {
        match step {
            Step::Frame(bytes) => match FromController::decode(bytes) {
                Ok(frame) => session.handle_message(frame, now),
                Err(error) => drop(session.handle_unreadable(&error)),
            },
            Step::Handshake => session.handle_message(welcome().into(), now),
            Step::Time(seconds) => {
                now = now + Duration::from_secs(seconds.into());
                session.handle_timeout(now);
            }
            Step::Act => session.handle_durable(),
        }
        let said = std::iter::from_fn(|| session.poll_transmit()).count();
        assert!(said <= MOST_SAID, "{said} frames at once");
        while let Some(event) = session.poll_event() {
            assert!(!over, "{event:?} after the end");
            match event {
                member::Event::Welcomed(_) => assert!(!session.is_established(), "before the disk"),
                member::Event::Message(_) => assert!(session.is_established(), "work before the handshake"),
                member::Event::Ended(_) => over = true,
            }
        }
        assert!(!(over && session.is_established()), "established and over");
        established |= session.is_established();
        let _ = session.poll_timeout();
    }
    established
}

/// A controller with a member that says anything. Whether a session came to be established.
pub fn controller_session(data: &[u8]) -> bool {
    let mut now = Timestamp::from_millis(0);
    let mut session = ControllerSession::new(HEARTBEAT, now);
    let (mut over, mut introduced, mut established) = (false, false, false);
    for step in steps(data) {
        match step {
            Step::Frame(bytes) => match FromMember::decode(bytes) {
                Ok(frame) => session.handle_message(frame, now),
                Err(error) => session.handle_unreadable(&error),
            },
            Step::Handshake if introduced => session.handle_message(confirm().into(), now),
            Step::Handshake => session.handle_message(hello().into(), now),
            Step::Time(seconds) => {
                now = now + Duration::from_secs(seconds.into());
                session.handle_timeout(now);
            }
            Step::Act => session.welcome(welcome(), now),
        }
        let said = std::iter::from_fn(|| session.poll_transmit()).count();
        assert!(said <= MOST_SAID, "{said} frames at once");
        while let Some(event) = session.poll_event() {
            assert!(!over, "{event:?} after the end");
            match event {
                controller::Event::Introduced(_) => {
                    assert!(!introduced, "introduced twice");
                    introduced = true;
                }
                controller::Event::Established => assert!(introduced, "nobody was introduced"),
                controller::Event::Message(_) => assert!(session.is_established(), "work before the handshake"),
                controller::Event::Ended(_) => over = true,
            }
        }
        assert!(!(over && session.is_established()), "established and over");
        established |= session.is_established();
        let _ = session.poll_timeout();
    }
    established
}

/// A payload with a peer that names any numbers.
pub fn stream(data: &[u8]) -> bool {
    let mut numbers = data.chunks(8).map(|some| {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(some).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(bytes)
    });
    let mut next = move || numbers.next();
    let (Some(length), Some(durable)) = (next(), next()) else { return false };
    let stream = StreamRef { id: StreamId::from_bytes([1; 16]), length, sha256: [0; 32] };
    let mut receiving = Receiving::from_durable(stream, durable);
    // What is sent is one's own, and bounded.
    let own = StreamRef { length: length % MAX_RESULT, ..stream };
    let mut sending = Sending::from_durable(own, durable).ok();
    while let (Some(index), Some(number)) = (next(), next()) {
        let before = receiving.received();
        if receiving.handle_chunk(index, usize::try_from(number).unwrap_or(usize::MAX)) == Ok(true) {
            assert_eq!((index, receiving.received()), (before, before + 1), "one chunk at a time, the next");
        }
        let Some(sending) = &mut sending else { continue };
        let _ = sending.handle_ack(number);
        let sent: Vec<_> = std::iter::from_fn(|| sending.poll_chunk()).collect();
        assert!(u64::try_from(sent.len()).is_ok_and(|sent| sent <= WINDOW), "more than the window");
        assert!(sent.iter().all(|(_, range)| range.start < range.end && range.end <= sending.stream().length));
        for pair in sent.windows(2) {
            let [(one, before), (next, after)] = pair else { continue };
            assert_eq!((*next, after.start), (one + 1, before.end), "one behind the other");
        }
    }
    true
}

fn hello() -> Hello {
    Hello {
        agent_version: Text::default(),
        host: Text::default(),
        incarnation: Incarnation::from_bytes([1; 16]),
        last_session: SessionNo(0),
        revisions: List::new(FromMember::REVISIONS.to_vec()).expect("they fit"),
        systems: List::default(),
        sealing_keys: List::default(),
        next_report: ReportNo(1),
        held: Held::default(),
        ext: List::default(),
    }
}

/// What a member answers to [`welcome`].
fn confirm() -> Confirm {
    let Welcome { session, member_epoch, .. } = welcome();
    Confirm { session, member_epoch }
}

fn welcome() -> Welcome {
    Welcome {
        session: SessionNo(7),
        member: MEMBER,
        state: MembershipState::Enabled.into(),
        member_epoch: Epoch(3),
        hard: false,
        heartbeat_ms: 10_000,
        lease_ttl_ms: 60_000,
        acked_report: ReportNo(0),
        observed_address: Text::default(),
        controller_version: Text::default(),
        revisions: List::new(FromController::REVISIONS.to_vec()).expect("they fit"),
        ext: List::default(),
    }
}
