//! `audit`.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use postern_protocol::plain::{Chain, json_on_a_terminal};
use postern_store::audit::{AuditError, Check, Found, Head, Line, Since, Verifier, VerifyError};
use serde_json::{Value, json};

use super::{client, output};
use crate::api::StatusView;
use crate::audit;
use crate::cli::{AuditCommand, Reach, WhichLog};
use crate::exit::{Exit, Failure};

pub(super) async fn run(reach: &Reach, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify { which, heads } => verify(reach, &which, &heads).await,
        AuditCommand::Show { which, since, by, on, act } => show(reach, &which, &Wanted { since, by, on, act }),
    }
}

fn directory(reach: &Reach, which: &WhichLog) -> Result<PathBuf, Failure> {
    match (&which.dir, &reach.data_dir) {
        (Some(directory), _) => Ok(directory.clone()),
        (None, Some(data_dir)) => Ok(audit::directory(data_dir)),
        (None, None) => Err(Failure::new(Exit::Usage, "which log? give --data-dir, or --dir")),
    }
}

async fn verify(reach: &Reach, which: &WhichLog, heads: &[Head]) -> Result<(), Failure> {
    let directory = directory(reach, which)?;
    let asked = if which.dir.is_none() { remembered(reach).await } else { Ok(None) };
    let (remembered, compared) = match asked {
        Ok(Some(head)) => (Some(head), "holds what the running controller remembers"),
        Ok(None) => (None, "not compared with any controller"),
        Err(_) => (None, "not compared with the controller that runs"),
    };
    let check = Check { directory: &directory, heads, after: which.after, remembered, compared };
    let watched = std::io::stderr().is_terminal();
    let told = |lines| {
        if watched {
            output::remark(format!("{lines} lines are whole …"));
        }
    };
    let found = check.run(told).map_err(|error| unread(which, &error))?;
    match &found {
        _ if reach.json => output::json(&found.json())?,
        Found::Whole(whole) => output::facts(whole.pairs().into()),
        Found::Broken(_) => {}
    }
    match found {
        Found::Whole(whole) => match (whole.doubt(), asked) {
            (Some(doubt), _) => Err(Failure::new(Exit::Failed, doubt)),
            (None, Err(Failure { exit, text, .. })) => {
                Err(Failure::new(exit, format!("whether the end is where the controller says is not known: {text}")))
            }
            (None, Ok(_)) => Ok(()),
        },
        Found::Broken(broken) => Err(Failure::new(Exit::Failed, broken.sentence())),
    }
}

/// The end of the log as a running controller remembers it; nothing if none runs. Where only variables name a URL, and nothing
/// a token for it, that is whoever the log's directory names.
async fn remembered(reach: &Reach) -> Result<Option<Head>, Failure> {
    let mut reach = reach.clone();
    reach.api_url.take_if(|_| !reach.is_url_typed && reach.api_token_file.is_none());
    let client = match client(&reach) {
        Err(failure) if failure.exit == Exit::Unreachable => return Ok(None),
        client => client?,
    };
    let status: Option<StatusView> = client.get_if_any("/v1/status").await?;
    Ok(status.and_then(|status| status.audit.head.parse().ok()))
}

/// Which lines are shown.
struct Wanted {
    since: Option<Since>,
    by: Option<String>,
    on: Option<String>,
    act: Option<String>,
}

impl Wanted {
    fn has(&self, line: &Line<'_>, event: &Value) -> bool {
        let is = |wanted: &Option<String>, said: &str| wanted.as_ref().is_none_or(|it| it == said);
        let (act, on) = (text(event, "act"), text(event, "on"));
        let of_act = self
            .act
            .as_ref()
            .is_none_or(|it| act.strip_prefix(it).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
        let of_on = self.on.as_ref().is_none_or(|it| on.split([' ', ',']).any(|part| part == it));
        let is_since = self.since.as_ref().is_none_or(|since| since.includes(line));
        is_since && is(&self.by, who(event)) && of_act && of_on
    }
}

fn show(reach: &Reach, which: &WhichLog, wanted: &Wanted) -> Result<(), Failure> {
    let directory = directory(reach, which)?;
    let verifier = Verifier::new(&directory).after(which.after.unwrap_or_default());
    let shown = verifier.run(|line| {
        let event = serde_json::from_str(line.event).unwrap_or_default();
        if wanted.has(line, &event) {
            show_line(reach, line, &event);
        }
    });
    shown.map(drop).map_err(|error| match error {
        VerifyError::Broken(broken) => {
            Failure::new(Exit::Failed, format!("the log cannot be followed from here on: {broken}"))
        }
        VerifyError::Unread(error) => unread(which, &error),
    })
}

/// A directory that somebody named and that is not there is another fault than a log that is gone.
fn unread(which: &WhichLog, error: &AuditError) -> Failure {
    if which.dir.is_some() && error.is_missing() {
        return Failure::new(Exit::Usage, format!("{}; name the directory of a log with --dir", Chain(error)));
    }
    Failure::from_error(Exit::Store, error)
}

fn show_line(reach: &Reach, line: &Line<'_>, event: &Value) {
    if reach.json {
        let shown = json!({ "no": line.head.number, "time": line.time, "event": event });
        return output::text(json_on_a_terminal(&shown.to_string()) + "\n");
    }
    let from = event.pointer("/by/from").and_then(Value::as_str).map(|it| format!(" from {it}")).unwrap_or_default();
    let why = Some(text(event, "why")).filter(|it| !it.is_empty()).map(|it| format!(": {it}")).unwrap_or_default();
    let left_out = event.get("left_out").map(|it| format!(" (and {it} more before)")).unwrap_or_default();
    output::say(format!(
        "{} {} {}{from} {} {} {}{why}{left_out}",
        line.head.number,
        line.time,
        who(event),
        text(event, "act"),
        text(event, "on"),
        text(event, "result"),
    ));
}

fn who(event: &Value) -> &str {
    let by = event.get("by");
    by.and_then(|it| it.get("name").or(Some(it))).and_then(Value::as_str).unwrap_or_default()
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event.get(field).and_then(Value::as_str).unwrap_or_default()
}
