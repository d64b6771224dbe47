//! Why a query is refused, in the words and the layout of the real service.

/// A refused query: its code and the message shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SoqlError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// How many characters of the statement the excerpt shows on each side of the mistake.
const EXCERPT: usize = 60;

impl SoqlError {
    /// A statement that does not parse.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self { code: "MALFORMED_QUERY", message: message.into() }
    }

    /// The token at `at` was not expected there.
    pub(crate) fn unexpected(token: &str) -> Self {
        Self::malformed(format!("unexpected token: '{token}'"))
    }

    /// A mistake shown under an excerpt of the statement, with its row and column.
    pub(crate) fn at(code: &'static str, statement: &str, at: usize, text: &str) -> Self {
        let before = statement.get(..at).unwrap_or(statement);
        let row = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;

        let line = statement.get(line_start..).and_then(|it| it.lines().next()).unwrap_or_default();
        let skipped = if line.chars().count() > 2 * EXCERPT { (column - 1).saturating_sub(EXCERPT) } else { 0 };
        let excerpt: String = line.chars().skip(skipped).take(2 * EXCERPT).collect();
        let caret = " ".repeat(column - 1 - skipped);
        Self { code, message: format!("\n{excerpt}\n{caret}^\nERROR at Row:{row}:Column:{column}\n{text}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout of a response recorded from a real org.
    #[test]
    fn the_layout_is_the_recorded_one() {
        let statement = "select count() from XYZZY";
        let error = SoqlError::at("INVALID_TYPE", statement, 20, "sObject type 'XYZZY' is not supported.");
        assert_eq!(
            error.message,
            "\nselect count() from XYZZY\n                    ^\nERROR at Row:1:Column:21\n\
             sObject type 'XYZZY' is not supported."
        );
    }

    #[test]
    fn a_long_statement_is_cut_around_the_mistake() {
        let statement = format!("SELECT Id FROM User WHERE Name IN ({}) AND Foo = 1", "'x',".repeat(500));
        let at = statement.find("Foo").unwrap();
        let error = SoqlError::at("INVALID_FIELD", &statement, at, "no");
        let lines: Vec<&str> = error.message.lines().collect();
        let caret = lines[2].find('^').unwrap();
        assert!(lines[1][caret..].starts_with("Foo"));
    }
}
