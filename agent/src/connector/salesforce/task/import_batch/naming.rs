//! What names an account to the submitter: its id there, and what it signs in with.

use postern_protocol::Failure;
use postern_protocol::task::import_batch::Request;
use serde_json::Value as Json;

use super::choices::refused;
use crate::connector::salesforce::schema::describe::{Described, Kind, canonical};

/// The longest name, in characters: Salesforce's longest field that is made for one, `FederationIdentifier`.
pub(super) const MAX_NAME: usize = 512;

/// The attributes that name accounts.
pub(super) struct Naming {
    pub(super) account: Source,
    pub(super) login: Source,
}

/// Where a name is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The id that Salesforce gave.
    Id,
    /// The user name.
    Username,
    /// A field, by its canonical name.
    Field(String),
}

/// What an entry says in the fields that name its account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InFields {
    pub(super) account: Option<String>,
    pub(super) login: Option<String>,
}

impl Naming {
    /// Understands what a request says of it. `is_hidden`: whether the values of an attribute are shown nowhere.
    pub(super) fn of(request: &Request, schema: &Described, is_hidden: impl Fn(&str) -> bool) -> Result<Self, Failure> {
        let source = |attribute: &str| Source::of(attribute, schema, &is_hidden);
        Ok(Self { account: source(&request.account_id)?, login: source(&request.login_id)? })
    }
}

impl Source {
    fn of(attribute: &str, schema: &Described, is_hidden: impl Fn(&str) -> bool) -> Result<Self, Failure> {
        let name = canonical(attribute);
        let no_name = |why: &str| Err(refused("not_a_name", format!("`{attribute}` names no account: {why}")));
        if is_hidden(&name) {
            let summary = format!("`{attribute}` is shown nowhere, so it cannot name accounts in the results");
            return Err(refused("name_encrypted", summary));
        }
        match name.as_str() {
            "id" => return Ok(Self::Id),
            "username" => return Ok(Self::Username),
            "original_username" => return no_name("it is what the account was called before; use `Username`"),
            _ => (),
        }
        let Some(field) = schema.find(&name) else {
            return Err(refused("unknown_attribute", format!("users of this org have no field `{attribute}`")));
        };
        match field.kind() {
            Kind::Boolean | Kind::MultiPicklist | Kind::Address | Kind::Base64 => {
                no_name("it does not hold one text or number")
            }
            _ if field.length > MAX_NAME => no_name("its texts are too long"),
            _ if !field.createable && !field.updateable => no_name("no entry can say it, because it cannot be written"),
            Kind::Int | Kind::Double | Kind::Date | Kind::DateTime | Kind::Id | Kind::Text => Ok(Self::Field(name)),
        }
    }

    fn is(&self, canonical: &str) -> bool {
        matches!(self, Self::Field(name) if name == canonical)
    }
}

impl InFields {
    /// Notes what a field gets, if it is one that names the account.
    pub(super) fn note(&mut self, naming: &Naming, canonical: &str, value: &Json) {
        for (source, name) in [(&naming.account, &mut self.account), (&naming.login, &mut self.login)] {
            if source.is(canonical) {
                *name = match value {
                    Json::String(text) => Some(text.clone()),
                    Json::Number(number) => Some(number.to_string()),
                    Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
                };
            }
        }
    }
}

/// A name as it is told: whole, or not at all.
pub(super) fn whole(name: &str) -> Option<String> {
    let is_plain = !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    is_plain.then(|| name.to_owned())
}
