//! The admin path `/__sim`: faults, switches, counters and a look behind the curtain.

use serde::de::DeserializeOwned;
use serde_json::json;

use super::call::segments;
use crate::counters::Tally;
use crate::fault::Fault;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::http::server::Shared;
use crate::org::birth;
use crate::seed::OrgSeed;
use crate::simulator::{Switches, confirm_email, trust};
use crate::user_view::UserView;

/// Answers a call of the admin path.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Reply {
    let path = segments(&request.path);
    let path: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
    let mut world = shared.world();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", []) => Reply::json(200, &json!({"paths": PATHS})),
        ("GET", ["counters"]) => Reply::json(200, &world.counters()),
        ("DELETE", ["counters"]) => {
            world.tally = Tally::default();
            Reply::empty(204)
        }
        ("GET", ["faults"]) => Reply::json(200, &world.faults.list()),
        ("POST", ["faults"]) => done(read(request).map(|fault: Fault| world.faults.add(fault))),
        ("DELETE", ["faults"]) => {
            world.faults.clear();
            Reply::empty(204)
        }
        ("POST", ["switches"]) => {
            done(read(request).and_then(|it: Switches| it.apply(&mut world).map_err(|error| error.to_string())))
        }
        ("POST", ["orgs"]) => {
            done(read(request).and_then(|it: OrgSeed| birth::add(&mut world, &it).map_err(|error| error.to_string())))
        }
        ("PUT", ["orgs", name, "trusted"]) => done(read(request).and_then(|ranges: Vec<String>| {
            let ranges: Vec<&str> = ranges.iter().map(String::as_str).collect();
            trust(&mut world, name, &ranges).map_err(|error| error.to_string())
        })),
        ("GET", ["users", username]) => match UserView::of(&world, username) {
            Some(view) => Reply::json(200, &view),
            None => Reply::json(404, &json!({"error": format!("there is no user named `{username}` in any org")})),
        },
        ("POST", ["users", username, "confirm-email"]) => {
            done(confirm_email(&mut world, username).map_err(|error| error.to_string()))
        }
        _ => Reply::json(404, &json!({"error": "no such admin call", "paths": PATHS})),
    }
}

const PATHS: &[&str] = &[
    "GET /__sim/counters",
    "DELETE /__sim/counters",
    "GET /__sim/faults",
    "POST /__sim/faults",
    "DELETE /__sim/faults",
    "POST /__sim/switches",
    "POST /__sim/orgs",
    "PUT /__sim/orgs/{name}/trusted",
    "GET /__sim/users/{username}",
    "POST /__sim/users/{username}/confirm-email",
];

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|error| error.to_string())
}

fn done(result: Result<(), String>) -> Reply {
    match result {
        Ok(()) => Reply::empty(204),
        Err(error) => Reply::json(400, &json!({"error": error})),
    }
}
