//! Conditions on records: a tree in programs and in JSON, a flat list on the wire.
//!
//! In JSON a condition is `{"and": […]}`, `{"or": […]}`, `{"not": …}`, or a test of one attribute, such as
//! `{"attribute": "Title", "contains": "50%_off"}` or `{"attribute": "ManagerId", "is_null": true}`. Values stand for
//! themselves: no character of one is a wildcard.
//!
//! On the wire the tree is a list of nodes in postfix order, each after its operands, so that nothing recurses before
//! depth and size are known.

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::bounded::{List, Text};
use crate::code::{Code, CodeSet as _};
use crate::codes;

/// The deepest tree. People nest two or three levels.
pub const MAX_DEPTH: usize = 16;
/// The most conditions of a tree, inner ones included.
pub const MAX_NODES: usize = 256;
/// The most values of one `in`.
pub const MAX_VALUES: usize = 500;
/// The most characters of one value.
pub const MAX_VALUE: usize = 4_000;
/// The most bytes those characters can take.
const MAX_VALUE_BYTES: usize = 4 * MAX_VALUE;

codes! {
    /// What a node of a filter does.
    pub enum FilterOperator {
        /// All of its operands hold.
        1 And = "and",
        /// One of its operands holds.
        2 Or = "or",
        /// Its operand does not hold.
        3 Not = "not",
        /// The attribute is the value.
        4 Equals = "equals",
        /// The attribute is not the value, or has none.
        5 NotEquals = "not_equals",
        /// The attribute comes before the value.
        6 Less = "less",
        /// The attribute comes after the value.
        7 Greater = "greater",
        /// The attribute is the value or comes before it.
        8 LessOrEqual = "less_or_equal",
        /// The attribute is the value or comes after it.
        9 GreaterOrEqual = "greater_or_equal",
        /// The attribute begins with the value.
        10 StartsWith = "starts_with",
        /// The attribute ends with the value.
        11 EndsWith = "ends_with",
        /// The value is somewhere in the attribute.
        12 Contains = "contains",
        /// The attribute is one of the values.
        13 In = "in",
        /// The attribute has no value.
        14 IsNull = "is_null",
    }
}

/// The name of an attribute.
pub type Attribute = Text<128>;
/// What an attribute is compared with: at most [`MAX_VALUE`] characters, and not empty.
pub type Operand = Text<MAX_VALUE_BYTES>;

/// How an attribute is compared with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// It is the value.
    Equals,
    /// It is not the value, or there is none.
    NotEquals,
    /// It comes before the value.
    Less,
    /// It comes after the value.
    Greater,
    /// It is the value or comes before it.
    LessOrEqual,
    /// It is the value or comes after it.
    GreaterOrEqual,
    /// It begins with the value.
    StartsWith,
    /// It ends with the value.
    EndsWith,
    /// The value is somewhere in it.
    Contains,
}

/// A condition on a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All of them hold.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// An attribute compares with a value.
    Compare(Attribute, Comparison, Operand),
    /// An attribute is one of some values.
    In(Attribute, Vec<Operand>),
    /// An attribute has no value.
    IsNull(Attribute),
}

/// A condition whose depth, size and values are within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Condition);

/// Why a condition is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// More than [`MAX_DEPTH`] levels.
    #[error("a filter has at most {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_NODES`] conditions.
    #[error("a filter has at most {MAX_NODES} conditions")]
    TooMany,
    /// `and` or `or` of nothing, or `in` without values.
    #[error("`{0}` needs something to work on")]
    Empty(&'static str),
    /// More than [`MAX_VALUES`] values.
    #[error("`in` takes at most {MAX_VALUES} values")]
    TooManyValues,
    /// A value without a character.
    #[error("a value of `{0}` is empty; `is_null` asks for attributes without a value")]
    NoValue(String),
    /// A value of more than [`MAX_VALUE`] characters.
    #[error("a value of `{0}` has more than {MAX_VALUE} characters")]
    LongValue(String),
    /// The list of nodes is not a tree in postfix order.
    #[error("the nodes of a filter do not make a tree")]
    NoTree,
    /// This version does not know an operator.
    #[error("this version knows no filter operator {0}")]
    UnknownOperator(u16),
    /// The JSON is none of the forms of a condition.
    #[error("{0}")]
    Json(String),
}

