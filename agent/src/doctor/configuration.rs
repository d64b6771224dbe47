//! The configuration: whether it is whole, and who else may touch it.

use postern_protocol::plain::Chain;

use crate::config::{Config, ConfigError, ExposedError};

use super::{Check, Finding};

/// The one finding there is about a configuration that cannot be used.
pub fn unusable(error: &ConfigError) -> Finding {
    let next = if matches!(error, ConfigError::Unreadable { .. }) {
        "run this as the agent's user, and name the agent's configuration with `--config`"
    } else {
        "correct the configuration and run this again; reference/configuration.md of the operator's guide \
         lists every key"
    };
    Finding::failed(Check::ConfigurationRead, Chain(error).to_string(), next)
}

/// What can be said of one that was read.
pub fn look(config: &Config) -> Vec<Finding> {
    let systems: Vec<&str> = config.systems.iter().map(|system| system.name.as_str()).collect();
    let shown = config.file().display();
    let read = if systems.is_empty() {
        Finding::warning(
            Check::ConfigurationRead,
            format!("`{shown}` names no connected system"),
            "add a table `[[connected_system]]`: without one there is nothing to work on",
        )
    } else {
        Finding::ok(Check::ConfigurationRead, format!("`{shown}`, connected systems: {}", systems.join(", ")))
    };
    vec![
        read,
        private(config),
        exposed(Check::ConfigurationSecrets, config.inspect_secrets(), "no other user may read the files it names"),
    ]
}

fn private(config: &Config) -> Finding {
    let check = Check::ConfigurationPrivate;
    match (config.inspect_itself(), config.inspect_trust()) {
        (Ok(()), Err(ExposedError::NotPrivate(error))) => Finding::warning(
            check,
            "others may put another file in its place or in that of a file of root certificates that it names, or write one of these",
            error.commands().join("\n"),
        ),
        (looked, _) => exposed(check, looked, "only its owner may write it"),
    }
}

/// What came of looking whether something is this user's alone.
pub fn exposed(check: Check, looked: Result<(), ExposedError>, well: &str) -> Finding {
    match looked {
        Ok(()) => Finding::ok(check, well),
        Err(ExposedError::NotPrivate(error)) => {
            let text = error.to_string();
            let commands: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
            Finding::failed(check, "files or directories are not this user's alone", commands.join("\n"))
        }
        Err(ExposedError::Unreadable(error)) => Finding::failed(
            check,
            Chain(&error).to_string(),
            "run this as the agent's user, or give the agent's user what it needs to look",
        ),
    }
}
