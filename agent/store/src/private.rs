//! Files and directories that belong to one user: those of the store, and the keys, tokens and certificates beside it.

mod inspection;
mod part_file;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use zeroize::Zeroizing;

/// Why a private file or directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// Group or others have some permission on it.
    #[error("`{path}` is open to others (mode {mode:04o}): run `chmod {mend:o} {path}`")]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that mend it.
        mend: u32,
    },
    /// It is not of who should have it.
    #[error("`{path}` belongs to user {owner} and not to {expected}: look who put it there")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// It is larger than what belongs there.
    #[error("`{path}` is larger than {limit} bytes: look whether it is the right file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most it may hold, in bytes.
        limit: usize,
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
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether it is what the disk did, which another time may not do: no fault of who named the file.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_of_the_disk(source))
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// Whether this is what a disk did: it is full, fails, or does not answer. Not that it may only be read, which is so wherever the
/// service manager lets nothing be written.
pub fn is_of_the_disk(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::STALE | Errno::TIMEDOUT | Errno::NFILE | Errno::MFILE)
    )
}

/// Makes a directory of mode 0700, and what is missing above it, and makes what it made durable. One that is there must
/// be private already.
///
/// # Errors
///
/// [`PrivateError::Exposed`] and [`PrivateError::Io`].
pub fn directory(path: &Path) -> Result<(), PrivateError> {
    let made: Vec<&Path> = path.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(PrivateError::io("create", path))?;
    check_directory(path)?;
    made.into_iter().rev().try_for_each(sync_parent)
}

/// Reads a file of at most `limit` bytes that only its owner may read.
///
/// # Errors
///
/// [`PrivateError::Exposed`], [`PrivateError::TooLarge`] and [`PrivateError::Io`].
pub fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
    let file = File::open(path).map_err(PrivateError::io("read", path))?;
    let found = file.metadata().map_err(PrivateError::io("read", path))?;
    check(path, &found, 0o600)?;
    read_all(path, file, limit)
}

/// [`read`], of a file that has to be of this user, wherever a link leads.
///
/// # Errors
///
/// [`PrivateError::Foreign`], and as for [`read`].
pub fn read_of(owner: u32, path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
    let file = File::open(path).map_err(PrivateError::io("read", path))?;
    let found = file.metadata().map_err(PrivateError::io("read", path))?;
    if found.uid() != owner {
        return Err(PrivateError::Foreign { path: path.to_owned(), owner: found.uid(), expected: owner });
    }
    check(path, &found, 0o600)?;
    read_all(path, file, limit)
}

/// [`read`], of a file whose mode somebody else answers for.
pub(crate) fn read_granted(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
    read_all(path, File::open(path).map_err(PrivateError::io("read", path))?, limit)
}

