//! A handshake for the tests of both ends.

use crate::bounded::{List, Text};
use crate::id::{Epoch, Incarnation, MemberId, ReportNo, SessionNo};
use crate::message::v1::{Held, Hello, MembershipState, Welcome};
use crate::message::{FromController, FromMember};
use crate::time::Timestamp;

pub(super) const MEMBER: MemberId = MemberId::from_bytes([2; 16]);

pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn hello() -> Hello {
    Hello {
        agent_version: Text::default(),
        host: Text::default(),
        incarnation: Incarnation::from_bytes([1; 16]),
        last_session: SessionNo(0),
        revisions: List::new(FromMember::REVISIONS.to_vec()).unwrap(),
        systems: List::default(),
        sealing_keys: List::default(),
        next_report: ReportNo(1),
        held: Held::default(),
        ext: List::default(),
    }
}

pub(super) fn welcome() -> Welcome {
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
        revisions: List::new(FromController::REVISIONS.to_vec()).unwrap(),
        ext: List::default(),
    }
}
