//! What this agent lets be done to one connected system, whoever asks.
//!
//! [`Policy`] decides and cannot wait: what is asked for, what was counted and the time are arguments. [`Admission`]
//! remembers what was counted.

mod act;
mod admission;
mod ceiling;
mod pattern;
mod quiet_hours;
mod refused;
mod signatures;

use jiff::Timestamp;
use postern_protocol::message::v1::{LogLevel, Offer};
use postern_protocol::seal::KeyId;
use postern_protocol::task::Repeat;
use postern_protocol::{TaskKind, TaskRequest};

pub use act::Act;
pub use admission::Admission;
pub use ceiling::{Ceiling, Ceilings, Counted, Counters};
pub use pattern::{Pattern, PatternError};
pub use quiet_hours::{QuietHours, Window};
pub use refused::{CODE, Refused, Rule};
pub use signatures::Signatures;

/// The rules for one connected system. Without any, everything is let through.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The kinds of task that are done; `None`: all.
    pub kinds: Option<Vec<TaskKind>>,
    /// The names of accounts that may be touched; empty: all.
    pub allow: Vec<Pattern>,
    /// The names of accounts that may not, even if they are allowed.
    pub deny: Vec<Pattern>,
    /// The names of accounts that keep their name, their password, their address and their sign-in.
    pub protected: Vec<Pattern>,
    /// How often things may be done.
    pub ceilings: Ceilings,
    /// When no change begins.
    pub quiet_hours: Option<QuietHours>,
    /// Whose tasks are taken from a controller.
    pub signatures: Signatures,
    /// The most that a controller may have logged; `None`: everything.
    pub controller_log_level: Option<LogLevel>,
}

impl Policy {
    /// Whether a task of that kind is done.
    pub fn check_kind(&self, kind: TaskKind) -> Result<(), Refused> {
        match &self.kinds {
            Some(kinds) if !kinds.contains(&kind) => {
                Err(Refused::new(Rule::Kinds, format!("{kind} is not among the kinds of task that are done here")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a task may be taken, as far as that never changes: its kind, and the names in its request.
    pub fn check_request(&self, request: &TaskRequest, brings_password: bool) -> Result<(), Refused> {
        self.check_kind(request.kind())?;
        Act::of(request, brings_password).map_or(Ok(()), |act| self.check_names(&act))
    }

    /// Whether a task may begin at that time of the day, as far as its request tells.
    pub fn check_hour_of(&self, request: &TaskRequest, now: Timestamp) -> Result<(), Refused> {
        let is_rehearsal = matches!(request, TaskRequest::ImportBatch(it) if it.dry_run);
        if is_rehearsal || request.kind().repeat() == Repeat::Freely { Ok(()) } else { self.check_hour(now) }
    }

    /// Whether the task of an offer is one that an accepted originator wants so.
    pub fn check_signature(&self, offer: &Offer, now: Timestamp) -> Result<(), Refused> {
        self.signatures.check(offer, now)
    }

    /// The same of an offer whose payloads are not there, as far as can be told without them.
    pub fn check_signature_without_payloads(&self, offer: &Offer, now: Timestamp) -> Result<(), Refused> {
        self.signatures.check_without_payloads(offer, now)
    }

    /// The key of whoever signed the task of an offer, if it is one that is accepted.
    pub fn signer(&self, offer: &Offer) -> Option<KeyId> {
        self.signatures.signer(offer)
    }

    /// Whether a controller may have so much logged.
    pub fn lets_log(&self, level: LogLevel) -> bool {
        self.controller_log_level.is_none_or(|most| level <= most)
    }

    /// Whether it matters what an account is called.
    pub fn looks_at_names(&self) -> bool {
        !(self.allow.is_empty() && self.deny.is_empty() && self.protected.is_empty())
    }

    /// Whether accounts of these names may be touched in this way.
    pub fn check_names(&self, act: &Act) -> Result<(), Refused> {
        let names = || std::iter::once(&act.account).chain(&act.new_name);
        for name in names() {
            if let Some(pattern) = self.deny.iter().find(|pattern| pattern.matches(name)) {
                return Err(Refused::new(Rule::Deny, format!("`{name}` matches `{pattern}`")));
            }
            if let Some(pattern) = self.protected.iter().find(|pattern| act.harms() && pattern.matches(name)) {
                let message = format!(
                    "`{name}` matches `{pattern}`, and keeps its name, its password, its e-mail address and its sign-in"
                );
                return Err(Refused::new(Rule::Protected, message));
            }
        }
        let derived = act.new_name.as_ref().filter(|_| act.derives_name);
        let stranger = names().filter(|name| Some(*name) != derived).find(|name| !self.allows(name));
        match stranger {
            Some(name) => Err(Refused::new(Rule::Allow, format!("`{name}` matches none of the names allowed"))),
            None => Ok(()),
        }
    }

    fn allows(&self, name: &str) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a change may begin at that time of the day.
    fn check_hour(&self, now: Timestamp) -> Result<(), Refused> {
        let Some(until) = self.quiet_hours.as_ref().and_then(|quiet| quiet.until(now)) else { return Ok(()) };
        Err(Refused::new(Rule::QuietHours, "no change begins at this time".to_owned()).again(Some(until)))
    }

    /// Whether changes may begin now, one after the other. What may is counted.
    pub fn admit(&self, acts: &[Act], counters: &mut Counters, now: Timestamp) -> Vec<Result<(), Refused>> {
        let admit = |act: &Act| {
            self.check_names(act)?;
            self.check_hour(now)?;
            counters.count(act, &self.ceilings, now)
        };
        acts.iter().map(admit).collect()
    }
}

#[cfg(test)]
mod tests;
