//! What is kept of many records: its names, how many there may be, and who works on it.

pub(super) mod buckets;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;
use postern_protocol::{Failure, FailureClass};
use sha2::{Digest as _, Sha256};

use crate::connector::Keep;

/// Held by whoever changes a list of names: a list is read, and then written as a whole.
static LISTS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Makes a place for another name in a list that is kept, if there is one. Whether the name is in the list now.
pub(super) async fn admit(keep: &dyn Keep, list: &str, name: &str, most: usize) -> Result<bool, Failure> {
    let _alone = LISTS.lock().await;
    let mut names = names(keep, list)?;
    if names.iter().any(|known| known == name) {
        return Ok(true);
    }
    if names.len() >= most {
        return Ok(false);
    }
    names.push(name.to_owned());
    keep.keep(list, serde_json::to_vec(&names).unwrap_or_default()).await?;
    Ok(true)
}

/// Forgets what is kept under a name of a list, and makes its place free. Cut off in the middle, facts are left that count for
/// nothing without what is kept under the name, and go when that begins anew.
pub(super) async fn dismiss(keep: &dyn Keep, list: &str, name: &str) -> Result<(), Failure> {
    keep.forget(name).await?;
    buckets::forget(keep, name).await?;
    let _alone = LISTS.lock().await;
    let mut names = names(keep, list)?;
    names.retain(|known| known != name);
    keep.keep(list, serde_json::to_vec(&names).unwrap_or_default()).await
}

/// The names in a list that is kept.
pub(super) fn names(keep: &dyn Keep, list: &str) -> Result<Vec<String>, Failure> {
    let stored = keep.recall(list)?;
    Ok(stored.and_then(|names| serde_json::from_slice(&names).ok()).unwrap_or_default())
}

/// Whether what is kept of the records of one org would be taken for that of another. Of which one it was may not have been
/// kept, or not be known now.
pub(super) fn is_of_another(kept: &str, org: &str) -> bool {
    !kept.is_empty() && !org.is_empty() && kept != org
}

/// A name for texts that stands in clear on the disk.
pub(super) fn short_hash(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text.as_bytes());
    }
    let hash: [u8; 32] = hash.finalize().into();
    HEXLOWER.encode(hash.get(..12).unwrap_or_default())
}

/// Memories that a run is under way of.
#[derive(Default)]
pub(super) struct UnderWay(Mutex<BTreeSet<String>>);

impl UnderWay {
    /// Begins a run. `None`: another is under way, and each would undo what the other keeps.
    pub(super) fn begin(&self, place: &str) -> Option<Turn<'_>> {
        let began = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place.to_owned());
        began.then(|| Turn { all: self, place: place.to_owned() })
    }
}

/// A run that is under way.
pub(super) struct Turn<'a> {
    all: &'a UnderWay,
    place: String,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.place);
    }
}

/// Why a run does not begin while another is under way.
pub(super) fn busy(code: &str, what: &str) -> Failure {
    Failure::new(FailureClass::Transient, code, format!("Another run of {what} is under way"))
        .with_next_step("Wait until it has ended, or take another name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Kept;

    /// Without the lock the second writes a list that lacks the first.
    #[tokio::test]
    async fn names_that_are_let_in_at_once_are_all_in_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Kept::in_folder(folder.path());
        let names = ["one", "two", "three"];
        let let_in = names.map(|name| admit(&keep, "list", name, 3));
        assert!(futures_util::future::join_all(let_in).await.into_iter().all(|let_in| let_in == Ok(true)));
        assert_eq!(admit(&keep, "list", "four", 3).await, Ok(false));
    }
}
