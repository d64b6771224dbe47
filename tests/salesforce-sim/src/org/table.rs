//! The rows of one object, found by id.

use std::collections::{HashMap, VecDeque};

use crate::id::RecordId;
use crate::schema::ObjectKind;
use crate::value::Value;

/// One record: a value for each field of its object, in schema order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: RecordId,
    values: Box<[Value]>,
}

const NULL: &Value = &Value::Null;

impl Row {
    /// A record whose fields are all empty but its id, which is the first field of every object.
    pub(crate) fn new(kind: ObjectKind, id: RecordId) -> Self {
        let mut values = vec![Value::Null; kind.object().fields.len()].into_boxed_slice();
        if let Some(first) = values.first_mut() {
            *first = Value::Id(id);
        }
        Self { id, values }
    }

    pub(crate) fn get(&self, column: usize) -> &Value {
        self.values.get(column).unwrap_or(NULL)
    }

    /// Stores a value; a column the object does not have is ignored.
    pub(crate) fn set(&mut self, column: usize, value: Value) {
        if let Some(place) = self.values.get_mut(column) {
            *place = value;
        }
    }

    pub(crate) fn text(&self, column: usize) -> &str {
        self.get(column).as_text().unwrap_or_default()
    }
}

/// The records of one object, in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    by_id: HashMap<RecordId, usize>,
    /// What was deleted, and when; the latest comes last.
    deleted: VecDeque<(RecordId, i64)>,
    serial: u64,
}

impl Table {
    /// A serial number no record of this table had before.
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn get(&self, id: RecordId) -> Option<&Row> {
        self.rows.get(*self.by_id.get(&id)?)
    }

    pub(crate) fn get_mut(&mut self, id: RecordId) -> Option<&mut Row> {
        self.rows.get_mut(*self.by_id.get(&id)?)
    }

    /// Adds a record, or replaces the one with the same id.
    pub(crate) fn put(&mut self, row: Row) {
        if let Some(place) = self.get_mut(row.id) {
            *place = row;
            return;
        }
        self.by_id.insert(row.id, self.rows.len());
        self.rows.push(row);
    }

    /// Takes a record out again; the last one takes its place.
    pub(crate) fn remove(&mut self, id: RecordId) -> Option<Row> {
        let at = self.by_id.remove(&id)?;
        let row = self.rows.swap_remove(at);
        if let Some(moved) = self.rows.get(at) {
            self.by_id.insert(moved.id, at);
        }
        Some(row)
    }

    pub(crate) fn deleted(&self) -> &VecDeque<(RecordId, i64)> {
        &self.deleted
    }

    /// Forgets the oldest half once there are more than `bound` records.
    pub(crate) fn keep_at_most(&mut self, bound: usize) {
        if self.rows.len() > bound {
            self.rows.drain(..bound / 2);
            self.by_id = self.rows.iter().enumerate().map(|(at, row)| (row.id, at)).collect();
        }
    }
}

/// Every table of one org.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    login_history: Table,
    organization: Table,
    profile: Table,
    user: Table,
    user_license: Table,
    user_login: Table,
    user_role: Table,
}

impl Tables {
    pub(crate) fn of(&self, kind: ObjectKind) -> &Table {
        match kind {
            ObjectKind::LoginHistory => &self.login_history,
            ObjectKind::Organization => &self.organization,
            ObjectKind::Profile => &self.profile,
            ObjectKind::User => &self.user,
            ObjectKind::UserLicense => &self.user_license,
            ObjectKind::UserLogin => &self.user_login,
            ObjectKind::UserRole => &self.user_role,
        }
    }

    pub(crate) fn of_mut(&mut self, kind: ObjectKind) -> &mut Table {
        match kind {
            ObjectKind::LoginHistory => &mut self.login_history,
            ObjectKind::Organization => &mut self.organization,
            ObjectKind::Profile => &mut self.profile,
            ObjectKind::User => &mut self.user,
            ObjectKind::UserLicense => &mut self.user_license,
            ObjectKind::UserLogin => &mut self.user_login,
            ObjectKind::UserRole => &mut self.user_role,
        }
    }
}
