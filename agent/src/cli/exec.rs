//! The options of `postern exec`: one struct a task.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use postern_protocol::SystemName;
use postern_protocol::task::disable_user::IfRefused;
use postern_protocol::task::export::{DeltaMode, RecordFormat};
use postern_protocol::task::import_batch::{Delimiter, DynamicSystem, Format, Rule, Variable};
use postern_protocol::task::{collect, import_batch};

pub(super) const RESET_PASSWORD_EXAMPLES: &str = "\
Examples:
  postern exec reset_password --system acme --account joe@example.com --password-file new-password
  postern exec reset_password --system acme --account joe@example.com --generate new-password
  postern exec reset_password --system acme --account joe@example.com --service
  postern exec reset_password --system acme --account joe@example.com --service --temporary temporary-password";

pub(super) const IMPORT_BATCH_EXAMPLES: &str = "\
Example:
  postern exec import_batch --system acme --dataset users.xml --results results.jsonl

  <root>
    <entry changetype=\"modify\"><Username>joe@example.com</Username><Title>Lead</Title></entry>
  </root>

Rehearse with --dry-run, then run, then mend what --failed wrote and run that. The guide to datasets (datasets.md) says what
one may hold and what the results mean.";

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

/// Which task to run here, under the name its kind has everywhere; the usual spelling of commands will do as well.
#[derive(Debug, Subcommand)]
#[command(rename_all = "snake_case")]
pub enum Task {
    /// Prove that the connected system can be reached and signed in to.
    #[command(alias = "test-connection", after_help = "Example:\n  postern exec test_connection --system acme")]
    TestConnection(Common),
    /// Look an account up.
    #[command(
        alias = "validate-user",
        after_help = "Example:\n  postern exec validate_user --system acme --account joe@example.com"
    )]
    ValidateUser(OnAccount),
    /// Make an account active. One that is frozen stays so.
    #[command(
        alias = "enable-user",
        after_help = "Example:\n  postern exec enable_user --system acme --account joe@example.com"
    )]
    EnableUser(OnAccount),
    /// Keep an account from signing in.
    #[command(
        alias = "disable-user",
        after_help = "Examples:\n  postern exec disable_user --system acme --account joe@example.com\n  postern exec disable_user --system acme --account joe@example.com --if-refused freeze"
    )]
    DisableUser(DisableUser),
    /// Suspend an account's sign-in at once, without freeing its license.
    #[command(
        alias = "freeze-user",
        after_help = "Example:\n  postern exec freeze_user --system acme --account joe@example.com"
    )]
    FreezeUser(OnAccount),
    /// End the suspension of an account's sign-in.
    #[command(
        alias = "unfreeze-user",
        after_help = "Example:\n  postern exec unfreeze_user --system acme --account joe@example.com"
    )]
    UnfreezeUser(OnAccount),
    /// Let an account sign in again that too many wrong passwords locked.
    #[command(
        alias = "unlock-user",
        after_help = "Example:\n  postern exec unlock_user --system acme --account joe@example.com"
    )]
    UnlockUser(OnAccount),
    /// Give an account a new password: one from a file, one made up here, or Salesforce's own reset.
    #[command(alias = "reset-password")]
    ResetPassword(ResetPassword),
    /// Make an account's password useless at once.
    #[command(
        alias = "expire-password",
        after_help = "Example:\n  postern exec expire_password --system acme --account joe@example.com\n\nSalesforce's own reset: the old password is dead, and the user gets a mail with a link to choose a new one."
    )]
    ExpirePassword(ExpirePassword),
    /// Take an account out of use for good: rename it, give it a password nobody knows, disable it.
    ///
    /// With a new e-mail address it stops before the last step until somebody has clicked the link in the mail; run the
    /// same again then.
    #[command(
        alias = "deprovision-user",
        after_help = "Examples:\n  postern exec deprovision_user --system acme --account joe@example.com\n  postern exec deprovision_user --system acme --account joe@example.com --email dead-letters@example.com"
    )]
    DeprovisionUser(DeprovisionUser),
    /// Put an account that was taken out of use back.
    #[command(
        alias = "restore-user",
        after_help = "Example:\n  postern exec restore_user --system acme --account joe@example.com.deleted --name joe@example.com --password-file pw"
    )]
    RestoreUser(RestoreUser),
    /// Create and modify accounts from a dataset.
    #[command(alias = "import-batch")]
    ImportBatch(ImportBatch),
    /// Write records of one class to a file.
    #[command(
        after_help = "Examples:\n  postern exec export --system acme --object User --format csv --output users.csv\n  postern exec export --system acme --attributes Username,Profile.Name --filter '{\"attribute\":\"IsActive\",\"equals\":true}' --output active.jsonl\n  postern exec export --system acme --delta nightly --output changes.jsonl"
    )]
    Export(Export),
    /// Write everything there is to know about users to a file, and who is there no longer.
    #[command(
        after_help = "Example:\n  postern exec collect --system acme --name audit --user-status active --output users.jsonl"
    )]
    Collect(Collect),
    /// Write the schema in force, refreshed from what the org says of itself, to a file.
    #[command(
        alias = "describe-schema",
        after_help = "Example:\n  postern exec describe_schema --system acme --add User.Size__c --output schema.xml"
    )]
    DescribeSchema(DescribeSchema),
}

