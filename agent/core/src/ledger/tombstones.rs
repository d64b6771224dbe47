//! Ended tasks whose reports are in the controller's hands.

use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::TaskId;

use crate::write::{Payload, Tombstone};

/// Tombstones, those of tasks with a payload apart: connectors ask by them whether what an export told was handed over,
/// the next night perhaps, or lost, and thousands of short tasks in between are not to push them out.
///
/// They are forgotten in the order in which they ended. A task that waited for long is older than all others by its id, and
/// forgotten by that it would be done again if it were offered once more, the moment after it has ended.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    with_payload: Sort,
    without: Sort,
    /// The number of the newest.
    newest: u64,
}

/// Those that are forgotten in one order.
#[derive(Debug, Default)]
struct Sort {
    stones: BTreeMap<TaskId, Tombstone>,
    /// By their numbers, which those of a store of before have in common.
    order: BTreeSet<(u64, TaskId)>,
}

impl Tombstones {
    pub(super) fn get(&self, task: TaskId) -> Option<Tombstone> {
        self.without.stones.get(&task).or_else(|| self.with_payload.stones.get(&task)).copied()
    }

    /// Adds one as the newest, and returns it so. The oldest of its sort is forgotten if there are more than `most` now.
    pub(super) fn add(&mut self, stone: Tombstone, most: usize) -> (Tombstone, Option<TaskId>) {
        let stone = Tombstone { ended: self.newest + 1, ..stone };
        let sort = self.insert(stone);
        (stone, if sort.stones.len() > most { sort.forget_oldest() } else { None })
    }

    /// Adds one that has its number, and returns its sort.
    fn insert(&mut self, stone: Tombstone) -> &mut Sort {
        self.newest = self.newest.max(stone.ended);
        let (sort, other) = if stone.payload == Payload::None {
            (&mut self.without, &mut self.with_payload)
        } else {
            (&mut self.with_payload, &mut self.without)
        };
        other.remove(stone.task);
        sort.remove(stone.task);
        sort.order.insert((stone.ended, stone.task));
        sort.stones.insert(stone.task, stone);
        sort
    }
}

impl Sort {
    fn remove(&mut self, task: TaskId) {
        if let Some(stone) = self.stones.remove(&task) {
            self.order.remove(&(stone.ended, task));
        }
    }

    fn forget_oldest(&mut self) -> Option<TaskId> {
        let (_, oldest) = self.order.pop_first()?;
        self.stones.remove(&oldest);
        Some(oldest)
    }
}

impl FromIterator<Tombstone> for Tombstones {
    fn from_iter<I: IntoIterator<Item = Tombstone>>(stones: I) -> Self {
        let mut tombstones = Self::default();
        for stone in stones {
            tombstones.insert(stone);
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
            ended: 0,
        }
    }

    /// Forget the one with the oldest id, and a task that waited for long is forgotten in the moment in which it ended.
    #[test]
    fn they_are_forgotten_in_the_order_in_which_they_ended() {
        let mut tombstones = Tombstones::default();
        let mut forgotten_with = |number| tombstones.add(stone(number, Payload::None), 2).1;
        let id = |number| Some(stone(number, Payload::None).task);
        assert_eq!([5, 6, 1, 7].map(&mut forgotten_with), [None, None, id(5), id(6)]);

        let mut restored: Tombstones = tombstones.without.stones.into_values().collect();
        assert_eq!(restored.add(stone(2, Payload::None), 2).1, id(1), "over a restart too");
        assert_eq!(restored.add(stone(7, Payload::None), 2).1, None, "one that is told again is there already");
        assert_eq!(restored.add(stone(3, Payload::None), 2).1, id(2));
    }

    #[test]
    fn many_short_tasks_do_not_push_out_what_tells_that_an_export_was_handed_over_or_lost() {
        let short = |number| stone(number, Payload::None);
        for payload in [Payload::HandedOver, Payload::Lost] {
            let mut tombstones = Tombstones::default();
            let export = stone(1, payload);
            let (export, _) = tombstones.add(export, 2);
            for number in 2..=9 {
                let oldest = (number > 3).then(|| short(number - 2).task);
                assert_eq!(tombstones.add(short(number), 2).1, oldest);
            }
            assert_eq!(tombstones.get(export.task), Some(export));
            assert_eq!(tombstones.get(short(7).task), None);
        }
    }
}
