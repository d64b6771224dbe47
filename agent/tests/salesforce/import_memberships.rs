//! Permission sets and public groups, as attributes of an entry.

use std::time::Duration;

use postern_agent::connector::{Known, Shift};
use postern_protocol::bounded::List;
use postern_protocol::outcome::Changed;
use postern_protocol::task::import_batch::{Format, Request};
use postern_protocol::{FailureClass, Outcome};
use salesforce_sim::{ADMIN, CONSUMER_KEY, CONSUMER_SECRET, Mishap, OrgSeed, PermissionSetSeed, Switches};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::lab::{Death, Lab, Task, dead_anywhere, import_with};

const JOE: &str = "user0001@acme.example";
const NEW: &str = "new@acme.example";

fn import(rules: &[&str], dry_run: bool, entry: &Value) -> Task {
    let attributes = List::new(rules.iter().map(|rule| rule.parse().unwrap()).collect()).unwrap();
    import_with(Request { attributes, dry_run, ..Request::new(Format::Jsonl) }, entry.to_string())
}

/// What a user is in now.
async fn held(lab: &Lab, user: &str, attribute: &str) -> String {
    let mut task = import(&[], true, &json!({ "Username": user, attribute: "" }));
    task.attempt(&lab.connector()).await.unwrap();
    task.lines()[0]["changes"][0]["old"].as_str().unwrap_or_default().to_owned()
}

