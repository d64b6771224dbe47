//! A store with its key: the directory of a program, where the key is a file beside the store, or comes from elsewhere.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use crate::open::aside;
use crate::private::{self, PrivateError, quoted};
use crate::rekey::Rekeying;
use crate::seal::Sealer;
use crate::{KeyError, KeySource, Opened, Options, Rekeyed, SpoolError, Store, StoreError, StoreKey, format};

const STORE: &str = "store";
const KEY: &str = "store.key";

/// What whoever gave a store a key from elsewhere is told, because no program has a copy of that.
pub const KEEP_A_COPY: &str = "keep a copy of the new key where passwords are kept: an encrypted credential can be read on this \
                               host alone, and no backup of the store can be opened without its key";

/// The directory of a program that has a store, and where the store's key is.
#[derive(Debug, Clone)]
pub struct Home {
    directory: PathBuf,
    key: KeySource,
}

/// Why a store cannot be opened with its key.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It is the key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is a payload.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl From<PrivateError> for HomeError {
    fn from(error: PrivateError) -> Self {
        Self::Key(error.into())
    }
}

/// The key of a store.
struct Found {
    key: StoreKey,
    /// It is the one that was to follow the one in the file.
    is_next: bool,
}

impl Home {
    /// A directory whose key is elsewhere.
    pub fn new(directory: impl Into<PathBuf>, key: KeySource) -> Self {
        Self { directory: directory.into(), key }
    }

    /// A directory whose key is a file in it.
    pub fn with_key_file(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let key = KeySource::File(directory.join(KEY));
        Self { directory, key }
    }

    /// Opens the store, making it and its key file if there are none. What a change of the key that was cut short left
    /// behind is brought to its end, or said if the key's place takes nothing: the key that fits is at hand either way.
    ///
    /// # Errors
    ///
    /// As for [`Store::open`], and [`KeyError`]; a store whose key is not there, or another, is left as it is.
    pub fn open(&self, options: &Options, now: u64) -> Result<Opened, HomeError> {
        let Found { key, is_next } = self.find()?;
        let opened = Store::open(&self.store(), &key, options, now)?;
        match self.settle(is_next) {
            Err(HomeError::Key(error)) => {
                let why = error.source().map(|it| format!(": {it}")).unwrap_or_default();
                tracing::warn!(
                    "a change of the store's key was cut short, and what it left at {} stays until a start may write there: \
                     {error}{why}",
                    self.key
                );
            }
            settled => settled?,
        }
        self.warn_of_a_key_left_behind();
        Ok(opened)
    }

