//! Who may log in: the decision table for passwords, tokens, locks and trusted ranges.

use std::net::IpAddr;

use super::account::Lock;
use super::table::Row;
use super::{Org, Place};
use crate::assumptions::Assumptions;
use crate::id::RecordId;
use crate::schema::{ObjectKind, login_history, user};
use crate::time::DAY;
use crate::value::Value;

/// LoginHistory rows an org keeps; real orgs keep six months.
const HISTORY: usize = 100_000;
/// `login()` calls a user may make in an hour (published limit).
const LOGINS_AN_HOUR: u32 = 3_600;

/// How and from where somebody logs in.
#[derive(Debug, Clone)]
pub(crate) struct Attempt<'a> {
    pub(crate) source: IpAddr,
    pub(crate) login_type: &'static str,
    pub(crate) application: &'a str,
    pub(crate) api_type: &'static str,
    pub(crate) api_version: &'a str,
    pub(crate) url: &'a str,
}

/// Why a login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such user; leaves no trace in LoginHistory.
    UnknownUser,
    Inactive,
    Frozen,
    Locked,
    WrongPassword,
    /// Right password from an untrusted address, without the right token.
    TokenNeeded,
    RateExceeded,
    FlowDisabled,
    ApiDisabled,
    /// Outside the login ranges of the profile.
    RestrictedAddress,
}

impl Refusal {
    /// The Status of the LoginHistory row.
    pub(crate) const fn status(self) -> &'static str {
        match self {
            Self::UnknownUser | Self::WrongPassword => "Invalid Password",
            Self::Inactive => "User is Inactive",
            Self::Frozen => "User is Frozen",
            Self::Locked => "Password Lockout",
            Self::TokenNeeded => "Failed: API security token required",
            Self::RateExceeded => "Login Rate Exceeded",
            Self::FlowDisabled => "Username-Password Flow Disabled",
            Self::ApiDisabled => "API is disabled for this User",
            Self::RestrictedAddress => "Restricted IP",
        }
    }
}

/// A login that worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The session may only change the password.
    pub(crate) expired: bool,
}

/// What the decision depends on.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "they are the columns of a decision table")]
struct Facts<'a> {
    active: bool,
    frozen: bool,
    locked: bool,
    place: Place,
    password: Option<&'a str>,
    token: &'a str,
}

/// The table: the first line that applies decides.
fn decide(facts: Facts<'_>, given: &str, assumptions: &Assumptions) -> Result<(), Refusal> {
    if !facts.active {
        return Err(Refusal::Inactive);
    }
    if facts.frozen {
        return Err(Refusal::Frozen);
    }
    if facts.locked {
        return Err(Refusal::Locked);
    }
    if facts.place == Place::Forbidden {
        return Err(Refusal::RestrictedAddress);
    }
    let Some(rest) = facts.password.and_then(|it| given.strip_prefix(it)) else {
        return Err(Refusal::WrongPassword);
    };
    let with_token = rest == facts.token;
    if facts.place == Place::Trusted {
        let right = rest.is_empty() || with_token && assumptions.token_accepted_when_trusted;
        return if right { Ok(()) } else { Err(Refusal::WrongPassword) };
    }
    if with_token { Ok(()) } else { Err(Refusal::TokenNeeded) }
}

impl Org {
    /// Judges a password (with or without token), counts failures, and writes LoginHistory.
    pub(crate) fn log_in_with_password(
        &mut self,
        user: RecordId,
        given: &str,
        attempt: &Attempt<'_>,
        assumptions: &Assumptions,
        now: i64,
    ) -> Result<Granted, Refusal> {
        let verdict = self.judge(user, given, attempt.source, assumptions, now);
        self.note_verdict(user, verdict.err(), assumptions, now);
        self.finish_login(user, verdict, attempt, assumptions, now)
    }

