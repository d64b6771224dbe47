//! The `UserPermissionAccess` object: what the caller may do, by profile and permission sets together. One row a caller.

use super::field::{Field, column};
use super::{Object, ObjectKind};

/// The object as `describe` shows it.
pub(crate) static OBJECT: Object = Object {
    name: "UserPermissionAccess",
    label: "User Permission Access",
    plural: "User Permission Accesses",
    prefix: "000",
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
    Field::id("User Permission Access ID"),
    Field::reference("UserId", "User ID", "User", ObjectKind::User).read_only().filled(),
    permission("PermissionsApiEnabled", "API Enabled"),
    permission("PermissionsManageUsers", "Manage Users"),
    permission("PermissionsModifyAllData", "Modify All Data"),
    permission("PermissionsResetPasswords", "Reset User Passwords and Unlock Users"),
    permission("PermissionsViewAllUsers", "View All Users"),
    permission("PermissionsViewRoles", "View Roles"),
    permission("PermissionsViewSetup", "View Setup and Configuration"),
    Field::moment("LastCacheUpdate", "Last Cache Update"),
];

pub(crate) const USER_ID: usize = column(FIELDS, "UserId");
pub(crate) const PERMISSIONS_API_ENABLED: usize = column(FIELDS, "PermissionsApiEnabled");
/// What the administrators of a simulated org may do.
pub(crate) const OF_ADMINISTRATORS: [usize; 6] = [
    column(FIELDS, "PermissionsManageUsers"),
    column(FIELDS, "PermissionsModifyAllData"),
    column(FIELDS, "PermissionsResetPasswords"),
    column(FIELDS, "PermissionsViewAllUsers"),
    column(FIELDS, "PermissionsViewRoles"),
    column(FIELDS, "PermissionsViewSetup"),
];
pub(crate) const LAST_CACHE_UPDATE: usize = column(FIELDS, "LastCacheUpdate");
