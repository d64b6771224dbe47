//! The frozen structs of `postern.v1`. A change is a new revision of one struct, never an edit here.

use bincode::{Decode, Encode};

use crate::bounded::{Bytes, List, Text};
use crate::code::Code;
use crate::codes;
use crate::id::{Epoch, Incarnation, MemberId, ReportNo, SessionNo, StreamId, SystemName, TaskId};
use crate::outcome::{Certainty, Changed, Failure, Outcome};
use crate::seal::{KeyId, MAX_MEMBER_KEYS, SealedField, SealedOutput, SealingPublicKey};
use crate::signature::TaskSignature;
use crate::task::{TaskKind, TaskRequest};
use crate::trace;
use crate::version::RevisionTable;

/// The most bytes the parameters of a task may have; anything larger is a stream.
pub const MAX_PARAMS: usize = 16 * 1024;
/// The most bytes the output of a task may have; anything larger is a stream.
pub const MAX_OUTPUT: usize = 8 * 1024;
/// The most sealed fields, streams in or streams out a task may have.
pub const MAX_PARTS: usize = 8;
/// The most roots that are trusted at once: a rotation has two.
pub const MAX_ROOTS: usize = 4;

/// Something a later version added. A reader that does not know `kind` skips it, unless it is critical.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Extension {
    /// What it is.
    pub kind: u16,
    /// A reader that does not know `kind` must refuse the frame or task.
    pub critical: bool,
    /// Its content.
    pub bytes: Bytes<1024>,
}

/// The place for what later versions add to a frame.
pub type Extensions = List<Extension, 16>;

/// The first critical extension that this version does not know. It knows one, which may always be ignored.
pub fn unknown_critical(extensions: &Extensions) -> Option<u16> {
    let is_unknown = |it: &&Extension| it.critical && it.kind != trace::EXTENSION;
    extensions.iter().find(is_unknown).map(|extension| extension.kind)
}

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

codes! {
    /// The least severe level that is logged.
    #[derive(Default)]
    pub enum LogLevel {
        /// Errors only.
        1 Error = "error",
        /// And warnings.
        2 Warn = "warn",
        /// And what happens in the ordinary.
        #[default]
        3 Info = "info",
        /// And account names, and single calls.
        4 Debug = "debug",
        /// Everything.
        5 Trace = "trace",
    }
}

/// A public key that a member can open sealed fields with.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AnnouncedKey {
    /// Its id.
    pub id: KeyId,
    /// The key.
    pub public: SealingPublicKey,
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

/// Asks for the certificate that follows the member's present one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertRenew {
    /// The signing request, DER, for a key of its own. Only its public key counts; the CA writes all names.
    pub csr: Bytes<4096>,
}

/// The certificate asked for. It takes the place of the present one in the first `Hello` under it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertIssued {
    /// SHA-256 of the signing request.
    pub request: [u8; 32],
    /// The certificate, DER.
    pub certificate: Bytes<4096>,
}

codes! {
    /// Why there is no next certificate.
    pub enum CertRefusal {
        /// The signing request cannot be used, or its key is the present one.
        1 InvalidRequest = "invalid_request",
        /// The authority cannot sign.
        2 AuthorityFault = "authority_fault",
        /// Too many were asked for; the message says when to ask again.
        3 Overloaded = "overloaded",
    }
}

/// There is no next certificate; the present one stays.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CertRefused {
    /// SHA-256 of the signing request.
    pub request: [u8; 32],
    /// Why.
    pub reason: Code<CertRefusal>,
    /// A sentence for people.
    pub message: Text<512>,
}

/// The keys the member can open sealed fields with have changed. Every one of them is on its disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyAnnounce {
    /// All of them, the newest first.
    pub keys: List<AnnouncedKey, MAX_MEMBER_KEYS>,
}

/// Keys that were announced are on the controller's disk, and the newest is what submitters are given.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyAck {
    /// The newest.
    pub newest: KeyId,
}

