//! `postern policy`: what this agent's policy says of a task, without doing it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use postern_protocol::task::JsonError;
use postern_protocol::{SystemName, TaskKind, TaskRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failed, load, say, say_json};
use crate::cli::{Policy, PolicyCommand};
use crate::clock;
use crate::exit::Exit;
use crate::policy::Refused;

/// A task has no more without its payloads.
const MAX_FILE: u64 = 256 * 1024;

/// What somebody would submit, as far as the policy looks at it.
#[derive(Debug, Deserialize)]
struct Submission {
    system: SystemName,
    kind: TaskKind,
    #[serde(default = "nothing")]
    params: Value,
    #[serde(default)]
    sealed: Vec<Value>,
}

fn nothing() -> Value {
    json!({})
}

pub(super) fn run(config: &Path, options: &Policy) -> Result<Exit, Failed> {
    let config = load(config)?;
    let PolicyCommand::Check { task, json } = &options.command;
    let text = read(task)?;
    let unusable = |problem: String| Failed::new(Exit::Usage, format!("`{}`: {problem}", task.display()));
    let it: Submission = serde_json::from_str(&text).map_err(|error| unusable(format!("it is no task: {error}")))?;
    let request = TaskRequest::from_json(it.kind, it.params);
    let request = request.map_err(|error: JsonError| unusable(error.to_string()))?;
    let policy = &super::check_system(&config, &it.system)?.policy;
    let verdict = policy
        .check_request(&request, !it.sealed.is_empty())
        .and_then(|()| policy.check_hour_of(&request, clock::wall()));
    Ok(tell(verdict.err(), *json))
}

fn tell(refused: Option<Refused>, json: bool) -> Exit {
    let exit = if refused.is_some() { Exit::Failed } else { Exit::Ok };
    match (json, refused) {
        (true, None) => say_json(&json!({ "allowed": true })),
        (true, Some(refused)) => say_json(&json!({
            "allowed": false,
            "rule": refused.rule.to_string(),
            "summary": refused.to_string(),
            "next_step": refused.next_step(),
            "again": refused.again.map(|again| again.to_string()),
        })),
        (false, None) => say("allowed"),
        (false, Some(refused)) => say(format_args!("{refused}\n{}", refused.next_step())),
    }
    exit
}

fn read(task: &Path) -> Result<String, Failed> {
    let mut text = String::new();
    let read = File::open(task).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Failed::new(Exit::Usage, format!("`{}` cannot be read: {error}", task.display()))),
    }
}
