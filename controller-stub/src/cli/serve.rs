//! The controller itself on the command line: run it, and change the key of its store.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use tracing_subscriber::filter::Targets;

use crate::telemetry::{LogFormat, levels};

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
    /// How long a lease lasts, in seconds, with `--settle-secs` 840 at most; agents' `request_timeout_secs` must stay below two thirds of it
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
    /// How many finished tasks, the newest, are kept for longer; most take about 3.5 KiB of disk
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
    /// What is logged: off, error, warn, info, debug or trace, for parts of the program as in `info,postern_store=debug`
    #[arg(long, env = "POSTERN_CONTROLLER_LOG", default_value = "info", value_parser = levels)]
    pub log_level: Targets,
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
