//! `postern policy`: what this agent's policy says of a task, without doing it.

use std::fs::File;
use std::path::Path;

use data_encoding::BASE64;
use postern_protocol::message::v1::Offer;
use postern_protocol::plain;
use postern_protocol::seal::{SealedField, SealingPublicKey};
use postern_protocol::signature::{SignatureView, TaskSignature};
use postern_protocol::task::JsonError;
use postern_protocol::{SystemName, TaskId, TaskKind, TaskRequest, codec};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{Failed, load, say, say_error, say_json};
use crate::cli::{Policy, PolicyCommand};
use crate::clock;
use crate::config::{read_up_to, text};
use crate::exit::Exit;
use crate::local::{self, Along};
use crate::policy::Refused;

/// A task has no more without its payloads.
const MAX_FILE: usize = 256 * 1024;

/// What somebody would submit, as far as the policy looks at it. The API refuses a name that it does not know, and whoever
/// writes one wrong must not read here that the task is let through.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    id: Option<TaskId>,
    system: SystemName,
    kind: TaskKind,
    #[serde(default = "nothing")]
    params: Value,
    #[serde(default)]
    sealed: Vec<Sealed>,
    #[serde(default)]
    streams: Vec<Value>,
    requester: Option<SealingPublicKey>,
    deadline_secs: Option<u64>,
    signature: Option<SignatureView>,
    #[serde(rename = "origin")]
    _origin: Option<IgnoredAny>,
    #[serde(rename = "mode")]
    _mode: Option<IgnoredAny>,
    #[serde(rename = "priority")]
    _priority: Option<IgnoredAny>,
    #[serde(rename = "wait_secs")]
    _wait_secs: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    #[serde(rename = "name")]
    _name: Option<IgnoredAny>,
    bytes: String,
}

fn nothing() -> Value {
    json!({})
}

pub(super) fn run(config: &Path, options: &Policy) -> Result<Exit, Failed> {
    let config = load(config)?;
    let PolicyCommand::Check { task, json } = &options.command;
    let text = read(task)?;
    let unusable = |problem: String| Failed::new(Exit::Usage, format!("`{}`: {problem}", task.display()));
    let (it, request) = parse(&text).map_err(unusable)?;
    let policy = &super::check_system(&config, &it.system)?.policy;
    let brings_payload = !it.streams.is_empty();
    if brings_payload && it.signature.is_some() {
        say_error("the signature is taken for good: it is of the payload too, which is not in this file");
    }
    let signed = match &it.signature {
        Some(_) if brings_payload => Ok(()),
        _ => policy.check_signature(&offer(&it, &request).map_err(unusable)?, clock::wall()),
    };
    let verdict = signed
        .and_then(|()| policy.check_request(&request, !it.sealed.is_empty()))
        .and_then(|()| policy.check_hour_of(&request, clock::wall()));
    Ok(tell(verdict.err(), *json))
}

/// The offer that would be made of the task in this text: for whoever has texts that nobody would write, as the fuzzer has.
pub fn offered(text: &str) -> Result<Offer, String> {
    let (it, request) = parse(text)?;
    offer(&it, &request)
}

fn parse(text: &str) -> Result<(Submission, TaskRequest), String> {
    let it: Submission =
        serde_json::from_str(text).map_err(|error| format!("it is no task: {}", plain::json(&error)))?;
    let request = TaskRequest::from_json(it.kind, it.params.clone()).map_err(|error: JsonError| error.to_string())?;
    Ok((it, request))
}

/// The offer that would be made of it.
fn offer(it: &Submission, request: &TaskRequest) -> Result<Offer, String> {
    let field = |sealed: &Sealed| {
        let bytes = BASE64.decode(sealed.bytes.as_bytes()).map_err(|error| format!("`sealed`: {error}"))?;
        codec::decode::<SealedField>(&bytes).map_err(|error| format!("`sealed`: {error}"))
    };
    let sealed = it.sealed.iter().map(field).collect::<Result<_, _>>()?;
    let along = Along { sealed, requester: it.requester, ..Along::default() };
    let id = it.id.unwrap_or_else(|| TaskId::from_bytes([0; 16]));
    let deadline_ms = it.deadline_secs.unwrap_or_default().saturating_mul(1_000);
    let signature = it.signature.as_ref().map(|view| TaskSignature::of_view(view, deadline_ms)).transpose();
    let signature = signature.map_err(|error| format!("`signature`: {error}"))?;
    let offer = local::offer(id, &it.system, request, along).map_err(|error| error.to_string())?;
    Ok(Offer { deadline_ms, signature: signature.map(Box::new), ..offer })
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
    File::open(task)
        .and_then(|file| text(read_up_to(file, MAX_FILE)?))
        .map_err(|error| Failed::new(Exit::Usage, format!("`{}` cannot be read: {error}", task.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<(Submission, TaskRequest), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("task.json");
        std::fs::write(&path, text).unwrap();
        parse(&read(&path).map_err(|failed| failed.message)?)
    }

    /// Read no further than the bound, and what comes behind it is not looked at.
    #[test]
    fn what_is_longer_than_a_task_is_none() {
        let task = r#"{"system": "acme", "kind": "test_connection"}"#;
        assert!(written(task).is_ok());
        let more = written(&format!("{task}{}{task}", " ".repeat(300_000))).err().unwrap();
        assert!(more.contains("task.json") && more.contains("more than"), "{more}");
    }

    #[test]
    fn a_field_that_the_api_does_not_know_is_named() {
        let task = |more: &str| written(&format!(r#"{{"system": "acme", "kind": "test_connection"{more}}}"#)).err();
        assert_eq!(task(r#", "origin": "administrator", "mode": "async", "priority": 9, "wait_secs": 0"#), None);
        for (more, name) in [
            (r#", "signatur": {}"#, "signatur"),
            (r#", "sealedd": []"#, "sealedd"),
            (r#", "sealed": [{"name": "password", "bytes": "", "value": "x"}]"#, "value"),
        ] {
            let error = task(more).unwrap();
            assert!(error.contains(name), "{error}");
        }
    }
}
