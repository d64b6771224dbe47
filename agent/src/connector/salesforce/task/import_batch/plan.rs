//! What one entry asks for, in Salesforce's words. Pure: nothing is looked up here.

use postern_protocol::Secret;
use serde_json::{Value as Json, json};

use super::super::super::schema::describe::{Described, FILLED, Field, canonical, values};
use super::super::super::user::{is_sound_id, short};
use super::super::super::{error, soql, time};
use super::choices::Choices;
use super::naming::InFields;
use super::unit::Kind;
use super::values::Values;
use crate::dataset::{Attribute, Change, Entry};

/// The digits of a number that come out of its binary form as they went in, whatever number it is.
const MAX_DIGITS: usize = 15;

/// An entry, understood.
#[derive(Debug, Clone)]
pub(super) struct Plan<'a> {
    pub(super) change: Change,
    /// Which user it is about.
    pub(super) key: Key,
    /// Described by their official names; `IsActive` among them only if it is to be true.
    pub(super) fields: Values<'a>,
    /// The name a user gets that had another.
    pub(super) new_name: Option<String>,
    /// What `IsActive` should be, if the entry says.
    pub(super) active: Option<bool>,
    /// Goes through a call of its own.
    pub(super) password: Option<Secret>,
    /// What the user is to be in.
    pub(super) memberships: Vec<(Kind, Vec<String>)>,
    /// Values that are shown nowhere.
    pub(super) hidden: Vec<Secret>,
    /// What tells a new user from any other, if the entry says.
    pub(super) marker: Option<Json>,
    /// What the audit log calls the entry, if the entry says.
    pub(super) audit_key: Option<String>,
    /// What the account is called in fields, where those are asked for.
    pub(super) called: InFields,
}

/// How an entry names its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// By id.
    Id(String),
    /// By user name.
    Name(String),
}

impl Key {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Name(text) => text,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Id(_) => None,
            Self::Name(name) => Some(name),
        }
    }
}

/// Why an entry cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: String,
    /// What is said of it in our own words,
    ours: String,
    /// then in words of others, or of the dataset, which may hold a value that is shown nowhere,
    theirs: String,
    /// and then in our own again.
    next_step: String,
}

impl Refused {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { ours: message.into(), ..Self::quoting(code, "", "", "") }
    }

    pub(super) fn quoting(code: &str, ours: &str, theirs: &str, next_step: &str) -> Self {
        let [code, ours, theirs, next_step] = [code, ours, theirs, next_step].map(str::to_owned);
        Self { code, ours, theirs, next_step }
    }

    /// The words in it that are not ours.
    pub(super) fn theirs(&self) -> &str {
        &self.theirs
    }

    /// The same without those.
    pub(super) fn kept_back(&self) -> Self {
        Self { theirs: error::KEPT_BACK.to_owned(), ..self.clone() }
    }

    /// The same with more before it.
    pub(super) fn after(self, before: &str) -> Self {
        Self { ours: format!("{before}{}", self.ours), ..self }
    }

    pub(super) fn message(&self) -> String {
        [self.ours.as_str(), &self.theirs, &self.next_step].concat()
    }

    /// Whether the same may be taken soon: somebody else was at the row, or the org took no writes.
    pub(super) fn may_pass(&self) -> bool {
        error::may_pass(&self.code)
    }

    /// Whether it was not about the row: the org takes no writes for a while.
    pub(super) fn says_read_only(&self) -> bool {
        error::says_read_only(&self.code)
    }
}

/// What an entry says about which user it means.
#[derive(Default)]
struct Names {
    id: Option<String>,
    username: Option<String>,
    original: Option<String>,
}

/// The names in an entry, in lower case, and its id in its short form: two entries that share one must be done one after the other.
pub(super) fn names(entry: &Entry) -> Vec<String> {
    let named = entry.record.attributes.iter().flat_map(|it| {
        let text = it.value.expose().trim();
        match canonical(&it.name).as_str() {
            // As it is written too: where units begin must not change under those that were begun.
            "id" => vec![text.to_lowercase(), short(text).to_owned()],
            "username" | "original_username" => vec![text.to_lowercase()],
            _ => Vec::new(),
        }
    });
    named.filter(|name| !name.is_empty()).collect()
}

