//! Ended tasks whose reports are in the controller's hands.

use std::collections::BTreeMap;

use postern_protocol::TaskId;

use crate::write::{Payload, Tombstone};

/// Tombstones, those of tasks with a payload apart: connectors ask by them whether what an export told was handed over,
/// the next night perhaps, or lost, and thousands of short tasks in between are not to push them out.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    with_payload: BTreeMap<TaskId, Tombstone>,
    without: BTreeMap<TaskId, Tombstone>,
}

impl Tombstones {
    pub(super) fn get(&self, task: TaskId) -> Option<Tombstone> {
        self.without.get(&task).or_else(|| self.with_payload.get(&task)).copied()
    }

    /// Adds one. The oldest of its sort if there are more than `most` now.
    pub(super) fn add(&mut self, stone: Tombstone, most: usize) -> Option<TaskId> {
        let (stones, others) = if stone.payload == Payload::None {
            (&mut self.without, &mut self.with_payload)
        } else {
            (&mut self.with_payload, &mut self.without)
        };
        others.remove(&stone.task);
        stones.insert(stone.task, stone);
        // Ids of tasks begin with the time they were made: the first is the oldest.
        if stones.len() > most { stones.pop_first().map(|(task, _)| task) } else { None }
    }
}

impl FromIterator<Tombstone> for Tombstones {
    fn from_iter<I: IntoIterator<Item = Tombstone>>(stones: I) -> Self {
        let mut tombstones = Self::default();
        for stone in stones {
            tombstones.add(stone, usize::MAX);
        }
        tombstones
    }
}

#[cfg(test)]
mod tests {
    use postern_protocol::Epoch;
    use postern_protocol::outcome::{Certainty, Changed, Outcome};

    use super::*;

    fn stone(number: u8, payload: Payload) -> Tombstone {
        let (outcome, certainty, changed) = (Outcome::Succeeded, Certainty::Certain, Changed::No);
        Tombstone {
            task: TaskId::from_bytes([number; 16]),
            epoch: Epoch(1),
            attempt: 1,
            outcome,
            certainty,
            changed,
            payload,
        }
    }

    #[test]
    fn many_short_tasks_do_not_push_out_what_tells_that_an_export_was_handed_over_or_lost() {
        let short = |number| stone(number, Payload::None);
        for payload in [Payload::HandedOver, Payload::Lost] {
            let mut tombstones = Tombstones::default();
            let export = stone(1, payload);
            assert_eq!(tombstones.add(export, 2), None);
            for number in 2..=9 {
                let oldest = (number > 3).then(|| short(number - 2).task);
                assert_eq!(tombstones.add(short(number), 2), oldest);
            }
            assert_eq!(tombstones.get(export.task), Some(export));
            assert_eq!(tombstones.get(short(7).task), None);
        }
    }
}
