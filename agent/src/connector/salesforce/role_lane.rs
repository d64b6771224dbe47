//! Which writes Salesforce makes behind a lock on roles and groups.
//!
//! It works out anew who sees whose records when somebody's role, activity or memberships change, and keeps others out
//! of roles and groups meanwhile. Two such writes at once meet as `UNABLE_TO_LOCK_ROW`, so one goes after the other.

use serde_json::Value as Json;

/// What is known of the role of the user whose record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It has none, or does not exist yet.
    None,
    /// It has one, or nobody looked.
    Perhaps,
}

/// Whether a write of these fields of a record takes the lane.
pub(super) fn takes_lane<'a>(object: &str, role: Role, fields: impl IntoIterator<Item = &'a str>) -> bool {
    match object {
        "User" => fields.into_iter().any(|field| match field {
            "UserRoleId" => true,
            // Without a role, nobody sees anything through a user.
            "IsActive" => role == Role::Perhaps,
            _ => false,
        }),
        "GroupMember" | "PermissionSetAssignment" => true,
        _ => false,
    }
}

/// Whether a call for many records does. Those of users that exist have an id, and nobody says which role.
pub(super) fn one_takes_lane(records: &Json) -> bool {
    let records = records.as_array().map(Vec::as_slice).unwrap_or_default();
    records.iter().filter_map(Json::as_object).any(|record| {
        let object = record.get("attributes").and_then(|it| it.get("type")).and_then(Json::as_str);
        let role = if record.contains_key("Id") { Role::Perhaps } else { Role::None };
        takes_lane(object.unwrap_or_default(), role, record.keys().map(String::as_str))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_memberships_and_the_activity_of_users_with_a_role_take_the_lane_and_nothing_else() {
        for (object, role, fields, expected) in [
            ("User", Role::None, &["Title", "UserRoleId"][..], true),
            ("User", Role::Perhaps, &["IsActive"], true),
            ("User", Role::None, &["IsActive"], false),
            ("User", Role::Perhaps, &["Title", "ProfileId", "Username", "Email", "ManagerId"], false),
            ("UserLogin", Role::Perhaps, &["IsFrozen"], false),
            ("GroupMember", Role::None, &["GroupId", "UserOrGroupId"], true),
            ("PermissionSetAssignment", Role::None, &["AssigneeId", "PermissionSetId"], true),
        ] {
            assert_eq!(takes_lane(object, role, fields.iter().copied()), expected, "{object} {role:?} {fields:?}");
        }
    }

    #[test]
    fn one_record_is_enough_and_a_new_user_without_a_role_is_none() {
        let user = json!({ "type": "User" });
        let (titled, new) = (
            json!({ "attributes": user, "Id": "005", "Title": "x" }),
            json!({ "attributes": user, "Username": "a@b.c", "IsActive": true }),
        );
        let disabled = json!({ "attributes": user, "Id": "005", "IsActive": false });
        assert!(!one_takes_lane(&json!([titled, new])));
        assert!(one_takes_lane(&json!([titled, new, disabled])));
        assert!(one_takes_lane(&json!([{ "attributes": { "type": "GroupMember" }, "GroupId": "00G" }])));
    }
}
