//! Filters as SOQL conditions.
//!
//! `=` and LIKE escape differently: `\%` is an error after `=`, and a bare `%` matches anything after LIKE. So each has
//! its own encoder, and a value never reaches the other's.

use jiff::Timestamp;
use jiff::civil::Date;
use postern_protocol::filter::{Attribute, Comparison, Condition, Filter, MAX_VALUE, Operand};
use postern_protocol::{Failure, FailureClass};

use super::super::schema::describe::Kind;
use super::super::schema::reach::{Found, Reach};
use super::super::time;
use super::super::user::is_sound_id;
use super::{escape, literal};

/// The condition that `filter` is for records of `object`. Refused here is what Salesforce would refuse.
pub(in super::super) fn encode(filter: &Filter, object: &Reach) -> Result<String, Failure> {
    let mut out = String::new();
    write(filter.condition(), object, Place::Alone, &mut out)?;
    Ok(out)
}

/// Refuses a filter on what records lead to: of those that changed alone, none comes to meet it because another record changes.
pub(in super::super) fn check_of_changes(filter: &Filter) -> Result<(), Failure> {
    let Some(path) = names(filter.condition()).into_iter().find(|name| name.contains('.')) else { return Ok(()) };
    Err(refused(
        path,
        "leads to another record, and a delta would never tell of records that come to match because that one changes; \
         export them without a cursor",
    ))
}

/// The attributes that a condition names.
pub(in super::super) fn names(condition: &Condition) -> Vec<&str> {
    match condition {
        Condition::All(terms) | Condition::Any(terms) => terms.iter().flat_map(names).collect(),
        Condition::Not(term) => names(term),
        Condition::Compare(attribute, _, _) | Condition::In(attribute, _) | Condition::IsNull(attribute) => {
            vec![attribute.as_str()]
        }
    }
}

/// What a condition stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Alone,
    And,
    Or,
    Not,
}

fn write(condition: &Condition, object: &Reach, place: Place, out: &mut String) -> Result<(), Failure> {
    match condition {
        Condition::All(terms) => join(terms, " AND ", Place::And, object, place, out),
        Condition::Any(terms) => join(terms, " OR ", Place::Or, object, place, out),
        Condition::Not(term) => {
            // Salesforce takes a bare NOT at the beginning of a condition only.
            let (before, after) = if place == Place::Alone { ("NOT ", "") } else { ("(NOT ", ")") };
            out.push_str(before);
            write(term, object, Place::Not, out)?;
            out.push_str(after);
            Ok(())
        }
        Condition::IsNull(attribute) => {
            let field = field(attribute, object)?;
            if field.kind() == Kind::Boolean {
                return Err(refused(&field.name, "is true or false, and never without a value"));
            }
            out.push_str(&field.name);
            out.push_str(" = NULL");
            Ok(())
        }
        Condition::In(attribute, values) => {
            let field = field(attribute, object)?;
            out.push_str(&field.name);
            out.push_str(" IN (");
            for (number, value) in values.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                out.push_str(&typed(&field, value)?);
            }
            out.push(')');
            Ok(())
        }
        Condition::Compare(attribute, comparison, value) => {
            out.push_str(&compare(&field(attribute, object)?, *comparison, value)?);
            Ok(())
        }
    }
}

/// AND and OR may be chained but not mixed, and NOT takes one condition: those are the places of parentheses.
fn join(
    terms: &[Condition],
    word: &str,
    inside: Place,
    object: &Reach,
    place: Place,
    out: &mut String,
) -> Result<(), Failure> {
    if let [only] = terms {
        return write(only, object, place, out);
    }
    let enclosed = place != Place::Alone && place != inside;
    if enclosed {
        out.push('(');
    }
    for (number, term) in terms.iter().enumerate() {
        if number > 0 {
            out.push_str(word);
        }
        write(term, object, inside, out)?;
    }
    if enclosed {
        out.push(')');
    }
    Ok(())
}