/// Which user an entry means, as it is written, as far as it says so.
pub(super) fn key_as_written(entry: &Entry) -> Option<&str> {
    let attributes = || entry.record.attributes.iter().map(|it| (canonical(&it.name), it.value.expose().trim()));
    ["id", "original_username", "username"]
        .iter()
        .find_map(|key| attributes().find(|(name, value)| name == key && !value.is_empty()))
        .map(|(_, value)| value)
}

/// The name that an entry gives to a user, in lower case; nothing if it only says who is meant.
pub(super) fn name_given(entry: &Entry) -> Option<String> {
    let attributes = || entry.record.attributes.iter().map(|it| (canonical(&it.name), it.value.expose().trim()));
    let renames = attributes().any(|(name, _)| matches!(name.as_str(), "id" | "original_username"));
    if entry.record.change == Change::Modify && !renames {
        return None;
    }
    let given = attributes().find(|(name, value)| name == "username" && !value.is_empty());
    given.map(|(_, name)| name.to_lowercase())
}

/// Understands an entry.
pub(super) fn plan<'a>(entry: &Entry, schema: &'a Described, choices: &Choices) -> Result<Plan<'a>, Refused> {
    let change = entry.record.change;
    let (mut names, mut called) = (Names::default(), InFields::default());
    let (mut fields, mut active, mut password, mut system) = (Values::default(), None, None, None);
    let (mut hidden, mut audit_key, mut memberships) = (Vec::new(), None, Vec::new());
    let (mut seen, mut more): (Vec<String>, Vec<(&Field, String)>) = (Vec::new(), Vec::new());
    for attribute in &entry.record.attributes {
        let name = canonical(&attribute.name);
        let value = attribute.value.expose();
        if choices.is_encrypted(&name) && !value.is_empty() {
            hidden.push(attribute.value.clone());
            // Each is named by itself where the org does not have it.
            if Kind::of(&name).is_some() || schema.find(&name).is_some_and(Field::is_multi_valued) {
                hidden.extend(values(value).map(|it| Secret::new(it.to_owned())));
            }
        } else if name == choices.audit_key {
            audit_key = Some(value.to_owned());
        }
        if let Some(kind) = Kind::of(&name) {
            note_memberships(&mut memberships, kind, value)?;
            continue;
        }
        if seen.contains(&name) {
            note_more(&mut more, schema, &name, attribute)?;
            continue;
        }
        match name.as_str() {
            "id" => names.id = Some(value.trim().to_owned()),
            "username" => names.username = Some(value.trim().to_owned()),
            "original_username" => names.original = Some(value.trim().to_owned()),
            "transaction-systemname" => system = Some(value),
            "password" if value.is_empty() => return Err(Refused::new("bad_password", "the password is empty")),
            "password" => password = Some(attribute.value.clone()),
            "isactive" => active = Some(boolean("IsActive", value)?),
            _ => {
                let field = writable(schema, &name, &attribute.name, change)?;
                let sent = json_value(field, value)?;
                // A number or a moment is quoted as it was sent.
                if choices.is_encrypted(&name) && !sent.is_null() {
                    let text = sent.as_str().map_or_else(|| sent.to_string(), str::to_owned);
                    hidden.extend((text != value).then(|| Secret::new(text)));
                }
                called.note(&choices.naming, &name, &sent);
                fields.insert(&field.name, sent);
            }
        }
        seen.push(name);
    }
    for (field, values) in more {
        let held = fields.get(&field.name).and_then(Json::as_str).unwrap_or_default();
        let all = json_value(field, &(held.to_owned() + &values))?;
        fields.insert(&field.name, all);
    }
    choices.check_system(system)?;
    let (key, new_name) = names.resolve(change)?;
    if let Some(field) = schema.find("username") {
        // Of somebody's present name, too: a statement takes none that is much longer, and would be refused with everybody's.
        for name in key.name().into_iter().chain(new_name.as_deref()) {
            json_value(field, name)?;
        }
    }
    if let Some(username) = new_name.as_deref().or(created_name(change, &key)) {
        fields.insert("Username", json!(username));
    }
    if change == Change::Add {
        complete(&mut fields, schema)?;
    }
    let marker = choices.marker.as_deref().and_then(|name| fields.get(name)).filter(|it| !it.is_null()).cloned();
    let plan = Plan { change, key, fields, new_name, active, password, memberships, hidden, marker, audit_key, called };
    if plan.change == Change::Modify && plan.asks_for_nothing() && plan.memberships.is_empty() {
        return Err(Refused::new("nothing_to_do", "the entry names a user and nothing to change"));
    }
    Ok(plan.ordered())
}

