//! Freezing, unfreezing and unlocking through UserLogin.

use serde_json::{Map, Value as Json};

use super::account::Lock;
use super::user_input::{self, Write};
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::{ObjectKind, user_login};
use crate::value::Value;
use crate::world::{Caller, World};

/// What a write to UserLogin did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoginWritten {
    pub(crate) user: RecordId,
    /// `IsFrozen` as the caller gave it.
    pub(crate) frozen: Option<bool>,
    pub(crate) unlocked: bool,
}

/// Changes a UserLogin row. A lock can be taken away, never put on.
pub(crate) fn update(
    world: &mut World,
    caller: Caller,
    id: RecordId,
    record: &Map<String, Json>,
) -> Result<LoginWritten, Problem> {
    let now = world.now();
    let org = world.org(caller.org);
    let not_found = || Problem::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id");
    let row = org.tables.of(ObjectKind::UserLogin).get(id).ok_or_else(not_found)?;
    let user = row.get(user_login::USER_ID).as_id().ok_or_else(not_found)?;
    let values = user_input::read(ObjectKind::UserLogin, record, Write::Update, &org.tables)?;
    let given = |wanted: usize| values.iter().find(|(column, _)| *column == wanted).map(|(_, it)| it.is_true());
    let (frozen, locked) = (given(user_login::IS_FROZEN), given(user_login::IS_PASSWORD_LOCKED));
    if frozen == Some(true) && user == caller.user {
        return Err(Problem::new("CANNOT_FREEZE_SELF", "You cannot freeze your own user.").on("IsFrozen"));
    }
    world.remember_for_undo(caller.org, user);
    world.remember_row_for_undo(caller.org, ObjectKind::UserLogin, id);
    let org = world.org_mut(caller.org);
    let Some(account) = org.accounts.get_mut(&user) else { return Err(not_found()) };
    if locked == Some(true) && !account.locked.is_closed(now) {
        let text = "IsPasswordLocked cannot be set to true.";
        return Err(Problem::new("CANNOT_PASSWORD_LOCKOUT", text).on("IsPasswordLocked"));
    }
    if let Some(frozen) = frozen {
        account.frozen = frozen;
    }
    let unlocked = locked == Some(false);
    if unlocked {
        (account.locked, account.failed_logins) = (Lock::Open, 0);
    }
    org.show_account(user, now);
    if let Some(row) = org.tables.of_mut(ObjectKind::UserLogin).get_mut(id) {
        row.set(user_login::LAST_MODIFIED_DATE, Value::stamp(now));
        row.set(user_login::LAST_MODIFIED_BY_ID, Value::Id(caller.user));
    }
    Ok(LoginWritten { user, frozen, unlocked })
}
