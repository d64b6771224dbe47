//! What others say, in a form for people: deserializers name the types that a program reads into, libraries send programmers to
//! their pages, and anybody may say what a terminal acts upon.

use std::error::Error;
use std::fmt::{self, Write as _};

/// Where libraries send programmers, behind what they say to everybody.
const FOR_PROGRAMMERS: &str = ": https://docs.rs/";

/// Shows an error and everything beneath it, separated by colons: the whole story, told once, at the edge.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        let mut beneath = self.0.source();
        while let Some(error) = beneath {
            told.extend([": ", &error.to_string()]);
            beneath = error.source();
        }
        f.write_str(told.find(FOR_PROGRAMMERS).and_then(|end| told.get(..end)).unwrap_or(&told))
    }
}

/// The sentence of a deserializer, where an object of the notation is called `object`.
pub fn plain(message: &str, object: &str) -> String {
    let Some((before, expected)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let (word, after) = expected.split_once(' ').unwrap_or((expected, ""));
    let (said, left) = match word {
        "struct" | "map" => (object, after),
        "sequence" | "tuple" => ("a list", after),
        "enum" => ("one word", after),
        "u8" => ("a whole number up to 255", ""),
        "u16" => ("a whole number up to 65535", ""),
        "u32" => ("a whole number up to 4294967295", ""),
        "usize" | "u64" | "i64" | "i32" => ("a whole number", ""),
        "path" => ("a path", ""),
        "a" if after.starts_with("sequence") => ("a list", ""),
        "a" if after.starts_with("map") => (object, ""),
        _ => return message.to_owned(),
    };
    // The name of a type follows some of these, and the place all of them.
    let named = if left.is_empty() { expected } else { left };
    let place = named.find(" at line ").and_then(|at| named.get(at..)).unwrap_or_default();
    format!("{before}expected {said}{place}")
}

/// A text of which a terminal does nothing but show it: others have a say in what an operator is told, and not in what his
/// terminal does. Line feeds and tabs stay.
pub fn on_a_terminal(text: &str) -> String {
    text.replace(|it: char| it.is_control() && !matches!(it, '\n' | '\t'), " ")
}

/// A text as a part of one line, of which a terminal does nothing but show it.
pub fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A JSON text that says the same, of which a terminal does nothing but show it: writers of JSON leave U+007F to U+009F as they
/// are, and some terminals act upon them.
pub fn json_on_a_terminal(json: &str) -> String {
    // Outside of its strings JSON has line feeds, and those alone.
    let mut shown = String::with_capacity(json.len());
    for it in json.chars() {
        if it.is_control() && it != '\n' {
            let _ = write!(shown, "\\u{:04x}", u32::from(it));
        } else {
            shown.push(it);
        }
    }
    shown
}

/// One line of a log, with its end. What others say is a part of the line that tells of it, and neither begins another nor is
/// acted upon by the terminal of whoever reads it.
pub fn in_a_log(line: &str) -> String {
    let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
    on_a_terminal(line).replace('\n', " ") + end
}

/// What is wrong with a JSON text.
pub fn json(error: &serde_json::Error) -> String {
    plain(&error.to_string(), "an object")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_tells_programmers_is_not_told_to_operators() {
        let closed =
            std::io::Error::other("peer closed connection: https://docs.rs/rustls/latest/rustls/manual/index.html");
        assert_eq!(Chain(&closed).to_string(), "peer closed connection");
    }

    #[test]
    fn a_text_for_people_has_nothing_that_a_terminal_acts_upon() {
        assert_eq!(on_a_terminal("a\tb\nc"), "a\tb\nc");
        assert_eq!(on_a_terminal("\u{1b}[2J\u{7}\r\u{9b}x"), " [2J   x");
        assert_eq!(on_one_line("a\tb\n\u{1b}[2J\u{9b}x"), "a b  [2J x");
    }

    #[test]
    fn json_has_nothing_that_a_terminal_acts_upon_and_says_the_same() {
        let said = "\u{9b}2J\u{7f}\u{1b}[2J ä\u{a0}\n";
        let written = serde_json::to_string_pretty(&[said]).unwrap();
        let shown = json_on_a_terminal(&written);
        assert_eq!(shown, "[\n  \"\\u009b2J\\u007f\\u001b[2J ä\u{a0}\\n\"\n]");
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [said]);
    }

    #[test]
    fn a_line_of_a_log_is_one_line() {
        assert_eq!(in_a_log("a\n\u{1b}[2Jb\r\n\n"), "a  [2Jb  \n");
        assert_eq!(in_a_log("a\tb"), "a\tb");
    }

    #[test]
    fn no_type_of_a_program_is_named() {
        for (said, words) in [
            (
                "integer `3`, expected struct Submission at line 1 column 3",
                "integer `3`, expected an object at line 1 column 3",
            ),
            ("integer `3`, expected struct Table", "integer `3`, expected an object"),
            ("integer `3`, expected a sequence", "integer `3`, expected a list"),
            (
                "string \"expected u8\", expected u64 at line 2 column 1",
                "string \"expected u8\", expected a whole number at line 2 column 1",
            ),
            ("integer `3`, expected path string", "integer `3`, expected a path"),
            ("integer `3`, expected enum Kind at line 1 column 9", "integer `3`, expected one word at line 1 column 9"),
            ("unknown field `x`, expected one of `a`, `b`", "unknown field `x`, expected one of `a`, `b`"),
            ("integer `3`, expected a string", "integer `3`, expected a string"),
            ("EOF while parsing an object at line 2 column 0", "EOF while parsing an object at line 2 column 0"),
        ] {
            assert_eq!(plain(said, "an object"), words);
        }
    }
}
