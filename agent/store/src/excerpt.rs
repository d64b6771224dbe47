//! Parts of a file as a file of their own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// Writes parts of `source` to `target`, each on lines of its own.
pub fn excerpt(source: &mut File, parts: &[Range<u64>], target: &mut File) -> io::Result<()> {
    for part in parts {
        source.seek(SeekFrom::Start(part.start))?;
        io::copy(&mut Read::by_ref(source).take(part.end - part.start), target)?;
        let mut last = [0];
        source.seek(SeekFrom::Start(part.end.saturating_sub(1)))?;
        source.read_exact(&mut last)?;
        if last != *b"\n" {
            target.write_all(b"\n")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_on_lines_of_their_own() {
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(b"head\none two\ntail").unwrap();
        let mut target = tempfile::tempfile().unwrap();
        excerpt(&mut source, &[0..5, 5..8, 9..13, 13..17], &mut target).unwrap();
        let mut text = String::new();
        target.rewind().unwrap();
        target.read_to_string(&mut text).unwrap();
        assert_eq!(text, "head\none\ntwo\ntail\n");
    }
}
