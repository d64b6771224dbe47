//! Reads a log through, a line at a time, and tells where its chain breaks first.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::line::{Line, Wrong};
use super::{AuditError, Head, MAX_LINE, file, files};

/// What a log holds whose chain is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Its last line.
    pub head: Head,
    /// How many lines it has.
    pub lines: u64,
    /// How many files it has.
    pub files: usize,
    /// How many bytes there are behind the last line: what is being written, or what a crash left of that.
    pub unfinished: usize,
}

/// Where a chain breaks, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// In which file.
    pub file: PathBuf,
    /// In which line of the file, from 1.
    pub line: u64,
    /// How.
    pub why: Why,
    /// The last line before it.
    pub head: Head,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file.display(), self.line, self.why)
    }
}

/// How a chain breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The line itself is wrong.
    #[error(transparent)]
    Line(#[from] Wrong),
    /// Lines before the first one are not there.
    #[error(
        "the log begins behind line {}: the files before were moved away, or removed; with `--after {after}`, which proves \
         nothing of them, what is left is read", after.number
    )]
    Begins {
        /// The line that its first one says it follows.
        after: Head,
    },
    /// In the newest file, where nobody knows of a line, there is none, and zeros in its place.
    #[error(
        "zeros stand in what was to be a line, as a power cut leaves them where something was being written: start the \
         program, which writes it again, and verify once more"
    )]
    Zeros,
    /// Another number was to follow.
    #[error("number {found} stands where number {expected} has to be: {}", moved(*.expected, *.found))]
    Number {
        /// The number that was to follow.
        expected: u64,
        /// The one that is there.
        found: u64,
    },
    /// The line does not follow the one before it.
    #[error("the line does not follow the one before it, which was replaced, perhaps with others before it")]
    Link,
    /// The file ends in the middle of a line, although another file follows.
    #[error("the file ends in the middle of a line, and another file follows: its end was cut off")]
    CutOff,
    /// A file between two others is not there, nor are its lines.
    #[error("the file is missing, or the one before it was cut off")]
    Missing,
    /// A line that is known to have been written is not there.
    #[error("the log ends before number {expected}, which is known to have been written: its end was cut off")]
    Short {
        /// The number of the line that is known.
        expected: u64,
    },
    /// The files that are away are said to have ended with another line than is known.
    #[error(
        "the log is said to follow another line {number} than the one that is known: from some line before on, it was \
         written anew, or one of the two is not of this log"
    )]
    Follows {
        /// The number of the line.
        number: u64,
    },
    /// The program remembers an earlier line as the last.
    #[error(
        "the log is said to begin behind line {after}, and its program remembers line {last} as the last: this is another \
         log, or the store is an older one"
    )]
    Beyond {
        /// The number of the line that the log follows.
        after: u64,
        /// The number of the line that is remembered.
        last: u64,
    },
    /// A line is another one than is known.
    #[error("the line is whole, but another one than is known: from some line before on, the log was written anew")]
    Other,
}

fn moved(expected: u64, found: u64) -> &'static str {
    if found > expected { "lines were removed, or moved" } else { "a line was inserted, repeated or moved" }
}

/// Why a log was not found whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not be read.
    #[error(transparent)]
    Unread(#[from] AuditError),
    /// Its chain breaks.
    #[error("{0}")]
    Broken(Box<Break>),
}

/// Reads a log through. It needs no more memory for a long one than for a short one.
#[derive(Debug)]
pub struct Verifier<'a> {
    directory: &'a Path,
    after: Head,
    known: Vec<Head>,
    remembered: Option<Head>,
}

impl<'a> Verifier<'a> {
    /// For the log in `directory`.
    pub fn new(directory: &'a Path) -> Self {
        Self { directory, after: Head::default(), known: Vec::new(), remembered: None }
    }

    /// The log begins after this line, with which the files ended that were moved away.
    #[must_use]
    pub fn after(mut self, head: Head) -> Self {
        self.after = head;
        self
    }

    /// This line is known to have been written. Whether it is there cannot be looked at if it is before what the log is said
    /// to follow.
    #[must_use]
    pub fn known(mut self, head: Head) -> Self {
        self.known.push(head);
        self
    }

    /// Where the log ends as its program remembers it. What stands behind that in the newest file, and is no line, was being
    /// written: the program has it still, and writes it again.
    #[must_use]
    pub fn remembered(self, head: Head) -> Self {
        // Who remembers no line may be new to an old log.
        let remembered = Some(head).filter(|head| head.number > 0);
        Self { remembered, ..self.known(head) }
    }

