//! What the ledger keeps, as typed records.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use postern_protocol::id::{ApiTokenId, ApiTokenName, Incarnation, TokenId};
use postern_protocol::message::v1::{LogLevel, MembershipState, Mode};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::SealingPublicKey;
use postern_protocol::time::UnixMillis;
use postern_protocol::{
    ClusterName, Epoch, MemberId, Outcome, ReportNo, SessionNo, StreamId, SystemName, TaskId, TaskKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::origin::Origin;
use crate::access::{Role, TokenHash};
use crate::ca::RootNo;
use crate::hex;
use crate::root_rotation::Phase;

/// Which roots there are, and how far their rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootsRecord {
    /// The number of the bundle that members are to trust: each step makes another.
    pub bundle: u64,
    /// The newest root that was made.
    pub newest: RootNo,
    /// How far the rotation is.
    pub phase: Phase,
}

impl Default for RootsRecord {
    fn default() -> Self {
        Self { bundle: 1, newest: RootNo::FIRST, phase: Phase::Single { root: RootNo::FIRST } }
    }
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Its name.
    pub name: ClusterName,
    /// When it was made.
    pub created: UnixMillis,
}

/// An enrollment token. Of its secret only the derived proof key is kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its id.
    pub id: TokenId,
    /// The cluster it leads into.
    pub cluster: ClusterName,
    /// The key of the proof.
    #[serde(with = "hex")]
    pub proof_key: [u8; 32],
    /// When it runs out.
    pub expires: UnixMillis,
    /// Who used it.
    pub used: Option<TokenUse>,
}

/// What was made under a key of its caller.
#[derive(Clone, Serialize, Deserialize)]
pub struct OnceRecord {
    /// Whose key it is.
    pub by: ApiTokenId,
    /// SHA-256 over the key.
    #[serde(with = "hex")]
    pub key: [u8; 32],
    /// SHA-256 over what was to be made.
    #[serde(with = "hex")]
    pub what: [u8; 32],
    /// What makes the secret of a token out of the key, and is of no use without it.
    #[serde(with = "hex")]
    pub salt: [u8; 32],
    /// What was made.
    pub made: Made,
    /// When.
    pub at: UnixMillis,
}

/// What can be made under a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Made {
    /// A token into a cluster.
    EnrollmentToken(TokenId),
    /// A token for the API.
    ApiToken(ApiTokenId),
    /// A connected system.
    System(SystemName),
    /// A submitter's payload.
    Payload(StreamId),
}

/// The one use of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUse {
    /// SHA-256 over the signing request, the sealing key and the incarnation.
    #[serde(with = "hex")]
    pub request: [u8; 32],
    /// The member that came of it.
    pub member: MemberId,
    /// When.
    pub at: UnixMillis,
}

/// A token for the API. Of its secret only a hash is kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct ApiTokenRecord {
    /// Its id, which its text begins with.
    pub id: ApiTokenId,
    /// What people call it.
    pub name: ApiTokenName,
    /// What it is good for.
    pub role: Role,
    /// The hash of its secret.
    pub hash: TokenHash,
    /// When it was made.
    pub created: UnixMillis,
    /// When it runs out, if it does.
    pub expires: Option<UnixMillis>,
    /// When it was last used, to the hour.
    pub last_used: Option<UnixMillis>,
}

/// A line that waits for the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its number among rows.
    pub number: u64,
    /// When it happened.
    pub time: UnixMillis,
    /// What: a JSON object.
    pub event: String,
}

/// How far the audit log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditWritten {
    /// The last row that is in it.
    pub upto: u64,
    /// The number of its last line.
    pub line: u64,
    /// The hash of that.
    #[serde(with = "hex")]
    pub hash: [u8; 32],
}

/// How new tasks may be of which nothing is known any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenRecord {
    /// When the newest of their ids was made.
    pub newest: UnixMillis,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its id.
    pub id: MemberId,
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its host's name, as it says.
    pub host: String,
    /// Its version, as it says.
    pub agent_version: String,
    /// What it may do.
    pub state: MembershipState,
    /// The number of that state.
    pub epoch: Epoch,
    /// Disabled without waiting for what it holds.
    pub hard: bool,
    /// Becomes disabled as soon as it holds nothing.
    pub disable_when_drained: bool,
    /// Why the controller disabled it by itself.
    pub alarm: Option<String>,
    /// The keys it can open secrets with, the newest first: that is the one they are sealed to.
    pub sealing_keys: Vec<SealingPublicKey>,
    /// Its certificate, DER in base64.
    pub certificate: String,
    /// The certificate's serial number in hexadecimal.
    pub serial: String,
    /// When the certificate runs out.
    pub certificate_expires: UnixMillis,
    /// The root that signed it.
    #[serde(default)]
    pub root: RootNo,
    /// The roots that it has on disk whatever else it was told since it last said so.
    #[serde(default = "first_root")]
    pub trusts: Vec<RootNo>,
    /// The bundle that it last said to have on disk; what it was told since may be there in its place.
    #[serde(default)]
    pub acked_bundle: u64,
    /// The certificate that follows it.
    #[serde(default)]
    pub next: Option<NextCertificate>,
    /// When it enrolled.
    pub enrolled: UnixMillis,
    /// When a session of it last began or ended.
    pub seen: Option<UnixMillis>,
}

