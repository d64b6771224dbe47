//! `postern audit`: whether the audit log was changed, and what stands in it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use postern_store::audit::{Break, Head, Line, Verified, Verifier, VerifyError};
use serde_json::{Map, Value as Json, json};

use super::{Failed, load, say, say_error, say_json, say_pairs};
use crate::audit;
use crate::chain::Chain;
use crate::cli::{Audit, AuditCommand, AuditShow, AuditVerify};
use crate::config::Config;
use crate::exit::Exit;
use crate::status;
use crate::store::Store;

/// How many lines are read between two words about how far it is.
const PROGRESS: u64 = 50_000;

pub(super) async fn run(config: &Path, options: &Audit) -> Result<Exit, Failed> {
    match &options.command {
        AuditCommand::Verify(options) => verify(config, options).await,
        AuditCommand::Show(options) => show(config, options),
    }
}

/// Where the log is that is asked about.
fn directory(config: &Path, given: Option<&PathBuf>) -> Result<PathBuf, Failed> {
    match given {
        Some(directory) => Ok(directory.clone()),
        None => Ok(audit::directory(&load(config)?.state_dir)),
    }
}

async fn verify(config: &Path, options: &AuditVerify) -> Result<Exit, Failed> {
    let directory = directory(config, options.dir.as_ref())?;
    let (remembered, compared) = match options.dir {
        Some(_) => (None, "not compared with any agent's store".to_owned()),
        None => remembered(&load(config)?).await?,
    };
    let known = remembered.into_iter().chain(options.head.iter().copied());
    let verifier = known.fold(Verifier::new(&directory), Verifier::known).after(options.after.unwrap_or_default());
    let mut lines = 0;
    let shows_progress = io::stderr().is_terminal();
    let found = verifier.run(|_| {
        lines += 1;
        if shows_progress && lines % PROGRESS == 0 {
            let _ = write!(io::stderr(), "\r{lines} lines are whole …");
        }
    });
    if shows_progress && lines >= PROGRESS {
        let _ = writeln!(io::stderr());
    }
    match found {
        Ok(found) => {
            show_whole(&found, &directory, &compared, options.json);
            Ok(Exit::Ok)
        }
        Err(VerifyError::Broken(broken)) => {
            show_broken(&broken, options.json);
            Ok(Exit::Failed)
        }
        Err(VerifyError::Unread(error)) => Err(Failed::because(Exit::Store, &error)),
    }
}

/// The end of the log as the agent's store remembers it, and how it was asked.
async fn remembered(config: &Config) -> Result<(Option<Head>, String), Failed> {
    let running = status::ask(&config.state_dir).await;
    if let Ok(Some(report)) = running {
        let head = report.audit.get("head").and_then(Json::as_str).and_then(|head| head.parse().ok());
        return Ok((head, "holds what the running agent remembers".to_owned()));
    }
    if !config.state_dir.join("store").exists() {
        return Ok((None, "there is no store to compare it with".to_owned()));
    }
    let (store, _) = Store::open_in(&config.home())?;
    Ok((store.audit().head(), "holds what the agent's store remembers".to_owned()))
}

fn show_whole(found: &Verified, directory: &Path, compared: &str, as_json: bool) {
    let Verified { head, lines, files, unfinished } = found;
    if as_json {
        return say_json(&json!({
            "whole": true, "lines": lines, "files": files, "head": head.to_string(), "unfinished": unfinished,
            "compared": compared,
        }));
    }
    let unfinished = match unfinished {
        0 => String::new(),
        bytes => format!("{bytes} bytes, being written now or cut by a crash; the agent writes the line again"),
    };
    say_pairs(&[
        ("audit log", format!("whole: {lines} lines in {files} files of {}", directory.display())),
        ("head", head.to_string()),
        ("its end", compared.to_owned()),
        ("last line", unfinished),
    ]);
}

fn show_broken(broken: &Break, as_json: bool) {
    if as_json {
        return say_json(&json!({
            "whole": false, "file": broken.file, "line": broken.line, "why": broken.why.to_string(),
            "whole_until": broken.head.to_string(),
        }));
    }
    say_error(format_args!("the audit log was changed. {broken}"));
    say_error(format_args!("it is whole until {}", broken.head));
}

fn show(config: &Path, options: &AuditShow) -> Result<Exit, Failed> {
    let directory = directory(config, options.dir.as_ref())?;
    let since = options.since.map(|since| format!("{since:.3}")).unwrap_or_default();
    let task = options.task.map(|task| task.to_string());
    let verifier = Verifier::new(&directory).after(options.after.unwrap_or_default());
    let found = verifier.run(|line| {
        let Ok(event) = serde_json::from_str::<Map<String, Json>>(line.event) else { return };
        let is = |field: &str, wanted: &str| {
            event.get(field).and_then(Json::as_str).is_some_and(|it| it.eq_ignore_ascii_case(wanted))
        };
        let is_of_task = task.as_ref().is_none_or(|task| is("task", task));
        let names = |account: &String| is("account", account) || is("target", account) || was_called(&event, account);
        if is_of_task && line.time >= since.as_str() && options.account.as_ref().is_none_or(names) {
            show_line(line, &event, options.json);
        }
    });
    match found {
        Ok(_) => Ok(Exit::Ok),
        Err(VerifyError::Broken(broken)) => {
            Err(Failed::new(Exit::Failed, format!("what follows cannot be trusted: {broken}")))
        }
        Err(VerifyError::Unread(error)) => Err(Failed::new(Exit::Store, Chain(&error).to_string())),
    }
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
        return say(format_args!("{{\"no\":{},\"time\":\"{time}\",\"event\":{told}}}", head.number));
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
