//! Collections: everything of every user, and nobody gone who is only not seen.

use std::sync::Arc;
use std::time::Duration;

use postern_agent::connector::Connector;
use postern_protocol::bounded::Text;
use postern_protocol::task::collect::Output;
use postern_protocol::task::import_batch::Format;
use postern_protocol::{Failure, FailureClass, Outcome, TaskOutput};
use salesforce_sim::{DeviceSeed, Mishap, OrgSeed};
use serde_json::{Value, json};

use crate::lab::{Lab, Task, collect, disable, enable, import, import_as};

const JOE: &str = "user0001@acme.example";
const ANN: &str = "user0002@acme.example";
/// More users than are read page by page, and more than one group of them.
const MANY: usize = 1_200;

/// Users whose records are read at once.
const GROUP: usize = 250;

/// Users who are kept together.
const BUCKET: usize = 62;

/// After such a wait a try is not counted.
const A_MINUTE: Duration = Duration::from_secs(60);

fn respond(status: u16, code: &str) -> Mishap {
    Mishap::Respond { status, code: Some(code.to_owned()), message: Some("on purpose".to_owned()) }
}

/// What one run came to.
struct Run {
    output: Output,
    lines: Vec<Value>,
}

impl Run {
    fn user(&self, name: &str) -> &Value {
        self.lines.iter().find(|line| line["Username"] == json!(name)).unwrap()
    }

    /// The names of those who are gone.
    fn gone(&self) -> Vec<&str> {
        self.lines.iter().filter_map(|line| line["removed"]["Username"].as_str()).collect()
    }

    fn warnings(&self) -> Vec<&str> {
        self.output.warnings.iter().map(Text::as_str).collect()
    }
}

struct Collections {
    lab: Lab,
    connector: Arc<dyn Connector>,
}

impl Collections {
    async fn start(org: OrgSeed) -> Self {
        let lab = Lab::with_org(org).await;
        let connector = lab.connector();
        Self { lab, connector }
    }

    /// One run; what came of it is handed over if `delivered`.
    async fn run(&self, request: Value, delivered: bool) -> Run {
        self.try_run(request, delivered).await.unwrap()
    }

    async fn try_run(&self, request: Value, delivered: bool) -> Result<Run, Failure> {
        let mut task = collect(request);
        let ended = task.attempt(&self.connector).await;
        if ended.is_err() {
            assert!(task.payloads.lock().unwrap().is_empty(), "what is not whole is not there");
        }
        let conclusion = ended?;
        assert_eq!(conclusion.outcome, Outcome::Succeeded);
        if delivered {
            self.lab.keep.deliver(task.id());
        }
        let Some(TaskOutput::Collect(output)) = conclusion.output else { panic!("no output of a collection") };
        let lines: Vec<Value> = task.payload().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let users = lines.iter().filter(|line| line.get("Id").is_some()).count();
        assert_eq!(u64::try_from(users), Ok(output.users));
        assert!(lines[0].get("collection").is_some());
        assert_eq!(lines.last().unwrap()["end"]["complete"], json!(true));
        assert_eq!(lines.last().unwrap()["end"]["removed"], json!(output.removed));
        Ok(Run { output, lines })
    }

    async fn change(&self, mut task: Task) {
        assert_eq!(task.attempt(&self.connector).await.unwrap().outcome, Outcome::Succeeded);
    }
}

fn active() -> Value {
    json!({ "name": "nightly", "user_status": "active" })
}

