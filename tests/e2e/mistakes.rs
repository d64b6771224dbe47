//! Typical mistakes of every command: the exit code is the one of the table in the operator's guide, and the sentence names
//! what is wrong and never a type of the programs.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::Stdio;

use postern_tests::Lab;
use postern_tests::lab::{Agent, AgentOptions, SYSTEM, new_task_id};

use crate::programs;

/// What only a programmer can read.
const RUST: &[&str] = &["::", "Some(", "None,", "Error {", "Other(", "struct ", "enum ", "expected u", "Err("];

fn judge(arguments: &[&str], code: Option<i32>, said: &str, expected: i32, words: &[&str]) {
    assert_eq!(code, Some(expected), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing: {arguments:?}: {said}");
    }
    // Commands repeat what they were given.
    let said = arguments.iter().fold(said.to_owned(), |said, it| said.replace(it, ""));
    for word in RUST {
        assert!(!said.contains(word), "`{word}` is no word for people: {arguments:?}: {said}");
    }
}

async fn agent_says(agent: &Agent, arguments: &[&str], expected: i32, words: &[&str]) {
    let finished = agent.run(arguments).await;
    judge(arguments, finished.code, &format!("{}{}", finished.out, finished.err), expected, words);
}

async fn controller_says(lab: &Lab, arguments: &[&str], expected: i32, words: &[&str]) {
    let (code, out, err) = lab.controller.try_cli(arguments).await;
    judge(arguments, code, &format!("{out}{err}"), expected, words);
}

