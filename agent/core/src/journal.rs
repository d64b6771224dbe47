//! What an attempt writes down before and after it acts.

/// One entry of a task's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The step of the task's plan, from 0. A batch has one step a unit.
    pub step: u32,
    /// What the entry says of the step.
    pub mark: Mark,
    /// What the connector wants to know after a crash. Never a secret in clear.
    pub note: Vec<u8>,
}

/// What an entry says of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The attempt is about to act.
    Intent,
    /// The step is proved done.
    Done,
    /// What an intent of this step with this note announced is proved not to have happened.
    TakenBack,
    /// Something to remember. It announces nothing and proves nothing.
    Memo,
}

impl JournalEntry {
    /// The entry that takes this intent back.
    #[must_use]
    pub fn taken_back(&self) -> Self {
        Self { mark: Mark::TakenBack, ..self.clone() }
    }
}

/// Whether a step is proved done.
pub fn is_done(journal: &[JournalEntry], step: u32) -> bool {
    journal.iter().any(|entry| entry.mark == Mark::Done && entry.step == step)
}

/// The intents that may have become effects, oldest first: neither taken back nor of a step that is proved done.
pub fn open_intents(journal: &[JournalEntry]) -> Vec<&JournalEntry> {
    let mut open: Vec<&JournalEntry> = Vec::new();
    for entry in journal {
        match entry.mark {
            Mark::Intent => open.push(entry),
            Mark::Done => open.retain(|it| it.step != entry.step),
            Mark::Memo => (),
            Mark::TakenBack => {
                let taken_back = open.iter().rposition(|it| it.step == entry.step && it.note == entry.note);
                if let Some(index) = taken_back {
                    open.remove(index);
                }
            }
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(step: u32, mark: Mark, note: u8) -> JournalEntry {
        JournalEntry { step, mark, note: vec![note] }
    }

    fn open(journal: &[JournalEntry]) -> Vec<(u32, u8)> {
        open_intents(journal).iter().map(|it| (it.step, it.note.first().copied().unwrap())).collect()
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
}
