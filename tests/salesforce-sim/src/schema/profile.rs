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
    deletable: false,
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
    permission("PermissionsApiUserOnly", "API Only User"),
    permission("PermissionsConvertLeads", "Convert Leads"),
    permission("PermissionsCustomizeApplication", "Customize Application"),
    permission("PermissionsEditActivatedOrders", "Edit Activated Orders"),
    permission("PermissionsEditEvent", "Edit Events"),
    permission("PermissionsEditOppLineItemUnitPrice", "Edit Opportunity Product Sales Price"),
    permission("PermissionsEditPublicDocuments", "Manage Public Documents"),
    permission("PermissionsEditReadonlyFields", "Edit Read Only Fields"),
    permission("PermissionsEditTask", "Edit Tasks"),
    permission("PermissionsImportLeads", "Import Leads"),
    permission("PermissionsInstallMultiforce", "Download AppExchange Packages"),
    permission("PermissionsManageCases", "Manage Cases"),
    permission("PermissionsManageCategories", "Manage Categories"),
    permission("PermissionsManageCssUsers", "Manage Customer Users"),
    permission("PermissionsManageLeads", "Manage Leads"),
    permission("PermissionsManageSolutions", "Manage Published Solutions"),
    permission("PermissionsManageUsers", "Manage Users"),
    permission("PermissionsModifyAllData", "Modify All Data"),
    permission("PermissionsPasswordNeverExpires", "Password Never Expires"),
    permission("PermissionsResetPasswords", "Reset User Passwords and Unlock Users"),
    permission("PermissionsRunReports", "Run Reports"),
    permission("PermissionsSendSitRequests", "Send Stay-in-Touch Requests"),
    permission("PermissionsTransferAnyEntity", "Transfer Record"),
    permission("PermissionsTransferAnyLead", "Transfer Leads"),
    permission("PermissionsUseTeamReassignWizards", "Use Team Reassignment Wizards"),
    permission("PermissionsViewAllData", "View All Data"),
    permission("PermissionsViewAllUsers", "View All Users"),
    permission("PermissionsViewSetup", "View Setup and Configuration"),
    Field::moment("CreatedDate", "Created Date").filled(),
    Field::reference("CreatedById", "Created By ID", "CreatedBy", ObjectKind::User).read_only().filled(),
    Field::moment("LastModifiedDate", "Last Modified Date").filled(),
    Field::reference("LastModifiedById", "Last Modified By ID", "LastModifiedBy", ObjectKind::User)
        .read_only()
        .filled(),
    Field::moment("SystemModstamp", "System Modstamp").filled(),
];

pub(crate) const CREATED_BY_ID: usize = column(FIELDS, "CreatedById");
pub(crate) const CREATED_DATE: usize = column(FIELDS, "CreatedDate");
pub(crate) const LAST_MODIFIED_BY_ID: usize = column(FIELDS, "LastModifiedById");
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
