//! The stock of licenses, and what the entries of a dry run take from it.
//!
//! It can only advise: others create and enable users too.

use std::collections::HashMap;

use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use postern_protocol::task::import_batch::License;
use serde::Deserialize;
use serde_json::Value as Json;

use super::Work;
use crate::connector::salesforce::api::Longest;
use crate::connector::salesforce::user::short;
use crate::connector::salesforce::{Salesforce, error};
use crate::dataset::Change;

/// What is left of each license.
#[derive(Debug, Default)]
pub(in super::super) struct Stock {
    licenses: HashMap<String, Shelf>,
    /// The license of each profile.
    profiles: HashMap<String, String>,
}

#[derive(Debug)]
struct Shelf {
    name: String,
    total: i64,
    used: i64,
    /// What entries took so far; those that disable users give back.
    taken: i64,
}

impl Shelf {
    fn is_empty(&self) -> bool {
        // The org says what it likes.
        self.used.saturating_add(self.taken) >= self.total
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LicenseRow {
    id: String,
    name: String,
    total_licenses: i64,
    used_licenses: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProfileRow {
    id: String,
    user_license_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UserRow {
    id: String,
    is_active: bool,
    profile_id: Option<String>,
}

impl Stock {
    /// What the org has.
    pub(in super::super) async fn of(org: &Salesforce) -> Result<Self, Failure> {
        let licenses: Vec<LicenseRow> =
            rows(org, "SELECT Id, Name, TotalLicenses, UsedLicenses FROM UserLicense").await?;
        let profiles: Vec<ProfileRow> = rows(org, "SELECT Id, UserLicenseId FROM Profile").await?;
        let shelf = |it: LicenseRow| {
            let shelf = Shelf { name: it.name, total: it.total_licenses, used: it.used_licenses, taken: 0 };
            (short(&it.id).to_owned(), shelf)
        };
        let of_profile = |it: ProfileRow| Some((short(&it.id).to_owned(), short(&it.user_license_id?).to_owned()));
        Ok(Self {
            licenses: licenses.into_iter().map(shelf).collect(),
            profiles: profiles.into_iter().filter_map(of_profile).collect(),
        })
    }

    /// Takes what the open entries need, in their order. An entry for which nothing is left fails.
    pub(super) async fn draw(
        &mut self,
        org: &Salesforce,
        work: &mut [Work<'_>],
        longest: &Longest,
    ) -> Result<(), Failure> {
        let present = active_profiles(org, work, longest).await?;
        for work in work.iter_mut().filter(|work| work.is_open()) {
            let Some(plan) = &work.plan else { continue };
            let before = work.id.as_deref().and_then(|id| present.get(short(id)));
            let (was_active, had) = before.map_or((false, None), |row| (row.is_active, row.profile_id.as_deref()));
            let default = if plan.change == Change::Add { true } else { was_active };
            let is_active = plan.active.unwrap_or(default);
            let has = plan.fields.get("ProfileId").and_then(Json::as_str).or(had);
            let old = had.filter(|_| was_active).and_then(|it| self.license(it));
            let new = has.filter(|_| is_active).and_then(|it| self.license(it));
            if old == new {
                continue;
            }
            if let Some(shelf) = new.and_then(|it| self.licenses.get_mut(&it)) {
                if shelf.is_empty() {
                    let message = format!("no license `{}` would be left for this user", shelf.name);
                    shelf.taken += 1;
                    work.fail("LICENSE_LIMIT_EXCEEDED", message);
                    continue;
                }
                shelf.taken += 1;
            }
            if let Some(shelf) = old.and_then(|it| self.licenses.get_mut(&it)) {
                shelf.taken -= 1;
            }
        }
        Ok(())
    }

    /// What was taken of each license.
    pub(in super::super) fn taken(self) -> Vec<License> {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        let mut taken: Vec<License> = self
            .licenses
            .into_values()
            .filter(|shelf| shelf.taken > 0)
            .map(|shelf| License {
                name: Text::clipped(shelf.name),
                total: count(shelf.total),
                used: count(shelf.used),
                needed: count(shelf.taken),
            })
            .collect();
        taken.sort_by(|one, other| one.name.cmp(&other.name));
        taken
    }

    fn license(&self, profile: &str) -> Option<String> {
        self.profiles.get(short(profile)).cloned()
    }
}

/// The users that the entries are about, as far as licenses are concerned, by the first 15 characters of their ids.
async fn active_profiles(
    org: &Salesforce,
    work: &[Work<'_>],
    longest: &Longest,
) -> Result<HashMap<String, UserRow>, Failure> {
    let ids: Vec<&str> = work.iter().filter(|it| it.is_open()).filter_map(|it| it.id.as_deref()).collect();
    let rows: Vec<UserRow> =
        org.query_lists("SELECT Id, IsActive, ProfileId FROM User", &[("Id", &ids)], longest).await?;
    Ok(rows.into_iter().map(|row| (short(&row.id).to_owned(), row)).collect())
}

async fn rows<T: for<'de> Deserialize<'de>>(org: &Salesforce, query: &str) -> Result<Vec<T>, Failure> {
    let (rows, _) = org.query(query).await?;
    rows.into_iter().map(|row| serde_json::from_value(row).map_err(|_| error::strange(200))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Add them up as they are, and a dry run ends as a defect of the agent.
    #[test]
    fn numbers_of_licenses_may_be_any() {
        for (used, total, taken, is_empty) in [
            (9, 10, 0, false),
            (9, 10, 1, true),
            (10, 10, -1, false),
            (i64::MAX, i64::MAX, 1, true),
            (i64::MIN, i64::MIN, -1, true),
            (i64::MIN, 0, -1, false),
        ] {
            let shelf = Shelf { name: "Salesforce".to_owned(), total, used, taken };
            assert_eq!(shelf.is_empty(), is_empty, "{shelf:?}");
        }
    }
}
