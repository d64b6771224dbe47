//! A statement checked against the schema: every name resolved, every value of the right type.

use std::collections::HashSet;

use super::ast::{Condition, Literal, Name, Operator, Order, Select, Statement};
use super::date_literal::{self, Range};
use super::error::SoqlError;
use super::lexer::Quoted;
use super::like::Pattern;
use super::parser::parse;
use crate::id::RecordId;
use crate::schema::ObjectKind;
use crate::schema::field::{Field, Kind};
use crate::time;

/// Rows that may be asked for with `FIELDS(ALL)` (published limit).
const MAX_ALL: usize = 200;

/// A query ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kind: ObjectKind,
    pub(crate) output: Output,
    /// The fields asked for by name, in the order of the statement, with their paths in official spelling.
    pub(crate) columns: Vec<(String, Path)>,
    pub(crate) test: Test,
    pub(crate) order: Vec<(Path, Order)>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// What the caller wants to see of the rows found.
#[derive(Debug)]
pub(crate) enum Output {
    Rows(Vec<Node>),
    Count,
    CountOf { path: Path, column: String },
}

/// A field of the answer, or a parent with fields of its own.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Field { column: usize, name: &'static str },
    Parent { column: usize, name: &'static str, kind: ObjectKind, nodes: Vec<Node> },
}

/// The way from a row to a value: over parents to a column.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    pub(crate) hops: Vec<(usize, ObjectKind)>,
    pub(crate) column: usize,
    pub(crate) field: &'static Field,
}

/// A resolved condition.
#[derive(Debug)]
pub(crate) enum Test {
    Always,
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(Path, Operator, Operand),
    Like(Path, Pattern),
    In { path: Path, values: HashSet<Operand>, negated: bool },
}

/// A value to compare with. Text is folded to lower case unless the field minds the case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    Time(i64),
    Day(i64, i64),
    Id(RecordId),
}

impl Plan {
    /// Leaves only the rows that refer to this record, whatever else the condition says.
    pub(crate) fn only(&mut self, column: usize, id: RecordId) {
        let Some(field) = self.kind.object().field(column) else { return };
        let path = Path { hops: Vec::new(), column, field };
        let asked = std::mem::replace(&mut self.test, Test::Always);
        self.test = Test::All(vec![Test::Compare(path, Operator::Equal, Operand::Id(id)), asked]);
    }
}

impl Path {
    /// `Profile.UserLicense.Name`, however the statement wrote it.
    fn spelled(&self, from: ObjectKind) -> String {
        let mut kind = from;
        let mut spelled = String::new();
        for (column, to) in &self.hops {
            let parent = kind.object().field(*column).and_then(|it| it.kind.parent());
            spelled.push_str(parent.map_or("", |(_, relationship)| relationship));
            spelled.push('.');
            kind = *to;
        }
        spelled + self.field.name
    }
}

impl Operand {
    pub(crate) fn as_id(&self) -> Option<RecordId> {
        if let Self::Id(id) = self { Some(*id) } else { None }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Parses and checks a statement; `now` is what date literals are relative to.
pub(crate) fn plan(text: &str, now: i64) -> Result<Plan, SoqlError> {
    let statement = parse(text)?;
    let kind = ObjectKind::by_name(&statement.from.text).ok_or_else(|| {
        SoqlError::at(
            "INVALID_TYPE",
            text,
            statement.from.at,
            &format!(
                "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append \
                 the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate \
                 names.",
                statement.from.text
            ),
        )
    })?;
    Planner { text, kind, now, statement: &statement }.run()
}

struct Planner<'a> {
    text: &'a str,
    kind: ObjectKind,
    now: i64,
    statement: &'a Statement,
}

impl Planner<'_> {
    fn run(&self) -> Result<Plan, SoqlError> {
        let output = self.output()?;
        let test = match &self.statement.condition {
            Some(condition) => self.condition(condition)?,
            None => Test::Always,
        };
        let order = self.statement.order.iter().map(|it| self.order(it)).collect::<Result<_, _>>()?;
        if matches!(output, Output::Count) && !self.statement.order.is_empty() {
            return Err(SoqlError::malformed("ordered by field must be grouped or aggregated"));
        }
        let (limit, offset) = (self.statement.limit, self.statement.offset);
        Ok(Plan { kind: self.kind, output, columns: self.columns()?, test, order, limit, offset })
    }

