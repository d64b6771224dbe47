//! The frozen structs of `postern.v1`. A change is a new revision of one struct, never an edit here.

mod condition;
mod session;
mod stream;
mod task;
mod trust;

use bincode::{Decode, Encode};

pub use self::condition::{
    Condition, LogLevel, LogLevelSet, LogLevelVerdict, SetLogLevel, SignInState, SystemCondition,
};
pub use self::session::{
    Confirm, Connection, Credit, Drain, Drained, GoAway, Held, Hello, MemberState, MemberStateAck, MembershipState,
    Ping, Pong, ProtocolError, Refused, ServedSystem, SessionRefusal, Welcome,
};
pub use self::stream::{Chunk, ChunkAck, StreamClose, StreamFault, StreamOpen, StreamOpenAck, StreamRef, StreamReset};
pub use self::task::{
    Accept, Cancel, CancelAck, CancelVerdict, HeldState, HeldTask, Inventory, InventoryAsk, LeaseRef, LeaseVerdict,
    MAX_OUTPUT, MAX_PARAMS, MAX_PARTS, Mode, Observation, Offer, Progress, Reject, Rejection, Renew, Renewed,
    RenewedLease, Report, ReportAck, Started,
};
pub use self::trust::{
    AnnouncedKey, CertIssued, CertRefusal, CertRefused, CertRenew, KeyAck, KeyAnnounce, MAX_ROOTS, TrustBundle,
    TrustBundleAck,
};
use crate::bounded::{Bytes, List};
use crate::trace;

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