/// Takes in what one attribute says the user is to be in. Several of one kind add up.
fn note_memberships(memberships: &mut Vec<(Kind, Vec<String>)>, kind: Kind, value: &str) -> Result<(), Refused> {
    let mut these = values(value).map(str::to_owned).peekable();
    // A cell that somebody padded says nothing. To take everything away is said by an empty value.
    if these.peek().is_none() && !value.is_empty() {
        let message = format!("`{}` has a value that names nothing and is not empty", kind.attribute());
        return Err(Refused::new("bad_value", message));
    }
    match memberships.iter_mut().find(|(it, _)| *it == kind) {
        Some((_, held)) => held.extend(these),
        None => memberships.push((kind, these.collect())),
    }
    Ok(())
}

/// Takes in the value of an attribute that was there before, if its field takes several. They are looked at together, and once: an
/// entry has room for hundreds.
fn note_more<'a>(
    more: &mut Vec<(&'a Field, String)>,
    schema: &'a Described,
    name: &str,
    attribute: &Attribute,
) -> Result<(), Refused> {
    let Some(field) = schema.find(name).filter(|field| field.is_multi_valued()) else {
        return Err(Refused::new("attribute_twice", format!("`{}` is there twice", clipped(&attribute.name))));
    };
    let value = format!(";{}", attribute.value.expose());
    match more.iter_mut().find(|(it, _)| it.name == field.name) {
        Some((_, values)) => values.push_str(&value),
        None => more.push((field, value)),
    }
    Ok(())
}

/// Gives a new user the defaults of the org for what it must have; what it must have and has not is named.
fn complete<'a>(fields: &mut Values<'a>, schema: &'a Described) -> Result<(), Refused> {
    let mut missing = Vec::new();
    // What Salesforce makes up is made up where it is not named, and nowhere may be empty.
    fields.retain(|name, value| !(value.is_null() && FILLED.contains(&name)));
    for field in schema.fields.iter().filter(|field| field.is_required()) {
        if fields.get(&field.name).is_some_and(|value| !value.is_null()) {
            continue;
        }
        match field.preset() {
            Some(value) => fields.insert(&field.name, value),
            None => missing.push(field.name.as_str()),
        }
    }
    missing.sort_unstable();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refused::new("REQUIRED_FIELD_MISSING", format!("a new user needs {}", missing.join(", "))))
}

fn created_name(change: Change, key: &Key) -> Option<&str> {
    (change == Change::Add).then(|| key.text())
}

