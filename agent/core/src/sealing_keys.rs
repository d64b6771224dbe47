//! When a member's sealing key is replaced, and when the one before it is forgotten.
//!
//! A new key is on disk before anybody hears of it, and on the controller's disk before any secret is sealed to it. The
//! key before it opens what was sealed in the meantime: it goes when enough time has passed since the controller
//! acknowledged the new one, and nothing here names it.

use std::collections::BTreeMap;
use std::time::Duration;

use postern_protocol::Timestamp;
use postern_protocol::seal::{KeyId, MAX_MEMBER_KEYS};
use postern_protocol::time::UnixMillis;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a `KeyAck` is waited for: as long as a peer may show no sign of life.
const ANSWER: Duration = Duration::from_secs(30);
/// After what time is tried again what the disk did not take, or what something here still needed. Both may last.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// The shortest such time, for keys that last for seconds.
const LEAST: Duration = Duration::from_millis(250);
/// How often the wall clock is looked at, which may be set at any time.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// How long keys are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long secrets are sealed to one.
    pub life: Duration,
    /// How long it opens them after that.
    pub keep: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { life: 30 * DAY, keep: 14 * DAY }
    }
}

/// What is known of a key, by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its short name.
    pub id: KeyId,
    /// When it was made.
    pub made: UnixMillis,
    /// Since when a controller gives it to submitters.
    pub acknowledged: Option<UnixMillis>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make a key durable, then call [`Rotation::handle_made`].
    Make,
    /// Tell the controller all keys, the newest first.
    Announce,
    /// Wipe this key if nothing here names it, then call [`Rotation::handle_forgotten`] or [`Rotation::handle_needed`].
    Forget(KeyId),
}

/// The keys of one member.
#[derive(Debug)]
pub struct Rotation {
    terms: Terms,
    /// The newest first.
    keys: Vec<Key>,
    connected: bool,
    /// Whether the controller was told of all of them, and of no other.
    announced: bool,
    under_way: Option<(Step, Timestamp)>,
    not_before: Timestamp,
    /// Keys that something here named when it was asked, and when to ask again.
    needed: BTreeMap<KeyId, Timestamp>,
}

impl Rotation {
    /// Of these keys, the newest first.
    pub fn new(keys: Vec<Key>, terms: Terms) -> Self {
        let not_before = Timestamp::from_millis(0);
        let needed = BTreeMap::new();
        Self { terms, keys, connected: false, announced: false, under_way: None, not_before, needed }
    }

    /// What is known of each, the newest first.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// `Hello` told all keys.
    pub fn handle_introduced(&mut self) {
        self.announced = true;
    }

    /// The session is established, and what `Hello` told is acknowledged. Returns whether what is known of the newest has
    /// changed and is to be made durable; if it is lost, the next session tells it again.
    pub fn handle_connected(&mut self, wall: UnixMillis) -> bool {
        self.connected = true;
        // A key may have come since.
        self.announced && self.acknowledge(wall)
    }

    /// The session is over, and the question that was asked in it.
    pub fn handle_disconnected(&mut self) {
        self.connected = false;
        self.under_way.take_if(|(step, _)| *step == Step::Announce);
    }

    /// The controller gives this key to submitters now. Returns whether that is news, to be made durable.
    pub fn handle_acknowledged(&mut self, newest: KeyId, wall: UnixMillis) -> bool {
        if self.keys.first().is_none_or(|key| key.id != newest) {
            return false;
        }
        self.under_way.take_if(|(step, _)| *step == Step::Announce);
        self.acknowledge(wall)
    }

    fn acknowledge(&mut self, wall: UnixMillis) -> bool {
        let Some(newest) = self.keys.first_mut().filter(|key| key.acknowledged.is_none()) else { return false };
        newest.acknowledged = Some(wall);
        true
    }

    /// A new key is on disk.
    pub fn handle_made(&mut self, key: Key) {
        self.under_way = None;
        self.announced = false;
        self.keys.insert(0, key);
    }

    /// A key is on no disk any more.
    pub fn handle_forgotten(&mut self, id: KeyId) {
        self.under_way = None;
        self.announced = false;
        self.keys.retain(|key| key.id != id);
        self.needed.remove(&id);
    }

    /// Something here still names a key that was to be forgotten.
    pub fn handle_needed(&mut self, id: KeyId, now: Timestamp) {
        self.under_way = None;
        self.needed.insert(id, now + self.again());
    }

    /// The disk did not take a step.
    pub fn handle_failed(&mut self, now: Timestamp) {
        self.under_way = None;
        self.not_before = now + self.again();
    }

