//! The command line.

#![allow(clippy::doc_markdown, reason = "these comments are the help texts, which show no markup")]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use postern_protocol::task::disable_user::IfRefused;
use postern_protocol::task::import_batch::{Delimiter, DynamicSystem, Format, Request, Rule, Variable};
use postern_protocol::{ClusterName, MemberId, SystemName, TaskId, TaskKind};

use crate::telemetry::LogFormat;

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  failed: the task did not succeed, or something broke
   2  the command line makes no sense
  69  the controller does not answer
  70  a defect of Postern's
  74  the store cannot be used
  77  the controller refused
  78  the configuration makes no sense
  79  another process has the store

A first session, on one host:
  postern-controller serve --data-dir ./controller &
  export POSTERN_CONTROLLER_DATA_DIR=./controller
  postern-controller cluster create acme
  postern-controller token create --cluster acme
  (run `postern enroll` with the token on the agent's host, then `postern run`)
  postern-controller member list
  postern-controller member approve mbr_...
  postern-controller system add salesforce-prod --with acme
  postern-controller task submit disable_user --system salesforce-prod --account joe@example.com";

/// The reference controller of Postern: certificate authority, clusters, members, tasks.
#[derive(Debug, Parser)]
#[command(name = "postern-controller", version, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller until SIGTERM or SIGINT
    #[command(after_help = "\
Example:
  postern-controller serve --data-dir /var/lib/postern-controller --public-name gate.example.com

Agents connect to --listen over TLS 1.3; the certificate is made for the --public-name. The API is plain HTTP on the
loopback with a bearer token, written to `api.token` in the data directory; the other commands find it there.
This controller does not run connectors itself: a system associated with `server` takes no tasks.")]
    Serve(Serve),
    /// Make enrollment tokens
    Token {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Make and list clusters
    Cluster {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Approve, enable, disable, remove and list members
    Member {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: MemberCommand,
    },
    /// Add connected systems and say who works on them
    System {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: SystemCommand,
    },
    /// Submit tasks and see what came of them
    Task {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: TaskCommand,
    },
    /// Say how the controller is
    #[command(after_help = "Example:\n  postern-controller status --data-dir ./controller")]
    Status {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
    },
}

/// How the controller runs.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where everything durable is: keys, ledger, payloads. Made if it is not there, mode 0700
    #[arg(long, env = "POSTERN_CONTROLLER_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Where agents connect to
    #[arg(long, default_value = "0.0.0.0:7443")]
    pub listen: SocketAddr,
    /// Where the API is; loopback only
    #[arg(long, default_value = "127.0.0.1:7080")]
    pub api_listen: SocketAddr,
    /// A host name or IP address that agents connect to; may be repeated [default: localhost, 127.0.0.1, ::1]
    #[arg(long = "public-name", value_name = "NAME")]
    pub public_names: Vec<String>,
    /// Enable new members without an operator comparing fingerprints; for pilots
    #[arg(long)]
    pub auto_approve: bool,
    /// How long a lease lasts, in seconds; agents' `request_timeout_secs` must stay below two thirds of it
    #[arg(long, default_value_t = 180)]
    pub lease_ttl_secs: u64,
    /// How long after a lease has run out a change may still appear, in seconds; only then is the task given to another
    #[arg(long, default_value_t = 30)]
    pub settle_secs: u64,
    /// How often each side of a session asks for a sign of life, in seconds
    #[arg(long, default_value_t = 10)]
    pub heartbeat_secs: u64,
    /// How many days a finished task is kept; a task whose id is older than that is not taken in again
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub keep_finished_days: u32,
    /// How many finished tasks, the newest, are kept for longer; most take about 2 KiB of disk
    #[arg(long, value_name = "TASKS", default_value_t = 10_000)]
    pub keep_finished_tasks: usize,
    /// Write the bound addresses to this file, as JSON, once everything listens
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
    /// How logs are written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged, e.g. `info` or `postern_controller_stub=debug`
    #[arg(long, env = "POSTERN_CONTROLLER_LOG", default_value = "info")]
    pub log_level: String,
}

/// How to reach the controller.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reaching the controller")]
pub struct Reach {
    /// The data directory of a controller on this host
    #[arg(long, global = true, env = "POSTERN_CONTROLLER_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The URL of the API, if not that of --data-dir
    #[arg(long, global = true, env = "POSTERN_CONTROLLER_API_URL")]
    pub api_url: Option<String>,
    /// The file with the API's token, for --api-url
    #[arg(long, global = true, env = "POSTERN_CONTROLLER_API_TOKEN_FILE")]
    pub api_token_file: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// Enrollment tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token that lets one agent enroll within 15 minutes; it is shown this once
    #[command(
        after_help = "Example:\n  postern-controller token create --cluster acme\n  postern enroll TOKEN --controller wss://gate.example.com:7443"
    )]
    Create {
        /// The cluster the agent becomes a member of
        #[arg(long)]
        cluster: ClusterName,
    },
}

