//! Conditions that people write themselves.

use postern_protocol::{Failure, FailureClass};

/// Clauses that come after a condition: they would change which rows a statement finds, or break its paging.
const FOREIGN: [&str; 10] = ["ALL", "FOR", "GROUP", "HAVING", "LIMIT", "OFFSET", "ORDER", "UPDATE", "USING", "WITH"];

/// Checks that a clause is one whole condition, so that nothing of it reaches beyond the parentheses it is put into.
/// What it means is left to Salesforce. `of_changes`: only records that changed are looked at, so nothing may come to meet
/// it because time passes, or another record changes.
pub(in super::super) fn check(clause: &str, of_changes: bool) -> Result<(), Failure> {
    let mut scanner = Scanner { of_changes, ..Scanner::default() };
    let mut characters = clause.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                scanner.word_ends()?;
                skip_literal(&mut characters)?;
                scanner.opened = false;
            }
            '(' => {
                scanner.word_ends()?;
                scanner.depth += 1;
                scanner.opened = true;
            }
            ')' => {
                scanner.word_ends()?;
                scanner.opened = false;
                scanner.depth = scanner.depth.checked_sub(1).ok_or_else(|| refused("closes a parenthesis too many"))?;
            }
            ';' | '"' | '\\' => return Err(refused(&format!("has a `{character}` outside of quotes"))),
            it if it.is_alphanumeric() || matches!(it, '_' | '.') => scanner.word.push(it),
            it if it.is_whitespace() => scanner.word_ends()?,
            _ => {
                scanner.word_ends()?;
                scanner.opened = false;
            }
        }
    }
    scanner.word_ends()?;
    if scanner.depth > 0 {
        return Err(refused("leaves a parenthesis open"));
    }
    if clause.trim().is_empty() {
        return Err(refused("is empty"));
    }
    Ok(())
}

/// What Salesforce says of a statement that it cannot make out.
const STATEMENT: [&str; 4] = ["MALFORMED_QUERY", "INVALID_FIELD", "INVALID_TYPE", "INVALID_QUERY_FILTER_OPERATOR"];

/// The failure of a statement that a clause is in: everything else of it was made from what the org says of itself.
pub(in super::super) fn blamed(failure: Failure) -> Failure {
    if failure.next_step.is_empty() && STATEMENT.contains(&failure.code.as_str()) {
        return failure.with_next_step("Correct the clause: Salesforce says what it cannot make out");
    }
    failure
}

#[derive(Default)]
struct Scanner {
    of_changes: bool,
    depth: usize,
    word: String,
    /// Whether nothing has come yet since a parenthesis was opened.
    opened: bool,
}

impl Scanner {
    fn word_ends(&mut self) -> Result<(), Failure> {
        let word = std::mem::take(&mut self.word).to_ascii_uppercase();
        if word.is_empty() {
            return Ok(());
        }
        let opened = std::mem::replace(&mut self.opened, false);
        if word == "SELECT" && !opened {
            return Err(refused("holds a second statement; SELECT may begin a parenthesis only"));
        }
        if word == "WHERE" && self.depth == 0 {
            return Err(refused("is the condition alone, without WHERE"));
        }
        if FOREIGN.contains(&word.as_str()) {
            return Err(refused(&format!("must not have {word}: the agent pages through all records by itself")));
        }
        if self.of_changes && (word == "SELECT" || is_path(&word)) {
            return Err(refused(&format!(
                "has {word}, and a delta would never tell of records that come to match because another record changes; \
                 export them without a cursor"
            )));
        }
        if self.of_changes && is_relative(&word) {
            return Err(refused(&format!(
                "has {word}, and a delta would never tell of records that come to match because time passes; export \
                 them without a cursor"
            )));
        }
        Ok(())
    }
}

/// Whether a word is a time that depends on now (*Date Formats and Date Literals*). Fields of such a name are custom ones.
fn is_relative(word: &str) -> bool {
    let ends = ["DAYS", "WEEK", "WEEKS", "MONTH", "MONTHS", "QUARTER", "QUARTERS", "YEAR", "YEARS", "AGO"];
    let begins = ["LAST_", "THIS_", "NEXT_", "N_"];
    let has_both = begins.iter().any(|it| word.starts_with(it)) && ends.iter().any(|it| word.ends_with(it));
    has_both || matches!(word, "YESTERDAY" | "TODAY" | "TOMORROW")
}

