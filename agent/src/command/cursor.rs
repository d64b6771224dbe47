//! `postern cursor`: what the deltas of a connected system have handed over.

use std::path::Path;

use postern_protocol::Failure;
use serde_json::json;

use super::{Failed, load_private, say, say_json};
use crate::cli::{Cursor, CursorCommand};
use crate::connector::{self, Standing};
use crate::exit::Exit;

pub(super) async fn run(config: &Path, options: &Cursor) -> Result<Exit, Failed> {
    let config = load_private(config)?;
    let (system, kept) = super::kept_of(&config, &options.system)?;
    let cursors = connector::type_of(system)?.cursors();
    let failed = |failure: Failure| Failed::new(Exit::Store, failure.to_string());
    let all = cursors.map_or_else(|| Ok(Vec::new()), |cursors| cursors.all(&kept)).map_err(failed)?;
    match &options.command {
        CursorCommand::List { json } => list(&all, *json),
        CursorCommand::Forget { object, name } => {
            let found = all.iter().find(|it| it.object.eq_ignore_ascii_case(object) && it.name == *name);
            // One whose forgetting was cut off is not shown any more.
            let object = found.map_or(object, |found| &found.object);
            let forgotten = match cursors {
                Some(cursors) => cursors.forget(object, name, &kept).await.map_err(failed)?,
                None => false,
            };
            if !forgotten {
                let message =
                    format!("`{}` has no cursor `{name}` of {object}; `list` shows which there are", system.name);
                return Err(Failed::new(Exit::Usage, message));
            }
            say(format_args!("the next run of the cursor `{name}` of {object} hands over everything"));
        }
    }
    Ok(Exit::Ok)
}

fn list(cursors: &[Standing], as_json: bool) {
    if as_json {
        let shown = |it: &Standing| {
            let until = it.until.map(|until| until.to_string());
            json!({ "object": it.object, "name": it.name, "until": until, "records": it.records })
        };
        return say_json(&cursors.iter().map(shown).collect());
    }
    for Standing { object, name, until, records } in cursors {
        let until = until.map_or_else(|| "nothing handed over yet".to_owned(), |until| format!("until {until:.0}"));
        say(format_args!("{object} `{name}`: {until}, {records} records remembered"));
    }
}
