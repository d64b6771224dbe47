//! Files for what only their owner may read: keys, passwords, tasks. Whatever is there already may be needed.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use postern_store::private::NewFile;

use crate::exit::{Exit, Failure};

/// Makes the file for `what`.
pub(super) fn create(path: &Path, what: &str) -> Result<NewFile, Failure> {
    NewFile::create(path).map_err(|error| {
        let path = path.display();
        let sentence = if error.kind() == ErrorKind::AlreadyExists {
            format!("`{path}` is there already, and a {what} is written over nothing; name another file")
        } else {
            format!("`{path}` cannot be made for the {what}; name another file: {error}")
        };
        Failure::new(Exit::Usage, sentence)
    })
}

/// Makes the file for `what`, with these bytes.
pub(super) fn keep(path: &Path, what: &str, bytes: &[u8]) -> Result<(), Failure> {
    create(path, what)?.fill(|file| file.write_all(bytes)).map_err(|error| {
        Failure::new(Exit::Failed, format!("the {what} cannot be written to `{}`: {error}", path.display()))
    })
}