    /// Where stores that were here before are kept: each was damaged, and what was in it nobody can tell.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn damaged_before(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut kept = aside(&self.store())?;
        kept.sort_unstable();
        Ok(kept)
    }

    /// Encrypts everything in the store under a new key: `to`, or one that is made, in the place of the one in the file.
    /// `told` hears how far it is.
    ///
    /// # Errors
    ///
    /// As for [`Home::open`]. The store is then that of the old key, unless [`Home::open`] says that it is not.
    pub fn rotate_key(
        &self,
        to: Option<&KeySource>,
        options: &Options,
        told: &mut dyn FnMut(Rekeyed),
    ) -> Result<(), HomeError> {
        if !self.has_store() {
            return Err(KeyError::NoStore(self.store()).into());
        }
        let Found { key: old, is_next } = self.find()?;
        let rekeying = Rekeying::begin(&self.store(), &old, options)?;
        self.settle(is_next)?;
        let new = match (to, &self.key) {
            (Some(to), _) => {
                let new = to.read()?;
                if self.fits(&new)? {
                    return Err(KeyError::Same(to.clone()).into());
                }
                new
            }
            (None, KeySource::File(path)) => {
                StoreKey::create(&next(path))?;
                StoreKey::load(&next(path))?
            }
            (None, from @ KeySource::Credential { .. }) => return Err(KeyError::NotOurs(from.clone()).into()),
        };
        let _held = rekeying.finish(&new, told)?;
        match (to, &self.key) {
            (None, _) => self.settle(true),
            (Some(_), KeySource::File(path)) => Ok(private::erase(path)?),
            (Some(_), KeySource::Credential { .. }) => Ok(()),
        }
    }

    fn store(&self) -> PathBuf {
        self.directory.join(STORE)
    }

    /// Whether there is a store.
    pub fn has_store(&self) -> bool {
        self.store().join("format").exists()
    }

    /// The key of the store that is there, or that is about to be made. Touches nothing of a store that is there.
    fn find(&self) -> Result<Found, HomeError> {
        if !self.has_store() {
            let key = match &self.key {
                KeySource::File(path) => StoreKey::load_or_create(path)?,
                from @ KeySource::Credential { .. } => from.read()?,
            };
            return Ok(Found { key, is_next: false });
        }
        let present = if_any(self.key.read())?;
        if let Some(key) = &present
            && self.fits(key)?
        {
            return Ok(Found { key: key.clone(), is_next: false });
        }
        if let KeySource::File(path) = &self.key
            && let Some(key) = if_any(StoreKey::load(&next(path)))?
            && self.fits(&key)?
        {
            return Ok(Found { key, is_next: true });
        }
        let (store, from) = (self.store(), self.key.clone());
        if present.is_none() {
            return Err(KeyError::Missing { store, from }.into());
        }
        let next = self.advice();
        Err(KeyError::Unfit { store, from, next }.into())
    }

    /// Whether the store that is there was made with this key, or does not say.
    fn fits(&self, key: &StoreKey) -> Result<bool, StoreError> {
        match format::look(&self.store(), &Sealer::new(key)) {
            Err(StoreError::WrongKey { .. }) => Ok(false),
            looked => looked.map(|_| true),
        }
    }

    /// What to do when the key does not fit.
    fn advice(&self) -> String {
        let beside = self.directory.join(KEY);
        let file = KeySource::File(beside.clone());
        match &self.key {
            KeySource::File(_) => "bring back the file that it was made with, or name the credential that its key was \
                                   moved to"
                .to_owned(),
            KeySource::Credential { name, .. } => match StoreKey::load(&beside).ok().map(|key| self.fits(&key)) {
                Some(Ok(true)) => format!(
                    "it is the key in {file}; make the credential of that file (`{first}test -s {beside} && {first}cat {beside} \
                     | systemd-creds encrypt --name={name} - /etc/credstore.encrypted/{name}`), or take the credential out of \
                     the configuration",
                    first = as_this_user(),
                    beside = quoted(&beside),
                ),
                Some(_) => {
                    format!("bring back the credential that it was made with; the key in {file} is another, too")
                }
                None => format!("bring back the credential that it was made with; there is no key in {file} either"),
            },
        }
    }

    /// Leaves one key, whoever holds the store.
    fn settle(&self, is_next: bool) -> Result<(), HomeError> {
        let KeySource::File(path) = &self.key else { return Ok(()) };
        if is_next {
            private::rename_over(&next(path), path)?;
        } else if aside(&self.store())?.is_empty() {
            // One that was moved aside does not say which key it is of: that may be this one alone.
            private::erase(&next(path))?;
        }
        Ok(())
    }

    fn warn_of_a_key_left_behind(&self) {
        if let Some(next) = self.key_left_behind() {
            tracing::warn!(
                file = %self.directory.join(KEY).display(), key = %self.key,
                "a key lies beside the store, which has its key from elsewhere: {next}"
            );
        }
    }

    /// What to do with a key that lies beside the store and is not used, if one does.
    fn key_left_behind(&self) -> Option<String> {
        let beside = self.directory.join(KEY);
        if matches!(self.key, KeySource::File(_)) || !beside.exists() {
            return None;
        }
        let fits = StoreKey::load(&beside).ok().and_then(|key| self.fits(&key).ok());
        let first = if fits == Some(false) {
            "it is an old one, as a change of the key leaves it that was cut short:"
        } else {
            "keep a copy where backups are kept, then"
        };
        Some(format!("{first} remove the file with `{}shred -u {}`", as_this_user(), quoted(&beside)))
    }
}

/// What has root do something as this user, and with this user's groups alone: root would follow a link in the directory.
fn as_this_user() -> String {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if user.is_root() {
        return String::new();
    }
    format!("setpriv --reuid={} --regid={} --clear-groups ", user.as_raw(), group.as_raw())
}

/// What follows the key in a file while it is changed.
fn next(path: &Path) -> PathBuf {
    path.with_added_extension("next")
}

fn if_any(read: Result<StoreKey, KeyError>) -> Result<Option<StoreKey>, KeyError> {
    match read {
        Err(KeyError::Private(error)) if error.is_missing() => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Advise a copy of whatever lies there, and the key that is given up because others saw it is kept.
    #[test]
    fn whoever_keeps_a_key_beside_the_store_is_told_whether_it_is_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let (beside, elsewhere) = (folder.path().join(KEY), folder.path().join("credential"));
        drop(Home::with_key_file(folder.path()).open(&Options::default(), 1).unwrap());
        fs::copy(&beside, &elsewhere).unwrap();
        let key = KeySource::Credential { name: "key".to_owned(), path: Some(elsewhere) };
        let home = Home::new(folder.path(), key);
        let removed = format!("`{}shred -u '{}'`", as_this_user(), beside.display());
        let told = home.key_left_behind().unwrap();
        assert!(told.starts_with("keep a copy") && told.ends_with(&removed), "{told}");
        fs::write(&beside, [5; 32]).unwrap();
        fs::set_permissions(&beside, Permissions::from_mode(0o600)).unwrap();
        assert!(home.key_left_behind().is_some_and(|it| it.starts_with("it is an old one")));
        fs::remove_file(&beside).unwrap();
        assert_eq!(home.key_left_behind(), None);
    }
}
