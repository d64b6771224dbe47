//! Writes that the service makes behind a lock on roles and groups, and how many of them are under way at once.

use std::sync::Arc;

use super::request::Request;
use super::server::Shared;
use crate::api::call::segments;
use crate::id::RecordId;
use crate::schema::user;
use crate::value::Value;
use crate::world::World;

/// One such write, until its answer is ready or its caller is gone.
pub(super) struct RoleWrite(Arc<Shared>);

impl RoleWrite {
    /// Counts it, if it is one.
    pub(super) fn begin(shared: &Arc<Shared>, request: &Request) -> Option<Self> {
        let mut world = shared.world();
        if !is_role_write(&world, request) {
            return None;
        }
        world.role_writes += 1;
        world.tally.role_writes_at_once = world.tally.role_writes_at_once.max(world.role_writes);
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for RoleWrite {
    fn drop(&mut self) {
        self.0.world().role_writes -= 1;
    }
}

fn is_role_write(world: &World, request: &Request) -> bool {
    let path = segments(&request.path);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (method, resource) = (request.method.as_str(), path.get(3..).unwrap_or_default());
    let body = String::from_utf8_lossy(&request.body);
    match (method, resource) {
        ("DELETE", ["composite", "sobjects"] | ["sobjects", "GroupMember" | "PermissionSetAssignment", _]) => true,
        ("POST" | "PATCH", ["composite" | "sobjects", ..]) => {
            let moves = ["UserRoleId", "GroupMember", "PermissionSetAssignment"].iter().any(|it| body.contains(it));
            moves || (method == "PATCH" && body.contains("IsActive") && may_have_role(world, resource))
        }
        _ => false,
    }
}

/// Of a call for many users nobody looks.
fn may_have_role(world: &World, resource: &[&str]) -> bool {
    let ["sobjects", "User", id] = resource else { return true };
    let user = RecordId::parse(id).and_then(|id| world.orgs().iter().find_map(|org| org.user(id)));
    user.is_some_and(|user| *user.get(user::USER_ROLE_ID) != Value::Null)
}
