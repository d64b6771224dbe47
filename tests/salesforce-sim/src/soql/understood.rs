//! A condition as the service understands it, so that whoever writes one can be held to what it meant.

use serde_json::{Value as Json, json};

use super::ast::{Condition, Literal, Name, Operator};
use super::lexer::{Piece, Quoted};
use super::parser;

/// The condition of a statement, in JSON: `{"and": […]}`, `{"or": […]}`, `{"not": …}`, or a test of one field such as
/// `{"field": "Title", "=": {"text": "a"}}`. In a text a backslash is doubled, and what stands for itself after LIKE has
/// one before it.
pub fn read_condition(statement: &str) -> Result<Json, String> {
    let statement = parser::parse(statement).map_err(|error| error.message)?;
    Ok(statement.condition.as_ref().map_or(Json::Null, told))
}

fn told(condition: &Condition) -> Json {
    let all = |terms: &[Condition]| terms.iter().map(told).collect::<Json>();
    match condition {
        Condition::All(terms) => json!({ "and": all(terms) }),
        Condition::Any(terms) => json!({ "or": all(terms) }),
        Condition::Not(term) => json!({ "not": told(term) }),
        Condition::Compare(field, operator, value) => test(field, sign(*operator), literal(value)),
        Condition::Like(field, pattern) => test(field, "like", json!({ "text": text(pattern) })),
        Condition::In { field, values, negated } => {
            test(field, if *negated { "not in" } else { "in" }, values.iter().map(literal).collect())
        }
    }
}

fn test(field: &Name, sign: &str, value: Json) -> Json {
    Json::from_iter([("field", field.text.clone().into()), (sign, value)])
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "=",
        Operator::NotEqual => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
    }
}

fn literal(value: &Literal) -> Json {
    match value {
        Literal::Text(quoted) => json!({ "text": text(quoted) }),
        Literal::Bare(word) => json!({ "bare": word }),
        Literal::Counted(word, count) => json!({ "bare": format!("{word}:{count}") }),
    }
}

fn text(quoted: &Quoted) -> String {
    let mut out = String::new();
    for piece in &quoted.pieces {
        match piece {
            Piece::Char('\\') => out.push_str("\\\\"),
            Piece::Char(character) => out.push(*character),
            Piece::Escaped(character) => out.extend(['\\', *character]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_told_with_what_stands_for_itself() {
        let statement = r"SELECT Id FROM User WHERE Title LIKE '%a\%\\' AND (NOT Id IN ('1')) AND IsActive = true";
        let expected = json!({ "and": [
            { "field": "Title", "like": { "text": r"%a\%\\" } },
            { "not": { "field": "Id", "in": [{ "text": "1" }] } },
            { "field": "IsActive", "=": { "bare": "true" } },
        ]});
        assert_eq!(read_condition(statement), Ok(expected));
        assert_eq!(read_condition("SELECT Id FROM User"), Ok(Json::Null));
        assert!(read_condition("SELECT Id FROM User WHERE").is_err());
    }
}
