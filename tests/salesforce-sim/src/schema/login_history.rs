//! The LoginHistory object: one row a login attempt. Which fields filter is in its reference page.

use super::field::{Field, column};
use super::{Object, ObjectKind};

/// The object as `describe` shows it.
pub(crate) static OBJECT: Object = Object {
    name: "LoginHistory",
    label: "Login History",
    plural: "Login History",
    prefix: "0Ya",
    createable: false,
    updateable: false,
    deletable: false,
    replicateable: false,
    fields: FIELDS,
};

const FIELDS: &[Field] = &[
    Field::id("Login ID"),
    Field::reference("UserId", "User ID", "User", ObjectKind::User).read_only().filled(),
    Field::moment("LoginTime", "Login Time").filled(),
    Field::text("LoginType", "Login Type", 40).read_only(),
    Field::text("LoginSubType", "Login Subtype", 40).read_only().unfilterable(),
    Field::text("SourceIp", "Source IP", 39).read_only().no_like(),
    Field::text("LoginUrl", "Login URL", 255).read_only(),
    Field::text("Browser", "Browser", 64).read_only().unfilterable(),
    Field::text("Platform", "Platform", 64).read_only().unfilterable(),
    Field::text("Status", "Status", 128).read_only().unfilterable(),
    Field::text("Application", "Application", 64).read_only().unfilterable(),
    Field::text("ClientVersion", "Client Version", 64).read_only().unfilterable(),
    Field::text("ApiType", "API Type", 64).read_only().unfilterable(),
    Field::text("ApiVersion", "API Version", 32).read_only().unfilterable(),
    Field::text("CountryIso", "Country Code", 3).read_only(),
    Field::text("TlsProtocol", "TLS Protocol", 40).read_only(),
    Field::text("CipherSuite", "Cipher Suite", 40).read_only(),
];

pub(crate) const API_TYPE: usize = column(FIELDS, "ApiType");
pub(crate) const API_VERSION: usize = column(FIELDS, "ApiVersion");
pub(crate) const APPLICATION: usize = column(FIELDS, "Application");
pub(crate) const BROWSER: usize = column(FIELDS, "Browser");
pub(crate) const LOGIN_TIME: usize = column(FIELDS, "LoginTime");
pub(crate) const LOGIN_TYPE: usize = column(FIELDS, "LoginType");
pub(crate) const LOGIN_URL: usize = column(FIELDS, "LoginUrl");
pub(crate) const PLATFORM: usize = column(FIELDS, "Platform");
pub(crate) const SOURCE_IP: usize = column(FIELDS, "SourceIp");
pub(crate) const STATUS: usize = column(FIELDS, "Status");
pub(crate) const USER_ID: usize = column(FIELDS, "UserId");
