//! The Profile object, with the permissions that current orgs still have.

use super::field::{Field, column};
use super::{Object, ObjectKind};

/// The object as `describe` shows it.
pub(crate) static OBJECT: Object = Object {
    name: "Profile",
    label: "Profile",
    plural: "Profile",
    prefix: "00e",
    createable: false,
    updateable: false,
    replicateable: false,
    fields: FIELDS,
};

const fn permission(name: &'static str, label: &'static str) -> Field {
    Field::boolean(name, label).read_only()
}

const FIELDS: &[Field] = &[
    Field::id("Profile ID"),
    Field::text("Name", "Name", 255).read_only().filled(),
    Field::text("Description", "Description", 255).read_only(),
    Field::text("UserType", "User Type", 40).read_only(),
    Field::reference("UserLicenseId", "User License ID", "UserLicense", ObjectKind::UserLicense).read_only().filled(),
    permission("PermissionsApiEnabled", "API Enabled"),
    permission("PermissionsCustomizeApplication", "Customize Application"),
    permission("PermissionsEditTask", "Edit Tasks"),
    permission("PermissionsEditEvent", "Edit Events"),
    permission("PermissionsEditReadonlyFields", "Edit Read Only Fields"),
    permission("PermissionsManageUsers", "Manage Users"),
    permission("PermissionsModifyAllData", "Modify All Data"),
    permission("PermissionsPasswordNeverExpires", "Password Never Expires"),
    permission("PermissionsResetPasswords", "Reset User Passwords and Unlock Users"),
    permission("PermissionsRunReports", "Run Reports"),
    permission("PermissionsTransferAnyEntity", "Transfer Record"),
    permission("PermissionsViewAllData", "View All Data"),
    permission("PermissionsViewAllUsers", "View All Users"),
    permission("PermissionsViewSetup", "View Setup and Configuration"),
    Field::moment("CreatedDate", "Created Date").filled(),
    Field::moment("LastModifiedDate", "Last Modified Date").filled(),
    Field::reference("LastModifiedById", "Last Modified By ID", "LastModifiedBy", ObjectKind::User)
        .read_only()
        .filled(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const CREATED_DATE: usize = column(FIELDS, "CreatedDate");
pub(crate) const LAST_MODIFIED_DATE: usize = column(FIELDS, "LastModifiedDate");
pub(crate) const NAME: usize = column(FIELDS, "Name");
pub(crate) const PERMISSIONS_API_ENABLED: usize = column(FIELDS, "PermissionsApiEnabled");
pub(crate) const PERMISSIONS_MANAGE_USERS: usize = column(FIELDS, "PermissionsManageUsers");
pub(crate) const PERMISSIONS_MODIFY_ALL_DATA: usize = column(FIELDS, "PermissionsModifyAllData");
pub(crate) const PERMISSIONS_RESET_PASSWORDS: usize = column(FIELDS, "PermissionsResetPasswords");
pub(crate) const PERMISSIONS_VIEW_ALL_USERS: usize = column(FIELDS, "PermissionsViewAllUsers");
pub(crate) const PERMISSIONS_VIEW_SETUP: usize = column(FIELDS, "PermissionsViewSetup");
pub(crate) const SYSTEM_MODSTAMP: usize = column(FIELDS, "SystemModstamp");
pub(crate) const USER_LICENSE_ID: usize = column(FIELDS, "UserLicenseId");
pub(crate) const USER_TYPE: usize = column(FIELDS, "UserType");
