//! Counts lines on the way, and keeps any one piece of markup from filling the memory.

use std::io::{self, BufRead, Read};

use super::Place;

/// A source that knows where it is and hands out a bounded number of bytes between two refills.
pub(super) struct Meter<R> {
    source: R,
    line: u64,
    column: u64,
    offset: u64,
    mark: u64,
    allowance: u64,
    left: u64,
}

impl<R: BufRead> Meter<R> {
    pub(super) fn new(source: R, allowance: u64) -> Self {
        Self { source, line: 1, column: 1, offset: 0, mark: 0, allowance, left: allowance }
    }

    pub(super) fn place(&self) -> Place {
        Place { line: self.line, column: self.column }
    }

    /// Gives the next piece its allowance.
    pub(super) fn refill(&mut self) {
        self.left = self.allowance;
    }

    /// Begins to count.
    pub(super) fn mark(&mut self) {
        self.mark = self.offset;
    }

    /// The bytes since the mark.
    pub(super) fn since_mark(&self) -> u64 {
        self.offset - self.mark
    }
}

impl<R: BufRead> BufRead for Meter<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other("a piece of the dataset is larger than an entry may be"));
        }
        let bytes = self.source.fill_buf()?;
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes.get(..limit).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        let taken = self.source.fill_buf().unwrap_or_default();
        for byte in taken.iter().take(amount) {
            if *byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        let bytes = u64::try_from(amount).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(bytes);
        self.left = self.left.saturating_sub(bytes);
        self.source.consume(amount);
    }
}

impl<R: BufRead> Read for Meter<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let taken = self.fill_buf()?.read(target)?;
        self.consume(taken);
        Ok(taken)
    }
}
