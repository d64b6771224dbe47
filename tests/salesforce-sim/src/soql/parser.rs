//! Tokens to a [`Statement`].

use super::ast::{Condition, Direction, Literal, Name, Nulls, Operator, Order, Select, Statement};
use super::error::SoqlError;
use super::lexer::{Spanned, Token, tokens};

/// Longest statement the service takes (published limit).
const MAX_STATEMENT: usize = 100_000;
/// Largest OFFSET the service takes (published limit).
const MAX_OFFSET: usize = 2_000;
/// Deepest nesting of parentheses and NOTs; real statements have a handful, and recursion needs a bound.
const MAX_DEPTH: u32 = 100;

/// Reads one statement.
pub(crate) fn parse(text: &str) -> Result<Statement, SoqlError> {
    if text.len() > MAX_STATEMENT {
        return Err(SoqlError::malformed("SOQL statements cannot be longer than 100000 characters."));
    }
    let tokens = tokens(text)?;
    Parser { tokens: &tokens, depth: 0 }.statement()
}

struct Parser<'a> {
    /// What is left; never empty, as the last token is `End`.
    tokens: &'a [Spanned],
    depth: u32,
}

impl Parser<'_> {
    fn statement(&mut self) -> Result<Statement, SoqlError> {
        self.expect_word("SELECT")?;
        let select = self.select()?;
        self.expect_word("FROM")?;
        let from = self.name()?;
        let alias = self.alias()?;
        let condition = if self.take_word("WHERE") { Some(self.condition()?) } else { None };
        let order = if self.take_words(&["ORDER", "BY"])? { self.order()? } else { Vec::new() };
        let limit = if self.take_word("LIMIT") { Some(self.number()?) } else { None };
        let offset = if self.take_word("OFFSET") { self.number()? } else { 0 };
        if offset > MAX_OFFSET {
            return Err(SoqlError {
                code: "NUMBER_OUTSIDE_VALID_RANGE",
                message: "Maximum SOQL offset allowed is 2000".to_owned(),
            });
        }
        if self.take_word("FOR") && !(self.take_word("VIEW") || self.take_word("REFERENCE")) {
            return Err(self.unexpected());
        }
        self.expect_end()?;
        Ok(Statement { select, from, alias, condition, order, limit, offset })
    }

    fn select(&mut self) -> Result<Select, SoqlError> {
        if self.is_call("COUNT") {
            return self.count();
        }
        if self.is_call("FIELDS") {
            self.advance(2);
            let select = if self.take_word("ALL") { Select::All } else { Select::Standard };
            if select == Select::Standard {
                self.expect_word("STANDARD")?;
            }
            self.expect_sign(")")?;
            return Ok(select);
        }
        let mut fields = vec![self.name()?];
        while self.take_sign(",") {
            fields.push(self.name()?);
        }
        Ok(Select::Fields(fields))
    }

    fn count(&mut self) -> Result<Select, SoqlError> {
        self.advance(2);
        if self.take_sign(")") {
            return Ok(Select::Count);
        }
        let field = self.name()?;
        self.expect_sign(")")?;
        let column = if self.is_word("FROM") { "expr0".to_owned() } else { self.name()?.text };
        Ok(Select::CountOf(field, column))
    }

    fn alias(&mut self) -> Result<Option<String>, SoqlError> {
        const CLAUSES: [&str; 5] = ["WHERE", "ORDER", "LIMIT", "OFFSET", "FOR"];
        let alias = match self.peek() {
            Token::Word(word) if !CLAUSES.iter().any(|it| it.eq_ignore_ascii_case(word)) => word.clone(),
            Token::Word(_) | Token::Quoted(_) | Token::Sign(_) | Token::End => return Ok(None),
        };
        // `USING`, `WITH`, `GROUP` and friends read like an alias, and are refused by what follows them.
        if ["USING", "WITH", "GROUP", "HAVING", "ALL"].iter().any(|it| it.eq_ignore_ascii_case(&alias)) {
            return Err(self.unexpected());
        }
        self.advance(1);
        Ok(Some(alias))
    }

    /// AND and OR may be chained, not mixed: the service wants parentheses.
    fn condition(&mut self) -> Result<Condition, SoqlError> {
        let first = self.term()?;
        let (word, other, join): (_, _, fn(Vec<Condition>) -> Condition) = if self.is_word("AND") {
            ("AND", "OR", Condition::All)
        } else if self.is_word("OR") {
            ("OR", "AND", Condition::Any)
        } else {
            return Ok(first);
        };
        let mut terms = vec![first];
        while self.take_word(word) {
            terms.push(self.term()?);
        }
        if self.is_word(other) {
            return Err(self.unexpected());
        }
        Ok(join(terms))
    }

    fn term(&mut self) -> Result<Condition, SoqlError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SoqlError {
                code: "QUERY_TOO_COMPLICATED",
                message: "Query is too complicated: too many nested conditions".to_owned(),
            });
        }
        let term = if self.take_word("NOT") {
            Condition::Not(Box::new(self.term()?))
        } else if self.take_sign("(") {
            let inner = self.condition()?;
            self.expect_sign(")")?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(term)
    }

    fn comparison(&mut self) -> Result<Condition, SoqlError> {
        let field = self.name()?;
        if self.take_word("LIKE") {
            return match self.peek().clone() {
                Token::Quoted(pattern) => {
                    self.advance(1);
                    Ok(Condition::Like(field, pattern))
                }
                Token::Word(_) | Token::Sign(_) | Token::End => Err(self.unexpected()),
            };
        }
        if self.take_words(&["NOT", "IN"])? {
            return Ok(Condition::In { field, values: self.values()?, negated: true });
        }
        if self.take_word("IN") {
            return Ok(Condition::In { field, values: self.values()?, negated: false });
        }
        let operator = self.operator()?;
        Ok(Condition::Compare(field, operator, self.literal()?))
    }

    fn operator(&mut self) -> Result<Operator, SoqlError> {
        let operator = match self.peek() {
            Token::Sign("=") => Operator::Equal,
            Token::Sign("!=" | "<>") => Operator::NotEqual,
            Token::Sign("<") => Operator::Less,
            Token::Sign("<=") => Operator::LessOrEqual,
            Token::Sign(">") => Operator::Greater,
            Token::Sign(">=") => Operator::GreaterOrEqual,
            Token::Word(_) | Token::Quoted(_) | Token::Sign(_) | Token::End => return Err(self.unexpected()),
        };
        self.advance(1);
        Ok(operator)
    }

    fn values(&mut self) -> Result<Vec<Literal>, SoqlError> {
        self.expect_sign("(")?;
        let mut values = vec![self.literal()?];
        while self.take_sign(",") {
            values.push(self.literal()?);
        }
        self.expect_sign(")")?;
        Ok(values)
    }

    fn literal(&mut self) -> Result<Literal, SoqlError> {
        match self.peek().clone() {
            Token::Quoted(text) => {
                self.advance(1);
                Ok(Literal::Text(text))
            }
            Token::Word(word) => {
                self.advance(1);
                if !self.take_sign(":") {
                    return Ok(Literal::Bare(word));
                }
                let count = self.number()?;
                Ok(Literal::Counted(word, i64::try_from(count).unwrap_or(i64::MAX)))
            }
            Token::Sign(_) | Token::End => Err(self.unexpected()),
        }
    }

    fn order(&mut self) -> Result<Vec<Order>, SoqlError> {
        let mut terms = vec![self.order_term()?];
        while self.take_sign(",") {
            terms.push(self.order_term()?);
        }
        Ok(terms)
    }

    fn order_term(&mut self) -> Result<Order, SoqlError> {
        let field = self.name()?;
        let direction = if self.take_word("DESC") {
            Direction::Descending
        } else {
            self.take_word("ASC");
            Direction::Ascending
        };
        let mut nulls = Nulls::First;
        if self.take_word("NULLS") {
            if self.take_word("LAST") {
                nulls = Nulls::Last;
            } else {
                self.expect_word("FIRST")?;
            }
        }
        Ok(Order { field, direction, nulls })
    }

    fn name(&mut self) -> Result<Name, SoqlError> {
        const RESERVED: [&str; 7] = ["AND", "FROM", "IN", "LIKE", "NOT", "OR", "WHERE"];
        match self.tokens.first() {
            Some(Spanned { token: Token::Word(text), at })
                if text.starts_with(|c: char| c.is_ascii_alphabetic())
                    && !text.contains('-')
                    && !RESERVED.iter().any(|it| it.eq_ignore_ascii_case(text)) =>
            {
                let name = Name { text: text.clone(), at: *at };
                self.advance(1);
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn number(&mut self) -> Result<usize, SoqlError> {
        match self.peek() {
            Token::Word(word) => {
                let number: usize = word.parse().map_err(|_| self.unexpected())?;
                self.advance(1);
                Ok(number)
            }
            Token::Quoted(_) | Token::Sign(_) | Token::End => Err(self.unexpected()),
        }
    }

    fn peek(&self) -> &Token {
        self.tokens.first().map_or(&Token::End, |it| &it.token)
    }

    /// Moves on; the end is never left behind.
    fn advance(&mut self, count: usize) {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens = self.tokens.get(count.min(last)..).unwrap_or_default();
    }

    fn is_call(&self, function: &str) -> bool {
        self.is_word(function) && matches!(self.tokens.get(1), Some(Spanned { token: Token::Sign("("), .. }))
    }

    fn is_word(&self, expected: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(expected))
    }

    fn take_word(&mut self, expected: &str) -> bool {
        let found = self.is_word(expected);
        if found {
            self.advance(1);
        }
        found
    }

    /// Takes `first` and what must then follow it.
    fn take_words(&mut self, words: &[&str]) -> Result<bool, SoqlError> {
        let [first, rest @ ..] = words else { return Ok(false) };
        if !self.take_word(first) {
            return Ok(false);
        }
        for word in rest {
            self.expect_word(word)?;
        }
        Ok(true)
    }

    fn take_sign(&mut self, expected: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(sign) if *sign == expected);
        if found {
            self.advance(1);
        }
        found
    }

    fn expect_word(&mut self, expected: &str) -> Result<(), SoqlError> {
        if self.take_word(expected) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_sign(&mut self, expected: &str) -> Result<(), SoqlError> {
        if self.take_sign(expected) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_end(&self) -> Result<(), SoqlError> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> SoqlError {
        match self.peek() {
            Token::Word(word) => SoqlError::unexpected(word),
            Token::Sign(sign) => SoqlError::unexpected(sign),
            Token::Quoted(text) => SoqlError::unexpected(&text.plain().unwrap_or_default()),
            Token::End => SoqlError::unexpected("<EOF>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().message
    }

    #[test]
    fn a_whole_statement_is_read() {
        let it = parse(
            "select Id, Profile.Name from User u where (IsActive = true and Name like 'a%') or not Id in ('x') \
             order by Name desc nulls last, Id limit 5 offset 2",
        )
        .unwrap();
        assert!(matches!(it.condition, Some(Condition::Any(ref terms)) if terms.len() == 2));
        assert_eq!(it.alias.as_deref(), Some("u"));
        assert_eq!((it.order.len(), it.limit, it.offset), (2, Some(5), 2));
        assert_eq!(it.order[0].direction, Direction::Descending);
        assert_eq!(it.order[0].nulls, Nulls::Last);
    }

    #[test]
    fn mixing_and_with_or_needs_parentheses() {
        assert_eq!(refused("SELECT Id FROM User WHERE A=1 AND B=2 OR C=3"), "unexpected token: 'OR'");
        assert!(parse("SELECT Id FROM User WHERE A=1 AND (B=2 OR C=3)").is_ok());
        assert!(parse("SELECT Id FROM User WHERE A=1 AND B=2 AND C=3").is_ok());
    }

    #[test]
    fn counts_are_told_from_fields() {
        assert_eq!(parse("SELECT count() FROM User").unwrap().select, Select::Count);
        assert!(matches!(parse("SELECT COUNT(Id) n FROM User").unwrap().select, Select::CountOf(_, n) if n == "n"));
    }

    #[test]
    fn what_does_not_parse_names_the_token() {
        assert_eq!(refused("SELECT FROM User"), "unexpected token: 'FROM'");
        assert_eq!(refused("SELECT Id FROM User WHERE"), "unexpected token: '<EOF>'");
        assert_eq!(refused("SELECT Id FROM User WHERE Name NOT LIKE 'x'"), "unexpected token: 'LIKE'");
        assert_eq!(refused("SELECT Id FROM User LIMIT x"), "unexpected token: 'x'");
        assert_eq!(refused("SELECT Id FROM User WHERE Id IN ()"), "unexpected token: ')'");
        assert_eq!(parse("SELECT Id FROM User OFFSET 2001").unwrap_err().code, "NUMBER_OUTSIDE_VALID_RANGE");
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("SELECT Id FROM User WHERE {}A=1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert_eq!(parse(&deep).unwrap_err().code, "QUERY_TOO_COMPLICATED");
    }
}
