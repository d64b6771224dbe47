//! A session from the first frame to the last, and what a member may do in it.

use bincode::{Decode, Encode};

use super::{AnnouncedKey, Extensions, LogLevel};
use crate::bounded::{List, Text};
use crate::code::Code;
use crate::codes;
use crate::id::{Epoch, Incarnation, MemberId, ReportNo, SessionNo, SystemName};
use crate::seal::MAX_MEMBER_KEYS;
use crate::task::TaskKind;
use crate::version::RevisionTable;

/// One connected system that a member can work on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ServedSystem {
    /// Its name.
    pub name: SystemName,
    /// The connector that works on it, e.g. `salesforce`.
    pub connector: Text<32>,
    /// The kinds of task it can do.
    pub kinds: List<Code<TaskKind>, 64>,
    /// How the member reaches it.
    pub connection: Connection,
}

/// How a member reaches a connected system, as its configuration says. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Connection {
    /// The host it signs in at.
    pub domain: Text<255>,
    /// How it signs in, e.g. `oauth-jwt`.
    pub login_method: Text<32>,
    /// Only encrypted connections are made.
    pub secure: bool,
    /// Answers may come compressed.
    pub compression: bool,
    /// How many seconds a connection may take to be made; zero: as long as the request it is made for.
    pub connect_timeout_secs: u32,
    /// What is logged of it.
    pub log_level: Code<LogLevel>,
}

/// How many tasks a member holds, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Held {
    /// Journaled, not started.
    pub journaled: u32,
    /// Started, not reported.
    pub started: u32,
    /// Reported, not acknowledged.
    pub reported: u32,
}

/// The first frame of a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The agent's version, for people.
    pub agent_version: Text<64>,
    /// The agent's host name, for people.
    pub host: Text<255>,
    /// The life of the agent's store; another one means that what it held is lost.
    pub incarnation: Incarnation,
    /// The last session the member has on disk.
    pub last_session: SessionNo,
    /// The frames the member sends, in which revisions.
    pub revisions: RevisionTable,
    /// The connected systems it serves.
    pub systems: List<ServedSystem, 64>,
    /// The keys it can open sealed fields with, the newest first.
    pub sealing_keys: List<AnnouncedKey, MAX_MEMBER_KEYS>,
    /// The number its next report will have.
    pub next_report: ReportNo,
    /// What it holds.
    pub held: Held,
    /// What later versions add.
    pub ext: Extensions,
}

codes! {
    /// What a member may do.
    pub enum MembershipState {
        /// Enrolled, not yet approved: gets no work.
        1 Pending = "pending",
        /// Gets work.
        2 Enabled = "enabled",
        /// Finishes what it has, gets nothing new.
        3 Draining = "draining",
        /// Gets no work.
        4 Disabled = "disabled",
        /// Out, for good.
        5 Revoked = "revoked",
    }
}

/// The answer to a [`Hello`] that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Welcome {
    /// The number of this session.
    pub session: SessionNo,
    /// The member, as its certificate names it.
    pub member: MemberId,
    /// What the member may do.
    pub state: Code<MembershipState>,
    /// The number of that state.
    pub member_epoch: Epoch,
    /// No further mutating call starts, as in [`MemberState`].
    pub hard: bool,
    /// Milliseconds between signs of life.
    pub heartbeat_ms: u32,
    /// Milliseconds a lease lasts from the moment its renewal was asked for.
    pub lease_ttl_ms: u32,
    /// Every report up to this number is stored.
    pub acked_report: ReportNo,
    /// The address the member's connection came from, as the controller saw it.
    pub observed_address: Text<64>,
    /// The controller's version, for people.
    pub controller_version: Text<64>,
    /// The frames the controller sends, in which revisions.
    pub revisions: RevisionTable,
    /// What later versions add.
    pub ext: Extensions,
}

codes! {
    /// Why a session was refused or ended.
    pub enum SessionRefusal {
        /// The certificate is not of a member of this controller.
        1 UnknownMember = "unknown_member",
        /// The member was revoked.
        2 Revoked = "revoked",
        /// The certificate is not the member's current one.
        3 WrongCertificate = "wrong_certificate",
        /// No common revision of a frame.
        4 Incompatible = "incompatible",
        /// The member's last session is older than the controller confirmed: restored from a backup, or cloned.
        5 RolledBack = "rolled_back",
        /// Too much at once; try again later.
        6 Overloaded = "overloaded",
        /// Another session of the same member took over.
        7 Replaced = "replaced",
        /// The program is stopping.
        8 Stopping = "stopping",
        /// The peer broke the protocol.
        9 ProtocolViolation = "protocol_violation",
        /// The program cannot write to its store.
        10 StoreFault = "store_fault",
    }
}

/// The answer to a [`Hello`] that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Refused {
    /// Why.
    pub reason: Code<SessionRefusal>,
    /// A sentence for people.
    pub message: Text<512>,
    /// Milliseconds to wait before trying again.
    pub retry_after_ms: u32,
    /// What later versions add.
    pub ext: Extensions,
}

/// The session number and the member's state are on disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Confirm {
    /// The session.
    pub session: SessionNo,
    /// The state.
    pub member_epoch: Epoch,
}

/// Asks for a sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Ping {
    /// Comes back in the [`Pong`].
    pub nonce: u64,
}

/// The sign of life asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Pong {
    /// From the [`Ping`].
    pub nonce: u64,
}

/// How many offers the controller may have sent in this session. Absolute, so losing or repeating one is harmless.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Credit {
    /// Offers since the session began.
    pub offers: u64,
}

/// The sender ends the session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GoAway {
    /// Why.
    pub reason: Code<SessionRefusal>,
    /// A sentence for people.
    pub message: Text<512>,
    /// Milliseconds to wait before connecting again.
    pub reconnect_after_ms: u32,
}

/// A frame could not be taken. The session goes on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ProtocolError {
    /// The tag of the frame.
    pub tag: u16,
    /// A sentence for people.
    pub message: Text<512>,
}

/// The member's state changed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MemberState {
    /// The new state.
    pub state: Code<MembershipState>,
    /// Its number.
    pub epoch: Epoch,
    /// No further mutating call starts, instead of finishing what is held.
    pub hard: bool,
}

/// A state is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MemberStateAck {
    /// Its number.
    pub epoch: Epoch,
}

/// The member is about to stop and wants no new work.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Drain {
    /// A sentence for people.
    pub reason: Text<255>,
}

/// The member finished what it could.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Drained {
    /// What it still holds; the controller gives it to others once the leases ran out.
    pub left: Held,
}
