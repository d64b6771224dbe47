//! Making, reading and changing users: every rule with the answer it gives.

use salesforce_sim::{ADMIN, OrgSeed, UserSeed};
use serde_json::json;

use crate::client::{admin, caller, simulator, with_org};

#[tokio::test]
async fn a_user_is_made_and_read_back() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let mut record = caller.new_user("Ann@Example.com").await;
    record["FirstName"] = json!("Ann");

    let made = caller.post("sobjects/User", &record).await;
    let id = made.json["id"].as_str().unwrap().to_owned();
    let read = caller.get(&format!("sobjects/User/{id}?fields=Name,Email,IsActive,CommunityNickname,UserType")).await;

    assert_eq!(made.status, 201);
    assert_eq!(made.text, format!("{{\"id\":\"{id}\",\"success\":true,\"errors\":[]}}"));
    assert_eq!(made.headers["location"], format!("/services/data/v66.0/sobjects/User/{id}"));
    assert_eq!((&read.json["Name"], &read.json["Email"]), (&json!("Ann Newcomer"), &json!("ann@example.com")));
    assert_eq!((&read.json["IsActive"], &read.json["UserType"]), (&json!(true), &json!("Standard")));
    assert!(read.json["CommunityNickname"].as_str().unwrap().starts_with("User"));
    assert!(simulator.user("ann@example.com").unwrap().password.is_none());
}

#[tokio::test]
async fn required_fields_are_all_named() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let mut record = caller.new_user("ann@example.com").await;
    let map = record.as_object_mut().unwrap();
    map.remove("LastName");
    map.insert("Email".to_owned(), json!(""));

    let refused = caller.post("sobjects/User", &record).await;

    assert_eq!((refused.status.as_u16(), refused.code()), (400, "REQUIRED_FIELD_MISSING"));
    assert_eq!(refused.message(), "Required fields are missing: [LastName, Email]");
    assert_eq!(refused.json[0]["fields"], json!(["LastName", "Email"]));
}

#[tokio::test]
async fn usernames_are_unique_over_all_orgs_and_free_again_after_a_rename() {
    let simulator = simulator(1).await;
    let mut other = OrgSeed { name: "Globex".to_owned(), ..OrgSeed::default() };
    other.users.push(UserSeed { username: "taken@globex.example".to_owned(), ..UserSeed::default() });
    simulator.add_org(&other).unwrap();
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    let resource = format!("sobjects/User/{id}");

    let clash = caller.patch(&resource, &json!({"Username": "TAKEN@globex.example"})).await;
    let renamed = caller.patch(&resource, &json!({"Username": "free@acme.example"})).await;
    let record = caller.new_user("user0001@acme.example").await;
    let reused = caller.post("sobjects/User", &record).await;

    assert_eq!((clash.code(), &clash.json[0]["fields"]), ("DUPLICATE_USERNAME", &json!(["Username"])));
    assert!(clash.message().starts_with("Duplicate Username.<br>The username already exists in this or another"));
    assert_eq!((renamed.status.as_u16(), reused.status.as_u16()), (204, 201));
    assert_eq!(
        caller.query("SELECT COUNT() FROM User WHERE Username = 'taken@globex.example'").await.json["totalSize"],
        0
    );
}

#[tokio::test]
async fn licenses_run_out_and_come_back() {
    let mut org = OrgSeed::acme(3);
    org.licenses[0].total = 4;
    let simulator = with_org(org).await;
    let caller = admin(&simulator).await;
    let record = caller.new_user("ann@example.com").await;
    let mut inactive = caller.new_user("bob@example.com").await;
    inactive["IsActive"] = json!(false);

    let full = caller.post("sobjects/User", &record).await;
    let not_counted = caller.post("sobjects/User", &inactive).await;
    let bob = format!("sobjects/User/{}", not_counted.json["id"].as_str().unwrap());
    let not_activated = caller.patch(&bob, &json!({"IsActive": true})).await;
    let id = caller.id_of("user0001@acme.example").await;
    caller.patch(&format!("sobjects/User/{id}"), &json!({"IsActive": false})).await;
    let activated = caller.patch(&bob, &json!({"IsActive": true})).await;

    assert_eq!((full.code(), not_activated.code()), ("LICENSE_LIMIT_EXCEEDED", "LICENSE_LIMIT_EXCEEDED"));
    assert_eq!((not_counted.status.as_u16(), activated.status.as_u16()), (201, 204));
    let used = caller.query("SELECT UsedLicenses FROM UserLicense WHERE Name = 'Salesforce'").await;
    assert_eq!(used.json["records"][0]["UsedLicenses"], 4);
}