/// The requirement, line by line, and where each stands. A name that begins with `/` must have a value in this org.
const REQUIRED: &[(&str, &[&str])] = &[
    ("name", &["/Name", "/FirstName", "/LastName"]),
    ("user name", &["/Username"]),
    ("alias", &["/Alias"]),
    ("title", &["/Title"]),
    ("employee number", &["/EmployeeNumber"]),
    ("e-mail address", &["/Email"]),
    ("division, department, company", &["/Division", "/Department", "/CompanyName"]),
    ("kind of user", &["/UserType"]),
    ("role", &["/UserRoleId", "/role/Name", "/role/DeveloperName", "role/ParentRoleId", "role/RollupDescription"]),
    ("preferences", &["/preferences/UserPreferencesApexPagesDeveloperMode", "/preferences/EmailPreferencesAutoBcc"]),
    (
        "permissions",
        &[
            "/permissions/UserPermissionsMarketingUser",
            "/profile/permissions/0",
            "/permission_sets/0/PermissionSet.Name",
        ],
    ),
    ("active or not", &["/IsActive", "/login/IsFrozen", "/login/IsPasswordLocked"]),
    ("sign-ins", &["/login_history/0/Status", "/login_history/0/LoginTime", "/login_history/0/SourceIp"]),
    ("phones", &["/Phone", "/Fax", "/MobilePhone", "/Extension"]),
    ("address", &["/Street", "/City", "/State", "/PostalCode", "/Country"]),
    ("language", &["/LanguageLocaleKey", "/LocaleSidKey"]),
    ("signature and sender", &["/Signature", "/SenderName", "/SenderEmail"]),
    ("who made it and when", &["/CreatedDate", "/CreatedById"]),
    ("out of office", &["/OutOfOfficeMessage"]),
    ("encoding of mails", &["/EmailEncodingKey"]),
    ("mails from Salesforce", &["/ReceivesInfoEmails", "/ReceivesAdminInfoEmails"]),
    (
        "photos",
        &[
            "FullPhotoUrl",
            "SmallPhotoUrl",
            "MediumPhotoUrl",
            "BannerPhotoUrl",
            "SmallBannerPhotoUrl",
            "MediumBannerPhotoUrl",
            "/IsProfilePhotoActive",
        ],
    ),
    ("profile and individual", &["/ProfileId", "/profile/Name", "/IndividualId"]),
    ("call center", &["/CallCenterId"]),
    ("manager", &["/ManagerId"]),
    ("delegated approver", &["/DelegatedApproverId"]),
    (
        "moments",
        &["LastViewedDate", "LastReferencedDate", "LastPasswordChangeDate", "LastLoginDate", "/LastModifiedDate"],
    ),
    ("who changed it last", &["/LastModifiedById", "/profile/LastModifiedById"]),
    ("license", &["/profile/UserLicenseId", "/profile/license/Name", "/profile/license/TotalLicenses"]),
    ("device", &["/devices/0/Name", "/devices/0/DeviceType", "/devices/0/PlatformType", "/login_history/0/Browser"]),
    ("forecasts", &["/ForecastEnabled", "/IsForecastManager"]),
    ("federation", &["/FederationIdentifier"]),
    ("digest", &["/DigestFrequency"]),
    ("contact", &["/ContactId"]),
    ("nickname", &["/CommunityNickname"]),
    ("badge", &["BadgeText"]),
    ("address of the record", &["/Url"]),
    ("about the user", &["/AboutMe"]),
];

