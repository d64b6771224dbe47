//! A password that somebody hands to a program in a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// Why what was handed in is no password. Each sentence names the place.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The operating system refused.
    #[error("the password cannot be read from {place}")]
    Io {
        /// Where it was to be.
        place: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is nothing but line breaks.
    #[error("{0} holds no password")]
    Empty(String),
    /// There is more than a password may have.
    #[error("{0} is too large for a password")]
    TooLarge(String),
    /// There is another line.
    #[error("{0} holds more than one line, so it is not clear what the password is")]
    SeveralLines(String),
}

/// Reads a password of at most `limit` bytes, which is all there is in a file but the line breaks at its end. `-` is the
/// standard input.
///
/// # Errors
///
/// [`PasswordError`]; none repeats what was read.
pub fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, PasswordError> {
    if path == Path::new("-") {
        return read_from(io::stdin().lock(), "the standard input".to_owned(), limit);
    }
    let place = format!("`{}`", path.display());
    match File::open(path) {
        Ok(file) => read_from(file, place, limit),
        Err(source) => Err(PasswordError::Io { place, source }),
    }
}

fn read_from(source: impl Read, place: String, limit: usize) -> Result<Zeroizing<Vec<u8>>, PasswordError> {
    // With a line break, and one byte more that tells when there is more.
    let most = limit.saturating_add(3);
    // Room for everything from the beginning: a buffer that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    if let Err(source) = source.take(most.try_into().unwrap_or(u64::MAX)).read_to_end(&mut bytes) {
        return Err(PasswordError::Io { place, source });
    }
    let is_all = bytes.len() < most;
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    match &bytes[..] {
        [] => Err(PasswordError::Empty(place)),
        text if text.contains(&b'\n') => Err(PasswordError::SeveralLines(place)),
        text if text.len() > limit || !is_all => Err(PasswordError::TooLarge(place)),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<String, PasswordError> {
        read_from(text.as_bytes(), "`pw`".to_owned(), 8).map(|it| String::from_utf8(it.to_vec()).unwrap())
    }

    #[test]
    fn a_password_is_all_there_is_but_the_line_breaks_at_the_end() {
        for text in ["hunter 2", "hunter 2\n", "hunter 2\r\n"] {
            assert_eq!(read_text(text).unwrap(), "hunter 2");
        }
        assert_eq!(read_text("a\n\n").unwrap(), "a");
    }

    #[test]
    fn what_is_no_password_is_refused_without_repeating_it() {
        for (text, sentence) in [
            ("", "`pw` holds no password"),
            ("\r\n\n", "`pw` holds no password"),
            ("hunter 22", "`pw` is too large for a password"),
            ("hunter 2\n\n\n\nx", "`pw` is too large for a password"),
            ("hunter 2\nx", "`pw` holds more than one line, so it is not clear what the password is"),
            ("a\nb", "`pw` holds more than one line, so it is not clear what the password is"),
        ] {
            assert_eq!(read_text(text).unwrap_err().to_string(), sentence, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent");
        let error = read(&path, 8).unwrap_err();
        assert_eq!(error.to_string(), format!("the password cannot be read from `{}`", path.display()));
        assert!(matches!(error, PasswordError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound));
    }
}
