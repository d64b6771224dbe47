//! What an attempt writes down before and after it acts.

use std::collections::BTreeMap;

/// One entry of a task's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The step of the task's plan, from 0. A batch has one step a unit.
    pub step: u32,
    /// What the entry says of the step.
    pub mark: Mark,
    /// What the connector wants to know after a crash. Never a secret in clear.
    pub note: Vec<u8>,
    /// Of an intent: what the call is to change, as the audit log tells it. Empty if it tells nothing.
    pub effect: Vec<u8>,
}

/// What an entry says of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The attempt is about to act.
    Intent,
    /// The step is proved done, and it changed something.
    Done,
    /// The step is proved done, and it changed nothing.
    Unchanged,
    /// What an intent of this step with this note announced is proved not to have happened.
    TakenBack,
    /// Something to remember until the step is done. It announces nothing and proves nothing.
    Memo,
}

impl Mark {
    /// Whether the step is proved done.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Unchanged)
    }
}

impl JournalEntry {
    /// The entry that takes this intent back.
    #[must_use]
    pub fn taken_back(&self) -> Self {
        Self { mark: Mark::TakenBack, effect: Vec::new(), ..self.clone() }
    }
}

/// What a task's journal says that still decides anything. It grows with what is open, not with what is done.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// Steps that are done, as the first and the last of each run of them.
    done: BTreeMap<u32, u32>,
    changed: bool,
    /// What was announced and what is to be remembered of steps that are not done, oldest first.
    open: Vec<JournalEntry>,
}

impl Earlier {
    /// Takes the next entry in.
    pub fn add(&mut self, entry: JournalEntry) {
        match entry.mark {
            Mark::Intent | Mark::Memo => self.open.push(entry),
            Mark::Done | Mark::Unchanged => {
                self.changed |= entry.mark == Mark::Done;
                if !self.is_done(entry.step) {
                    self.open.retain(|it| it.step != entry.step);
                    self.add_done(entry.step);
                }
            }
            Mark::TakenBack => {
                let is_of = |it: &JournalEntry| it.mark == Mark::Intent && it.step == entry.step;
                if let Some(index) = self.open.iter().rposition(|it| is_of(it) && it.note == entry.note) {
                    self.open.remove(index);
                }
            }
        }
    }

    fn add_done(&mut self, step: u32) {
        let last = step.checked_add(1).and_then(|next| self.done.remove(&next)).unwrap_or(step);
        match self.done.range_mut(..step).next_back() {
            Some((_, end)) if end.checked_add(1) == Some(step) => *end = last,
            _ => drop(self.done.insert(step, last)),
        }
    }

    /// Whether nothing was done and nothing is open.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && self.open.is_empty()
    }

    /// Whether a step is proved done.
    pub fn is_done(&self, step: u32) -> bool {
        self.done.range(..=step).next_back().is_some_and(|(_, last)| *last >= step)
    }

    /// Whether anything was done, or may have been.
    pub fn has_begun(&self) -> bool {
        self.has_done() || self.open_intents().next().is_some()
    }

    /// Whether any step is proved done.
    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether a step that is proved done changed something.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// The intents that may have become effects, oldest first: neither taken back nor of a step that is proved done.
    pub fn open_intents(&self) -> impl DoubleEndedIterator<Item = &JournalEntry> {
        self.open.iter().filter(|it| it.mark == Mark::Intent)
    }

    /// Those of one step.
    pub fn intents(&self, step: u32) -> impl DoubleEndedIterator<Item = &JournalEntry> {
        self.open_intents().filter(move |it| it.step == step)
    }

    /// What is to be remembered of a step until it is done, oldest first.
    pub fn memos(&self, step: u32) -> impl DoubleEndedIterator<Item = &JournalEntry> {
        self.open.iter().filter(move |it| it.mark == Mark::Memo && it.step == step)
    }

    /// Open intents and what is to be remembered of steps that are not done, oldest first.
    pub fn open(&self) -> &[JournalEntry] {
        &self.open
    }
}

impl FromIterator<JournalEntry> for Earlier {
    fn from_iter<I: IntoIterator<Item = JournalEntry>>(entries: I) -> Self {
        let mut earlier = Self::default();
        entries.into_iter().for_each(|entry| earlier.add(entry));
        earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: u32, mark: Mark, note: u8) -> JournalEntry {
        JournalEntry { step, mark, note: vec![note], effect: Vec::new() }
    }

    fn earlier(journal: &[JournalEntry]) -> Earlier {
        journal.iter().cloned().collect()
    }

    fn open(journal: &[JournalEntry]) -> Vec<(u32, u8)> {
        earlier(journal).open_intents().map(|it| (it.step, it.note.first().copied().unwrap())).collect()
    }

    #[test]
    fn an_intent_is_open_until_its_step_is_done_or_it_is_taken_back() {
        use Mark::{Done, Intent, Memo, TakenBack};
        assert_eq!(open(&[entry(0, Intent, 1)]), [(0, 1)]);
        assert_eq!(open(&[entry(0, Memo, 1)]), []);
        assert_eq!(open(&[entry(0, Intent, 1), entry(0, Done, 9)]), []);
        assert_eq!(open(&[entry(0, Intent, 1), entry(0, TakenBack, 1)]), []);
        assert_eq!(open(&[entry(0, Intent, 1), entry(1, Intent, 2), entry(0, Done, 9)]), [(1, 2)]);
    }

    /// Two calls of one step are told apart by their notes; one that is made again is taken back as often as it was.
    #[test]
    fn taking_one_intent_back_leaves_the_others_open() {
        use Mark::{Intent, TakenBack};
        assert_eq!(open(&[entry(0, Intent, 1), entry(0, Intent, 2), entry(0, TakenBack, 1)]), [(0, 2)]);
        assert_eq!(open(&[entry(0, Intent, 1), entry(0, Intent, 1), entry(0, TakenBack, 1)]), [(0, 1)]);
        assert_eq!(open(&[entry(0, Intent, 1), entry(1, TakenBack, 1)]), [(0, 1)]);
    }

    #[test]
    fn steps_are_done_in_any_order_and_a_million_of_them_are_one_run() {
        use Mark::{Done, Intent, Memo, Unchanged};
        let steps = [5, 0, 1, 3, u32::MAX, 2, 0, 7];
        let some: Earlier = steps.iter().map(|step| entry(*step, Unchanged, 1)).collect();
        let done: Vec<u32> = (0..10).filter(|step| some.is_done(*step)).collect();
        assert_eq!(done, [0, 1, 2, 3, 5, 7]);
        assert!(some.is_done(u32::MAX) && !some.is_done(u32::MAX - 1) && !some.has_changed());
        let mut many = Earlier::default();
        for step in 0..1_000_000 {
            for mark in [Memo, Intent, Done] {
                many.add(JournalEntry { note: vec![0; 100], ..entry(step, mark, 0) });
            }
        }
        assert_eq!((many.done.len(), many.open.len(), many.has_changed()), (1, 0, true));
        assert!(many.is_done(999_999) && !many.is_done(1_000_000));
    }
}