/// Feature B17.
#[tokio::test]
async fn every_attribute_that_is_required_is_gathered() {
    let mut org = OrgSeed::acme(3);
    let joe = &mut org.users[1];
    assert_eq!(joe.username, JOE);
    joe.past_logins = vec![9, 2];
    joe.devices.push(DeviceSeed {
        name: "Joe's phone".to_owned(),
        kind: "Phone".to_owned(),
        platform: "Android".to_owned(),
        browser: None,
    });
    for (name, value) in [
        ("Title", "Lead"),
        ("EmployeeNumber", "7"),
        ("Division", "East"),
        ("Department", "Sales"),
        ("CompanyName", "Acme"),
        ("Phone", "+1 555 1"),
        ("Fax", "+1 555 2"),
        ("MobilePhone", "+1 555 3"),
        ("Extension", "4"),
        ("Street", "1 Main St"),
        ("City", "Springfield"),
        ("State", "IL"),
        ("PostalCode", "62701"),
        ("Country", "US"),
        ("Signature", "Joe\nAcme"),
        ("SenderName", "Joe"),
        ("SenderEmail", "joe@acme.example"),
        ("OutOfOfficeMessage", "Away"),
        ("IndividualId", "0PK000000000001AAA"),
        ("CallCenterId", "04v000000000001AAA"),
        ("ContactId", "003000000000001AAA"),
        ("FederationIdentifier", "joe"),
        ("AboutMe", "Sells \"things\""),
    ] {
        joe.fields.insert(name.to_owned(), json!(value));
    }
    let collections = Collections::start(org).await;
    let (joe, ann) = (collections.lab.sim.user(JOE).unwrap().id, collections.lab.sim.user(ANN).unwrap().id);
    let references = format!(
        "<root><entry changetype=\"modify\"><Username>{JOE}</Username><ManagerId>{ann}</ManagerId>\
         <DelegatedApproverId>{ann}</DelegatedApproverId><PermissionSets>Report_Builder</PermissionSets></entry></root>"
    );
    collections.change(import(references)).await;

    let run = collections.run(json!({ "name": "nightly", "user_status": "all" }), true).await;
    assert!(run.output.warnings.is_empty(), "{:?}", run.output.warnings);
    assert_eq!((run.output.users, run.output.removed), (4, 0));
    let user = run.user(JOE);
    for (what, places) in REQUIRED {
        for place in *places {
            let filled = place.starts_with('/');
            let found = user.pointer(&format!("/{}", place.trim_start_matches('/')));
            assert!(found.is_some_and(|it| !filled || !it.is_null()), "{what}: {place} in {user:#}");
        }
    }
    assert_eq!(user["role"]["Name"], json!("Sales Manager"));
    assert_eq!(user["profile"]["license"]["Name"], json!("Salesforce"));
    assert!(user["Url"].as_str().unwrap().ends_with(&format!("/{joe}")), "{}", user["Url"]);
    assert_eq!(user["AboutMe"], json!("Sells \"things\""));
    assert_eq!(user["ManagerId"], json!(ann));
    let service = run.lines.iter().find(|line| line["Username"] == json!(salesforce_sim::ADMIN)).unwrap();
    assert_eq!((&service["role"], &service["devices"]), (&json!(null), &json!([])));
}

#[tokio::test]
async fn what_the_org_does_not_show_is_left_out_and_named() {
    let collections = Collections::start(OrgSeed::acme(3)).await;
    collections.lab.fault("GET", "/sobjects/UserDevice/describe", respond(404, "NOT_FOUND"), 1);
    let run = collections.run(active(), true).await;
    assert!(run.warnings()[0].contains("no object UserDevice") && run.warnings()[0].contains("View Devices"));
    assert!(run.user(JOE).get("devices").is_none());
    assert!(run.user(JOE).get("login_history").is_some());
}

/// Take those for told whom a lost run told of, and this fails.
#[tokio::test]
async fn who_is_gone_is_told_until_a_file_that_tells_it_is_handed_over() {
    let collections = Collections::start(OrgSeed::acme(5)).await;
    let first = collections.run(active(), true).await;
    assert_eq!((first.output.users, first.gone(), first.output.since.as_str()), (6, vec![], ""));

    collections.change(disable(JOE)).await;
    for delivered in [false, false, true] {
        let run = collections.run(active(), delivered).await;
        assert_eq!((run.output.users, run.gone()), (5, vec![JOE]));
        assert_eq!(run.output.since, first.output.started);
    }
    for _ in 0..2 {
        let run = collections.run(active(), true).await;
        assert!(run.gone().is_empty(), "it was told");
    }
    collections.change(enable(JOE)).await;
    assert_eq!(collections.run(active(), true).await.output.users, 6);
    collections.change(disable(JOE)).await;
    assert_eq!(collections.run(active(), true).await.gone(), [JOE], "who came back can go again");
}

