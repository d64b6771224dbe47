//! Exports come whole, to the one who asked, and to nobody else.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use postern_tests::lab::{ControllerOptions, SYSTEM};
use postern_tests::{Lab, LabOptions, wait_for};
use salesforce_sim::{Fault, Matching, Mishap};
use serde_json::json;

use crate::programs;

/// In every exported user.
const TELLTALE: &str = "user0001@acme.example";

#[tokio::test]
async fn an_administrator_exports_users_to_a_file_that_is_whole_or_not_there() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let file = lab.folder().join("users.csv");
    let file = file.to_str().unwrap();
    let export = |more: &[&'static str]| {
        let mut arguments = vec!["exec", "export", "--system", SYSTEM, "--format", "csv", "--output", file, "--json"];
        arguments.extend(more);
        arguments.into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    let run = async |more: &[&'static str]| {
        let arguments = export(more);
        agent.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };

    let refused = run(&["--object", "Account"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(!Path::new(file).exists());

    let filter = r#"{"attribute": "Username", "starts_with": "user0001"}"#;
    let done = run(&["--attributes", "Username,IsActive", "--filter", filter]).await;
    assert_eq!(done.json()["output"]["records"], json!(1), "{done:?}");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("Id,Username,IsActive\n") && text.contains(TELLTALE), "{text}");
    assert_eq!(text.lines().count(), 2);
}

/// What cannot be replaced at the end is refused before anybody is asked.
#[tokio::test]
async fn a_folder_in_place_of_the_file_is_refused_at_once() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let folder = lab.folder().join("exports");
    std::fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    let before = lab.salesforce.counters();
    for kind in [&["export"][..], &["describe_schema"], &["collect", "--name", "audit"]] {
        let refused = agent.run(&[&["exec"], kind, &["--system", SYSTEM, "--output", folder]].concat()).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("is no file that can be replaced"), "{refused:?}");
    }
    let submit =
        ["task", "submit", "export", "--system", SYSTEM, "--params", "{\"object\": \"User\", \"format\": \"csv\"}"];
    let (code, _, complaint) = lab.controller.try_cli(&[&submit[..], &["--output", folder]].concat()).await;
    assert_eq!(code, Some(2), "{complaint}");
    assert!(complaint.contains("is no file that can be replaced"), "{complaint}");
    assert_eq!(lab.controller.cli(&["task", "list"]).await, json!([]), "nothing was submitted");
    assert_eq!(lab.salesforce.counters(), before, "nobody was asked");
    assert_eq!(std::fs::read_dir(lab.folder().join("exports")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_export_is_sealed_to_its_submitter_on_all_its_way() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let file = lab.folder().join("users.jsonl");
    let (file, key) = (file.to_str().unwrap(), lab.folder().join("key"));
    let key = key.to_str().unwrap();
    let params = r#"{"object": "User", "format": "jsonl"}"#;
    let submit = ["task", "submit", "export", "--system", SYSTEM, "--params", params];

    let done = lab.controller.cli(&[&submit[..], &["--output", file]].concat()).await;
    assert_eq!(done["outcome"], json!("succeeded"), "{done}");
    let first = std::fs::read_to_string(file).unwrap();
    assert_eq!(u64::try_from(first.lines().count()).unwrap(), done["output"]["records"]);
    assert!(first.contains(TELLTALE));
    std::fs::remove_file(file).unwrap();

    let taken = lab.controller.cli(&[&submit[..], &["--async", "--result-key", key]].concat()).await;
    let task = taken["id"].as_str().unwrap();
    lab.controller.cli(&["task", "wait", task]).await;
    let (code, _, _) = lab.controller.try_cli(&["task", "results", task, "--key", key, "--output", file]).await;
    assert_eq!(code, Some(0));
    assert_eq!(std::fs::read_to_string(file).unwrap(), first);

    std::fs::remove_file(file).unwrap();
    for folder in [agent.folder(), lab.controller.data()] {
        assert_eq!(crate::main_job::files_with(folder, TELLTALE.as_bytes()), Vec::<String>::new());
    }
}

/// Exports users, kills the agent when it is slow to get `path` and Salesforce was asked for `route`, and starts it again.
/// What it asked Salesforce for in all.
async fn exported_over_a_death(params: &str, path: &str, route: &str) -> BTreeMap<String, u64> {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    let key = lab.folder().join("key");
    let file = lab.folder().join("users.jsonl");
    let (key, file) = (key.to_str().unwrap(), file.to_str().unwrap());
    lab.salesforce.inject(Fault {
        when: Matching { method: Some("GET".to_owned()), path: Some(path.to_owned()) },
        what: Mishap::Latency { millis: 60_000 },
        times: None,
    });
    let submit = ["task", "submit", "export", "--system", SYSTEM, "--params", params, "--async", "--result-key", key];
    let taken = lab.controller.cli(&submit).await;
    let task = taken["id"].as_str().unwrap();
    wait_for(&format!("Salesforce to be asked for {route}"), async || {
        let routes = lab.salesforce.counters().routes;
        if routes.contains_key(route) { Ok(()) } else { Err(routes) }
    })
    .await;
    agent.kill().await;
    lab.salesforce.clear_faults();
    agent.start().await;
    lab.controller.cli(&["task", "wait", task]).await;
    let (code, _, _) = lab.controller.try_cli(&["task", "results", task, "--key", key, "--output", file]).await;
    assert_eq!(code, Some(0));
    assert!(std::fs::read_to_string(file).unwrap().contains(TELLTALE));
    lab.salesforce.counters().routes
}

/// Killed in the middle, it begins again and comes whole.
#[tokio::test]
async fn an_export_outlives_the_death_of_the_agent() {
    exported_over_a_death(r#"{"object": "User", "format": "jsonl"}"#, "/query", "GET describe").await;
}

/// Killed while the results of its job come, it reads those of the same job: a job that is polled was journaled.
#[tokio::test]
async fn f71_an_export_goes_on_with_the_job_it_made_before_the_agent_died() {
    let params = r#"{"object": "User", "format": "jsonl", "size_hint": 1000000}"#;
    let routes = exported_over_a_death(params, "/results", "GET jobs/query/{id}").await;
    assert_eq!((routes["POST jobs/query"], routes["DELETE jobs/query"]), (1, 1), "{routes:?}");
}

/// Take an export, which tells nothing of its beginning, for one that has not begun, and it is stopped at its deadline.
#[tokio::test]
async fn an_export_that_began_in_time_comes_whole_after_its_deadline() {
    let controller = ControllerOptions { lease_ttl: Duration::from_secs(6), ..ControllerOptions::default() };
    let lab = Lab::start_with(programs(), LabOptions { controller, ..LabOptions::default() }).await;
    let _agent = lab.member("agent").await;
    lab.salesforce.inject(Fault {
        when: Matching { method: Some("GET".to_owned()), path: Some("/query".to_owned()) },
        what: Mishap::Latency { millis: 14_000 },
        times: Some(1),
    });
    let file = lab.folder().join("users.jsonl");
    let params = r#"{"object": "User", "format": "jsonl"}"#;
    let submit = ["task", "submit", "export", "--system", SYSTEM, "--params", params, "--deadline-secs", "8"];
    let done = lab.controller.cli(&[&submit[..], &["--output", file.to_str().unwrap()]].concat()).await;
    assert_eq!(done["outcome"], json!("succeeded"), "{done}");
    assert!(std::fs::read_to_string(&file).unwrap().contains(TELLTALE));
}

/// Feature B16.
#[tokio::test]
async fn a_schema_is_shown_kept_replaced_and_reset() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let path = |name: &str| lab.folder().join(name).to_str().unwrap().to_owned();
    let (refreshed, own) = (path("refreshed.xml"), path("own.xml"));
    let schema = async |arguments: &[&str]| agent.run(&[&["schema", "--system", SYSTEM], arguments].concat()).await;
    let shown = schema(&["show"]).await;
    assert!(shown.out.contains("PermissionsViewAgentConsole"), "{shown:?}");
    assert_eq!(schema(&["reset"]).await.code, Some(78), "no file is named for it");

    let described = ["exec", "describe-schema", "--system", SYSTEM, "--object", "Profile", "--output", &refreshed];
    assert_eq!(agent.run(&described).await.code, Some(0));

    let config = std::fs::read_to_string(agent.config()).unwrap();
    std::fs::write(agent.config(), format!("{config}\nschema = \"{own}\"\n")).unwrap();
    let imported = schema(&["import", "--from", &refreshed]).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert!(imported.out.contains("attributes were written to"), "{imported:?}");
    let shown = schema(&["show"]).await;
    assert!(shown.out.starts_with("Profile\n") && !shown.out.contains("PermissionsViewAgentConsole"), "{shown:?}");
    assert_eq!(schema(&["export"]).await.out.trim_end(), std::fs::read_to_string(&own).unwrap().trim_end());
    assert_eq!(schema(&["reset"]).await.code, Some(0));
    assert!(schema(&["show"]).await.out.contains("PermissionsViewAgentConsole"));
}

/// Bury a task of this machine before its file is written, or not at all, and this fails.
#[tokio::test]
async fn a_delta_of_this_machine_moves_on_when_its_file_is_written() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    lab.salesforce.advance(Duration::from_secs(600));
    let file = lab.folder().join("delta.jsonl");
    let export = async |output: &Path| {
        let output = output.to_str().unwrap();
        // Not those that the service account's own sign-ins change.
        let delta = ["--delta", "nightly", "--attributes", "Username,IsActive"];
        agent.run(&[&["exec", "export", "--system", SYSTEM, "--output", output, "--json"], &delta[..]].concat()).await
    };
    let taken = lab.folder().join("taken.jsonl");
    let every_query = Matching { method: Some("GET".to_owned()), path: Some("/query".to_owned()) };
    lab.salesforce.inject(Fault { when: every_query, what: Mishap::Hold, times: None });
    let come_in_between = async {
        let begun = async || if taken.with_added_extension("part").exists() { Ok(()) } else { Err(()) };
        wait_for("the file to be begun", begun).await;
        std::fs::create_dir(&taken).unwrap();
        lab.salesforce.clear_faults();
    };
    let (lost, ()) = tokio::join!(export(&taken), come_in_between);
    assert_eq!(lost.code, Some(1), "a file cannot take the place of a folder: {lost:?}");
    assert!(lost.err.contains("cannot be written"), "{lost:?}");

    let first = export(&file).await;
    assert!(first.json()["output"]["records"].as_u64() > Some(1), "{first:?}");
    assert_eq!(first.json()["output"]["since"], json!(""), "what was lost is told again: {first:?}");
    let second = export(&file).await;
    assert_eq!(second.json()["output"]["records"], json!(0), "{second:?}");
    assert_eq!(second.json()["output"]["since"].as_str().unwrap().len(), 24);
}