impl MemberRecord {
    /// Its present certificate.
    pub fn der(&self) -> Vec<u8> {
        decoded(&self.certificate)
    }

    /// Its present certificate, and the next one if there is one.
    pub fn certificates(&self) -> impl Iterator<Item = Vec<u8>> {
        let next = self.next.as_ref().map(|next| decoded(&next.certificate));
        std::iter::once(self.der()).chain(next)
    }
}

/// A certificate that takes the place of a member's present one in the first session under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextCertificate {
    /// SHA-256 of the signing request: the same one gets the same certificate.
    #[serde(with = "hex")]
    pub request: [u8; 32],
    /// The certificate, DER in base64.
    pub certificate: String,
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// When it runs out.
    pub expires: UnixMillis,
    /// The root that signed it.
    #[serde(default)]
    pub root: RootNo,
}

/// A certificate that a member showed and that is newer than those on record: this controller was put back from a copy that
/// is older than it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewerCertificate {
    /// The certificate, DER in base64.
    pub certificate: String,
    /// From when on it is valid.
    pub begins: UnixMillis,
    /// When it runs out.
    pub expires: UnixMillis,
    /// When it was first shown.
    pub shown: UnixMillis,
    /// Where it was shown from then.
    pub address: String,
}

impl NewerCertificate {
    /// The certificate.
    pub fn der(&self) -> Vec<u8> {
        decoded(&self.certificate)
    }
}

/// A certificate of a record; empty, which is none, if it is not what was written there.
fn decoded(certificate: &str) -> Vec<u8> {
    BASE64.decode(certificate.as_bytes()).unwrap_or_default()
}

/// What a member trusts from its enrollment on, as long as there was no rotation.
fn first_root() -> Vec<RootNo> {
    vec![RootNo::FIRST]
}

/// What has to be remembered of a member's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberNumbers {
    /// The life of the member's store that the confirmed session and the reports belong to.
    pub incarnation: Incarnation,
    /// The life of the member's store that last said what it holds. Another one may have lost what it held.
    pub settled: Option<Incarnation>,
    /// The newest session number given out.
    pub issued: SessionNo,
    /// The newest session the member made durable.
    pub confirmed: SessionNo,
    /// Every report up to this number is stored.
    pub acked: ReportNo,
}

/// Who works on a connected system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Association {
    /// The controller itself.
    Server,
    /// The members of a cluster.
    Cluster(ClusterName),
}

impl Association {
    /// The word for the controller itself.
    pub const SERVER: &str = "server";
}

impl std::fmt::Display for Association {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server => f.write_str(Self::SERVER),
            Self::Cluster(name) => name.fmt(f),
        }
    }
}

/// A connected system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemRecord {
    /// Its name, which never changes.
    pub name: SystemName,
    /// Its type, e.g. `salesforce`.
    #[serde(rename = "type")]
    pub connector: String,
    /// Its name for people.
    pub display_name: String,
    /// What it is.
    pub description: String,
    /// Who works on it.
    pub association: Association,
    /// What the identity suite knows of it besides.
    #[serde(default)]
    pub details: SystemDetails,
    /// What members are to log of it for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevelOrder>,
    /// How often it was changed: whoever changes it says which one was looked at.
    #[serde(default)]
    pub revision: u64,
    /// When it was made.
    pub created: UnixMillis,
}

/// What members are to log of a connected system for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevelOrder {
    /// The least severe level.
    pub level: LogLevel,
    /// Until when.
    pub until: UnixMillis,
    /// Who wants it: the name of a token.
    pub by: String,
    /// Its number, which the answers of members repeat.
    pub number: u64,
}