/// How a member is, for people. Sent after [`Confirm`], and when it changed; the newest wins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Condition {
    /// Reports that are not acknowledged.
    pub reports: u32,
    /// Their bytes.
    pub report_bytes: u64,
    /// Milliseconds that the oldest of them has waited, at least.
    pub oldest_report_ms: u64,
    /// The connected systems it serves.
    pub systems: List<SystemCondition, 64>,
    /// What later versions add.
    pub ext: Extensions,
}

/// How a member is with one connected system.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SystemCondition {
    /// Its name.
    pub name: SystemName,
    /// Attempts that run.
    pub running: u32,
    /// Tasks that wait, in the lane of what somebody waits for.
    pub interactive: u32,
    /// Tasks that wait, in the lane of what is about one account.
    pub provisioning: u32,
    /// Tasks that wait, in the lane of what is about many records.
    pub batch: u32,
    /// Whether the member may sign in.
    pub sign_in: Code<SignInState>,
    /// What is logged of it now.
    pub log_level: Code<LogLevel>,
    /// Milliseconds until that is what the configuration says again; zero if it is.
    pub log_level_left_ms: u64,
}

codes! {
    /// Whether a member may sign in to a connected system.
    pub enum SignInState {
        /// It has not signed in since it started, and nothing is against it.
        1 Untried = "untried",
        /// It signed in.
        2 SignedIn = "signed_in",
        /// It could not, and tries again.
        3 Failing = "failing",
        /// It does not try any more, so that the account is not locked out: an operator has to help.
        4 Blocked = "blocked",
    }
}

/// What the member is to log of a connected system for some time.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SetLogLevel {
    /// Comes back in [`LogLevelSet`].
    pub number: u64,
    /// The connected system.
    pub system: SystemName,
    /// The least severe level.
    pub level: Code<LogLevel>,
    /// For how many milliseconds; zero: what the configuration says, from now on.
    pub for_ms: u64,
}

codes! {
    /// What became of a log level.
    pub enum LogLevelVerdict {
        /// It holds.
        1 Done = "done",
        /// The member's policy does not let a controller have so much logged.
        2 NotAllowed = "not_allowed",
        /// The member does not serve the system, or does not know the level.
        3 Unknown = "unknown",
    }
}

/// What became of a log level.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LogLevelSet {
    /// From the [`SetLogLevel`].
    pub number: u64,
    /// The connected system.
    pub system: SystemName,
    /// What became of it.
    pub verdict: Code<LogLevelVerdict>,
}

/// The roots that members trust from now on, in the place of those before.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TrustBundle {
    /// Its number, which the acknowledgement repeats.
    pub number: u64,
    /// The certificates of the roots, DER. New certificates are of the first.
    pub roots: List<Bytes<4096>, MAX_ROOTS>,
}

/// A bundle is on disk, and every connection from now on is opened with it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TrustBundleAck {
    /// Its number.
    pub number: u64,
}

codes! {
    /// Whether the submitter waits for the answer.
    pub enum Mode {
        /// The submitter waits.
        1 Sync = "sync",
        /// The submitter comes back for it.
        2 Async = "async",
    }
}

/// A payload that belongs to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct StreamRef {
    /// Its id.
    pub id: StreamId,
    /// Its bytes.
    pub length: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// What an earlier holder of the task reported under an epoch that had passed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Observation {
    /// The holder.
    pub member: MemberId,
    /// The epoch it held.
    pub epoch: Epoch,
    /// What it reported.
    pub outcome: Code<Outcome>,
    /// How sure it was.
    pub certainty: Code<Certainty>,
}

