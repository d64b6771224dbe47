//! The key that records and payloads are encrypted with.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::private::{self, PrivateError};

const KEY_LEN: usize = 32;

/// The key that everything in the store is encrypted with: printed by nobody, wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StoreKey([u8; KEY_LEN]);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made, or others than the owner may read it.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The file is no key.
    #[error("the store key `{path}` does not hold 32 bytes: bring back the original")]
    WrongLength {
        /// The key file.
        path: PathBuf,
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
    /// [`KeyError::Private`] when group or others have any permission on the file.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Private(error)) if error.is_missing() => {
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
        let bytes = private::read(path, KEY_LEN)?;
        let key = bytes.as_slice().try_into().map_err(|_| KeyError::WrongLength { path: path.to_owned() })?;
        Ok(Self(key))
    }

    fn create(path: &Path) -> Result<(), KeyError> {
        let error = || PrivateError::io("create", path);
        let mut key = Self([0; KEY_LEN]);
        getrandom::fill(&mut key.0).map_err(KeyError::Entropy)?;

        let new = path.with_added_extension(format!("{}.new", std::process::id()));
        let mut file = private::options().create(true).truncate(true).open(&new).map_err(error())?;
        file.write_all(&key.0).and_then(|()| file.sync_all()).map_err(error())?;
        // A link, unlike a rename, takes the place of nothing.
        let made = match fs::hard_link(&new, path) {
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        };
        made.and_then(|()| fs::remove_file(&new)).map_err(error())?;
        private::sync_parent(path)?;
        Ok(())
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

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
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

        let error = StoreKey::load_or_create(&path).unwrap_err();

        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.key");
        StoreKey::load_or_create(&path).unwrap();
        fs::write(&path, b"short").unwrap();

        let error = StoreKey::load_or_create(&path).unwrap_err();

        assert!(matches!(error, KeyError::WrongLength { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
