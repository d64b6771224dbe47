//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use postern_protocol::SystemName;
use postern_protocol::task::export::{DeltaMode, RecordFormat};

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  it was tried and failed
   2  the command line makes no sense
  69  the controller cannot be reached
  70  a defect of Postern's
  74  the store cannot be written or read
  77  not enrolled, enrolled already, or refused by the controller
  78  the configuration, or a file it names, is not usable
  79  another process has the store (the agent is running)";

/// Administers Salesforce users on behalf of a controller elsewhere. Dials out; needs no inbound port.
///
/// First steps: write a configuration (see `packaging/config/agent.toml` for an annotated one), try it with
/// `postern exec test-connection --system NAME`, enroll with the token an operator gave you, and start `postern run`.
#[derive(Debug, Parser)]
#[command(name = "postern", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, default_value = "/etc/postern/agent.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Become a member of a cluster.
    ///
    /// Makes this agent's keys, checks that the controller is the one the token names, and stores the certificate it
    /// issues. Safe to repeat with the same token if the reply was lost.
    #[command(
        after_help = "Examples:\n  postern enroll --controller wss://controller.example:7443 --token-file token.txt\n  postern enroll postern-token-… --controller wss://controller.example:7443"
    )]
    Enroll(Enroll),
    /// Run until told to stop: keep a session with the controller and do the tasks it hands out.
    ///
    /// The first SIGTERM or SIGINT finishes what has begun to change something, gives the rest back and says goodbye;
    /// the second stops it where it can, the third ends the process.
    #[command(after_help = "Example:\n  postern run --config /etc/postern/agent.toml")]
    Run(Run),
    /// Show what the agent with this configuration is doing.
    #[command(after_help = "Example:\n  postern status --json | jq .agent.link.state")]
    Status(Status),
    /// Run one task here, without a controller, through the same connector and journal.
    ///
    /// For trying a set-up. The agent must not be running on the same state directory.
    #[command(
        after_help = "Examples:\n  postern exec test-connection --system acme\n  postern exec disable-user --system acme --account joe@example.com\n  postern exec reset-password --system acme --account joe@example.com --password-file new.txt\n  postern exec import-batch --system acme --dataset users.xml\n  postern exec export --system acme --object User --format csv --output users.csv"
    )]
    Exec(Exec),
    /// Look at, keep, replace or reset the schema of a connected system: which attributes its records have.
    ///
    /// Another schema than the standard one is the file that the system's settings name as `schema`.
    #[command(
        after_help = "Examples:\n  postern schema --system acme show\n  postern schema --system acme export --output schema.xml\n  postern schema --system acme import --from schema.xml\n  postern schema --system acme reset"
    )]
    Schema(Schema),
    /// Let the agent sign in again after the guard against lock-out stopped it.
    ///
    /// The guard counts refused sign-ins and stops before Salesforce locks the account. It opens by itself when the
    /// credentials in the configuration change; use this when they were right and something else was mended. The
    /// agent must not be running.
    #[command(after_help = "Example:\n  postern reset-sign-in --system acme")]
    ResetSignIn(ResetSignIn),
}

/// Options of `postern enroll`.
#[derive(Debug, Args)]
pub struct Enroll {
    /// The controller, as `wss://host:port`; may be repeated, and all are remembered.
    #[arg(long, required = true, value_name = "URL")]
    pub controller: Vec<String>,
    /// The token. Other users of this host can see it in the process list; `--token-file` keeps it from them.
    #[arg(value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<String>,
    /// A file with the token; without either, the token is read from the standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Become a new member although this agent is one already. An operator approves the new member and revokes the old
    /// one; what the agent holds and owes stays in its store.
    #[arg(long)]
    pub again: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `postern run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Write this file once the first session is established, and remove it when the agent stops: its existence tells
    /// a script that the agent is up.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// Options of `postern status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `postern reset-sign-in`.
#[derive(Debug, Args)]
pub struct ResetSignIn {
    /// The connected system, as the configuration names it.
    #[arg(long, value_name = "NAME")]
    pub system: SystemName,
}

/// Options of `postern schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// The connected system, as the configuration names it.
    #[arg(long, value_name = "NAME")]
    pub system: SystemName,
    /// What to do with it.
    #[command(subcommand)]
    pub command: SchemaCommand,
}

/// What to do with a schema.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Show the schema in force.
    Show,
    /// Write the schema in force as XML.
    Export {
        /// To this file instead of the standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Replace the schema: checks this XML and writes it to the file that the settings name.
    Import {
        /// The XML, e.g. what `postern exec describe-schema` wrote.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Write the standard schema to the file that the settings name.
    Reset,
}

/// Options of `postern exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// Which task.
    #[command(subcommand)]
    pub task: Task,
}

