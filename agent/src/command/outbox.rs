//! `postern outbox`: what this agent owes the controller, for one that is not heard any more.

use std::io::{self, Write as _};
use std::path::Path;

use postern_agent_core::TaskState;
use postern_protocol::message::v1::Report;
use postern_protocol::outbox::OwedReport;
use postern_store::private::NewFile;
use serde_json::json;

use super::{Failed, load_private, say, say_json};
use crate::cli::{Outbox, OutboxCommand};
use crate::exit::Exit;
use crate::identity::{Identity, IdentityDir};
use crate::store::Store;

pub(super) fn run(config: &Path, options: &Outbox) -> Result<Exit, Failed> {
    let OutboxCommand::Export { output, json } = &options.command;
    let config = load_private(config)?;
    let identity = IdentityDir::open(&config.state_dir)?.load()?.ok_or_else(|| {
        Failed::new(Exit::Refused, "this agent is not enrolled, so it owes nothing: see `postern enroll --help`")
    })?;
    let (store, _) = Store::open_in(&config.home())?;
    let mut file = NewFile::create(output).map_err(|error| unwritten(output, &error))?;
    let restored = store.restore()?;
    let concluded = restored.tasks.iter().filter_map(|task| match &task.state {
        TaskState::Concluded(report) => Some(&**report),
        TaskState::Journaled { .. } | TaskState::Started { .. } => None,
    });
    let owed: Vec<&Report> = restored.reports.iter().chain(concluded).collect();
    let begun = restored.tasks.iter().filter(|task| matches!(task.state, TaskState::Started { .. })).count();
    let lines = owed.iter().map(|report| line(&identity, &store, report)).collect::<Result<Vec<_>, _>>()?;
    file.fill(|file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
        .map_err(|error| unwritten(output, &error))?;
    if *json {
        say_json(&json!({ "output": output, "reports": lines.len(), "begun": begun }));
    } else {
        say(format_args!(
            "{} reports are in `{}`; an operator hands them in (needs the role administrator) with: postern-controller \
             outbox import FILE",
            lines.len(),
            output.display()
        ));
        if begun > 0 {
            say(format_args!("{begun} tasks have begun and have no outcome: whoever has them next looks first"));
        }
    }
    Ok(Exit::Ok)
}

fn line(identity: &Identity, store: &Store, report: &Report) -> Result<String, Failed> {
    let unusable = |error: &(dyn std::error::Error + 'static)| Failed::because(Exit::Store, error);
    let owed = OwedReport::new(identity.membership.member, store.incarnation(), report).map_err(|it| unusable(&it))?;
    // The controller may know the next certificate as the present one already.
    let next = identity.next.as_ref().filter(|next| next.certificate().is_some());
    let proof = next.unwrap_or(&identity.current).sign(&owed.statement().map_err(|it| unusable(&it))?)?;
    serde_json::to_string(&owed.signed(&proof)).map_err(|it| unusable(&it))
}

fn unwritten(output: &Path, error: &io::Error) -> Failed {
    let path = output.display();
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failed::new(
            Exit::Usage,
            format!("`{path}` is there already; move it away, or name another with --output"),
        );
    }
    Failed::new(Exit::Failed, format!("`{path}` cannot be written: {error}"))
}