/// The controller was put back from a copy in which the second of three tasks is queued: the files of that one and of the third
/// are gone. Go by what the third handed over, and who left before that is told by nobody.
#[tokio::test]
async fn whoever_was_told_to_be_gone_to_a_controller_that_was_put_back_is_told_again() {
    let collections = Collections::start(OrgSeed::acme(6)).await;
    collections.run(active(), true).await;
    let mut second = collect(active());
    second.attempt(&collections.connector).await.unwrap();
    collections.lab.keep.deliver(second.id());
    collections.change(disable(JOE)).await;
    assert_eq!(collections.run(active(), true).await.gone(), [JOE]);

    second.taken_anew(&collections.lab.keep);
    for _ in 0..2 {
        second.payloads.lock().unwrap().clear();
        let conclusion = second.attempt(&collections.connector).await.unwrap();
        let Some(TaskOutput::Collect(output)) = conclusion.output else { panic!("no output of a collection") };
        assert_eq!((output.removed, output.since.as_str()), (1, ""));
        assert!(output.warnings[0].contains("lost"), "{:?}", output.warnings);
        assert!(second.payload().contains(JOE));
    }
    collections.lab.keep.deliver(second.id());
    let quiet = collections.run(active(), true).await;
    assert!(quiet.gone().is_empty() && quiet.warnings().is_empty(), "{:?}", quiet.warnings());
}

/// Look for who is gone whether the stream came to its end or not, and this fails.
///
/// Feature B17.
#[tokio::test]
async fn a_run_that_breaks_in_the_middle_tells_nobody_to_be_gone() {
    let collections = Collections::start(OrgSeed::acme(MANY)).await;
    let everybody = collections.run(active(), true).await.output.users;
    collections.change(disable(JOE)).await;
    for (name, method, path, mishap, times) in [
        ("the job vanishes again and again", "GET", "/results", respond(404, "NOT_FOUND"), 3),
        ("the records are refused", "GET", "/results", respond(403, "INSUFFICIENT_ACCESS"), 1),
        ("what belongs to the users is refused", "GET", "/query", respond(400, "QUERY_TIMEOUT"), 100),
    ] {
        collections.lab.fault(method, path, mishap, times);
        assert!(collections.try_run(active(), true).await.is_err(), "{name}");
        collections.lab.sim.clear_faults();
    }
    // Some hundred users are seen, and then no more.
    collections.lab.keep.dies_after(Some(GROUP / BUCKET + 4));
    assert!(collections.try_run(active(), true).await.is_err());
    collections.lab.keep.dies_after(None);
    let run = collections.run(active(), true).await;
    assert_eq!((run.output.users, run.gone()), (everybody - 1, vec![JOE]));
}

/// The process dies before each of its writes in turn.
#[tokio::test]
async fn a_death_at_any_write_leaves_nobody_out() {
    for writes in 0.. {
        let collections = Collections::start(OrgSeed::acme(3 * BUCKET)).await;
        let everybody = collections.run(active(), true).await.output.users;
        collections.change(disable(JOE)).await;

        collections.lab.keep.dies_after(Some(writes));
        let died = collections.try_run(active(), false).await.is_err();
        collections.lab.keep.dies_after(None);
        let run = collections.run(active(), true).await;
        assert_eq!((run.output.users, run.gone()), (everybody - 1, vec![JOE]), "{writes}");
        assert!(collections.run(active(), true).await.gone().is_empty(), "{writes}");
        if !died {
            assert!(writes >= 3, "the run has so many writes");
            break;
        }
        assert!(writes < 20);
    }
}

