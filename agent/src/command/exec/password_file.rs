//! The file that a made-up password goes to.

use std::io::{self, Write as _};
use std::path::Path;

use postern_store::private::NewFile;

use super::Failed;
use crate::exit::Exit;

/// A file for its owner alone that is there before the password is set.
pub(super) struct PasswordFile(NewFile);

impl PasswordFile {
    /// Makes the file: a password that cannot be kept must not be set.
    pub(super) fn make(path: &Path) -> Result<Self, Failed> {
        NewFile::create(path).map(Self).map_err(|error| {
            let shown = path.display();
            let message = if error.kind() == io::ErrorKind::AlreadyExists {
                format!("`{shown}` is there already, and a password is written over nothing; name another file")
            } else {
                format!("`{shown}` cannot be made for the password; name another file: {error}")
            };
            Failed::new(Exit::Usage, message)
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes the password that was set.
    pub(super) fn fill(&mut self, password: &[u8]) -> Result<(), Failed> {
        let written = self.0.fill(|file| file.write_all(password).and_then(|()| file.write_all(b"\n")));
        written.map_err(|error| lost(self.0.path(), &error))
    }
}

fn lost(path: &Path, error: &io::Error) -> Failed {
    let message = format!(
        "the account has a new password that nobody knows, because it cannot be written to `{}` ({error}); run the \
         command again with a file that can be written",
        path.display()
    );
    Failed::new(Exit::Failed, message)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_for_its_owner_alone_and_written_over_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        PasswordFile::make(&path).unwrap().fill(b"hunter2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hunter2\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = PasswordFile::make(&path).err().unwrap();
        assert!(refused.message.contains("is there already"), "{}", refused.message);
        assert_eq!(fs::read(&path).unwrap(), b"hunter2\n");
    }

    #[test]
    fn whoever_loses_a_password_is_told_how_to_get_another() {
        let failed = lost(Path::new("new"), &io::ErrorKind::StorageFull.into());
        assert!(failed.message.contains("run the command again"), "{}", failed.message);
    }
}
