//! The fields of the User object as this org has them, custom ones included.

use std::collections::HashMap;

use postern_protocol::Failure;
use serde::Deserialize;
use serde_json::Value as Json;

use super::api::Call;
use super::{Salesforce, error};

/// One field.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "they are independent members of Salesforce's answer")]
pub(super) struct Field {
    /// Its name as Salesforce spells it.
    pub(super) name: String,
    /// Whether a new user can have it.
    pub(super) createable: bool,
    /// Whether it can be changed.
    pub(super) updateable: bool,
    /// `boolean`, `int`, `string`, …
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The most characters of a text; 0 for what is no text.
    pub(super) length: usize,
    /// Whether it may be empty.
    pub(super) nillable: bool,
    /// Whether Salesforce fills it for a new user.
    pub(super) defaulted_on_create: bool,
    /// What it is if nobody says.
    pub(super) default_value: Json,
    /// Whether only the listed values are taken.
    pub(super) restricted_picklist: bool,
    /// The values of a picklist.
    pub(super) picklist_values: Vec<PicklistValue>,
}

/// A value of a picklist.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PicklistValue {
    value: String,
    active: bool,
    default_value: bool,
}

impl Field {
    /// Whether it holds several values, joined by `;`.
    pub(super) fn is_multi_valued(&self) -> bool {
        self.kind == "multipicklist"
    }

    /// Whether a new user must be given it.
    pub(super) fn is_required(&self) -> bool {
        self.createable && !self.nillable && !self.defaulted_on_create && self.kind != "boolean"
    }

    /// What a new user gets that is not given it, if the org says.
    pub(super) fn preset(&self) -> Option<Json> {
        let chosen = self.picklist_values.iter().find(|it| it.active && it.default_value);
        chosen
            .map(|it| Json::from(it.value.as_str()))
            .or_else(|| Some(self.default_value.clone()).filter(|it| !it.is_null()))
    }

    /// Whether its picklist, if it has one that is restricted, has that value.
    pub(super) fn takes(&self, value: &str) -> bool {
        let listed = |value: &str| self.picklist_values.iter().any(|it| it.active && it.value == value);
        if !self.restricted_picklist {
            true
        } else if self.is_multi_valued() {
            values(value).all(listed)
        } else {
            listed(value)
        }
    }
}

/// The values that a multi-valued field holds.
pub(super) fn values(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|it| !it.is_empty())
}

/// Fields by their names, in any case.
#[derive(Debug, Default)]
pub(super) struct Fields(HashMap<String, Field>);

/// Misspellings that datasets of older products carry.
const ALIASES: &[(&str, &str)] = &[
    ("postal code", "postalcode"),
    ("postal_code", "postalcode"),
    ("receiveinfoemails", "receivesinfoemails"),
    ("loginid", "username"),
];

/// A name as it is compared.
pub(super) fn canonical(name: &str) -> String {
    let lower = name.trim().to_ascii_lowercase();
    ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower, |(_, name)| (*name).to_owned())
}

impl Fields {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Field> {
        self.0.values()
    }

    /// The field of that name.
    pub(super) fn find(&self, canonical: &str) -> Option<&Field> {
        self.0.get(canonical)
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().map(|field| (field.name.to_ascii_lowercase(), field)).collect())
    }
}

#[derive(Deserialize)]
struct Describe {
    fields: Vec<Field>,
}

impl Salesforce {
    /// Asks the org for the fields of its users.
    pub(super) async fn user_fields(&self) -> Result<Fields, Failure> {
        let answer = self.read(&Call::get("sobjects/User/describe")).await?;
        let describe: Describe = serde_json::from_value(answer.json).map_err(|_| error::strange(200))?;
        Ok(describe.fields.into_iter().collect())
    }
}
