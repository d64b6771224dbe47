//! What can be made to go wrong, on purpose.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One thing that goes wrong for some calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The calls it is for.
    #[serde(default)]
    pub when: Matching,
    /// What goes wrong.
    pub what: Mishap,
    /// How many calls it is for; none given: all, until cleared.
    #[serde(default)]
    pub times: Option<u64>,
}

/// Which calls are meant. What is not given matches everything; the admin path never matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matching {
    /// `GET`, `POST`, …
    pub method: Option<String>,
    /// A piece of the path, such as `/password` or `/composite/sobjects`.
    pub path: Option<String>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mishap {
    /// The answer takes longer. Latencies of several faults add up.
    Latency {
        /// Milliseconds more.
        millis: u64,
    },
    /// Nothing is done with the call until the fault is taken back, or all are. It is for all calls that it matches,
    /// whatever `times` says, and what else is in force comes afterwards.
    Hold,
    /// Another answer is given; nothing happens. 5xx are HTML pages, others JSON.
    Respond {
        /// The HTTP status.
        status: u16,
        /// The error code of the JSON body.
        #[serde(default)]
        code: Option<String>,
        /// The message of the JSON body.
        #[serde(default)]
        message: Option<String>,
    },
    /// The same for calls whose body has this piece in it; others are not touched.
    RespondAt {
        /// Such as a value.
        piece: String,
        /// The HTTP status.
        status: u16,
        /// The error code of the JSON body.
        code: String,
        /// The message of the JSON body.
        message: String,
    },
    /// The answer is that there is too much to do, and when to come back; nothing happens.
    Busy {
        /// 429 or 503.
        status: u16,
        /// What the header `Retry-After` says.
        retry_after: String,
    },
    /// The maintenance page, as HTML with status 503; nothing happens.
    Maintenance,
    /// The connection is closed; nothing happens.
    Refuse,
    /// The call does its work, then the connection is closed without an answer.
    DropReply,
    /// The call does its work, then an HTML error page is the answer.
    LoseReply {
        /// 500 or 503.
        status: u16,
    },
    /// The call does its work this much later, even if the caller has gone by then.
    DelayCommit {
        /// Milliseconds.
        millis: u64,
    },
    /// The same for calls whose body has this piece in it; others are not touched.
    DelayCommitAt {
        /// Such as the name of a user.
        piece: String,
        /// Milliseconds.
        millis: u64,
    },
    /// The call does its work; this is the answer.
    OtherReply {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// A call whose body has this piece in it does its work and is never answered; others are not touched.
    HangAt {
        /// Such as the name of a user.
        piece: String,
    },
    /// The call does its work; the answer breaks off in the middle of its body.
    TruncateReply,
    /// The call does its work; the body of the answer comes in pieces.
    DripReply {
        /// The size of a piece.
        bytes: usize,
        /// Milliseconds between two of them.
        millis: u64,
    },
    /// The call does its work; the answer says that its body has another length. One that is said to be longer than it
    /// is breaks off; one that is said to be shorter looks whole and is not.
    WrongLength {
        /// What is said, in percent of the truth.
        percent: usize,
    },
    /// The call does its work; instead of its body comes a compressed one of blanks, whatever the caller accepts.
    GzipBomb {
        /// How large it is when it is unpacked; 1024 at most.
        megabytes: u64,
    },
    /// The call does its work; its answer says that it is so much later.
    OtherDate {
        /// Seconds.
        ahead_secs: u64,
    },
    /// The call does its work and is answered; then its session is over.
    EndSession,
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    in_force: Vec<Fault>,
    /// Told when one is taken back; gone when all are.
    withdrawn: watch::Sender<()>,
    /// User writes still to be refused because "the row is locked".
    pub(crate) locked_rows: u64,
    /// Writes that the org still takes before it is read-only; none given: it never is.
    pub(crate) writes_left: Option<u64>,
    /// Whether answers to queries leave out their last record and count it all the same.
    pub(crate) lost_records: bool,
    /// Bulk jobs still to fail halfway.
    pub(crate) failing_jobs: u64,
    /// Whether the org has no API calls left.
    pub(crate) api_exhausted: bool,
}

/// What the faults do to one call.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) latency_millis: u64,
    /// The first fault in force that is not a latency.
    pub(crate) mishap: Option<Mishap>,
}

impl Faults {
    /// More faults than anybody steers by hand; the oldest make room.
    const MAX: usize = 1_000;

