//! An audit log, and the power goes, or the process, at every single thing that is done to it.
//!
//! What the program's store holds of it, the rows that are still to be written and the last line that is, is as durable as it
//! was told: that is proved of stores elsewhere.

use std::fmt;
use std::path::Path;

use postern_store::audit::{Check, Event, Found, Head, Pen, Verified, Verifier, Why};
use postern_store::private;

use super::every_write::Trial;
use super::states::Guard;
use super::{Tally, Wrong};

/// What the worker is told to work on.
pub(super) const WORK: &str = "audit-log";
/// How many rows are written at once, one after the other.
const PORTIONS: [u64; 7] = [3, 1, 4, 2, 5, 1, 3];
/// Behind these the program begins anew.
const BEGINS_ANEW: [usize; 2] = [1, 4];
/// Behind this one somebody moves the file away, and the next line begins another.
const MOVED: usize = 2;
const FIRST_FILE: &str = "00000001.jsonl";
/// A line is more than a sector, or a part of one.
const PADDING: [usize; 3] = [10, 700, 300];

type Failure = Box<dyn std::error::Error>;

pub(super) enum Word {
    /// The rows up to this one are in the store.
    Committed(u64),
    /// They are in the log, which ends with this line.
    Written(Head),
    /// The file that ends with this line is about to be moved away.
    Moved(Head),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed(row) => write!(f, "committed {row}"),
            Self::Written(head) => write!(f, "written {head}"),
            Self::Moved(head) => write!(f, "moved {head}"),
        }
    }
}

/// What the store knows, and whoever moved the file away.
#[derive(Debug, Default)]
struct Told {
    committed: u64,
    known: Option<Head>,
    moved: Option<Head>,
}

impl Told {
    fn hear(&mut self, said: &str) {
        for line in said.lines() {
            match line.split_once(' ') {
                Some(("committed", row)) => self.committed = row.parse().unwrap_or(self.committed),
                Some(("written", head)) => self.known = head.parse().ok(),
                Some(("moved", head)) => self.moved = head.parse().ok(),
                Some(_) | None => (),
            }
        }
    }

    fn written(&self) -> u64 {
        self.known.unwrap_or_default().number
    }
}

/// Looks behind everything that is done to an audit log, or behind every so many of that.
///
/// # Errors
///
/// Why this machine cannot do it.
pub fn audit_log_at_work(binary: &Path, every: usize, without: Option<Guard>) -> Result<Tally, String> {
    let prepare = |folder: &Path| Ok(private::directory(folder)?);
    Trial { work: WORK, cuts: 12, prepare, hear: Told::hear, audit }.run(binary, every, without)
}

/// Writes a log as the scribes of both programs do. What it says is in the store.
pub(super) fn work(folder: &Path, say: &impl Fn(Word)) -> Result<(), Failure> {
    let directory = folder.join("audit");
    let (mut pen, mut known, mut row) = (Pen::default(), None, 0);
    for (portion, rows) in PORTIONS.iter().enumerate() {
        say(Word::Committed(row + rows));
        let head = pen.write(&directory, known, &events(row, row + rows))?;
        say(Word::Written(head));
        (known, row) = (Some(head), row + rows);
        if BEGINS_ANEW.contains(&portion) {
            pen = Pen::default();
        }
        if portion == MOVED {
            say(Word::Moved(head));
            std::fs::rename(directory.join(FIRST_FILE), directory.join("old"))?;
            std::fs::File::open(&directory)?.sync_all()?;
        }
    }
    Ok(())
}

/// What happened behind one row, up to another.
fn events(after: u64, upto: u64) -> Vec<Event> {
    let event = |number: u64| {
        let padding = PADDING.get(usize::try_from(number).unwrap_or(0) % PADDING.len());
        let what = format!("{{\"number\":{number},\"padding\":\"{}\"}}", "x".repeat(padding.copied().unwrap_or(0)));
        Event { time: number, what }
    };
    (after + 1..=upto).map(event).collect()
}

/// Nobody is told that the log was changed, it holds every line that was known, and goes on with every row once.
fn audit(folder: &Path, told: &Told) -> Result<(), Wrong> {
    let directory = folder.join("audit");
    let is_there = directory.join(FIRST_FILE).exists();
    let after = told.moved.filter(|_| !is_there);
    // With nothing left of it, or only what was being written, its end is for whoever moved the file to know.
    if after.is_some() && after == told.known {
        return Ok(());
    }
    if is_there || told.known.is_some() {
        verify(&directory, after, told)?;
    }
    let mut pen = Pen::default();
    let written = pen.write(&directory, told.known, &events(told.written(), told.committed));
    let head = written.map_err(|error| Wrong::Unopenable(error.to_string()))?;
    if let Some(fault) = pen.status(None, 0).fault {
        return Err(Wrong::Unopenable(fault));
    }
    let mut found = Vec::new();
    let verifier = Verifier::new(&directory).after(after.unwrap_or_default()).known(head);
    let whole = verifier.run(|line| found.push(line.event.to_owned()));
    let Verified { unfinished, .. } = whole.map_err(|error| Wrong::NoPrefix(error.to_string()))?;
    let expected = events(after.unwrap_or_default().number, told.committed).into_iter().map(|event| event.what);
    if unfinished > 0 || !found.into_iter().eq(expected) {
        return Err(Wrong::NoPrefix("it does not hold every row once".to_owned()));
    }
    Ok(())
}

/// As it is verified before the program begins again.
fn verify(directory: &Path, after: Option<Head>, told: &Told) -> Result<(), Wrong> {
    let check = Check { directory, heads: &[], after, remembered: told.known, compared: "" };
    match check.run(|_| ()).map_err(|error| Wrong::Unopenable(error.to_string()))? {
        Found::Whole(_) => Ok(()),
        // Whoever remembers no line cannot say what was being written.
        Found::Broken(broken) if broken.why == Why::Zeros && told.known.is_none() => Ok(()),
        Found::Broken(broken) => Err(Wrong::Lost(broken.sentence())),
    }
}
