//! What the audit log is told of a task: what is known of every call that was announced.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use postern_agent_core::ledger::Ending;
use postern_agent_core::{Caller, Earlier, Origin};
use postern_protocol::message::v1::Offer;
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::seal::KeyId;
use postern_protocol::{Outcome, TaskId};
use serde::Serialize;

use crate::audit;
use crate::connector::{Effect, JournalEntry, Known, Mark, Proved};
use crate::identity::Membership;

/// Who this agent is, as the audit log names it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Who {
    /// The cluster; none before it is enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

impl Who {
    /// A member of a cluster.
    pub fn member(membership: &Membership) -> Self {
        Self { cluster: Some(membership.cluster.to_string()), member: Some(membership.member.to_string()) }
    }
}

/// One event, its fields in the order in which they stand in the log.
#[derive(Serialize)]
struct Event<'a> {
    what: &'static str,
    outcome: &'static str,
    certainty: Certainty,
    /// Whether it was found by looking, because the process died under the call or the answer was lost.
    found: bool,
    task: TaskId,
    epoch: u64,
    attempt: u32,
    step: u32,
    #[serde(flatten)]
    who: &'a Who,
    system: &'a str,
    kind: String,
    target: &'a str,
    asked_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    #[serde(flatten)]
    effect: &'a Effect,
}

/// Follows the intents of a task, and tells what becomes of them.
pub(super) struct Teller {
    who: Arc<Who>,
    offer: Arc<Offer>,
    origin: Origin,
    signer: Option<KeyId>,
    open: Mutex<Vec<Open>>,
    /// Whether steps are proved done one by one, so that the end of the task is about none that is open.
    proves_steps: AtomicBool,
}

/// An intent of which nothing is told yet.
struct Open {
    step: u32,
    note: Vec<u8>,
    effect: Effect,
    /// Whether an earlier attempt announced it.
    earlier: bool,
}

impl Teller {
    /// Of a task that was signed so, as far as anybody looked.
    pub(super) fn new(
        who: Arc<Who>,
        offer: Arc<Offer>,
        origin: Origin,
        signer: Option<KeyId>,
        earlier: &Earlier,
    ) -> Self {
        let open = earlier.open_intents().map(|entry| Open::of(entry, true)).collect();
        let proves_steps = AtomicBool::new(earlier.has_done());
        Self { who, offer, origin, signer, open: Mutex::new(open), proves_steps }
    }

    /// A call may be made.
    pub(super) fn intended(&self, entry: &JournalEntry) {
        self.with_open(|open| open.push(Open::of(entry, false)));
    }

    /// What is told of what is proved now.
    pub(super) fn proved(&self, entries: &[JournalEntry], proved: &Proved) -> Vec<Vec<u8>> {
        let mut ended = Vec::new();
        self.with_open(|open| {
            for entry in entries {
                match entry.mark {
                    Mark::TakenBack => {
                        let is_it = |it: &Open| it.step == entry.step && it.note == entry.note;
                        if let Some(index) = open.iter().rposition(is_it) {
                            open.remove(index);
                        }
                    }
                    Mark::Done | Mark::Unchanged => ended.extend(open.extract_if(.., |it| it.step == entry.step)),
                    Mark::Intent | Mark::Memo => (),
                }
            }
        });
        match proved {
            Proved::Nothing => Vec::new(),
            Proved::Intended(certainty) => {
                self.proves_steps.store(true, Ordering::Relaxed);
                ended.last().map(|open| self.tell_open(open, Known::Done(*certainty))).into_iter().collect()
            }
            Proved::Entries(effects) => {
                let step = entries.first().map_or(0, |entry| entry.step);
                effects.iter().map(|(effect, known)| self.tell(step, effect, *known, false)).collect()
            }
        }
    }

    /// What is told when the task ends: of the calls whose steps were not proved done.
    pub(super) fn ended(&self, ending: &Ending) -> Vec<Vec<u8>> {
        let known = match (ending.outcome, ending.changed) {
            (Outcome::Unknown | Outcome::DeadLettered, _) => Known::Unknown,
            (Outcome::Succeeded | Outcome::AlreadySatisfied, Changed::Yes) => Known::Done(ending.certainty),
            // What was changed may be what is open, or another step.
            (_, Changed::Yes | Changed::Unknown) => Known::Unknown,
            // They were refused, or are not to be seen.
            (_, Changed::No) => return Vec::new(),
        };
        let open = self.with_open(std::mem::take);
        // A success is about the step that was announced last; what became of others is not said.
        let about = open.last().map(|it| it.step).filter(|_| !self.proves_steps.load(Ordering::Relaxed));
        let known_of = |step: u32| if about == Some(step) { known } else { Known::Unknown };
        // A call that was made again is one effect.
        let is_last = |(index, it): &(usize, &Open)| !open.iter().skip(index + 1).any(|later| later.step == it.step);
        let last = open.iter().enumerate().filter(is_last);
        last.map(|(_, open)| self.tell_open(open, known_of(open.step))).collect()
    }

    fn tell_open(&self, open: &Open, known: Known) -> Vec<u8> {
        self.tell(open.step, &open.effect, known, open.earlier)
    }

    fn tell(&self, step: u32, effect: &Effect, known: Known, earlier: bool) -> Vec<u8> {
        let offer = &self.offer;
        let (outcome, certainty) = match known {
            Known::Done(certainty) => ("done", certainty),
            Known::Unknown => ("unknown", Certainty::Unknown),
        };
        let asked_by = match self.origin {
            Origin::Controller => "controller",
            Origin::Local(Caller::Person) => "person",
            Origin::Local(Caller::Schedule) => "schedule",
        };
        audit::event(&Event {
            what: "effect",
            outcome,
            certainty,
            found: known == Known::Done(Certainty::Probable) || (earlier && known != Known::Unknown),
            task: offer.task,
            epoch: offer.epoch.0,
            attempt: offer.attempt,
            step,
            who: &self.who,
            system: offer.system.as_str(),
            kind: offer.kind.to_string(),
            target: offer.target.as_str(),
            asked_by,
            signed_by: self.signer.map(|key| key.to_string()),
            effect,
        })
    }

    fn with_open<T>(&self, look: impl FnOnce(&mut Vec<Open>) -> T) -> T {
        look(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Open {
    fn of(entry: &JournalEntry, earlier: bool) -> Self {
        let effect = Effect::decode(&entry.effect);
        Self { step: entry.step, note: entry.note.clone(), effect, earlier }
    }
}

#[cfg(test)]
mod tests;
