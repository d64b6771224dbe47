//! What is logged of each connected system, which an operator may change for a while.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use postern_protocol::message::v1::LogLevel;
use postern_protocol::{SystemName, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::{FIELD, System};
use crate::clock;

/// Who wanted another level than the configured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Somebody on this host.
    Host,
    /// The controller.
    Controller,
}

/// A level that holds for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Temporary {
    /// The least severe level that is logged.
    pub level: LogLevel,
    /// Until when.
    pub until: Timestamp,
    /// Who wanted it.
    pub by: By,
}

/// What is logged of the agent itself and of each connected system.
#[derive(Debug, Default)]
pub struct Levels(RwLock<Table>);

#[derive(Debug, Default)]
struct Table {
    own: LogLevel,
    configured: BTreeMap<SystemName, LogLevel>,
    /// Of everything, and of single systems.
    for_all: Option<Temporary>,
    for_one: BTreeMap<SystemName, Temporary>,
}

impl Table {
    /// The newest that was wanted holds: one for everything takes away those of single systems. That of a system whose
    /// time is over gives way to it again.
    fn temporary(&self, system: Option<&str>, now: Timestamp) -> Option<Temporary> {
        let of_system = system.and_then(|system| self.for_one.iter().find(|(name, _)| name.as_str() == system));
        [of_system.map(|(_, it)| *it), self.for_all].into_iter().flatten().find(|it| now < it.until)
    }

    fn configured(&self, system: Option<&str>) -> LogLevel {
        let of_system = system.and_then(|system| self.configured.iter().find(|(name, _)| name.as_str() == system));
        of_system.map_or(self.own, |(_, level)| *level)
    }
}

impl Levels {
    /// What the configuration says of the agent itself, and of the connected systems for which it says something else.
    pub fn configure(&self, own: LogLevel, systems: impl IntoIterator<Item = (SystemName, LogLevel)>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        (table.own, table.configured) = (own, systems.into_iter().collect());
    }

    /// Has a level hold for a while: of one connected system, or of everything.
    pub fn set(&self, system: Option<&SystemName>, temporary: Temporary) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(system) = system {
            table.for_one.insert(system.clone(), temporary);
        } else {
            table.for_one.clear();
            table.for_all = Some(temporary);
        }
    }

    /// Has the configuration hold again: for one connected system, or for everything.
    pub fn reset(&self, system: Option<&SystemName>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(system) = system {
            table.for_one.remove(system);
        } else {
            table.for_one.clear();
            table.for_all = None;
        }
    }

    /// What is logged now of a connected system, or of the agent itself, and the temporary level if that is one.
    pub fn now(&self, system: Option<&str>, now: Timestamp) -> (LogLevel, Option<Temporary>) {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let temporary = table.temporary(system, now);
        (temporary.map_or_else(|| table.configured(system), |it| it.level), temporary)
    }

    /// What the configuration says of a connected system, or of the agent itself.
    pub fn configured(&self, system: Option<&str>) -> LogLevel {
        self.0.read().unwrap_or_else(PoisonError::into_inner).configured(system)
    }

    fn lets_through(&self, level: Level, system: Option<&str>) -> bool {
        level <= as_tracing(self.now(system, clock::now()).0)
    }
}

fn as_tracing(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}

/// Whether a line is of the agent itself. What libraries say matters to nobody below a warning, and may hold what is not
/// theirs to tell.
pub(super) fn is_own(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target.starts_with("postern_agent") || target.starts_with("postern_store")
}