/// Keep the memory of the other question, and everybody who is active seems to be gone.
#[tokio::test]
async fn a_collection_of_other_users_begins_anew() {
    let collections = Collections::start(OrgSeed::acme(12)).await;
    collections.run(active(), true).await;
    let inactive = json!({ "name": "nightly", "user_status": "inactive" });
    let run = collections.run(inactive.clone(), true).await;
    assert_eq!((run.output.users, run.gone(), run.output.since.as_str()), (1, vec![], ""));
    assert!(run.warnings()[0].contains("was of active users before"), "{:?}", run.warnings());
    let again = collections.run(inactive, true).await;
    assert!(again.gone().is_empty() && again.warnings().is_empty(), "{:?}", again.warnings());

    let mut broken = collect(json!({ "name": "nightly", "user_status": "all" }));
    broken.disk_holds = Some(1);
    broken.attempt(&collections.connector).await.unwrap_err();
    let conclusion = broken.attempt(&collections.connector).await.unwrap();
    let Some(TaskOutput::Collect(output)) = conclusion.output else { panic!("no output of a collection") };
    assert!(
        output.warnings[0].contains("was of inactive users before"),
        "lost with the attempt: {:?}",
        output.warnings
    );

    let other = collections.run(json!({ "name": "other", "user_status": "active" }), true).await;
    assert_eq!(other.output.since.as_str(), "", "each name has its own memory");
}

/// Go on with a memory of any format, and this fails.
#[tokio::test]
async fn a_collection_of_another_version_begins_anew_and_says_so() {
    let collections = Collections::start(OrgSeed::acme(5)).await;
    collections.run(active(), true).await;
    collections.change(disable(JOE)).await;
    collections.lab.keep.age("salesforce/collections");
    let anew = collections.run(active(), true).await;
    assert_eq!((anew.output.users, anew.gone(), anew.output.since.as_str()), (5, vec![], ""));
    assert!(anew.warnings()[0].contains("another version of the agent"), "{:?}", anew.warnings());
    collections.change(disable(ANN)).await;
    let run = collections.run(active(), true).await;
    assert_eq!((run.gone(), run.warnings()), (vec![ANN], vec![]));
}

/// Ask for each user's sign-ins alone, and the calls give it away.
#[tokio::test]
async fn many_users_come_in_bulk_with_few_calls_and_as_a_few_do() {
    let collections = Collections::start(OrgSeed::acme(MANY)).await;
    let few = collections.run(json!({ "name": "few", "user_status": "inactive" }), true).await;
    let before = collections.lab.counters().routes;
    let many = collections.run(json!({ "name": "many", "user_status": "all" }), true).await;
    let after = collections.lab.counters().routes;
    assert_eq!(many.output.users, u64::try_from(MANY).unwrap() + 1);
    let queries = after["GET query"] - before["GET query"];
    assert!(queries < 40, "{queries} queries for {MANY} users");
    assert_eq!(after["POST jobs/query"] - before.get("POST jobs/query").copied().unwrap_or_default(), 1);
    assert_eq!(few.user("user0010@acme.example"), many.user("user0010@acme.example"));
}

/// Somebody who signs in all day is not in the way of those who rarely do. Ask for him again after he was told, and this
/// fails.
#[tokio::test]
async fn the_newest_sign_ins_of_everybody_are_told() {
    let mut org = OrgSeed::acme(4);
    org.users[1].past_logins = (1..=60_000).rev().collect();
    org.users[2].past_logins = vec![90_000, 80_000, 70_000];
    let collections = Collections::start(org).await;
    let run = collections.run(json!({ "name": "nightly", "logins": 5 }), true).await;
    let times = |name: &str| -> Vec<String> {
        let history = run.user(name)["login_history"].as_array().unwrap();
        history.iter().map(|login| login["LoginTime"].as_str().unwrap().to_owned()).collect()
    };
    let newest_first = |times: &[String]| times.is_sorted_by(|a, b| a > b);
    let (joe, ann) = (times(JOE), times(ANN));
    assert_eq!((joe.len(), ann.len()), (5, 3));
    assert!(newest_first(&joe) && newest_first(&ann));
    assert!(ann[0] < joe[4]);
    assert!(times("user0003@acme.example").is_empty());

    let none = collections.run(json!({ "name": "nightly", "logins": 0 }), true).await;
    assert!(none.user(JOE).get("login_history").is_none());
}

