//! When a member's certificate is renewed, and which step of that is next.
//!
//! Each step is durable before the next: a new key with its request, the certificate for it, and that the certificate
//! was proved by a session. Until then the present one stays, so that a step that fails, or a process that dies in one,
//! costs a renewal and never the membership.

use std::time::Duration;

use postern_protocol::Timestamp;
use postern_protocol::time::UnixMillis;

/// How long an answer to `CertRenew` is waited for: as long as a peer may show no sign of life.
const ANSWER: Duration = Duration::from_secs(30);
/// The first wait after a step that failed.
const FIRST: Duration = Duration::from_secs(60);
/// The longest: half a life of the shortest certificates has room for several.
const LAST: Duration = Duration::from_secs(60 * 60);
/// The shortest, for certificates that last for seconds.
const LEAST: Duration = Duration::from_millis(500);
/// Within which time a certificate is renewed once its root is to go, or within a hundredth of its life if that is less:
/// soon, and not all members at once.
const SOON: Duration = Duration::from_secs(10 * 60);
/// How often the wall clock is looked at, which may be set at any time.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// How long a certificate is valid, by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when on.
    pub begins: UnixMillis,
    /// Until when.
    pub ends: UnixMillis,
}

impl Validity {
    /// Whether it is over.
    pub fn is_over(self, wall: UnixMillis) -> bool {
        wall >= self.ends
    }

    /// When it is to be renewed: at half its life, up to a tenth of that earlier or later. `draw` is uniform over all its
    /// values, and the same each time for one certificate.
    pub fn due(self, draw: u32) -> UnixMillis {
        let share = 0.45 + 0.1 * f64::from(draw) / f64::from(u32::MAX);
        UnixMillis(self.begins.0.saturating_add(millis(self.life().mul_f64(share))))
    }

    fn life(self) -> Duration {
        Duration::from_millis(self.ends.0.saturating_sub(self.begins.0))
    }

    fn left(self, wall: UnixMillis) -> Duration {
        Duration::from_millis(self.ends.0.saturating_sub(wall.0))
    }
}

/// How much of the next certificate is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Absent,
    /// Its key and the request for it.
    Requested,
    /// The certificate.
    Issued,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make a key and a request durable, then call [`Renewal::handle_on_disk`].
    Prepare,
    /// Ask for the certificate in this session, and make it durable.
    Ask,
    /// Open a session with it. Once that is durable, call [`Renewal::handle_proved`].
    Prove,
}

/// The renewal of one member's certificate, one after the other.
#[derive(Debug)]
pub struct Renewal {
    validity: Validity,
    due: UnixMillis,
    next: Next,
    connected: bool,
    under_way: Option<(Step, Timestamp)>,
    failures: u32,
    not_before: Timestamp,
}

impl Renewal {
    /// Of a certificate with this validity, while so much of the next one is on disk.
    pub fn new(validity: Validity, draw: u32, next: Next) -> Self {
        Self {
            validity,
            due: validity.due(draw),
            next,
            connected: false,
            under_way: None,
            failures: 0,
            not_before: Timestamp::from_millis(0),
        }
    }

    /// When the present certificate is to be renewed.
    pub const fn due(&self) -> UnixMillis {
        self.due
    }

    /// How long the present certificate is valid.
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// How much of the next certificate is on disk.
    pub const fn next(&self) -> Next {
        self.next
    }

    /// A session is established.
    pub fn handle_connected(&mut self) {
        self.connected = true;
    }

    /// The session is over, and what was under way in it.
    pub fn handle_disconnected(&mut self) {
        self.connected = false;
        self.under_way.take_if(|(step, _)| *step != Step::Prepare);
    }

    /// So much of the next certificate is on disk now.
    pub fn handle_on_disk(&mut self, next: Next) {
        self.next = next;
        self.under_way = None;
    }

