//! `ca`.

use postern_protocol::MemberId;
use serde_json::json;

use super::{client, output};
use crate::ca::RootNo;
use crate::cli::{CaCommand, Reach, Rotate};
use crate::exit::Failure;
use crate::state::roots::{CaView, MemberTrust, StepView};

pub(super) async fn run(reach: &Reach, command: CaCommand) -> Result<(), Failure> {
    let client = client(reach)?;
    let view: CaView = match command {
        CaCommand::Status => client.get("/v1/ca").await?,
        CaCommand::Rotate { step } => {
            let (step, body) = match step {
                Rotate::Begin { root } => ("begin", json!({ "root": root })),
                Rotate::Switch { force } => ("switch", json!({ "force": force })),
                Rotate::Finish { force } => ("finish", json!({ "force": force })),
                Rotate::Back { from, force } => ("back", json!({ "from": from, "force": force })),
            };
            client.post(&format!("/v1/ca/rotation/{step}"), &body).await?
        }
    };
    if reach.json {
        return output::json(&view);
    }
    show(&view);
    Ok(())
}

fn show(view: &CaView) {
    output::facts(vec![("rotation", phase(view)), ("bundle", view.bundle.to_string())]);
    let roots = view.roots.iter().map(|it| {
        vec![
            it.number.to_string(),
            it.role.clone(),
            it.certificates.to_string(),
            output::moment(it.valid_from),
            output::moment(it.valid_until),
            it.fingerprint.clone(),
        ]
    });
    output::rows(&["root", "is", "certificates", "from", "until", "fingerprint"], roots.collect(), "");
    let members = view.members.iter().map(|it| {
        vec![
            it.id.to_string(),
            it.host.clone(),
            it.state.to_string(),
            if it.connected { "yes" } else { "no" }.to_owned(),
            it.certificate_root.to_string(),
            numbers(&it.trusts),
            if it.acknowledged { "yes" } else { "no" }.to_owned(),
        ]
    });
    output::rows(
        &["member", "host", "state", "connected", "certificate of", "trusts", "has the bundle"],
        members.collect(),
        "there is no member",
    );
    for step in &view.steps {
        output::say(next(step, &view.members));
    }
}

fn phase(view: &CaView) -> String {
    let what = match view.phase.as_str() {
        "begun" => "the new root is trusted and does not sign yet",
        "switched" => "the new root signs, and the old one is trusted yet",
        _ => "none is under way",
    };
    format!("{}: {what}", view.phase)
}

fn next(step: &StepView, members: &[MemberTrust]) -> String {
    let command = format!("postern-controller ca rotate {}", step.step);
    if step.waits_for.is_empty() {
        return format!("next: {command}");
    }
    let host = |id: &MemberId| members.iter().find(|it| it.id == *id).map_or("", |it| it.host.as_str());
    let names: Vec<String> = step.waits_for.iter().map(|id| format!("{id} ({})", host(id))).collect();
    format!("next: {command}, which waits for {}", names.join(", "))
}

fn numbers(roots: &[RootNo]) -> String {
    roots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
