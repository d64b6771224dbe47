//! Passwords: the policy, the history, setting, resetting.

use super::Org;
use super::account::Lock;
use crate::assumptions::Assumptions;
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::{ObjectKind, user};
use crate::secret::Secret;
use crate::seed::PasswordPolicy;
use crate::time::DAY;
use crate::value::Value;

/// Whether a new password keeps to the policy.
fn check(policy: &PasswordPolicy, username: &str, new: &str) -> Result<(), Problem> {
    let refused = |text: String| Err(Problem::new("INVALID_NEW_PASSWORD", text));
    if new.chars().count() < policy.min_length {
        return refused(format!("Your password must be at least {} characters long.", policy.min_length));
    }
    let mixed = new.chars().any(char::is_alphabetic) && new.chars().any(|it| it.is_ascii_digit());
    if policy.letters_and_digits && !mixed {
        return refused("Your password must have a mix of letters and numbers.".to_owned());
    }
    let local = username.split('@').next().unwrap_or_default();
    if !local.is_empty() && new.to_lowercase().contains(&local.to_lowercase()) {
        return refused("Your password cannot equal or contain your user name".to_owned());
    }
    Ok(())
}

impl Org {
    /// Sets a password an administrator or the user chose. The old token dies with the old password.
    pub(crate) fn set_password(
        &mut self,
        user: RecordId,
        new: &str,
        token: Secret,
        assumptions: &Assumptions,
        now: i64,
    ) -> Result<(), Problem> {
        let username = self.check_active(user, assumptions)?;
        check(&self.policy, &username, new)?;
        let (history, one_day) = (self.policy.history, self.policy.one_day_minimum);
        if let Some(account) = self.accounts.get_mut(&user) {
            if one_day && account.password.is_some() && now - account.password_at < DAY {
                return Err(Problem::new(
                    "INVALID_NEW_PASSWORD",
                    "Your password cannot be changed: it is less than one day old.",
                ));
            }
            let reused = account.password.iter().chain(account.former.iter()).any(|it| it.expose() == new);
            if history > 0 && reused {
                return Err(Problem::new("INVALID_NEW_PASSWORD", "invalid repeated password"));
            }
        }
        self.store_password(user, new, token, assumptions.expired_after_set, assumptions, now);
        Ok(())
    }

    /// Replaces the password by a temporary one, which must be changed at the next login.
    pub(crate) fn reset_password(
        &mut self,
        user: RecordId,
        temporary: &str,
        token: Secret,
        assumptions: &Assumptions,
        now: i64,
    ) -> Result<(), Problem> {
        self.check_active(user, assumptions)?;
        self.store_password(user, temporary, token, assumptions.expired_after_reset, assumptions, now);
        Ok(())
    }

    fn check_active(&self, user: RecordId, assumptions: &Assumptions) -> Result<String, Problem> {
        let row = self.user(user).ok_or_else(|| Problem::new("NOT_FOUND", "The requested resource does not exist"))?;
        if row.get(user::IS_ACTIVE).is_true() {
            return Ok(row.text(user::USERNAME).to_owned());
        }
        Err(Problem::new(
            assumptions.inactive_password_code.clone(),
            "password cannot be modified while the account is inactive",
        ))
    }

    /// Also opens the lock-out, as an administrator's reset does.
    fn store_password(
        &mut self,
        user: RecordId,
        new: &str,
        token: Secret,
        expired: bool,
        assumptions: &Assumptions,
        now: i64,
    ) {
        let history = self.policy.history;
        if let Some(account) = self.accounts.get_mut(&user) {
            if let Some(old) = account.password.replace(Secret::from(new)) {
                account.former.push_back(old);
            }
            // The current one is the first of the remembered.
            while account.former.len() > history.saturating_sub(1) {
                account.former.pop_front();
            }
            account.token = token;
            account.expired = expired;
            account.password_at = now;
            (account.locked, account.failed_logins) = (Lock::Open, 0);
        }
        if let Some(row) = self.tables.of_mut(ObjectKind::User).get_mut(user) {
            row.set(user::LAST_PASSWORD_CHANGE_DATE, Value::stamp(now));
            if assumptions.password_moves_system_modstamp {
                row.set(user::SYSTEM_MODSTAMP, Value::stamp(now));
            }
        }
        self.show_account(user, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(new: &str) -> Option<String> {
        check(&PasswordPolicy::default(), "joe@example.com", new).err().map(|it| it.message)
    }

    #[test]
    fn the_policy_names_what_is_wrong() {
        assert_eq!(refusal("Gate7Keeper"), None);
        assert_eq!(refusal("abc1").unwrap(), "Your password must be at least 8 characters long.");
        assert_eq!(refusal("lettersonly").unwrap(), "Your password must have a mix of letters and numbers.");
        assert_eq!(refusal("xxJOE12345").unwrap(), "Your password cannot equal or contain your user name");
    }
}
