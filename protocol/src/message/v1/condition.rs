//! How a member is, and what it logs for a while.

use bincode::{Decode, Encode};

#[cfg(doc)]
use super::Confirm;
use super::Extensions;
use crate::bounded::List;
use crate::code::Code;
use crate::codes;
use crate::id::SystemName;

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