#[tokio::test]
async fn one_cannot_switch_off_oneself_nor_the_last_administrator() {
    let mut org = OrgSeed::acme(0);
    org.users.push(UserSeed {
        username: "second@acme.example".to_owned(),
        profile: "System Administrator".to_owned(),
        password: Some("Second-Admin-2".into()),
        ..UserSeed::default()
    });
    let simulator = with_org(org).await;
    let (first, second) = (admin(&simulator).await, caller(&simulator, "second@acme.example", "Second-Admin-2").await);
    let first_id = first.id_of(ADMIN).await;
    let second_id = first.id_of("second@acme.example").await;
    let off = json!({"IsActive": false});

    let profile = first.one("SELECT Id FROM Profile WHERE Name = 'Standard User'", "Id").await;
    let demote = json!({"ProfileId": profile});

    let oneself = first.patch(&format!("sobjects/User/{first_id}"), &off).await;
    let other = second.patch(&format!("sobjects/User/{first_id}"), &demote).await;
    let last = second.patch(&format!("sobjects/User/{second_id}"), &off).await;
    let last_demoted = second.patch(&format!("sobjects/User/{second_id}"), &demote).await;

    assert_eq!((oneself.code(), other.status.as_u16()), ("FIELD_INTEGRITY_EXCEPTION", 204));
    assert_eq!((last.code(), last_demoted.code()), ("CANNOT_DISABLE_LAST_ADMIN", "CANNOT_DISABLE_LAST_ADMIN"));
    assert_eq!(last.message(), "You must have at least one active administrator user");
    assert!(simulator.user("second@acme.example").unwrap().active);
}

#[tokio::test]
async fn a_changed_e_mail_waits_for_its_confirmation() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of("user0001@acme.example").await);

    let changed = caller.patch(&resource, &json!({"Email": "new@acme.example"})).await;
    let before = caller.get(&format!("{resource}?fields=Email")).await;
    simulator.confirm_email("user0001@acme.example").unwrap();
    let after = caller.get(&format!("{resource}?fields=Email")).await;

    assert_eq!(changed.status, 204);
    assert_eq!(before.json["Email"], "user0001@acme.example");
    assert_eq!(after.json["Email"], "new@acme.example");
}

#[tokio::test]
async fn nobody_without_manage_users_changes_others() {
    let simulator = simulator(2).await;
    let caller = caller(&simulator, "user0001@acme.example", "Welcome-0001").await;
    let other = caller.id_of("user0002@acme.example").await;
    let own = caller.id_of("user0001@acme.example").await;

    let refused = caller.patch(&format!("sobjects/User/{other}"), &json!({"Title": "x"})).await;
    let password = caller.delete(&format!("sobjects/User/{other}/password")).await;

    assert_eq!((refused.status.as_u16(), refused.code()), (403, "INSUFFICIENT_ACCESS_OR_READONLY"));
    assert_eq!((password.status.as_u16(), password.code()), (403, "INSUFFICIENT_ACCESS"));
    assert_eq!(caller.patch(&format!("sobjects/User/{own}"), &json!({"Title": "x"})).await.status, 204);
}

