//! Going on in a unit during which the process may have died: in halves, until the entry at which it dies is alone.
//!
//! Before a part is tried, a memo says so; and another one if the attempt failed in it, which is not death. What is done
//! of a part is journaled under a step of its own. So a part that was tried, and of which neither is known, is one in
//! which the process died: it is tried in halves, and an entry that is alone is given up. Everything else is repeated
//! with look-ups, like every unit.

use std::collections::BTreeMap;

use super::memory::Note;
use crate::connector::AttemptCx;

/// Steps from here on are those of parts.
const FIRST: u32 = 1 << 31;
/// As many parts as the halves of the largest unit have.
const MOST: u32 = 1 << 15;

/// A part of a unit: the whole is 1, and the halves of part `n` are `2n` and `2n + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part(u32);

impl Part {
    pub(super) const WHOLE: Self = Self(1);

    /// Its halves; none if there is no number for them, which takes a larger unit than there is.
    pub(super) fn halves(self) -> Option<(Self, Self)> {
        let left = self.0 * 2;
        (left + 1 < MOST).then_some((Self(left), Self(left + 1)))
    }

    /// The step under which what is done of it is journaled; none for steps beyond those of any dataset.
    pub(super) fn step(self, unit: u32) -> Option<u32> {
        (unit < (FIRST / MOST) - 1).then(|| FIRST + unit * MOST + self.0)
    }
}

/// The parts of one unit, as earlier attempts left them.
pub(super) struct Parts(BTreeMap<Part, i32>);

impl Parts {
    pub(super) fn of(cx: &AttemptCx, unit: u32) -> Self {
        let mut attempted = BTreeMap::new();
        for note in cx.earlier.memos(unit).filter_map(Note::decode) {
            for (part, by) in [(note.attempted, 1), (note.ended, -1)] {
                if let Some(part) = part {
                    *attempted.entry(Part(part)).or_default() += by;
                }
            }
        }
        Self(attempted)
    }

    /// Whether the process died while it was tried.
    pub(super) fn is_deadly(&self, part: Part) -> bool {
        self.0.get(&part).is_some_and(|attempted| *attempted > 0)
    }
}

/// The memo that a part is about to be tried.
pub(super) fn attempted(part: Part) -> Vec<u8> {
    Note { attempted: Some(part.0), ..Note::default() }.encode()
}

/// The memo that an attempt failed in a part, and the process lives.
pub(super) fn ended(part: Part) -> Vec<u8> {
    Note { ended: Some(part.0), ..Note::default() }.encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_every_unit_has_a_step_of_its_own() {
        let (mut part, mut depth) = (Part::WHOLE, 0);
        while let Some((_, right)) = part.halves() {
            (part, depth) = (right, depth + 1);
        }
        assert!(10_000 <= 1 << depth, "a bulk unit can be halved down to one entry");
        assert_eq!(
            part.step(7).map(|step| step + 2),
            Part::WHOLE.step(8),
            "the last of one unit, the first of the next"
        );
        assert!(part.step(u32::from(u16::MAX) - 1).is_some_and(|last| last < u32::MAX), "that one says `refused`");
        assert_eq!(Part::WHOLE.step(u32::from(u16::MAX)), None);
    }
}
