//! An object as the org describes it to this service account.

use std::collections::HashMap;

use jiff::Timestamp;
use postern_protocol::{Failure, FailureClass};
use serde::Deserialize;
use serde_json::Value as Json;

use super::super::api::{Answer, Call};
use super::super::{Salesforce, error};
use crate::clock;

/// The code of the failure that the org has no such object, or does not show it.
pub(in super::super) const HIDDEN: &str = "object_hidden";
/// What Salesforce answers then.
const HIDES: [&str; 4] = ["NOT_FOUND", "INVALID_TYPE", "INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"];

/// Misspellings that datasets and schemas of older products carry.
const ALIASES: [(&str, &str); 4] = [
    ("postal code", "postalcode"),
    ("postal_code", "postalcode"),
    ("receiveinfoemails", "receivesinfoemails"),
    ("loginid", "username"),
];

/// An object's fields, by their names in any case and in the order of the org.
#[derive(Debug)]
pub(in super::super) struct Described {
    /// Its name as Salesforce spells it.
    pub(in super::super) name: String,
    /// Its fields.
    pub(in super::super) fields: Vec<Field>,
    /// When it was read, by Salesforce's clock.
    pub(in super::super) at: Option<Timestamp>,
    /// The same moment by this host's: what is waited for afterwards is no difference of the clocks.
    pub(in super::super) here: Timestamp,
    by_name: HashMap<String, usize>,
}

/// One field.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "they are what Salesforce says of a field, and independent")]
pub(in super::super) struct Field {
    /// Its name as Salesforce spells it.
    pub(in super::super) name: String,
    /// Its type in Salesforce's words: `boolean`, `int`, `string`, …
    #[serde(rename = "type")]
    pub(in super::super) type_name: String,
    /// The most characters of a text; 0 for what is no text.
    pub(in super::super) length: usize,
    /// Whether conditions may name it.
    pub(in super::super) filterable: bool,
    /// Whether a new record can have it.
    pub(in super::super) createable: bool,
    /// Whether it can be changed.
    pub(in super::super) updateable: bool,
    /// Whether it may be empty.
    pub(in super::super) nillable: bool,
    /// Whether Salesforce fills it in when a new record lacks it.
    pub(in super::super) defaulted_on_create: bool,
    /// Whether the org made it.
    pub(in super::super) custom: bool,
    /// What it is if nobody says.
    pub(in super::super) default_value: Json,
    /// What the record that it refers to is called in a path; nothing if no path leads through it.
    pub(in super::super) relationship_name: Option<String>,
    /// The objects whose records it may refer to.
    pub(in super::super) reference_to: Vec<String>,
    /// Whether only the listed values are taken.
    pub(in super::super) restricted_picklist: bool,
    /// The values of a picklist.
    pub(in super::super) picklist_values: Vec<PicklistValue>,
}

/// A value of a picklist.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in super::super) struct PicklistValue {
    value: String,
    active: bool,
    default_value: bool,
}

/// What a field's values are, as far as it makes a difference here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// True or false, never empty.
    Boolean,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// A day.
    Date,
    /// A moment.
    DateTime,
    /// The id of a record, this one or another.
    Id,
    /// Several of a list of values.
    MultiPicklist,
    /// Several fields seen as one.
    Address,
    /// Something that no text can hold.
    Base64,
    /// Text, whatever Salesforce calls it: string, e-mail, phone, picklist, …
    Text,
}

/// What Salesforce makes up for a new user that is not given it, although its description of the object does not say so.
pub(in super::super) const FILLED: [&str; 3] =
    ["CommunityNickname", "DefaultGroupNotificationFrequency", "DigestFrequency"];

/// Names become parts of statements and paths: letters, digits and `_`.
fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Field {
    fn has_words(&self) -> bool {
        let mut names = self.relationship_name.iter().chain(&self.reference_to);
        let has_type = self.type_name.is_empty() || is_word(&self.type_name);
        has_type && is_word(&self.name) && names.all(|name| is_word(name))
    }

    /// What its values are.
    pub(in super::super) fn kind(&self) -> Kind {
        match self.type_name.as_str() {
            "boolean" => Kind::Boolean,
            "int" | "long" => Kind::Int,
            "double" | "currency" | "percent" => Kind::Double,
            "date" => Kind::Date,
            "datetime" => Kind::DateTime,
            "id" | "reference" => Kind::Id,
            "multipicklist" => Kind::MultiPicklist,
            "address" | "location" => Kind::Address,
            "base64" | "anytype" | "complexvalue" | "json" => Kind::Base64,
            _ => Kind::Text,
        }
    }

    /// Whether it holds several values, joined by `;`.
    pub(in super::super) fn is_multi_valued(&self) -> bool {
        self.kind() == Kind::MultiPicklist
    }

    /// Whether a new record must be given it.
    pub(in super::super) fn is_required(&self) -> bool {
        let is_filled =
            self.defaulted_on_create || self.kind() == Kind::Boolean || FILLED.contains(&self.name.as_str());
        self.createable && !self.nillable && !is_filled
    }

    /// What a new record gets that is not given it, if the org says.
    pub(in super::super) fn preset(&self) -> Option<Json> {
        let chosen = self.picklist_values.iter().find(|it| it.active && it.default_value);
        chosen
            .map(|it| Json::from(it.value.as_str()))
            .or_else(|| Some(self.default_value.clone()).filter(|it| !it.is_null()))
    }

    /// Whether its picklist, if it has one that is restricted, has that value.
    pub(in super::super) fn takes(&self, value: &str) -> bool {
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
pub(in super::super) fn values(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|it| !it.is_empty())
}

/// A field's name as it is compared, however it is spelled.
pub(in super::super) fn canonical(name: &str) -> String {
    let lower = name.trim().to_ascii_lowercase();
    ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower, |(_, name)| (*name).to_owned())
}

