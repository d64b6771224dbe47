//! What a policy says no with.

use std::fmt;

use jiff::Timestamp;
use postern_protocol::{Failure, FailureClass};

use super::ceiling::Counted;

/// The code of every failure that a policy makes.
pub const CODE: &str = "policy";

/// A rule. Its name is that of the key in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Which kinds of task are done.
    Kinds,
    /// Which names may be touched.
    Allow,
    /// Which names may not.
    Deny,
    /// Which accounts keep their name, password and sign-in.
    Protected,
    /// How often something may be done in an hour.
    PerHour(Counted),
    /// How often something may be done in a day.
    PerDay(Counted),
    /// When no change begins.
    QuietHours,
    /// That tasks have to be signed.
    RequireSignature,
    /// Whose signatures are good.
    AcceptedSigners,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kinds => f.write_str("kinds"),
            Self::Allow => f.write_str("allow"),
            Self::Deny => f.write_str("deny"),
            Self::Protected => f.write_str("protected"),
            Self::PerHour(counted) => write!(f, "{counted}_per_hour"),
            Self::PerDay(counted) => write!(f, "{counted}_per_day"),
            Self::QuietHours => f.write_str("quiet_hours"),
            Self::RequireSignature => f.write_str("require_signature"),
            Self::AcceptedSigners => f.write_str("accepted_signers"),
        }
    }
}

/// Why a policy does not let something through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The rule.
    pub rule: Rule,
    /// What is wrong, in a sentence.
    why: String,
    /// When it may be let through; `None` if time makes no difference.
    pub again: Option<Timestamp>,
}

impl Refused {
    pub(super) fn new(rule: Rule, why: String) -> Self {
        Self { rule, why, again: None }
    }

    pub(super) fn again(self, again: Option<Timestamp>) -> Self {
        Self { again, ..self }
    }

    /// What to do about it, in a sentence.
    pub fn next_step(&self) -> String {
        let Self { rule, again, .. } = self;
        match again {
            Some(again) => format!("Submit it again after {again}, or let the agent's administrator change `{rule}`"),
            None => {
                format!("Only the administrator of the agent's host can change that: `{rule}` in its configuration")
            }
        }
    }

    /// The same as the failure of a task.
    pub fn failure(&self) -> Failure {
        Failure::new(FailureClass::Rejected, CODE, self.to_string()).with_next_step(self.next_step())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policy of this agent refuses it, rule `{}`: {}", self.rule, self.why)?;
        match self.again {
            Some(again) => write!(f, "; possible again at {again}"),
            None => Ok(()),
        }
    }
}
