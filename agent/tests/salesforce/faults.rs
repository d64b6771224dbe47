//! Answers that are none, whatever was asked: what was done is found, and nothing is done twice.

use std::time::Duration;

use postern_agent::connector::Cursors as _;
use postern_agent::connector::salesforce::Type;
use postern_protocol::bounded::List;
use postern_protocol::task::import_batch::{Format, Request};
use postern_protocol::{FailureClass, Outcome, TaskOutput};
use salesforce_sim::{Mishap, Switches};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::lab::{
    Lab, PROBABLY_DONE, Task, collect, deprovision, disable, expire, export, freeze, import_as, import_with, reset,
    reset_by_service, validate, verdict,
};

const USER: &str = "user0001@acme.example";
const OTHER: &str = "user0002@acme.example";
const NEW: &str = "new@acme.example";

fn other(status: u16, body: &str) -> Mishap {
    Mishap::OtherReply { status, body: body.to_owned() }
}

/// A user to be made and one to be changed.
async fn two(lab: &Lab) -> Task {
    validate(USER).attempt(&lab.connector()).await.unwrap();
    let profile = lab.sim.user(USER).unwrap().text("ProfileId").to_owned();
    let new = json!({
        "op": "add", "Username": NEW, "LastName": "New", "Alias": "new", "Email": NEW, "ProfileId": profile,
        "TimeZoneSidKey": "Europe/Paris", "LocaleSidKey": "en_US", "EmailEncodingKey": "UTF-8",
        "LanguageLocaleKey": "en_US",
    });
    let changed = json!({ "Username": USER, "Title": "Moved" });
    import_as(Format::Jsonl, format!("{new}\n{changed}"))
}

/// One user is changed.
fn moves() -> Task {
    import_as(Format::Jsonl, json!({ "Username": USER, "Title": "Moved" }).to_string())
}

fn outcomes(task: &Task) -> Vec<String> {
    task.lines().iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect()
}

/// Each of these in place of the answers to a change of one user and to the two calls of a batch.
async fn is_found_after(mishap: &Mishap) {
    let lab = Lab::start().await;
    let connector = lab.connector();
    lab.fault("PATCH", "/sobjects/User/", mishap.clone(), 1);
    assert_eq!(verdict(&disable(OTHER).attempt(&connector).await.unwrap()), PROBABLY_DONE, "{mishap:?}");
    assert_eq!(lab.effects(OTHER).deactivations, 1, "{mishap:?}");

    let mut task = two(&lab).await;
    lab.fault("POST", "/composite/sobjects", mishap.clone(), 1);
    lab.fault("PATCH", "/composite/sobjects", mishap.clone(), 1);
    task.attempt(&connector).await.unwrap();
    assert_eq!(outcomes(&task), ["created", "modified"], "{mishap:?}");
    assert_eq!(lab.effects(NEW).creates, 1, "{mishap:?}");
    assert_eq!(lab.sim.faults(), 0, "{mishap:?}");
}

#[tokio::test]
async fn f62_an_empty_answer_and_a_page_that_says_200_prove_nothing() {
    for mishap in [other(200, ""), other(200, "<html>All is well</html>"), other(503, ""), other(504, "<html/>")] {
        is_found_after(&mishap).await;
    }
}

