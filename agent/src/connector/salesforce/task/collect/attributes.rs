//! What is gathered of a user, and where in the user's line it stands.

use std::collections::BTreeMap;

use postern_protocol::Failure;
use serde_json::{Map, Value as Json, json};
use tokio_util::sync::CancellationToken;

use super::super::super::schema::describe::{Described, HIDDEN, Kind};
use super::super::super::schema::reach::{Found, Reach};
use super::super::super::{Salesforce, error};
use super::super::export::{Column, patiently};
use super::super::name_all;
use crate::connector::stopped;
use crate::dataset::writer::Cell;

/// Fields of the user.
const USER: &[&str] = &[
    "Id",
    "Name",
    "FirstName",
    "LastName",
    "Username",
    "Alias",
    "CommunityNickname",
    "Title",
    "EmployeeNumber",
    "Email",
    "Division",
    "Department",
    "CompanyName",
    "UserType",
    "IsActive",
    "Phone",
    "Extension",
    "Fax",
    "MobilePhone",
    "Street",
    "City",
    "State",
    "PostalCode",
    "Country",
    "LanguageLocaleKey",
    "LocaleSidKey",
    "TimeZoneSidKey",
    "EmailEncodingKey",
    "Signature",
    "SenderName",
    "SenderEmail",
    "OutOfOfficeMessage",
    "AboutMe",
    "BadgeText",
    "ReceivesInfoEmails",
    "ReceivesAdminInfoEmails",
    "DigestFrequency",
    "DefaultGroupNotificationFrequency",
    "FullPhotoUrl",
    "SmallPhotoUrl",
    "MediumPhotoUrl",
    "BannerPhotoUrl",
    "SmallBannerPhotoUrl",
    "MediumBannerPhotoUrl",
    "IsProfilePhotoActive",
    "ProfileId",
    "UserRoleId",
    "IndividualId",
    "CallCenterId",
    "ContactId",
    "AccountId",
    "ManagerId",
    "DelegatedApproverId",
    "FederationIdentifier",
    "ForecastEnabled",
    "CreatedDate",
    "CreatedById",
    "LastViewedDate",
    "LastReferencedDate",
    "LastPasswordChangeDate",
    "LastLoginDate",
    "LastModifiedDate",
    "LastModifiedById",
];

/// Fields of the user that later versions of Salesforce, and other editions, have more or fewer of: all that begin so.
const PREFERENCES: [&str; 2] = ["UserPreferences", "EmailPreferences"];
const PERMISSIONS: &str = "UserPermissions";

/// Fields of what the user refers to.
const PARENTS: &[(&str, Place)] = &[
    ("UserRole.Id", Place::Role),
    ("UserRole.Name", Place::Role),
    ("UserRole.DeveloperName", Place::Role),
    ("UserRole.ParentRoleId", Place::Role),
    ("UserRole.RollupDescription", Place::Role),
    ("UserRole.PortalType", Place::Role),
    ("UserRole.ForecastUserId", Place::Role),
    ("Profile.Id", Place::Profile),
    ("Profile.Name", Place::Profile),
    ("Profile.UserType", Place::Profile),
    ("Profile.UserLicenseId", Place::Profile),
    ("Profile.LastModifiedById", Place::Profile),
    ("Profile.UserLicense.Id", Place::License),
    ("Profile.UserLicense.Name", Place::License),
    ("Profile.UserLicense.MasterLabel", Place::License),
    ("Profile.UserLicense.LicenseDefinitionKey", Place::License),
    ("Profile.UserLicense.Status", Place::License),
    ("Profile.UserLicense.TotalLicenses", Place::License),
    ("Profile.UserLicense.UsedLicenses", Place::License),
];

/// An org has some dozens of profiles; what is granted by more than this many is not kept in memory.
const MAX_PROFILES: usize = 2_000;

/// Where in a user's line an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Preferences,
    Permissions,
    Role,
    Profile,
    License,
}

struct Attribute {
    column: Column,
    /// Its name in the line.
    name: String,
    place: Place,
}

/// The attributes that this org has.
pub(super) struct Layout {
    attributes: Vec<Attribute>,
    /// What each profile grants, by its id.
    granted: BTreeMap<String, Json>,
}

/// The user, and what it refers to, as the org has them.
pub(super) async fn reach(org: &Salesforce) -> Result<Reach, Failure> {
    let paths: Vec<&str> = PARENTS.iter().map(|(path, _)| *path).collect();
    org.describe_for("User", &paths).await
}