    pub(crate) fn add(&mut self, fault: Fault) {
        if self.in_force.len() >= Self::MAX {
            self.in_force.remove(0);
        }
        self.in_force.push(fault);
    }

    /// Takes a fault back. Whether it was still in force.
    pub(crate) fn withdraw(&mut self, fault: &Fault) -> bool {
        let found = self.in_force.iter().position(|it| it == fault);
        self.withdrawn.send_replace(());
        found.map(|index| self.in_force.remove(index)).is_some()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn list(&self) -> &[Fault] {
        &self.in_force
    }

    /// What a call waits for before it is judged, if a fault holds it: then this is to be asked again.
    pub(crate) fn hold(&self, method: &str, path: &str) -> Option<watch::Receiver<()>> {
        let holds = |it: &Fault| it.what == Mishap::Hold && it.when.matches(method, path);
        self.in_force.iter().any(holds).then(|| self.withdrawn.subscribe())
    }

    /// Decides about one call, and uses up the faults it meets.
    pub(crate) fn judge(&mut self, method: &str, path: &str, body: &[u8]) -> Verdict {
        let mut verdict = Verdict::default();
        if self.in_force.is_empty() {
            return verdict;
        }
        for fault in &mut self.in_force {
            if !fault.when.matches(method, path) || !fault.what.concerns(body) || fault.times == Some(0) {
                continue;
            }
            if fault.what == Mishap::Hold {
                continue;
            }
            if let Mishap::Latency { millis } = fault.what {
                verdict.latency_millis += millis;
            } else if verdict.mishap.is_none() {
                verdict.mishap = Some(fault.what.clone());
            } else {
                continue;
            }
            fault.times = fault.times.map(|it| it.saturating_sub(1));
        }
        self.in_force.retain(|it| it.times != Some(0));
        verdict
    }

    /// Whether the next bulk job fails.
    pub(crate) fn take_failing_job(&mut self) -> bool {
        let fails = self.failing_jobs > 0;
        self.failing_jobs = self.failing_jobs.saturating_sub(1);
        fails
    }

    /// Whether the next user write meets a locked row.
    pub(crate) fn take_locked_row(&mut self) -> bool {
        let locked = self.locked_rows > 0;
        self.locked_rows = self.locked_rows.saturating_sub(1);
        locked
    }

    /// Whether the org is read-only for the next write.
    pub(crate) fn is_read_only(&mut self) -> bool {
        let left = self.writes_left;
        self.writes_left = left.map(|it| it.saturating_sub(1));
        left == Some(0)
    }
}

impl Mishap {
    /// Whether it is one for a call with this body.
    fn concerns(&self, body: &[u8]) -> bool {
        let (Self::HangAt { piece } | Self::DelayCommitAt { piece, .. } | Self::RespondAt { piece, .. }) = self else {
            return true;
        };
        String::from_utf8_lossy(body).contains(piece.as_str())
    }
}

impl Matching {
    fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(|it| path.contains(it.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_can_be_taken_back_until_it_met_a_call() {
        let mut faults = Faults::default();
        let what = Mishap::DelayCommitAt { piece: "joe".to_owned(), millis: 5 };
        let fault = Fault { when: Matching::default(), what, times: Some(1) };
        faults.add(fault.clone());
        assert!(faults.judge("POST", "/", b"ada").mishap.is_none());
        assert!(faults.withdraw(&fault) && !faults.withdraw(&fault));
        faults.add(fault.clone());
        assert!(faults.judge("POST", "/", b"joe").mishap.is_some());
        assert!(!faults.withdraw(&fault));
    }

    #[test]
    fn a_fault_meets_as_many_calls_as_it_says() {
        let mut faults = Faults::default();
        let when = Matching { method: Some("PATCH".to_owned()), path: Some("/sobjects/User/".to_owned()) };
        faults.add(Fault { when, what: Mishap::DropReply, times: Some(1) });
        faults.add(Fault { when: Matching::default(), what: Mishap::Latency { millis: 5 }, times: None });

        assert!(faults.judge("GET", "/services/data/v66.0/sobjects/User/1", b"").mishap.is_none());
        let hit = faults.judge("PATCH", "/services/data/v66.0/sobjects/User/1", b"");
        assert_eq!((hit.mishap, hit.latency_millis), (Some(Mishap::DropReply), 5));
        assert!(faults.judge("PATCH", "/services/data/v66.0/sobjects/User/1", b"").mishap.is_none());
    }
}