/// A proxy that leads wherever it is asked to.
async fn lead(listener: TcpListener) {
    let mut tunnels = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        tunnels.spawn(async move {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(client.read_u8().await?);
            }
            let to = String::from_utf8_lossy(&asked).split(' ').nth(1).unwrap_or_default().to_owned();
            let mut server = TcpStream::connect(to).await?;
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}

/// The proxy of a call within TLS refuses before anything is sent, and in clear: what comes from within is another's. Take it
/// for the proxy's, and what was done is done again, with no line in the audit log for the first time.
#[tokio::test]
async fn f62_a_407_from_within_tls_proves_nothing() {
    is_found_after(&other(407, "<html>Who are you?</html>")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("proxy = {{ url = \"http://{}\" }}\n", listener.local_addr().unwrap());
    let resets = async {
        for settings in ["", &proxy] {
            let lab = Lab::start().await;
            let connector = lab.connector_with(&format!("{}{settings}", lab.https()));
            for (number, mut task) in (1..).zip([reset_by_service(USER), expire(OTHER)]) {
                lab.fault("DELETE", "/password", other(407, ""), 1);
                assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE, "{settings}");
                assert_eq!(lab.counters().routes["DELETE password"], number, "{settings}");
            }
        }
    };
    tokio::select! {
        () = resets => (),
        () = lead(listener) => unreachable!("it leads for ever"),
    }
}

/// Take any refusal in Salesforce's form for one that came before the work, and what was done is tried again, or told as
/// refused.
#[tokio::test]
async fn f62_a_server_that_breaks_down_after_the_work_proves_nothing() {
    let said =
        |status, code| other(status, &json!([{ "errorCode": code, "message": "An error occurred." }]).to_string());
    let gateway = other(504, r#"{"errorCode":"GATEWAY_TIMEOUT","message":"An error occurred."}"#);
    for mishap in [
        said(500, "UNKNOWN_EXCEPTION"),
        said(500, "INTERNAL_SERVER_ERROR"),
        said(503, "REQUEST_RUNNING_TOO_LONG"),
        said(502, "SERVER_UNAVAILABLE"),
        gateway,
    ] {
        is_found_after(&mishap).await;

        let lab = Lab::start().await;
        let connector = lab.connector();
        let calls = |route| lab.counters().routes.get(route).copied();
        for mut task in [reset_by_service(USER), expire(OTHER)] {
            lab.fault("DELETE", "/password", mishap.clone(), 1);
            assert_eq!(verdict(&task.attempt(&connector).await.unwrap()), PROBABLY_DONE, "{mishap:?}");
        }
        assert_eq!(calls("DELETE password"), Some(2), "{mishap:?}");
        lab.fault("POST", "/password", mishap.clone(), 1);
        let given = reset(USER, "Correct-Horse-7").attempt(&connector).await.unwrap();
        assert_eq!((verdict(&given), calls("POST password")), (PROBABLY_DONE, Some(1)), "{mishap:?}");
    }
}

#[tokio::test]
async fn f64_an_answer_that_is_cut_or_has_another_length_or_bursts_proves_nothing() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    let mishaps = [
        Mishap::TruncateReply,
        Mishap::WrongLength { percent: 50 },
        Mishap::WrongLength { percent: 200 },
        Mishap::GzipBomb { megabytes: 256 },
    ];
    for (number, mishap) in mishaps.into_iter().enumerate() {
        let name = format!("new{number}@acme.example");
        let mut task = two(&lab).await;
        task.rewrite(|dataset| dataset.replace(NEW, &name));
        lab.fault("POST", "/composite/sobjects", mishap.clone(), 1);
        lab.fault("PATCH", "/composite/sobjects", mishap.clone(), 1);
        task.attempt(&connector).await.unwrap();
        assert_eq!(outcomes(&task), ["created", "modified"], "{mishap:?}");
        assert_eq!(lab.effects(&name).creates, 1, "{mishap:?}");

        lab.fault("GET", "/query", mishap.clone(), 1);
        let read = match validate(USER).attempt(&connector).await {
            // It may pass: the agent asks again by itself.
            Err(failure) => {
                assert_eq!(failure.class.known(), Some(FailureClass::Transient), "{mishap:?}");
                validate(USER).attempt(&connector).await
            }
            read => read,
        };
        let Some(TaskOutput::ValidateUser(read)) = read.unwrap().output else { panic!("{mishap:?}") };
        assert_eq!(read.user.unwrap().account.as_str(), USER, "{mishap:?}");
    }
}

/// Join answers with records by their place whatever their number, and entries get the results of others.
#[tokio::test]
async fn f69_a_list_of_answers_that_lacks_some_proves_nothing_of_any() {
    for body in ["[]", "{}", r#"[{"id":"0055g00000ZZZZZAAA","success":true},{"id":"","success":true}]"#] {
        let lab = Lab::start().await;
        let mut task = two(&lab).await;
        lab.fault("POST", "/composite/sobjects", other(200, body), 1);
        lab.fault("PATCH", "/composite/sobjects", other(200, body), 1);
        task.attempt(&lab.connector()).await.unwrap();
        assert_eq!(outcomes(&task), ["created", "modified"], "{body}");
        assert_eq!(lab.effects(NEW).creates, 1, "{body}");
        let id = task.lines()[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(id, lab.sim.user(NEW).unwrap().text("Id"), "{body}");
    }
}

#[tokio::test]
async fn f63_rows_of_a_collection_that_meet_locks_are_sent_again_and_given_up_after_a_few_tries() {
    let lab = Lab::start().await;
    let entries = |title: &str| -> Vec<Value> {
        (1..=5).map(|number| json!({ "Username": format!("user000{number}@acme.example"), "Title": title })).collect()
    };
    let import = |title: &str| {
        let lines: Vec<String> = entries(title).iter().map(Value::to_string).collect();
        import_as(Format::Jsonl, lines.join("\n"))
    };
    lab.sim.switch(&Switches { lock_rows: Some(7), ..Switches::default() }).unwrap();
    let mut task = import("Moved");
    task.attempt(&lab.connector()).await.unwrap();
    assert_eq!(outcomes(&task), ["modified"; 5]);

    lab.sim.switch(&Switches { lock_rows: Some(1_000), ..Switches::default() }).unwrap();
    let mut task = import("Storm");
    let conclusion = task.attempt(&lab.connector()).await.unwrap();
    assert_eq!((conclusion.outcome, outcomes(&task)), (Outcome::Failed, vec!["failed".to_owned(); 5]));
    assert!(task.lines().iter().all(|line| line["code"] == "UNABLE_TO_LOCK_ROW"));
    assert_eq!(task.intents(), 5, "five tries");
}

/// A person who gets `unknown` is told whom to look at, where, and what for.
#[tokio::test]
async fn f66_what_is_unknown_says_whom_to_look_at_and_where() {
    let lab = Lab::start().await;
    let connector = lab.connector();
    for (mut task, field) in [
        (disable(USER), "Active"),
        (freeze(USER), "Unfreeze"),
        (reset(USER, "Correct-Horse-7"), "Last Password Change"),
        (reset_by_service(USER), "Last Password Change"),
        (expire(USER), "Last Password Change"),
        (deprovision(USER, "dead@acme.example"), "Username"),
    ] {
        for (method, path) in [("PATCH", "/sobjects/User"), ("POST", "/password"), ("DELETE", "/password")] {
            lab.fault(method, path, Mishap::Refuse, 100);
        }
        let conclusion = task.attempt(&connector).await.unwrap();
        lab.sim.clear_faults();
        assert_eq!(conclusion.outcome, Outcome::Unknown, "{field}");
        let next_step = conclusion.failure.unwrap().next_step.to_string();
        for word in [USER, "Setup, Users", "Id 005", field] {
            assert!(next_step.contains(word), "`{word}` is not in: {next_step}");
        }
    }
}

/// A page of so many records that leads to itself, with or without a record.
fn in_a_circle(total: u64, records: &Value) -> Mishap {
    let next = "/services/data/v66.0/query/01g5g00000XyZ12AAF-2000";
    other(200, &json!({ "totalSize": total, "done": false, "nextRecordsUrl": next, "records": records }).to_string())
}

/// Follow what leads to the next page as long as there is one, and each of these uses up every answer.
#[tokio::test]
async fn pages_that_lead_to_themselves_have_an_end() {
    let gathers = || collect(json!({ "name": "nightly", "user_status": "inactive" }));
    let exports = || export(json!({ "object": "User", "format": "csv", "attributes": ["Username"], "size_hint": 1 }));
    let user = json!({ "Id": "0055g00000XyZ12AAF", "Username": USER });
    let profile = json!({ "Id": "00e5g00000XyZ12AAF" });
    let login = json!({
        "Id": "0Yw5g00000XyZ12AAF", "UserId": "0055g00000XyZ12AAF", "IsFrozen": false, "IsPasswordLocked": false,
    });
    for (name, before, total, records, mut task) in [
        ("records", 0, 1, json!([user]), exports()),
        ("no records", 0, 1, json!([]), exports()),
        ("profiles", 0, 1, json!([profile]), gathers()),
        ("profiles, again and again", 0, 1_000_000, json!([profile]), gathers()),
        ("profiles without an id", 0, 1_000_000, json!([{}]), gathers()),
        ("sign-ins", 3, 1, json!([login]), gathers()),
        ("more sign-ins than there can be", 3, u64::MAX, json!([login]), gathers()),
        ("a user of that name", 0, 1, json!([user]), validate(USER)),
        ("users of a list", 0, 1, json!([user]), moves()),
    ] {
        let lab = Lab::start().await;
        lab.fault("GET", "/query", Mishap::DripReply { bytes: 1 << 20, millis: 0 }, before);
        lab.fault("GET", "/query", in_a_circle(total, &records), 200);
        let ended = task.attempt(&lab.connector()).await;
        assert!(lab.sim.faults() > 0, "{name}: {ended:?}");
        assert_eq!(ended.unwrap_err().class.known(), Some(FailureClass::Transient), "{name}");
    }
}

/// One more with each page. Believe each of them, and a delta remembers whatever ids somebody makes up, for ever.
#[tokio::test]
async fn pages_that_find_more_and_more_have_an_end() {
    let lab = Lab::start().await;
    let mut delta = json!({ "object": "User", "format": "jsonl", "attributes": ["Username"], "size_hint": 1 });
    delta["delta"] = json!({ "cursor": "nightly" });
    for number in 1..=50 {
        let user = json!({ "Id": format!("0055g000000{number:04}"), "Username": USER, "SystemModstamp": "2026-11-28T12:00:00Z" });
        lab.fault("GET", "/query", in_a_circle(number, &json!([user])), 1);
    }
    let failure = export(delta).attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.class.known(), Some(FailureClass::Transient), "{failure}");
    assert!(lab.sim.faults() > 30, "{} pages were not asked for", lab.sim.faults());
}

/// What is no id takes a value of the store by itself, with the name that somebody made up.
#[tokio::test]
async fn a_record_without_an_id_is_none_of_salesforces() {
    let user = json!({ "Id": "x".repeat(100_000), "Username": USER, "SystemModstamp": "2026-11-28T12:00:00Z" });
    let page = json!({ "totalSize": 1, "done": true, "records": [user] }).to_string();
    let lab = Lab::start().await;
    lab.fault("GET", "/query", other(200, &page), 1);
    let asks = json!({
        "object": "User", "format": "jsonl", "attributes": ["Username"], "size_hint": 1, "delta": { "cursor": "nightly" },
    });
    let failure = export(asks).attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "strange_answer", "{failure}");
    assert!(Type.all(lab.keep.as_ref()).unwrap().iter().all(|cursor| cursor.records == 0));
}

