//! What results call an account: by the attributes that the submitter chose.

use postern_protocol::bounded::{List, Text};
use postern_protocol::task::import_batch::{Format, Request};
use postern_protocol::{FailureClass, Outcome};
use salesforce_sim::Mishap;
use serde_json::{Value, json};

use crate::lab::{Lab, Task, dead_anywhere, import_with};

const ACTIVE: &str = "user0001@acme.example";
const OTHER: &str = "user0002@acme.example";
const THIRD: &str = "user0003@acme.example";
const NEW: &str = "new@acme.example";

/// A request for results with these two names of accounts.
fn request(account_id: &str, login_id: &str) -> Request {
    let text = |name: &str| Text::new(name).unwrap();
    Request { account_id: text(account_id), login_id: text(login_id), ..Request::new(Format::Jsonl) }
}

fn lines(entries: &[Value]) -> String {
    entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn id(lab: &Lab, name: &str) -> String {
    lab.sim.user(name).unwrap().id
}

fn new_user(lab: &Lab) -> Value {
    let profile = lab.sim.user(ACTIVE).unwrap().text("ProfileId").to_owned();
    json!({
        "op": "add", "Username": NEW, "LastName": "New", "Alias": "new", "Email": NEW, "ProfileId": profile,
        "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US", "EmailEncodingKey": "UTF-8",
        "LanguageLocaleKey": "en_US", "FederationIdentifier": "fed-new", "EmployeeNumber": "E-100",
    })
}

/// Outcome, account id and login id of each entry; empty where the line does not say.
fn told(task: &Task) -> Vec<[String; 3]> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    task.lines().iter().map(|it| ["outcome", "account_id", "login_id"].map(|key| text(it, key))).collect()
}

fn expected(rows: &[[&str; 3]]) -> Vec<[String; 3]> {
    rows.iter().map(|row| row.map(str::to_owned)).collect()
}

/// Feature B9.
#[tokio::test]
async fn results_tell_the_user_name_that_the_entry_left() {
    let lab = Lab::start().await;
    let entries = [
        new_user(&lab),
        json!({"Original_Username": ACTIVE, "Username": "renamed@acme.example"}),
        json!({"Username": OTHER, "Title": "Lead"}),
        json!({"Id": id(&lab, THIRD), "Title": "Lead"}),
        json!({"Original_Username": "user0004@acme.example", "Username": OTHER}),
        json!({"Original_Username": "user0005@acme.example", "Username": "partly@acme.example", "password": "short"}),
        json!({"Username": "nobody@acme.example", "Title": "x"}),
        json!({"Username": "user0006@acme.example", "Nonsense": "x"}),
    ];
    let mut task = import_with(Request::new(Format::Jsonl), lines(&entries));
    task.attempt(&lab.connector()).await.unwrap();
    let rows = [
        ["created", NEW, NEW],
        ["modified", "renamed@acme.example", "renamed@acme.example"],
        ["modified", OTHER, OTHER],
        ["modified", "", ""],
        ["failed", "", ""],
        ["failed", "partly@acme.example", "partly@acme.example"],
        ["failed", "", ""],
        ["failed", "", ""],
    ];
    assert_eq!(told(&task), expected(&rows), "{:?}", task.lines());
    assert!(lab.sim.user("partly@acme.example").is_some() && lab.sim.user("user0004@acme.example").is_some());
}

/// Feature B9.
#[tokio::test]
async fn results_tell_the_attributes_that_the_submitter_chose() {
    for bulk_threshold in [Request::BULK_THRESHOLD, 0] {
        let lab = Lab::start().await;
        let same = json!({"Username": OTHER, "EmployeeNumber": "E-2"});
        import_with(Request::new(Format::Jsonl), same.to_string()).attempt(&lab.connector()).await.unwrap();
        let entries = [
            new_user(&lab),
            json!({"Username": ACTIVE, "federationidentifier": "fed-1", "EmployeeNumber": "E-7"}),
            same,
            json!({"Username": THIRD, "FederationIdentifier": "", "Title": "Lead"}),
        ];
        for (request, rows) in [
            (
                request("Id", "FederationIdentifier"),
                [
                    ["created", "id of it", "fed-new"],
                    ["modified", "id of it", "fed-1"],
                    ["unchanged", "id of it", ""],
                    ["modified", "id of it", ""],
                ],
            ),
            (
                request("employeenumber", "loginId"),
                [["failed", "", ""], ["modified", "E-7", ACTIVE], ["unchanged", "E-2", OTHER], ["modified", "", THIRD]],
            ),
        ] {
            let attributes = List::new(vec!["EmployeeNumber=diff_with_target".parse().unwrap()]).unwrap();
            let mut task = import_with(Request { attributes, bulk_threshold, ..request }, lines(&entries));
            task.attempt(&lab.connector()).await.unwrap();
            let ids = [NEW, ACTIVE, OTHER, THIRD].map(|name| id(&lab, name));
            let mut rows = expected(&rows);
            for (row, id) in rows.iter_mut().zip(ids) {
                row[1] = row[1].replace("id of it", &id);
            }
            assert_eq!(told(&task), rows, "{:?}", task.lines());
        }
    }
}

