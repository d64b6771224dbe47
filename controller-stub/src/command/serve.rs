//! `serve`.

use super::store;
use crate::cli::Serve;
use crate::config::{Config, Raw};
use crate::exit::{Exit, Failure};
use crate::{server, telemetry};

pub(super) fn run(options: Serve) -> Result<(), Failure> {
    telemetry::start(options.log_format, &options.log_level);
    let home = store::home(&options.data_dir, &options.store_key)?;
    let raw = Raw {
        data_dir: options.data_dir,
        home,
        listen: options.listen,
        api_listen: options.api_listen,
        api_names: options.api_names,
        health_listen: options.health_listen,
        health_open_to_the_network: options.health_open_to_the_network,
        api_calls_per_sec: options.api_calls_per_sec,
        api_failures_per_min: options.api_failures_per_min,
        enrollments_per_min: options.enrollments_per_min,
        public_names: options.public_names,
        auto_approve: options.auto_approve,
        certificate_days: options.certificate_days,
        certificate_secs: options.certificate_secs,
        recovery_days: options.recovery_days,
        lease_ttl_secs: options.lease_ttl_secs,
        settle_secs: options.settle_secs,
        heartbeat_secs: options.heartbeat_secs,
        keep_finished_days: options.keep_finished_days,
        keep_finished_tasks: options.keep_finished_tasks,
        max_connections: options.max_connections,
        max_handshakes: options.max_handshakes,
        max_handshakes_per_address: options.max_handshakes_per_address,
        otlp: options.otlp,
        ready_file: options.ready_file,
    };
    let config = Config::try_from(raw).map_err(|error| Failure::from_error(Exit::Configuration, &error))?;
    server::serve(&config)
}