/// Whoever says that there are many more is believed until the task is to end. Look at that between portions alone, and the
/// collection is busy for ever.
#[tokio::test]
async fn a_collection_that_is_to_end_ends_between_the_pages_of_what_belongs_to_users() {
    let login = json!({
        "Id": "0Yw5g00000XyZ12AAF", "UserId": "0055g00000XyZ12AAF", "IsFrozen": false, "IsPasswordLocked": false,
    });
    let lab = Lab::start().await;
    lab.fault("GET", "/query", Mishap::DripReply { bytes: 1 << 20, millis: 0 }, 3);
    lab.fault("GET", "/query", in_a_circle(1_000_000, &json!([login])), 1_000_000);
    let connector = lab.connector();
    let mut task = collect(json!({ "name": "nightly", "user_status": "inactive" }));
    let stop = task.stop.clone();
    let asked = || lab.counters().http_calls;
    let is_told = async {
        while asked() < 50 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(task.attempt(&connector), is_told).0 };
    let ended = tokio::time::timeout(Duration::from_secs(60), both).await.expect("it goes on for ever");
    assert_eq!(ended.unwrap_err().class.known(), Some(FailureClass::Interrupted));
}

/// F64: each page is as large as one may be. Bound each of them alone, and all together take gigabytes.
#[tokio::test]
async fn f64_the_pages_of_a_lookup_are_bounded_together() {
    let wide =
        json!({ "Id": "0055g00000XyZ12AAF", "Username": USER, "IsActive": true, "attributes": vec![0; 400_000] });
    for (pages, mut task) in [(2, validate(USER)), (7, moves())] {
        let lab = Lab::start().await;
        lab.fault("GET", "/query", in_a_circle(1_000, &json!([wide])), 50);
        let failure = task.attempt(&lab.connector()).await.unwrap_err();
        assert_eq!(failure.code.as_str(), "answer_too_large", "{failure}");
        let asked: u64 = lab.counters().routes.iter().filter(|(route, _)| route.contains("query")).map(|it| it.1).sum();
        assert_eq!(asked, pages);
    }
}

