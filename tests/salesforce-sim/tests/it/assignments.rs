//! What belongs to users: permission sets, groups, devices, and the tables users refer to.

use std::time::Duration;

use salesforce_sim::{DeviceSeed, OrgSeed, UserSeed};
use serde_json::json;

use crate::client::{Caller, admin, caller, form_encode, simulator, with_org};

async fn permission_set(caller: &Caller, name: &str) -> String {
    caller.one(&format!("SELECT Id FROM PermissionSet WHERE Name = '{name}'"), "Id").await
}

#[tokio::test]
async fn a_permission_set_is_given_once_and_taken_away() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let user = caller.id_of("user0001@acme.example").await;
    let assignment = json!({"AssigneeId": user, "PermissionSetId": permission_set(&caller, "Report_Builder").await});

    let given = caller.post("sobjects/PermissionSetAssignment", &assignment).await;
    let twice = caller.post("sobjects/PermissionSetAssignment", &assignment).await;
    let soql = "SELECT PermissionSet.Label, Assignee.Username, IsActive FROM PermissionSetAssignment";
    let row = caller.query(soql).await.json["records"][0].clone();
    let resource = format!("sobjects/PermissionSetAssignment/{}", given.json["id"].as_str().unwrap());
    let changed = caller.patch(&resource, &assignment).await;
    let taken = caller.delete(&resource).await;
    let again = caller.delete(&resource).await;

    assert!(given.json["id"].as_str().unwrap().starts_with("0Pa"), "{}", given.text);
    assert_eq!((twice.status.as_u16(), twice.code()), (400, "DUPLICATE_VALUE"));
    assert!(twice.message().starts_with("Duplicate PermissionSetAssignment. Assignee: 005"), "{}", twice.text);
    assert_eq!((&row["PermissionSet"]["Label"], &row["IsActive"]), (&json!("Report Builder"), &json!(true)));
    assert_eq!(row["Assignee"]["Username"], "user0001@acme.example");
    assert_eq!((changed.code(), taken.status.as_u16()), ("INVALID_TYPE_FOR_OPERATION", 204));
    assert_eq!((again.status.as_u16(), again.code()), (404, "ENTITY_IS_DELETED"));
    assert_eq!(caller.query("SELECT COUNT() FROM PermissionSetAssignment").await.json["totalSize"], 0);
}

#[tokio::test]
async fn an_assignment_must_fit() {
    let mut org = OrgSeed::acme(0);
    org.users.push(UserSeed {
        username: "chat@acme.example".to_owned(),
        profile: "Chatter Free User".to_owned(),
        password: Some("Chat-Chat-1".into()),
        ..UserSeed::default()
    });
    let simulator = with_org(org).await;
    let admin = admin(&simulator).await;
    let user = admin.id_of("chat@acme.example").await;
    let set = permission_set(&admin, "Sales_Console").await;
    let unfit =
        admin.post("sobjects/PermissionSetAssignment", &json!({"AssigneeId": user, "PermissionSetId": set})).await;
    let unknown = json!({"AssigneeId": "0055g0000000zzz", "PermissionSetId": set});
    let unknown = admin.post("sobjects/PermissionSetAssignment", &unknown).await;
    let missing = admin.post("sobjects/PermissionSetAssignment", &json!({"AssigneeId": user})).await;
    let other = caller(&simulator, "chat@acme.example", "Chat-Chat-1").await;
    let no_right = other.post("sobjects/PermissionSetAssignment", &json!({})).await;

    assert_eq!((unfit.code(), &unfit.json[0]["fields"]), ("FIELD_INTEGRITY_EXCEPTION", &json!(["PermissionSetId"])));
    assert_eq!(unknown.code(), "INVALID_CROSS_REFERENCE_KEY");
    assert_eq!(missing.message(), "Required fields are missing: [PermissionSetId]");
    assert_eq!((no_right.status.as_u16(), no_right.code()), (403, "INSUFFICIENT_ACCESS_OR_READONLY"));
}