/// Clusters.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make a cluster
    #[command(after_help = "Example:\n  postern-controller cluster create acme")]
    Create {
        /// Its name: lower-case letters, digits, `-`, `_` and `.`
        name: ClusterName,
    },
    /// List the clusters
    #[command(after_help = "Example:\n  postern-controller cluster list --json")]
    List,
}

/// Members.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// List the members
    #[command(after_help = "Example:\n  postern-controller member list --cluster acme")]
    List {
        /// Of this cluster only
        #[arg(long)]
        cluster: Option<ClusterName>,
    },
    /// Show one member
    #[command(after_help = "Example:\n  postern-controller member show mbr_0195d8a0...")]
    Show {
        /// The member
        member: MemberId,
    },
    /// Let a new member work; compare the fingerprint with the one `postern enroll` printed first
    #[command(after_help = "Example:\n  postern-controller member approve mbr_0195d8a0...")]
    Approve {
        /// The member
        member: MemberId,
    },
    /// Let a disabled or draining member work again
    #[command(after_help = "Example:\n  postern-controller member enable mbr_0195d8a0...")]
    Enable {
        /// The member
        member: MemberId,
    },
    /// Let a member finish what it holds, then disable it; --hard: at once
    #[command(
        after_help = "Example:\n  postern-controller member disable mbr_0195d8a0... --hard\n\nWith --hard no further mutating call starts; what the member has not begun goes to others at once."
    )]
    Disable {
        /// The member
        member: MemberId,
        /// Do not wait for what it holds
        #[arg(long)]
        hard: bool,
    },
    /// Give a member nothing new
    #[command(after_help = "Example:\n  postern-controller member drain mbr_0195d8a0...")]
    Drain {
        /// The member
        member: MemberId,
    },
    /// Throw a member out for good
    #[command(after_help = "Example:\n  postern-controller member revoke mbr_0195d8a0...")]
    Revoke {
        /// The member
        member: MemberId,
    },
    /// Remove a member that is pending or revoked and holds no task
    #[command(after_help = "Example:\n  postern-controller member remove mbr_0195d8a0...")]
    Remove {
        /// The member
        member: MemberId,
    },
}

/// Connected systems.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Add a connected system
    #[command(after_help = "\
Example:
  postern-controller system add salesforce-prod --with acme --display-name \"Salesforce, production\"

The name is what the agents' configuration calls the system, and never changes. Only a cluster that has at least one
registered and enabled member can be chosen. A system associated with `server` takes no tasks here: this controller
runs no connectors itself.")]
    Add {
        /// Its name
        name: SystemName,
        /// `server`, or the cluster whose members work on it
        #[arg(long = "with", value_name = "CLUSTER|server")]
        association: String,
        /// Its type: what the agents' configuration calls `connector`
        #[arg(long = "type", default_value = "salesforce")]
        connector: String,
        /// What else is known of it.
        #[command(flatten)]
        details: Details,
    },
    /// Change what is known of a connected system; what is not named stays
    #[command(after_help = "\