/// A call that nobody but a test makes.
async fn call(lab: &Lab, request: String) -> Value {
    let mut stream = TcpStream::connect(lab.sim.http_address().unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn post(path: &str, kind: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: \
         {length}\r\n{more}\r\n{body}"
    )
}

async fn make_group(lab: &Lab, name: &str) {
    make(lab, "Group", &json!({ "Name": name, "DeveloperName": name, "Type": "Regular" })).await;
}

async fn make(lab: &Lab, object: &str, record: &Value) {
    let path = format!("/services/data/v66.0/sobjects/{object}");
    let made = call(lab, post(&path, "application/json", &bearer(lab).await, &record.to_string())).await;
    assert_eq!(made["success"], true, "{made}");
}

async fn query(lab: &Lab, soql: &str) -> Value {
    let (soql, bearer) = (soql.replace(' ', "+"), bearer(lab).await);
    let path = format!("/services/data/v66.0/query?q={soql}");
    call(lab, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{bearer}\r\n")).await
}

async fn bearer(lab: &Lab) -> String {
    let form = format!("grant_type=client_credentials&client_id={CONSUMER_KEY}&client_secret={CONSUMER_SECRET}");
    let token = call(lab, post("/services/oauth2/token", "application/x-www-form-urlencoded", "", &form)).await;
    format!("authorization: Bearer {}\r\n", token["access_token"].as_str().unwrap())
}

async fn id_of_set(lab: &Lab, name: &str) -> String {
    let found = query(lab, &format!("SELECT Id FROM PermissionSet WHERE Name = '{name}'")).await;
    found["records"][0]["Id"].as_str().unwrap().to_owned()
}

fn permission_set(name: &str, label: &str) -> PermissionSetSeed {
    PermissionSetSeed { name: name.to_owned(), label: label.to_owned(), license: None, group: None }
}

/// Feature B8.
#[tokio::test]
async fn permission_sets_are_replaced_added_and_removed() {
    let lab = Lab::start().await;
    for (rule, wanted, after, outcome) in [
        ("", json!("Report_Builder"), "Report_Builder", Outcome::Succeeded),
        ("", json!("Report Builder"), "Report_Builder", Outcome::AlreadySatisfied),
        ("add_diff_with_target", json!(["Sales_Console"]), "Report_Builder;Sales_Console", Outcome::Succeeded),
        ("remove_diff_with_target", json!("report_builder"), "Sales_Console", Outcome::Succeeded),
        ("remove_diff_with_target", json!("report_builder"), "Sales_Console", Outcome::AlreadySatisfied),
        ("", json!(["Report_Builder", "Sales_Console"]), "Report_Builder;Sales_Console", Outcome::Succeeded),
        ("replace", json!(null), "", Outcome::Succeeded),
    ] {
        let rule = format!("permissionsets={rule}");
        let rules = if rule.ends_with('=') { vec![] } else { vec![rule.as_str()] };
        let mut task = import(&rules, false, &json!({ "Username": JOE, "PermissionSets": wanted }));
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(conclusion.outcome, outcome, "{rule} {wanted}: {:?}", task.lines());
        assert_eq!(held(&lab, JOE, "PermissionSets").await, after, "{rule} {wanted}");
    }
}

/// Five pages for each two thousand users, as large as pages may be. Bound those of all users of a unit together, and users that
/// are in many sets can never be imported.
#[tokio::test]
async fn what_users_are_in_is_bounded_for_each_two_thousand_of_them() {
    let wide = json!({ "Id": "0Pa5g00000XyZ12AAF", "AssigneeId": "0055g00000XyZ12AAF", "more": vec![0; 400_000],
        "PermissionSetId": "0PS5g00000XyZ12AAF" });
    let page = |is_last: bool| {
        let next = (!is_last).then_some("/services/data/v66.0/query/01g5g00000XyZ12AAF-2000");
        json!({ "totalSize": 5, "done": is_last, "nextRecordsUrl": next, "records": [wide] })
    };
    let reply = |body: &Value| Mishap::OtherReply { status: 200, body: body.to_string() };
    let as_it_is = Mishap::DripReply { bytes: 1 << 20, millis: 0 };

    let lab = Lab::with_org(OrgSeed::acme(2_001)).await;
    let entry =
        |number| json!({ "Username": format!("user{number:04}@acme.example"), "PermissionSets": "Report_Builder" });
    let entries: Vec<String> = (1..=2_001).map(|number| entry(number).to_string()).collect();
    let rule = "permissionsets=remove_diff_with_target".parse().unwrap();
    let asked = Request { attributes: List::new(vec![rule]).unwrap(), ..Request::new(Format::Jsonl) };
    let mut task = import_with(asked, entries.join("\n"));
    // Who the users are, and what there is; then what they are in, two thousand of them in the body of a call.
    lab.fault("POST", "/composite", as_it_is.clone(), 1);
    lab.fault(
        "POST",
        "/composite",
        reply(&json!({ "compositeResponse": [{ "body": page(false), "httpStatusCode": 200 }] })),
        1,
    );
    lab.fault("GET", "/query", as_it_is, 1);
    for pages in [3, 4] {
        lab.fault("GET", "/query", reply(&page(false)), pages);
        lab.fault("GET", "/query", reply(&page(true)), 1);
    }
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(conclusion.outcome, Outcome::AlreadySatisfied, "{:?}", lab.counters().routes);
    assert_eq!(lab.sim.faults(), 0, "{:?}", lab.counters().routes);
}

/// A group of permission sets is listed among them, by the set that sums it up; nobody named it.
#[tokio::test]
async fn a_user_stays_in_its_groups_of_permission_sets() {
    const GROUP: &str = "0PG5g0000000001AAA";
    for tells_the_set in [true, false] {
        let mut org = OrgSeed::acme(2);
        let group = Some(GROUP.to_owned());
        org.permission_sets.push(PermissionSetSeed { group, ..permission_set("Sales_Rep", "Sales Rep") });
        let lab = Lab::with_org(org).await;
        let user = lab.sim.user(JOE).unwrap().text("Id").to_owned();
        let mut assignment = json!({ "AssigneeId": user, "PermissionSetGroupId": GROUP });
        if tells_the_set {
            assignment["PermissionSetId"] = json!(id_of_set(&lab, "Sales_Rep").await);
        }
        make(&lab, "PermissionSetAssignment", &assignment).await;
        for (wanted, after) in [(json!("Report_Builder"), "Report_Builder"), (json!(null), "")] {
            let mut task = import(&[], false, &json!({ "Username": JOE, "PermissionSets": wanted }));
            let conclusion = task.attempt(&lab.connector()).await.unwrap();
            assert_eq!(conclusion.outcome, Outcome::Succeeded, "{tells_the_set}: {:?}", task.lines());
            assert_eq!(held(&lab, JOE, "PermissionSets").await, after);
        }
        let left = query(&lab, "SELECT PermissionSetGroupId FROM PermissionSetAssignment").await;
        assert_eq!(left["records"][0]["PermissionSetGroupId"], GROUP, "{tells_the_set}: {left}");
        assert_eq!(left["totalSize"], 1);
        // Nor can it be named.
        let mut task = import(&[], false, &json!({ "Username": JOE, "PermissionSets": "Sales_Rep" }));
        task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(task.lines()[0]["code"], "unknown_value");
    }
}

/// Which of them is meant, only whoever wrote the entry can say.
#[tokio::test]
async fn a_name_that_several_have_fails_its_entry() {
    let mut org = OrgSeed::acme(2);
    org.permission_sets.push(permission_set("Admin", "Administrator"));
    org.permission_sets.push(permission_set("Other_Admin", "Administrator"));
    org.permission_sets.push(permission_set("Packaged", "Admin"));
    let lab = Lab::with_org(org).await;
    let entry = |named: &str| json!({ "Username": JOE, "PermissionSets": named });
    import(&[], false, &entry("Report_Builder")).attempt(&lab.connector()).await.unwrap();
    let mut task = import(&[], false, &entry("administrator"));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No));
    assert_eq!(task.lines()[0]["code"], "ambiguous_value");
    assert!(task.lines()[0]["message"].as_str().unwrap().contains("`administrator`"));
    assert_eq!(held(&lab, JOE, "PermissionSets").await, "Report_Builder");
    // The name for programs goes before another's label.
    for (named, after) in [
        ("admin".to_owned(), "Admin"),
        (id_of_set(&lab, "Other_Admin").await, "Other_Admin"),
        ("Packaged".to_owned(), "Packaged"),
    ] {
        let mut task = import(&[], false, &entry(&named));
        assert_eq!(task.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Succeeded, "{:?}", task.lines());
        assert_eq!(held(&lab, JOE, "PermissionSets").await, after);
    }
}

