//! A line: how it is made, and how it is read.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{AuditError, Head, MAX_EVENT};

/// What stands before the hash of the line before.
const PREV: &str = ",\"prev\":\"";
/// What stands before a line's own hash.
const HASH: &str = ",\"hash\":\"";
/// Digits of a hash.
const DIGITS: usize = 64;

/// Something that happened, on its way to become a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it happened, in milliseconds of Unix time.
    pub time: u64,
    /// What happened: a JSON object on one line.
    pub what: String,
}

impl Event {
    /// The line that follows `head`, with its line feed, and the head it makes.
    ///
    /// # Errors
    ///
    /// [`AuditError::Event`].
    pub fn after(&self, head: Head) -> Result<(String, Head), AuditError> {
        let Self { time, what } = self;
        let is_object = what.starts_with('{') && what.ends_with('}');
        if !is_object || what.len() > MAX_EVENT || what.bytes().any(|byte| byte < b' ') {
            return Err(AuditError::Event { len: what.len() });
        }
        let time = Timestamp::from_millisecond(i64::try_from(*time).unwrap_or(0)).unwrap_or_default();
        let (number, prev) = (head.number.saturating_add(1), HEXLOWER.encode(&head.hash));
        let mut line = format!("{{\"no\":{number},\"time\":\"{time:.3}\",\"event\":{what}{PREV}{prev}\"");
        let hash: [u8; 32] = Sha256::digest(&line).into();
        // Writing to a string does not fail.
        let _ = writeln!(line, "{HASH}{}\"}}", HEXLOWER.encode(&hash));
        Ok((line, Head { number, hash }))
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It has not the form of one.
    #[error("this is not a line of the log: it was edited, or damaged")]
    Malformed,
    /// It is longer than lines may be.
    #[error("this is longer than a line of the log may be: it was edited, or damaged")]
    TooLong,
    /// Its hash is not that of what it says.
    #[error("the line was edited: its hash is not that of what it says")]
    Edited,
}

/// A line whose hash is that of what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number and its hash.
    pub head: Head,
    /// The hash of the line before, as it says.
    pub prev: [u8; 32],
    /// When it happened.
    pub time: &'a str,
    /// What happened: a JSON object.
    pub event: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line, without its line feed.
    ///
    /// # Errors
    ///
    /// [`Wrong::Malformed`] and [`Wrong::Edited`].
    pub fn read(line: &'a [u8]) -> Result<Self, Wrong> {
        let text = std::str::from_utf8(line).map_err(|_| Wrong::Malformed)?;
        let (said, hash) = Self::cut(text).ok_or(Wrong::Malformed)?;
        if Sha256::digest(said).as_slice() != hash.as_slice() {
            return Err(Wrong::Edited);
        }
        Self::parse(said, hash).ok_or(Wrong::Malformed)
    }

    /// What is hashed, and the hash.
    fn cut(text: &str) -> Option<(&str, [u8; 32])> {
        let rest = text.strip_suffix("\"}")?;
        let (said, hash) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
        Some((said.strip_suffix(HASH)?, digest(hash)?))
    }

    fn parse(said: &'a str, hash: [u8; 32]) -> Option<Self> {
        let rest = said.strip_suffix('"')?;
        let (rest, prev) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
        let (number, rest) = rest.strip_suffix(PREV)?.strip_prefix("{\"no\":")?.split_once(",\"time\":\"")?;
        let (time, event) = rest.split_once("\",\"event\":")?;
        Some(Self { head: Head { number: number.parse().ok()?, hash }, prev: digest(prev)?, time, event })
    }
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok()
}
