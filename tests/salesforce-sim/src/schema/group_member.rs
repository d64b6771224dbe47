//! The `GroupMember` object: who is in which group. Groups within groups are left out.

use super::field::{Field, column};
use super::{Object, ObjectKind};

/// The object as `describe` shows it. A membership is made and deleted, never changed.
pub(crate) static OBJECT: Object = Object {
    name: "GroupMember",
    label: "Group Member",
    plural: "Group Member",
    prefix: "011",
    createable: true,
    updateable: false,
    deletable: true,
    replicateable: false,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("Group Member ID"),
    Field::reference("GroupId", "Group ID", "Group", ObjectKind::Group).required().create_only(),
    Field::reference("UserOrGroupId", "User/Group ID", "UserOrGroup", ObjectKind::User).required().create_only(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const GROUP_ID: usize = column(FIELDS, "GroupId");
pub(crate) const USER_OR_GROUP_ID: usize = column(FIELDS, "UserOrGroupId");
