//! The `UserLicense` object: how many licenses the org has and uses.

use super::Object;
use super::field::{Field, column};

const STATUS: &[(&str, &str)] = &[("Active", "Active"), ("Disabled", "Disabled")];

/// The object as `describe` shows it.
pub(crate) static OBJECT: Object = Object {
    name: "UserLicense",
    label: "User License",
    plural: "User License",
    prefix: "100",
    createable: false,
    updateable: false,
    deletable: false,
    replicateable: false,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("User License ID"),
    Field::text("LicenseDefinitionKey", "License Def. ID", 40).read_only().filled(),
    Field::text("Name", "Name", 40).read_only().filled(),
    Field::text("MasterLabel", "Master Label", 40).read_only().filled(),
    Field::picklist("Status", "Status", STATUS).read_only(),
    Field::int("TotalLicenses", "Total Licenses").read_only(),
    Field::int("UsedLicenses", "Used Licenses").read_only(),
    Field::moment("CreatedDate", "Created Date").filled(),
    Field::moment("LastModifiedDate", "Last Modified Date").filled(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const CREATED_DATE: usize = column(FIELDS, "CreatedDate");
pub(crate) const LAST_MODIFIED_DATE: usize = column(FIELDS, "LastModifiedDate");
pub(crate) const LICENSE_DEFINITION_KEY: usize = column(FIELDS, "LicenseDefinitionKey");
pub(crate) const MASTER_LABEL: usize = column(FIELDS, "MasterLabel");
pub(crate) const NAME: usize = column(FIELDS, "Name");
pub(crate) const STATUS_COLUMN: usize = column(FIELDS, "Status");
pub(crate) const SYSTEM_MODSTAMP: usize = column(FIELDS, "SystemModstamp");
pub(crate) const TOTAL_LICENSES: usize = column(FIELDS, "TotalLicenses");
pub(crate) const USED_LICENSES: usize = column(FIELDS, "UsedLicenses");
