//! `postern reset-sign-in`.

use std::path::Path;

use super::{Failed, load_private, say};
use crate::cli::ResetSignIn;
use crate::connector;
use crate::exit::Exit;

pub(super) async fn run(config: &Path, options: &ResetSignIn) -> Result<Exit, Failed> {
    let config = load_private(config)?;
    let (system, kept) = super::kept_of(&config, &options.system)?;
    let reset = connector::type_of(system)?.reset_sign_in(&system.name, &kept).await;
    reset.map_err(|failure| Failed::new(Exit::Store, failure.to_string()))?;
    say(format_args!("the next task on `{}` signs in again", system.name));
    Ok(Exit::Ok)
}
