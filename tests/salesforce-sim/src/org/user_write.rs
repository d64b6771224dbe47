//! Making and changing users: required fields, unique names, licenses, and who may not be switched off.

use serde_json::{Map, Value as Json};

use super::Org;
use super::account::Account;
use super::table::Row;
use super::user_input::{self, Write, bad_email, is_email};
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::{ObjectKind, user, user_login};
use crate::secret::Secret;
use crate::value::Value;
use crate::world::{Caller, World};

/// What one write did, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) id: RecordId,
    /// `IsActive` as the caller gave it.
    pub(crate) asked_active: Option<bool>,
    /// Whether `IsActive` changed.
    pub(crate) flipped: bool,
}

/// Makes a user from its JSON.
pub(crate) fn create(world: &mut World, caller: Caller, record: &Map<String, Json>) -> Result<Written, Problem> {
    let org = world.org(caller.org);
    let values = user_input::read(ObjectKind::User, record, Write::Create, &org.tables)?;
    let (number, now) = (org.number, world.now());
    let mut row = Row::new(ObjectKind::User, RecordId::new("005", number, 0));
    fill_defaults(&mut row, caller, now);
    for (column, value) in values {
        row.set(column, value);
    }
    if row.get(user::IS_ACTIVE).is_null() {
        row.set(user::IS_ACTIVE, Value::Bool(true));
    }
    check_required(&row)?;
    check_username(world, &row, None)?;
    let org = world.org_mut(caller.org);
    let serial = org.tables.of_mut(ObjectKind::User).next_serial();
    let id = RecordId::new("005", number, serial);
    row.id = id;
    row.set(user::ID, Value::Id(id));
    if row.get(user::COMMUNITY_NICKNAME).is_null() {
        // The service makes up such a nickname when none is given.
        row.set(user::COMMUNITY_NICKNAME, Value::text(format!("User{now}{serial}")));
    }
    finish(&mut row, org);
    check_unique(org, &row)?;
    check_license(world, caller.org, &row, None)?;

    world.remember_for_undo(caller.org, id);
    let token = world.new_token();
    let org = world.org_mut(caller.org);
    open_account(org, id, token, now);
    let active = row.get(user::IS_ACTIVE).is_true();
    world.put_user(caller.org, row);
    Ok(Written { id, asked_active: Some(active), flipped: false })
}

