//! When something that repeats is due. No clock is read here: time is an argument.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Days looked at for the next moment: yesterday, whose moments may reach into today, a week, and the day after it.
const DAYS: usize = 9;
/// A clock that was set back by more than this had been wrong when it said when the last run began.
const WRONG_CLOCK: SignedDuration = SignedDuration::from_hours(1);

/// How often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeats {
    /// From the start time on again and again, each time so much later, until the next day's start time.
    Every(SignedDuration),
    /// Every day.
    Daily,
    /// On these days of the week.
    Weekly(Vec<Weekday>),
}

/// How often, from what time of the day on, and where that time is meant.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// How often.
    pub repeats: Repeats,
    /// The time of the day.
    pub start: Time,
    /// The time zone.
    pub zone: TimeZone,
}

/// What there is to do at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A run is due. Whatever was missed, it is one.
    Due,
    /// Nothing is due before this moment; `None`: ever.
    Wait(Option<Timestamp>),
    /// The last run seems to have begun long after now: the clock was wrong then. The count begins anew with now.
    ClockWasWrong,
}

impl Schedule {
    /// What there is to do `now`, if the last run began at `last`.
    pub fn look(&self, last: Timestamp, now: Timestamp) -> Verdict {
        if last.duration_since(now) > WRONG_CLOCK {
            return Verdict::ClockWasWrong;
        }
        match self.next(last) {
            Some(next) if next <= now => Verdict::Due,
            next => Verdict::Wait(next),
        }
    }

