//! Reading, making and changing one record; collections do it for many.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::call::Call;
use crate::http::reply::Reply;
use crate::id::RecordId;
use crate::org::user_write::Written;
use crate::org::{login_write, record_write, user_write};
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::soql::{plan, render};
use crate::world::{Caller, World};

#[derive(Serialize)]
struct Created {
    id: String,
    success: bool,
    errors: [u8; 0],
}

/// `POST sobjects/{object}`.
pub(crate) fn create(world: &mut World, call: &Call<'_>, kind: ObjectKind) -> Reply {
    world.tally.route(if kind == ObjectKind::User { "POST sobjects/User" } else { "POST sobjects/{object}" });
    let record = match call.object() {
        Ok(record) => record,
        Err(reply) => return reply,
    };
    match create_one(world, call.caller(), kind, &record) {
        Ok(id) => {
            let location = format!("/services/data/v{}/sobjects/{}/{id}", call.version, kind.object().name);
            Reply::json(201, &Created { id: id.to_string(), success: true, errors: [] }).with("location", location)
        }
        Err(problem) => refusal(&problem),
    }
}

/// `PATCH sobjects/{object}/{id}`.
pub(crate) fn update(world: &mut World, call: &Call<'_>, kind: ObjectKind, id: &str) -> Reply {
    world.tally.route(if kind == ObjectKind::User {
        "PATCH sobjects/User"
    } else if kind == ObjectKind::UserLogin {
        "PATCH sobjects/UserLogin"
    } else {
        "PATCH sobjects/{object}"
    });
    let (id, record) = match (find(world, call.caller(), kind, id), call.object()) {
        (Ok(id), Ok(record)) => (id, record),
        (Err(reply), _) | (_, Err(reply)) => return reply,
    };
    match update_one(world, call.caller(), kind, id, &record) {
        Ok(()) => Reply::empty(204),
        Err(problem) => refusal(&problem),
    }
}

/// `GET sobjects/{object}/{id}`, all fields or those asked for.
pub(crate) fn read(world: &mut World, call: &Call<'_>, kind: ObjectKind, id: &str) -> Reply {
    world.tally.route(if kind == ObjectKind::User { "GET sobjects/User" } else { "GET sobjects/{object}/{id}" });
    let now = world.now();
    world.org_mut(call.caller().org).open_expired_locks(now);
    let id = match find(world, call.caller(), kind, id) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let mut out = String::new();
    match record_json(world, call, kind, id, call.parameter("fields").as_deref(), &mut out) {
        Ok(()) => Reply::raw_json(200, out),
        Err(problem) => refusal(&problem),
    }
}

/// `DELETE sobjects/{object}/{id}`; users cannot be deleted.
pub(crate) fn delete(world: &mut World, call: &Call<'_>, kind: ObjectKind, id: &str) -> Reply {
    world.tally.route("DELETE sobjects/{object}");
    let Some(id) = RecordId::parse(id).filter(|it| it.has_prefix(kind.object().prefix)) else {
        return super::not_found();
    };
    if !kind.object().deletable {
        return Reply::problem(world.assumptions.delete_user_status, &not_deletable(world, kind));
    }
    match delete_one(world, call.caller(), kind, id) {
        Ok(()) => Reply::empty(204),
        Err(problem) if problem.code == "INVALID_CROSS_REFERENCE_KEY" => super::not_found(),
        Err(problem) => refusal(&problem),
    }
}

fn not_deletable(world: &World, kind: ObjectKind) -> Problem {
    let text = format!("entity type {} does not support delete", kind.object().name);
    Problem::new(world.assumptions.delete_user_code.clone(), text)
}