    fn output(&self) -> Result<Output, SoqlError> {
        match &self.statement.select {
            Select::Count => Ok(Output::Count),
            Select::CountOf(name, column) => Ok(Output::CountOf { path: self.path(name)?, column: column.clone() }),
            Select::All if self.statement.limit.is_none_or(|it| it > MAX_ALL) => {
                Err(SoqlError::malformed("The SOQL FIELDS function must have a LIMIT of at most 200"))
            }
            Select::All | Select::Standard => Ok(Output::Rows(self.every_field())),
            Select::Fields(names) => {
                let mut nodes = Vec::new();
                for name in names {
                    let path = self.path(name)?;
                    if !insert(&mut nodes, self.kind, &path.hops, &path) {
                        return Err(SoqlError::malformed(format!("duplicate field selected: {}", name.text)));
                    }
                }
                Ok(Output::Rows(nodes))
            }
        }
    }

    fn columns(&self) -> Result<Vec<(String, Path)>, SoqlError> {
        let Select::Fields(names) = &self.statement.select else { return Ok(Vec::new()) };
        names.iter().map(|name| self.path(name).map(|path| (path.spelled(self.kind), path))).collect()
    }

    fn every_field(&self) -> Vec<Node> {
        let fields = self.kind.object().fields.iter().enumerate();
        fields.map(|(column, field)| Node::Field { column, name: field.name }).collect()
    }

    fn order(&self, order: &Order) -> Result<(Path, Order), SoqlError> {
        let path = self.path(&order.field)?;
        if !path.field.sortable {
            return Err(
                self.invalid(&order.field, &format!("field '{}' can not be sorted in a query call", path.field.name))
            );
        }
        Ok((path, order.clone()))
    }

    fn condition(&self, condition: &Condition) -> Result<Test, SoqlError> {
        Ok(match condition {
            Condition::All(terms) => Test::All(self.conditions(terms)?),
            Condition::Any(terms) => Test::Any(self.conditions(terms)?),
            Condition::Not(term) => Test::Not(Box::new(self.condition(term)?)),
            Condition::Compare(name, operator, literal) => {
                let path = self.filterable(name)?;
                let operand = self.operand(name, path.field, literal)?;
                self.check_operator(name, path.field, *operator, &operand)?;
                Test::Compare(path, *operator, operand)
            }
            Condition::Like(name, pattern) => {
                let path = self.filterable(name)?;
                if !path.field.searchable {
                    return Err(self.bad_operator(name, path.field));
                }
                Test::Like(path, Pattern::new(pattern))
            }
            Condition::In { field, values, negated } => {
                let path = self.filterable(field)?;
                let values = values.iter().map(|it| self.operand(field, path.field, it)).collect::<Result<_, _>>()?;
                Test::In { path, values, negated: *negated }
            }
        })
    }

    fn conditions(&self, terms: &[Condition]) -> Result<Vec<Test>, SoqlError> {
        terms.iter().map(|it| self.condition(it)).collect()
    }

    fn filterable(&self, name: &Name) -> Result<Path, SoqlError> {
        let path = self.path(name)?;
        if path.field.filterable {
            return Ok(path);
        }
        Err(self.invalid(name, &format!("field '{}' can not be filtered in a query call", path.field.name)))
    }

    fn check_operator(
        &self,
        name: &Name,
        field: &Field,
        operator: Operator,
        operand: &Operand,
    ) -> Result<(), SoqlError> {
        let ordering = !matches!(operator, Operator::Equal | Operator::NotEqual);
        let unordered = *operand == Operand::Null || field.kind == Kind::Boolean;
        if ordering && unordered { Err(self.bad_operator(name, field)) } else { Ok(()) }
    }

    fn operand(&self, name: &Name, field: &Field, literal: &Literal) -> Result<Operand, SoqlError> {
        match literal {
            Literal::Bare(word) if word.eq_ignore_ascii_case("null") => Ok(Operand::Null),
            Literal::Bare(word) => self.bare(name, field, word),
            Literal::Counted(word, count) if field.kind == Kind::DateTime => {
                date_literal::counted(word, *count, self.now).map(day).ok_or_else(|| SoqlError::unexpected(word))
            }
            Literal::Counted(..) => Err(self.wrong_type(name, field)),
            Literal::Text(text) => self.text(name, field, text),
        }
    }

    fn bare(&self, name: &Name, field: &Field, word: &str) -> Result<Operand, SoqlError> {
        let operand = match field.kind {
            Kind::Boolean if word.eq_ignore_ascii_case("true") => Some(Operand::Bool(true)),
            Kind::Boolean if word.eq_ignore_ascii_case("false") => Some(Operand::Bool(false)),
            Kind::Int => word.parse().ok().map(Operand::Int),
            Kind::DateTime => time::parse(word)
                .map(Operand::Time)
                .or_else(|| time::parse_date(word).map(|from| Operand::Day(from, from + time::DAY)))
                .or_else(|| date_literal::plain(word, self.now).map(day)),
            Kind::Boolean
            | Kind::Email
            | Kind::Id
            | Kind::Outside
            | Kind::Phone
            | Kind::Picklist(_)
            | Kind::Reference { .. }
            | Kind::Text
            | Kind::TextArea
            | Kind::Url => None,
        };
        operand.ok_or_else(|| self.wrong_type(name, field))
    }

