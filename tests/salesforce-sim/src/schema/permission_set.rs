//! The `PermissionSet` object: permissions that are given besides those of the profile.

use super::field::{Field, column};
use super::{Object, ObjectKind};

/// The object as `describe` shows it; permission sets are read-only in this simulator.
pub(crate) static OBJECT: Object = Object {
    name: "PermissionSet",
    label: "Permission Set",
    plural: "Permission Sets",
    prefix: "0PS",
    createable: false,
    updateable: false,
    deletable: false,
    replicateable: false,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("PermissionSet ID"),
    Field::text("Name", "Permission Set Name", 80).read_only().filled(),
    Field::text("Label", "Permission Set Label", 80).read_only().filled(),
    Field::text("Description", "Description", 255).read_only(),
    Field::reference("LicenseId", "License ID", "License", ObjectKind::UserLicense).read_only(),
    Field::boolean("IsCustom", "Custom").read_only(),
    Field::boolean("IsOwnedByProfile", "Is Owned By Profile").read_only(),
    Field::outside("PermissionSetGroupId", "Permission Set Group ID").read_only(),
    Field::moment("CreatedDate", "Created Date").filled(),
    Field::moment("LastModifiedDate", "Last Modified Date").filled(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const CREATED_DATE: usize = column(FIELDS, "CreatedDate");
pub(crate) const IS_CUSTOM: usize = column(FIELDS, "IsCustom");
pub(crate) const IS_OWNED_BY_PROFILE: usize = column(FIELDS, "IsOwnedByProfile");
pub(crate) const LABEL: usize = column(FIELDS, "Label");
pub(crate) const LAST_MODIFIED_DATE: usize = column(FIELDS, "LastModifiedDate");
pub(crate) const LICENSE_ID: usize = column(FIELDS, "LicenseId");
pub(crate) const NAME: usize = column(FIELDS, "Name");
pub(crate) const PERMISSION_SET_GROUP_ID: usize = column(FIELDS, "PermissionSetGroupId");
pub(crate) const SYSTEM_MODSTAMP: usize = column(FIELDS, "SystemModstamp");