/// Lets lines through by the connected system of the span they are in.
pub(super) struct BySystem<'a>(pub(super) &'a Levels);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Filter<S> for BySystem<'static> {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        if !is_own(metadata) {
            return *metadata.level() <= Level::WARN && self.0.lets_through(*metadata.level(), None);
        }
        // Spans tell which system a line is about, whatever is logged of it; or a line tells it itself.
        if metadata.is_span() || metadata.fields().field(FIELD).is_some() {
            return true;
        }
        let span = context.lookup_current();
        let system = span.and_then(|span| span.scope().find_map(|it| it.extensions().get::<System>().cloned()));
        self.0.lets_through(*metadata.level(), system.as_ref().map(|it| it.0.as_str()))
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        // What it does not tell itself was decided before.
        let of_event = System::of(|named| event.record(named));
        of_event
            .is_none_or(|it| !is_own(event.metadata()) || self.0.lets_through(*event.metadata().level(), Some(&it.0)))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let may_be = is_own(metadata) || *metadata.level() <= Level::WARN;
        if may_be { Interest::sometimes() } else { Interest::never() }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            System::note(attributes, &span);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, LazyLock, Mutex};
    use std::time::Duration;

    use tracing_subscriber::Layer as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn name(text: &str) -> SystemName {
        text.parse().unwrap()
    }

    fn for_secs(level: LogLevel, secs: u64) -> Temporary {
        Temporary { level, until: clock::now() + Duration::from_secs(secs), by: By::Host }
    }

    #[test]
    fn a_level_falls_back_to_the_configured_one_when_its_time_is_over() {
        let levels = Levels::default();
        levels.configure(LogLevel::Warn, [(name("acme"), LogLevel::Error)]);
        let temporary = for_secs(LogLevel::Debug, 60);
        levels.set(Some(&name("acme")), temporary);
        let before = Timestamp::from_millis(temporary.until.as_millis() - 1);
        assert_eq!(levels.now(Some("acme"), before), (LogLevel::Debug, Some(temporary)));
        assert_eq!(levels.now(Some("acme"), temporary.until), (LogLevel::Error, None));
        assert_eq!(levels.now(Some("other"), before), (LogLevel::Warn, None), "others are as they were");
        levels.reset(Some(&name("acme")));
        assert_eq!(levels.now(Some("acme"), before), (LogLevel::Error, None));
    }

    #[test]
    fn a_level_for_everything_holds_again_when_that_of_a_system_is_over() {
        let (levels, all, one) = (Levels::default(), for_secs(LogLevel::Debug, 60), for_secs(LogLevel::Error, 10));
        levels.set(None, all);
        levels.set(Some(&name("acme")), one);
        assert_eq!(levels.now(Some("acme"), clock::now()).1, Some(one));
        assert_eq!(levels.now(Some("acme"), one.until), (LogLevel::Debug, Some(all)));
        assert_eq!(levels.now(Some("acme"), all.until).1, None);
    }

    #[test]
    fn the_newest_that_was_wanted_holds() {
        let (levels, now) = (Levels::default(), clock::now());
        levels.set(Some(&name("acme")), for_secs(LogLevel::Trace, 60));
        levels.set(None, for_secs(LogLevel::Debug, 60));
        assert_eq!(levels.now(Some("acme"), now).0, LogLevel::Debug);
        levels.set(Some(&name("acme")), for_secs(LogLevel::Error, 60));
        assert_eq!((levels.now(Some("acme"), now).0, levels.now(None, now).0), (LogLevel::Error, LogLevel::Debug));
        levels.reset(None);
        assert_eq!((levels.now(Some("acme"), now).0, levels.now(None, now).0), (LogLevel::Info, LogLevel::Info));
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Let the filter go by the newest level of any system, and the lines of the other one are there.
    #[test]
    fn lines_of_one_system_are_logged_at_its_level_and_those_of_others_at_theirs() {
        static LEVELS: LazyLock<Levels> = LazyLock::new(Levels::default);
        let lines = Lines::default();
        let written = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || written.clone()).with_ansi(false);
        let _guard = tracing::subscriber::set_default(
            tracing_subscriber::registry().with(layer.with_filter(BySystem(LazyLock::force(&LEVELS)))),
        );
        let say = || {
            for system in ["acme", "other"] {
                let span = tracing::info_span!(target: "postern_agent", "task", system = %system);
                span.in_scope(|| {
                    let inner = tracing::info_span!(target: "postern_agent", "call", number = 1);
                    inner.in_scope(|| tracing::debug!(target: "postern_agent::x", "a call of {system}"));
                });
            }
            tracing::debug!(target: "postern_agent::x", "of nobody");
            tracing::debug!(target: "postern_agent::x", system = "other", "told beside a span");
            tracing::debug!(target: "postern_agent::x", system = %"acme", "told beside a span");
            tracing::debug!(target: "hyper", "of a library");
        };
        say();
        LEVELS.set(Some(&name("acme")), for_secs(LogLevel::Debug, 600));
        say();
        LEVELS.set(Some(&name("acme")), for_secs(LogLevel::Debug, 0));
        say();
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let acme = |line: &str| line.contains("a call of acme") || line.contains("told beside a span system=acme");
        assert!(lines.lines().count() == 2 && lines.lines().all(acme), "{lines}");
    }
}