impl Filter {
    /// Takes a condition that keeps to the bounds.
    pub fn new(condition: Condition) -> Result<Self, BadFilter> {
        let mut nodes = 0;
        check(&condition, 1, &mut nodes)?;
        Ok(Self(condition))
    }

    /// The condition.
    pub fn condition(&self) -> &Condition {
        &self.0
    }

    /// The list that travels.
    pub fn nodes(&self) -> List<FilterNode, MAX_NODES> {
        let mut nodes = Vec::new();
        flatten(&self.0, &mut nodes);
        List::clipped(nodes)
    }

    fn from_nodes(nodes: List<FilterNode, MAX_NODES>) -> Result<Self, BadFilter> {
        let mut stack: Vec<Condition> = Vec::new();
        for node in nodes.into_vec() {
            let condition = node.into_condition(&mut stack)?;
            stack.push(condition);
        }
        match (stack.pop(), stack.is_empty()) {
            (Some(root), true) => Self::new(root),
            _ => Err(BadFilter::NoTree),
        }
    }
}

fn check(condition: &Condition, depth: usize, nodes: &mut usize) -> Result<(), BadFilter> {
    *nodes += 1;
    if depth > MAX_DEPTH {
        return Err(BadFilter::TooDeep);
    }
    if *nodes > MAX_NODES {
        return Err(BadFilter::TooMany);
    }
    match condition {
        Condition::All(terms) if terms.is_empty() => Err(BadFilter::Empty("and")),
        Condition::Any(terms) if terms.is_empty() => Err(BadFilter::Empty("or")),
        Condition::All(terms) | Condition::Any(terms) => {
            terms.iter().try_for_each(|term| check(term, depth + 1, nodes))
        }
        Condition::Not(term) => check(term, depth + 1, nodes),
        Condition::Compare(attribute, _, value) => check_value(attribute, value),
        Condition::In(_, values) if values.is_empty() => Err(BadFilter::Empty("in")),
        Condition::In(_, values) if values.len() > MAX_VALUES => Err(BadFilter::TooManyValues),
        Condition::In(attribute, values) => values.iter().try_for_each(|value| check_value(attribute, value)),
        Condition::IsNull(_) => Ok(()),
    }
}

fn check_value(attribute: &Attribute, value: &Operand) -> Result<(), BadFilter> {
    if value.is_empty() {
        return Err(BadFilter::NoValue(attribute.to_string()));
    }
    if value.chars().count() > MAX_VALUE {
        return Err(BadFilter::LongValue(attribute.to_string()));
    }
    Ok(())
}

/// One node of the list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FilterNode {
    /// What it does.
    pub operator: Code<FilterOperator>,
    /// How many of the conditions before it are its operands.
    pub operands: u16,
    /// The attribute it tests; empty if it joins conditions.
    pub attribute: Attribute,
    /// What the attribute is compared with.
    pub values: List<Operand, MAX_VALUES>,
}

fn flatten(condition: &Condition, nodes: &mut Vec<FilterNode>) {
    let inner = |operator: FilterOperator, operands: usize| FilterNode {
        operator: operator.into(),
        operands: u16::try_from(operands).unwrap_or(u16::MAX),
        attribute: Text::default(),
        values: List::default(),
    };
    let leaf = |operator: FilterOperator, attribute: &Attribute, values: Vec<Operand>| FilterNode {
        operator: operator.into(),
        operands: 0,
        attribute: attribute.clone(),
        values: List::clipped(values),
    };
    let node = match condition {
        Condition::All(terms) | Condition::Any(terms) => {
            for term in terms {
                flatten(term, nodes);
            }
            let all = matches!(condition, Condition::All(_));
            inner(if all { FilterOperator::And } else { FilterOperator::Or }, terms.len())
        }
        Condition::Not(term) => {
            flatten(term, nodes);
            inner(FilterOperator::Not, 1)
        }
        Condition::Compare(attribute, comparison, value) => leaf(comparison.operator(), attribute, vec![value.clone()]),
        Condition::In(attribute, values) => leaf(FilterOperator::In, attribute, values.clone()),
        Condition::IsNull(attribute) => leaf(FilterOperator::IsNull, attribute, Vec::new()),
    };
    nodes.push(node);
}

