//! `docs/protocol.md` is enough to read every frame: a decoder that knows nothing else reads all of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use postern_protocol::code::CodeSet;
use postern_protocol::enrollment::v1::EnrollRefusal;
use postern_protocol::filter::FilterOperator;
use postern_protocol::message::v1::{
    CancelVerdict, CertRefusal, HeldState, LeaseVerdict, LogLevel, LogLevelVerdict, MembershipState, Mode, Rejection,
    SessionRefusal, SignInState, StreamFault,
};
use postern_protocol::outcome::{Certainty, Changed, FailureClass};
use postern_protocol::task::{collect, deprovision_user, disable_user, export, import_batch, reset_password};
use postern_protocol::{Outcome, TaskKind};
use serde_json::{Value, json};

use crate::golden;
use crate::samples::{self, Content, Sample};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a script of this suite with `input`. `None` if there is no Python and none is required.
///
/// Outside of CI a host without `python3` may skip what needs it; in CI, where the variable `CI` is set, it may not.
pub(crate) fn python(script: &str, input: &str) -> Option<String> {
    let spawned = Command::new("python3")
        .arg(root().join("tests/wire").join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("{script} was not run: python3: {error}");
            return None;
        }
        Err(error) => panic!("{script} needs python3: {error}"),
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed:\n{words}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn direction(sample: &Sample) -> &'static str {
    match &sample.content {
        Content::Message { member: Some(_), controller: Some(_) } => "both",
        Content::Message { member: Some(_), .. } => "member",
        Content::Message { .. } => "controller",
        Content::Applicant(_) => "applicant",
        Content::Authority(_) => "authority",
        Content::Request(_) | Content::Output(_) => "task",
    }
}

fn set<E: CodeSet>(values: &[E]) -> Value {
    values.iter().map(|value| json!([value.code(), value.name()])).collect()
}

fn code_sets() -> Value {
    json!({
        "CancelVerdict": set(CancelVerdict::ALL),
        "CertRefusal": set(CertRefusal::ALL),
        "Certainty": set(Certainty::ALL),
        "Changed": set(Changed::ALL),
        "Delimiter": set(import_batch::Delimiter::ALL),
        "Difference": set(import_batch::Difference::ALL),
        "DynamicSystem": set(import_batch::DynamicSystem::ALL),
        "Content": set(export::Content::ALL),
        "DayPattern": set(export::DayPattern::ALL),
        "DeltaMode": set(export::DeltaMode::ALL),
        "EnrollRefusal": set(EnrollRefusal::ALL),
        "FailureClass": set(FailureClass::ALL),
        "FilterOperator": set(FilterOperator::ALL),
        "Format": set(import_batch::Format::ALL),
        "HeldState": set(HeldState::ALL),
        "IfRefused": set(disable_user::IfRefused::ALL),
        "LeaseVerdict": set(LeaseVerdict::ALL),
        "LogLevel": set(LogLevel::ALL),
        "LogLevelVerdict": set(LogLevelVerdict::ALL),
        "MembershipState": set(MembershipState::ALL),
        "Mode": set(Mode::ALL),
        "Outcome": set(Outcome::ALL),
        "RecordFormat": set(export::RecordFormat::ALL),
        "Rejection": set(Rejection::ALL),
        "SessionRefusal": set(SessionRefusal::ALL),
        "SignInState": set(SignInState::ALL),
        "Source": set(reset_password::Source::ALL),
        "Stage": set(deprovision_user::Stage::ALL),
        "StreamFault": set(StreamFault::ALL),
        "TaskKind": set(TaskKind::ALL),
        "TimePattern": set(export::TimePattern::ALL),
        "UserStatus": set(collect::UserStatus::ALL),
        "Way": set(export::Way::ALL),
    })
}

/// Swap two fields of a table in `docs/protocol.md`, leave one out, or give a code another number, and this fails.
#[test]
fn the_document_alone_decodes_every_golden_frame() {
    let samples: Vec<Value> = samples::all()
        .iter()
        .map(|sample| {
            golden::bytes(sample);
            json!({
                "file": format!("{}.hex", sample.file),
                "name": sample.name,
                "from": direction(sample),
                "fields": sample.fields,
            })
        })
        .collect();
    let expected = json!({ "samples": samples, "codes": code_sets() });
    if let Some(said) = python("decode.py", &expected.to_string()) {
        assert!(said.contains("every byte accounted for"), "{said}");
    }
}