Examples:
  postern-controller system edit salesforce-prod --password-reset-by users_and_obo_user --owner ada@example.com
  postern-controller system edit salesforce-prod --in fr --display-name \"Salesforce, production (fr)\"

Its name never changes, and who works on it is a matter of `system associate`.")]
    Edit {
        /// The system
        name: SystemName,
        /// What is known of it.
        #[command(flatten)]
        details: Details,
        /// The language of --display-name and --description, if not the system's own
        #[arg(long = "in", value_name = "LOCALE")]
        texts_in: Option<String>,
        /// Take an owner away; may be repeated
        #[arg(long = "remove-owner", value_name = "WHO")]
        remove_owners: Vec<String>,
        /// Take it out of a category; may be repeated
        #[arg(long = "remove-category", value_name = "NAME")]
        remove_categories: Vec<String>,
    },
    /// List the connected systems
    #[command(after_help = "Example:\n  postern-controller system list")]
    List,
    /// Show one connected system
    #[command(after_help = "Example:\n  postern-controller system show salesforce-prod")]
    Show {
        /// The system
        name: SystemName,
    },
    /// Say who works on a connected system from now on
    #[command(after_help = "Example:\n  postern-controller system associate salesforce-prod --with other-cluster")]
    Associate {
        /// The system
        name: SystemName,
        /// `server`, or the cluster whose members work on it
        #[arg(long = "with", value_name = "CLUSTER|server")]
        association: String,
    },
    /// Take a connected system away; its tasks have to be finished
    #[command(after_help = "Example:\n  postern-controller system remove salesforce-prod")]
    Remove {
        /// The system
        name: SystemName,
    },
}

/// What is known of a connected system. How it is reached is a matter of the agents' configuration.
#[derive(Debug, Args)]
pub struct Details {
    /// Its name for people
    #[arg(long)]
    pub display_name: Option<String>,
    /// What it is
    #[arg(long)]
    pub description: Option<String>,
    /// Its language [default: en]
    #[arg(long)]
    pub locale: Option<String>,
    /// Who may have passwords reset, besides administrators [default: obo_user_only]
    #[arg(long, value_parser = ["obo_user_only", "users_and_obo_user", "external"])]
    pub password_reset_by: Option<String>,
    /// Whether workflows may use it [default: automated]
    #[arg(long, value_parser = ["automated", "administrative"])]
    pub provisioning_option: Option<String>,
    /// Whether its accounts are managed as privileged ones [default: false]
    #[arg(long, value_name = "true|false")]
    pub hpam: Option<bool>,
    /// Whether its accounts can be transferred [default: false]
    #[arg(long, value_name = "true|false")]
    pub transfer_of_accounts: Option<bool>,
    /// Somebody who owns it; may be repeated
    #[arg(long = "owner", value_name = "WHO")]
    pub owners: Vec<String>,
    /// What it is filed under; may be repeated
    #[arg(long = "category", value_name = "NAME")]
    pub categories: Vec<String>,
}

/// Tasks.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Submit a task; secrets are sealed here, to the keys of the cluster's members
    #[command(after_help = "\
Examples:
  postern-controller task submit test_connection --system salesforce-prod
  postern-controller task submit disable_user --system salesforce-prod --account joe@example.com
  postern-controller task submit reset_password --system salesforce-prod --account joe@example.com --password-file pw
  postern-controller task submit reset_password --system salesforce-prod --account joe@example.com --generate --output-password new-pw
  postern-controller task submit reset_password --system salesforce-prod --account joe@example.com --service
  postern-controller task submit deprovision_user --system salesforce-prod --account joe@example.com --email dead-letters@example.com
  postern-controller task submit import_batch --system salesforce-prod --dataset users.xml --async
  postern-controller task submit export --system salesforce-prod --params '{\"object\": \"User\", \"format\": \"csv\"}' --output users.csv
  postern-controller task submit collect --system salesforce-prod --params '{\"name\": \"audit\"}' --output users.jsonl

