//! Records that belong to users: sign-ins, devices, …, read for some hundred users at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use postern_protocol::Failure;
use serde_json::{Map, Value as Json};
use tokio_util::sync::CancellationToken;

use super::super::super::schema::reach::Reach;
use super::super::super::{Salesforce, error, soql, time};
use super::super::export::{Column, cells, patiently};
use super::super::name_all;
use super::attributes::{hidden, json};
use crate::connector::stopped;

/// Users whose records are asked for at once: their ids fit one IN list.
pub(super) const GROUP: usize = 250;
/// Devices that are told of one user.
const DEVICES_OF_ONE: usize = 50;
/// Permission sets that are told of one user: far more than anybody is given by hand, and a bound for what a group of users
/// takes while its lines are made.
const PERMISSION_SETS_OF_ONE: usize = 250;
/// Rows of a newest-first query: one page.
const ROWS: usize = 2_000;
/// How often a newest-first query of one group goes on: whoever has enough rows is left out of the next, so that a few
/// users who sign in all day are not in the way of the others.
const ROUNDS: usize = 25;

/// One class of such records.
struct Kind {
    object: &'static str,
    /// The field that names the user.
    of: &'static str,
    /// Where they stand in the user's line.
    key: &'static str,
    names: &'static [&'static str],
    /// The field that orders them, if only the newest are told and there may be very many.
    newest_by: Option<&'static str>,
    /// A field of the records that are left out.
    unless: Option<&'static str>,
    amount: Amount,
}

#[derive(Clone, Copy)]
enum Amount {
    /// A user has one.
    One,
    /// A user may have some.
    Many(usize),
}

const LOGIN: Kind = Kind {
    object: "UserLogin",
    of: "UserId",
    key: "login",
    names: &["IsFrozen", "IsPasswordLocked"],
    newest_by: None,
    unless: None,
    amount: Amount::One,
};
const LOGIN_HISTORY: Kind = Kind {
    object: "LoginHistory",
    of: "UserId",
    key: "login_history",
    names: &[
        "LoginTime",
        "Status",
        "SourceIp",
        "LoginType",
        "LoginSubType",
        "LoginUrl",
        "Application",
        "Browser",
        "Platform",
        "ClientVersion",
        "ApiType",
        "ApiVersion",
        "CountryIso",
    ],
    newest_by: Some("LoginTime"),
    unless: None,
    amount: Amount::Many(0),
};
const DEVICES: Kind = Kind {
    object: "UserDevice",
    of: "UserId",
    key: "devices",
    names: &[
        "Name",
        "DeviceType",
        "PlatformType",
        "PlatformVersion",
        "BrowserType",
        "DeviceNativeUid",
        "IsVerified",
        "Status",
        "UserLastSeen",
    ],
    newest_by: None,
    unless: None,
    amount: Amount::Many(DEVICES_OF_ONE),
};
const PERMISSION_SETS: Kind = Kind {
    object: "PermissionSetAssignment",
    of: "AssigneeId",
    key: "permission_sets",
    names: &[
        "PermissionSetId",
        "PermissionSet.Name",
        "PermissionSet.Label",
        "PermissionSetGroupId",
        "IsActive",
        "ExpirationDate",
    ],
    newest_by: None,
    // Each profile comes along as a permission set that nobody assigned.
    unless: Some("PermissionSet.IsOwnedByProfile"),
    amount: Amount::Many(PERMISSION_SETS_OF_ONE),
};

/// A class of records that this org has.
struct Companion {
    kind: Kind,
    columns: Vec<Column>,
    most: usize,
}

/// The classes of records that this org has.
pub(super) struct Companions(Vec<Companion>);

/// Records of some users, by the user's id.
pub(super) struct Found {
    /// Newest first where they are ordered.
    records: BTreeMap<String, Vec<Json>>,
    /// Who has more than are told, of which nobody can say which the others are.
    cut: BTreeSet<String>,
}

impl Found {
    /// Nothing of these users yet.
    fn of(users: &[&str]) -> Self {
        let records = users.iter().map(|user| ((*user).to_owned(), Vec::new())).collect();
        Self { records, cut: BTreeSet::new() }
    }
}

impl Companions {
    /// What the org has; what it lacks is added to the warnings.
    pub(super) async fn find(org: &Salesforce, logins: u16, warnings: &mut Vec<String>) -> Result<Self, Failure> {
        let history = Kind { amount: Amount::Many(usize::from(logins)), ..LOGIN_HISTORY };
        let mut companions = Vec::new();
        for kind in [LOGIN, history, DEVICES, PERMISSION_SETS] {
            let most = match kind.amount {
                Amount::One => 1,
                Amount::Many(most) => most,
            };
            if most == 0 {
                continue;
            }
            match org.describe_for(kind.object, &kind.wanted()).await {
                Ok(reach) => companions.push(Companion { columns: kind.columns(&reach, warnings), kind, most }),
                Err(failure) => warnings.push(hidden(failure)?),
            }
        }
        Ok(Self(companions))
    }

    /// About how many calls it takes to read so many users and what belongs to them, a group at a time: more where there are
    /// pages of sign-ins, some fewer where few users come in one page.
    pub(super) fn calls(&self, users: u64) -> u64 {
        let groups = users.div_ceil(GROUP.try_into().unwrap_or(u64::MAX));
        groups.saturating_mul((self.0.len() + 1).try_into().unwrap_or(u64::MAX))
    }