    fn text(&self, name: &Name, field: &Field, text: &Quoted) -> Result<Operand, SoqlError> {
        let Some(text) = text.plain() else {
            return Err(SoqlError::at(
                "MALFORMED_QUERY",
                self.text,
                name.at,
                "Illegal string literal. Illegal character sequence in string literal",
            ));
        };
        match field.kind {
            Kind::Boolean | Kind::Int | Kind::DateTime => Err(self.wrong_type(name, field)),
            Kind::Id | Kind::Reference { .. } if text.is_empty() => Ok(Operand::Null),
            Kind::Id | Kind::Reference { .. } => RecordId::parse(&text).map(Operand::Id).ok_or_else(|| {
                SoqlError::at("INVALID_QUERY_FILTER_OPERATOR", self.text, name.at, &format!("invalid ID field: {text}"))
            }),
            Kind::Email | Kind::Outside | Kind::Phone | Kind::Picklist(_) | Kind::Text | Kind::TextArea | Kind::Url => {
                // No text is ever stored empty, so an empty literal asks for null.
                Ok(match text {
                    text if text.is_empty() => Operand::Null,
                    text if field.case_sensitive => Operand::Text(text),
                    text => Operand::Text(text.to_lowercase()),
                })
            }
        }
    }

    fn path(&self, name: &Name) -> Result<Path, SoqlError> {
        let mut kind = self.kind;
        let mut hops = Vec::new();
        let mut parts: Vec<&str> = name.text.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        for (index, part) in parts.into_iter().enumerate() {
            if let Some((column, _, to)) = kind.object().relationship(part) {
                hops.push((column, to));
                kind = to;
            } else if !(index == 0 && self.names_the_object(part)) {
                return Err(self.invalid(
                    name,
                    &format!(
                        "Didn't understand relationship '{part}' in field path. If you are attempting to use a custom \
                         relationship, be sure to append the '__r' after the custom relationship name. Please \
                         reference your WSDL or the describe call for the appropriate names."
                    ),
                ));
            }
        }
        // A path may climb at most five levels (published limit).
        if hops.len() > 5 {
            return Err(SoqlError::malformed("SOQL relationship paths cannot be longer than 5 levels"));
        }
        let Some((column, field)) = kind.object().column(last) else {
            return Err(self.invalid(
                name,
                &format!(
                    "No such column '{last}' on entity '{}'. If you are attempting to use a custom field, be sure to \
                     append the '__c' after the custom field name. Please reference your WSDL or the describe call for \
                     the appropriate names.",
                    kind.object().name
                ),
            ));
        };
        Ok(Path { hops, column, field })
    }

    fn names_the_object(&self, part: &str) -> bool {
        let alias = self.statement.alias.as_deref();
        part.eq_ignore_ascii_case(self.kind.object().name) || alias.is_some_and(|it| part.eq_ignore_ascii_case(it))
    }

    fn invalid(&self, name: &Name, text: &str) -> SoqlError {
        SoqlError::at("INVALID_FIELD", self.text, name.at, text)
    }

    fn bad_operator(&self, name: &Name, field: &Field) -> SoqlError {
        let text = format!("invalid operator on {} field", field.type_name());
        SoqlError::at("INVALID_QUERY_FILTER_OPERATOR", self.text, name.at, &text)
    }

    fn wrong_type(&self, name: &Name, field: &Field) -> SoqlError {
        let (type_name, quotes) = match field.kind {
            Kind::Boolean => ("boolean", "should not"),
            Kind::DateTime => ("dateTime", "should not"),
            Kind::Int => ("int", "should not"),
            Kind::Id | Kind::Reference { .. } => ("id", "should"),
            Kind::Email | Kind::Outside | Kind::Phone | Kind::Picklist(_) | Kind::Text | Kind::TextArea | Kind::Url => {
                ("string", "should")
            }
        };
        self.invalid(
            name,
            &format!(
                "value of filter criterion for field '{}' must be of type {type_name} and {quotes} be enclosed in quotes",
                field.name
            ),
        )
    }
}

fn day(range: Range) -> Operand {
    Operand::Day(range.from, range.to)
}