impl Plan<'_> {
    /// A user is enabled with its other fields, before the password; disabled after it, because Salesforce sets
    /// passwords of active users only.
    fn ordered(mut self) -> Self {
        match self.active {
            Some(true) => self.fields.insert("IsActive", json!(true)),
            Some(false) if self.password.is_none() => self.fields.insert("IsActive", json!(false)),
            Some(false) | None => (),
        }
        self.fields.shrink();
        self
    }

    /// Whether it would change nothing of the user itself.
    pub(super) fn asks_for_nothing(&self) -> bool {
        self.fields.is_empty() && self.active.is_none() && self.password.is_none()
    }

    /// Whether the account that the agent signs in with would be cut off by it; `name`: what it is called, if that is known.
    pub(super) fn cuts_off(&self, name: Option<&str>) -> bool {
        let renames = |new: &str| name.is_none_or(|name| !name.eq_ignore_ascii_case(new));
        self.new_name.as_deref().is_some_and(renames) || self.password.is_some() || self.active == Some(false)
    }

    /// Whether it says by which address or identity the user is let in without its password.
    pub(super) fn names_sign_in(&self) -> bool {
        ["Email", "FederationIdentifier"].iter().any(|name| self.fields.get(name).is_some())
    }

    /// Whether the user is disabled in a call of its own, after the password.
    pub(super) fn disables_last(&self) -> bool {
        self.active == Some(false) && self.password.is_some()
    }
}

impl Names {
    /// Which user is meant, and the name it gets, if another.
    fn resolve(self, change: Change) -> Result<(Key, Option<String>), Refused> {
        let missing = |message: &str| Refused::new("no_key", message);
        match (change, self) {
            (Change::Add, Self { id: None, original: None, username: Some(name) }) if !name.is_empty() => {
                Ok((Key::Name(name), None))
            }
            (Change::Add, Self { id: None, original: None, .. }) => Err(missing("a new user needs a `Username`")),
            (Change::Add, _) => {
                Err(Refused::new("attribute_not_for_add", "`Id` and `Original_Username` name a user that exists"))
            }
            (Change::Modify, Self { id: Some(_), original: Some(name), .. }) if !name.is_empty() => {
                let message = "`Id` and `Original_Username` both say which user is meant: leave one of them out";
                Err(Refused::new("key_twice", message))
            }
            (Change::Modify, Self { id: Some(id), username, .. }) => {
                if !is_user_id(&id) {
                    return Err(Refused::new("MALFORMED_ID", format!("`{}` is not the id of a user", clipped(&id))));
                }
                Ok((Key::Id(id), username))
            }
            (Change::Modify, Self { original: Some(name), username, .. }) => Ok((Key::Name(name), username)),
            (Change::Modify, Self { username: Some(name), .. }) => Ok((Key::Name(name), None)),
            (Change::Modify, _) => Err(missing("`Id`, `Username` or `Original_Username` must say which user is meant")),
        }
        .and_then(|(key, new_name)| {
            let is_empty = key.text().is_empty() || new_name.as_deref().is_some_and(str::is_empty);
            if is_empty { Err(missing("the user's name is empty")) } else { Ok((key, new_name)) }
        })
    }
}

fn is_user_id(id: &str) -> bool {
    id.starts_with("005") && is_sound_id(id)
}

fn writable<'a>(schema: &'a Described, name: &str, written: &str, change: Change) -> Result<&'a Field, Refused> {
    let field = schema.find(name).ok_or_else(|| {
        Refused::new("unknown_attribute", format!("users of this org have no field `{}`", clipped(written)))
    })?;
    let allowed = if change == Change::Add { field.createable } else { field.updateable };
    if allowed {
        Ok(field)
    } else {
        Err(Refused::new("attribute_read_only", format!("`{}` cannot be written", field.name)))
    }
}