/// Of a user that is not there nothing is as wanted, though it is in nothing either.
#[tokio::test]
async fn an_id_that_the_org_does_not_have_is_not_found() {
    let lab = Lab::start().await;
    make_group(&lab, "Staff").await;
    for (rules, attribute, value) in [
        (vec![], "PermissionSets", json!(null)),
        (vec!["groups=remove_diff_with_target"], "Groups", json!("Staff")),
        (vec!["Title=diff_with_target"], "Title", json!(null)),
    ] {
        let mut task = import(&rules, false, &json!({ "Id": "0055g0000000zzzAAA", attribute: value }));
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No), "{attribute}");
        assert_eq!(task.lines()[0]["code"], "user_not_found", "{attribute}");
    }
}

#[tokio::test]
async fn a_new_user_is_put_into_what_its_entry_names() {
    let lab = Lab::start().await;
    make_group(&lab, "Staff").await;
    let profile = lab.sim.user(JOE).unwrap().text("ProfileId").to_owned();
    let entry = json!({
        "op": "add", "Username": NEW, "LastName": "New", "Alias": "new", "Email": NEW, "ProfileId": profile,
        "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US", "EmailEncodingKey": "UTF-8",
        "LanguageLocaleKey": "en_US", "PermissionSets": "Report_Builder", "Groups": ["Staff"],
    });
    let mut task = import(&[], false, &entry);
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Succeeded, "{:?}", task.lines());
    assert_eq!(held(&lab, NEW, "PermissionSets").await, "Report_Builder");
    assert_eq!(held(&lab, NEW, "Groups").await, "Staff");
}

/// By both of its names it is one: the second record would be told as somebody else's doing.
#[tokio::test]
async fn what_is_named_twice_is_joined_once() {
    let lab = Lab::start().await;
    let entry = json!({ "Username": JOE, "PermissionSets": ["Report_Builder", "Report Builder", "report_builder"] });
    let mut task = import(&[], true, &entry);
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(task.lines()[0]["changes"][0]["new"], "Report_Builder");
}

