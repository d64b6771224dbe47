//! Pieces of SOQL that cannot be broken out of.

pub(super) mod condition;
pub(super) mod manual;

use jiff::Timestamp;

/// A string literal: quoted, and escaped as the SOQL reference says.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", escape(text))
}

/// A moment, in UTC.
pub(super) fn moment(moment: &Timestamp) -> String {
    format!("{moment:.3}")
}

/// The inside of a string literal.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            other => out.push(other),
        }
    }
    out
}

/// The most bytes of an encoded statement in a URL: of the 16,384 that a URL and its headers may have together, the
/// token in the headers takes up to a fifth.
pub(super) const MAX_ENCODED: usize = 12 * 1024;

/// The most bytes of an IN list: a statement may have 100,000 characters.
const MAX_LIST: usize = 80_000;

/// The most values of an IN list: one page of an answer has as many rows.
pub(super) const MAX_VALUES: usize = 2_000;

/// IN lists that together hold every value, each short enough for a statement and with `most` values at most.
pub(super) fn in_lists<'a>(values: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    let mut held = 0;
    for value in values {
        let literal = literal(value);
        match lists.last_mut() {
            Some(list) if held < most && list.len() + literal.len() < MAX_LIST => {
                list.push(',');
                list.push_str(&literal);
                held += 1;
            }
            _ => {
                lists.push(literal);
                held = 1;
            }
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_literal() {
        for (text, expected) in [
            ("joe@example.com", "'joe@example.com'"),
            ("o'neil@example.com", "'o\\'neil@example.com'"),
            ("\\", "'\\\\'"),
            ("\\'", "'\\\\\\''"),
            ("'; DELETE", "'\\'; DELETE'"),
            ("a\nb\rc\td", "'a\\nb\\rc\\td'"),
            ("50%_off 😀", "'50%_off 😀'"),
        ] {
            assert_eq!(literal(text), expected);
        }
    }

    #[test]
    fn long_lists_are_split_and_lose_nothing() {
        let names: Vec<String> = (0..2_000).map(|n| format!("{n:070}@example.com")).collect();
        let lists = in_lists(names.iter().map(String::as_str), MAX_VALUES);
        assert!(lists.len() > 1 && lists.iter().all(|list| list.len() <= MAX_LIST));
        assert_eq!(lists.join(",").split(',').count(), 2_000);
        let ids = vec!["0055g00000XyZ12AAF"; 5_000];
        let counts: Vec<usize> = in_lists(ids, MAX_VALUES).iter().map(|list| list.split(',').count()).collect();
        assert_eq!(counts, [MAX_VALUES, MAX_VALUES, 1_000]);
        assert!(in_lists([], MAX_VALUES).is_empty());
    }
}
