//! The Organization object: one row, the org itself.

use super::Object;
use super::field::{Field, column};

/// The object as `describe` shows it.
pub(crate) static OBJECT: Object = Object {
    name: "Organization",
    label: "Organization",
    plural: "Organization",
    prefix: "00D",
    createable: false,
    updateable: false,
    deletable: false,
    replicateable: false,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("Organization ID"),
    Field::text("Name", "Name", 80).read_only().filled(),
    Field::text("InstanceName", "Instance Name", 5).read_only(),
    Field::boolean("IsSandbox", "Is Sandbox").read_only(),
    Field::text("OrganizationType", "Edition", 40).read_only(),
    Field::text("LanguageLocaleKey", "Language", 40).read_only(),
    Field::moment("CreatedDate", "Created Date").filled(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const CREATED_DATE: usize = column(FIELDS, "CreatedDate");
pub(crate) const INSTANCE_NAME: usize = column(FIELDS, "InstanceName");
pub(crate) const IS_SANDBOX: usize = column(FIELDS, "IsSandbox");
pub(crate) const LANGUAGE_LOCALE_KEY: usize = column(FIELDS, "LanguageLocaleKey");
pub(crate) const NAME: usize = column(FIELDS, "Name");
pub(crate) const ORGANIZATION_TYPE: usize = column(FIELDS, "OrganizationType");
pub(crate) const SYSTEM_MODSTAMP: usize = column(FIELDS, "SystemModstamp");
