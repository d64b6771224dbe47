//! Which of the parts that have to move do not. Without a clock: looks are counted, rather than time. A process that was
//! stopped, or whose host slept, asked nothing of anybody meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How often an owner with nothing to do moves its pulse: several times before it would have stalled, which takes half of the
/// five seconds that a disk is given at the least.
pub const TICK: Duration = Duration::from_millis(500);

/// How often an owner has come round. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    works: AtomicBool,
    moved: AtomicU64,
}

impl Pulse {
    /// The owner is here again. From the first time on it has to move, until it [rests](Self::rest).
    pub fn beat(&self) {
        self.0.works.store(true, Ordering::Relaxed);
        self.0.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// The owner has ended as it should.
    pub fn rest(&self) {
        self.0.works.store(false, Ordering::Relaxed);
    }

    /// Waits for `work`, and beats meanwhile as long as it may take.
    pub async fn during<T>(&self, longest: Duration, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let ticks = longest.as_millis().div_ceil(TICK.as_millis());
        for _ in 0..ticks {
            self.beat();
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(TICK) => (),
            }
        }
        work.await
    }

    /// How it is, for a [`Heart`].
    pub fn look(&self) -> Look {
        Look { has_to_move: self.0.works.load(Ordering::Relaxed), moved: self.0.moved.load(Ordering::Relaxed) }
    }
}

/// One look at a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether it has anything to do.
    pub has_to_move: bool,
    /// How often it has moved.
    pub moved: u64,
}

/// A part that has to move and did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Still {
    /// Which.
    pub part: &'static str,
    /// For how many looks.
    pub looks: u32,
}

struct Part {
    name: &'static str,
    look: Box<dyn Fn() -> Look + Send>,
    moved: u64,
    looks: u32,
}

/// The parts of a program that have to move.
#[derive(Default)]
pub struct Heart(Vec<Part>);

impl Heart {
    /// And this part, which is looked at like that.
    #[must_use]
    pub fn with(mut self, name: &'static str, look: impl Fn() -> Look + Send + 'static) -> Self {
        // Whatever it has done before, the first look finds nothing that was still.
        let moved = look().moved;
        self.0.push(Part { name, look: Box::new(look), moved, looks: 0 });
        self
    }

    /// Looks once more, and returns the parts that had to move since the last look and did not.
    pub fn look(&mut self) -> Vec<Still> {
        let mut still = Vec::new();
        for part in &mut self.0 {
            let Look { has_to_move, moved } = (part.look)();
            part.looks = if has_to_move && moved == part.moved { part.looks.saturating_add(1) } else { 0 };
            part.moved = moved;
            if part.looks > 0 {
                still.push(Still { part: part.name, looks: part.looks });
            }
        }
        still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_that_does_not_come_round_is_still_until_it_does() {
        let (dispatcher, link) = (Pulse::default(), Pulse::default());
        dispatcher.beat();
        let (seen, also_seen) = (dispatcher.clone(), link.clone());
        let mut heart = Heart::default().with("dispatcher", move || seen.look()).with("link", move || also_seen.look());
        for looks in 1..=3 {
            link.beat();
            assert_eq!(heart.look(), [Still { part: "dispatcher", looks }]);
        }
        dispatcher.beat();
        assert_eq!(heart.look(), [Still { part: "link", looks: 1 }]);
    }

    #[test]
    fn who_has_nothing_to_do_need_not_move() {
        let pulse = Pulse::default();
        let seen = pulse.clone();
        let mut heart = Heart::default().with("link", move || seen.look());
        assert!((0..100).all(|_| heart.look().is_empty()), "it has not begun");
        pulse.beat();
        assert_eq!((heart.look().len(), heart.look().len()), (0, 1));
        pulse.rest();
        assert!((0..100).all(|_| heart.look().is_empty()), "it has ended");
    }

    /// Beat for as long as the work lasts, and a dial that never ends passes for an advance.
    #[tokio::test(start_paused = true)]
    async fn work_that_takes_longer_than_it_may_is_no_movement() {
        let pulse = Pulse::default();
        pulse.during(10 * TICK, tokio::time::sleep(100 * TICK)).await;
        assert_eq!(pulse.look().moved, 10);
        assert_eq!(pulse.during(10 * TICK, async { 7 }).await, 7);
    }
}