/// Options of `postern exec disable_user`.
#[derive(Debug, Args)]
pub struct DisableUser {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub on: OnAccount,
    /// What becomes of an account that the connected system refuses to disable: fail or freeze.
    #[arg(long, value_name = "WHAT", default_value_t = IfRefused::Fail)]
    pub if_refused: IfRefused,
}

/// Options of `postern exec expire_password`.
#[derive(Debug, Args)]
pub struct ExpirePassword {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub on: OnAccount,
    /// Do it once more if there was no answer and no effect is to be seen: in the worst case the user gets a second mail.
    #[arg(long)]
    pub repeat_if_unknown: bool,
}

/// Options of `postern exec reset_password`.
#[derive(Debug, Args)]
#[command(after_help = RESET_PASSWORD_EXAMPLES, group = ArgGroup::new("source").required(true))]
pub struct ResetPassword {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub on: OnAccount,
    /// A file with the new password, one line; `-` is standard input.
    #[arg(long, value_name = "FILE", group = "source")]
    pub password_file: Option<PathBuf>,
    /// Make a password up and write it to this file, which must not be there yet and which only you can read.
    #[arg(long, value_name = "FILE", group = "source")]
    pub generate: Option<PathBuf>,
    /// Salesforce's own reset: the old password is dead, and the user gets a mail with a link to choose a new one.
    #[arg(long, group = "source")]
    pub service: bool,
    /// With --service: write the temporary password that Salesforce makes up, good until the user has chosen a new one,
    /// to this file, which must not be there yet and which only you can read. Without it nobody learns that password.
    #[arg(long, value_name = "FILE", requires = "service")]
    pub temporary: Option<PathBuf>,
    /// With --service: do it once more if there was no answer and no effect is to be seen: in the worst case the user gets a
    /// second mail.
    #[arg(long, requires = "service")]
    pub repeat_if_unknown: bool,
}

/// Options of `postern exec deprovision_user`.
#[derive(Debug, Args)]
pub struct DeprovisionUser {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub on: OnAccount,
    /// Its new name; without it, the old one with `.deleted` behind it.
    #[arg(long, value_name = "USERNAME", default_value = "", hide_default_value = true)]
    pub new_name: String,
    /// Its new e-mail address; without it, the old one stays.
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    pub email: String,
}

