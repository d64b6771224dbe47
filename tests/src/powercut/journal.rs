//! What a program did to its disk, as written down by the library of [`crate::disk`].

/// A file, whatever it is called.
pub type FileNo = u64;

/// One thing that happened, in the order in which things happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A file was created.
    Created(FileNo, String),
    /// A directory was made.
    MadeDirectory(String),
    /// Bytes were written at a place.
    Written(FileNo, u64, Vec<u8>),
    /// A file was cut, or grown with zeros, to a length.
    Cut(FileNo, u64),
    /// A name became another.
    Renamed(String, String),
    /// A file got a second name.
    Linked(String, String),
    /// A name was removed.
    Removed(String),
    /// A directory was removed.
    RemovedDirectory(String),
    /// A sync began.
    SyncBegan(u64, Sync),
    /// A sync ended, well or not.
    SyncEnded(u64, bool),
    /// The program said something to whoever listens.
    Said(String),
}

/// What is synced, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sync {
    /// A file, with `fsync`.
    File(FileNo),
    /// A file, with `fdatasync`.
    Data(FileNo),
    /// The names in a directory.
    Directory(String),
}

/// Reads a journal.
///
/// # Errors
///
/// Where it makes no sense.
pub fn parse(mut rest: &[u8]) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or("the last line has no end")?;
        let (line, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|error| format!("event {}: {error}", events.len()))?;
        let event = event(line, &mut rest).ok_or_else(|| format!("event {} makes no sense: `{line}`", events.len()))?;
        events.push(event);
    }
    Ok(events)
}

fn event(line: &str, rest: &mut &[u8]) -> Option<Event> {
    let (what, line) = line.split_once(' ')?;
    let mut payload = |len: &str| {
        let (bytes, behind) = rest.split_at_checked(len.parse().ok()?)?;
        *rest = behind;
        Some(bytes.to_vec())
    };
    let numbered = |line: &str| {
        let (number, rest) = line.split_once(' ')?;
        Some((number.parse::<u64>().ok()?, rest.to_owned()))
    };
    let pair = |line: &str| line.split_once('\t').map(|(from, to)| (from.to_owned(), to.to_owned()));
    Some(match what {
        "C" => {
            let (file, path) = numbered(line)?;
            Event::Created(file, path)
        }
        "M" => Event::MadeDirectory(line.to_owned()),
        "W" => {
            let (file, place) = numbered(line)?;
            let (at, len) = place.split_once(' ')?;
            Event::Written(file, at.parse().ok()?, payload(len)?)
        }
        "T" => {
            let (file, len) = numbered(line)?;
            Event::Cut(file, len.parse().ok()?)
        }
        "R" => pair(line).map(|(from, to)| Event::Renamed(from, to))?,
        "L" => pair(line).map(|(from, to)| Event::Linked(from, to))?,
        "U" => Event::Removed(line.to_owned()),
        "X" => Event::RemovedDirectory(line.to_owned()),
        "S" => {
            let (number, what) = numbered(line)?;
            let (kind, what) = what.split_once(' ')?;
            let sync = match kind {
                "F" => Sync::File(what.parse().ok()?),
                "f" => Sync::Data(what.parse().ok()?),
                "D" => Sync::Directory(what.to_owned()),
                _ => return None,
            };
            Event::SyncBegan(number, sync)
        }
        "E" => {
            let (number, errno) = numbered(line)?;
            Event::SyncEnded(number, errno == "0")
        }
        "A" => Event::Said(String::from_utf8(payload(line)?).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_may_look_like_a_journal() {
        let journal = b"C 7 store/a b\nW 7 3 6\nS 1 F\nS 1 f 7\nE 1 5\nR a\tb\nA 3\nhi\n";
        let expected = [
            Event::Created(7, "store/a b".to_owned()),
            Event::Written(7, 3, b"S 1 F\n".to_vec()),
            Event::SyncBegan(1, Sync::Data(7)),
            Event::SyncEnded(1, false),
            Event::Renamed("a".to_owned(), "b".to_owned()),
            Event::Said("hi\n".to_owned()),
        ];
        assert_eq!(parse(journal).unwrap(), expected);
        assert!(parse(b"W 7 0 9\nshort").is_err());
        assert!(parse(b"E 1").is_err());
    }
}