impl Layout {
    /// The attributes that the org has, and warnings that name the others.
    pub(super) async fn find(
        org: &Salesforce,
        user: &Reach,
        stop: &CancellationToken,
    ) -> Result<(Self, Vec<String>), Failure> {
        let mut layout = Self { attributes: Vec::new(), granted: BTreeMap::new() };
        let mut lacking = Vec::new();
        let own = USER.iter().map(|name| (*name, Place::Top));
        for (name, place) in own.chain(PARENTS.iter().copied()) {
            match user.find(name) {
                Some(found) => layout.add(&found, place),
                None => lacking.push(name.to_owned()),
            }
        }
        for field in &user.object.fields {
            let is = |prefix: &str| field.name.starts_with(prefix) && field.kind() == Kind::Boolean;
            let found = Found { name: field.name.clone(), field };
            if PREFERENCES.iter().any(|prefix| is(prefix)) {
                layout.add(&found, Place::Preferences);
            } else if is(PERMISSIONS) {
                layout.add(&found, Place::Permissions);
            }
        }
        let mut warnings = name_all("User of this org lacks these attributes, so they are left out", &lacking);
        if let Some(profile) = user.described("Profile") {
            warnings.extend(layout.find_granted(org, profile, stop).await?);
        }
        Ok((layout, warnings))
    }

    fn add(&mut self, found: &Found<'_>, place: Place) {
        let column = Column::new(found, None);
        let name = column.name.rsplit('.').next().unwrap_or_default().to_owned();
        self.attributes.push(Attribute { column, name, place });
    }

    /// What each profile grants: there are few profiles, and each has hundreds of permissions.
    async fn find_granted(
        &mut self,
        org: &Salesforce,
        profile: &Described,
        stop: &CancellationToken,
    ) -> Result<Vec<String>, Failure> {
        let is_permission = |name: &&str| name.starts_with("Permissions");
        let names: Vec<&str> = profile.fields.iter().map(|field| field.name.as_str()).filter(is_permission).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let select = format!("SELECT Id, {} FROM Profile", names.join(", "));
        let mut page = patiently(org, || org.first_page(&select)).await?;
        let mut rows = 0;
        loop {
            rows += page.records.len();
            for record in &page.records {
                let id = record.get("Id").and_then(Json::as_str).ok_or_else(|| error::strange(200))?;
                let granted = names.iter().filter(|name| record.get(**name) == Some(&Json::Bool(true)));
                let granted = granted.map(|name| Json::from(*name)).collect();
                // A page that leads back to one before it does so for ever.
                if self.granted.insert(id.to_owned(), granted).is_some() {
                    return Err(error::strange(200));
                }
            }
            if self.granted.len() >= MAX_PROFILES {
                let told = format!("Only of {MAX_PROFILES} profiles is told what they grant: the org has more");
                return Ok(vec![told]);
            }
            let Some(next) = page.after(rows)? else { return Ok(Vec::new()) };
            if stop.is_cancelled() {
                return Err(stopped());
            }
            page = patiently(org, || org.next_page(next)).await?;
        }
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        self.attributes.iter().map(|attribute| attribute.column.clone()).collect()
    }

    /// The line of one user, as far as one record tells it.
    pub(super) fn line(&self, row: Vec<Option<String>>) -> Map<String, Json> {
        let (mut line, mut preferences, mut permissions) = (Map::new(), Map::new(), Map::new());
        let (mut role, mut profile, mut license) = (Map::new(), Map::new(), Map::new());
        for (attribute, text) in self.attributes.iter().zip(row) {
            let part = match attribute.place {
                Place::Top => &mut line,
                Place::Preferences => &mut preferences,
                Place::Permissions => &mut permissions,
                Place::Role => &mut role,
                Place::Profile => &mut profile,
                Place::License => &mut license,
            };
            part.insert(attribute.name.clone(), json(attribute.column.cell(text)));
        }
        if let Some(forecast) = role.get("ForecastUserId") {
            line.insert("IsForecastManager".to_owned(), json!(!forecast.is_null() && line.get("Id") == Some(forecast)));
        }
        if let Some(granted) = line.get("ProfileId").and_then(Json::as_str).and_then(|id| self.granted.get(id)) {
            profile.insert("permissions".to_owned(), granted.clone());
        }
        profile.insert("license".to_owned(), object(license));
        line.insert("role".to_owned(), object(role));
        line.insert("profile".to_owned(), object(profile));
        line.insert("preferences".to_owned(), Json::Object(preferences));
        line.insert("permissions".to_owned(), Json::Object(permissions));
        line
    }
}

/// An object, unless it has no id: then the user refers to none.
fn object(fields: Map<String, Json>) -> Json {
    if fields.get("Id").is_none_or(Json::is_null) { Json::Null } else { Json::Object(fields) }
}

/// What a cell is in JSON.
pub(super) fn json(cell: Cell) -> Json {
    match cell {
        Cell::Null => Json::Null,
        Cell::Text(text) => Json::String(text),
        Cell::Truth(truth) => Json::Bool(truth),
        Cell::Number(number) => serde_json::from_str(&number).unwrap_or(Json::String(number)),
    }
}

/// The warning that an object is left out, if that is all that is wrong.
pub(super) fn hidden(failure: Failure) -> Result<String, Failure> {
    if failure.code.as_str() != HIDDEN {
        return Err(failure);
    }
    Ok(format!("{}, so it is left out. {}", failure.summary.as_str(), failure.next_step.as_str()))
}
