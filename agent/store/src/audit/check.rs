//! What `audit verify` of every program takes, does and tells.

use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{AuditError, Break, Head, Line, Verified, Verifier, VerifyError, Why};

/// How many lines are read between two words about how far it is.
const PROGRESS: u64 = 50_000;

/// What stands below the help of `audit verify`.
pub const VERIFY_HELP: &str = "\
What is printed as `head` vouches for every line up to it. Note it where whoever has this host cannot
reach it, and give it back later with --head: a log that was cut off, or written anew, is noticed only so.

Exit codes:
   0  the chain is whole, and holds every head that is known
   1  the chain breaks: the first break is printed, with its file and line; or a head of --head is before what
      --after says, in files that are away
  74  the log cannot be read";

/// What is to be verified.
#[derive(Debug)]
pub struct Check<'a> {
    /// The log.
    pub directory: &'a Path,
    /// Heads that were noted before.
    pub heads: &'a [Head],
    /// The head with which the files ended that were moved away.
    pub after: Option<Head>,
    /// Where the log ends as its program remembers it.
    pub remembered: Option<Head>,
    /// Who was asked for that, in words.
    pub compared: &'a str,
}

impl<'a> Check<'a> {
    /// Verifies it. `told` hears now and then how many lines were whole so far.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn run(&self, mut told: impl FnMut(u64)) -> Result<Found<'a>, AuditError> {
        let &Self { directory, heads, after, remembered, compared } = self;
        let reader = Verifier::new(directory).after(after.unwrap_or_default());
        let reader = heads.iter().copied().fold(reader, Verifier::known);
        let reader = remembered.into_iter().fold(reader, Verifier::remembered);
        let mut lines = 0_u64;
        let found = reader.run(|_| {
            lines += 1;
            if lines.is_multiple_of(PROGRESS) {
                told(lines);
            }
        });
        match found {
            Ok(verified) => {
                let first = after.map_or(0, |head| head.number);
                let away = heads.iter().copied().filter(|head| (1..first).contains(&head.number)).collect();
                Ok(Found::Whole(Whole { directory, verified, compared, away }))
            }
            Err(VerifyError::Broken(broken)) => Ok(Found::Broken(broken)),
            Err(VerifyError::Unread(error)) => Err(error),
        }
    }
}

/// What was found.
#[derive(Debug)]
pub enum Found<'a> {
    /// The log is whole.
    Whole(Whole<'a>),
    /// It is not.
    Broken(Box<Break>),
}

/// A log that was found whole.
#[derive(Debug)]
pub struct Whole<'a> {
    directory: &'a Path,
    verified: Verified,
    compared: &'a str,
    /// Heads that were noted of lines before the first.
    away: Vec<Head>,
}

impl Found<'_> {
    /// For scripts.
    pub fn json(&self) -> Value {
        match self {
            Self::Whole(Whole { verified: Verified { head, lines, files, unfinished }, compared, away, .. }) => json!({
                "whole": true, "lines": lines, "files": files, "head": head.to_string(), "unfinished": unfinished,
                "compared": compared, "not_looked_at": away.iter().map(Head::to_string).collect::<Vec<_>>(),
            }),
            Self::Broken(broken) => json!({
                "whole": false, "file": broken.file, "line": broken.line, "why": broken.why.to_string(),
                "whole_until": broken.head.to_string(),
            }),
        }
    }
}

impl Whole<'_> {
    /// For people: words, and what they are.
    pub fn pairs(&self) -> [(&'static str, String); 4] {
        let Self { directory, verified: Verified { head, lines, files, unfinished }, compared, .. } = self;
        let unfinished = match unfinished {
            0 => String::new(),
            bytes => format!("{bytes} bytes, being written now or cut by a crash; the line is written again"),
        };
        [
            ("audit log", format!("whole: {lines} lines in {files} files of {}", directory.display())),
            ("head", head.to_string()),
            ("its end", (*compared).to_owned()),
            ("last line", unfinished),
        ]
    }

    /// For people, if it cannot be told whether a head that was noted is in the log.
    pub fn doubt(&self) -> Option<String> {
        let away: Vec<String> = self.away.iter().map(Head::to_string).collect();
        (!away.is_empty()).then(|| {
            let heads = away.join(", ");
            format!("what is here is whole, and does not tell whether {heads} was written: verify the files that are away with it")
        })
    }
}

impl Break {
    /// For people who verify the log.
    pub fn sentence(&self) -> String {
        let what =
            if self.why == Why::Zeros { "the end of the audit log is not whole" } else { "the audit log was changed" };
        format!("{what}. {self}; it is whole until {}", self.head)
    }
}

/// The moment from which on lines are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since(String);

impl Since {
    /// Whether the line tells of something at this moment or later.
    pub fn includes(&self, line: &Line<'_>) -> bool {
        line.time >= self.0.as_str()
    }
}

/// It is neither a day nor a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("give a day, as 2026-03-01, or a moment, as 2026-03-01T08:00:00Z")]
pub struct NotAMoment;

impl FromStr for Since {
    type Err = NotAMoment;

    /// A day begins in UTC.
    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        let day = |date: Date| date.to_zoned(TimeZone::UTC).map(|it| it.timestamp());
        let moment: Timestamp = text.parse().or_else(|_| text.parse().and_then(day)).map_err(|_| NotAMoment)?;
        Ok(Self(format!("{moment:.3}")))
    }
}
