//! A file that appears when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{fresh, sync_parent};

/// A file of mode 0600 that is not there before it is whole.
///
/// It grows as `<name>.part` and then takes its place, over a file that may be there. Dropped
/// before, nothing is left of it.
pub struct PartFile {
    out: Option<BufWriter<File>>,
    part: PathBuf,
    path: PathBuf,
}

impl PartFile {
    /// Begins the file `path`.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let part = Self::part(path);
        let out = Some(BufWriter::new(fresh(&part)?));
        Ok(Self { out, part, path: path.to_owned() })
    }

    /// Where the file `path` grows.
    pub fn part(path: &Path) -> PathBuf {
        path.with_added_extension("part")
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it durable under its name.
    ///
    /// # Errors
    ///
    /// What the system said; the file is not there then.
    pub fn complete(mut self) -> io::Result<()> {
        let Some(mut out) = self.out.take() else { return Ok(()) };
        let done =
            out.flush().and_then(|()| out.get_ref().sync_all()).and_then(|()| fs::rename(&self.part, &self.path));
        if done.is_err() {
            self.out = Some(out);
            return done;
        }
        sync_parent(&self.path).map_err(io::Error::other)
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if self.out.take().is_some() {
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.csv");
        fs::write(&path, "old").unwrap();

        let mut dropped = PartFile::begin(&path).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");

        let mut whole = PartFile::begin(&path).unwrap();
        whole.write_all(b"whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        whole.complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
