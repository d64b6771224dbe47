//! JSON from elsewhere, bounded by the memory that it takes.
//!
//! As a tree, two characters take dozens of bytes: a bound of the text alone says little.

use serde::de::DeserializeOwned;

/// What one answer may take as text and as a tree. The largest that is asked for are a page of 2,000 records with 150
/// attributes each, and 10,000 users looked up with 25 attributes each: either takes about 40 MiB. The description of an
/// object with 500 fields takes 4 MiB.
pub const TREE_LIMIT: usize = 64 * 1024 * 1024;

/// An object takes one node for its first eleven members.
const OBJECT: usize = 640;
/// A list begins with room for four values.
const LIST: usize = 128;
/// A value has its place, which a list that grows holds twice, or its share of a node; names and texts have places of
/// their own.
const VALUE: usize = 96;

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It would take more memory than [`TREE_LIMIT`].
    TooLarge,
    /// It is not JSON, or not of the form that is wanted.
    Malformed,
}

/// Reads JSON that does not take too much memory. Form and content are judged afterwards.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Unread> {
    weighed(json).map(|(read, _)| read)
}

/// The same, and about how much memory it takes.
pub fn weighed<T: DeserializeOwned>(json: &[u8]) -> Result<(T, usize), Unread> {
    let weight = weight(json);
    if weight > TREE_LIMIT {
        return Err(Unread::TooLarge);
    }
    serde_json::from_slice(json).map(|read| (read, weight)).map_err(|_| Unread::Malformed)
}

/// About how much memory a text takes together with its tree.
fn weight(json: &[u8]) -> usize {
    let (mut weight, mut quoted, mut escaped) = (json.len(), false, false);
    for byte in json {
        if quoted {
            quoted = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
        } else {
            quoted = *byte == b'"';
            weight += match byte {
                b'{' => OBJECT,
                b'[' => LIST,
                b',' => VALUE,
                _ => 0,
            };
        }
    }
    weight
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    /// Rows as they come, with attributes of every kind.
    fn rows(count: usize, attributes: usize) -> Vec<u8> {
        let mut row = json!({ "attributes": { "type": "User", "url": "/services/data/v62.0/sobjects/User/005" } });
        for number in 0..attributes {
            row[format!("Attribute{number:03}__c")] = if number % 2 == 0 { json!("{\"a, b\"}") } else { Json::Null };
        }
        json!({ "records": vec![row; count] }).to_string().into_bytes()
    }

    /// F64: megabytes as text, and a gigabyte as a tree.
    #[test]
    fn f64_what_is_small_as_text_and_large_as_a_tree_is_refused() {
        for (begin, piece, end) in [("{\"records\":[", "0,", "0]}"), ("[", "{\"a\":0},", "0]"), ("[", "[],", "0]")] {
            let bomb = format!("{begin}{}{end}", piece.repeat(4 * 1024 * 1024 / piece.len()));
            assert_eq!(read::<Json>(bomb.as_bytes()), Err(Unread::TooLarge), "{piece}");
        }
    }

    #[test]
    fn the_largest_answers_that_are_asked_for_are_read() {
        for (count, attributes) in [(2_000, 150), (10_000, 25)] {
            assert!(read::<Json>(&rows(count, attributes)).is_ok(), "{count} {attributes}");
        }
    }

    #[test]
    fn what_stands_in_quotes_weighs_as_text() {
        let text = json!(["{[,", "\"{[,", "\\"]).to_string();
        assert_eq!(weight(text.as_bytes()), text.len() + LIST + 2 * VALUE);
    }

    /// Deeper than any answer, and not so deep that reading it takes the stack.
    #[test]
    fn json_that_is_nested_deeper_than_128_times_is_malformed() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read::<Json>(nested(127).as_bytes()).is_ok());
        for deep in [nested(128), "[".repeat(400_000), "{\"a\":".repeat(90_000)] {
            assert_eq!(read::<Json>(deep.as_bytes()), Err(Unread::Malformed));
        }
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        assert_eq!(read::<Json>(b"<html>"), Err(Unread::Malformed));
    }
}
