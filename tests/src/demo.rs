//! The main job for a person to watch, in a minute.
#![allow(clippy::print_stdout, reason = "this is a show")]

mod scene;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use salesforce_sim::{Fault, Matching, Mishap};
use scene::Scene;
use serde_json::{Value, json};

use crate::lab::{AgentOptions, CLUSTER, ControllerOptions, LabOptions, SYSTEM};
use crate::{Agent, Lab, wait_for};

/// Accounts in the simulated org.
const USERS: usize = 40;
/// Entries of the imported dataset: as many as the story asks for.
const ENTRIES: usize = 500;

/// The key of whoever signs tasks.
const SIGNER: &str = "signer.key";
/// An account that the agents' policy lets nobody change.
const PROTECTED: &str = "user0034@acme.example";

/// What went wrong, in a sentence.
type Outcome = Result<(), String>;

/// Runs the demo with the binary that becomes the programs.
pub async fn run(binary: &Path, stay: bool) -> Outcome {
    let mut scene = Scene::default();
    scene.act("Setting the stage");
    let controller = ControllerOptions {
        lease_ttl: Duration::from_secs(30),
        heartbeat: Duration::from_secs(5),
        ..ControllerOptions::default()
    };
    let mut lab = Lab::start_with(binary, LabOptions { users: USERS, controller }).await;
    Scene::say("a controller", &format!("{} with cluster `{CLUSTER}`", lab.controller.url()));
    Scene::say("a Salesforce", &format!("{} with {USERS} users", lab.salesforce.https_url()));
    let signer = lab.folder().join(SIGNER).display().to_string();
    let public = lab.controller.cli(&["task", "signing-key", &signer]).await;
    let policy = format!(
        "[connected_system.policy]\naccepted_signers = [{}]\nprotected = [\"{PROTECTED}\"]\n",
        public["public"]
    );
    let options = AgentOptions {
        concurrency: 4,
        request_timeout_secs: 10,
        salesforce_section: policy,
        ..AgentOptions::default()
    };
    let mut first = join(&mut scene, &lab, "agent-1", options.clone()).await;
    let second = join(&mut scene, &lab, "agent-2", options).await;
    lab.controller.associate(SYSTEM, CLUSTER).await;
    Scene::say("connected system", &format!("`{SYSTEM}` is associated with cluster `{CLUSTER}`"));

    every_kind(&mut scene, &lab).await?;
    import(&mut scene, &lab).await?;
    takeover(&mut scene, &lab, &first, &second).await?;
    kill(&mut scene, &lab, &mut first, &second).await?;
    trust(&mut scene, &lab, &second).await?;
    scene.table();
    summary(&lab);
    if stay {
        linger(&mut lab, &first).await;
    } else {
        println!("\nA web console shows all of this. To keep everything up and look: cargo demo --stay\n");
    }
    Ok(())
}

async fn join(scene: &mut Scene, lab: &Lab, name: &str, options: AgentOptions) -> Agent {
    let mut agent = lab.agent_with(name, options);
    agent.enroll(&lab.controller).await;
    agent.start().await;
    lab.controller.approve(agent.member()).await;
    scene.name(agent.member(), name);
    Scene::say(name, &format!("enrolled with a one-time token, approved, connected as {}", agent.member()));
    agent
}

fn user(number: usize) -> String {
    format!("user{number:04}@acme.example")
}

fn on_patch(what: Mishap, times: Option<u64>) -> Fault {
    Fault { when: Matching { method: Some("PATCH".to_owned()), path: None }, what, times }
}

