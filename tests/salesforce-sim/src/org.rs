//! One simulated org: its records, accounts, apps and rules.

pub(crate) mod account;
pub(crate) mod app;
pub(crate) mod birth;
pub(crate) mod login;
pub(crate) mod login_write;
pub(crate) mod password;
pub(crate) mod record_write;
pub(crate) mod table;
pub(crate) mod user_input;
pub(crate) mod user_write;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use account::Account;
use app::App;
use table::{Row, Tables};

use crate::id::RecordId;
use crate::schema::{ObjectKind, profile, user, user_license, user_permission_access};
use crate::seed::{Cidr, PasswordPolicy};
use crate::time::DAY;
use crate::value::Value;

/// One org.
#[derive(Debug)]
pub(crate) struct Org {
    pub(crate) id: RecordId,
    /// Its position among the orgs of the simulator, which its record ids carry.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) sandbox: bool,
    pub(crate) soap_login: bool,
    pub(crate) trusted: Vec<Cidr>,
    /// Where the users of a profile must come from, for profiles that say so.
    pub(crate) login_ranges: HashMap<RecordId, Vec<Cidr>>,
    pub(crate) session_millis: i64,
    pub(crate) policy: PasswordPolicy,
    pub(crate) apps: Vec<App>,
    pub(crate) tables: Tables,
    pub(crate) accounts: HashMap<RecordId, Account>,
    /// Whose account may be locked; so nobody has to look through all of them.
    pub(crate) locked_out: BTreeSet<RecordId>,
    pub(crate) usage: Usage,
    /// Lower-case nicknames and case-sensitive federation ids; both unique within the org.
    pub(crate) nicknames: HashMap<String, RecordId>,
    pub(crate) federation_ids: HashMap<String, RecordId>,
    /// Active users who count as administrators.
    pub(crate) active_admins: usize,
}

/// Where a login comes from, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// No token is needed.
    Trusted,
    /// A token is needed.
    Elsewhere,
    /// Outside the login ranges of the user's profile.
    Forbidden,
}

/// API calls of the current day. Real orgs count over a rolling 24 hours.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) max: u64,
    pub(crate) used: u64,
    day: i64,
}

impl Usage {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, used: 0, day: 0 }
    }

    /// Counts one call. Returns whether it is still within the limit.
    pub(crate) fn count(&mut self, now: i64) -> bool {
        let day = now / DAY;
        if day != self.day {
            (self.day, self.used) = (day, 0);
        }
        if self.used >= self.max {
            return false;
        }
        self.used += 1;
        true
    }
}

impl Org {
    /// Whether a user needs no security token from this address, or may not come from there at all.
    pub(crate) fn place(&self, user: RecordId, address: IpAddr) -> Place {
        let within = |ranges: &[Cidr]| ranges.iter().any(|it| it.contains(address));
        let profile = self.user(user).and_then(|it| it.get(user::PROFILE_ID).as_id());
        match profile.and_then(|it| self.login_ranges.get(&it)) {
            Some(ranges) if within(ranges) => Place::Trusted,
            Some(_) => Place::Forbidden,
            None if within(&self.trusted) => Place::Trusted,
            None => Place::Elsewhere,
        }
    }

    pub(crate) fn user(&self, id: RecordId) -> Option<&Row> {
        self.tables.of(ObjectKind::User).get(id)
    }

    /// Whether a user has the administrator's permissions: Manage Users, in this simulator.
    pub(crate) fn may_manage_users(&self, user: RecordId) -> bool {
        self.user(user).is_some_and(|it| self.is_admin(it))
    }

    /// Whether a user's profile lets it use the API.
    pub(crate) fn may_use_api(&self, user: &Row) -> bool {
        self.profile_of(user).is_some_and(|it| it.get(profile::PERMISSIONS_API_ENABLED).is_true())
    }

    pub(crate) fn is_admin(&self, user: &Row) -> bool {
        self.profile_of(user).is_some_and(|it| it.get(profile::PERMISSIONS_MANAGE_USERS).is_true())
    }