#[tokio::test]
async fn one_run_of_a_collection_at_a_time() {
    let collections = Collections::start(OrgSeed::acme(3)).await;
    collections.lab.fault("GET", "/describe", Mishap::Latency { millis: 300 }, 10);
    let (first, second) =
        tokio::join!(collections.try_run(active(), true), collections.try_run(json!({ "name": "NIGHTLY" }), true));
    let failure = second.err().unwrap();
    assert!(first.is_ok());
    assert_eq!((failure.code.as_str(), failure.class.known()), ("collection_busy", Some(FailureClass::Transient)));
    assert_eq!(collections.connector.patience(&failure), A_MINUTE);
    assert!(collections.try_run(active(), true).await.is_ok(), "its turn is over");
}

#[tokio::test]
async fn there_is_place_for_so_many_collections() {
    let collections = Collections::start(OrgSeed::acme(1)).await;
    for number in 0..32 {
        collections.run(json!({ "name": number.to_string(), "logins": 0 }), true).await;
    }
    let full = collections.try_run(json!({ "name": "32" }), true).await.err().unwrap();
    assert_eq!(full.code.as_str(), "too_many_collections");
    for (request, code) in
        [(json!({ "name": "" }), "no_name"), (json!({ "name": "0", "logins": 101 }), "too_many_logins")]
    {
        assert_eq!(collections.try_run(request, true).await.err().unwrap().code.as_str(), code);
    }
}

/// Take the org out of what is kept, and whoever is not copied into a refreshed sandbox is told to be gone.
#[tokio::test]
async fn users_of_another_org_do_not_make_anybody_gone() {
    let collections = Collections::start(OrgSeed::acme(5)).await;
    let request = || json!({ "name": "nightly", "logins": 0 });
    collections.run(request(), true).await;
    let lab = collections.lab.led_to(OrgSeed::acme(3)).await;
    let connector = lab.connector();
    let refreshed = Collections { lab, connector };
    let first = refreshed.run(request(), true).await;
    assert!(first.gone().is_empty(), "{:?}", first.gone());
    assert!(first.warnings().iter().any(|it| it.contains("was of the org 00D")), "{:?}", first.warnings());
    assert!(refreshed.run(request(), true).await.warnings().iter().all(|it| !it.contains("was of the org")));
}

/// Whoever reads the file takes what is not in it for taken away.
#[tokio::test]
async fn a_user_with_more_permission_sets_than_are_told_is_marked() {
    let mut org = OrgSeed::acme(3);
    let set = org.permission_sets[0].clone();
    let sets = (0..260).map(|number| {
        let name = format!("Set_{number}");
        salesforce_sim::PermissionSetSeed { label: name.clone(), name, ..set.clone() }
    });
    org.permission_sets.extend(sets);
    let collections = Collections::start(org).await;
    let put = |user: &str, most: usize| {
        let names: Vec<String> = (0..most).map(|number| format!("Set_{number}")).collect();
        json!({ "op": "modify", "Username": user, "PermissionSets": names }).to_string()
    };
    let dataset = format!("{}\n{}", put(JOE, 251), put(ANN, 250));
    import_as(Format::Jsonl, dataset).attempt(&collections.connector).await.unwrap();
    let run = collections.run(json!({ "name": "nightly", "logins": 0 }), true).await;
    let of =
        |user| (run.user(user)["permission_sets"].as_array().unwrap().len(), &run.user(user)["permission_sets_cut"]);
    assert_eq!((of(JOE), of(ANN)), ((250, &json!(true)), (250, &Value::Null)));
    assert!(run.warnings()[0].contains("1 users have more"), "{:?}", run.warnings());
}
