//! LIKE: `%` is any text, `_` exactly one character, the case does not matter.

use super::lexer::{Piece, Quoted};

/// A compiled LIKE pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    One(char),
    AnyOne,
    AnyText,
}

impl Pattern {
    pub(crate) fn new(text: &Quoted) -> Self {
        let mut parts = Vec::with_capacity(text.pieces.len());
        for piece in &text.pieces {
            match piece {
                Piece::Char('%') if parts.last() == Some(&Part::AnyText) => (),
                Piece::Char('%') => parts.push(Part::AnyText),
                Piece::Char('_') => parts.push(Part::AnyOne),
                Piece::Char(c) | Piece::Escaped(c) => parts.extend(c.to_lowercase().map(Part::One)),
            }
        }
        Self(parts)
    }

    /// Greedy with one place to go back to: linear for real patterns, never exponential.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let (mut part, mut at) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(part), text.get(at)) {
                (None, None) => return true,
                (Some(Part::AnyText), _) => {
                    retry = Some((part, at));
                    part += 1;
                    continue;
                }
                (Some(Part::AnyOne), Some(_)) => {
                    (part, at) = (part + 1, at + 1);
                    continue;
                }
                (Some(Part::One(wanted)), Some(found)) if wanted == found => {
                    (part, at) = (part + 1, at + 1);
                    continue;
                }
                _ => (),
            }
            match retry {
                Some((star, from)) if from < text.len() => {
                    retry = Some((star, from + 1));
                    (part, at) = (star + 1, from + 1);
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soql::lexer::{Token, tokens};

    fn matches(pattern: &str, text: &str) -> bool {
        let Token::Quoted(quoted) = tokens(&format!("'{pattern}'")).unwrap().remove(0).token else {
            panic!("{pattern} is not read as a string");
        };
        Pattern::new(&quoted).matches(text)
    }

    #[test]
    fn wildcards_match_any_text_and_one_character() {
        assert!(matches("a%", "Abc"));
        assert!(matches("%c", "abc"));
        assert!(matches("%b%", "abc"));
        assert!(matches("a_c", "abc"));
        assert!(matches("%", ""));
        assert!(!matches("a_c", "ac"));
        assert!(!matches("a", "ab"));
        assert!(matches("%ab%ab%", "xababy") && !matches("%ab%ab%", "xabay"));
    }

    #[test]
    fn escaped_wildcards_are_themselves() {
        assert!(matches(r"%50\%\_off\'s%", "now 50%_off's only"));
        assert!(!matches(r"%50\%\_off%", "now 501_off"));
        assert!(matches(r"a\\b", r"a\b"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "%a".repeat(60);
        assert!(!matches(&pattern, &"a".repeat(59)));
    }
}
