//! The Group object: public groups.

use super::field::{Field, column};
use super::{Object, ObjectKind};

const TYPES: &[(&str, &str)] = &[("Regular", "Public Group"), ("Queue", "Queue")];

/// The object as `describe` shows it.
pub(crate) static OBJECT: Object = Object {
    name: "Group",
    label: "Group",
    plural: "Group",
    prefix: "00G",
    createable: true,
    updateable: true,
    deletable: true,
    replicateable: true,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("Group ID"),
    Field::text("Name", "Name", 40).required(),
    Field::text("DeveloperName", "Developer Name", 80),
    Field::picklist("Type", "Type", TYPES).filled().create_only(),
    Field::boolean("DoesIncludeBosses", "Include Bosses"),
    Field::moment("CreatedDate", "Created Date").filled(),
    Field::reference("CreatedById", "Created By ID", "CreatedBy", ObjectKind::User).read_only().filled(),
    Field::moment("LastModifiedDate", "Last Modified Date").filled(),
    Field::reference("LastModifiedById", "Last Modified By ID", "LastModifiedBy", ObjectKind::User)
        .read_only()
        .filled(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const DEVELOPER_NAME: usize = column(FIELDS, "DeveloperName");
pub(crate) const TYPE: usize = column(FIELDS, "Type");
