//! Tables and JSON on standard output.

#![allow(clippy::print_stderr, reason = "this is what prints")]

use std::fmt::Display;
use std::io::{self, Write as _, stdout};
use std::sync::OnceLock;

use comfy_table::Table;
use comfy_table::presets::{NOTHING, UTF8_HORIZONTAL_ONLY};
use postern_protocol::plain::{json_on_a_terminal, on_a_terminal};
use postern_protocol::time::UnixMillis;
use serde::Serialize;

use crate::exit::{Exit, Failure};

/// Prints a value as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let written = serde_json::to_string_pretty(value).map_err(|error| Failure::from_error(Exit::Bug, &error))?;
    text(json_on_a_terminal(&written) + "\n");
    Ok(())
}

/// Why something that was to be printed is not where it was to be, such as in a file on a full disk.
static UNSAID: OnceLock<io::Error> = OnceLock::new();

/// Prints a line for people.
fn line(line: impl Display) {
    text(on_a_terminal(&line.to_string()) + "\n");
}

/// Prints a text that ends with a line feed of its own. Whoever reads may have read enough: `… | head` is no failure.
pub(super) fn text(text: impl Display) {
    if let Err(error) = write!(stdout(), "{text}")
        && !is_unread(&error)
    {
        let _ = UNSAID.set(error);
    }
}

/// What is printed in pieces. Once nobody reads any more, the rest is taken for read, as in [`text`].
pub(super) struct WhileRead<W>(pub(super) W);

impl<W: io::Write> io::Write for WhileRead<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes);
        if written.as_ref().is_err_and(is_unread) { Ok(bytes.len()) } else { written }
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        if flushed.as_ref().is_err_and(is_unread) { Ok(()) } else { flushed }
    }
}

/// What a member made, as it came. On a terminal nothing of it is acted upon: it is shown, with a mark for what is no text.
pub(super) struct AsItCame<W> {
    to: W,
    is_terminal: bool,
    /// The beginning of a character of which the rest has yet to come.
    cut: Vec<u8>,
}

impl<W> AsItCame<W> {
    /// To where it is written, which may be a terminal.
    pub(super) const fn new(to: W, is_terminal: bool) -> Self {
        Self { to, is_terminal, cut: Vec::new() }
    }
}

impl<W: io::Write> io::Write for AsItCame<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.to.write(bytes);
        }
        self.cut.extend_from_slice(bytes);
        let mut whole = std::mem::take(&mut self.cut);
        let end = whole.utf8_chunks().last().map_or(&[][..], |last| last.invalid());
        let may_go_on = str::from_utf8(end).is_err_and(|error| error.error_len().is_none());
        let unfinished = if may_go_on { end.len() } else { 0 };
        self.cut = whole.split_off(whole.len().saturating_sub(unfinished));
        self.to.write_all(on_a_terminal(&String::from_utf8_lossy(&whole)).as_bytes())?;
        Ok(bytes.len())
    }

    /// Nothing more comes.
    fn flush(&mut self) -> io::Result<()> {
        let left = std::mem::take(&mut self.cut);
        self.to.write_all(String::from_utf8_lossy(&left).as_bytes())?;
        self.to.flush()
    }
}

fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Whether everything that was printed is where it was to be.
pub(super) fn is_whole() -> Result<(), Failure> {
    let Some(error) = UNSAID.get() else { return Ok(()) };
    Err(Failure::new(Exit::Failed, format!("the answer cannot be written to the standard output: {error}")))
}

/// Prints a sentence.
pub(super) fn say(sentence: impl AsRef<str>) {
    line(sentence.as_ref());
}

/// Says something beside what was asked for: it does not belong to what a script reads.
pub(super) fn remark(sentence: impl AsRef<str>) {
    eprintln!("{}", on_a_terminal(sentence.as_ref()));
}

/// Prints rows under a heading, or a sentence if there are none.
pub(super) fn rows(heading: &[&str], rows: Vec<Vec<String>>, none: &str) {
    if rows.is_empty() {
        return say(none);
    }
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(heading);
    for row in rows {
        table.add_row(row);
    }
    line(table);
}

/// Prints what is known of one thing; empty values are left out.
pub(super) fn facts(facts: Vec<(&str, String)>) {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([name.to_owned(), value]);
    }
    line(table);
}

/// A moment for people, in UTC.
pub(super) fn moment(millis: u64) -> String {
    let at = i64::try_from(millis).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
    at.map_or_else(String::new, |it| it.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// [`moment`] of a moment that may not have come.
pub(super) fn moment_if(at: Option<UnixMillis>) -> String {
    at.map(|it| moment(it.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(io::ErrorKind);

    impl io::Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    /// Leave one out, and a member writes into the clipboard of whoever looks at results, or over what was said before.
    #[test]
    fn what_a_member_made_is_shown_on_a_terminal_and_goes_elsewhere_as_it_is() {
        let made =
            b"{\"a\":\"\x1b]52;c;eA==\x07\xc2\x9b2J\x9b2J \xe8\xaa\x9e\xc3\xa4\xff\"}\r\n\xf0\x9f\x98\x80\tx\n\xe8\xaa";
        let shown = "{\"a\":\" ]52;c;eA==  2J\u{fffd}2J 語ä\u{fffd}\"} \n😀\tx\n\u{fffd}".as_bytes();
        for (is_terminal, expected) in [(true, shown), (false, made.as_slice())] {
            for size in 1..=made.len() {
                let mut out = AsItCame::new(Vec::new(), is_terminal);
                made.chunks(size).for_each(|piece| out.write_all(piece).unwrap());
                out.flush().unwrap();
                assert_eq!(out.to, expected, "{size} at a time: {:?}", String::from_utf8_lossy(&out.to));
            }
        }
        assert!(AsItCame::new(Fails(io::ErrorKind::StorageFull), true).write_all(b"results").is_err());
    }

    #[test]
    fn whoever_has_read_enough_is_no_failure_and_a_full_disk_is_one() {
        let mut unread = WhileRead(Fails(io::ErrorKind::BrokenPipe));
        assert!(unread.write_all(b"results").and_then(|()| unread.flush()).is_ok());
        let mut full = WhileRead(Fails(io::ErrorKind::StorageFull));
        assert!(full.write_all(b"results").is_err() && full.flush().is_err());
    }
}