/// What the identity suite knows of a connected system besides its name and who works on it. How it is reached is not
/// here: that is a matter of the agents' configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SystemDetails {
    /// The language of its display name and description.
    pub locale: String,
    /// Its display name and description in other languages.
    pub texts: BTreeMap<String, LocalTexts>,
    /// Who may have passwords reset, besides administrators.
    pub password_reset_by: PasswordResetBy,
    /// Whether workflows may use it.
    pub provisioning_option: ProvisioningOption,
    /// Whether its accounts are managed as privileged ones.
    pub hpam: bool,
    /// Whether its accounts can be transferred.
    pub transfer_of_accounts: bool,
    /// Who owns it.
    pub owners: BTreeSet<String>,
    /// What it is filed under.
    pub categories: BTreeSet<String>,
}

impl Default for SystemDetails {
    fn default() -> Self {
        Self {
            locale: "en".to_owned(),
            texts: BTreeMap::new(),
            password_reset_by: PasswordResetBy::default(),
            provisioning_option: ProvisioningOption::default(),
            hpam: false,
            transfer_of_accounts: false,
            owners: BTreeSet::new(),
            categories: BTreeSet::new(),
        }
    }
}

/// What a connected system is called in another language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalTexts {
    /// Its name for people.
    pub display_name: String,
    /// What it is.
    pub description: String,
}

/// Who may have passwords of a connected system reset, besides administrators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PasswordResetBy {
    /// Those who act on behalf of users.
    #[default]
    OboUserOnly,
    /// They, and users themselves.
    UsersAndOboUser,
    /// Nobody: passwords are reset elsewhere.
    External,
}

impl PasswordResetBy {
    /// Its name for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::OboUserOnly => "OBO user only",
            Self::UsersAndOboUser => "users and OBO user",
            Self::External => "external",
        }
    }
}

/// Whether workflows may use a connected system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvisioningOption {
    /// They may.
    #[default]
    Automated,
    /// Administrators only.
    Administrative,
}

impl ProvisioningOption {
    /// Its name for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Automated => "automated",
            Self::Administrative => "administrative",
        }
    }
}

/// How far a task is, as the controller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum TaskState {
    /// Nobody has it.
    Queued,
    /// No member has a key that its secrets are sealed to. It waits for one, or to be sealed again.
    NeedsReseal,
    /// A member was given it.
    Leased {
        /// The member.
        holder: MemberId,
    },
    /// The member has it on disk.
    Accepted {
        /// The member.
        holder: MemberId,
    },
    /// The member may have begun an effect.
    Started {
        /// The member.
        holder: MemberId,
    },
    /// The lease ran out or was taken away, and it is not known how far the member got.
    InDoubt {
        /// The member.
        holder: MemberId,
        /// Whether the member said that it began.
        started: bool,
    },
    /// It has an outcome.
    Finished,
}

/// How far a task is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Nobody has it.
    Queued,
    /// No member has a key that its secrets are sealed to.
    NeedsReseal,
    /// A member was given it.
    Leased,
    /// The member has it on disk.
    Accepted,
    /// The member may have begun an effect.
    Started,
    /// It is not known how far the member got.
    InDoubt,
    /// It has an outcome.
    Finished,
}

impl StateName {
    /// Those of tasks that are not finished.
    pub const UNFINISHED: [Self; 6] =
        [Self::Queued, Self::NeedsReseal, Self::Leased, Self::Accepted, Self::Started, Self::InDoubt];

    /// The name in listings.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::NeedsReseal => "needs_reseal",
            Self::Leased => "leased",
            Self::Accepted => "accepted",
            Self::Started => "started",
            Self::InDoubt => "in_doubt",
            Self::Finished => "finished",
        }
    }
}

impl TaskState {
    /// What it is called.
    pub const fn named(&self) -> StateName {
        match self {
            Self::Queued => StateName::Queued,
            Self::NeedsReseal => StateName::NeedsReseal,
            Self::Leased { .. } => StateName::Leased,
            Self::Accepted { .. } => StateName::Accepted,
            Self::Started { .. } => StateName::Started,
            Self::InDoubt { .. } => StateName::InDoubt,
            Self::Finished => StateName::Finished,
        }
    }

    /// The state's name in listings.
    pub const fn name(&self) -> &'static str {
        self.named().text()
    }

    /// The member that has the task, lease expired or not.
    pub const fn holder(&self) -> Option<MemberId> {
        match self {
            Self::Leased { holder }
            | Self::Accepted { holder }
            | Self::Started { holder }
            | Self::InDoubt { holder, .. } => Some(*holder),
            Self::Queued | Self::NeedsReseal | Self::Finished => None,
        }
    }

    /// Whether nobody knows how far its holder got.
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt { .. })
    }
}