#[tokio::test]
async fn groups_have_members_and_go_with_them() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let user = caller.id_of("user0001@acme.example").await;
    let made = caller.post("sobjects/Group", &json!({"Name": "Sellers", "DeveloperName": "Sellers"})).await;
    let group = made.json["id"].as_str().unwrap().to_owned();
    let clash = caller.post("sobjects/Group", &json!({"Name": "Other", "DeveloperName": "sellers"})).await;
    let same = caller.post("sobjects/Group", &json!({"Name": "Other", "DeveloperName": "Sellers"})).await;

    let member = json!({"GroupId": group, "UserOrGroupId": user});
    let joined = caller.post("sobjects/GroupMember", &member).await;
    let twice = caller.post("sobjects/GroupMember", &member).await;
    let renamed = caller.patch(&format!("sobjects/Group/{group}"), &json!({"Name": "All Sellers"})).await;
    let soql = "SELECT Group.Name, Group.Type FROM GroupMember WHERE UserOrGroup.Username = 'user0001@acme.example'";
    let row = caller.query(soql).await.json["records"][0].clone();
    simulator.advance(Duration::from_secs(600));
    let deleted = caller.delete(&format!("sobjects/Group/{group}")).await;

    assert_eq!((clash.status.as_u16(), same.code()), (201, "DUPLICATE_DEVELOPER_NAME"));
    assert_eq!((joined.status.as_u16(), twice.code()), (201, "DUPLICATE_VALUE"));
    assert_eq!((renamed.status.as_u16(), deleted.status.as_u16()), (204, 204));
    assert_eq!((&row["Group"]["Name"], &row["Group"]["Type"]), (&json!("All Sellers"), &json!("Regular")));
    assert_eq!(caller.query("SELECT COUNT() FROM GroupMember").await.json["totalSize"], 0);

    // Who replicates by time is told of it once the minute is over.
    let now: jiff::Timestamp =
        format!("{}Z", &simulator.user(salesforce_sim::ADMIN).unwrap().text("SystemModstamp")[..23]).parse().unwrap();
    let at = |minutes: i64| now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap().to_string();
    simulator.advance(Duration::from_secs(60));
    let span = form_encode(&[("start", &at(5)), ("end", &at(60))]);
    let told = caller.get(&format!("sobjects/Group/deleted?{span}")).await;
    assert_eq!(told.json["deletedRecords"][0]["id"], json!(group), "{}", told.text);
}

#[tokio::test]
async fn what_must_work_whole_is_taken_back_for_every_object() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let user = caller.id_of("user0001@acme.example").await;
    let set = permission_set(&caller, "Report_Builder").await;
    let login = caller.one(&format!("SELECT Id FROM UserLogin WHERE UserId = '{user}'"), "Id").await;
    let assignment = json!({
        "attributes": {"type": "PermissionSetAssignment"}, "AssigneeId": user, "PermissionSetId": set,
    });
    let twice = json!({"allOrNone": true, "records": [assignment, assignment]});
    let logins = json!({"allOrNone": true, "records": [
        {"attributes": {"type": "UserLogin"}, "Id": login, "IsFrozen": true},
        {"attributes": {"type": "UserLogin"}, "Id": login, "IsPasswordLocked": true},
    ]});

    let assigned = caller.post("composite/sobjects", &twice).await;
    let frozen = caller.patch("composite/sobjects", &logins).await;
    let made = caller.post("sobjects/PermissionSetAssignment", &assignment).await;
    let id = made.json["id"].as_str().unwrap();
    let deleted = caller.delete(&format!("composite/sobjects?ids={id},{id}&allOrNone=true")).await;

    assert_eq!(assigned.json[1]["errors"][0]["statusCode"], "DUPLICATE_VALUE");
    assert_eq!(frozen.json[1]["errors"][0]["statusCode"], "CANNOT_PASSWORD_LOCKOUT", "{}", frozen.text);
    assert!(!simulator.user("user0001@acme.example").unwrap().frozen);
    assert_eq!(caller.query("SELECT COUNT() FROM UserLogin WHERE IsFrozen = true").await.json["totalSize"], 0);
    assert_eq!(deleted.json[0]["errors"][0]["statusCode"], "ALL_OR_NONE_OPERATION_ROLLED_BACK", "{}", deleted.text);
    assert_eq!(caller.query("SELECT COUNT() FROM PermissionSetAssignment").await.json["totalSize"], 1);
    assert_eq!(caller.delete(&format!("composite/sobjects?ids={id}")).await.json[0]["success"], true);
}

