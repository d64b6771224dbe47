//! `TODAY`, `LAST_N_DAYS:7` and their kin: each stands for a range of time. Days are those of UTC.

use jiff::civil::Date;
use jiff::{Span, ToSpan};

use crate::time;

/// From the first millisecond on, up to but without the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// The range a date literal without a number stands for, seen at `now`.
pub(crate) fn plain(name: &str, now: i64) -> Option<Range> {
    let today = time::day_of(now);
    let month = today.first_of_month();
    let week = time::start_of_week(today)?;
    let quarter = Date::new(today.year(), (today.month() - 1) / 3 * 3 + 1, 1).ok()?;
    let year = Date::new(today.year(), 1, 1).ok()?;
    let (start, length) = match name.to_ascii_uppercase().as_str() {
        "TODAY" => (today, 1.day()),
        "YESTERDAY" => (shift(today, -1.day())?, 1.day()),
        "TOMORROW" => (shift(today, 1.day())?, 1.day()),
        "THIS_WEEK" => (week, 7.days()),
        "LAST_WEEK" => (shift(week, -7.days())?, 7.days()),
        "NEXT_WEEK" => (shift(week, 7.days())?, 7.days()),
        "THIS_MONTH" => (month, 1.month()),
        "LAST_MONTH" => (shift(month, -1.month())?, 1.month()),
        "NEXT_MONTH" => (shift(month, 1.month())?, 1.month()),
        "THIS_QUARTER" => (quarter, 3.months()),
        "LAST_QUARTER" => (shift(quarter, -3.months())?, 3.months()),
        "NEXT_QUARTER" => (shift(quarter, 3.months())?, 3.months()),
        "THIS_YEAR" => (year, 1.year()),
        "LAST_YEAR" => (shift(year, -1.year())?, 1.year()),
        "NEXT_YEAR" => (shift(year, 1.year())?, 1.year()),
        "LAST_90_DAYS" => return counted("LAST_N_DAYS", 90, now),
        "NEXT_90_DAYS" => return counted("NEXT_N_DAYS", 90, now),
        _ => return None,
    };
    range(start, length)
}

/// The range a date literal with a number stands for. `LAST_N_DAYS` includes today.
pub(crate) fn counted(name: &str, count: i64, now: i64) -> Option<Range> {
    let today = time::day_of(now);
    let month = today.first_of_month();
    let week = time::start_of_week(today)?;
    let year = Date::new(today.year(), 1, 1).ok()?;
    let days = |n: i64| Span::new().try_days(n).ok();
    let months = |n: i64| Span::new().try_months(n).ok();
    let (start, length) = match name.to_ascii_uppercase().as_str() {
        "LAST_N_DAYS" => (shift(today, days(-count)?)?, days(count.checked_add(1)?)?),
        "NEXT_N_DAYS" => (shift(today, 1.day())?, days(count)?),
        "N_DAYS_AGO" => (shift(today, days(-count)?)?, 1.day()),
        "LAST_N_WEEKS" => (shift(week, days(-count.checked_mul(7)?)?)?, days(count.checked_mul(7)?)?),
        "NEXT_N_WEEKS" => (shift(week, 7.days())?, days(count.checked_mul(7)?)?),
        "LAST_N_MONTHS" => (shift(month, months(-count)?)?, months(count)?),
        "NEXT_N_MONTHS" => (shift(month, 1.month())?, months(count)?),
        "LAST_N_YEARS" => (shift(year, months(-count.checked_mul(12)?)?)?, months(count.checked_mul(12)?)?),
        "NEXT_N_YEARS" => (shift(year, 1.year())?, months(count.checked_mul(12)?)?),
        _ => return None,
    };
    range(start, length)
}

fn shift(day: Date, by: Span) -> Option<Date> {
    day.checked_add(by).ok()
}

fn range(start: Date, length: Span) -> Option<Range> {
    Some(Range { from: time::start_of(start)?, to: time::start_of(shift(start, length)?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sunday, 2026-11-22, ten in the morning.
    const NOW: i64 = 1_795_341_600_000;

    fn days(range: Option<Range>) -> (String, String) {
        let range = range.unwrap();
        (time::day_of(range.from).to_string(), time::day_of(range.to).to_string())
    }

    fn expected(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn literals_cover_the_documented_days() {
        assert_eq!(days(plain("today", NOW)), expected("2026-11-22", "2026-11-23"));
        assert_eq!(days(plain("LAST_MONTH", NOW)), expected("2026-10-01", "2026-11-01"));
        assert_eq!(days(plain("THIS_QUARTER", NOW)), expected("2026-10-01", "2027-01-01"));
        assert_eq!(days(plain("THIS_WEEK", NOW)), expected("2026-11-22", "2026-11-29"));
        assert_eq!(days(counted("LAST_N_DAYS", 7, NOW)), expected("2026-11-15", "2026-11-23"));
        assert_eq!(days(counted("LAST_N_MONTHS", 2, NOW)), expected("2026-09-01", "2026-11-01"));
    }

    #[test]
    fn absurd_numbers_are_refused_rather_than_overflow() {
        assert_eq!(counted("LAST_N_YEARS", i64::MAX, NOW), None);
        assert_eq!(counted("LAST_N_DAYS", i64::MAX, NOW), None);
        assert_eq!(plain("LAST_N_DAYS", NOW), None);
    }
}