/// Options every task of `postern exec` has.
#[derive(Debug, Args)]
pub struct Common {
    /// The connected system, as the configuration names it.
    #[arg(long, value_name = "NAME")]
    pub system: SystemName,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of a task about one account.
#[derive(Debug, Args)]
pub struct OnAccount {
    /// The account's user name.
    #[arg(long, value_name = "USERNAME")]
    pub account: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub common: Common,
}

/// Which task to run here.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Prove that the connected system can be reached and signed in to.
    TestConnection(Common),
    /// Look an account up.
    ValidateUser(OnAccount),
    /// Let an account sign in.
    EnableUser(OnAccount),
    /// Keep an account from signing in.
    DisableUser(OnAccount),
    /// Give an account a new password: one from a file, or one made up here.
    ResetPassword(ResetPassword),
    /// Make an account's password useless at once.
    ExpirePassword(OnAccount),
    /// Create and modify accounts from an XML dataset.
    ImportBatch(ImportBatch),
    /// Write records of one class to a file.
    Export(Export),
    /// Write the schema in force, refreshed from what the org says of itself, to a file.
    DescribeSchema(DescribeSchema),
}

/// Options of `postern exec reset-password`.
#[derive(Debug, Args)]
pub struct ResetPassword {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub on: OnAccount,
    /// A file with the new password (its last line break is cut off).
    #[arg(long, value_name = "FILE", conflicts_with = "generate", required_unless_present = "generate")]
    pub password_file: Option<PathBuf>,
    /// Make a password up and write it to this file, which must not be there yet and which only you can read.
    #[arg(long, value_name = "FILE")]
    pub generate: Option<PathBuf>,
}

/// Options of `postern exec import-batch`.
#[derive(Debug, Args)]
pub struct ImportBatch {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub common: Common,
    /// The dataset.
    #[arg(long, value_name = "FILE")]
    pub dataset: PathBuf,
    /// Write one JSON line for each entry here; without it, failed entries are printed.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
}

/// Options of `postern exec export`.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub common: Common,
    /// The class of records, e.g. User or Profile.
    #[arg(long, default_value = "User")]
    pub object: String,
    /// The attributes wanted, with commas between them; without it those of the schema.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub attributes: Vec<String>,
    /// Attributes without which the export is to fail.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub mandatory: Vec<String>,
    /// Which records, as JSON: `{"attribute": "Title", "contains": "50%"}`, joined by `{"and": […]}`, `{"or": […]}` and
    /// `{"not": …}`.
    #[arg(long, value_name = "JSON")]
    pub filter: Option<String>,
    /// A condition in SOQL that must hold as well.
    #[arg(long, value_name = "SOQL")]
    pub clause: Option<String>,
    /// How records are written: jsonl, csv or xml.
    #[arg(long, default_value = "jsonl")]
    pub format: RecordFormat,
    /// How an attribute's moments are written, as `NAME=DAY:TIME`; DAY is iso, american, european, dotted, compact or
    /// long, TIME is none, 24h or 12h. May be repeated.
    #[arg(long = "date", value_name = "NAME=DAY:TIME")]
    pub dates: Vec<String>,
    /// Only what changed since the cursor of this name was last written to a file.
    #[arg(long, value_name = "CURSOR")]
    pub delta: Option<String>,
    /// Which attributes a delta tells of a record: `only_changed_attributes`, `changed_and_mandatory_attributes` or
    /// `all_attributes`.
    #[arg(long, requires = "delta", default_value = "changed_and_mandatory_attributes")]
    pub delta_mode: DeltaMode,
    /// Begin the cursor anew.
    #[arg(long, requires = "delta")]
    pub restart: bool,
    /// Tell which attributes changed and when, instead of what they are.
    #[arg(long, requires = "delta")]
    pub change_log: bool,
    /// About how many records are expected; without it the org is asked.
    #[arg(long, default_value_t = 0)]
    pub size_hint: u64,
    /// The file. It appears when it is whole, and replaces one that is there.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Options of `postern exec describe-schema`.
#[derive(Debug, Args)]
pub struct DescribeSchema {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub common: Common,
    /// A class of records; may be repeated. Without it all of the schema in force.
    #[arg(long = "object", value_name = "NAME")]
    pub objects: Vec<String>,
    /// An attribute to add, as `User.Size__c`; may be repeated.
    #[arg(long, value_name = "OBJECT.NAME")]
    pub add: Vec<String>,
    /// Add every attribute that the org made.
    #[arg(long)]
    pub custom: bool,
    /// The file, XML. It appears when it is whole, and replaces one that is there.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}
