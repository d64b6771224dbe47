//! Files that the configuration names, read whole.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Reads a file of at most `limit` bytes. What is no file is refused before it is opened: to open a pipe is to wait for
/// whoever writes to it, and a device may have no end.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    read_up_to(File::open(path)?, limit)
}

/// Reads at most `limit` bytes, and refuses what is longer: what is behind them must not be left out in silence.
pub fn read_up_to(from: impl Read, limit: usize) -> Result<Vec<u8>> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// What was read, as text.
pub fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1_000;

    /// Open the pipe, and the test hangs; read the device to its end, and the memory does not last.
    #[test]
    fn a_pipe_and_a_device_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for path in [&pipe, folder.path(), Path::new("/dev/zero")] {
            assert_eq!(read_file(path, LIMIT).unwrap_err().kind(), ErrorKind::InvalidInput, "{}", path.display());
        }
        assert_eq!(read_up_to(std::io::repeat(0), LIMIT).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_file_is_read_whole_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (bytes, read) in [(0, Some(0)), (1_000, Some(1_000)), (1_001, None), (64 * 1024 * 1024, None)] {
            File::create(&path).unwrap().set_len(bytes).unwrap();
            assert_eq!(read_file(&path, LIMIT).ok().map(|it| it.len()), read);
        }
    }
}