/// Options of `postern exec restore_user`.
#[derive(Debug, Args)]
pub struct RestoreUser {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub on: OnAccount,
    /// The name it gets back.
    #[arg(long, value_name = "USERNAME")]
    pub name: String,
    /// The e-mail address it gets; without it, the present one stays.
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    pub email: String,
    /// A file with its new password, one line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Options of `postern exec import_batch`.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_BATCH_EXAMPLES)]
pub struct ImportBatch {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub common: Common,
    /// The dataset.
    #[arg(long, value_name = "FILE")]
    pub dataset: PathBuf,
    /// How it is written: xml, csv or jsonl; without this, the file's extension says it.
    #[arg(long)]
    pub format: Option<Format>,
    /// What parts the cells of a CSV file, as it is or by its name: comma, semicolon, tab or pipe; `found_out` looks at the header.
    #[arg(long, value_parser = Delimiter::typed, default_value_t = Delimiter::FoundOut)]
    pub delimiter: Delimiter,
    /// Say what would be changed, entry by entry, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Send nothing unless every entry passes the checks that can be made before.
    #[arg(long)]
    pub all_or_none: bool,
    /// More entries than this to create, or to modify, go as one job in bulk.
    #[arg(long, value_name = "N", default_value_t = import_batch::Request::BULK_THRESHOLD)]
    pub bulk_threshold: u32,
    /// How an attribute is treated: `replace`, `diff_with_target`, `add_diff_with_target` or `remove_diff_with_target`,
    /// `encrypted`, `audited`; may be repeated.
    #[arg(long = "attribute", value_name = "NAME=WORD,…")]
    pub attributes: Vec<Rule>,
    /// The attribute whose value stands with each entry in the audit log, beside the account.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub audit_key: String,
    /// The attribute whose value is the account's id for you, e.g. `Id`, `FederationIdentifier` or `EmployeeNumber`; each
    /// line of the results tells it.
    #[arg(long, value_name = "NAME", default_value = import_batch::Request::NAMED_BY)]
    pub account_id: String,
    /// The attribute whose value the account signs in with; each line of the results tells it.
    #[arg(long, value_name = "NAME", default_value = import_batch::Request::NAMED_BY)]
    pub login_id: String,
    /// Which connected system entries are for: `none` (this one), `transaction_system_name` (the one they name in
    /// `Transaction-SystemName`), `global_variable` (the one that a variable names).
    #[arg(long, value_name = "HOW", default_value_t = DynamicSystem::None)]
    pub dynamic_system: DynamicSystem,
    /// The variable that names the connected system.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub system_variable: String,
    /// A variable; may be repeated.
    #[arg(long = "variable", value_name = "NAME=VALUE")]
    pub variables: Vec<Variable>,
    /// Write one JSON line for each entry here; the first twenty that failed are printed in any case. The file appears
    /// when it is whole, and replaces one that is there; only you can read it.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Write the entries that did not succeed here, in the form of the dataset: mended, it can be fed back. The file
    /// must not be there yet; only you can read it.
    #[arg(long, value_name = "FILE")]
    pub failed: Option<PathBuf>,
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
    /// Attributes, separated by commas, that alone make no change; nothing at all: every attribute makes one. Without
    /// this, those that tell of logins, looks and changes: `LastLoginDate`, `SystemModstamp` and their like.
    #[arg(long, requires = "delta", value_name = "NAMES")]
    pub incidental: Option<String>,
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

/// Options of `postern exec collect`.
#[derive(Debug, Args)]
pub struct Collect {
    #[command(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub common: Common,
    /// The collection: who was seen is remembered under this name, so that a later run can tell who is gone.
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Which users: active, inactive or all.
    #[arg(long, value_name = "STATUS", default_value_t = collect::UserStatus::All)]
    pub user_status: collect::UserStatus,
    /// How many sign-ins are told of each user, the newest ones; at most 100.
    #[arg(long, value_name = "N", default_value_t = collect::Request::LOGINS)]
    pub logins: u16,
    /// The file, JSON Lines. It appears when it is whole, and replaces one that is there.
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Options of `postern exec describe_schema`.
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
