//! What time it is here, and what others say: sign-ins and certificates are good for a time only.

use std::path::Path;

use super::{Check, Finding};

/// Minutes are seen by nobody until a certificate is not valid yet; seconds are what clocks without a time service drift by.
const WARNS_AT_SECS: u64 = 30;
/// A signed sign-in is good for three minutes.
const FAILS_AT_SECS: u64 = 170;

const NEXT: &str = "set this host's clock, and let a time service keep it (systemd-timesyncd, chrony)";

/// What somebody else's clock said, in seconds since 1970, and what this host's said then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Who it was.
    pub from: String,
    /// Theirs.
    pub theirs: i64,
    /// Ours.
    pub ours: i64,
}

impl Heard {
    /// What a `Date` header says; `None` if it is none.
    pub fn date(from: impl Into<String>, date: &str, ours_millis: u64) -> Option<Self> {
        let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second();
        Some(Self { from: from.into(), theirs, ours: i64::try_from(ours_millis / 1000).ok()? })
    }

    fn ahead(&self) -> i64 {
        self.ours.saturating_sub(self.theirs)
    }
}

/// Whether a time service of systemd's has set the clock, if one is there.
pub fn is_synchronized() -> Option<bool> {
    let folder = Path::new("/run/systemd/timesync");
    folder.is_dir().then(|| folder.join("synchronized").exists())
}

/// How the clock is.
pub fn judge(heard: &[Heard], synchronized: Option<bool>) -> Finding {
    let service = match synchronized {
        Some(true) => "; systemd-timesyncd has set it",
        Some(false) => "; systemd-timesyncd has not set it yet",
        None => "",
    };
    let Some(worst) = heard.iter().max_by_key(|it| it.ahead().unsigned_abs()) else {
        return match synchronized {
            Some(true) => Finding::ok(Check::Clock, "systemd-timesyncd has set it; nobody else told the time"),
            Some(false) => Finding::warning(Check::Clock, "systemd-timesyncd has not set it yet", NEXT),
            None => Finding::skipped(Check::Clock, "nobody told the time"),
        };
    };
    let secs = worst.ahead().unsigned_abs();
    let told = match worst.ahead() {
        0 => format!("the same as that of {}{service}", worst.from),
        ahead if ahead > 0 => format!("{secs} s ahead of that of {}{service}", worst.from),
        _ => format!("{secs} s behind that of {}{service}", worst.from),
    };
    if secs >= FAILS_AT_SECS {
        Finding::failed(Check::Clock, told, NEXT)
    } else if secs >= WARNS_AT_SECS || synchronized == Some(false) {
        Finding::warning(Check::Clock, told, NEXT)
    } else {
        Finding::ok(Check::Clock, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    fn heard(from: &str, theirs: i64, ours: i64) -> Heard {
        Heard { from: from.to_owned(), theirs, ours }
    }

    #[test]
    fn the_clock_that_differs_most_decides() {
        let all = [heard("the controller", 1_000, 1_001), heard("acme", 1_000, 1_200)];
        let finding = judge(&all, None);
        assert_eq!((finding.status, finding.told.as_str()), (Status::Failed, "200 s ahead of that of acme"));
        assert_eq!(judge(&[heard("acme", 1_040, 1_000)], None).status, Status::Warning);
        assert_eq!(judge(&[heard("acme", 1_002, 1_000)], Some(true)).status, Status::Ok);
        assert_eq!(judge(&[heard("acme", 1_002, 1_000)], Some(false)).status, Status::Warning);
    }

    #[test]
    fn without_anybody_who_tells_the_time_nothing_is_claimed() {
        assert_eq!(judge(&[], None).status, Status::Skipped);
        assert_eq!(judge(&[], Some(false)).status, Status::Warning);
        assert_eq!(judge(&[], Some(true)).status, Status::Ok);
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let date = "Thu, 26 Nov 2026 15:09:36 GMT";
        assert_eq!(Heard::date("acme", date, 1_795_705_786_000), Some(heard("acme", 1_795_705_776, 1_795_705_786)));
        assert_eq!(Heard::date("acme", "yesterday", 0), None);
    }
}
