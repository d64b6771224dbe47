//! The program: help, ready file, org file, mistakes.

use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use crate::client::{Answer, http};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_salesforce-sim"))
}

/// Ends the process when the test ends, however it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn help_teaches() {
    let output = program().arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["--ready-file", "--org-file", "Examples:", "__sim/faults", "Exit codes"] {
        assert!(text.contains(word), "{word}");
    }
}

#[tokio::test]
async fn the_ready_file_tells_where_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, org) = (folder.path().join("ready.json"), folder.path().join("org.toml"));
    std::fs::write(
        &org,
        "name = \"Globex\"\n[[users]]\nusername = \"boss@globex.example\"\nprofile = \"System Administrator\"\n",
    )
    .unwrap();
    let child = program().arg("--org-file").arg(&org).arg("--ready-file").arg(&ready).stdout(Stdio::null()).spawn();
    let _running = Running(child.unwrap());

    // Level-triggered: the test runner's own limit bounds the wait.
    let text = loop {
        match std::fs::read_to_string(&ready) {
            Ok(text) => break text,
            Err(_) => tokio::task::yield_now().await,
        }
    };

    let ready: Json = serde_json::from_str(&text).unwrap();
    let url = format!("{}/__sim/users/boss@globex.example", ready["http_url"].as_str().unwrap());
    assert_eq!(Answer::of(http().get(url)).await.json["org"], "Globex");
    assert!(ready.get("password").is_none());
}

#[test]
fn a_mistake_is_one_clear_sentence() {
    let output = program().args(["--http", "nonsense"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text,
        "salesforce-sim: `nonsense` is neither `off` nor an address with a port, such as 127.0.0.1:8080\n"
    );
}
