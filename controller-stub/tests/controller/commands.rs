//! What commands say, and what they leave behind when it comes to nothing.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::{chown, symlink};

use postern_controller_stub::clock;
use postern_protocol::TaskId;
use serde_json::Value;
use tokio::net::TcpSocket;

use crate::lab::{Lab, new_task};
use crate::member::succeeded;

/// Say nothing of what is behind the last one, and whoever goes by the list leaves tasks to lie.
#[tokio::test]
async fn a_list_of_tasks_that_is_not_whole_says_so() {
    let lab = Lab::start().await;
    let _worker = lab.working_member().await;
    for account in ["ann", "bob", "eve"] {
        lab.submit("enable_user", account).await;
    }
    for (limit, shown, more) in [("2", 2, true), ("3", 3, false), ("500", 3, false)] {
        let (code, out, err) = lab.command(&["task", "list", "--limit", limit, "--json"]);
        assert_eq!(code, Some(0), "{err}");
        let tasks: Vec<Value> = serde_json::from_str(&out).unwrap();
        assert_eq!((tasks.len(), err.contains("--limit")), (shown, more), "{limit}: {err}");
    }
    assert_eq!(lab.command(&["task", "list", "--limit", "0"]).0, Some(2));
}

/// Make the file before anything is asked, and the results that were fetched last month are gone with this month's mistake.
#[tokio::test]
async fn results_take_the_place_of_a_file_when_they_are_whole_and_never_of_the_dataset() {
    let lab = Lab::start().await;
    let (task, dataset) = (new_task().to_string(), lab.private_file("users.csv", "Username\njoe\n"));
    let (kept, failed) = (lab.private_file("results.jsonl", "of last month"), lab.path("again.csv"));
    let [dataset, kept, failed] = [&dataset, &kept, &failed].map(|it| it.to_str().unwrap());

    let (code, _, err) = lab.command(&["task", "results", &task, "--output", kept]);
    assert_eq!(code, Some(77), "{err}");
    assert_eq!(fs::read_to_string(kept).unwrap(), "of last month");

    for (output, failed) in [(dataset, failed), (failed, failed), (kept, dataset)] {
        let both = ["--output", output, "--failed", failed, "--dataset", dataset];
        let (code, _, err) = lab.command(&[&["task", "results", task.as_str()], &both[..]].concat());
        assert_eq!(code, Some(2), "{both:?}: {err}");
        assert!(err.contains("name another"), "{both:?}: {err}");
        assert_eq!(fs::read_to_string(dataset).unwrap(), "Username\njoe\n");
    }
    assert!(!fs::exists(failed).unwrap());
}

/// Upload before it is written, and the file that submits nothing has left a dataset at the controller, for a day.
#[tokio::test]
async fn no_import_is_written_to_a_file() {
    let lab = Lab::start().await;
    let (_identity, _session) = lab.working_member().await;
    let (dataset, file) = (lab.private_file("users.csv", "Username\njoe\n"), lab.path("task.json"));
    let import = ["task", "submit", "import_batch", "--system", "sf", "--dataset", dataset.to_str().unwrap()];
    let (code, _, err) = lab.command(&[&import[..], &["--write", file.to_str().unwrap()]].concat());
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("--write"), "{err}");
    assert!(!lab.command(&["audit", "show", "--act", "stream"]).1.contains("stream.upload"));
    assert!(!fs::exists(file).unwrap());
}

