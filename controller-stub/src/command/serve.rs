//! `serve`.

use super::store;
use crate::cli::Serve;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::{server, telemetry};

pub(super) fn run(options: Serve) -> Result<(), Failure> {
    telemetry::start(options.log_format, options.log_level.clone());
    let home = store::home(&options.data_dir, &options.store_key)?;
    let config = Config::of(options, home).map_err(|error| Failure::from_error(Exit::Configuration, &error))?;
    server::serve(&config)
}
