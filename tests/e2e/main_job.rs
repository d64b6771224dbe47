//! A task dispatched by the controller changes a Salesforce user, and its outcome comes back.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use postern_tests::lab::SYSTEM;
use postern_tests::{Lab, wait_for};
use serde_json::json;
use tokio::process::Command;

use crate::{JOE, programs, reset_password};

#[tokio::test]
async fn a_user_is_disabled_and_enabled_again() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;

    let disabled = lab.controller.cli(&["task", "submit", "disable_user", "--system", SYSTEM, "--account", JOE]).await;
    assert_eq!((&disabled["outcome"], &disabled["changed"]), (&json!("succeeded"), &json!("yes")), "{disabled}");
    assert_eq!(disabled["member"], json!(agent.member()));
    assert!(!lab.salesforce.user(JOE).unwrap().active);

    let again = lab.controller.submit("disable_user", JOE).await;
    let again = lab.controller.finished(again).await;
    assert_eq!((&again["outcome"], &again["changed"]), (&json!("already_satisfied"), &json!("no")), "{again}");

    let enabled = lab.controller.submit("enable_user", JOE).await;
    assert_eq!(lab.controller.finished(enabled).await["outcome"], json!("succeeded"));
    let effects = lab.salesforce.counters().users[JOE];
    assert_eq!((effects.deactivations, effects.activations), (1, 1));
}

#[tokio::test]
async fn test_connection_and_validate_user_answer_with_what_they_found() {
    let lab = Lab::start(programs()).await;
    let _agent = lab.member("agent").await;

    let tested = lab.controller.cli(&["task", "submit", "test_connection", "--system", SYSTEM]).await;
    assert_eq!(tested["outcome"], json!("succeeded"), "{tested}");
    assert_eq!(tested["output"]["method"], json!("oauth-client-credentials"));

    let found = lab.controller.submit("validate_user", JOE).await;
    let found = lab.controller.finished(found).await;
    assert_eq!(found["output"]["user"]["active"], json!(true), "{found}");
    assert_eq!(found["output"]["user"]["profile"], json!("Standard User"));

    let absent = lab.controller.submit("validate_user", "nobody@acme.example").await;
    let absent = lab.controller.finished(absent).await;
    assert_eq!((&absent["outcome"], &absent["output"]["user"]), (&json!("succeeded"), &json!(null)), "{absent}");
}

/// Feature D3.
#[tokio::test]
async fn a_given_password_is_set_and_never_lies_about_in_clear() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let secret = "Correct-Horse-42-battery";
    let file = lab.folder().join("new-password");
    std::fs::write(&file, secret).unwrap();

    let arguments = reset_password(JOE, &["--password-file", file.to_str().unwrap()]);
    let reset = lab.controller.cli(&arguments).await;
    assert_eq!(reset["outcome"], json!("succeeded"), "{reset}");
    assert!(lab.salesforce.password_is(JOE, secret));

    std::fs::remove_file(&file).unwrap();
    for folder in [agent.folder(), lab.controller.data()] {
        assert_eq!(files_with(folder, secret.as_bytes()), Vec::<String>::new());
    }
    assert!(!agent.log().contains(secret) && !lab.controller.log().contains(secret));
}

/// Every file below `folder` that contains `needle`.
pub(crate) fn files_with(folder: &std::path::Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(needle.len()).any(|window| window == needle)
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// A core file would hold every secret that the process has in memory.
#[tokio::test]
async fn no_program_dumps_core() {
    let lab = Lab::start(programs()).await;
    let agent = lab.member("agent").await;
    let controller = std::fs::read(lab.controller.data().join("api.json")).unwrap();
    let controller: serde_json::Value = serde_json::from_slice(&controller).unwrap();
    for pid in [&agent.status().await["agent"]["pid"], &controller["pid"]] {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..], ["0", "0", "bytes"], "{core}");
        // Of a process that is not dumpable, these files are root's, whoever runs it.
        let owner = std::fs::metadata(format!("/proc/{pid}/maps")).unwrap().uid();
        assert_eq!(owner, 0, "process {pid} can be dumped");
    }
}