/// Whether a word leads to another record, as no number does, nor a moment.
fn is_path(word: &str) -> bool {
    word.contains('.') && word.split('.').all(|part| part.starts_with(char::is_alphabetic))
}

fn skip_literal(characters: &mut std::str::Chars<'_>) -> Result<(), Failure> {
    while let Some(character) = characters.next() {
        match character {
            '\'' => return Ok(()),
            '\\' => drop(characters.next()),
            _ => (),
        }
    }
    Err(refused("leaves a quote open"))
}

fn refused(why: &str) -> Failure {
    Failure::new(FailureClass::Rejected, "clause_refused", format!("The manual clause cannot be used: it {why}"))
        .with_next_step("Correct the clause and submit the task again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_passes_whatever_its_values_hold() {
        for clause in [
            "IsActive = true",
            "(Title LIKE '50\\%%' OR Department = 'a;b\"(') AND NOT (Name = 'it\\'s; LIMIT 1')",
            "LastLoginDate < LAST_N_DAYS:90",
            "Id IN (SELECT UserId FROM UserLogin WHERE IsFrozen = true)",
            "Limit__c = 5 AND Profile.Name != 'ORDER BY'",
        ] {
            assert!(check(clause, false).is_ok(), "{clause}");
        }
    }

    /// Feature B14.
    #[test]
    fn nothing_reaches_beyond_the_condition() {
        for (clause, says) in [
            ("", "empty"),
            ("IsActive = true) OR (IsActive = false", "too many"),
            ("(IsActive = true", "open"),
            ("Title = 'x", "quote open"),
            ("Title = 'x\\'", "quote open"),
            ("IsActive = true LIMIT 5", "LIMIT"),
            ("IsActive = true order by Name", "ORDER"),
            ("IsActive = true OFFSET 5", "OFFSET"),
            ("IsActive = true ALL ROWS", "ALL"),
            ("IsActive = true; SELECT Id FROM User", "`;`"),
            ("SELECT Id FROM User", "second statement"),
            ("(x SELECT Id FROM User)", "second statement"),
            ("WHERE IsActive = true", "without WHERE"),
            ("Title = \"x\"", "outside of quotes"),
        ] {
            let failure = check(clause, false).unwrap_err();
            assert!(failure.summary.contains(says), "{clause}: {}", failure.summary);
        }
    }

    /// A delta looks only at records that changed, and time changes none.
    #[test]
    fn what_time_makes_true_is_refused_of_changes() {
        for clause in [
            "LastLoginDate < LAST_N_DAYS:90",
            "CreatedDate = today",
            "LastLoginDate=THIS_FISCAL_QUARTER OR IsActive = true",
            "LastLoginDate < N_YEARS_AGO:2",
        ] {
            assert!(check(clause, true).unwrap_err().summary.contains("time passes"), "{clause}");
        }
        for clause in ["Title = 'TODAY'", "Last_Days__c > 3", "Next_Week__c = true", "Today__c = true"] {
            assert!(check(clause, true).is_ok(), "{clause}");
        }
    }

    /// The same with what another record makes true.
    #[test]
    fn what_another_record_makes_true_is_refused_of_changes() {
        for clause in [
            "Profile.Name = 'Guest'",
            "Manager.IsActive=false",
            "Team__r.Lead__r.Title = 'x' OR IsActive = true",
            "Id IN (select UserId FROM UserLogin)",
        ] {
            assert!(check(clause, true).unwrap_err().summary.contains("another record"), "{clause}");
            assert!(check(clause, false).is_ok(), "{clause}");
        }
        for clause in [
            "Title = 'Profile.Name'",
            "Score__c > 1.5",
            "Budget__c > USD5000.50",
            "CreatedDate > 2026-11-22T10:00:00.000Z",
        ] {
            assert!(check(clause, true).is_ok(), "{clause}");
        }
    }
}
