//! `postern log-level`.

use std::path::Path;

use super::status::moment;
use super::{Failed, load, say, say_json};
use crate::cli::{LogLevelOptions, WantedLevel};
use crate::exit::Exit;
use crate::status::{self, Answer, Ask};

pub(super) async fn run(config: &Path, options: &LogLevelOptions) -> Result<Exit, Failed> {
    let config = load(config)?;
    let WantedLevel(level) = options.level;
    let ask = Ask::LogLevel { system: options.system.clone(), level, for_secs: options.length.as_secs() };
    let answer = status::call(&config.state_dir, &ask).await.map_err(|error| {
        Failed::new(Exit::Failed, format!("the running agent does not answer on its socket: {error}"))
    })?;
    let of = options.system.as_ref().map_or_else(|| "everything".to_owned(), |system| format!("`{system}`"));
    match answer {
        None => {
            let message = "no agent runs here: what one logs from its start on is `log_level` in its configuration";
            Err(Failed::new(Exit::Failed, message))
        }
        Some(Answer::Refused { message }) => Err(Failed::new(Exit::Usage, message)),
        Some(Answer::Logged(logged)) => {
            if options.json {
                say_json(&serde_json::to_value(logged).unwrap_or_default());
            } else if let Some(until) = logged.until {
                say(format_args!("{of} is logged at {} until {}", logged.level, moment(until.0)));
            } else {
                say(format_args!("{of} is logged at {}, as the configuration says", logged.level));
            }
            Ok(Exit::Ok)
        }
        Some(Answer::Status(_) | Answer::Doctor(_) | Answer::Health(_)) => {
            Err(Failed::new(Exit::Bug, "the running agent answers something else"))
        }
    }
}