#[tokio::test]
async fn a_written_task_is_told_in_json() {
    let lab = Lab::start().await;
    let file = lab.path("task.json");
    let file = file.to_str().unwrap();
    let submit = ["task", "submit", "disable_user", "--system", "sf", "--account", "joe"];
    let (code, out, err) = lab.command(&[&submit[..], &["--write", file, "--json"]].concat());
    assert_eq!(code, Some(0), "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let written: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!((told["file"].as_str(), &told["id"]), (Some(file), &written["id"]));
}

/// Take who waits for a part of the task, and whoever sends a file again without waiting is told to have it done twice.
#[tokio::test]
async fn a_task_in_a_file_is_the_same_whether_somebody_waits_for_it_or_not() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let file = lab.path("task.json");
    let file = file.to_str().unwrap();
    let submit = ["task", "submit", "disable_user", "--system", "sf", "--account", "joe"];
    assert_eq!(lab.command(&[&submit[..], &["--write", file]].concat()).0, Some(0));
    let send = ["task", "send", file];
    let (code, _, err) = lab.command(&[&send[..], &["--async"]].concat());
    assert_eq!(code, Some(0), "{err}");
    let offer = session.offer().await;
    session.send(succeeded(1, &offer)).await;
    lab.finished(offer.task).await;
    for again in [&[][..], &["--async"]] {
        let (code, _, err) = lab.command(&[&send[..], again].concat());
        assert_eq!(code, Some(0), "{again:?}: {err}");
    }

    let mut body: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    body["mode"] = "async".into();
    let again: Value = lab.client().post("/v1/tasks", &body).await.unwrap();
    assert_eq!(again["id"], body["id"], "a program that asks in the other mode");
    assert_eq!(lab.client().list::<Value>("/v1/tasks", usize::MAX).await.unwrap().len(), 1);
}

/// Let an option of another kind pass, and a rehearsal is the change itself, or a word about one account is one about all.
#[tokio::test]
async fn what_belongs_to_another_kind_is_refused_before_anything_is_submitted() {
    let lab = Lab::start().await;
    let _worker = lab.working_member().await;
    for (kind, of_another) in [
        ("disable_user --account joe", "--dry-run"),
        ("deprovision_user --account joe", "--all-or-none"),
        ("reset_password --account joe --service", "--dry-run"),
        ("test_connection", "--account joe"),
    ] {
        let line = format!("task submit {kind} --system sf --async {of_another}");
        let (code, _, err) = lab.command(&line.split(' ').collect::<Vec<_>>());
        let option = of_another.split(' ').next().unwrap();
        assert!(code == Some(2) && err.contains(&format!("{option} belongs to")), "{line}: {code:?} {err}");
    }
    assert!(lab.client().list::<Value>("/v1/tasks", usize::MAX).await.unwrap().is_empty());
}

/// Let the variable win, and what is tried in a lab is done in production.
#[tokio::test]
async fn what_stands_on_the_command_line_counts_before_variables() {
    let (here, there) = (Lab::start().await, Lab::start().await);
    let url = there.addresses().api_url;
    let [here_dir, there_dir] = [&here, &there].map(|it| it.data_dir().to_str().unwrap().to_owned());
    let token = there.data_dir().join("api.token").to_str().unwrap().to_owned();
    let (url_var, token_var) =
        (("POSTERN_CONTROLLER_API_URL", url.as_str()), ("POSTERN_CONTROLLER_API_TOKEN_FILE", token.as_str()));
    let dir_var = ("POSTERN_CONTROLLER_DATA_DIR", here_dir.as_str());

    for (name, variables, typed) in [
        ("by-variables", &[url_var, token_var][..], &["--data-dir", here_dir.as_str()][..]),
        ("with-a-url", &[url_var], &["--data-dir", &here_dir]),
        ("by-url", &[dir_var, token_var], &["--api-url", &url]),
        ("with-a-token", &[dir_var], &["--api-url", &url, "--api-token-file", &token]),
        ("by-the-same-url", &[url_var, token_var], &["--api-url", &url]),
        ("by-url-beside-an-empty-variable", &[("POSTERN_CONTROLLER_API_URL", ""), token_var], &["--api-url", &url]),
        ("with-an-empty-variable", &[dir_var, ("POSTERN_CONTROLLER_API_URL", "")], &[]),
    ] {
        let (code, _, err) = here.program_in(variables, &[&["cluster", "create", name], typed].concat());
        assert_eq!(code, Some(0), "{name}: {err}");
        let is_at = async |lab: &Lab| {
            lab.client().list::<Value>("/v1/clusters", usize::MAX).await.unwrap().iter().any(|it| it["name"] == name)
        };
        let is_there = typed.contains(&"--api-url");
        assert_eq!((is_at(&here).await, is_at(&there).await), (!is_there, is_there), "{name}");
    }
    let (empty, nowhere) = (("POSTERN_CONTROLLER_API_URL", ""), ("POSTERN_CONTROLLER_API_TOKEN_FILE", "/nowhere"));
    let (code, _, err) = here.program_in(&[empty, nowhere], &["status", "--data-dir", &here_dir]);
    assert!(code == Some(78) && err.contains("/nowhere"), "another token than the one that is named: {code:?} {err}");

    let of_another = ("POSTERN_CONTROLLER_API_URL", "https://elsewhere.example");
    for variables in [&[("POSTERN_CONTROLLER_DATA_DIR", there_dir.as_str())][..], &[of_another, token_var]] {
        let (code, _, err) = here.program_in(variables, &["status", "--api-url", &url]);
        assert!(code == Some(2) && err.contains("--api-token-file"), "a token that nobody named: {code:?} {err}");
    }
    let by_variables = [("POSTERN_CONTROLLER_DATA_DIR", there_dir.as_str()), url_var];
    let (code, _, err) = here.program_in(&by_variables, &["status"]);
    assert!(code == Some(2) && err.contains("--api-token-file"), "nor by variables alone: {code:?} {err}");
    // A log is read where it is, and its own controller asked.
    let (code, _, err) = here.program_in(&by_variables, &["audit", "show"]);
    assert_eq!(code, Some(0), "{err}");
    let (code, told, err) = here.program_in(&by_variables, &["audit", "verify"]);
    assert!(code == Some(0) && told.contains("what the running controller remembers"), "{code:?} {told} {err}");
    let (code, told, err) = here.program_in(&by_variables[..1], &["audit", "verify", "--api-url", &url]);
    assert!(code == Some(2) && told.contains("not compared") && err.contains("--api-token-file"), "{told} {err}");
}

