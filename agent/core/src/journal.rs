//! What an attempt writes down before and after it acts.

/// One entry of a task's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The step of the task's plan, from 0. A batch has one step a unit.
    pub step: u32,
    /// `false`: the attempt is about to act; `true`: the step is proved done.
    pub done: bool,
    /// What the connector wants to know after a crash. Never a secret in clear.
    pub note: Vec<u8>,
}
