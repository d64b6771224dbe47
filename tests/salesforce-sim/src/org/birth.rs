//! Brings an org into being from its seed.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value as Json, json};

use super::app::{App, BadCertificate};
use super::table::{Row, Tables};
use super::{Org, Usage};
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::{ObjectKind, organization, permission_set, profile, user_device, user_license, user_role};
use crate::seed::{AppSeed, Cidr, DeviceSeed, OrgSeed, UserSeed};
use crate::time::DAY;
use crate::value::Value;
use crate::world::{Caller, World};

/// An org's seed contradicts itself.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A profile, role, license or user is named that the seed does not have.
    #[error("org `{org}`: there is no {what} named `{name}`; add it or correct the name")]
    Unknown {
        /// The org.
        org: String,
        /// `profile`, `role`, `license` or `user`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A trusted or login range is not a CIDR range.
    #[error("org `{org}`: `{range}` is not an address range; write it like 10.0.0.0/8")]
    BadRange {
        /// The org.
        org: String,
        /// The text.
        range: String,
    },
    /// A user breaks the rules users are made by.
    #[error("org `{org}`: the user `{username}` cannot be made: {reason}")]
    BadUser {
        /// The org.
        org: String,
        /// The user.
        username: String,
        /// The answer the API would give.
        reason: String,
    },
    /// A connected app's certificate cannot be read.
    #[error(transparent)]
    BadCertificate(#[from] BadCertificate),
}

/// Adds the org a seed describes to the world. On an error the world is as before.
pub(crate) fn add(world: &mut World, seed: &OrgSeed) -> Result<(), SeedError> {
    let org = without_users(world, seed)?;
    let number = world.add_org(org);
    let filled = seed.users.iter().try_for_each(|it| add_user(world, number, seed, it));
    let filled = filled.and_then(|()| seed.apps.iter().try_for_each(|it| add_refresh_tokens(world, seed, it)));
    if filled.is_err() {
        world.remove_last_org();
    }
    world.tally.users.clear();
    filled
}

fn without_users(world: &World, seed: &OrgSeed) -> Result<Org, SeedError> {
    let number = u32::try_from(world.orgs().len()).unwrap_or(u32::MAX);
    let mut org = Org {
        id: RecordId::new("00D", number, 1),
        number,
        name: seed.name.clone(),
        sandbox: seed.sandbox,
        soap_login: seed.soap_login,
        trusted: ranges(seed, &seed.trusted_ranges)?,
        login_ranges: HashMap::new(),
        session_millis: i64::try_from(seed.session_secs.saturating_mul(1_000)).unwrap_or(i64::MAX),
        policy: seed.password_policy.clone(),
        apps: seed.apps.iter().map(App::new).collect::<Result<_, _>>()?,
        tables: Tables::default(),
        accounts: HashMap::new(),
        locked_out: BTreeSet::new(),
        usage: Usage::new(seed.daily_api_calls),
        nicknames: HashMap::new(),
        federation_ids: HashMap::new(),
        active_admins: 0,
    };
    // Setup records look older than anything a test does.
    let born = world.now() - 30 * DAY;
    add_organization(&mut org, born);
    add_licenses(&mut org, seed, born);
    add_profiles(&mut org, seed, born)?;
    add_roles(&mut org, seed, born)?;
    add_permission_sets(&mut org, seed, born)?;
    Ok(org)
}

fn ranges(seed: &OrgSeed, texts: &[String]) -> Result<Vec<Cidr>, SeedError> {
    let bad = |range: &String| SeedError::BadRange { org: seed.name.clone(), range: range.clone() };
    texts.iter().map(|range| Cidr::parse(range).ok_or_else(|| bad(range))).collect()
}

fn add_organization(org: &mut Org, born: i64) {
    let mut row = Row::new(ObjectKind::Organization, org.id);
    row.set(organization::NAME, Value::text(org.name.as_str()));
    row.set(organization::INSTANCE_NAME, Value::text("SIM1"));
    row.set(organization::IS_SANDBOX, Value::Bool(org.sandbox));
    row.set(organization::ORGANIZATION_TYPE, Value::text("Enterprise Edition"));
    row.set(organization::LANGUAGE_LOCALE_KEY, Value::text("en_US"));
    row.set(organization::CREATED_DATE, Value::stamp(born));
    row.set(organization::SYSTEM_MODSTAMP, Value::stamp(born));
    org.tables.of_mut(ObjectKind::Organization).put(row);
}

fn add_licenses(org: &mut Org, seed: &OrgSeed, born: i64) {
    for license in &seed.licenses {
        let mut row = new_row(org, ObjectKind::UserLicense);
        row.set(user_license::NAME, Value::text(license.name.as_str()));
        row.set(user_license::MASTER_LABEL, Value::text(license.name.as_str()));
        row.set(user_license::LICENSE_DEFINITION_KEY, Value::text(definition_key(&license.name)));
        row.set(user_license::STATUS_COLUMN, Value::text("Active"));
        row.set(user_license::TOTAL_LICENSES, Value::Int(license.total));
        row.set(user_license::USED_LICENSES, Value::Int(0));
        for column in [user_license::CREATED_DATE, user_license::LAST_MODIFIED_DATE, user_license::SYSTEM_MODSTAMP] {
            row.set(column, Value::stamp(born));
        }
        org.tables.of_mut(ObjectKind::UserLicense).put(row);
    }
}

fn definition_key(license: &str) -> String {
    match license {
        "Salesforce" => "SFDC".to_owned(),
        other => other.to_uppercase().replace(' ', "_"),
    }
}

fn add_profiles(org: &mut Org, seed: &OrgSeed, born: i64) -> Result<(), SeedError> {
    for it in &seed.profiles {
        let license = named(org, ObjectKind::UserLicense, user_license::NAME, &it.license, "license")?;
        let mut row = new_row(org, ObjectKind::Profile);
        for (column, field) in ObjectKind::Profile.object().fields.iter().enumerate() {
            if field.name.starts_with("Permissions") {
                row.set(column, Value::Bool(false));
            }
        }
        for column in [
            profile::PERMISSIONS_MANAGE_USERS,
            profile::PERMISSIONS_MODIFY_ALL_DATA,
            profile::PERMISSIONS_RESET_PASSWORDS,
            profile::PERMISSIONS_VIEW_ALL_USERS,
            profile::PERMISSIONS_VIEW_SETUP,
        ] {
            row.set(column, Value::Bool(it.admin));
        }
        row.set(profile::PERMISSIONS_API_ENABLED, Value::Bool(it.api_enabled));
        row.set(profile::NAME, Value::text(it.name.as_str()));
        row.set(profile::USER_LICENSE_ID, Value::Id(license));
        row.set(profile::USER_TYPE, Value::text(if it.license == "Chatter Free" { "CsnOnly" } else { "Standard" }));
        for column in [profile::CREATED_DATE, profile::LAST_MODIFIED_DATE, profile::SYSTEM_MODSTAMP] {
            row.set(column, Value::stamp(born));
        }
        for column in [profile::CREATED_BY_ID, profile::LAST_MODIFIED_BY_ID] {
            row.set(column, Value::Id(first_user(org)));
        }
        if !it.login_ranges.is_empty() {
            org.login_ranges.insert(row.id, ranges(seed, &it.login_ranges)?);
        }
        org.tables.of_mut(ObjectKind::Profile).put(row);
    }
    Ok(())
}

fn add_permission_sets(org: &mut Org, seed: &OrgSeed, born: i64) -> Result<(), SeedError> {
    for it in &seed.permission_sets {
        let license = match &it.license {
            Some(name) => Value::Id(named(org, ObjectKind::UserLicense, user_license::NAME, name, "license")?),
            None => Value::Null,
        };
        let mut row = new_row(org, ObjectKind::PermissionSet);
        row.set(permission_set::NAME, Value::text(it.name.as_str()));
        row.set(permission_set::LABEL, Value::text(it.label.as_str()));
        row.set(permission_set::LICENSE_ID, license);
        row.set(permission_set::IS_CUSTOM, Value::Bool(true));
        row.set(permission_set::IS_OWNED_BY_PROFILE, Value::Bool(false));
        row.set(permission_set::PERMISSION_SET_GROUP_ID, it.group.as_deref().map_or(Value::Null, Value::text));
        for column in
            [permission_set::CREATED_DATE, permission_set::LAST_MODIFIED_DATE, permission_set::SYSTEM_MODSTAMP]
        {
            row.set(column, Value::stamp(born));
        }
        org.tables.of_mut(ObjectKind::PermissionSet).put(row);
    }
    Ok(())
}

fn add_devices(org: &mut Org, user: RecordId, seeds: &[DeviceSeed], now: i64) {
    for it in seeds {
        let mut row = new_row(org, ObjectKind::UserDevice);
        row.set(user_device::USER_ID, Value::Id(user));
        row.set(user_device::NAME, Value::text(it.name.as_str()));
        row.set(user_device::DEVICE_TYPE, Value::text(it.kind.as_str()));
        row.set(user_device::PLATFORM_TYPE, Value::text(it.platform.as_str()));
        row.set(user_device::BROWSER_TYPE, it.browser.as_deref().map_or(Value::Null, Value::text));
        row.set(user_device::STATUS_COLUMN, Value::text("Active"));
        row.set(user_device::IS_VERIFIED, Value::Bool(true));
        row.set(user_device::USER_LAST_SEEN, Value::stamp(now));
        org.tables.of_mut(ObjectKind::UserDevice).put(row);
    }
}

/// Everything of an org is made by its first user.
fn first_user(org: &Org) -> RecordId {
    RecordId::new("005", org.number, 1)
}

fn add_roles(org: &mut Org, seed: &OrgSeed, born: i64) -> Result<(), SeedError> {
    for it in &seed.roles {
        let parent = match &it.parent {
            Some(name) => Value::Id(named(org, ObjectKind::UserRole, user_role::NAME, name, "role")?),
            None => Value::Null,
        };
        let mut row = new_row(org, ObjectKind::UserRole);
        row.set(user_role::NAME, Value::text(it.name.as_str()));
        row.set(user_role::DEVELOPER_NAME, Value::text(it.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")));
        row.set(user_role::PARENT_ROLE_ID, parent);
        row.set(user_role::PORTAL_TYPE, Value::text("None"));
        for column in [user_role::CASE_ACCESS, user_role::CONTACT_ACCESS, user_role::OPPORTUNITY_ACCESS] {
            row.set(column, Value::text("Read"));
        }
        row.set(user_role::MAY_FORECAST_MANAGER_SHARE, Value::Bool(false));
        row.set(user_role::LAST_MODIFIED_BY_ID, Value::Id(first_user(org)));
        row.set(user_role::LAST_MODIFIED_DATE, Value::stamp(born));
        row.set(user_role::SYSTEM_MODSTAMP, Value::stamp(born));
        org.tables.of_mut(ObjectKind::UserRole).put(row);
    }
    Ok(())
}

/// Users are made by the same rules as through the API, so a seed cannot hold what an org could not.
fn add_user(world: &mut World, number: usize, seed: &OrgSeed, it: &UserSeed) -> Result<(), SeedError> {
    let record = record(world.org(number), it)?;
    let creator = Caller { org: number, user: first_user(world.org(number)) };
    let bad = |problem: Problem| SeedError::BadUser {
        org: seed.name.clone(),
        username: it.username.clone(),
        reason: problem.message,
    };
    let written = super::user_write::create(world, creator, &record).map_err(bad)?;
    let now = world.now();
    let org = world.org_mut(number);
    if let Some(account) = org.accounts.get_mut(&written.id) {
        account.password.clone_from(&it.password);
        account.password_at = now;
        account.expired = it.password_expired;
        account.frozen = it.frozen;
        if let Some(token) = &it.security_token {
            account.token = token.clone();
        }
    }
    org.show_account(written.id, now);
    add_devices(org, written.id, &it.devices, now);
    org.add_past_logins(written.id, &it.past_logins, now);
    Ok(())
}

fn add_refresh_tokens(world: &mut World, seed: &OrgSeed, app: &AppSeed) -> Result<(), SeedError> {
    for it in &app.refresh_tokens {
        let (org, user) = world.find_user(&it.username).ok_or_else(|| SeedError::Unknown {
            org: seed.name.clone(),
            what: "user",
            name: it.username.clone(),
        })?;
        let token = it.token.expose().to_owned();
        world.sessions.add_refresh(token, Caller { org, user }, app.consumer_key.clone());
    }
    Ok(())
}

fn record(org: &Org, it: &UserSeed) -> Result<Map<String, Json>, SeedError> {
    let profile = named(org, ObjectKind::Profile, profile::NAME, &it.profile, "profile")?;
    let local = it.username.split('@').next().unwrap_or_default();
    let alias: String = local.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect();
    let fields = json!({
        "Username": it.username,
        "LastName": it.last_name,
        "FirstName": it.first_name,
        "Email": it.email.as_deref().unwrap_or(&it.username),
        "Alias": alias,
        "CommunityNickname": local.chars().take(40).collect::<String>(),
        "ProfileId": profile.to_string(),
        "IsActive": it.active,
        "TimeZoneSidKey": "America/New_York",
        "LocaleSidKey": "en_US",
        "EmailEncodingKey": "UTF-8",
        "LanguageLocaleKey": "en_US",
    });
    let Json::Object(mut record) = fields else { return Ok(Map::new()) };
    if let Some(role) = &it.role {
        let role = named(org, ObjectKind::UserRole, user_role::NAME, role, "role")?;
        record.insert("UserRoleId".to_owned(), json!(role.to_string()));
    }
    record.extend(it.fields.clone());
    Ok(record)
}

fn new_row(org: &mut Org, kind: ObjectKind) -> Row {
    let serial = org.tables.of_mut(kind).next_serial();
    Row::new(kind, RecordId::new(kind.object().prefix, org.number, serial))
}

fn named(org: &Org, kind: ObjectKind, column: usize, name: &str, what: &'static str) -> Result<RecordId, SeedError> {
    let found = org.tables.of(kind).rows().iter().find(|it| it.text(column) == name);
    found.map(|it| it.id).ok_or_else(|| SeedError::Unknown { org: org.name.clone(), what, name: name.to_owned() })
}