fn read_all(path: &Path, file: File, limit: usize) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
    let most = limit.saturating_add(1);
    // Room for everything from the beginning: a buffer that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    file.take(most.try_into().unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(PrivateError::io("read", path))?;
    if bytes.len() > limit {
        return Err(PrivateError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// [`read`], or nothing if there is no such file.
///
/// # Errors
///
/// As for [`read`].
pub fn read_if_any(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateError> {
    match read(path, limit) {
        Err(error) if error.is_missing() => Ok(None),
        read => read.map(Some),
    }
}

pub(crate) use inspection::quoted;
pub use inspection::{Inspection, NotPrivate};
pub use part_file::PartFile;

/// Writes a file of mode 0600: after a crash it has the old content or the new, never a part.
///
/// # Errors
///
/// [`PrivateError::Io`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), PrivateError> {
    let new = half_made(path);
    let error = || PrivateError::io("write", path);
    let mut file = fresh(&new).map_err(error())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(error())?;
    fs::rename(&new, path).map_err(error())?;
    sync_parent(path)
}

/// What a file is written as before it has its name.
fn half_made(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

/// Overwrites and removes what a process left that died in [`replace`] or [`supersede`], if one did. Not while anybody
/// writes the file: what is half-made may be what is there a moment later.
///
/// # Errors
///
/// [`PrivateError::Io`].
pub fn erase_half_made(path: &Path) -> Result<(), PrivateError> {
    erase(&half_made(path))
}

/// [`replace`] for a file of keys: what was there is overwritten, so that a key that is gone is gone from the disk as well,
/// as far as the disk writes where it is told to.
///
/// # Errors
///
/// [`PrivateError::Io`]. If only the overwriting failed, the new content is there.
pub fn supersede(path: &Path, bytes: &[u8]) -> Result<(), PrivateError> {
    overwriting(path, || replace(path, bytes))
}

/// Does what takes the name of a file away, and then overwrites what was in it.
fn overwriting(path: &Path, unname: impl FnOnce() -> Result<(), PrivateError>) -> Result<(), PrivateError> {
    // Still open when its name is taken away, so that no crash leaves a name with nothing behind it.
    let former = match options().open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        opened => Some(opened.map_err(PrivateError::io("write", path))?),
    };
    unname()?;
    former.map_or(Ok(()), |former| overwrite(&former).map_err(PrivateError::io("overwrite what was in", path)))
}

/// With zeros.
fn overwrite(mut file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

/// Puts a file in the place of another, of the same directory: after a crash that has the old content or the new.
///
/// # Errors
///
/// [`PrivateError::Io`].
pub fn rename(from: &Path, to: &Path) -> Result<(), PrivateError> {
    fs::rename(from, to).map_err(PrivateError::io("replace", to))?;
    sync_parent(to)
}

/// Removes a file, if it is there.
///
/// # Errors
///
/// [`PrivateError::Io`].
pub fn remove_if_any(path: &Path) -> Result<(), PrivateError> {
    match fs::remove_file(path) {
        // Of a place that may only be read Linux says so before it looks whether the name is there.
        Err(_) if is_absent(path) => Ok(()),
        removed => removed.map_err(PrivateError::io("remove", path)).and_then(|()| sync_parent(path)),
    }
}

fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// [`remove_if_any`] for a file of keys, which is overwritten as with [`supersede`].
pub(crate) fn erase(path: &Path) -> Result<(), PrivateError> {
    overwriting(path, || remove_if_any(path))
}

/// [`rename`] over a file of keys, which is overwritten as with [`supersede`].
pub(crate) fn rename_over(from: &Path, to: &Path) -> Result<(), PrivateError> {
    overwriting(to, || rename(from, to))
}

/// A file of mode 0600 where there was none: made before the work whose outcome it takes, because an outcome that
/// cannot be kept must not come about, and gone again unless it was filled, so that it is not in the way of the next try.
///
/// Its errors are what the system said, for whoever knows what the file is to hold.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    file: File,
    is_filled: bool,
}

impl NewFile {
    /// Makes the file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] where there is something already, and whatever else the system said.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = options().create_new(true).open(path)?;
        Ok(Self { path: path.to_owned(), file, is_filled: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets `write` write everything it is to hold, and makes that durable.
    ///
    /// # Errors
    ///
    /// What the system said; a part of what was to be written goes with the file.
    pub fn fill(&mut self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.file)?;
        self.file.sync_all()?;
        sync_directory(parent(&self.path))?;
        self.is_filled = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_filled {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Refuses a directory that others may use.
pub(crate) fn check_directory(path: &Path) -> Result<(), PrivateError> {
    let found = fs::metadata(path).map_err(PrivateError::io("read", path))?;
    check(path, &found, 0o700)
}

fn check(path: &Path, found: &Metadata, mend: u32) -> Result<(), PrivateError> {
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PrivateError::Exposed { path: path.to_owned(), mode, mend });
    }
    Ok(())
}

/// Options for a file of ours: read, write, mode 0600 when made.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Makes a file of ours in the place of what a killed process left there, or of what anybody put there who may: into that
/// nothing is written, nor where it leads.
pub(crate) fn fresh(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    options().create_new(true).open(path)
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes the name of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), PrivateError> {
    let parent = parent(path);
    sync_directory(parent).map_err(PrivateError::io("sync", parent))
}

/// The directory that `path` is in; the present one if it names none.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        replace(&path, b"secret").unwrap();
        assert_eq!(read(&path, 64).unwrap().as_slice(), b"secret");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path, 64).unwrap_err().to_string();
            assert!(error.contains("`chmod 600 ") && error.contains(&format!("mode {mode:04o}")), "{error}");
        }
    }

    #[test]
    fn a_directory_that_others_can_use_is_refused_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("above").join("state");
        directory(&path).unwrap();
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o7777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let error = directory(&path).unwrap_err().to_string();
        assert!(error.contains("`chmod 700 "), "{error}");
    }

    #[test]
    fn a_file_beyond_its_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        replace(&path, &[7; 64]).unwrap();
        assert_eq!(read(&path, 64).unwrap().len(), 64);
        assert!(matches!(read(&path, 63), Err(PrivateError::TooLarge { limit: 63, .. })));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_from_one_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("absent"), 64).unwrap_err().is_missing());
        assert!(read_if_any(&folder.path().join("absent"), 64).unwrap().is_none());
        assert!(!read_if_any(folder.path(), 64).unwrap_err().is_missing());
    }

    #[test]
    fn a_replaced_file_is_private_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.json");
        for content in [b"old".as_slice(), b"new"] {
            replace(&path, content).unwrap();
            assert_eq!(read(&path, 64).unwrap().as_slice(), content);
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Open it where it lies, and it keeps its mode, or what it leads to is emptied.
    #[test]
    fn what_somebody_put_where_a_file_is_half_made_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("ready"), folder.path().join("sealing.keys"));
        fs::write(half_made(&path), "").unwrap();
        fs::set_permissions(half_made(&path), fs::Permissions::from_mode(0o666)).unwrap();
        let mut theirs = File::open(half_made(&path)).unwrap();
        replace(&path, b"ready").unwrap();
        assert_eq!(read(&path, 64).unwrap().as_slice(), b"ready");
        let mut seen = Vec::new();
        theirs.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, b"");

        fs::write(&other, "keys").unwrap();
        std::os::unix::fs::symlink(&other, half_made(&path)).unwrap();
        replace(&path, b"again").unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!((fs::read(&path).unwrap(), fs::read(&other).unwrap()), (b"again".to_vec(), b"keys".to_vec()));
    }

    /// Let `supersede` only replace, and the old key can still be read.
    #[test]
    fn keys_that_are_gone_are_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        supersede(&path, b"old key").unwrap();
        let mut former = File::open(&path).unwrap();
        supersede(&path, b"new").unwrap();
        assert_eq!(read(&path, 64).unwrap().as_slice(), b"new");
        let mut left = Vec::new();
        former.read_to_end(&mut left).unwrap();
        assert_eq!(left, [0; 7]);
    }

    #[test]
    fn what_a_death_left_of_a_file_of_keys_is_overwritten_and_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        supersede(&path, b"keys").unwrap();
        fs::write(half_made(&path), b"half a key").unwrap();
        let mut left = File::open(half_made(&path)).unwrap();
        for _ in 0..2 {
            erase_half_made(&path).unwrap();
        }
        assert_eq!(read(&path, 64).unwrap().as_slice(), b"keys");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let mut bytes = Vec::new();
        left.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [0; 10]);
    }

    #[test]
    fn a_new_file_is_private_and_takes_the_place_of_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        NewFile::create(&path).unwrap().fill(|file| file.write_all(b"hunter2")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(NewFile::create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"hunter2");
    }

    /// A name that is not on disk takes the file with it when the power fails.
    #[test]
    fn a_new_file_is_filled_when_its_name_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("outcomes");
        fs::create_dir(&directory).unwrap();
        let mut file = NewFile::create(&directory.join("password")).unwrap();
        fs::rename(&directory, folder.path().join("elsewhere")).unwrap();
        assert!(file.fill(|file| file.write_all(b"hunter2")).is_err());
    }

    #[test]
    fn a_new_file_that_is_not_filled_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        drop(NewFile::create(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_new_file_that_holds_a_part_only_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let mut file = NewFile::create(&path).unwrap();
        let full = file.fill(|file| file.write_all(b"hun").and_then(|()| Err(io::ErrorKind::StorageFull.into())));
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_full_or_failing_disk_is_told_from_a_place_that_is_none() {
        let error = |errno: Errno| PrivateError::io("write", Path::new("api.json"))(errno.into());
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::IO, Errno::STALE] {
            assert!(error(errno).is_of_the_disk(), "{errno}");
        }
        for errno in [Errno::ACCESS, Errno::PERM, Errno::NOENT, Errno::NOTDIR, Errno::ISDIR, Errno::ROFS] {
            assert!(!error(errno).is_of_the_disk(), "{errno}");
        }
    }

    #[test]
    fn a_name_alone_is_in_the_present_directory() {
        assert_eq!(parent(Path::new("ready")), Path::new("."));
        assert_eq!(parent(Path::new("/var/ready")), Path::new("/var"));
    }
}
