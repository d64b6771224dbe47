//! Logs on standard error, as text or JSON.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use postern_protocol::plain::in_a_log;
use postern_protocol::{MemberId, Timestamp, rate};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock;

/// The most members that are told apart: as many as there may be.
const MAX_TOLD_APART: usize = 10_000;

/// Keeps others from filling the disk through the log: all strangers together, and each member.
#[derive(Debug)]
pub struct Hush<K = ()> {
    heard: Mutex<rate::Hush<K>>,
    what_is_missing: &'static str,
}

impl<K: Ord + Copy> Hush<K> {
    fn new(most: usize, what_is_missing: &'static str) -> Self {
        Self { heard: Mutex::new(rate::Hush::new(most)), what_is_missing }
    }

    /// Whether one more line may be written about one of them. How many were not is said with the first that is again.
    pub fn allows_of(&self, who: K, now: Timestamp) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unsaid) = heard.allows(who, now) else { return false };
        if unsaid > 0 {
            tracing::warn!(unsaid, "{}", self.what_is_missing);
        }
        true
    }
}

impl Default for Hush {
    fn default() -> Self {
        Self::new(1, "so many more strangers were turned away than the log tells of")
    }
}

impl Hush {
    /// Whether one more line may be written.
    pub fn allows(&self, now: Timestamp) -> bool {
        self.allows_of((), now)
    }
}

impl Default for Hush<MemberId> {
    fn default() -> Self {
        Self::new(MAX_TOLD_APART, "members said, and were refused, so much more than the log tells of")
    }
}

/// What the log may tell of one member.
#[derive(Debug, Clone)]
pub struct MemberLines {
    member: MemberId,
    hush: Arc<Hush<MemberId>>,
}

impl MemberLines {
    /// Those of `member`, of whom others tell as well.
    pub const fn new(member: MemberId, hush: Arc<Hush<MemberId>>) -> Self {
        Self { member, hush }
    }

    /// Whether one more line may be written.
    pub fn allow(&self) -> bool {
        self.hush.allows_of(self.member, clock::now())
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads what is logged: parts between commas, each a level, or `NAME=LEVEL` for a part of the program. What no part names is
/// logged at `info`, since whoever asks for more of one thing does not ask for nothing of all others.
pub fn levels(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new().with_default(LevelFilter::INFO);
    for part in text.split(',') {
        targets = match part.split_once('=') {
            Some((name, word)) if !name.is_empty() => targets.with_target(name, level(word)?),
            Some(_) | None => targets.with_default(level(part)?),
        };
    }
    Ok(targets)
}

fn level(word: &str) -> Result<LevelFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // Empty or a number, it would be read as well, as nobody means it.
    let level = LEVELS.contains(&word).then(|| word.parse().ok()).flatten();
    level.ok_or_else(|| format!("`{word}` is no level: it is one of {}", LEVELS.join(", ")))
}

/// Starts logging. A second call in one process changes nothing.
pub fn start(format: LogFormat, levels: Targets) {
    let registry = tracing_subscriber::registry().with(levels);
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Lines).with_ansi(false);
    let _ = match format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    };
}

/// The standard error stream, for whole lines.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(in_a_log(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_is_given_for_everything_or_for_each_part() {
        let store = |text: &str, level| levels(text).unwrap().would_enable("postern_store", &level);
        for text in ["info", "postern_controller_stub=debug", "postern_controller_stub=debug,info"] {
            assert!(store(text, Level::INFO) && !store(text, Level::DEBUG), "{text}");
        }
        assert!(store("warn,postern_store=trace", Level::TRACE) && !store("error", Level::WARN));
        let debug = levels("warn,postern_controller_stub=debug").unwrap();
        assert!(debug.would_enable("postern_controller_stub::link", &Level::DEBUG));
    }

    /// Take it for the name of a part, and nothing of any other part is logged any more.
    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for text in ["warning", "inof", "5", "", "x=loud", "info;debug", "=info", "info,", "x="] {
            let error = levels(text).unwrap_err();
            assert!(error.contains("one of off, error, warn, info"), "`{text}`: {error}");
        }
    }
}
