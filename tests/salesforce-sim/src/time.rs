//! Date-times as Salesforce writes and reads them, and the days date literals stand for.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// One day, in milliseconds.
pub(crate) const DAY: i64 = 86_400_000;

/// `2026-11-22T10:00:00.000+0000`: the offset has no colon (recorded responses).
pub(crate) fn format(millis: i64) -> String {
    local(millis) + "+0000"
}

/// `2026-11-22T10:00:00.000Z`, as the results of bulk queries write it.
pub(crate) fn format_csv(millis: i64) -> String {
    local(millis) + "Z"
}

fn local(millis: i64) -> String {
    let it = utc(millis);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}",
        it.year(),
        it.month(),
        it.day(),
        it.hour(),
        it.minute(),
        it.second(),
        it.millisecond()
    )
}

/// Reads a date-time with `Z`, `+01:00` or `+0100`, with or without milliseconds.
pub(crate) fn parse(text: &str) -> Option<i64> {
    // Without an offset it is not a moment, and jiff would look for a time zone.
    if !text.contains('T') || text.len() > 40 {
        return None;
    }
    let with_colon = match text.as_bytes() {
        [.., b'+' | b'-', a, b, c, d] if [a, b, c, d].iter().all(|it| it.is_ascii_digit()) => {
            let (head, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
            format!("{head}:{minutes}")
        }
        _ => text.to_owned(),
    };
    let moment: Timestamp = with_colon.parse().ok()?;
    Some(moment.as_millisecond())
}

/// Reads `2026-11-22`; the answer is the first millisecond of that day in UTC.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    if text.len() != 10 {
        return None;
    }
    start_of(text.parse().ok()?)
}

/// The day a moment falls on, in UTC.
pub(crate) fn day_of(millis: i64) -> Date {
    utc(millis).date()
}

/// The first millisecond of a day in UTC.
pub(crate) fn start_of(day: Date) -> Option<i64> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// The Sunday on or before `day`: weeks start on Sunday in an `en_US` org.
pub(crate) fn start_of_week(day: Date) -> Option<Date> {
    let back = i64::from(day.weekday().since(Weekday::Sunday));
    day.checked_sub(Span::new().days(back)).ok()
}

/// `Sun, 22 Nov 2026 10:00:00 GMT`, as HTTP headers carry it.
pub(crate) fn format_http(millis: i64) -> String {
    utc(millis).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads the date of an `If-Modified-Since` header.
pub(crate) fn parse_http(text: &str) -> Option<i64> {
    let it = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(it.timestamp().as_millisecond())
}

fn utc(millis: i64) -> Zoned {
    Timestamp::from_millisecond(millis).unwrap_or_default().to_zoned(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_without_a_colon_in_the_offset() {
        assert_eq!(format(1_647_534_086_000), "2022-03-17T16:21:26.000+0000");
    }

    #[test]
    fn every_published_spelling_of_a_moment_is_read() {
        for text in [
            "2022-03-17T16:21:26Z",
            "2022-03-17T16:21:26.000Z",
            "2022-03-17T16:21:26.000+0000",
            "2022-03-17T17:21:26+01:00",
        ] {
            assert_eq!(parse(text), Some(1_647_534_086_000), "{text}");
        }
        assert_eq!(parse("2022-03-17"), None);
        assert_eq!(parse("2022-13-17T16:21:26Z"), None);
    }

    #[test]
    fn header_dates_go_both_ways() {
        let text = format_http(1_647_534_086_000);
        assert_eq!(text, "Thu, 17 Mar 2022 16:21:26 GMT");
        assert_eq!(parse_http(&text), Some(1_647_534_086_000));
    }
}
