//! Files and directories that belong to one user.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::StoreError;

/// Makes `path` and what is missing above it, mode 0700; an existing one must be private already.
pub(crate) fn directory(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StoreError::io("create", path))?;
    check(path, "700")
}

/// Refuses a file or directory on which group or others have any permission.
pub(crate) fn check(path: &Path, mend: &'static str) -> Result<(), StoreError> {
    let found = fs::metadata(path).map_err(StoreError::io("read", path))?;
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StoreError::WrongMode { path: path.to_owned(), mode, mend });
    }
    Ok(())
}

/// Options for a file of ours: read, write, mode 0600 when made.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Writes a small file so that after a crash it is either absent, old or whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let error = || StoreError::io("write", path);
    let mut file = options().create(true).truncate(true).open(&new).map_err(error())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(error())?;
    fs::rename(&new, path).map_err(error())?;
    sync_parent(path)
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes the name of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().unwrap_or(path);
    sync_directory(parent).map_err(StoreError::io("sync", parent))
}

/// Makes private, and durable, the files that sled made below `directory`.
///
/// sled knows nothing of modes; the directory was private all along, so nobody could look.
pub(crate) fn tighten(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let found = fs::metadata(&path)?;
        let mode = if found.is_dir() { 0o700 } else { 0o600 };
        if found.mode() & 0o7777 != mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        if found.is_file() {
            File::open(&path)?.sync_all()?;
        } else {
            tighten(&path)?;
        }
    }
    sync_directory(directory)
}
