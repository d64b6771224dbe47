//! `store`: the data directory of a controller on this host, and the key of what is in it.

use std::error::Error;
use std::path::Path;

use postern_store::private::Inspection;
use postern_store::{Home, KEEP_A_COPY, KeySource, Options, Rekeyed};

use super::output;
use crate::cli::{StoreCommand, StoreKey};
use crate::exit::{Exit, Failure};
use crate::server;

pub(super) fn run(command: StoreCommand) -> Result<(), Failure> {
    let StoreCommand::RotateKey { data_dir, store_key, new_credential } = command;
    let home = home(&data_dir, &store_key)?;
    let to = new_credential.as_deref().map(|name| credential(name, &store_key)).transpose()?;
    home.rotate_key(to.as_ref(), &Options::default(), &mut |told| match told {
        Rekeyed::Records(count) => output::remark(format!("{count} records are written")),
        Rekeyed::Payloads(count) => output::remark(format!("{count} payloads are written")),
    })
    .map_err(|error| server::home_failure(&error))?;
    output::say("everything in the store is encrypted under the new key");
    if let Some(name) = new_credential {
        output::say(format!("from now on: postern-controller serve --store-key-credential {name}"));
        output::say(KEEP_A_COPY);
    }
    Ok(())
}

/// A data directory, which nobody else may look into, with its store.
pub(super) fn home(data_dir: &Path, key: &StoreKey) -> Result<Home, Failure> {
    let mut inspection = Inspection::default();
    inspection.tree(data_dir).map_err(|error| unusable(&error))?;
    inspection.done().map_err(|error| unusable(&error))?;
    match &key.store_key_credential {
        Some(name) => Ok(Home::new(data_dir, credential(name, key)?)),
        None => Ok(Home::with_key_file(data_dir)),
    }
}

fn credential(name: &str, key: &StoreKey) -> Result<KeySource, Failure> {
    KeySource::credential(name, key.credentials_directory.as_deref()).map_err(|error| unusable(&error))
}

fn unusable(error: &dyn Error) -> Failure {
    Failure::from_error(Exit::Configuration, error)
}
