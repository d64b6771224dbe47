//! The fields of the User object as this org has them, custom ones included.

use std::collections::HashMap;

use postern_protocol::Failure;
use serde::Deserialize;

use super::api::Call;
use super::{Salesforce, error};

/// One field.
#[derive(Debug, Clone, Deserialize)]
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
