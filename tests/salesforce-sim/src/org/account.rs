//! What an org knows about a user and shows to nobody: passwords, token, failed logins.

use std::collections::VecDeque;

use super::Org;
use crate::id::RecordId;
use crate::schema::{ObjectKind, user, user_login};
use crate::secret::Secret;
use crate::seed::PasswordPolicy;
use crate::time::DAY;
use crate::value::Value;

/// The secret side of a user.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// The UserLogin row of this user.
    pub(crate) login: RecordId,
    /// None: no login until a password is set.
    pub(crate) password: Option<Secret>,
    /// Former passwords, the latest last.
    pub(crate) former: VecDeque<Secret>,
    pub(crate) token: Secret,
    /// Must be changed before anything else may be done.
    pub(crate) expired: bool,
    /// When the password was last set.
    pub(crate) password_at: i64,
    pub(crate) failed_logins: u32,
    pub(crate) locked: Lock,
    pub(crate) frozen: bool,
    /// Logins in the current hour, and when that hour began.
    pub(crate) login_hour: (i64, u32),
    /// A changed e-mail whose link nobody has clicked yet.
    pub(crate) pending_email: Option<String>,
    /// Moves on when every session of the user ends.
    pub(crate) session_epoch: u32,
}

/// Whether too many failed logins have locked a user out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    Open,
    Until(i64),
    Forever,
}

impl Lock {
    pub(crate) fn is_closed(self, now: i64) -> bool {
        match self {
            Self::Open => false,
            Self::Until(end) => now < end,
            Self::Forever => true,
        }
    }
}

impl Account {
    /// Whether the password must be changed before anything else: it was reset, or is too old.
    pub(crate) fn must_change(&self, policy: &PasswordPolicy, now: i64) -> bool {
        let days = i64::try_from(policy.expires_days).unwrap_or(i64::MAX);
        let too_old = days > 0 && now - self.password_at >= days.saturating_mul(DAY);
        self.expired || self.password.is_some() && too_old
    }

    /// An account nobody can log in to yet.
    pub(crate) fn new(login: RecordId, token: Secret) -> Self {
        Self {
            login,
            password: None,
            former: VecDeque::new(),
            token,
            expired: false,
            password_at: 0,
            failed_logins: 0,
            locked: Lock::Open,
            frozen: false,
            login_hour: (0, 0),
            pending_email: None,
            session_epoch: 0,
        }
    }
}

impl Org {
    /// Writes what UserLogin and User show of an account into their rows.
    pub(crate) fn show_account(&mut self, user: RecordId, now: i64) {
        let Some(account) = self.accounts.get(&user) else { return };
        let (login, frozen, failed) = (account.login, account.frozen, i64::from(account.failed_logins));
        let locked = account.locked.is_closed(now);
        if let Some(row) = self.tables.of_mut(ObjectKind::UserLogin).get_mut(login) {
            row.set(user_login::IS_FROZEN, Value::Bool(frozen));
            row.set(user_login::IS_PASSWORD_LOCKED, Value::Bool(locked));
        }
        if let Some(row) = self.tables.of_mut(ObjectKind::User).get_mut(user) {
            row.set(user::NUMBER_OF_FAILED_LOGINS, Value::Int(failed));
        }
    }

    /// Opens the locks whose time is over, before somebody reads `UserLogin`.
    pub(crate) fn open_expired_locks(&mut self, now: i64) {
        let accounts = &mut self.accounts;
        let over = |id: &RecordId| accounts.get(id).is_none_or(|it| !it.locked.is_closed(now));
        let opened: Vec<RecordId> = self.locked_out.extract_if(.., over).collect();
        for user in opened {
            if let Some(account) = self.accounts.get_mut(&user).filter(|it| it.locked != Lock::Open) {
                (account.locked, account.failed_logins) = (Lock::Open, 0);
                self.show_account(user, now);
            }
        }
    }
}
