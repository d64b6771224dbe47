//! What a program writes its log with, wherever its rows come from and go to.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AuditError, Event, Fault, Head, Log};

/// How long events are gathered before they are written: they share one wait for the disk.
pub const GATHER: Duration = Duration::from_millis(100);
/// How long a log that cannot be written is left alone.
pub const AGAIN: Duration = Duration::from_secs(5);

/// How a log is, as its program's status tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its last line, as `NUMBER:HASH`.
    pub head: String,
    /// How many events wait for being written.
    pub waiting: u64,
    /// Why it cannot be written, if it cannot.
    pub trouble: Option<String>,
    /// What was found wrong with it when the program started.
    pub fault: Option<String>,
}

impl Status {
    /// In a line, for people who verify the log of `program` with `program audit verify`.
    pub fn words(&self, program: &str) -> String {
        let Self { head, waiting, trouble, fault } = self;
        let trouble = trouble.as_ref().map(|it| format!("; CANNOT BE WRITTEN, {waiting} lines wait: {it}"));
        let fault = fault.as_ref().map(|it| format!("; {it}: run `{program} audit verify`"));
        format!("ends with {head}{}{}", trouble.unwrap_or_default(), fault.unwrap_or_default())
    }
}

/// Writes the rows of a program into its log, and says what is wrong with it: to the program's log once, to its status as
/// long as it is so.
#[derive(Debug, Default)]
pub struct Pen {
    log: Option<Log>,
    trouble: Option<String>,
    fault: Option<Fault>,
}

impl Pen {
    /// Writes `rows`, which follow the last line that the program knows to be in the log, and says which is the last one
    /// then. Those that the log has already, because the process died right behind them, are not written again.
    ///
    /// # Errors
    ///
    /// None of them counts as written then. Whoever hears of it gives it to [`Pen::tell`].
    pub fn write(&mut self, directory: &Path, known: Option<Head>, rows: &[Event]) -> Result<Head, AuditError> {
        let mut there = 0;
        let log = match &mut self.log {
            Some(log) => log,
            none => {
                let taken = Log::take_up(directory, known, rows)?;
                (there, self.fault) = (taken.there, taken.fault.or(self.fault));
                none.insert(taken.log)
            }
        };
        log.append(rows.iter().skip(there))
    }

    /// How writing went: `trouble` is why it failed. Whether it went well.
    pub fn tell(&mut self, trouble: Option<String>, waiting: u64) -> bool {
        match &trouble {
            Some(error) if self.trouble.as_ref() != Some(error) => tracing::error!(
                error,
                waiting,
                "the audit log cannot be written; when too much waits for it, nothing more is begun"
            ),
            None if self.trouble.is_some() => tracing::info!("the audit log is written again"),
            _ => (),
        }
        self.trouble = trouble;
        if self.trouble.is_some() {
            // What is in the file, and what the program knows of it, is compared anew.
            self.log = None;
        }
        self.trouble.is_none()
    }

    /// How the log is, which ends so as far as the program knows, with so many rows that wait for it.
    pub fn status(&self, head: Option<Head>, waiting: u64) -> Status {
        Status {
            head: head.unwrap_or_default().to_string(),
            waiting,
            trouble: self.trouble.clone(),
            fault: self.fault.map(|fault| fault.to_string()),
        }
    }
}
