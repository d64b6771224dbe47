//! The last warnings and errors, for `postern status`.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use postern_protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::System;
use crate::clock;
use crate::redaction::redacted;

/// The most that are kept: more than a person reads, and few enough for one answer.
const MAX_KEPT: usize = 32;
/// The most characters of one.
const MAX_TEXT: usize = 400;

/// Something that went wrong, as the log tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When it was told last, in milliseconds since 1970.
    pub at: UnixMillis,
    /// `error` or `warn`.
    pub level: String,
    /// The part of the agent that tells it.
    pub place: String,
    /// The connected system it is about, if it is about one.
    pub system: Option<String>,
    /// What, without secrets and without names of accounts.
    pub text: String,
    /// The sentences that belong to it, without secrets: of a task they may name its account.
    #[serde(default)]
    pub sentences: String,
    /// How often in a row.
    pub times: u64,
}

/// The last of them, the newest last.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Trouble>>);

impl Recent {
    /// All that are kept, the newest first.
    pub fn all(&self) -> Vec<Trouble> {
        self.kept().iter().rev().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is repeated, numbers and times in it apart, is kept once.
    fn note(&self, new: Trouble) {
        let mut kept = self.kept();
        let is_same = |it: &Trouble| (&it.place, &it.system, &it.level) == (&new.place, &new.system, &new.level);
        let without_numbers = |text: &str| text.replace(|it: char| it.is_ascii_digit(), "");
        let words = |it: &Trouble| (without_numbers(&it.text), without_numbers(&it.sentences));
        let same = kept.iter().position(|it| is_same(it) && words(it) == words(&new));
        let times = same.and_then(|index| kept.remove(index)).map_or(1, |old| old.times.saturating_add(1));
        kept.push_back(Trouble { times, ..new });
        if kept.len() > MAX_KEPT {
            kept.pop_front();
        }
    }
}

/// Keeps what is logged as a warning or an error.
pub(super) struct Keeper(pub(super) &'static Recent);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keeper {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            System::note(attributes, &span);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let scope = context.event_scope(event);
        let of_span = scope.into_iter().flatten().find_map(|it| it.extensions().get::<System>().cloned());
        let text = format!("{}{}", words.message, words.fields);
        let bounded = |text: &str| redacted(text).chars().take(MAX_TEXT).collect();
        let metadata = event.metadata();
        self.0.note(Trouble {
            at: clock::unix_millis(),
            level: metadata.level().as_str().to_ascii_lowercase(),
            place: place(metadata.target()),
            system: System::of(|named| event.record(named)).or(of_span).map(|it| it.0),
            text: bounded(&text),
            sentences: bounded(&words.sentences),
            times: 1,
        });
    }
}

/// The part of the agent that a target names: `postern_agent::link::dial` is of `link`.
fn place(target: &str) -> String {
    let mut parts = target.split("::");
    let of_crate = parts.next().unwrap_or_default();
    let of_store = of_crate.strip_prefix("postern_").filter(|it| *it != "agent");
    of_store.or_else(|| parts.next()).unwrap_or(of_crate).to_owned()
}

/// The fields in which somebody is told of a task in a sentence.
const SENTENCES: [&str; 4] = ["summary", "refused", "told", "next_step"];

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
    sentences: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if SENTENCES.contains(&name) => {
                let mark = if self.sentences.is_empty() { "" } else { "; " };
                write!(self.sentences, "{mark}{value:?}")
            }
            name => write!(self.fields, "; {name}: {value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::redaction;

    #[test]
    fn what_went_wrong_is_kept_by_place_and_system_without_secrets_and_bounded() {
        static RECENT: LazyLock<Recent> = LazyLock::new(Recent::default);
        let layer = super::super::keeper(LazyLock::force(&RECENT));
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let _in_use = redaction::in_use(b"Kept-Out-Of-Status");
        let span = tracing::info_span!(target: "postern_agent::executor", "task", system = %"acme");
        span.in_scope(
            || tracing::warn!(target: "postern_agent::executor", code = "x", "Kept-Out-Of-Status is no good"),
        );
        tracing::info!(target: "postern_agent::link", "all is well");
        for wait in [1, 22, 333] {
            tracing::error!(target: "postern_agent::link::dial", wait, "no session");
        }
        let all = RECENT.all();
        let told: Vec<_> = all.iter().map(|it| (it.place.as_str(), it.text.as_str(), it.times)).collect();
        assert_eq!(told, [("link", "no session; wait: 333", 3), ("executor", "*** is no good; code: x", 1)]);
        assert_eq!(all.iter().map(|it| it.system.as_deref()).collect::<Vec<_>>(), [None, Some("acme")]);
        for name in 'a'..='z' {
            tracing::error!(target: "postern_agent::link", "{name} failed {}", "long ".repeat(1000));
            tracing::warn!(target: "postern_store::committer", "{name}");
        }
        let summary = "the org has no user `joe`";
        tracing::warn!(target: "postern_agent::executor", code = "user_not_found", %summary, "attempt failed");
        let last = RECENT.all().remove(0);
        assert_eq!((last.text.as_str(), last.sentences.as_str()), ("attempt failed; code: user_not_found", summary));
        tracing::warn!(target: "postern_store::committer", "the last");
        let all = RECENT.all();
        assert_eq!(all.len(), MAX_KEPT);
        assert!(all.iter().all(|it| it.text.chars().count() <= MAX_TEXT), "{all:?}");
        assert_eq!(all.first().map(|it| it.place.as_str()), Some("store"));
    }
}
