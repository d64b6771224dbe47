//! Tasks on the command line: submit, look at, wait for, cancel, and fetch what came of them.

mod fitting;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_protocol::task::disable_user::IfRefused;
use postern_protocol::task::import_batch::{Delimiter, DynamicSystem, Format, Request, Rule, Variable};
use postern_protocol::{SystemName, TaskId, TaskKind};

pub use self::fitting::Fitting;

/// Tasks.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Submit a task; secrets are sealed here, to the keys of the cluster's members
    #[command(after_help = "\
Examples:
  postern-controller task submit test_connection --system acme
  postern-controller task submit disable_user --system acme --account joe@example.com
  postern-controller task submit reset_password --system acme --account joe@example.com --password-file pw
  postern-controller task submit reset_password --system acme --account joe@example.com --generate --output-password new-pw
  postern-controller task submit reset_password --system acme --account joe@example.com --service
  postern-controller task submit deprovision_user --system acme --account joe@example.com --email dead-letters@example.com
  postern-controller task submit disable_user --system acme --account joe@example.com --sign-with signer.key
  postern-controller task submit disable_user --system acme --account joe@example.com --write task.json
  postern-controller task submit import_batch --system acme --dataset users.xml --async
  postern-controller task submit export --system acme --params '{\"object\": \"User\", \"format\": \"csv\"}' --output users.csv
  postern-controller task submit collect --system acme --params '{\"name\": \"audit\"}' --output users.jsonl

Kinds: test_connection, validate_user, enable_user, disable_user, freeze_user, unfreeze_user, unlock_user,
reset_password, expire_password, deprovision_user, restore_user, import_batch,
export, describe_schema, collect.
Exits with 0 when the task succeeded, or was taken in with --async; with 1 when it ended otherwise; with 80
when it goes on, or may have been taken in: the message names it, for `task wait`, before it is submitted again.")]
    Submit(Box<Fitting>),
    /// Submit a task that `task submit --write` wrote; more than once is no more than once
    #[command(after_help = "\
Examples:
  postern-controller task send task.json
  postern-controller task send task.json --async")]
    Send {
        /// The file
        file: PathBuf,
        /// Do not wait for the outcome
        #[arg(long = "async")]
        asynchronous: bool,
        /// Give up waiting after so long; the task goes on
        #[arg(long, conflicts_with = "asynchronous")]
        timeout_secs: Option<u64>,
    },
    /// Make a key that signs tasks in this new file, mode 0600, and print the public half, which agents list in
    /// `accepted_signers`
    #[command(after_help = "Example:\n  postern-controller task signing-key signer.key")]
    SigningKey {
        /// The file
        file: PathBuf,
    },
    /// Show one task: its state and what it waits for, its attempts, what came of it and what to do
    #[command(after_help = "Example:\n  postern-controller task show tsk_0195d8a0...")]
    Show {
        /// The task
        task: TaskId,
    },
    /// List tasks, the newest first
    #[command(after_help = "Example:\n  postern-controller task list --system acme --state queued --limit 20")]
    List {
        /// About this system only
        #[arg(long)]
        system: Option<SystemName>,
        /// In this state only
        #[arg(long, value_parser = ["queued", "needs_reseal", "leased", "accepted", "started", "in_doubt", "finished"])]
        state: Option<String>,
        /// At most so many; if there are more, that is said beside the list
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
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
    #[command(
        after_help = "Example:\n  postern-controller task cancel tsk_0195d8a0...\n\nOne that nobody has begun changes nothing any more. A change that has begun is finished; a batch\nbegins no further unit."
    )]
    Cancel {
        /// The task
        task: TaskId,
    },
    /// Seal the password of a task again that no member can open, to the keys that the members have now
    ///
    /// A task waits in the state needs_reseal when no member of its cluster has a key that its password was sealed to:
    /// its members were enrolled anew without their old keys, or it waited for longer than their old keys are kept. It keeps its id.
    #[command(after_help = "\
Examples:
  postern-controller task reseal tsk_0195d8a0... --password-file pw
  postern-controller task reseal tsk_0195d8a0... --password-file pw --sign-with signer.key")]
    Reseal {
        /// The task
        task: TaskId,
        /// A file with the password, one line; `-` is standard input
        #[arg(long)]
        password_file: PathBuf,
        /// Sign the task as it is now, with the key in this file: the signature it had is of what was sealed before
        #[arg(long, value_name = "KEYFILE")]
        sign_with: Option<PathBuf>,
    },
    /// Download what came of a batch, entry by entry, or what came of an export, opened with its key
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
    /// reset_password --service, expire_password: do it once more if there was no answer and no effect is to be seen; in the
    /// worst case the user gets a second mail
    #[arg(long)]
    pub repeat_if_unknown: bool,
    /// reset_password: write a password that was made up to this file, mode 0600, which is made before anything is submitted
    #[arg(long, conflicts_with_all = ["asynchronous", "timeout_secs"])]
    pub output_password: Option<PathBuf>,
    /// reset_password: show a password that was made up on the terminal
    #[arg(long, conflicts_with_all = ["asynchronous", "timeout_secs"])]
    pub show_password: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub import: Import,
    /// export, describe_schema, collect: the parameters as JSON, e.g. {"object": "User", "format": "csv"}
    #[arg(long)]
    pub params: Option<String>,
    /// export, describe_schema, collect: the file; it appears when it is whole, mode 0600
    #[arg(long, conflicts_with_all = ["asynchronous", "timeout_secs"])]
    pub output: Option<PathBuf>,
    /// export, describe_schema, collect: keep the key that opens what comes of the task in this new file, mode 0600, for
    /// `task results --key`
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
    #[arg(long, conflicts_with = "asynchronous")]
    pub timeout_secs: Option<u64>,
    /// Sign the task with the key in this file, for agents that take signed tasks only; `task signing-key` makes one
    #[arg(long, value_name = "KEYFILE")]
    pub sign_with: Option<PathBuf>,
    /// Write the task, sealed and signed as it would be submitted, to this new file, mode 0600, and submit nothing: for
    /// `postern policy check` on an agent's host, and for `task send`. Not for import_batch, export, describe_schema and
    /// collect
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["generate", "output_password", "show_password", "output", "asynchronous", "timeout_secs"]
    )]
    pub write: Option<PathBuf>,
    /// The task's id, so that a repeated submission is the same task; made up if not given. Not where something is
    /// sealed: each sealing is different
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
    /// import_batch: the attribute whose value stands with each entry in the audit log
    #[arg(long, default_value = "", hide_default_value = true)]
    pub audit_key: String,
    /// import_batch: the attribute whose value is the account's id for you; each line of the results tells it
    #[arg(long, default_value = Request::NAMED_BY)]
    pub account_id: String,
    /// import_batch: the attribute whose value the account signs in with; each line of the results tells it
    #[arg(long, default_value = Request::NAMED_BY)]
    pub login_id: String,
    /// import_batch: which connected system entries are for, `none`, `transaction_system_name` or `global_variable`
    #[arg(long, default_value_t = DynamicSystem::None)]
    pub dynamic_system: DynamicSystem,
    /// import_batch: the variable that names the connected system
    #[arg(long, default_value = "", hide_default_value = true)]
    pub system_variable: String,
    /// import_batch: a variable, NAME=VALUE; may be repeated
    #[arg(long = "variable")]
    pub variables: Vec<Variable>,
}
