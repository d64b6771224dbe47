//! What the org's clock shows, which stamps what is changed: as far as its answers tell, and never less than it does.

use std::time::Duration;

use jiff::Timestamp as OrgTime;
use postern_protocol::Timestamp;
use postern_protocol::time::Ago;

/// An answer tells its second, and may have been written at the end of that.
const GRAIN_MS: i64 = 1_000;
/// How far the machine that answers may be behind the one that stamps records. Those of one service keep each other's time
/// to some milliseconds; this is a hundred times that.
const APART_MS: i64 = 500;
/// By one millisecond in so many two clocks may drift apart: ten times what the quartz of a host does by itself.
const DRIFT: i64 = 1_000;

/// How far the org's clock is ahead of this host's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OrgClock {
    told: Option<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    /// The time of the last answer.
    last: OrgTime,
    /// How far it is ahead at the most, in milliseconds, by the answer that tells the least.
    ahead: i64,
    /// When that was so.
    at: i64,
}

impl OrgClock {
    /// An answer that says that it is of `date`. It was asked for at `asked`, and here at `here`.
    pub(super) fn hear(&mut self, date: OrgTime, asked: Timestamp, here: Timestamp) {
        let (told, asked, here) = (date.as_millisecond(), millis(asked), millis(here));
        let at_most = told.saturating_add(GRAIN_MS).saturating_sub(asked);
        let at_least = told.saturating_sub(here);
        // The less of the two knows better, unless the clock was set since. It ages from when it was told.
        let known = self.told.filter(|it| (at_least..=at_most).contains(&it.ahead_at(asked)));
        let (ahead, at) = known.map_or((at_most, asked), |it| (it.ahead, it.at));
        self.told = Some(Told { last: date, ahead, at });
    }

    /// The time of the last answer.
    pub(super) fn last(&self) -> Option<OrgTime> {
        self.told.map(|it| it.last)
    }

    /// How long until it has left the second that this stamp is of; no longer than it can take. What is changed within that
    /// second bears the same stamp.
    pub(super) fn until_after(&self, stamp: OrgTime) -> Duration {
        let last = self.last().map_or(0, OrgTime::as_millisecond);
        let stamp = stamp.as_millisecond();
        let left =
            stamp.saturating_sub(stamp.rem_euclid(GRAIN_MS)).saturating_add(GRAIN_MS + APART_MS).saturating_sub(last);
        Duration::from_millis(u64::try_from(left.clamp(0, GRAIN_MS + APART_MS)).unwrap_or_default())
    }

    /// What it showed at the most when something happened that was at least so long ago. What was stamped from then on came
    /// after it.
    pub(super) fn at_most(&self, ago: Ago, now: Timestamp) -> Option<OrgTime> {
        let long = i64::try_from(ago.at(now).as_millis()).ok()?;
        let now = millis(now);
        let shows = now.checked_add(self.told?.ahead_at(now))?.checked_add(APART_MS)?;
        OrgTime::from_millisecond(shows.checked_sub(long - long / DRIFT)?).ok()
    }
}

impl Told {
    fn ahead_at(&self, now: i64) -> i64 {
        self.ahead.saturating_add(now.saturating_sub(self.at).max(0) / DRIFT)
    }
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_000_000_000;

    fn org(millis: i64) -> OrgTime {
        OrgTime::from_millisecond(NOON + millis).unwrap()
    }

    /// An answer that the org wrote when its clock showed `shown`.
    fn hear(clock: &mut OrgClock, asked: u64, here: u64, shown: i64) {
        clock.hear(org(shown - shown % 1_000), Timestamp::from_millis(asked), Timestamp::from_millis(here));
    }

    fn at_most(clock: &OrgClock, long: u64, now: u64) -> i64 {
        let now = Timestamp::from_millis(now);
        let ago = Ago { long: Duration::from_millis(long), as_of: now };
        clock.at_most(ago, now).unwrap().as_millisecond() - NOON
    }

    /// The org's clock shows 100,000 more than the host's.
    #[test]
    fn a_moment_is_never_told_too_early_and_the_more_exactly_the_more_was_heard() {
        let mut clock = OrgClock::default();
        assert_eq!(clock.last(), None);
        assert_eq!(
            clock.at_most(Ago { long: Duration::ZERO, as_of: Timestamp::from_millis(0) }, Timestamp::from_millis(0)),
            None
        );
        hear(&mut clock, 10_000, 10_200, 110_100);
        assert_eq!(clock.last(), Some(org(110_000)));
        assert_eq!(at_most(&clock, 0, 10_000), 111_500, "by a second at the most, and by what machines are apart");
        hear(&mut clock, 10_850, 11_000, 110_950);
        assert_eq!(at_most(&clock, 0, 11_000), 111_650, "the end of a second tells more than its beginning");
        hear(&mut clock, 12_000, 40_000, 112_100);
        assert_eq!(at_most(&clock, 0, 12_000), 112_651, "and a later answer never less");
        assert_eq!(at_most(&clock, 2_000, 12_000), 110_653, "the clocks may have drifted apart meanwhile");
    }

    /// Do not count how far machines are apart, and the one that stamps may still be in the second that another has left.
    #[test]
    fn the_second_of_a_stamp_is_left_after_two_of_an_answer_and_never_waited_for_long() {
        let mut clock = OrgClock::default();
        hear(&mut clock, 10_000, 10_200, 110_100);
        let until_after = |stamp| clock.until_after(org(stamp)).as_millis();
        assert_eq!([90_000, 108_000, 109_000, 109_999].map(until_after), [0, 0, 500, 500]);
        assert_eq!([110_000, 110_100, 500_000].map(until_after), [1_500; 3]);
    }

    /// The finest answer grows old, however many of the coarser ones came since.
    #[test]
    fn a_clock_that_is_heard_often_drifts_no_less() {
        let mut clock = OrgClock::default();
        hear(&mut clock, 10_000, 10_200, 110_100);
        hear(&mut clock, 10_850, 11_000, 110_950);
        for (asked, shown) in (12_000..=112_000).step_by(500).zip((112_100..).step_by(500)) {
            hear(&mut clock, asked, asked + 50, shown);
        }
        assert_eq!(at_most(&clock, 0, 112_000), 212_751);
    }

    #[test]
    fn a_clock_that_was_set_is_heard_anew() {
        let mut clock = OrgClock::default();
        hear(&mut clock, 10_000, 10_200, 110_100);
        hear(&mut clock, 20_000, 20_200, 3_720_100);
        assert_eq!(at_most(&clock, 0, 20_000), 3_721_500);
    }
}