/// What `/proc` has of a process is its user's, or root's if it can not be dumped: so root, whose it is in either case, looks as
/// somebody else. Leave the flag out, and a program shows its memory to every process of its user.
#[tokio::test]
async fn no_program_can_be_dumped_by_its_user() {
    const NOBODY: u32 = 65_534;
    let lab = Lab::start(programs()).await;
    let user = std::fs::metadata(lab.folder()).unwrap().uid();
    let other = if user == 0 { NOBODY } else { user };
    let binary = lab.folder().join("program");
    // Not by this process: what another test starts meanwhile would have it open for writing, and it could not be run.
    assert!(Command::new("cp").args([programs(), &binary]).status().await.unwrap().success());
    for (path, mode) in [(lab.folder(), 0o711), (&binary, 0o755)] {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let agent = lab.agent("agent");
    let data = lab.folder().join("another");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    let files = std::fs::read_dir(agent.folder()).unwrap().map(|it| it.unwrap().path());
    for path in files.chain([agent.folder().to_owned(), data.clone()]) {
        chown(path, Some(other), Some(other)).unwrap();
    }
    let (config, data) = (agent.config(), data.to_str().unwrap().to_owned());
    for (program, arguments) in [
        // Waits for its token.
        ("postern", ["--config", config.to_str().unwrap(), "enroll", "--controller", "wss://127.0.0.1:1"].as_slice()),
        (
            "postern-controller",
            &["serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"],
        ),
    ] {
        let mut command = Command::new(&binary);
        command.as_std_mut().arg0(program).uid(other).gid(other);
        let started = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn();
        let process = started.unwrap();
        let pid = process.id().unwrap();
        wait_for(&format!("{program} to keep its memory private"), async || {
            let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
            let has_none = limits.lines().any(|line| line.starts_with("Max core file size        0 "));
            let owner = std::fs::metadata(format!("/proc/{pid}/maps")).map(|it| it.uid());
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            // Before it is the program it may not be dumped, either.
            let is_it = command.starts_with(program);
            if is_it && has_none && matches!(owner, Ok(0)) { Ok(()) } else { Err((command, limits, owner)) }
        })
        .await;
    }
}

/// Feature D3.
#[tokio::test]
async fn a_generated_password_is_for_the_requester_alone() {
    let lab = Lab::start(programs()).await;
    let _agent = lab.member("agent").await;
    let file = lab.folder().join("made-up");

    let arguments = reset_password(JOE, &["--generate", "--output-password", file.to_str().unwrap()]);
    let reset = lab.controller.cli(&arguments).await;
    assert_eq!(reset["outcome"], json!("succeeded"), "{reset}");
    let password = std::fs::read_to_string(&file).unwrap();
    assert!(lab.salesforce.password_is(JOE, password.trim()), "what was returned is what was set");
    assert!(!reset.to_string().contains(password.trim()));
}

#[tokio::test]
async fn an_expired_password_is_of_no_use_any_more() {
    let lab = Lab::start(programs()).await;
    let _agent = lab.member("agent").await;
    let expired = lab.controller.submit("expire_password", JOE).await;
    let expired = lab.controller.finished(expired).await;
    assert_eq!(expired["outcome"], json!("succeeded"), "{expired}");
    assert!(lab.salesforce.user(JOE).unwrap().password_expired);
    assert_eq!(lab.salesforce.counters().users[JOE].password_resets, 1);
}

/// Feature B9.
#[tokio::test]
async fn a_batch_creates_and_modifies_and_says_what_came_of_each_entry() {
    let lab = Lab::start(programs()).await;
    let _agent = lab.member("agent").await;
    let file = lab.folder().join("users.xml");
    std::fs::write(&file, dataset(&lab)).unwrap();

    let arguments = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", file.to_str().unwrap()];
    let submitted = lab.controller.cli(&[&arguments[..], &["--account-id", "Id", "--async"]].concat()).await;
    let id = submitted["id"].as_str().unwrap().parse().unwrap();
    let batch = lab.controller.finished(id).await;
    assert_eq!(batch["outcome"], json!("partially_succeeded"), "{batch}");
    let output = &batch["output"];
    let counts = ["entries", "created", "modified", "failed", "unknown"].map(|name| output[name].as_u64().unwrap());
    assert_eq!(counts, [4, 2, 1, 1, 0], "{batch}");
    assert_eq!(lab.salesforce.user("new1@acme.example").unwrap().fields["LastName"], json!("One"));
    assert!(lab.salesforce.password_is("new2@acme.example", "Correct-Horse-77"));
    assert_eq!(lab.salesforce.user(JOE).unwrap().fields["Title"], json!("Chief & more"));

    let results = lab.folder().join("results.jsonl");
    lab.controller.try_cli(&["task", "results", &id.to_string(), "--output", results.to_str().unwrap()]).await;
    let results = std::fs::read_to_string(&results).unwrap();
    assert_eq!(results.lines().count(), 4, "{results}");
    assert!(results.contains("nobody@acme.example") && !results.contains("Correct-Horse-77"), "{results}");
    let lines: Vec<serde_json::Value> = results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for name in ["new1@acme.example", "new2@acme.example", JOE] {
        let line = lines.iter().find(|line| line["login_id"] == name).unwrap();
        assert_eq!(line["account_id"], json!(lab.salesforce.user(name).unwrap().id), "{line}");
    }
    assert_eq!(lines.iter().filter(|line| line.get("account_id").is_none()).count(), 1, "{results}");

    let rest = lab.folder().join("rest.xml");
    let (rest_file, dataset_file) = (rest.to_str().unwrap(), file.to_str().unwrap());
    lab.controller
        .try_cli(&["task", "results", &id.to_string(), "--failed", rest_file, "--dataset", dataset_file])
        .await;
    let rest = std::fs::read_to_string(&rest).unwrap();
    assert_eq!(rest.matches("<entry").count(), 1, "{rest}");
    assert!(rest.starts_with("<?xml") && rest.contains("nobody@acme.example") && rest.ends_with("</root>\n"), "{rest}");
}

fn dataset(lab: &Lab) -> String {
    let profile = lab.salesforce.user(JOE).unwrap().fields["ProfileId"].as_str().unwrap().to_owned();
    let mut text = "<?xml version=\"1.0\"?>\n<root>\n".to_owned();
    for (number, last, password) in [(1, "One", ""), (2, "Two", "<password>Correct-Horse-77</password>")] {
        writeln!(
            text,
            "<entry changetype=\"add\"><Username>new{number}@acme.example</Username><LastName>{last}</LastName>\
             <Alias>new{number}</Alias><Email>new{number}@acme.example</Email>\
             <EmailEncodingKey>UTF-8</EmailEncodingKey><LanguageLocaleKey>en_US</LanguageLocaleKey>\
             <LocaleSidKey>en_US</LocaleSidKey><TimeZoneSidKey>Europe/Berlin</TimeZoneSidKey>\
             <ProfileId>{profile}</ProfileId>{password}</entry>"
        )
        .unwrap();
    }
    writeln!(
        text,
        "<entry changetype=\"modify\" modifytype=\"replace\"><Username>{JOE}</Username><Title>Chief &amp; \
         more</Title></entry>\n<entry changetype=\"modify\" modifytype=\"replace\"><Username>nobody@acme.example\
         </Username><Title>x</Title></entry>\n</root>"
    )
    .unwrap();
    text
}

#[tokio::test]
async fn a_member_that_signs_in_by_soap_finds_out_that_it_needs_the_token() {
    let lab = Lab::start(programs()).await;
    let options = postern_tests::lab::AgentOptions {
        sign_in: postern_tests::lab::SignIn::Soap,
        ..postern_tests::lab::AgentOptions::default()
    };
    let _agent = lab.member_with("agent", options).await;
    let tested = lab.controller.cli(&["task", "submit", "test_connection", "--system", SYSTEM]).await;
    assert_eq!(tested["outcome"], json!("succeeded"), "{tested}");
    assert_eq!(tested["output"]["network"], json!("token"));
    assert!(tested["output"]["warnings"].to_string().contains("Summer '27"), "the method's end is announced: {tested}");
}

#[tokio::test]
async fn status_says_what_the_agent_is_doing() {
    let lab = Lab::start(programs()).await;
    let mut agent = lab.member("agent").await;
    wait_for("the member to know that it is enabled", async || {
        let status = agent.status().await;
        if status["agent"]["ledger"]["member_state"] == json!("enabled") { Ok(()) } else { Err(status) }
    })
    .await;
    let status = agent.status().await;
    assert_eq!(status["agent"]["link"]["state"], json!("connected"), "{status}");
    assert_eq!(agent.terminate().await, Some(0));
    let status = agent.status().await;
    assert_eq!(
        (&status["running"], &status["membership"]["member"]),
        (&json!(false), &json!(agent.member())),
        "{status}"
    );
}
