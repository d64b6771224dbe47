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

/// Where the key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file that nobody else may read; made at the first start.
    File(PathBuf),
    /// In a credential that systemd hands over.
    Credential {
        /// Its name in the unit.
        name: String,
        /// The file it is handed over in; `None` if the process was handed no credentials.
        path: Option<PathBuf>,
    },
}

impl KeySource {
    /// The credential of this name, of a process that finds its credentials in `folder`.
    ///
    /// # Errors
    ///
    /// [`KeyError::BadName`] for what is no name of a credential.
    pub fn credential(name: &str, folder: Option<&Path>) -> Result<Self, KeyError> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(KeyError::BadName(name.to_owned()));
        }
        Ok(Self::Credential { name: name.to_owned(), path: folder.map(|folder| folder.join(name)) })
    }

    /// The key that is there.
    pub(crate) fn read(&self) -> Result<StoreKey, KeyError> {
        match self {
            Self::File(path) => StoreKey::load(path),
            Self::Credential { name, path } => {
                let none = || KeyError::NoCredential(name.clone());
                // systemd grants access with an access list, whose mask shows as group permission.
                let bytes = match private::read_granted(path.as_deref().ok_or_else(none)?, KEY_LEN) {
                    Err(error) if error.is_missing() => return Err(none()),
                    read => read?,
                };
                StoreKey::of(&bytes, self)
            }
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Credential { name, .. } => write!(f, "the credential `{name}`"),
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made, or others than the owner may read it.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// What is there is no key.
    #[error("{0} does not hold the 32 bytes of a store key: bring back the original")]
    WrongLength(KeySource),
    /// A name of a credential is not a path.
    #[error("`{0}` is not the name of a credential: write its name alone, without a path")]
    BadName(String),
    /// Not started by systemd with this credential.
    #[error(
        "there is no credential `{0}`: add `LoadCredentialEncrypted={0}:/etc/credstore.encrypted/{0}` to the systemd unit, or \
         correct its name"
    )]
    NoCredential(String),
    /// There is a store, and its key is gone. Nothing was touched.
    #[error(
        "the key of the store at `{store}` is not in {from}: bring the file back, or name the credential that the key was \
         moved to"
    )]
    Missing {
        /// The store's directory.
        store: PathBuf,
        /// Where it was looked for.
        from: KeySource,
    },
    /// The store was made with another key. Nothing was touched.
    #[error("the store at `{store}` was made with another key than that of {from}: {next}")]
    Unfit {
        /// The store's directory.
        store: PathBuf,
        /// Where the key is from.
        from: KeySource,
        /// What to do.
        next: String,
    },
    /// There is no store whose key could be changed.
    #[error("there is no store at `{0}` yet, so there is no key to change: look whether it is the right directory")]
    NoStore(PathBuf),
    /// The new key is the present one.
    #[error("{0} holds the key that the store has: put 32 other random bytes there")]
    Same(KeySource),
    /// Nobody but the operator writes credentials.
    #[error("{0} cannot be written from here: make another credential with a new key, and name it as the new one")]
    NotOurs(KeySource),
    /// The system gave no random bytes.
    #[error("failed to obtain random bytes: {0}")]
    Entropy(getrandom::Error),
}

impl KeyError {
    /// Whether it is what the disk did, which another time may not do.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Private(error) if error.is_of_the_disk())
    }
}

impl StoreKey {
    /// A key that the caller knows.
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

    pub(crate) fn load(path: &Path) -> Result<Self, KeyError> {
        Self::of(&private::read(path, KEY_LEN)?, &KeySource::File(path.to_owned()))
    }

    fn of(bytes: &[u8], from: &KeySource) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::WrongLength(from.clone()))
    }

    pub(crate) fn create(path: &Path) -> Result<(), KeyError> {
        let error = || PrivateError::io("create", path);
        let mut key = Self([0; KEY_LEN]);
        getrandom::fill(&mut key.0).map_err(KeyError::Entropy)?;

        let new = path.with_added_extension(format!("{}.new", std::process::id()));
        let mut file = private::fresh(&new).map_err(error())?;
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

        assert!(matches!(error, KeyError::WrongLength(_)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