/// Changes a user.
pub(crate) fn update(
    world: &mut World,
    caller: Caller,
    id: RecordId,
    record: &Map<String, Json>,
) -> Result<Written, Problem> {
    let now = world.now();
    let pending_mails = world.assumptions.email_change_is_pending;
    let org = world.org(caller.org);
    let Some(old) = org.user(id) else {
        return Err(Problem::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"));
    };
    let values = user_input::read(ObjectKind::User, record, Write::Update, &org.tables)?;
    let is_email_alone = values.iter().all(|(column, _)| *column == user::EMAIL);
    let was_active = old.get(user::IS_ACTIVE).is_true();
    let old_email = old.get(user::EMAIL).clone();
    let mut row = old.clone();
    let mut asked_active = None;
    for (column, value) in values {
        if column == user::IS_ACTIVE {
            asked_active = Some(value.is_true());
        }
        row.set(column, value);
    }
    row.set(user::LAST_MODIFIED_DATE, Value::stamp(now));
    row.set(user::SYSTEM_MODSTAMP, Value::stamp(now));
    row.set(user::LAST_MODIFIED_BY_ID, Value::Id(caller.user));
    check_required(&row)?;
    check_username(world, &row, Some(id))?;
    let org = world.org(caller.org);
    finish(&mut row, org);
    check_unique(org, &row)?;
    let is_active = row.get(user::IS_ACTIVE).is_true();
    check_last_admin(org, id, &row)?;
    if was_active && !is_active && id == caller.user {
        let (code, text) = &world.assumptions.deactivate_self;
        return Err(Problem::new(code.clone(), text.clone()).on("IsActive"));
    }
    check_license(world, caller.org, &row, Some(id))?;

    world.remember_for_undo(caller.org, id);
    let mut pending = None;
    if pending_mails && was_active && *row.get(user::EMAIL) != old_email {
        pending = row.get(user::EMAIL).as_text().map(str::to_owned);
        row.set(user::EMAIL, old_email);
        if is_email_alone {
            for column in [user::LAST_MODIFIED_DATE, user::SYSTEM_MODSTAMP, user::LAST_MODIFIED_BY_ID] {
                row.set(column, world.org(caller.org).user(id).map_or(Value::Null, |old| old.get(column).clone()));
            }
        }
    }
    if let Some(account) = world.org_mut(caller.org).accounts.get_mut(&id) {
        if pending.is_some() {
            account.pending_email = pending;
        }
        if !is_active {
            account.session_epoch += 1;
        }
    }
    world.put_user(caller.org, row);
    Ok(Written { id, asked_active, flipped: was_active != is_active })
}

/// Every new user has an account nobody can log in to yet, and a UserLogin row.
fn open_account(org: &mut Org, id: RecordId, token: Secret, now: i64) {
    let number = org.number;
    let logins = org.tables.of_mut(ObjectKind::UserLogin);
    let login = RecordId::new("0Yw", number, logins.next_serial());
    let mut row = Row::new(ObjectKind::UserLogin, login);
    row.set(user_login::USER_ID, Value::Id(id));
    row.set(user_login::IS_FROZEN, Value::Bool(false));
    row.set(user_login::IS_PASSWORD_LOCKED, Value::Bool(false));
    row.set(user_login::LAST_MODIFIED_DATE, Value::stamp(now));
    row.set(user_login::LAST_MODIFIED_BY_ID, Value::Id(id));
    logins.put(row);
    org.accounts.insert(id, Account::new(login, token));
}

fn fill_defaults(row: &mut Row, caller: Caller, now: i64) {
    for (column, field) in ObjectKind::User.object().fields.iter().enumerate() {
        if field.kind == crate::schema::field::Kind::Boolean && column != user::IS_ACTIVE {
            row.set(column, Value::Bool(false));
        }
    }
    row.set(user::USER_TYPE, Value::text("Standard"));
    row.set(user::DIGEST_FREQUENCY, Value::text("D"));
    row.set(user::DEFAULT_GROUP_NOTIFICATION_FREQUENCY, Value::text("N"));
    row.set(user::NUMBER_OF_FAILED_LOGINS, Value::Int(0));
    for column in [user::CREATED_DATE, user::LAST_MODIFIED_DATE, user::SYSTEM_MODSTAMP] {
        row.set(column, Value::stamp(now));
    }
    for column in [user::CREATED_BY_ID, user::LAST_MODIFIED_BY_ID] {
        row.set(column, Value::Id(caller.user));
    }
}

/// Fills what follows from other fields.
fn finish(row: &mut Row, org: &Org) {
    let name = [row.text(user::FIRST_NAME), row.text(user::LAST_NAME)].join(" ");
    row.set(user::NAME, Value::text(name.trim()));
    let user_type = row
        .get(user::PROFILE_ID)
        .as_id()
        .and_then(|id| org.tables.of(ObjectKind::Profile).get(id))
        .map_or(Value::Null, |it| it.get(crate::schema::profile::USER_TYPE).clone());
    row.set(user::USER_TYPE, user_type);
}

fn check_required(row: &Row) -> Result<(), Problem> {
    user_input::missing(ObjectKind::User, |column| row.get(column).is_null()).map_or(Ok(()), Err)
}

fn check_username(world: &World, row: &Row, own: Option<RecordId>) -> Result<(), Problem> {
    let name = row.text(user::USERNAME);
    if !is_email(name) {
        return Err(user::field(user::USERNAME)
            .map_or_else(|| Problem::new("INVALID_EMAIL_ADDRESS", name), |field| bad_email(field, name)));
    }
    match world.find_user(name) {
        Some((_, other)) if Some(other) != own => Err(Problem::new(
            "DUPLICATE_USERNAME",
            "Duplicate Username.<br>The username already exists in this or another Salesforce organization. Usernames \
             must be unique across all Salesforce organizations. To resolve, use a different username (it doesn't \
             need to match the user's email address). ",
        )
        .on("Username")),
        _ => Ok(()),
    }
}

fn check_unique(org: &Org, row: &Row) -> Result<(), Problem> {
    let taken_by_other = |owner: Option<&RecordId>| owner.is_some_and(|it| *it != row.id);
    if taken_by_other(org.nicknames.get(&row.text(user::COMMUNITY_NICKNAME).to_lowercase())) {
        return Err(Problem::new(
            "DUPLICATE_COMM_NICKNAME",
            "Duplicate Nickname.<br>Another user has already selected this nickname.<br>Please select another.",
        )
        .on("CommunityNickname"));
    }
    if taken_by_other(org.federation_ids.get(row.text(user::FEDERATION_IDENTIFIER))) {
        return Err(Problem::new("FIELD_INTEGRITY_EXCEPTION", "Federation Identifier already in use")
            .on("FederationIdentifier"));
    }
    Ok(())
}

/// An active user takes a license of its profile; changing the profile may take another one.
fn check_license(world: &World, org: usize, row: &Row, own: Option<RecordId>) -> Result<(), Problem> {
    let org = world.org(org);
    if !row.get(user::IS_ACTIVE).is_true() {
        return Ok(());
    }
    let Some(license) = org.license_of(row) else { return Ok(()) };
    let old = own.and_then(|id| org.user(id)).filter(|it| it.get(user::IS_ACTIVE).is_true());
    let has_it = old.and_then(|it| org.license_of(it)) == Some(license);
    let (total, used) = org.stock(license);
    if has_it || used < total {
        return Ok(());
    }
    Err(Problem::new("LICENSE_LIMIT_EXCEEDED", world.assumptions.license_limit_text.clone()))
}

/// An org keeps one active administrator, whether by `IsActive` or by profile.
fn check_last_admin(org: &Org, id: RecordId, row: &Row) -> Result<(), Problem> {
    let counts = |it: &Row| it.get(user::IS_ACTIVE).is_true() && org.is_admin(it);
    if org.active_admins == 1 && org.user(id).is_some_and(counts) && !counts(row) {
        return Err(Problem::new("CANNOT_DISABLE_LAST_ADMIN", "You must have at least one active administrator user"));
    }
    Ok(())
}
