//! `postern status`.

use std::path::Path;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{Failed, load, say, say_json, say_pairs};
use crate::audit;
use crate::cli::Status;
use crate::exit::Exit;
use crate::identity::IdentityDir;
use crate::status::{self, Report};

pub(super) async fn run(config: &Path, options: &Status) -> Result<Exit, Failed> {
    let config = load(config)?;
    let asked = status::ask(&config.state_dir).await.map_err(|error| {
        Failed::new(Exit::Failed, format!("the running agent does not answer on its status socket: {error}"))
    })?;
    match asked {
        Some(report) => show_running(&report, options.json),
        None => show_stopped(&config.state_dir, options.json)?,
    }
    Ok(Exit::Ok)
}

fn show_running(report: &Report, json: bool) {
    if json {
        return say_json(&json!({ "running": true, "agent": report }));
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let field = |value: &Value, name: &str| value.get(name).map(text).unwrap_or_default();
    let link = match field(&report.link, "state").as_str() {
        "connected" => format!(
            "connected to {} (session {}, seen as {})",
            field(&report.link, "url"),
            field(&report.link, "session"),
            field(&report.link, "observed_address")
        ),
        "waiting" => format!(
            "waiting {} ms before the next try: {}",
            field(&report.link, "retry_in_ms"),
            field(&report.link, "error")
        ),
        _ => format!("connecting to {}", field(&report.link, "url")),
    };
    let mut pairs = vec![
        ("agent", format!("running, version {}, process {}", report.version, report.pid)),
        ("cluster", report.cluster.clone()),
        ("member", report.member.clone()),
        ("state", field(&report.ledger, "member_state")),
        ("link", link),
        ("certificate", certificate_words(&report.certificate)),
        ("trusts", root_words(&report.certificate)),
        (
            "tasks",
            format!(
                "{} waiting, {} started, {} reports owed to the controller",
                field(&report.ledger, "journaled"),
                field(&report.ledger, "started"),
                field(&report.ledger, "reports_owed")
            ),
        ),
    ];
    pairs.push(("audit log", audit_words(&report.audit)));
    pairs.extend(report.collections.iter().map(|collection| ("collection", collection_words(collection))));
    say_pairs(&pairs);
}

/// The certificate in a line.
fn certificate_words(certificate: &Value) -> String {
    let moment = |name: &str| {
        let millis = certificate.get(name).and_then(Value::as_i64)?;
        jiff::Timestamp::from_millisecond(millis).ok()?.round(jiff::Unit::Second).ok()
    };
    let (Some(ends), Some(renewal)) = (moment("ends"), moment("renewal")) else { return String::new() };
    let trouble = certificate.get("trouble").and_then(Value::as_str);
    match (trouble, moment("again")) {
        (Some(trouble), Some(again)) => format!("valid until {ends}; not renewed: {trouble}; tried again at {again}"),
        _ => format!("valid until {ends}, renewed from {renewal} on"),
    }
}

/// The audit log in a line.
fn audit_words(audit: &Value) -> String {
    audit::Status::deserialize(audit).map(|status| status.words("postern")).unwrap_or_default()
}

/// The roots that are trusted, in a line.
fn root_words(certificate: &Value) -> String {
    let roots = certificate.get("roots").and_then(Value::as_array).into_iter().flatten();
    roots.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// One collection in a line.
fn collection_words(collection: &Value) -> String {
    let field = |name: &str| collection.get(name).and_then(Value::as_str).unwrap_or_default();
    let count = |name: &str| collection.get(name).and_then(Value::as_u64).unwrap_or_default();
    let last = match (field("last_run"), field("outcome")) {
        ("", _) => "no run yet".to_owned(),
        (last, "succeeded") => {
            format!("last run {last}: {} users, {} gone", count("users"), count("removed"))
        }
        (last, outcome) => format!("last run {last}: {outcome} {}", field("told")).trim_end().to_owned(),
    };
    let next = match field("next_run") {
        "" => "inactive".to_owned(),
        next => format!("next run {next}"),
    };
    format!("{} of {}: {last}; {next}", field("name"), field("system"))
}

/// Only the identity is read: a look must neither hold the store nor mend it.
fn show_stopped(state_dir: &Path, json: bool) -> Result<(), Failed> {
    let identity = if state_dir.join("identity").exists() { IdentityDir::open(state_dir)?.load()? } else { None };
    let membership = identity.map(|identity| identity.membership);
    if json {
        say_json(&json!({ "running": false, "membership": membership }));
    } else {
        match membership {
            Some(membership) => say_pairs(&[
                ("agent", "not running; start it with: postern run".to_owned()),
                ("cluster", membership.cluster.to_string()),
                ("member", membership.member.to_string()),
            ]),
            None => say("not enrolled; ask an operator for a token and run: postern enroll"),
        }
    }
    Ok(())
}
