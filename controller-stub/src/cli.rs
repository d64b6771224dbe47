//! The command line.

#![allow(clippy::doc_markdown, reason = "these comments are the help texts, which show no markup")]

mod task;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use postern_protocol::id::ApiTokenName;
use postern_protocol::time::length;
use postern_protocol::{ClusterName, MemberId, SystemName};
use postern_store::audit::{Head, Since, VERIFY_HELP};

pub use task::{Import, Submit, TaskCommand};

use crate::access::Role;
use crate::exit;
use crate::telemetry::LogFormat;

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

/// How the controller runs.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where everything durable is: keys, ledger, payloads. Made if it is not there, mode 0700
    #[arg(long, env = "POSTERN_CONTROLLER_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Where the key of the ledger is
    #[command(flatten)]
    pub store_key: StoreKey,
    /// Where agents connect to
    #[arg(long, default_value = "0.0.0.0:7443")]
    pub listen: SocketAddr,
    /// Where the API is; loopback only
    #[arg(long, default_value = "127.0.0.1:7080")]
    pub api_listen: SocketAddr,
    /// A host name that callers of the API may use, because a proxy passes it on; may be repeated
    #[arg(long = "api-name", value_name = "NAME")]
    pub api_names: Vec<String>,
    /// How many calls of the API one token may make in a second, twice as many at once
    #[arg(long, value_name = "CALLS", default_value_t = 5_000)]
    pub api_calls_per_sec: u32,
    /// How many calls without a good token are told so in a minute, of one address; more are told to wait
    #[arg(long, value_name = "CALLS", default_value_t = 60)]
    pub api_failures_per_min: u32,
    /// How many enrollments and recoveries of one address are told in a minute why they were refused; more are told to wait
    #[arg(long, value_name = "ATTEMPTS", default_value_t = 120)]
    pub enrollments_per_min: u32,
    /// A host name or IP address that agents connect to; may be repeated [default: localhost, 127.0.0.1, ::1]
    #[arg(long = "public-name", value_name = "NAME")]
    pub public_names: Vec<String>,
    /// Enable new members without an operator comparing fingerprints; for pilots
    #[arg(long)]
    pub auto_approve: bool,
    /// How many days a member's certificate lasts, 1 to 30; members renew it at half of that
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub certificate_days: u64,
    /// For tests: how many seconds it lasts
    #[arg(long, value_name = "SECONDS", hide = true)]
    pub certificate_secs: Option<u64>,
    /// For how many days after its certificate ran out a member may get a new one by proof of the old key, 0 to 14
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    pub recovery_days: u64,
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
    /// How many connections agents may have at once, sessions and handshakes together
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 4096)]
    pub max_connections: usize,
    /// How many of them may be handshakes; beyond that the oldest makes room, of the address that has most
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 1024)]
    pub max_handshakes: usize,
    /// How many of these may come from one address: a whole fleet may live behind one proxy
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 1024)]
    pub max_handshakes_per_address: usize,
    /// Answer probes and Prometheus at this address, e.g. 127.0.0.1:9465: /live, /ready, /useful and /metrics. Without a token:
    /// whoever gets there sees them
    #[arg(long, value_name = "ADDRESS")]
    pub health_listen: Option<SocketAddr>,
    /// That address may be one that others than this host reach
    #[arg(long, requires = "health_listen")]
    pub health_open_to_the_network: bool,
    /// Tell of tasks as OpenTelemetry traces to the collector at this URL (OTLP over HTTP, in JSON; `/v1/traces` is appended)
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
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

/// Where the key of the ledger is.
#[derive(Debug, Args)]
pub struct StoreKey {
    /// The systemd credential with the key of the ledger and the payloads [default: the file `store.key` in --data-dir]
    #[arg(long, value_name = "NAME")]
    pub store_key_credential: Option<String>,
    /// Where systemd puts credentials
    #[arg(long, env = "CREDENTIALS_DIRECTORY", hide = true)]
    pub credentials_directory: Option<PathBuf>,
}

/// The store of a controller that is not running.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Encrypt everything under a new key; killed at any moment, the store is that of the old key or of the new
    #[command(after_help = "\
Examples:
  postern-controller store rotate-key --data-dir /var/lib/postern-controller
  postern-controller store rotate-key --data-dir /var/lib/postern-controller --new-credential store-key-2

It takes as much disk again as the store has, and is refused (79) while the controller runs.")]
    RotateKey {
        /// The data directory
        #[arg(long, env = "POSTERN_CONTROLLER_DATA_DIR")]
        data_dir: PathBuf,
        /// Where the present key is.
        #[command(flatten)]
        store_key: StoreKey,
        /// Take the new key from this systemd credential, which `serve` is to name from then on
        #[arg(long, value_name = "NAME")]
        new_credential: Option<String>,
    },
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
    /// The file with your token for the API, if not the first administrator's in --data-dir
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

/// Members.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// List the members
    #[command(after_help = "Example:\n  postern-controller member list --cluster pilot")]
    List {
        /// Of this cluster only
        #[arg(long)]
        cluster: Option<ClusterName>,
    },
    /// Show one member: its session, what it holds and owes, each connected system, its certificate, its last trouble
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
    /// Accept a certificate of a member that is newer than the one on record: this controller was put back from a copy
    #[command(after_help = "\
Examples:
  postern-controller member accept mbr_0195d8a0... --fingerprint 9f2c…
  postern-controller member accept --all --cluster pilot

