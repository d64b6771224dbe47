//! Payloads under another key.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::chunk::{self, SEALED_CHUNK};
use super::reader::is_gone;
use super::{SpoolError, SpoolId, parse};
use crate::seal::Sealer;
use crate::{StoreError, private};

/// Writes every payload of the directory `from` to `to`, chunk by chunk, under another key, and makes it durable. `told`
/// hears of each.
///
/// What is damaged stays damaged: nothing behind the place is taken along.
pub(crate) fn rekey(
    from: &Path,
    to: &Path,
    old: &Sealer,
    new: &Sealer,
    mut told: impl FnMut(),
) -> Result<(), SpoolError> {
    private::directory(to).map_err(StoreError::from)?;
    let error = || StoreError::io("read", from);
    for entry in fs::read_dir(from).map_err(error())? {
        let entry = entry.map_err(error())?;
        let target = to.join(entry.file_name());
        match entry.file_name().to_str().and_then(parse) {
            Some(id) => rewrite(&entry.path(), &target, id, old, new).map_err(|error| explain(error, id))?,
            // Whatever it is, it is no payload, and was left alone so far.
            None => fs::hard_link(entry.path(), &target).map_err(StoreError::io("keep", &entry.path()))?,
        }
        told();
    }
    Ok(private::sync_directory(to).map_err(StoreError::io("sync", to))?)
}

fn rewrite(from: &Path, to: &Path, id: SpoolId, old: &Sealer, new: &Sealer) -> io::Result<()> {
    let source = File::open(from)?;
    let mut target = private::options().create_new(true).open(to)?;
    let (mut sealed, mut again) = (Vec::with_capacity(SEALED_CHUNK), Vec::with_capacity(SEALED_CHUNK));
    for index in 0.. {
        sealed.clear();
        match (&source).take(chunk::to_u64(SEALED_CHUNK)).read_to_end(&mut sealed) {
            Err(error) if is_gone(&error) => break,
            read => read?,
        };
        let associated = chunk::associated(id, index);
        let Some(plain) = old.open(&associated, &sealed) else { break };
        again.clear();
        new.seal(&associated, &plain, &mut again).map_err(io::Error::other)?;
        target.write_all(&again)?;
    }
    target.sync_all()
}

fn explain(error: io::Error, id: SpoolId) -> SpoolError {
    SpoolError::io("write", id)(error)
}
