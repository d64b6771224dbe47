//! What the agent says of itself while it runs: lines on the standard error stream.

mod levels;
mod recent;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use postern_protocol::plain::in_a_log;
use postern_protocol::rate::Hush;
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use tracing_subscriber::util::SubscriberInitExt as _;

use self::levels::BySystem;
pub use self::levels::{By, Levels, Temporary};
use self::recent::Keeper;
pub use self::recent::{Recent, Trouble};
use crate::clock;
use crate::config::{Config, LogFormat};
use crate::redaction::redacted;

/// The longest that another level than the configured one holds.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

static LEVELS: LazyLock<Levels> = LazyLock::new(Levels::default);
static RECENT: LazyLock<Recent> = LazyLock::new(Recent::default);
static OF_CONTROLLER: LazyLock<Mutex<Hush<Topic>>> = LazyLock::new(|| Mutex::new(Hush::new(TOPICS)));

/// What is logged.
pub fn levels() -> &'static Levels {
    LazyLock::force(&LEVELS)
}

/// The last warnings and errors.
pub fn recent() -> &'static Recent {
    LazyLock::force(&RECENT)
}

/// What a controller brings lines of the log about with whenever it likes. Each has its own bound: a flood of one hides none of
/// the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Frames that cannot be read, there or here.
    Frames,
    /// Payloads that cannot be moved.
    Payloads,
    /// Roots to trust.
    Roots,
    /// Levels of the log.
    Levels,
    /// The state of the member.
    State,
    /// Offers that are refused.
    Offers,
}

/// How many topics there are.
const TOPICS: usize = 6;

/// Whether one more line may be written of this. How many of anything were not is said with the first that is again.
pub fn may_tell_of(topic: Topic) -> bool {
    let mut hush = OF_CONTROLLER.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(unsaid) = hush.allows(topic, clock::now()) else { return false };
    if unsaid > 0 {
        tracing::warn!(unsaid, "the controller brought about so much more than the log tells of");
    }
    true
}

/// Begins to log. Only the first call of a process counts.
pub fn start(config: &Config) {
    let systems = config.systems.iter().filter_map(|it| Some((it.name.clone(), it.log_level?)));
    levels().configure(config.log.level, systems);
    let registry = tracing_subscriber::registry().with(keeper(recent()));
    drop(registry.with(lines(config.log.format, io::stderr)).try_init());
    std::panic::set_hook(Box::new(tell_of_panic));
}

/// A panic is told in the log as everything is, and not past it: what it was about may be a secret, or more than a line. What it
/// means is said by whoever catches it: the store's engine panics over a disk that fails.
fn tell_of_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(&backtrace));
    tracing::error!(%panic, backtrace, "a part of the agent panicked");
}

/// The lines of the log, each written at once to what `to` returns.
fn lines<S, W>(format: LogFormat, to: impl Fn() -> W + Send + Sync + 'static) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(move || Redacting(to()));
    match format {
        LogFormat::Text => lines.with_filter(BySystem(levels())).boxed(),
        LogFormat::Json => lines.json().with_filter(BySystem(levels())).boxed(),
    }
}

/// Spans are let through for the system they name.
fn keeper<S: Subscriber + for<'a> LookupSpan<'a>>(recent: &'static Recent) -> impl Layer<S> {
    Keeper(recent).with_filter(filter_fn(|metadata| *metadata.level() <= Level::WARN || metadata.is_span()))
}

/// The connected system that a span is about.
#[derive(Debug, Clone)]
struct System(String);

/// The field that names it.
const FIELD: &str = "system";

impl System {
    /// The system that these fields name, if they do.
    fn of(fields: impl FnOnce(&mut dyn Visit)) -> Option<Self> {
        let mut named = Named(None);
        fields(&mut named);
        named.0.map(Self)
    }

    /// Remembers the system that a new span names.
    fn note<'a, S: LookupSpan<'a>>(attributes: &Attributes<'_>, span: &SpanRef<'a, S>) {
        if let Some(system) = Self::of(|named| attributes.record(named)) {
            span.extensions_mut().replace(system);
        }
    }
}

struct Named(Option<String>);

impl Visit for Named {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == FIELD {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

/// Takes whole lines: no secret that is in use passes, and nothing that begins another line or that a terminal acts upon.
struct Redacting<W>(W);

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(in_a_log(&redacted(&String::from_utf8_lossy(line))).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::redaction;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Whatever brings it there: a message, a field, or what a library says of a call.
    #[test]
    fn no_line_of_the_log_tells_a_secret_in_use() {
        let _in_use = redaction::in_use(b"Logged-Secret");
        for format in [LogFormat::Text, LogFormat::Json] {
            let written = Lines::default();
            let to = written.clone();
            let layer = lines(format, move || to.clone());
            let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
            let (text, error) = ("Logged-Secret", io::Error::other("Logged-Secret is no good"));
            tracing::error!(target: "postern_agent::x", text, %error, debug = ?text, "a message with Logged-Secret");
            let told = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(!told.contains("Logged-") && told.matches("***").count() == 4, "{told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }

    #[test]
    fn a_panic_is_one_line_of_the_log_and_tells_no_secret_in_use() {
        let _in_use = redaction::in_use(b"Panicked-Secret");
        let written = Lines::default();
        let to = written.clone();
        let layer = lines(LogFormat::Text, move || to.clone());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(tell_of_panic));
        let ended = std::panic::catch_unwind(|| panic!("at\nPanicked-Secret"));
        std::panic::set_hook(hook);
        let told = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(ended.is_err() && told.contains("***") && !told.contains("Panicked-"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
