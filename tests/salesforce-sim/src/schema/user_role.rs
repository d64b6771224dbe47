//! The `UserRole` object.

use super::field::{Field, column};
use super::{Object, ObjectKind};

const ACCESS: &[(&str, &str)] = &[("None", "None"), ("Read", "Read"), ("Edit", "Edit")];

/// The object as `describe` shows it; roles are read-only in this simulator.
pub(crate) static OBJECT: Object = Object {
    name: "UserRole",
    label: "Role",
    plural: "Role",
    prefix: "00E",
    createable: false,
    updateable: false,
    deletable: false,
    replicateable: true,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("Role ID"),
    Field::text("Name", "Name", 80).read_only().filled(),
    Field::text("DeveloperName", "Developer Name", 80).read_only(),
    Field::reference("ParentRoleId", "Parent Role ID", "ParentRole", ObjectKind::UserRole).read_only(),
    Field::text("RollupDescription", "Description", 80).read_only(),
    Field::picklist("OpportunityAccessForAccountOwner", "Opportunity Access Level for Account Owner", ACCESS)
        .read_only(),
    Field::picklist("CaseAccessForAccountOwner", "Case Access Level for Account Owner", ACCESS).read_only(),
    Field::picklist("ContactAccessForAccountOwner", "Contact Access Level for Account Owner", ACCESS).read_only(),
    Field::reference("ForecastUserId", "User ID", "ForecastUser", ObjectKind::User).read_only(),
    Field::boolean("MayForecastManagerShare", "May Forecast Manager Share").read_only(),
    Field::text("PortalType", "Portal Type", 40).read_only(),
    Field::moment("LastModifiedDate", "Last Modified Date").filled(),
    Field::reference("LastModifiedById", "Last Modified By ID", "LastModifiedBy", ObjectKind::User)
        .read_only()
        .filled(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const CASE_ACCESS: usize = column(FIELDS, "CaseAccessForAccountOwner");
pub(crate) const CONTACT_ACCESS: usize = column(FIELDS, "ContactAccessForAccountOwner");
pub(crate) const DEVELOPER_NAME: usize = column(FIELDS, "DeveloperName");
pub(crate) const LAST_MODIFIED_BY_ID: usize = column(FIELDS, "LastModifiedById");
pub(crate) const LAST_MODIFIED_DATE: usize = column(FIELDS, "LastModifiedDate");
pub(crate) const MAY_FORECAST_MANAGER_SHARE: usize = column(FIELDS, "MayForecastManagerShare");
pub(crate) const NAME: usize = column(FIELDS, "Name");
pub(crate) const OPPORTUNITY_ACCESS: usize = column(FIELDS, "OpportunityAccessForAccountOwner");
pub(crate) const PARENT_ROLE_ID: usize = column(FIELDS, "ParentRoleId");
pub(crate) const PORTAL_TYPE: usize = column(FIELDS, "PortalType");
pub(crate) const SYSTEM_MODSTAMP: usize = column(FIELDS, "SystemModstamp");