impl FilterNode {
    /// The condition this node is, over the operands on top of the stack.
    fn into_condition(self, stack: &mut Vec<Condition>) -> Result<Condition, BadFilter> {
        let operator = self.operator.known().ok_or(BadFilter::UnknownOperator(self.operator.number()))?;
        let from = stack.len().checked_sub(usize::from(self.operands)).ok_or(BadFilter::NoTree)?;
        let mut operands = stack.split_off(from);
        let mut values = self.values.into_vec();
        let is_inner = matches!(operator, FilterOperator::And | FilterOperator::Or | FilterOperator::Not);
        let wanted = match operator {
            FilterOperator::And | FilterOperator::Or | FilterOperator::Not | FilterOperator::IsNull => 0..=0,
            FilterOperator::In => 1..=MAX_VALUES,
            FilterOperator::Equals
            | FilterOperator::NotEquals
            | FilterOperator::Less
            | FilterOperator::Greater
            | FilterOperator::LessOrEqual
            | FilterOperator::GreaterOrEqual
            | FilterOperator::StartsWith
            | FilterOperator::EndsWith
            | FilterOperator::Contains => 1..=1,
        };
        if is_inner == operands.is_empty() || is_inner != self.attribute.is_empty() || !wanted.contains(&values.len()) {
            return Err(BadFilter::NoTree);
        }
        match (operator, Comparison::of(operator)) {
            (FilterOperator::And, _) => Ok(Condition::All(operands)),
            (FilterOperator::Or, _) => Ok(Condition::Any(operands)),
            (FilterOperator::Not, _) => match (operands.pop(), operands.is_empty()) {
                (Some(term), true) => Ok(Condition::Not(Box::new(term))),
                _ => Err(BadFilter::NoTree),
            },
            (FilterOperator::In, _) => Ok(Condition::In(self.attribute, values)),
            (_, None) => Ok(Condition::IsNull(self.attribute)),
            (_, Some(comparison)) => {
                let value = values.pop().ok_or(BadFilter::NoTree)?;
                Ok(Condition::Compare(self.attribute, comparison, value))
            }
        }
    }
}

/// Both sides of the same word.
const COMPARISONS: [(Comparison, FilterOperator); 9] = [
    (Comparison::Equals, FilterOperator::Equals),
    (Comparison::NotEquals, FilterOperator::NotEquals),
    (Comparison::Less, FilterOperator::Less),
    (Comparison::Greater, FilterOperator::Greater),
    (Comparison::LessOrEqual, FilterOperator::LessOrEqual),
    (Comparison::GreaterOrEqual, FilterOperator::GreaterOrEqual),
    (Comparison::StartsWith, FilterOperator::StartsWith),
    (Comparison::EndsWith, FilterOperator::EndsWith),
    (Comparison::Contains, FilterOperator::Contains),
];

impl Comparison {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        COMPARISONS.into_iter().map(|(comparison, _)| comparison)
    }

    fn of(operator: FilterOperator) -> Option<Self> {
        COMPARISONS.into_iter().find(|(_, it)| *it == operator).map(|(comparison, _)| comparison)
    }

    fn operator(self) -> FilterOperator {
        let found = COMPARISONS.into_iter().find(|(comparison, _)| *comparison == self);
        found.map_or(FilterOperator::Equals, |(_, operator)| operator)
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        self.operator().name()
    }
}

impl Encode for Filter {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.nodes().encode(encoder)
    }
}

impl<Context> Decode<Context> for Filter {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::from_nodes(List::decode(decoder)?).map_err(|error| DecodeError::OtherString(error.to_string()))
    }
}