#[tokio::test]
async fn devices_are_seen_by_those_who_may() {
    let mut org = OrgSeed::acme(1);
    org.users[1].devices.push(DeviceSeed {
        name: "Ada's phone".to_owned(),
        kind: "iPhone".to_owned(),
        platform: "iOS".to_owned(),
        browser: Some("Safari".to_owned()),
    });
    let simulator = with_org(org).await;
    let soql = "SELECT User.Username, DeviceType, PlatformType, Status FROM UserDevice";
    let seen = admin(&simulator).await.query(soql).await;
    let hidden = caller(&simulator, "user0001@acme.example", "Welcome-0001").await.query(soql).await;
    let row = &seen.json["records"][0];
    assert_eq!((&row["DeviceType"], &row["PlatformType"]), (&json!("iPhone"), &json!("iOS")));
    assert_eq!(row["User"]["Username"], "user0001@acme.example");
    assert_eq!(hidden.code(), "INVALID_TYPE");
}

#[tokio::test]
async fn roles_and_profiles_have_the_fields_exports_ask_for() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let role = "SELECT CaseAccessForAccountOwner, ForecastUserId, Id, LastModifiedById, LastModifiedDate, Name, \
                OpportunityAccessForAccountOwner, ParentRoleId, RollupDescription, SystemModstamp FROM UserRole";
    let profile = "SELECT CreatedById, CreatedDate, Description, Id, LastModifiedById, Name, PermissionsApiUserOnly, \
                   PermissionsConvertLeads, PermissionsEditActivatedOrders, PermissionsEditOppLineItemUnitPrice, \
                   PermissionsEditPublicDocuments, PermissionsImportLeads, PermissionsInstallMultiforce, \
                   PermissionsManageCases, PermissionsManageCategories, PermissionsManageCssUsers, \
                   PermissionsManageLeads, PermissionsManageSolutions, PermissionsSendSitRequests, \
                   PermissionsTransferAnyLead, PermissionsUseTeamReassignWizards, UserLicenseId, UserType FROM Profile";
    let (role, profile) = (caller.query(role).await, caller.query(profile).await);
    let own = caller.id_of(salesforce_sim::ADMIN).await;
    assert_eq!(role.json["records"][0]["LastModifiedById"], json!(own), "{}", role.text);
    assert_eq!(profile.json["records"][0]["CreatedById"], json!(own), "{}", profile.text);
    // Seven permissions of old are gone, and one of them spoils the whole query.
    assert_eq!(caller.query("SELECT Id, PermissionsViewAgentConsole FROM Profile").await.code(), "INVALID_FIELD");
}

#[tokio::test]
async fn assignments_are_made_and_deleted_in_bulk() {
    let simulator = simulator(2).await;
    let caller = admin(&simulator).await;
    let set = permission_set(&caller, "Report_Builder").await;
    let csv = format!("Assignee.Username,PermissionSetId\nuser0001@acme.example,{set}\nuser0001@acme.example,{set}\n");
    let told = crate::bulk_ingest::run_on(&caller, "PermissionSetAssignment", "insert", &csv).await;
    let id = caller.one("SELECT Id FROM PermissionSetAssignment", "Id").await;
    let gone = crate::bulk_ingest::run_on(&caller, "PermissionSetAssignment", "delete", &format!("Id\n{id}\n")).await;
    assert_eq!((&told["numberRecordsProcessed"], &told["numberRecordsFailed"]), (&json!(2), &json!(1)));
    assert_eq!((&gone["numberRecordsProcessed"], &gone["numberRecordsFailed"]), (&json!(1), &json!(0)));
    assert_eq!(caller.query("SELECT COUNT() FROM PermissionSetAssignment").await.json["totalSize"], 0);
}
