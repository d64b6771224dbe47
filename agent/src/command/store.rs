//! `postern store`: the key that everything is encrypted with.

use std::path::Path;

use postern_store::{KEEP_A_COPY, Options, Rekeyed};

use super::{Failed, load_private, say, say_error};
use crate::cli::{Store, StoreCommand};
use crate::config::SecretSource;
use crate::exit::Exit;
use crate::store::AgentStoreError;

pub(super) fn run(config_file: &Path, options: &Store) -> Result<Exit, Failed> {
    let config = load_private(config_file)?;
    let StoreCommand::RotateKey { new_credential } = &options.command;
    let to = new_credential.as_deref().map(SecretSource::store_credential).transpose();
    let to = to.map_err(|error| Failed::because(Exit::Usage, &error))?;
    let rotated = config.home().rotate_key(to.as_ref(), &Options::default(), &mut |told| match told {
        Rekeyed::Records(count) => say_error(format_args!("{count} records are written")),
        Rekeyed::Payloads(count) => say_error(format_args!("{count} payloads are written")),
    });
    rotated.map_err(AgentStoreError::from)?;
    say("everything in the store is encrypted under the new key");
    if let Some(name) = new_credential {
        say(format_args!(
            "before the agent starts again, `{}` has to say, in [agent]: store_key = {{ credential = \"{name}\" }}",
            config_file.display()
        ));
        say(KEEP_A_COPY);
    }
    Ok(Exit::Ok)
}
