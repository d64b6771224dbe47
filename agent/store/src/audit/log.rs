//! The one who writes a log.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::line::{Event, Line};
use super::verify::{Lines, Next, follow};
use super::{AuditError, FILE_BYTES, Head, file, files};
use crate::private;

/// A log that is written to. Whoever has it is the only one who writes: the store's lock sees to that.
#[derive(Debug)]
pub struct Log {
    directory: PathBuf,
    head: Head,
    /// The number of the newest file; 0 if there is none.
    number: u32,
    /// The newest file and how much of it is written; `None`: the next line begins a new one.
    file: Option<(File, u64)>,
    sync: SyncFile,
}

/// What makes the content of a file durable.
pub(super) type SyncFile = fn(&File) -> io::Result<()>;

/// A log that was opened, and what was found.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// How many bytes behind the last line were cut off: a crash had left a line half written.
    pub cut: u64,
    /// What is wrong with what was there. The log goes on in a new file, and the wrong one is left as it is.
    pub fault: Option<Fault>,
}

/// A log that is gone on with where its program's rows begin.
#[derive(Debug)]
pub struct TakenUp {
    /// The log.
    pub log: Log,
    /// How many of the first rows are its last lines already: the process died right behind them.
    pub there: usize,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

/// What is wrong with the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ends before a line that is known to have been written.
    #[error(
        "the audit log ends with line {found}, and line {known} is known to have been written: its end was cut off, or damaged"
    )]
    Short {
        /// Its last line.
        found: u64,
        /// The line that is known.
        known: u64,
    },
    /// None of its files is there.
    #[error("no file of the audit log is there, and line {known} is known to have been written: were they moved away?")]
    Gone {
        /// The line that is known.
        known: u64,
    },
    /// A line is another one than is known.
    #[error("line {number} of the audit log is another one than was written: it was written anew")]
    Other {
        /// The line's number.
        number: u64,
    },
    /// Behind its last whole line stand others.
    #[error("the audit log is damaged, or was changed, behind line {found}")]
    Broken {
        /// The last line before them.
        found: u64,
    },
    /// Behind the line that is known stand others than the rows of its program.
    #[error(
        "the audit log goes on behind line {known} with lines that this program's store does not know of: was an older \
         store put in place?"
    )]
    Ahead {
        /// The line that is known.
        known: u64,
    },
}

/// How far the lines of a file go.
#[derive(Debug, Default)]
struct Scan {
    /// The last of the lines that follow each other from the beginning.
    head: Option<Head>,
    /// Where it ends.
    len: u64,
    /// Whether a line that is known is another one.
    is_other: bool,
    /// Whether whole lines stand behind it.
    is_followed: bool,
}

impl Log {
    /// Opens the log in `directory`, making it if there is none.
    ///
    /// `known` is the last line that its owner knows to have been written, if the owner remembers one. What stands
    /// behind it and is not whole was cut by a crash.
    ///
    /// # Errors
    ///
    /// When the directory or the newest file cannot be read or written. What is wrong in the log itself is no error.
    pub fn open(directory: &Path, known: Option<Head>) -> Result<Opened, AuditError> {
        Self::open_with(directory, known, &[], File::sync_all)
    }