    /// A step failed. Returns how long the next try is put off; `random` is uniform over all its values.
    pub fn handle_failed(&mut self, now: Timestamp, wall: UnixMillis, random: u32) -> Duration {
        self.under_way = None;
        let window = FIRST.saturating_mul(1 << self.failures.min(6)).min(LAST);
        // Several more tries fit in what is left of the certificate, however little that is.
        let window = window.min(self.validity.left(wall) / 8).max(LEAST);
        self.failures = self.failures.saturating_add(1);
        let wait = window.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX));
        self.not_before = now + wait;
        wait
    }

    /// A session with the next certificate is durable: it is the present one now.
    pub fn handle_proved(&mut self, validity: Validity, draw: u32, now: Timestamp) {
        *self = Self { connected: self.connected, ..Self::new(validity, draw, Next::Absent) };
        // A wall clock that is ahead would have each certificate renewed at once, as would one that is never valid.
        self.not_before = now + (validity.life() / 8).max(LEAST);
    }

    /// New certificates are of another root than the present one from here on, so that is renewed soon, whatever the time.
    /// `random` is uniform over all its values.
    pub fn handle_outdated(&mut self, now: Timestamp, wall: UnixMillis, random: u32) {
        let window = SOON.min(self.validity.life() / 100);
        self.due = self.due.min(wall);
        self.not_before = now + window.mul_f64(f64::from(random) / f64::from(u32::MAX));
    }

    /// What is to be done now. Every step ends with one of the `handle_*`.
    pub fn poll(&mut self, now: Timestamp, wall: UnixMillis) -> Option<Step> {
        if !self.connected || self.under_way.is_some() || now < self.not_before {
            return None;
        }
        let step = match self.next {
            Next::Absent if wall < self.due => return None,
            Next::Absent => Step::Prepare,
            Next::Requested => Step::Ask,
            Next::Issued => Step::Prove,
        };
        self.under_way = Some((step, now));
        Some(step)
    }

    /// When to call [`Renewal::poll`] and [`Renewal::is_unanswered`] again, unless something happens before.
    pub fn poll_timeout(&self, now: Timestamp, wall: UnixMillis) -> Option<Timestamp> {
        match self.under_way {
            Some((Step::Ask, since)) => Some(since + ANSWER),
            Some(_) => None,
            None if !self.connected => None,
            None => {
                let wait = match self.next {
                    Next::Absent => Duration::from_millis(self.due.0.saturating_sub(wall.0)),
                    Next::Requested | Next::Issued => Duration::ZERO,
                };
                Some(self.not_before.max(now + wait.min(LOOK)))
            }
        }
    }

    /// Whether the controller has not answered for long.
    pub fn is_unanswered(&self, now: Timestamp) -> bool {
        self.under_way.is_some_and(|(step, since)| step == Step::Ask && now >= since + ANSWER)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;
    const WEEK: Validity = Validity { begins: UnixMillis(1000 * DAY), ends: UnixMillis(1007 * DAY) };

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn connected(next: Next) -> Renewal {
        let mut renewal = Renewal::new(WEEK, u32::MAX / 2, next);
        renewal.handle_connected();
        renewal
    }

    #[test]
    fn a_certificate_is_due_around_half_its_life() {
        let hours = |draw| (WEEK.due(draw).0 - WEEK.begins.0) / (60 * 60 * 1000);
        assert_eq!([0, u32::MAX / 2, u32::MAX].map(hours), [75, 83, 92], "a tenth around 84");
    }

    #[test]
    fn each_step_waits_for_the_disk_and_for_the_one_before() {
        let mut renewal = connected(Next::Absent);
        let due = renewal.due();
        assert_eq!(renewal.poll(at(1), UnixMillis(due.0 - 1)), None);
        assert_eq!(renewal.poll(at(1), due), Some(Step::Prepare));
        assert_eq!(renewal.poll(at(2), due), None, "one at a time");
        renewal.handle_on_disk(Next::Requested);
        assert_eq!(renewal.poll(at(2), due), Some(Step::Ask));
        renewal.handle_on_disk(Next::Issued);
        assert_eq!(renewal.poll(at(2), due), Some(Step::Prove));
        let following = Validity { begins: due, ends: UnixMillis(due.0 + 7 * DAY) };
        renewal.handle_proved(following, 0, at(3));
        assert_eq!(renewal.poll(at(3), due), None);
        assert_eq!(renewal.due(), following.due(0));
    }

    #[test]
    fn nothing_is_done_without_a_session_and_what_was_asked_in_one_is_asked_again_in_the_next() {
        let mut renewal = Renewal::new(WEEK, 0, Next::Absent);
        assert_eq!((renewal.poll(at(1), WEEK.ends), renewal.poll_timeout(at(1), WEEK.ends)), (None, None));
        renewal.handle_connected();
        renewal.handle_on_disk(Next::Requested);
        assert_eq!(renewal.poll(at(1), WEEK.ends), Some(Step::Ask));
        renewal.handle_disconnected();
        assert_eq!(renewal.poll(at(2), WEEK.ends), None);
        renewal.handle_connected();
        assert_eq!(renewal.poll(at(2), WEEK.ends), Some(Step::Ask));
    }

    #[test]
    fn a_key_that_is_being_written_is_not_written_again_in_the_next_session() {
        let mut renewal = connected(Next::Absent);
        assert_eq!(renewal.poll(at(1), WEEK.ends), Some(Step::Prepare));
        renewal.handle_disconnected();
        renewal.handle_connected();
        assert_eq!(renewal.poll(at(2), WEEK.ends), None);
    }

    #[test]
    fn a_restart_goes_on_where_the_disk_is() {
        assert_eq!(connected(Next::Requested).poll(at(0), WEEK.begins), Some(Step::Ask));
        assert_eq!(connected(Next::Issued).poll(at(0), WEEK.begins), Some(Step::Prove));
    }

    #[test]
    fn an_answer_is_waited_for_and_then_asked_for_again() {
        let mut renewal = connected(Next::Requested);
        renewal.poll(at(10), WEEK.begins);
        assert_eq!(renewal.poll_timeout(at(10), WEEK.begins), Some(at(40)));
        assert!(!renewal.is_unanswered(at(39)) && renewal.is_unanswered(at(40)));
        let wait = renewal.handle_failed(at(40), WEEK.begins, u32::MAX);
        assert_eq!(wait, Duration::from_secs(60));
        assert_eq!(renewal.poll_timeout(at(40), WEEK.begins), Some(at(100)));
        assert_eq!((renewal.poll(at(99), WEEK.begins), renewal.poll(at(100), WEEK.begins)), (None, Some(Step::Ask)));
    }

    #[test]
    fn tries_are_spaced_and_several_fit_in_what_is_left() {
        let mut renewal = connected(Next::Requested);
        let mut waits = |wall, random| renewal.handle_failed(at(0), wall, random).as_millis();
        let minutes: Vec<_> = (0..8).map(|_| waits(WEEK.begins, u32::MAX) / 60_000).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits(WEEK.begins, 0), 30 * 60_000);
        assert_eq!(waits(UnixMillis(WEEK.ends.0 - 40_000), u32::MAX), 5_000);
        assert_eq!(waits(WEEK.ends, u32::MAX), 500);
    }

    /// Keep the rest after a renewal in `handle_outdated`, and a root that was seen by others stays in use for a day.
    #[test]
    fn a_certificate_whose_root_is_to_go_is_renewed_within_minutes_even_if_it_is_new() {
        let mut renewal = connected(Next::Issued);
        renewal.handle_proved(WEEK, 0, at(0));
        assert_eq!(renewal.poll(at(9 * 60), WEEK.begins), None);
        renewal.handle_outdated(at(0), WEEK.begins, u32::MAX);
        assert_eq!(renewal.poll_timeout(at(0), WEEK.begins), Some(at(10 * 60)));
        assert_eq!(renewal.poll(at(9 * 60), WEEK.begins), None, "not all members at once");
        assert_eq!(renewal.poll(at(10 * 60), WEEK.begins), Some(Step::Prepare));

        let minute = Validity { begins: UnixMillis(0), ends: UnixMillis(60_000) };
        let mut renewal = Renewal::new(minute, 0, Next::Absent);
        renewal.handle_connected();
        renewal.handle_outdated(at(0), minute.begins, u32::MAX);
        assert_eq!(renewal.poll(at(1), minute.begins), Some(Step::Prepare));
    }

    /// Leave `not_before` out of `handle_proved`, and a clock that is a year ahead has the agent renew all day long.
    #[test]
    fn a_wall_clock_that_is_ahead_does_not_have_every_certificate_renewed_at_once() {
        let mut renewal = connected(Next::Issued);
        renewal.handle_proved(WEEK, 0, at(0));
        let ahead = UnixMillis(WEEK.ends.0 + 365 * DAY);
        assert_eq!(renewal.poll(at(20 * 60 * 60), ahead), None);
        assert_eq!(renewal.poll(at(22 * 60 * 60), ahead), Some(Step::Prepare));
    }
}
