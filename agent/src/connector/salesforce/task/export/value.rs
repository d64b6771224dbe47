//! What a column's text stands for, written as the task wants it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use postern_protocol::task::export::{DateFormat, DayPattern, TimePattern};

use super::super::super::schema::describe::Kind;
use super::super::super::schema::reach::Found;
use super::super::super::time;
use crate::dataset::writer::Cell;

/// A column of the export.
#[derive(Debug, Clone)]
pub(in super::super::super) struct Column {
    /// The attribute's name or path as Salesforce spells it.
    pub(in super::super::super) name: String,
    kind: Kind,
    /// A pattern for moments.
    pattern: Option<String>,
}

impl Column {
    /// The column of a field, with a format if the task gives one.
    pub(in super::super::super) fn new(found: &Found<'_>, format: Option<&DateFormat>) -> Self {
        let pattern = format.map(|format| pattern(format, found.kind()));
        Self { name: found.name.clone(), kind: found.kind(), pattern }
    }

    /// What the text stands for. Pages and jobs write some values differently: `1` and `1.0`, `+0000` and `Z`.
    pub(in super::super::super) fn cell(&self, text: Option<String>) -> Cell {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Cell::Null };
        let read = match self.kind {
            Kind::Boolean => text.parse().ok().map(Cell::Truth),
            Kind::Int => {
                text.strip_suffix(".0").unwrap_or(&text).parse().ok().map(|it: i64| Cell::Number(it.to_string()))
            }
            Kind::Double => {
                let whole = text.strip_suffix(".0").unwrap_or(&text);
                serde_json::from_str::<serde_json::Number>(whole).ok().map(|_| Cell::Number(whole.to_owned()))
            }
            Kind::DateTime => time::parse(&text).map(|moment| Cell::Text(self.moment(moment))),
            Kind::Date => text.parse().ok().map(|day| Cell::Text(self.day(day))),
            Kind::Id | Kind::MultiPicklist | Kind::Address | Kind::Base64 | Kind::Text => None,
        };
        // What is not as described is handed over as it came.
        read.unwrap_or(Cell::Text(text))
    }

    fn moment(&self, moment: Timestamp) -> String {
        let plain = || format!("{moment:.3}");
        let Some(pattern) = &self.pattern else { return plain() };
        strtime::format(pattern, &moment.to_zoned(TimeZone::UTC)).unwrap_or_else(|_| plain())
    }

    fn day(&self, day: Date) -> String {
        let Some(pattern) = &self.pattern else { return day.to_string() };
        strtime::format(pattern, day).unwrap_or_else(|_| day.to_string())
    }
}

fn pattern(format: &DateFormat, kind: Kind) -> String {
    let day = format.day.known().unwrap_or(DayPattern::Iso);
    let time =
        if kind == Kind::DateTime { format.time.known().unwrap_or(TimePattern::None) } else { TimePattern::None };
    let written = match day {
        DayPattern::Iso => "%Y-%m-%d",
        DayPattern::American => "%m/%d/%Y",
        DayPattern::European => "%d/%m/%Y",
        DayPattern::Dotted => "%d.%m.%Y",
        DayPattern::Compact => "%Y%m%d",
        DayPattern::Long => "%-d %B %Y",
    };
    match time {
        TimePattern::None => written.to_owned(),
        TimePattern::TwentyFour => format!("{written} %H:%M:%S"),
        TimePattern::Twelve => format!("{written} %I:%M:%S %p"),
    }
}

#[cfg(test)]
mod tests {
    use postern_protocol::bounded::Text;

    use super::*;

    fn column(kind: Kind, format: Option<(DayPattern, TimePattern)>) -> Column {
        let format = format.map(|(day, time)| DateFormat {
            attribute: Text::new("X").unwrap(),
            day: day.into(),
            time: time.into(),
        });
        Column { name: "X".to_owned(), kind, pattern: format.map(|format| pattern(&format, kind)) }
    }

    #[test]
    fn pages_and_jobs_come_to_the_same() {
        let cell = |kind, text: &str| column(kind, None).cell(Some(text.to_owned()));
        for (kind, page, job) in [
            (Kind::Int, "3", "3.0"),
            (Kind::DateTime, "2026-11-22T14:05:09.000+0000", "2026-11-22T14:05:09.000Z"),
            (Kind::Boolean, "true", "true"),
        ] {
            assert_eq!(cell(kind, page), cell(kind, job));
        }
        assert_eq!(
            cell(Kind::DateTime, "2026-11-22T14:05:09.000+0000"),
            Cell::Text("2026-11-22T14:05:09.000Z".to_owned())
        );
        assert_eq!(cell(Kind::Text, "1.0"), Cell::Text("1.0".to_owned()));
        assert_eq!(column(Kind::Text, None).cell(Some(String::new())), Cell::Null);
    }

    /// Feature B15.
    #[test]
    fn moments_are_written_as_they_are_wanted() {
        let moment = Some("2026-11-02T14:05:09.000+0000".to_owned());
        for (day, time, expected) in [
            (DayPattern::Iso, TimePattern::None, "2026-11-02"),
            (DayPattern::Iso, TimePattern::TwentyFour, "2026-11-02 14:05:09"),
            (DayPattern::American, TimePattern::Twelve, "11/02/2026 02:05:09 PM"),
            (DayPattern::European, TimePattern::TwentyFour, "02/11/2026 14:05:09"),
            (DayPattern::Dotted, TimePattern::None, "02.11.2026"),
            (DayPattern::Compact, TimePattern::None, "20261102"),
            (DayPattern::Long, TimePattern::Twelve, "2 November 2026 02:05:09 PM"),
        ] {
            let column = column(Kind::DateTime, Some((day, time)));
            assert_eq!(column.cell(moment.clone()).as_text(), expected);
        }
        let day = column(Kind::Date, Some((DayPattern::Dotted, TimePattern::Twelve)));
        assert_eq!(day.cell(Some("2026-11-02".to_owned())).as_text(), "02.11.2026");
    }
}
