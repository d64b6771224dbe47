//! Text from bytes: UTF-8 whatever came, and a count of lines on the way.

use std::io::{self, BufRead, ErrorKind, Read};

use zeroize::{Zeroize as _, Zeroizing};

use super::{MAX_ENTRY, Place};

/// What stands in place of a byte that is not UTF-8. No value may hold it, so the entry around it is refused and the
/// others are not.
const NOT_TEXT: u8 = 0x1a;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// The most bytes between two refills: markup is read on for a while after an entry has become too large.
const ALLOWANCE: u64 = 2 * MAX_ENTRY;

/// A source that knows where it is and hands out a bounded number of bytes between two refills.
pub(super) struct Source<R> {
    bytes: R,
    buffer: Zeroizing<Vec<u8>>,
    /// From where on the buffer has not been taken, and how far it has been made sure to be text. Behind that may
    /// stand the beginning of a character.
    taken: usize,
    text: usize,
    begun: bool,
    place: Place,
    left: u64,
}

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// It is there.
    Whole,
    /// It was longer than allowed, and is passed over.
    TooLong,
    /// There is none any more.
    Nothing,
}

impl<R: Read> Source<R> {
    pub(super) fn new(bytes: R) -> Self {
        let place = Place { line: 1, column: 1, offset: 0 };
        Self { bytes, buffer: Zeroizing::default(), taken: 0, text: 0, begun: false, place, left: ALLOWANCE }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Where it is, behind the mark that text may begin with.
    pub(super) fn start(&mut self) -> io::Result<Place> {
        self.refill();
        self.fill_buf()?;
        Ok(self.place)
    }

    /// What comes next, as far as it has been read.
    pub(super) fn peek(&mut self) -> io::Result<&[u8]> {
        self.refill();
        self.fill_buf()
    }

    /// Gives the next piece its allowance.
    pub(super) fn refill(&mut self) {
        self.left = ALLOWANCE;
    }

    /// Reads a line without its end, of at most [`MAX_ENTRY`] bytes.
    pub(super) fn line(&mut self, line: &mut Vec<u8>) -> io::Result<LineEnd> {
        let (mut any, mut too_long) = (false, false);
        loop {
            self.refill();
            let piece = self.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            any = true;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let piece = end.and_then(|end| piece.get(..end)).unwrap_or(piece);
            let length = piece.len();
            if u64::try_from(line.len() + length).unwrap_or(u64::MAX) > MAX_ENTRY {
                too_long = true;
            } else {
                line.extend_from_slice(piece);
            }
            self.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                break;
            }
        }
        Ok(match (any, too_long) {
            (false, _) => LineEnd::Nothing,
            (true, true) => LineEnd::TooLong,
            (true, false) => LineEnd::Whole,
        })
    }