async fn every_kind(scene: &mut Scene, lab: &Lab) -> Outcome {
    scene.act("Every kind of task, from the controller through an agent to Salesforce");
    let joe = user(1);
    let given = lab.folder().join("new-password");
    std::fs::write(&given, "Given-Pass-word-1").map_err(|error| error.to_string())?;
    let made_up = lab.folder().join("made-up-password");
    let (given, made_up) = (given.display().to_string(), made_up.display().to_string());
    let leaver = user(2);
    let left = format!("{leaver}.deleted");
    let (users, schema) = (lab.folder().join("users.csv"), lab.folder().join("schema.xml"));
    let (users, schema) = (users.display().to_string(), schema.display().to_string());
    let collected = lab.folder().join("collected.jsonl").display().to_string();
    let tasks: [(&str, &[&str]); 15] = [
        ("test_connection", &[]),
        ("validate_user", &["--account", &joe]),
        ("disable_user", &["--account", &joe]),
        ("enable_user", &["--account", &joe]),
        ("freeze_user", &["--account", &joe]),
        ("unfreeze_user", &["--account", &joe]),
        ("unlock_user", &["--account", &joe]),
        ("reset_password", &["--account", &joe, "--password-file", &given]),
        ("reset_password", &["--account", &joe, "--generate", "--output-password", &made_up]),
        ("expire_password", &["--account", &joe]),
        ("deprovision_user", &["--account", &leaver]),
        ("restore_user", &["--account", &left, "--name", &leaver]),
        ("export", &["--params", r#"{"object": "User", "format": "csv"}"#, "--output", &users]),
        ("describe_schema", &["--output", &schema]),
        ("collect", &["--params", r#"{"name": "demo"}"#, "--output", &collected]),
    ];
    for (kind, options) in tasks {
        let mut arguments = vec!["task", "submit", kind, "--system", SYSTEM];
        arguments.extend(options);
        let task = lab.controller.cli(&arguments).await;
        let about = match options {
            ["--account", account, "--password-file", ..] => format!("{account}, given"),
            ["--account", account, "--generate", ..] => format!("{account}, generated"),
            ["--account", account, ..] => (*account).to_owned(),
            _ => SYSTEM.to_owned(),
        };
        scene.task(&about, &task);
        if task["outcome"] != json!("succeeded") && task["outcome"] != json!("already_satisfied") {
            return Err(format!("{kind} ended as {}", task["outcome"]));
        }
    }
    Ok(())
}

async fn import(scene: &mut Scene, lab: &Lab) -> Outcome {
    scene.act(&format!("A dataset of {ENTRIES} entries, sealed by the submitter, with two mistakes in it"));
    let file = lab.folder().join("users.xml");
    std::fs::write(&file, dataset(lab)?).map_err(|error| error.to_string())?;
    let file = file.display().to_string();
    let submit = ["task", "submit", "import_batch", "--system", SYSTEM, "--dataset", &file, "--async"];
    // A real org takes its time; this one is asked to.
    lab.salesforce.inject(Fault { when: Matching::default(), what: Mishap::Latency { millis: 200 }, times: None });
    let submitted = lab.controller.cli(&submit).await;
    let id = submitted["id"].as_str().and_then(|id| id.parse().ok()).ok_or("the task has no id")?;
    let task = wait_for("the import", async || {
        let task = lab.controller.task(id).await;
        scene.progress(&task);
        if task["outcome"].is_string() { Ok(task) } else { Err(task) }
    })
    .await;
    lab.salesforce.clear_faults();
    scene.task(&format!("{ENTRIES} entries"), &task);
    let results = lab.folder().join("results.jsonl");
    let results_path = results.display().to_string();
    lab.controller.try_cli(&["task", "results", &id.to_string(), "--output", &results_path]).await;
    let results = std::fs::read_to_string(results).map_err(|error| error.to_string())?;
    for entry in results.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if entry["outcome"] == json!("failed") {
            Scene::note(&format!(
                "entry {} ({}): {}",
                entry["entry"],
                text(&entry["account"]),
                text(&entry["message"])
            ));
        }
    }
    let output = &task["output"];
    if output["failed"] == json!(2) && output["created"] == json!(ENTRIES - 12) && output["modified"] == json!(10) {
        Ok(())
    } else {
        Err(format!("the import came to {output}"))
    }
}

/// New users, ten modifications, a wrong picklist value and a user that is not there.
fn dataset(lab: &Lab) -> Result<String, String> {
    let joe = lab.salesforce.user(&user(1)).ok_or("the simulator lacks its first user")?;
    let profile = text(joe.fields.get("ProfileId").unwrap_or(&Value::Null)).to_owned();
    let mut dataset = "<?xml version=\"1.0\"?>\n<root>\n".to_owned();
    for number in 0..ENTRIES - 11 {
        let zone = if number == 123 { "Mars/Olympus" } else { "Europe/Berlin" };
        let _ = writeln!(
            dataset,
            "<entry changetype=\"add\"><Username>new{number:03}@acme.example</Username><LastName>New {number}\
             </LastName><Alias>new{number:03}</Alias><Email>new{number:03}@acme.example</Email><EmailEncodingKey>UTF-8\
             </EmailEncodingKey><LanguageLocaleKey>en_US</LanguageLocaleKey><LocaleSidKey>en_US</LocaleSidKey>\
             <TimeZoneSidKey>{zone}</TimeZoneSidKey><ProfileId>{profile}</ProfileId></entry>"
        );
    }
    for number in 1..=11 {
        let account = if number == 11 { "nobody@acme.example".to_owned() } else { user(number) };
        let _ = writeln!(
            dataset,
            "<entry changetype=\"modify\" modifytype=\"replace\"><Username>{account}</Username><Title>Title {number}\
             </Title></entry>"
        );
    }
    dataset.push_str("</root>\n");
    Ok(dataset)
}

async fn takeover(scene: &mut Scene, lab: &Lab, first: &Agent, second: &Agent) -> Outcome {
    scene.act("agent-1 is disabled in the middle of its work; agent-2 takes over");
    lab.salesforce.inject(Fault { when: Matching::default(), what: Mishap::Latency { millis: 250 }, times: None });
    let mut tasks = Vec::new();
    for number in 11..=19 {
        tasks.push((number, lab.controller.submit("disable_user", &user(number)).await));
    }
    wait_for("agent-1 to be in the middle of it", async || {
        for (_, id) in &tasks {
            let task = lab.controller.task(*id).await;
            if task["state"] == json!("started") && task["member"] == json!(first.member()) {
                return Ok(());
            }
        }
        Err("agent-1 has begun nothing")
    })
    .await;
    lab.controller.cli(&["member", "disable", first.member()]).await;
    Scene::note(&format!(
        "postern-controller member disable {}: agent-1 finishes what it began and gives the rest back; what is submitted \
         later is for agent-2",
        first.member()
    ));
    for number in 21..=29 {
        tasks.push((number, lab.controller.submit("disable_user", &user(number)).await));
    }
    let mut late_by_first = 0;
    for (number, id) in tasks {
        let task = lab.controller.finished(id).await;
        let is_late = number > 20;
        scene.task(&format!("{}{}", user(number), if is_late { ", later" } else { "" }), &task);
        late_by_first += usize::from(is_late && task["member"] == json!(first.member()));
    }
    lab.salesforce.clear_faults();
    lab.controller.cli(&["member", "enable", first.member()]).await;
    if late_by_first > 0 {
        return Err(format!("{} got work although it was disabled", second.member()));
    }
    Ok(())
}

async fn kill(scene: &mut Scene, lab: &Lab, first: &mut Agent, second: &Agent) -> Outcome {
    scene.act("kill -9 between the effect and the report");
    lab.controller.cli(&["member", "disable", second.member()]).await;
    wait_for("agent-2 to be disabled", async || {
        let member = lab.controller.member(second.member()).await;
        if member["state"] == json!("disabled") { Ok(()) } else { Err(member) }
    })
    .await;
    let joe = user(31);
    // Salesforce makes the change; its answer is held back until the agent is dead.
    lab.salesforce.inject(on_patch(Mishap::Latency { millis: 400 }, Some(1)));
    lab.salesforce.inject(on_patch(Mishap::DropReply, Some(1)));
    let id = lab.controller.submit("disable_user", &joe).await;
    wait_for("the effect", async || {
        if lab.salesforce.user(&joe).is_some_and(|user| !user.active) { Ok(()) } else { Err("still active") }
    })
    .await;
    first.kill().await;
    Scene::note("agent-1 is dead; Salesforce has the change; nobody was told");
    lab.salesforce.clear_faults();
    first.start().await;
    Scene::note("agent-1 is back: it finds its intent, reads Salesforce, and reports");
    let task = lab.controller.finished(id).await;
    scene.task(&joe, &task);
    lab.controller.cli(&["member", "enable", second.member()]).await;
    let deactivations = lab.salesforce.counters().users.get(&joe).map_or(0, |effects| effects.deactivations);
    Scene::note(&format!("Salesforce counted {deactivations} deactivation of {joe}"));
    if deactivations == 1 && task["outcome"] == json!("succeeded") { Ok(()) } else { Err(task.to_string()) }
}

/// What the agents let be done is theirs to say, and what they did is written down.
async fn trust(scene: &mut Scene, lab: &Lab, agent: &Agent) -> Outcome {
    scene.act("What an agent does not take on trust");
    let signer = lab.folder().join(SIGNER).display().to_string();
    let submit = ["task", "submit", "disable_user", "--system", SYSTEM, "--sign-with", &signer, "--account"];
    let (joe, protected) = (user(33), PROTECTED);
    let done = lab.controller.cli(&[&submit[..], &[joe.as_str()]].concat()).await;
    scene.task(&format!("{joe}, signed"), &done);
    let (_, refused, _) = lab.controller.try_cli(&[&submit[..], &[protected]].concat()).await;
    let refused: Value = serde_json::from_str(&refused).map_err(|error| error.to_string())?;
    scene.task(protected, &refused);
    Scene::note(text(&refused["note"]));
    let log = agent.run(&["audit", "verify", "--json"]).await.json();
    Scene::note(&format!(
        "the audit log of agent-2 is whole: {} lines, each with the hash of the one before",
        log["lines"]
    ));
    let is_refused = refused["outcome"] == json!("failed") && text(&refused["note"]).contains("rule `protected`");
    if done["outcome"] == json!("succeeded") && is_refused && log["whole"] == json!(true) {
        Ok(())
    } else {
        Err(format!("{done}, {refused}, {log}"))
    }
}

fn summary(lab: &Lab) {
    let counters = lab.salesforce.counters();
    let twice = counters.users.values().filter(|it| it.activations + it.deactivations != it.flips).count();
    println!(
        "\nSalesforce saw {} calls and {} logins. Effects applied twice: {twice}. Passwords the controller saw: none, \
         they were sealed to the agents.",
        counters.http_calls, counters.login_attempts
    );
}

async fn linger(lab: &mut Lab, agent: &Agent) {
    let bin = lab.programs().display();
    println!("\nEverything stays up until Ctrl-C. In another terminal:\n");
    println!("  export PATH={bin}:$PATH POSTERN_CONTROLLER_DATA_DIR={}", lab.controller.data().display());
    println!("  postern-controller member list");
    println!("  postern-controller task submit disable_user --system {SYSTEM} --account {}", user(2));
    println!("  postern-controller task list --limit 5");
    println!("  postern --config {} status", agent.config().display());
    println!("  curl -s {}/__sim/counters", lab.salesforce.http_url());
    let ready = lab.controller.ready();
    println!(
        "\nThe console is {}/console/ and asks for a token. This shows the first administrator's:\n",
        text(&ready["api_url"])
    );
    println!("  cat {}\n", lab.controller.data().join("api.token").display());
    let _ = tokio::signal::ctrl_c().await;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
