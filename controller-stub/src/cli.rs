//! The command line.

#![allow(clippy::doc_markdown, reason = "these comments are the help texts, which show no markup")]

mod audit;
mod ca;
mod member;
mod reach;
mod serve;
mod system;
mod task;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use postern_protocol::ClusterName;
use postern_protocol::id::ApiTokenName;
use postern_protocol::time::length;

pub use self::audit::{AuditCommand, WhichLog};
pub use self::ca::{CaCommand, Rotate};
pub use self::member::{Accept, MemberCommand};
pub use self::reach::Reach;
pub use self::serve::{Serve, StoreCommand, StoreKey};
pub use self::system::{Details, SystemCommand};
pub use self::task::{Import, Submit, TaskCommand};
use crate::access::Role;
use crate::exit;

const FIRST_SESSION: &str = "\
A first session, on one host:
  postern-controller serve --data-dir ./controller &
  export POSTERN_CONTROLLER_DATA_DIR=./controller
  postern-controller cluster create pilot
  (umask 077; postern-controller token create --cluster pilot > token.txt)
  (on the agent's host: postern enroll --controller wss://HOST:7443 < token.txt, then postern run)
  postern-controller member list
  postern-controller member approve mbr_0195d8a0...
  postern-controller system add acme --with pilot
  postern-controller task submit disable_user --system acme --account joe@example.com";

/// The reference controller of Postern: certificate authority, clusters, members, tasks.
#[derive(Debug, Parser)]
#[command(name = "postern-controller", version, after_help = first_session_and_exit_codes(), subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn first_session_and_exit_codes() -> String {
    format!("{FIRST_SESSION}\n\nExit codes:\n{}", exit::table())
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller until SIGTERM or SIGINT
    #[command(after_help = "\
Example:
  postern-controller serve --data-dir /var/lib/postern-controller --public-name controller.example.com

Agents connect to --listen over TLS 1.3; the certificate is made for the --public-name. The API is plain HTTP on the
loopback with bearer tokens. The first administrator's is made at the first start and written to `api.token` in the data
directory, where the other commands find it; `api-token` makes others, with roles.
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
    /// Make, list and revoke tokens for the API
    ApiToken {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: ApiTokenCommand,
    },
    /// Verify or show the audit log: who did what, and whether somebody changed the log
    Audit {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: AuditCommand,
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
    /// Approve, enable, disable, remove and list members, and accept their certificates after a restore
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
    /// Hand in what a member owes that was revoked
    Outbox {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: OutboxCommand,
    },
    /// Show the roots of the certificates, and replace one by another
    Ca {
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
        /// What to do.
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Change the key that the ledger and the payloads are encrypted with; the controller must not be running
    #[command(after_help = "Example:\n  postern-controller store rotate-key --data-dir /var/lib/postern-controller")]
    Store {
        /// What to do.
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Print the description of the API: OpenAPI 3.1
    #[command(after_help = "Example:\n  postern-controller openapi > openapi.json")]
    Openapi {
        /// For people, in Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Say how the controller is: members, tasks that are not finished, and members that somebody should look at
    #[command(after_help = "\
Examples:
  postern-controller status --data-dir ./controller
  postern-controller status --watch --interval 10s")]
    Status {
        /// Go on, and say it again when it changed, until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// How often to look
        #[arg(long, value_name = "TIME", value_parser = length, default_value = "2s", requires = "watch")]
        interval: Duration,
        /// How to reach the controller.
        #[command(flatten)]
        reach: Reach,
    },
}

/// Enrollment tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token that lets one agent enroll within 15 minutes; it is shown this once
    #[command(
        after_help = "Example:\n  (umask 077; postern-controller token create --cluster pilot > token.txt)\n  postern enroll --controller wss://controller.example.com:7443 < token.txt\n\nThe second is for the agent's host; bring the file there by a way that others cannot read."
    )]
    Create {
        /// The cluster the agent becomes a member of
        #[arg(long)]
        cluster: ClusterName,
    },
}

/// Tokens for the API.
#[derive(Debug, Subcommand)]
pub enum ApiTokenCommand {
    /// Make a token for somebody who uses the API; it is shown this once
    #[command(after_help = "\
Examples:
  (umask 077; postern-controller api-token create --name ci --role operator --expires 90d > ci.token)
  postern-controller task list --api-token-file ci.token

A viewer looks: at tasks, members and systems, not at sealed values or files of results. An operator submits and cancels tasks as
well, fetches what came of them, and lets members work or rest. An administrator does everything.")]
    Create {
        /// What to call it: lower-case letters, digits, `-`, `_` and `.`
        #[arg(long)]
        name: ApiTokenName,
        /// What it is good for
        #[arg(long, value_enum)]
        role: Role,
        /// After how long it runs out, e.g. 90d, 12h or 30m [default: never]
        #[arg(long, value_name = "TIME", value_parser = length)]
        expires: Option<Duration>,
    },
    /// List the tokens, without their secrets
    #[command(after_help = "Example:\n  postern-controller api-token list")]
    List,
    /// Take a token back, at once: what it still waits for ends too
    #[command(after_help = "Example:\n  postern-controller api-token revoke ci")]
    Revoke {
        /// Its name or its id
        #[arg(value_name = "NAME|ID")]
        token: String,
    },
}

/// Clusters.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make a cluster
    #[command(after_help = "Example:\n  postern-controller cluster create pilot")]
    Create {
        /// Its name: lower-case letters, digits, `-`, `_` and `.`
        name: ClusterName,
    },
    /// List the clusters
    #[command(after_help = "Example:\n  postern-controller cluster list --json")]
    List,
}

