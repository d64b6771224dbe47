//! Files that belong to one user.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// No file of ours is larger.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a private file or directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// Others than the owner may use it.
    #[error("`{path}` is open to others (mode {mode:04o}): run `chmod {mend} {path}`")]
    WrongMode {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The mode that mends it.
        mend: &'static str,
    },
    /// The operating system refused.
    #[error("failed to {doing} `{path}`")]
    Io {
        /// What was attempted, as a verb.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl PrivateError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// Whether the file is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Makes a directory of mode 0700, or checks that an existing one is private.
pub fn directory(path: &Path) -> Result<(), PrivateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(PrivateError::io("create", path))?;
    let found = fs::metadata(path).map_err(PrivateError::io("read", path))?;
    check(path, found.mode(), "700")
}

/// Reads a private file; one that others may read is refused.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
    let file = File::open(path).map_err(PrivateError::io("read", path))?;
    let found = file.metadata().map_err(PrivateError::io("read", path))?;
    check(path, found.mode(), "600")?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(PrivateError::io("read", path))?;
    Ok(bytes)
}

/// Writes a file of mode 0600 so that after a crash it is either absent, old or whole.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), PrivateError> {
    let new = path.with_extension("new");
    let error = || PrivateError::io("write", path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new).map_err(error())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(error())?;
    fs::rename(&new, path).map_err(error())?;
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|it| it.sync_all()).map_err(error())
}

fn check(path: &Path, mode: u32, mend: &'static str) -> Result<(), PrivateError> {
    let mode = mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateError::WrongMode { path: path.to_owned(), mode, mend });
    }
    Ok(())
}
