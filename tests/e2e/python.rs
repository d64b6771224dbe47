//! The example in Python of `docs/protocol.md`, run as it stands there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use postern_tests::Lab;
use postern_tests::lab::SYSTEM;

use crate::{JOE, programs};

const PAGE: &str = include_str!("../../docs/protocol.md");
/// What the example imports, in the versions it was seen to work with.
const REQUIREMENTS: &str = include_str!("requirements.txt");
const PASSWORD: &str = r#"P4ss"\wörd %+"#;

/// The one block of Python on the page.
fn example() -> &'static str {
    let mut blocks = PAGE.split("\n```python\n").skip(1);
    let block = blocks.next().expect("docs/protocol.md has an example in Python");
    assert!(blocks.next().is_none(), "docs/protocol.md has one example in Python");
    block.split_once("\n```\n").expect("the example ends").0
}

/// Whether what a Python would be needed for may be left out: outside of CI, where the variable `CI` is set.
fn not_applicable(why: &str) -> Option<PathBuf> {
    assert!(std::env::var_os("CI").is_none(), "the example of docs/protocol.md was not run: {why}");
    println!("not applicable: the example of docs/protocol.md was not run: {why}");
    None
}

fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{shown}: {words}")) }
}

/// A Python with what the example imports, made once for each list of versions; none if there is no Python here, or no
/// package index.
fn interpreter() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let (python, made) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if std::fs::read_to_string(&made).is_ok_and(|it| it == REQUIREMENTS) {
        return Some(python);
    }
    if let Err(why) = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)) {
        return not_applicable(&why);
    }
    let wanted = folder.join("wanted.txt");
    std::fs::write(&wanted, REQUIREMENTS).unwrap();
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "15"];
    if let Err(why) = run(Command::new(&python).args(install).arg("--requirement").arg(&wanted)) {
        return not_applicable(&why);
    }
    // The list is there when all of it is.
    std::fs::rename(wanted, made).unwrap();
    Some(python)
}

/// Change a label, a length or an order on the page, and the member cannot open what the example sealed.
#[tokio::test]
async fn the_python_example_of_the_protocol_submits_a_sealed_reset_password() {
    let Some(python) = interpreter() else { return };
    let lab = Lab::start(programs()).await;
    let first = lab.member("first").await;
    let _second = lab.member("second").await;
    let script = lab.folder().join("reset_password.py");
    std::fs::write(&script, example()).unwrap();
    let reset = async || {
        let mut child = tokio::process::Command::new(&python)
            .arg(&script)
            .arg(lab.controller.data())
            .args([SYSTEM, JOE])
            // Nobody is there: what went to a proxy would fail.
            .env("http_proxy", "http://127.0.0.1:9")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut input, format!("{PASSWORD}\n").as_bytes()).await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = reset().await;
    assert_eq!((code, out.trim()), (Some(0), "succeeded"), "{err}");
    assert!(lab.salesforce.password_is(JOE, PASSWORD));
    assert!(!lab.controller.log().contains(PASSWORD) && !first.log().contains(PASSWORD));

    // It says so when it does not work.
    lab.controller.cli(&["system", "associate", SYSTEM, "--with", "server"]).await;
    let (code, out, err) = reset().await;
    assert_ne!(code, Some(0), "{out}");
    assert!(err.contains("server"), "{err}");
}
