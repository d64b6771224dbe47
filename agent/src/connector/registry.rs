//! Every type of connector there is, and what each is asked without being set up: by the commands, and before anything
//! starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use postern_protocol::{Failure, SystemName};

use super::{Connector, Keep, Pending, Whereabouts, salesforce};
use crate::config::{ConfigError, System};
use crate::doctor::Finding;

/// Every type, once.
pub const TYPES: &[&dyn ConnectorType] = &[&salesforce::Type];

/// The type of a system's connector.
pub fn type_of(system: &System) -> Result<&'static dyn ConnectorType, ConfigError> {
    TYPES.iter().find(|it| it.name() == system.connector).copied().ok_or_else(|| {
        let known: Vec<String> = TYPES.iter().map(|it| format!("`{}`", it.name())).collect();
        let problem = format!("there is no connector `{}`; there is: {}", system.connector, known.join(", "));
        system.invalid("connector", problem)
    })
}

/// One type of connector. Nothing of it signs in or asks its system anything.
pub trait ConnectorType: Sync {
    /// Its name, as in the configuration.
    fn name(&self) -> &'static str;

    /// Sets up the connector of a system. `keep` is what it finds again after a restart.
    fn build(&self, system: &System, keep: Arc<dyn Keep>) -> Result<Arc<dyn Connector>, ConfigError>;

    /// Reads what the settings of a system point to, so that a mistake in it shows before anything starts. Nothing of it
    /// is kept: secrets are read again whenever they are needed.
    fn check(&self, system: &System) -> Result<(), ConfigError>;

    /// Where a system is, and how it is reached. Reads no secret.
    fn whereabouts(&self, system: &System) -> Result<Whereabouts, ConfigError>;

    /// What there is to say of the way to sign in, as far as the configuration tells it.
    fn way_in(&self, _system: &System) -> Option<Finding> {
        None
    }

    /// What holds for the keys of its settings that the configuration does not give.
    fn defaults(&self, system: &System) -> Vec<(&'static str, String)>;

    /// Lets a system's service account be tried again after refusals, when their cause was mended outside of the
    /// configuration.
    fn reset_sign_in<'a>(&'a self, _system: &'a SystemName, _keep: &'a dyn Keep) -> Pending<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    /// The schemas of its systems, if administrators may edit them.
    fn schemas(&self) -> Option<&dyn Schemas> {
        None
    }

    /// The cursors of its deltas, if it has any.
    fn cursors(&self) -> Option<&dyn Cursors> {
        None
    }
}

/// Schemas that administrators may edit, each in a file that the configuration names.
pub trait Schemas: Sync {
    /// The file that a system's schema comes from, if the configuration names one.
    fn file(&self, system: &System) -> Result<Option<PathBuf>, ConfigError>;

    /// A system's schema in force.
    fn in_force(&self, system: &System) -> Result<SchemaFile, ConfigError>;

    /// The schema that every system begins with.
    fn standard(&self) -> SchemaFile;

    /// The schema that this XML describes, or what is wrong with it.
    fn read(&self, xml: &str) -> Result<SchemaFile, String>;

    /// The schema in a file, or why there is none.
    fn read_file(&self, file: &Path) -> Result<SchemaFile, String>;
}

/// A schema as administrators handle it.
pub struct SchemaFile {
    /// To be kept and edited.
    pub xml: String,
    /// To be looked at.
    pub text: String,
    /// How many attributes it has.
    pub attributes: usize,
    /// Attributes that are neither standard ones, nor the system's own, nor paths: perhaps misspelt.
    pub strange: Vec<String>,
}

/// The cursors of a connector's deltas.
pub trait Cursors: Sync {
    /// Those that a system has.
    fn all(&self, keep: &dyn Keep) -> Result<Vec<Standing>, Failure>;

    /// Forgets one and everything it remembers. Returns whether there was one.
    fn forget<'a>(&'a self, object: &'a str, name: &'a str, keep: &'a dyn Keep) -> Pending<'a, Result<bool, Failure>>;
}

/// How the cursor of a delta stands between runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The class of records, as the system spells it.
    pub object: String,
    /// Its name.
    pub name: String,
    /// Until when records were handed over, by the system's clock; nothing: none yet.
    pub until: Option<Timestamp>,
    /// How many records it remembers.
    pub records: u64,
}