#[tokio::test]
async fn a_caller_is_told_its_own_permissions_and_nobody_elses() {
    let simulator = simulator(1).await;
    let asked = "SELECT PermissionsApiEnabled, PermissionsManageUsers FROM UserPermissionAccess";
    let administrator = admin(&simulator).await.query(asked).await;
    let other = caller(&simulator, "user0001@acme.example", "Welcome-0001").await.query(asked).await;

    for (answer, manages) in [(administrator, true), (other, false)] {
        assert_eq!(answer.json["totalSize"], 1);
        let row = &answer.json["records"][0];
        let granted = (&row["PermissionsApiEnabled"], &row["PermissionsManageUsers"]);
        assert_eq!(granted, (&json!(true), &json!(manages)));
    }
}

#[tokio::test]
async fn ids_that_do_not_fit_are_told_apart() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;
    let own = caller.id_of(ADMIN).await;

    let other_type = caller.get("sobjects/User/0015500001QdQWaAAN").await;
    let unknown = caller.get("sobjects/User/0055g0000000zzzAAA").await;
    let no_id = caller.get("sobjects/User/23foo").await;
    let short = caller.get(&format!("sobjects/User/{}", &own[..15])).await;
    let no_object = caller.get("sobjects/Nothing/x").await;

    assert_eq!(other_type.message(), "User ID: id value of incorrect type: 0015500001QdQWaAAN");
    assert_eq!((other_type.status.as_u16(), other_type.code()), (400, "MALFORMED_ID"));
    assert_eq!((no_id.status.as_u16(), no_id.code()), (404, "NOT_FOUND"));
    assert_eq!((unknown.status.as_u16(), no_object.status.as_u16()), (404, 404));
    assert_eq!(short.json["Id"], own);
}

#[tokio::test]
async fn users_are_never_deleted() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let id = caller.id_of("user0001@acme.example").await;
    let refused = caller.delete(&format!("sobjects/User/{id}")).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "INSUFFICIENT_ACCESS_OR_READONLY"));
    assert!(simulator.user("user0001@acme.example").is_some());
}

#[tokio::test]
async fn effects_are_counted_once_each() {
    let simulator = simulator(1).await;
    let caller = admin(&simulator).await;
    let resource = format!("sobjects/User/{}", caller.id_of("user0001@acme.example").await);

    caller.patch(&resource, &json!({"IsActive": false})).await;
    caller.patch(&resource, &json!({"IsActive": false})).await;
    caller.patch(&resource, &json!({"IsActive": true, "Title": "Back"})).await;
    caller.patch(&resource, &json!({"Alias": "waytoolongalias"})).await;

    let effects = simulator.user("user0001@acme.example").unwrap().effects;
    assert_eq!((effects.updates, effects.deactivations, effects.activations, effects.flips), (3, 2, 1, 2));
    assert_eq!(simulator.counters().routes["PATCH sobjects/User"], 4);
}

#[tokio::test]
async fn describe_tells_what_the_rules_are() {
    let simulator = simulator(0).await;
    let caller = admin(&simulator).await;

    let user = caller.get("sobjects/User/describe").await;
    let since = user.headers["last-modified"].to_str().unwrap().to_owned();
    let again = caller.request(reqwest::Method::GET, "sobjects/User/describe").header("if-modified-since", since);
    let again = crate::client::Answer::of(again).await;
    let global = caller.get("sobjects").await;

    let field =
        |name: &str| user.json["fields"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap().clone();
    assert_eq!((&user.json["deletable"], &user.json["createable"]), (&json!(false), &json!(true)));
    assert_eq!(user.json["urls"]["passwordUtilities"], "/services/data/v66.0/sobjects/User/{ID}/password");
    assert_eq!((&field("Username")["length"], &field("Username")["nillable"]), (&json!(80), &json!(false)));
    assert_eq!(field("LocaleSidKey")["picklistValues"].as_array().unwrap().len(), 64);
    assert_eq!(field("IsActive")["defaultedOnCreate"], true);
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
    assert_eq!((&global.json["maxBatchSize"], global.json["sobjects"].as_array().unwrap().len()), (&json!(200), 13));
}
