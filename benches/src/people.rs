//! Who the work is about.

use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;

/// The work that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// `validate_user`: two queries, no change, so no intent.
    Validate,
    /// `disable_user` and `enable_user` in turns: a query and a change, with an intent before it.
    Switch,
}

impl Kind {
    /// How tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate_user",
            Self::Switch => "disable/enable_user",
        }
    }
}

/// An account that one worker has for itself: the controller runs one task of an account at a time.
#[derive(Debug)]
pub struct Person {
    /// The user name.
    pub account: String,
    active: AtomicBool,
}

impl Person {
    /// Whether the account is to be active next: always the other way, so that every change is one.
    pub fn flip(&self) -> bool {
        !self.active.fetch_xor(true, Ordering::Relaxed)
    }
}

/// Everybody the work is about.
#[derive(Debug)]
pub struct People(Vec<Person>);

impl People {
    /// As many as there are workers. In the simulated org every tenth user is inactive; these are not among them.
    pub fn new(count: usize) -> Self {
        let numbers = (1..).filter(|number: &usize| !number.is_multiple_of(10)).take(count);
        Self(
            numbers
                .map(|number| Person {
                    account: format!("user{number:04}@acme.example"),
                    active: AtomicBool::new(true),
                })
                .collect(),
        )
    }

    /// How many users the simulated org needs to have all of them.
    pub fn users(&self) -> usize {
        self.0.len() * 2
    }

    /// The account of a worker.
    pub fn of(&self, worker: usize) -> Result<&Person, crate::Failure> {
        self.0.get(worker).ok_or_else(|| format!("there is no account for worker {worker}").into())
    }
}
