//! `postern policy`: what this agent's policy says of a task, without doing it.

use std::fs::File;
use std::path::Path;

use data_encoding::BASE64;
use jiff::Timestamp;
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
use crate::policy::{self, Refused};

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
    let signed = check_signature(policy, &it, &request, clock::wall()).map_err(unusable)?;
    let verdict = signed
        .and_then(|()| policy.check_request(&request, !it.sealed.is_empty()))
        .and_then(|()| policy.check_hour_of(&request, clock::wall()));
    Ok(tell(verdict.err(), *json))
}

/// What the policy says of its signature.
fn check_signature(
    policy: &policy::Policy,
    it: &Submission,
    request: &TaskRequest,
    now: Timestamp,
) -> Result<Result<(), Refused>, String> {
    let offer = offer(it, request)?;
    if it.streams.is_empty() {
        return Ok(policy.check_signature(&offer, now));
    }
    let signed = policy.check_signature_without_payloads(&offer, now);
    if it.signature.is_some() && signed.is_ok() {
        say_error("the signature is taken for that of this task: it is of the payload too, which is not in this file");
    }
    Ok(signed)
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
    use postern_protocol::signature::SigningKey;
    use zeroize::Zeroizing;

    use super::*;
    use crate::policy::{Rule, Signatures};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_private(Zeroizing::new([seed; 32])).unwrap()
    }

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

    /// Take any signature beside a payload for good, and a task is said to be let through that every agent refuses.
    #[test]
    fn a_signature_beside_a_payload_is_refused_if_its_key_is_not_accepted_or_its_time_is_over() {
        let made = 1_767_600_000_000;
        let task = json!({
            "id": TaskId::from_random(made, [1; 10]),
            "system": "acme",
            "kind": "import_batch",
            "params": { "format": "csv" },
            "streams": [{ "id": "one" }],
        });
        let (accepted, stranger) = (key(1), key(2));
        let signatures = Signatures { required: true, accepted: vec![*accepted.public()] };
        let policy = policy::Policy { signatures, ..policy::Policy::default() };
        let rule = |key: Option<&SigningKey>, after: u64| {
            let (mut it, request) = parse(&task.to_string()).unwrap();
            it.signature = key.map(|key| TaskSignature::sign(&offer(&it, &request).unwrap(), 0, key).unwrap().view());
            let now = Timestamp::from_millisecond(i64::try_from(made + after).unwrap()).unwrap();
            check_signature(&policy, &it, &request, now).unwrap().err().map(|refused| refused.rule)
        };
        let foreign = Some(Rule::AcceptedSigners);
        assert_eq!(rule(Some(&accepted), 0), None, "whether it is of the payload cannot be told");
        assert_eq!(rule(Some(&stranger), 0), foreign);
        assert_eq!(rule(Some(&accepted), 31 * 24 * 3_600_000), foreign);
        assert_eq!(rule(None, 0), Some(Rule::RequireSignature));
    }
}