/// Refuse the id where nothing is sealed, and who heard no answer to a reset can only ask for another, with a second mail.
#[tokio::test]
async fn a_reset_of_the_systems_own_under_one_id_is_one_task() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let task = TaskId::from_random(clock::wall().0, [7; 10]).to_string();
    let submit = ["task", "submit", "reset_password", "--system", "sf", "--account", "joe", "--service", "--id", &task];
    let (code, _, err) = lab.command(&[&submit[..], &["--timeout-secs", "1"]].concat());
    assert_eq!(code, Some(80), "it goes on: {err}");
    assert!(err.contains(&format!("task wait {task}")), "{err}");
    let offer = session.offer().await;
    session.send(succeeded(1, &offer)).await;
    lab.finished(offer.task).await;
    let (code, _, err) = lab.command(&submit);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(lab.client().list::<Value>("/v1/tasks", usize::MAX).await.unwrap().len(), 1);
    let (code, _, err) = lab.command(&[&submit[..], &["--show-password"]].concat());
    assert_eq!(code, Some(2), "{err}");
}

/// Let it end as a command that submitted nothing does, or as a task that failed, and a script submits it anew.
#[tokio::test]
async fn who_waits_for_a_task_and_hears_nothing_is_told_that_it_may_go_on() {
    let mut lab = Lab::start().await;
    let (_identity, _member) = lab.working_member().await;
    let task = lab.submit("enable_user", "ann").await.to_string();
    let url = lab.addresses().api_url;
    lab.terminate();
    // Bound and never listening: connections are refused, and nobody else is given the port.
    let silent = TcpSocket::new_v4().unwrap();
    silent.set_reuseaddr(true).unwrap();
    silent.bind(url.strip_prefix("http://").unwrap().parse().unwrap()).unwrap();
    let (by_url, token_file) = (["--api-url", url.as_str()], lab.data_dir().join("api.token"));
    let by_url = [&by_url[..], &["--api-token-file", token_file.to_str().unwrap()]].concat();
    for (code, _, err) in
        [lab.command(&["task", "wait", &task]), lab.program(&[&["task", "wait", &task][..], &by_url].concat())]
    {
        assert!(code == Some(80) && err.contains(&format!("what becomes of {task} is not known")), "{code:?}: {err}");
    }
}