/// Adds a path to the tree of the answer. Returns whether it was new.
fn insert(nodes: &mut Vec<Node>, kind: ObjectKind, hops: &[(usize, ObjectKind)], path: &Path) -> bool {
    let Some(((hop, to), rest)) = hops.split_first() else {
        let taken = nodes.iter().any(|it| matches!(it, Node::Field { column, .. } if *column == path.column));
        nodes.push(Node::Field { column: path.column, name: path.field.name });
        return !taken;
    };
    for node in nodes.iter_mut() {
        if let Node::Parent { column, kind, nodes, .. } = node
            && column == hop
        {
            return insert(nodes, *kind, rest, path);
        }
    }
    let name = kind.object().field(*hop).and_then(|it| it.kind.parent()).map(|(_, name)| name).unwrap_or_default();
    let mut children = Vec::new();
    insert(&mut children, *to, rest, path);
    nodes.push(Node::Parent { column: *hop, name, kind: *to, nodes: children });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> SoqlError {
        plan(text, 0).unwrap_err()
    }

    #[test]
    fn an_unknown_field_is_shown_in_its_place() {
        let error = refused("SELECT Foo FROM User");
        assert_eq!(error.code, "INVALID_FIELD");
        assert_eq!(
            error.message,
            "\nSELECT Foo FROM User\n       ^\nERROR at Row:1:Column:8\nNo such column 'Foo' on entity 'User'. If you \
             are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please \
             reference your WSDL or the describe call for the appropriate names."
        );
    }

    #[test]
    fn values_must_be_of_the_type_of_the_field() {
        let text = |query: &str| refused(query).message.lines().last().unwrap().to_owned();
        assert_eq!(
            text("SELECT Id FROM User WHERE IsActive = 'true'"),
            "value of filter criterion for field 'IsActive' must be of type boolean and should not be enclosed in quotes"
        );
        assert_eq!(
            text("SELECT Id FROM User WHERE Username = 5"),
            "value of filter criterion for field 'Username' must be of type string and should be enclosed in quotes"
        );
        assert_eq!(
            text("SELECT Id FROM User WHERE CreatedDate > '2026-11-22T10:00:00Z'"),
            "value of filter criterion for field 'CreatedDate' must be of type dateTime and should not be enclosed in \
             quotes"
        );
        assert_eq!(text("SELECT Id FROM User WHERE Id = 'abc'"), "invalid ID field: abc");
    }

    #[test]
    fn not_every_operator_fits_every_field() {
        let code = |query: &str| refused(query).code;
        assert_eq!(code("SELECT Id FROM LoginHistory WHERE SourceIp LIKE '10.%'"), "INVALID_QUERY_FILTER_OPERATOR");
        assert_eq!(code("SELECT Id FROM User WHERE IsActive > true"), "INVALID_QUERY_FILTER_OPERATOR");
        assert_eq!(code("SELECT Id FROM User WHERE Id LIKE '005%'"), "INVALID_QUERY_FILTER_OPERATOR");
        let error = refused("SELECT Id FROM LoginHistory WHERE Status = 'Success'");
        assert_eq!(error.code, "INVALID_FIELD");
        assert!(error.message.ends_with("field 'Status' can not be filtered in a query call"));
    }

    #[test]
    fn all_fields_need_a_limit_and_standard_ones_do_not() {
        assert_eq!(refused("SELECT FIELDS(ALL) FROM User").code, "MALFORMED_QUERY");
        assert!(plan("SELECT FIELDS(ALL) FROM User LIMIT 200", 0).is_ok());
        assert!(plan("SELECT FIELDS(STANDARD) FROM User", 0).is_ok());
        assert_eq!(refused("SELECT FIELDS(CUSTOM) FROM User").message, "unexpected token: 'CUSTOM'");
    }

    #[test]
    fn a_like_escape_outside_like_is_refused() {
        assert_eq!(refused(r"SELECT Id FROM User WHERE Name = '50\%'").code, "MALFORMED_QUERY");
    }

    #[test]
    fn relationships_are_followed_by_name() {
        let it = plan("SELECT u.Id, Profile.Name, Profile.UserLicense.Name FROM User u", 0).unwrap();
        let Output::Rows(nodes) = it.output else { panic!() };
        assert!(matches!(&nodes[1], Node::Parent { name: "Profile", nodes, .. } if nodes.len() == 2));
        assert!(refused("SELECT Foo.Name FROM User").message.contains("Didn't understand relationship 'Foo'"));
        assert_eq!(refused("SELECT Id, ID FROM User").message, "duplicate field selected: ID");
    }
}
