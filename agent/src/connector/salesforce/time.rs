//! Salesforce's way of writing moments: `2022-03-17T16:21:26.000+0000`, without the colon that RFC 3339 has.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::rfc2822;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// A moment in a JSON answer; other forms that the service has been seen to use are understood too.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let zulu = text.strip_suffix('Z').map(|text| format!("{text}+0000"));
    let text = zulu.as_deref().unwrap_or(text);
    ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M:%S%.f%:z"]
        .into_iter()
        .find_map(|format| strtime::parse(format, text).ok()?.to_timestamp().ok())
        .filter(has_plain_year)
}

/// Whether its year has four digits and no sign, as every moment that Salesforce keeps.
pub(super) fn has_plain_year(moment: &Timestamp) -> bool {
    (1..=9999).contains(&moment.to_zoned(TimeZone::UTC).year())
}

/// A day in the one form that Salesforce takes: `2026-01-31`.
pub(super) fn parse_day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|day: &Date| day.to_string() == text && day.year() > 0)
}

/// The moment of an HTTP `Date` header: Salesforce's own clock, which is the one that stamps records.
pub(super) fn parse_http(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|time| time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_seen_is_read() {
        let expected = parse("2022-03-17T16:21:26.000+0000").unwrap();
        assert_eq!(expected.to_string(), "2022-03-17T16:21:26Z");
        for text in [
            "2022-03-17T16:21:26Z",
            "2022-03-17T16:21:26.000Z",
            "2022-03-17T17:21:26.000+01:00",
            "2022-03-17T17:21:26+0100",
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        assert_eq!(parse_http("Thu, 17 Mar 2022 16:21:26 GMT"), Some(expected));
        for other in ["yesterday", "-026-11-22T11:00:00+01:00"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_day_is_written_in_one_way() {
        assert_eq!(parse_day("2026-01-31").unwrap().to_string(), "2026-01-31");
        for other in
            ["2026-01-31 00:00:00", "2026-01-31T00:00:00", "20260131", "2026-02-30", "-000026-11-22", "+002026-01-31"]
        {
            assert_eq!(parse_day(other), None, "{other}");
        }
    }
}