/// The value as Salesforce takes it; an empty one empties the field. Values never stand in what is said of them.
fn json_value(field: &Field, value: &str) -> Result<Json, Refused> {
    let bad = |what: &str| Err(Refused::new("bad_value", format!("`{}` must be {what}", field.name)));
    let text = value.trim();
    match field.type_name.as_str() {
        "boolean" => return boolean(&field.name, value).map(Json::Bool),
        _ if value.is_empty() => return Ok(Json::Null),
        "int" => return text.parse::<i64>().map_or_else(|_| bad("a whole number"), |number| Ok(json!(number))),
        "double" | "currency" | "percent" => {
            return match text.parse::<f64>() {
                Ok(_) if digits(text) > MAX_DIGITS => bad("a number of at most 15 digits"),
                Ok(number) if number.is_finite() => Ok(json!(number)),
                _ => bad("a number"),
            };
        }
        // Written in another way they would have the whole call refused, with everybody else's records.
        "date" => {
            return time::parse_day(text)
                .map_or_else(|| bad("a date like 2026-01-31"), |day| Ok(json!(day.to_string())));
        }
        "datetime" => {
            let moment = time::parse(text).map(|it| json!(soql::moment(&it)));
            return moment.map_or_else(|| bad("a moment like 2026-01-31T12:00:00Z"), Ok);
        }
        // What else may be wrong with it Salesforce says of the entry alone.
        "reference" if text.is_empty() => return bad("the id of a record"),
        "reference" => return Ok(json!(text)),
        _ => (),
    }
    let length = value.chars().count();
    if field.length > 0 && length > field.length {
        let message = format!("`{}` takes {} characters, and has {length}", field.name, field.length);
        return Err(Refused::new("STRING_TOO_LONG", message));
    }
    if !field.takes(value) {
        let message = format!("`{}` has no such value in the picklist of this org", field.name);
        return Err(Refused::new("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message));
    }
    Ok(json!(value))
}

/// How many digits a number has beside the zeros before and behind them.
fn digits(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}

fn boolean(name: &str, value: &str) -> Result<bool, Refused> {
    match value.trim() {
        it if it.eq_ignore_ascii_case("true") => Ok(true),
        it if it.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Refused::new("bad_value", format!("`{name}` must be `true` or `false`"))),
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use postern_protocol::bounded::List;
    use postern_protocol::task::import_batch::{Format, Request};

    use super::*;
    use crate::dataset::{Attribute, Place, Record};

    fn schema() -> Described {
        let field = |name: &str, kind: &str, writable| Field {
            name: name.to_owned(),
            createable: writable,
            updateable: writable,
            type_name: kind.to_owned(),
            nillable: true,
            ..Field::default()
        };
        let short = |name: &str, length| Field { length, ..field(name, "string", true) };
        let fields = vec![
            field("LastName", "string", true),
            field("PostalCode", "string", true),
            field("ReceivesInfoEmails", "boolean", true),
            field("Level__c", "int", true),
            field("CreatedDate", "datetime", false),
            field("Hired__c", "date", true),
            field("Until__c", "datetime", true),
            field("Share__c", "percent", true),
            field("Skills__c", "multipicklist", true),
            Field { length: 18, ..field("ProfileId", "reference", true) },
            short("Alias", 8),
            short("Username", 80),
        ];
        Described::new("User", fields)
    }

    fn choices() -> Choices {
        let request = Request::new(Format::Xml);
        Choices::of(&request, &schema(), &"acme".parse().unwrap(), None).unwrap()
    }

    fn entry(change: Change, attributes: &[(&str, &str)]) -> Entry {
        let attribute = |(name, value): &(&str, &str)| Attribute {
            name: (*name).to_owned(),
            value: Secret::new((*value).to_owned()),
        };
        let attributes = attributes.iter().map(attribute).collect();
        let place = Place { line: 1, column: 1, offset: 0 };
        Entry { number: 1, place, end: 1, record: Record { change, attributes } }
    }

    fn planned(change: Change, attributes: &[(&str, &str)]) -> Plan<'static> {
        plan(&entry(change, attributes), Box::leak(Box::new(schema())), &choices()).unwrap()
    }

    fn value<'a>(plan: &'a Plan<'_>, name: &str) -> Option<&'a Json> {
        plan.fields.get(name)
    }

    fn refused(change: Change, attributes: &[(&str, &str)]) -> String {
        plan(&entry(change, attributes), &schema(), &choices()).unwrap_err().code
    }

    #[test]
    fn a_user_has_one_name_in_any_case_and_one_id_of_either_length() {
        let named = |name, value| names(&entry(Change::Modify, &[(name, value), ("LastName", "x")]));
        let shares = |one: &[String], other: &[String]| one.iter().any(|name| other.contains(name));
        assert!(shares(&named("ID", "0055g00000XyZ12"), &named("Id", " 0055g00000XyZ12AAF")));
        assert!(!shares(&named("Id", "0055g00000XyZ12"), &named("Id", "0055g00000xYz13AAF")));
        assert_eq!(named("Username", "Joe@acme.example"), named("original_username", "joe@acme.example "));
    }

    /// Feature B9.
    #[test]
    fn attributes_are_found_in_any_case_and_with_the_identity_suites_misspellings() {
        let plan = planned(
            Change::Modify,
            &[
                ("username", "a@b.c"),
                ("LASTNAME", "X"),
                ("Postal_Code", "1"),
                ("ReceiveInfoEmails", "True"),
                ("level__C", "3"),
            ],
        );
        let expected = json!({ "LastName": "X", "PostalCode": "1", "ReceivesInfoEmails": true, "Level__c": 3 });
        assert_eq!(Json::Object(plan.fields.to_map()), expected);
        assert_eq!(plan.key, Key::Name("a@b.c".to_owned()));
    }

    /// Feature B7.
    #[test]
    fn an_id_or_a_former_name_says_which_user_is_meant_and_the_name_beside_it_is_new() {
        let id = "0055g00000XyZ12AAF";
        let plan = planned(Change::Modify, &[("Id", id), ("Username", "new@b.c")]);
        assert_eq!((plan.key, plan.new_name.as_deref()), (Key::Id(id.to_owned()), Some("new@b.c")));
        let plan = planned(Change::Modify, &[("Original_Username", "old@b.c"), ("Username", "new@b.c")]);
        assert_eq!(value(&plan, "Username"), Some(&json!("new@b.c")));
        assert_eq!((plan.key, plan.new_name.as_deref()), (Key::Name("old@b.c".to_owned()), Some("new@b.c")));
        let both = [("Id", id), ("Original_Username", "old@b.c"), ("Username", "new@b.c")];
        assert_eq!(refused(Change::Modify, &both), "key_twice");
        let plan = planned(Change::Add, &[("loginId", "new@b.c")]);
        assert_eq!(
            (value(&plan, "Username").and_then(Json::as_str), plan.new_name.as_deref()),
            (Some("new@b.c"), None)
        );
    }

    #[test]
    fn a_new_user_does_not_get_what_is_to_be_taken_away() {
        let mut request = Request::new(Format::Xml);
        request.attributes = List::new(vec!["Skills__c=remove_diff_with_target".parse().unwrap()]).unwrap();
        let schema = schema();
        let choices = Choices::of(&request, &schema, &"acme".parse().unwrap(), None).unwrap();
        let new = entry(Change::Add, &[("Username", "new@b.c"), ("LastName", "X"), ("Skills__c", "a;b")]);
        let mut plan = plan(&new, &schema, &choices).unwrap();
        plan.keep_gains(&schema, &choices);
        assert_eq!(plan.fields.names().collect::<Vec<_>>(), ["LastName", "Username"]);
    }

    /// Feature B7.
    #[test]
    fn enabling_comes_with_the_fields_and_disabling_after_the_password() {
        let user = ("Username", "a@b.c");
        let fields = |plan: &Plan<'_>| plan.fields.get("IsActive").cloned();
        let on = planned(Change::Modify, &[user, ("isActive", "true"), ("password", "x")]);
        assert_eq!((fields(&on), on.disables_last()), (Some(json!(true)), false));
        let off = planned(Change::Modify, &[user, ("isActive", "false"), ("password", "x")]);
        assert_eq!((fields(&off), off.disables_last()), (None, true));
        let only_off = planned(Change::Modify, &[user, ("isActive", "false")]);
        assert_eq!((fields(&only_off), only_off.disables_last()), (Some(json!(false)), false));
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        let user = ("Username", "a@b.c");
        assert_eq!(refused(Change::Modify, &[user, ("Nonsense", "1")]), "unknown_attribute");
        assert_eq!(refused(Change::Modify, &[user, ("CreatedDate", "1")]), "attribute_read_only");
        assert_eq!(refused(Change::Modify, &[user, ("isactive", "maybe")]), "bad_value");
        assert_eq!(refused(Change::Modify, &[user, ("Level__c", "many")]), "bad_value");
        assert_eq!(refused(Change::Modify, &[user, ("LastName", "1"), ("lastname", "2")]), "attribute_twice");
        for (name, value, code) in [
            ("Alias", "ninechars", "STRING_TOO_LONG"),
            ("ProfileId", "\n ", "bad_value"),
            ("Hired__c", "31.01.2026", "bad_value"),
            ("Hired__c", "2026-02-30", "bad_value"),
            ("Hired__c", "2026-01-31 00:00:00", "bad_value"),
            ("Hired__c", "20260131", "bad_value"),
            ("Until__c", "2026-01-31", "bad_value"),
            ("Share__c", "half", "bad_value"),
            ("Share__c", "0.1234567890123456", "bad_value"),
            ("Share__c", "-1234567890123456.7", "bad_value"),
            // To take everything away is to be said on purpose.
            ("Groups", " ", "bad_value"),
            ("PermissionSets", ";", "bad_value"),
            ("PermissionSets", "\n ", "bad_value"),
            ("Transaction-SystemName", "acme", "system_not_dynamic"),
        ] {
            assert_eq!(refused(Change::Modify, &[user, (name, value)]), code, "{name}");
        }
        assert_eq!(refused(Change::Add, &[("Username", &format!("{}@b.c", "x".repeat(77)))]), "STRING_TOO_LONG");
        assert_eq!(refused(Change::Modify, &[user]), "nothing_to_do");
        assert_eq!(refused(Change::Modify, &[("LastName", "1")]), "no_key");
        // In bulk an empty cell changes nothing, so that it would be told as done.
        for key in [("Id", "0055g00000XyZ12AAF"), ("Original_Username", "a@b.c")] {
            assert_eq!(refused(Change::Modify, &[key, ("Username", " "), ("LastName", "1")]), "no_key");
        }
        assert_eq!(refused(Change::Modify, &[("Id", "1"), ("LastName", "1")]), "MALFORMED_ID");
        assert_eq!(refused(Change::Modify, &[user, ("password", "")]), "bad_password");
        assert_eq!(refused(Change::Add, &[("LastName", "1")]), "no_key");
        assert_eq!(refused(Change::Add, &[user, ("Id", "0055g00000XyZ12AAF")]), "attribute_not_for_add");
    }

    /// More digits than that do not come out as they went in.
    #[test]
    fn a_number_has_fifteen_digits_beside_its_zeros() {
        for (text, number) in [
            ("-00.123456789012345", -0.123_456_789_012_345),
            ("1.50000000000000000", 1.5),
            ("1e20", 1e20),
            ("0.0", 0.0),
        ] {
            let plan = planned(Change::Modify, &[("Username", "a@b.c"), ("Share__c", text)]);
            assert_eq!(value(&plan, "Share__c"), Some(&json!(number)), "{text}");
        }
    }

    /// Salesforce's reader of JSON knows no blanks around them, and refuses the whole call for one.
    #[test]
    fn days_and_moments_are_sent_in_one_form() {
        let asked = [("Username", "a@b.c"), ("Hired__c", " 2026-01-31 "), ("Until__c", "2026-01-31T13:00:00+01:00\n")];
        let plan = planned(Change::Modify, &asked);
        assert_eq!(value(&plan, "Hired__c"), Some(&json!("2026-01-31")));
        assert_eq!(value(&plan, "Until__c"), Some(&json!("2026-01-31T12:00:00.000Z")));
    }

    /// What counts its ids up changes the check characters, and one such id would have the look-up of everybody refused.
    #[test]
    fn an_id_whose_check_characters_are_not_its_own_is_refused() {
        for (id, is_one) in [
            ("0055g00000XyZ12", true),
            ("0055g00000XyZ12AAF", true),
            ("0055g00000XyZ12aaf", true),
            ("0055g00000XyZ12AAG", false),
            ("0055g00000xyz12AAF", false),
            ("0035g00000XyZ12AAF", false),
        ] {
            let asked = plan(&entry(Change::Modify, &[("Id", id), ("LastName", "x")]), &schema(), &choices()).is_ok();
            assert_eq!(asked, is_one, "{id}");
        }
    }

    /// Take it as it stands, and an entry of XML that is indented is refused as too long.
    #[test]
    fn blanks_around_an_id_are_not_of_it() {
        let asked = [("Username", "a@b.c"), ("ProfileId", "\n      00e5g0000000002AAA\n    ")];
        assert_eq!(value(&planned(Change::Modify, &asked), "ProfileId"), Some(&json!("00e5g0000000002AAA")));
    }

    /// Tell the new name, or an id in lower case, and whoever looks the user up finds another.
    #[test]
    fn an_entry_means_the_user_that_it_names_as_it_is_written() {
        let id = "0055g00000XyZ12";
        for (attributes, meant) in [
            (&[("Username", "New@b.c"), ("Original_Username", "Old@b.c ")][..], Some("Old@b.c")),
            (&[("Username", "New@b.c"), ("ID", id)], Some(id)),
            (&[("id", ""), ("loginId", "a@b.c")], Some("a@b.c")),
            (&[("LastName", "x")], None),
        ] {
            assert_eq!(key_as_written(&entry(Change::Modify, attributes)), meant);
        }
    }

    #[test]
    fn what_is_shown_nowhere_is_known_as_it_is_written_as_it_is_sent_and_one_by_one() {
        let rules =
            ["Share__c", "Until__c", "Skills__c", "LastName"].map(|it| format!("{it}=encrypted").parse().unwrap());
        let mut request = Request::new(Format::Xml);
        request.attributes = List::new(rules.to_vec()).unwrap();
        let choices = Choices::of(&request, &schema(), &"acme".parse().unwrap(), None).unwrap();
        for (name, written, hidden) in [
            ("Share__c", "1.50", &["1.50", "1.5"][..]),
            ("Until__c", "2026-01-31T13:00:00+01:00", &["2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00.000Z"]),
            ("Skills__c", "a;b", &["a;b", "a", "b"]),
            ("LastName", "x", &["x"]),
            ("LastName", "", &[]),
        ] {
            let entry = entry(Change::Modify, &[("Username", "a@b.c"), (name, written)]);
            let schema = schema();
            let plan = plan(&entry, &schema, &choices).unwrap();
            assert_eq!(plan.hidden.iter().map(Secret::expose).collect::<Vec<_>>(), hidden, "{name}");
        }
    }

    #[test]
    fn several_values_are_joined() {
        let plan = planned(Change::Modify, &[("Username", "a@b.c"), ("Skills__c", "a;b"), ("skills__C", "c")]);
        assert_eq!(value(&plan, "Skills__c"), Some(&json!("a;b;c")));
    }

    #[test]
    fn permission_sets_and_groups_are_no_fields() {
        let asked =
            [("Username", "a@b.c"), ("permissionsets", "One; Two"), ("PermissionSets", "Three"), ("Groups", "")];
        let plan = planned(Change::Modify, &asked);
        let named = ["One", "Two", "Three"].map(str::to_owned).to_vec();
        assert_eq!(plan.memberships, [(Kind::PermissionSets, named), (Kind::Groups, vec![])]);
        assert!(plan.asks_for_nothing());
    }

    #[test]
    fn an_empty_value_empties_the_field() {
        let plan = planned(Change::Modify, &[("Username", "a@b.c"), ("PostalCode", "")]);
        assert_eq!(value(&plan, "PostalCode"), Some(&Json::Null));
    }
}