/// A task to do, under a lease.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: Code<TaskKind>,
    /// The revision of the kind's request in `params`.
    pub kind_rev: u16,
    /// The lease's number.
    pub epoch: Epoch,
    /// Milliseconds left of the lease, from the moment the offer arrives.
    pub lease_ttl_ms: u32,
    /// Milliseconds left until the task must not be begun any more; zero is no deadline.
    pub deadline_ms: u64,
    /// Larger goes first.
    pub priority: u8,
    /// The connected system.
    pub system: SystemName,
    /// What must not be worked on twice at once, e.g. a user name in lower case; empty if nothing.
    pub target: Text<255>,
    /// Whether the submitter waits.
    pub mode: Code<Mode>,
    /// The number this attempt has over all members, from 1.
    pub attempt: u32,
    /// An earlier holder may have begun it: read back before any effect.
    pub reconcile: bool,
    /// What earlier holders reported too late.
    pub observations: List<Observation, 8>,
    /// The kind's request.
    pub params: Bytes<MAX_PARAMS>,
    /// Its secrets.
    pub sealed: List<SealedField, MAX_PARTS>,
    /// Payloads that come with it.
    pub streams: List<StreamRef, MAX_PARTS>,
    /// The key its secret outputs are sealed to.
    pub requester: Option<SealingPublicKey>,
    /// What its originator says to it.
    pub signature: Option<Box<TaskSignature>>,
    /// What later versions add.
    pub ext: Extensions,
}

impl Offer {
    /// What a task is to do, and nothing of how, by whom and until when. `params` is `request` as it is encoded.
    pub fn new(task: TaskId, system: SystemName, request: &TaskRequest, params: Bytes<MAX_PARAMS>) -> Self {
        Self {
            task,
            kind: request.kind().into(),
            kind_rev: TaskRequest::REV,
            epoch: Epoch(0),
            lease_ttl_ms: 0,
            deadline_ms: 0,
            priority: 0,
            system,
            target: request.target(),
            mode: Mode::Async.into(),
            attempt: 0,
            reconcile: false,
            observations: List::default(),
            params,
            sealed: List::default(),
            streams: List::default(),
            requester: None,
            signature: None,
            ext: List::default(),
        }
    }
}

/// A task is on disk at the member.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Accept {
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
}

codes! {
    /// Why a member does not take a task.
    pub enum Rejection {
        /// The lease is older than one the member knows of.
        1 Fenced = "fenced",
        /// The deadline has passed.
        2 Expired = "expired",
        /// The kind, its revision, the connected system or a critical extension is not known.
        3 Unsupported = "unsupported",
        /// No room; try again later.
        4 Overloaded = "overloaded",
        /// A sealed field is for keys that the member does not have: the secret has to be sealed again.
        5 NeedsReseal = "needs_reseal",
        /// The member is draining or disabled.
        6 Draining = "draining",
        /// The member cannot write to its store.
        7 StoreFault = "store_fault",
        /// The request is not a valid one.
        8 Invalid = "invalid",
        /// The member's own policy does not let it through.
        9 Policy = "policy",
        /// The member takes signed tasks only, and the signature is missing, wrong, foreign, moved or too old.
        10 BadSignature = "bad_signature",
    }
}

/// A task is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Reject {
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
    /// Why.
    pub reason: Code<Rejection>,
    /// A sentence for people.
    pub message: Text<512>,
    /// Milliseconds after which it may be offered again; zero: not to this member.
    pub retry_after_ms: u32,
}

/// The intent of a task's next effect is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Started {
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
    /// The attempt.
    pub attempt: u32,
}

/// How far a task is. Lossy; the newest wins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Progress {
    /// The task.
    pub task: TaskId,
    /// Records done.
    pub done: u64,
    /// Records in all; zero if not known.
    pub total: u64,
    /// What is being done, for people.
    pub phase: Text<64>,
}

/// A task's outcome. On the member's disk before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Report {
    /// Its number.
    pub number: ReportNo,
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
    /// The attempt that ended so.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Code<Outcome>,
    /// How sure that is.
    pub certainty: Code<Certainty>,
    /// Whether anything was changed.
    pub changed: Code<Changed>,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
    /// The kind's output; empty if there is none.
    pub output: Bytes<MAX_OUTPUT>,
    /// Its secrets, sealed to the requester.
    pub sealed: List<SealedOutput, MAX_PARTS>,
    /// Payloads that go with it, stored at the controller before the report is.
    pub streams: List<StreamRef, MAX_PARTS>,
    /// What later versions add.
    pub ext: Extensions,
}

/// Reports are stored; the member may forget them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ReportAck {
    /// Every report up to this number.
    pub upto: ReportNo,
}