#[derive(Deserialize)]
struct Told {
    name: String,
    fields: Vec<Field>,
}

impl Described {
    /// An object with these fields.
    pub(in super::super) fn new(name: impl Into<String>, fields: Vec<Field>) -> Self {
        let by_name = fields.iter().enumerate().map(|(at, field)| (field.name.to_ascii_lowercase(), at)).collect();
        Self { name: name.into(), fields, at: None, here: clock::wall(), by_name }
    }

    /// Reads what the org answered.
    pub(in super::super) fn read(answer: Answer) -> Result<Self, Failure> {
        let told: Told = serde_json::from_value(answer.json).map_err(|_| error::strange(200))?;
        if !is_word(&told.name) || !told.fields.iter().all(Field::has_words) {
            return Err(error::strange(200));
        }
        Ok(Self { at: answer.at, ..Self::new(told.name, told.fields) })
    }

    /// The field of that name, however that is spelled.
    pub(in super::super) fn find(&self, name: &str) -> Option<&Field> {
        self.fields.get(*self.by_name.get(&canonical(name))?)
    }

    /// The relationship of that name, as Salesforce spells it, and the object it leads to, if that is always the same.
    pub(super) fn parent(&self, relationship: &str) -> Option<(&str, &str)> {
        self.fields.iter().find_map(|field| {
            let name = field.relationship_name.as_deref()?;
            let [parent] = field.reference_to.as_slice() else { return None };
            name.eq_ignore_ascii_case(relationship).then_some((name, parent.as_str()))
        })
    }
}

impl Salesforce {
    /// Asks the org for an object.
    pub(in super::super) async fn describe(&self, object: &str) -> Result<Described, Failure> {
        let answer = self.read(&Call::get(format!("sobjects/{object}/describe"))).await;
        let is_hidden = |failure: &Failure| HIDES.contains(&failure.code.as_str());
        let answer = answer.map_err(|failure| if is_hidden(&failure) { hidden(object) } else { failure })?;
        Described::read(answer)
    }
}

/// Salesforce does not tell an object that is not there from one that the account may not see.
fn hidden(object: &str) -> Failure {
    let summary = format!("The org has no object {object}, or does not show it to the service account");
    Failure::new(FailureClass::Rejected, HIDDEN, summary).with_next_step(
        "Give the service account the permission to see it: View Setup and Configuration for most, Manage Users for \
         UserLogin and LoginHistory, View Devices for UserDevice.",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(name: &str, field: &Json) -> Result<Described, Failure> {
        Described::read(Answer { json: json!({ "name": name, "fields": [field] }), at: None, weight: 0 })
    }

    /// Found by the fuzz target `description`.
    #[test]
    fn names_that_would_change_a_statement_or_a_path_are_no_description() {
        let manager = json!({ "name": "ManagerId", "relationshipName": "Manager", "referenceTo": ["User"] });
        assert!(described("User", &manager).is_ok());
        assert!(described("User", &json!({ "name": "Size__c", "relationshipName": null })).is_ok());
        for name in ["", "Id FROM User", "Id\n", "../Account", "Größe"] {
            assert!(described(name, &manager).is_err(), "{name}");
            for key in ["name", "relationshipName"] {
                let mut field = manager.clone();
                field[key] = name.into();
                assert!(described("User", &field).is_err(), "{key}: {name}");
            }
            let mut field = manager.clone();
            field["referenceTo"] = json!([name]);
            assert!(described("User", &field).is_err(), "{name}");
        }
        for kind in ["\"/><object name=\"x", "string\n", "größe"] {
            let mut field = manager.clone();
            field["type"] = kind.into();
            assert!(described("User", &field).is_err(), "{kind}");
        }
    }
}
