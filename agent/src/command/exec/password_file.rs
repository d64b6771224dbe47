//! The file that a made-up password goes to.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use postern_store::private;

use super::Failed;
use crate::exit::Exit;

/// A file of mode 0600 that exists before the password is set, and goes again if none is written.
pub(super) struct PasswordFile {
    file: File,
    path: PathBuf,
    is_filled: bool,
}

impl PasswordFile {
    /// Makes the file: a password that cannot be kept must not be set.
    pub(super) fn make(path: &Path) -> Result<Self, Failed> {
        let file = private::create_new(path).map_err(|error| {
            let shown = path.display();
            let message = if error.kind() == ErrorKind::AlreadyExists {
                format!("`{shown}` is there already, and a password is written over nothing; name another file")
            } else {
                format!("`{shown}` cannot be made for the password; name another file: {error}")
            };
            Failed::new(Exit::Usage, message)
        })?;
        Ok(Self { file, path: path.to_owned(), is_filled: false })
    }

    /// Writes the password that was set.
    pub(super) fn fill(&mut self, password: &[u8]) -> Result<(), Failed> {
        let written = self.file.write_all(password).and_then(|()| self.file.write_all(b"\n"));
        written.and_then(|()| self.file.sync_all()).map_err(|error| {
            let message = format!(
                "the account has a new password that nobody knows, because it cannot be written to `{}` ({error}); run \
                 the command again with a file that can be written",
                self.path.display()
            );
            Failed::new(Exit::Failed, message)
        })?;
        self.is_filled = true;
        Ok(())
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        if !self.is_filled {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn a_file_without_a_password_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        drop(PasswordFile::make(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_password_that_cannot_be_written_is_not_lost_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut file = PasswordFile { file: full, path: folder.path().join("new"), is_filled: false };
        let failed = file.fill(b"hunter2").unwrap_err();
        assert!(failed.message.contains("run the command again"), "{}", failed.message);
        assert!(!failed.message.contains("hunter2"));
    }
}
