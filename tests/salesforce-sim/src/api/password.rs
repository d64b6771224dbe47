//! The password of a user: its state, setting it, resetting it.

use serde_json::{Value as Json, json};

use super::call::Call;
use super::records;
use crate::http::reply::Reply;
use crate::id::RecordId;
use crate::problem::Problem;
use crate::schema::ObjectKind;
use crate::world::{Caller, World};

/// Length of the temporary passwords a reset makes.
const TEMPORARY: usize = 9;

/// Whether a call is about the caller's own password, which an expired password allows.
pub(crate) fn is_own(call: &Call<'_>, resource: &[&str]) -> bool {
    match resource {
        ["sobjects", name, id, "password"] => {
            name.eq_ignore_ascii_case("User") && RecordId::parse(id) == Some(call.caller().user)
        }
        _ => false,
    }
}

/// Answers a call on `sobjects/User/{id}/password`.
pub(crate) fn handle(world: &mut World, call: &Call<'_>, id: &str) -> Reply {
    let (caller, id) = match records::find(world, call.caller(), ObjectKind::User, id) {
        Ok(id) => (call.caller(), id),
        Err(reply) => return reply,
    };
    if !may_change(world, caller, id) {
        let text = "You do not have permission to view this record.";
        return Reply::problem(403, &Problem::new("INSUFFICIENT_ACCESS", text));
    }
    match call.method {
        "GET" => {
            world.tally.route("GET password");
            let (org, now) = (world.org(caller.org), world.now());
            let expired = org.accounts.get(&id).is_some_and(|it| it.must_change(&org.policy, now));
            Reply::json(200, &json!({"isExpired": expired}))
        }
        "POST" => {
            world.tally.route("POST password");
            match new_password(call) {
                Ok(new) => match set(world, caller, id, &new) {
                    Ok(()) => Reply::empty(204),
                    Err(problem) => Reply::problem(world.assumptions.refused_password_status, &problem),
                },
                Err(reply) => reply,
            }
        }
        "DELETE" => {
            world.tally.route("DELETE password");
            match reset(world, caller, id) {
                Ok(temporary) => Reply::json(200, &json!({"NewPassword": temporary})),
                Err(problem) => Reply::problem(world.assumptions.refused_password_status, &problem),
            }
        }
        method => super::method_not_allowed(method, "DELETE,GET,HEAD,POST"),
    }
}

fn new_password(call: &Call<'_>) -> Result<String, Reply> {
    let object = call.object()?;
    match object.iter().find(|(name, _)| name.eq_ignore_ascii_case("NewPassword")) {
        Some((_, Json::String(new))) => Ok(new.clone()),
        _ => Err(Reply::problem(400, &Problem::new("INVALID_NEW_PASSWORD", "The new password cannot be null"))),
    }
}

/// Users may change their own password, others need Reset User Passwords.
pub(crate) fn may_change(world: &World, caller: Caller, id: RecordId) -> bool {
    caller.user == id || world.org(caller.org).may_manage_users(caller.user)
}

/// Sets a password, for REST and SOAP.
pub(crate) fn set(world: &mut World, caller: Caller, id: RecordId, new: &str) -> Result<(), Problem> {
    world.tally.wanted_passwords.entry(id).or_default().push(new.into());
    records::check_read_only(world)?;
    let (now, token, assumptions) = (world.now(), world.new_token(), world.assumptions.clone());
    world.org_mut(caller.org).set_password(id, new, token, &assumptions, now)?;
    world.sessions.password_changed(id);
    world.tally.user(id).password_sets += 1;
    Ok(())
}

/// Replaces a password by a temporary one and returns it, for REST and SOAP.
pub(crate) fn reset(world: &mut World, caller: Caller, id: RecordId) -> Result<String, Problem> {
    records::check_read_only(world)?;
    let (now, token, assumptions) = (world.now(), world.new_token(), world.assumptions.clone());
    let temporary = world.random_text(TEMPORARY);
    world.org_mut(caller.org).reset_password(id, &temporary, token, &assumptions, now)?;
    world.tally.user(id).password_resets += 1;
    Ok(temporary)
}
