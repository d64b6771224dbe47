//! `updated` and `deleted`: which records of an object changed in a span of time.

use serde_json::json;

use super::call::Call;
use crate::http::reply::Reply;
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::time::{self, DAY};
use crate::value::Value;
use crate::world::World;

const MINUTE: i64 = 60_000;
/// How far back changes are told (published limit).
const UPDATED_DAYS: i64 = 30;
/// How far back deletions are told (published limit).
const DELETED_DAYS: i64 = 15;
/// Ids in one answer (published limit).
const MAX_IDS: usize = 600_000;

/// The minutes asked for, and up to where they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: i64,
    /// What changed in the minute that runs is told when it is over.
    covered: i64,
}

impl Span {
    fn contains(self, at: i64) -> bool {
        (self.start..self.covered).contains(&at)
    }
}

/// `GET sobjects/{object}/updated`: made or changed.
pub(crate) fn updated(world: &mut World, call: &Call<'_>, kind: ObjectKind) -> Reply {
    world.tally.route("GET updated");
    let span = match span(world, call, kind, UPDATED_DAYS) {
        Ok(span) => span,
        Err(problem) => return Reply::problem(400, &problem),
    };
    let Some((stamp, _)) = kind.object().column("SystemModstamp") else { return super::not_found() };
    let rows = world.org(call.caller().org).tables.of(kind).rows().iter();
    let changed = rows.filter(|row| matches!(row.get(stamp), Value::Time(at) if span.contains(*at)));
    let ids: Vec<String> = changed.map(|row| row.id.to_string()).collect();
    if ids.len() > MAX_IDS {
        let text = format!("The number of ids exceeds the limit of {MAX_IDS}. Ask for a shorter span of time.");
        return Reply::problem(400, &Problem::new("EXCEEDED_ID_LIMIT", text));
    }
    Reply::json(200, &json!({"ids": ids, "latestDateCovered": time::format(span.covered)}))
}

/// `GET sobjects/{object}/deleted`.
pub(crate) fn deleted(world: &mut World, call: &Call<'_>, kind: ObjectKind) -> Reply {
    world.tally.route("GET deleted");
    let span = match span(world, call, kind, DELETED_DAYS) {
        Ok(span) => span,
        Err(problem) => return Reply::problem(400, &problem),
    };
    let org = world.org(call.caller().org);
    let gone = org.tables.of(kind).deleted().iter().filter(|(_, at)| span.contains(*at));
    let records: Vec<_> =
        gone.map(|(id, at)| json!({"id": id.to_string(), "deletedDate": time::format(*at)})).collect();
    let earliest = world.now() - DELETED_DAYS * DAY;
    Reply::json(
        200,
        &json!({
            "deletedRecords": records,
            "earliestDateAvailable": time::format(earliest),
            "latestDateCovered": time::format(span.covered),
        }),
    )
}

fn span(world: &World, call: &Call<'_>, kind: ObjectKind, days: i64) -> Result<Span, Problem> {
    let replicateable =
        kind.object().replicateable || kind == ObjectKind::Profile && world.assumptions.profile_replicateable;
    if !replicateable {
        let text = format!("object type {} is not replicateable", kind.object().name);
        return Err(Problem::new("INVALID_TYPE_FOR_OPERATION", text));
    }
    let (start, end) = (minute(call, "start")?, minute(call, "end")?);
    check(start, end, world.now(), days)?;
    Ok(Span { start, covered: end.min(world.now() / MINUTE * MINUTE) })
}

/// A moment of the query string. Its seconds do not count.
fn minute(call: &Call<'_>, name: &str) -> Result<i64, Problem> {
    let Some(text) = call.parameter(name) else {
        return Err(Problem::new("MISSING_ARGUMENT", format!("Required parameter {name} is missing")));
    };
    let at = time::parse(&text);
    let at = at.ok_or_else(|| Problem::new("INVALID_ARGUMENT", format!("{name} is not a date and time: {text}")))?;
    Ok(at.div_euclid(MINUTE) * MINUTE)
}

fn check(start: i64, end: i64, now: i64, days: i64) -> Result<(), Problem> {
    let text = if end <= start {
        "endDate must be at least one minute greater than startDate".to_owned()
    } else if start < (now - days * DAY) / MINUTE * MINUTE {
        format!("startDate cannot be more than {days} days ago")
    } else {
        return Ok(());
    };
    Err(Problem::new("INVALID_REPLICATION_DATE", text))
}