Kinds: test_connection, validate_user, enable_user, disable_user, freeze_user, unfreeze_user, unlock_user,
reset_password, expire_password, deprovision_user, restore_user, import_batch,
export, describe_schema, collect.
Exits with 0 when the task succeeded, or was taken in with --async; with 1 when it ended otherwise.")]
    Submit(Box<Submit>),
    /// Show one task
    #[command(after_help = "Example:\n  postern-controller task show tsk_0195d8a0...")]
    Show {
        /// The task
        task: TaskId,
    },
    /// List tasks, the newest first
    #[command(
        after_help = "Example:\n  postern-controller task list --system salesforce-prod --state queued --limit 20"
    )]
    List {
        /// About this system only
        #[arg(long)]
        system: Option<SystemName>,
        /// In this state only
        #[arg(long, value_parser = ["queued", "leased", "accepted", "started", "in_doubt", "finished"])]
        state: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Wait until a task is finished; exits like `task submit`
    #[command(after_help = "Example:\n  postern-controller task wait tsk_0195d8a0... --timeout-secs 600")]
    Wait {
        /// The task
        task: TaskId,
        /// Give up waiting after so long; the task goes on
        #[arg(long)]
        timeout_secs: Option<u64>,
    },
    /// Cancel a task, as far as it has not begun
    #[command(after_help = "Example:\n  postern-controller task cancel tsk_0195d8a0...")]
    Cancel {
        /// The task
        task: TaskId,
    },
    /// Download what came of a batch, record by record, or what came of an export, opened with its key
    #[command(after_help = "\
Examples:
  postern-controller task results tsk_0195d8a0... --output results.jsonl
  postern-controller task results tsk_0195d8a0... --output results.jsonl --failed again.csv --dataset users.csv
  postern-controller task results tsk_0195d8a0... --key key --output users.csv")]
    Results {
        /// The task
        task: TaskId,
        /// Write to this file instead of standard output
        #[arg(long)]
        output: Option<PathBuf>,
        /// Write the entries that did not succeed to this new file, in the form of the dataset: mended, it can be
        /// submitted again
        #[arg(long, requires = "dataset")]
        failed: Option<PathBuf>,
        /// The dataset that was submitted, unchanged
        #[arg(long, requires = "failed")]
        dataset: Option<PathBuf>,
        /// The key that `task submit --result-key` kept
        #[arg(long, requires = "output")]
        key: Option<PathBuf>,
    },
}

/// Reads the name of a kind, also as names of commands are usually spelled.
fn kind(name: &str) -> Result<TaskKind, postern_protocol::code::UnknownName> {
    name.replace('-', "_").parse()
}

