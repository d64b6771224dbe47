//! Making, changing and deleting what belongs to users: groups, memberships, assignments.

use serde_json::{Map, Value as Json};

use super::Org;
use super::table::Row;
use super::user_input::{self, Write};
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::field::Kind;
use crate::schema::{ObjectKind, group, group_member, permission_set, permission_set_assignment};
use crate::value::Value;
use crate::world::{Caller, World};

/// Makes a record of an object that has no rules of its own but uniqueness.
pub(crate) fn create(
    world: &mut World,
    caller: Caller,
    kind: ObjectKind,
    record: &Map<String, Json>,
) -> Result<RecordId, Problem> {
    let (now, number) = (world.now(), world.org(caller.org).number);
    let org = world.org(caller.org);
    let values = user_input::read(kind, record, Write::Create, &org.tables)?;
    let mut row = Row::new(kind, RecordId::new(kind.object().prefix, number, 0));
    fill_defaults(&mut row, kind);
    for (column, value) in values {
        row.set(column, value);
    }
    check(world, caller, kind, &row)?;
    let serial = world.org_mut(caller.org).tables.of_mut(kind).next_serial();
    row.id = RecordId::new(kind.object().prefix, number, serial);
    row.set(0, Value::Id(row.id));
    stamp(&mut row, kind, &["CreatedDate", "LastModifiedDate", "SystemModstamp"], &Value::stamp(now));
    stamp(&mut row, kind, &["CreatedById", "LastModifiedById"], &Value::Id(caller.user));
    world.remember_row_for_undo(caller.org, kind, row.id);
    let id = row.id;
    world.org_mut(caller.org).tables.of_mut(kind).put(row);
    Ok(id)
}

/// Changes a record.
pub(crate) fn update(
    world: &mut World,
    caller: Caller,
    kind: ObjectKind,
    id: RecordId,
    record: &Map<String, Json>,
) -> Result<(), Problem> {
    let now = world.now();
    let org = world.org(caller.org);
    let mut row = org.tables.of(kind).get(id).cloned().ok_or_else(not_found)?;
    for (column, value) in user_input::read(kind, record, Write::Update, &org.tables)? {
        row.set(column, value);
    }
    check(world, caller, kind, &row)?;
    stamp(&mut row, kind, &["LastModifiedDate", "SystemModstamp"], &Value::stamp(now));
    stamp(&mut row, kind, &["LastModifiedById"], &Value::Id(caller.user));
    world.remember_row_for_undo(caller.org, kind, id);
    world.org_mut(caller.org).tables.of_mut(kind).put(row);
    Ok(())
}

/// Deletes a record. The memberships of a group go with it.
pub(crate) fn delete(world: &mut World, caller: Caller, kind: ObjectKind, id: RecordId) -> Result<(), Problem> {
    if world.org(caller.org).tables.of(kind).get(id).is_none() {
        let gone = world.org(caller.org).tables.of(kind).deleted().iter().any(|(it, _)| *it == id);
        return Err(if gone { Problem::new("ENTITY_IS_DELETED", "entity is deleted") } else { not_found() });
    }
    if kind == ObjectKind::Group {
        let members = world.org(caller.org).tables.of(ObjectKind::GroupMember).rows().iter();
        let members = members.filter(|it| it.get(group_member::GROUP_ID).as_id() == Some(id));
        for member in members.map(|it| it.id).collect::<Vec<_>>() {
            remove(world, caller, ObjectKind::GroupMember, member);
        }
    }
    remove(world, caller, kind, id);
    Ok(())
}

fn remove(world: &mut World, caller: Caller, kind: ObjectKind, id: RecordId) {
    let now = world.now();
    world.remember_row_for_undo(caller.org, kind, id);
    world.org_mut(caller.org).tables.of_mut(kind).delete(id, now);
}

fn not_found() -> Problem {
    Problem::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
}

