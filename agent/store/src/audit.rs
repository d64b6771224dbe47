//! A log that shows whether it was changed: every line holds the hash of the line before it.
//!
//! A log is a directory of files, `00000001.jsonl` and on, of lines that number themselves from 1 without a gap:
//!
//! ```text
//! {"no":7,"time":"2026-03-01T08:15:00.250Z","event":{…},"prev":"<64 hex>","hash":"<64 hex>"}
//! ```
//!
//! `hash` is SHA-256 over the line up to `,"hash":`, which leaves out its last 75 bytes and the line feed; `prev` is the
//! `hash` of the line before, 64 zeros in the first one. Files go on where the one before ended. Nothing is ever deleted
//! here: whoever moves old files away notes the [`Head`] they ended with.
//!
//! What the chain cannot show is that its end was cut off, or that all of it was written anew. The [`Head`], kept
//! elsewhere, shows both.

mod check;
mod line;
mod log;
mod pen;
mod tail;
mod verify;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use check::{Check, Found, NotAMoment, Since, VERIFY_HELP, Whole};
use data_encoding::HEXLOWER;
pub use line::{Event, Line, Wrong};
pub use log::{Fault, Log, Opened, TakenUp};
pub use pen::{AGAIN, GATHER, Pen, Status};
pub use tail::backwards;
pub use verify::{Break, Verified, Verifier, VerifyError, Why};

use crate::private::PrivateError;

/// The most bytes of one line, its line feed included.
pub const MAX_LINE: usize = 64 * 1024;

/// The most bytes of one event: what the rest of a line takes is less than 512.
pub const MAX_EVENT: usize = MAX_LINE - 512;

/// A file that has grown to this is followed by the next.
pub const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The number and the hash of a line: they vouch for all lines up to it. The default is what comes before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The line's number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, HEXLOWER.encode_display(&self.hash))
    }
}

/// A head is written as `NUMBER:HASH`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a head is written NUMBER:HASH, a line's number and the 64 digits of its hash")]
pub struct NotAHead;

impl FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (number, hash) = text.split_once(':').ok_or(NotAHead)?;
        let hash = HEXLOWER.decode(hash.as_bytes()).map_err(|_| NotAHead)?;
        Ok(Self { number: number.parse().map_err(|_| NotAHead)?, hash: hash.try_into().map_err(|_| NotAHead)? })
    }
}

/// Why a log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Its directory or a file of it is not private, or the system refused.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// An event is no JSON object on one line of at most [`MAX_EVENT`] bytes.
    #[error("an event of {len} bytes is not a JSON object on one line of at most {MAX_EVENT} bytes")]
    Event {
        /// Its length.
        len: usize,
    },
    /// A line is not one that was written.
    #[error("a line of `{}` is not one that was written: {wrong}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        wrong: Wrong,
    },
}

impl AuditError {
    /// Whether there is no such directory or file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Private(error) if error.is_missing())
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let error = PrivateError::io(doing, path);
        |source| error(source).into()
    }
}

/// The files of a log, by their numbers, in order.
fn files(directory: &Path) -> Result<Vec<(u32, PathBuf)>, AuditError> {
    let error = || AuditError::io("list", directory);
    let mut files = Vec::new();
    for entry in directory.read_dir().map_err(error())? {
        let path = entry.map_err(error())?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_suffix(".jsonl").filter(|it| it.len() >= 8).and_then(|it| it.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    files.sort_unstable();
    Ok(files)
}

/// The file of this number.
fn file(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:08}.jsonl"))
}

#[cfg(test)]
mod tests;
