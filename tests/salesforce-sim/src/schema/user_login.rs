//! The UserLogin object: whether a user is frozen or locked out.

use super::field::{Field, column};
use super::{Object, ObjectKind};

/// The object as `describe` shows it.
pub(crate) static OBJECT: Object = Object {
    name: "UserLogin",
    label: "User Login",
    plural: "User Login",
    prefix: "0Yw",
    createable: false,
    updateable: true,
    deletable: false,
    replicateable: false,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("User Login ID"),
    Field::reference("UserId", "User ID", "User", ObjectKind::User).read_only().filled(),
    Field::boolean("IsFrozen", "Frozen").update_only(),
    Field::boolean("IsPasswordLocked", "Password Locked").update_only(),
    Field::moment("LastModifiedDate", "Last Modified Date").filled(),
    Field::reference("LastModifiedById", "Last Modified By ID", "LastModifiedBy", ObjectKind::User)
        .read_only()
        .filled(),
];

pub(crate) const IS_FROZEN: usize = column(FIELDS, "IsFrozen");
pub(crate) const IS_PASSWORD_LOCKED: usize = column(FIELDS, "IsPasswordLocked");
pub(crate) const LAST_MODIFIED_BY_ID: usize = column(FIELDS, "LastModifiedById");
pub(crate) const LAST_MODIFIED_DATE: usize = column(FIELDS, "LastModifiedDate");
pub(crate) const USER_ID: usize = column(FIELDS, "UserId");
