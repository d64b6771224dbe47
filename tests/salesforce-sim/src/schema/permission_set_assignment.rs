//! The `PermissionSetAssignment` object: who has which permission set, or is in which group of them.

use super::field::{Field, column};
use super::{Object, ObjectKind};

/// The object as `describe` shows it. An assignment is made and deleted, never changed.
pub(crate) static OBJECT: Object = Object {
    name: "PermissionSetAssignment",
    label: "Permission Set Assignment",
    plural: "Permission Set Assignments",
    prefix: "0Pa",
    createable: true,
    updateable: false,
    deletable: true,
    replicateable: false,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("PermissionSetAssignment ID"),
    Field::reference("PermissionSetId", "PermissionSet ID", "PermissionSet", ObjectKind::PermissionSet).create_only(),
    Field::reference("AssigneeId", "Assignee ID", "Assignee", ObjectKind::User).required().create_only(),
    Field::outside("PermissionSetGroupId", "PermissionSetGroup ID").create_only(),
    Field::boolean("IsActive", "Active").read_only(),
    Field::moment("ExpirationDate", "Expires On"),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const ASSIGNEE_ID: usize = column(FIELDS, "AssigneeId");
pub(crate) const IS_ACTIVE: usize = column(FIELDS, "IsActive");
pub(crate) const PERMISSION_SET_GROUP_ID: usize = column(FIELDS, "PermissionSetGroupId");
pub(crate) const PERMISSION_SET_ID: usize = column(FIELDS, "PermissionSetId");