impl<'de, Context> BorrowDecode<'de, Context> for Filter {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        to_json(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        from_json(json, 1).and_then(Self::new).map_err(serde::de::Error::custom)
    }
}

const ATTRIBUTE: &str = "attribute";

fn to_json(condition: &Condition) -> Value {
    let list = |terms: &[Condition]| -> Vec<Value> { terms.iter().map(to_json).collect() };
    match condition {
        Condition::All(terms) => json!({ "and": list(terms) }),
        Condition::Any(terms) => json!({ "or": list(terms) }),
        Condition::Not(term) => json!({ "not": to_json(term) }),
        Condition::Compare(attribute, comparison, value) => {
            json!({ ATTRIBUTE: attribute, comparison.name(): value })
        }
        Condition::In(attribute, values) => json!({ ATTRIBUTE: attribute, "in": values }),
        Condition::IsNull(attribute) => json!({ ATTRIBUTE: attribute, "is_null": true }),
    }
}

fn from_json(json: Value, depth: usize) -> Result<Condition, BadFilter> {
    if depth > MAX_DEPTH {
        return Err(BadFilter::TooDeep);
    }
    let Value::Object(mut fields) = json else { return Err(no_condition()) };
    let attribute = match fields.remove(ATTRIBUTE) {
        None => None,
        Some(Value::String(name)) if !name.is_empty() => {
            Some(Text::new(name).map_err(|error| BadFilter::Json(format!("`{ATTRIBUTE}`: {error}")))?)
        }
        Some(_) => return Err(BadFilter::Json(format!("`{ATTRIBUTE}` is the name of an attribute"))),
    };
    let (word, operand) = only(fields)?;
    let operator: FilterOperator = word.parse().map_err(|_| no_condition())?;
    match (operator, attribute) {
        (FilterOperator::And, None) => terms(operand, depth).map(Condition::All),
        (FilterOperator::Or, None) => terms(operand, depth).map(Condition::Any),
        (FilterOperator::Not, None) => from_json(operand, depth + 1).map(|term| Condition::Not(Box::new(term))),
        (FilterOperator::And | FilterOperator::Or | FilterOperator::Not, Some(_)) | (_, None) => Err(no_condition()),
        (FilterOperator::In, Some(attribute)) => {
            let Value::Array(values) = operand else {
                return Err(BadFilter::Json("`in` takes a list of values".to_owned()));
            };
            Ok(Condition::In(attribute, values.into_iter().map(value).collect::<Result<_, _>>()?))
        }
        (FilterOperator::IsNull, Some(attribute)) => match operand {
            Value::Bool(true) => Ok(Condition::IsNull(attribute)),
            Value::Bool(false) => Ok(Condition::Not(Box::new(Condition::IsNull(attribute)))),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                Err(BadFilter::Json("`is_null` is true or false".to_owned()))
            }
        },
        (operator, Some(attribute)) => {
            let comparison = Comparison::of(operator).ok_or_else(no_condition)?;
            Ok(Condition::Compare(attribute, comparison, value(operand)?))
        }
    }
}

fn only(fields: Map<String, Value>) -> Result<(String, Value), BadFilter> {
    let mut fields = fields.into_iter();
    match (fields.next(), fields.next()) {
        (Some(field), None) => Ok(field),
        _ => Err(no_condition()),
    }
}

fn terms(operand: Value, depth: usize) -> Result<Vec<Condition>, BadFilter> {
    let Value::Array(terms) = operand else {
        return Err(BadFilter::Json("`and` and `or` take a list of conditions".to_owned()));
    };
    terms.into_iter().map(|term| from_json(term, depth + 1)).collect()
}

/// Texts, and numbers and truth values as they are written.
fn value(json: Value) -> Result<Operand, BadFilter> {
    let text = match json {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(BadFilter::Json("a value is a text, a number or a truth value".to_owned()));
        }
    };
    Text::new(text).map_err(|error| BadFilter::Json(format!("a value is too long: {error}")))
}