    /// Lets a user in who proved itself by other means: an assertion, an app, a refresh token.
    pub(crate) fn log_in_without_password(
        &mut self,
        user: RecordId,
        attempt: &Attempt<'_>,
        assumptions: &Assumptions,
        now: i64,
    ) -> Result<Granted, Refusal> {
        let frozen = self.accounts.get(&user).is_some_and(|it| it.frozen);
        let verdict = match self.user(user) {
            None => Err(Refusal::UnknownUser),
            Some(row) if !row.get(user::IS_ACTIVE).is_true() => Err(Refusal::Inactive),
            Some(_) if frozen => Err(Refusal::Frozen),
            Some(_) if self.place(user, attempt.source) == Place::Forbidden => Err(Refusal::RestrictedAddress),
            Some(row) if !self.may_use_api(row) => Err(Refusal::ApiDisabled),
            Some(_) => Ok(Granted { expired: false }),
        };
        self.finish_login(user, verdict, attempt, assumptions, now)
    }

    /// Refuses a login before its password was looked at, leaving its row in LoginHistory.
    pub(crate) fn refuse_login(&mut self, user: RecordId, refusal: Refusal, attempt: &Attempt<'_>, now: i64) {
        self.write_history(user, refusal.status(), attempt, now);
    }

    fn judge(
        &mut self,
        user: RecordId,
        given: &str,
        source: IpAddr,
        assumptions: &Assumptions,
        now: i64,
    ) -> Result<Granted, Refusal> {
        let place = self.place(user, source);
        let active = self.user(user).is_some_and(|it| it.get(user::IS_ACTIVE).is_true());
        let api = self.user(user).is_some_and(|it| self.may_use_api(it));
        let account = self.accounts.get_mut(&user).ok_or(Refusal::UnknownUser)?;
        if account.locked != Lock::Open && !account.locked.is_closed(now) {
            (account.locked, account.failed_logins) = (Lock::Open, 0);
        }
        if !counts_login(&mut account.login_hour, now) {
            return Err(Refusal::RateExceeded);
        }
        let facts = Facts {
            active,
            frozen: account.frozen,
            locked: account.locked.is_closed(now),
            place,
            password: account.password.as_ref().map(crate::secret::Secret::expose),
            token: account.token.expose(),
        };
        decide(facts, given, assumptions)?;
        if !api {
            return Err(Refusal::ApiDisabled);
        }
        Ok(Granted { expired: account.must_change(&self.policy, now) })
    }

    /// Failures count toward the lock-out; a success starts over.
    fn note_verdict(&mut self, user: RecordId, refusal: Option<Refusal>, assumptions: &Assumptions, now: i64) {
        let (max, minutes) = (self.policy.max_failed_logins, self.policy.lockout_mins);
        let Some(account) = self.accounts.get_mut(&user) else { return };
        match refusal {
            None => account.failed_logins = 0,
            Some(Refusal::WrongPassword) => account.failed_logins += 1,
            Some(Refusal::TokenNeeded) if assumptions.missing_token_counts => account.failed_logins += 1,
            Some(_) => return,
        }
        if max > 0 && account.failed_logins >= max {
            account.locked = match i64::try_from(minutes) {
                Ok(minutes @ 1..) => Lock::Until(now.saturating_add(minutes.saturating_mul(60_000))),
                _ => Lock::Forever,
            };
            self.locked_out.insert(user);
        }
        self.show_account(user, now);
    }

    fn finish_login(
        &mut self,
        user: RecordId,
        verdict: Result<Granted, Refusal>,
        attempt: &Attempt<'_>,
        assumptions: &Assumptions,
        now: i64,
    ) -> Result<Granted, Refusal> {
        self.write_history(user, verdict.err().map_or("Success", Refusal::status), attempt, now);
        let granted = verdict?;
        if let Some(row) = self.tables.of_mut(ObjectKind::User).get_mut(user) {
            row.set(user::LAST_LOGIN_DATE, Value::stamp(now));
            if assumptions.login_moves_system_modstamp {
                row.set(user::SYSTEM_MODSTAMP, Value::stamp(now));
            }
        }
        Ok(granted)
    }

    /// Leaves the rows of sign-ins in a browser, so many minutes ago.
    pub(crate) fn add_past_logins(&mut self, user: RecordId, minutes_ago: &[u32], now: i64) {
        let attempt = Attempt {
            source: IpAddr::from([203, 0, 113, 7]),
            login_type: "Application",
            application: "Browser",
            api_type: "N/A",
            api_version: "N/A",
            url: "login.salesforce.com",
        };
        for minutes in minutes_ago {
            self.write_history(user, "Success", &attempt, now - i64::from(*minutes) * (DAY / (24 * 60)));
        }
    }