/// The words of a failure name the value that the org does not have, and this one is shown nowhere.
#[tokio::test]
async fn an_encrypted_name_of_several_is_shown_nowhere() {
    let lab = Lab::start().await;
    let entry = json!({ "Username": JOE, "Groups": "Staffroom;Nobodyhome" });
    let mut task = import(&["Groups=encrypted"], false, &entry);
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(task.lines()[0]["code"], "unknown_value");
    let told = task.lines()[0].to_string();
    assert!(!told.contains("Staffroom") && !told.contains("Nobodyhome"), "{told}");
}

/// The set was granted by the attempt that died: say that nothing was changed, and nobody ever reads that it was.
#[tokio::test]
async fn what_an_attempt_that_died_may_have_granted_is_told_although_its_entry_fails() {
    let lab = Lab::start().await;
    let entry = json!({ "Username": JOE, "PermissionSets": "Report_Builder", "password": "short" });
    let mut task = import(&[], false, &entry);
    // The user itself was changed by nobody lately.
    lab.sim.advance(Duration::from_secs(60));
    task.dies = Some(Death::After(3));
    task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(held(&lab, JOE, "PermissionSets").await, "Report_Builder");
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::Unknown), "{:?}", task.lines());
    assert_eq!(task.lines()[0]["perhaps"], true);
    let told = task.told.lock().unwrap().clone();
    let [(effect, Known::Unknown)] = told.as_slice() else { panic!("{told:?}") };
    assert!(effect.changes.contains(&Shift::hidden("PermissionSets")), "{effect:?}");
}

#[tokio::test]
async fn a_name_that_the_org_does_not_know_fails_its_entry() {
    let lab = Lab::start().await;
    let mut task = import(&[], false, &json!({ "Username": JOE, "Title": "x", "Groups": "Nobody" }));
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, conclusion.changed), (Outcome::Failed, Changed::No));
    assert_eq!(task.lines()[0]["code"], "unknown_value");
    assert!(task.lines()[0]["message"].as_str().unwrap().contains("`Nobody`"));
}

#[tokio::test]
async fn the_service_account_is_taken_out_of_nothing() {
    let lab = Lab::start().await;
    let mut task = import(&[], false, &json!({ "Username": ADMIN, "PermissionSets": "Report_Builder" }));
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Succeeded);
    let mut task = import(&[], false, &json!({ "Username": ADMIN, "PermissionSets": null }));
    assert_eq!(task.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Failed);
    assert_eq!(task.lines()[0]["code"], "service_account_protected");
}

/// F04 for memberships: whatever is lost, the user ends in what it is to be in.
#[tokio::test]
async fn f04_a_lost_answer_is_settled_by_reading() {
    for mishap in [Mishap::DropReply, Mishap::Refuse] {
        for (before, after) in [("", "Report_Builder"), ("Report_Builder", "Sales_Console")] {
            let lab = Lab::start().await;
            make_group(&lab, "Staff").await;
            let entry = |sets: &str| json!({ "Username": JOE, "PermissionSets": sets, "Groups": "Staff" });
            import(&[], false, &entry(before)).attempt(&lab.connector()).await.unwrap();
            lab.fault("POST", "/composite/sobjects", mishap.clone(), 1);
            lab.fault("DELETE", "/composite/sobjects", mishap.clone(), 1);
            let mut task = import(&[], false, &entry(after));
            let conclusion = task.attempt(&lab.connector()).await.unwrap();
            assert_eq!(conclusion.outcome, Outcome::Succeeded, "{mishap:?}: {:?}", task.lines());
            assert_eq!(held(&lab, JOE, "PermissionSets").await, after);
            assert_eq!(held(&lab, JOE, "Groups").await, "Staff");
        }
    }
}

/// Somebody was faster. Salesforce has two codes for that, and the user is as wanted.
#[tokio::test]
async fn a_membership_that_is_gone_already_fails_no_entry() {
    for code in ["ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY"] {
        let lab = Lab::start().await;
        let entry = |sets: &str| json!({ "Username": JOE, "PermissionSets": sets });
        import(&[], false, &entry("Report_Builder;API_User")).attempt(&lab.connector()).await.unwrap();
        let error = json!({ "statusCode": code, "message": "invalid cross reference id", "fields": [] });
        let body = json!([{ "success": false, "errors": [error] }]).to_string();
        lab.fault("DELETE", "/composite/sobjects", Mishap::OtherReply { status: 200, body }, 1);
        let mut task = import(&[], false, &entry("Report_Builder"));
        task.attempt(&lab.connector()).await.unwrap();
        assert_ne!(task.lines()[0]["outcome"], "failed", "{code}: {:?}", task.lines());
        assert_eq!(held(&lab, JOE, "PermissionSets").await, "Report_Builder");
    }
}