    /// [`Log::open`] by an owner who has these rows to write.
    pub(super) fn open_with(
        directory: &Path,
        known: Option<Head>,
        rows: &[Event],
        sync: SyncFile,
    ) -> Result<Opened, AuditError> {
        private::directory(directory)?;
        let files = files(directory)?;
        let number = files.last().map_or(0, |(number, _)| *number);
        let mut log =
            Self { directory: directory.to_owned(), head: known.unwrap_or_default(), number, file: None, sync };
        // A process that was killed may have left lines that only the system's memory holds, and a line that counts is
        // kept nowhere else.
        if let Some((_, newest)) = files.last() {
            File::open(newest).and_then(|file| sync(&file)).map_err(AuditError::io("sync", newest))?;
            private::sync_parent(newest)?;
        }
        let (mut newest, mut head, mut is_other) = (Scan::default(), None, false);
        for (index, (_, path)) in files.iter().rev().enumerate() {
            let scan = scan(path, known)?;
            head = scan.head;
            // A newer file may be empty.
            is_other |= scan.is_other;
            if index == 0 {
                newest = scan;
            }
            if head.is_some() {
                break;
            }
        }
        let head = head.unwrap_or_default();
        let fault = match known {
            Some(known) if files.is_empty() && known.number > 0 => Some(Fault::Gone { known: known.number }),
            Some(known) if is_other => Some(Fault::Other { number: known.number }),
            Some(known) if head.number < known.number => Some(Fault::Short { found: head.number, known: known.number }),
            None if newest.is_followed && !is_torn(&files, newest.len, head, rows)? => {
                Some(Fault::Broken { found: head.number })
            }
            _ => None,
        };
        match fault {
            // Newer files may have been moved away. Each had a line at least, so none had a number above that of its first
            // line, and the one behind the line that is known is nobody's.
            Some(Fault::Gone { known } | Fault::Short { known, .. }) => {
                log.number = number.max(known.try_into().unwrap_or(u32::MAX));
            }
            Some(Fault::Other { .. }) => {}
            _ => log.head = head,
        }
        let mut cut = 0;
        if let Some((_, path)) = files.last().filter(|(newest, _)| *newest == log.number) {
            let error = || AuditError::io("write", path);
            let file = private::options().open(path).map_err(error())?;
            let found = file.metadata().map_err(error())?.len();
            if fault.is_none() {
                cut = found.saturating_sub(newest.len);
                if cut > 0 {
                    file.set_len(newest.len).and_then(|()| sync(&file)).map_err(error())?;
                }
                log.file = Some((file, newest.len));
            } else if found == 0 {
                // It was begun, and nothing could be written.
                log.file = Some((file, 0));
            }
        }
        Ok(Opened { log, cut, fault })
    }

    /// Opens the log of a program whose rows follow the line `known`, and says what was found of it.
    ///
    /// # Errors
    ///
    /// Those of [`Log::open`].
    pub fn take_up(directory: &Path, known: Option<Head>, rows: &[Event]) -> Result<TakenUp, AuditError> {
        let Opened { log, cut, fault } = Self::open_with(directory, known, rows, File::sync_all)?;
        if cut > 0 {
            tracing::warn!(bytes = cut, "a crash had left a line of the audit log half written; it is written again");
        }
        let (known, end) = (known.unwrap_or_default(), log.head());
        let lines = usize::try_from(end.number.saturating_sub(known.number)).unwrap_or(usize::MAX);
        let head = rows.iter().take(lines).try_fold(known, |head, event| event.after(head).map(|it| it.1))?;
        let is_known = head == end;
        let fault = fault.or((!is_known).then_some(Fault::Ahead { known: known.number }));
        if let Some(fault) = fault {
            tracing::error!(error = %fault, "the audit log is not as it was left, and is gone on with: run `audit verify`");
        }
        Ok(TakenUp { log, there: if is_known { lines } else { 0 }, fault })
    }

    #[cfg(test)]
    pub(super) fn sync_with(&mut self, sync: SyncFile) {
        self.sync = sync;
    }

