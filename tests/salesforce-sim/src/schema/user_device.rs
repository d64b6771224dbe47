//! The `UserDevice` object: what a user signs in with.

use super::field::{Field, column};
use super::{Object, ObjectKind};

const TYPES: &[(&str, &str)] = &[
    ("Desktop", "Desktop"),
    ("Tablet", "Tablet"),
    ("iPad", "iPad"),
    ("iPhone", "iPhone"),
    ("Phone", "Phone"),
    ("Unknown", "Unknown"),
];
const STATUS: &[(&str, &str)] = &[("Active", "Active"), ("New", "New"), ("Revoked", "Revoked")];

/// The object as `describe` shows it. Devices are seeded: signing in over the API brings none.
pub(crate) static OBJECT: Object = Object {
    name: "UserDevice",
    label: "User Device",
    plural: "User Devices",
    prefix: "0UD",
    createable: false,
    updateable: false,
    deletable: false,
    replicateable: false,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("User Device ID"),
    Field::text("Name", "Name", 255).read_only(),
    Field::reference("UserId", "User ID", "User", ObjectKind::User).read_only().filled(),
    Field::text("BrowserType", "Browser Type", 255).read_only(),
    Field::text("DeviceNativeUid", "Device Native UID", 255).read_only(),
    Field::picklist("DeviceType", "Device Type", TYPES).read_only(),
    Field::boolean("IsVerified", "Verified").read_only(),
    Field::text("PlatformType", "Platform Type", 40).read_only(),
    Field::text("PlatformVersion", "Platform Version", 255).read_only(),
    Field::picklist("Status", "Status", STATUS).read_only(),
    Field::moment("UserLastSeen", "User Last Seen"),
];

pub(crate) const BROWSER_TYPE: usize = column(FIELDS, "BrowserType");
pub(crate) const DEVICE_TYPE: usize = column(FIELDS, "DeviceType");
pub(crate) const IS_VERIFIED: usize = column(FIELDS, "IsVerified");
pub(crate) const NAME: usize = column(FIELDS, "Name");
pub(crate) const PLATFORM_TYPE: usize = column(FIELDS, "PlatformType");
pub(crate) const STATUS_COLUMN: usize = column(FIELDS, "Status");
pub(crate) const USER_ID: usize = column(FIELDS, "UserId");
pub(crate) const USER_LAST_SEEN: usize = column(FIELDS, "UserLastSeen");