    /// Reads every line, and shows each that is in its place to `visit`. The log may grow meanwhile.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Broken`] with the first break, and [`VerifyError::Unread`].
    pub fn run(&self, mut visit: impl FnMut(&Line<'_>)) -> Result<Verified, VerifyError> {
        let files = files(self.directory)?;
        let first = files.first().map_or(1, |(number, _)| *number);
        let mut walk = Walk { file: file(self.directory, first), line: 0, head: self.after, unfinished: 0 };
        self.check_after().map_err(|why| walk.broken(why))?;
        let mut expected = first;
        for (number, path) in &files {
            if walk.unfinished > 0 {
                return Err(walk.broken(Why::CutOff));
            }
            let before = walk.head;
            walk.enter(path.clone());
            let is_newest = files.last().is_some_and(|(newest, _)| newest == number);
            let read = self.read(&mut walk, is_newest, &mut visit);
            // Numbers of files are left out where a program did not find its newest one; lines never are.
            let is_missing = |why| matches!(why, Why::Begins { .. } | Why::Number { .. } | Why::Link);
            if *number != expected
                && walk.head == before
                && matches!(&read, Err(VerifyError::Broken(broken)) if is_missing(broken.why))
            {
                walk.enter(file(self.directory, expected));
                return Err(walk.broken(Why::Missing));
            }
            read?;
            expected = number.saturating_add(1);
        }
        if let Some(expected) = self.known.iter().map(|known| known.number).max().filter(|it| *it > walk.head.number) {
            return Err(walk.broken(Why::Short { expected }));
        }
        let lines = walk.head.number.saturating_sub(self.after.number);
        Ok(Verified { head: walk.head, lines, files: files.len(), unfinished: walk.unfinished })
    }

    /// Reads one file.
    fn read(&self, walk: &mut Walk, is_newest: bool, visit: &mut impl FnMut(&Line<'_>)) -> Result<(), VerifyError> {
        let mut lines = Lines::open(&walk.file)?;
        loop {
            let line = match lines.next().map_err(AuditError::io("read", &walk.file))? {
                Next::Whole(line) => Line::read(line),
                Next::TooLong => Err(Wrong::TooLong),
                Next::Unfinished(bytes) => {
                    walk.unfinished = bytes;
                    return Ok(());
                }
            };
            walk.line += 1;
            let wrong = match line {
                Ok(line) => {
                    self.check(walk.head, &line).map_err(|why| walk.broken(why))?;
                    walk.head = line.head;
                    visit(&line);
                    continue;
                }
                Err(wrong) => wrong,
            };
            if is_newest && self.remembered.is_some_and(|it| it.number <= walk.head.number) {
                walk.unfinished = lines.rest().map_err(AuditError::io("read", &walk.file))?;
                return Ok(());
            }
            // A line that is known was on the disk.
            let is_known = self.known.iter().any(|it| it.number > walk.head.number);
            let is_torn = is_newest && !is_known && lines.has_zeros();
            return Err(walk.broken(if is_torn { Why::Zeros } else { wrong.into() }));
        }
    }

    /// Whether what is known speaks for what the log is said to follow.
    fn check_after(&self) -> Result<(), Why> {
        let Head { number, hash } = self.after;
        if self.known.iter().any(|known| known.number == number && known.hash != hash) {
            return Err(Why::Follows { number });
        }
        match self.remembered {
            Some(Head { number: last, .. }) if last < number => Err(Why::Beyond { after: number, last }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the line is the one after `head`, and the one that is known.
    fn check(&self, head: Head, line: &Line<'_>) -> Result<(), Why> {
        let found = line.head.number;
        if head == self.after && found > head.number.saturating_add(1) {
            let after = Head { number: found.saturating_sub(1), hash: line.prev };
            return Err(Why::Begins { after });
        }
        follow(head, line)?;
        let is_other = |known: &Head| known.number == found && known.hash != line.head.hash;
        if self.known.iter().any(is_other) { Err(Why::Other) } else { Ok(()) }
    }
}

/// How far a log is read.
struct Walk {
    file: PathBuf,
    /// The last line of the file that was read.
    line: u64,
    head: Head,
    unfinished: usize,
}

impl Walk {
    fn enter(&mut self, file: PathBuf) {
        (self.file, self.line) = (file, 0);
    }

    fn broken(&self, why: Why) -> VerifyError {
        // What is missing is missing behind the last line, in the one that would be next.
        let line = match why {
            Why::CutOff | Why::Missing | Why::Short { .. } | Why::Follows { .. } | Why::Beyond { .. } => {
                self.line.saturating_add(1)
            }
            Why::Line(_) | Why::Begins { .. } | Why::Zeros | Why::Number { .. } | Why::Link | Why::Other => self.line,
        };
        VerifyError::Broken(Box::new(Break { file: self.file.clone(), line, why, head: self.head }))
    }
}

/// Whether the line is the one after `head`.
pub(super) fn follow(head: Head, line: &Line<'_>) -> Result<(), Why> {
    let (expected, found) = (head.number.saturating_add(1), line.head.number);
    if found != expected {
        return Err(Why::Number { expected, found });
    }
    if line.prev == head.hash { Ok(()) } else { Err(Why::Link) }
}

/// The lines of a file, one in memory at a time.
pub(super) struct Lines {
    input: BufReader<File>,
    line: Vec<u8>,
}

/// What comes next in a file.
pub(super) enum Next<'a> {
    /// A line, without its line feed.
    Whole(&'a [u8]),
    /// More than a line may be.
    TooLong,
    /// Its end, and how many bytes before it have no line feed behind them.
    Unfinished(usize),
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        let file = File::open(path).map_err(AuditError::io("read", path))?;
        Ok(Self { input: BufReader::with_capacity(MAX_LINE, file), line: Vec::new() })
    }

    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        self.line.clear();
        let most = MAX_LINE.try_into().unwrap_or(u64::MAX);
        let read = self.input.by_ref().take(most).read_until(b'\n', &mut self.line)?;
        Ok(match self.line.strip_suffix(b"\n") {
            Some(line) => Next::Whole(line),
            None if read == MAX_LINE => Next::TooLong,
            None => Next::Unfinished(read),
        })
    }

    /// Whether there are zeros in what came last.
    fn has_zeros(&self) -> bool {
        self.line.contains(&0)
    }

    /// How many bytes there are from what came last on.
    fn rest(&mut self) -> io::Result<usize> {
        let behind = io::copy(&mut self.input, &mut io::sink())?;
        Ok(self.line.len().saturating_add(usize::try_from(behind).unwrap_or(usize::MAX)))
    }
}