Whoever was revoked since the copy was made is to be revoked again before. The fingerprint is the one that `postern status`
shows on the member's host. --all shows what would be accepted and asks; it leaves out members of which more than one
certificate is in use, because somebody may have a copy of them. The agents come back by themselves within a minute.")]
    Accept(Accept),
    /// Let a disabled or draining member work again
    #[command(
        after_help = "Example:\n  postern-controller member enable mbr_0195d8a0...\n\nOf one that was disabled because its state directory was copied, stop the copy first: the store that comes next is taken\nfor the right one."
    )]
    Enable {
        /// The member
        member: MemberId,
    },
    /// Let a member finish what it holds, then disable it; --hard: at once
    #[command(
        after_help = "Example:\n  postern-controller member disable mbr_0195d8a0... --hard\n\nWith --hard no further change is begun; what the member has not begun goes to others at once."
    )]
    Disable {
        /// The member
        member: MemberId,
        /// Do not wait for what it holds
        #[arg(long)]
        hard: bool,
    },
    /// Give a member nothing new: what it has begun it finishes, the rest goes to others
    #[command(
        after_help = "Example:\n  postern-controller member drain mbr_0195d8a0...\n\nFor a host that needs a rest. `member show` tells when it holds nothing more, `member enable` ends it; `member disable`\ndoes the same and then disables it."
    )]
    Drain {
        /// The member
        member: MemberId,
    },
    /// Throw a member out for good: its session ends, and no certificate of it is of use any more
    #[command(
        after_help = "Example:\n  postern-controller member revoke mbr_0195d8a0...\n\nIts agent can only come back as another member, with a new token (`postern enroll --again`). What it has not told yet is\ntaken out with `postern outbox export` there, and handed in with `postern-controller outbox import` here."
    )]
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

/// Which certificates are accepted.
#[derive(Debug, Args)]
pub struct Accept {
    /// The member
    #[arg(required_unless_present = "all")]
    pub member: Option<MemberId>,
    /// The fingerprint of the certificate, as `postern status` shows it on the member's host
    #[arg(long, required_unless_present = "all")]
    pub fingerprint: Option<String>,
    /// All that wait, after a look at them
    #[arg(long, conflicts_with_all = ["member", "fingerprint"])]
    pub all: bool,
    /// Of this cluster only
    #[arg(long, requires = "all")]
    pub cluster: Option<ClusterName>,
    /// Do not ask
    #[arg(long, requires = "all")]
    pub yes: bool,
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

/// The authority.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Show the roots, what each member has of them, and which step is next
    #[command(after_help = "Example:\n  postern-controller ca status --json")]
    Status,
    /// Replace the root by another, one step after the other, with members at work
    #[command(after_help = "\
Example, each as soon as `ca status` waits for nobody any more:
  postern-controller ca rotate begin
  postern-controller ca rotate switch
  postern-controller ca rotate finish

Between the steps members go on working. `ca rotate back` undoes the last step; after `finish` the way back is a new
rotation to the root that was kept: `ca rotate begin --root 1`.")]
    Rotate {
        /// The step.
        #[command(subcommand)]
        step: Rotate,
    },
}

/// The steps of a rotation.
#[derive(Debug, Subcommand)]
pub enum Rotate {
    /// Make a new root, and have members trust it beside the one there is
    #[command(after_help = "Example:\n  postern-controller ca rotate begin")]
    Begin {
        /// Not a new root but one that was kept, by the number in `ca status`
        #[arg(long, value_name = "NUMBER")]
        root: Option<u32>,
    },
    /// Let the new root sign: new certificates, the listener's own, tokens; members renew theirs within minutes
    #[command(after_help = "\
Example:
  postern-controller ca rotate switch

Tokens that were made before and not used yet name the old root: make new ones.")]
    Switch {
        /// Even if a member does not trust the new root yet: it cannot connect until `back`, or until it is enrolled again
        #[arg(long)]
        force: bool,
    },
    /// Trust the new root alone
    #[command(after_help = "Example:\n  postern-controller ca rotate finish")]
    Finish {
        /// Even if a member has a certificate of the old root: it gets another by proof of its key if it trusts the new
        /// root, and has to be enrolled again if not
        #[arg(long)]
        force: bool,
    },
    /// Undo the last step
    #[command(after_help = "Example:\n  postern-controller ca rotate back")]
    Back {
        /// Even if a member is shut out by it, as with `switch` and `finish`
        #[arg(long)]
        force: bool,
    },
}

/// Connected systems.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Add a connected system
    #[command(after_help = "\
Example:
  postern-controller system add acme --with pilot --display-name \"Salesforce, production\"

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
  postern-controller system edit acme --password-reset-by users_and_obo_user --owner ada@example.com
  postern-controller system edit acme --in fr --display-name \"Salesforce, production (fr)\"

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
    #[command(after_help = "Example:\n  postern-controller system show acme")]
    Show {
        /// The system
        name: SystemName,
    },
    /// Say who works on a connected system from now on
    #[command(after_help = "Example:\n  postern-controller system associate acme --with other-cluster")]
    Associate {
        /// The system
        name: SystemName,
        /// `server`, or the cluster whose members work on it
        #[arg(long = "with", value_name = "CLUSTER|server")]
        association: String,
    },
    /// Have members log more, or less, of a connected system for a while
    #[command(after_help = "\
Examples:
  postern-controller system log-level acme debug --for 2h
  postern-controller system log-level acme configured

The log stays on the hosts of the members, and names accounts from `debug` on. Members that come back meanwhile are told
what is left of the time; when it is over, what their configuration says holds again. A member's policy can refuse it:
`system show` tells what became of it at each.")]
    LogLevel {
        /// The system
        name: SystemName,
        /// error, warn, info, debug or trace; `configured` ends it
        level: String,
        /// For how long, at most a day, e.g. 2h or 30m
        #[arg(long = "for", value_name = "TIME", value_parser = length, default_value = "30m")]
        length: Duration,
    },
    /// Take a connected system away; its tasks have to be finished
    #[command(after_help = "Example:\n  postern-controller system remove acme")]
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
}