/// Files in the lab's folder with these contents, for their owner alone.
fn file(lab: &Lab, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = lab.folder().join(name);
    postern_store::private::replace(&path, content.as_ref()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_mistake_on_the_agents_command_line_is_2_and_names_what_is_wrong() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let says = async |arguments: &[&str], code, words: &[&str]| agent_says(&agent, arguments, code, words).await;
    let absent = lab.folder().join("absent").display().to_string();
    let nowhere = lab.folder().join("no/such/folder").display().to_string();
    let text = file(&lab, "text.json", "\"x\"");
    let at_system = |rest: &str| format!("{{\"system\": \"{SYSTEM}\", \"kind\": \"disable_user\"{rest}}}");

    says(&["policy", "check", &absent], 2, &[&absent, "cannot be read"]).await;
    for (rest, words) in [
        ("", &["account"][..]),
        (", \"params\": 3", &["disable_user", "expected an object"]),
        (", \"params\": {\"acount\": \"joe\"}", &["acount"]),
        (", \"params\": {\"account\": \"joe\"}, \"sealed\": [3]", &["expected an object"]),
        (", \"params\": {\"account\": \"joe\"}, \"sealed\": [{\"bytes\": \"AAAA\"}]", &["`sealed`", "end too early"]),
        (", \"params\": {\"account\": \"joe\"}, \"signature\": 3", &["expected an object"]),
        (", \"params\": {\"account\": \"joe\"}, \"id\": \"x\"", &["id of a task", "tsk_"]),
        (", \"deadline_secs\": \"soon\"", &["expected a whole number"]),
        (", \"params\": {\"account\": \"joe\"}, \"signatur\": {}", &["signatur"]),
    ] {
        let task = file(&lab, "task.json", at_system(rest));
        says(&["policy", "check", &task], 2, &[&[task.as_str()], words].concat()).await;
    }
    says(&["policy", "check", &text], 2, &[&text, "is no task", "expected an object"]).await;

    let exec = |kind: &'static str, more: &[&str]| -> Vec<String> {
        [&["exec", kind, "--system", SYSTEM][..], more].concat().iter().map(|it| (*it).to_owned()).collect()
    };
    let dataset = file(&lab, "users.dat", "x");
    for (arguments, words) in [
        (
            vec!["exec".to_owned(), "test-connection".to_owned(), "--system".to_owned(), "a b".to_owned()],
            "connected system",
        ),
        (vec!["exec".to_owned(), "test-connection".to_owned(), "--system".to_owned(), "other".to_owned()], "it has: "),
        (exec("import-batch", &["--dataset", &format!("{absent}.xml")]), "cannot be read"),
        (exec("import-batch", &["--dataset", &dataset]), "--format"),
        (exec("reset-password", &["--account", "joe", "--password-file", &absent]), "cannot be read"),
        (exec("reset-password", &["--account", "joe", "--generate", &nowhere]), "name another"),
        (exec("export", &["--object", "User", "--format", "csv", "--output", &nowhere]), "name another"),
        (exec("export", &["--object", "User", "--format", "csv", "--output", &absent, "--filter", "3"]), "--filter"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        says(&arguments, 2, &[words]).await;
    }
    says(&["schema", "--system", SYSTEM, "import", "--from", &absent], 2, &[&absent, "cannot be read"]).await;
    says(&["schema", "--system", SYSTEM, "import", "--from", &text], 2, &[&text]).await;
    says(&["audit", "verify", "--dir", &absent], 2, &[&absent, "--dir"]).await;
    says(&["audit", "show", "--dir", &absent], 2, &[&absent, "--dir"]).await;
    says(&["enroll", "--controller", "wss://127.0.0.1:1", "--token-file", &absent], 2, &[&absent]).await;
    says(&["enroll", "--controller", "wss://127.0.0.1:1", "--token-file", &text], 2, &["token create"]).await;
    says(&["outbox", "export", "--output", &absent], 77, &["postern enroll"]).await;
    says(&["run"], 77, &["postern enroll"]).await;
    says(&["store", "rotate-key", "--new-credential", "absent"], 78, &["LoadCredentialEncrypted=absent"]).await;
    says(&["cursor", "--system", SYSTEM, "forget", "--object", "User", "--name", "x"], 2, &["`list`"]).await;

    let good = std::fs::read_to_string(agent.config()).unwrap();
    for (from, to, words) in [
        ("[controller]", "[controller]\nproxy = 3", "`proxy`: invalid type: integer `3`, expected a table"),
        ("[controller]", "[controller]\nurls = 3", "`urls`: invalid type: integer `3`, expected a list"),
        ("[agent]", "[agent]\nstore_key = 3", "`store_key`"),
        ("concurrency = 8", "concurrency = \"8\"", "expected a whole number"),
        ("concurrency = 8", "policy = 3", "expected a table"),
        ("concurrency = 8", "name = \"A B\"", "agent.toml:"),
    ] {
        std::fs::write(agent.config(), good.replacen(from, to, 1)).unwrap();
        says(&["exec", "test-connection", "--system", SYSTEM], 78, &["agent.toml:", words]).await;
    }
    std::fs::write(agent.config(), "agent = 3\n").unwrap();
    says(&["status"], 78, &["agent.toml:1", "`agent`", "expected a table"]).await;
    std::fs::remove_file(agent.config()).unwrap();
    says(&["status"], 78, &["agent.toml", "--config"]).await;
}

#[tokio::test]
async fn a_mistake_on_the_controllers_command_line_is_2_and_names_what_is_wrong() {
    let lab = Lab::start(programs()).await;
    lab.controller.associate(SYSTEM, "server").await;
    let says = async |arguments: &[&str], code, words: &[&str]| controller_says(&lab, arguments, code, words).await;
    let absent = lab.folder().join("absent").display().to_string();
    let nowhere = lab.folder().join("no/such/folder").display().to_string();
    let text = file(&lab, "text.json", "\"x\"");
    let dataset = file(&lab, "users.dat", "x");
    let task = new_task_id().to_string();

    says(&["task", "signing-key", &text], 2, &[&text, "there already", "name another"]).await;
    says(&["task", "signing-key", &nowhere], 2, &[&nowhere, "name another"]).await;
    let submit = |kind: &'static str, more: &[&str]| -> Vec<String> {
        [&["task", "submit", kind, "--system", SYSTEM][..], more].concat().iter().map(|it| (*it).to_owned()).collect()
    };
    let joe = "user0001@acme.example";
    let csv = "{\"object\": \"User\", \"format\": \"csv\"}";
    for (arguments, words) in [
        (submit("fly", &[]), "disable_user"),
        (submit("disable_user", &[]), "--account"),
        (submit("disable_user", &["--account", joe, "--sign-with", &absent]), "absent"),
        (submit("disable_user", &["--account", joe, "--sign-with", &text]), "task signing-key"),
        (submit("disable_user", &["--account", joe, "--write", &text]), "name another"),
        (submit("disable_user", &["--account", joe, "--write", &nowhere]), "name another"),
        (submit("disable_user", &["--account", joe, "--id", "x"]), "id of a task"),
        (submit("reset_password", &["--account", joe, "--password-file", &absent]), "cannot be read"),
        (submit("reset_password", &["--account", joe, "--generate", "--output-password", &nowhere]), "name another"),
        (submit("import_batch", &["--dataset", &format!("{absent}.xml")]), "cannot be read"),
        (submit("import_batch", &["--dataset", &dataset]), "--format"),
        (submit("export", &["--params", "{", "--output", &absent]), "--params"),
        (submit("export", &["--params", "3", "--output", &absent]), "expected an object"),
        (submit("export", &["--params", csv, "--output", &nowhere]), "name another"),
        (submit("export", &["--params", csv, "--async", "--result-key", &text]), "name another"),
        (submit("export", &["--params", csv, "--result-key", &absent, "--write", &nowhere]), "--write"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        says(&arguments, 2, &[words]).await;
    }
    says(&["task", "send", &absent], 2, &[&absent, "cannot be read"]).await;
    says(&["task", "send", &text], 2, &[&text, "--write", "expected an object"]).await;
    says(&["task", "send", &file(&lab, "no-id.json", "{}")], 2, &["no `id`"]).await;
    says(&["task", "show", "x"], 2, &["id of a task"]).await;
    says(&["task", "show", &task], 77, &[&task]).await;
    says(&["task", "results", &task, "--output", &nowhere, "--key", &absent], 2, &[&absent]).await;
    says(&["task", "results", &task, "--output", &nowhere, "--key", &text], 2, &["--result-key"]).await;
    says(&["outbox", "import", &absent], 2, &[&absent, "cannot be read"]).await;
    says(&["outbox", "import", &text], 2, &["postern outbox export", "line 1", "expected an object"]).await;
    says(&["audit", "verify", "--dir", &absent], 2, &[&absent, "--dir"]).await;
    says(&["audit", "show", "--dir", &absent], 2, &[&absent, "--dir"]).await;
    says(&["member", "show", "x"], 2, &["id of a member", "mbr_"]).await;
    says(&["cluster", "create", "A B"], 2, &["name of a cluster"]).await;
    says(&["token", "create", "--cluster", "other"], 77, &["other"]).await;
    says(&["system", "add", "other", "--with", "nobody"], 77, &["nobody"]).await;
    says(&["system", "show", "other"], 77, &["other"]).await;
    says(&["api-token", "create", "--name", "x y", "--role", "viewer"], 2, &["name of an API token"]).await;
    says(&["task", "list", "--api-token-file", &absent], 78, &[&absent, "--api-token-file"]).await;
    let garbage = file(&lab, "garbage", [0xff_u8, 0, 7]);
    says(&["task", "list", "--api-token-file", &garbage], 78, &["no API token", "--api-token-file"]).await;
    let wrong = file(&lab, "wrong", "postern-api-nonsense");
    says(&["task", "list", "--api-token-file", &wrong], 77, &[]).await;
    says(&["task", "list", "--api-url", "http://127.0.0.1:1", "--api-token-file", &wrong], 69, &["does not answer"])
        .await;
}

/// Read the roots of the system whatever the URL is, and every command of such a host ends with 70.
#[tokio::test]
async fn a_host_without_root_certificates_speaks_plain_http_and_is_told_what_https_needs() {
    let lab = Lab::start(programs()).await;
    let bare = [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];
    let (code, out, err) = lab.controller.try_cli_in(&bare, &["status"]).await;
    assert_eq!(code, Some(0), "{out}{err}");

    let token = file(&lab, "api-token", "some-token");
    let elsewhere = ["status", "--api-url", "https://controller.invalid", "--api-token-file", &token];
    let (code, out, err) = lab.controller.try_cli_in(&bare, &elsewhere).await;
    judge(&elsewhere, code, &format!("{out}{err}"), 78, &["ca-certificates"]);
}

/// A token that was made and is in no file would be taken for one that is.
#[tokio::test]
async fn an_answer_that_finds_no_room_on_the_disk_is_no_success() {
    let lab = Lab::start(programs()).await;
    let agent = lab.agent("agent");
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (config, data) = (agent.config(), lab.controller.data().to_owned());
    let lines: [(&str, &[&OsStr]); 2] = [
        ("postern", &["--config".as_ref(), config.as_os_str(), "status".as_ref(), "--json".as_ref()]),
        ("postern-controller", &["cluster".as_ref(), "list".as_ref(), "--data-dir".as_ref(), data.as_os_str()]),
    ];
    for (program, arguments) in lines {
        let mut command = tokio::process::Command::new(lab.folder().join("bin").join(program));
        let started = command.args(arguments).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let output = started.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{program}: {said}");
        assert!(said.contains("cannot be written"), "{program}: {said}");
    }
}

/// Let root write it, and the command ends well, and the agent, which cannot read the file, does not start again.
#[tokio::test]
async fn a_schema_that_its_agent_could_not_read_is_not_written() {
    const NOBODY: u32 = 65_534;
    let lab = Lab::start(programs()).await;
    let directory = lab.folder().join("schemas");
    std::fs::create_dir(&directory).unwrap();
    if std::fs::metadata(&directory).unwrap().uid() != 0 {
        assert!(std::env::var_os("CI").is_none(), "nothing was given away: run this as root");
        eprintln!("not applicable: only root may give a directory away");
        return;
    }
    let schema = directory.join("acme.xml");
    let salesforce_section = format!("schema = \"{}\"\n", schema.display());
    let agent = lab.agent_with("agent", AgentOptions { salesforce_section, ..AgentOptions::default() });
    let said = file(&lab, "schema.xml", "<schema><object name=\"User\"><attribute name=\"Id\"/></object></schema>");
    let state = agent.folder().join("state");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();

    for given in [&directory, &state] {
        chown(given, Some(NOBODY), None).unwrap();
        let as_its_owner = "runuser -u \"$(id -nu 65534)\"";
        for rest in [&["reset"][..], &["import", "--from", &said]] {
            let arguments = [&["schema", "--system", SYSTEM], rest].concat();
            agent_says(&agent, &arguments, 78, &[as_its_owner, given.to_str().unwrap()]).await;
            assert!(!schema.exists(), "{arguments:?} of root's");
        }
        chown(given, Some(0), None).unwrap();
    }
    agent_says(&agent, &["schema", "--system", SYSTEM, "reset"], 0, &[]).await;
    assert!(schema.exists());
}
