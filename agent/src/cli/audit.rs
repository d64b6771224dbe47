//! Options of `postern audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_protocol::TaskId;
use postern_store::audit::{Head, Since, VERIFY_HELP};

pub(super) const EXAMPLES: &str = "\
Examples:
  postern audit verify
  postern audit verify --json
  postern audit show --account joe@example.com
  postern audit show --since 2026-03-01 --json

The log lies in the directory `audit` of the state directory. docs/audit.md says what stands in it.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  postern audit verify
  postern audit verify --head 1042:9f2c…
  postern audit verify --dir /srv/archive/audit-2026";

/// Options of `postern audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Say whether the log was changed since it was written.
    ///
    /// Reads every line and follows the chain of hashes; then compares the end with what the agent's store remembers. The
    /// agent may be running or not; of one that is stopped the store is opened, which takes its user and its key (78 without).
    #[command(after_help = format!("{VERIFY_EXAMPLES}\n\n{VERIFY_HELP}"))]
    Verify(Verify),
    /// Show what was done: one line an effect, oldest first.
    ///
    /// Verifies what it reads, and stops where the chain breaks.
    #[command(
        after_help = "Examples:\n  postern audit show --account joe@example.com\n  postern audit show --task tsk_019ce9e2a0e77d52b3a0f1c2d3e4f506 --json\n  postern audit show --since 2026-03-01T08:00:00Z"
    )]
    Show(Show),
}

/// Options of `postern audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Another directory than the agent's own, e.g. a copy; it is not compared with the agent's store then.
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
    /// A head that was noted before, as it was printed; may be repeated.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub head: Vec<Head>,
    /// The head with which the older files ended that were moved away: the log begins with the line after it.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub after: Option<Head>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `postern audit show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Another directory than the agent's own.
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
    /// Only of this task.
    #[arg(long, value_name = "TASK")]
    pub task: Option<TaskId>,
    /// Only of this account, as it is or was called.
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Only from this day (in UTC), or this moment on.
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// The head with which the older files ended that were moved away.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub after: Option<Head>,
    /// Print the events as JSON, one a line.
    #[arg(long)]
    pub json: bool,
}