/// A lease that was given out. It belongs to the store that took the task, which outlives a new enrollment of its agent
/// and not the loss of what it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Its number.
    pub epoch: Epoch,
    /// The life of the store it was given to.
    pub store: Incarnation,
}

/// Since when no other task for the same system and target was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AloneRecord {
    /// The lease from which on the task was alone.
    pub since: Epoch,
    /// When that began: when the lease was given, or some seconds before.
    pub at: UnixMillis,
}

/// A report that came under an epoch that had passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservationRecord {
    /// Who reported.
    pub member: MemberId,
    /// Under which epoch.
    pub epoch: Epoch,
    /// What.
    pub outcome: Outcome,
    /// How sure.
    pub certainty: Certainty,
    /// Whether anything was changed.
    pub changed: Changed,
}

/// One run of a task under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRecord {
    /// Its number, from 1.
    pub number: u32,
    /// Whose it was.
    pub member: MemberId,
    /// The number of the lease.
    pub epoch: Epoch,
    /// When the member was given it, in milliseconds since 1970.
    pub at: UnixMillis,
}

/// How a task ended. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
    /// How.
    pub outcome: Outcome,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether anything was changed.
    pub changed: Changed,
    /// The member that reported it; none if the controller decided it.
    pub member: Option<MemberId>,
    /// The epoch whose report tells what came of it.
    pub epoch: Epoch,
    /// The controller's sentence, if it decided it.
    pub note: String,
    /// When.
    pub at: UnixMillis,
}

/// A task, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Its id, which the submitter chose.
    pub id: TaskId,
    /// The cluster whose members may do it.
    pub cluster: ClusterName,
    /// The connected system.
    pub system: SystemName,
    /// What to do.
    pub kind: TaskKind,
    /// What must not be worked on twice at once.
    pub target: String,
    /// Who is behind it.
    #[serde(default, skip_serializing_if = "Origin::is_administrator")]
    pub origin: Origin,
    /// Whether the submitter waits.
    pub mode: Mode,
    /// Larger goes first.
    pub priority: u8,
    /// SHA-256 of what was submitted.
    #[serde(with = "hex")]
    pub digest: [u8; 32],
    /// When it was submitted.
    pub submitted: UnixMillis,
    /// The number under which it came to the queue: clocks are set back, and of two in one millisecond one is the later.
    pub arrival: u64,
    /// When it must not be begun any more.
    pub deadline: Option<UnixMillis>,
    /// How far it is.
    pub state: TaskState,
    /// The number of its newest lease, or a newer one if that was taken away; zero before the first.
    pub epoch: Epoch,
    /// How many leases it had.
    pub attempt: u32,
    /// The newest leases that were not given back: only under one of these a report counts.
    #[serde(default)]
    pub leases: Vec<LeaseRecord>,
    /// Since when nobody but its holders can have worked on its target; none if nobody had it, or another task was leased
    /// after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<AloneRecord>,
    /// An earlier holder may have begun it.
    pub reconcile: bool,
    /// Somebody wants it cancelled.
    pub cancel_requested: bool,
    /// What earlier holders reported too late.
    pub observations: Vec<ObservationRecord>,
    /// How it ended.
    pub finish: Option<Finish>,
}

impl TaskRecord {
    /// A task that nobody has had yet. How it is to be done, and what was submitted and when, stands before `..`.
    pub fn queued(id: TaskId, cluster: ClusterName, system: SystemName, kind: TaskKind, target: String) -> Self {
        Self {
            id,
            cluster,
            system,
            kind,
            target,
            origin: Origin::default(),
            mode: Mode::Async,
            priority: 0,
            digest: [0; 32],
            submitted: UnixMillis(0),
            arrival: 0,
            deadline: None,
            state: TaskState::Queued,
            epoch: Epoch(0),
            attempt: 0,
            leases: Vec::new(),
            alone: None,
            reconcile: false,
            cancel_requested: false,
            observations: Vec::new(),
            finish: None,
        }
    }
}

/// Which way a payload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the submitter to a member.
    Input,
    /// From a member to the submitter.
    Output,
}

/// A payload in the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// Its id.
    pub id: StreamId,
    /// Which way it goes.
    pub direction: Direction,
    /// Its bytes.
    pub length: u64,
    /// Their SHA-256.
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    /// All of it is in the spool.
    pub complete: bool,
    /// The task it belongs to, once there is one.
    pub task: Option<TaskId>,
    /// When it began.
    pub created: UnixMillis,
}
