//! `postern health`.

use std::path::Path;

use postern_health::Word;
use serde_json::json;

use super::{Failed, load, say, say_json};
use crate::cli::{Health, HealthWord};
use crate::exit::Exit;
use crate::status;

pub(super) async fn run(config: &Path, options: &Health) -> Result<Exit, Failed> {
    let config = load(config)?;
    let word = match options.word {
        HealthWord::Live => Word::Live,
        HealthWord::Ready => Word::Ready,
        HealthWord::Useful => Word::Useful,
    };
    let no = |why: String| Failed::new(Exit::Failed, why);
    let asked = status::ask_health(&config.state_dir).await.map_err(|error| {
        no(format!("the running agent does not answer on its status socket ({error}): look again in a minute"))
    })?;
    let verdict = asked.ok_or_else(|| {
        no("the agent is not running: start it with `systemctl start postern`, or `postern run`".to_owned())
    })?;
    if options.json {
        let reasons: Vec<_> = verdict.reasons(word).collect();
        say_json(&json!({ "word": word.as_str(), "holds": reasons.is_empty(), "reasons": reasons }));
    } else if verdict.holds(word) {
        say(word.as_str());
    } else {
        say(format!("not {}", word.as_str()));
        verdict.reasons(word).for_each(|reason| say(format!("  {}: {}", reason.code, reason.message)));
    }
    Ok(if verdict.holds(word) { Exit::Ok } else { Exit::Failed })
}
