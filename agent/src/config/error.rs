//! What can be wrong with the configuration.

use std::io;
use std::path::PathBuf;

use super::SecretError;

/// The configuration cannot be used. The process ends with exit code 78.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or not for us.
    #[error("the configuration `{path}` cannot be read; name another file with `--config`, or let this user read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// More than anybody writes by hand.
    #[error("the configuration `{path}` is larger than {limit} bytes; is it the right file?")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it may be, in bytes.
        limit: u64,
    },
    /// Something in the file is wrong.
    #[error("{path}:{line}: {}{problem}", if entry.is_empty() { String::new() } else { format!("{entry}: ") })]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The section or connected system; empty at the top.
        entry: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A secret that the file points to is not there, or not safe.
    #[error("{path}:{line}: {entry}: `{field}` cannot be used")]
    Secret {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The section or connected system.
        entry: String,
        /// The key.
        field: String,
        /// Why not, and what to do.
        #[source]
        source: Box<SecretError>,
    },
}