/// A task and the number of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LeaseRef {
    /// The task.
    pub task: TaskId,
    /// The lease's number.
    pub epoch: Epoch,
}

/// Asks to keep leases.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Renew {
    /// Comes back in [`Renewed`], so that the member knows when it asked.
    pub nonce: u64,
    /// The leases.
    pub leases: List<LeaseRef, 256>,
}

codes! {
    /// What became of a lease.
    pub enum LeaseVerdict {
        /// It holds for another ttl.
        1 Kept = "kept",
        /// The task was cancelled.
        2 Cancelled = "cancelled",
        /// Another member, or a newer epoch, holds the task.
        3 Fenced = "fenced",
        /// The controller does not know the task.
        4 Unknown = "unknown",
    }
}

/// What became of one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct RenewedLease {
    /// The lease.
    pub lease: LeaseRef,
    /// What became of it.
    pub verdict: Code<LeaseVerdict>,
}

/// What became of the leases asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Renewed {
    /// From the [`Renew`].
    pub nonce: u64,
    /// Milliseconds they hold from the moment the renewal was asked for.
    pub ttl_ms: u32,
    /// The leases.
    pub leases: List<RenewedLease, 256>,
}

/// A task is no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Cancel {
    /// The task.
    pub task: TaskId,
}

codes! {
    /// What became of a cancel.
    pub enum CancelVerdict {
        /// The task had not begun; it is reported as cancelled.
        1 Dropped = "dropped",
        /// It has begun and stops at the next point where it can.
        2 Stopping = "stopping",
        /// It has ended; its report stands.
        3 AlreadyDone = "already_done",
        /// The member does not hold the task; if it is yet to be offered in this session, it is cancelled then.
        4 Parked = "parked",
    }
}

/// What became of a cancel.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CancelAck {
    /// The task.
    pub task: TaskId,
    /// What became of it.
    pub verdict: Code<CancelVerdict>,
}

/// Asks for the tasks held.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InventoryAsk {
    /// Comes back in [`Inventory`].
    pub nonce: u64,
}

codes! {
    /// How far a member is with a task it holds.
    pub enum HeldState {
        /// On disk, no effect begun.
        1 Journaled = "journaled",
        /// An effect may exist.
        2 Started = "started",
        /// The report is on disk.
        3 Reported = "reported",
    }
}

/// One task a member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct HeldTask {
    /// The task and its lease.
    pub lease: LeaseRef,
    /// How far it is.
    pub state: Code<HeldState>,
}

/// The tasks held, a page at a time.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Inventory {
    /// From the [`InventoryAsk`].
    pub nonce: u64,
    /// No page follows.
    pub last: bool,
    /// The tasks of this page.
    pub tasks: List<HeldTask, 512>,
}

/// Announces a payload. Its sender has all of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StreamOpen {
    /// The task it belongs to.
    pub task: TaskId,
    /// The payload.
    pub stream: StreamRef,
}

/// How much of a payload is already durable at its receiver.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StreamOpenAck {
    /// The payload.
    pub stream: StreamId,
    /// Chunks from the beginning.
    pub durable: u64,
}

/// A piece of a payload. Every chunk but the last is full.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Chunk {
    /// The payload.
    pub stream: StreamId,
    /// Its number, from 0.
    pub index: u64,
    /// Its bytes.
    pub bytes: Bytes<{ crate::stream::CHUNK }>,
}

/// How much of a payload is durable.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChunkAck {
    /// The payload.
    pub stream: StreamId,
    /// Chunks from the beginning.
    pub durable: u64,
}

/// A payload is complete, verified and durable at its receiver.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StreamClose {
    /// The payload.
    pub stream: StreamId,
}

codes! {
    /// Why a payload cannot be sent or taken.
    pub enum StreamFault {
        /// Not known here.
        1 Unknown = "unknown",
        /// The bytes are not those announced.
        2 Corrupt = "corrupt",
        /// No room.
        3 Full = "full",
    }
}

/// A payload cannot be sent or taken.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StreamReset {
    /// The payload.
    pub stream: StreamId,
    /// Why.
    pub fault: Code<StreamFault>,
}