/// Appends a record of which only some fields may be wanted.
pub(crate) fn record_json(
    world: &World,
    call: &Call<'_>,
    kind: ObjectKind,
    id: RecordId,
    fields: Option<&str>,
    out: &mut String,
) -> Result<(), Problem> {
    let tables = &world.org(call.caller().org).tables;
    let Some(row) = tables.of(kind).get(id) else {
        return Err(Problem::new("NOT_FOUND", "The requested resource does not exist"));
    };
    let Some(fields) = fields else {
        render::whole(out, call.version, kind, row);
        return Ok(());
    };
    let object = kind.object();
    let nodes = fields
        .split(',')
        .map(str::trim)
        .map(|name| {
            let (column, field) = object.column(name).ok_or_else(|| {
                Problem::new("INVALID_FIELD", format!("No such column '{name}' on sobject of type {}", object.name))
            })?;
            Ok(plan::Node::Field { column, name: field.name })
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    render::record(out, call.version, kind, &nodes, row, tables);
    Ok(())
}

/// Makes one record and counts it.
pub(crate) fn create_one(
    world: &mut World,
    caller: Caller,
    kind: ObjectKind,
    record: &Map<String, Json>,
) -> Result<RecordId, Problem> {
    if !kind.object().createable {
        return Err(not_supported(kind, "insert"));
    }
    check_rights(world, caller, None)?;
    check_writable(world, None)?;
    if kind != ObjectKind::User {
        return record_write::create(world, caller, kind, record);
    }
    let written = user_write::create(world, caller, record)?;
    world.tally.user(written.id).creates += 1;
    Ok(written.id)
}

/// Changes one record and counts it.
pub(crate) fn update_one(
    world: &mut World,
    caller: Caller,
    kind: ObjectKind,
    id: RecordId,
    record: &Map<String, Json>,
) -> Result<(), Problem> {
    match kind {
        ObjectKind::User => {
            check_rights(world, caller, Some(id))?;
            check_writable(world, Some(id))?;
            let written = user_write::update(world, caller, id, record)?;
            count_update(world, written);
            Ok(())
        }
        ObjectKind::UserLogin => {
            check_rights(world, caller, None)?;
            check_writable(world, Some(id))?;
            let written = login_write::update(world, caller, id, record)?;
            let effects = world.tally.user(written.user);
            effects.freezes += u64::from(written.frozen == Some(true));
            effects.unfreezes += u64::from(written.frozen == Some(false));
            effects.unlocks += u64::from(written.unlocked);
            Ok(())
        }
        ObjectKind::Group => {
            check_rights(world, caller, None)?;
            check_writable(world, Some(id))?;
            record_write::update(world, caller, kind, id, record)
        }
        ObjectKind::GroupMember
        | ObjectKind::LoginHistory
        | ObjectKind::Organization
        | ObjectKind::PermissionSet
        | ObjectKind::PermissionSetAssignment
        | ObjectKind::Profile
        | ObjectKind::UserDevice
        | ObjectKind::UserLicense
        | ObjectKind::UserPermissionAccess
        | ObjectKind::UserRole => Err(not_supported(kind, "update")),
    }
}

/// Changes the record whose id stands among its own fields, as collections and bulk jobs name it.
pub(crate) fn update_named(
    world: &mut World,
    caller: Caller,
    kind: ObjectKind,
    id: Option<&str>,
    record: &Map<String, Json>,
) -> Result<RecordId, Problem> {
    let id = named(kind, id, "an update")?;
    update_one(world, caller, kind, id, record)?;
    Ok(id)
}

/// Deletes the record with this id, as bulk jobs name it.
pub(crate) fn delete_named(
    world: &mut World,
    caller: Caller,
    kind: ObjectKind,
    id: Option<&str>,
) -> Result<RecordId, Problem> {
    let id = named(kind, id, "a delete")?;
    delete_one(world, caller, kind, id)?;
    Ok(id)
}

/// Deletes one record.
pub(crate) fn delete_one(world: &mut World, caller: Caller, kind: ObjectKind, id: RecordId) -> Result<(), Problem> {
    if !kind.object().deletable {
        return Err(not_deletable(world, kind));
    }
    check_rights(world, caller, None)?;
    check_writable(world, Some(id))?;
    record_write::delete(world, caller, kind, id)
}

fn named(kind: ObjectKind, id: Option<&str>, operation: &str) -> Result<RecordId, Problem> {
    let Some(text) = id else {
        let text = format!("Id not specified in {operation} call");
        return Err(Problem::new("MISSING_ARGUMENT", text).on("Id"));
    };
    RecordId::parse(text).filter(|it| it.has_prefix(kind.object().prefix)).ok_or_else(|| malformed_id(kind, text))
}

fn malformed_id(kind: ObjectKind, text: &str) -> Problem {
    let message = format!("{} ID: id value of incorrect type: {text}", kind.object().label);
    Problem::new("MALFORMED_ID", message).on("Id")
}

fn count_update(world: &mut World, written: Written) {
    let effects = world.tally.user(written.id);
    effects.updates += 1;
    effects.activations += u64::from(written.asked_active == Some(true));
    effects.deactivations += u64::from(written.asked_active == Some(false));
    effects.flips += u64::from(written.flipped);
}

fn not_supported(kind: ObjectKind, operation: &str) -> Problem {
    let text = format!("entity type {} does not support {operation}", kind.object().name);
    Problem::new("INVALID_TYPE_FOR_OPERATION", text)
}

/// Users change themselves; others only with Manage Users.
fn check_rights(world: &World, caller: Caller, id: Option<RecordId>) -> Result<(), Problem> {
    if id == Some(caller.user) || world.org(caller.org).may_manage_users(caller.user) {
        return Ok(());
    }
    Err(Problem::new("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"))
}

/// Whether a record can be written now: the org is not read-only, and nobody else is at the row.
fn check_writable(world: &mut World, id: Option<RecordId>) -> Result<(), Problem> {
    check_read_only(world)?;
    if !world.faults.take_locked_row() {
        return Ok(());
    }
    let id = id.map(|it| it.to_string()).unwrap_or_default();
    let text = format!("unable to obtain exclusive access to this record or 1 records: {id}");
    Err(Problem::new("UNABLE_TO_LOCK_ROW", text))
}

/// A read-only org refuses each record, not the call.
pub(crate) fn check_read_only(world: &mut World) -> Result<(), Problem> {
    if !world.faults.is_read_only() {
        return Ok(());
    }
    let code = "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE";
    Err(Problem::new(code, "Updates can't be made during maintenance"))
}

/// The record a path names, or the reply that says why there is none.
pub(crate) fn find(world: &World, caller: Caller, kind: ObjectKind, id: &str) -> Result<RecordId, Reply> {
    let object = kind.object();
    let Some(parsed) = RecordId::parse(id) else {
        let text = format!("Provided external ID field does not exist or is not accessible: {id}");
        return Err(Reply::problem(404, &Problem::new("NOT_FOUND", text)));
    };
    if !parsed.has_prefix(object.prefix) {
        return Err(Reply::problem(400, &malformed_id(kind, id)));
    }
    if world.org(caller.org).tables.of(kind).get(parsed).is_none() {
        return Err(super::not_found());
    }
    Ok(parsed)
}

/// The reply for a refused single record.
pub(crate) fn refusal(problem: &Problem) -> Reply {
    let status = match problem.code.as_ref() {
        "NOT_FOUND" | "ENTITY_IS_DELETED" => 404,
        "INSUFFICIENT_ACCESS" | "INSUFFICIENT_ACCESS_OR_READONLY" => 403,
        _ => 400,
    };
    Reply::problem(status, problem)
}
