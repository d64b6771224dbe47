//! Names of accounts, with wildcards.

use std::fmt;

/// Longer than any name of an account.
const MAX_PATTERN: usize = 128;

/// A text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has 1 to {MAX_PATTERN} characters; `*` stands for any, `?` for one")]
pub struct PatternError;

/// A name with `*` for any characters and `?` for one. Case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let letters: Vec<char> = text.trim().to_lowercase().chars().collect();
        if (1..=MAX_PATTERN).contains(&letters.len()) { Ok(Self(letters)) } else { Err(PatternError) }
    }

    /// Whether a name is one of those meant. Takes at most as many steps as both are long, multiplied.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.trim().to_lowercase().chars().collect();
        let (mut letter, mut at) = (0, 0);
        // Where to go on with one more letter under the last `*`.
        let mut star: Option<(usize, usize)> = None;
        while let Some(wanted) = name.get(letter) {
            match self.0.get(at) {
                Some('*') => {
                    star = Some((at, letter));
                    at += 1;
                }
                Some(own) if *own == '?' || own == wanted => {
                    letter += 1;
                    at += 1;
                }
                Some(_) | None => match star {
                    Some((star_at, from)) => {
                        star = Some((star_at, from + 1));
                        (letter, at) = (from + 1, star_at + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0.iter().skip(at).all(|own| *own == '*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{letter}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_letters_and_a_question_mark_is_one() {
        for (pattern, name, expected) in [
            ("joe@acme.example", "joe@acme.example", true),
            ("Joe@ACME.example", "jOE@acme.EXAMPLE", true),
            ("joe@acme.example", "joe@acme.example.deleted", false),
            ("joe@acme.example", "xjoe@acme.example", false),
            ("*@acme.example", "joe@acme.example", true),
            ("*@acme.example", "@acme.example", true),
            ("*@acme.example", "joe@acme.example.evil", false),
            ("*@acme.example", "joe@evil.example", false),
            ("*", "anything", true),
            ("svc-*@*.example", "svc-x@a.b.example", true),
            ("svc-*@*.example", "sv-x@a.example", false),
            ("user???@x", "user001@x", true),
            ("user???@x", "user01@x", false),
            ("a*b*c", "a-b-b-c-c", true),
            ("a*b*c", "a-b-c-d", false),
            ("**x**", "x", true),
            ("a.b", "axb", false),
            (" joe ", "joe", true),
            ("joe", " joe ", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    /// A pattern that would take a backtracking matcher for ever.
    #[test]
    fn a_hostile_name_is_matched_in_bounded_time() {
        let pattern = Pattern::new(&format!("{}b", "a*".repeat(60))).unwrap();
        assert!(!pattern.matches(&"a".repeat(10_000)));
    }

    #[test]
    fn an_empty_pattern_and_one_that_is_too_long_are_refused() {
        assert!(Pattern::new(" ").is_err() && Pattern::new(&"x".repeat(129)).is_err());
    }
}
