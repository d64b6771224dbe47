//! The file that the entries of a dataset go to that did not succeed.

use std::fs::File;
use std::io;
use std::path::Path;

use postern_protocol::task::import_batch::Remainder;
use postern_store::excerpt;
use postern_store::private::NewFile;

use super::Failed;
use crate::exit::Exit;

/// A file for its owner alone, because it may hold passwords, that is there before anything is changed.
pub(super) struct RestFile(NewFile);

impl RestFile {
    /// Makes the file.
    pub(super) fn make(path: &Path) -> Result<Self, Failed> {
        NewFile::create(path).map(Self).map_err(|error| {
            let shown = path.display();
            let message = if error.kind() == io::ErrorKind::AlreadyExists {
                format!("`{shown}` is there already, and nothing is written over it; name another file")
            } else {
                format!("`{shown}` cannot be made for the entries that fail; name another file: {error}")
            };
            Failed::new(Exit::Usage, message)
        })
    }

    /// Writes what did not succeed of a dataset of so many entries, if anything, in the dataset's own form.
    pub(super) fn fill(&mut self, rest: &Remainder, entries: Option<u64>, dataset: &Path) -> Result<(), Failed> {
        let unread = |error: io::Error| {
            let shown = dataset.display();
            Failed::new(
                Exit::Failed,
                format!("the entries that failed cannot be read from `{shown}` any more: {error}"),
            )
        };
        let mut source = File::open(dataset).map_err(unread)?;
        let parts = rest.parts(source.metadata().map_err(unread)?.len(), entries);
        if parts.is_empty() {
            return Ok(());
        }
        self.0.fill(|file| excerpt(&mut source, &parts, file)).map_err(|error| {
            let shown = self.0.path().display();
            Failed::new(Exit::Failed, format!("the entries that failed cannot be written to `{shown}`: {error}"))
        })
    }
}