fn no_condition() -> BadFilter {
    let words: Vec<&str> = FilterOperator::ALL.iter().skip(3).map(|it| it.name()).collect();
    BadFilter::Json(format!(
        "a condition is {{\"and\": […]}}, {{\"or\": […]}}, {{\"not\": …}}, or {{\"attribute\": …}} with one of: {}",
        words.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn read(json: Value) -> Result<Filter, String> {
        serde_json::from_value(json).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_tree_survives_the_wire_and_json() {
        let json = json!({ "and": [
            { "attribute": "IsActive", "equals": "true" },
            { "not": { "or": [
                { "attribute": "Title", "contains": "50%_off's \\" },
                { "attribute": "Department", "in": ["A", "B"] },
            ] } },
            { "attribute": "ManagerId", "is_null": true },
        ] });
        let filter = read(json.clone()).unwrap();
        let bytes = codec::encode(&filter).unwrap();
        assert_eq!(codec::decode::<Filter>(&bytes).unwrap(), filter);
        assert_eq!(serde_json::to_value(&filter).unwrap(), json);
    }

    #[test]
    fn numbers_truth_values_and_their_negation_are_understood() {
        let filter = read(json!({ "attribute": "NumberOfFailedLogins", "greater": 3 })).unwrap();
        assert!(
            matches!(filter.condition(), Condition::Compare(_, Comparison::Greater, value) if value.as_str() == "3")
        );
        let filter = read(json!({ "attribute": "Title", "is_null": false })).unwrap();
        assert!(matches!(filter.condition(), Condition::Not(_)));
    }

    #[test]
    fn what_is_no_condition_is_refused_with_what_would_be() {
        for (json, says) in [
            (json!({ "attribute": "Title", "like": "x" }), "starts_with"),
            (json!({ "attribute": "Title", "equals": "x", "less": "y" }), "starts_with"),
            (json!({ "attribute": "Title", "and": [] }), "starts_with"),
            (json!({ "equals": "x" }), "starts_with"),
            (json!({ "and": [] }), "`and` needs something"),
            (json!({ "attribute": "Title", "in": [] }), "`in` needs something"),
            (json!({ "attribute": "Title", "equals": "" }), "is_null"),
            (json!({ "attribute": "Title", "equals": "x".repeat(4_001) }), "more than 4000 characters"),
            (json!([]), "starts_with"),
        ] {
            let error = read(json.clone()).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
        assert!(read(json!({ "attribute": "Title", "equals": "😀".repeat(4_000) })).is_ok());
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let leaf = || json!({ "attribute": "Title", "is_null": true });
        let deep = (0..MAX_DEPTH).fold(leaf(), |inner, _| json!({ "not": inner }));
        assert!(read(deep).unwrap_err().contains("levels"));
        let wide = json!({ "or": vec![leaf(); MAX_NODES] });
        assert!(read(wide).unwrap_err().contains("conditions"));
    }

    #[test]
    fn a_list_that_is_no_tree_is_refused() {
        let leaf = || FilterNode {
            operator: FilterOperator::IsNull.into(),
            operands: 0,
            attribute: Text::new("Title").unwrap(),
            values: List::default(),
        };
        let and = |operands| FilterNode {
            operator: FilterOperator::And.into(),
            operands,
            attribute: Text::default(),
            ..leaf()
        };
        let not = |operands| FilterNode { operator: FilterOperator::Not.into(), ..and(operands) };
        for nodes in [
            vec![],
            vec![leaf(), leaf()],
            vec![leaf(), and(2)],
            vec![and(0)],
            vec![leaf(), leaf(), not(2)],
            vec![leaf(), FilterNode { operands: 1, ..leaf() }],
            vec![FilterNode { attribute: Text::default(), ..leaf() }],
            vec![FilterNode { operator: FilterOperator::Equals.into(), ..leaf() }],
        ] {
            let bytes = codec::encode(&List::<FilterNode, MAX_NODES>::new(nodes.clone()).unwrap()).unwrap();
            assert!(codec::decode::<Filter>(&bytes).is_err(), "{nodes:?}");
        }
        assert!(Filter::from_nodes(List::new(vec![leaf(), leaf(), and(2)]).unwrap()).is_ok());
    }
}
