//! The command line.

mod audit;
mod dataset;
mod doctor;
mod exec;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use postern_protocol::SystemName;
use postern_protocol::code::UnknownName;
use postern_protocol::message::v1::LogLevel;
use postern_protocol::time::length;

pub use audit::{Audit, AuditCommand, Show as AuditShow, Verify as AuditVerify};
pub use dataset::{Dataset, DatasetCommand, Split};
pub use doctor::Doctor;
pub use exec::{
    Collect, Common, DeprovisionUser, DescribeSchema, DisableUser, Exec, ExpirePassword, Export, ImportBatch,
    OnAccount, ResetPassword, RestoreUser, Task,
};

use crate::exit;

const FIRST_STEPS: &str = "\
First steps, with a configuration like the annotated /etc/postern/agent.toml of the packages:
  postern exec test_connection --system acme
  postern doctor
  postern enroll --controller wss://controller.example:7443 --token-file token.txt
  postern run
  postern status

The operator's guide is operations.md, which packages put into /usr/share/doc/postern.";

const ENROLL_EXAMPLES: &str = "\
Examples:
  postern enroll --controller wss://controller.example:7443 --token-file token.txt
  postern enroll --controller wss://a.example:7443 --controller wss://b.example:7443 < token.txt
  postern enroll --again --controller wss://controller.example:7443 --token-file token.txt

An operator makes the token with `postern-controller token create`; it is good for one
agent and 15 minutes. Then the operator compares the fingerprint that is printed here, and
approves the member. Both need the role administrator.";

const RUN_EXAMPLES: &str = "\
Examples:
  postern run
  postern run --config /etc/postern/agent.toml --ready-file /var/lib/postern/ready";

const EXEC_EXAMPLES: &str = "\
Examples:
  postern exec test_connection --system acme
  postern exec disable_user --system acme --account joe@example.com
  postern exec reset_password --system acme --account joe@example.com --generate new-password
  postern exec import_batch --system acme --dataset users.xml --results results.jsonl
  postern exec export --system acme --object User --format csv --output users.csv
  postern exec collect --system acme --name audit --user-status active --output users.jsonl";

const OUTBOX_EXAMPLES: &str = "\
Examples:
  postern outbox export --output outbox.jsonl

An operator hands the file in (needs the role administrator), and each report counts as it
would have in a session: postern-controller outbox import outbox.jsonl";

const STATUS_EXAMPLES: &str = "\
Examples:
  postern status
  postern status --watch --interval 10s
  postern status --json | jq .agent.link.state";

const LOG_LEVEL_EXAMPLES: &str = "\
Examples:
  postern log-level debug --system acme --for 2h
  postern log-level debug
  postern log-level configured --system acme";

const STORE_EXAMPLES: &str = "\
Examples:
  postern store rotate-key
  postern store rotate-key --new-credential store-key-2

With the key in a file, a new key takes its place. With the key in a systemd credential, or to move it there, make
another credential with 32 random bytes, and name it; afterwards the configuration has to name it as `store_key`.
The operator's guide has the commands.";

const POLICY_EXAMPLES: &str = "\
Examples:
  postern policy check task.json
  postern policy check task.json --json

