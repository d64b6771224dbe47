//! A statement as it was written, before the schema has been asked.

use super::lexer::Quoted;

/// A whole statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) select: Select,
    pub(crate) from: Name,
    pub(crate) alias: Option<String>,
    pub(crate) condition: Option<Condition>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Select {
    Fields(Vec<Name>),
    /// `COUNT()`: only the number of rows.
    Count,
    /// `COUNT(Id)`, with the name of its column.
    CountOf(Name, String),
    /// `FIELDS(ALL)`: wants a LIMIT.
    All,
    /// `FIELDS(STANDARD)`.
    Standard,
}

/// A name or dotted path, and the byte it starts at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: usize,
}

/// The WHERE clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Name, Operator, Literal),
    Like(Name, Quoted),
    In { field: Name, values: Vec<Literal>, negated: bool },
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value in a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    Text(Quoted),
    /// A number, boolean, null, date, date-time or date literal, as written.
    Bare(String),
    /// `LAST_N_DAYS:7`.
    Counted(String, i64),
}

/// One term of ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) field: Name,
    pub(crate) direction: Direction,
    pub(crate) nulls: Nulls,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

/// Where empty values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    First,
    Last,
}
