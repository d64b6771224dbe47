//! Every type of connector there is: one line each.

use std::path::PathBuf;
use std::sync::Arc;

use postern_protocol::Failure;

use super::salesforce::{self, Salesforce, SchemaFile, Standing};
use super::{Connector, Keep, Whereabouts};
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

/// Where a system is, and how it is reached. Reads no secret.
pub fn whereabouts(system: &System) -> Result<Whereabouts, ConfigError> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::whereabouts(system),
        other => Err(unknown(system, other)),
    }
}

/// What holds for the keys of its settings that the configuration does not give.
pub fn defaults(system: &System) -> Vec<(&'static str, String)> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::defaults(system),
        _ => Vec::new(),
    }
}

/// Lets a system's service account be tried again after refusals.
pub async fn reset_sign_in(system: &System, keep: &dyn Keep) -> Result<(), Failure> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::reset_sign_in(&system.name, keep).await,
        _ => Ok(()),
    }
}

/// The cursors that the deltas of a system have.
pub fn cursors(system: &System, keep: &dyn Keep) -> Result<Vec<Standing>, Failure> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::cursors(keep),
        _ => Ok(Vec::new()),
    }
}

/// Forgets a cursor of a system and everything it remembers. Returns whether there was one.
pub async fn forget_cursor(system: &System, object: &str, name: &str, keep: &dyn Keep) -> Result<bool, Failure> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::forget_cursor(object, name, keep).await,
        _ => Ok(false),
    }
}

/// The file that a system's schema comes from, if the configuration names one.
pub fn schema_file(system: &System) -> Result<Option<PathBuf>, ConfigError> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::schema_file(system),
        other => Err(unknown(system, other)),
    }
}

/// A system's schema in force.
pub fn schema(system: &System) -> Result<SchemaFile, ConfigError> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::schema(system),
        other => Err(unknown(system, other)),
    }
}

/// The schema that a system begins with.
pub fn standard_schema(system: &System) -> Result<SchemaFile, ConfigError> {
    match system.connector.as_str() {
        salesforce::NAME => Ok(Salesforce::standard_schema()),
        other => Err(unknown(system, other)),
    }
}

/// The schema of a system that this XML describes, or what is wrong with it.
pub fn read_schema(system: &System, xml: &str) -> Result<SchemaFile, String> {
    match system.connector.as_str() {
        salesforce::NAME => Salesforce::read_schema(xml),
        other => Err(unknown(system, other).to_string()),
    }
}

fn unknown(system: &System, name: &str) -> ConfigError {
    system.invalid("connector", format!("there is no connector `{name}`; there is: `{}`", salesforce::NAME))
}