The file is what is submitted to the controller's API:
  {\"system\": \"acme\", \"kind\": \"disable_user\", \"params\": {\"account\": \"joe@example.com\"}}";

/// Administers Salesforce users on behalf of a controller elsewhere. Dials out; needs no inbound port.
#[derive(Debug, Parser)]
#[command(name = "postern", version, after_help = first_steps_and_exit_codes(), disable_help_subcommand = true)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, default_value = "/etc/postern/agent.toml", value_name = "FILE")]
    pub config: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn first_steps_and_exit_codes() -> String {
    format!("{FIRST_STEPS}\n\nExit codes, of every command:\n{}", exit::table())
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Become a member of a cluster.
    ///
    /// Makes this agent's keys, checks that the controller is the one the token names, and stores the certificate it
    /// issues. Safe to repeat with the same token if the reply was lost. The agent must not be running.
    #[command(after_help = ENROLL_EXAMPLES)]
    Enroll(Enroll),
    /// Find out what is wrong: configuration, state directory, clock, controller, connected systems.
    ///
    /// Each line is ok, warning, failed or skipped, with what to do next. Changes nothing, and signs in to a connected
    /// system at most once, if the guard against lock-out lets it; a running agent is asked for what only it can know.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Doctor),
    /// Run until told to stop: keep a session with the controller and do the tasks it hands out.
    ///
    /// Before it starts, everything that the configuration names is looked at: secrets, keys, certificates. The log
    /// goes to the standard error stream.
    ///
    /// The first SIGTERM or SIGINT finishes what has begun to change an account, for 90 s at the most, gives the rest back
    /// and says goodbye; imports go on at the next start. The second stops everything where it can, the third ends the
    /// process.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Show how the agent with this configuration is: its membership, its session, what it holds and owes, its disk, each
    /// connected system, and what went wrong lately.
    ///
    /// Of an agent that does not run, it tells what its state directory does, and changes nothing. The exit code is 0 in
    /// either case.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Status),
    /// Say whether the running agent is live, ready or useful, for probes of containers.
    ///
    /// Live: its parts move and its disk takes what it writes. Ready: and it has a session with its controller, or has had none
    /// for less than five minutes. Useful: and it can do work now. Exit code 0: yes; 1: no, with the reasons, or the agent does
    /// not answer or does not run.
    #[command(after_help = "Examples:\n  postern health ready\n  postern health useful --json")]
    Health(Health),
    /// Have the running agent log more, or less, for a while: of one connected system, or of everything.
    ///
    /// When the time is over, what the configuration says holds again; so it does after a restart. From `debug` on, the
    /// log names accounts. Secrets never stand in it.
    #[command(after_help = LOG_LEVEL_EXAMPLES)]
    LogLevel(LogLevelOptions),
    /// Run one task here, without a controller, through the same connector and journal.
    ///
    /// For trying a set-up; no enrollment is needed. The agent must not be running on the same state directory. The
    /// outcome is printed, with the next step if the task did not succeed.
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(Exec),
    /// Look at, keep, replace or reset the schema of a connected system: which attributes its records have.
    ///
    /// Another schema than the standard one is the file that the system's settings name as `schema`.
    #[command(
        after_help = "Examples:\n  postern schema --system acme show\n  postern schema --system acme export --output schema.xml\n  postern schema --system acme import --from schema.xml\n  postern schema --system acme reset"
    )]
    Schema(Schema),
    /// Look at, or forget, what the deltas of a connected system have handed over.
    ///
    /// A cursor that is forgotten begins with everything again, and its place is free for another. The agent must not be
    /// running.
    #[command(
        after_help = "Examples:\n  postern cursor --system acme list\n  postern cursor --system acme forget --object User --name nightly"
    )]
    Cursor(Cursor),
    /// Take out what this agent owes the controller, when that does not hear it any more.
    #[command(after_help = OUTBOX_EXAMPLES)]
    Outbox(Outbox),
    /// Say what this agent's policy makes of a task, without doing it.
    ///
    /// The policy is the table `[connected_system.policy]` of the configuration.
    #[command(after_help = POLICY_EXAMPLES)]
    Policy(Policy),
    /// Verify or show the audit log: what this agent changed, and whether somebody changed the log.
    #[command(after_help = audit::EXAMPLES)]
    Audit(Audit),
    /// Prepare a dataset for `import_batch`.
    Dataset(Dataset),
    /// Change the key that the store is encrypted with.
    ///
    /// Every record and payload is encrypted again; killed at any moment, the store is that of the old key or of the new.
    /// It takes as much disk again as the store has. The agent must not be running.
    #[command(after_help = STORE_EXAMPLES)]
    Store(Store),
    /// Let the agent sign in again after the guard against lock-out stopped it.
    ///
    /// The guard counts refused sign-ins and stops before Salesforce locks the account. It lets the agent try again by
    /// itself when the credentials in the configuration change; use this when they were right and something else was
    /// mended. The agent must not be running.
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
    /// one (needs the role administrator); what the agent holds and owes stays in its store.
    #[arg(long)]
    pub again: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `postern run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Write this file once the first session is established, and remove it when the agent is asked to stop. One that a killed
    /// process left stays until the next start has the store: a script removes it itself before it starts the agent.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// For tests: for how many seconds secrets are sealed to one key.
    #[arg(long, value_name = "SECONDS", hide = true)]
    pub sealing_key_secs: Option<u64>,
    /// For tests: for how many seconds a key opens secrets after that.
    #[arg(long, value_name = "SECONDS", hide = true)]
    pub sealing_key_keep_secs: Option<u64>,
}

/// Options of `postern status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Print JSON; with --watch, a line of it whenever something changed.
    #[arg(long)]
    pub json: bool,
    /// Name the accounts that tasks are about, and tell of all that went wrong lately.
    #[arg(long, short)]
    pub verbose: bool,
    /// Go on until Ctrl-C: draw the screen anew on a terminal, elsewhere say what changed in lines.
    #[arg(long)]
    pub watch: bool,
    /// How often to look.
    #[arg(long, value_name = "TIME", value_parser = length, default_value = "2s", requires = "watch")]
    pub interval: Duration,
}

