//! The audit log on the command line: verify and show it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_store::audit::{Head, Since, VERIFY_HELP};

const VERIFY_EXAMPLES: &str = "\
Examples:
  postern-controller audit verify
  postern-controller audit verify --head 1042:9f2c…
  postern-controller audit verify --dir /srv/archive/audit-2026";

/// The audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Say whether the log was changed since it was written
    ///
    /// Reads every line and follows the chain of hashes; then compares the end with what the controller remembers, if it
    /// runs and --dir is not given.
    #[command(after_help = format!("{VERIFY_EXAMPLES}\n\n{VERIFY_HELP}"))]
    Verify {
        /// Which log.
        #[command(flatten)]
        which: WhichLog,
        /// A head that was noted before, as it was printed; may be repeated
        #[arg(long = "head", value_name = "NUMBER:HASH")]
        heads: Vec<Head>,
    },
    /// Show the lines
    #[command(after_help = "\
Examples:
  postern-controller audit show --by ci
  postern-controller audit show --since 2026-03-01
  postern-controller audit show --act member.revoke --json")]
    Show {
        /// Which log.
        #[command(flatten)]
        which: WhichLog,
        /// Only from this day (in UTC), or this moment on
        #[arg(long, value_name = "TIME")]
        since: Option<Since>,
        /// What was done by the token of this name, or by `controller` itself
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// What was done to this
        #[arg(long, value_name = "NAME|ID")]
        on: Option<String>,
        /// Acts of this name alone, e.g. member.revoke, or of this kind, e.g. member
        #[arg(long, value_name = "ACT")]
        act: Option<String>,
    },
}

/// Which log is read.
#[derive(Debug, Args)]
pub struct WhichLog {
    /// The log's directory, if not `audit` in --data-dir
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
    /// The head with which the older files ended that were moved away: the log begins with the line after it
    #[arg(long, value_name = "NUMBER:HASH")]
    pub after: Option<Head>,
}