    fn write_history(&mut self, user: RecordId, status: &str, attempt: &Attempt<'_>, now: i64) {
        let number = self.number;
        let table = self.tables.of_mut(ObjectKind::LoginHistory);
        let id = RecordId::new("0Ya", number, table.next_serial());
        let mut row = Row::new(ObjectKind::LoginHistory, id);
        row.set(login_history::USER_ID, Value::Id(user));
        row.set(login_history::LOGIN_TIME, Value::stamp(now));
        row.set(login_history::SOURCE_IP, Value::text(attempt.source.to_string()));
        row.set(login_history::STATUS, Value::text(status));
        row.set(login_history::LOGIN_TYPE, Value::text(attempt.login_type));
        row.set(login_history::APPLICATION, Value::text(attempt.application));
        row.set(login_history::API_TYPE, Value::text(attempt.api_type));
        row.set(login_history::API_VERSION, Value::text(attempt.api_version));
        row.set(login_history::LOGIN_URL, Value::text(attempt.url));
        row.set(login_history::BROWSER, Value::text("Unknown"));
        row.set(login_history::PLATFORM, Value::text("Unknown"));
        table.put(row);
        table.keep_at_most(HISTORY);
    }
}

/// Counts a login in the hour that began with the first one. Returns whether there was room.
fn counts_login(hour: &mut (i64, u32), now: i64) -> bool {
    if now - hour.0 >= DAY / 24 {
        *hour = (now, 0);
    }
    hour.1 = hour.1.saturating_add(1);
    hour.1 <= LOGINS_AN_HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'static> = Facts {
        active: true,
        frozen: false,
        locked: false,
        place: Place::Elsewhere,
        password: Some("Pass1"),
        token: "TOK",
    };

    fn verdict(facts: Facts<'_>, given: &str) -> Result<(), Refusal> {
        decide(facts, given, &Assumptions::default())
    }

    #[test]
    fn outside_the_trusted_ranges_the_token_is_needed() {
        assert_eq!(verdict(FACTS, "Pass1TOK"), Ok(()));
        assert_eq!(verdict(FACTS, "Pass1"), Err(Refusal::TokenNeeded));
        assert_eq!(verdict(FACTS, "Pass1tok"), Err(Refusal::TokenNeeded));
        assert_eq!(verdict(FACTS, "wrongTOK"), Err(Refusal::WrongPassword));
    }

    #[test]
    fn inside_the_trusted_ranges_the_token_may_be_given_but_must_be_right() {
        let inside = Facts { place: Place::Trusted, ..FACTS };
        assert_eq!(verdict(inside, "Pass1"), Ok(()));
        assert_eq!(verdict(inside, "Pass1TOK"), Ok(()));
        assert_eq!(verdict(inside, "Pass1tok"), Err(Refusal::WrongPassword));
        let strict = Assumptions { token_accepted_when_trusted: false, ..Assumptions::default() };
        assert_eq!(decide(inside, "Pass1TOK", &strict), Err(Refusal::WrongPassword));
    }

    #[test]
    fn the_state_of_the_user_comes_before_the_password() {
        assert_eq!(verdict(Facts { active: false, ..FACTS }, "Pass1TOK"), Err(Refusal::Inactive));
        assert_eq!(verdict(Facts { frozen: true, ..FACTS }, "Pass1TOK"), Err(Refusal::Frozen));
        assert_eq!(verdict(Facts { locked: true, ..FACTS }, "Pass1TOK"), Err(Refusal::Locked));
        assert_eq!(verdict(Facts { place: Place::Forbidden, ..FACTS }, "Pass1TOK"), Err(Refusal::RestrictedAddress));
        assert_eq!(verdict(Facts { password: None, ..FACTS }, ""), Err(Refusal::WrongPassword));
    }

    #[test]
    fn an_hour_has_room_for_a_bounded_number_of_logins() {
        let mut hour = (0, 0);
        assert!((0..LOGINS_AN_HOUR).all(|_| counts_login(&mut hour, 1)));
        assert!(!counts_login(&mut hour, 1));
        assert!(counts_login(&mut hour, DAY / 24));
    }
}
