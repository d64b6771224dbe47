//! Every type of connector there is: one line each.

use std::sync::Arc;

use postern_protocol::Failure;

use super::salesforce::{self, Salesforce};
use super::{Connector, Keep};
use crate::config::{ConfigError, System};

/// Sets up the connector of a configured system. `keep` is what it finds again after a restart.
pub fn build(system: &System, keep: Arc<dyn Keep>) -> Result<Arc<dyn Connector>, ConfigError> {
    match system.connector.as_str() {
        salesforce::NAME => Ok(Arc::new(Salesforce::build(system, keep)?)),
        other => Err(unknown(system, other)),
    }
}

/// Reads what the settings of a configured system point to, so that a mistake in it shows before anything starts.
/// Nothing of it is kept: secrets are read again whenever they are needed.
pub fn check(system: &System) -> Result<(), ConfigError> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::check(system),
        other => Err(unknown(system, other)),
    }
}

/// Lets a system's service account be tried again after refusals.
pub async fn reset_sign_in(system: &System, keep: &dyn Keep) -> Result<(), Failure> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::reset_sign_in(&system.name, keep).await,
        _ => Ok(()),
    }
}

fn unknown(system: &System, name: &str) -> ConfigError {
    system.invalid("connector", format!("there is no connector `{name}`; there is: `{}`", salesforce::NAME))
}