    /// Gets more bytes, the first time enough to tell how the text is written; makes sure that they are text.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.text);
        (self.taken, self.text) = (0, 0);
        let wanted = if self.begun { self.buffer.len() + 1 } else { BUFFER };
        let mut over = false;
        while self.buffer.len() < wanted && !over {
            let had = self.buffer.len();
            self.buffer.resize(had + BUFFER, 0);
            let read = loop {
                match self.bytes.read(self.buffer.get_mut(had..).unwrap_or_default()) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => (),
                    result => break result,
                }
            };
            self.buffer.truncate(had + read.as_ref().unwrap_or(&0));
            over = read? == 0;
        }
        if !self.begun {
            self.begun = true;
            self.begin()?;
        }
        self.text = clean(&mut self.buffer, over);
        Ok(())
    }

    /// What the first bytes tell of how the text is written.
    fn begin(&mut self) -> io::Result<()> {
        match self.buffer.as_slice() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, 0, 1..=255, ..] | [1..=255, 0, 1..=255, 0, ..] => {
                Err(io::Error::other("the dataset is written in UTF-16; write it in UTF-8"))
            }
            [0xef, 0xbb, 0xbf, ..] => {
                self.buffer.drain(..3);
                self.place.offset = 3;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Empties what pieces are read into one after the other. Overwrites only what the last one took: to overwrite the spare room
/// as well would make each small piece behind a large one cost as much as that.
pub(super) fn wipe(piece: &mut Vec<u8>) {
    piece.as_mut_slice().zeroize();
    piece.clear();
}

/// Puts [`NOT_TEXT`] in place of what is not UTF-8, byte by byte. How far it is text; the rest is the beginning of a
/// character, which there cannot be when it is `over`.
fn clean(bytes: &mut [u8], over: bool) -> usize {
    let mut good = 0;
    loop {
        let rest = bytes.get(good..).unwrap_or_default();
        let Err(error) = std::str::from_utf8(rest) else { return bytes.len() };
        good += error.valid_up_to();
        let bad = match error.error_len() {
            Some(length) => length,
            None if over => bytes.len() - good,
            None => return good,
        };
        bytes.get_mut(good..good + bad).unwrap_or_default().fill(NOT_TEXT);
        good += bad;
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other("a piece of the dataset is larger than an entry may be"));
        }
        if self.taken == self.text {
            self.fill()?;
        }
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.text - self.taken);
        Ok(self.buffer.get(self.taken..self.taken + limit).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        let amount = amount.min(self.text - self.taken);
        for byte in self.buffer.get(self.taken..self.taken + amount).unwrap_or_default() {
            if *byte == b'\n' {
                self.place.line += 1;
                self.place.column = 1;
            } else {
                self.place.column += 1;
            }
        }
        let bytes = u64::try_from(amount).unwrap_or(u64::MAX);
        self.place.offset = self.place.offset.saturating_add(bytes);
        self.left = self.left.saturating_sub(bytes);
        self.taken += amount;
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let taken = self.fill_buf()?.read(target)?;
        self.consume(taken);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: impl Read) -> String {
        let mut text = String::new();
        Source::new(source).read_to_string(&mut text).unwrap();
        text
    }

    /// A source that gives one byte at a time.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
            let one = target.get_mut(..1).unwrap_or_default();
            self.0.read(one)
        }
    }

    #[test]
    fn characters_survive_however_they_are_cut_and_everything_else_is_marked() {
        for (bytes, expected) in [
            ("aé€😀z".as_bytes(), "aé€😀z"),
            (b"\xef\xbb\xbfx", "x"),
            (b"a\xe9b", "a\x1ab"),
            (b"a\xe2\x82", "a\x1a\x1a"),
            (b"\xc0\xafx", "\x1a\x1ax"),
            (b"", ""),
        ] {
            assert_eq!(text(bytes), expected);
            assert_eq!(text(Dripping(bytes)), expected);
        }
    }

    #[test]
    fn utf_16_is_named_with_and_without_its_mark() {
        for bytes in [&b"\xff\xfe<\0"[..], b"\xfe\xff\0<", b"<\0r\0", b"\0<\0r"] {
            let error = Source::new(bytes).fill_buf().unwrap_err();
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
    }

    #[test]
    fn a_long_line_is_passed_over_without_being_held() {
        let long = vec![b'x'; 3 * 1024 * 1024];
        let bytes = [&b"a\n"[..], &long, b"\nb"].concat();
        let mut source = Source::new(bytes.as_slice());
        let mut line = Vec::new();
        assert_eq!((source.line(&mut line).unwrap(), line.as_slice()), (LineEnd::Whole, &b"a"[..]));
        line.clear();
        assert_eq!(source.line(&mut line).unwrap(), LineEnd::TooLong);
        assert!(line.capacity() <= 512 * 1024);
        line.clear();
        assert_eq!((source.line(&mut line).unwrap(), line.as_slice()), (LineEnd::Whole, &b"b"[..]));
        assert_eq!(source.line(&mut line).unwrap(), LineEnd::Nothing);
        assert_eq!((source.place().line, source.place().offset), (3, u64::try_from(bytes.len()).unwrap()));
    }
}
