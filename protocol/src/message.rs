//! The frames of `postern.v1`, by direction.
//!
//! A frame both sides may send is listed in both enums under the same tag. Tags 1–19 and 50–59 belong to the session, 20–39
//! to tasks, 40–49 to streams, 60–69 to enrollment. Numbers are for ever.

pub mod v1;

use crate::frame::frames;

frames! {
    /// What a controller receives: frames from a member.
    pub enum FromMember {
        /// Opens a session.
        1 1 Hello,
        /// The session is durable at the member; work may flow.
        4 1 Confirm,
        /// Asks for a sign of life.
        5 1 Ping,
        /// The sign of life asked for.
        6 1 Pong,
        /// How many offers of this session the controller may have sent.
        7 1 Credit,
        /// The session ends.
        8 1 GoAway,
        /// A frame could not be taken.
        9 1 ProtocolError,
        /// A state of the member is durable.
        11 1 MemberStateAck,
        /// The member is about to stop and wants no new work.
        12 1 Drain,
        /// The member finished what it had.
        13 1 Drained,
        /// Asks for the member's next certificate.
        14 1 CertRenew,
        /// A bundle of trusted roots is durable.
        18 1 TrustBundleAck,
        /// A task is journaled.
        21 1 Accept,
        /// A task is not taken.
        22 1 Reject,
        /// The intent of a task's first effect is journaled.
        23 1 Started,
        /// How far a task is; newest wins.
        24 1 Progress,
        /// A task's outcome.
        25 1 Report,
        /// Asks to keep leases.
        27 1 Renew,
        /// What became of a cancel.
        30 1 CancelAck,
        /// The tasks held, a page at a time.
        32 1 Inventory,
        /// Announces a payload.
        40 1 StreamOpen,
        /// How much of a payload is already here.
        41 1 StreamOpenAck,
        /// A piece of a payload.
        42 1 Chunk,
        /// How much of a payload is durable.
        43 1 ChunkAck,
        /// A payload is complete, verified and durable at its receiver.
        44 1 StreamClose,
        /// A payload cannot be sent or taken.
        45 1 StreamReset,
        /// The keys the member can open sealed fields with have changed.
        50 1 KeyAnnounce,
        /// How the member is; newest wins.
        52 1 Condition,
        /// What became of a log level.
        54 1 LogLevelSet,
    }
}

frames! {
    /// What a member receives: frames from a controller.
    pub enum FromController {
        /// The session is accepted.
        2 1 Welcome,
        /// The session is refused.
        3 1 Refused,
        /// Asks for a sign of life.
        5 1 Ping,
        /// The sign of life asked for.
        6 1 Pong,
        /// The session ends.
        8 1 GoAway,
        /// A frame could not be taken.
        9 1 ProtocolError,
        /// The member's state changed.
        10 1 MemberState,
        /// The member's next certificate.
        15 1 CertIssued,
        /// There is no next certificate.
        16 1 CertRefused,
        /// The roots to trust from now on.
        17 1 TrustBundle,
        /// A task to do.
        20 1 Offer,
        /// Reports are stored; the member may forget them.
        26 1 ReportAck,
        /// What became of the leases asked for.
        28 1 Renewed,
        /// A task is no longer wanted.
        29 1 Cancel,
        /// Asks for the tasks held.
        31 1 InventoryAsk,
        /// Announces a payload.
        40 1 StreamOpen,
        /// How much of a payload is already here.
        41 1 StreamOpenAck,
        /// A piece of a payload.
        42 1 Chunk,
        /// How much of a payload is durable.
        43 1 ChunkAck,
        /// A payload is complete, verified and durable at its receiver.
        44 1 StreamClose,
        /// A payload cannot be sent or taken.
        45 1 StreamReset,
        /// Keys that were announced are what submitters are given.
        51 1 KeyAck,
        /// What to log of a connected system for some time.
        53 1 SetLogLevel,
    }
}