    /// The controller does not take an announcement now, and goes on with the keys it knows.
    pub fn handle_refused(&mut self, now: Timestamp) {
        if self.under_way.take_if(|(step, _)| *step == Step::Announce).is_some() {
            self.announced = false;
            self.not_before = now + self.again();
        }
    }

    fn again(&self) -> Duration {
        (self.terms.keep / 8).clamp(LEAST, AGAIN)
    }

    /// What is to be done now. `Make` and `Forget` end with one of the `handle_*`.
    pub fn poll(&mut self, now: Timestamp, wall: UnixMillis) -> Option<Step> {
        self.under_way.take_if(|(step, since)| *step == Step::Announce && now >= *since + ANSWER);
        if !self.connected || self.under_way.is_some() || now < self.not_before {
            return None;
        }
        self.forget_the_future(wall);
        let step = if !self.announced {
            self.announced = true;
            Step::Announce
        } else if self.must_make(wall) {
            Step::Make
        } else if let Some(id) = self.outlived(now, wall) {
            Step::Forget(id)
        } else if self.keys.first().is_some_and(|key| key.acknowledged.is_none()) {
            // The answer did not come.
            Step::Announce
        } else {
            return None;
        };
        self.under_way = Some((step, now));
        Some(step)
    }

    /// When to call [`Rotation::poll`] again, unless something happens before.
    pub fn poll_timeout(&self, now: Timestamp, wall: UnixMillis) -> Option<Timestamp> {
        match self.under_way {
            Some((Step::Announce, since)) => return Some(since + ANSWER),
            Some(_) => return None,
            None if !self.connected => return None,
            None => (),
        }
        let make = self.keys.first().filter(|_| self.has_room()).map(|key| now + left(key.made, self.terms.life, wall));
        let forget = self.keys.iter().enumerate().filter_map(|(place, key)| {
            let due = now + left(self.superseded(place)?, self.terms.keep, wall);
            Some(self.needed.get(&key.id).map_or(due, |again| due.max(*again)))
        });
        let due = make.into_iter().chain(forget).fold(now + LOOK, Timestamp::min);
        Some(if self.announced { due.max(self.not_before) } else { now.max(self.not_before) })
    }

    fn has_room(&self) -> bool {
        self.keys.len() < MAX_MEMBER_KEYS
    }

    fn must_make(&self, wall: UnixMillis) -> bool {
        let is_old = |key: &Key| key.acknowledged.is_some() && age(key.made, wall) >= self.terms.life;
        self.has_room() && self.keys.first().is_none_or(is_old)
    }

    /// The oldest key that is to be forgotten. One that is needed holds up no other.
    fn outlived(&self, now: Timestamp, wall: UnixMillis) -> Option<KeyId> {
        let is_outlived = |(place, key): &(usize, &Key)| {
            self.superseded(*place).is_some_and(|since| age(since, wall) >= self.terms.keep)
                && self.needed.get(&key.id).is_none_or(|again| now >= *again)
        };
        self.keys.iter().enumerate().rev().find(is_outlived).map(|(_, key)| key.id)
    }

    /// Since when secrets are sealed to a key that follows the one in this place.
    fn superseded(&self, place: usize) -> Option<UnixMillis> {
        self.keys.iter().take(place).filter_map(|key| key.acknowledged).min()
    }

    /// What was noted under a clock that was ahead counts from now on; otherwise a key would live for as long as it was.
    fn forget_the_future(&mut self, wall: UnixMillis) {
        for key in &mut self.keys {
            key.made = key.made.min(wall);
            key.acknowledged = key.acknowledged.map(|at| at.min(wall));
        }
    }
}

fn left(since: UnixMillis, term: Duration, wall: UnixMillis) -> Duration {
    term.saturating_sub(age(since, wall))
}