fn fill_defaults(row: &mut Row, kind: ObjectKind) {
    for (column, field) in kind.object().fields.iter().enumerate() {
        if field.kind == Kind::Boolean {
            row.set(column, Value::Bool(false));
        }
    }
    if kind == ObjectKind::Group {
        row.set(group::TYPE, Value::text("Regular"));
    }
    if kind == ObjectKind::PermissionSetAssignment {
        row.set(permission_set_assignment::IS_ACTIVE, Value::Bool(true));
    }
}

fn stamp(row: &mut Row, kind: ObjectKind, names: &[&str], value: &Value) {
    for (column, _) in names.iter().filter_map(|name| kind.object().column(name)) {
        row.set(column, value.clone());
    }
}

fn check(world: &World, caller: Caller, kind: ObjectKind, row: &Row) -> Result<(), Problem> {
    if let Some(problem) = user_input::missing(kind, |column| row.get(column).is_null()) {
        return Err(problem);
    }
    let org = world.org(caller.org);
    if kind == ObjectKind::PermissionSetAssignment {
        return check_assignment(org, row);
    }
    if kind == ObjectKind::GroupMember
        && is_double(org, kind, row, &[group_member::GROUP_ID, group_member::USER_OR_GROUP_ID])
    {
        let code = world.assumptions.double_group_member_code.clone();
        return Err(Problem::new(code, "The user is a member of the group already."));
    }
    let named = !row.get(group::DEVELOPER_NAME).is_null();
    if kind == ObjectKind::Group && named && is_double(org, kind, row, &[group::DEVELOPER_NAME]) {
        let text = "The Group Name you entered is already in use. Choose another one.";
        return Err(Problem::new("DUPLICATE_DEVELOPER_NAME", text).on("DeveloperName"));
    }
    Ok(())
}

fn check_assignment(org: &Org, row: &Row) -> Result<(), Problem> {
    let columns = [
        permission_set_assignment::ASSIGNEE_ID,
        permission_set_assignment::PERMISSION_SET_ID,
        permission_set_assignment::PERMISSION_SET_GROUP_ID,
    ];
    let [assignee, set, _] = columns.map(|column| row.get(column).as_id());
    // Of a group of permission sets, its own id is enough.
    if set.is_none() && row.get(permission_set_assignment::PERMISSION_SET_GROUP_ID).is_null() {
        let text = "Required fields are missing: [PermissionSetId]";
        return Err(Problem::new("REQUIRED_FIELD_MISSING", text).on("PermissionSetId"));
    }
    if is_double(org, ObjectKind::PermissionSetAssignment, row, &columns) {
        let name = |id: Option<RecordId>| id.map(|it| it.to_string()).unwrap_or_default();
        let text =
            format!("Duplicate PermissionSetAssignment. Assignee: {}; Permission Set: {}", name(assignee), name(set));
        return Err(Problem::new("DUPLICATE_VALUE", text).on("AssigneeId"));
    }
    let set = set.and_then(|id| org.tables.of(ObjectKind::PermissionSet).get(id));
    let user = assignee.and_then(|id| org.user(id));
    let (Some(set), Some(user)) = (set, user) else { return Ok(()) };
    match set.get(permission_set::LICENSE_ID).as_id() {
        Some(license) if org.license_of(user) != Some(license) => {
            let text = format!(
                "Can't assign permission set {} to user {}. The user license doesn't match.",
                set.text(permission_set::LABEL),
                user.text(crate::schema::user::NAME)
            );
            Err(Problem::new("FIELD_INTEGRITY_EXCEPTION", text).on("PermissionSetId"))
        }
        _ => Ok(()),
    }
}

/// Whether another record has the same values in all these columns.
fn is_double(org: &Org, kind: ObjectKind, row: &Row, columns: &[usize]) -> bool {
    let mut others = org.tables.of(kind).rows().iter().filter(|it| it.id != row.id);
    others.any(|it| columns.iter().all(|column| it.get(*column) == row.get(*column)))
}
