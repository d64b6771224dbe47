//! What a worker said while it worked: each line is a promise.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that is durable from the moment it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// The store is open, and this is its incarnation.
    Opened(String),
    /// Everything up to this step.
    Step(u64),
    /// A fact of a connector, and the bucket of the one before.
    Fact(u64),
    /// A payload is whole.
    Payload(String),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(incarnation) => write!(f, "opened {incarnation}"),
            Self::Step(number) => write!(f, "step {number}"),
            Self::Fact(number) => write!(f, "fact {number}"),
            Self::Payload(id) => write!(f, "payload {id}"),
        }
    }
}

/// Everything said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The incarnation of the store.
    pub incarnation: Option<String>,
    /// The last step.
    pub step: u64,
    /// The last fact.
    pub fact: u64,
    /// Payloads that are whole, as long as they are referred to.
    pub payloads: BTreeSet<String>,
}

impl Told {
    /// Hears what was said, line by line.
    pub fn hear(&mut self, said: &str) {
        for line in said.lines() {
            match line.split_once(' ') {
                Some(("opened", incarnation)) => self.incarnation = Some(incarnation.to_owned()),
                Some(("step", number)) => self.step = number.parse().unwrap_or(self.step),
                Some(("fact", number)) => self.fact = number.parse().unwrap_or(self.fact),
                Some(("payload", id)) => {
                    self.payloads.insert(id.to_owned());
                }
                Some(_) | None => (),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let words = [Word::Opened("ab".to_owned()), Word::Step(3), Word::Fact(2), Word::Payload("cd".to_owned())];
        let mut told = Told::default();
        for word in words {
            told.hear(&format!("{word}\n"));
        }
        let payloads = BTreeSet::from(["cd".to_owned()]);
        assert_eq!(told, Told { incarnation: Some("ab".to_owned()), step: 3, fact: 2, payloads });
    }
}
