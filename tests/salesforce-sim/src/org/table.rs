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

/// Deletions remembered; the service purges a long list as well.
const MAX_DELETED: usize = 10_000;

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

    /// Deletes a record at the wish of a caller, and remembers it.
    pub(crate) fn delete(&mut self, id: RecordId, now: i64) {
        if self.remove(id).is_none() {
            return;
        }
        if self.deleted.len() >= MAX_DELETED {
            self.deleted.pop_front();
        }
        self.deleted.push_back((id, now));
    }

    /// Takes back that a record was deleted.
    pub(crate) fn undelete(&mut self, row: Row) {
        self.deleted.retain(|(id, _)| *id != row.id);
        self.put(row);
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
    group: Table,
    group_member: Table,
    login_history: Table,
    organization: Table,
    permission_set: Table,
    permission_set_assignment: Table,
    profile: Table,
    user: Table,
    user_device: Table,
    user_license: Table,
    user_login: Table,
    user_permission_access: Table,
    user_role: Table,
}

impl Tables {
    pub(crate) fn of(&self, kind: ObjectKind) -> &Table {
        match kind {
            ObjectKind::Group => &self.group,
            ObjectKind::GroupMember => &self.group_member,
            ObjectKind::LoginHistory => &self.login_history,
            ObjectKind::Organization => &self.organization,
            ObjectKind::PermissionSet => &self.permission_set,
            ObjectKind::PermissionSetAssignment => &self.permission_set_assignment,
            ObjectKind::Profile => &self.profile,
            ObjectKind::User => &self.user,
            ObjectKind::UserDevice => &self.user_device,
            ObjectKind::UserLicense => &self.user_license,
            ObjectKind::UserLogin => &self.user_login,
            ObjectKind::UserPermissionAccess => &self.user_permission_access,
            ObjectKind::UserRole => &self.user_role,
        }
    }

    pub(crate) fn of_mut(&mut self, kind: ObjectKind) -> &mut Table {
        match kind {
            ObjectKind::Group => &mut self.group,
            ObjectKind::GroupMember => &mut self.group_member,
            ObjectKind::LoginHistory => &mut self.login_history,
            ObjectKind::Organization => &mut self.organization,
            ObjectKind::PermissionSet => &mut self.permission_set,
            ObjectKind::PermissionSetAssignment => &mut self.permission_set_assignment,
            ObjectKind::Profile => &mut self.profile,
            ObjectKind::User => &mut self.user,
            ObjectKind::UserDevice => &mut self.user_device,
            ObjectKind::UserLicense => &mut self.user_license,
            ObjectKind::UserLogin => &mut self.user_login,
            ObjectKind::UserPermissionAccess => &mut self.user_permission_access,
            ObjectKind::UserRole => &mut self.user_role,
        }
    }
}
