//! Runs a plan over the rows of an org.

use std::cmp::Ordering;

use super::ast::{Direction, Nulls, Operator};
use super::plan::{Operand, Path, Plan, Test};
use crate::id::RecordId;
use crate::org::table::{Row, Tables};
use crate::schema::{ObjectKind, user, user_login};
use crate::value::Value;

/// Where rows may be found without reading the whole table.
pub(crate) trait Shortcut {
    /// The user with this username, given in lower case.
    fn by_username(&self, username: &str) -> Option<RecordId>;
    /// The UserLogin row of a user.
    fn login_of(&self, user: RecordId) -> Option<RecordId>;
}

/// The ids of the rows the plan finds, in the order it asks for.
pub(crate) fn run(plan: &Plan, tables: &Tables, shortcut: &impl Shortcut) -> Vec<RecordId> {
    let table = tables.of(plan.kind);
    let mut found: Vec<&Row> = match candidates(plan, shortcut) {
        Some(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            let rows = ids.into_iter().filter_map(|id| table.get(id));
            rows.filter(|row| holds(&plan.test, row, tables)).collect()
        }
        None => table.rows().iter().filter(|row| holds(&plan.test, row, tables)).collect(),
    };
    if !plan.order.is_empty() {
        found.sort_by(|a, b| compare_rows(plan, a, b, tables));
    }
    let limit = plan.limit.unwrap_or(usize::MAX);
    found.into_iter().skip(plan.offset).take(limit).map(|row| row.id).collect()
}

/// The value at the end of a path; null if a parent is missing.
pub(crate) fn value<'a>(path: &Path, row: &'a Row, tables: &'a Tables) -> &'a Value {
    let mut row = row;
    for (column, kind) in &path.hops {
        match row.get(*column).as_id().and_then(|id| tables.of(*kind).get(id)) {
            Some(parent) => row = parent,
            None => return &Value::Null,
        }
    }
    row.get(path.column)
}

/// The rows an indexed `=` or IN at the top of the condition leaves, if there is one.
fn candidates(plan: &Plan, shortcut: &impl Shortcut) -> Option<Vec<RecordId>> {
    if let Test::All(terms) = &plan.test {
        return terms.iter().find_map(|term| indexed(plan.kind, term, shortcut));
    }
    indexed(plan.kind, &plan.test, shortcut)
}

fn indexed(kind: ObjectKind, test: &Test, shortcut: &impl Shortcut) -> Option<Vec<RecordId>> {
    let (path, operands): (&Path, Vec<&Operand>) = match test {
        Test::Compare(path, Operator::Equal, operand) => (path, vec![operand]),
        Test::In { path, values, negated: false } => (path, values.iter().collect()),
        Test::Always
        | Test::All(_)
        | Test::Any(_)
        | Test::Not(_)
        | Test::Compare(..)
        | Test::Like(..)
        | Test::In { .. } => return None,
    };
    let find: &dyn Fn(&Operand) -> Option<RecordId> = match (kind, path.column) {
        _ if !path.hops.is_empty() => return None,
        // The id is the first field of every object.
        (_, 0) => &Operand::as_id,
        (ObjectKind::User, user::USERNAME) => &|operand| shortcut.by_username(operand.as_text()?),
        (ObjectKind::UserLogin, user_login::USER_ID) => &|operand| shortcut.login_of(operand.as_id()?),
        _ => return None,
    };
    Some(operands.into_iter().filter_map(find).collect())
}

fn holds(test: &Test, row: &Row, tables: &Tables) -> bool {
    match test {
        Test::Always => true,
        Test::All(terms) => terms.iter().all(|it| holds(it, row, tables)),
        Test::Any(terms) => terms.iter().any(|it| holds(it, row, tables)),
        Test::Not(term) => !holds(term, row, tables),
        Test::Compare(path, operator, operand) => compares(path, value(path, row, tables), *operator, operand),
        Test::Like(path, pattern) => value(path, row, tables).as_text().is_some_and(|it| pattern.matches(it)),
        Test::In { path, values, negated } => {
            let value = value(path, row, tables);
            let operand = operand_of(path, value);
            // A moment may also lie within a day of the list.
            let within = || values.iter().any(|it| order_of(&operand, it).is_some_and(Ordering::is_eq));
            (values.contains(&operand) || matches!(operand, Operand::Time(_)) && within()) != *negated
        }
    }
}

/// A null is equal to null only, and neither less nor greater than anything. A checkbox is never null.
fn compares(path: &Path, value: &Value, operator: Operator, operand: &Operand) -> bool {
    if *operand == Operand::Null && path.field.kind == crate::schema::field::Kind::Boolean {
        return compares(path, value, operator, &Operand::Bool(false));
    }
    let equal_nulls = value.is_null() && *operand == Operand::Null;
    let order = order_of(&operand_of(path, value), operand);
    match operator {
        Operator::Equal => equal_nulls || order.is_some_and(Ordering::is_eq),
        Operator::NotEqual => !(equal_nulls || order.is_some_and(Ordering::is_eq)),
        Operator::Less => order.is_some_and(Ordering::is_lt),
        Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
        Operator::Greater => order.is_some_and(Ordering::is_gt),
        Operator::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
    }
}

fn operand_of(path: &Path, value: &Value) -> Operand {
    match value {
        Value::Null => Operand::Null,
        Value::Bool(it) => Operand::Bool(*it),
        Value::Int(it) => Operand::Int(*it),
        Value::Text(it) if path.field.case_sensitive => Operand::Text(it.to_string()),
        Value::Text(it) => Operand::Text(it.to_lowercase()),
        Value::Time(it) => Operand::Time(*it),
        Value::Id(it) => Operand::Id(*it),
    }
}

fn order_of(found: &Operand, wanted: &Operand) -> Option<Ordering> {
    match (found, wanted) {
        (Operand::Bool(a), Operand::Bool(b)) => Some(a.cmp(b)),
        (Operand::Int(a), Operand::Int(b)) => Some(a.cmp(b)),
        (Operand::Text(a), Operand::Text(b)) => Some(a.cmp(b)),
        (Operand::Time(a), Operand::Time(b)) => Some(a.cmp(b)),
        // A day is a range: before it, within it, after it.
        (Operand::Time(at), Operand::Day(from, _)) if at < from => Some(Ordering::Less),
        (Operand::Time(at), Operand::Day(_, to)) if at >= to => Some(Ordering::Greater),
        (Operand::Time(_), Operand::Day(..)) => Some(Ordering::Equal),
        (Operand::Id(a), Operand::Id(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn compare_rows(plan: &Plan, a: &Row, b: &Row, tables: &Tables) -> Ordering {
    for (path, order) in &plan.order {
        let (a, b) = (value(path, a, tables), value(path, b, tables));
        let ordering = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if order.nulls == Nulls::First => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if order.nulls == Nulls::First => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let ordering = order_of(&operand_of(path, a), &operand_of(path, b)).unwrap_or(Ordering::Equal);
                if order.direction == Direction::Descending { ordering.reverse() } else { ordering }
            }
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}
