//! Datasets before they are imported.

use postern_tests::Lab;
use postern_tests::lab::{Agent, SYSTEM};
use salesforce_sim::{Config, OrgSeed, Simulator, UserView};
use serde_json::json;

use crate::{JOE, programs};

const OTHER: &str = "globex";

/// Gives an agent another connected system of its kind, at `url`.
fn connect(agent: &Agent, url: &str) {
    let text = std::fs::read_to_string(agent.config()).unwrap();
    let (_, section) = text.split_once("[[connected_system]]").unwrap();
    let lines = section.lines().map(|line| match line.split_once(" = ") {
        Some(("name", _)) => format!("name = \"{OTHER}\""),
        Some(("domain", _)) => format!("domain = \"{url}\"\ninsecure_plain_http = true"),
        _ => line.to_owned(),
    });
    let lines: Vec<String> = lines.collect();
    std::fs::write(agent.config(), format!("{text}\n[[connected_system]]{}\n", lines.join("\n"))).unwrap();
}

/// Feature B10.
#[tokio::test]
async fn a_dataset_that_names_two_systems_is_split_and_both_parts_are_imported() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let globex = Simulator::start(Config { orgs: vec![OrgSeed::acme(5)], ..Config::default() }).await.unwrap();
    connect(&agent, &globex.http_url());
    let path = |name: &str| lab.folder().join(name).to_str().unwrap().to_owned();
    let (dataset, parts) = (path("users.csv"), path("parts"));
    let rows = [
        format!("{JOE},Lead,{SYSTEM}"),
        format!("{JOE},\"Head, both\",{OTHER}"),
        "user0002@acme.example,Nobody's,".to_owned(),
        format!("user0003@acme.example,Lead,{SYSTEM}"),
    ];
    std::fs::write(&dataset, format!("Username,Title,Transaction-SystemName\n{}\n", rows.join("\n"))).unwrap();

    let split = ["dataset", "split", &dataset, "--by", "Transaction-SystemName", "--output", &parts];
    let done = agent.run(&[&split[..], &["--json"]].concat()).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    let told = done.json();
    assert_eq!((&told["entries"], &told["rejected"]["entries"]), (&json!(4), &json!(1)), "{told}");
    assert_eq!(told["rejected"]["first"][0]["code"], json!("system_missing"));
    let reasons = std::fs::read_to_string(path("parts/_reasons.jsonl")).unwrap();
    assert!(reasons.contains("\"entry\":3") && reasons.contains("system_missing"), "{reasons}");

    for part in told["systems"].as_array().unwrap() {
        let (system, file) = (part["system"].as_str().unwrap(), part["file"].as_str().unwrap());
        let import = ["exec", "import_batch", "--system", system, "--dataset", file, "--json"];
        let by_entry = ["--dynamic-system", "transaction_system_name"];
        let imported = agent.run(&[&import[..], &by_entry].concat()).await;
        assert_eq!(imported.code, Some(0), "{imported:?}");
        assert_eq!(imported.json()["output"]["modified"], part["entries"], "{imported:?}");
    }
    let title = |user: UserView| user.fields["Title"].clone();
    assert_eq!(title(lab.salesforce.user(JOE).unwrap()), json!("Lead"));
    assert_eq!(title(globex.user(JOE).unwrap()), json!("Head, both"));
    assert_ne!(title(lab.salesforce.user("user0002@acme.example").unwrap()), json!("Nobody's"));

    let again = agent.run(&split).await;
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.err.contains("is there already"), "{again:?}");
}

#[tokio::test]
async fn a_split_without_rejected_entries_is_a_table_and_needs_no_configuration() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    std::fs::remove_file(agent.config()).unwrap();
    let path = |name: &str| lab.folder().join(name).to_str().unwrap().to_owned();
    let (dataset, parts) = (path("users.jsonl"), path("parts"));
    let entry = |system: &str| format!("{{\"Username\":\"{JOE}\",\"Target\":\"{system}\"}}\n");
    std::fs::write(&dataset, [entry(SYSTEM), entry(OTHER), entry(SYSTEM)].concat()).unwrap();
    let done = agent.run(&["dataset", "split", &dataset, "--by", "target", "--output", &parts]).await;
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    let table: Vec<Vec<&str>> = done.out.lines().map(|line| line.split_whitespace().collect()).collect();
    let (acme, globex) = (path(&format!("parts/{SYSTEM}.jsonl")), path(&format!("parts/{OTHER}.jsonl")));
    assert_eq!(table, [vec!["system", "entries", "file"], vec![SYSTEM, "2", &acme], vec![OTHER, "1", &globex]]);

    let unknown = agent.run(&["dataset", "split", &parts, "--output", &path("more")]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let folder = agent.run(&["dataset", "split", &parts, "--format", "csv", "--output", &path("more")]).await;
    assert_eq!(folder.code, Some(2), "{folder:?}");
    assert!(folder.err.contains("is no file"), "{folder:?}");
}
