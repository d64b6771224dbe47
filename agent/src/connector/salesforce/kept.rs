//! Names of what is kept, and how many there may be.

use data_encoding::HEXLOWER;
use postern_protocol::Failure;
use sha2::{Digest as _, Sha256};

use crate::connector::Keep;

/// Makes a place for another name in a list that is kept, if there is one. Whether the name is in the list now.
pub(super) async fn admit(keep: &dyn Keep, list: &str, name: &str, most: usize) -> Result<bool, Failure> {
    let stored = keep.recall(list)?;
    let mut names: Vec<String> = stored.and_then(|names| serde_json::from_slice(&names).ok()).unwrap_or_default();
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
