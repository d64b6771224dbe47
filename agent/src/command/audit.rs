//! `postern audit`: whether the audit log was changed, and what stands in it.

use std::io::IsTerminal as _;
use std::path::Path;

use postern_protocol::plain::Chain;
use postern_store::audit::{AuditError, Check, Found, Head, Line, Verifier, VerifyError};
use serde_json::{Map, Value as Json};

use super::{Failed, load, open_whole, put, say, say_error, say_json, say_pairs};
use crate::audit;
use crate::cli::{Audit, AuditCommand, AuditShow, AuditVerify};
use crate::config::Config;
use crate::exit::Exit;
use crate::status;

pub(super) async fn run(config: &Path, options: &Audit) -> Result<Exit, Failed> {
    match &options.command {
        AuditCommand::Verify(options) => verify(config, options).await,
        AuditCommand::Show(options) => show(config, options),
    }
}

async fn verify(config: &Path, options: &AuditVerify) -> Result<Exit, Failed> {
    let (directory, remembered, compared) = if let Some(directory) = &options.dir {
        (directory.clone(), None, "not compared with any agent's store")
    } else {
        let config = load(config)?;
        let (remembered, compared) = remembered(&config).await?;
        (audit::directory(&config.state_dir), remembered, compared)
    };
    let check = Check { directory: &directory, heads: &options.head, after: options.after, remembered, compared };
    let watched = std::io::stderr().is_terminal();
    let told = |lines| {
        if watched {
            say_error(format_args!("{lines} lines are whole …"));
        }
    };
    let found = check.run(told).map_err(|error| unread(options.dir.is_some(), &error))?;
    match &found {
        _ if options.json => say_json(&found.json()),
        Found::Whole(whole) => say_pairs(&whole.pairs()),
        Found::Broken(broken) => say_error(broken.sentence()),
    }
    match found {
        Found::Whole(whole) => whole.doubt().map_or(Ok(Exit::Ok), |doubt| Err(Failed::new(Exit::Failed, doubt))),
        Found::Broken(_) => Ok(Exit::Failed),
    }
}

/// The end of the log as the agent's store remembers it, and how it was asked.
async fn remembered(config: &Config) -> Result<(Option<Head>, &'static str), Failed> {
    let running = status::ask(&config.state_dir).await;
    if let Ok(Some(report)) = running {
        let head = report.audit.get("head").and_then(Json::as_str).and_then(|head| head.parse().ok());
        return Ok((head, "holds what the running agent remembers"));
    }
    config.inspect().map_err(|error| Failed::because(Exit::Config, &error))?;
    if !config.state_dir.join("store").exists() {
        return Ok((None, "there is no store to compare it with"));
    }
    Ok((open_whole(config)?.audit().head(), "holds what the agent's store remembers"))
}

fn show(config: &Path, options: &AuditShow) -> Result<Exit, Failed> {
    let directory = match &options.dir {
        Some(directory) => directory.clone(),
        None => audit::directory(&load(config)?.state_dir),
    };
    let task = options.task.map(|task| task.to_string());
    let verifier = Verifier::new(&directory).after(options.after.unwrap_or_default());
    let found = verifier.run(|line| {
        let Ok(event) = serde_json::from_str::<Map<String, Json>>(line.event) else { return };
        let is = |field: &str, wanted: &str| {
            event.get(field).and_then(Json::as_str).is_some_and(|it| it.eq_ignore_ascii_case(wanted))
        };
        let is_of_task = task.as_ref().is_none_or(|task| is("task", task));
        let names = |account: &String| is("account", account) || is("target", account) || was_called(&event, account);
        let is_since = options.since.as_ref().is_none_or(|since| since.includes(line));
        if is_of_task && is_since && options.account.as_ref().is_none_or(names) {
            show_line(line, &event, options.json);
        }
    });
    match found {
        Ok(_) => Ok(Exit::Ok),
        Err(VerifyError::Broken(broken)) => {
            Err(Failed::new(Exit::Failed, format!("the log cannot be followed from here on: {broken}")))
        }
        Err(VerifyError::Unread(error)) => Err(unread(options.dir.is_some(), &error)),
    }
}

/// A directory that somebody named and that is not there is another fault than a log that is gone.
fn unread(is_named: bool, error: &AuditError) -> Failed {
    if is_named && error.is_missing() {
        return Failed::new(Exit::Usage, format!("{}; name the directory of a log with --dir", Chain(error)));
    }
    Failed::because(Exit::Store, error)
}

/// Whether an event gives an account this name, or takes it.
fn was_called(event: &Map<String, Json>, account: &str) -> bool {
    let changes = event.get("changes").and_then(Json::as_array).into_iter().flatten();
    let of_name = changes.filter(|change| change.get("attribute").and_then(Json::as_str) == Some("Username"));
    let mut names =
        of_name.flat_map(|change| [change.get("old"), change.get("new")]).flatten().filter_map(Json::as_str);
    names.any(|name| name.eq_ignore_ascii_case(account))
}

fn show_line(line: &Line<'_>, event: &Map<String, Json>, as_json: bool) {
    let Line { head, time, event: told, .. } = line;
    if as_json {
        return put(&format!("{{\"no\":{},\"time\":\"{time}\",\"event\":{told}}}", head.number));
    }
    let text = |field: &str| event.get(field).and_then(Json::as_str).unwrap_or_default();
    let account = Some(text("account")).filter(|it| !it.is_empty()).unwrap_or_else(|| text("target"));
    let changes = event.get("changes").and_then(Json::as_array).into_iter().flatten().map(change_words);
    let changes: Vec<String> = changes.collect();
    say(format_args!(
        "{} {} {} {} {} {}: {} ({})",
        head.number,
        time,
        text("system"),
        text("kind"),
        account,
        text("outcome"),
        changes.join(", "),
        text("task"),
    ));
}

fn change_words(change: &Json) -> String {
    let attribute = change.get("attribute").and_then(Json::as_str).unwrap_or_default();
    match (change.get("old"), change.get("new")) {
        (None, None) => attribute.to_owned(),
        (old, new) => {
            let shown = |value: Option<&Json>| value.map_or_else(|| "?".to_owned(), ToString::to_string);
            format!("{attribute} {} → {}", shown(old), shown(new))
        }
    }
}