/// What members owe.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// Hand in the reports that `postern outbox export` wrote
    #[command(after_help = "\
Example:
  postern-controller outbox import outbox.jsonl

Each report counts as it would have in a session: under the lease it was done under it is the task's outcome, under an
earlier one it is kept beside it. It is taken only from a member that was revoked, and only unaltered. What became of
each is shown: finished, observed, not_open, never_leased, or why it was not taken (exit code 1).")]
    Import {
        /// The file
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The words of a line, as a shell parts them, up to what is for the shell.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for letter in line.trim().chars().chain([' ']) {
            match quote {
                Some(opening) if letter == opening => quote = None,
                None if matches!(letter, '\'' | '"') => quote = Some(letter),
                None if letter == ' ' => words.push(std::mem::take(&mut word)),
                Some(_) | None => word.push(letter),
            }
        }
        let end = words.iter().position(|it| matches!(it.as_str(), "&" | ">")).unwrap_or(words.len());
        words.truncate(end);
        words
    }

    /// The examples that a command's help has, and those below it.
    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let is_leaf = command.get_subcommands().next().is_none();
        assert!(!is_leaf || help.contains("Example"), "`{} --help` has no example", command.get_name());
        found.extend(help.lines().filter(|it| it.starts_with("  postern-controller ")).map(str::to_owned));
        command.get_subcommands().for_each(|below| examples(below, found));
    }

    #[test]
    fn every_command_has_an_example_and_every_example_is_a_command_line() {
        let mut found = Vec::new();
        examples(&Cli::command(), &mut found);
        assert!(found.len() > 40, "{found:?}");
        for line in found {
            // Ids and hashes are shown by their beginnings.
            let whole = line.replace("0195d8a0...", "0195d8a0000070008000000000000000");
            let whole = whole.replace("9f2c…", &"9f2c".repeat(16));
            assert!(Cli::try_parse_from(words(&whole)).is_ok(), "{line}");
        }
    }

    /// Let it, and the waiting ends with words of a task that goes on, while what comes of it can be opened by nobody.
    #[test]
    fn a_wait_for_what_only_this_process_can_open_has_no_end_of_its_own() {
        let export = "export --system acme --params {} --output users.csv";
        let reset = "reset_password --system acme --account joe --service";
        for task in [export, &format!("{reset} --show-password"), &format!("{reset} --output-password pw")] {
            let line = |more: &str| words(&format!("postern-controller task submit {task}{more}"));
            assert!(Cli::try_parse_from(line("")).is_ok(), "{task}");
            assert!(Cli::try_parse_from(line(" --timeout-secs 60")).is_err(), "{task}");
            assert!(Cli::try_parse_from(line(" --async")).is_err(), "{task}");
        }
    }
}