/// The account keeps its old address until the owner of the new one has clicked the link.
/// Feature B9.
#[tokio::test]
async fn an_address_that_waits_to_be_confirmed_is_not_what_the_account_is_called() {
    let lab = Lab::start().await;
    let old = lab.sim.user(ACTIVE).unwrap().text("Email").to_owned();
    let entry = json!({"Username": ACTIVE, "Email": "new-address@acme.example"});
    let mut task = import_with(request("Email", "Username"), lines(&[entry]));
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(lab.sim.user(ACTIVE).unwrap().text("Email"), old);
    assert_eq!(told(&task), expected(&[["modified", &old, ACTIVE]]));
}

/// Feature B9.
#[tokio::test]
async fn what_an_entry_of_unknown_outcome_left_is_not_guessed() {
    let lab = Lab::start().await;
    lab.fault("PATCH", "/composite/sobjects", Mishap::Refuse, 10);
    let entry = json!({"Original_Username": ACTIVE, "Username": "renamed@acme.example"});
    let mut task = import_with(request("Id", "Username"), lines(&[entry]));
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(told(&task), expected(&[["unknown", "", ""]]));
}

/// The attempt that renamed the user died before it could say so.
/// Feature B9.
#[tokio::test]
async fn another_attempt_tells_what_the_first_one_left() {
    let deaths = dead_anywhere(async |death| {
        let lab = Lab::start().await;
        let entry = json!({"Original_Username": ACTIVE, "Username": "renamed@acme.example", "EmployeeNumber": "E-7"});
        let mut task = import_with(request("EmployeeNumber", "Username"), lines(&[new_user(&lab), entry]));
        task.dies = Some(death);
        let first = task.attempt(&lab.connector()).await;
        assert_eq!(task.attempt(&lab.connector()).await.unwrap().outcome, Outcome::Succeeded, "{death:?}");
        assert!(lab.effects("renamed@acme.example").updates >= 1, "{death:?}");
        let rows = [["created", "E-100", NEW], ["modified", "E-7", "renamed@acme.example"]];
        assert_eq!(told(&task), expected(&rows), "{death:?}: {:?}", task.lines());
        first.is_ok()
    });
    assert!(deaths.await >= 6);
}

/// Feature B9.
#[tokio::test]
async fn an_attribute_that_can_name_no_account_ends_the_task_before_it_begins() {
    let lab = Lab::start().await;
    let rules = List::new(vec!["EmployeeNumber=encrypted".parse().unwrap()]).unwrap();
    for (attribute, code) in [
        ("Nonsense", "unknown_attribute"),
        ("", "unknown_attribute"),
        ("Groups", "unknown_attribute"),
        ("password", "name_encrypted"),
        ("employeenumber", "name_encrypted"),
        ("Original_Username", "not_a_name"),
        ("IsActive", "not_a_name"),
        ("CreatedDate", "not_a_name"),
    ] {
        for wanted in [request(attribute, "Username"), request("Id", attribute)] {
            let wanted = Request { attributes: rules.clone(), ..wanted };
            let mut task = import_with(wanted, lines(&[json!({"Username": ACTIVE, "Title": "x"})]));
            let failure = task.attempt(&lab.connector()).await.unwrap_err();
            assert_eq!(
                (failure.class.known(), failure.code.as_str()),
                (Some(FailureClass::Rejected), code),
                "{attribute}"
            );
            assert_eq!(task.intents(), 0);
        }
    }
}