fn compare(field: &Found<'_>, comparison: Comparison, value: &Operand) -> Result<String, Failure> {
    let name = &field.name;
    let sign = match comparison {
        Comparison::Equals => "=",
        Comparison::NotEquals => "!=",
        Comparison::Less => "<",
        Comparison::Greater => ">",
        Comparison::LessOrEqual => "<=",
        Comparison::GreaterOrEqual => ">=",
        Comparison::StartsWith => return like(field, "", value, "%"),
        Comparison::EndsWith => return like(field, "%", value, ""),
        Comparison::Contains => return like(field, "%", value, "%"),
    };
    let is_ordering = !matches!(comparison, Comparison::Equals | Comparison::NotEquals);
    if is_ordering && matches!(field.kind(), Kind::Boolean | Kind::MultiPicklist) {
        return Err(refused(&field.name, "has no order, so it cannot be less or greater"));
    }
    Ok(format!("{name} {sign} {}", typed(field, value)?))
}

/// `%` and `_` are wildcards after LIKE only, and are escaped there only, after everything else.
fn like(field: &Found<'_>, before: &str, value: &Operand, after: &str) -> Result<String, Failure> {
    if field.kind() != Kind::Text {
        return Err(refused(&field.name, "is no text, so it cannot be searched for a part"));
    }
    if before.len() + value.chars().count() + after.len() > MAX_VALUE {
        return Err(refused(&field.name, "is searched for a text that leaves no room for the wildcards around it"));
    }
    let pattern = escape(value).replace('%', "\\%").replace('_', "\\_");
    Ok(format!("{} LIKE '{before}{pattern}{after}'", field.name))
}

/// The value as a literal of the field's type.
fn typed(field: &Found<'_>, value: &Operand) -> Result<String, Failure> {
    let text = value.trim();
    let written = match field.kind() {
        Kind::Text | Kind::MultiPicklist => Some(literal(value)),
        Kind::Id => is_sound_id(text).then(|| literal(text)),
        Kind::Boolean => text.to_ascii_lowercase().parse().ok().map(|truth: bool| truth.to_string()),
        Kind::Int => text.parse().ok().map(|number: i64| number.to_string()),
        Kind::Double => is_decimal(text).then(|| text.to_owned()),
        Kind::Date => time::parse_day(text).map(|day| day.to_string()),
        Kind::DateTime => moment(text).map(|moment| super::moment(&moment)),
        Kind::Address | Kind::Base64 => None,
    };
    written.ok_or_else(|| {
        let wanted = match field.kind() {
            Kind::Id => "an id as Salesforce writes it, of 15 characters or of 18 with those that check them",
            Kind::Boolean => "`true` or `false`",
            Kind::Int => "a whole number",
            Kind::Double => "a number",
            Kind::Date => "a day like 2026-11-22",
            Kind::DateTime => "a moment like 2026-11-22T10:00:00Z, or a day like 2026-11-22",
            Kind::Text | Kind::MultiPicklist | Kind::Address | Kind::Base64 => "a text",
        };
        refused(&field.name, &format!("is compared with {wanted}"))
    })
}

/// A moment, or the beginning of a day in UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let day = || text.parse::<Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(|| time::parse(text)).or_else(day).filter(time::has_plain_year)
}

/// Digits, with one sign before and one point within: what Rust reads as a number is more than SOQL does.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, part].iter().all(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
}

fn field<'a>(attribute: &Attribute, object: &'a Reach) -> Result<Found<'a>, Failure> {
    let Some(field) = object.find(attribute) else {
        let summary = format!("The filter names `{attribute}`, which {} of this org does not have", object.object.name);
        return Err(Failure::new(FailureClass::Rejected, "filter_unknown_attribute", summary)
            .with_next_step("Correct the name; custom fields end with `__c`. Without it the filter would mean more"));
    };
    if !field.field.filterable {
        return Err(refused(&field.name, "cannot be filtered by in Salesforce"));
    }
    Ok(field)
}

fn refused(name: &str, why: &str) -> Failure {
    Failure::new(FailureClass::Rejected, "filter_refused", format!("The filter cannot be used: {name} {why}"))
        .with_next_step("Correct the filter and submit the task again")
}

#[cfg(test)]
mod tests;