    /// The first planned moment after another.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut day = self.zone.to_datetime(after).date().yesterday().ok()?;
        for _ in 0..DAYS {
            if let Some(moment) = self.on(day, after).filter(|moment| *moment > after) {
                return Some(moment);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// A planned moment of a day: the first after another, if there is one.
    fn on(&self, day: Date, after: Timestamp) -> Option<Timestamp> {
        let start = self.moment(day)?;
        match &self.repeats {
            Repeats::Daily => Some(start),
            Repeats::Weekly(days) => days.contains(&day.weekday()).then_some(start),
            Repeats::Every(step) => {
                let passed = after.duration_since(start).as_secs();
                let steps = if passed < 0 { 0 } else { passed.checked_div(step.as_secs())?.checked_add(1)? };
                let moment = start.checked_add(step.checked_mul(i32::try_from(steps).ok()?)?).ok()?;
                (moment < self.moment(day.tomorrow().ok()?)?).then_some(moment)
            }
        }
    }

    /// The start time on a day. One that the clocks leave out is the moment at which they go on; of one that they show
    /// twice it is the first.
    fn moment(&self, day: Date) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(day.to_datetime(self.start));
        let earlier = ambiguous.earlier();
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => self.zone.following(earlier.ok()?).next().map(|it| it.timestamp()),
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => earlier.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin's rules, whatever the host knows of time zones: on 2026-03-29 the clocks go from 02:00 to 03:00, on
    /// 2026-10-25 from 03:00 to 02:00.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn schedule(repeats: Repeats, start: &str) -> Schedule {
        Schedule { repeats, start: start.parse().unwrap(), zone: TimeZone::posix(BERLIN).unwrap() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// So many planned moments after another, on Berlin's clocks.
    fn planned(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let first = schedule.next(at(after));
        let moments = std::iter::successors(first, |moment| schedule.next(*moment)).take(count);
        moments.map(|moment| schedule.zone.to_datetime(moment).to_string()).collect()
    }

    #[test]
    fn every_day_at_the_start_time_of_its_zone() {
        let daily = schedule(Repeats::Daily, "02:30");
        assert_eq!(planned(&daily, "2026-01-05T00:00:00Z", 2), ["2026-01-05T02:30:00", "2026-01-06T02:30:00"]);
        assert_eq!(daily.next(at("2026-01-05T01:29:59Z")), Some(at("2026-01-05T01:30:00Z")));
        assert_eq!(daily.next(at("2026-01-05T01:30:00Z")), Some(at("2026-01-06T01:30:00Z")));
        assert_eq!(daily.next(at("2026-07-05T12:00:00Z")), Some(at("2026-07-06T00:30:00Z")), "summer time");
    }

    #[test]
    fn a_start_time_that_the_clocks_leave_out_runs_once_when_they_go_on() {
        let daily = schedule(Repeats::Daily, "02:30");
        assert_eq!(
            planned(&daily, "2026-03-28T00:00:00Z", 4),
            ["2026-03-28T02:30:00", "2026-03-29T03:00:00", "2026-03-30T02:30:00", "2026-03-31T02:30:00"]
        );
    }

    #[test]
    fn a_start_time_that_the_clocks_show_twice_runs_once() {
        let daily = schedule(Repeats::Daily, "02:30");
        assert_eq!(daily.next(at("2026-10-24T12:00:00Z")), Some(at("2026-10-25T00:30:00Z")), "the first of both");
        assert_eq!(daily.next(at("2026-10-25T00:30:00Z")), Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn on_the_days_of_the_week_that_are_named() {
        let weekly = schedule(Repeats::Weekly(vec![Weekday::Saturday, Weekday::Sunday]), "23:00");
        assert_eq!(
            planned(&weekly, "2026-01-05T00:00:00Z", 3),
            ["2026-01-10T23:00:00", "2026-01-11T23:00:00", "2026-01-17T23:00:00"]
        );
        let monday = schedule(Repeats::Weekly(vec![Weekday::Monday]), "00:00");
        assert_eq!(planned(&monday, "2026-01-05T00:00:00Z", 1), ["2026-01-12T00:00:00"]);
    }

    #[test]
    fn again_and_again_from_the_start_time_on_in_real_time() {
        let hours = |hours, start| schedule(Repeats::Every(SignedDuration::from_hours(hours)), start);
        assert_eq!(
            planned(&hours(6, "02:00"), "2026-01-05T20:00:00Z", 3),
            ["2026-01-06T02:00:00", "2026-01-06T08:00:00", "2026-01-06T14:00:00"]
        );
        assert_eq!(
            planned(&hours(10, "04:00"), "2026-01-05T04:00:00Z", 3),
            ["2026-01-05T14:00:00", "2026-01-06T00:00:00", "2026-01-06T04:00:00"],
            "the next day begins at the start time"
        );
        let hourly = hours(1, "00:00");
        for (around, name) in [("2026-03-29T00:00:00Z", "left out"), ("2026-10-25T00:00:00Z", "shown twice")] {
            let moments: Vec<Timestamp> =
                std::iter::successors(hourly.next(at(around)), |moment| hourly.next(*moment)).take(5).collect();
            let hour = SignedDuration::from_hours(1);
            assert!(moments.windows(2).all(|pair| pair[1].duration_since(pair[0]) == hour), "{name}: {moments:?}");
        }
    }

    /// Feature B17.
    #[test]
    fn missed_runs_are_run_once() {
        let daily = schedule(Repeats::Daily, "02:30");
        let last = at("2026-01-05T01:30:00Z");
        assert_eq!(daily.look(last, at("2026-01-06T01:29:00Z")), Verdict::Wait(Some(at("2026-01-06T01:30:00Z"))));
        assert_eq!(daily.look(last, at("2026-01-06T01:30:00Z")), Verdict::Due);
        let late = at("2026-01-09T11:00:00Z");
        assert_eq!(daily.look(last, late), Verdict::Due, "three nights were missed");
        assert_eq!(daily.look(late, late), Verdict::Wait(Some(at("2026-01-10T01:30:00Z"))), "and are made up for");
    }

    /// Trust a clock that was years ahead once, and nothing is ever due again.
    #[test]
    fn f25_a_clock_that_was_wrong_stops_nothing() {
        let daily = schedule(Repeats::Daily, "02:30");
        assert_eq!(daily.look(at("2036-01-01T00:00:00Z"), at("2026-01-05T00:00:00Z")), Verdict::ClockWasWrong);
        let last = at("2026-01-05T01:30:00Z");
        assert_eq!(
            daily.look(last, at("2026-01-05T01:29:59Z")),
            Verdict::Wait(Some(at("2026-01-06T01:30:00Z"))),
            "a second back makes no second run"
        );
    }

    #[test]
    fn time_comes_to_an_end() {
        let daily = schedule(Repeats::Daily, "02:30");
        assert_eq!(daily.look(Timestamp::MAX, Timestamp::MAX), Verdict::Wait(None));
    }
}
