//! Cuts a statement into tokens. Strings are unescaped here, except for what only LIKE gives a meaning.

use super::error::SoqlError;

/// One piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name, a dotted path, a keyword, a number, a date: anything unquoted.
    Word(String),
    /// A quoted string.
    Quoted(Quoted),
    /// `( ) , = != <> < <= > >= :`
    Sign(&'static str),
    /// The end of the statement.
    End,
}

/// A string literal, unescaped, with LIKE escapes kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Quoted {
    pub(crate) pieces: Vec<Piece>,
}

/// One character of a string literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A character that stands for itself, unless LIKE reads it as a wildcard.
    Char(char),
    /// `\%` or `\_`: allowed in LIKE only.
    Escaped(char),
}

/// A token and the byte it starts at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) at: usize,
}

/// Longest string literal a WHERE clause takes (published limit).
const MAX_STRING: usize = 4_000;

const SIGNS: &[&str] = &["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ",", ":"];

impl Quoted {
    /// The text, if it holds no LIKE escape.
    pub(crate) fn plain(&self) -> Option<String> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Char(c) => Some(*c),
                Piece::Escaped(_) => None,
            })
            .collect()
    }
}

/// Cuts `statement` into tokens; the last one is [`Token::End`].
pub(crate) fn tokens(statement: &str) -> Result<Vec<Spanned>, SoqlError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(rest) = statement.get(at..).filter(|it| !it.is_empty()) {
        let Some(first) = rest.chars().next() else { break };
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = next(statement, rest, first, at)?;
        out.push(Spanned { token, at });
        at += length;
    }
    out.push(Spanned { token: Token::End, at: statement.len() });
    Ok(out)
}

fn next(statement: &str, rest: &str, first: char, at: usize) -> Result<(Token, usize), SoqlError> {
    if first == '\'' {
        return quoted(statement, rest, at);
    }
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Token::Sign(sign), sign.len()));
    }
    let length = word_length(rest);
    match rest.get(..length) {
        Some(word) if length > 0 => Ok((Token::Word(word.to_owned()), length)),
        _ => Err(no_viable(statement, at, first)),
    }
}

/// A date-time may hold `:` and `+`, which no other word does.
fn word_length(rest: &str) -> usize {
    let dated = rest.as_bytes().first().is_some_and(u8::is_ascii_digit) && rest.as_bytes().get(4) == Some(&b'-');
    rest.find(|c: char| {
        let in_word = c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        !(in_word || dated && matches!(c, ':' | '+'))
    })
    .unwrap_or(rest.len())
}

fn quoted(statement: &str, rest: &str, at: usize) -> Result<(Token, usize), SoqlError> {
    let mut pieces = Vec::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        match c {
            '\'' => {
                if pieces.len() > MAX_STRING {
                    return Err(SoqlError::malformed(
                        "SOQL statement has a string literal longer than 4000 characters",
                    ));
                }
                return Ok((Token::Quoted(Quoted { pieces }), index + 1));
            }
            '\\' => {
                let escape = chars.next().map(|(_, it)| it);
                let piece = unescape(escape, &mut chars).ok_or_else(|| illegal_escape(statement, at + index))?;
                pieces.push(piece);
            }
            '\n' | '\r' => break,
            c => pieces.push(Piece::Char(c)),
        }
    }
    Err(no_viable(statement, at, '\''))
}

fn unescape(escape: Option<char>, chars: &mut impl Iterator<Item = (usize, char)>) -> Option<Piece> {
    Some(Piece::Char(match escape? {
        'n' | 'N' => '\n',
        'r' | 'R' => '\r',
        't' | 'T' => '\t',
        'b' | 'B' => '\u{8}',
        'f' | 'F' => '\u{c}',
        c @ ('"' | '\'' | '\\') => c,
        c @ ('%' | '_') => return Some(Piece::Escaped(c)),
        'u' | 'U' => {
            let mut code = 0;
            for _ in 0..4 {
                code = code * 16 + chars.next()?.1.to_digit(16)?;
            }
            char::from_u32(code)?
        }
        _ => return None,
    }))
}

fn illegal_escape(statement: &str, at: usize) -> SoqlError {
    SoqlError::at(
        "MALFORMED_QUERY",
        statement,
        at,
        "Illegal string literal. Illegal character sequence in string literal",
    )
}

fn no_viable(statement: &str, at: usize, c: char) -> SoqlError {
    let before = statement.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    SoqlError::malformed(format!("line {line}:{column} no viable alternative at character '{c}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(statement: &str) -> Vec<Token> {
        tokens(statement).unwrap().into_iter().map(|it| it.token).collect()
    }

    fn text(statement: &str) -> Option<String> {
        match words(statement).into_iter().next() {
            Some(Token::Quoted(it)) => it.plain(),
            _ => None,
        }
    }

    #[test]
    fn signs_words_and_dates_are_told_apart() {
        let tokens = words("a.B>=2026-11-22T10:00:00+01:00,LAST_N_DAYS:7");
        assert_eq!(
            tokens,
            [
                Token::Word("a.B".to_owned()),
                Token::Sign(">="),
                Token::Word("2026-11-22T10:00:00+01:00".to_owned()),
                Token::Sign(","),
                Token::Word("LAST_N_DAYS".to_owned()),
                Token::Sign(":"),
                Token::Word("7".to_owned()),
                Token::End,
            ]
        );
    }

    #[test]
    fn every_documented_escape_is_understood() {
        assert_eq!(text(r#"'a\\b\'c\n\r\t\b\f\"\u0041'"#).unwrap(), "a\\b'c\n\r\t\u{8}\u{c}\"A");
    }

    #[test]
    fn any_other_backslash_is_an_error() {
        assert_eq!(tokens(r"'a\d'").unwrap_err().code, "MALFORMED_QUERY");
        assert!(tokens(r"'a\'").is_err());
        assert!(tokens("'open").is_err());
    }

    #[test]
    fn double_quotes_are_not_soql() {
        let error = tokens("SELECT Id FROM User WHERE Name = \"x\"").unwrap_err();
        assert_eq!(error.message, "line 1:33 no viable alternative at character '\"'");
    }
}