/// What others do to a set or a group locks it, as a user's row is locked.
#[tokio::test]
async fn f63_memberships_that_meet_locks_are_sent_again_and_given_up_after_a_few_tries() {
    let lab = Lab::start().await;
    let import = |sets: &str| {
        let entry = |number| json!({ "Username": format!("user000{number}@acme.example"), "PermissionSets": sets });
        import_with(
            Request::new(Format::Jsonl),
            (1..=5).map(|number| entry(number).to_string()).collect::<Vec<_>>().join("\n"),
        )
    };
    let lock = |rows| lab.sim.switch(&Switches { lock_rows: Some(rows), ..Switches::default() }).unwrap();
    for sets in ["Report_Builder", ""] {
        lock(7);
        let mut task = import(sets);
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(conclusion.outcome, Outcome::Succeeded, "{sets}: {:?}", task.lines());
        assert_eq!(task.intents(), 3, "five were locked, then two");
        assert_eq!(held(&lab, JOE, "PermissionSets").await, sets);
    }

    lock(1_000);
    let mut task = import("Report_Builder");
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, task.intents()), (Outcome::Failed, 5), "{:?}", task.lines());
    assert!(task.lines().iter().all(|line| line["code"] == "UNABLE_TO_LOCK_ROW"));
}

#[tokio::test]
async fn f03_f05_a_batch_that_dies_between_two_moves_goes_on() {
    let deaths = dead_anywhere(async |death| {
        let lab = Lab::start().await;
        let entry =
            json!({ "Username": JOE, "Title": "x", "PermissionSets": "Report_Builder", "password": "Correct-Horse-7" });
        let mut task = import(&[], false, &entry);
        task.dies = Some(death);
        let first = task.attempt(&lab.connector()).await;
        assert_eq!(task.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Succeeded, "{death:?}");
        assert_eq!(task.lines()[0]["outcome"], "modified", "{death:?}");
        assert_eq!(held(&lab, JOE, "PermissionSets").await, "Report_Builder");
        assert_eq!(lab.effects(JOE).password_sets, 1, "{death:?}");
        first.is_ok()
    });
    assert!(deaths.await >= 8);
}

/// F70: of the queries that are open as one account, the oldest is closed by one too many, whoever makes it. End the batch by that,
/// and it is given up in the middle.
#[tokio::test]
async fn f70_a_list_whose_cursor_was_closed_is_read_anew() {
    let mut org = OrgSeed::acme(2);
    let names: Vec<String> = (1..=2_001).map(|number| format!("Set{number:04}")).collect();
    org.permission_sets.extend(names.iter().map(|name| permission_set(name, name)));
    let lab = Lab::with_org(org).await;
    let closed = Mishap::Respond { status: 400, code: Some("INVALID_QUERY_LOCATOR".to_owned()), message: None };
    let as_it_is = Mishap::DripReply { bytes: 1 << 20, millis: 0 };
    // Of two pages each: what there is; then that once more, and what the user is in.
    for (sets, whole) in [(json!(names.join(";")), 0), (json!("Set0001"), 1)] {
        lab.fault("GET", "/query/", as_it_is.clone(), whole);
        lab.fault("GET", "/query/", closed.clone(), 2);
        let mut task = import(&[], false, &json!({ "Username": JOE, "PermissionSets": sets }));
        let conclusion = task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(conclusion.outcome, Outcome::Succeeded, "{:?}", task.lines());
        assert!(lab.counters().routes["GET query/{locator}"] > 0);
        lab.sim.clear_faults();
    }
    assert_eq!(held(&lab, JOE, "PermissionSets").await, "Set0001");

    lab.fault("GET", "/query/", closed, 100);
    let mut task = import(&[], false, &json!({ "Username": JOE, "PermissionSets": "Set0002" }));
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::Transient), "another attempt finds fewer that are open");
}
