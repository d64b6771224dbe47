//! The files that appear when they are whole: what a sealed payload is opened into, and the results of a batch.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use postern_protocol::message::v1::{Offer, Report};
use postern_protocol::plain::Chain;
use postern_protocol::seal::{SealContext, SealingKey};
use postern_store::private::PartFile;

use super::Failed;
use crate::app::App;
use crate::exit::Exit;
use crate::local::{self, PayloadError};

/// Begins the file before the task runs: what cannot be kept need not be asked for, and what could not be replaced at
/// the end is refused now.
pub(super) fn begin(path: &Path) -> Result<PartFile, Failed> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let message = format!("`{}` is no file that can be replaced; name another", path.display());
        return Err(Failed::new(Exit::Usage, message));
    }
    PartFile::begin(path).map_err(|error| {
        let message = format!("`{}` cannot be made; name another file: {error}", path.display());
        Failed::new(Exit::Usage, message)
    })
}

/// Whether writing the file `path` would take the place of the file `other`, by whatever name it is there.
pub(super) fn takes(path: &Path, other: &Path) -> bool {
    let Ok(other) = fs::metadata(other) else { return false };
    [path, &PartFile::part(path)]
        .into_iter()
        .any(|path| fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (other.dev(), other.ino())))
}

/// Opens the payload of a task into the file. A task without one leaves none.
pub(super) fn fill(file: PartFile, app: &App, key: &SealingKey, offer: &Offer, report: &Report) -> Result<(), Failed> {
    let kind = offer.kind.known().ok_or_else(|| Failed::new(Exit::Bug, "the task's kind is not known"))?;
    let context = SealContext { task: offer.task, kind, system: &offer.system, target: &offer.target };
    let shown = file.path().display().to_string();
    match local::write_payload(&app.store, std::slice::from_ref(key), context, report, file, &|_| Ok(())) {
        Ok(()) | Err(PayloadError::Missing) => Ok(()),
        Err(error @ PayloadError::Seal(_)) => Err(Failed::because(Exit::Bug, &error)),
        Err(error @ PayloadError::Spool(_)) => Err(Failed::because(Exit::Store, &error)),
        Err(PayloadError::File(error)) => {
            Err(Failed::new(Exit::Failed, format!("the file `{shown}` cannot be written: {}", Chain(&error))))
        }
    }
}