    /// Writes what a caller may do into its row of `UserPermissionAccess`, before somebody reads that.
    pub(crate) fn show_permissions(&mut self, user: RecordId, now: i64) {
        let (is_admin, may_use_api) =
            self.user(user).map(|it| (self.is_admin(it), self.may_use_api(it))).unwrap_or_default();
        let kind = ObjectKind::UserPermissionAccess;
        let is_own = |row: &&Row| row.get(user_permission_access::USER_ID).as_id() == Some(user);
        let mut row = self.tables.of(kind).rows().iter().find(is_own).cloned().unwrap_or_else(|| {
            let serial = self.tables.of_mut(kind).next_serial();
            Row::new(kind, RecordId::new(kind.object().prefix, self.number, serial))
        });
        row.set(user_permission_access::USER_ID, Value::Id(user));
        row.set(user_permission_access::PERMISSIONS_API_ENABLED, Value::Bool(may_use_api));
        for column in user_permission_access::OF_ADMINISTRATORS {
            row.set(column, Value::Bool(is_admin));
        }
        row.set(user_permission_access::LAST_CACHE_UPDATE, Value::stamp(now));
        self.tables.of_mut(kind).put(row);
    }

    fn profile_of(&self, user: &Row) -> Option<&Row> {
        self.tables.of(ObjectKind::Profile).get(user.get(user::PROFILE_ID).as_id()?)
    }

    /// The license the profile of a user takes.
    pub(crate) fn license_of(&self, user: &Row) -> Option<RecordId> {
        self.profile_of(user)?.get(profile::USER_LICENSE_ID).as_id()
    }

    /// Total and used licenses.
    pub(crate) fn stock(&self, license: RecordId) -> (i64, i64) {
        let number = |column| match self.tables.of(ObjectKind::UserLicense).get(license).map(|it| it.get(column)) {
            Some(Value::Int(it)) => *it,
            _ => 0,
        };
        (number(user_license::TOTAL_LICENSES), number(user_license::USED_LICENSES))
    }

    /// Stores a user and keeps what is derived from it: unique names, licenses in use, active administrators.
    pub(crate) fn put_user(&mut self, row: Row) {
        self.forget_derived(row.id);
        self.remember_derived(&row);
        self.tables.of_mut(ObjectKind::User).put(row);
    }

    /// Undoes the creation of a user.
    pub(crate) fn remove_user(&mut self, id: RecordId) {
        self.forget_derived(id);
        self.tables.of_mut(ObjectKind::User).remove(id);
        if let Some(account) = self.accounts.remove(&id) {
            self.tables.of_mut(ObjectKind::UserLogin).remove(account.login);
        }
    }

    fn forget_derived(&mut self, id: RecordId) {
        let Some(old) = self.user(id).cloned() else { return };
        self.nicknames.remove(&old.text(user::COMMUNITY_NICKNAME).to_lowercase());
        self.federation_ids.remove(old.text(user::FEDERATION_IDENTIFIER));
        self.count_active(&old, -1);
    }

    fn remember_derived(&mut self, row: &Row) {
        self.nicknames.insert(row.text(user::COMMUNITY_NICKNAME).to_lowercase(), row.id);
        if let Some(federation_id) = row.get(user::FEDERATION_IDENTIFIER).as_text() {
            self.federation_ids.insert(federation_id.to_owned(), row.id);
        }
        self.count_active(row, 1);
    }

    fn count_active(&mut self, row: &Row, change: i64) {
        if !row.get(user::IS_ACTIVE).is_true() {
            return;
        }
        if self.is_admin(row) {
            self.active_admins = self.active_admins.saturating_add_signed(isize::try_from(change).unwrap_or(0));
        }
        let Some(license) = self.license_of(row) else { return };
        let (_, used) = self.stock(license);
        if let Some(license) = self.tables.of_mut(ObjectKind::UserLicense).get_mut(license) {
            license.set(user_license::USED_LICENSES, Value::Int(used + change));
        }
    }
}