    /// The last line.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Appends lines, durably, and says which is the last one then. They stay together in one file.
    ///
    /// # Errors
    ///
    /// None of them counts as written then, and the same may be tried again.
    pub fn append<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) -> Result<Head, AuditError> {
        let (mut text, mut head) = (String::new(), self.head);
        for event in events {
            let (line, next) = event.after(head)?;
            text.push_str(&line);
            head = next;
        }
        if text.is_empty() {
            return Ok(head);
        }
        self.make_way(text.len().try_into().unwrap_or(u64::MAX))?;
        let path = file(&self.directory, self.number);
        if let Some((file, len)) = &mut self.file {
            write(file, *len, text.as_bytes(), self.sync).map_err(AuditError::io("write", &path))?;
            *len += u64::try_from(text.len()).unwrap_or(u64::MAX);
        }
        self.head = head;
        Ok(head)
    }

    /// Sees to it that there is a file, and that it has room for so many bytes.
    fn make_way(&mut self, bytes: u64) -> Result<(), AuditError> {
        let newest = file(&self.directory, self.number);
        let has_room = |len: u64| len == 0 || len.saturating_add(bytes) <= FILE_BYTES;
        if self.file.as_ref().is_some_and(|(file, len)| has_room(*len) && is_there(file, &newest)) {
            return Ok(());
        }
        let number = self.number.saturating_add(1);
        let path = file(&self.directory, number);
        let new = private::options().create(true).open(&path).map_err(AuditError::io("create", &path))?;
        private::sync_parent(&path)?;
        (self.number, self.file) = (number, Some((new, 0)));
        Ok(())
    }
}

/// Whether the file is still the one at its place: somebody may have moved it away, to keep it elsewhere.
fn is_there(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

fn write(file: &File, at: u64, bytes: &[u8], sync: SyncFile) -> io::Result<()> {
    // What a write that failed left behind.
    if file.metadata()?.len() != at {
        file.set_len(at)?;
    }
    file.write_all_at(bytes, at).and_then(|()| sync(file)).inspect_err(|_| {
        // The system takes for written what it failed to write: another sync would say that all is well. If this fails
        // too, the next write does it.
        let _ = file.set_len(at);
    })
}

/// Whether what stands in the newest file from `whole` on is what a power cut leaves of the first rows of a program, as many of
/// them as were being written behind `head`: what they say, or zeros in the place of what had not reached the disk.
fn is_torn(files: &[(u32, PathBuf)], whole: u64, head: Head, rows: &[Event]) -> Result<bool, AuditError> {
    let Some((_, path)) = files.last() else { return Ok(false) };
    let (mut before, mut due) = (Head::default(), String::new());
    for row in rows {
        let (line, after) = row.after(before)?;
        if before.number >= head.number {
            due.push_str(&line);
        }
        before = after;
        if before.number == head.number && before != head {
            return Ok(false);
        }
    }
    let (file, error) = (File::open(path), || AuditError::io("read", path));
    let file = file.map_err(error())?;
    let len = file.metadata().map_err(error())?.len().saturating_sub(whole);
    if before.number <= head.number || len > due.len().try_into().unwrap_or(u64::MAX) {
        return Ok(false);
    }
    let mut there = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut there, whole).map_err(error())?;
    Ok(there.iter().zip(due.bytes()).all(|(there, due)| *there == 0 || *there == due))
}

fn scan(path: &Path, known: Option<Head>) -> Result<Scan, AuditError> {
    let (mut scan, mut lines) = (Scan::default(), Lines::open(path)?);
    loop {
        let (line, bytes) = match lines.next().map_err(AuditError::io("read", path))? {
            Next::Whole(line) => (Line::read(line).ok(), line.len() + 1),
            Next::TooLong => (None, 0),
            Next::Unfinished(_) => return Ok(scan),
        };
        // Where the file begins is for whoever verifies the whole log.
        let next = line.filter(|line| scan.head.is_none_or(|head| follow(head, line).is_ok()));
        let Some(line) = next else {
            scan.is_followed = true;
            return Ok(scan);
        };
        scan.is_other |= known.is_some_and(|known| known.number == line.head.number && known.hash != line.head.hash);
        scan.is_other |= known.is_some_and(|known| known.number + 1 == line.head.number && known.hash != line.prev);
        scan.head = Some(line.head);
        scan.len += u64::try_from(bytes).unwrap_or(u64::MAX);
    }
}