fn age(since: UnixMillis, wall: UnixMillis) -> Duration {
    Duration::from_millis(wall.0.saturating_sub(since.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: u64 = 24 * 60 * 60 * 1000;

    fn id(number: u8) -> KeyId {
        KeyId::of(&[number])
    }

    /// A moment by both clocks: so many days after the first key was made.
    fn on_day(day: u64) -> (Timestamp, UnixMillis) {
        (Timestamp::from_millis(day * MILLIS), UnixMillis((20_000 + day) * MILLIS))
    }

    fn key(number: u8, made: u64, acknowledged: Option<u64>) -> Key {
        Key { id: id(number), made: on_day(made).1, acknowledged: acknowledged.map(|day| on_day(day).1) }
    }

    fn connected(keys: Vec<Key>) -> Rotation {
        let mut rotation = Rotation::new(keys, Terms::default());
        rotation.handle_introduced();
        rotation.handle_connected(on_day(0).1);
        rotation
    }

    fn poll(rotation: &mut Rotation, day: u64) -> Option<Step> {
        let (now, wall) = on_day(day);
        rotation.poll(now, wall)
    }

    /// Announce at `Make` already, and the key is on no disk; forget without asking when the next one was acknowledged,
    /// and what was sealed to it yesterday opens no more.
    #[test]
    fn a_key_is_made_after_thirty_days_told_when_it_is_durable_and_the_old_one_goes_fourteen_days_after_the_ack() {
        let mut rotation = connected(vec![key(1, 0, None)]);
        assert_eq!(rotation.keys()[0].acknowledged, Some(on_day(0).1), "Hello told it");
        assert_eq!(poll(&mut rotation, 29), None);
        assert_eq!(poll(&mut rotation, 30), Some(Step::Make));
        assert_eq!(poll(&mut rotation, 30), None, "one at a time");
        rotation.handle_made(key(2, 30, None));
        assert_eq!(poll(&mut rotation, 30), Some(Step::Announce));
        assert!(rotation.handle_acknowledged(id(2), on_day(33).1), "to be made durable");
        assert!(!rotation.handle_acknowledged(id(2), on_day(34).1), "once");
        assert_eq!(poll(&mut rotation, 46), None, "thirteen days after that");
        assert_eq!(poll(&mut rotation, 47), Some(Step::Forget(id(1))));
        rotation.handle_forgotten(id(1));
        assert_eq!(poll(&mut rotation, 47), Some(Step::Announce), "what it cannot open, the controller knows");
        assert!(!rotation.handle_acknowledged(id(2), on_day(47).1));
        assert_eq!(poll(&mut rotation, 48), None);
        assert_eq!(rotation.keys(), [key(2, 30, Some(33))]);
    }

    #[test]
    fn a_key_that_something_names_is_asked_for_again_and_the_next_is_made_meanwhile() {
        let mut rotation = connected(vec![key(2, 30, Some(30)), key(1, 0, Some(0))]);
        for day in [44, 45, 59] {
            assert_eq!(poll(&mut rotation, day), Some(Step::Forget(id(1))), "day {day}");
            let (now, wall) = on_day(day);
            rotation.handle_needed(id(1), now);
            assert_eq!(rotation.poll(now, wall), None);
            assert_eq!(rotation.poll_timeout(now, wall), Some(now + AGAIN));
        }
        assert_eq!(poll(&mut rotation, 60), Some(Step::Make));
        rotation.handle_made(key(3, 60, None));
        assert_eq!(poll(&mut rotation, 60), Some(Step::Announce));
        rotation.handle_acknowledged(id(3), on_day(60).1);
        assert_eq!(poll(&mut rotation, 60), Some(Step::Forget(id(1))));
    }

    /// Look at the oldest alone, and none is wiped for as long as that is needed.
    #[test]
    fn a_key_that_is_needed_holds_up_no_other() {
        let mut rotation = connected(vec![key(3, 60, Some(60)), key(2, 30, Some(30)), key(1, 0, Some(0))]);
        assert_eq!(poll(&mut rotation, 74), Some(Step::Forget(id(1))));
        rotation.handle_needed(id(1), on_day(74).0);
        assert_eq!(poll(&mut rotation, 74), Some(Step::Forget(id(2))));
        rotation.handle_forgotten(id(2));
        assert_eq!(poll(&mut rotation, 74), Some(Step::Announce));
        rotation.handle_acknowledged(id(3), on_day(74).1);
        assert_eq!(poll(&mut rotation, 75), Some(Step::Forget(id(1))));
    }

    /// More cannot be announced. Take the bound out of `must_make`, and the oldest, which is needed, is announced no more.
    #[test]
    fn no_key_is_made_while_as_many_are_needed_as_can_be_announced() {
        let mut rotation =
            connected(vec![key(4, 90, Some(90)), key(3, 60, Some(60)), key(2, 30, Some(30)), key(1, 0, Some(0))]);
        assert_eq!(rotation.keys().len(), MAX_MEMBER_KEYS);
        assert_eq!(poll(&mut rotation, 200), Some(Step::Forget(id(1))));
        for needed in [1, 2, 3] {
            rotation.handle_needed(id(needed), on_day(200).0);
        }
        assert_eq!(poll(&mut rotation, 200), None);
        assert_eq!(poll(&mut rotation, 201), Some(Step::Forget(id(1))));
        rotation.handle_forgotten(id(1));
        assert_eq!(poll(&mut rotation, 201), Some(Step::Announce));
        rotation.handle_acknowledged(id(4), on_day(201).1);
        assert_eq!(poll(&mut rotation, 201), Some(Step::Make));
    }

    #[test]
    fn a_key_that_was_never_acknowledged_makes_the_one_before_it_wait() {
        let mut rotation = Rotation::new(vec![key(2, 30, None), key(1, 0, Some(0))], Terms::default());
        assert_eq!(poll(&mut rotation, 100), None, "nothing without a session");
        assert_eq!(rotation.poll_timeout(on_day(100).0, on_day(100).1), None);
        rotation.handle_introduced();
        assert!(rotation.handle_connected(on_day(100).1), "Hello told both");
        assert_eq!(poll(&mut rotation, 100), Some(Step::Make), "it is old by now");
        rotation.handle_failed(on_day(100).0);
        assert_eq!(poll(&mut rotation, 100), None);
        assert_eq!(poll(&mut rotation, 113), Some(Step::Make), "a full disk is tried again");
        rotation.handle_made(key(3, 113, None));
        assert_eq!(poll(&mut rotation, 113), Some(Step::Announce));
        rotation.handle_disconnected();
        rotation.handle_introduced();
        rotation.handle_connected(on_day(114).1);
        assert_eq!(
            poll(&mut rotation, 114),
            Some(Step::Forget(id(1))),
            "the second is acknowledged since fourteen days"
        );
    }

    /// Have `handle_connected` take the newest for told, and submitters are never given it.
    #[test]
    fn a_key_that_became_durable_between_hello_and_welcome_is_announced() {
        let mut rotation = Rotation::new(vec![key(1, 0, Some(0))], Terms::default());
        rotation.handle_introduced();
        rotation.handle_made(key(2, 30, None));
        assert!(!rotation.handle_connected(on_day(30).1));
        assert_eq!(poll(&mut rotation, 30), Some(Step::Announce));
    }

    #[test]
    fn an_announcement_without_an_answer_is_made_again() {
        let mut rotation = connected(vec![key(1, 0, Some(0))]);
        rotation.handle_made(key(2, 30, None));
        let (now, wall) = on_day(30);
        assert_eq!(rotation.poll(now, wall), Some(Step::Announce));
        assert_eq!(rotation.poll_timeout(now, wall), Some(now + ANSWER));
        assert_eq!(rotation.poll(now + ANSWER / 2, wall), None);
        assert_eq!(rotation.poll(now + ANSWER, wall), Some(Step::Announce));
    }

    /// Of a new key, and of one that is gone. Take the answer for one to nothing, and what was forgotten is never told.
    #[test]
    fn an_announcement_that_is_refused_is_made_again_later() {
        for keys in [vec![key(2, 30, None), key(1, 0, Some(0))], vec![key(2, 30, Some(30))]] {
            let mut rotation = Rotation::new(keys, Terms::default());
            rotation.connected = true;
            let (now, wall) = on_day(31);
            assert_eq!(rotation.poll(now, wall), Some(Step::Announce));
            rotation.handle_refused(now);
            assert_eq!(rotation.poll(now, wall), None);
            assert_eq!(rotation.poll_timeout(now, wall), Some(now + AGAIN));
            assert_eq!(rotation.poll(now + AGAIN, wall), Some(Step::Announce));
            rotation.handle_acknowledged(id(2), wall);
            rotation.handle_refused(now + AGAIN);
            assert_eq!(rotation.poll(now + AGAIN, wall), None, "what was answered is over");
        }
    }

    #[test]
    fn a_look_falls_on_the_moment_at_which_something_is_due() {
        let mut rotation = connected(vec![key(2, 30, Some(30)), key(1, 0, Some(0))]);
        let (now, wall) = on_day(43);
        assert_eq!(poll(&mut rotation, 43), None);
        assert_eq!(rotation.poll_timeout(now, wall), Some(now + LOOK), "the clock may be set");
        let (later, wall) = (now + 23 * LOOK + LOOK / 2, UnixMillis(wall.0 + MILLIS - MILLIS / 48));
        assert_eq!(rotation.poll_timeout(later, wall), Some(later + LOOK / 2));
    }

    /// Leave `forget_the_future` out, and a key that was made under a clock a year ahead is used for a year and a month.
    #[test]
    fn a_clock_that_was_ahead_does_not_make_keys_live_on() {
        let mut rotation = connected(vec![key(2, 400, Some(400)), key(1, 0, Some(0))]);
        assert_eq!(poll(&mut rotation, 35), None);
        assert_eq!(poll(&mut rotation, 49), Some(Step::Forget(id(1))));
        rotation.handle_forgotten(id(1));
        assert_eq!(poll(&mut rotation, 65), Some(Step::Announce));
        rotation.handle_acknowledged(id(2), on_day(65).1);
        assert_eq!(poll(&mut rotation, 65), Some(Step::Make));
    }
}
