//! Reads the JSON of a record into values, field by field, refusing what the field does not take.

use serde_json::{Map, Value as Json};

use super::table::Tables;
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::schema::field::{Choices, Field, Kind, Presence};
use crate::time;
use crate::value::Value;

/// Whether a record is made or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Create,
    Update,
}

/// Refuses what the service stumbles over while it reads the JSON of a record: a column that is none, a text that is no value
/// of its column's type.
pub(crate) fn check_readable(kind: ObjectKind, record: &Map<String, Json>) -> Result<(), Problem> {
    for (name, json) in record.iter().filter(|(name, _)| *name != "attributes" && !name.eq_ignore_ascii_case("id")) {
        let (_, field) = column(kind, name)?;
        let Some(text) = json.as_str().filter(|it| !it.is_empty()) else { continue };
        let (is_read, of) = match field.kind {
            Kind::Boolean => (text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"), "boolean"),
            Kind::Int => (text.parse::<i64>().is_ok(), "int"),
            Kind::DateTime => (time::parse(text).is_some(), "datetime"),
            Kind::Email
            | Kind::Id
            | Kind::Outside
            | Kind::Phone
            | Kind::Picklist(_)
            | Kind::Reference { .. }
            | Kind::Text
            | Kind::TextArea
            | Kind::Url => continue,
        };
        if !is_read {
            let message = format!(
                "Cannot deserialize instance of {of} from VALUE_STRING value {text} or request may be missing a required \
                 field at [line:1, column:1]"
            );
            return Err(Problem::new("JSON_PARSER_ERROR", message));
        }
    }
    Ok(())
}

fn column(kind: ObjectKind, name: &str) -> Result<(usize, &'static Field), Problem> {
    let object = kind.object();
    object.column(name).ok_or_else(|| {
        Problem::new("INVALID_FIELD", format!("No such column '{name}' on sobject of type {}", object.name))
    })
}

/// The columns a record's JSON names, with their new values. `attributes` is skipped.
pub(crate) fn read(
    kind: ObjectKind,
    record: &Map<String, Json>,
    write: Write,
    tables: &Tables,
) -> Result<Vec<(usize, Value)>, Problem> {
    let mut values = Vec::with_capacity(record.len());
    for (name, json) in record.iter().filter(|(name, _)| *name != "attributes") {
        let (column, field) = column(kind, name)?;
        if field.kind == Kind::Id {
            return Err(Problem::new("INVALID_FIELD", "The Id field should not be specified in the sobject data."));
        }
        let writable = if write == Write::Create { field.createable } else { field.updateable };
        if !writable {
            return Err(read_only(field));
        }
        values.push((column, value(field, json, tables)?));
    }
    Ok(values)
}

fn read_only(field: &Field) -> Problem {
    Problem::new(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        format!(
            "Unable to create/update fields: {}. Please check the security settings of this field and verify that it \
             is read/write for your profile or permission set.",
            field.name
        ),
    )
    .on(field.name)
}

/// One value. Null empties a field, except where it must not be empty.
fn value(field: &Field, json: &Json, tables: &Tables) -> Result<Value, Problem> {
    let text = match json {
        Json::Null if field.kind == Kind::Boolean => return Err(wrong_type(field, "null")),
        Json::Null => return Ok(Value::Null),
        Json::Bool(it) if field.kind == Kind::Boolean => return Ok(Value::Bool(*it)),
        Json::String(text) => text.trim_end_matches(' ').to_owned(),
        Json::Number(number) if field.length > 0 => number.to_string(),
        Json::Number(number) if field.kind == Kind::Int => number.to_string(),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            return Err(wrong_type(field, &json.to_string()));
        }
    };
    if text.is_empty() && field.kind != Kind::Boolean {
        return Ok(Value::Null);
    }
    match field.kind {
        Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        Kind::Boolean => Err(wrong_type(field, &text)),
        Kind::Int => text.parse().map(Value::Int).map_err(|_| wrong_type(field, &text)),
        Kind::DateTime => time::parse(&text).map(Value::Time).ok_or_else(|| wrong_type(field, &text)),
        Kind::Id => Err(read_only(field)),
        Kind::Reference { to, .. } => reference(field, to, &text, tables),
        Kind::Picklist(choices) => picklist(field, choices, text),
        Kind::Email => {
            let text = fits(field, text)?.to_lowercase();
            if is_email(&text) { Ok(Value::text(text)) } else { Err(bad_email(field, &text)) }
        }
        Kind::Outside | Kind::Phone | Kind::Text | Kind::TextArea | Kind::Url => fits(field, text).map(Value::text),
    }
}

fn fits(field: &Field, text: String) -> Result<String, Problem> {
    let max = usize::from(field.length);
    if text.chars().count() <= max {
        return Ok(text);
    }
    let message = format!("{}: data value too large: {text} (max length={max})", field.label);
    Err(Problem::new("STRING_TOO_LONG", message).on(field.name))
}