/// F64: a statement holds eighty fields, and what it brings is kept until the others brought theirs. Bound each of them alone, and
/// whoever describes a user of a thousand fields has the agent take gigabytes.
#[tokio::test]
async fn f64_what_a_user_holds_is_bounded_in_memory_however_many_queries_it_takes() {
    let names: Vec<String> = (1..=81).map(|number| format!("Field{number}__c")).collect();
    let fields = names.iter().map(|name| json!({ "name": name, "type": "string", "length": 9, "updateable": true }));
    let described = json!({ "name": "User", "fields": fields.collect::<Vec<_>>() });
    let lab = Lab::start().await;
    lab.fault("GET", "/describe", other(200, &described.to_string()), 1);
    let id = "0055g00000XyZ12AAF";
    let wide = json!({ "Id": id, "Username": USER, "IsActive": true, "attributes": vec![0; 400_000] });
    let last = json!({ "totalSize": 5, "done": true, "records": [wide] }).to_string();
    for _ in 0..2 {
        lab.fault("GET", "/query", in_a_circle(5, &json!([wide])), 4);
        lab.fault("GET", "/query", other(200, &last), 1);
    }
    let rules = names.iter().map(|name| format!("{name}=audited").parse().unwrap());
    let request = Request { attributes: List::new(rules.collect()).unwrap(), ..Request::new(Format::Jsonl) };
    let mut entry: Map<String, Value> = names.into_iter().map(|name| (name, json!("new"))).collect();
    entry.insert("Id".to_owned(), json!(id));
    let mut task = import_with(request, Value::Object(entry).to_string());
    let failure = task.attempt(&lab.connector()).await.unwrap_err();
    assert_eq!(failure.code.as_str(), "answer_too_large", "{failure}");
}
