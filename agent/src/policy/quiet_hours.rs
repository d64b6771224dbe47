//! When no change begins.

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

/// Windows that follow on one another are followed this far: a week and a day.
const DAYS: u32 = 8;

/// A stretch of time, every day or on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins; empty: each.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Time,
    /// When it ends: on the next day, if that is no later than the beginning.
    pub to: Time,
}

/// When no change begins, by the clocks of a place.
#[derive(Debug, Clone)]
pub struct QuietHours {
    /// The stretches of time.
    pub windows: Vec<Window>,
    /// The place.
    pub zone: TimeZone,
}

impl QuietHours {
    /// When a change may begin, if none may now. Where quiet follows on quiet for more than a week, a moment that is
    /// quiet as well.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut until = self.end_of_quiet(now)?;
        let last = self.zone.to_datetime(now).date().checked_add(jiff::Span::new().days(DAYS)).ok();
        while let Some(later) = self.end_of_quiet(until)
            && last.is_some_and(|last| self.zone.to_datetime(later).date() <= last)
        {
            until = later;
        }
        Some(until)
    }

    fn end_of_quiet(&self, now: Timestamp) -> Option<Timestamp> {
        let today = self.zone.to_datetime(now).date();
        let days = [today.yesterday().ok(), Some(today)];
        let of_day = |day: Date| self.windows.iter().filter_map(move |window| self.stretch(window, day));
        days.into_iter()
            .flatten()
            .flat_map(of_day)
            .filter(|(from, to)| *from <= now && now < *to)
            .map(|(_, to)| to)
            .max()
    }

    /// A window that begins on a day. Where the clocks leave its edges out or show them twice, it is the longer one.
    fn stretch(&self, window: &Window, day: Date) -> Option<(Timestamp, Timestamp)> {
        if !window.days.is_empty() && !window.days.contains(&day.weekday()) {
            return None;
        }
        let last = if window.to > window.from { day } else { day.tomorrow().ok()? };
        let from = self.zone.to_ambiguous_timestamp(day.to_datetime(window.from)).earlier().ok()?;
        let to = self.zone.to_ambiguous_timestamp(last.to_datetime(window.to)).later().ok()?;
        Some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin's rules, whatever the host knows of time zones.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn quiet(windows: &[(&[Weekday], &str, &str)]) -> QuietHours {
        let window = |(days, from, to): &(&[Weekday], &str, &str)| Window {
            days: days.to_vec(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        };
        QuietHours { windows: windows.iter().map(window).collect(), zone: TimeZone::posix(BERLIN).unwrap() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn quiet_begins_and_ends_by_the_clocks_of_its_place() {
        let night = quiet(&[(&[], "22:00", "06:00")]);
        for (now, until) in [
            ("2026-01-05T20:59:59Z", None),
            ("2026-01-05T21:00:00Z", Some("2026-01-06T05:00:00Z")),
            ("2026-01-06T04:59:59Z", Some("2026-01-06T05:00:00Z")),
            ("2026-01-06T05:00:00Z", None),
            ("2026-07-05T20:00:00Z", Some("2026-07-06T04:00:00Z")),
            ("2026-07-05T19:59:59Z", None),
        ] {
            assert_eq!(night.until(at(now)), until.map(at), "{now}");
        }
    }

    #[test]
    fn a_window_is_of_the_day_on_which_it_begins() {
        let weekend = quiet(&[(&[Weekday::Friday], "18:00", "18:00"), (&[Weekday::Saturday], "18:00", "06:00")]);
        assert_eq!(weekend.until(at("2026-01-09T16:59:59Z")), None, "Friday");
        assert_eq!(
            weekend.until(at("2026-01-09T17:00:00Z")),
            Some(at("2026-01-11T05:00:00Z")),
            "one follows on the other"
        );
        assert_eq!(weekend.until(at("2026-01-11T04:00:00Z")), Some(at("2026-01-11T05:00:00Z")), "Sunday");
        assert_eq!(weekend.until(at("2026-01-11T05:00:00Z")), None);
    }

    #[test]
    fn where_the_clocks_change_quiet_is_longer_rather_than_shorter() {
        let early = quiet(&[(&[], "02:15", "02:45")]);
        assert_eq!(early.until(at("2026-10-25T00:15:00Z")), Some(at("2026-10-25T01:45:00Z")), "both times");
        assert!(early.until(at("2026-03-29T01:20:00Z")).is_some(), "left out");
    }

    #[test]
    fn quiet_without_end_comes_to_an_end_of_looking() {
        let always = quiet(&[(&[], "00:00", "00:00")]);
        assert!(always.until(at("2026-01-05T12:00:00Z")).is_some());
    }
}
