//! `postern cursor`: what the deltas of a connected system have handed over.

use std::path::Path;

use serde_json::json;

use super::{Failed, load_private, say, say_json};
use crate::cli::{Cursor, CursorCommand};
use crate::config::System;
use crate::connector::{self, Standing};
use crate::exit::Exit;
use crate::kept::Kept;

pub(super) async fn run(config: &Path, options: &Cursor) -> Result<Exit, Failed> {
    let config = load_private(config)?;
    let system = super::check_system(&config, &options.system)?;
    let store = super::open_whole(&config)?;
    let kept = Kept::new(store, system.name.clone());
    match &options.command {
        CursorCommand::List { json } => list(&cursors(system, &kept)?, *json),
        CursorCommand::Forget { object, name } => {
            let all = cursors(system, &kept)?;
            let Some(found) = all.iter().find(|it| it.object.eq_ignore_ascii_case(object) && it.name == *name) else {
                let message =
                    format!("`{}` has no cursor `{name}` of {object}; `list` shows which there are", system.name);
                return Err(Failed::new(Exit::Usage, message));
            };
            connector::forget_cursor(system, &found.object, &found.name, &kept)
                .await
                .map_err(|failure| Failed::new(Exit::Store, failure.to_string()))?;
            say(format_args!("the next run of the cursor `{name}` of {} hands over everything", found.object));
        }
    }
    Ok(Exit::Ok)
}

fn cursors(system: &System, kept: &Kept) -> Result<Vec<Standing>, Failed> {
    connector::cursors(system, kept).map_err(|failure| Failed::new(Exit::Store, failure.to_string()))
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
