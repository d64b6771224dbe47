//! The requests of exports, from the command line.

use postern_protocol::bounded::List;
use postern_protocol::filter::{Attribute, Filter};
use postern_protocol::plain;
use postern_protocol::task::export::{Content, DateFormat, DayPattern, Delta, Request, TimePattern};
use postern_protocol::task::{collect, describe_schema};

use super::Failed;
use super::option::{text, wrong};
use crate::cli::{Collect, DescribeSchema, Export};

/// The request that these options describe.
pub(super) fn read_export(options: &Export) -> Result<Request, Failed> {
    let filter: Option<Filter> = options
        .filter
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| wrong("filter", plain::json(&error)))?;
    let dates = options.dates.iter().map(|text| date(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(Request {
        object: text("object", &options.object)?,
        attributes: names("attributes", &options.attributes)?,
        mandatory: names("mandatory", &options.mandatory)?,
        filter,
        clause: text("clause", options.clause.as_deref().unwrap_or_default())?,
        format: options.format.into(),
        dates: List::new(dates).map_err(|error| wrong("date", error))?,
        size_hint: options.size_hint,
        content: if options.change_log { Content::ChangeLog } else { Content::Records }.into(),
        delta: options.delta.as_deref().map(|cursor| delta(options, cursor)).transpose()?,
    })
}

/// The request of a collection that these options describe.
pub(super) fn read_collect(options: &Collect) -> Result<collect::Request, Failed> {
    let (name, user_status) = (text("name", &options.name)?, options.user_status.into());
    Ok(collect::Request { name, user_status, logins: options.logins })
}

/// The request for a schema that these options describe.
pub(super) fn read_describe_schema(options: &DescribeSchema) -> Result<describe_schema::Request, Failed> {
    let objects = options.objects.iter().map(|name| text("object", name)).collect::<Result<Vec<_>, _>>()?;
    let add = options.add.iter().map(|name| text("add", name)).collect::<Result<Vec<_>, _>>()?;
    Ok(describe_schema::Request {
        objects: List::new(objects).map_err(|error| wrong("object", error))?,
        add: List::new(add).map_err(|error| wrong("add", error))?,
        custom: options.custom,
    })
}

fn names<const MAX: usize>(option: &str, names: &[String]) -> Result<List<Attribute, MAX>, Failed> {
    let names = names.iter().map(|name| text(option, name.trim())).collect::<Result<Vec<_>, _>>()?;
    List::new(names).map_err(|error| wrong(option, error))
}

fn delta(options: &Export, cursor: &str) -> Result<Delta, Failed> {
    let incidental = options.incidental.as_deref().map(|names| {
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        self::names("incidental", &names.collect::<Vec<_>>())
    });
    Ok(Delta {
        cursor: text("delta", cursor)?,
        mode: options.delta_mode.into(),
        restart: options.restart,
        incidental: incidental.transpose()?,
    })
}

fn date(value: &str) -> Result<DateFormat, Failed> {
    let parts = value.split_once('=').and_then(|(name, format)| Some((name, format.split_once(':')?)));
    let (name, (day, time)) =
        parts.ok_or_else(|| wrong("date", format!("`{value}` is not of the form NAME=DAY:TIME")))?;
    let day: DayPattern = day.parse().map_err(|error| wrong("date", error))?;
    let time: TimePattern = time.parse().map_err(|error| wrong("date", error))?;
    Ok(DateFormat { attribute: text("date", name)?, day: day.into(), time: time.into() })
}
