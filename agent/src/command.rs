//! The commands. Only they print, and only they turn errors into exit codes.

mod audit;
mod cursor;
mod dataset;
mod doctor;
mod enroll;
mod exec;
mod health;
mod log_level;
mod outbox;
pub mod policy;
mod ready_file;
mod reset_sign_in;
mod run;
mod schema;
mod status;
mod store;
mod watch;

use std::error::Error;
use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use postern_protocol::SystemName;
use postern_protocol::plain::{Chain, json_on_a_terminal, on_a_terminal};
use postern_protocol::task::import_batch::Format;
use postern_store::{StoreError, hardening};

use crate::allocator;
use crate::cli::{Cli, Command};
use crate::config::{Config, ConfigError, System};
use crate::exit::Exit;
use crate::kept::Kept;
use crate::store::{AgentStoreError, Store};

/// Why a command failed: a sentence and an exit code.
#[derive(Debug)]
pub struct Failed {
    exit: Exit,
    message: String,
}

impl Failed {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    fn because(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        Self::new(exit, Chain(error).to_string())
    }
}

impl From<ConfigError> for Failed {
    fn from(error: ConfigError) -> Self {
        Self::because(Exit::Config, &error)
    }
}

impl From<crate::app::AppError> for Failed {
    fn from(error: crate::app::AppError) -> Self {
        Self::because(error.exit(), &error)
    }
}

impl From<crate::identity::IdentityError> for Failed {
    fn from(error: crate::identity::IdentityError) -> Self {
        Self::because(error.exit(), &error)
    }
}

impl From<AgentStoreError> for Failed {
    fn from(error: AgentStoreError) -> Self {
        Self::because(crate::app::store_exit(&error), &error)
    }
}

/// Runs a command and says how it went.
pub fn run(cli: Cli) -> Exit {
    if matches!(cli.command, Command::Run(_) | Command::Exec(_)) {
        allocator::give_memory_back();
    }
    hardening::keep_files_private();
    if let Err(error) = hardening::keep_memory_private() {
        say_error(format_args!("core dumps cannot be switched off: {error}"));
        return Exit::Failed;
    }
    let done = match cli.command {
        Command::Enroll(options) => on_runtime(enroll::run(&cli.config, options)),
        Command::Doctor(options) => on_runtime(doctor::run(&cli.config, &options)),
        Command::Run(options) => on_runtime(run::run(&cli.config, options)),
        Command::Health(options) => on_runtime(health::run(&cli.config, &options)),
        Command::Status(options) => on_runtime(status::run(&cli.config, &options)),
        Command::LogLevel(options) => on_runtime(log_level::run(&cli.config, &options)),
        Command::Exec(options) => on_runtime(exec::run(&cli.config, options)),
        Command::Schema(options) => schema::run(&cli.config, &options),
        Command::Cursor(options) => on_runtime(cursor::run(&cli.config, &options)),
        Command::Outbox(options) => outbox::run(&cli.config, &options),
        Command::Policy(options) => policy::run(&cli.config, &options),
        Command::Audit(options) => on_runtime(audit::run(&cli.config, &options)),
        Command::Dataset(options) => dataset::run(&options),
        Command::Store(options) => store::run(&cli.config, &options),
        Command::ResetSignIn(options) => on_runtime(reset_sign_in::run(&cli.config, &options)),
    };
    match (done, UNSAID.get()) {
        (Ok(Exit::Ok), Some(error)) => {
            say_error(format_args!("what the command found cannot be written to the standard output: {error}"));
            Exit::Failed
        }
        (Ok(exit), _) => exit,
        (Err(failed), _) => {
            say_error(&failed.message);
            failed.exit
        }
    }
}

/// Runs a command to its end, which is the program's: nothing waits for parts that are stuck in a disk, and none is left
/// without the clock that it waits by, which would pass for a defect.
fn on_runtime(command: impl Future<Output = Result<Exit, Failed>>) -> Result<Exit, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::because(Exit::Bug, &error))?;
    let done = runtime.block_on(command);
    std::mem::forget(runtime);
    done
}

fn load(path: &Path) -> Result<Config, Failed> {
    let config = Config::load(path)?;
    crate::telemetry::start(&config);
    Ok(config)
}

/// [`load`], for a command that works on the state directory: refused while others can look into it.
fn load_private(path: &Path) -> Result<Config, Failed> {
    let config = load(path)?;
    config.inspect().map_err(|error| Failed::because(Exit::Config, &error))?;
    Ok(config)
}

/// The store, for a command that goes by what is in it: one that was damaged tells nothing.
fn open_whole(config: &Config) -> Result<Store, Failed> {
    let opened = Store::open_whole(&config.home());
    if let Err(AgentStoreError::Store(error @ StoreError::Left { .. })) = &opened {
        let message = format!(
            "{error}: what is in it cannot be told; look at the tasks of this member where they were submitted. The agent's \
             next start keeps it beside a new one"
        );
        return Err(Failed::new(Exit::Store, message));
    }
    Ok(opened?)
}

/// The connected system of that name, or which there are.
fn check_system<'a>(config: &'a Config, name: &SystemName) -> Result<&'a System, Failed> {
    config.system(name.as_str()).ok_or_else(|| {
        let known: Vec<&str> = config.systems.iter().map(|system| system.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failed::new(Exit::Usage, format!("the configuration has no connected system `{name}`; it has: {known}"))
    })
}

/// The connected system of that name, and its memory in the store.
fn kept_of<'a>(config: &'a Config, name: &SystemName) -> Result<(&'a System, Kept), Failed> {
    let system = check_system(config, name)?;
    let store = open_whole(config)?;
    Ok((system, Kept::new(store, system.name.clone())))
}

/// How a dataset is written: as somebody says, or as its name does.
fn format_of(dataset: &Path, given: Option<Format>) -> Result<Format, Failed> {
    given.or_else(|| Format::of_file(&dataset.to_string_lossy())).ok_or_else(|| {
        let shown = dataset.display();
        Failed::new(Exit::Usage, format!("the name of `{shown}` does not tell how it is written; give --format"))
    })
}

/// Why something that was to be said is not where it was to be, such as in a file on a full disk.
static UNSAID: OnceLock<std::io::Error> = OnceLock::new();

/// One line for people on the standard output.
fn say(line: impl Display) {
    put(&on_a_terminal(&line.to_string()));
}

/// One line on the standard error stream.
fn say_error(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "postern: {}", on_a_terminal(&line.to_string()));
}

fn say_json(value: &serde_json::Value) {
    put(&json_on_a_terminal(&serde_json::to_string_pretty(value).unwrap_or_default()));
}

/// Puts a line on the standard output. A reader that went away is no error: there is nobody left to tell.
fn put(line: &str) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}")
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let _ = UNSAID.set(error);
    }
}

/// Two columns: a word and what it is.
fn say_pairs(pairs: &[(&str, String)]) {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        say(format_args!("{name:width$}  {value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Drop the runtime, and a program whose disk has failed does not end while the disk holds a part of it; one that waits for
    /// a moment panics, and the program tells of a defect in place of the disk.
    #[test]
    fn a_part_that_is_stuck_does_not_hold_the_end_up() {
        let (_held, wait) = mpsc::sync_channel::<()>(1);
        let (ended, end) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let command = async move {
                tokio::task::spawn_blocking(move || wait.recv());
                Ok(Exit::Store)
            };
            let _ = ended.send(on_runtime(command).ok());
        });
        assert_eq!(end.recv_timeout(Duration::from_secs(30)).ok(), Some(Some(Exit::Store)));
    }
}
