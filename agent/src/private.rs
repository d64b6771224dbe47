//! Files and directories that nobody else may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a private file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// The system said no.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Others can read it.
    #[error("`{path}` can be read by others (mode {mode:o}); run: chmod {wanted:o} {path}")]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// It is larger than such a file can be.
    #[error("`{path}` is larger than {limit} bytes; it cannot be what it should be")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> PrivateError + 'a {
    move |source| PrivateError::Io { doing, path: path.to_owned(), source }
}

/// Makes a directory of mode 0700 with its parents, or checks that it is one.
pub fn directory(path: &Path) -> Result<(), PrivateError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))?;
    check_mode(path, 0o700)
}

/// Refuses a file or directory that others can read or write.
pub fn check_mode(path: &Path, wanted: u32) -> Result<(), PrivateError> {
    let mode = fs::metadata(path).map_err(io_error("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PrivateError::Exposed { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

/// Reads a private file of at most `limit` bytes. `None` if there is none.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, PrivateError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io_error("read", path))?,
    };
    check_mode(path, 0o600)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(PrivateError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(Some(bytes))
}

/// Replaces a private file: after a crash it has the old content or the new, never a part.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), PrivateError> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .map_err(io_error("write", &part))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error("write", &part))?;
    fs::rename(&part, path).map_err(io_error("rename to", path))?;
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(io_error("sync", parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        replace(&path, b"secret").unwrap();
        assert_eq!(read(&path, 64).unwrap().unwrap(), b"secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read(&path, 64).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_file_beyond_its_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        replace(&path, &[0; 65]).unwrap();
        assert!(matches!(read(&path, 64), Err(PrivateError::TooLarge { .. })));
        assert!(read(&folder.path().join("absent"), 64).unwrap().is_none());
    }
}
