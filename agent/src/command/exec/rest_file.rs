//! The file that the entries of a dataset go to that did not succeed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use postern_protocol::task::import_batch::Remainder;
use postern_store::{excerpt, private};

use super::Failed;
use crate::exit::Exit;

/// A file of mode 0600, because it may hold passwords, that exists before anything is changed, and goes again if
/// nothing is written to it.
pub(super) struct RestFile {
    file: File,
    path: PathBuf,
    is_filled: bool,
}

impl RestFile {
    /// Makes the file.
    pub(super) fn make(path: PathBuf) -> Result<Self, Failed> {
        let file = private::create_new(&path).map_err(|error| {
            let shown = path.display();
            let message = if error.kind() == io::ErrorKind::AlreadyExists {
                format!("`{shown}` is there already, and nothing is written over it; name another file")
            } else {
                format!("`{shown}` cannot be made for the entries that fail; name another file: {error}")
            };
            Failed::new(Exit::Usage, message)
        })?;
        Ok(Self { file, path, is_filled: false })
    }

    /// Writes what did not succeed of a dataset, in the dataset's own form.
    pub(super) fn fill(&mut self, rest: &Remainder, dataset: &Path) -> Result<(), Failed> {
        let written = File::open(dataset).and_then(|mut source| {
            let parts = rest.parts(source.metadata()?.len());
            self.is_filled = !parts.is_empty();
            excerpt(&mut source, &parts, &mut self.file)
        });
        written.map_err(|error| {
            let shown = self.path.display();
            Failed::new(Exit::Failed, format!("the entries that failed cannot be written to `{shown}`: {error}"))
        })
    }
}

impl Drop for RestFile {
    fn drop(&mut self) {
        if !self.is_filled {
            let _ = fs::remove_file(&self.path);
        }
    }
}