/// Options of `postern log-level`.
#[derive(Debug, Args)]
pub struct LogLevelOptions {
    /// error, warn, info, debug or trace; `configured` ends it.
    #[arg(value_name = "LEVEL")]
    pub level: WantedLevel,
    /// Of this connected system only.
    #[arg(long, value_name = "NAME")]
    pub system: Option<SystemName>,
    /// For how long, at most a day, e.g. 2h or 30m.
    #[arg(long = "for", value_name = "TIME", value_parser = length, default_value = "30m")]
    pub length: Duration,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `postern health`.
#[derive(Debug, Args)]
pub struct Health {
    /// What is asked.
    #[arg(value_enum)]
    pub word: HealthWord,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What may be said of an agent.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum HealthWord {
    /// Its parts move and its disk takes what it writes.
    Live,
    /// And it has what it needs to be given work.
    Ready,
    /// And it can do some now.
    Useful,
}

/// A level, or what the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct WantedLevel(pub Option<LogLevel>);

impl FromStr for WantedLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "configured" {
            return Ok(Self(None));
        }
        text.parse().map(|level| Self(Some(level))).map_err(|error: UnknownName| format!("{error}, configured"))
    }
}

/// Options of `postern cursor`.
#[derive(Debug, Args)]
pub struct Cursor {
    /// The connected system, as the configuration names it.
    #[arg(long, value_name = "NAME")]
    pub system: SystemName,
    /// What to do.
    #[command(subcommand)]
    pub command: CursorCommand,
}

/// What to do with cursors.
#[derive(Debug, Subcommand)]
pub enum CursorCommand {
    /// Show every cursor: of what it is, until when records were handed over, and how many it remembers.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Forget a cursor.
    Forget {
        /// The class of records it is of, e.g. `User`.
        #[arg(long, value_name = "NAME")]
        object: String,
        /// Its name, as the exports give it.
        #[arg(long, value_name = "NAME")]
        name: String,
    },
}

/// Options of `postern outbox`.
#[derive(Debug, Args)]
pub struct Outbox {
    /// What to do.
    #[command(subcommand)]
    pub command: OutboxCommand,
}

/// What to do with what is owed.
#[derive(Debug, Clone, Subcommand)]
pub enum OutboxCommand {
    /// Write the outcomes that the controller has not acknowledged to a file, one to a line, as JSON.
    ///
    /// For an agent whose member was revoked. Each line tells task, outcome and failure, and has the report as it would
    /// have been sent: its secrets stay sealed to whoever submitted the task, and a signature by this agent's key says
    /// that it is unaltered. Payloads of results stay here. Nothing is taken away, so that the agent still owes
    /// everything if it is enrolled again. The agent must not be running.
    Export {
        /// To this new file, which only its owner may read.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Options of `postern reset-sign-in`.
#[derive(Debug, Args)]
pub struct ResetSignIn {
    /// The connected system, as the configuration names it.
    #[arg(long, value_name = "NAME")]
    pub system: SystemName,
}

/// Options of `postern store`.
#[derive(Debug, Args)]
pub struct Store {
    /// What to do.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Encrypt everything under a new key.
    RotateKey {
        /// Take the new key from this systemd credential.
        #[arg(long, value_name = "NAME")]
        new_credential: Option<String>,
    },
}

/// Options of `postern policy`.
#[derive(Debug, Args)]
pub struct Policy {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// What to do with the policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say whether a task would be let through now, and which rule refuses it if not (exit code 1).
    ///
    /// Ceilings are not looked at, because they are counted when a change begins; nor are the entries of a dataset, which
    /// are looked at one by one then.
    Check {
        /// The task, as JSON.
        #[arg(value_name = "FILE")]
        task: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
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
        /// The XML, e.g. what `postern exec describe_schema` wrote.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Write the standard schema to the file that the settings name.
    Reset,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The examples that a command's help has, and those below it.
    fn examples(command: &clap::Command, of_parent: &[String], found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own: Vec<String> = help.lines().filter(|line| line.starts_with("  postern ")).map(str::to_owned).collect();
        let is_leaf = command.get_subcommands().next().is_none();
        let name = command.get_name();
        let teaches = |line: &String| line.split_whitespace().any(|word| word == name);
        assert!(!is_leaf || own.iter().chain(of_parent).any(teaches), "`{name} --help` has no example");
        command.get_subcommands().for_each(|below| examples(below, &own, found));
        found.extend(own);
    }

    #[test]
    fn every_command_has_an_example_and_every_example_is_a_command_line() {
        let mut found = Vec::new();
        examples(&Cli::command(), &[], &mut found);
        assert!(found.len() > 40, "{found:?}");
        for line in found {
            // As a shell would part it: quotes only keep a filter together. A hash is shown by its beginning.
            let line = line.replace("9f2c…", &"9f2c".repeat(16));
            let words = line.split_whitespace().take_while(|word| !matches!(*word, "<" | "|"));
            let words = words.map(|word| word.trim_matches('\''));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_parts_cells_is_given_by_the_character() {
        let words = ["exec", "import_batch", "--system", "acme", "--dataset", "x.csv", "--delimiter", ";"];
        assert!(Cli::try_parse_from(["postern"].into_iter().chain(words)).is_ok());
    }
}
