//! What a call changes, as the audit log tells it.

use postern_protocol::outcome::Certainty;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use crate::redaction::redacted;

/// The most bytes of an effect that is journaled with the intent of its call.
pub const MAX_EFFECT: usize = 900;

/// The longest text of a value, in bytes.
const MAX_TEXT: usize = 255;
/// The longest id, in bytes: three times one of Salesforce's.
const MAX_ID: usize = 64;

/// One attribute that gets another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// Its name.
    pub attribute: String,
    /// What it was. Left out if nobody looked, or if it is shown nowhere.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "even_null")]
    pub old: Option<Json>,
    /// What it becomes. Left out if it is shown nowhere.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "even_null")]
    pub new: Option<Json>,
}

/// A value that is there and empty is another thing than none.
fn even_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(value).map(Some)
}

impl Shift {
    /// An attribute whose values may be shown.
    pub fn new(attribute: &str, old: impl Into<Json>, new: impl Into<Json>) -> Self {
        Self { old: Some(old.into()), new: Some(new.into()), ..Self::hidden(attribute) }
    }

    /// An attribute of which nothing is told but that it changes.
    pub fn hidden(attribute: &str) -> Self {
        Self { attribute: attribute.to_owned(), old: None, new: None }
    }

    /// That a password is set.
    pub fn password() -> Self {
        Self::hidden("password")
    }
}

/// What becomes of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The entry's number, in a batch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entry: Option<u64>,
    /// What the audit log calls the entry, if the request says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// The account's name as it was.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub account: String,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// Whether the account is new.
    #[serde(skip_serializing_if = "is_false", default)]
    pub created: bool,
    /// Whether the rest of what the entry asks for was not done.
    #[serde(skip_serializing_if = "is_false", default)]
    pub partly: bool,
    /// What it changes.
    #[serde(default)]
    pub changes: Vec<Shift>,
}

/// For what is told only if it is so.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub fn is_false(value: &bool) -> bool {
    !value
}

impl Effect {
    /// What becomes of the account of this name and id.
    pub fn on(account: &str, id: &str, changes: Vec<Shift>) -> Self {
        Self { account: account.to_owned(), id: Some(id.to_owned()), changes, ..Self::default() }
    }

    /// As bytes of a journal. Values that have no room there are left out; a name and an id that are shown always have it.
    pub fn encode(&self) -> Vec<u8> {
        let mut effect = self.clone().shown();
        loop {
            let bytes = serde_json::to_vec(&effect).unwrap_or_default();
            if bytes.len() <= MAX_EFFECT {
                return bytes;
            }
            match effect.changes.iter_mut().rfind(|shift| shift.old.is_some() || shift.new.is_some()) {
                Some(shift) => (shift.old, shift.new) = (None, None),
                None => effect = Self { changes: Vec::new(), key: None, ..effect },
            }
        }
    }

    /// The effect in these bytes; nothing if there is none.
    pub fn decode(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// Without secrets in use, and with long values cut.
    #[must_use]
    pub fn shown(mut self) -> Self {
        self.account = plain(&self.account, MAX_TEXT);
        self.id = self.id.as_deref().map(|id| plain(id, MAX_ID));
        self.key = self.key.as_deref().map(clipped);
        for value in self.changes.iter_mut().flat_map(|shift| [&mut shift.old, &mut shift.new]).flatten() {
            if let Json::String(text) = value {
                *text = clipped(text);
            }
        }
        self
    }
}

/// What somebody is called. In JSON a control character takes six times its room, and no name has one.
fn plain(text: &str, most: usize) -> String {
    let text: String = redacted(text).chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    text.get(..text.floor_char_boundary(most)).unwrap_or_default().to_owned()
}

fn clipped(text: &str) -> String {
    let text = redacted(text);
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default().to_owned()
}

/// What is known of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is there.
    Done(Certainty),
    /// It may be there or not.
    Unknown,
}

/// What is proved of the effects of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    /// Nothing.
    Nothing,
    /// What the last intent of the step announced is there.
    Intended(Certainty),
    /// Of a batch: what became of each entry that was changed, or may have been.
    Entries(Vec<(Effect, Known)>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_in_the_journal_is_left_out_value_by_value() {
        let long = "ü".repeat(1_000);
        let changes = ["Username", "Email", "Title"].map(|name| Shift::new(name, long.as_str(), long.as_str()));
        let effect = Effect::on("joe@acme.example", "005", changes.to_vec());
        let encoded = effect.encode();
        assert!(encoded.len() <= MAX_EFFECT, "{}", encoded.len());
        let kept = Effect::decode(&encoded);
        assert_eq!((kept.account.as_str(), kept.changes.len()), ("joe@acme.example", 3));
        assert!(kept.changes[0].new.is_some() && kept.changes[2] == Shift::hidden("Title"));
    }

    /// The name and the id are what an org says they are, whoever answers in its place.
    #[test]
    fn an_account_that_no_org_has_ends_in_the_journal_too() {
        let account = "\u{1}\"".repeat(1_000);
        let changes = vec![Shift::hidden(&"x".repeat(1_000)), Shift::password()];
        for id in ["005", &"5".repeat(1_000), &account] {
            let effect = Effect { key: Some(account.clone()), ..Effect::on(&account, id, changes.clone()) };
            let encoded = effect.encode();
            assert!(encoded.len() <= MAX_EFFECT, "{}", encoded.len());
            assert!(Effect::decode(&encoded).account.starts_with(" \" \""), "who it was is told");
        }
    }

    #[test]
    fn a_value_that_was_empty_is_told_as_empty_after_the_journal_too() {
        let effect = Effect::on("joe@acme.example", "005", vec![Shift::new("Email", Json::Null, "joe@acme.example")]);
        assert_eq!(Effect::decode(&effect.encode()), effect);
    }

    /// What an intent announced is told by whoever proves it, and that may be a newer version: what it cannot read is an account
    /// without a name.
    #[test]
    fn an_effect_is_read_and_written_as_the_first_version_wrote_it() {
        let written = r#"{"entry":7,"key":"12","account":"joe@acme.example","id":"0055g00000XyZ12AAF","created":true,"partly":true,"changes":[{"attribute":"Email","old":null,"new":"j@acme.example"},{"attribute":"password"}]}"#;
        let changes = vec![Shift::new("Email", Json::Null, "j@acme.example"), Shift::password()];
        let effect = Effect {
            entry: Some(7),
            key: Some("12".to_owned()),
            account: "joe@acme.example".to_owned(),
            id: Some("0055g00000XyZ12AAF".to_owned()),
            created: true,
            partly: true,
            changes,
        };
        assert_eq!(str::from_utf8(&effect.encode()).unwrap(), written);
        assert_eq!(Effect::decode(written.as_bytes()), effect);
    }

    #[test]
    fn a_secret_in_use_stands_in_no_effect() {
        let secret = crate::redaction::in_use(b"hunter2-hunter2");
        let effect = Effect::on("joe", "005", vec![Shift::new("Title", "old", "hunter2-hunter2")]);
        assert!(!String::from_utf8(effect.encode()).unwrap().contains("hunter2"));
        drop(secret);
    }
}
