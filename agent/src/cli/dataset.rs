//! The options of `postern dataset`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_protocol::task::import_batch::{Delimiter, Format, TRANSACTION_SYSTEM_NAME};

pub(super) const SPLIT_EXAMPLES: &str = "\
Examples:
  postern dataset split users.csv --output parts
  postern exec import_batch --system acme --dataset parts/acme.csv --dynamic-system transaction_system_name";

/// Options of `postern dataset`.
#[derive(Debug, Args)]
pub struct Dataset {
    /// What to do with it.
    #[command(subcommand)]
    pub command: DatasetCommand,
}

/// What to do with a dataset.
#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Write one dataset for each connected system that entries name.
    ///
    /// A task serves one connected system. Entries that name none, or that cannot be read, are written to a dataset of
    /// their own, with the reason for each; the exit code is 1 then. Needs no configuration and no agent.
    #[command(after_help = SPLIT_EXAMPLES)]
    Split(Split),
}

/// Options of `postern dataset split`.
#[derive(Debug, Args)]
pub struct Split {
    /// The dataset.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The attribute that names the connected system, in any case.
    #[arg(long, value_name = "NAME", default_value = TRANSACTION_SYSTEM_NAME)]
    pub by: String,
    /// The folder for the datasets, which must not be there yet. It appears when all of them are whole; only you can read
    /// it.
    #[arg(long, value_name = "FOLDER")]
    pub output: PathBuf,
    /// How the dataset is written: xml, csv or jsonl; without this, the file's extension says it.
    #[arg(long)]
    pub format: Option<Format>,
    /// What parts the cells of a CSV file, as it is or by its name: comma, semicolon, tab or pipe; `found_out` looks at the
    /// header.
    #[arg(long, value_parser = Delimiter::typed, default_value_t = Delimiter::FoundOut)]
    pub delimiter: Delimiter,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