/// Return without a word, and a script goes on without the file until the results are forgotten.
#[tokio::test]
async fn results_that_cannot_be_opened_are_no_success() {
    let lab = Lab::start().await;
    let (_identity, mut session) = lab.working_member().await;
    let (key, output) = (lab.path("key"), lab.path("users.csv"));
    let [key, output] = [&key, &output].map(|it| it.to_str().unwrap());
    let export = ["task", "submit", "export", "--system", "sf", "--params", "{\"object\":\"User\",\"format\":\"csv\"}"];
    let (code, out, err) = lab.command(&[&export[..], &["--async", "--result-key", key, "--json"]].concat());
    assert_eq!(code, Some(0), "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let task = told["id"].as_str().unwrap();
    let results = ["task", "results", task, "--key", key, "--output", output];
    let (code, _, err) = lab.command(&results);
    assert!(code == Some(80) && err.contains(&format!("task wait {task}")), "there are none yet: {code:?}: {err}");
    let offer = session.offer().await;
    session.send(succeeded(1, &offer)).await;
    lab.finished(offer.task).await;
    let (code, _, err) = lab.command(&results);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("sealed to a key"), "{err}");
    assert!(!fs::exists(output).unwrap());
}

/// Send to whatever URL `api.json` tells, and whoever listens there while the controller is down has the token.
#[tokio::test]
async fn the_token_goes_to_a_controller_that_runs_and_to_nobody_in_its_place() {
    let mut lab = Lab::start().await;
    let told = lab.data_dir().join("api.json");
    let addresses = fs::read_to_string(&told).unwrap();
    lab.kill();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stale = addresses.replace(&lab.addresses().api_url, &url);
    assert_ne!(stale, addresses);
    fs::write(&told, stale).unwrap();
    let (code, _, err) = lab.command(&["status"]);
    assert_eq!(code, Some(69), "{err}");
    let how = "`systemctl start postern-controller`, or `postern-controller serve --data-dir";
    assert!(err.contains(how), "as a package starts it, with its options: {err}");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);

    lab.restart().await;
    assert_eq!(lab.command(&["status"]).0, Some(0));
    lab.terminate();
    assert!(!fs::exists(&told).unwrap());
    let (code, _, err) = lab.command(&["status"]);
    assert_eq!(code, Some(69), "{err}");
    assert!(err.contains(how), "{err}");
}

/// Read what `api.json` names whoever's it is, and root sends any secret of its own to whoever runs as the controller.
#[tokio::test]
async fn a_token_is_read_for_a_data_directory_only_from_a_file_of_its_owner() {
    let lab = Lab::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let other = lab.path("vault-token");
    fs::copy(&lab.addresses().api_token_file, &other).unwrap();
    // Nobody but root can give a file away, and nobody else can read this one.
    let theirs = if chown(&other, Some(65_534), None).is_ok() { other } else { "/etc/shadow".into() };
    let told = lab.data_dir().join("api.json");
    let mut addresses: Value = serde_json::from_slice(&fs::read(&told).unwrap()).unwrap();
    addresses["api_url"] = url.as_str().into();
    let link = lab.path("link");
    symlink(&theirs, &link).unwrap();
    for file in [&theirs, &link] {
        addresses["api_token_file"] = file.to_str().unwrap().into();
        fs::write(&told, addresses.to_string()).unwrap();
        let (code, _, err) = lab.command(&["status"]);
        assert_eq!(code, Some(78), "{err}");
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    let token = lab.data_dir().join("api.token");
    fs::rename(&token, lab.path("mine")).unwrap();
    for file in [&theirs, &link] {
        symlink(file, &token).unwrap();
        let (code, _, err) = lab.command(&["status", "--api-url", &url]);
        assert_eq!(code, Some(78), "{err}");
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        fs::remove_file(&token).unwrap();
    }
    fs::rename(lab.path("mine"), &token).unwrap();
    let running = lab.addresses().api_url;
    let (code, _, err) = lab.command(&["status", "--api-url", &running]);
    assert_eq!(code, Some(0), "{err}");
}

/// Show nothing before the error, and what the first reports counted as is never told again.
#[tokio::test]
async fn a_hand_in_that_is_cut_off_tells_what_it_did() {
    let lab = Lab::start().await;
    let file = Box::pin(crate::outbox::two_lines(&lab)).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for (status, body) in [(200, "{\"verdict\":\"finished\"}"), (500, "{}")] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 8 * 1024]).unwrap();
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all((head + body).as_bytes()).unwrap();
            // Whoever closes before all was read has what it said thrown away.
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let import = ["outbox", "import", file.to_str().unwrap(), "--api-url", &url, "--json"];
    let (code, out, err) = lab.command(&import);
    server.join().unwrap();
    assert_eq!(code, Some(1), "{err}");
    let told: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["became"], "finished");
}