fn picklist(field: &Field, choices: Choices, text: String) -> Result<Value, Problem> {
    if choices.iter().any(|(value, _)| *value == text) {
        return Ok(Value::text(text));
    }
    let message = format!("{}: bad value for restricted picklist field: {text}", field.label);
    Err(Problem::new("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message).on(field.name))
}

fn reference(field: &Field, to: ObjectKind, text: &str, tables: &Tables) -> Result<Value, Problem> {
    let id = RecordId::parse(text).filter(|it| it.has_prefix(to.object().prefix)).ok_or_else(|| {
        let message = format!("{}: id value of incorrect type: {text}", field.label);
        Problem::new("MALFORMED_ID", message).on(field.name)
    })?;
    if tables.of(to).get(id).is_some() {
        Ok(Value::Id(id))
    } else {
        Err(Problem::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id").on(field.name))
    }
}

fn wrong_type(field: &Field, text: &str) -> Problem {
    let message = format!("{}: value not of required type: {text}", field.label);
    Problem::new("INVALID_TYPE_ON_FIELD_IN_RECORD", message).on(field.name)
}

/// The refusal of something that does not look like an e-mail address.
pub(crate) fn bad_email(field: &Field, text: &str) -> Problem {
    let message = format!("{}: invalid email address: {text}", field.label);
    Problem::new("INVALID_EMAIL_ADDRESS", message).on(field.name)
}

/// `local@domain.tld`, in the characters the service takes for usernames and e-mails.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let in_local = |c: char| c.is_ascii_alphanumeric() || "._-+'!#$%&*/=?^`{|}~".contains(c);
    let in_domain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let labels: Vec<&str> = domain.split('.').collect();
    !local.is_empty()
        && local.chars().all(in_local)
        && labels.len() > 1
        && labels.iter().all(|it| !it.is_empty() && it.chars().all(in_domain))
}

/// Which required fields a record about to be made or changed would leave empty.
pub(crate) fn missing(kind: ObjectKind, is_empty: impl Fn(usize) -> bool) -> Option<Problem> {
    let fields = kind.object().fields.iter().enumerate();
    let missing: Vec<&'static str> = fields
        .filter(|(column, field)| field.presence == Presence::Required && is_empty(*column))
        .map(|(_, field)| field.name)
        .collect();
    if missing.is_empty() {
        return None;
    }
    let message = format!("Required fields are missing: [{}]", missing.join(", "));
    let mut problem = Problem::new("REQUIRED_FIELD_MISSING", message);
    problem.fields = missing;
    Some(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(name: &str, json: Json) -> Problem {
        let record = Map::from_iter([(name.to_owned(), json)]);
        read(ObjectKind::User, &record, Write::Update, &Tables::default()).unwrap_err()
    }

    fn taken(name: &str, json: Json) -> Value {
        let record = Map::from_iter([(name.to_owned(), json)]);
        read(ObjectKind::User, &record, Write::Update, &Tables::default()).unwrap().remove(0).1
    }

    #[test]
    fn what_a_field_does_not_take_is_refused_with_its_code() {
        let long = refused("Alias", json!("waytoolongalias"));
        assert_eq!(long.message, "Alias: data value too large: waytoolongalias (max length=8)");
        assert_eq!((long.code.as_ref(), long.fields), ("STRING_TOO_LONG", vec!["Alias"]));
        let zone = refused("TimeZoneSidKey", json!("Mars/Olympus"));
        assert_eq!(zone.message, "Time Zone: bad value for restricted picklist field: Mars/Olympus");
        let active = refused("IsActive", json!("maybe"));
        assert_eq!(active.message, "Active: value not of required type: maybe");
        assert_eq!(refused("Email", json!("foo")).message, "Email: invalid email address: foo");
        assert_eq!(refused("foo", json!(1)).message, "No such column 'foo' on sobject of type User");
        assert_eq!(refused("CreatedDate", json!("x")).code, "INVALID_FIELD_FOR_INSERT_UPDATE");
        assert_eq!(refused("ProfileId", json!("001900K0001pPuO")).code, "MALFORMED_ID");
        assert_eq!(refused("ProfileId", json!("00e900K0001pPuO")).code, "INVALID_CROSS_REFERENCE_KEY");
        assert_eq!(refused("IsActive", Json::Null).code, "INVALID_TYPE_ON_FIELD_IN_RECORD");
    }

    #[test]
    fn values_are_stored_as_the_service_reads_them_back() {
        assert_eq!(taken("email", json!("Chloe.Myers@Example.com")), Value::text("chloe.myers@example.com"));
        assert_eq!(taken("Title", json!("")), Value::Null);
        assert_eq!(taken("isactive", json!("TRUE")), Value::Bool(true));
        assert_eq!(taken("EmployeeNumber", json!(17)), Value::text("17"));
    }

    #[test]
    fn usernames_look_like_mail_addresses() {
        assert!(is_email("joe.o'neil+x@example.com.uat"));
        for bad in ["joe", "joe@", "@example.com", "joe@example", "a b@example.com", "joe@ex..com", "jöe@example.com"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
