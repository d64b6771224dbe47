//! The objects of a simulated org and their fields: what `describe` prints and what writes obey.

pub(crate) mod describe;
pub(crate) mod field;
pub(crate) mod group;
pub(crate) mod group_member;
pub(crate) mod login_history;
pub(crate) mod organization;
pub(crate) mod permission_set;
pub(crate) mod permission_set_assignment;
pub(crate) mod picklist;
pub(crate) mod profile;
pub(crate) mod user;
pub(crate) mod user_device;
pub(crate) mod user_license;
pub(crate) mod user_login;
pub(crate) mod user_permission_access;
pub(crate) mod user_role;

use field::Field;

/// The objects every simulated org has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ObjectKind {
    Group,
    GroupMember,
    LoginHistory,
    Organization,
    PermissionSet,
    PermissionSetAssignment,
    Profile,
    User,
    UserDevice,
    UserLicense,
    UserLogin,
    UserPermissionAccess,
    UserRole,
}

/// One object: its names, what may be done to it, and its fields.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent columns of the published describe")]
pub(crate) struct Object {
    /// The API name.
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) plural: &'static str,
    /// The first three characters of its ids.
    pub(crate) prefix: &'static str,
    pub(crate) createable: bool,
    pub(crate) updateable: bool,
    pub(crate) deletable: bool,
    /// Whether getUpdated and getDeleted work on it.
    pub(crate) replicateable: bool,
    pub(crate) fields: &'static [Field],
}

impl ObjectKind {
    /// All of them, in the order of the global describe.
    pub(crate) const ALL: [Self; 13] = [
        Self::Group,
        Self::GroupMember,
        Self::LoginHistory,
        Self::Organization,
        Self::PermissionSet,
        Self::PermissionSetAssignment,
        Self::Profile,
        Self::User,
        Self::UserDevice,
        Self::UserLicense,
        Self::UserLogin,
        Self::UserPermissionAccess,
        Self::UserRole,
    ];

    /// The object with this API name, in any case.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.object().name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn object(self) -> &'static Object {
        match self {
            Self::Group => &group::OBJECT,
            Self::GroupMember => &group_member::OBJECT,
            Self::LoginHistory => &login_history::OBJECT,
            Self::Organization => &organization::OBJECT,
            Self::PermissionSet => &permission_set::OBJECT,
            Self::PermissionSetAssignment => &permission_set_assignment::OBJECT,
            Self::Profile => &profile::OBJECT,
            Self::User => &user::OBJECT,
            Self::UserDevice => &user_device::OBJECT,
            Self::UserLicense => &user_license::OBJECT,
            Self::UserLogin => &user_login::OBJECT,
            Self::UserPermissionAccess => &user_permission_access::OBJECT,
            Self::UserRole => &user_role::OBJECT,
        }
    }
}

impl Object {
    /// The column of the field with this name, in any case.
    pub(crate) fn column(&self, name: &str) -> Option<(usize, &'static Field)> {
        self.fields.iter().enumerate().find(|(_, field)| field.name.eq_ignore_ascii_case(name))
    }

    /// The column of the reference whose parent is reached by this relationship name.
    pub(crate) fn relationship(&self, name: &str) -> Option<(usize, &'static str, ObjectKind)> {
        self.fields.iter().enumerate().find_map(|(column, field)| {
            let (to, relationship) = field.kind.parent()?;
            relationship.eq_ignore_ascii_case(name).then_some((column, relationship, to))
        })
    }

    pub(crate) fn field(&self, column: usize) -> Option<&'static Field> {
        self.fields.get(column)
    }
}
