//! Logs on standard error, as text or JSON.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postern_protocol::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How many lines strangers may cause in [`WHILE`]: enough to see who is refused and why, and 30 MiB in a day.
const LINES: u32 = 20;
const WHILE: Duration = Duration::from_secs(10);

/// Keeps strangers from filling the disk through the log.
#[derive(Debug, Default)]
pub struct Hush(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    since: Option<Timestamp>,
    lines: u32,
    unsaid: u64,
}

impl Hush {
    /// Whether one more line may be written. How many were not is said with the first that is again.
    pub fn allows(&self, now: Timestamp) -> bool {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.since.is_none_or(|since| now.since(since) >= WHILE) {
            if heard.unsaid > 0 {
                tracing::warn!(unsaid = heard.unsaid, "so many more strangers were turned away than the log tells of");
            }
            *heard = Heard { since: Some(now), ..Heard::default() };
        }
        let allowed = heard.lines < LINES;
        if allowed {
            heard.lines += 1;
        } else {
            heard.unsaid += 1;
        }
        allowed
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

/// Starts logging. A second call in one process changes nothing.
pub fn start(format: LogFormat, level: &str) {
    let filter = level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let _ = match format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_strangers_does_not_fill_the_log() {
        let hush = Hush::default();
        let allowed = |from: u64| (0..1000).filter(|n| hush.allows(Timestamp::from_millis(from + n))).count();
        assert_eq!((allowed(20_000), allowed(25_000), allowed(30_000)), (20, 0, 20));
    }

    #[test]
    fn a_level_is_given_for_everything_or_for_each_part() {
        for level in ["info", "warn,postern_controller_stub=debug", "postern_controller_stub=trace"] {
            assert!(level.parse::<Targets>().is_ok(), "{level}");
        }
    }
}
