//! The end of a log, read backwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::line::Line;
use super::verify::{Lines, Next};
use super::{AuditError, MAX_LINE, files};

/// Shows lines of a log to `visit`, the newest first, all of them or those before a number, until it wants no more. A line
/// that is not finished yet is passed over; whether lines follow one another is not looked at.
///
/// It reads one file at most, of 16 MiB, beyond the lines it shows.
///
/// # Errors
///
/// When the log cannot be read, and [`AuditError::Line`].
pub fn backwards(
    directory: &Path,
    before: Option<u64>,
    mut visit: impl FnMut(&Line<'_>) -> bool,
) -> Result<(), AuditError> {
    for (_, path) in files(directory)?.into_iter().rev() {
        if first(&path)?.is_none_or(|first| before.is_some_and(|before| first >= before)) {
            continue;
        }
        let shown = each_backwards(&path, |line| {
            if number(line).is_some_and(|number| before.is_some_and(|before| number >= before)) {
                return Ok(true);
            }
            let line = Line::read(line).map_err(|wrong| AuditError::Line { file: path.clone(), wrong })?;
            Ok(visit(&line))
        });
        if !shown? {
            break;
        }
    }
    Ok(())
}

/// The number of the first line of a file, if it has one.
fn first(path: &Path) -> Result<Option<u64>, AuditError> {
    let mut lines = Lines::open(path)?;
    match lines.next().map_err(AuditError::io("read", path))? {
        Next::Whole(line) => Ok(Some(number(line).unwrap_or_default())),
        Next::TooLong => Ok(Some(0)),
        Next::Unfinished(_) => Ok(None),
    }
}

/// What a line says its number is.
fn number(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"{\"no\":")?.split(|it| *it == b',').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Shows the whole lines of a file, the last one first, until no more are wanted. Whether more were.
fn each_backwards(path: &Path, mut visit: impl FnMut(&[u8]) -> Result<bool, AuditError>) -> Result<bool, AuditError> {
    let file = File::open(path).map_err(AuditError::io("read", path))?;
    let mut end = file.metadata().map_err(AuditError::io("read", path))?.len();
    // What is known of the line that is being read, without its line feed; nothing behind the last line feed is one.
    let mut line: Option<Vec<u8>> = None;
    while end > 0 {
        let block = block_before(&file, end).map_err(AuditError::io("read", path))?;
        end = end.saturating_sub(block.len().try_into().unwrap_or(u64::MAX));
        let mut rest = block.as_slice();
        while let Some(feed) = rest.iter().rposition(|byte| *byte == b'\n') {
            let (before, after) = rest.split_at_checked(feed).unwrap_or_default();
            if let Some(known) = line.replace(Vec::new())
                && !visit(&[after.get(1..).unwrap_or_default(), &known].concat())?
            {
                return Ok(false);
            }
            rest = before;
        }
        if let Some(known) = &mut line {
            known.splice(..0, rest.iter().copied());
            if known.len() > MAX_LINE {
                return Err(AuditError::Line { file: path.to_owned(), wrong: super::Wrong::TooLong });
            }
        }
    }
    line.map_or(Ok(true), |line| visit(&line))
}

fn block_before(file: &File, end: u64) -> io::Result<Vec<u8>> {
    let length = MAX_LINE.min(usize::try_from(end).unwrap_or(MAX_LINE));
    let mut block = vec![0; length];
    file.read_exact_at(&mut block, end.saturating_sub(length.try_into().unwrap_or(u64::MAX)))?;
    Ok(block)
}