/// A task to submit.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Submit {
    /// What to do, one of the kinds below
    #[arg(value_parser = kind)]
    pub kind: TaskKind,
    /// The connected system
    #[arg(long)]
    pub system: SystemName,
    /// The account, for every kind but test_connection, import_batch, export, describe_schema and collect
    #[arg(long)]
    pub account: Option<String>,
    /// disable_user: what becomes of an account that the connected system refuses to disable [default: fail]
    #[arg(long, value_name = "fail|freeze")]
    pub if_refused: Option<IfRefused>,
    /// deprovision_user: its new name [default: the old one with `.deleted` behind it]
    #[arg(long)]
    pub new_name: Option<String>,
    /// restore_user: the name it gets back
    #[arg(long)]
    pub name: Option<String>,
    /// deprovision_user, restore_user: its new e-mail address [default: it stays]
    #[arg(long)]
    pub email: Option<String>,
    /// reset_password, restore_user: a file with the new password, one line; `-` is standard input
    #[arg(long, conflicts_with = "generate")]
    pub password_file: Option<PathBuf>,
    /// reset_password: the agent makes a password up and seals it to this process
    #[arg(long, conflicts_with_all = ["asynchronous", "timeout_secs"])]
    pub generate: bool,
    /// reset_password: the connected system's own reset, which mails the user a link; the temporary password it makes up
    /// is dropped unless --output-password or --show-password is given
    #[arg(long, conflicts_with_all = ["generate", "password_file"])]
    pub service: bool,
    /// Write a password that was made up to this file, mode 0600, which is made before anything is submitted
    #[arg(long, conflicts_with_all = ["asynchronous", "timeout_secs"])]
    pub output_password: Option<PathBuf>,
    /// Show a password that was made up on the terminal
    #[arg(long, conflicts_with = "asynchronous")]
    pub show_password: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub import: Import,
    /// export, describe_schema, collect: the parameters as JSON, e.g. {"object": "User", "format": "csv"}
    #[arg(long)]
    pub params: Option<String>,
    /// export, describe_schema, collect: the file; it appears when it is whole, mode 0600
    #[arg(long, conflicts_with = "asynchronous")]
    pub output: Option<PathBuf>,
    /// export, describe_schema, collect: keep the key that opens what comes of the task in this new file, mode 0600, for `task results --key`
    #[arg(long, requires = "asynchronous")]
    pub result_key: Option<PathBuf>,
    /// Who is behind the task: it is refused if the connected system does not take it from there
    #[arg(long, value_parser = ["administrator", "user", "obo_user", "workflow"], default_value = "administrator")]
    pub origin: String,
    /// Do not wait for the outcome
    #[arg(long = "async")]
    pub asynchronous: bool,
    /// The task must not be begun later than this from now
    #[arg(long)]
    pub deadline_secs: Option<u64>,
    /// Larger goes first, 0 to 255
    #[arg(long, default_value_t = 100)]
    pub priority: u8,
    /// Give up waiting after so long; the task goes on
    #[arg(long)]
    pub timeout_secs: Option<u64>,
    /// The task's id, so that a repeated submission is the same task; made up if not given
    #[arg(long)]
    pub id: Option<TaskId>,
}

/// What belongs to `import_batch` alone.
#[derive(Debug, Args)]
pub struct Import {
    /// import_batch: the dataset
    #[arg(long)]
    pub dataset: Option<PathBuf>,
    /// import_batch: how the dataset is written, xml, csv or jsonl; without this, the file's extension says it
    #[arg(long)]
    pub format: Option<Format>,
    /// import_batch: what parts the cells of a CSV file, as it is or by its name: comma, semicolon, tab or pipe;
    /// `found_out` looks at the header
    #[arg(long, value_parser = Delimiter::typed, default_value_t = Delimiter::FoundOut)]
    pub delimiter: Delimiter,
    /// import_batch: say what would be changed, entry by entry, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// import_batch: send nothing unless every entry passes the checks that can be made before
    #[arg(long)]
    pub all_or_none: bool,
    /// import_batch: more entries than this to create, or to modify, go as one job in bulk
    #[arg(long, default_value_t = Request::BULK_THRESHOLD)]
    pub bulk_threshold: u32,
    /// import_batch: how an attribute is treated, NAME=WORD,… with `replace`, `diff_with_target`,
    /// `add_diff_with_target`, `remove_diff_with_target`, `encrypted`, `audited`; may be repeated
    #[arg(long = "attribute")]
    pub attributes: Vec<Rule>,
    /// import_batch: the attribute that names an entry in the audit; without it, what names the account
    #[arg(long, default_value = "")]
    pub audit_key: String,
    /// import_batch: which connected system entries are for, `none`, `transaction_system_name` or `global_variable`
    #[arg(long, default_value_t = DynamicSystem::None)]
    pub dynamic_system: DynamicSystem,
    /// import_batch: the variable that names the connected system
    #[arg(long, default_value = "")]
    pub system_variable: String,
    /// import_batch: a variable, NAME=VALUE; may be repeated
    #[arg(long = "variable")]
    pub variables: Vec<Variable>,
}
