//! What the users of a unit hold now, and what is left to send.

use std::collections::{BTreeSet, HashMap, HashSet};

use postern_protocol::Failure;
use postern_protocol::task::import_batch::Difference;
use serde_json::{Map, Value as Json};

use super::choices::Choices;
use super::plan::Plan;
use crate::connector::salesforce::api::{Longest, Room};
use crate::connector::salesforce::schema::describe::{Described, Field, values};
use crate::connector::salesforce::user::{same_id, short};
use crate::connector::salesforce::{Salesforce, time};
use crate::dataset::Change;

/// Fields of one query: with a full IN list their names still fit a statement.
const FIELDS_AT_ONCE: usize = 80;

/// The values of users, by the first 15 characters of their ids.
pub(super) type Present = HashMap<String, Map<String, Json>>;

impl Salesforce {
    /// Reads fields of users.
    pub(super) async fn present(
        &self,
        ids: &[&str],
        fields: &BTreeSet<&str>,
        longest: &Longest,
    ) -> Result<Present, Failure> {
        let (mut present, mut room) = (Present::new(), Room::LARGE);
        let fields: Vec<&str> = fields.iter().copied().filter(|it| *it != "Id").collect();
        for some in fields.chunks(FIELDS_AT_ONCE) {
            let select = format!("SELECT Id, {} FROM User", some.join(", "));
            let rows: Vec<Map<String, Json>> =
                self.query_lists_within(&select, &[("Id", ids)], longest, &mut room).await?;
            for mut row in rows {
                row.remove("attributes");
                let id = row.get("Id").and_then(Json::as_str).unwrap_or_default();
                present.entry(short(id).to_owned()).or_default().extend(row);
            }
        }
        Ok(present)
    }
}

impl Plan<'_> {
    /// The fields whose present values have to be known for it.
    pub(super) fn looks_at(&self, choices: &Choices) -> impl Iterator<Item = &str> {
        let named = self.fields.names().chain(self.disables_last().then_some("IsActive"));
        // What is told of a value is what it was, so it is looked at; what is compared is told.
        named.filter(move |name| self.change == Change::Modify && choices.tells(name))
    }

    /// Takes out of a new user's what is only to be taken away.
    pub(super) fn keep_gains(&mut self, schema: &Described, choices: &Choices) {
        self.fields.retain(|name, _| {
            let takes_away = choices.difference(name) == Difference::RemoveDiffWithTarget;
            !takes_away || schema.find(name).is_some_and(Field::is_required)
        });
    }

    /// Takes out of it what the user has already, as far as only differences are to be sent.
    pub(super) fn keep_differences(&mut self, present: &Map<String, Json>, schema: &Described, choices: &Choices) {
        let held = |name: &str| present.get(name).unwrap_or(&Json::Null);
        self.fields.retain(|name, wanted| {
            let Some(field) = schema.find(name) else { return true };
            let difference = choices.difference(name);
            if let Difference::AddDiffWithTarget | Difference::RemoveDiffWithTarget = difference {
                *wanted = combined(held(name), wanted, difference);
            }
            difference == Difference::Replace || !is_same(field, held(name), wanted)
        });
        let is_active = held("IsActive").as_bool();
        if choices.difference("IsActive") != Difference::Replace && self.active.is_some() && self.active == is_active {
            self.active = None;
            self.fields.retain(|name, _| name != "IsActive");
        }
    }
}

/// The values that a multi-valued field holds when some are added, or taken away.
fn combined(held: &Json, given: &Json, difference: Difference) -> Json {
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let (held, given) = (text(held), text(given));
    let mut all: Vec<&str> = values(&held).collect();
    if difference == Difference::RemoveDiffWithTarget {
        let given: HashSet<&str> = values(&given).collect();
        all.retain(|one| !given.contains(one));
    } else {
        let held: HashSet<&str> = values(&held).collect();
        all.extend(values(&given).filter(|it| !held.contains(it)));
    }
    if all.is_empty() { Json::Null } else { Json::from(all.join(";")) }
}

/// Whether a field holds that value, whatever the form it is written in.
pub(super) fn is_same(field: &Field, held: &Json, wanted: &Json) -> bool {
    let (Some(one), Some(other)) = (held.as_str(), wanted.as_str()) else {
        return held == wanted || held.as_f64().is_some_and(|held| Some(held) == wanted.as_f64());
    };
    match field.type_name.as_str() {
        // Salesforce keeps them in lower case.
        "email" => one.eq_ignore_ascii_case(other),
        "reference" => same_id(one, other),
        "datetime" => time::parse(one).is_some_and(|one| Some(one) == time::parse(other)),
        "multipicklist" => values(one).collect::<BTreeSet<_>>() == values(other).collect::<BTreeSet<_>>(),
        _ if field.name == "Username" => one.eq_ignore_ascii_case(other),
        _ => is_same_text(one, other),
    }
}

/// Whether two texts are one for Salesforce, which drops blanks at the end.
pub(super) fn is_same_text(one: &str, other: &str) -> bool {
    one.trim_end_matches(' ') == other.trim_end_matches(' ')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(name: &str, kind: &str) -> Field {
        Field { name: name.to_owned(), type_name: kind.to_owned(), ..Field::default() }
    }

    #[test]
    fn the_same_value_may_be_written_in_several_ways() {
        for (kind, held, wanted, same) in [
            ("string", json!("a"), json!("a"), true),
            ("string", json!("a"), json!("A"), false),
            ("string", json!(null), json!(null), true),
            ("string", json!(null), json!("a"), false),
            ("email", json!("a@b.c"), json!("A@b.C"), true),
            ("boolean", json!(true), json!(true), true),
            ("double", json!(1.0), json!(1), true),
            ("reference", json!("0055g00000XyZ12AAF"), json!("0055g00000XyZ12"), true),
            ("datetime", json!("2026-01-31T12:00:00.000+0000"), json!("2026-01-31T12:00:00Z"), true),
            ("multipicklist", json!("a;b"), json!("b; a"), true),
        ] {
            assert_eq!(is_same(&field("X", kind), &held, &wanted), same, "{kind} {held} {wanted}");
        }
    }

    /// Feature B8.
    #[test]
    fn values_are_added_to_and_taken_from_those_that_are_there() {
        let (add, remove) = (Difference::AddDiffWithTarget, Difference::RemoveDiffWithTarget);
        assert_eq!(combined(&json!("a;b"), &json!("b;c"), add), "a;b;c");
        assert_eq!(combined(&json!(null), &json!("c"), add), "c");
        assert_eq!(combined(&json!("a;b"), &json!("b;c"), remove), "a");
        assert_eq!(combined(&json!("a"), &json!("a"), remove), Json::Null);
    }
}