    /// Reads what belongs to these users, at most [`GROUP`].
    pub(super) async fn read(
        &self,
        org: &Salesforce,
        users: &[&str],
        stop: &CancellationToken,
    ) -> Result<Vec<Found>, Failure> {
        let mut all = Vec::new();
        for companion in &self.0 {
            all.push(companion.read(org, users, stop).await?);
        }
        Ok(all)
    }

    /// Puts what was found of a user into the user's line. Says whether that is all there is.
    pub(super) fn join(&self, line: &mut Map<String, Json>, user: &str, found: &mut [Found]) -> bool {
        let mut is_whole = true;
        for (companion, found) in self.0.iter().zip(found) {
            let mut records = found.records.remove(user).unwrap_or_default();
            records.iter_mut().filter_map(Json::as_object_mut).for_each(|record| {
                record.remove("Id");
            });
            let told = match companion.kind.amount {
                Amount::One => records.pop().unwrap_or_default(),
                Amount::Many(_) => Json::Array(records),
            };
            line.insert(companion.kind.key.to_owned(), told);
            if found.cut.contains(user) {
                line.insert(format!("{}_cut", companion.kind.key), Json::Bool(true));
                is_whole = false;
            }
        }
        is_whole
    }
}

impl Kind {
    /// What is read of a record, the record's id and the user's first.
    fn wanted(&self) -> Vec<&'static str> {
        ["Id", self.of].into_iter().chain(self.names.iter().copied()).chain(self.unless).collect()
    }

    /// The columns that the org has.
    fn columns(&self, reach: &Reach, warnings: &mut Vec<String>) -> Vec<Column> {
        let (mut columns, mut lacking) = (Vec::new(), Vec::new());
        for name in self.wanted() {
            match reach.find(name) {
                Some(found) => columns.push(Column::new(&found, None)),
                None => lacking.push(name.to_owned()),
            }
        }
        let what = format!("{} of this org lacks these attributes, so they are left out", self.object);
        warnings.extend(name_all(&what, &lacking));
        columns
    }
}

impl Companion {
    async fn read(&self, org: &Salesforce, users: &[&str], stop: &CancellationToken) -> Result<Found, Failure> {
        let mut found = Found::of(users);
        let Some(newest_by) = self.kind.newest_by.filter(|name| self.columns.iter().any(|it| it.name == *name)) else {
            self.pages(org, &self.statement(users), &mut found, stop).await?;
            return Ok(found);
        };
        let (mut open, mut until) = (users.to_vec(), String::new());
        for _ in 0..ROUNDS {
            let statement = format!("{}{until} ORDER BY {newest_by} DESC LIMIT {ROWS}", self.statement(&open));
            let (rows, last) = self.pages(org, &statement, &mut found, stop).await?;
            open.retain(|user| found.records.get(*user).is_none_or(|records| records.len() < self.most));
            let Some(oldest) = last.filter(|_| rows >= ROWS && !open.is_empty()) else { return Ok(found) };
            // Several may have happened in that moment.
            until = format!(" AND {newest_by} <= {}", soql::moment(&oldest));
        }
        tracing::warn!(object = self.kind.object, users = open.len(), "not all records of some users were reached");
        Ok(found)
    }

    fn statement(&self, users: &[&str]) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let ids: Vec<String> = users.iter().map(|user| soql::literal(user)).collect();
        let (names, ids) = (names.join(", "), ids.join(","));
        format!("SELECT {names} FROM {} WHERE {} IN ({ids})", self.kind.object, self.kind.of)
    }

    /// Reads every page of a statement. Returns how many rows there were, and when the last of them happened.
    async fn pages(
        &self,
        org: &Salesforce,
        soql: &str,
        found: &mut Found,
        stop: &CancellationToken,
    ) -> Result<(usize, Option<Timestamp>), Failure> {
        let mut page = patiently(org, || org.first_page(soql)).await?;
        let (mut rows, mut last) = (0, None);
        loop {
            rows += page.records.len();
            for record in &mut page.records {
                last = self.take(record, found)?;
            }
            let Some(next) = page.after(rows)? else { return Ok((rows, last)) };
            if stop.is_cancelled() {
                return Err(stopped());
            }
            page = patiently(org, || org.next_page(next)).await?;
        }
    }

    /// Takes a record, and says when it happened, if records are ordered by that.
    fn take(&self, record: &mut Json, found: &mut Found) -> Result<Option<Timestamp>, Failure> {
        let cells = cells(&self.columns, record).ok_or_else(|| error::strange(200))?;
        let mut told = Map::new();
        for (column, text) in self.columns.iter().zip(cells) {
            told.insert(column.name.clone(), json(column.cell(text)));
        }
        let at = self.kind.newest_by.and_then(|name| time::parse(told.get(name)?.as_str()?));
        let user = told.remove(self.kind.of);
        let user = user.as_ref().and_then(Json::as_str).ok_or_else(|| error::strange(200))?;
        if self.kind.unless.is_some_and(|name| told.remove(name) == Some(Json::Bool(true))) {
            return Ok(at);
        }
        // Nobody asked for other users: they would take memory without end.
        let Some(records) = found.records.get_mut(user) else { return Ok(at) };
        let again = records.iter().any(|known| known.get("Id") == told.get("Id"));
        if records.len() < self.most && !again {
            records.push(Json::Object(told));
        } else if !again && self.kind.newest_by.is_none() {
            found.cut.insert(user.to_owned());
        }
        Ok(at)
    }
}
