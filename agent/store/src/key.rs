use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::{Zeroize, ZeroizeOnDrop};

const KEY_LEN: usize = 32;

/// The key that everything in the store is encrypted with: printed by nobody, wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StoreKey([u8; KEY_LEN]);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Others than the owner may read the file.
    #[error("the store key `{path}` is open to others (mode {mode:04o}): run `chmod 600 {path}`")]
    WrongMode {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is no key.
    #[error("the store key `{path}` does not hold 32 bytes: bring back the original")]
    WrongLength {
        /// The key file.
        path: PathBuf,
    },
    /// The file cannot be read or made.
    #[error("failed to {doing} the store key `{path}`")]
    Io {
        /// What was attempted, as a verb.
        doing: &'static str,
        /// The key file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("failed to obtain random bytes: {0}")]
    Entropy(getrandom::Error),
}

impl StoreKey {
    /// A key from elsewhere, for example a systemd credential.
    ///
    /// (A credential may carry an access list whose mask shows as group permission, so whoever
    /// reads it decides about its mode.)
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The key in the file `path`, 32 raw bytes; a new random one is written if there is none.
    ///
    /// The new file is durable before it is used, so no store can outlive its key.
    ///
    /// # Errors
    ///
    /// [`KeyError::WrongMode`] when group or others have any permission on the file.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::create(path)?;
                // Read back rather than remembered: of two first starts at once, one won.
                Self::load(path)
            }
            other => other,
        }
    }

    pub(crate) const fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    fn load(path: &Path) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io { doing: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(io)?;
        let found = file.metadata().map_err(io)?;
        let mode = found.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::WrongMode { path: path.to_owned(), mode });
        }
        if found.len() != 32 {
            return Err(KeyError::WrongLength { path: path.to_owned() });
        }
        let mut key = Self([0; KEY_LEN]);
        file.read_exact(&mut key.0).map_err(io)?;
        Ok(key)
    }

    fn create(path: &Path) -> Result<(), KeyError> {
        let io = |source| KeyError::Io { doing: "create", path: path.to_owned(), source };
        let mut key = Self([0; KEY_LEN]);
        getrandom::fill(&mut key.0).map_err(KeyError::Entropy)?;

        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let new = PathBuf::from(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(io)?;
        file.write_all(&key.0).and_then(|()| file.sync_all()).map_err(io)?;
        match renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => fs::remove_file(&new).map_err(io),
            Err(errno) => Err(io(errno.into())),
            Ok(()) => {
                let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
                crate::private::sync_directory(directory.unwrap_or(Path::new("."))).map_err(io)
            }
        }
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");

        let made = StoreKey::load_or_create(&path).unwrap();
        let loaded = StoreKey::load_or_create(&path).unwrap();

        assert_eq!(made.expose(), loaded.expose());
        assert_ne!(made.expose(), &[0; KEY_LEN]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(format!("{made:?}"), "StoreKey(***)");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        StoreKey::load_or_create(&path).unwrap();

        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = StoreKey::load_or_create(&path).unwrap_err();
            assert!(matches!(error, KeyError::WrongMode { mode: found, .. } if found == mode));
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        StoreKey::load_or_create(&path).unwrap();
        fs::write(&path, b"short").unwrap();

        let error = StoreKey::load_or_create(&path).unwrap_err();

        assert!(matches!(error, KeyError::WrongLength { .. }));
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
