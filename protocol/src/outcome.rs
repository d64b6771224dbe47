//! How a task ended.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bounded::Text;
use crate::code::Code;
use crate::codes;

codes! {
    /// How a task ended. A task has at most one outcome, and it never changes.
    pub enum Outcome {
        /// It did what was asked.
        1 Succeeded = "succeeded",
        /// The account was in the wanted state before.
        2 AlreadySatisfied = "already_satisfied",
        /// It did not do what was asked; the failure says why.
        3 Failed = "failed",
        /// It was cancelled before any effect.
        4 Cancelled = "cancelled",
        /// Its deadline passed before any effect.
        5 Expired = "expired",
        /// Some records of a batch succeeded and some did not, or the steps of a task up to one of them.
        6 PartiallySucceeded = "partially_succeeded",
        /// Whether it took effect cannot be found out; a person has to look.
        7 Unknown = "unknown",
        /// The agent's process died in it twice; it is not run again by itself.
        8 DeadLettered = "dead_lettered",
    }
}

codes! {
    /// How sure the agent is of an outcome.
    pub enum Certainty {
        /// The connected system said so, or was read back.
        1 Certain = "certain",
        /// What was read back fits, but another cause is possible.
        2 Probable = "probable",
        /// Not known.
        3 Unknown = "unknown",
    }
}

codes! {
    /// Whether anything was changed in the connected system.
    pub enum Changed {
        /// Nothing was changed.
        1 No = "no",
        /// Something was changed.
        2 Yes = "yes",
        /// Not known.
        3 Unknown = "unknown",
    }
}

codes! {
    /// What kind of failure it was: the only thing a retry looks at.
    pub enum FailureClass {
        /// It may work later: no connection, time-out before an effect, the other side is down.
        1 Transient = "transient",
        /// The other side asked for patience, or a budget is used up.
        2 RateLimited = "rate_limited",
        /// Sign-in or permissions: a person has to mend it.
        3 Unauthorized = "unauthorized",
        /// The request was understood and refused.
        4 Rejected = "rejected",
        /// The work was stopped before it ended.
        5 Interrupted = "interrupted",
        /// A defect of Postern's.
        6 Internal = "internal",
    }
}

/// Why a task did not succeed: a class for programs, a code for tables, a sentence and a next step for people.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{summary}")]
pub struct Failure {
    /// What kind of failure it was.
    pub class: Code<FailureClass>,
    /// A stable word such as `INVALID_LOGIN` or `user_not_found`.
    pub code: Text<64>,
    /// What happened, in a sentence.
    pub summary: Text<1024>,
    /// What to do about it, in a sentence; empty if there is nothing to add.
    pub next_step: Text<1024>,
}

impl Failure {
    /// A failure without a next step. Texts too long for their place are cut.
    pub fn new(class: FailureClass, code: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            class: class.into(),
            code: Text::clipped(printable(code.into())),
            summary: Text::clipped(printable(summary.into())),
            next_step: Text::default(),
        }
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub fn with_next_step(mut self, next_step: impl Into<String>) -> Self {
        self.next_step = Text::clipped(printable(next_step.into()));
        self
    }
}

/// Texts of other systems find their way into failures, and from there to terminals.
fn printable(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_holds_nothing_that_a_terminal_would_obey() {
        let failure = Failure::new(FailureClass::Rejected, "X", "red: \u{1b}[31m").with_next_step("ring\u{7}\n");
        assert_eq!((failure.summary.as_str(), failure.next_step.as_str()), ("red:  [31m", "ring  "));
    }
}
