//! The command line of `postern doctor`.

use std::path::PathBuf;

use clap::Args;
use postern_protocol::SystemName;

pub(super) const EXAMPLES: &str = "\
Examples:
  postern doctor
  postern doctor --system acme --json
  postern doctor --offline
  postern doctor --show-config
  postern doctor --bundle support.tar.gz

Exit codes: 0 nothing failed, 1 something did (with --strict a warning is enough), 78 the
configuration cannot be used. The operator's guide says of each check what it means.";

/// Options of `postern doctor`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Doctor {
    /// This connected system alone, as the configuration names it.
    #[arg(long, value_name = "NAME")]
    pub system: Option<SystemName>,
    /// Do not leave this host.
    #[arg(long)]
    pub offline: bool,
    /// Let warnings count as failures.
    #[arg(long)]
    pub strict: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print every key of the configuration, what holds for it and where that came from, and look at nothing else.
    #[arg(long, conflicts_with_all = ["bundle", "system", "offline", "strict"])]
    pub show_config: bool,
    /// Write what was found, with versions, the configuration and figures about the store, to this new file for whoever
    /// helps. It holds no secret, and no name of an account unless --with-names says so.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Leave names of accounts in the bundle.
    #[arg(long, requires = "bundle")]
    pub with_names: bool,
}
